"""Writing raw FITS files with checksums; own code because headers are long and many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.simulate.cards import format_card, header_text

_BLOCK_BYTES = 2880
_MASK = 0xFFFFFFFF
_EXCLUDED = frozenset(b":;<=>?@[\\]^_`")


def data_sum(words: NDArray[np.uint32]) -> int:
    """Ones' complement sum of 32-bit words."""
    return _fold(int(words.sum(dtype=np.uint64)))


def _fold(total: int) -> int:
    while total > _MASK:
        total = (total & _MASK) + (total >> 32)
    return total


def encode_checksum(total: int) -> str:
    """Return the ASCII form of the complement of a sum (FITS standard 4.0, appendix J)."""
    value = ~total & _MASK
    text = bytearray(16)
    for i in range(4):
        byte = value >> (24 - 8 * i) & 0xFF
        parts = [byte // 4 + 48 + (byte % 4 if j == 0 else 0) for j in range(4)]
        for j in (0, 2):
            while parts[j] in _EXCLUDED or parts[j + 1] in _EXCLUDED:
                parts[j] += 1
                parts[j + 1] -= 1
        for j in range(4):
            text[4 * j + i] = parts[j]
    return (text[-1:] + text[:-1]).decode()


def write_image(
    path: Path, cards: Sequence[str], planes: NDArray[np.float32], *, damage: bool = False
) -> None:
    """Write one raw cube.

    Parameters
    ----------
    path : Path
        File to write.
    cards : sequence of str
        All cards but the checksums.
    planes : array, shape (n, rows, columns)
        Counts [ADU].
    damage : bool
        Change one pixel after the checksums were taken.
    """
    native = np.ascontiguousarray(planes, dtype=np.float32)
    total = data_sum(native.reshape(-1).view(np.uint32))
    header = checked_header(cards, total)
    swapped = native.astype(">f4")
    if damage:
        swapped[0, swapped.shape[1] // 2, swapped.shape[2] // 2] += 1000
    with path.open("wb") as file:
        file.write(header)
        swapped.tofile(file)
        file.write(b"\0" * (-swapped.nbytes % _BLOCK_BYTES))


def checked_header(cards: Sequence[str], total: int) -> bytes:
    """Return the header with CHECKSUM and DATASUM for a data sum of `total`."""

    def text(checksum: str) -> bytes:
        sums = [
            format_card("CHECKSUM", checksum, comment="HDU checksum"),
            format_card("DATASUM", str(total), comment="Data unit checksum"),
        ]
        return header_text([*cards, *sums]).encode("ascii")

    blank = text("0" * 16)
    words = np.frombuffer(blank, dtype=">u4").astype(np.uint64)
    return text(encode_checksum(_fold(int(words.sum()) + total)))
