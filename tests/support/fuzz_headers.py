"""Headers with something wrong in them, by a seeded generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from spheredc_hpc.instrument.headers import KEYWORDS

CARD, BLOCK = 80, 2880
WORDS = (
    *("NAN", "nan", "INF", "-INF", "1E999", "-1E999", "1E-400", "-1", "0", "-5.0", "1E300"),
    *("1E9", "123456789012345678901234567890", "T", "F", "''", "'   '", "'nonsense'", "'-'"),
    *(
        "'nan'",
        "?",
        "",
        "(1.0, 2.0)",
        "0x10",
        "1.5D300",
        "--3",
        "1,5",
        "'1.0'",
        "'" + "x" * 60 + "'",
    ),
    *("'it''s'", "'open", "&", "'\u00e9t\u00e9'", "-999", "9999999", "240000", "-0.0", "006"),
)
DATES = (
    *(
        "'0001-01-01T00:00:00'",
        "'9999-12-31T23:59:59.999'",
        "'2016-13-40T99:99:99'",
        "'2016-02-30'",
    ),
    *("'1858-11-17T00:00:00'", "'2099-01-01T00:00:00'", "'16/09/2016'", "'2016-09-16T24:00:00'"),
    *("'2016-09-16T23:59:60.5'", "'T'", "'\u0662\u0660\u0661\u0666-09-16T00:00:00'"),
)
AXES = ("-1", "0", "1", "3", "999", "1000", "2147483648", "99999999999999999999", "'2'", "2.0", "T")
STRUCTURE = ("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "EXTEND")
READ = sorted({name for keyword in KEYWORDS.values() for name in keyword.names})

Cards = list[bytes]
Mutation = Callable[[Cards, np.random.Generator], Cards]


def split(header: bytes) -> Cards:
    """Cards of a header, END and what follows left out."""
    cards = [header[i : i + CARD] for i in range(0, len(header), CARD)]
    return cards[: next(i for i, card in enumerate(cards) if card[:8] == b"END     ")]


def keyword_of(card: bytes) -> str:
    """Keyword without HIERARCH."""
    text = card.decode("latin-1")
    return text.removeprefix("HIERARCH ").partition("=")[0].strip()


def compact(cards: Sequence[bytes]) -> Cards:
    """Only the cards that something reads, so that thousands of headers are cheap."""
    wanted = {*READ, *STRUCTURE}
    return [card for card in cards if keyword_of(card) in wanted]


def card(keyword: str, value: str) -> bytes:
    """Write a card whatever the value; cut at 80 bytes."""
    start = f"HIERARCH {keyword} = " if " " in keyword or len(keyword) > 8 else f"{keyword:<8}= "
    return (start + value).encode("utf-8")[:CARD].ljust(CARD)


def _place(cards: Cards, rng: np.random.Generator) -> int:
    return int(rng.integers(4, len(cards)))


def _drop(cards: Cards, rng: np.random.Generator) -> Cards:
    place = _place(cards, rng)
    return cards[:place] + cards[place + 1 :]


def _revalue(cards: Cards, rng: np.random.Generator) -> Cards:
    place = _place(cards, rng)
    keyword = keyword_of(cards[place])
    choices = DATES if "DATE" in keyword or "UTC" in keyword or "START" in keyword else WORDS
    words = choices if rng.random() < 0.7 else WORDS
    return [*cards[:place], card(keyword, str(rng.choice(words))), *cards[place + 1 :]]


def _structure(cards: Cards, rng: np.random.Generator) -> Cards:
    keyword = str(rng.choice(STRUCTURE[1:-1]))
    changed = card(keyword, str(rng.choice(AXES)))
    return [changed if keyword_of(held) == keyword else held for held in cards]


def _duplicate(cards: Cards, rng: np.random.Generator) -> Cards:
    keyword = keyword_of(cards[_place(cards, rng)])
    place = int(rng.integers(4, len(cards) + 1))
    return [*cards[:place], card(keyword, str(rng.choice(WORDS))), *cards[place:]]


def _bytes(cards: Cards, rng: np.random.Generator) -> Cards:
    place, at = _place(cards, rng), int(rng.integers(CARD))
    noise = rng.integers(0, 256, size=int(rng.integers(1, 9)), dtype=np.uint8).tobytes()
    changed = (cards[place][:at] + noise + cards[place][at + len(noise) :])[:CARD].ljust(CARD)
    return [*cards[:place], changed, *cards[place + 1 :]]


def _shift(cards: Cards, rng: np.random.Generator) -> Cards:
    """Lose some bytes: every card after them is out of place."""
    place = _place(cards, rng)
    cut = int(rng.integers(1, CARD))
    rest = b"".join(cards[place:])[cut:]
    rest = rest.ljust(-(-len(rest) // CARD) * CARD)
    return cards[:place] + [rest[i : i + CARD] for i in range(0, len(rest), CARD)]


def _chain(cards: Cards, rng: np.random.Generator) -> Cards:
    """Long text over many cards, whole or broken, perhaps without a beginning."""
    place = _place(cards, rng)
    links = [b"CONTINUE  'more of it&'".ljust(CARD)] * int(rng.integers(1, 60))
    links += [b"CONTINUE  'the end'".ljust(CARD)] if rng.random() < 0.5 else []
    keyword = keyword_of(cards[place])
    first = [card(keyword, "'begins&'")] if rng.random() < 0.8 else []
    return [*cards[:place], *first, *links, *cards[place + 1 :]]


def _swap(cards: Cards, rng: np.random.Generator) -> Cards:
    """Exchange the values of two cards."""
    one, other = _place(cards, rng), _place(cards, rng)
    values = [cards[i].partition(b"=")[2].decode("latin-1").strip() for i in (one, other)]
    made = list(cards)
    made[one] = card(keyword_of(cards[one]), values[1])
    made[other] = card(keyword_of(cards[other]), values[0])
    return made


MUTATIONS: tuple[Mutation, ...] = (
    *(_drop, _revalue, _revalue, _revalue, _structure),
    *(_duplicate, _bytes, _shift, _chain, _swap),
)


def mutated(header: bytes, rng: np.random.Generator) -> bytes:
    """Give a header with one to four things wrong, padded; sometimes END is missing."""
    cards = split(header)
    for number in rng.integers(len(MUTATIONS), size=int(rng.integers(1, 5))):
        cards = MUTATIONS[int(number)](cards, rng)
    data = b"".join(cards)
    if rng.random() > 0.02:
        data += b"END".ljust(CARD)
    data = data.ljust(-(-len(data) // BLOCK) * BLOCK)
    return data[: int(rng.integers(1, len(data)))] if rng.random() < 0.02 else data
