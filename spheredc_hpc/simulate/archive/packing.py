"""Packed files whose pixels are zeros, made without writing the zeros out."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from functools import cache

import numpy as np

MAX_BITS, FIRST_BITS, FIRST_FREE = 16, 9, 257
COMPRESS_MAGIC = b"\x1f\x9d" + bytes([0x80 | MAX_BITS])
ZEROS = 2880 * 1024
CODES_PER_GROUP = 8


def gzip_with_zeros(head: bytes, n_zeros: int) -> bytes:
    """Give the gzip form of `head` and `n_zeros` bytes of zero: a member each, as gzip allows."""
    whole, rest = divmod(n_zeros, ZEROS)
    return gzip.compress(head, 1, mtime=0) + whole * _zeros(ZEROS) + (_zeros(rest) if rest else b"")


@cache
def _zeros(count: int) -> bytes:
    return gzip.compress(bytes(count), 6, mtime=0)


def compress_with_zeros(head: bytes, n_zeros: int) -> bytes:
    """Give what Unix ``compress`` makes of `head` and `n_zeros` bytes of zero.

    Parameters
    ----------
    head : bytes
        Not empty and without bytes of zero.
    n_zeros : int

    Notes
    -----
    Welch (1984), Computer 17(6), 8, with codes of 9 to 16 bits in groups of eight. A run of
    zeros takes a code for one, two, three of them and so on, so 84 MB are 13 000 codes.
    """
    writer = _CodeWriter()
    known = {bytes([byte]): byte for byte in range(256)}
    word = b""
    for byte in (head[i : i + 1] for i in range(len(head))):
        longer = word + byte
        if longer in known:
            word = longer
            continue
        code = writer.put(known[word])
        if code is not None:
            known[longer] = code
        word = byte
    writer.put(known[word])
    runs, left = [0], n_zeros
    while left > 0:
        length = min(len(runs), left)
        code = writer.put(runs[length - 1])
        left -= length
        if code is not None and length == len(runs):
            runs.append(code)
    return COMPRESS_MAGIC + writer.data()


class _CodeWriter:
    """Codes of growing width; each but the last entails an entry of the table."""

    def __init__(self) -> None:
        self._bits = FIRST_BITS
        self._free = FIRST_FREE
        self._codes: list[int] = []
        self._done: list[bytes] = []

    def put(self, code: int) -> int | None:
        """Write a code; return that of the entry it makes, None if the table is full."""
        self._codes.append(code)
        if self._bits < MAX_BITS and self._free >= 1 << self._bits:
            self._codes += [0] * (-len(self._codes) % CODES_PER_GROUP)
            self._done.append(_pack(self._codes, self._bits))
            self._codes = []
            self._bits += 1
        if self._free >= 1 << MAX_BITS:
            return None
        self._free += 1
        return self._free - 1

    def data(self) -> bytes:
        """All that was written."""
        return b"".join([*self._done, _pack(self._codes, self._bits)])


def _pack(codes: Iterable[int], width: int) -> bytes:
    values = np.fromiter(codes, np.uint32)
    bits = (values[:, np.newaxis] >> np.arange(width, dtype=np.uint32)) & 1
    return np.packbits(bits.astype(np.uint8).ravel(), bitorder="little").tobytes()
