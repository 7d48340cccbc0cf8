"""A netlist driven by waves of its ports: what it answers is compared, and only then counted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import UserError
from flows.openroad import __main__ as command
from flows.openroad.routed import traced
from flows.platform import load_platform
from flows.power.circuit import read_circuit
from flows.power.traced import followed, read_trace

HAVE_LIBRARY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib").is_file()
pytestmark = pytest.mark.skipif(not HAVE_LIBRARY, reason="the OSU 0.18 um library is not installed (make setup)")

# a bit of a stream with its valid: q takes d[0], v takes d[1]; both are cleared by the reset
NETLIST = """module top(clk_i, rst_ni, d_i, q_o, m_axis_y_tdata, m_axis_y_tvalid);
  input clk_i;
  input rst_ni;
  input [1:0] d_i;
  output q_o;
  output [0:0] m_axis_y_tdata;
  output m_axis_y_tvalid;
  wire held, told;
  AND2X2 u0 (
    .A(d_i[0]),
    .B(rst_ni),
    .Y(held)
  );
  AND2X2 u1 (
    .A(d_i[1]),
    .B(rst_ni),
    .Y(told)
  );
  DFFPOSX1 r0 (
    .CLK(clk_i),
    .D(held),
    .Q(q_o)
  );
  DFFPOSX1 r1 (
    .CLK(clk_i),
    .D(told),
    .Q(m_axis_y_tvalid)
  );
  assign m_axis_y_tdata[0] = q_o;
