"""The regression itself: it passes on the design and fails on broken ones."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.encoding import export_package, load_encoding
from tb.runner import ROOT, prepare_environment
from tb.suites import APPROXIMATE

# what is broken: file, text in it, what it becomes, what must show in the report
MUTANTS = {
    "flipped gate": ("mult/enc_mult.sv", "gen_wire[X].y ^ gen_wire[Y].y", "~gen_wire[X].y ^ gen_wire[Y].y", "expected"),
    "off-by-one count": (
        "accum/bit_counter.sv",
        "count_o = row0 + row1;",
        "count_o = row0 + row1 + CountWidth'(bits_i[0]);",
        "expected",
    ),
}


def run_suite(rtl: Path, out: Path, *options: str) -> tuple[int, dict, str]:
    """Exit code, sim.json and printed text of the tiny suite on the design in `rtl`."""
    command = [sys.executable, "-m", "tb.runner", "--suite", "tiny", "--rtl", str(rtl), "--out", str(out)]
    command += ["--no-rerun", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    report = out / "reports" / "sim.json"
    return done.returncode, json.loads(report.read_text()) if report.exists() else {}, done.stdout + done.stderr


@pytest.fixture
def copy_of_rtl(tmp_path: Path) -> Path:
    """A copy of the design that a test may break."""
    return Path(shutil.copytree(ROOT / "rtl", tmp_path / "rtl"))


def test_design_passes(copy_of_rtl: Path, tmp_path: Path) -> None:
    code, report, text = run_suite(copy_of_rtl, tmp_path / "build")
    assert code == 0, text
    assert report["totals"]["failed"] == 0
    assert report["totals"]["matches"] > 500
    assert {test["name"] for test in report["tests"]} == {"array_smoke_corners", "array_random_back_pressure"}


@pytest.mark.parametrize("name", MUTANTS)
def test_broken_design_fails(name: str, copy_of_rtl: Path, tmp_path: Path) -> None:
    file, old, new, shown = MUTANTS[name]
    path = copy_of_rtl / file
    text = path.read_text()
    assert text.count(old) >= 1, f"{file} no longer has {old!r}: mend this test"
    path.write_text(text.replace(old, new, 1))
    must_fail(copy_of_rtl, tmp_path / "build", shown)


def test_wrong_position_weight_fails(copy_of_rtl: Path, tmp_path: Path) -> None:
    encoding = load_encoding(APPROXIMATE)
    weights = (encoding.weights[0] // 2, *encoding.weights[1:])
    export_package(dataclasses.replace(encoding, weights=weights), copy_of_rtl / "encodings")
    must_fail(copy_of_rtl, tmp_path / "build", "expected")


def must_fail(rtl: Path, out: Path, shown: str, *options: str) -> None:
    """The regression fails on this design, because of what it computed, and says `shown`."""
    code, report, printed = run_suite(rtl, out, *options)
    assert code != 0, printed
    failed = [test for test in report["tests"] if test["status"] != "passed"]
    assert failed
    assert all(test["name"] != "build" for test in failed), printed  # it was simulated, not refused
    assert any(shown in test["message"] for test in failed), printed


def test_no_test_executed_is_a_failure(copy_of_rtl: Path, tmp_path: Path) -> None:
    code, _, printed = run_suite(copy_of_rtl, tmp_path / "build", "--test", "no_such_test")
    assert code != 0
    assert "no test" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--encoding", "nothing"], "unknown encoding 'nothing'"),
        (["--sim", "modelsim"], "unknown simulator 'modelsim'"),
        (["--array", "tpu"], "unknown array 'tpu'"),
        (["--suite", "all"], "unknown suite 'all'"),
    ],
)
def test_bad_choice_is_one_line(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tb.runner", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_missing_simulator_is_one_line(tmp_path: Path) -> None:
    prepare_environment()
    environment = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tb.runner",
            "--sim",
            "icarus",
            "--suite",
            "smoke",
            "--array",
            "conv",
            "--out",
            str(tmp_path),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "simulator 'icarus' is not installed" in done.stdout + done.stderr
