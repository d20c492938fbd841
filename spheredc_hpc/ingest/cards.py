"""Header cards to values: the common forms fast, every other form by astropy."""

from __future__ import annotations

import re

from spheredc_hpc.kernels.cards import CARD

HeaderValue = str | int | float | bool

_STRING = re.compile(r" *'([^']*(?:''[^']*)*)' *(?:/|$)")
_NUMBER = re.compile(r" *([+-]?\d+)?(\.\d*)?([eE][+-]?\d+)? *(?:/|$)")
_LOGICAL = {"T": True, "F": False}
_WITHOUT_VALUE = frozenset({"", "COMMENT", "HISTORY", "END", "CONTINUE"})


def parse_cards(text: str) -> dict[str, HeaderValue]:
    """Return the values of header cards.

    Parameters
    ----------
    text : str
        Cards of 80 characters, without END.

    Returns
    -------
    dict
        Keywords without ``HIERARCH``; the first card of a keyword wins. Commentary, undefined
        and complex values are left out.
    """
    values: dict[str, HeaderValue] = {}
    length = len(text)
    start = 0
    while start < length:
        card = text[start : start + CARD]
        start += CARD
        if card.startswith("HIERARCH ") and (equals := card.find("=")) > 0:
            keyword, rest = card[9:equals].strip(), card[equals + 1 :]
        elif card[8:10] == "= ":
            keyword, rest = card[:8].rstrip().upper(), card[10:]
        elif card[:8].rstrip() in _WITHOUT_VALUE:
            continue
        else:
            keyword, rest = card[:8].rstrip(), ""
        continued = text.startswith("CONTINUE", start)
        if continued:
            end = start
            while text.startswith("CONTINUE", end):
                end += CARD
            card, start = card + text[start:end], end
        value = None if continued or not rest else simple_value(rest)
        if value is None:
            keyword, value = _by_astropy(card)
        if value is not None and keyword not in values and keyword not in _WITHOUT_VALUE:
            values[keyword] = value
    return values


def simple_value(rest: str) -> HeaderValue | None:
    """Read the value of a well-formed card behind its ``=``; None if the form is unusual."""
    match = _STRING.match(rest)
    if match:
        return match[1].replace("''", "'").rstrip()
    match = _NUMBER.match(rest)
    if match:
        whole, fraction, exponent = match.groups()
        if fraction is None and exponent is None:
            return int(whole) if whole else None
        if whole or (fraction and len(fraction) > 1):
            return float(f"{whole or ''}{fraction or ''}{exponent or ''}")
        return None
    return _LOGICAL.get(rest.split("/", 1)[0].strip())


def _by_astropy(card: str) -> tuple[str, HeaderValue | None]:
    import warnings

    from astropy.io.fits import Card, VerifyError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = Card.fromstring(card)
        try:
            keyword, value = str(parsed.keyword), parsed.value
        except (VerifyError, ValueError):
            return "", None
    keyword = keyword.removeprefix("HIERARCH ").strip()
    return keyword, value if isinstance(value, str | int | float | bool) else None
