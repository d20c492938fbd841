"""Work arrays of threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from spheredc_hpc.kernels.scratch import scratch


def test_a_thread_gets_the_same_memory_again():
    first = scratch("test", (4, 5), np.float32)
    again = scratch("test", (2, 5), np.float64)
    assert np.shares_memory(first, again)
    assert again.shape == (2, 5)
    assert again.dtype == np.float64
    assert not np.shares_memory(again, scratch("other", (4, 5), np.float32))


def test_larger_requests_leave_older_arrays_intact():
    small = scratch("test", (3,), np.float64)
    small[:] = 7
    scratch("test", (100, 100), np.float64)[:] = 1
    np.testing.assert_array_equal(small, 7)


def test_threads_do_not_share_memory():
    here = scratch("test", (10,), np.float64)
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(scratch, "test", (10,), np.float64).result()
    assert not np.shares_memory(here, there)
