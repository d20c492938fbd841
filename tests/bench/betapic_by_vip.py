"""Literals of ``tests/golden/test_betapic.py``, made again by the VIP package.

VIP is no dependency: run with an interpreter that has ``vip_hci==2.1.1``, from any folder:

    python betapic_by_vip.py /path/to/naco-betapic-adi
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from vip_hci.fm import cube_planet_free, normalize_psf
from vip_hci.metrics import contrast_curve, snr, snrmap
from vip_hci.preproc import cube_recenter_2dfit
from vip_hci.psfsub import median_sub, pca

RADII = (12, 16.6, 20, 30, 40)
FFT = {"imlib": "vip-fft", "verbose": False}


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def main(folder: Path) -> None:
    cube = fits.getdata(folder / "cube.fits.gz").astype(float)
    cube = cube_recenter_2dfit(
        cube,
        xy=(51, 51),
        fwhm=4.6,
        nproc=1,
        subi_size=5,
        model="gauss",
        negative=True,
        plot=False,
        debug=False,
        verbose=False,
    ).astype(np.float32)
    angles = fits.getdata(folder / "angles.fits").astype(float).ravel() - 104.84
    psf, _, fwhm = normalize_psf(
        fits.getdata(folder / "psf.fits").astype(float), size=19, full_output=True, verbose=False
    )
    fwhm = float(np.mean(fwhm))
    empty = cube_planet_free([(16.7045, 299.736, 734.336)], cube, angles, psf)
    for name, algo, options in (
        ("pca5", pca, {"ncomp": 5}),
        ("pca20", pca, {"ncomp": 20}),
        ("cadi", median_sub, {}),
    ):
        image = np.asarray(algo(cube, angles, **options, **FFT))
        found = snr(image, (58, 36), 4.8)
        chart = snrmap(image, fwhm=4.8, nproc=1, verbose=False, plot=False)
        say(name, "peak", image[36, 58], "S/N", found, "map", chart[36, 58])
        curve = contrast_curve(
            empty,
            angles,
            psf,
            fwhm=fwhm,
            pxscale=0.02719,
            starphot=764939.6,
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
