"""Sphinx configuration; the tables are written from the code before the pages are read."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import tables

import spheredc_hpc

project = "spheredc_hpc"
author = "the spheredc_hpc developers"
project_copyright = "2026, the spheredc_hpc developers"
version = release = spheredc_hpc.__version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_generated", "changes"]

html_theme = "furo"
html_title = f"spheredc_hpc {version}"
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

tables.write_all(Path(__file__).parent / "_generated")
