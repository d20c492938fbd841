"""A real graphics card for the tests marked `gpu`, and a loud word where there is none."""

import pytest
from real_card import card_or_skip


@pytest.fixture(scope="session")
def card():
    return card_or_skip()
