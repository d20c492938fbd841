"""Table and plot of a run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from anchors import compare
from anchors.cases import BY_NAME, MEMORY_TARGETS, PACKAGES

Row = dict[str, Any]


def short(value: float | None, digits: int = 3) -> str:
    """Write a number with so many digits that count; a dash for none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    if places > digits + 2:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, places)}f}"


def table(head: list[str], body: list[list[str]]) -> list[str]:
    """Lines of a Markdown table."""
    rule = ["---"] * len(head)
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *body)]


def gates_of(row: Row) -> dict[str, bool]:
    """Gates of a row; none where the two sides do other arithmetic."""
    case = BY_NAME[row["case"]]
    return compare.gates(row["comparison"], case.residual_gate) if case.alike else {}


def verdict(row: Row) -> str:
    """Say whether the ratio is what is wanted, and that it compares different results if so."""
    failed = [name for name, passed in gates_of(row).items() if not passed]
    words = [_ratio_verdict(row), f"**gates not met: {', '.join(failed)}**" if failed else ""]
    return "; ".join(word for word in words if word)


def _ratio_verdict(row: Row) -> str:
    case = BY_NAME[row["case"]]
    if case.at_least is None or (case.judged and row["input"] not in case.judged):
        return ""
    if row["ratio"] < case.at_least:
        return f"**below {case.at_least:g}**"
    if case.aim is not None and row["ratio"] < case.aim:
        return f"at least {case.at_least:g} met; {row['ratio'] / case.aim:.0%} of aim {case.aim:g}"
    return f"aim {case.aim:g} met"


def _cold(one: Row) -> str:
    """Mark a side whose first run failed: imports and compilation may be in what was measured."""
    return "" if one["warm"] else " **cold**"


def times(rows: list[Row]) -> list[str]:
    """Wall and CPU time of both and their ratio."""
    head = ["case", "input", "against", "ours [s]", "theirs [s]", "CPU ours / theirs [s] (ratio)"]
    body = []
    for row in rows:
        spans = []
        for side in ("ours", "theirs"):
            one = row[side]
            span = f"{short(one['min_s'])} to {short(one['max_s'])}"
            spans.append(f"{short(one['median_s'])} ({span}; {one['calls']}){_cold(one)}")
        ours, theirs = row["ours"]["cpu_s"], row["theirs"]["cpu_s"]
        cpu = f"{short(ours)} / {short(theirs)} ({theirs / max(ours, 1e-9):.1f})"
        ratio = f"**{row['ratio']:.1f}**"
        against = PACKAGES[row["side"]]
        body.append([row["case"], row["input"], against, *spans, cpu, ratio, verdict(row)])
    return table([*head, "ratio", "wanted"], body)


def memory_verdict(row: Row) -> str:
    """Say whether the peak memory is what is wanted, where something is wanted."""
    ours = row["ours"]["peak_mb"]
    for target in MEMORY_TARGETS:
        if target.case != row["case"] or row["input"] not in target.inputs:
            continue
        if target.of_input is not None:
            met = ours <= target.of_input * row["ours"]["input_mb"]
            return f"{'' if met else '**not** '}within {target.of_input:g} of the input"
        if target.of_theirs is not None:
            met = ours <= target.of_theirs * row["theirs"]["peak_mb"]
            return f"{'' if met else '**not** '}within {target.of_theirs:g} of theirs"
    return ""


def memory(rows: list[Row]) -> list[str]:
    """Peak memory of both over the loaded input."""
    head = ["case", "input", "input [MB]", "against", "ours [MB]", "theirs [MB]"]
    body = []
    for row in rows:
        size = row["ours"]["input_mb"]
        cells = [row["case"], row["input"], short(size), PACKAGES[row["side"]]]
        for side in ("ours", "theirs"):
            peak = row[side]["peak_mb"]
            cells.append(f"{short(peak)} ({peak / size:.1f} x){_cold(row[side])}")
        body.append([*cells, memory_verdict(row)])
    return table([*head, "wanted"], body)


def agreement(rows: list[Row]) -> list[str]:
    """Differences of the results."""
    head = ["case", "input", "against", "S/N, ours / theirs", "peak, ours / theirs"]
    body = []
    for row in rows:
        found = row["comparison"]
        both = found.get("companion", {})
        cells = [row["case"], row["input"], PACKAGES[row["side"]]]
        for key in ("snr", "peak"):
            values = [both[side][key] for side in ("ours", "theirs")] if both else []
            cells.append(" / ".join(short(value, 4) for value in values))
        cells.append(short(found["residuals"]["rms"], 2) if "residuals" in found else "")
        images = found.get("images", {})
        cells.append(", ".join(short(one["rms"], 2) for one in images.values()))
        cells += [_other(found), _gates(row)]
        body.append(cells)
    return table([*head, "residuals", "images", "other", "gates"], body)


