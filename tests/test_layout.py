"""Layout: what can be checked without OpenROAD: syntax, order of steps, refusals, reading of logs, SPEF and SDF."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import lzma
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import UserError
from common.store import Store
from flows.openroad import (
    Late,
    Plan,
    Unroutable,
    layout_script,
    picture,
    read_figures,
    read_spef,
    routed,
    routed_power,
    run_layout,
    run_openroad,
)
from flows.openroad.__main__ import Made, in_time, main, one_netlist
from flows.openroad.picture import boxes
from flows.openroad.routed import UTILIZATIONS, block_of, chosen, highest, lay_out, wires_of
from flows.platform import PLATFORMS, load_platform, plain
from flows.power.measure import Conditions
from flows.synth.__main__ import measure as synthesise
from flows.synth.array import Array
from flows.synth.measure import forms
from flows.synth.netlist import ROOT
from models.replay import Capture, load_capture

STEPS = """
read_lef read_liberty read_verilog link_design set_wire_rc set_cmd_units read_sdc initialize_floorplan make_tracks
insert_tiecells tapcell pdngen set_io_pin_constraint place_pins repair_tie_fanout estimate_parasitics repair_design
detailed_placement clock_tree_synthesis repair_clock_nets set_propagated_clock repair_timing pin_access global_route
detailed_route filler_placement write_sdf report_worst_slack
"""
# slack is repaired with the wires of global routes, then what moved is routed again
ROUTING = """
pin_access global_route estimate_parasitics repair_timing repair_timing global_route detailed_placement check_placement
global_route repair_antennas estimate_parasitics worst_slack worst_slack detailed_route check_antennas repair_antennas
detailed_route check_antennas check_antennas filler_placement
"""
# every command of OpenROAD only says its name, and has found 1
STAND_IN = """proc unknown {args} { puts $args; return 1 }
foreach name {set_io_pin_constraint insert_tiecells repair_tie_fanout check_antennas read_saif report_clock_latency} {
  proc $name args "puts \\"$name \\$args\\""
}
# 31 nets after the first routing, none after the second
set nets 32; proc check_antennas {} { puts check_antennas; incr ::nets -1; expr {$::nets > 30} }
"""
MENDED = "check_antennas repair_antennas\ndetailed_route check_antennas "  # what the real wires still leave
FIGURES = """[INFO CTS-0018]     Created 17 clock buffers.
Total wire length = 100 um.
Total wire length = 115700 um.
[INFO ANT-0002] Found 0 net violations.
encmac begin figures
core 100.13 200.2
diodes 225 2.5024
worst slack {max}0.12
worst slack {min}0.03
 0.2000    0.1900 network latency
encmac end figures
"""
NETLIST = """module column_top(clk_i, a_i_0, a_o_0, w_i_0, w_shift_i, y_o_0);
  input clk_i;
  INVX1 cell_0 (
    .A(clk_i),
    .Y(y_o_0)
  );
endmodule
"""
needs_tcl = pytest.mark.skipif(not shutil.which("tclsh"), reason="tclsh is not installed")
needs_library = pytest.mark.skipif(
    not Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib").is_file(), reason="needs a Liberty file (make setup)"
)


@pytest.fixture
def platform(tmp_path: Path, request: pytest.FixtureRequest):
    """A platform's folder with files of its own in place of the library's."""
    if not Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib").is_file():
        pytest.skip("needs a Liberty file (make setup)")
    (tmp_path / "tech.lef").write_text("VERSION 5.8 ;\n")
    (tmp_path / "cells.lef").write_text("VERSION 5.8 ;\nMACRO INVX1\nEND INVX1\n")
    shutil.copy(PLATFORMS / request.param / "openroad.tcl", tmp_path)
    return dataclasses.replace(load_platform("osu018"), folder=tmp_path, lef=("tech.lef", "cells.lef"))


def netlist_of(folder: Path, text: str = NETLIST) -> Path:
    path = folder / "netlist.v"
    path.write_text(text)
    return path


def tool_of(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A stand-in called openroad, first on PATH."""
    tool = folder / "openroad"
    tool.write_text(f'#!/bin/sh\nif [ "$1" = -version ]; then echo 26Q1; exit; fi\n{script}')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")


def stand_in(folder: Path, text: str) -> subprocess.CompletedProcess:
    """Run a script in a Tcl shell with the commands of STAND_IN."""
    (folder / "driver.tcl").write_text(f"{STAND_IN}{text}\n")
    return subprocess.run(["tclsh", folder / "driver.tcl"], capture_output=True, text=True, timeout=1200)


