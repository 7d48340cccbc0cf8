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

from models.provenance import ROOT
from tb.build import prepare_environment

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
    return subprocess.run(["vvp", str(out)], capture_output=True, text=True, timeout=120)


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
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert tool == "lint" or "PASS: 320 sums equal integer products" in done.stdout + done.stderr
