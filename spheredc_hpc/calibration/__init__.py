"""Reduction of calibrations: one registered function per kind of product."""