# where a process has rules of antennas
@needs_tcl
@pytest.mark.parametrize(
    ("platform", "diode"), [("nangate45", False), ("sky130hd", True), ("asap7", False)], indirect=["platform"]
)
def test_steps_come_in_order(tmp_path: Path, platform, diode: bool) -> None:
    script = layout_script(Plan(netlist_of(tmp_path), "column_top", platform, 2.5), tmp_path / "out")
    done = stand_in(tmp_path, script.read_text())
    assert done.returncode == 0, done.stderr
    said = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    first = [said.index(step) for step in STEPS.split()]
    assert first == sorted(first)
    routing = ROUTING.split() if diode else ROUTING.replace(MENDED, "").replace("repair_antennas ", "").split()
    said = [word for word in said if word != "encmac"]
    assert said[said.index(routing[0]) :][: len(routing)] == routing
    assert "tech.lef" in done.stdout and str(platform.liberty) in done.stdout
    # where the pins go: activations from left to right at one height, weights from above, sums below
    assert "set_io_pin_constraint -region left:* -pin_names a_i_0" in done.stdout
    assert "-region bottom:* -pin_names y_o_0" in done.stdout and "-mirrored_pins {a_i_0 a_o_0}" in done.stdout
    assert "link_design column_top\n" in done.stdout and "-min_distance 2 -min_distance_in_tracks" in done.stdout
    # slack is looked at before detailed routing, which takes the time; with extraction it may change a little
    late = re.sub("(?m)^set layout.extraction. .*$", "set layout(extraction) {rules}", script.read_text())
    for text, slack, ends in ((script.read_text(), "-0.001", 1), (late, "-0.04", 0), (late, "-0.06", 1)):
        done = stand_in(tmp_path, f"proc worst_slack way {{ return {slack} }}\n{text}")
        assert (done.returncode, "detailed_route" in done.stdout) == (ends, not ends)
        assert (f"[ERROR] setup slack is {slack}" in done.stdout) == bool(ends)
    done = stand_in(tmp_path, script.read_text())
    if diode:  # every cell of the stand-in is called 1: with one that goes, parasitics are read again before the SDF
        one = re.sub("(?m)^source .*layout.tcl.*$", r"set layout(diode) 1\n\g<0>", script.read_text())
        text = stand_in(tmp_path, one).stdout
        assert "\ndiodes 1 1.0\n" in text and "read_spef" not in done.stdout
        assert text.index("odb::dbInst_destroy") < text.index("read_spef") < text.index("write_sdf")
    # to two digits -0.004 ns would read as -0.00 and pass
    assert all(f"report_worst_slack -{kind} -digits 4" in done.stdout for kind in ("max", "min"))
    assert "set_units" not in (tmp_path / "out" / "layout.sdc").read_text()  # which converts nothing

    # a procedure that the platform lacks must be seen
    text = (tmp_path / "openroad.tcl").read_text()
    (tmp_path / "openroad.tcl").write_text(text.replace("proc set_taps {} {", "proc set_taps {} {{"))
    assert stand_in(tmp_path, script.read_text()).returncode != 0


@needs_tcl
@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
@pytest.mark.parametrize(("late", "check"), [("-max", "setup"), ("-min", "hold")])
def test_either_slack_ends_a_run_before_detailed_routing(tmp_path: Path, platform, late: str, check: str) -> None:
    script = layout_script(Plan(netlist_of(tmp_path), "column_top", platform, 2.5), tmp_path / "out")
    slack = f'proc worst_slack way {{ expr {{$way eq "{late}" ? -0.2 : 0.1}} }}\n'
    done = stand_in(tmp_path, slack + script.read_text())
    assert done.returncode == 1 and f"[ERROR] {check} slack is -0.2000 ns" in done.stdout
    assert "detailed_route" not in done.stdout


@needs_tcl
@pytest.mark.parametrize("platform", ["sky130hd"], indirect=True)
def test_figures_are_those_of_the_block(tmp_path: Path, platform) -> None:
    """A core of 8000 by 6000 units of 1/2000 um, one cell in it, a diode of 3000 by 4000."""
    script = layout_script(Plan(netlist_of(tmp_path), "column_top", platform, 2.5), tmp_path / "out")
    answers = "xMin 1000 xMax 9000 yMin 500 yMax 6500 getWidth 3000 getHeight 4000 getDbUnitsPerMicron 2000"
    answers += " getName sky130_fd_sc_hd__diode_2 -max 0.25 -min 0.125"
    procs = f"""set answers {{{answers}}}
proc unknown {{args}} {{
  set asked [lindex $args end]
  if {{[dict exists $::answers $asked]}} {{ return [dict get $::answers $asked] }}
  return 1
}}
proc clock_tree_synthesis {{}} {{ puts "Created 3 clock buffers." }}
proc detailed_route {{args}} {{ puts "Total wire length = 50 um." }}
proc report_worst_slack {{way args}} {{ puts "worst slack [dict get $::answers $way]" }}
proc report_clock_latency {{args}} {{ puts " 0.2 network latency" }}
"""
    found = read_figures(stand_in(tmp_path, procs + script.read_text()).stdout)
    assert found["core_um"] == [4.0, 3.0] and (found["diodes"], found["diodes_um2"]) == (1, 3.0)
    assert (found["wns_ns"], found["hold_wns_ns"]) == (0.25, 0.125)


@needs_tcl
@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_delays_are_those_of_extracted_wires(tmp_path: Path, platform) -> None:
    (tmp_path / "rules").write_text("of extraction\n")
    platform = dataclasses.replace(platform, extraction="rules")
    script = layout_script(Plan(netlist_of(tmp_path), "column_top", platform, 2.5), tmp_path / "out")
    said = [line.split() for line in stand_in(tmp_path, script.read_text()).stdout.splitlines() if line.strip()]
    steps = [words[0] for words in said]
    wires = steps[steps.index("extract_parasitics") : steps.index("write_sdf")]
    assert wires[:3] == ["extract_parasitics", "write_spef", "read_spef"] and "estimate_parasitics" not in wires
    of = {words[0]: words[-1] for words in said}
    assert of["extract_parasitics"] == f"{tmp_path}/rules"
    assert of["read_spef"] == of["write_spef"] == f"{tmp_path}/out/layout.spef"