def _gates(row: Row) -> str:
    words = {True: "met", False: "**not met**"}
    return ", ".join(f"{name} {words[passed]}" for name, passed in gates_of(row).items())


def _other(found: Row) -> str:
    if "contrast" in found:
        return f"contrast at five radii within {found['contrast']['largest']:.1%}"
    if "map" in found:
        gap = found["map"]
        return f"median difference {short(gap['median'])}, largest {short(gap['largest'])}"
    if "cube" in found:
        return f"rotated frames {short(found['cube']['rms'], 2)}"
    return ""


def contrasts(rows: list[Row]) -> list[str]:
    """Contrast curves at the five radii, of one thread count; gates are checked for all."""
    head, body, seen = [], [], set()
    for row in rows:
        found = row["comparison"].get("contrast")
        if found is None or row["case"] in seen:
            continue
        seen.add(row["case"])
        head = ["case", "radius [px]", *[f"{radius:g}" for radius in found["radii_px"]]]
        for name in ("gaussian", "student"):
            for owner, values in zip(("ours", PACKAGES[row["side"]]), found[name], strict=True):
                shown = [f"{value:.2e}" for value in values]
                body.append([row["case"], f"{name}, {owner}", *shown])
    return ["", "## Contrast at 5 sigma", "", *table(head, body)] if body else []


def markdown(record: Row) -> str:
    """Whole report of a run."""
    about = record["about"]
    lines = ["# Benchmark", "", f"{about['date']}; {about['machine']}. {about['versions']}.", ""]
    if record["quick"]:
        lines += ["Quick run: small inputs, so the ratios are not those of whole ones.", ""]
    for failure in record["failures"]:
        lines.append(f"**NOT MEASURED** {failure}  ")
    for threads in record["threads"]:
        rows = [row for row in record["rows"] if row["threads"] == threads]
        if not rows:
            continue
        plural = "" if threads == 1 else "s"
        lines += ["", f"## {threads} thread{plural}: time", "", *times(rows)]
        lines += ["", f"## {threads} thread{plural}: peak memory over the input", "", *memory(rows)]
        lines += ["", f"## {threads} thread{plural}: agreement", "", *agreement(rows)]
    lines += contrasts(record["rows"])
    return "\n".join(lines) + "\n"


# ------------------------------------------------------------------ plot


def plot(record: Row, path: Path) -> None:
    """Ratios of time and of memory as bars, what is wanted as ticks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = record["rows"]
    labels = list(dict.fromkeys(_label(row) for row in rows))
    figure = Figure(figsize=(11, 1.2 + 0.34 * len(labels)), layout="constrained")
    FigureCanvasAgg(figure)
    speed, memory_axis = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    height = 0.8 / len(record["threads"])
    for number, threads in enumerate(record["threads"]):
        mine = [row for row in rows if row["threads"] == threads]
        places = [labels.index(_label(row)) + (number + 0.5) * height - 0.4 for row in mine]
        word = f"{threads} thread{'' if threads == 1 else 's'}"
        speed.barh(places, [row["ratio"] for row in mine], height, label=word)
        lighter = [row["theirs"]["peak_mb"] / max(row["ours"]["peak_mb"], 0.1) for row in mine]
        memory_axis.barh(places, lighter, height)
    _mark_targets(speed, rows, labels)
    speed.set_yticks(range(len(labels)), labels, fontsize=8)
    speed.invert_yaxis()
    speed.set_xlabel("their time / ours")
    memory_axis.set_xlabel("their peak memory / ours")
    for axes in (speed, memory_axis):
        axes.set_xscale("log")
        axes.axvline(1.0, color="black", linewidth=0.8)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.grid(axis="x", alpha=0.3)
    speed.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def _label(row: Row) -> str:
    return f"{row['case']} · {row['input']} · {PACKAGES[row['side']]}"


def _mark_targets(axes: Any, rows: list[Row], labels: list[str]) -> None:
    names = {"at_least": ("red", "at least"), "aim": ("green", "aim")}
    for key, (colour, word) in names.items():
        marks = {}
        for row in rows:
            case = BY_NAME[row["case"]]
            wanted = getattr(case, key)
            if wanted is not None and (not case.judged or row["input"] in case.judged):
                marks[labels.index(_label(row))] = wanted
        if marks:
            low, high = [place - 0.45 for place in marks], [place + 0.45 for place in marks]
            axes.vlines(list(marks.values()), low, high, colors=colour, label=word)
