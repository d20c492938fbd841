"""The cases: which of our reductions stands against which of another package, and how fast.

The targets are ratios of their time to ours, or for memory shares of the input. They are
reported, never asserted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["time", "memory"]
PACKAGES = {"by_vip": "VIP", "by_pyklip": "pyKLIP", "by_pynpoint": "PynPoint"}


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    name : str
        As given on the command line; also the key of our side in `anchors.ours.CASES`.
    title : str
        What is compared, in words.
    side, theirs : str
        Module of the other package and its key in `CASES` there.
    inputs, quick : tuple of str
        Inputs of a whole and of a quick run.
    at_least, aim : float or None
        Wanted ratio of times.
    judged : tuple of str
        Inputs on which the ratio is wanted; empty: all.
    alike : bool
        Whether both do the same arithmetic, so that their results have to agree.
    residual_gate : float
        Scatter of the difference of the residuals, in units of theirs, that may be. pyKLIP works
        in single precision: its 20 modes of zones of a condition number of 1e6 are off by up to
        4e-3 of the exact solution in double precision, ours by 4e-5.
    """

    name: str
    title: str
    side: str
    theirs: str
    inputs: tuple[str, ...]
    quick: tuple[str, ...]
    at_least: float | None = None
    aim: float | None = None
    judged: tuple[str, ...] = ()
    alike: bool = True
    residual_gate: float = 1e-4


_FULL = ("betapic", "irdis")
_SMALL = ("betapic", "irdis_small")
_QUICK = ("betapic",)

CASES = (
    Case(
        "pca20_fft", "PCA, 20 modes, Fourier rotation",
        "by_vip", "pca20_fft", _FULL, _QUICK, 15, 40, ("irdis",),
    ),
    Case(
        "pca20_interp", "PCA, 20 modes, interpolated rotation",
        "by_vip", "pca20_interp", _FULL, _QUICK, 6, 10, ("irdis",),
    ),
    Case(
        "pca20_mean_interp", "PCA, mean and 20 modes, interpolated rotation",
        "by_pynpoint", "pca20_interp", _FULL, _QUICK, 10, 20, ("irdis",),
    ),
    Case(
        "annular_pca5", "Annular PCA, 5 modes, exclusion of 0.5 FWHM",
        "by_vip", "annular_pca5", _FULL, _QUICK, 40, 100, ("irdis",),
    ),
    Case(
        "klip_9x4", "KLIP, 9 annuli x 4 sectors, 5 and 20 modes",
        "by_pyklip", "klip_9x4", _FULL, _QUICK, 10, 25, residual_gate=5e-4,
    ),
    Case(
        "loci_truncated", "LOCI, truncated solution",
        "by_vip", "loci", _SMALL, _QUICK, 5, 30,
    ),
    Case(
        "loci_ridge", "LOCI, ridge solution",
        "by_vip", "loci", _SMALL, _QUICK, 15, 30, alike=False,
    ),
    Case(
        "asdi_klip", "ASDI KLIP, 5 annuli x 4 sectors, 150 references, 5, 20 and 50 modes",
        "by_pyklip", "asdi_klip", ("ifs_small",), ("ifs_tiny",), 20, 50, alike=False,
    ),
    Case(
        "snr_map", "S/N map",
        "by_vip", "snr_map", ("betapic_pca",), ("betapic_pca",), 500, 1500,
    ),
    Case(
        "contrast", "Contrast curve, 3 branches, annular PCA, 5 modes, companions alone",
        "by_vip", "contrast", ("betapic_empty",), ("betapic_empty",), 20, 100, alike=False,
    ),
    Case(
        "contrast_crowded", "The same with VIP's definitions of noise and of what is injected",
        "by_vip", "contrast", ("betapic_empty",), ("betapic_empty",),
    ),
    Case(
        "rotation", "Rotation at 1e-6",
        "by_vip", "rotation", (*_FULL, "smooth"), (*_QUICK, "smooth"), 15, 40, _FULL,
    ),
    Case(
        "cadi_fft", "Classical ADI, Fourier rotation",
        "by_vip", "cadi_fft", _SMALL, _QUICK,
    ),
    Case(
        "cadi_interp", "Classical ADI, interpolated rotation",
        "by_vip", "cadi_interp", _FULL, _QUICK,
    ),
    Case("nmf", "NMF, 5 components", "by_vip", "nmf", _SMALL, _QUICK, alike=False),
    Case("llsg", "LLSG, rank 5", "by_vip", "llsg", _SMALL, _QUICK, alike=False),
    Case(
        "asdi_pca_joint", "ASDI by PCA of all rows, 5 modes",
        "by_vip", "asdi_pca_joint", ("ifs",), ("ifs_tiny",), alike=False,
    ),
    Case(
        "asdi_pca_two_step", "ASDI by PCA in two steps, 1 and 5 modes",
        "by_vip", "asdi_pca_two_step", ("ifs",), ("ifs_tiny",), alike=False,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class MemoryTarget:
    """Wanted peak memory of a case, in units of the input or of their peak."""

    case: str
    inputs: tuple[str, ...]
    of_input: float | None = None
    of_theirs: float | None = None


MEMORY_TARGETS = (
    MemoryTarget("pca20_fft", ("irdis",), of_input=2.5),
    MemoryTarget("pca20_interp", ("irdis",), of_input=2.5),
    MemoryTarget("pca20_mean_interp", ("irdis",), of_input=2.5),
    MemoryTarget("asdi_klip", ("ifs_small", "ifs_tiny"), of_theirs=0.2),
)

BY_NAME = {case.name: case for case in CASES}
