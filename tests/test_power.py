"""Power: counting, tables, energies by hand, and activity that must not be believed."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import UserError
from common.store import Store
from flows.openroad.__main__ import Asked, laid_array
from flows.openroad.routed import block_of, chosen, weighed_before
from flows.platform import Platform, load_platform
from flows.power.__main__ import TRANSITIONS_PERCENT, check_agreement, fits
from flows.power.activity import Activity, measure_activity, stimulus, workload
from flows.power.circuit import PARTS, Circuit, classify, read_circuit
from flows.power.engine import power_of
from flows.power.icarus import count_vcd, icarus_counts
from flows.power.liberty import read_library, truth_table
from flows.power.measure import Conditions, Routed, design_of, measure, tiles_sha256, weigh
from flows.power.opensta import opensta_reads_activity, write_saif
from flows.power.plot import plot_parts, plot_tree
from flows.power.simulate import Paths, read_sdf, simulate
from flows.ppa import compare_power, key_of, view
from flows.sta import constraints, plain_delays, run_sta, write_delays
from flows.synth.__main__ import forms, record
from flows.synth.__main__ import measure as synthesise
from flows.synth.array import measure_array, whole
from flows.synth.netlist import ROOT, TOP
from models.replay import Capture, Layer, load_capture

ROWS, COLUMNS = 4, 2
HAVE_LIBRARY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib").is_file()
needs_library = pytest.mark.skipif(not HAVE_LIBRARY, reason="the OSU 0.18 um library is not installed (make setup)")

VCD = """$timescale 1ps $end
$scope module bench $end $var wire 1 ! outside $end
$scope module dut $end
$var wire 1 " a $end $var wire 1 # \\u.b[0] $end $var wire 8 $ bus $end
$upscope $end $upscope $end $enddefinitions $end
#0 $dumpvars x! 0" x# b0 $ $end
#10 1"
#20 0" 1" 0#
#30 0" 1# b101 $
#40 1"
#50
"""


def test_transitions_are_counted_in_their_window(tmp_path: Path) -> None:
    path = tmp_path / "a.vcd"
    path.write_text(VCD)
    names, counts = count_vcd(path, "bench.dut", [(10, 30), (30, 50)])
    assert names == ["a", "u.b[0]"]
    # a: up at 10, a glitch of no length at 20, down at 30, up at 40
    assert counts[0].tolist() == [[1, 0, 20, 0], [1, 1, 10, 0]]
    # b: unknown until 20, known 0, up at 30
    assert counts[1].tolist() == [[0, 0, 0, 10], [1, 0, 20, 0]]


@pytest.mark.parametrize(
    ("text", "scope", "message"),
    [
        (VCD, "bench.other", "0 nets"),
        (VCD.replace("#50", ""), "bench.dut", "ends before the last window"),
        (VCD.replace("#30", "hello"), "bench.dut", "unexpected word 'hello'"),
        (VCD.replace("#40", "#20"), "bench.dut", "time goes back to #20"),
    ],
)
def test_bad_dump_is_refused(tmp_path: Path, text: str, scope: str, message: str) -> None:
    path = tmp_path / "a.vcd"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        count_vcd(path, scope, [(10, 30), (30, 50)])


def test_missing_dump_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be opened"):
        count_vcd(tmp_path / "none.vcd", "bench.dut", [(0, 1)])


LIBERTY = """
/* a library to calculate by hand: energies do not depend on slew, but on load */
library (hand) {
  time_unit : "1ps"; leakage_power_unit : "1uW"; capacitive_load_unit (1, ff); nom_voltage : 2.0;
  lu_table_template (slew) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance; }
  power_lut_template (load) { variable_1 : total_output_net_capacitance; }
  power_lut_template (edge) { variable_1 : input_transition_time; }
  cell (BUF) { area : 2; cell_leakage_power : 3;
    pin (A) { direction : input; capacitance : 10; }
    pin (Y) { direction : output; function : "A";
      timing () { related_pin : "A"; timing_sense : positive_unate;
        rise_transition (slew) { index_1 ("0, 100"); index_2 ("0, 100"); values ("10, 20", "110, 120"); }
        fall_transition (slew) { index_1 ("0, 100"); index_2 ("0, 100"); values ("10, 20", "110, 120"); } }
      internal_power () { related_pin : "A";
        rise_power (load) { index_1 ("0, 100"); values ("1000, 3000"); }
        fall_power (load) { index_1 ("0, 100"); values ("500, 500"); } } } }
  cell (AND) { area : 4;
    leakage_power () { when : "A & B"; value : 8; }
    leakage_power () { when : "!A"; value : 4; }
    leakage_power () { value : 2; }
    pin (A) { direction : input; capacitance : 10; }
    pin (B) { direction : input; capacitance : 10; }
    pin (Y) { direction : output; function : "A B";
      internal_power () { related_pin : "A"; power (scalar) { values ("100"); } }
      internal_power () { related_pin : "B";
        rise_power (scalar) { values ("300"); } fall_power (scalar) { values ("300"); } } } }
  cell (DFF) { area : 8; ff (IQ, IQN) { clocked_on : "CLK"; next_state : "D"; }
    pin (CLK) { direction : input; clock : true; capacitance : 20;
      internal_power () { rise_power (edge) { index_1 ("0, 100"); values ("70, 70"); }
                          fall_power (edge) { index_1 ("0, 100"); values ("30, 30"); } } }
    pin (D) { direction : input; capacitance : 5; }
    pin (Q) { direction : output; function : "IQ";
      internal_power () { related_pin : "CLK"; rise_power (scalar) { values ("200"); }
        fall_power (scalar) { values ("200"); } } } }
  cell (LAT) { latch (IQ, IQN) { enable : "G"; data_in : "D"; } pin (G) { direction : input; }
    pin (D) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }
}
"""
NETLIST = """module column_top(clk_i, a_i_0, y_o_0);
  input clk_i;
  wire clk_i;
  input a_i_0;
  output y_o_0;
  wire \\n[0] ;
  DFF f0 (
    .CLK(clk_i),
    .D(a_i_0),
    .Q(\\n[0] )
  );
  AND g0 (
    .A(\\n[0] ),
    .B(m),
    .Y(x)
  );
  AND g1 (
    .A(1'b0),
    .B(\\n[0] ),
    .Y(z)
  );
  BUF b0 (
    .A(x),
    .Y(y_o_0)
  );
endmodule
"""


@pytest.fixture
def hand(tmp_path: Path) -> tuple[Platform, Path]:
    """A platform and a netlist whose power can be told by hand."""
    (tmp_path / "hand.lib").write_text(LIBERTY)
    path = tmp_path / "netlist.v"
    path.write_text(NETLIST)
    platform = dataclasses.replace(
        load_platform("osu018") if HAVE_LIBRARY else pytest.skip("needs a Liberty file (make setup)"),
        liberty=tmp_path / "hand.lib",
        driver="BUF",
        output_load_pf=0.05,
    )
    return platform, path


def activity_of(circuit: Circuit) -> Activity:
    """100 cycles of 10 ns: n toggles 40 times, m 10, x 20, y 20."""
    names = ["clk_i", "a_i_0", "n[0]", "m", "x", "z", "y_o_0"]
    rises = np.array([100, 0, 20, 5, 10, 0, 10])[:, None]
    high = np.array([0.5, 0, 0.5, 0.25, 0.2, 0, 0.2])[:, None]
    return Activity(
        netlist_sha256=circuit.sha256,
        clock_ns=10.0,
        glitches=True,
        windows=("hand",),
        cycles=np.array([100]),
        nets={name: i for i, name in enumerate(names)},
        rises=rises,
        falls=rises,
        high=high,
        matches=1,
    )


def test_power_by_hand(hand: tuple[Platform, Path]) -> None:
    platform, path = hand
    circuit = read_circuit(path, platform)
    power = power_of(circuit, activity_of(circuit), platform, 10.0)
    # uW = fJ / ns; V^2 / 2 = 2; loads in fF: n 10 + 10, x 10, y 50, clock 20; 1000 ns
    n, x, y, clock = 2 * 20 * 40, 2 * 10 * 20, 2 * 50 * 20, 2 * 20 * 200
    assert power.total("switching") * 1e6 == pytest.approx(n + x + y + clock)
    # n: 200 an edge. x: tables of A (100) and B (300) by toggles x time the other is 1: 40 * 1/4 to 10 * 1/2
    share = 40 * 0.25 / (40 * 0.25 + 10 * 0.5)
    gate = (100 * share + 300 * (1 - share)) * 20
    buffer = 10 * (1000 + 2000 * 0.5) + 10 * 500  # rise energy at 50 fF, fall energy
    assert power.total("internal") * 1e6 == pytest.approx(200 * 40 + gate + buffer + 100 * (70 + 30))
    # leakage, uW: BUF 3; g0 8 * 1/8 + 4 * 1/2 + 2 * 3/8; g1 with A = 0: 4
    assert power.total("leakage") * 1e3 == pytest.approx(3 + 1 + 2 + 0.75 + 4)
    assert power.total(part="clock") * 1e6 == pytest.approx(clock + 100 * 100)
    assert power.annotated_percent == 100


def test_energies_of_rails_add_up_and_states_count_by_their_time(hand: tuple[Platform, Path]) -> None:
    platform, path = hand
    # A's energy depends on the state of m, at 1 a quarter of the time; both rails tell theirs; `area` lacks its end
    of_a = 'internal_power () {{ related_pin : "A"; when : "{}"; related_pg_pin : {}; power (scalar) {{ {} }} }}'
    powers = (("B", "VDD", 100), ("!B", "VDD", 500), ("B", "VSS", 10), ("!B", "VSS", 30))
    text = LIBERTY.replace(
        'internal_power () { related_pin : "A"; power (scalar) { values ("100"); } }',
        "".join(of_a.format(when, rail, f'values ("{pj}");') for when, rail, pj in powers),
    )
    text = text.replace('related_pin : "B";', 'related_pin : "B"; related_pg_pin : VDD;').replace(
        "area : 4;", "area : 4\n"
    )
    text = text.replace(
        "value : 8;", 'related_pg_pin : VDD; value : 6; } leakage_power () { when : "A & B"; value : 2;'
    )
    assert text.count("related_pg_pin") == 6
    (path.parent / "hand.lib").write_text(text)
    circuit = read_circuit(path, platform)
    assert {group.cell.name: group.cell.area_um2 for group in circuit.groups}["AND"] == 4
    base = (200 * 40 + 10 * (1000 + 2000 * 0.5) + 10 * 500 + 100 * (70 + 30)) / 1e6
    # of x: shares of A in each state, then of B, which only VDD tells of
    by_time = [40 * 0.25 * 0.25, 40 * 0.25 * 0.75, 10 * 0.5]
    alike = [40 * 0.25, 40 * 0.25, 10 * 0.5]
    for by_state, shares in ((True, by_time), (False, alike)):
        power = power_of(circuit, activity_of(circuit), platform, 10.0, by_state)
        vdd = np.dot(shares, (100, 500, 300)) / sum(shares)
        vss = np.dot(shares[:2], (10, 30)) / sum(shares[:2])
        assert power.total("internal") == pytest.approx(base + 20 * (vdd + vss) / 1e6)
        assert power.total("leakage") * 1e3 == pytest.approx(3 + 1 + 2 + 0.75 + 4)


def test_wire_load_is_added_to_every_pin(hand: tuple[Platform, Path]) -> None:
    platform, path = hand
    circuit = read_circuit(path, platform)
    plain, wired = (
        power_of(circuit, activity_of(circuit), dataclasses.replace(platform, wire_pf_per_pin=w), 10.0).total(
            "switching"
        )
        for w in (0.0, 0.001)
    )
    assert (wired - plain) * 1e6 == pytest.approx(2 * (2 * 40 + 20 + 20 + 200))


def test_wires_of_a_layout_by_hand(hand: tuple[Platform, Path]) -> None:
    """Each counts once, in place of assumed ones; that of the clock port is the clock's."""
    platform, path = hand
    circuit = read_circuit(path, platform)
    plain = power_of(circuit, activity_of(circuit), platform, 10.0)
    assumed = dataclasses.replace(platform, wire_pf_per_pin=0.001)
    for net, toggles in {"clk_i": 200, "n[0]": 40, "x": 20, "y_o_0": 20}.items():
        wires = np.array([0.004 if name == net else 0.0 for name in circuit.nets])
        power = power_of(circuit, activity_of(circuit), assumed, 10.0, wires_pf=wires)
        more, of_clock = 2 * 4 * toggles, net == "clk_i"
        for part, expected in ((None, more), ("clock", more * of_clock)):
            gain = power.total("switching", part) - plain.total("switching", part)
            assert gain * 1e6 == pytest.approx(expected, abs=1e-9), (net, part)
        assert (power.clock_net - plain.clock_net) * 1e6 == pytest.approx(more * of_clock, abs=1e-9)


def test_activity_that_does_not_belong_is_refused(hand: tuple[Platform, Path]) -> None:
    platform, path = hand
    circuit = read_circuit(path, platform)
    good = activity_of(circuit)
    path.write_text(NETLIST.replace("BUF b0", "BUF b1"))
    with pytest.raises(UserError, match="the netlist has changed"):
        power_of(read_circuit(path, platform), good, platform, 10.0)
    with pytest.raises(UserError, match="clock of 10.000 ns, the constraint one of 8.000"):
        power_of(circuit, good, platform, 8.0)
    few = dataclasses.replace(good, nets={net: i for net, i in good.nets.items() if net != "x"})
    with pytest.raises(UserError, match=r"activity of 81\.8 % of the pins, 95 needed"):
        power_of(circuit, few, platform, 10.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("BUF b0", "BUF9 b0", "lacks BUF9; the netlist is of another library"),
        ("AND g1 (\n    .A(1'b0),\n    .B(", "LAT g1 (\n    .G(1'b0),\n    .D(", r"latch inferred \(LAT g1\)"),
    ],
)
def test_netlist_with_wrong_cells_is_refused(hand: tuple[Platform, Path], old: str, new: str, message: str) -> None:
    platform, path = hand
    assert old in NETLIST
    path.write_text(NETLIST.replace(old, new).replace(".Y(z)", ".Q(z)" if "LAT" in new else ".Y(z)"))
    with pytest.raises(UserError, match=message) as caught:
        read_circuit(path, platform)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", ["}\n}\n", 'values ("1000'])
