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
import yaml  # FuseSoC brings it
from pyslang import driver

from common.provenance import ROOT
from tb.control.build import prepare_environment
from tb.lint import SLANG_WAIVED, SLANG_WARNINGS

LIST = ROOT / "rtl" / "encmac.f"
EXAMPLE = sorted((ROOT / "examples" / "array").glob("*.sv"))
BY_LIST = [*LIST.read_text().splitlines(), *(path.relative_to(ROOT).as_posix() for path in EXAMPLE)]
TILE = sorted((ROOT / "examples" / "tile").glob("*.sv"))
BENDER_PACKAGE, BENDER_GROUP = {"name", "authors"}, {"target", "include_dirs", "defines", "files"}
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


def bender_sources(text: str, targets: set[str]) -> list[str]:
    """What `bender script flist` gives for a manifest: include folders and files of the groups without a target and of
    those whose target is asked for, in order. Of a target only a name is known here, of sources only groups.
    """
    manifest = yaml.safe_load(text)
    assert set(manifest) <= {"package", "export_include_dirs", "sources"} and set(manifest["package"]) <= BENDER_PACKAGE
    found: list[str] = []
    for group in manifest["sources"]:
        assert set(group) <= BENDER_GROUP, f"a group of sources has {sorted(set(group) - BENDER_GROUP)}"
        if group.get("target") in {None, *targets}:
            found += [f"+incdir+{folder}" for folder in group.get("include_dirs", [])]
            found += group["files"]
    return found


