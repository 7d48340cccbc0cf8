"""Builds: made once, made again when anything they depend on has changed, never half a build taken for a whole one."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from broken_rtl import broken_rtl

from common.errors import UserError
from common.processes import TIMEOUT, SimulatorFault
from tb.control import build as builds
from tb.control.build import ROOT, build, prepare_environment, stamp
from tb.control.run import Options, run
from tb.control.suites import Config
from tb.reporting.results import BuildFault

RTL = ROOT / "rtl"
SMALL = Config("icarus", "conv", rows=2, columns=2, tests="corners")


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulators' environment, and the old one again afterwards."""
    for name in ("PATH", "MAKEFLAGS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    prepare_environment()


def test_a_build_is_made_once_and_again_for_other_sources(tmp_path: Path) -> None:
    first = build(SMALL, RTL, tmp_path)
    made = (first / "sim.vvp").stat().st_mtime_ns
    assert build(SMALL, RTL, tmp_path) == first
    assert (first / "sim.vvp").stat().st_mtime_ns == made
    assert stamp(first) == ""  # RTL: no netlist
    other = broken_rtl(tmp_path / "other", "accum/bit_counter.sv", {"row0 + row1": "row1 + row0"})
    assert build(SMALL, other, tmp_path) != first
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith((".scratch", ".export", ".building"))]


def test_the_key_of_a_build_is_another_for_all_that_it_depends_on(tmp_path: Path) -> None:
    rtl = broken_rtl(tmp_path, "encmac_pkg.sv", {})

    def key(config: Config = SMALL) -> str:
        return builds.build_key(config, builds.sources(config, tmp_path, rtl), rtl)

    first = key()
    for path in (*builds.sources(SMALL, tmp_path, rtl), *rtl.glob("*.svh")):
        if not path.is_relative_to(rtl):
            continue
        text = path.read_text()
        path.write_text(f"{text}// the last line\n")
        assert key() != first, f"{path.name} is left out"
        path.write_text(text)
    assert key() == first
    (rtl / "array" / "clock_gate.sv").rename(rtl / "array" / "clock_gate_2.sv")
    changes = ({"instrument": "waves"}, {"rows": 3}, {"sim": "verilator"}, {"shadow": True}, {"port": True})
    keys = [key(), first, *(key(dataclasses.replace(SMALL, **change)) for change in changes)]
    encoded = [Config("icarus", "enc", name, rows=2, columns=2) for name in ("m12p", "m14p")]
    keys += [key(config) for config in encoded]
    assert len(set(keys)) == len(keys)


def test_a_netlist_that_has_changed_since_it_was_measured_is_refused(tmp_path: Path) -> None:
    config = column(tmp_path, builds.rtl_sha256(None))
    Path(config.netlist).write_text("// mapped again\n")
    with pytest.raises(UserError, match="is not the netlist that ppa.json measured; run: make synth"):
        build(config, RTL, tmp_path / "builds")


