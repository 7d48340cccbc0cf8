"""The report in a real browser: both themes, a narrow window, filters; a console error or a request fails it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.provenance import ROOT
from tests.example_records import write_records

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; run: make setup")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WINDOWS = {"light": ("light", 1280), "dark": ("dark", 1280), "phone": ("light", 390)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A report of made-up records."""
    place = write_records(tmp_path_factory.mktemp("build") / "reports")
    subprocess.run([sys.executable, "-m", "flows.report", "--reports", place, "--quiet"], cwd=ROOT, check=True)
    return place


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed; apt-get install chromium")
    with sync_api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield running
        running.close()


class Watched:
    """A page and what it should not do: errors on the console, exceptions, requests of other files."""

    def __init__(self, browser, path: Path, scheme: str = "light", width: int = 1280) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.faults: list[str] = []
        self.page.on("console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda r: self.faults.append(r.url) if r.url.startswith(("http", "ws")) else None)
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-drawn]", timeout=600_000)


@pytest.mark.parametrize("window", WINDOWS)
def test_page_is_whole_in_every_window(window, folder, browser, tmp_path):
    scheme, width = WINDOWS[window]
    watched = Watched(browser, folder / "report.html", scheme, width)
    page = watched.page
    kept = os.environ.get("ENCMAC_SCREENSHOTS")
    picture = Path(kept or tmp_path) / f"report-{window}.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 50_000
    assert page.locator("figure .chart svg").count() == page.locator("figure").count() == 9
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    red, green, blue = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)")
    assert (max(red, green, blue) < 60) == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page must not scroll sideways"
    wide = page.evaluate(
        "Math.max(...[...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect().width))"
    )
    assert wide <= width
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.wait_for_timeout(200)
    cut = """[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1)
        .map(e => e.innerText.slice(0, 60))"""
    assert page.evaluate(cut) == [], "tables that do not fit"
    for text in page.locator("figure svg .role-legend text").all():
        box = text.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, f"legend cut: {text.text_content()}"
    assert watched.faults == []


def test_menus_filters_theme_and_hover_work(folder, browser):
    watched = Watched(browser, folder / "report.html")
    page = watched.page
    figure = page.locator("#figure-accuracy_area")
    dots = figure.locator("path[aria-roledescription=point]")
    before = dots.count()
    figure.locator("select[name=network]").select_option("resnet_made_up")
    page.wait_for_function(
        "n => document.querySelectorAll('#figure-accuracy_area path[aria-roledescription=point]').length < n",
        arg=before,
    )
    assert dots.count() == 6  # five encodings and int8
    dots.first.hover()
    assert "resnet_made_up" in page.locator("#vg-tooltip-element").inner_text()
    with page.expect_download() as download:
        figure.locator("button[data-save=csv]").click()
    assert Path(download.value.path()).read_text() == (folder / "figures/accuracy_area.csv").read_text()
    rows = page.locator("#tests-rows > tr:visible")
    assert rows.count() == 12
    page.locator("form[data-rows] select[name=status]").select_option("failed")
    assert rows.count() == 1
    rows.first.locator("summary").click()
    assert rows.first.locator("pre").first.inner_text().startswith("make sim SEED=1")
    page.locator("#theme").click()
    page.wait_for_selector("html[data-theme=dark][data-drawn]")
    assert page.locator("figure .chart svg").count() == 9
    assert watched.faults == []


def test_a_console_error_and_a_request_are_noticed(folder, browser, tmp_path):
    broken = tmp_path / "broken.html"
    text = (folder / "report.html").read_text()
    broken.write_text(
        text.replace("</main>", "</main><script>console.error('x'); fetch('http://127.0.0.1:9/')</script>")
    )
    watched = Watched(browser, broken)
    assert "x" in watched.faults
    assert any("127.0.0.1:9" in fault for fault in watched.faults)


def test_page_of_no_records(browser, tmp_path):
    subprocess.run([sys.executable, "-m", "flows.report", "--reports", tmp_path, "--quiet"], cwd=ROOT, check=True)
    watched = Watched(browser, tmp_path / "report.html")
    assert watched.page.get_by_text("Not run.").count() >= 7
    assert watched.faults == []
