"""The house: which room may import which, what a command does not import, no function that is too long to read."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.provenance import ROOT

# What each room may import besides itself; what is not named here may import anything. A name with a dot is one module.
ALLOWED = {
    "common": (),
    "models": ("common", "tools.options"),
    # netlists are simulated with the cells, and in the form, of the flow that maps them
    "tb": ("common", "models", "tools.options", "flows.cells", "flows.gls", "flows.platform", "flows.synth.netlist"),
    "flows": ("common", "models", "tools.options"),
}
# The report reads records: nothing of it may measure anew.
REPORT = ("flows.synth", "flows.power", "flows.gls", "flows.sta", "flows.formal", "flows.openroad", "flows.rules")
ROOMS = ("bench", "common", "examples", "flows", "models", "tb", "tests", "tools")
LONGEST = 70  # lines of a function


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Line and full name of every module, or name of a module, that a source imports, wherever it does so."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def within(name: str, modules: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


def wrong_ways(root: Path) -> list[str]:
    """Imports against the direction of the rooms, as "file:line imports name"."""
    found = []
    for room, allowed in ALLOWED.items():
        for path in sorted((root / room).rglob("*.py")):
            name = path.relative_to(root)
            for line, module in imported(path.read_text()):
                ours = module.split(".")[0] in ROOMS
                measures = name.parts[:2] == ("flows", "report") and within(module, REPORT)
                if measures or (ours and not within(module, (room, *allowed))):
                    found.append(f"{name.as_posix()}:{line} imports {module}")
    return found


def long_functions(root: Path) -> list[str]:
    """Functions of more than LONGEST lines."""
    found = []
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                    lines = node.end_lineno - node.lineno + 1
                    if lines > LONGEST:
                        found.append(f"{path.relative_to(root).as_posix()}: {node.name} has {lines} lines")
    return found


def test_rooms_import_one_way() -> None:
    assert sum(len(list((ROOT / room).rglob("*.py"))) for room in ALLOWED) > 100
    assert wrong_ways(ROOT) == []


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("models/a.py", "from flows.platform import load_platform"),
        ("models/search/a.py", "def f():\n    import tb.env.bench"),
        ("models/a.py", "from tools import figures"),
        ("flows/a.py", "from tb.control import suites"),
        ("flows/report/a.py", "from flows.synth import measure"),
        ("tb/a.py", "from flows.power.circuit import classify"),
        ("common/a.py", "from models.encoding import Encoding"),
    ],
)
def test_an_import_against_the_direction_is_seen(tmp_path: Path, place: str, line: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    (told,) = wrong_ways(tmp_path)
    assert told.startswith(f"{place}:") and told.endswith(line.split()[-1])


HEAVY = {"torch", "matplotlib", "scipy", "onnx", "distributed"}  # a second or so each


def loaded(*arguments: str) -> set[str]:
    """What Python imports when it is run so, by top level package."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    return {name.partition(".")[0] for name in re.findall(r"^import time:[^|]*\|[^|]*\| *(\S+)$", done.stderr, re.M)}


def test_make_help_takes_the_standard_library_alone() -> None:
    found = loaded("-S", "tools/options.py", "help")
    assert "argparse" in found and not found & {*HEAVY, "numpy", "cocotb", "tqdm"}


@pytest.mark.parametrize(
    "module", ["models.accuracy", "models.search", "tb.replay", "tb.runner", "flows.synth", "flows.explore"]
)
def test_commands_start_without_what_they_may_not_need(module: str) -> None:
    found = loaded("-m", module, "--help")
    assert "numpy" in found and not found & HEAVY


def test_a_command_that_loads_torch_is_seen() -> None:
    assert "torch" in loaded("-m", "models.train", "--help")


def test_functions_can_be_read_at_once(tmp_path: Path) -> None:
    assert long_functions(ROOT) == []
    (tmp_path / "models").mkdir()
    (tmp_path / "models/a.py").write_text("def f():\n" + "    x = 1\n" * LONGEST)
    assert long_functions(tmp_path) == [f"models/a.py: f has {LONGEST + 1} lines"]
