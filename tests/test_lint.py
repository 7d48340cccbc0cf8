"""Both linters complain about what is wrong, and about nothing in a sound unit."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken_rtl import broken_rtl

from tb.control.build import ROOT, prepare_environment
from tb.lint import slang_complaints, units, verilator_complaints

CONTROL = "array/stream_control.sv"
SKEW = "array/delay_triangle.sv"


def test_sound_unit_passes_both(tmp_path: Path) -> None:
    prepare_environment()
    unit = units(ROOT / "rtl", tmp_path)[0]
    assert slang_complaints(unit, ROOT / "rtl") == ""
    assert verilator_complaints(unit, ROOT / "rtl") == ""


@pytest.mark.parametrize(
    ("file", "old", "new", "word"),
    [
        (CONTROL, "Latency'({valid_q, a_beat})", "{valid_q, a_beat}", "width-trunc"),
        (CONTROL, "= last_q[Latency-1];", "= last_q[Latency];", "index"),
        (SKEW, "assign line =", "assing line =", "ERROR"),
    ],
)
def test_slang_complains(tmp_path: Path, file: str, old: str, new: str, word: str) -> None:
    prepare_environment()
    rtl = broken_rtl(tmp_path, file, {old: new}, once=False)
    complaint = slang_complaints(units(rtl, tmp_path)[0], rtl)
    assert word in complaint
    assert Path(file).name in complaint
