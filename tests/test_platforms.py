"""Platforms: the shipped ones, a user's own folder, files that are packed, merged, fetched or missing."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import http.server
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.errors import UserError
from flows import platform as platforms
from flows.cells import cell_models, cells_of, is_tidy, merge_libraries, verilog_expression
from flows.pdk import fetch_pdk
from flows.platform import PLATFORMS, load_platform, read_config
from flows.power.circuit import read_circuit
from flows.power.liberty import read_library, truth_table
from flows.power.simulate import read_sdf
from flows.sta import constraints, plain_delays, run_sta
from flows.synth.__main__ import forms, measure
from flows.synth.netlist import ROOT, library_areas, read_netlist

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
needs_osu018 = pytest.mark.skipif(not OSU018.is_file(), reason="the OSU 0.18 um library is not installed (make setup)")
SHIPPED = ("nangate45", "sky130hd", "asap7", "ihp-sg13g2", "gf180")

TINY = """library (tiny) {
  time_unit : "1ps"; capacitive_load_unit (1, ff); nom_voltage : 0.7;
  lu_table_template (t) { variable_1 : input_net_transition; index_1 ("1, 2"); }
  cell (INV) { area : 1; pin (A) { direction : input; } pin (Y) { direction : output; function : "!A"; } }
  cell (ICG) { area : 9; statetable ("CK E", "IQ") { table : "L L : - : L"; } pin (Y) { direction : output; } }
}
"""
OTHER = """library (other) {
  time_unit : "1ps"; capacitive_load_unit (1, ff); nom_voltage : 0.7;
  lu_table_template (t) { variable_1 : input_net_transition; index_1 ("1, 2"); }
  lu_table_template (u) { variable_1 : input_net_transition; index_1 ("3, 4"); }
  cell ("DFFN") { area : 5; ff (IQN, IQ) { next_state : "!D"; clocked_on : "!CLK"; }
    pin (CLK) { direction : input; clock : true; } pin (D) { direction : input; }
    pin (QN) { direction : output; function : "IQN"; timing () { related_pin : "CLK"; } } }
}
"""


def available(name: str) -> bool:
    try:
        load_platform(name)
    except UserError:
        return False
    return True


@pytest.mark.parametrize("name", SHIPPED)
def test_every_file_has_its_official_place(name: str) -> None:
    data = read_config(PLATFORMS / name / "config.toml")
    assert {*data["liberty"]} | {f for f in data["lef"]} == set(data["download"])
    for file, source in data["download"].items():
        assert source["url"].startswith("https://") and source["url"].endswith(f"/{file}")
        assert len(bytes.fromhex(source["sha256"])) == 32


@pytest.mark.parametrize("name", SHIPPED)
def test_column_on_every_platform(tmp_path: Path, name: str) -> None:
    """Units, inverted adder outputs and derived models: a wrong one fails timing or the gate-level run."""
    if not available(name):
        pytest.skip(f"{name} is not here (make pdk PDK={name})")
    platform = load_platform(name)
    result = measure(forms(2, ["m20p"])["enc m20p merged"][0], 2, platform, platform.clock_ns, tmp_path)
    assert result.gate.status == "passed"
    assert 0 < result.slack_ns < platform.clock_ns
    adder = platform.full_adder
    assert adder is None or f"{adder.cell} " in result.netlist.path.read_text()


@needs_osu018
@pytest.mark.parametrize("lacking", [("FAX1", "HAX1"), ("DFFPOSX1", "DFFNEGX1"), ("FAX1", "HAX1", "DFFPOSX1", "LATCH")])
def test_libraries_without_gifts(tmp_path: Path, lacking: tuple[str, ...]) -> None:
    """No full adder, only flip-flops with set and reset, no clock gate; the Liberty packed by xz."""
    folder = tmp_path / "poor"
    folder.mkdir()
    (folder / "cells.lib.xz").write_bytes(lzma.compress(OSU018.read_bytes()))
    config = [
        'name = "poor"',
        'title = "OSU 0.18 um, fewer cells"',
        'liberty = "cells.lib.xz"',
        f"dont_use = {json.dumps(lacking)}",
        "clock_ns = 10.0",
        'driver = "BUFX2"',
        "output_load_pf = 0.03",
    ]
    if "FAX1" not in lacking:
        osu = (PLATFORMS / "osu018" / "config.toml").read_text()
        config.append(osu[osu.index("[full_adder]") :])
    (folder / "config.toml").write_text("\n".join(config))
    platform = load_platform(f"{folder}/")
    assert (platform.full_adder is None) == ("FAX1" in lacking) and not platform.clock_gate
    design = forms(2, ["m20p"], gated=False)["enc m20p merged"][0]
    result = measure(design, 2, platform, platform.clock_ns, tmp_path / "out")
    assert result.gate.status == "passed" and 0 < result.slack_ns < platform.clock_ns
    assert not set(lacking) & set(result.netlist.kinds)


def own_library(folder: Path, text: str, encoding: str = "utf-8") -> str:
    """A platform with the cells of a Liberty text and OSU's names."""
    (folder / "cells.lib").write_bytes(text.encode(encoding))
    config = (PLATFORMS / "osu018" / "config.toml").read_text()
    lines = [line for line in config.splitlines() if not line.startswith(("liberty", "cell_models"))]
    (folder / "config.toml").write_text('liberty = "cells.lib"\n' + "\n".join(lines) + "\n")
    return f"{folder}/"


