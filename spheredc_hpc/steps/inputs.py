"""What steps read: raw frames with their digests, and upstream calibrations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spheredc_hpc.errors import DataError
from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.model.product import InputRef, Receipt, Status
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.calibrations import read_calibration
from spheredc_hpc.store.raw import Header, read_frame, read_header, read_table
from spheredc_hpc.store.runinfo import stage

Image = npt.NDArray[np.float32]


def raw_ref(role: str, ref: FrameRef) -> InputRef:
    """Name a raw file as an input: header digest and DATASUM, no path."""
    return InputRef(role, ref.archive_id, f"{ref.header_digest}:{ref.datasum}")


def refuse_absent(frames: Iterable[FrameRef]) -> None:
    """Stop if a planned raw file is not there.

    Raises
    ------
    DataError
        Names the first one and how many are absent.
    """
    absent = [ref for ref in frames if not Path(ref.path).is_file()]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise DataError(f"raw file {absent[0].path}{more} is not there; plan again")


class FrameReader:
    """Reads planned frames, checks their pixels and remembers the digests.

    Parameters
    ----------
    root : Path
        Result root, where digests of pixels are kept.
    digests : dict
        Filled with the SHA-256 of the pixels by archive id.
    """

    def __init__(self, root: Path, digests: dict[str, str]) -> None:
        self._root = root
        self._digests = digests

    def planes(self, ref: FrameRef) -> tuple[Header, Image]:
        """Give header and planes of a raw frame."""
        with stage("read_raw"):
            header, planes, sha256 = read_frame(ref, self._root)
        self._digests[ref.archive_id] = sha256
        return header, planes

    def header(self, ref: FrameRef) -> Header:
        """Give the primary header of a raw frame."""
        return read_header(Path(ref.path))

    def table(self, ref: FrameRef, extension: str) -> Mapping[str, npt.NDArray[np.float64]] | None:
        """Give a table of a telemetry file, None if it has no such table."""
        return read_table(Path(ref.path), extension)


def upstream_calibration(root: Path, product: str) -> tuple[Receipt, dict[str, Image]]:
    """Read the receipt and the images of a calibration; no images if it was rejected.

    Raises
    ------
    DataError
        If the product is absent or damaged.
    """
    directory = root / product
    receipt = receipts.read(directory)
    if receipt.status is Status.REJECTED:
        return receipt, {}
    with stage("read_calibrations"):
        return receipt, read_calibration(directory)
