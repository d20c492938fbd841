"""Write the real beta Pictoris inputs as VIP centres them; runs under VIP's interpreter.

    python -m anchors.prepare_betapic /path/to/naco-betapic-adi OUTPUT

Three inputs: ``betapic``, ``betapic_empty`` with the companion taken out as VIP's own fit of a
negative companion has it, and ``betapic_pca`` with one frame, VIP's PCA image of five modes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from vip_hci.fm import cube_planet_free, normalize_psf
from vip_hci.preproc import cube_recenter_2dfit
from vip_hci.psfsub import pca

from anchors.inputs import Input, save

# The tutorial of VIP: angles less a constant, flux of the star, width of the PSF.
OFFSET_DEG = -104.84
STAR_FLUX = 764939.6
FWHM_PX = 4.8
# VIP's fit: separation [px], angle from the x axis [deg], flux.
COMPANION = (16.7045, 299.736, 734.336)


def main(source: Path, output: Path) -> None:
    """Centre, take the companion out, write."""
    cube = fits.getdata(source / "cube.fits.gz").astype(float)
    fit = {"xy": (51, 51), "fwhm": 4.6, "subi_size": 5, "model": "gauss", "negative": True}
    quiet = {"plot": False, "debug": False, "verbose": False}
    frames = cube_recenter_2dfit(cube, nproc=1, **fit, **quiet).astype(np.float32)
    angles = fits.getdata(source / "angles.fits").astype(float).ravel() + OFFSET_DEG
    psf = fits.getdata(source / "psf.fits").astype(float)
    whole = Input("betapic", frames, angles, psf, FWHM_PX, 27.19, STAR_FLUX, np.empty(0))
    unit = normalize_psf(psf, size=19, verbose=False)
    empty = cube_planet_free([COMPANION], frames, angles, unit).astype(np.float32)
    image = np.asarray(pca(frames, angles, ncomp=5, verbose=False), np.float32)
    save(whole, output / "betapic")
    save(replace(whole, name="betapic_empty", frames=empty), output / "betapic_empty")
    one = replace(whole, name="betapic_pca", frames=image[None], angles_deg=np.zeros(1))
    save(one, output / "betapic_pca")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