@needs_osu018
@pytest.mark.parametrize(
    ("old", "new"),
    [("\n", "\r\n"), ("cell (", "// a { brace\n  cell ("), (") {", ")\n{"), ("/* Design", "/* \xb5m, { \n Design")],
)
def test_odd_forms_of_liberty_become_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    monkeypatch.setattr(platforms, "PREPARED", tmp_path / "prepared")
    usual = OSU018.read_text().replace("/* --------------- *\n * Design", "/* Design")
    found = load_platform(own_library(tmp_path, usual.replace(old, new), "latin-1"))
    text = found.liberty.read_text(errors="replace")
    assert is_tidy(text) and dict(cells_of(found.liberty)).keys() == dict(cells_of(OSU018)).keys()
    assert "module FAX1" in found.cell_models.read_text()


def _scan(text: str) -> str:
    return text.replace('next_state : "D"', 'next_state : "(SE & SI) | (!SE & D)"')


def _banks(text: str) -> str:
    return re.sub(r"\bff \(([^)]*)\)", r"ff_bank (\1, 2)", text)


def _tabled(text: str) -> str:
    text = re.sub(r"latch\s*\([^)]*\)\s*\{[^}]*\}", 'statetable ("CLK D", "IQ") { table : "H L/H : - : L/H"; }', text)
    return text.replace('function : "DS0000"', 'internal_node : "IQ"')


@needs_osu018
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_scan, "has no plain D flip-flop; those with scan, with several bits or told by a state table"),
        (_banks, "has no plain D flip-flop"),
        (_tabled, "has no model of LATCH, a cell of clock_gate; .*: name a Verilog file in cell_models"),
        (lambda text: text.rstrip()[:-1], r"malformed Liberty \(a group is not closed\)"),
    ],
)
def test_cells_that_no_tool_takes_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str], message: str
) -> None:
    monkeypatch.setattr(platforms, "PREPARED", tmp_path / "prepared")
    with pytest.raises(UserError, match=message):
        load_platform(own_library(tmp_path, change(OSU018.read_text())))