endmodule
"""
CYCLES = 12


def waves_of(folder: Path, spoilt: str = "", cycles: int = CYCLES, **given: dict) -> Path:
    """A VCD of the module with a clock of 10 ns; `given` are values of a signal by cycle, `spoilt` its name there."""
    data = [(3 * n + 1) % 4 for n in range(cycles)]
    reset = [int(n >= 2) for n in range(cycles)]
    values: dict[str, list] = {"rst_ni": reset, "d_i": data}
    taken = [0, *[d * r for d, r in zip(data, reset, strict=True)][:-1]]
    values |= {"q_o": [t & 1 for t in taken], "m_axis_y_tdata": [t & 1 for t in taken]}
    values["m_axis_y_tvalid"] = [t >> 1 for t in taken]
    for name, changes in given.items():
        for cycle, value in changes.items():
            values[name][cycle] = value
    widths = dict.fromkeys(values, 1) | {"d_i": 2}
    codes = {name: chr(ord("a") + i) for i, name in enumerate(values)}
    lines = ["$timescale 1ps $end", "$scope module top $end", "$var wire 1 ! clk_i $end"]
    lines += [
        f"$var wire {widths[n]} {c} {n}{' [1:0]' * (widths[n] > 1)} $end" for n, c in codes.items() if n != spoilt
    ]
    lines += ["$upscope $end", "$enddefinitions $end"]
    for cycle in range(cycles):
        lines += [f"#{cycle * 10000 + 1000}", "1!", f"#{cycle * 10000 + 2000}"]
        lines += [
            f"b{values[n][cycle]:02b} {c}" if isinstance(values[n][cycle], int) else f"b{values[n][cycle]} {c}"
            for n, c in codes.items()
            if n != spoilt
        ]
        lines += [f"#{cycle * 10000 + 6000}", "0!"]
    path = folder / "waves.vcd"
    path.write_text("\n".join([*lines, f"#{cycles * 10000 + 1000}", "1!", ""]))
    return path


@pytest.fixture
def netlist(tmp_path: Path) -> Path:
    path = tmp_path / "netlist.v"
    path.write_text(NETLIST)
    return path


def run(netlist: Path, waves: Path) -> tuple:
    circuit, trace = traced(netlist, "top", load_platform("osu018"), waves, netlist.parent / "bits")
    return trace, followed(circuit, trace, 10.0)


def test_outputs_are_compared_where_they_say_something(tmp_path: Path, netlist: Path) -> None:
    trace, activity = run(netlist, waves_of(tmp_path))
    assert trace.begin == 2 and list(trace.inputs["d_i_1"].astype(int)[:4]) == [0, 0, 1, 1]
    valid = trace.outputs["m_axis_y_tvalid"][2:].sum()
    assert activity.cycles == [CYCLES - 2] and activity.matches == 2 * (CYCLES - 2) + valid
    assert activity.toggles[activity.nets["rst_ni"]] == 1  # the reset ends in the first cycle that counts
    # its data while no valid is up may be anything, and so may all before the reset has ended
    idle = int(np.flatnonzero(~trace.outputs["m_axis_y_tvalid"][2:])[0]) + 2
    wrong = int(not trace.outputs["m_axis_y_tdata_0"][idle])
    run(netlist, waves_of(tmp_path, m_axis_y_tdata={idle: wrong}, q_o={0: 1, 1: 1}))


@pytest.mark.parametrize("port", ["q_o", "m_axis_y_tdata", "m_axis_y_tvalid"])
def test_an_output_that_differs_counts_nothing(tmp_path: Path, netlist: Path, port: str) -> None:
    trace, _ = run(netlist, waves_of(tmp_path))
    busy = int(np.flatnonzero(trace.outputs["m_axis_y_tvalid"])[0])
    bit = f"{port}_0" if port == "m_axis_y_tdata" else port
    changed = waves_of(tmp_path, **{port: {busy: int(not trace.outputs[bit][busy])}})
    with pytest.raises(
        UserError, match=rf"[12] of \d+ output bits differ from the waves, first {bit} in cycle {busy};"
    ):
        run(netlist, changed)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"spoilt": "d_i"}, "no signal d_i in top; are these waves of another design"),
        ({"cycles": 1}, "clk_i rises 2 times; 3 are needed"),
        ({"rst_ni": dict.fromkeys(range(CYCLES), 0)}, "rst_ni does not rise"),
        ({"d_i": {5: "x1"}}, r"d_i_[01] is unknown in cycle 5"),
    ],
)
def test_waves_that_do_not_fit(tmp_path: Path, netlist: Path, given: dict, told: str) -> None:
    with pytest.raises(UserError, match=told):
        run(netlist, waves_of(tmp_path, **given))


def test_a_netlist_without_reset_or_with_two_names_is_refused(tmp_path: Path, netlist: Path) -> None:
    platform = load_platform("osu018")
    netlist.write_text(NETLIST.replace("rst_ni", "en_i"))
    with pytest.raises(UserError, match="has no rst_ni: it cannot be told from when on its state is known"):
        run(netlist, waves_of(tmp_path))
    for line in ("assign { q_o, m_axis_y_tdata_0 } = { a, b };", "assign held = told;"):
        netlist.write_text(NETLIST.replace("assign m_axis_y_tdata[0] = q_o;", line))
        with pytest.raises(UserError, match="a net has two names"):
            read_circuit(netlist, platform)
    (tmp_path / "waves.vcd").write_text("half a file")
    netlist.write_text(NETLIST)
    with pytest.raises(UserError, match=r"waves.vcd"):
        run(netlist, tmp_path / "waves.vcd")


def test_a_layout_that_is_there_is_weighed_and_not_run_again(
    tmp_path: Path, netlist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Waves that do not fit are told before the layout; with others the power follows, and is of these waves."""
    platform, runs = load_platform("osu018"), []
    figures = {"wns_ns": 0.1, "hold_wns_ns": 0.1, "wire_um": 10.0, "clock_latency_ns": 0.2, "antennas": 0}
    figures |= {"diodes_um2": 5.0}
    power = {"cycles": 10, "output_bits_compared": 7, "power_mw": {"total": 1.0}}
    power |= {"agreement_mw": {"openroad": {"total": 1.1}}}
    plan = SimpleNamespace(hashed=lambda: [netlist.read_text()])
    made = SimpleNamespace(sha256="0", cells=4, area_um2=100.0)
    stubs = {"Plan": lambda *_: plan, "openroad": lambda: "openroad", "version": lambda _: "1"}
    stubs |= {"layout_script": lambda *_: runs.append("layout"), "run_layout": lambda *_: dict(figures)}
    stubs |= {"read_netlist": lambda *_: made, "weighed_by_waves": lambda *_: dict(power)}
    stubs |= {"in_a_process": lambda *_: (tmp_path / "layout" / "netlist.v").write_text("")}
    for name, value in stubs.items():
        monkeypatch.setattr(command, name, value)

    def layout(waves: Path | None) -> int:
        return command.one_netlist(
            SimpleNamespace(netlist=netlist, top="top", utilization=55.0, trace=waves), platform, 10.0
        )

    with pytest.raises(UserError, match="output bits differ"):
        layout(waves_of(tmp_path, q_o={5: 1, 6: 1, 7: 1, 8: 1}))
    assert runs == [] and not (tmp_path / "layout" / "power.json").exists()
    assert layout(None) == 0 and layout(waves_of(tmp_path)) == 0 and runs == ["layout"]
    assert "10 cycles, 7 output bits as in the waves, 1.000 mW (OpenROAD 1.100)" in capsys.readouterr().out
    assert (tmp_path / "layout" / "power.json").is_file()
    netlist.write_text(NETLIST + "\n")  # another one: the power of the first goes with its layout
    figures["antennas"] = 29
    assert layout(None) == 0 and runs == ["layout", "layout"]
    assert not (tmp_path / "layout" / "power.json").exists()
    said = capsys.readouterr().out  # the area of diodes is counted
    assert (
        ": 105 um2, 0.0 mm of wire, " in said and "0 violations of spacing, but 29 nets break rules of antennas" in said
    )
    # what cannot be laid out costs no earlier layout
    monkeypatch.setattr(command, "layout_script", refuse)
    netlist.write_text(NETLIST + "\n\n")
    with pytest.raises(UserError, match="no module other"):
        layout(None)
    assert (tmp_path / "layout" / "layout.json").is_file()
    monkeypatch.setattr(command, "layout_script", lambda *_: runs.append("layout"))
    for slack in ("wns_ns", "hold_wns_ns"):
        figures |= {"wns_ns": 0.1, "hold_wns_ns": 0.1, slack: -0.1}
        netlist.write_text(NETLIST + f"// {slack}\n")
        with pytest.raises(UserError, match="misses its clock"):
            layout(None)


