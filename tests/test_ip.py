"""The RTL in a design of somebody else: the lists of files agree, and the example runs from each of them."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.provenance import ROOT
from tb.control.build import prepare_environment

LIST = ROOT / "rtl" / "encmac.f"
EXAMPLE = sorted((ROOT / "examples" / "array").glob("*.sv"))
needs_icarus = pytest.mark.skipif(not shutil.which("iverilog"), reason="needs Icarus Verilog (make setup)")


def listed(text: str) -> list[str]:
    """Paths of SystemVerilog files below rtl/ in a list, in their order."""
    return re.findall(r"\brtl/[\w/]+\.sv\b", text)


def test_lists_of_files_agree_with_the_folder() -> None:
    files = listed(LIST.read_text())
    parts = ("mult", "accum", "array", "tile")
    there = [path.relative_to(ROOT).as_posix() for part in parts for path in (ROOT / "rtl" / part).glob("*.sv")]
    assert sorted(files) == sorted([*there, "rtl/encmac_pkg.sv", "rtl/encodings/exact64_pkg.sv"])
    for other in ("encmac.core", "Bender.yml"):
        assert listed((ROOT / other).read_text()) == files, f"{other} and rtl/encmac.f list different files"


def run_example(root: Path, out: Path) -> subprocess.CompletedProcess:
    """Build the example by the list of files and run it."""
    sources = [str(path.relative_to(ROOT)) for path in EXAMPLE]
    command = ["iverilog", "-g2012", "-s", "example_tb", "-o", str(out), "-f", "rtl/encmac.f", *sources]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return subprocess.run(["vvp", str(out)], capture_output=True, text=True, timeout=1200)


@needs_icarus
def test_example_from_the_list_of_files(tmp_path: Path) -> None:
    done = run_example(ROOT, tmp_path / "example.vvp")
    assert done.returncode == 0 and "PASS: 320 sums equal integer products" in done.stdout


@needs_icarus
def test_example_sees_a_broken_adder(tmp_path: Path) -> None:
    for part in ("rtl", "examples"):
        shutil.copytree(ROOT / part, tmp_path / part)
    adder = tmp_path / "rtl/accum/full_adder.sv"
    text = adder.read_text()
    adder.write_text(re.sub(r"x_i \^ y_i \^ z_i", "x_i ^ y_i | z_i", text))
    assert adder.read_text() != text
    done = run_example(tmp_path, tmp_path / "example.vvp")
    assert done.returncode != 0 and "PASS" not in done.stdout and "expected" in done.stdout


@needs_icarus
@pytest.mark.parametrize("tool", ["lint", "sim"])
def test_example_from_fusesoc(tmp_path: Path, tool: str) -> None:
    prepare_environment()
    main = importlib.import_module("fusesoc.main").__name__
    command = [sys.executable, "-m", main, "--cores-root", str(ROOT), "run", "--target", tool, "encmac"]
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert tool == "lint" or "PASS: 320 sums equal integer products" in done.stdout + done.stderr


ROWS, COLS = "mac_array: Rows must be a positive multiple", "mac_array: Cols must be a positive multiple"
NONE = "enc_column: Encoding must be the ENCODING of a package that this version exported"
SIZES, HEAP = "tile_engine: Rows, Cols and Depth must be 1..65535", "more than 65,535 bits are added at once"


@needs_icarus
@pytest.mark.parametrize(
    ("top", "macro", "parameters", "message"),
    [
        ("array_top", "ENCODED", {"Rows": 0, "Cols": 1, "RowsPerGroup": 2}, ROWS),
        ("array_top", "ENCODED", {"Rows": 0, "Cols": 1, "RowsPerGroup": 2, "Merged": 1}, ROWS),
        ("array_top", "ENCODED", {"Rows": 2, "Cols": 1, "RowsPerGroup": 4, "Merged": 1}, ROWS),
        ("array_top", "ENCODED", {"Rows": 2, "Cols": 0}, COLS),
        ("array_top", "ENCODED", {"Rows": 2, "Cols": 2, "ColsPerStage": 0}, COLS),
        ("array_top", "ARRAY_CONV", {"Rows": 0, "Cols": 1}, ROWS),
        ("mac_array", "ENCODED", {"Rows": 2, "Cols": 2}, NONE),
        ("mac_array", "ENCODED", {"Rows": 2, "Cols": 2, "Merged": 1}, NONE),
        ("tile_top", "ARRAY_CONV", {"Rows": 0, "Cols": 1}, SIZES),
        ("tile_top", "ARRAY_CONV", {"Rows": 1, "Cols": 1, "Depth": 0}, SIZES),
        # in 16 bits these would be 0 and 4,464
        ("position_decoder", "ENCODED", {"Lanes": 65536}, HEAP),
        ("position_decoder", "ENCODED", {"Lanes": 70000}, HEAP),
        ("bit_counter", "ENCODED", {"Rows": 65536, "CountWidth": 17}, HEAP),
    ],
)
def test_sizes_that_cannot_be_are_refused_in_words(
    top: str, macro: str, parameters: dict[str, int], message: str, tmp_path: Path
) -> None:
    """By both simulators: Icarus when it starts to run, Verilator when it reads."""
    prepare_environment()
    tops = {"array_top": ("array_top",), "tile_top": ("array_top", "tile_top")}.get(top, ())
    files = [f for f in listed(LIST.read_text()) if "encodings" not in f]
    files = [files[0], "rtl/encodings/m12p_pkg.sv", *files[1:], *(f"tb/hdl/{name}.sv" for name in tops)]
    defines = [f"-D{macro}", "-DENCODING_PKG=m12p_pkg"]
    given = [f"-P{top}.{name}={value}" for name, value in parameters.items()]
    command = ["iverilog", "-g2012", "-Irtl", *defines, "-s", top, *given, "-o", tmp_path / "a.vvp", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(["vvp", "-n", tmp_path / "a.vvp"], capture_output=True, text=True, timeout=1200)
    assert done.returncode != 0 and message in done.stdout + done.stderr
    given = [f"-G{name}={value}" for name, value in parameters.items()]
    command = ["verilator", "--lint-only", "-Wno-lint", "-Irtl", *defines, "--top-module", top, *given, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode != 0 and message in done.stderr
