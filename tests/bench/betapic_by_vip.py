"""Literals of ``tests/golden/test_betapic.py``, made again by the VIP package.

VIP is no dependency: run with an interpreter that has ``vip_hci==2.1.1``, from any folder:

    python betapic_by_vip.py /path/to/naco-betapic-adi
"""

import sys
from pathlib import Path

import numpy as np
from vip_hci.fm import normalize_psf
from vip_hci.metrics import contrast_curve, snr, snrmap
from vip_hci.psfsub import median_sub, pca

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import betapic
from anchors.prepare_betapic import centred, without_b

RADII = (12, 16.6, 20, 30, 40)
FFT = {"imlib": "vip-fft", "verbose": False}


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def main(folder: Path) -> None:
    cube, angles, psf = betapic.read(folder.parent)
    cube = centred(cube)
    psf, _, fwhm = normalize_psf(psf, size=19, full_output=True, verbose=False)
    fwhm = float(np.mean(fwhm))
    empty = without_b(cube, angles, psf)
    for name, algo, options in (
        ("pca5", pca, {"ncomp": 5}),
        ("pca20", pca, {"ncomp": 20}),
        ("cadi", median_sub, {}),
    ):
        image = np.asarray(algo(cube, angles, **options, **FFT))
        found = snr(image, betapic.B, betapic.FWHM)
        chart = snrmap(image, fwhm=betapic.FWHM, nproc=1, verbose=False, plot=False)
        say(name, "peak", image[betapic.B[::-1]], "S/N", found, "map", chart[betapic.B[::-1]])
        curve = contrast_curve(
            empty,
            angles,
            psf,
            fwhm=fwhm,
            pxscale=betapic.SCALE_MAS / 1000,
            starphot=betapic.STAR,
            algo=algo,
            sigma=5,
            nbranch=1,
            plot=False,
            **options,
            **FFT,
        )
        for column in ("sensitivity_gaussian", "sensitivity_student"):
            say(" ", column, np.interp(RADII, curve["distance"], curve[column]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
