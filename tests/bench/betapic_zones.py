"""Literals of ``tests/golden/test_betapic_zones.py``, made again by VIP or by pyKLIP.

Neither is a dependency: run with an interpreter that has ``vip_hci==2.1.1`` or
``pyklip==2.10.1``, from any folder:

    python betapic_zones.py vip /path/to/naco-betapic-adi
    python betapic_zones.py pyklip /path/to/naco-betapic-adi
"""

import ctypes
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import betapic

FRAMES = (0, 23, 41, 60)
PLACES = [
    (50, 56), (43, 50), (40, 58), (36, 58), (50, 34), (66, 59), (30, 40), (50, 77), (74, 60),
    (81, 50), (28, 25), (50, 12), (80, 75), (20, 27),
]  # fmt: skip
Y, X = np.mgrid[:101, :101] - 50
RADIUS = np.hypot(X, Y)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def show(name: str, residuals: np.ndarray, image: np.ndarray, edges: np.ndarray) -> None:
    """Print residuals at some places, their scatter by annulus, and peak and value at b."""
    say(name, "peak", image[34:39, 56:61].max(), "at b", image[36, 58])
    for frame in FRAMES:
        say(" ", frame, [float(f"{residuals[frame, y, x]:.6g}") for y, x in PLACES])
    rings = [(low <= RADIUS) & (high > RADIUS) for low, high in pairwise(edges)]
    say("  scatter", [float(f"{residuals[:, ring].std():.7g}") for ring in rings])


def by_vip(frames: np.ndarray, angles: np.ndarray) -> None:
    from vip_hci.metrics import snr
    from vip_hci.psfsub import pca_annular

    for number in (5, 20):
        for rotation in ({"imlib": "vip-fft"}, {"imlib": "opencv", "interpolation": "lanczos4"}):
            residuals, _, image = pca_annular(
                frames,
                angles,
                ncomp=number,
                fwhm=4.8,
                asize=4.8,
                radius_int=4,
                delta_rot=0.5,
                svd_mode="lapack",
                nproc=1,
                full_output=True,
                verbose=False,
                **rotation,
            )
            # The outermost annulus starts a pixel too far in: the last two are left out.
            show(f"{number} {rotation['imlib']}", residuals, image, 4 + 4.8 * np.arange(8))
            say("  S/N", snr(image, betapic.B, betapic.FWHM))


def by_pyklip(frames: np.ndarray, angles: np.ndarray) -> None:
    import pyklip.parallelized as klip

    centres = np.full((len(frames), 2), 50.0)
    for annuli, sectors, counts, motion in ((9, 4, [5, 20], 2.4), (1, 1, [20], 0.0)):
        found = klip.klip_parallelized(
            frames.copy(),
            centres,
            angles,
            np.ones(len(frames)),
            np.arange(len(frames)),
            IWA=4,
            OWA=50,
            mode="ADI",
            annuli=annuli,
            subsections=sectors,
            movement=motion,
            numbasis=np.array(counts),
            aligned_center=[50, 50],
            numthreads=1,
            maxnumbasis=len(frames),
            verbose=False,
            dtype=ctypes.c_double,
        )
        for number, residuals in zip(counts, found[0], strict=True):
            turned = klip.rotate_imgs(
                residuals,
                angles,
                centres,
                new_center=[50, 50],
                numthreads=1,
                disable_wcs_rotation=True,
            )
            edges = np.linspace(4, 50, 10)
            show(f"{annuli} x {sectors} K={number}", residuals, np.nanmean(turned, axis=0), edges)


def main(package: str, folder: Path) -> None:
    frames, angles, _ = betapic.read(folder.parent)
    moved = betapic.recentred(frames).astype(np.float64)
    {"vip": by_vip, "pyklip": by_pyklip}[package](moved, angles)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