def test_malformed_liberty_is_one_line(tmp_path: Path, cut: str) -> None:
    path = tmp_path / "bad.lib"
    path.write_text(LIBERTY[: LIBERTY.rindex(cut)])
    with pytest.raises(UserError, match="malformed Liberty") as caught:
        read_library(path, ["BUF"])
    assert "\n" not in str(caught.value)


def test_functions_of_liberty() -> None:
    assert truth_table("!(A B) + C'", ["A", "B", "C"]).tolist() == [True, True, True, True, True, True, True, False]
    assert truth_table("A^B&C | 0", ["A", "B", "C"]).tolist() == [False] * 5 + [True, True, False]
    for bad in ("(A", "A )", "IQ", "A +"):
        with pytest.raises(ValueError, match="function"):
            truth_table(bad, ["A"])


@pytest.fixture(scope="module")
def column(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Entry of ppa.json of a small synthesised column."""
    platform = load_platform("osu018")
    design = forms(ROWS, ["m20p"], COLUMNS, True)["enc m20p merged"][0]
    result = synthesise(design, ROWS, platform, 10.0, tmp_path_factory.mktemp("power"))
    return record(result, platform, 10.0)


def conditions(vectors: int = 32, **more: bool) -> Conditions:
    """Tiles of the shipped network on the embedded library."""
    return Conditions(load_platform("osu018"), load_capture(), vectors, **more)


@needs_library
def test_column_has_power_and_glitches(column: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(column, conditions(check=True))
    activity, power = found["activity"], found["power_mw"]
    assert activity["results_checked"] == 6 * COLUMNS * (32 + ROWS)
    assert activity["clock_ns"] == pytest.approx(10.0)
    assert activity["annotated_percent"] == 100
    assert 0 < activity["glitch_percent"] < 60
    assert 0 < power["total"] < 50
    assert power["total"] == pytest.approx(sum(power["by_part"].values()), abs=1e-4)
    assert activity["zero_delay_transitions_against_icarus_percent"] == 0
    assert abs(activity["timed_transitions_against_icarus_percent"]) < TRANSITIONS_PERCENT
    # weights stand still while the column computes, and their clock too but for its gates
    assert power["by_part"]["weight registers"] < 1e-3
    assert 0 < power["by_part"]["weight clock"] < 0.05 * power["by_part"]["clock"]
    # a gated register needs no multiplexer to hold, and this encoding stores bits of the weight as they are
    assert set(found["area_by_part"]) == set(PARTS) - {"clock", "weight loading"}
    assert sum(found["area_by_part"].values()) == pytest.approx(column["area_um2"]["total"])
    # delays of the netlist were annotated, not those of unloaded cells
    (delays,) = (ROOT / column["netlist"]).resolve().parent.glob("power/*/delays.sdf")
    assert len(set(re.findall(r"\(IOPATH CLK Q [^\n]*", delays.read_text()))) > 2

    # kept: the same again without a simulation; with other vectors anew
    monkeypatch.setattr("flows.power.measure.weigh", lambda *_: {"power_mw": "anew"})
    assert measure(column, conditions(check=True)) == found
    assert measure(column, conditions(33)) == {"power_mw": "anew"}


@needs_library
def test_saif_has_every_pin(column: dict, tmp_path: Path) -> None:
    platform, design = load_platform("osu018"), design_of(column)
    circuit = read_circuit((ROOT / column["netlist"]).resolve(), platform)
    given = stimulus(workload(load_capture(), ROWS, 32, COLUMNS), design, ROWS)
    write_saif(circuit, measure_activity(circuit, design, 10.0, given, None), tmp_path / "a.saif")
    assert (tmp_path / "a.saif").read_text().count("(TC ") == circuit.pin_count


@needs_library
@pytest.mark.parametrize("name", ["exact OPT1-WS", "exact FIP", "surplus of FIP a8"])
def test_other_exact_columns_have_power(name: str, tmp_path: Path) -> None:
    platform = load_platform("osu018")
    design = forms(ROWS, [], 1, True, exact=True)[name][0]
    result = synthesise(design, ROWS, platform, 10.0, tmp_path, ("nf",))
    assert measure(record(result, platform, 10.0), conditions())["power_mw"]["total"] > 0


@needs_library
@pytest.mark.skipif(not opensta_reads_activity(), reason="the OpenSTA on PATH cannot read activity (SAIF)")
def test_opensta_agrees(column: dict) -> None:
    found = measure(column, conditions(compare=True))["agreement_mw"]
    assert found["averaged"] == pytest.approx(found["opensta"]["total"], rel=0.05)


@needs_library
def test_wrong_netlists_have_no_power(column: dict) -> None:
    platform, capture = load_platform("osu018"), load_capture()
    with pytest.raises(UserError, match="'not_run', not passed"):
        measure(column | {"gate_sim": "not_run"}, conditions())
    with pytest.raises(UserError, match="does not exist"):
        measure(column | {"netlist": "build/none.v"}, conditions())
    with pytest.raises(UserError, match="vectors, .* are needed"):
        measure(column, conditions(10**6))
    path = (ROOT / column["netlist"]).resolve()
    text = path.read_text()
    try:
        path.write_text(text.replace("  NAND2X1 ", "  NOR2X1 ", 1))
        with pytest.raises(UserError, match="its hash changed"):
            measure(column, conditions())
        # even with the right hash: its results are wrong
        design, given = design_of(column), stimulus(workload(capture, ROWS, 32, COLUMNS), design_of(column), ROWS)
        with pytest.raises(UserError, match=r"of 432 results are wrong; its toggles do not count"):
            measure_activity(read_circuit(path, platform), design, 10.0, given, None)
    finally:
        path.write_text(text)


@needs_library
def test_delays_of_another_netlist_are_refused(column: dict, tmp_path: Path) -> None:
    design = design_of(column)
    given = stimulus(workload(load_capture(), ROWS, 32, COLUMNS), design, ROWS)
    platform = load_platform("osu018")
    circuit = read_circuit((ROOT / column["netlist"]).resolve(), platform)
    sdf = tmp_path / "delays.sdf"
    write_delays(circuit.path, TOP, platform, 10.0, sdf)
    sdf.write_text(re.sub(r"\(INSTANCE _(\d+)_\)", r"(INSTANCE _9\1_)", sdf.read_text(), count=1))
    with pytest.raises(UserError, match=r"no delays for \w+ _\d+_ and 0 more cells"):
        measure_activity(circuit, design, 10.0, given, sdf)
    with pytest.raises(UserError, match=r"(?i)vvp on .*sdf.*icarus-timed-vvp\.log"):
        icarus_counts(circuit, design, platform, 10.0, given, tmp_path, True)


@needs_library
@pytest.mark.parametrize(("latency_ns", "change_ps"), [(None, 1000), (0.0, 1000), (0.9, 1000), (1.2, 2200)])
def test_inputs_come_from_behind_a_clock_tree(
    column: dict, monkeypatch: pytest.MonkeyPatch, latency_ns: float, change_ps: int
) -> None:
    """One that takes longer than the tenth of a clock outside would let registers see the next value."""
    design = design_of(column)
    given = stimulus(workload(load_capture(), ROWS, 32, COLUMNS), design, ROWS)
    circuit = read_circuit((ROOT / column["netlist"]).resolve(), load_platform("osu018"))

    def said(*arguments: object) -> None:
        raise InterruptedError(f"{arguments[-2]} {arguments[-1]}")

    monkeypatch.setattr("flows.power.activity.simulate", said)
    with pytest.raises(InterruptedError, match=f"^{change_ps} {latency_ns is not None}$"):
        measure_activity(circuit, design, 10.0, given, None, latency_ns)
    with pytest.raises(UserError, match=r"a clock latency of 4 ns leaves inputs no time in 10 ns; give a longer"):
        measure_activity(circuit, design, 10.0, given, None, 4.0)


@needs_library
def test_a_layout_brings_wires_and_a_clock_tree(column: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock comes by 2 ns of wire and a buffer: inputs must come later too, and its wires take their power."""
    given, design = conditions(compare=True), design_of(column)
    netlist, sdf = tmp_path / "layout.v", tmp_path / "layout.sdf"
    text = (ROOT / column["netlist"]).read_text().replace("(clk_i)", "(clk_tree)")
    buffer = "  CLKBUF3 tree (\n    .A(clk_i),\n    .Y(clk_tree)\n  );\nendmodule"
    netlist.write_text(text.replace("endmodule", buffer))
    commands = constraints(netlist, TOP, given.platform, 10.0) + f"write_sdf -digits 4 {sdf}\n"
    run_sta(commands, tmp_path, "write_sdf")
    of_the_clock = re.compile(r"(?<=INTERCONNECT clk_i tree/A )\([^)]*\)")
    assert len(of_the_clock.findall(sdf.read_text())) == 1
    sdf.write_text(of_the_clock.sub("(2.0::2.0)", sdf.read_text()))
    circuit = read_circuit(netlist, given.platform)
    told: list[dict] = []
    monkeypatch.setattr(
        "flows.power.measure.plain_delays", lambda text, senses: told.append(senses) or plain_delays(text, senses)
    )

    def weighed(latency_ns: float, **wires_pf: float) -> dict:
        layout = Routed(sdf, wires_pf, latency_ns, lambda *_, **__: {"total": 1.0})
        return weigh(circuit, design, 10.0, ROWS, given, tmp_path, layout)

    plain, wired = weighed(3.0), weighed(3.0, clk_i=1.0)
    assert told == [circuit.senses] * 2 and circuit.senses  # delays are by the edge at the input
    assert plain["activity"]["results_checked"] == 6 * COLUMNS * (32 + ROWS)
    more = pytest.approx(1.8**2 * 1.0 / 10.0, abs=2e-6)  # mW: C V^2 f of 1 pF
    for kind in ("total", "switching", "zero_delay_total"):
        assert wired["power_mw"][kind] - plain["power_mw"][kind] == more, kind
    assert wired["power_mw"]["by_part"]["clock"] - plain["power_mw"]["by_part"]["clock"] == more
    assert wired["agreement_mw"]["averaged"] == pytest.approx(plain["agreement_mw"]["averaged"], abs=2e-6)
    for latency_ns in (0.0, 1.5):  # as of no tree, and of the buffer alone
        with pytest.raises(UserError, match="results are wrong"):
            weighed(latency_ns)


@needs_library
def test_icarus_counts_the_same(column: dict, tmp_path: Path) -> None:
    platform, design = load_platform("osu018"), design_of(column)
    circuit = read_circuit((ROOT / column["netlist"]).resolve(), platform)
    given = stimulus(workload(load_capture(), ROWS, 32, COLUMNS), design, ROWS)
    sdf = tmp_path / "delays.sdf"
    write_delays(circuit.path, TOP, platform, 10.0, sdf)
    for timed in (False, True):
        ours = measure_activity(circuit, design, 10.0, given, sdf if timed else None)
        theirs = icarus_counts(circuit, design, platform, 10.0, given, tmp_path, timed)
        toggles = theirs.rises + theirs.falls
        same = (ours.toggles == toggles).all(axis=1)
        assert ours.toggles.sum() == pytest.approx(toggles.sum(), rel=0.002)
        assert same.mean() > 0.95 if timed else same.all()


@needs_library
def test_only_nets_of_cells_must_be_known_while_counting(tmp_path: Path) -> None:
    platform, design = load_platform("osu018"), forms(ROWS, [], 1, True)["conv tree"][0]
    circuit = read_circuit(synthesise(design, ROWS, platform, 10.0, tmp_path, ("nf",)).netlist.path, platform)
    assert "f_i" not in " ".join(circuit.nets), "a conventional column leaves this port open"
    given = stimulus(workload(load_capture(), ROWS, 32, 1), design, ROWS)
    assert icarus_counts(circuit, design, platform, 10.0, given, tmp_path, False).rises.any()
    early = dataclasses.replace(given, windows=((0, 2), *given.windows[1:]))  # before weights are loaded
    with pytest.raises(UserError, match=r"net \S+ and \d+ more are unknown while counting"):
        icarus_counts(circuit, design, platform, 10.0, early, tmp_path, False)


STORING = """
library (storing) { time_unit : "1ns"; capacitive_load_unit (1, pf); leakage_power_unit : "1nW"; nom_voltage : 1.0;
  cell (XOR) { pin (A) { direction : input; } pin (B) { direction : input; }
    pin (Y) { direction : output; function : "A ^ B"; } }
  cell (DFFN) { ff (IQ, IQN) { clocked_on : "!CK"; next_state : "!D"; } pin (CK) { direction : input; clock : true; }
    pin (D) { direction : input; } pin (QN) { direction : output; function : "IQN"; } }
  cell (ICG) { clock_gating_integrated_cell : "latch_posedge"; statetable ("CK E", "IQ") { table : ""; }
    pin (IQ) { direction : internal; } pin (CK) { direction : input; clock_gate_clock_pin : true; }
    pin (E) { direction : input; clock_gate_enable_pin : true; }
    pin (G) { direction : output; clock_gate_out_pin : true; state_function : "CK & IQ"; } }
  cell (TIE) { pin (Y) { direction : output; function : "1"; } }
  cell (BUF) { pin (A) { direction : input; } pin (Y) { direction : output; function : "A"; } }
  cell (DFFR) { ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; clear : "R"; } pin (CK) { direction : input; }
    pin (D) { direction : input; } pin (R) { direction : input; } pin (Q) { direction : output; function : "IQ"; } }
}
"""
STORES = """module column_top(clk_i, e, d, y_o_0, y_o_1, y_o_2);
  input clk_i;
  output y_o_0;
  output y_o_1;
  output y_o_2;
  DFFN f (
    .CK(g),
    .D(d),
    .QN(y_o_0)
  );
  ICG c (
    .CK(clk_i),
    .E(e),
    .G(g)
  );
  BUF b (
    .A(d),
    .Y(late)
  );
  XOR x (
    .A(d),
    .B(late),
    .Y(y_o_1)
  );
  XOR k (
    .A(d),
    .B(1'b1),
    .Y(y_o_2)
  );
endmodule
"""


def storing(folder: Path, netlist: str) -> Circuit:
    """A circuit of the cells of STORING."""
    (folder / "storing.lib").write_text(STORING)
    (folder / "netlist.v").write_text(netlist)
    platform = load_platform("osu018") if HAVE_LIBRARY else pytest.skip("needs a Liberty file (make setup)")
    return read_circuit(
        folder / "netlist.v", dataclasses.replace(platform, liberty=folder / "storing.lib", driver="BUF")
    )


def test_stored_values_clock_gates_and_short_pulses(tmp_path: Path) -> None:
    circuit = storing(tmp_path, STORES)
    stimulus = {"e": np.array([0, 1, 0, 0, 1, 1], bool), "d": np.array([1, 1, 1, 0, 1, 0], bool)}
    outputs = ["y_o_0", "y_o_1", "y_o_2"]

    def run(late: int, pulse: int, scale: int = 1) -> tuple[list, int]:
        delays = {("b", "A", "Y"): late, ("f", "CK", "QN"): 30, ("c", "CK", "G"): 20}
        delays |= {(name, pin, "Y"): pulse for name in "xk" for pin in "AB"}
        paths: Paths = {path: ((scale * ps, scale * ps),) * 2 for path, ps in delays.items()}
        found = simulate(circuit, paths, stimulus, outputs, [(0, 6)], scale * 1000, scale * 100)
        return found.samples.astype(int).T.tolist(), int((found.rises + found.falls)[circuit.ports["y_o_1"]][0])

    samples, glitches = run(50, 10)
    # enabled in the cycles after e = 1; taken over at the fall of the gated clock: QN = D of that moment
    assert samples == [[0, 0, 1, 1, 1, 0], [0] * 6, [0, 0, 0, 1, 0, 1]]
    assert glitches == 2 * 4  # d changes four times, and the XOR sees it twice
    assert run(50, 60) == (samples, 0)  # a pulse of 50 ps through a path of 60
    assert run(50, 0) == (samples, glitches)  # some paths without a delay
    assert run(0, 0) == (samples, 0)  # both inputs of the XOR change in one time stamp, one after the other
    assert [run(50, pulse, 3000) for pulse in (10, 60)] == [(samples, glitches), (samples, 0)]  # more than 16 bits
    zero = simulate(circuit, None, stimulus, outputs, [(0, 6)], 1000, 100)
    assert zero.samples.astype(int).T.tolist() == samples
    assert not (zero.rises + zero.falls)[circuit.ports["y_o_1"]].any()


@pytest.mark.parametrize("scale", [1, 3000])
def test_delays_by_the_edge_at_the_input(tmp_path: Path, scale: int) -> None:
    """An XOR that inverts takes 50 ps after a rise, to its fall, and 200 after a fall, to its rise."""
    circuit = storing(tmp_path, STORES)
    stimulus = {"e": np.zeros(6, bool), "d": np.array([1, 1, 1, 0, 1, 0], bool)}
    delays = {("b", "A", "Y"): 10, ("f", "CK", "QN"): 10, ("c", "CK", "G"): 10, ("k", "B", "Y"): 10}
    paths: Paths = {path: ((scale * ps, scale * ps),) * 2 for path, ps in delays.items()}
    paths |= {(name, pin, "Y"): ((scale, 200 * scale), (50 * scale, scale)) for name, pin in ("kA", "xA", "xB")}
    found = simulate(circuit, paths, stimulus, ["y_o_2"], [(0, 6)], 1000 * scale, 100 * scale, routed=True)
    net = circuit.ports["y_o_2"]  # 1 up to 150 ps, from 3,300 to 4,150 and from 5,300 to 6,000
    assert found.high_ps[net][0] == scale * (150 + 850 + 700)
    assert (found.rises[net][0], found.falls[net][0]) == (2, 2)


@pytest.mark.parametrize("scale", [1, 3000])
@pytest.mark.parametrize("routed", [True, False])
def test_a_change_that_comes_again_counts_from_its_last_cause(tmp_path: Path, scale: int, routed: bool) -> None:
    """Of layouts; before, from its first while that is under way, as Icarus Verilog does."""
    again = STORES.replace("    .A(d),\n    .B(1'b1),", "    .A(y_o_1),\n    .B(later),")
    again = again.replace("  XOR k (", "  BUF l (\n    .A(late),\n    .Y(later)\n  );\n  XOR k (")
    assert again.count("later") == 2
    circuit = storing(tmp_path, again)
    stimulus = {"e": np.zeros(2, bool), "d": np.ones(2, bool)}
    delays = {("b", "A", "Y"): 50, ("l", "A", "Y"): 50, ("f", "CK", "QN"): 10, ("c", "CK", "G"): 10}
    delays |= {("x", pin, "Y"): 0 for pin in "AB"} | {("k", pin, "Y"): 190 for pin in "AB"}
    paths: Paths = {path: ((scale * ps, scale * ps),) * 2 for path, ps in delays.items()}
    found = simulate(circuit, paths, stimulus, ["y_o_2"], [(0, 1)], 1000 * scale, 100 * scale, routed)
    # the function of k is 1 from 100 to 150 ps and from 200 ps on
    assert found.high_ps[circuit.ports["y_o_2"]][0] == scale * (1000 - (390 if routed else 290))


def test_cells_that_layout_adds(tmp_path: Path) -> None:
    """A tie cell has no inputs; a clock buffer bears the name of its net, with brackets, which SAIF writes bare."""
    stimulus = {"e": np.array([0, 1, 0, 0, 1, 1], bool), "d": np.array([1, 1, 1, 0, 1, 0], bool)}
    laid = STORES.replace("1'b1", "one").replace("  XOR k (", "  TIE t (\n    .Y(one)\n  );\n  XOR k (")
    circuit = storing(tmp_path, laid.replace("BUF b (", "BUF \\buf_u.gate[4].gated  ("))
    found = simulate(circuit, None, stimulus, ["y_o_2"], [(0, 6)], 1000, 100)
    assert found.samples.astype(int).T.tolist() == [[0, 0, 0, 1, 0, 1]]
    none = np.zeros((len(circuit.nets), 1))
    nets = {net: i for i, net in enumerate(circuit.nets)}
    quiet = Activity(circuit.sha256, 1.0, True, ("all",), np.array([6]), nets, none, none, none, 1)
    write_saif(circuit, quiet, tmp_path / "a.saif")
    assert "(INSTANCE buf_u.gate[4].gated (NET" in (tmp_path / "a.saif").read_text()


def test_reset_that_is_tied_off_is_simulated(tmp_path: Path) -> None:
    stimulus = {"e": np.array([0, 1, 0, 0, 1, 1], bool), "d": np.array([1, 1, 1, 0, 1, 0], bool)}
    tied = STORES.replace("DFFN f (\n", "DFFR f (\n    .R(1'b0),\n").replace(".QN(", ".Q(")
    found = simulate(storing(tmp_path, tied), None, stimulus, ["y_o_0"], [(0, 6)], 1000, 100)
    assert found.samples.astype(int).T.tolist() == [[0, 0, 1, 1, 1, 1]]  # at the rise of the gated clock


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "DFFN f (\n",
            "DFFR f (\n    .R(e),\n",
            r"cell DFFR \(f\) is cleared or set by more than a constant; tie that",
        ),
        ("    .A(d),\n    .Y(late)", "    .A(y_o_1),\n    .Y(late)", "does not settle; is there a loop of cells"),
    ],
)
def test_what_cannot_be_simulated_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in STORES
    circuit = storing(tmp_path, STORES.replace(old, new).replace(".QN(", ".Q(" if "DFFR" in new else ".QN("))
    stimulus = {"e": np.ones(4, bool), "d": np.array([0, 1, 0, 1], bool)}
    with pytest.raises(UserError, match=message):
        simulate(circuit, None, stimulus, ["y_o_0"], [(0, 4)], 1000, 100)


