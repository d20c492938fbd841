"""Raw FITS files: planes and tables, plain or compressed, checked as they are read."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from spheredc_hpc.errors import DataError, ExternalError
from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.store.codec import read_json, write_bytes, write_text

_PACKED = (b"\x1f\x8b", b"\x1f\x9d")  # gzip, Unix compress
HeaderValue = str | int | float | bool
Header = dict[str, HeaderValue]


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) in _PACKED


def _unpack(path: Path) -> bytes:
    program = shutil.which("gzip")
    if program is None:
        raise ExternalError(f"{path}: the program gzip is needed to unpack it and was not found")
    unpacked = subprocess.run(  # noqa: S603 fixed program, the path is an argument
        [program, "-dc", "--", str(path)], capture_output=True, check=False
    )
    if unpacked.returncode not in (0, 2):
        message = unpacked.stderr.decode(errors="replace").strip()
        raise DataError(f"{path}: cannot be unpacked: {message}")
    return unpacked.stdout


def _open(path: Path) -> fits.HDUList:
    """Open a file; if its first bytes say that it is compressed, unpack it into memory."""
    if _is_packed(path):
        return fits.open(io.BytesIO(_unpack(path)), memmap=False)
    return fits.open(path, memmap=False, lazy_load_hdus=True)


def plain_copy(ref: FrameRef, root: Path) -> Path:
    """Give a plain file with the content of a frame, unpacked once below ``raw-cache``.

    Raises
    ------
    DataError
        If the file is absent or cannot be unpacked.
    """
    path = Path(ref.path)
    try:
        if not _is_packed(path):
            return path
        copy = root / "raw-cache" / "unpacked" / f"{ref.archive_id}-{ref.header_digest[:8]}.fits"
        if not copy.is_file():
            write_bytes(_unpack(path), copy)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return copy


def plain_header(header: fits.Header) -> Header:
    """Copy a header to a mapping; keywords without the ``HIERARCH`` prefix, first card wins.

    Cards that cannot be read are left out, as the scan does.
    """
    values: Header = {}
    for card in header.cards:
        try:
            keyword, value = card.keyword.removeprefix("HIERARCH ").strip(), card.value
        except fits.VerifyError:
            continue
        if not keyword or keyword in {"COMMENT", "HISTORY"} or keyword in values:
            continue
        if isinstance(value, str | int | float | bool):
            values[keyword] = value
    return values


def read_header(path: Path) -> Header:
    """Read the primary header of a raw file, keywords without ``HIERARCH``.

    Raises
    ------
    DataError
        If the file is absent or no FITS.
    """
    try:
        with _open(path) as hdus:
            return plain_header(hdus[0].header)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as FITS: {error}") from error


def read_planes(path: Path) -> tuple[Header, npt.NDArray[np.float32]]:
    """Read the planes of a raw file.

    Parameters
    ----------
    path : Path
        FITS file, plain, ``.gz`` or ``.Z``.

    Returns
    -------
    header : dict
        Primary header, keywords without ``HIERARCH``.
    planes : ndarray, shape (n_planes, ny, nx)
        Counts as stored [adu], native float32. NaN is kept.

    Raises
    ------
    DataError
        If the file is absent, truncated, no FITS or holds no image.
    """
    try:
        # What is cut short fails by itself; odd cards concern nobody.
        with (
            warnings.catch_warnings(action="ignore", category=AstropyUserWarning),
            _open(path) as hdus,
        ):
            header = plain_header(hdus[0].header)
            data = hdus[0].data
            planes = None if data is None else _native(data)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as FITS: {error}") from error
    if planes is None or planes.ndim not in (2, 3):
        shape = None if planes is None else planes.shape
        raise DataError(f"{path}: expected an image or cube in the primary unit, got {shape}")
    return header, planes if planes.ndim == 3 else planes[np.newaxis]


def _native(data: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Turn stored values to native float32, in their own memory if they have the size."""
    if data.dtype == np.dtype(">f4") and data.flags.writeable and not data.dtype.isnative:
        return data.byteswap(inplace=True).view(np.float32)
    return np.asarray(data, dtype=np.float32)


def read_table(path: Path, extension: str) -> dict[str, npt.NDArray[np.float64]] | None:
    """Read the numeric columns of one table extension in native byte order.

    Returns
    -------
    dict or None
        Column name to values; None if the file has no such extension.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        with _open(path) as hdus:
            if extension not in hdus:
                return None
            table = hdus[extension].data
            return {
                name: np.asarray(table[name], dtype=np.float64)
                for name in table.names
                if np.issubdtype(table[name].dtype, np.number) and table[name].ndim == 1
            }
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as FITS: {error}") from error


def pixel_sha256(planes: npt.NDArray[np.float32]) -> str:
    """SHA-256 of pixels in C order, little-endian."""
    return hashlib.sha256(np.ascontiguousarray(planes, dtype="<f4").data).hexdigest()


def data_sum(planes: npt.NDArray[np.float32]) -> int:
    """Compute DATASUM of float32 planes: the 32-bit ones'-complement sum of the data unit.

    Notes
    -----
    FITS standard 4.0, appendix J. Blocks are padded with zeros, which add nothing.
    """
    # A number and its word have the same order of bytes, whichever it is.
    words = np.ascontiguousarray(planes, dtype=np.float32).view(np.uint32)
    total = int(words.sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def checksum_holds(header: Header, planes: npt.NDArray[np.float32]) -> bool:
    """Tell whether planes match DATASUM; files without one, or not of float32, are believed."""
    stated = str(header.get("DATASUM", "")).strip()
    scaled = header.get("BSCALE", 1.0) != 1.0 or header.get("BZERO", 0.0) != 0.0
    if not stated.isdigit() or header.get("BITPIX") != -32 or scaled:
        return True
    # Ones' complement has two zeros.
    return int(stated) % 0xFFFFFFFF == data_sum(planes) % 0xFFFFFFFF


def read_frame(ref: FrameRef, root: Path) -> tuple[Header, npt.NDArray[np.float32], str]:
    """Read the planes of a planned frame and check that they are what they were.

    The digest of the pixels is kept below ``raw-cache`` at the first reading and compared
    at every later one.

    Returns
    -------
    header, planes, sha256
        As `read_planes`, and the digest of the pixels.

    Raises
    ------
    DataError
        If the file cannot be read or its pixels have changed since they were first read.
    """
    header, planes = read_planes(plain_copy(ref, root))
    sha256 = pixel_sha256(planes)
    note = root / "raw-cache" / "digests" / f"{ref.archive_id}.json"
    if note.is_file():
        known = read_json(note)
        if known.get("header_digest") == ref.header_digest and known.get("sha256") != sha256:
            raise DataError(
                f"{ref.path}: its pixels changed since they were first read "
                f"(SHA-256 {sha256[:12]}, expected {str(known.get('sha256'))[:12]})"
            )
    write_text(
        f'{{"header_digest": "{ref.header_digest}", "sha256": "{sha256}"}}\n',
        note,
    )
    return header, planes, sha256
