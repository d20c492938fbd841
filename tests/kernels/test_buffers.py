"""Arrays in scratch files."""

import mmap
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


def test_what_others_have_mapped_is_left_alone(tmp_path):
    (tmp_path / "file").write_bytes(bytes(2**20))
    # Changes of a private map are nowhere but in its pages.
    private = np.memmap(tmp_path / "file", np.uint8, "c")
    private[:] = 7
    anonymous = np.frombuffer(mmap.mmap(-1, 2**20, mmap.MAP_PRIVATE), np.uint8)
    anonymous[:] = 7
    for array in (private, anonymous):
        buffers.release(array[5:])
        assert (array == 7).all()


def test_maps_are_known_as_long_as_they_live(tmp_path):
    before = len(buffers._ours)
    with buffers.scratch_arrays(tmp_path):
        array = buffers.empty(LARGE)
    view = array[1:].reshape(-1)
    del array
    assert len(buffers._ours) == before + 1
    del view
    assert len(buffers._ours) == before


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