@needs_tcl
@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_power_of_openroad_is_that_of_the_layout(tmp_path: Path, platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the wires of the layout and a clock that takes its time, from the transitions that are given."""
    out = tmp_path / "out"
    script = layout_script(Plan(netlist_of(tmp_path), "column_top", platform, 2.5), out)
    procs = "proc report_power args { puts {report_power\nTotal 1e-3 2e-3 3e-3 6e-3 100.0%} }\n"
    procs += "proc read_saif args { puts read_saif; puts {Annotated 10 pin activities.} }\n"
    (tmp_path / "driver.tcl").write_text(f"{STAND_IN}{procs}source [lindex $argv 0]\n")
    tool_of(tmp_path, monkeypatch, f'exec tclsh {tmp_path}/driver.tcl "$3"\n')
    monkeypatch.setattr("flows.openroad.write_saif", lambda circuit, activity, path: path.write_text(activity))
    found = routed_power(script, None, "of the workload", out)
    assert found == pytest.approx({"internal": 1, "switching": 2, "leakage": 3, "total": 6, "annotated_pins": 10})
    lines = (out / "power.log").read_text().splitlines()
    steps = [f"read_db {out}/layout.odb", f"read_liberty {platform.liberty}", f"read_sdc {out}/layout.sdc"]
    steps += ["set_propagated_clock 1", f"read_spef {out}/layout.spef", "read_saif", "report_power"]
    assert [line for line in lines if line in steps] == steps
    assert (out / "activity.saif").read_text() == "of the workload"


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_constraints_tell_what_is_outside(tmp_path: Path, platform) -> None:
    """As synthesis has it: a tenth of the clock before inputs and after outputs, a cell that drives, a load."""
    assert Plan(tmp_path, "column_top", platform, 2.5).constraints().splitlines() == [
        "create_clock -name clock -period 2.5 [get_ports clk_i]",
        "set_input_delay 0.25 -clock clock [all_inputs -no_clocks]",
        "set_output_delay 0.25 -clock clock [all_outputs]",
        "set_driving_cell -lib_cell BUFX2 [all_inputs -no_clocks]",
        "set_input_transition 0.1 [get_ports clk_i]",
        "set_load 0.03 [all_outputs]",
    ]


UNITS_FF = {"asap7": 1.0, "nangate45": 1.0, "sky130hd": 1000.0}  # of capacitance in its library
# as the scripts of these processes have them: M1 is for cells alone, hardly a wire is on the last layer
UNUSUAL = {("asap7", "M1"), ("nangate45", "metal10")}


@needs_tcl
@pytest.mark.parametrize("process", sorted(path.parent.name for path in PLATFORMS.glob("*/openroad.tcl")))
def test_wires_of_a_process_are_plausible(tmp_path: Path, process: str) -> None:
    """A wire has about 0.2 fF a micrometre in every process, and up to 100 ohms."""
    script = PLATFORMS / process / "openroad.tcl"
    text = stand_in(tmp_path, f"source {{{script}}}\nset_wires").stdout
    found = re.findall(r"^set_layer_rc -layer (\S+) -resistance (\S+) -capacitance (\S+)$", text, re.MULTILINE)
    assert len(found) >= 6
    for way, *values in re.findall(r"^set_wire_rc -(\S+) -resistance (\S+) -capacitance (\S+)$", text, re.MULTILINE):
        found.append((way, *values))
    for layer, resistance, capacitance in found:
        assert (process, layer) in UNUSUAL or 0.05 < float(capacitance) * UNITS_FF[process] < 0.5, layer
        assert 0.01 < float(resistance) * 1000 < 100, layer


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_streams_of_an_array_have_their_sides(tmp_path: Path, platform) -> None:
    """Activations from the left, weights from above, results below; ports are buses there."""
    ports = "clk_i, rst_ni, s_axis_a_tdata, s_axis_a_tready, s_axis_w_tdata, m_axis_y_tdata"
    text = re.sub(r"module column_top\s*\([^)]*\)", f"module array_top({ports})", NETLIST)
    script = layout_script(Plan(netlist_of(tmp_path, text), "array_top", platform, 2.5), tmp_path / "out").read_text()
    sides = dict(re.findall(r"^set layout\(pins_(\w+)\) \{(.*)\}$", script, re.MULTILINE))
    assert sides["left"] == "s_axis_a_tdata* s_axis_a_tready*" and sides["right"] == ""
    assert sides["top"] == "clk_i s_axis_w_tdata*" and sides["bottom"] == "m_axis_y_tdata*"


@needs_tcl
@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_an_old_version_is_named(tmp_path: Path, platform, monkeypatch: pytest.MonkeyPatch) -> None:
    script = layout_script(Plan(netlist_of(tmp_path), "column_top", platform, 2.5), tmp_path / "out")
    tool_of(tmp_path, monkeypatch, 'exec tclsh "$3"\n')
    with pytest.raises(UserError, match="this OpenROAD is too old: it lacks set_io_pin_constraint"):
        run_layout(script)


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_missing_parts_are_one_line(tmp_path: Path, platform, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, out = Plan(tmp_path / "netlist.v", "column_top", platform, 2.5), tmp_path / "out"
    with pytest.raises(UserError, match=r"netlist.v does not exist; run make synth"):
        layout_script(plan, out)
    netlist_of(tmp_path, "module other(clk_i);\nendmodule\n")
    with pytest.raises(UserError, match="has no module column_top"):
        layout_script(plan, out)
    netlist_of(tmp_path, NETLIST.replace("INVX1", "INVX9"))
    with pytest.raises(UserError, match=r"tech.lef, cells.lef lack INVX9: name their LEF"):
        layout_script(plan, out)
    netlist_of(tmp_path, NETLIST.replace("INVX1", "leaf") + "module leaf(A, Y);\nendmodule\n")
    with pytest.raises(UserError, match="has leaf as a module of its own: flatten it first"):
        layout_script(plan, out)
    (tmp_path / "netlist.v").write_bytes(b"\xff\xfe\x00module")
    with pytest.raises(UserError, match="has no module column_top"):
        layout_script(plan, out)
    assert not out.exists()
    netlist_of(tmp_path)
    script = layout_script(plan, out)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="openroad is not on PATH; docs/layout.md"):
        run_layout(script)
    elsewhere = dataclasses.replace(platform, folder=PLATFORMS / "osu018")
    with pytest.raises(UserError, match=r"openroad.tcl does not exist: platform osu018 has no layout"):
        layout_script(dataclasses.replace(plan, platform=elsewhere), out)


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
@pytest.mark.parametrize(("pack", "suffix"), [(lzma.compress, ".xz"), (gzip.compress, ".gz"), (bz2.compress, ".bz2")])
def test_packed_files_are_unpacked_for_openroad(
    tmp_path: Path, platform, pack: Callable[[bytes], bytes], suffix: str
) -> None:
    for name in ("cells.lef", "rules"):
        content = (tmp_path / name).read_bytes() if name == "cells.lef" else b"of extraction\n"
        (tmp_path / f"{name}{suffix}").write_bytes(pack(content))
    (tmp_path / "cells.lef").unlink()
    packed = dataclasses.replace(platform, lef=("tech.lef", f"cells.lef{suffix}"), extraction=f"rules{suffix}")
    script = layout_script(Plan(netlist_of(tmp_path), "column_top", packed, 2.5), tmp_path / "out").read_text()
    assert f"{{{tmp_path}/out/cells.lef}}" in script and f"layout(extraction) {{{tmp_path}/out/rules}}" in script
    assert (tmp_path / "out" / "rules").read_text() == "of extraction\n"


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_a_layout_is_kept_by_content(tmp_path: Path, platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever changes what OpenROAD does makes another layout; the same files in another place do not."""
    for name, text in {"rules": "of extraction\n", "cells.lib": plain(platform.liberty)}.items():
        (tmp_path / name).write_text(text)
    platform = dataclasses.replace(platform, extraction="rules", liberty=tmp_path / "cells.lib")
    plan = Plan(netlist_of(tmp_path), "column_top", platform, 2.5)
    first = plan.hashed()
    (tmp_path / "copy").mkdir()
    assert dataclasses.replace(plan, netlist=netlist_of(tmp_path / "copy")).hashed() == first
    for change in ({"clock_ns": 2.6}, {"utilization": 50.0}, {"aspect_ratio": 1.0}):
        assert dataclasses.replace(plan, **change).hashed() != first, change
    for name in ("netlist.v", "openroad.tcl", "tech.lef", "cells.lef", "rules", "cells.lib"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(f"{text}\n")
        assert dataclasses.replace(plan, platform=dataclasses.replace(platform)).hashed() != first, name
        (tmp_path / name).write_text(text)
    assert plan.hashed() == first
    for name, value in {"HOPELESS": 2000, "IO_SHARE": 0.2}.items():  # when a run is given up, constraints
        with monkeypatch.context() as other:
            other.setattr(f"flows.openroad.{name}", value)
            assert plan.hashed() != first, name


LAID = {"wns_ns": 0.1, "hold_wns_ns": 0.1, "clock_latency_ns": 0.25, "diodes": 0}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list:
    """What stands in for OpenROAD and simulation: "layout" of each run, latency of the clock of each power."""
    said: list = []
    monkeypatch.setattr(routed, "openroad", lambda: "openroad")
    monkeypatch.setattr(routed, "version", lambda _: "26Q1")
    monkeypatch.setattr(routed, "run_layout", lambda *_: said.append("layout") or dict(LAID))
    monkeypatch.setattr(routed, "weighed", lambda *given: said.append(given[-1]) or {})
    return said


def block_in(folder: Path) -> routed.Block:
    netlist = SimpleNamespace(path=netlist_of(folder), sha256="0")
    return routed.Block(SimpleNamespace(label="m14p"), netlist, 4)


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_layout_and_power_are_made_anew_for_what_changes_them(
    tmp_path: Path, platform, steps: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Power for other tiles, vectors or programs, the layout for another OpenROAD."""
    capture = load_capture()
    few = dataclasses.replace(capture, layers=dict(list(capture.layers.items())[:2]))

    def made(capture: Capture = capture, vectors: int = 32) -> list:
        steps.clear()
        lay_out(block_in(tmp_path), 10.0, 55.0, Conditions(platform, capture, vectors), print)
        return [*steps]

    assert made() == ["layout", 0.25]
    for change in ({"capture": few}, {"vectors": 33}):
        assert (made(), made(**change), made()) == ([], [0.25], [0.25]), change  # the last power alone is kept
    for name, value, expected in (("sources", {"a": "1"}, [0.25]), ("version", "26Q2", ["layout", 0.25])):
        assert made() == []
        monkeypatch.setattr(routed, name, lambda *_, value=value: value)
        assert made() == expected, name


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
@pytest.mark.parametrize("slack", ["wns_ns", "hold_wns_ns"])
def test_a_routed_block_that_misses_its_clock_has_no_power(
    tmp_path: Path, platform, steps: list, monkeypatch: pytest.MonkeyPatch, slack: str
) -> None:
    monkeypatch.setitem(LAID, slack, -0.01)
    for _ in range(2):  # made, and as it was kept
        with pytest.raises(Late, match="routed, but setup slack is .* hold slack -?0"):
            lay_out(block_in(tmp_path), 10.0, 55.0, Conditions(platform, load_capture(), 32), print)
    assert steps == ["layout"]


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
@pytest.mark.parametrize(("rules", "told"), [("", "estimated from global routes"), ("tech.lef", "OpenRCX")])
def test_a_layout_tells_where_its_wires_come_from(tmp_path: Path, platform, steps: list, rules: str, told: str) -> None:
    given = Conditions(dataclasses.replace(platform, extraction=rules), load_capture(), 32)
    assert lay_out(block_in(tmp_path), 10.0, 55.0, given, print)["parasitics"] == told


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
@pytest.mark.parametrize(("first", "last"), [(7, 0), (0, 7)])
def test_violations_are_those_of_the_last_routing(
    tmp_path: Path, platform, monkeypatch: pytest.MonkeyPatch, first: int, last: int
) -> None:
    """What diodes or further rounds have mended is none, what they have brought is one."""
    script = layout_script(Plan(netlist_of(tmp_path), "column_top", platform, 2.5), tmp_path / "out")
    told = "".join(f"[INFO DRT-0199]   Number of violations = {count}.\n" for count in (9, first, last))
    (tmp_path / "log").write_text(told + FIGURES.format(max="", min=""))
    tool_of(tmp_path, monkeypatch, f": > {script.parent}/drc.rpt\ncat {tmp_path}/log\n")
    if last:
        with pytest.raises(Unroutable, match=f"layout has {last} violations"):
            run_layout(script)
    else:
        assert run_layout(script)["drc"] == 0


def test_a_form_that_is_late_gives_way_to_the_next() -> None:
    """As without wires; what has no room has none in another form either."""
    forms_of, tried = [SimpleNamespace(name=n) for n in "abcd"], []

    def best(left: list) -> SimpleNamespace:  # b is the first that meets without wires
        return SimpleNamespace(design=next(form for form in left if form.name != "a"))

    def laid(result: SimpleNamespace, error: type = Late, good: str = "d") -> str:
        tried.append(result.design.name)
        if result.design.name != good:
            raise error(f"{result.design.name} does not end well")
        return good

    assert (in_time(forms_of, best, laid), tried) == ("d", ["b", "c", "d"])
    with pytest.raises(Late, match="^d does"):
        in_time(forms_of, best, lambda result: laid(result, good=""))
    with pytest.raises(Unroutable, match="^b does"):
        in_time(forms_of, best, lambda result: laid(result, Unroutable))


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_runs_that_end_badly_are_one_line(tmp_path: Path, platform, monkeypatch: pytest.MonkeyPatch) -> None:
    script = layout_script(Plan(netlist_of(tmp_path), "column_top", platform, 2.5), tmp_path / "out")
    log = script.with_suffix(".log")
    tool_of(tmp_path, monkeypatch, "echo '[ERROR DRT-0305] no tie cell'\nexit 1\n")
    with pytest.raises(UserError, match=rf"layout failed: \[ERROR DRT-0305\] no tie cell; see {log}"):
        run_layout(script)
    assert "DRT-0305" in log.read_text()
    tool_of(tmp_path, monkeypatch, "kill -9 $$\n")
    with pytest.raises(UserError, match="layout failed: killed by signal 9"):
        run_layout(script)
    tool_of(tmp_path, monkeypatch, "exit 0\n")
    with pytest.raises(UserError, match="ended without figures; is this OpenROAD?"):
        run_layout(script)
    # a run that says nothing is ended too, and with it what a wrapper has started
    nap = f"sleep {61 + os.getpid() / 1e7:.7f}"  # nobody else's
    for words in (f"sleep 0.2; echo; {nap}", f"{nap} & wait", f"{nap} & kill -9 $$"):
        tool_of(tmp_path, monkeypatch, f"{words}\n")
        began = time.monotonic()
        with pytest.raises(UserError, match="took more than 0 minutes and was ended"):
            run_openroad(script, limit_s=0.5)
        assert time.monotonic() - began < 30
    assert nap not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    figures = FIGURES.format(max="", min="")
    tool_of(tmp_path, monkeypatch, f"echo 'violation type: Short' > {script.parent}/drc.rpt\ncat <<'E'\n{figures}E\n")
    with pytest.raises(Unroutable, match="1 violations of design rules at this utilisation"):
        run_layout(script)
    # what cannot be routed is ended early; a cell without a place says the same of a smaller utilisation
    rounds = "\n".join(f"  Completing 100% with {n} violations." for n in (9000, 8000, 8100, 7900, 7800, 7700, 7600))
    tool_of(tmp_path, monkeypatch, f"cat <<'E'\n{rounds}\nE\nsleep 60\n")
    with pytest.raises(Unroutable, match="has 7600 violations after 7 rounds"):
        run_layout(script)
    # routed once more, for antennas, it has its rounds anew
    again = rounds.replace("  Completing 100% with 7900", "encmac step wires\n  Completing 100% with 7900")
    tool_of(tmp_path, monkeypatch, f"cat <<'E'\n{again}\nE\n")
    with pytest.raises(UserError, match="ended without figures"):
        run_layout(script)
    tool_of(tmp_path, monkeypatch, "echo '[ERROR GPL-0302] Use a higher -density'\nexit 1\n")
    with pytest.raises(Unroutable, match="layout failed: .*GPL-0302.*; give a smaller UTILIZATION=, or see "):
        run_layout(script)
    tool_of(tmp_path, monkeypatch, "echo '[ERROR] setup slack is -0.1230 ns with the wires of global routes'\nexit 1\n")
    with pytest.raises(Late, match="layout failed: .* setup slack is -0.1230 ns with the wires of global routes"):
        run_layout(script)
    steps: list[str] = []
    text = f"encmac step place\n  Completing 100% with 24 violations.\n{figures}"
    tool_of(tmp_path, monkeypatch, f"cat <<'E'\n{text}E\n")
    with pytest.raises(UserError, match=r"ended without drc.rpt: its violations are not known"):
        run_layout(script)
    clean = f": > {script.parent}/drc.rpt\n"
    tool_of(tmp_path, monkeypatch, f"{clean}echo '  Number of violations = 7.'\ncat <<'E'\n{text}E\n")
    with pytest.raises(Unroutable, match="7 violations of design rules"):
        run_layout(script)
    tool_of(tmp_path, monkeypatch, f"{clean}cat <<'E'\n{text}E\n")
    steps.clear()
    found = run_layout(script, steps.append)
    assert (found["drc"], found["openroad"], steps) == (0, "26Q1", ["place", "24 violations"])
    (tmp_path / "openroad").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(UserError, match="-version says nothing; is it OpenROAD?"):
        run_layout(script)


@pytest.mark.parametrize("most", [29, 30, 52, 55, 80])
def test_the_highest_utilisation_that_routes(most: int) -> None:
    tried: list[float] = []

    def lay(percent: float) -> dict:
        tried.append(percent)
        if percent > most:
            raise Unroutable(f"{percent - most:g} violations")
        return {"utilization_percent": percent}

    if most < UTILIZATIONS[0]:
        with pytest.raises(Unroutable, match="not routed at 30 % or above; 1 violations"):
            highest(lay, print)
        return
    found = highest(lay, print)
    assert found["utilization_percent"] == max(p for p in UTILIZATIONS if p <= most)
    assert found["tried"] == {f"{p:g}": "routed" if p <= most else f"{p - most:g} violations" for p in tried}
    assert len(tried) <= 4

    def broken(_: float) -> dict:
        raise UserError("openroad is not on PATH")

    with pytest.raises(UserError, match="not on PATH"):
        highest(broken, print)


@pytest.mark.parametrize("words", [("", ""), ("max ", "min ")])
def test_figures_of_old_and_new_versions(words: tuple[str, str]) -> None:
    found = read_figures(FIGURES.format(max=words[0], min=words[1]))
    assert (found["core_um"], found["wns_ns"], found["hold_wns_ns"]) == ([100.13, 200.2], 0.12, 0.03)
    assert (found["wire_um"], found["clock_buffers"], found["antennas"]) == (115700.0, 17, 0)
    assert (found["diodes"], found["diodes_um2"], found["clock_latency_ns"]) == (225, 563.04, 0.2)
    slow = read_figures(FIGURES.format(max=words[0], min=words[1]).replace("0.12", "-1.5e+03").replace("0.03", "-2e-3"))
    assert (slow["wns_ns"], slow["hold_wns_ns"]) == (-1500.0, -0.002)
    with pytest.raises(UserError, match="OpenROAD printed no setup slack"):  # no path, or a time that is none
        read_figures(FIGURES.format(max=words[0], min=words[1]).replace("0.12", "INF"))
    everything = "core, hold slack, wire length, clock buffers, clock latency"
    with pytest.raises(UserError, match=f"OpenROAD printed no {everything}"):
        read_figures("encmac begin figures\nworst slack 0.1\nencmac end figures")


def test_figures_of_a_real_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that OpenROAD 15af3a5 has printed for an extra column of 8 rows, NanGate 45."""
    log = Path(__file__).with_name("layout_nangate45.log")
    found = read_figures(log.read_text())
    assert (found["core_um"], found["wns_ns"], found["hold_wns_ns"]) == ([32.3, 63.0], 0.24, 0.14)
    assert (found["wire_um"], found["clock_buffers"], found["clock_latency_ns"]) == (6568.0, 9, 0.1044)
    tool_of(tmp_path, monkeypatch, f"cat {log}\n")
    said: list[str] = []
    run_openroad(tmp_path / "layout.tcl", said.append)
    assert said == [
        *("read_design", "floorplan", "place", "clock_tree", "route"),
        *(f"{n} violations" for n in (101, 49, 37, 0)),
        *("extract", "figures"),
    ]


def test_a_picture_has_every_cell_in_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = tmp_path / "layout.def"
    layout.write_text(
        "UNITS DISTANCE MICRONS 2000 ;\nDIEAREA ( 0 0 ) ( 20000 40000 ) ;\nCOMPONENTS 3 ;\n"
        "    - _1_ INVX1 + PLACED ( 2000 4000 ) N ;\n    - u\\[2\\] DFFX1 + FIXED ( 0 0 ) FS ;\n"
        "    - turned INVX1 + SOURCE TIMING + PLACED ( 0 8000 ) W ;\nEND COMPONENTS\nPINS 1 ;\n"
    )
    found, die = boxes(layout, {"INVX1": (1.0, 1.4), "DFFX1": (3.0, 1.4)})
    assert {name: box.tolist() for name, box in found.items()} == {
        "_1_": [1.0, 2.0, 1.0, 1.4],
        "u[2]": [0.0, 0.0, 3.0, 1.4],
        "turned": [0.0, 4.0, 1.4, 1.0],
    }
    assert die.tolist() == [10.0, 20.0]
    group = SimpleNamespace(names=["_1_", "\\u[3]"])
    monkeypatch.setattr(picture, "classify", lambda _: [[0, 0]])
    monkeypatch.setattr(picture, "sizes", lambda _: {"INVX1": (1.0, 1.4), "DFFX1": (3.0, 1.4)})
    with pytest.raises(UserError, match=r"layout.def has no place for cell .u\[3\]; delete its folder"):  # cut
        picture.draw(layout, SimpleNamespace(groups=[group]), SimpleNamespace(), "", tmp_path / "layout.png")
    assert not (tmp_path / "layout.png").exists()
    with pytest.raises(UserError, match="places DFFX1, whose size no LEF file holds"):
        boxes(layout, {"INVX1": (1.0, 1.4)})
    layout.write_text("VERSION 5.8 ;\n")
    with pytest.raises(UserError, match="is it DEF"):
        boxes(layout, {})


def test_wires_of_a_spef_are_picofarads(tmp_path: Path) -> None:
    path = tmp_path / "layout.spef"
    path.write_text("*C_UNIT 1 FF\n*NAME_MAP\n*1 _12_\n*D_NET *1 2.5\n*CONN\n*D_NET a\\[0\\] 1e1\n")
    assert read_spef(path) == {"_12_": pytest.approx(0.0025), "a[0]": pytest.approx(0.01)}
    path.write_text("*C_UNIT 1 INCH\n")
    with pytest.raises(UserError, match="no unit of capacitance"):
        read_spef(path)


def test_a_net_without_its_wire_is_refused(tmp_path: Path) -> None:
    """As of a file that was cut; a port and a pin make a net, an output that nobody reads makes none."""
    path = tmp_path / "layout.spef"
    netlist = netlist_of(tmp_path, "  input clk_i;\n  input a_i_0;\n")
    nets, pins = ["clk_i", "a_i_0", "_1_", "y_o_0", "open"], {"A": [0, 1, 2], "Y": [2, 3, 4]}
    group = SimpleNamespace(pins={name: np.array(at) for name, at in pins.items()})
    circuit = SimpleNamespace(path=netlist, nets=nets, groups=[group], outputs=[3])
    for lacking in ("", *nets):
        lines = [f"*D_NET {net} 0.5\n" for net in nets if net != lacking]
        path.write_text("*C_UNIT 1 PF\n" + "".join(lines))
        if lacking in ("", "open"):
            assert wires_of(path, circuit)["_1_"] == 0.5
        else:
            with pytest.raises(UserError, match=f"has no wire of net {lacking} and of 0 more"):
                wires_of(path, circuit)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        wires_of(path, circuit)


def test_designs_go_by_name(tmp_path: Path) -> None:
    table = chosen(["conv tree", "conv-booth", "conv tree w4a8", "exact36", "c14p"], 4, True)
    assert list(table) == ["conv tree", "conv booth", "conv tree w4a8", "enc exact36 merged", *list(table)[4:]]
    assert "enc c14p merged" in table
    assert list(chosen(["enc m14p merged", "conv tree", "f(a) of m12p"], 4, True)) == [
        *("enc m14p merged", "f(a) of m14p", "conv tree", "f(a) of m12p")
    ]
    mine = tmp_path / "exact-ones" / "mine.json"
    mine.parent.mkdir()
    text = (ROOT / "models" / "encodings" / "m14p.json").read_text()
    mine.write_text(text.replace('"name": "m14p"', '"name": "mine"'))
    assert "enc mine merged" in chosen([str(mine)], 4, True)
    for word in ("conv tee", "enc m14p marged", "m99p", "w4a8 conv"):
        with pytest.raises(UserError, match=re.escape(word)):
            chosen([word], 4, True)


@needs_library
def test_what_has_not_passed_is_refused(tmp_path: Path) -> None:
    platform = load_platform("osu018")
    design = forms(2, [], 1, True)["conv tree"][0]
    result = synthesise(design, 2, platform, 10.0, tmp_path, ("nf",), simulate=False)
    with pytest.raises(
        UserError, match="gate-level simulation is 'not_run', .* a layout needs one that passed"
    ) as told:
        block_of(result, platform)
    assert not isinstance(told.value, Late)
    # one that computes right and is late, as an array may be where its column is not, gives way to its next form
    passed = dataclasses.replace(result, gate=dataclasses.replace(result.gate, status="passed"))
    assert passed.meets and block_of(passed, platform).netlist is result.netlist
    with pytest.raises(Late, match="its slack -0.069 ns"):
        block_of(Array(passed, 2, result.netlist, -0.069), platform)


@needs_library
@pytest.mark.parametrize(("annotated", "refused"), [(990, False), (989, True), (0, True)])
def test_power_of_guessed_activity_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, annotated, refused
) -> None:
    """OpenROAD must have had the transitions of 99 % of the pins."""
    circuit = SimpleNamespace(pin_count=1000)
    netlist = SimpleNamespace(path=tmp_path, sha256="0", cells=1, area_um2=2.0, areas_um2={"registers": 2.0})
    fields = {"agreement_mw": {"openroad": {"total": 1.0, "annotated_pins": annotated}}}
    stubs = {"in_a_process": None, "read_netlist": netlist, "read_circuit": circuit, "draw": None, "wires_of": {}}
    for name, value in (stubs | {"weigh": fields}).items():
        monkeypatch.setattr(routed, name, lambda *_, value=value: value)
    block = routed.Block(SimpleNamespace(label="m14p-rows4"), netlist, 4)
    given = Conditions(load_platform("osu018"), load_capture(), 32)
    arguments = (tmp_path, tmp_path / "layout.tcl", block, 10.0, given, 0.3)
    if refused:
        with pytest.raises(UserError, match=rf"took activity for {annotated} of 1,000 pins only, .*power.log"):
            routed.weighed(*arguments)
    else:
        assert routed.weighed(*arguments)["area_um2"] == {"total": 2.0, "by_purpose": {"registers": 2.0}}


@needs_library
def test_what_cannot_be_routed_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command goes on; what failed for another reason, a tool that was killed, is run again."""
    platform = load_platform("osu018")
    folder, runs = Path(shutil.copytree(PLATFORMS / "nangate45", tmp_path / "platform")), []
    (folder / "tech.lef").write_text("VERSION 5.8 ;\n")
    platform = dataclasses.replace(platform, folder=folder, lef=("tech.lef",))
    netlist = SimpleNamespace(path=netlist_of(tmp_path), sha256="0")
    design, gate = SimpleNamespace(label="m14p"), SimpleNamespace(status="passed")
    result = SimpleNamespace(design=design, netlist=netlist, gate=gate, meets=True, slack_ns=1.0, rows=4)
    faults = [UserError("layout failed: killed by signal 9"), Unroutable("layout has 7600 violations")]

    def failing(*_: object) -> dict:
        runs.append(faults[min(len(runs), 1)])
        raise runs[-1]

    tool_of(tmp_path, monkeypatch, "exit 0\n")
    spread: list[bool] = []
    monkeypatch.setattr(routed, "layout_script", lambda plan, _: spread.append(plan.spread) or tmp_path / "layout.tcl")
    monkeypatch.setattr(routed, "run_layout", failing)
    given = Conditions(platform, load_capture(), 32)
    # what cannot be routed with crowded cells is tried with spread ones; each of the two is kept
    for kind, count in ((UserError, 1), (Unroutable, 3), (Unroutable, 3)):
        with pytest.raises(kind) as caught:
            lay_out(block_of(result, platform), 10.0, 55.0, given, print)
        assert (type(caught.value), len(runs)) == (kind, count)
    faults[1] = Late("setup slack is -0.1 ns")
    for _ in range(2):
        with pytest.raises(Late):
            lay_out(block_of(result, platform), 10.0, 50.0, given, print)
    assert len(runs) == 4  # another utilisation is another layout
    assert spread == [False, False, True, False]  # and cells that are spread are no faster
    # diodes have an area, and no place in a netlist
    figures = {"wns_ns": 0.1, "hold_wns_ns": 0.1, "clock_latency_ns": 0.2, "diodes": 4, "diodes_um2": 10.0}
    monkeypatch.setattr(routed, "run_layout", lambda *_: dict(figures))
    monkeypatch.setattr(routed, "weighed", lambda *_: {"area_um2": {"total": 100.0, "by_purpose": {"logic": 100.0}}})
    for _ in range(2):  # made, and as it was kept
        made = lay_out(block_of(result, platform), 10.0, 45.0, given, print)
        assert made["area_um2"] == {"total": 110.0, "by_purpose": {"logic": 100.0, "antenna diodes": 10.0}}
        assert not made["spread"]
    # a layout that is found has the figures of its log, as they are read now
    log = tmp_path / "layout" / Path(made["picture"]).parent.name / "layout.log"
    log.write_text(FIGURES.format(max="", min="").replace("0.12", "0.15"))
    found = lay_out(block_of(result, platform), 10.0, 45.0, given, print)
    assert (found["wns_ns"], found["diodes"], found["area_um2"]["total"]) == (0.15, 225, 663.04)
    # the layout whose crowded cells could not be routed
    monkeypatch.setattr(routed, "run_layout", lambda *_: figures if spread[-1] else failing())
    faults[1] = Unroutable("layout has 7600 violations")
    assert lay_out(block_of(result, platform), 10.0, 40.0, given, print)["spread"]
    # a platform that spreads cells always has no second way
    script = folder / "openroad.tcl"
    script.write_text(script.read_text().replace("$layout(spread)", "1"))
    tried = len(runs)
    monkeypatch.setattr(routed, "run_layout", failing)
    with pytest.raises(Unroutable):
        lay_out(block_of(result, platform), 10.0, 40.0, given, print)
    assert len(runs) == tried + 1


@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_a_file_whose_layout_fails_has_no_netlist_of_an_earlier_one(
    tmp_path: Path, platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = netlist_of(tmp_path), tmp_path / "layout"
    out.mkdir()
    for stale in ("netlist.v", "layout.json"):
        (out / stale).write_text("of an earlier run\n")
    tool_of(tmp_path, monkeypatch, "echo '[ERROR DPL-0036] no room'\nexit 1\n")
    args = SimpleNamespace(netlist=path, top="column_top", utilization=55.0, trace=None)
    with pytest.raises(Unroutable, match="no room"):
        one_netlist(args, platform, 2.5)
    assert not (out / "netlist.v").exists() and not (out / "layout.json").exists()
    assert (out / "layout.log").exists()  # which says why


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--netlist", "{}"], r"is no file; run make synth"),
        (["--netlist", "{}/n.v", "--columns", "4"], r"COLS= is for DESIGNS=; leave it out, or NETLIST="),
        (["--netlist", "{}/n.v", "--bisect"], r"BISECT=1 is for DESIGNS="),
        (["--netlist", "{}/n.v", "--export", "{}/e"], r"EXPORT= is for DESIGNS="),
        (["--netlist", "{}/unclocked.v"], r"unclocked.v has no port clk_i; that is the clock, and the only one"),
        (["--netlist", "{}/with space/n.v"], r"with space/layout: Yosys reads no path with a space"),
        (["--netlist", "{}/taken/n.v"], r"taken/layout is no folder, where the layout is to go; move it away"),
        (["--netlist", "{}/behaviour.v"], r"behaviour.v has 'always': it is no netlist of cells; map it first"),
        (["--export", "{}/n.v", "--designs", "m12p"], r"EXPORT=.*n.v is no folder; name another"),
    ],
)
@pytest.mark.parametrize("platform", ["nangate45"], indirect=True)
def test_what_cannot_be_laid_out_is_told_at_once(
    tmp_path: Path, platform, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    for folder in ("with space", "taken"):
        (tmp_path / folder).mkdir()
    (tmp_path / "taken" / "layout").write_text("")
    ansi = NETLIST.replace("(clk_i,", "(input clk_i,")
    texts = {
        "n.v": NETLIST,
        "with space/n.v": NETLIST,
        "taken/n.v": ansi,
        "unclocked.v": NETLIST.replace("clk_i", "ck"),
    }
    texts["behaviour.v"] = NETLIST.replace("endmodule", "  always @(posedge clk_i) q <= a_i_0;\nendmodule")
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    tool_of(tmp_path, monkeypatch, "exit 0\n")
    monkeypatch.setattr("flows.openroad.__main__.load_platform", lambda _name: platform)  # its library may not be here
    words = [word.format(tmp_path) for word in words]
    monkeypatch.setattr(
        "sys.argv", ["flows.openroad", "--platform", "nangate45", "--top", "column_top", *words, "--quiet"]
    )
    with pytest.raises(UserError, match=message):
        main()


@needs_library
def test_a_form_that_is_late_leaves_the_record_of_synthesis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The area record is that of the smallest form until another one is laid out in its place."""
    command, said = "flows.openroad.__main__", []

    class Kept(Store):
        def put(self, kind: str, *_: object) -> None:
            said.append(kind)

    def late(*_: object) -> None:
        raise Late("setup slack is -0.1 ns")

    tool_of(tmp_path, monkeypatch, "exit 0\n")
    words = ["--designs", "conv tree", "--platform", "osu018", "--rows", "4", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["flows.openroad", *words])
    with pytest.raises(UserError, match="platform osu018 has no layout"):  # before anything is mapped
        main()
    monkeypatch.setattr(f"{command}.scripts_of", lambda _: [])
    monkeypatch.setattr(f"{command}.Store", Kept)
    monkeypatch.setattr(f"{command}.best_variant", lambda variants, *_: SimpleNamespace(design=variants[0]))
    monkeypatch.setattr(f"{command}.record", lambda *_: {})
    monkeypatch.setattr(f"{command}.laid_column", late)
    assert main() == 1 and said == []
    monkeypatch.setattr(f"{command}.laid_column", lambda *_: Made({}, 1.0, 1.0, {}, [("routed", {}, {})]))
    monkeypatch.setattr(f"{command}.key_of", lambda _: {})
    monkeypatch.setattr(f"{command}.print_table", lambda *_: None)
    assert main() == 0 and said == ["area", "routed"]
