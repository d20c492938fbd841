"""Reprocessing of the VLT/SPHERE archive, from raw frames to detections."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("spheredc_hpc")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
