"""Cases by the pyKLIP package (Wang et al. 2015, ASCL 1506.001)."""

from __future__ import annotations

import numpy as np
import pyklip.parallelized as klip

from anchors.inputs import Input
from anchors.job import Arrays, Job, Maker

INNER_PX = 4


class _Run:
    """One call of KLIP with everything that it wants spelled out."""

    def __init__(self, data: Input, threads: int, **options: object) -> None:
        n = data.frames.shape[-1]
        n_channel = max(1, data.wavelengths_um.size)
        n_time = data.angles_deg.size
        cube = data.frames.reshape(n_channel, n_time, n, n)
        # One row after the other in time, all wavelengths of a time together.
        self.images = cube.swapaxes(0, 1).reshape(-1, n, n).astype(float)
        self.angles = np.repeat(data.angles_deg, n_channel)
        colours = data.wavelengths_um if data.wavelengths_um.size else np.ones(1)
        self.colours = np.tile(colours, n_time)
        self.exposure = np.repeat(np.arange(n_time), n_channel)
        self.centres = np.full((self.images.shape[0], 2), float(n // 2))
        self.options = {
            "IWA": INNER_PX,
            "OWA": n // 2,
            "aligned_center": [n // 2, n // 2],
            "numthreads": threads,
            "corr_smooth": 1,
            "algo": "klip",
            "verbose": False,
            **options,
        }
        self.threads = threads

    def subtracted(self) -> np.ndarray:
        """Frames without the star, shape (n_basis, n_frame, y, x), not derotated."""
        found = klip.klip_parallelized(
            self.images, self.centres, self.angles, self.colours, self.exposure, **self.options
        )
        return np.asarray(found[0] if isinstance(found, tuple) else found)

    def stacked(self) -> list[np.ndarray]:
        """Mean derotated frame for every number of modes."""
        turned = [
            klip.rotate_imgs(
                frames,
                self.angles,
                self.centres,
                new_center=self.options["aligned_center"],
                numthreads=self.threads,
                disable_wcs_rotation=True,
            )
            for frames in self.subtracted()
        ]
        return [np.nanmean(frames, axis=0) for frames in turned]


def _klip(data: Input, threads: int) -> Job:
    options = {
        "mode": "ADI",
        "annuli": 9,
        "subsections": 4,
        "movement": 0.5 * data.fwhm_px,
        "numbasis": np.array([5, 20]),
        "maxnumbasis": data.angles_deg.size,
    }
    one = _Run(data, threads, **options)

    def run() -> Arrays:
        few, many = one.stacked()
        return {"image_k5": few, "image": many}

    return Job(run, lambda: one.subtracted()[1])


def _asdi(data: Input, threads: int) -> Job:
    options = {
        "mode": "ADI+SDI",
        "annuli": 5,
        "subsections": 4,
        "movement": 1.0,
        "numbasis": np.array([5, 20, 50]),
        "maxnumbasis": 150,
    }
    one = _Run(data, threads, **options)

    def run() -> Arrays:
        first, second, last = one.stacked()
        return {"image_k5": first, "image_k20": second, "image": last}

    return Job(run)


CASES: dict[str, Maker] = {"klip_9x4": _klip, "asdi_klip": _asdi}
