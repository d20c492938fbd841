"""Bias and stated errors of every subtraction method on simulated sequences with companions.

Run from the project root (a case is one sequence reduced by one method: 5 to 60 s):

    python tests/bench/method_bias.py --work /tmp/bias --seeds 5
    python tests/bench/method_bias.py --work /tmp/ifs --cube ifs --strategies sdi asdi
    python tests/bench/method_bias.py --work /tmp/wide --cube ifs-wide --strategies sdi asdi

Each sequence holds four companions at four separations; three patterns turn them to three position
angles each; every seed has new speckles and new noise. A case is kept as one JSON file, so the run
can be interrupted and continued. The table at the end says, for each method, how many companions
were found, how many measurements are off, the mean bias of flux and position, and the pulls. Of a
methane companion, the channels count in which it has at least a tenth of its peak.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import records

PATTERNS = 3
# S/N from which position and flux of each measurement are asked for, and what is asked.
CLAIMED_SNR = 30.0
POSITION_PX = 0.2
FLUX_SHARE = 0.1

METHODS: dict[str, dict] = {
    "pca": {"algorithm": "pca"},
    "klip": {"algorithm": "klip"},
    "loci": {"algorithm": "loci"},
    "loci-ridge": {"algorithm": "loci", "settings": {"solution": "ridge"}},
    "loci-positive": {"algorithm": "loci", "settings": {"solution": "positive"}},
    "tloci": {"algorithm": "tloci"},
    "cadi": {"algorithm": "cadi"},
}


class Case(NamedTuple):
    """One sequence and how it is reduced."""

    cube: str
    method: str
    strategy: str
    seed: int
    pattern: int
    brightness: float

    @property
    def name(self) -> str:
        """File name of the case."""
        return "_".join(str(value) for value in self) + ".json"


class Kind(NamedTuple):
    """Separations [mas] and contrasts of the companions, outer radius [mas], spectra in turns."""

    companions: tuple[tuple[float, float], ...]
    outer_mas: float
    spectra: tuple[str, ...] = ("star",)


KINDS = {
    "irdis": Kind(((220.0, 1.2e-4), (380.0, 6e-5), (600.0, 3.6e-5), (900.0, 2.4e-5)), 1050.0),
    "ifs": Kind(((160.0, 2e-5), (230.0, 1e-5), (310.0, 6e-6), (400.0, 4e-6)), 470.0),
    "ifs-wide": Kind(((200.0, 1.5e-5), (800.0, 2.5e-6)), 880.0, ("star", "t-type", "one-channel")),
}
# Channels, frames, side [px] and field rotation [deg] of the multi-wavelength sequences.
SIZES = {"ifs": (13, 16, 147, 50.0), "ifs-wide": (9, 10, 255, 45.0)}
# Share of its brightest channel from which a channel of a companion is compared with the truth.
LIT = 0.1


def spectrum_of(case: Case, number: int) -> np.ndarray | None:
    """Relative contrast of a companion per channel, of mean 1; None for equal ones."""
    import synthetic_ifs

    from spheredc_hpc.instrument.spectra import relative_contrast

    spectra = KINDS[case.cube].spectra
    name = spectra[(case.seed + case.pattern + number) % len(spectra)]
    if name == "star":
        return None
    waves = synthetic_ifs.wavelengths(SIZES[case.cube][0])
    if name == "one-channel":
        light = np.zeros(waves.size)
        light[2 * waves.size // 3] = 1.0
    else:
        light = relative_contrast(name, waves, np.gradient(waves))
    return light / light.mean()


def companions_of(case: Case) -> list[tuple[float, float, float]]:
    """Separation [mas], position angle [deg] and mean contrast of the companions of a case."""
    turn = 360.0 / PATTERNS * case.pattern + 17.0 * case.seed
    listed = KINDS[case.cube].companions
    return [
        (separation, (turn + 101.0 * number) % 360, case.brightness * contrast)
        for number, (separation, contrast) in enumerate(listed)
    ]


def sequence_of(case: Case):
    """Simulate the Level 1 cube of a case."""
    import synthetic_ifs
    import synthetic_sequence

    listed = companions_of(case)
    if case.cube == "irdis":
        given = [(s, a, (c, c)) for s, a, c in listed]
        return synthetic_sequence.sequence(
            seed=1000 + case.seed, n_time=40, side=187, companions=given
        )
    channels, frames, side, rotation = SIZES[case.cube]
    spectra = [spectrum_of(case, number) for number in range(len(listed))]
    return synthetic_ifs.sequence(
        seed=1000 + case.seed,
        wavelength_um=synthetic_ifs.wavelengths(channels),
        n_time=frames,
        side=side,
        rotation_deg=rotation,
        noise=1e-6 if case.cube == "ifs-wide" else 2e-7,
        companions=[
            (s, a, c if light is None else c * light)
            for (s, a, c), light in zip(listed, spectra, strict=True)
        ],
    )


def psf_offset(cube) -> np.ndarray:
    """Centre of an aberrated PSF, as a Gaussian fit sees it, from where it was put [px]."""
    from spheredc_hpc.kernels.psf import fit_psf

    shapes = [fit_psf(psf.mean(axis=0)) for psf in cube.psf]
    places = np.array([[shape.x_px, shape.y_px] for shape in shapes])
    return places.mean(axis=0) - cube.psf.shape[-1] // 2


def measured(case: Case) -> dict:
    """Reduce a case and compare its sources with the truth."""
    from spheredc_hpc.config.recipe import ImagingSettings, Recipe
    from spheredc_hpc.level2.reduce import reduce
    from spheredc_hpc.store.images import SOURCE_COLUMNS

    cube = sequence_of(case)
    imaging = ImagingSettings(outer_mas=KINDS[case.cube].outer_mas, throughput_branches=1)
    recipe = Recipe(strategy=case.strategy, imaging=imaging, **METHODS[case.method])
    start = time.perf_counter()
    result = reduce(cube, recipe)
    seconds = time.perf_counter() - start
    if result.images is None:
        return {"case": case._asdict(), "seconds": seconds, "rejected": result.reasons}
    images = result.images
    scale = float(images.pixel_scale_mas[0])
    rows = [dict(zip(SOURCE_COLUMNS, row, strict=True)) for row in images.sources]
    middle = images.image.shape[0] // 2
    shift = psf_offset(cube)
    found, taken = [], set()
    for number, (separation, angle, contrast) in enumerate(companions_of(case)):
        light = spectrum_of(case, number) if case.cube in SIZES else None
        truth = contrast * (np.ones(images.fwhm_px.size) if light is None else light)
        lit = truth >= LIT * truth.max()
        r, a = separation / scale, np.deg2rad(angle)
        x, y = middle - r * np.sin(a), middle + r * np.cos(a)
        for i, row in enumerate(rows):
            offset = np.array([row["x_px"] - x, row["y_px"] - y]) - shift
            if np.hypot(*offset) > images.fwhm_px[0] or i in taken:
                continue
            taken.add(i)
            flux = images.source_contrast[i][lit] / truth[lit]
            error = images.source_contrast_err[i][lit] / truth[lit]
            found.append(
                {
                    "separation_mas": separation,
                    "position_angle_deg": angle,
                    "offset_px": offset.tolist(),
                    "error_px": [row["x_err_px"], row["y_err_px"]],
                    "radial_px": float(offset @ [x - middle, y - middle] / r),
                    "flux": flux.tolist(),
                    "flux_err": error.tolist(),
                    "snr": row["snr"],
                }
            )
            break
    return {
        "case": case._asdict(),
        "seconds": seconds,
        "found": found,
        "asked": len(companions_of(case)),
        "false": len(rows) - len(taken),
    }


def kept(case: Case, work: Path) -> dict:
    """Measurements of a case, made now or read back."""
    return records.kept(work / case.name, lambda: measured(case))


def figures(results: list[dict]) -> dict[str, float]:
    """Figures over the cases of one method."""
    found = [one for result in results for one in result.get("found", ())]
    asked = sum(result.get("asked", 0) for result in results)
    table: dict[str, float] = {
        "asked": asked,
        "found": len(found),
        "false": sum(result.get("false", 0) for result in results),
        "seconds": float(np.median([result["seconds"] for result in results])),
    }
    if not found:
        return table
    offset = np.array([one["offset_px"] for one in found])
    error = np.array([one["error_px"] for one in found])
    flux = [np.array(one["flux"]) for one in found]
    flux_err = [np.array(one["flux_err"]) for one in found]
    ratios = np.concatenate(flux)
    errors = np.concatenate(flux_err)
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = ratios / errors
    strong = np.array(
        [np.median(f / e) >= CLAIMED_SNR for f, e in zip(flux, flux_err, strict=True)]
    )
    far = np.hypot(*offset.T) > np.maximum(POSITION_PX, 3 * np.hypot(*error.T) / np.sqrt(2))
    wrong = np.array(
        [
            np.any(np.abs(f - 1) > np.maximum(FLUX_SHARE, 3 * e))
            for f, e in zip(flux, flux_err, strict=True)
        ]
    )
    mean = np.array([one.mean() for one in flux])
    count = len(found)
    return table | {
        "snr": float(np.median(snr)),
        "strong": int(strong.sum()),
        "misplaced": int((far & strong).sum()),
        "misvalued": int((wrong & strong).sum()),
        "flux_bias": float(mean.mean() - 1),
        "flux_bias_err": float(mean.std(ddof=1) / np.sqrt(count)),
        "x_bias_px": float(offset[:, 0].mean()),
        "y_bias_px": float(offset[:, 1].mean()),
        "radial_bias_px": float(np.mean([one["radial_px"] for one in found])),
        "position_pull": float(np.sqrt(np.mean((offset / error) ** 2))),
        "flux_pull": float(np.sqrt(np.mean(((ratios - 1) / errors) ** 2))),
    }


COLUMNS = (
    ("method", 14, ""),
    ("strategy", 15, ""),
    ("asked", 6, "d"),
    ("found", 6, "d"),
    ("false", 6, "d"),
    ("snr", 7, ".0f"),
    ("strong", 7, "d"),
    ("misplaced", 10, "d"),
    ("misvalued", 10, "d"),
    ("flux_bias", 10, "+.4f"),
    ("flux_bias_err", 14, ".4f"),
    ("radial_bias_px", 15, "+.3f"),
    ("position_pull", 14, ".2f"),
    ("flux_pull", 10, ".2f"),
    ("seconds", 8, ".1f"),
)


def table_of(groups: dict[tuple[str, str], list[dict]]) -> str:
    """Lay the figures of all methods out as text."""
    lines = ["".join(f"{name:>{width}}" for name, width, _ in COLUMNS)]
    for (method, strategy), results in groups.items():
        values = {"method": method, "strategy": strategy, **figures(results)}
        lines.append(
            "".join(
                format(format(values[name], form) if name in values else "-", f">{width}")
                for name, width, form in COLUMNS
            )
        )
    return "\n".join(lines)


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="Folder of the measurements.")
    parser.add_argument("--cube", choices=KINDS, default="irdis")
    parser.add_argument("--methods", nargs="+", choices=METHODS)
    parser.add_argument("--strategies", nargs="+", default=["adi"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--brightness", type=float, default=1.0, help="Factor on all contrasts.")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    methods = options.methods or ["pca", "klip", "loci", "tloci"]
    cases = [
        Case(options.cube, method, strategy, seed, pattern, options.brightness)
        for seed in range(options.seeds)
        for pattern in range(PATTERNS)
        for strategy in options.strategies
        for method in methods
    ]
    groups: dict[tuple[str, str], list[dict]] = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        results = pool.map(kept, cases, [options.work] * len(cases))
        for case, result in zip(cases, results, strict=True):
            groups.setdefault((case.method, case.strategy), []).append(result)
            sys.stderr.write(f"{case.name} {result['seconds']:.1f} s\n")
    sys.stdout.write(table_of(groups) + "\n")


if __name__ == "__main__":
    main()
