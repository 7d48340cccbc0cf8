"""Layout scripts: what can be checked without OpenROAD: syntax, order of steps, missing parts, reading of figures."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flows.openroad import layout_script, read_figures, run_layout
from flows.platform import PLATFORMS, load_platform
from models.errors import UserError

STEPS = """
read_lef read_liberty read_verilog link_design read_sdc set_wire_rc initialize_floorplan make_tracks insert_tiecells
tapcell pdngen global_placement place_pins estimate_parasitics repair_design detailed_placement clock_tree_synthesis
repair_clock_nets set_propagated_clock repair_timing pin_access global_route filler_placement detailed_route
report_power
"""
FIGURES = """noise
encmac begin figures
Design area 14631 u^2 56% utilization.
worst slack {max}0.12
worst slack {min}0.03
Group                  Internal  Switching    Leakage      Total
Total                  2.00e-03   3.00e-03   7.00e-04   5.70e-03 100.0%
encmac end figures
"""


@pytest.fixture
def platform(tmp_path: Path, request: pytest.FixtureRequest):
    """A platform's folder with files of its own in place of the library's."""
    if not Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib").is_file():
        pytest.skip("needs a Liberty file (make setup)")
    for file in ("tech.lef", "cells.lef"):
        (tmp_path / file).write_text("VERSION 5.8 ;\n")
    shutil.copy(PLATFORMS / request.param / "openroad.tcl", tmp_path)
    return dataclasses.replace(load_platform("osu018"), folder=tmp_path, lef=("tech.lef", "cells.lef"))


@pytest.mark.skipif(not shutil.which("tclsh"), reason="tclsh is not installed")
@pytest.mark.parametrize("platform", ["nangate45", "sky130hd", "asap7"], indirect=True)
def test_steps_come_in_order(tmp_path: Path, platform) -> None:
    """A Tcl shell in which every command of OpenROAD only says its name."""
    netlist = tmp_path / "netlist.v"
    netlist.write_text("module column_top(clk_i, y_o_0);\nendmodule\n")
    script = layout_script(netlist, "column_top", platform, 2.5, tmp_path / "out", None, "dut")
    driver = tmp_path / "driver.tcl"
    driver.write_text(f"proc unknown {{args}} {{ puts $args; return {{}} }}\nsource {{{script}}}\n")
    done = subprocess.run(["tclsh", driver], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said = [line.split()[0] for line in done.stdout.splitlines()]
    first = [said.index(step) for step in STEPS.split()]
    assert first == sorted(first)
    assert "tech.lef" in done.stdout and str(platform.liberty) in done.stdout
    assert "create_clock -name clock -period 2.5" in (tmp_path / "out" / "layout.sdc").read_text()

    # a procedure that the platform lacks must be seen
    text = (tmp_path / "openroad.tcl").read_text()
    (tmp_path / "openroad.tcl").write_text(text.replace("proc set_taps {} {", "proc set_taps {} {{"))
    assert subprocess.run(["tclsh", driver], capture_output=True, text=True, timeout=60).returncode != 0


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_missing_parts_are_one_line(tmp_path: Path, platform, monkeypatch: pytest.MonkeyPatch) -> None:
    netlist = tmp_path / "netlist.v"
    arguments = ("column_top", platform, 2.5, tmp_path / "out", None, "dut")
    with pytest.raises(UserError, match="netlist.v does not exist; run make synth"):
        layout_script(netlist, *arguments)
    netlist.write_text("module other(clk_i);\nendmodule\n")
    with pytest.raises(UserError, match="has no module column_top"):
        layout_script(netlist, *arguments)
    netlist.write_text("module column_top(clk_i);\nendmodule\n")
    script = layout_script(netlist, *arguments)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="openroad is not on PATH; build it"):
        run_layout(script)
    # a tool that ends early, one that leaves violations
    tool = tmp_path / "openroad"
    tool.write_text("#!/bin/sh\necho '[ERROR DRT-0305] no tie cell'\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin")
    with pytest.raises(UserError, match=r"layout failed: \[ERROR DRT-0305\] no tie cell"):
        run_layout(script)
    (script.parent / "drc.rpt").write_text("violation type: Short\n")
    tool.write_text(f"#!/bin/sh\ncat <<'E'\n{FIGURES.format(max='', min='')}E\n")
    with pytest.raises(UserError, match="1 violations of design rules"):
        run_layout(script)
    with pytest.raises(UserError, match=r"openroad.tcl does not exist: platform osu018 has no layout"):
        layout_script(netlist, "column_top", dataclasses.replace(platform, folder=PLATFORMS / "osu018"), *arguments[2:])


@pytest.mark.parametrize("words", [("", ""), ("max ", "min ")])
def test_figures_of_old_and_new_versions(words: tuple[str, str]) -> None:
    found = read_figures(FIGURES.format(max=words[0], min=words[1]))
    assert (found["area_um2"], found["wns_ns"], found["hold_wns_ns"]) == (14631.0, 0.12, 0.03)
    assert found["power_mw"]["total"] == 5.7
    with pytest.raises(UserError, match="OpenROAD printed no area"):
        read_figures("encmac begin figures\nworst slack 0.1\nencmac end figures")
