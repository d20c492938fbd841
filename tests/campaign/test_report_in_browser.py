"""The report in a real browser: nothing fails, every picture decodes, nothing overflows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest
from synthetic_root import PLAN, make_root

from spheredc_hpc.campaign.report import write_report

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    # Every name is unknown: a page that asked for anything would complain on its console.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
PROBE = """
<script>
addEventListener("load", async function () {
  var pictures = Array.from(document.querySelectorAll("svg image"), function (element) {
    return new Promise(function (done) {
      var picture = new Image();
      picture.onload = function () { done(picture.naturalWidth); };
      picture.onerror = function () { done(0); };
      picture.src = element.getAttribute("href");
    });
  });
  var widths = await Promise.all(pictures);
  var page = document.documentElement;
  var drawings = Array.from(document.querySelectorAll("figure > svg"), function (svg) {
    return svg.getBoundingClientRect();
  });
  drawings[0] && document.querySelector("figure > svg").dispatchEvent(new MouseEvent("click"));
  var found = {
    widths: widths,
    view: page.clientWidth,
    content: page.scrollWidth,
    drawings: drawings.map(function (box) { return [box.left, box.right, box.height]; }),
    zoomed: document.querySelector("dialog").open,
    resources: performance.getEntriesByType("resource").map(function (entry) {
      return entry.name.slice(0, 40);
    })
  };
  var result = document.createElement("pre");
  result.id = "probe";
  result.textContent = JSON.stringify(found);
  parent.document.body.appendChild(result);
});
</script>
</body>
"""


@dataclass(frozen=True)
class Seen:
    """What the browser saw: the answers of the probe and the lines of its console."""

    answers: dict[str, Any]
    console: list[str]


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"NO BROWSER: none of {', '.join(BROWSERS)} is installed; nothing was checked")
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    make_root(root)
    return write_report(root, PLAN)


@pytest.fixture(params=[(1280, "light"), (400, "light"), (1280, "dark")], ids=str)
def seen(
    request: pytest.FixtureRequest, browser: str, report: Path, tmp_path: Path
) -> tuple[int, Seen]:
    width, scheme = request.param
    page = tmp_path / "page.html"
    text = report.read_text(encoding="utf-8")
    assert text.count("</body>") == 1
    # A window has a least width of some 500 px, so the page is shown in a frame of its own.
    inner = escape(text.replace("</body>", PROBE))
    frame = f'<iframe style="border: 0; width: {width}px; height: 900px" srcdoc="{inner}"></iframe>'
    page.write_text(f"<!doctype html><meta charset='utf-8'>{frame}", encoding="utf-8")
    command = [
        browser,
        *FLAGS,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1400,1000",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        "--virtual-time-budget=20000",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(  # noqa: S603 a browser found on the path, fixed options
        command, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, flags=re.S)
    assert answers is not None, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return width, Seen(json.loads(unescape(answers[1])), console)


def test_report_works_offline_at_every_width(seen: tuple[int, Seen]) -> None:
    width, view = seen
    answers = view.answers
    assert view.console == []
    assert [name for name in answers["resources"] if not name.startswith("data:")] == []
    assert answers["widths"]
    assert min(answers["widths"]) > 0
    assert answers["view"] == width
    assert answers["content"] <= width
    for left, right, height in answers["drawings"]:
        assert 0 <= left < right <= width
        assert height > 0
    assert answers["zoomed"] is True
