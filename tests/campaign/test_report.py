"""What the report of a run says, and that it needs nothing but itself."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import warnings
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic_products import COMPANIONS, level1_cube, level2_images
from synthetic_root import FLAT, ODD_TARGET, PLAN, RECIPES, _draft, make_root

from spheredc_hpc.campaign.report import write, write_report
from spheredc_hpc.errors import ConfigError, ResourceError
from spheredc_hpc.model.association import Association
from spheredc_hpc.model.quality import FLAGS
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.codec import read_record, write_record
from spheredc_hpc.store.cube import write_cube
from spheredc_hpc.store.images import write_images


@dataclass
class Page(HTMLParser):
    """Ids, references and text of a page."""

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "action", "data"):
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def parse(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("root")
    names = make_root(root)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("error", UserWarning)
        write_report(root, PLAN)
    return root, names


@pytest.fixture(scope="module")
def source(made: tuple[Path, dict[str, str]]) -> str:
    return (made[0] / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(made: tuple[Path, dict[str, str]]) -> Page:
    return parse(made[0] / "report.html")


@pytest.fixture(scope="module")
def facts(made: tuple[Path, dict[str, str]]) -> dict:
    return json.loads((made[0] / "report.json").read_text(encoding="utf-8"))


@pytest.fixture
def fresh(made: tuple[Path, dict[str, str]], tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Give a copy of the root that a test may damage."""
    root = tmp_path / "copy"
    shutil.copytree(made[0], root)
    for record in (root / "quarantine").iterdir():
        record.write_text(record.read_text().replace(str(made[0]), str(root)), encoding="utf-8")
    return root, made[1]


