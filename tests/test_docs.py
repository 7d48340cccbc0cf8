"""Docs: links that lead somewhere, blocks of commands that say whether they run, dependencies that are used.

`make docs-test` runs the commands; here are only its own tests, on pages that they write.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from common.errors import UserError
from common.provenance import ROOT
from tools import dependencies, docs, doctor

PAGES = [*docs.pages(), ROOT / "CHANGELOG.md", ROOT / "rtl" / "README.md"]


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    tokens = MarkdownIt().parse(page.read_text())
    titles = [tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> list[str]:
    """Targets of links and pictures."""
    found = []
    for token in MarkdownIt().enable("table").parse(page.read_text()):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target:
                found.append(target)
    return found


def broken(page: Path) -> list[str]:
    """Links of a page to files or headings that there are not."""
    found = []
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert broken(page) == []


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](none.md) [b](#a-title) [c](#b) ![d](x.svg)\n\n| t |\n|---|\n| [e](y.md) |\n")
    assert broken(page) == ["none.md", "#b", "x.svg", "y.md"]


@pytest.mark.parametrize("page", docs.pages(), ids=lambda page: page.name)
def test_commands_say_whether_they_run(page):
    docs.blocks(page)


def test_targets_and_variables_in_the_docs_exist():
    from tools.commands import TARGETS

    for page in docs.pages():
        for name, rest in re.findall(r"\bmake ([a-z][a-z-]*)((?: [A-Z][A-Z_0-9]*=[^\s`]*)*)`", page.read_text()):
            assert name in TARGETS, f"{page.name}: make {name}"
            for variable in re.findall(r"([A-Z][A-Z_0-9]*)=", rest):
                assert variable in {o.spelled for o in TARGETS[name].options}, f"{page.name}: make {name} {variable}="


def test_workflows_run_targets_that_exist():
    from tools.commands import TARGETS

    files = sorted((ROOT / ".github/workflows").glob("*.yml"))
    commands = [c for file in files for c in re.findall(r"run: make ([^\n]+)", file.read_text())]
    assert len(files) == 2 and len(commands) > 8
    for command in commands:
        name, *words = command.split()
        assert {w.partition("=")[0] for w in words} <= {o.spelled for o in TARGETS[name].options}, command


def test_how_blocks_are_read(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\ntrue\n```\n```sh needs cifar10, osu018\nls\n```\n```sh not run: slow\nls\n```\n```\nls\n```\n"
    )
    found = docs.blocks(page)
    assert [(b.line, b.needs, b.reason) for b in found] == [
        (1, (), ""),
        (4, ("cifar10", "osu018"), ""),
        (7, (), "slow"),
    ]
    for text, fault in (("```sh maybe\nls\n```\n", "known: sh"), ("```\nmake sim\n```\n", "not marked sh")):
        page.write_text(text)
        with pytest.raises(UserError, match=fault):
            docs.blocks(page)


def test_a_failing_command_fails(tmp_path, capsys):
    root = tmp_path / "root"
    (root / ".venv").mkdir(parents=True)
    (root / "file").write_text("x")
    for command in (["init", "-q"], ["add", "file"], ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "c"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\ntest -f file && touch made\n```\n```sh\nls made\nls none\ntrue\n```\n```sh not run: why\nx\n```\n"
    )
    assert docs.run_page(page, root) == {"passed": 1, "failed": 2, "skipped": 1}
    told = capsys.readouterr().out
    assert "the checkout is not as it was:\n         ?? made" in told
    assert "exit code 2" in told and "why" in told and "none" in told
    assert not (root / "made").exists()


def test_dependencies_page_is_current():
    assert dependencies.PAGE.read_text() == dependencies.page(), "run: .venv/bin/python -m tools.dependencies"


def test_every_requirement_is_used():
    found = dependencies.used(dependencies.sources())
    assert [pin.name for pin in doctor.pins() if doctor.normal(pin.name) not in found] == []


def test_an_unused_requirement_is_found(tmp_path):
    source = tmp_path / "a.py"
    source.write_text("import numpy\nfrom PIL import Image\nimport importlib\nimportlib.import_module('torch.nn')\n")
    assert {"numpy", "pillow", "torch"} <= (found := dependencies.used([source])) and "altair" not in found
