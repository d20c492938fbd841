"""The benchmark runner measures what it says and says what it cannot measure."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from scipy import ndimage

from spheredc_hpc.kernels.rotate import rotate_fft

PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+]+")
MODULES = ("inputs", "cases", "compare", "measure", "memory", "report")


@pytest.fixture
def bench(project_root, monkeypatch):
    """The modules of the runner, which is no package of ours but a folder of programs."""
    return imported(project_root, monkeypatch)


def imported(root, patch):
    """Import the modules afresh; they and the path to them go when the patch is undone."""
    patch.syspath_prepend(str(root / "tests" / "bench"))
    before = set(sys.modules)
    found = {name: importlib.import_module(f"anchors.{name}") for name in MODULES}
    found["run"] = importlib.import_module("run")
    for name in set(sys.modules) - before:
        if name == "run" or name.partition(".")[0] == "anchors":
            patch.setitem(sys.modules, name, sys.modules.pop(name))
    return SimpleNamespace(**found)


@pytest.fixture
def maker(project_root, tmp_path, monkeypatch):
    """The program that makes environments, with a root of its own and no pip."""
    path = project_root / "envs" / "bench.py"
    spec = importlib.util.spec_from_file_location("bench_environments_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "envs").mkdir()
    for name in module.PACKAGES:
        text = module.constraints(name).read_text(encoding="utf-8")
        (tmp_path / "envs" / f"constraints-{name}.txt").write_text(text, encoding="utf-8")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    module.commands = []

    def run(command, log):
        module.commands.append(command)
        (tmp_path / command[-1]).mkdir(parents=True, exist_ok=True)
        return True

    monkeypatch.setattr(module, "run", run)
    return module


def pins(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


# ------------------------------------------------------------------ environments


def test_constraints_hold_names_and_versions_only_and_pin_what_is_compared(maker):
    for name, packages in maker.PACKAGES.items():
        lines = pins(maker.constraints(name))
        assert [line for line in lines if PIN.fullmatch(line) is None] == []
        names = [canonical(line.split("==")[0]) for line in lines]
        assert len(names) == len(set(names))
        assert {canonical(package) for package in packages} <= set(names)


def test_environment_is_made_once_and_again_when_a_version_changes(maker):
    maker.ensure("vip")
    assert len(maker.commands) == 2
    maker.ensure("vip")
    assert len(maker.commands) == 2
    path = maker.constraints("vip")
    path.write_text(path.read_text(encoding="utf-8") + "more==1\n", encoding="utf-8")
    maker.ensure("vip")
    assert len(maker.commands) == 4


def test_failed_installation_is_not_taken_for_an_environment(maker, monkeypatch):
    def run(command, log):
        log.write_text("no such thing\n", encoding="utf-8")
        (maker.ROOT / ".venv-bench-vip").mkdir(exist_ok=True)
        return "pip" not in command

    with monkeypatch.context() as patch:
        patch.setattr(maker, "run", run)
        with pytest.raises(maker.NotInstalledError, match="no such thing"):
            maker.ensure("vip")
    maker.ensure("vip")
    assert maker.commands[0][-2] == "--without-pip"


def test_modules_of_the_runner_are_gone_after_a_test(project_root):
    before = set(sys.modules), sys.path.copy()
    with pytest.MonkeyPatch.context() as patch:
        first = imported(project_root, patch)
        assert "run" in sys.modules
    assert "run" not in sys.modules
    assert not [name for name in set(sys.modules) - before[0] if name.startswith("anchors")]
    assert sys.path == before[1]
    with pytest.MonkeyPatch.context() as patch:
        assert imported(project_root, patch).cases.BY_NAME is not first.cases.BY_NAME


# ------------------------------------------------------------------ cases and inputs


def keys_of_cases(path):
    """Keys of the dictionary `CASES` of a module, without importing what it needs."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and node.target.id == "CASES":
            return {key.value for key in node.value.keys}
    return set()