@needs_osu018
def test_a_buffer_is_one_where_supplies_are_inputs(tmp_path: Path) -> None:
    """As in ASAP7's library, whose `pg_pin` have a direction of their own."""
    text = OSU018.read_text()
    supplies = "".join(
        f"pg_pin ({name}) {{\n direction : input;\n voltage_name : {name};\n}}\n" for name in ("VDD", "VSS")
    )
    library = tmp_path / "supplied.lib"
    library.write_text(re.sub(r"(cell \((?:BUFX2|INVX1|NAND2X1)\) \{)", rf"\1\n{supplies}", text))
    assert library.read_text().count("pg_pin") == 6
    kinds = {name: kind for name, (_, kind) in library_areas(library, 0).items()}
    assert (kinds["BUFX2"], kinds["INVX1"], kinds["NAND2X1"]) == ("buffers", "buffers", "logic")
    assert kinds == {name: kind for name, (_, kind) in library_areas(OSU018, 0).items()}


@needs_osu018
def test_a_cell_without_area_is_named(tmp_path: Path) -> None:
    counts = {"num_cells_by_type": {"LATCH": 1, "INVX1": 2}, "num_cells": 3, "area": 32, "sequential_area": 0}
    (tmp_path / "stat.json").write_text(json.dumps({"design": counts}))
    (tmp_path / "netlist.v").write_text("")
    platform = load_platform("osu018")
    assert read_netlist(tmp_path, platform).area_um2 == 88.0
    with pytest.raises(UserError, match="osu018_stdcells.lib tells no area of LATCH; give it in areas_um2"):
        read_netlist(tmp_path, dataclasses.replace(platform, areas_um2={}))


@needs_osu018
def test_renamed_copy_needs_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's library: other names of file and cells, packed, found in PDK_ROOT, models made from it."""
    monkeypatch.setattr(platforms, "PREPARED", tmp_path / "prepared")
    monkeypatch.setenv("PDK_ROOT", str(tmp_path / "pdk"))
    library = tmp_path / "pdk" / "mine" / "my_cells.lib.gz"
    library.parent.mkdir(parents=True)
    text = OSU018.read_text().replace("FAX1", "MYADDER").replace("NAND2X1", "MYNAND")
    library.write_bytes(gzip.compress(text.encode()))
    folder = Path(shutil.copytree(PLATFORMS / "osu018", tmp_path / "mine"))
    config = (folder / "config.toml").read_text().replace("FAX1", "MYADDER").replace('name = "osu018"', 'name = "mine"')
    lines = [line for line in config.splitlines() if not line.startswith(("liberty", "cell_models"))]
    (folder / "config.toml").write_text('liberty = "my_cells.lib"\n' + "\n".join(lines) + "\n")

    platform = load_platform(f"{folder}/")
    result = measure(forms(2, ["m20p"])["enc m20p merged"][0], 2, platform, 10.0, tmp_path / "out")
    assert result.gate.status == "passed" and result.gate.matches > 0
    netlist = result.netlist.path.read_text()
    assert "MYADDER " in netlist and "MYNAND " in netlist


@needs_osu018
def test_cells_that_a_library_lacks_are_named(tmp_path: Path) -> None:
    config = (PLATFORMS / "osu018" / "config.toml").read_text()
    (tmp_path / "config.toml").write_text(config.replace('cell = "FAX1"', 'cell = "FAX9"').replace("BUFX2", "BUFX7"))
    with pytest.raises(UserError, match=r"osu018_stdcells.lib lacks BUFX7, FAX9; name a cell"):
        load_platform(f"{tmp_path}/")