def refuse(*_: object) -> None:
    raise UserError("netlist.v has no module other")


def test_waves_need_a_netlist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    waves, tool = waves_of(tmp_path), tmp_path / "openroad"
    tool.write_text("#!/bin/sh\necho 26Q1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr("sys.argv", ["flows.openroad", "--trace", str(waves), "--platform", "osu018"])
    with pytest.raises(UserError, match="TRACE= has waves of the ports of NETLIST="):
        command.main()


def test_trace_is_read_by_bits(tmp_path: Path, netlist: Path) -> None:
    """Ports that the netlist has as bits are those of a bus in the waves; a narrower bus is another design's."""
    bits = tmp_path / "bits.v"
    bits.write_text(
        "module top(clk_i, rst_ni, d_i_0, d_i_2, q_o);\n  input clk_i;\n  input rst_ni;\n  input d_i_0;\n"
        "  input d_i_2;\n  output q_o;\n"
        "  DFFPOSX1 r (\n    .CLK(clk_i),\n    .D(d_i_2),\n    .Q(q_o)\n  );\nendmodule\n"
    )
    with pytest.raises(UserError, match="d_i has 2 bits, the netlist d_i_2; is it another design"):
        read_trace(waves_of(tmp_path), read_circuit(bits, load_platform("osu018")))