@pytest.fixture
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the figures out, for speed."""
    monkeypatch.setattr(write, "MAX_DRAWN", 0)


def test_page_asks_for_nothing_from_outside(source: str, page: Page) -> None:
    assert not [link for link in page.links if not link.startswith(("#", "data:"))]
    assert not re.search(r"https?://|file:|@import|url\((?!#)", source)
    assert not {"iframe", "object", "embed", "base"} & set(page.tags)


def test_every_link_has_its_target_and_ids_are_unique(page: Page) -> None:
    targets = {link[1:] for link in page.links if link.startswith("#")}
    assert targets <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_every_picture_decodes(source: str) -> None:
    pictures = re.findall(r'href="data:image/png;base64,([^"]+)"', source)
    # Raw, Level 1, PSF, then per recipe S/N of the stack, image, corrected, two S/N maps, and
    # four thumbnails; each with its colour bar. The failed observation has its raw plane too.
    assert len(pictures) == 2 * (3 + len(RECIPES) * 5 + 4 + 1)
    for picture in pictures:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            image.load()


def test_flags_are_shown_with_their_meaning(page: Page) -> None:
    for flag in ("BG_MISSING", "CENTER_ASSUMED", "FLAT_AGE"):
        assert flag in page.text
        assert FLAGS[flag] in page.text


def test_files_that_serve_nothing_are_listed_with_their_reason(page: Page) -> None:
    for name, reason in (
        ("odd.fits", "no rule for DPR TYPE LAMP,STRANGE"),
        ("cut.fits", "100 of 8388 blocks"),
        ("acq.fits", "acquisition image"),
        ("lone.fits", "no science with it"),
    ):
        assert name in page.text
        assert reason in page.text
    assert "2 files are copies of others" in page.text


def test_a_missing_calibration_is_named_with_its_keys_and_consequence(page: Page) -> None:
    assert "zero is subtracted from FLUX frames" in page.text
    assert "DIT 4.00 s, DB_H23" in page.text


def test_refused_candidates_and_relaxed_keys_are_shown(page: Page) -> None:
    assert "DIT 32.00 s, wanted 64.00 s" in page.text
    assert "not matched: readmode" in page.text
    assert "acceptable" in page.text


def test_a_rejected_observation_shows_its_reason_and_nothing_else(
    made: tuple[Path, dict[str, str]], facts: dict
) -> None:
    rejected = next(o for o in facts["observations"] if o["id"] == made[1]["rejected"])
    assert rejected["status"] == "rejected"
    assert rejected["reasons"] == ["1 science plane, wanted 2"]
    assert rejected["level2"] == []


def test_a_failure_shows_message_log_and_what_to_do(page: Page, facts: dict) -> None:
    failure = facts["failures"][0]
    assert failure["message"] == "raw/x.fits: its pixels changed"
    assert failure["log"].endswith("/level1.log")
    assert failure["try_again"] in page.text
    assert failure["exit_code"] == 3


def test_text_of_headers_and_settings_is_escaped(source: str, page: Page) -> None:
    assert "<b>x" not in source
    assert "&lt;b&gt;x&amp;y" in source
    assert ODD_TARGET in page.text
    assert page.tags.count("script") == 1


def test_sources_have_their_injected_values(facts: dict, page: Page) -> None:
    reduced = next(o for o in facts["observations"] if o["level2"] and o["level2"][0]["sources"])
    for level2 in reduced["level2"]:
        for found, (_, angle, contrast, snr) in zip(level2["sources"], COMPANIONS, strict=True):
            assert found["position_angle_deg"] == angle
            assert found["contrast"] == list(contrast)
            assert found["snr"] == snr
    assert "410.00 \N{PLUS-MINUS SIGN} 0.70" in page.text
    # -2.5 log10(2.1e-4)
    assert "9.19 mag" in page.text


def test_header_facts_are_those_of_the_cube(facts: dict) -> None:
    level1 = next(o for o in facts["observations"] if o["level1"]["shape"])["level1"]
    assert level1["shape"] == [2, 34, 96, 96]
    # 64 deg between the first and the last middle, 0.75 deg more at either end.
    assert level1["rotation_deg"] == pytest.approx(65.5, abs=1e-9)
    assert level1["exposure_s"] == 34 * 64
    assert level1["airmass"] == pytest.approx(1.12)


def test_time_and_memory_of_every_job_are_shown(facts: dict, page: Page) -> None:
    runs = [level2["product"]["run"] for o in facts["observations"] for level2 in o["level2"]]
    stages = {name for run in runs if run for name in run["stages_s"]}
    assert stages == {"contrast", "subtract"}
    assert "resample" in page.text
    assert "Peak memory" in page.text


@pytest.mark.usefixtures("_undrawn")
def test_snakemake_benchmarks_are_read(fresh: tuple[Path, dict[str, str]]) -> None:
    root, names = fresh
    path = root / "benchmarks" / names["reduced"] / f"level2.{RECIPES[0]}.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("s\th:m:s\tmax_rss\n12.5\t0:00:12\t812.25\n", encoding="utf-8")
    output = write_report(root, PLAN)
    report = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    reduced = next(o for o in report["observations"] if o["id"] == names["reduced"])
    run = reduced["level2"][0]["product"]["run"]
    assert run["job_wall_s"] == 12.5
    # Snakemake's column is in MiB, whatever its manual says.
    assert run["job_max_rss_mb"] == pytest.approx(812.25 * 1.048576)


def test_equal_inputs_give_equal_bytes_wherever_the_root_lies(
    made: tuple[Path, dict[str, str]], fresh: tuple[Path, dict[str, str]], source: str
) -> None:
    output = write_report(fresh[0], PLAN, fresh[0] / "other.html")
    assert output.read_text(encoding="utf-8") == source
    first = (made[0] / "report.json").read_bytes()
    assert output.with_suffix(".json").read_bytes() == first


@pytest.mark.usefixtures("_undrawn")
def test_a_page_that_would_not_change_is_left_alone(
    fresh: tuple[Path, dict[str, str]],
) -> None:
    output = write_report(fresh[0], PLAN)
    before = output.stat().st_mtime_ns
    write_report(fresh[0], PLAN)
    assert output.stat().st_mtime_ns == before


@pytest.mark.usefixtures("_undrawn")
def test_observations_beyond_the_limit_say_that_they_are_not_drawn(
    fresh: tuple[Path, dict[str, str]],
) -> None:
    page = parse(write_report(fresh[0], PLAN))
    assert "Figures are drawn for the first observations of a plan only" in page.text
    assert "svg" not in page.tags


def test_a_raw_file_that_is_gone_is_said_to_be_gone(
    fresh: tuple[Path, dict[str, str]],
) -> None:
    root, names = fresh
    shutil.rmtree(root / "observations" / names["reduced"] / "level2")
    lose_raw_files(root)
    text = parse(write_report(root, PLAN)).text
    assert "The raw file is no longer there: /nowhere/gone.fits" in text


def lose_raw_files(root: Path) -> None:
    for path in (root / "plan" / PLAN / "associations").glob("*.json"):
        association = read_record(Association, path)
        frames = {
            role: tuple(replace(ref, path="/nowhere/gone.fits") for ref in refs)
            for role, refs in association.frames.items()
        }
        write_record(replace(association, frames=frames), path)


@pytest.mark.usefixtures("_undrawn")
def test_a_job_that_left_only_an_error_in_its_log_failed(
    fresh: tuple[Path, dict[str, str]],
) -> None:
    root, names = fresh
    product = f"observations/{names['reduced']}/level2/{RECIPES[1]}"
    (root / product / "receipt.json").unlink()
    log = root / "logs" / names["reduced"] / f"level2.{RECIPES[1]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("Traceback\nspheredc: unexpected KeyError: 'x'\n", encoding="utf-8")
    output = write_report(root, PLAN)
    report = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    reduced = next(o for o in report["observations"] if o["id"] == names["reduced"])
    (failed,) = [x["product"] for x in reduced["level2"] if x["product"]["id"] == product]
    assert (failed["status"], failed["reasons"]) == (
        "failed",
        ["spheredc: unexpected KeyError: 'x'"],
    )
    assert "unexpected KeyError" in parse(output).text


@pytest.mark.usefixtures("_undrawn")
def test_failures_of_other_plans_are_not_those_of_this_one(
    fresh: tuple[Path, dict[str, str]],
) -> None:
    root, _ = fresh
    values = {"product": "observations/elsewhere/level1", "error": "DataError", "message": "bad"}
    (root / "quarantine" / "elsewhere.json").write_text(json.dumps(values), encoding="utf-8")
    output = write_report(root, PLAN)
    report = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    assert [failure["error"] for failure in report["failures"]] == ["DataError"]
    assert "elsewhere" not in parse(output).text


@pytest.mark.usefixtures("_undrawn")
def test_a_page_that_cannot_be_written_is_a_lack_of_resources(
    made: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot write"):
        write_report(made[0], PLAN, tmp_path / "file" / "page.html")


@pytest.mark.usefixtures("_undrawn")
def test_a_damaged_receipt_is_said_to_be_damaged(fresh: tuple[Path, dict[str, str]]) -> None:
    root, names = fresh
    path = root / "observations" / names["reduced"] / "level1" / "receipt.json"
    path.write_text(path.read_text().replace("halo", "hole"), encoding="utf-8")
    output = write_report(root, PLAN)
    report = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    reduced = next(o for o in report["observations"] if o["id"] == names["reduced"])
    assert reduced["status"] == "damaged"
    assert "its digest does not match" in parse(output).text


def test_unreadable_images_are_said_to_be_damaged(fresh: tuple[Path, dict[str, str]]) -> None:
    root, names = fresh
    base = root / "observations" / names["reduced"] / "level2"
    shutil.rmtree(base / RECIPES[0] / "level2.zarr" / "snr")
    for recipe in RECIPES[1:]:
        shutil.rmtree(base / recipe)
    (root / FLAT / "calibration.fits").write_bytes(b"nothing")
    report = write_report(root, PLAN).with_suffix(".json").read_text(encoding="utf-8")
    reduced = next(o for o in json.loads(report)["observations"] if o["id"] == names["reduced"])
    assert reduced["level2"][0]["product"]["status"] == "damaged"


def test_products_without_any_number_still_give_a_page(
    fresh: tuple[Path, dict[str, str]],
) -> None:
    root, names = fresh
    base = f"observations/{names['reduced']}"
    cube = level1_cube(32, 8)
    empty = replace(
        cube,
        **{
            name: np.full_like(getattr(cube, name), np.nan)
            for name in ("science", "psf", "centre_px", "ao", "quality", "mjd", "derotation_deg")
        },
        attrs={},
    )
    for recipe in RECIPES[1:]:
        shutil.rmtree(root / base / "level2" / recipe)
    images = level2_images(33, companions=())
    blank = replace(
        images,
        **{
            name: np.full_like(getattr(images, name), np.nan)
            for name in (
                "image",
                "image_corrected",
                "image_snr",
                "image_contrast",
                "snr_gaussian",
                "contrast",
                "throughput",
                "transmission",
                "fwhm_px",
            )
        },
        attrs={},
    )
    with receipts.writing(root / base / "level1", _draft("level1", f"{base}/level1")) as writer:
        write_cube(empty, writer.path / "cube.zarr")
    product = f"{base}/level2/{RECIPES[0]}"
    with receipts.writing(root / product, _draft("level2", product)) as writer:
        write_images(blank, writer.path / "level2.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("error", UserWarning)
        text = parse(write_report(root, PLAN)).text
    assert "No source is claimed." in text
    assert "no contrast curve" in text
    assert "no data" in text


def test_a_plan_without_anything_gives_a_page(tmp_path: Path) -> None:
    (tmp_path / "plan" / "empty").mkdir(parents=True)
    text = parse(write_report(tmp_path, "empty")).text
    assert "The plan holds no observation." in text


def test_an_unknown_plan_is_refused_by_name(made: tuple[Path, dict[str, str]]) -> None:
    with pytest.raises(ConfigError, match=r"has no plan 'nights'; it has: night"):
        write_report(made[0], "nights")
