"""Kill a run at a chosen instant, and compare what two roots hold."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from spheredc_hpc.store.calibrations import FILE, read_calibration
from spheredc_hpc.store.inventory import products
from spheredc_hpc.store.receipt import verify


def run_and_kill(
    command: Sequence[str], delay_s: float, *, whole: bool, env: dict[str, str] | None = None
) -> bool:
    """Start a command and kill -9 it after a delay: all its processes, or only the first one.

    Returns
    -------
    bool
        Whether it was still at work.
    """
    process = subprocess.Popen(  # noqa: S603 our own command
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
    )
    try:
        process.wait(delay_s)
    except subprocess.TimeoutExpired:
        victims = psutil.Process(process.pid).children(recursive=True) if whole else []
        process.kill()
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        process.wait()
        return True
    return False


def problems_now(root: Path) -> list[str]:
    """Products that are listed at this instant and not whole.

    A product that is replaced while it is looked at is looked at again.
    """
    found = []
    for entry in products(root):
        lines = verify(entry.path)
        if lines:
            time.sleep(0.05)
            lines = verify(entry.path) if (entry.path / "receipt.json").is_file() else []
        found += lines
    return found


def decoded(root: Path) -> dict[str, str]:
    """Digest of every array of every product, as it is read back."""
    import xarray as xr

    found = {}
    for entry in products(root):
        for store in sorted(entry.path.glob("*.zarr")):
            with xr.open_zarr(store, consolidated=False, chunks=None) as dataset:
                for name in (*dataset.data_vars, *dataset.coords):
                    array = dataset[name].to_numpy()
                    digest = hashlib.sha256(array.tobytes()).hexdigest()
                    found[f"{entry.product}/{store.name}/{name}"] = digest
        if (entry.path / FILE).is_file():
            for name, image in read_calibration(entry.path).items():
                digest = hashlib.sha256(image.tobytes()).hexdigest()
                found[f"{entry.product}/{name}"] = digest
        for text in sorted(entry.path.glob("*.txt")):
            found[f"{entry.product}/{text.name}"] = text.read_text()
    return found
