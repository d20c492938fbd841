"""Work arrays of threads."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from spheredc_hpc.kernels.scratch import scratch


@pytest.fixture
def name():
    """An array that nobody has asked for: the memory of threads outlives a test."""
    return f"test-{uuid.uuid4()}"


def test_a_thread_gets_the_same_memory_again(name):
    first = scratch(name, (4, 5), np.float32)
    again = scratch(name, (2, 5), np.float64)
    assert np.shares_memory(first, again)
    assert again.shape == (2, 5)
    assert again.dtype == np.float64
    assert not np.shares_memory(again, scratch(f"{name}-other", (4, 5), np.float32))


def test_larger_requests_leave_older_arrays_intact(name):
    small = scratch(name, (3,), np.float64)
    small[:] = 7
    large = scratch(name, (100, 100), np.float64)
    large[:] = 1
    assert not np.shares_memory(small, large)
    np.testing.assert_array_equal(small, 7)


def test_threads_do_not_share_memory(name):
    here = scratch(name, (10,), np.float64)
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(scratch, name, (10,), np.float64).result()
    assert not np.shares_memory(here, there)
