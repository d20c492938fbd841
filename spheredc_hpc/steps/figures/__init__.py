"""Drawings of products, shared by the previews of the steps and by the report.

Every function draws with one fixed palette. `canvas.to_png` gives the picture as it is, on
paper; `canvas.to_svg` replaces the palette by style-sheet variables, so that a page can show the
same drawing in light and in dark.
"""
