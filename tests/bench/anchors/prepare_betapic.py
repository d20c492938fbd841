"""Write the real beta Pictoris inputs as VIP centres them; runs under VIP's interpreter.

    python -m anchors.prepare_betapic /path/to/naco-betapic-adi OUTPUT

Three inputs: ``betapic``, ``betapic_empty`` with the companion taken out as VIP's own fit of a
negative companion has it, and ``betapic_pca`` with one frame, VIP's PCA image of five modes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import betapic
import numpy as np
from vip_hci.fm import cube_planet_free, normalize_psf
from vip_hci.preproc import cube_recenter_2dfit
from vip_hci.psfsub import pca

from anchors.inputs import Input, save


def centred(cube: np.ndarray) -> np.ndarray:
    """Frames with the star on pixel (50, 50), by VIP's fit to the coronagraphic hole."""
    fit = {"xy": (51, 51), "fwhm": 4.6, "subi_size": 5, "model": "gauss", "negative": True}
    quiet = {"plot": False, "debug": False, "verbose": False}
    return np.asarray(cube_recenter_2dfit(cube, nproc=1, **fit, **quiet), np.float32)


def without_b(frames: np.ndarray, angles: np.ndarray, unit_psf: np.ndarray) -> np.ndarray:
    """Frames less b, as VIP's own fit has it."""
    return np.asarray(cube_planet_free([betapic.B_FITTED], frames, angles, unit_psf))


def main(source: Path, output: Path) -> None:
    """Centre, take the companion out, write."""
    cube, angles, psf = betapic.read(source.parent)
    frames, known = centred(cube), (betapic.FWHM, betapic.SCALE_MAS, betapic.STAR)
    whole = Input("betapic", frames, angles, psf, *known, np.empty(0))
    unit = normalize_psf(psf, size=19, verbose=False)
    empty = without_b(frames, angles, unit).astype(np.float32)
    image = np.asarray(pca(frames, angles, ncomp=5, verbose=False), np.float32)
    save(whole, output / "betapic")
    save(replace(whole, name="betapic_empty", frames=empty), output / "betapic_empty")
    one = replace(whole, name="betapic_pca", frames=image[None], angles_deg=np.zeros(1))
    save(one, output / "betapic_pca")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
