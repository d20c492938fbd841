"""A real graphics card for the tests marked `gpu`, and a loud word where there is none."""

import pytest

from spheredc_hpc.errors import ResourceError
from spheredc_hpc.kernels.device import find_card


@pytest.fixture(scope="session")
def card():
    try:
        return find_card()
    except ResourceError as error:
        pytest.skip(f"NO GPU, NOTHING OF IT IS TESTED: {error}")
