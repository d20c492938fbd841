"""Blind search beside bright sources that are subtracted strongly."""

import numpy as np
import pytest
import synthetic_ifs

from spheredc_hpc.config.recipe import ImagingSettings, Recipe
from spheredc_hpc.level2.reduce import reduce
from spheredc_hpc.store.images import SOURCE_COLUMNS

COMPANIONS = ((160.0, 0.0, 2e-5), (230.0, 101.0, 1e-5), (310.0, 202.0, 6e-6), (400.0, 303.0, 4e-6))


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "turn"), [("klip", 240.0), ("tloci", 0.0), ("tloci", 120.0)])
def test_sources_are_found_once_in_two_steps_and_their_lobes_are_not(algorithm, turn):
    listed = [(s, (a + turn) % 360, c) for s, a, c in COMPANIONS]
    cube = synthetic_ifs.sequence(
        seed=1000,
        wavelength_um=synthetic_ifs.wavelengths(13),
        n_time=16,
        side=147,
        rotation_deg=50.0,
        companions=listed,
    )
    imaging = ImagingSettings(outer_mas=470, throughput_branches=1, throughput="frozen")
    recipe = Recipe(algorithm=algorithm, strategy="asdi-two-step", imaging=imaging)
    images = reduce(cube, recipe).images
    rows = [dict(zip(SOURCE_COLUMNS, row, strict=True)) for row in images.sources]
    assert len(rows) == len(listed)
    middle, scale = images.image.shape[0] // 2, images.pixel_scale_mas[0]
    for separation, angle, contrast in listed:
        x = middle - separation / scale * np.sin(np.deg2rad(angle))
        y = middle + separation / scale * np.cos(np.deg2rad(angle))
        (found,) = [i for i, r in enumerate(rows) if np.hypot(r["x_px"] - x, r["y_px"] - y) < 0.2]
        np.testing.assert_allclose(images.source_contrast[found], contrast, rtol=0.1)
