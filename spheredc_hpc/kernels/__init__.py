"""Arithmetic on arrays; knows no file, header, unit object or scheduler."""
