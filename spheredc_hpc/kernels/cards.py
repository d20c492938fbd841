"""Cards of FITS headers, split and brought to one form: keyword, value, no comment."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

CARD = 80

_BLANK, _QUOTE, _SLASH, _EQUALS, _TILDE = (ord(c) for c in " '/=~")
_HIERARCH = np.frombuffer(b"HIERARCH ", np.uint8)
_END = np.frombuffer(b"END".ljust(CARD), np.uint8)
_WITHOUT_VALUE = np.stack(
    [np.frombuffer(word.ljust(8), np.uint8) for word in (b"", b"COMMENT", b"HISTORY")]
)


def canonical_cards(data: bytes) -> tuple[list[bytes], NDArray[np.bool_]]:
    """Bring the cards of a header to the form ``KEYWORD=value``.

    Parameters
    ----------
    data : bytes
        Whole cards of 80 bytes, without END.

    Returns
    -------
    lines : list of bytes
        One a card: the keyword without ``HIERARCH``, an equals sign, the value as it is written
        without blanks around it, without trailing blanks within quotes and without the comment.
        Empty for commentary and for CONTINUE cards.
    odd : array of bool, shape (n_card,)
        Cards that want a closer look: a keyword of unusual characters, no value sign, quotes
        that do not end, bytes that are no text, a card that continues another. Their line is a
        guess.

    Raises
    ------
    ValueError
        If the length is no multiple of 80.
    """
    if len(data) % CARD:
        raise ValueError(f"{len(data)} bytes are no whole cards of {CARD}")
    count = len(data) // CARD
    if not count:
        return [], np.zeros(0, bool)
    out = np.empty(len(data) + count, np.uint8)
    odd = np.zeros(count, bool)
    end = _split(np.frombuffer(data, np.uint8), out, odd)
    return out[: end - 1].tobytes().split(b"\n"), odd


def find_end(data: bytes, start: int = 0) -> int:
    """Find the END card of a header.

    Parameters
    ----------
    data : bytes
        Cards from the beginning of a header on, and what follows it.
    start : int
        Where to begin, on the edge of a card.

    Returns
    -------
    int
        Offset of the first END card at or behind `start`, -1 if there is none.
    """
    return int(_find(np.frombuffer(data, np.uint8), _END, start))


@numba.njit(cache=True, nogil=True)
def _find(data, card, start):  # type: ignore[no-untyped-def]
    for here in range(start, data.size - CARD + 1, CARD):
        k = 0
        while k < CARD and data[here + k] == card[k]:
            k += 1
        if k == CARD:
            return here
    return -1


@numba.njit(cache=True, nogil=True)
def _split(data, out, odd):  # type: ignore[no-untyped-def]
    """Write all lines, each with a line feed behind it; give their length."""
    here = 0
    for i in range(odd.size):
        card = data[i * CARD : (i + 1) * CARD]
        for k in range(CARD):
            if card[k] < _BLANK or card[k] > _TILDE:
                odd[i] = True
        start, stop, value = _parts(card)
        if stop < 0:  # no value sign
            odd[i] = odd[i] or not _is_one_of(card, _WITHOUT_VALUE)
            out[here] = 10
            here += 1
            continue
        while start < stop and card[start] == _BLANK:
            start += 1
        while start < stop and card[stop - 1] == _BLANK:
            stop -= 1
        if start == stop or (start == 0 and _is_one_of(card, _WITHOUT_VALUE)):
            out[here] = 10
            here += 1
            odd[i] = odd[i] or start == stop
            continue
        last = _BLANK
        for k in range(start, stop):
            odd[i] = odd[i] or not _is_usual(card[k]) or (card[k] == _BLANK and last == _BLANK)
            last = card[k]
        here = _copied(card, start, stop, out, here)
        out[here] = _EQUALS
        here += 1
        while value < CARD and card[value] == _BLANK:
            value += 1
        if value < CARD and card[value] == _QUOTE:
            end = _end_of_text(card, value)
            if end < 0:
                odd[i] = True
                end = CARD
            close = end - 1
            while close > value + 1 and card[close - 1] == _BLANK:
                close -= 1
            here = _copied(card, value, close, out, here)
            out[here] = _QUOTE
            here += 1
        else:
            end = value
            while end < CARD and card[end] != _SLASH:
                end += 1
            while end > value and card[end - 1] == _BLANK:
                end -= 1
            here = _copied(card, value, end, out, here)
        out[here] = 10
        here += 1
    return here


@numba.njit(cache=True, nogil=True)
def _parts(card):  # type: ignore[no-untyped-def]
    """Where keyword and value lie; no end of the keyword if there is no value sign."""
    hierarch = True
    for k in range(_HIERARCH.size):
        hierarch = hierarch and card[k] == _HIERARCH[k]
    if hierarch:
        for k in range(_HIERARCH.size, CARD):
            if card[k] == _EQUALS:
                return _HIERARCH.size, k, k + 1
    if card[8] == _EQUALS and card[9] == _BLANK:
        return 0, 8, 10
    return 0, -1, 0


@numba.njit(cache=True, nogil=True)
def _is_one_of(card, words):  # type: ignore[no-untyped-def]
    for w in range(words.shape[0]):
        equal = True
        for k in range(words.shape[1]):
            equal = equal and card[k] == words[w, k]
        if equal:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _is_usual(byte):  # type: ignore[no-untyped-def]
    """Capital letters, digits, hyphen, underscore, blank."""
    return 65 <= byte <= 90 or 48 <= byte <= 57 or byte == 45 or byte == 95 or byte == _BLANK


@numba.njit(cache=True, nogil=True)
def _end_of_text(card, start):  # type: ignore[no-untyped-def]
    """Offset behind the closing quote, -1 if there is none; two quotes are one in the text."""
    k = start + 1
    while k < CARD:
        if card[k] == _QUOTE:
            if k + 1 < CARD and card[k + 1] == _QUOTE:
                k += 1
            else:
                return k + 1
        k += 1
    return -1


@numba.njit(cache=True, nogil=True)
def _copied(card, start, stop, out, here):  # type: ignore[no-untyped-def]
    for k in range(start, stop):
        out[here] = card[k] if card[k] != 10 else _BLANK
        here += 1
    return here