def test_missing_files_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCMAC_DATA", str(tmp_path))
    monkeypatch.setenv("PDK_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"nangate45_typ.lib.gz is in none of .*make pdk PDK=nangate45") as caught:
        load_platform("nangate45")
    assert "\n" not in str(caught.value)
    (tmp_path / "nangate45_typ.lib.gz").write_bytes(b"not packed")
    with pytest.raises(UserError, match=r"nangate45_typ.lib.gz cannot be read .*fetch it again"):
        load_platform("nangate45")


def test_libraries_become_one(tmp_path: Path) -> None:
    text = merge_libraries([("a", TINY), ("b", OTHER)], ("ICG*",))
    assert text.count("(t)") == 1 and text.count("(u)") == 1
    assert "INV" in text and "DFFN" in text and "ICG" not in text
    assert text.count("{") == text.count("}")
    path = tmp_path / "one.lib"
    path.write_text(text)
    models = cell_models(path)
    assert "assign Y = ~ A;" in models
    assert "(negedge CLK => (QN : 1'b0))" in models
    with pytest.raises(UserError, match="b: units or voltage differ"):
        merge_libraries([("a", TINY), ("b", OTHER.replace("1ps", "1ns"))], ())
    with pytest.raises(UserError, match="a: malformed Liberty"):
        merge_libraries([("a", TINY[: TINY.index("cell (ICG)") - 5])], ())
    with pytest.raises(UserError, match="no cells"):
        merge_libraries([("a", TINY)], ("*",))


GATE = """library (gates) {
  cell (ICG) { area : 9; clock_gating_integrated_cell : "latch_posedge_precontrol";
    statetable ("CK E SE", "IQ") { table : "L L L : - : L , L H - : - : H , L - H : - : H , H - - : - : N"; }
    pin (IQ) { direction : internal; internal_node : "IQ"; }
    pin (CK) { direction : input; clock_gate_clock_pin : true; }
    pin (E) { direction : input; clock_gate_enable_pin : true; }
    pin (SE) { direction : input; clock_gate_test_pin : true; }
    pin (GCK) { direction : output; clock_gate_out_pin : true; state_function : "CK & IQ"; }
  }
}
"""
GATE_BENCH = """`timescale 1ns/1ps
module bench;
  reg ck = 0, e = 0;
  wire gck;
  integer edges = 0;
  ICG dut (.CK(ck), .E(e), .SE(1'b0), .GCK(gck));
  always @(posedge gck) edges = edges + 1;
  initial begin
    #5 ck = 1; #1 e = 1; #4 ck = 0;  // an enable that rises while the clock is high starts with the next edge
    #5 ck = 1; #1 e = 0; #4 ck = 0;  // and one that falls there cuts nothing off
    #5 ck = 1; #5 ck = 0;
    #1 $display("%0d edges", edges);
  end
endmodule
"""


@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus Verilog is not installed (make setup)")
def test_clock_gate_stores_its_enable(tmp_path: Path) -> None:
    library = tmp_path / "gates.lib"
    library.write_text(GATE)
    (tmp_path / "gates.v").write_text(cell_models(library) + GATE_BENCH)
    subprocess.run(["iverilog", "-g2012", "-s", "bench", "-o", "bench", "gates.v"], cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "-n", "bench"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "edges"]
    library.write_text(GATE.replace("latch_posedge_precontrol", "latch_negedge"))
    assert "module ICG" not in cell_models(library), "a gate of another kind has no model"
    library.write_text(GATE.replace("clock_gate_enable_pin : true;", ""))
    with pytest.raises(UserError, match="clock gate ICG has no clock_gate_enable_pin"):
        cell_models(library)


@pytest.mark.parametrize(
    ("line", "stops"),
    [
        ("Warning 1212: cells.lib line 7, timing group from output port.", False),
        ("Warning: cells.lib line 7, timing group from output port.", False),
        ("Warning 1212: cells.lib line 7, another remark.", True),
        ("Error: cells.lib line 7, syntax error.", True),
    ],
)
def test_only_an_arc_from_an_output_is_no_complaint(
    line: str, stops: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sta = tmp_path / "sta"
    sta.write_text(f"#!/bin/sh\necho '{line}'\n")
    sta.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if not stops:
        assert line in run_sta("", tmp_path, "timing")
        return
    with pytest.raises(UserError, match="timing of .* failed: .* line 7"):
        run_sta("", tmp_path, "timing")


@pytest.mark.parametrize("function", ["(A B)' + !C", "A*B+C'", "!(A & B) ^ C", "A' (B + C)", "(!A * !B) + (A * C)"])
def test_functions_in_verilog(function: str) -> None:
    table = truth_table(function, ["A", "B", "C"])
    for index, value in enumerate(table):
        values = {pin: index >> i & 1 for i, pin in enumerate("ABC")}
        assert evaluate(verilog_expression(function), values) == int(value), function


def evaluate(expression: str, values: dict[str, int]) -> int:
    """A Verilog expression of single bits; Python's operators have the same order of precedence."""
    return eval(expression, {"__builtins__": {}}, values) & 1


def test_delays_are_plain() -> None:
    wires = ' (CELL\n  (CELLTYPE "top")\n  (INSTANCE)\n  (DELAY\n   (ABSOLUTE\n'
    wires += "    (INTERCONNECT a u/A (1) (2.5))\n   )\n  )\n )\n"
    cell = ' (CELL\n  (CELLTYPE "FA")\n  (INSTANCE u)\n  (DELAY\n   (ABSOLUTE\n    (COND (B & C)\n'
    cell += "     (IOPATH A S (24.0::26.0) (14.0::16.0)))\n    (IOPATH A S (20.0::20.0) (30.0::31.0))\n   )\n  )\n )\n"
    text = plain_delays(f"(DELAYFILE\n (TIMESCALE 1ps)\n{wires}{cell})\n")
    assert "(IOPATH A S (0.02600) (0.03100))\n   )\n  )\n )\n)\n" in text
    # with the wires of a layout: 2.5 ps more from the pin that the wire ends at
    late = plain_delays(f"(DELAYFILE\n (TIMESCALE 1ps)\n{wires}{cell})\n", {})
    assert late == text.replace("(0.02600) (0.03100)", "(0.02850) (0.03350)")
    # and where the first path inverts and the second does not, by the edge at the input
    mixed = {("FA", "A", "S"): ("negative_unate", "positive_unate")}
    split = plain_delays(f"(DELAYFILE\n (TIMESCALE 1ps)\n{wires}{cell})\n", mixed)
    by_edge = "(IOPATH (posedge A) S (0.02250) (0.01850))\n    (IOPATH (negedge A) S (0.02850) (0.03350))"
    assert split == text.replace("(IOPATH A S (0.02600) (0.03100))", by_edge)
    alone = plain_delays(f"(DELAYFILE\n (TIMESCALE 1ps)\n{wires}{cell})\n".replace(" (30.0::31.0)", ""), {})
    assert alone == late.replace("(0.03350)", "(0.02250)")  # one triple for both edges
    with pytest.raises(UserError, match="without delays of wires"):
        plain_delays(f"(DELAYFILE\n (TIMESCALE 1ps)\n{cell})\n", {})
    three = {("FA", "A", "S"): ("negative_unate", "positive_unate", "negative_unate")}  # which is which is not known
    assert plain_delays(f"(DELAYFILE\n (TIMESCALE 1ps)\n{wires}{cell})\n", three) == late
    assert "COND" not in text and "INTERCONNECT" not in text and "TIMESCALE 1ns" in text
    with pytest.raises(UserError, match="unknown time unit"):
        plain_delays(f"(DELAYFILE\n (TIMESCALE 1us)\n{wires}{cell})\n")


ADDERS = {"nangate45": "FA_X1", "sky130hd": "sky130_fd_sc_hd__fa_1", "asap7": "FAx1_ASAP7_75t_R"}


@pytest.mark.parametrize("name", ADDERS)
def test_senses_are_in_the_order_of_the_delays(tmp_path: Path, name: str) -> None:
    """Delays of a full adder by the edge at each input are those that timing analysis reports for that edge."""
    if not available(name):
        pytest.skip(f"{name} is not here (make pdk PDK={name})")
    platform, adder = load_platform(name), ADDERS[name]
    pins = read_library(platform.liberty, [adder]).cells[adder].pins
    ports = {True: [], False: []}
    for pin in pins.values():
        ports[pin.output].append(pin.name)
    lines = [f"  input {pin};" for pin in (*ports[False], "clk_i")] + [f"  output {pin};" for pin in ports[True]]
    body = ",\n".join(f"    .{pin}({pin})" for pin in pins)
    netlist = tmp_path / "netlist.v"
    names = ", ".join([*pins, "clk_i"])
    netlist.write_text("\n".join([f"module top({names});", *lines, f"  {adder} u (\n{body}\n  );", "endmodule\n"]))
    circuit = read_circuit(netlist, platform)
    mixed = [path for path, senses in circuit.senses.items() if len({*senses} - {"non_unate"}) > 1]
    assert len(mixed) == 3 and all(path[1] in ports[False] for path in mixed)
    ask = [(p, i, o) for p in mixed for i in ("rise", "fall") for o in ("rise", "fall")]
    checks = "".join(
        f'puts "= {p[1]} {i} {o}"\nreport_checks -{i}_from {p[1]} -through u/{p[1]} -{o}_to {p[2]} -digits 5\n'
        for p, i, o in ask
    )
    commands = constraints(netlist, "top", platform, 100.0) + checks + f"write_sdf -digits 5 {tmp_path / 'a.sdf'}\n"
    reports = run_sta(commands, tmp_path, "order").split("= ")[1:]
    text = re.sub(r"(\(INTERCONNECT \S+ \S+) .*\)", r"\1 (0))", (tmp_path / "a.sdf").read_text())
    (tmp_path / "plain.sdf").write_text(plain_delays(text, circuit.senses))
    delays, compared = read_sdf(tmp_path / "plain.sdf"), 0
    for (path, edge, to), report in zip(ask, reports, strict=True):
        through = re.findall(r"([\d.]+) +[\d.]+ [v^] u/", report)
        found = delays["u", path[1], path[2]][edge == "rise"][to == "rise"]
        if len(through) == 1:  # asap7's sum is also reached through the carry
            assert found == pytest.approx(1000 * float(through[0]), rel=0.02, abs=1), (path, edge, to)
            compared += 1
    assert compared >= 6


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "cells.lib").write_text(TINY)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "web")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()


