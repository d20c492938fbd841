"""A primary header as it was read: values on demand, a digest, and a compressed form."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from functools import cached_property

from numcodecs import zstd

from spheredc_hpc.errors import DataError
from spheredc_hpc.ingest.cards import HeaderValue, parse_cards, simple_value
from spheredc_hpc.kernels.cards import canonical_cards

# They change when a file is only written anew.
NOT_IN_DIGEST = (b"CHECKSUM=", b"DATASUM=")
_LEVEL = 1
FORM = f"zstd {_LEVEL}"
"""How headers are kept and summed up; a new name makes scans read all files again."""


class Header(Mapping[str, HeaderValue]):
    """Values of the cards of a header, as `parse_cards` gives them, parsed when asked for.

    Parameters
    ----------
    data : bytes
        Whole cards of 80 bytes, without END.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        lines, odd = canonical_cards(data)
        self._lines = sorted(lines)
        self._plain = not odd.any()

    def __getitem__(self, key: str) -> HeaderValue:
        """Return the value of a keyword without ``HIERARCH``.

        Raises
        ------
        KeyError
            If no card gives it one.
        """
        if self._plain and "=" not in key:
            start = key.encode("ascii", "replace") + b"="
            place = bisect_left(self._lines, start)
            found = self._lines[place : place + 2]
            if not (found and found[0].startswith(start)):
                raise KeyError(key)
            # Of several cards of a keyword the first one counts: here they are sorted.
            if len(found) == 1 or not found[1].startswith(start):
                value = simple_value(found[0][len(start) :].decode("ascii"))
                if value is not None:
                    return value
        return self.values_by_key[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_key)

    def __len__(self) -> int:
        return len(self.values_by_key)

    @cached_property
    def values_by_key(self) -> dict[str, HeaderValue]:
        """All values."""
        return parse_cards(self.data.decode("ascii", errors="replace"))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the cards with a value, sorted, without the checksum cards.

        Comments, order of the cards and blanks do not enter, so a file that a tool has only
        written anew keeps its digest.
        """
        kept = self._lines.copy()
        for keyword in NOT_IN_DIGEST:
            place = bisect_left(kept, keyword)
            while place < len(kept) and kept[place].startswith(keyword):
                del kept[place]
        return hashlib.sha256(b"\n".join(kept).lstrip(b"\n")).hexdigest()

    def packed(self) -> bytes:
        """Give the cards compressed, for `unpacked`."""
        return bytes(zstd.compress(self.data, _LEVEL))

    @classmethod
    def unpacked(cls, packed: bytes) -> Header:
        """Restore a header from its compressed cards.

        Raises
        ------
        DataError
            If they are damaged.
        """
        try:
            return cls(bytes(zstd.decompress(packed)))
        except (RuntimeError, ValueError) as error:
            raise DataError(f"packed header of {len(packed)} bytes is damaged: {error}") from error