def test_a_layer_of_fewer_outputs_than_columns_has_a_tile() -> None:
    weights = np.ones((3, 8, 1, 1), np.int8)
    layer = Layer("few", np.ones((1, 8, 6, 6), np.int8), weights, np.zeros(3, np.int32), None)
    (tile,) = workload(Capture("net", "none", {"few": layer}), 8, 16, 4)
    assert tile.n0 == 0 and tile.weights.shape == (8, 4) and not tile.weights[:, 3].any()


def test_tiles_are_told_apart_by_how_activations_meet_weights() -> None:
    layer = Layer("one", np.ones((1, 8, 6, 6), np.int8), np.ones((4, 8, 3, 3), np.int8), np.zeros(4, np.int32), None)
    ways = ({}, {"padding": (1, 1, 1, 1)}, {"stride": (2, 2)}, {"pad_value": 5})
    others = [dataclasses.replace(layer, **way) for way in ways]
    assert len({tiles_sha256(Capture("net", "none", {"one": one})) for one in others}) == 4


@pytest.mark.parametrize("columns", [1, 4, 5, 8])
def test_every_grouped_layer_has_a_tile(columns: int) -> None:
    """Tiles begin anew with every group, of whatever number of outputs; a tile is full where a group fills it."""
    weights, maps = np.ones((18, 8, 1, 1), np.int8), np.ones((1, 24, 6, 6), np.int8)
    layers = {str(n): Layer(str(n), maps, weights, np.zeros(18, np.int32), None, groups=3) for n in range(18)}
    found = workload(Capture("net", "none", layers), 8, 16, columns)
    assert len(found) == 18 and {tile.group for tile in found} == {0, 1, 2}
    assert all(tile.weights.any(0).sum() == min(columns, 6) for tile in found)