def test_every_case_has_its_two_sides_and_its_inputs(bench, project_root):
    folder = project_root / "tests" / "bench" / "anchors"
    sides = ("ours", *bench.cases.PACKAGES)
    keys = {side: keys_of_cases(folder / f"{side}.py") for side in sides}
    real = {"betapic", "betapic_empty", "betapic_pca"}
    for case in bench.cases.CASES:
        assert case.name in keys["ours"]
        assert case.theirs in keys[case.side], case.name
        wanted = {*case.inputs, *case.quick, *case.judged}
        assert wanted <= set(bench.inputs.SCENES) | real, case.name
    names = [case.name for case in bench.cases.CASES]
    assert len(names) == len(set(names))
    assert {target.case for target in bench.cases.MEMORY_TARGETS} <= set(names)


@pytest.fixture
def little(bench, monkeypatch):
    """Scene without noise and speckles: one companion."""
    scene = replace(
        bench.inputs.SCENES["irdis_small"],
        n_time=5,
        side=64,
        n_modes=1,
        noise=0.0,
        companions=((0.25, 35.0, 1000.0),),
    )
    monkeypatch.setitem(bench.inputs.SCENES, "little", scene)
    return bench.inputs.synthetic("little")


def test_companion_of_a_synthetic_sequence_stands_still_after_rotation(little):
    mean = rotate_fft(little.frames, little.angles_deg).mean(axis=0)
    y, x = np.unravel_index(np.argmax(mean), mean.shape)
    angle = np.deg2rad(35.0)
    # A whole pixel is the resolution of a peak; a wrong sign moves it by 9 px and more.
    assert abs(x - (32 + 16 * np.cos(angle))) <= 1
    assert abs(y - (32 + 16 * np.sin(angle))) <= 1
    assert mean.max() == pytest.approx(1000.0, rel=0.15)  # static speckles are 110 at most


def test_speckles_of_a_synthetic_sequence_grow_with_wavelength(bench):
    data = bench.inputs.synthetic("ifs_tiny")
    first, last = data.frames[0].mean(axis=0), data.frames[-1].mean(axis=0)
    ratio = data.wavelengths_um[-1] / data.wavelengths_um[0]
    grid = np.arange(80.0) - 40
    y, x = np.meshgrid(grid * ratio + 40, grid * ratio + 40, indexing="ij")
    inside = (np.hypot(*np.meshgrid(grid, grid)) < 25) & (np.hypot(*np.meshgrid(grid, grid)) > 4)
    shrunk = ndimage.map_coordinates(last, [y, x], order=3)
    scaled = np.corrcoef(first[inside], shrunk[inside])[0, 1]
    assert scaled > 0.95  # noise of 1.5 over 8 frames on a halo of 110
    assert np.corrcoef(first[inside], last[inside])[0, 1] < scaled - 0.2


def test_inputs_come_back_from_disk_and_half_an_input_is_none(bench, little, tmp_path):
    folder = tmp_path / "little"
    bench.inputs.save(little, folder)
    again = bench.inputs.load(folder)
    for key, value in vars(little).items():
        np.testing.assert_array_equal(getattr(again, key), value)
    assert bench.inputs.is_made(folder)
    (folder / "input.json").unlink()
    assert not bench.inputs.is_made(folder)


def test_excerpt_keeps_the_star_in_the_middle_and_the_whole_rotation(bench, little):
    part = bench.inputs.excerpt(little, frames=3, side=31)
    np.testing.assert_array_equal(part.frames[0], little.frames[0, 17:48, 17:48])
    assert np.ptp(part.angles_deg) == np.ptp(little.angles_deg)


# ------------------------------------------------------------------ measuring


@pytest.mark.parametrize(
    ("side", "blas"), [("ours", "1"), ("by_vip", "1"), ("by_pyklip", "1"), ("by_pynpoint", "2")]
)
def test_threads_are_pinned(bench, monkeypatch, side, blas):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = bench.measure.environment(side, 2)
    assert found["OMP_NUM_THREADS"] == found["OPENBLAS_NUM_THREADS"] == blas
    assert found["NUMBA_NUM_THREADS"] == "2"
    assert "elsewhere" not in found["PYTHONPATH"]


