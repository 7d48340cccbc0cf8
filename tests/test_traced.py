"""A netlist driven by waves of its ports: what it answers is compared, and only then counted."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import UserError
from flows.openroad import __main__ as command
from flows.openroad.routed import traced
from flows.platform import load_platform
from flows.power.circuit import read_circuit
from flows.power.measure import Routed
from flows.power.traced import followed, weigh_trace
from flows.sta import constraints, plain_delays, run_sta

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
    lines = ["$timescale 1ps $end", "$scope module top $end"]
    lines += ["$var wire 1 ! clk_i $end"] * (spoilt != "clk_i")
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
        ({"spoilt": "clk_i"}, "no scope has clk_i; are these waves of the netlist"),
        ({"cycles": 1}, "clk_i of top rises 2 times; 3 are needed"),
        ({"rst_ni": dict.fromkeys(range(CYCLES), 0)}, "rst_ni of top does not go from 0, over a rise of clk_i, to 1"),
        ({"rst_ni": dict.fromkeys(range(2), "x")}, "rst_ni of top does not go from 0, over a rise of clk_i, to 1"),
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
    power = {"cycles": 10, "output_bits_compared": 7, "output_bits": 30, "power_mw": {"total": 1.0}}
    power |= {"scope": "top", "outputs_never_compared": ["q_o"]}
    power |= {"agreement_mw": {"openroad": {"total": 1.1}}}
    plan = SimpleNamespace(hashed=lambda: [netlist.read_text()])
    made = SimpleNamespace(sha256="0", cells=4, area_um2=100.0)
    stubs = {"Plan": lambda *_: plan, "openroad": lambda: "openroad", "version": lambda _: "1"}
    stubs |= {"layout_script": lambda *_: runs.append("layout"), "run_layout": lambda *_: dict(figures)}
    stubs |= {"read_netlist": lambda *_: made, "weighed_by_waves": lambda *_: dict(power)}

    def left(*_: object) -> None:
        for name in ("netlist.v", "layout.v", "layout.sdf", "layout.spef", "layout.odb"):
            (tmp_path / "layout" / name).write_text("")

    stubs |= {"in_a_process": left}
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
    said = capsys.readouterr().out
    assert "top: 10 cycles, 7 of 30 output bits known or valid, all as in the waves, 1.000 mW (OpenROAD 1.100)" in said
    assert "1 output bits were never known or valid, as q_o" in said
    assert '"parasitics": "estimated from global routes"' in (tmp_path / "layout" / "power.json").read_text()
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


def test_a_narrower_bus_is_of_another_design(tmp_path: Path, netlist: Path) -> None:
    netlist.write_text(NETLIST.replace("input [1:0] d_i", "input [2:0] d_i"))
    with pytest.raises(UserError, match="d_i of top has 2 bits, the netlist more; is it another design"):
        run(netlist, waves_of(tmp_path))


@pytest.mark.parametrize(("bounds", "at"), [("[1:0]", "[{}]"), ("[5:4]", "[{}]"), ("[0:1]", "[{}]"), ("[5:4]", "_{}")])
def test_buses_begin_where_they_begin(tmp_path: Path, netlist: Path, bounds: str, at: str) -> None:
    """Bit 0 of the waves is the last of the range, whatever its number; waves of a netlist may have single bits."""
    high, low = bounds[1:-1].split(":")
    text = NETLIST.replace("input [1:0] d_i", f"input {bounds} d_i")
    text = text.replace("d_i[0]", "d_i[low]").replace("d_i[1]", f"d_i[{high}]").replace("d_i[low]", f"d_i[{low}]")
    netlist.write_text(text)
    waves = waves_of(tmp_path)
    if at == "_{}":
        text = waves.read_text()
        code = text.partition(" d_i [1:0]")[0][-1]
        text = text.replace(f"$var wire 2 {code} d_i [1:0] $end", "$var wire 1 ~ d_i_4 $end $var wire 1 ? d_i_5 $end")
        for word in range(4):
            text = text.replace(f"b{word:02b} {code}\n", f"{word & 1}~\n{word >> 1}?\n")
        waves.write_text(text)
    _, activity = run(netlist, waves)
    assert activity.matches > CYCLES


def test_the_scope_is_the_one_that_has_the_ports(tmp_path: Path, netlist: Path) -> None:
    """A bench around has a clock of that name and other signals, or the same ones; two that differ are refused."""
    waves = waves_of(tmp_path)
    text, head = waves.read_text(), "$scope module top $end"
    bench = "$scope module bench $end\n$var wire 1 ! clk_i $end\n"
    waves.write_text(text.replace(head, bench + head).replace("$upscope", "$upscope $end $upscope", 1))
    assert run(netlist, waves)[0].place == "bench.top"
    # a faster clock of the bench is not the netlist's
    waves.write_text(
        text.replace(head, bench.replace("!", "^") + head)
        .replace("$upscope", "$upscope $end $upscope", 1)
        .replace("\n1!", "\n1!\n1^")
        .replace("\n0!", "\n0!\n0^\n#9\n".replace("#9\n", ""))
    )
    assert run(netlist, waves)[1].cycles == [CYCLES - 2]
    inner = text[text.index(head) : text.index("$upscope")]
    twin = inner.replace("module top", "module twin")
    same = text.replace(head, f"$scope module bench $end\n{twin}$upscope $end\n{head}")
    waves.write_text(same.replace("$upscope $end\n$enddef", "$upscope $end $upscope $end\n$enddef"))
    assert run(netlist, waves)[0].place == "bench.top"  # two names of the same wires
    code = inner.partition(" q_o ")[0][-1]
    waves.write_text(waves.read_text().replace(twin, twin.replace(f" {code} q_o", " d_i_alone q_o")))
    with pytest.raises(UserError, match="bench.top and bench.twin have all ports and differ; dump one"):
        run(netlist, waves)


def test_values_at_the_edge_are_those_after_it(tmp_path: Path, netlist: Path) -> None:
    """Assignments that do not block change at the edge itself, the next cycle begins with them."""
    waves = waves_of(tmp_path)
    lines = waves.read_text().splitlines()
    waves.write_text("\n".join(line for line in lines if not line.endswith("2000") or line[0] != "#") + "\n")
    assert run(netlist, waves)[1].matches == run(netlist, waves_of(tmp_path))[1].matches


def test_what_is_unknown_is_not_compared(tmp_path: Path, netlist: Path) -> None:
    """A bit of an output that is x; an input that is, as data without valid may be; a second reset of two cycles."""
    whole = run(netlist, waves_of(tmp_path))[1].matches
    assert run(netlist, waves_of(tmp_path, q_o={5: "x"}))[1].matches == whole - 1
    trace, activity = run(netlist, waves_of(tmp_path, q_o=dict.fromkeys(range(CYCLES), "x")))
    assert trace.silent == ["q_o"] and activity.matches == whole - (CYCLES - 2)
    again = {"rst_ni": {6: 0, 7: 0}, "q_o": {6: 1, 7: 0, 8: 0}, "m_axis_y_tdata": {7: 0, 8: 0}}
    trace, activity = run(netlist, waves_of(tmp_path, **again, m_axis_y_tvalid={7: 0, 8: 0}))
    assert trace.begin == 2 and 2 * (CYCLES - 4) <= activity.matches < whole
    silent = {name: dict.fromkeys(range(CYCLES), "x") for name in ("q_o", "m_axis_y_tdata", "m_axis_y_tvalid")}
    with pytest.raises(UserError, match="the waves say nothing of its outputs after the reset"):
        run(netlist, waves_of(tmp_path, **silent))


def test_ports_that_cannot_be_compared_are_refused(tmp_path: Path, netlist: Path) -> None:
    escaped = NETLIST.replace("q_o", "\\q[0] ").replace("assign m_axis_y_tdata[0] = \\q[0] ;", "")
    netlist.write_text(escaped)
    with pytest.raises(UserError, match=r"output .q\[0\] can be neither driven nor compared; rename"):
        run(netlist, waves_of(tmp_path))
    netlist.write_text(NETLIST.replace("output q_o", "inout q_o"))
    with pytest.raises(UserError, match="inout q_o can be neither driven nor compared"):
        run(netlist, waves_of(tmp_path))
    netlist.write_text(NETLIST)
    with pytest.raises(UserError, match="has no module other"):
        traced(netlist, "other", load_platform("osu018"), waves_of(tmp_path), tmp_path / "bits")
    # what an earlier netlist has left is not taken for this one
    run(netlist, waves_of(tmp_path))
    netlist.write_text(NETLIST.replace("AND2X2", "NOCELLX1"))
    with pytest.raises(UserError, match=r"netlist.v cannot be read: .*NOCELLX1"):
        run(netlist, waves_of(tmp_path))


def test_a_valid_that_comes_in_hides_no_answer(tmp_path: Path, netlist: Path) -> None:
    netlist.write_text(
        NETLIST.replace("q_o", "req_resp")
        .replace("rst_ni, d_i", "rst_ni, req_valid, d_i")
        .replace("  input rst_ni;\n", "  input rst_ni;\n  input req_valid;\n")
    )
    waves = waves_of(tmp_path)
    text = waves.read_text().replace(" q_o $end", " req_resp $end")
    waves.write_text(text.replace("clk_i $end", "clk_i $end $var wire 1 ~ req_valid $end").replace("1!", "0~ 1!", 1))
    trace, _ = run(netlist, waves)
    assert not trace.inputs["req_valid"].any() and trace.counts["req_resp"][2:].all()


def test_waves_that_are_cut_are_one_line(tmp_path: Path, netlist: Path) -> None:
    waves = waves_of(tmp_path)
    waves.write_text(waves.read_text().replace("b01 ", "b0q ", 3))
    with pytest.raises(UserError, match=r"waves.vcd cannot be read"):
        run(netlist, waves)


def test_power_is_that_of_delays_and_wires(tmp_path: Path, netlist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: a wire of 1 pF at q_o takes 1 pF (1.8 V)^2 a period of it, and late gates still follow the waves."""
    platform = load_platform("osu018")
    circuit, trace = traced(netlist, "top", platform, waves_of(tmp_path), tmp_path / "bits")
    sdf = tmp_path / "layout.sdf"
    run_sta(constraints(circuit.path, "top", platform, 10.0) + f"write_sdf -digits 4 {sdf}\n", tmp_path, "write_sdf")
    totals, told = [], []
    monkeypatch.setattr(
        "flows.power.traced.plain_delays", lambda text, senses: told.append(senses) or plain_delays(text, senses)
    )
    net = circuit.nets[circuit.ports["q_o"]]
    for wires in ({}, {net: 1.0}):
        layout = Routed(sdf, wires, 0.0, lambda *_: {"total": 0.0, "annotated_pins": 0.0})
        fields = weigh_trace(circuit, trace, platform, 10.0, tmp_path, layout)
        totals.append(fields["power_mw"]["total"])
        assert fields["cycles"] == CYCLES - 2 and fields["scope"] == "top"
        assert fields["output_bits"] == 3 * (CYCLES - 2) > fields["output_bits_compared"]
    assert told == [circuit.senses] * 2 and circuit.senses  # delays are by the edge at the input
    rises = followed(circuit, trace, 10.0).rises[circuit.ports["q_o"], 0]
    assert totals[1] - totals[0] == pytest.approx(rises * 1.0 * 1.8**2 / (10.0 * (CYCLES - 2)), rel=0.6)
    wire = re.compile(r"(?<=INTERCONNECT d_i_0 u0/A )\([^)]*\)")  # too late for the next edge
    assert len(wire.findall(sdf.read_text())) == 1
    sdf.write_text(wire.sub("(9.5::9.5)", sdf.read_text()))
    with pytest.raises(UserError, match="output bits differ from the waves"):
        weigh_trace(circuit, trace, platform, 10.0, tmp_path, layout)
