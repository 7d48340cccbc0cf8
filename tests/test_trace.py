"""Waves of a failed test name the module or register in which the first wrong value appears."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from broken_rtl import broken_rtl

from common.errors import UserError
from tb.control.build import prepare_environment
from tb.control.run import Options, run
from tb.control.suites import SUITES, WAVES, Config
from tb.control.trace import first_fault

(SMALL,) = SUITES["tiny"]
SHADOW = dataclasses.replace(SMALL, shadow=True)
# file, what stands there, what it becomes, design, what must be told, part of the instance
FAULTS = {
    "adder": (
        "accum/full_adder.sv",
        "sum_o   = x_i ^ y_i ^ z_i",
        "sum_o   = (x_i | y_i) ^ z_i",
        SMALL,
        "first wrong in waves: full_adder at ",
        "u_full_adder",
    ),
    "register of activations": (
        "array/array_stage.sv",
        "if (advance_i) a_q <= a_i;",
        "if (advance_i) a_q <= a_i & ~(ABits * Rows)'(1);",
        SMALL,
        "first wrong in waves: array_stage, activations at ",
        "a_q should take a_i",
    ),
    "final addition": (
        "array/enc_column.sv",
        "y_o <= row0 + row1;",
        "y_o <= row0 | row1;",
        SMALL,
        "first wrong in waves: enc_column, final addition at ",
        "u_column, ",
    ),
    "weights in use": (
        "array/enc_group.sv",
        "if (w_swap_i) w_q <= shift_q;",
        "w_q <= shift_q;",
        SHADOW,
        "first wrong in waves: enc_group, weights in use at ",
        "w_q should keep its value",
    ),
    "control": (
        "array/stream_control.sv",
        "advance_o       = !m_axis_y_tvalid || m_axis_y_tready;",
        "advance_o       = 1'b1;",
        SMALL,
        "keep to their contracts; look at control (stream_control)",
        "full_adder",
    ),
}


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulators as the regression has them; with this variable cocotb's runner would judge by itself."""
    prepare_environment()
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)


@pytest.mark.parametrize("name", FAULTS)
def test_the_first_wrong_place_is_named(name: str, tmp_path: Path) -> None:
    file, old, new, design, told, place = FAULTS[name]
    rtl = broken_rtl(tmp_path, file, {old: new})
    test = "random_back_pressure$" if name == "control" else "corners$"
    found = run(design, Options(suite="tiny", seed=1, test=test, rtl=rtl, out=tmp_path / "build", limit_s=600))
    failed = next(o for o in found if not o.passed)
    assert told in failed.message and place in failed.message, failed.message


@pytest.mark.parametrize("design", SUITES["tiny-conv"])
def test_nothing_is_wrong_in_waves_of_a_design_that_is_right(design: Config, tmp_path: Path) -> None:
    design = dataclasses.replace(design, instrument=WAVES)
    options = Options(suite="tiny-conv", seed=1, test="random_back_pressure$", out=tmp_path, limit_s=600)
    (found,) = run(design, options)
    assert found.passed, found.message
    (waves,) = tmp_path.rglob("*.fst")
    assert "keep to their contracts" in first_fault(waves), first_fault(waves)


def test_a_file_that_is_no_wave_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "waves.fst").write_bytes(b"half a file")
    with pytest.raises(UserError, match=r"waves.fst cannot be read"):
        first_fault(tmp_path / "waves.fst")