def platform_from(server: str, folder: Path, file: str, sha256: str) -> str:
    folder.mkdir(exist_ok=True)
    text = f'name = "mine"\n[download]\n"{file}" = {{ url = "{server}/{file}", sha256 = "{sha256}" }}\n'
    (folder / "config.toml").write_text(text)
    return f"{folder}/"


def test_files_are_fetched_and_checked(tmp_path: Path, server: str) -> None:
    right = hashlib.sha256(TINY.encode()).hexdigest()
    name = platform_from(server, tmp_path / "p", "cells.lib", right)
    found = fetch_pdk(name, tmp_path / "out", quiet=True)
    assert found == [tmp_path / "out" / "mine" / "cells.lib"]
    assert found[0].read_text() == TINY
    assert fetch_pdk(name, tmp_path / "out", quiet=True) == found  # kept

    found[0].write_text("damaged")
    with pytest.raises(UserError, match="cells.lib has SHA-256 .*delete it and fetch it again"):
        fetch_pdk(name, tmp_path / "out", quiet=True)
    wrong = platform_from(server, tmp_path / "q", "cells.lib", "0" * 64)
    with pytest.raises(UserError, match="came with SHA-256 .* expected 0000"):
        fetch_pdk(wrong, tmp_path / "out2", quiet=True)
    gone = platform_from(server, tmp_path / "r", "nothing.lib", right)
    with pytest.raises(UserError, match=r"download of .*nothing.lib .*404.*get it by hand"):
        fetch_pdk(gone, tmp_path / "out3", quiet=True)
    assert not [p for p in (tmp_path / "out2").rglob("*") if p.is_file()]
    command = [sys.executable, "-m", "flows.pdk", "osu018"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 2 and "so there is nothing to fetch; of its files it says: apt-get install" in done.stderr


def test_library_of_a_name_too_long(tmp_path: Path) -> None:
    text = (PLATFORMS / "osu018/config.toml").read_text()
    (tmp_path / "config.toml").write_text(re.sub(r'liberty = ".*"', f'liberty = "{"x" * 300}.lib"', text))
    with pytest.raises(UserError, match=r"File name too long: x+\.lib; mend it with"):
        load_platform(tmp_path)
