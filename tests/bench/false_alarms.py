"""False alarms of S/N maps over many seeds of noise: tables and a plot for docs/limits.md.

Run from the project root (about ten minutes):

    python tests/bench/false_alarms.py --seeds 200 --figures docs/figures

Writes ``false_alarms.md`` and ``false_alarms.json`` into ``bench-results``, and
``false_alarms.svg`` there or where ``--figures`` says: every Markdown file below ``docs`` would
become a page. White noise and noise with the grain of the PSF are drawn as images; speckles are
frames that are reduced.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from noise_counts import Counts
from noise_images import FWHM, images

from spheredc_hpc.level2.false_alarms import SearchArea, effective_trials, false_alarm_of_maximum

KINDS = {
    "white": ("white noise", 161),
    "grain": ("grain of the PSF", 161),
    "cadi": ("Gaussian speckles, cADI", 121),
    "pca": ("Gaussian speckles, PCA-5", 121),
    "pinned": ("pinned speckles, PCA-5", 121),
    "pinned-cadi": ("pinned speckles, cADI", 121),
}
RADII = (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)
ZONES = ((1.0, 1.5), (1.5, 2.0), (2.0, 3.0), (3.0, 5.0), (5.0, 9.0), (9.0, 13.0))
WHOLE = (1.0, 13.0)
THRESHOLDS = (2.5, 3.0, 3.5, 4.0, 4.5)


def counted(kind: str, seeds: int) -> Counts:
    """All maps of one kind of noise."""
    counts = Counts(FWHM, RADII, (*ZONES, WHOLE))
    for image in images(kind, range(seeds), KINDS[kind][1]):
        counts.add(image)
    return counts


def pair(share) -> str:
    """Value and error as text."""
    return f"{share.value:.3f} ± {share.error:.3f}"


def ring_table(found: dict[str, Counts]) -> list[str]:
    """Variance and rates of single apertures against radius."""
    lines = [
        "| noise | r (FWHM) | variance | above 2, over prediction | above 3, over prediction |",
        "|---|---|---|---|---|",
    ]
    for kind, counts in found.items():
        lines += [
            f"| {KINDS[kind][0]} | {radius:g} | {pair(counts.variance(radius))} "
            f"| {pair(counts.rate(radius, 2))} | {pair(counts.rate(radius, 3))} |"
            for radius in RADII
        ]
        pooled = [pooled_rate(counts, threshold) for threshold in (2, 3)]
        lines.append(f"| {KINDS[kind][0]} | all | | {pooled[0]} | {pooled[1]} |")
    return lines


def pooled_rate(counts: Counts, threshold: float) -> str:
    """Rate of the apertures of all rings together."""
    weight = np.array([counts.rings[r][0].size for r in RADII], float)
    each = [counts.rate(r, threshold) for r in RADII]
    value = np.sum(weight * [s.value for s in each]) / weight.sum()
    error = np.sqrt(np.sum((weight * [s.error for s in each]) ** 2)) / weight.sum()
    return f"{value:.3f} ± {error:.3f}"


def maximum_table(found: dict[str, Counts]) -> list[str]:
    """Measured and predicted probability of the maximum by zone."""
    head = " | ".join(f"above {threshold:g}" for threshold in THRESHOLDS)
    lines = [
        f"| noise (roughness) | zone (FWHM) | {head} |",
        "|---|---|" + "---|" * len(THRESHOLDS),
    ]
    for kind, counts in found.items():
        name = f"{KINDS[kind][0]} ({np.mean(counts.rough):.1f})"
        for zone in (*ZONES, WHOLE):
            cells = []
            for threshold in THRESHOLDS:
                share = counts.maximum(zone, threshold)
                cells.append(f"{share.value:.3f} ± {share.error:.3f} ({share.predicted:.3f})")
            lines.append(f"| {name} | {zone[0]:g} to {zone[1]:g} | " + " | ".join(cells) + " |")
    return lines


def meaning_table() -> list[str]:
    """What thresholds mean for whole maps."""
    thresholds = (4.0, 4.5, 5.0, 5.5)
    lines = [
        "| radius searched (FWHM) | "
        + " | ".join(f"{u:g}" for u in thresholds)
        + " | trials at 5 |",
        "|---|" + "---|" * (len(thresholds) + 1),
    ]
    for outer in (5, 10, 20, 50, 100):
        rough, smooth = (SearchArea(FWHM, outer * FWHM, FWHM, r) for r in (6.5, 2.0))
        cells = [
            f"{100 * false_alarm_of_maximum(u, smooth):.2g} to "
            f"{100 * false_alarm_of_maximum(u, rough):.2g} %"
            for u in thresholds
        ]
        trials = f"{effective_trials(5.0, smooth):.0f} to {effective_trials(5.0, rough):.0f}"
        lines.append(f"| {outer} | " + " | ".join(cells) + f" | {trials} |")
    return lines


def plot(found: dict[str, Counts], path: Path) -> None:
    """Probability of the maximum of the whole map against the threshold."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    FigureCanvasSVG(figure)
    axis = figure.subplots()
    fine = np.linspace(2.5, 5.0, 60)
    for number, (kind, counts) in enumerate(found.items()):
        maxima = np.sort(counts.maxima[WHOLE])
        share = 1 - np.arange(maxima.size) / maxima.size
        axis.step(maxima, share, where="pre", color=f"C{number}", label=KINDS[kind][0])
        area = SearchArea(WHOLE[0] * FWHM, WHOLE[1] * FWHM, FWHM, float(np.mean(counts.rough)))
        axis.plot(fine, [false_alarm_of_maximum(u, area) for u in fine], "--", color=f"C{number}")
    axis.set(yscale="log", xlim=(2.5, 5.2), ylim=(4e-3, 1.1))
    axis.set(xlabel="threshold (Gaussian-equivalent S/N)", ylabel="maps with a higher maximum")
    axis.legend(title="measured; dashed: predicted")
    with rc_context({"svg.hashsalt": "false alarms"}):
        figure.savefig(path, metadata={"Date": None})


def main(arguments: list[str] | None = None) -> None:
    """Draw the noise, count, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("bench-results"))
    parser.add_argument("--figures", type=Path, help="Folder of the plot, if another.")
    options = parser.parse_args(arguments)
    figures = options.figures or options.output
    for folder in (options.output, figures):
        folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.jobs) as pool:
        futures = {kind: pool.submit(counted, kind, options.seeds) for kind in KINDS}
        found = {kind: future.result() for kind, future in futures.items()}
    tables = {
        "rings": ring_table(found),
        "maximum": maximum_table(found),
        "meaning": meaning_table(),
    }
    text = f"{options.seeds} seeds each.\n\n" + "\n\n".join("\n".join(t) for t in tables.values())
    (options.output / "false_alarms.md").write_text(text + "\n")
    numbers = {
        kind: {
            "variance": {r: vars(counts.variance(r)) for r in RADII},
            "above": {r: {u: vars(counts.rate(r, u)) for u in (2, 3)} for r in RADII},
            "maximum": {
                f"{z[0]:g}-{z[1]:g}": {u: vars(counts.maximum(z, u)) for u in THRESHOLDS}
                for z in (*ZONES, WHOLE)
            },
        }
        for kind, counts in found.items()
    }
    (options.output / "false_alarms.json").write_text(json.dumps(numbers, indent=1) + "\n")
    plot(found, figures / "false_alarms.svg")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