def test_delays_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    cell = '(CELL (CELLTYPE "X") (INSTANCE \\a.b ) (DELAY (ABSOLUTE (IOPATH (posedge C) Q (0.0104::0.0116) (0.02))'
    edges = "(IOPATH (posedge B) Q (1) (2)) (IOPATH (negedge B) Q (3) (4))"
    path.write_text(f"(DELAYFILE (TIMESCALE 1ns) {cell} (IOPATH A Q (1::2)) {edges}))))")
    either = {("a.b", "C", "Q"): ((20, 12),) * 2, ("a.b", "A", "Q"): ((2000, 2000),) * 2}
    assert read_sdf(path) == either | {("a.b", "B", "Q"): ((4000, 3000), (2000, 1000))}
    path.write_text("nothing")
    with pytest.raises(UserError, match="no time scale"):
        read_sdf(path)


@needs_library
def test_buffers_before_a_register_of_activations_belong_to_it(tmp_path: Path) -> None:
    """Layout adds them for hold; what lies between registers and sums is the tree's."""
    cells = [("BUFX2", "hold", "A(a_i_0)", "Y(late)"), ("INVX1", "after", "A(q)", "Y(y_o_0)")]
    body = "".join(f"  {cell} {name} (\n    .{x},\n    .{y}\n  );\n" for cell, name, x, y in cells)
    body += "  DFFPOSX1 register (\n    .CLK(clk_i),\n    .D(late),\n    .Q(q)\n  );\n"
    ports = "  input clk_i;\n  input a_i_0;\n  output y_o_0;\n"
    path = tmp_path / "netlist.v"
    path.write_text(f"module column_top(clk_i, a_i_0, y_o_0);\n{ports}{body}endmodule\n")
    circuit = read_circuit(path, load_platform("osu018"))
    found = {
        name: PARTS[part]
        for group, parts in zip(circuit.groups, classify(circuit), strict=True)
        for name, part in zip(group.names, parts, strict=True)
    }
    assert found["hold"] == found["register"] == "activation registers" and found["after"] == "product bits"