class Fake:
    """A side whose calls take a given time, without taking it."""

    def __init__(self, bench, name, wall_s, calls, effort):
        self.figures, self.effort = bench.measure.Figures(), effort
        self.ask = lambda order: (calls.append(name), {"wall_s": wall_s, "cpu_s": wall_s})[1]
        self.start = self.first = lambda: None
        self.another = lambda: bench.measure.Side.another(self)


def test_sides_are_called_in_turns_until_each_has_had_enough(bench):
    effort, calls = bench.measure.Effort(most=4, budget_s=20.0), []
    quick, slow = (Fake(bench, name, s, calls, effort) for name, s in (("A", 1.0), ("B", 12.0)))
    bench.measure.in_turns([quick, slow])
    assert "".join(calls) == "ABABAA"
    assert slow.figures.median_s == 12.0


def test_not_even_the_only_call_that_is_timed_is_watched(bench, monkeypatch):
    calls = []

    @contextmanager
    def watch(pid):
        calls.append("watched")
        yield SimpleNamespace(rise_mb=7.0)
        calls.append("not watched")

    monkeypatch.setattr(bench.measure, "Watch", watch)
    slow = Fake(bench, "called", 100.0, calls, bench.measure.Effort())
    slow._process = SimpleNamespace(pid=0)
    slow.first = lambda: bench.measure.Side.first(slow)
    bench.measure.in_turns([slow])
    assert calls == ["watched", "called", "not watched", "called"]
    assert slow.figures.wall_s == [100.0]
    assert slow.figures.peak_mb == 7.0


def test_memory_of_another_process_and_of_its_children_is_seen(bench):
    # Parent and child hold 40 MB each for a moment; what the interpreter needs comes on top.
    lines = [
        "import os, sys, time",
        "sys.stdin.readline()",
        "block = b'x' * 40_000_000",
        "os.fork()",
        "block += b'y'",
        "time.sleep(0.4)",
    ]
    process = subprocess.Popen([sys.executable, "-c", "\n".join(lines)], stdin=subprocess.PIPE)  # noqa: S603 - this interpreter
    time.sleep(0.2)
    with bench.memory.Watch(process.pid) as watch:
        process.communicate(b"\n")
    assert 75 < watch.rise_mb < 180


def alive(pid):
    try:
        # Ended, though nobody may have asked for its exit code yet.
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_side_ends_with_all_the_processes_that_it_started(bench, tmp_path, monkeypatch):
    lines = [
        "import os, time",
        "child = os.fork()",
        f"child and open({str(tmp_path / 'pid')!r}, 'w').write(str(child))",
        "time.sleep(60)",
    ]
    monkeypatch.setattr(bench.measure, "BENCH", tmp_path)
    (tmp_path / "anchors").mkdir()
    (tmp_path / "anchors" / "worker.py").write_text("\n".join(lines), encoding="utf-8")
    task = bench.measure.Task("case", tmp_path, 1)
    with bench.measure.Side(sys.executable, "ours", task, bench.measure.Effort(), tmp_path / "log"):
        end = time.monotonic() + 20
        while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text("utf-8"):
            assert time.monotonic() < end
            time.sleep(0.02)
    child = int((tmp_path / "pid").read_text("utf-8"))
    while alive(child):
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def run_of_ours(bench, little, tmp_path, monkeypatch):
    """A run whose other side is ours too, so that no other package is needed."""
    monkeypatch.setitem(bench.cases.PACKAGES, "ours", "itself")
    case = bench.cases.Case("snr_map", "", "ours", "snr_map", ("little",), ("little",))
    monkeypatch.setitem(bench.cases.BY_NAME, "snr_map", case)
    monkeypatch.setattr(bench.run, "CASES", (case,))
    bench.inputs.save(little, tmp_path / "inputs" / "little")
    return lambda *words: bench.run.main(["--threads", "1", "--output", str(tmp_path), *words])


