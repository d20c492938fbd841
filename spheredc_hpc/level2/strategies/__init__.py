"""Strategies, one file each: which rows are reduced together. The registry imports them all."""