def test_a_column_bears_its_share_of_the_extra_one() -> None:
    def entry(design: str, encoding: str | None, shared: bool, mw: float) -> dict:
        powers = dict.fromkeys(("total", "zero_delay_total", "wired_total"), mw)
        fields = {"design": design, "encoding": encoding, "package_sha256": encoding, "shared": shared}
        size = {} if shared else {"Cols": 2}
        fields["activity"] = {"workload": {"cycles_per_image": [60, 40], "macs_per_image": 1000}}
        return fields | {"parameters": size, "clock_ns": 10.0, "power_mw": powers}

    records = [entry("conv a", None, False, 40.0), entry("conv b", None, False, 36.0)]
    records += [entry("enc x", "x", False, 10.0), entry("f(a) of x", "x", True, 64.0), entry("enc y", "y", False, 9.0)]
    assert compare_power(records) == "conv b"
    found = {r["design"]: (r["power_mw"]["column"], r["power_reduction_percent"].get("conv b")) for r in records}
    assert found == {
        "conv a": (20, -11.11), "conv b": (18, 0), "enc x": (6, 66.67), "f(a) of x": (64, None), "enc y": (4.5, 75)
    }  # fmt: skip
    assert records[2]["energy_per_mac_pj"] == 6 * 10 / 10


