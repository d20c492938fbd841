"""Subtraction algorithms, one file each; the registry imports them all."""