def run_example(root: Path, out: Path, files: list[str]) -> subprocess.CompletedProcess:
    """Build the example from a list of files and run it."""
    listing = out.with_suffix(".f")
    listing.write_text("".join(f"{line}\n" for line in files))
    command = ["iverilog", "-g2012", "-s", "example_tb", "-o", str(out), "-f", str(listing)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return subprocess.run(["vvp", str(out)], capture_output=True, text=True, timeout=1200)


@needs_icarus
def test_example_from_the_list_of_files(tmp_path: Path) -> None:
    done = run_example(ROOT, tmp_path / "example.vvp", BY_LIST)
    assert done.returncode == 0 and "PASS: 320 sums equal integer products" in done.stdout


@needs_icarus
@pytest.mark.parametrize(("encoding", "passes"), [("exact36", True), ("m14p", False)])
def test_example_with_another_encoding(tmp_path: Path, encoding: str, passes: bool) -> None:
    """What a weight alone adds is in the package: exact encodings with f(a) and g(w) pass, others are no integers."""
    for part in ("rtl", "examples"):
        shutil.copytree(ROOT / part, tmp_path / part)
    for file in (tmp_path / "examples/array").glob("*.sv"):
        file.write_text(file.read_text().replace("exact64_pkg", f"{encoding}_pkg"))
    files = [line.replace("exact64_pkg", f"{encoding}_pkg") for line in BY_LIST]
    done = run_example(tmp_path, tmp_path / "example.vvp", files)
    assert (done.returncode == 0 and "PASS: 320 sums" in done.stdout) == passes
    assert passes or "expected" in done.stdout


@needs_icarus
def test_example_from_benders_manifest(tmp_path: Path) -> None:
    files = bender_sources((ROOT / "Bender.yml").read_text(), {"encmac_example"})
    assert all((ROOT / path.removeprefix("+incdir+")).exists() for path in files)
    done = run_example(ROOT, tmp_path / "example.vvp", files)
    assert done.returncode == 0 and "PASS: 320 sums equal integer products" in done.stdout


def test_targets_of_benders_manifest() -> None:
    text = (ROOT / "Bender.yml").read_text()
    alone, tile = (bender_sources(text, targets) for targets in (set(), {"encmac_tile"}))
    assert [path for path in alone if path.endswith(".sv")] == listed(LIST.read_text())
    assert tile == [*alone, *(path.relative_to(ROOT).as_posix() for path in TILE)]
    with pytest.raises(AssertionError, match=r"has \['file'\]"):
        bender_sources(text.replace("files:", "file:"), set())


@needs_icarus
def test_example_sees_a_broken_adder(tmp_path: Path) -> None:
    for part in ("rtl", "examples"):
        shutil.copytree(ROOT / part, tmp_path / part)
    adder = tmp_path / "rtl/accum/full_adder.sv"
    text = adder.read_text()
    adder.write_text(re.sub(r"x_i \^ y_i \^ z_i", "x_i ^ y_i | z_i", text))
    assert adder.read_text() != text
    done = run_example(tmp_path, tmp_path / "example.vvp", BY_LIST)
    assert done.returncode != 0 and "PASS" not in done.stdout and "expected" in done.stdout


def fusesoc(root: Path, target: str, folder: Path) -> subprocess.CompletedProcess:
    """Run a target of encmac.core as found below `root`."""
    prepare_environment()
    main = importlib.import_module("fusesoc.main").__name__
    command = [sys.executable, "-m", main, "--cores-root", str(root), "run", "--target", target, "encmac"]
    env = os.environ | {"XDG_CACHE_HOME": str(folder), "XDG_DATA_HOME": str(folder), "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=1200)


@needs_icarus
@pytest.mark.parametrize("target", ["lint", "sim"])
def test_example_from_fusesoc(tmp_path: Path, target: str) -> None:
    done = fusesoc(ROOT, target, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert target == "lint" or "PASS: 320 sums equal integer products" in done.stdout + done.stderr


def test_tile_behind_interfaces(tmp_path: Path) -> None:
    """Verilator's lint is part of the build."""
    done = fusesoc(ROOT, "tile", tmp_path)
    assert done.returncode == 0 and "PASS: 48 sums and 48 int8 results" in done.stdout + done.stderr, done.stderr


def test_tile_testbench_sees_crossed_columns(tmp_path: Path) -> None:
    for part in ("rtl", "examples"):
        shutil.copytree(ROOT / part, tmp_path / part)
    shutil.copy(ROOT / "encmac.core", tmp_path)
    top = tmp_path / "examples/tile/tile_accelerator.sv"
    text = top.read_text()
    top.write_text(re.sub(r"\(array_y.tdata\)(?=,\n.*s_axis_array_y_tvalid)", "({<<32{array_y.tdata}})", text))
    assert top.read_text() != text
    done = fusesoc(tmp_path, "tile", tmp_path)
    assert done.returncode != 0 and "expected" in done.stdout + done.stderr and "PASS" not in done.stdout


@pytest.mark.parametrize("example", ["array", "tile"])
def test_lint_of_debians_verilator(example: str) -> None:
    """What a user without our Python environment has on PATH."""
    program = Path("/usr/bin/verilator")
    told = subprocess.run([program, "--version"], capture_output=True, text=True).stdout if program.is_file() else ""
    if "5.006" not in told:
        pytest.skip("needs Debian 12's Verilator 5.006 (/usr/bin/verilator)")
    top, files = {"array": ("example_tb", EXAMPLE), "tile": ("tile_tb", TILE)}[example]
    command = [program, "--lint-only", "--timing", "-Wall", "-Wno-SYNCASYNCNET", "--top-module", top, "rtl/encmac.vlt"]
    env = {name: value for name, value in os.environ.items() if name != "VERILATOR_ROOT"}
    done = subprocess.run([*command, "-f", LIST, *files], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr


def slang_accepts(files: list[Path]) -> bool:
    """True if slang finds no error and nothing to warn of, with the testbench at the top."""
    words = [f"-W{name}" for name in SLANG_WARNINGS] + [f"-Wno-{name}" for name in SLANG_WAIVED]
    words += ["-Werror", f"-I{ROOT / 'rtl'}", "--top", "tile_tb"]
    words += [str(ROOT / path) for path in listed(LIST.read_text())]
    slang = driver.Driver()
    slang.addStandardArgs()
    assert slang.parseCommandLine(" ".join(["slang", *words, *map(str, files)]))
    assert slang.processOptions() and slang.parseAllSources()
    slang.reportCompilation(slang.createCompilation(), True)
    return slang.reportDiagnostics(True)


def test_slang_takes_the_interfaces(tmp_path: Path) -> None:
    assert slang_accepts(TILE)
    narrow = tmp_path / "tile_tb.sv"
    narrow.write_text(TILE[-1].read_text().replace("axis_if #(.Width(128)) axis_p", "axis_if #(.Width(120)) axis_p"))
    assert not slang_accepts([*TILE[:-1], narrow])


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
