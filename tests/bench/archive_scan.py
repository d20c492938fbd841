"""Speed and memory of a scan of many raw files, database included.

Run from the project root:

    python tests/bench/archive_scan.py --work /tmp/archive --files 50000 --workers 2

Files are those of a simulated archive: every arm, class and failure, headers of about 85 kB and
holes for pixels, so that 50 000 of them take 4.4 GB on disk. They are made once and stay. Printed
are files per second of the first scan and of every part of it, the time of a second scan, and the
peak memory after a tenth of the files and after all.

Measured on two cores with files in the page cache: 490 us a file in one process without database;
50 000 files in 21.2 s (2358 a second; 1717 while others used the machine) with it, the second scan
in 2.1 s; peak 324 MB after 5000 files, 390 MB after 50 000.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

from spheredc_hpc.catalog.scan import scan
from spheredc_hpc.config import Config
from spheredc_hpc.ingest.scan import read_one
from spheredc_hpc.simulate.archive import Archive, ArchiveSettings, write_archive


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def make_files(folder: Path, count: int, packed: float) -> None:
    """Write the first files of a simulated archive, unless they are there."""
    if folder.exists():
        return
    shares = {"gzip_share": packed / 2, "compress_share": packed / 2}
    archive = Archive(ArchiveSettings(seed=1, **shares))
    write_archive(islice(archive.files(), count), folder)


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
    parser.add_argument("--packed", type=float, default=0.0, help="share of packed files")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    root = given.work / "root"
    if given.measure:
        measure(given.measure, root, given.workers)
        return
    raw = given.work / "raw"
    make_files(raw, given.files, given.packed)
    paths = sorted(path for path in raw.rglob("*") if path.is_file())
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
    for number, path in enumerate(paths[: len(paths) // 10]):
        (tenth / f"{number}-{path.name}").symlink_to(path)
    for part in (tenth, raw):
        shutil.rmtree(root, ignore_errors=True)
        words = ["--work", given.work, "--workers", given.workers, "--measure", part]
        subprocess.run(  # noqa: S603 - our own interpreter and program
            [sys.executable, __file__, *map(str, words)], check=True
        )


if __name__ == "__main__":
    main()