@pytest.mark.parametrize("changed", ["tool_versions", "sources_of"])
def test_another_tool_flow_or_library_is_another_build(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(SMALL, RTL, tmp_path)
    before = getattr(builds, changed)
    monkeypatch.setattr(builds, changed, lambda *a, **k: before(*a, **k) | {"iverilog": "another"})
    assert build(SMALL, RTL, tmp_path) != first


def test_netlists_depend_on_flow_and_library(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(builds, "sources_of", lambda *paths, **others: asked.update(paths=paths, **others) or {})
    builds.tools_of(Config("icarus", "conv", gate=True))
    assert ROOT / "flows" in asked["paths"]
    assert any(Path(path).suffix == ".lib" for path in asked["paths"])
    assert asked["packages"] == ["pyosys"] and set(asked["programs"]) == {"iverilog", "vvp", "sta"}


def test_a_folder_without_its_stamp_is_built_again_and_used(tmp_path: Path) -> None:
    first = build(SMALL, RTL, tmp_path)
    for damage in (None, "", "not json"):
        (first / "built").unlink()
        (first / "sim.vvp").write_text("half a program")
        if damage is not None:
            (first / "built").write_text(damage)
        assert stamp(first) is None
        assert build(SMALL, RTL, tmp_path) == first
        assert stamp(first) == "" and (first / "sim.vvp").stat().st_size > 10_000
    outcomes = run(SMALL, Options("mine", out=tmp_path.parent / tmp_path.name / "out", rerun=False))
    assert [o.status for o in outcomes] == ["passed"]


def test_what_killed_builds_left_is_removed(tmp_path: Path) -> None:
    for name in (".building-123-456", ".scratch-abc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("x")
        os.utime(tmp_path / name, (time.time() - 60,) * 2)
    build(SMALL, RTL, tmp_path)
    assert not [p.name for p in tmp_path.iterdir() if p.is_dir() and p.name.startswith(".")]


def test_a_build_that_fails_leaves_its_log_and_nothing_else(tmp_path: Path) -> None:
    rtl = broken_rtl(
        tmp_path / "rtl_of_mine", "array/stream_control.sv", {"= s_axis_a_tready && s_axis_a_tvalid": "= nothing"}
    )
    with pytest.raises(BuildFault, match="nothing") as failed:
        build(SMALL, rtl, tmp_path / "builds")
    assert failed.value.cause == ""
    (log,) = [path for path in (tmp_path / "builds").iterdir() if not path.name.startswith(".")]
    assert "nothing" in log.read_text() and str(log) in str(failed.value)


def test_a_build_that_hangs_says_nothing_of_the_design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_args: object, **_options: object) -> None:
        raise SimulatorFault("hung: no end after 1 s", TIMEOUT)

    monkeypatch.setattr(builds, "run_process", hangs)
    (outcome,) = run(SMALL, Options("mine", out=tmp_path, rerun=False))
    assert (outcome.name, outcome.cause) == ("build", TIMEOUT)


def column(folder: Path, rtl: str) -> Config:
    """A column as make synth leaves it, mapped from RTL with this hash."""
    (folder / "gate").mkdir()
    netlist, cells, wrapper = folder / "netlist.v", folder / "cells.v", folder / "wrapper.v"
    netlist.write_text("module column_top(input a, output y); CELL c(a, y); endmodule\n")
    cells.write_text("module CELL(input a, output y); assign y = a; endmodule\n")
    wrapper.write_text("module column_gates(input a, output y); column_top t(a, y); endmodule\n")
    record = {"column": {"encoding": None}, "rtl_sha256": rtl, "cells": str(cells), "wrapper": str(wrapper)}
    (folder / "gate" / "column.json").write_text(json.dumps(record))
    sha256 = builds.file_sha256(netlist)
    return Config("icarus", "conv", gate=True, netlist=str(netlist), netlist_sha256=sha256, name="mine")


def test_the_hash_in_a_record_is_that_of_the_netlist_that_was_compiled(tmp_path: Path) -> None:
    config = column(tmp_path, builds.rtl_sha256(None))
    first = build(config, RTL, tmp_path / "builds")
    assert stamp(first) == config.netlist_sha256
    (first / builds.NETLIST).write_text("// changed after it was compiled\n")
    assert stamp(build(config, RTL, tmp_path / "builds")) == config.netlist_sha256
    (tmp_path / "cells.v").write_text("module CELL(input a, output y); assign y = !a; endmodule\n")
    assert build(config, RTL, tmp_path / "builds") != first  # other models of the cells: another build


def test_netlists_of_other_rtl_are_refused(tmp_path: Path) -> None:
    config = column(tmp_path, "0" * 64)
    with pytest.raises(UserError, match="mapped from other RTL than there is now; run: make synth"):
        build(config, RTL, tmp_path / "builds")
    hashes = [builds.rtl_sha256(encoding) for encoding in (None, "m12p", "m14p")]  # its package is RTL, too
    assert len(set(hashes)) == 3


def test_two_at_once_build_a_design_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    go, begun, made = threading.Event(), threading.Event(), []
    build_it = builds.make_build

    def slow(*arguments: object) -> str:
        made.append(arguments[-1])
        begun.set()
        assert go.wait(1200)
        return build_it(*arguments)

    monkeypatch.setattr(builds, "make_build", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(build, SMALL, RTL, tmp_path)
        assert begun.wait(1200)
        second = pool.submit(build, SMALL, RTL, tmp_path)
        go.set()
        assert first.result() == second.result() and len(made) == 1
    assert "waiting" not in capfd.readouterr().err, "both are of this command"


def test_sources_that_change_while_a_design_is_built_leave_no_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulator may have read the old text or the new one: neither is a build of the old."""
    rtl = broken_rtl(tmp_path / "rtl", "accum/bit_counter.sv", {"row0 + row1": "row1 + row0"})
    source, build_it = rtl / "accum" / "bit_counter.sv", builds.make_build
    before = source.read_text()

    def edited(*arguments: object) -> str:
        source.write_text(before + "// edited\n")
        return build_it(*arguments)

    monkeypatch.setattr(builds, "make_build", edited)
    (outcome,) = run(SMALL, Options("smoke", rtl=rtl, out=tmp_path / "out"))
    assert "sources changed while it was made; run the same command again" in outcome.message
    assert outcome.cause, "no verdict on the design"
    monkeypatch.setattr(builds, "make_build", build_it)
    source.write_text(before)
    assert run(SMALL, Options("smoke", rtl=rtl, out=tmp_path / "out"))[0].passed


def test_makefiles_of_verilator_find_a_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # like a fresh Debian, without `python`
    prepare_environment()
    assert shutil.which("python") == str(Path(sys.executable).with_name("python"))
