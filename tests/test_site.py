"""What the documentation site is made of; `make docs` builds it, with tools that these tests do without."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from common.errors import UserError
from common.provenance import ROOT
from tools import site


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    """The pages as MkDocs gets them, with a report."""
    reports = tmp_path_factory.mktemp("reports")
    (reports / "report.html").write_text("a report")
    place = tmp_path_factory.mktemp("site") / "pages"
    site.assemble(place, reports)
    return place


def test_every_page_is_in_the_menu_and_the_menu_has_no_others(pages):
    menu = set(re.findall(r"[\w/.-]+\.(?:md|ipynb)$", site.CONFIG.read_text(), re.MULTILINE))
    there = {str(p.relative_to(pages)) for p in (*pages.rglob("*.md"), *pages.rglob("*.ipynb"))}
    assert menu == {name for name in there if not name.startswith("api/")}


def test_links_lead_to_files_that_came_along(pages):
    for page in site.sources():
        for path in site.linked(page):
            assert (pages / path.relative_to(ROOT)).is_file(), f"{page.name}: {path}"
    assert (pages / "rtl/mult/enc_mult.sv").is_file() and (pages / "docs/dataflow.svg").is_file()


def test_commands_are_blocks(pages):
    assert "```sh not run" in (ROOT / "README.md").read_text()
    assert not re.search(r"^```sh ", (pages / "README.md").read_text(), re.MULTILINE)


def test_the_api_has_every_public_module(pages):
    text = "".join(page.read_text() for page in (pages / "api").glob("*.md"))
    for name in ("models.encoding", "models.search.anneal", "flows.explore", "tb.env.scoreboard", "models.quant.graph"):
        assert f"::: {name}\n" in text
    assert "tb.tests" not in text and "._" not in text
    index = (pages / "api/index.md").read_text()
    assert set(re.findall(r"\]\(([\w.]+\.md)\)", index)) == {p.name for p in (pages / "api").glob("*.md")} - {
        "index.md"
    }


def test_the_report_comes_along_or_is_told_to_be_absent(pages, tmp_path):
    assert (pages / "report.html").read_text() == "a report" and "(report.html)" in (pages / "latest.md").read_text()
    site.write_report(tmp_path, tmp_path / "none")
    assert "No report was there" in (tmp_path / "latest.md").read_text()


def test_a_warning_of_the_builder_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(site, "BUILD", tmp_path)
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\n[ "$5" = --strict ] && exit 1\nexit 0\n')
    fake.chmod(0o755)
    monkeypatch.setattr(site, "tools", lambda folder: fake)
    with pytest.raises(UserError, match="the site was not built"):
        site.build(tmp_path / "html", tmp_path, False)


def test_tools_are_pinned_and_kept(monkeypatch, tmp_path):
    lines = [line for line in site.REQUIREMENTS.read_text().splitlines() if not line.startswith("#")]
    assert lines and all(re.match(r"[\w-]+==[\w.]+ +# ", line) for line in lines)
    assert not {line.partition("==")[0] for line in lines} & {pin.partition("==")[0] for pin in own_pins()}
    (tmp_path / ".requirements").write_text(f"{sys.version}\n{site.REQUIREMENTS.read_text()}")
    assert site.tools(tmp_path) == tmp_path / "bin" / "python"  # nothing is installed again


def own_pins() -> list[str]:
    """Lines of the project's own requirements."""
    return (ROOT / "requirements.txt").read_text().splitlines()
