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
from broken_rtl import broken_rtl

from common.errors import UserError
from models.encoding import Encoding, Gate, export_package, load_encoding
from tb.control.build import ROOT, prepare_environment
from tb.control.suites import APPROXIMATE, chosen, with_test

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


def test_design_passes(copy_of_rtl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVERAGE", "1")  # as make hands it on
    code, report, text = run_suite(copy_of_rtl, tmp_path / "build")
    assert code == 0, text
    assert report["totals"]["failed"] == 0
    assert report["totals"]["matches"] > 500
    assert {test["name"] for test in report["tests"]} == {"array_smoke_corners", "array_random_back_pressure"}


@pytest.mark.parametrize("name", MUTANTS)
def test_broken_design_fails(name: str, tmp_path: Path) -> None:
    file, old, new, shown = MUTANTS[name]
    must_fail(broken_rtl(tmp_path, file, {old: new}, once=False), tmp_path / "build", shown)


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
    assert "unknown test of this choice 'no_such_test'" in printed


def test_a_test_that_other_designs_run_is_told_from_one_that_is_unknown() -> None:
    conventional = chosen("smoke", "icarus", "conv", None, None)
    with pytest.raises(UserError, match=r"TEST=tile_register_access is a test, but no design .* these do: '.*tile"):
        with_test(conventional, "tile_register_access")
    with pytest.raises(UserError, match="unknown test of this choice 'tile_register_acces_'"):
        with_test(conventional, "tile_register_acces_")


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
        [sys.executable, "-m", "tb.runner", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=1200
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
        timeout=1200,
    )
    assert done.returncode != 0
    assert "simulator 'icarus' is not installed" in done.stdout + done.stderr


# suite, what is broken: file, text in it, what it becomes, what must show in the report
OPTIONAL_PARTS = {
    "throughput": (
        "tiny-shadow",
        "array/stream_control.sv",
        "s_axis_w_tready = !loaded_q && swapping_q == '0",
        "s_axis_w_tready = !loaded_q && !open_q && swapping_q == '0",
        "cycles; at least 98%",
    ),
    "swap a cycle late": (
        "tiny-shadow",
        "array/array_stage.sv",
        "swap = w_swap_i & {Groups{advance_i}}",
        "swap = w_swap_o & {Groups{advance_i}}",
        "neither 0 nor 1",
    ),
    "swap while weights still move": (
        "tiny-shadow",
        "array/stream_control.sv",
        "swapping_q <= CountWidth'(SwapCycles)",
        "swapping_q <= '0",
        "expected",
    ),
    "position weight out of range taken": (
        "tiny-programmable",
        "accum/position_weights.sv",
        "weight_i == 32'($signed(weight_i[15:0]))",
        "weight_i == weight_i",
        "taken without an error",
    ),
    "sign of a programmed weight": (
        "tiny-programmable",
        "accum/position_multiplier.sv",
        " ^ (p - j == Digits - 1)",
        " ^ 1'b0",
        "expected",
    ),
    "f(a) not added": ("tiny", "array/enc_column.sv", ".z_i    (f_i)", ".z_i    ({Width{1'b0}})", "expected"),
    "f(a) in the library": (
        "tiny-library",
        "mult/enc_mult.sv",
        "~(gen_wire[X].y | gen",
        "(gen_wire[X].y | gen",
        "m12p",
    ),
}


@pytest.mark.parametrize("suite", ["tiny-shadow", "tiny-programmable", "tiny-library"])
def test_optional_parts_pass(suite: str, tmp_path: Path) -> None:
    code, report, text = run_suite(ROOT / "rtl", tmp_path / "build", "--suite", suite)
    assert code == 0, text
    assert report["totals"]["matches"] > 100


@pytest.mark.parametrize("name", OPTIONAL_PARTS)
def test_broken_optional_part_fails(name: str, tmp_path: Path) -> None:
    suite, file, old, new, shown = OPTIONAL_PARTS[name]
    must_fail(broken_rtl(tmp_path, file, {old: new}, once=False), tmp_path / "build", shown, "--suite", suite)


def encoded_operands() -> Encoding:
    """Gates before the registers of both operands, as no encoding of the library has them; f(a), g(w)."""
    gates = (
        Gate("xor", 1, 2),  # 16: of the activation
        Gate("nor", 0, 7),  # 17: of the activation
        Gate("xor", 8, 9),  # 18: of the weight
        Gate("andnot", 15, 10),  # 19: of the weight
        *(Gate("and", a, w) for a in (16, 17) for w in (18, 19)),  # 20..23
        Gate("xor", 3, 18),  # 24
    )
    return Encoding(
        "coded",
        gates,
        bits=(20, 21, 22, 23, 24),
        weights=(8, -4, 5, 16, -3),
        stored=(16, 17, 18, 19),
        shared=((17, 6), (4, -9), (19, 7)),
    )


@pytest.mark.parametrize(
    ("file", "old"),
    [("", ""), ("array/mac_array.sv", "a_plain[g*8*Group+:8*Group])"), ("array/array_stage.sv", "w_i[c*8+:8])")],
    ids=["sound", "activation encoder", "weight encoder"],
)
def test_encoders_before_the_registers(file: str, old: str, tmp_path: Path) -> None:
    encoding = encoded_operands()
    assert encoding.operands == ((3, 16, 17), (18, 19))
    path = tmp_path / "coded.json"
    encoding.save(path)
    if not file:
        code, report, text = run_suite(ROOT / "rtl", tmp_path / "build", "--encoding", os.path.relpath(path, ROOT))
        assert code == 0 and report["totals"]["matches"] > 500, text
        return
    rtl = broken_rtl(tmp_path, file, {f".in_i({old}": f".in_i(~{old}"})
    must_fail(rtl, tmp_path / "build", "expected", "--encoding", str(path))