def test_run_measures_what_it_can_and_says_what_it_cannot(
    bench, run_of_ours, tmp_path, monkeypatch, capsys
):
    broken = replace(bench.cases.BY_NAME["snr_map"], name="rotation", theirs="nonsense")
    monkeypatch.setitem(bench.cases.BY_NAME, "rotation", broken)
    assert run_of_ours("--cases", "rotation", "snr_map", "--quick") == 1
    record = json.loads((tmp_path / "benchmark.json").read_text(encoding="utf-8"))
    (row,) = record["rows"]
    assert row["comparison"]["map"] == {"median": 0.0, "largest": 0.0, "share": 1.0}
    for side in ("ours", "theirs"):
        assert 0 < row[side]["min_s"] <= row[side]["median_s"] <= row[side]["max_s"]
        assert row[side]["input_mb"] == pytest.approx(5 * 64 * 64 * 4 / 1e6)
    printed = capsys.readouterr()
    assert "NOT MEASURED: rotation on little" in printed.err
    assert "**NOT MEASURED** rotation on little" in printed.out
    assert "no case nonsense" in printed.out
    assert "| snr_map | little | itself |" in printed.out
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")


def test_arrays_of_a_killed_run_are_not_compared(bench, run_of_ours, tmp_path):
    for side in ("ours", "theirs"):
        (tmp_path / "arrays" / side).mkdir(parents=True)
        np.save(tmp_path / "arrays" / side / "cube.npy", np.ones((5, 64, 64)))
    assert run_of_ours("--cases", "snr_map", "--quick") == 0
    record = json.loads((tmp_path / "benchmark.json").read_text(encoding="utf-8"))
    assert set(record["rows"][0]["comparison"]) == {"map"}
    assert not (tmp_path / "arrays").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cases", "rotaton"], "no case rotaton; there are annular_pca5, asdi_klip"),
        (["--inputs", "irdis", "ifs_big"], "no input ifs_big; there are betapic"),
        (["--cases", "snr_map", "--inputs", "irdis"], "nothing to measure"),
        (["--quick", "--inputs", "irdis"], "nothing to measure"),
    ],
)
def test_a_selection_that_asks_for_nothing_is_refused(bench, tmp_path, capsys, words, message):
    with pytest.raises(SystemExit) as error:
        bench.run.main([*words, "--output", str(tmp_path / "out")])
    assert error.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_inside_another_program_leaves_its_signals_alone(bench, run_of_ours, monkeypatch):
    monkeypatch.setattr(bench.run.Bench, "measure", lambda *_: None)
    before = signal.getsignal(signal.SIGTERM)
    run_of_ours("--cases", "snr_map", "--quick")
    assert signal.getsignal(signal.SIGTERM) is before


