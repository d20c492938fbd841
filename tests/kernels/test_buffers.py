"""Arrays in scratch files."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from spheredc_hpc.errors import ResourceError
from spheredc_hpc.kernels import buffers

LARGE = (5, 1024, 1024)


def test_arrays_stay_in_memory_without_scratch():
    assert not isinstance(buffers.empty(LARGE), np.memmap)
    assert not buffers.zeros(LARGE).any()


def test_large_arrays_lie_in_files_that_have_no_name(tmp_path):
    with buffers.scratch_arrays(tmp_path):
        large, small = buffers.zeros(LARGE), buffers.zeros((10, 10))
    assert isinstance(large, np.memmap)
    assert not isinstance(small, np.memmap)
    assert not large.any()
    assert list(tmp_path.iterdir()) == []


def test_released_values_are_still_there(tmp_path):
    with buffers.scratch_arrays(tmp_path):
        array = buffers.empty(LARGE)
    array[:] = np.arange(5, dtype=np.float32)[:, None, None]
    buffers.release(array[2:4].reshape(2, -1))
    np.testing.assert_array_equal(array[:, 7, 9], np.arange(5))


def test_a_missing_directory_and_a_full_disk_are_resource_errors(tmp_path):
    with (
        pytest.raises(ResourceError, match="nowhere"),
        buffers.scratch_arrays(tmp_path / "nowhere"),
    ):
        pass
    with buffers.scratch_arrays(tmp_path), pytest.raises(ResourceError, match="cannot hold"):
        buffers.empty((1 << 50,), np.uint8)


def test_released_pages_do_not_count_for_the_process(tmp_path):
    # In a process of its own: the peak of this one is already high.
    code = f"""
    from pathlib import Path
    import numpy as np
    from spheredc_hpc.kernels import buffers
    from spheredc_hpc.store.runinfo import peak_rss_bytes
    with buffers.scratch_arrays(Path({str(tmp_path)!r})):
        array = buffers.empty((64, 2**20))
    before = peak_rss_bytes()
    for row in array:
        row[:] = 1
        buffers.release(array)
    for first in range(0, 2**20, 2**14):
        array[:, first : first + 2**14] += 1
        buffers.release(array)
    print(peak_rss_bytes() - before)
    """
    run = subprocess.run(  # noqa: S603 a program written here
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    # Of 256 MB, one row or one block of columns, 4 MB each, is there at a time.
    assert int(run.stdout) < 32 * 1024**2
