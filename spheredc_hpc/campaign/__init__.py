"""Runs over many observations: the sheet of a plan, Snakemake, what came of it."""