def test_absent_real_data_are_named(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("SPHEREDC_DATA", str(tmp_path / "nowhere"))
    run = bench.run.Bench(tmp_path, quick=True)
    assert run.input("betapic") is None
    assert str(tmp_path / "nowhere") in run.failures[0]


# ------------------------------------------------------------------ comparing


def test_difference_is_in_units_of_theirs_and_leaves_nan_out(bench):
    random = np.random.default_rng(1)
    theirs = random.standard_normal((3, 20, 20))
    ours = theirs * 1.01
    ours[0, 5, 5] = np.nan
    where = bench.compare.zone(20, 2, 9)
    found = bench.compare.difference(ours, theirs, where)
    assert found["rms"] == pytest.approx(0.01, rel=1e-9)
    ours[1, 10, 14] = 1e6  # 4 px from the centre
    assert bench.compare.difference(ours, theirs, where)["largest"] > 1e5
    ours[:] = np.nan
    assert bench.compare.difference(ours, theirs, where)["share"] == 0.0


def test_companion_is_found_near_its_place_and_stands_out_only_if_it_is_there(bench):
    noise = np.random.default_rng(2).standard_normal((101, 101))
    y, x = np.mgrid[:101, :101]
    spot = np.exp(-4 * np.log(2) * ((x - 59) ** 2 + (y - 35) ** 2) / 4.8**2)
    found = bench.compare.companion(noise + 20 * spot, 4.8, (58, 36))
    assert abs(found["x"] - 59) <= 1
    assert abs(found["y"] - 35) <= 1
    # 261 counts in an aperture whose noise is 4.3; its wings in two of twenty references leave 25.
    assert found["snr"] > 15
    assert bench.compare.companion(noise, 4.8, (58, 36))["snr"] < 5


def test_gates_tell_equal_results_from_different_ones(bench):
    pair = {"ours": {"snr": 10.0, "peak": 6.0}, "theirs": {"snr": 10.1, "peak": 6.2}}
    found = {
        "companion": pair,
        "residuals": {"rms": 2e-4, "share": 1.0},
        "map": {"median": 0.002, "share": 1.0},
    }
    assert bench.compare.gates(found, 1e-4) == {
        "pixels": True,
        "residuals": False,
        "S/N": True,
        "peak": False,
        "map": True,
    }


def curve(radius_px, values):
    return {"radius_px": np.array(radius_px), "gaussian": values, "student": values}


def test_contrast_that_is_nan_or_ends_too_early_meets_no_gate(bench):
    radii = np.arange(5.0, 45.0)
    whole, holed = curve(radii, 1 / radii), curve(radii, 1 / radii)
    found = bench.compare.curve_difference(whole, holed)
    assert bench.compare.gates({"contrast": found}, 1e-4) == {"contrast": True}
    holed["gaussian"] = np.where(np.abs(radii - 20) < 1, np.nan, 1 / radii)
    short = curve(radii[radii < 35], 1 / radii[radii < 35])
    for other in (holed, short):
        for pair in ((whole, other), (other, whole)):
            found = bench.compare.curve_difference(*pair)
            assert bench.compare.gates({"contrast": found}, 1e-4) == {"contrast": False}


@pytest.mark.parametrize("name", ["residuals", "cube", "map", "image"])
def test_a_result_that_is_nan_in_places_meets_no_gate(bench, little, name):
    random = np.random.default_rng(3)
    shape = little.frames.shape if name in {"residuals", "cube"} else little.frames.shape[1:]
    theirs = random.standard_normal(shape)
    data = replace(little, name="nowhere")  # an input without companions
    found = bench.compare.compare(data, {name: theirs}, {name: theirs})
    assert set(bench.compare.gates(found, 1e-4).values()) == {True}
    for part in (np.s_[..., 30:38, 36:44], np.s_[:]):
        ours = theirs.copy()
        ours[part] = np.nan
        found = bench.compare.compare(data, {name: ours}, {name: theirs})
        assert not bench.compare.gates(found, 1e-4)["pixels"]


def test_rotation_is_gated_where_frames_are_well_sampled(bench, little, monkeypatch):
    turned = little.frames + np.float32(1e-5) * little.frames.std()
    for tapered in (False, True):
        scene = replace(bench.inputs.SCENES["little"], tapered=tapered)
        monkeypatch.setitem(bench.inputs.SCENES, "little", scene)
        found = bench.compare.compare(little, {"cube": turned}, {"cube": little.frames})
        gates = bench.compare.gates(found, 1e-4)
        assert gates == ({"pixels": True, "rotation": False} if tapered else {"pixels": True})


def test_frames_of_the_smooth_input_hold_nothing_that_a_rotation_loses(bench):
    frequency = np.fft.fftfreq(200)
    # Shears stretch the spectrum by up to 8 %. Grains of 4.43 px have 1e-13 of their power beyond;
    # their halo, which blurs the spectrum, makes more of it.
    beyond = np.hypot(frequency, frequency[:, np.newaxis]) > 0.46
    shares = {}
    for name in ("smooth", "irdis_small"):
        frames = bench.inputs.synthetic(name).frames[::8].astype(float)
        power = np.abs(np.fft.fft2(frames)) ** 2
        shares[name] = power[:, beyond].sum() / power.sum()
    assert shares["smooth"] < 1e-10
    assert shares["irdis_small"] > 1e-4


def row_of(bench, **changed):
    side = {"median_s": 1.0, "min_s": 1.0, "max_s": 1.0, "calls": 1, "cpu_s": 1.0}
    side |= {"peak_mb": 5.0, "input_mb": 1.0, "version": "1", "warm": True}
    agreed = {"residuals": {"rms": 1e-6, "share": 1.0}}
    row = {"case": "pca20_fft", "input": "irdis", "side": "by_vip", "threads": 1, "ratio": 99.0}
    return row | {"ours": side, "theirs": dict(side), "comparison": agreed} | changed


def test_verdict_says_that_a_gate_failed_whatever_the_ratio(bench):
    apart = {"residuals": {"rms": 1e-2, "share": 1.0}}
    assert bench.report.verdict(row_of(bench)) == "aim 40 met"
    failed = bench.report.verdict(row_of(bench, comparison=apart))
    assert failed == "aim 40 met; **gates not met: residuals**"
    unjudged = row_of(bench, comparison=apart, input="betapic")
    assert bench.report.verdict(unjudged) == "**gates not met: residuals**"
    other = row_of(bench, comparison=apart, case="loci_ridge", ratio=99.0)
    assert "gates" not in bench.report.verdict(other)


def test_report_gates_every_thread_count_and_marks_cold_sides(bench):
    apart = {"residuals": {"rms": 1e-2, "share": 1.0}}
    rows = [row_of(bench), row_of(bench, threads=2, comparison=apart)]
    rows[1]["theirs"]["warm"] = False
    about = {"date": "", "machine": "", "versions": ""}
    record = {"about": about, "quick": False, "failures": [], "threads": [1, 2], "rows": rows}
    first, second = bench.report.markdown(record).split("## 2 threads: time")
    assert "residuals met" in first
    assert "residuals **not met**" in second
    assert "cold" not in first
    assert second.count("**cold**") == 2  # time and memory


def test_wanted_ratio_is_judged_only_on_its_inputs(bench):
    case = bench.cases.BY_NAME["pca20_fft"]
    row = row_of(bench, ratio=case.at_least - 1)
    assert bench.report.verdict(row) == f"**below {case.at_least:g}**"
    assert "met" in bench.report.verdict({**row, "ratio": case.at_least + 1})
    assert bench.report.verdict({**row, "ratio": case.aim}) == f"aim {case.aim:g} met"
    assert bench.report.verdict({**row, "input": "betapic"}) == ""


def test_numbers_keep_their_leading_digits(bench):
    shown = [bench.report.short(value) for value in (1234.5, 0.01234, 1.2e-6, 0.0, None)]
    assert shown == ["1234", "0.0123", "1.20e-06", "0", "-"]


# ------------------------------------------------------------------ long runs


@pytest.fixture
def program(project_root, monkeypatch):
    """Import a program of tests/bench by its name."""
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def load(name):
        path = project_root / "tests" / "bench" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"{name}_under_test", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_only_the_plot_of_false_alarms_goes_into_the_documentation(program, tmp_path, monkeypatch):
    module = program("false_alarms")
    monkeypatch.setattr(module, "KINDS", {"white": module.KINDS["white"]})
    monkeypatch.setattr(module, "ProcessPoolExecutor", ThreadPoolExecutor)
    tables, figures = tmp_path / "results", tmp_path / "figures"
    words = ["--seeds", "2", "--output", str(tables), "--figures", str(figures)]
    module.main(words)
    assert [path.name for path in figures.iterdir()] == ["false_alarms.svg"]
    assert {path.suffix for path in tables.iterdir()} == {".md", ".json"}


def test_figures_of_the_documentation_are_no_pages(project_root):
    found = {path.suffix for path in (project_root / "docs" / "figures").iterdir()}
    assert found == {".svg"}


@pytest.mark.parametrize("name", ["method_bias", "companion_bias"])
def test_a_record_that_a_kill_cut_short_is_made_again(program, tmp_path, monkeypatch, name):
    module = program(name)
    if name == "method_bias":
        made, given = "measured", (module.Case("irdis", "pca", "adi", 1, 0, 1.0), tmp_path)
        keep = module.kept
    else:
        made, given, keep = "made", (1, tmp_path), module.night
    monkeypatch.setattr(module, made, lambda *_: {"seconds": 1.5})

    def killed(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            keep(*given)
    assert keep(*given) == {"seconds": 1.5}
    (record,) = tmp_path.glob("*.json")
    assert json.loads(record.read_text(encoding="utf-8")) == {"seconds": 1.5}