def test_plots_are_written(tmp_path: Path) -> None:
    parts = dict.fromkeys(PARTS, 1.0)
    power = {"by_part": parts, "total": float(len(PARTS)), "column": len(PARTS) + 1.0}
    records = [{"design": "a", "parameters": {}, "area_um2": {"by_part": parts}, "power_mw": power}]
    plot_parts(records, "title", tmp_path / "power")
    plot_tree(records, "title", tmp_path / "tree")
    assert {path.name for path in tmp_path.iterdir()} == {"power.svg", "power.png", "tree.svg", "tree.png"}
    assert all(word in (tmp_path / "tree.svg").read_text() for word in ("adder tree", "f(a)", "registers"))


@pytest.mark.parametrize(("averaged", "code"), [(1.04, 0), (1.06, 1), (0.94, 1), (float("nan"), 1)])
def test_disagreement_with_opensta_fails(averaged: float, code: int) -> None:
    fine = {"design": "a", "agreement_mw": {"ours_without_clock_net": 1.0, "averaged": 1.0, "opensta": {"total": 1.0}}}
    other = {"design": "b", "agreement_mw": fine["agreement_mw"] | {"averaged": averaged}}
    assert check_agreement([fine, other, fine]) == code


@pytest.mark.parametrize(
    ("parameters", "options", "fit"),
    [
        ({"Merged": 1}, {}, True),
        ({"Merged": 0}, {}, False),
        ({"Merged": 0}, {"counted": True}, True),
        ({"Merged": 1}, {"counted": True}, False),
        ({"Merged": 1, "RowsPerGroup": 2}, {}, False),
        ({"Merged": 1, "RowsPerGroup": 2}, {"group": 2}, True),
    ],
)
def test_columns_of_another_style_are_not_taken(parameters: dict, options: dict, fit: bool) -> None:
    record = {"design": "enc m12p", "encoding_source": "m12p", "parameters": parameters}
    args = SimpleNamespace(**{"group": None, "counted": False} | options)
    assert fits(record, args) == fit
    assert not fits(record | {"design": "f(a) of m12p"}, args)


