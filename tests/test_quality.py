"""Small columns on the embedded platform keep their rules; what must not be believed is refused by name."""

from __future__ import annotations

import copy
import dataclasses
import json
import multiprocessing
from pathlib import Path

import pytest

from common.errors import UserError
from flows.platform import load_platform
from flows.rules import load_rules, measured, violations
from flows.synth.array import plain_names, stage_files
from flows.synth.measure import choose, forms
from flows.synth.netlist import elaborate, read_netlist, run_yosys
from flows.synth.plots import pareto

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
needs_library = pytest.mark.skipif(not OSU018.is_file(), reason="the OSU 0.18 um library is not installed (make setup)")
LATCH = "module top(input logic clk_i, e_i, d_i, output logic q_o); always_latch if (e_i) q_o = d_i; endmodule\n"


@needs_library
def test_rules_are_kept_and_a_regression_names_its_module(tmp_path: Path) -> None:
    rules = load_rules("osu018")
    entries = measured("osu018", rules, tmp_path)
    assert {entry["design"] for entry in entries} == set(rules["designs"]) and len(entries) > 1
    assert violations(entries, rules) == []

    worse = copy.deepcopy(entries)
    worse[1]["area_um2"]["by_purpose"]["adders"] *= 1.1
    worse[1]["power_mw"]["total"] *= 1.2
    worse[0]["wns_ns"] -= 1
    worse[0]["gate_sim"] = "failed"
    lines = violations(worse, rules)
    assert len(lines) == 4
    name = entries[1]["design"]
    assert any(line.startswith(f"{name}: adders ") and "+10.0 % of the rule's" in line for line in lines)
    assert any(line.startswith(f"{name}: power ") and "+20.0 % of the rule's" in line for line in lines)
    assert any(line.startswith(f"{entries[0]['design']}: slack ") for line in lines)
    assert "not measured" in violations(entries[:1], rules)[0]

    # measured again it is kept, unless its netlist has changed since
    netlist = tmp_path.rglob("result.json")
    kept = next(netlist)
    path = Path(json.loads(kept.read_text())["netlist"]["path"])
    text = path.read_text()
    assert measured("osu018", rules, tmp_path) == entries and path.read_text() == text
    path.write_text(text + "// touched\n")
    assert measured("osu018", rules, tmp_path) == entries and path.read_text() == text


def _elaborate(folder: Path) -> None:
    platform = load_platform("osu018")
    run_yosys(elaborate(str(folder / "top.sv"), "top", platform, folder), platform, "ripple", folder)


@needs_library
def test_latch_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "top.sv").write_text(LATCH)
    process = multiprocessing.get_context("spawn").Process(target=_elaborate, args=(tmp_path,))
    process.start()
    process.join()
    with pytest.raises(UserError, match=r"a latch was inferred.*see .*yosys.log"):
        read_netlist(tmp_path, load_platform("osu018"))


@needs_library
def test_cell_of_another_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "netlist.v").write_text("module column_top; endmodule\n")
    stat = {"design": {"num_cells": 1, "num_cells_by_type": {"ODD2X1": 1}, "area": 1.0, "sequential_area": 0.0}}
    (tmp_path / "stat.json").write_text(json.dumps(stat))
    with pytest.raises(UserError, match=r"osu018_stdcells.lib lacks ODD2X1"):
        read_netlist(tmp_path, load_platform("osu018"))


def test_smallest_that_meets_the_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from flows.synth import measure

    @dataclasses.dataclass
    class Fake:
        path: str
        area_um2: float

    slacks = {"a": -1.0, "b": 0.5, "c": 2.0}
    areas = {"a": 1.0, "b": 2.0, "c": 3.0}
    monkeypatch.setattr(measure, "read_netlist", lambda place, _platform, name: Fake(name, areas[name]))
    monkeypatch.setattr(measure, "worst_slack_ns", lambda path, *_: slacks[path])
    assert choose([tmp_path / name for name in "cba"], "top", None, 1.0)[0].path == "b"
    slacks.update(b=-0.1, c=-3.0)
    assert choose([tmp_path / name for name in "cba"], "top", None, 1.0) == (Fake("b", 2.0), -0.1)


def test_shortest_clock_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from flows.synth import measure

    design = forms(4, [])["conv tree"][0]
    platform = dataclasses.make_dataclass("P", [("name", str)])("p")

    def fake(_design, _rows, _platform, clock, *_args, **_more):
        return measure.Result(design, 4, None, clock - 3.21, None)

    monkeypatch.setattr(measure, "measure", fake)
    for start in (1.0, 3.3, 10.0):
        assert measure.fastest(design, 4, platform, start, tmp_path)[1] == pytest.approx(3.21, rel=0.02)
    monkeypatch.setattr(measure, "measure", lambda *_a, **_k: measure.Result(design, 4, None, -1.0, None))
    with pytest.raises(UserError, match="meets no clock"):
        measure.fastest(design, 4, platform, 1.0, tmp_path)


def test_shell_stands_in_for_stages(tmp_path: Path) -> None:
    full, stage = stage_files(tmp_path)
    assert "module array_stage_full" in full.read_text() and "module array_stage #(" in stage.read_text()
    assert plain_names("input \\a.b[3].c ;\nx y (.A(\\a.b[3].c ));\n") == "input a_b_3__c ;\nx y (.A(a_b_3__c ));\n"
    with pytest.raises(UserError, match="become the same"):
        plain_names("input \\a.b ;\ninput \\a[b ;\n")


def test_pareto_front() -> None:
    assert pareto([(3, 0.9), (1, 0.5), (2, 0.4), (2, 0.7), (4, 0.9)]) == [(1, 0.5), (2, 0.7), (3, 0.9)]
