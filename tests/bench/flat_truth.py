"""Master flat and bad pixels against a known detector: the table of docs/calibration.md.

Run from the project root (ten seconds a case):

    python tests/bench/flat_truth.py --seeds 3

The response of the detector is the published flat of IRDIS (`SPHEREDC_DATA`); five levels of a lamp
that is steady to 1 % are drawn with photon and read noise, offsets, dark current, a common
non-linearity, and pixels made dead, hot, noisy or non-linear. Deviations are counted in standard
deviations: of the responses of all pixels about those around, of the averaged background, and
of the departures from a straight line. A pixel counts as false if it has no fault and its
response deviates by less.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import ramp_truth

from spheredc_hpc.kernels.parallel import worker_threads

DARK_PLANES = 10


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2, help="Detectors drawn per case.")
    parser.add_argument("--planes", type=int, nargs="+", default=[1, 2, 4], help="Of each level.")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    response = ramp_truth.real_flat(Path(os.environ["SPHEREDC_DATA"]))
    sys.stdout.write(
        "| planes | error / photon limit | error / stated | odd | found: response | hot | bent "
        "| noise x 5 | false | deviate < 5 sigma | time |\n" + 11 * "|---" + "|\n"
    )
    for planes in options.planes:
        for seed in range(options.seeds):
            verdict, seconds = case(response, planes, seed, options.threads)
            shares = [verdict.odd, *verdict.found.values(), verdict.false, verdict.clearly_false]
            text = " | ".join(f"{100 * share:.3f} %" for share in shares)
            sys.stdout.write(
                f"| {planes} | {verdict.error_over_limit:.3f} | {verdict.error_over_stated:.3f} "
                f"| {text} | {seconds:.1f} s |\n"
            )
            sys.stdout.flush()


def case(
    response: np.ndarray, planes: int, seed: int, threads: int
) -> tuple[ramp_truth.Verdict, float]:
    """Draw one detector and calibrate it; the verdict and the time of the calibrations [s]."""
    device = ramp_truth.FaultyDetector(response, np.random.default_rng(seed))
    ramp, darks = device.ramp(planes), device.darks(DARK_PLANES)
    started = time.perf_counter()
    with worker_threads(threads):
        flat = ramp_truth.run("flat", ramp).images
        upstream = {"flat": flat, "background": ramp_truth.run("background", darks).images}
        bad = ramp_truth.run("bad_pixels", [], upstream).images["MASK"]
    seconds = time.perf_counter() - started
    return ramp_truth.judge(device, flat, bad, (planes, DARK_PLANES)), seconds


if __name__ == "__main__":
    main()