def test_groups_must_divide_the_rows(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.synth", "--rows", "4", "--group", "3", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "rows in a group (3) must divide the rows (4)" in done.stderr


@needs_library
@pytest.mark.parametrize("name", ["conv carry-save", "c12p"])
def test_whole_array_computes_through_its_streams(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shell and columns as one netlist of cells: reset, weights, activations, every result against the golden model."""
    platform, rows, columns, given = load_platform("osu018"), 2, 3, conditions(16)
    (design,) = next(iter(chosen([name], rows, True).values()))[:1]
    result = synthesise(design, rows, platform, 10.0, tmp_path, ("amap",))
    array = measure_array(result, columns, platform, 10.0, tmp_path)
    block = block_of(array, platform)
    # what only other columns would read, activations that leave the last one, is left out
    assert 0.9 * array.area_um2 < block.netlist.area_um2 <= array.area_um2
    found = weighed_before(block, 10.0, given)
    assert found["activity"]["results_checked"] == 6 * columns * (16 + rows + columns)
    assert found["power_mw"]["total"] > columns * 0.05
    area = found["area_by_part"]
    assert sum(area.values()) == pytest.approx(block.netlist.area_um2)
    # each column holds an activation for each row, the triangle before them all but one, of some bits
    assert area["activation registers"] > 0.1 * area["sum registers"] and area["weight registers"] > 0
    circuit = read_circuit(block.netlist.path, platform)
    for group, parts in zip(circuit.groups, classify(circuit), strict=True):
        for output in (pin for pin in group.pins if group.cell.pins[pin].output and group.cell.sequential):
            for net, part in zip(group.pins[output], parts, strict=True):
                name = circuit.nets[net] if net >= 0 else ""
                assert PARTS[part] != "activation registers" or not re.search("tdata|straighten", name), name

    # kept for the same tiles; its layout stands with the array in the record of its column
    assert weighed_before(block, 10.0, given) == found
    routed = {"utilization_percent": 55.0, "area_um2": {"total": 9.0}, "power_mw": {"total": 2.0}}
    monkeypatch.setattr(Asked, "layout_of", lambda *_: routed)
    entry = record(result, platform, 10.0) | {"columns": 1, "gated": 1, "tools": {}, "git_commit": "c"}
    made = laid_array(array, entry, Asked(SimpleNamespace(), 10.0, given), print)
    store = Store(tmp_path / "reports")
    store.put("area", key_of(entry), entry)
    for kind, key, data in made.kept:
        store.put(kind, key, data)
    (shown,) = view(store)["designs"]
    assert (shown["array"]["columns"], shown["array"]["routed"]["columns"]) == (columns, columns)
    assert shown["array"]["routed"]["mapped_mw"] == found["power_mw"]["total"] and "routed" not in shown

    # a netlist that has become another computes wrong
    text, path = block.netlist.path.read_text(), tmp_path / "other.v"

    def refused(words: str, change: Callable[[str], str]) -> None:
        path.write_text(change(text))
        assert path.read_text() != text
        with pytest.raises(UserError, match=words):
            weigh(read_circuit(path, platform), design, 10.0, rows, given, tmp_path, behind_streams=columns)

    def exchanged(one: str, other: str) -> Callable[[str], str]:
        swapped = {one: other, other: one}
        return lambda text: re.sub(rf"\b({one}|{other})\b", lambda hit: swapped[hit[0]], text)

    refused("results are wrong", exchanged("s_axis_w_tdata_7", "s_axis_w_tdata_15"))
    refused("results came, 126 are expected", exchanged("m_axis_y_tvalid", "m_axis_y_tlast"))
    refused("beats of weights were not taken|the other stream", exchanged("s_axis_w_tready", "s_axis_a_tready"))
    # no register is cleared any more: what the reset has cut off comes out, or weights find no taker
    refused("results came|not taken|the other stream", lambda text: re.sub(r"\.R\(rst_ni\)", ".R(1'b1)", text))
    for port in ("m_axis_y_tlast", "s_axis_w_tready", "s_axis_a_tready"):
        for value in "01":  # stuck
            refused(
                "not marked|not taken|the other stream",
                lambda text, port=port, value=value: stuck(text, port, value),
            )


def stuck(netlist: str, port: str, value: str) -> str:
    """A netlist whose output is a constant; what was there drives a net of its own."""
    renamed = re.sub(rf"\b{port}\b", f"{port}_was", netlist)
    renamed = re.sub(rf"(module array_top\(.*?){port}_was\b", rf"\g<1>{port}", renamed, count=1, flags=re.DOTALL)
    renamed = renamed.replace(f"  output {port}_was;", f"  output {port};\n  wire {port};", 1)
    return re.sub(r"^endmodule", f"  assign {port} = 1'b{value};\nendmodule", renamed, count=1, flags=re.MULTILINE)


@needs_library
def test_array_of_one_column(tmp_path: Path) -> None:
    platform, given = load_platform("osu018"), conditions(16)
    (design,) = chosen(["c12p"], 2, True)["enc c12p merged"][:1]
    result = synthesise(design, 2, platform, 10.0, tmp_path, ("amap",))
    block = block_of(measure_array(result, 1, platform, 10.0, tmp_path), platform)
    assert weighed_before(block, 10.0, given)["activity"]["results_checked"] == 6 * (16 + 2 + 1)


@needs_library
def test_shell_without_a_column_is_refused(tmp_path: Path) -> None:
    shell, column = tmp_path / "shell.v", tmp_path / "column.v"
    port = "u_array_gen_stage_{}__u_stage_gen_column_u_column_{}"
    names = [port.format(0, "w_i_0"), port.format(0, "f_o_0"), port.format(1, "w_i_0")]
    ways = ("output", "input", "output")
    ports = "".join(f"  {way} {name} ;\n" for way, name in zip(ways, names, strict=True))
    shell.write_text(f"module array_top(clk_i, {', '.join(names)});\n  input clk_i;\n{ports}endmodule\n")
    column.write_text("module column_top(clk_i, w_i_0, zero_i, y_o_0);\n  input clk_i;\n  input w_i_0;\n"
                      "  input zero_i;\n  output y_o_0;\nendmodule\n")  # fmt: skip
    text = whole(shell, column, 2)
    assert f"assign {names[1]} = 1'b0;" in text  # a column without an f(a) drives none
    assert f"column_top c1 (.clk_i(clk_i), .w_i_0({names[2]}), .zero_i(1'b0), .y_o_0());" in text
    with pytest.raises(UserError, match="no ports to column 2"):
        whole(shell, column, 3)
