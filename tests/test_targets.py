"""make help and mistyped variables: tools/targets.py reads the Makefile's comments."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from models.provenance import ROOT
from tools import targets

MAKEFILE = (ROOT / "Makefile").read_text()


def make(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    """Run make as a user would."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(["make", *words], cwd=folder, env=environment, capture_output=True, text=True)


def variables_of(text: str) -> set[str]:
    """Variables that a recipe uses, through others of the Makefile, less those that the Makefile sets."""
    own = dict.fromkeys(re.findall(r"^(\w+) [:+]?=", MAKEFILE, re.MULTILINE), "")
    for name, value in re.findall(r"^(\w+) [:+]?= (.*)$", MAKEFILE, re.MULTILINE):
        own[name] += value
    used: set[str] = set()
    for name in re.findall(r"\$\(([A-Z][A-Z_0-9]*)\)", text) + re.findall(r"\(if \$\(([A-Z_0-9]+)\)", text):
        used |= variables_of(own[name]) if name in own else {name}
    return used - {"MAKE"}


@pytest.mark.parametrize("name", targets.targets())
def test_help_tells_the_variables_of_the_recipe(name):
    recipe = re.search(rf"^{name}:.*\n((?:\t.*\n?)+)", MAKEFILE, re.MULTILINE).group(1)
    assert set(targets.targets()[name].variables) == variables_of(recipe)


def test_help_is_short_and_whole():
    done = make()
    assert done.returncode == 0 and done.stdout == make("help").stdout
    lines = done.stdout.splitlines()
    assert len(lines) <= 45 and max(map(len, lines)) <= 100
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE).group(1).split()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == phony == list(targets.targets())


def test_help_of_a_target():
    done = make("help", "FOR=sim")
    assert "\n  DUT=rtl|gate\n" in done.stdout and "-m tb.runner --help" in done.stdout
    assert make("help", "FOR=smi").stderr.startswith("encmac: error: no target 'smi'; did you mean sim?")


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("sim", "ARAY=enc"), "make sim: unknown variable ARAY; did you mean ARRAY?"),
        (("sim", "array=enc"), "make sim: unknown variable array; did you mean ARRAY?"),
        (("accuracy", "NET=a b", "COLOUR=1"), "make accuracy: unknown variable COLOUR; it knows "),
        (("lint", "X=1"), "make lint: unknown variable X; it has no variables"),
        (("help", "TARGET=sim"), "make help: unknown variable TARGET; it knows FOR"),
    ],
)
def test_a_mistyped_variable_is_one_line(words, fault):
    done = make(*words)
    assert done.returncode == 2 and done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith(f"encmac: error: {fault}") and second.startswith("make: ***")


def test_names_in_makeflags():
    assert targets.given(r" --no-print-directory -- NET=a\ b=c TEST= ENCODING:=$$x") == ["NET", "TEST", "ENCODING"]
    assert targets.given("k -j2 --jobserver-auth=3,4") == []
    # of several goals each may use a variable
    assert targets.variable_fault("sim", ["sim", "replay"], ["COLS"]) == ""
    assert "COLS" in targets.variable_fault("sim", ["sim"], ["COLS"])
