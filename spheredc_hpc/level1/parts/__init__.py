"""Corrections and measurements that the recipes of several observing modes share."""
