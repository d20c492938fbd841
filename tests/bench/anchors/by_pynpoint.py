"""Cases by the PynPoint package (Stolker et al. 2019, A&A 621, A59)."""

from __future__ import annotations

import numpy as np
from pynpoint.util.psf import pca_psf_subtraction

from anchors.inputs import Input
from anchors.job import Arrays, Job, Maker


def _pca20(data: Input, threads: int) -> Job:
    # It works in double precision; as with the others, conversion is not timed.
    cube = data.frames.astype(float)

    # Threads are those of BLAS, which the worker's environment sets.
    def both() -> tuple[np.ndarray, np.ndarray]:
        # Its angles turn the other way.
        return pca_psf_subtraction(cube, -data.angles_deg, 20)

    def run() -> Arrays:
        return {"image": np.median(both()[1], axis=0)}

    return Job(run, lambda: both()[0].reshape(data.frames.shape))


CASES: dict[str, Maker] = {"pca20_interp": _pca20}
