"""Speed and memory of a scan of many raw files, database included.

Run from the project root:

    python tests/bench/archive_scan.py --work /tmp/archive --files 50000 --workers 2

Files hold headers of the simulator, of about 85 kB, and holes for pixels, so that 50 000 of them
take 4.4 GB on disk. They are made once and stay. Printed are files per second of the first scan
and of every part of it, the time of a second scan, and the peak memory after a tenth of the files
and after all.

Measured on two cores with files in the page cache: 490 us a file in one process without database;
50 000 files in 25.2 s (1985 a second) with it, the second scan in 2.1 s; peak 362 MB after 5000
files, 386 MB after 50 000.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.config import Config
from spheredc_hpc.ingest.scan import read_one
from spheredc_hpc.instrument.headers import iso_from_mjd
from spheredc_hpc.simulate.cards import format_card, header_text
from spheredc_hpc.simulate.irdis import prepare
from spheredc_hpc.simulate.scene import load_scenario

PLANE_BYTES = 2048 * 1024 * 4
FIRST_MJD = 56800.0
STEP_D = 1 / 300
# Headers of the archive have about a hundred cards more than the simulator writes.
FILLED_CARDS = 1040


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def templates() -> list[dict[str, str]]:
    """Cards of each file of a night, by keyword."""
    night = prepare(load_scenario("first-light"))
    made = []
    for file in night.files:
        cards = {card[:31]: card for card in night.headers.cards(file)}
        for number in range(len(cards), FILLED_CARDS):
            key = f"ESO INS4 SENS{number} VAL"
            cards[key] = format_card(key, number / 7, 3, "[C] reading of the sensor")
        made.append(cards)
    return made


def renewed(cards: dict[str, str], mjd: float, number: int) -> bytes:
    """Header of another file of the same kind."""
    start = iso_from_mjd(mjd, 3)
    values = {
        "DATE-OBS": start,
        "MJD-OBS": mjd,
        "ARCFILE": f"SPHER.{start}.fits",
        "ESO DET FRAM UTC": iso_from_mjd(mjd + 0.001),
        "ESO OBS ID": 100000 + number // 40,
    }
    lines = {
        key: card
        for key, card in cards.items()
        if key.removeprefix("HIERARCH ").partition("=")[0].strip() not in values
    }
    return header_text([*lines.values(), *(format_card(k, v) for k, v in values.items())]).encode()


def make_files(folder: Path, count: int) -> None:
    """Write what is missing of the archive."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = templates()
    for number in range(count):
        mjd = FIRST_MJD + number * STEP_D
        night = folder / iso_from_mjd(mjd - 0.5, 0)[:10]
        path = night / f"SPHER.{iso_from_mjd(mjd, 3).replace(':', '_')}.fits"
        if path.exists():
            continue
        night.mkdir(exist_ok=True)
        header = renewed(kinds[number % len(kinds)], mjd, number)
        planes = int(header.partition(b"NAXIS3  =")[2][:21])
        path.write_bytes(header)
        os.truncate(path, len(header) + -(-planes * PLANE_BYTES // 2880) * 2880)


def peak_mb() -> float:
    """Peak memory of this process and of the largest of its children."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(resource.getrusage(kind).ru_maxrss for kind in kinds) * 1024 / 1e6


def measure(raw: Path, root: Path, workers: int) -> None:
    """Scan twice, in a process of its own."""
    for name in ("first", "second"):
        began = time.perf_counter()
        summary = scan([raw], root, Config(), workers=workers)
        took = time.perf_counter() - began
        say(
            f"{name} scan: {summary.n_files} files, {summary.n_read} read, {took:.2f} s, "
            f"{summary.n_files / took:.0f} files/s, peak {peak_mb():.0f} MB, "
            f"{len(summary.errors)} errors"
        )


def main() -> None:
    """Make the archive and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    root = given.work / "root"
    if given.measure:
        measure(given.measure, root, given.workers)
        return
    raw = given.work / "raw"
    make_files(raw, given.files)
    paths = sorted(raw.rglob("*.fits"))
    sizes = [path.read_bytes()[:200_000].find(b"END" + b" " * 77) for path in paths[:20]]
    say(f"{len(paths)} files, headers of {sum(sizes) / len(sizes) / 1000:.0f} kB")
    for path in paths:  # into the page cache
        with path.open("rb") as file:
            file.read(100_000)
    began = time.perf_counter()
    for path in paths[:2000]:
        read_one(path)
    alone = (time.perf_counter() - began) / len(paths[:2000])
    say(f"one process, without database: {1e6 * alone:.0f} us a file")
    tenth = given.work / "tenth"
    shutil.rmtree(tenth, ignore_errors=True)
    tenth.mkdir()
    for path in paths[: len(paths) // 10]:
        (tenth / path.name).symlink_to(path)
    for part in (tenth, raw):
        shutil.rmtree(root, ignore_errors=True)
        words = ["--work", given.work, "--workers", given.workers, "--measure", part]
        subprocess.run(  # noqa: S603 - our own interpreter and program
            [sys.executable, __file__, *map(str, words)], check=True
        )


if __name__ == "__main__":
    main()
