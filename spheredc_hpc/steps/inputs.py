"""What steps read: raw frames with their digests, and upstream calibrations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from spheredc_hpc.errors import DataError, ExternalError
from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.model.product import InputRef, Receipt, Status
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.calibrations import read_calibration
from spheredc_hpc.store.raw import (
    Header,
    checksum_holds,
    plain_copy,
    read_frame,
    read_header,
    read_table,
)
from spheredc_hpc.store.runinfo import stage

Image = npt.NDArray[np.float32]


def raw_ref(role: str, ref: FrameRef) -> InputRef:
    """Name a raw file as an input: header digest and DATASUM, no path."""
    return InputRef(role, ref.archive_id, f"{ref.header_digest}:{ref.datasum}")


def refuse_absent(frames: Iterable[FrameRef]) -> None:
    """Stop if a planned raw file is not there.

    Raises
    ------
    ExternalError
        Names the first one and how many are absent: the disk may come back.
    """
    absent = [ref for ref in frames if not Path(ref.path).is_file()]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise ExternalError(
            f"raw file {absent[0].path}{more} is not there; mount it, or give reduce the folder "
            "where it lies now"
        )


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
        self.wrong_checksums: list[str] = []

    def planes(self, ref: FrameRef) -> tuple[Header, Image]:
        """Give header and planes of a raw frame."""
        with stage("read_raw"):
            header, planes, sha256 = read_frame(ref, self._root)
        self._digests[ref.archive_id] = sha256
        if not checksum_holds(header, planes) and ref.archive_id not in self.wrong_checksums:
            self.wrong_checksums.append(ref.archive_id)
        return header, planes

    def header(self, ref: FrameRef) -> Header:
        """Give the primary header of a raw frame."""
        return read_header(plain_copy(ref, self._root))

    def table(self, ref: FrameRef, extension: str) -> Mapping[str, npt.NDArray[np.float64]] | None:
        """Give a table of a telemetry file, None if it has no such table."""
        return read_table(plain_copy(ref, self._root), extension)

    def report(self, writer: receipts.ProductWriter) -> None:
        """Flag the product if a raw file does not match its own DATASUM."""
        for name in sorted(self.wrong_checksums):
            writer.flag("CHECKSUM_WRONG", f"{name}: the data do not match DATASUM")


def sound(directory: Path) -> None:
    """Stop if an upstream product does not match its receipt.

    Raises
    ------
    DataError
        Names the first problem and how to mend it.
    """
    problems = receipts.verify(directory)
    if problems:
        raise DataError(f"{problems[0]}; remove {directory} and run again to make it anew")


def upstream_calibration(root: Path, product: str) -> tuple[Receipt, dict[str, Image]]:
    """Read the receipt and the images of a calibration; no images if it was rejected.

    Raises
    ------
    DataError
        If the product is absent or damaged.
    """
    directory = root / product
    sound(directory)
    receipt = receipts.read(directory)
    if receipt.status is Status.REJECTED:
        return receipt, {}
    with stage("read_calibrations"):
        return receipt, read_calibration(directory)
