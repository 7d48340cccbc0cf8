"""Faults planted in the tile engine, and those of the examples beside the project: a named test sees each."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from broken_rtl import broken_rtl
from planted_faults import Fault, planted

from tb.control.build import ROOT, prepare_environment
from tb.control.run import Options, run
from tb.control.suites import Config
from tb.reporting.results import Outcome

DESIGNS, FAULTS = planted()
EXAMPLES = ROOT.parent / "shared" / "cases" / "verification"
# a patch, the test that sees it, the design
SEEN_BY = {
    "S01_sat_accum": ("tile_sums_wrap", "engine"),
    "S03_kcount8": ("tile_k_tiles_long", "shadow"),
    "S05_tile_swapped": ("tile_progress", "engine"),
    "S06_cycles": ("tile_counters", "engine"),
    "S08_w1c_strobe": ("tile_errors_bits", "engine"),
    "S11_rw_collision": ("tile_register_collisions", "engine"),
    "S12_y_open": ("tile_sets_stalled", "engine"),
    "S20_index8": ("array_programmed_bits", "programmable"),
    "S22_latency": ("array_latency", "array"),
    "S38_bank_late": ("tile_sets_stalled", "engine"),
    "S49_clear_wins": ("array_programmed_bits", "programmable"),
    "S52_errors_busy": ("tile_errors_collisions", "engine"),
    "S70_sync_reset": ("tile_async_reset", "engine"),
}
IN_BRIEF = ("clearing ignores strobes", "TILE exchanged", "K tiles in 8 bits", "drops 256 beats at most")


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulators as the regression has them; with this variable cocotb's runner would judge by itself."""
    prepare_environment()
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)


def outcomes(design: Config, test: str, rtl: Path, out: Path) -> list[Outcome]:
    """What tests say of a design."""
    options = Options(suite="tile", seed=1, test=test, rtl=rtl, out=out, rerun=False, limit_s=600)
    return run(dataclasses.replace(design, tests=".*"), options)


def must_be_seen(design: Config, test: str, rtl: Path, out: Path) -> None:
    """A test fails; neither the build nor the simulator as a whole does."""
    found = outcomes(design, test, rtl, out)
    failed = [o.name for o in found if not o.passed]
    assert failed, f"{test} passes"
    assert not {"build", "simulation"} & set(failed), found[0].message


@pytest.mark.parametrize("name", SEEN_BY)
@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no examples of faults beside the project")
def test_example_is_seen(name: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "rtl", tmp_path / "rtl")
    patch = ["patch", "--quiet", "--fuzz=3", "-p1", "-i", EXAMPLES / f"{name}.patch"]
    subprocess.run(patch, cwd=tmp_path, check=True, timeout=1200)
    test, design = SEEN_BY[name]
    must_be_seen(DESIGNS[design], f"{test}$", tmp_path / "rtl", tmp_path / "build")


@pytest.mark.parametrize(
    "fault",
    [f for f in FAULTS if os.environ.get("ENCMAC_PLANTED") == "all" or f.name in IN_BRIEF],
    ids=lambda fault: fault.name,
)
def test_planted_fault_is_seen(fault: Fault, tmp_path: Path) -> None:
    rtl = broken_rtl(tmp_path, fault.file, fault.changes, once=False)
    must_be_seen(fault.design, fault.test, rtl, tmp_path / "build")


# what only an assertion would have to say: design, test, file, text in it, what it becomes, the words
ASSERTIONS = {
    "result of an array": (
        "array",
        "back_pressure",
        "array/stream_control.sv",
        "= !m_axis_y_tvalid || m_axis_y_tready;",
        "= 1'b1;",
        "a result changed before it was taken",
    ),
    "weights of a tile": (
        "engine",
        "smoke",
        "tile/tile_engine.sv",
        ".length_i     (16'(Rows))",
        ".length_i     (16'(Rows - 1))",
        "s_axis_w_tlast must come with weight row 3 of a tile",
    ),
    "weights after a reset": (
        "shadow",
        "smoke",
        "array/stream_control.sv",
        "swapping_q <= '0;",
        "swapping_q <= CountWidth'(1);",
        "no weights are taken after a reset",
    ),
    "result of an engine": (
        "engine",
        "sets_stalled",
        "tile/skid_buffer.sv",
        "full_q ? data_q : s_axis_tdata",
        "s_axis_tdata",
        "a result changed before it was taken",
    ),
}


@pytest.mark.parametrize("name", ASSERTIONS)
def test_assertion_fails_in_icarus_too(name: str, tmp_path: Path) -> None:
    design, test, file, old, new, words = ASSERTIONS[name]
    (found,) = outcomes(DESIGNS[design], test, broken_rtl(tmp_path, file, {old: new}), tmp_path / "build")
    assert not found.passed and "FATAL: " in found.message and words in found.message


def test_sound_design_passes(tmp_path: Path) -> None:
    for design, tests in (("array", "latency|async"), ("engine", "progress|errors_bits|sets_stalled")):
        found = outcomes(DESIGNS[design], tests, ROOT / "rtl", tmp_path / "build")
        assert found and all(o.passed for o in found)
