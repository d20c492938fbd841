"""Companion images from master cubes: zones, throughput, S/N, contrast, sources."""
