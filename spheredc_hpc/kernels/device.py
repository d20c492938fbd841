"""The graphics card: whether there is one, arrays to it and back, its memory.

Arithmetic does not ask for a device: kernels work where their arguments lie. Here arrays are put
on the card and work is cut into pieces that fit. The card is the first one that the process
sees; ``CUDA_VISIBLE_DEVICES`` chooses another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from array_api_compat import is_cupy_array
from numpy.typing import NDArray

from spheredc_hpc.errors import ResourceError

Array = Any

_ADVICE = "install the extra `gpu` on a machine with an NVIDIA card and its driver, or use the CPU"
_COMPILER = "install the NVRTC and the headers of CUDA 12 (docs/gpu.md), or use the CPU"
# Work arrays of one piece take this share of the free memory at most.
_SHARE = 0.5


@dataclass(frozen=True)
class Card:
    """A graphics card that is ready for work.

    Attributes
    ----------
    name : str
        As its driver names it.
    total_bytes : int
        Its memory.
    """

    name: str
    total_bytes: int

    def put(self, array: NDArray[Any]) -> Array:
        """Copy an array to the card."""
        import cupy

        return cupy.asarray(array)

    def free_bytes(self) -> int:
        """Memory that can be had: free, or held by this process but not in use."""
        return free_bytes()

    @contextmanager
    def memory(self) -> Iterator[None]:
        """Tell of exhausted memory in our own words, and give all back at the end.

        Raises
        ------
        ResourceError
            If an array does not fit on the card.
        """
        import cupy

        try:
            yield
        except cupy.cuda.memory.OutOfMemoryError as error:
            raise ResourceError(
                f"the GPU has not enough memory: {error}; use the CPU or a smaller field"
            ) from error
        finally:
            cupy.get_default_memory_pool().free_all_blocks()
            cupy.get_default_pinned_memory_pool().free_all_blocks()


def free_bytes() -> int:
    """Memory of the card that can be had: free, or held by this process but not in use."""
    import cupy

    pool = cupy.get_default_memory_pool()
    return int(cupy.cuda.runtime.memGetInfo()[0]) + int(pool.free_bytes())


def find_card() -> Card:
    """Find the graphics card.

    Raises
    ------
    ResourceError
        If CuPy is not installed, sees no card that it can use, or cannot compile for it.
    """
    try:
        import cupy
        from cupy.cuda.compiler import CompileException
    except ImportError as error:
        raise ResourceError(f"no GPU: CuPy is not installed ({error}); {_ADVICE}") from error
    try:
        found = cupy.cuda.runtime.getDeviceCount()
        if not found:
            raise ResourceError(f"no GPU: CuPy sees none; {_ADVICE}")
        properties = cupy.cuda.runtime.getDeviceProperties(0)
        # Compiled when it is first called.
        cupy.arange(1).get()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise ResourceError(f"no GPU: {error}; {_ADVICE}") from error
    except (RuntimeError, CompileException) as error:
        # RuntimeError: a library is not found; CompileException: a header is not.
        reason = str(error).strip().partition("\n")[0]
        raise ResourceError(
            f"no GPU: CuPy cannot compile for it ({type(error).__name__}: {reason}); {_COMPILER}"
        ) from error
    name = properties["name"]
    text = name.decode() if isinstance(name, bytes) else str(name)
    return Card(text, int(properties["totalGlobalMem"]))


def pieces_at_once(like: Array, bytes_each: int, usual: int) -> int:
    """Tell how many pieces of work are done together.

    Parameters
    ----------
    like : array
        Of the library in which the work is done.
    bytes_each : int
        Memory that the work arrays of one piece take.
    usual : int
        Pieces where memory does not matter.

    Returns
    -------
    int
        At least 1; on a card no more than half of its free memory holds.
    """
    if not is_cupy_array(like):
        return max(1, usual)
    return max(1, min(usual, int(_SHARE * free_bytes()) // max(1, bytes_each)))
