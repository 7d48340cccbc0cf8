"""Netlists as words: every net as in the event-driven simulation, every sum as in the golden model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import UserError
from common.store import Store
from flows.platform import load_platform
from flows.power import __main__ as power_command
from flows.power.__main__ import print_test_set, run_test_set
from flows.power.activity import measure_activity, stimulus, workload
from flows.power.circuit import Circuit, read_circuit
from flows.power.engine import Scales
from flows.power.measure import as_read as tiles_as_read
from flows.power.simulate import simulate
from flows.ppa import key_of, view
from flows.synth.__main__ import forms, record
from flows.synth.measure import measure as synthesise
from flows.synth.netlist import Design
from flows.words import __main__ as words
from flows.words import power
from flows.words.code import expression
from flows.words.column import LANES, Column, bits_of, compiled, run, word_activity, words_of
from flows.words.graph import BEFORE, INVERTED, ONE, ZERO, Graph
from flows.words.network import GateEngine, check_netlist, tables
from flows.words.power import Counting, WholeSet, as_read, blocks, ratio_of, sampled, student
from flows.words.program import elaborate
from flows.words.tally import Tally
from models.emulate import TableEngine
from models.encoding import load_encoding
from models.quant.graph import Linear, QuantNetwork
from models.replay import Layer as Captured
from models.replay import load_capture, tiles
from models.rivals import nearest
from tests.test_platforms import SHIPPED, available
from tests.test_power import STORES, needs_library, storing

ROWS = 4
CASES = [
    ("enc m14p merged", {}),  # f(a) comes late, into the final adder
    ("enc m14p merged", {"gated": False}),  # weight registers with enables
    ("enc exact36 merged", {}),
    ("enc m20p merged", {"columns": 2}),
    ("conv booth", {}),
    ("conv tree", {"gated": False}),
    ("conv tree zero-gated", {"zeros": True}),  # registers that hold: clock gates that data opens
]


def made(name: str, folder: Path, platform: str = "osu018", **options: bool | int) -> tuple[Circuit, Design]:
    """A small column, mapped in one way."""
    settings = {"columns": 1, "gated": True} | options
    library = load_platform(platform)
    design = forms(ROWS, ["m14p", "exact36", "m20p"], **settings)[name][0]
    result = synthesise(design, ROWS, library, library.clock_ns, folder, ("nf",), simulate=False)
    return read_circuit(result.netlist.path, library), design


def same_activity(circuit: Circuit, design: Design, clock_ns: float = 10.0) -> Column:
    """Assert that every net does the same by words as event by event."""
    column = Column(circuit, design, ROWS, clock_ns)
    given = stimulus(workload(load_capture(), ROWS, 40, column.columns), design, ROWS)
    mine, theirs = word_activity(column, given), measure_activity(circuit, design, clock_ns, given, None)
    assert np.array_equal(mine.rises, theirs.rises)
    assert np.array_equal(mine.falls, theirs.falls)
    assert np.allclose(mine.high, theirs.high, rtol=0, atol=1e-12)
    assert mine.matches > 0 and mine.toggles.sum() > 0
    return column


@needs_library
@pytest.mark.parametrize(("name", "options"), CASES)
def test_every_net_does_what_it_does_event_by_event(name: str, options: dict, tmp_path: Path) -> None:
    circuit, design = made(name, tmp_path, **options)
    column = same_activity(circuit, design)
    assert column.code.program.holds == bool(options.get("zeros"))
    if options.get("zeros"):
        with pytest.raises(UserError, match="registers that hold depend on earlier vectors"):
            check_netlist(column)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_library_runs_as_words(name: str, tmp_path: Path) -> None:
    """Integrated clock gates, adders with inverted outputs, flip-flops with a reset that is tied off."""
    if not available(name):
        pytest.skip(f"{name} is not here (make pdk PDK={name})")
    same_activity(*made("enc m14p merged", tmp_path, name), load_platform(name).clock_ns)


@needs_library
def test_a_layer_through_the_gates_is_the_golden_models(tmp_path: Path) -> None:
    """More images than lanes, groups, a stride, padding, rows that are not used; then a netlist that is wrong."""
    circuit, design = made("enc m14p merged", tmp_path)
    rng = np.random.default_rng(3)
    x = rng.integers(-128, 128, (LANES + 5, 4, 4, 5)).astype(np.int8)
    weights = rng.integers(-128, 128, (6, 2, 3, 1)).astype(np.int8)
    settings = ((2, 1), (1, 0, 1, 0), 2, 7)

    def through(netlist: Circuit) -> tuple[GateEngine, np.ndarray]:
        engine = GateEngine(Column(netlist, design, ROWS, 10.0, counted=False))
        return engine, engine(x, weights, *settings)

    engine, found = through(circuit)
    expected = TableEngine(np.add(*tables(engine.column.model)), 1)(x, weights, *settings)
    assert np.array_equal(found, expected)
    pixels = found[:, 0].size
    assert (engine.matches, engine.wrong) == (2 * 6 * pixels, 0)  # 6 window positions are two blocks of 4 rows
    assert engine.macs == found.size * 6
    path = circuit.path.with_name("wrong.v")
    path.write_text(circuit.path.read_text().replace("  NAND2X1 ", "  NOR2X1 ", 1))
    engine, found = through(read_circuit(path, load_platform("osu018")))
    assert engine.wrong > 0 and engine.matches + engine.wrong == 2 * 6 * pixels
    assert not np.array_equal(found, expected)


def test_a_short_is_refused(tmp_path: Path) -> None:
    short = "  BUF short (\n    .A(d),\n    .Y(y_o_1)\n  );\nendmodule"
    with pytest.raises(UserError, match="net y_o_1 is driven 2 times; it can be once"):
        storing(tmp_path, STORES.replace("endmodule", short))
    netlist = STORES.replace("  input clk_i;", "  input clk_i;\n  input e;")
    with pytest.raises(UserError, match="net e is driven 2 times; it can be once"):
        storing(tmp_path, netlist.replace("endmodule", short.replace("y_o_1", "e")))


def test_functions_of_many_inputs_are_looked_up_by_three() -> None:
    rng = np.random.default_rng(1)
    for count in range(1, 7):
        for truth in (0b01101001, 0x6996, *(int(v) for v in rng.integers(1, 1 << 62, 20))):
            truth &= (1 << (1 << count)) - 1
            text = expression(truth, tuple(f"x[{i}]" for i in range(count)))
            code = text.replace("look<", "look(").replace(">(", ",")
            for index in range(1 << count):
                bits = [index >> i & 1 for i in range(count)]
                value = eval(code, {"x": bits, "look": lambda t, a, b, c: t >> (a + 2 * b + 4 * c) & 1})
                assert value == truth >> index & 1, (count, hex(truth), index)


def test_equal_gates_are_one_and_inverters_are_none() -> None:
    graph = Graph()
    a, b, held = graph.source(), graph.source(), graph.source(held=True)
    both = graph.gate(0b1000, [a, b])
    assert graph.gate(0b1000, [b, a]) == both and graph.gate(0b0111, [a, b]) == both | INVERTED
    assert graph.gate(0b0001, [a | INVERTED, b | INVERTED]) == both  # NOR of complements
    assert graph.gate(0b01, [a]) == a | INVERTED and graph.gate(0b0110, [a, a]) == ZERO
    assert graph.gate(0b1110, [a, ONE]) == ONE and graph.gate(0b1000, [a, ONE]) == a
    assert graph.gate(0b1000, [a | BEFORE, b | BEFORE]) == both | BEFORE
    assert graph.before(held) == held and graph.before(a) == a | BEFORE


def test_lanes_of_words_come_back() -> None:
    bits = np.random.default_rng(2).random((3, 2, LANES)) < 0.5
    assert np.array_equal(bits_of(words_of(bits)), bits)


PLAIN = STORES.replace("DFFN f (", "DFFR f (\n    .R(1'b0),").replace(".QN(", ".Q(")  # clocked at the rise


def test_a_netlist_by_hand_counts_as_event_by_event(tmp_path: Path) -> None:
    """A register that holds behind a clock gate, gates of inputs alone and of both; first one lane, then all."""
    circuit = storing(tmp_path, PLAIN.replace("    .B(late),", "    .B(y_o_0),").replace("    .D(d),", "    .D(e),"))
    rng, cycles, window = np.random.default_rng(4), 40, (3, 31)
    stimulus = {"e": rng.random(cycles) < 0.5, "d": rng.random(cycles) < 0.5}
    # d is used where e has arrived in the register: it is one cycle later, as rows of a skewed column are
    program = elaborate(circuit, {"e": 0, "d": 1}, {})
    tally = Tally(program, (1, 99, 400, 500))
    outputs = [program.nets[circuit.ports[name]].phases[3] for name in ("y_o_0", "y_o_1", "y_o_2")]
    code = compiled(program, outputs, tally)
    waves = {"e": stimulus["e"], "d": np.append(stimulus["d"][1:], False)}
    groups = np.zeros((1, cycles, LANES), np.uint8)
    groups[0, :, 7] = waves["e"] + 2 * waves["d"]
    places = np.array([{"e": 0, "d": 1}[name] for name in code.ports], np.int32)
    shown = np.arange(cycles)[:, None] + np.array(code.depths)
    masks = np.zeros((*shown.shape, LANES), bool)
    masks[:, :, 7] = (shown >= window[0]) & (shown < window[1])
    found = run(code, groups, places, np.zeros((1, 0), bool), masks=masks, raw=True)
    theirs = simulate(circuit, None, stimulus, ["y_o_0", "y_o_1", "y_o_2"], [window], 1000, 100)
    mine = tally.nets(found.counts, found.told, np.array([window[1] - window[0]]))
    for ours, others in zip(mine, (theirs.rises, theirs.falls, theirs.high_ps), strict=True):
        assert np.array_equal(ours, others)
    assert mine[0].sum() > 20
    late = [program.nets[circuit.ports[name]].depth for name in ("y_o_0", "y_o_1", "y_o_2")]
    for i, depth in enumerate(late):
        lane = bits_of(found.raw[0, :, i])[:, 7]
        assert np.array_equal(lane[: cycles - depth], theirs.samples[depth:, i])
    groups[:] = groups[:, :, 7:8]
    every = run(code, groups, places, np.zeros((1, 0), bool), first=3, columns=3, sums=True)
    assert every.counts.sum() % LANES == 0 and every.counts.any()
    assert np.array_equal(every.sums[0, :, :, 0], -bits_of(found.raw[0, 3:])[:, :, 7].T.astype(int))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # the register's own output through the XOR: an accumulator
        ("    .D(d),", "    .D(y_o_1),", "depends on itself: only netlists without feedback run as words"),
        ("    .CK(g),", "    .CK(late),", "is clocked other than at the rise of the clock"),
        ("    .A(d),\n    .B(1'b1)", "    .A(d),\n    .B(y_o_0)", "joins what comes 1 cycles apart"),
        # what meets its own past is not nothing: y_o_0 is e, one cycle later
        ("    .A(d),\n    .B(1'b1)", "    .A(e),\n    .B(y_o_0)", "joins what comes 1 cycles apart"),
    ],
)
def test_what_does_not_run_as_words_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    netlist = PLAIN.replace("    .B(late),", "    .B(y_o_0),") if "y_o_1" in new else PLAIN
    assert old in netlist
    circuit = storing(tmp_path, netlist.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        elaborate(circuit, {"d": 0, "e": 0}, {})
    assert "\n" not in str(caught.value)


def small_set(images: int = 9) -> WholeSet:
    """A convolution and a linear layer on a few small images."""
    rng = np.random.default_rng(6)
    maps = rng.integers(0, 128, (images, 2, 4, 4)).astype(np.int8) * (rng.random((images, 2, 4, 4)) < 0.7)
    kernel = rng.integers(-128, 128, (3, 2, 3, 1)).astype(np.int8)
    matrix = rng.integers(-128, 128, (2, 4, 1, 1)).astype(np.int8)
    conv = Captured("conv", maps.astype(np.int8), kernel, np.zeros(3, np.int32), None, (1, 1), (1, 1, 0, 0))
    flat = rng.integers(0, 128, (images, 4, 1, 1)).astype(np.int8)
    return WholeSet("small", images, (conv, Captured("linear", flat, matrix, np.zeros(2, np.int32), None)), 2, 3, 1)


@needs_library
@pytest.mark.parametrize("name", ["enc m14p merged", "conv tree"])
def test_a_test_set_is_counted_as_event_by_event(name: str, tmp_path: Path) -> None:
    """The images of a layer without an end, and a window of as many cycles, by both simulations."""
    platform, (circuit, design) = load_platform("osu018"), made(name, tmp_path)
    counting = Counting(Column(circuit, design, ROWS, 10.0), Scales(circuit, platform))
    layer = small_set().layers[0]
    mine = counting.activity(layer, slice(0, 2), layer.weights, 4)
    assert counting.matches == 9 * 16 * 3 and mine.cycles.tolist() == [9 * 16] * 3
    tile = list(tiles(layer, ROWS, 1))[1]  # window positions 4 and 5 of the first output channel
    vectors = np.concatenate([tile.activations[-ROWS - 2 :], tile.activations])
    given = stimulus([dataclasses.replace(tile, activations=vectors)], design, ROWS)
    ((_, end),) = given.windows
    theirs = measure_activity(circuit, design, 10.0, dataclasses.replace(given, windows=[(end - 9 * 16, end)]), None)
    driven = [
        net
        for g in circuit.groups
        for pin, nets in g.pins.items()
        if g.cell.pins[pin].output
        for net in nets
        if net >= 0
    ]
    assert np.array_equal(mine.rises[driven, 0], theirs.rises[driven, 0])
    assert np.array_equal(mine.falls[driven, 0], theirs.falls[driven, 0])
    assert np.allclose(mine.high[driven, 0], theirs.high[driven, 0], rtol=0, atol=1e-12)


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Entry of ppa.json of two columns side by side that passed at gate level."""
    platform, design = load_platform("osu018"), forms(ROWS, ["m20p"], 2, True)["enc m20p merged"][0]
    result = synthesise(design, ROWS, platform, 10.0, tmp_path_factory.mktemp("words"), ("nf",))
    return record(result, platform, 10.0)


@needs_library
def test_power_of_a_test_set_is_kept(entry: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    platform, test, said = load_platform("osu018"), dataclasses.replace(small_set(), sample=8), []
    found = power.measure(entry, platform, test, said.append)
    assert said == ["conv", "conv", "linear", "glitches"] and blocks(test, entry) == len(said)
    results = 9 * (2 * 16 * 4 + 2)  # three channels are two tiles of two columns, one of them without weights
    assert (found["network"], found["images"], found["results_checked"]) == ("small", 9, results)
    ratio, (low, high) = found["glitches"]["ratio"], found["glitches"]["interval"]
    assert 1 < low < ratio < high < 2 and found["glitches"]["tiles"] == 16
    assert found["total"] == pytest.approx(ratio * found["zero_delay_total"], rel=1e-4)
    assert found["zero_delay_total"] == pytest.approx(found["glitches"]["zero_delay_of_sample"], rel=0.5)
    monkeypatch.setattr("flows.words.power.weigh", lambda *_: {"total": "anew"})
    assert power.measure(entry, platform, test, said.append) == found
    assert power.measure(entry, platform, dataclasses.replace(test, seed=2), said.append) == {"total": "anew"}
    with pytest.raises(UserError, match="'not_run', not passed"):
        power.measure(entry | {"gate_sim": "not_run"}, platform, test, said.append)
    sampled(small_set(7), ROWS, 1)
    with pytest.raises(UserError, match=r"layer linear: 7 images are needed for a sample .*; give more IMAGES= or"):
        sampled(small_set(6), ROWS, 1)


@needs_library
def test_power_of_a_test_set_stands_beside_that_of_tiles(
    entry: dict, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    store, tiled = Store(tmp_path), {"power_mw": {"column": 0.5, "zero_delay_column": 0.4}}
    tiled["activity"] = {"workload": {"network": "small"}}
    store.put("area", key_of(entry), entry | {"tools": {}}, {})
    measured = entry | tiled
    run_test_set([measured], small_set(), load_platform("osu018"), store, True)
    print_test_set([measured])
    found = measured["test_set"]
    (kept,) = store.publish("ppa", view)["designs"]
    assert kept["test_set"] == found and found["total"] > found["zero_delay_total"] > 0
    *_, head, line = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["design", "tiles"] and line.split()[:5] == ["enc", "m20p", "merged", "0.500", "0.400"]
    assert line.split()[5] == f"{found['total'] / 2:.3f}"  # two columns
    assert f"{100 * (found['total'] / 2 / 0.5 - 1):+.1f} %".lstrip("+-") in line
    print_test_set([measured | {"activity": {"workload": {"network": "large"}}}])
    *_, head, line, why = capsys.readouterr().out.splitlines()
    assert "tiles" not in head and "difference" not in head and "0.500" not in line
    assert "not compared with tiles, which are of large" in why and "TILES=" in why


def test_interval_of_a_ratio_holds_the_true_one_nineteen_times_in_twenty() -> None:
    rng, held, weights = np.random.default_rng(8), 0, np.array([3.0, 1.0, 2.0])
    strata = np.repeat(np.arange(3), 30)
    scale = np.array([10.0, 20.0, 5.0])
    for _ in range(400):
        without = scale[strata] * rng.uniform(0.8, 1.2, 90)
        with_delays = without * np.array([1.1, 1.3, 1.2])[strata] + rng.normal(0, 0.3, 90)
        low, high = ratio_of(with_delays, without, strata, weights)["interval"]
        held += low <= (weights * scale) @ [1.1, 1.3, 1.2] / (weights @ scale) <= high
    assert 0.91 < held / 400 < 0.98
    exact = ratio_of(1.5 * scale[strata], scale[strata], strata, weights)
    assert exact["ratio"] == pytest.approx(1.5) and exact["interval"] == pytest.approx([1.5, 1.5])


def test_tiles_of_a_sample_are_tiles_of_the_network() -> None:
    test = small_set()
    found, of_layer = sampled(test, ROWS, 2)
    assert of_layer == [0, 0, 1, 1]
    for tile in found:
        layer = next(layer for layer in test.layers if layer.name == tile.layer)
        whole = next(t for t in tiles(layer, ROWS, 2) if (t.k0, t.n0) == (tile.k0, tile.n0))
        assert np.array_equal(tile.weights, whole.weights)
        around = np.concatenate([whole.activations, whole.activations])  # the first image follows the last
        windows = np.lib.stride_tricks.sliding_window_view(around, (len(tile.activations), ROWS))[:, 0]
        assert (windows == tile.activations).all(axis=(1, 2)).any()


def test_every_tile_and_every_pixel_has_the_same_chance() -> None:
    """10 outputs are three tiles of 4 columns, 7 are two; the first pixels of an image count as often as others."""
    images = np.tile(np.arange(16, dtype=np.int8).reshape(4, 4), (3, 1, 1, 1))  # every pixel has its number
    for outputs in (10, 7):
        weights = np.ones((outputs, 1, 1, 1), np.int8)
        layer = Captured("numbered", images, weights, np.zeros(outputs, np.int32), None)
        found, _ = sampled(WholeSet("small", 3, (layer,), 1200, 5, 1), ROWS, 4)
        places = list(range(0, outputs, 4))
        drawn = [sum(t.n0 == n0 for t in found) * len(places) / 1200 for n0 in places]
        assert {t.n0 for t in found} == set(places) and np.abs(np.array(drawn) - 1).max() < 0.15
        assert {t.cols_used for t in found if t.n0 == places[-1]} == {outputs - places[-1]}
        pixels = np.bincount(np.concatenate([t.activations[ROWS:, 0] for t in found]), minlength=16)
        assert np.abs(pixels / pixels.mean() - 1).max() < 0.2


@pytest.mark.parametrize(("layers", "sample"), [(2, 2), (2, 4), (5, 2), (20, 2)])
def test_interval_of_few_layers_and_tiles_is_no_less_sure(layers: int, sample: int) -> None:
    """The normal distribution's held the true ratio in 75 to 91 of 100 samples of two layers."""
    rng, held, runs = np.random.default_rng(5), 0, 800
    weights, scale, ratios = rng.uniform(1, 3, layers), rng.uniform(1, 2, layers), rng.uniform(1.1, 1.4, layers)
    true = (weights * scale) @ ratios / (weights @ scale)
    strata = np.repeat(np.arange(layers), sample)
    for _ in range(runs):
        without = scale[strata] * (1 + 0.2 * rng.standard_normal(len(strata)))
        with_delays = without * (ratios[strata] + 0.05 * rng.standard_normal(len(strata)))
        low, high = ratio_of(with_delays, without, strata, weights)["interval"]
        held += low <= true <= high
    assert 0.92 < held / runs <= 1


def test_student_is_the_tables() -> None:
    for freedom, value in ((1, 12.7062), (2, 4.30265), (3, 3.18245), (5, 2.57058), (30, 2.04227), (1e9, 1.95996)):
        assert student(freedom) == pytest.approx(value, rel=2e-4)


def test_a_rival_reads_a_test_set_rounded_to_its_widths() -> None:
    """As it reads its tiles (flows/power/measure.py); the network's own columns read what is there."""
    table, test = forms(ROWS, ["m20p"], rivals=["w4a7"]), small_set()
    for name, bits in (("conv tree w4a7", (4, 7)), ("enc w4a7 merged", (4, 7)), ("enc m20p merged", None)):
        design = table[name][0]
        found = as_read(test, design)
        for mine, layer in zip(found.layers, test.layers, strict=True):
            assert np.array_equal(mine.weights, nearest(layer.weights, bits[0]) if bits else layer.weights)
            assert np.array_equal(mine.inputs, nearest(layer.inputs, bits[1]) if bits else layer.inputs)
        theirs = tiles_as_read(sampled(test, ROWS, 1)[0], design)
        for one, other in zip(sampled(found, ROWS, 1)[0], theirs, strict=True):
            assert np.array_equal(one.activations, other.activations) and np.array_equal(one.weights, other.weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), r"layer fc: 12 images are needed for a sample of VECTORS=8 .*, not 9; give more IMAGES="),
        (("--images", "12", "--exact"), "exact FIP: .* not run as words; leave EXACT=1 out"),
        (("--images", "12", "--zeros"), "zero-gated: registers that hold .* leave ZEROS=1 out"),
        (("--images", "12", "--vectors", "9999"), "vectors, 10003 are needed: give a smaller VECTORS="),
        (("--images", "13"), "IMAGES=13: the test set of cifar10 has 12"),
        (("--images", "12"), "synthesis begins"),
    ],
)
def test_power_of_a_network_is_refused_before_synthesis(
    options: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(9)
    weights, bias = rng.integers(-128, 128, (10, 7)).astype(np.int8), np.arange(10, dtype=np.int32)
    layer = Linear("fc", "input", weights, bias, None, np.ones(10), 1.0)
    network = QuantNetwork("tiny", "cifar10", (0.0,), (1.0,), 1 / 127, (layer,), sha256="0")
    images = rng.integers(0, 256, (12, 7)).astype(np.uint8)
    monkeypatch.setattr(power_command, "load_network", lambda _: network)
    monkeypatch.setattr(power_command, "load_dataset", lambda *_: SimpleNamespace(images=images))

    def begins(*_: object, **__: object) -> None:
        raise UserError("synthesis begins")

    monkeypatch.setattr(power_command, "side_by_side", begins)
    given = ["--net", "resnet20_cifar10", "--rows", str(ROWS), "--images", "9", "--vectors", "8", "--designs", "m20p"]
    monkeypatch.setattr("sys.argv", ["power", *given, "--out", str(tmp_path), *options])
    with pytest.raises(UserError, match=message):
        power_command.main()


def test_tiles_are_the_networks_own_where_there_are_some() -> None:
    network = SimpleNamespace(name="resnet20_cifar100")
    assert power_command.shipped_tiles(network).network == "resnet20_cifar100"
    for other in (None, SimpleNamespace(name="tiny")):
        assert power_command.shipped_tiles(other).network == "resnet20_cifar10"


@needs_library
def test_a_test_set_goes_through_the_gates_and_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, design = made("enc m14p merged", tmp_path)
    rng = np.random.default_rng(9)
    weights, bias = rng.integers(-128, 128, (10, 7)).astype(np.int8), np.arange(10, dtype=np.int32)
    layer = Linear("fc", "input", weights, bias, None, np.ones(10), 1.0)
    network = QuantNetwork("tiny", "cifar10", (0.0,), (1.0,), 1 / 127, (layer,), sha256="0")
    images = rng.integers(0, 256, (LANES + 9, 7)).astype(np.uint8)
    test = SimpleNamespace(images=images, labels=rng.integers(0, 10, len(images)), name="noise")
    monkeypatch.setattr(words, "load_network", lambda _: network)
    monkeypatch.setattr(words, "load_dataset", lambda *_: test)

    def run_on(netlist: Path, *more: str, gate: str = "passed") -> tuple[int, dict]:
        gate_sim = SimpleNamespace(status=gate)
        result = SimpleNamespace(design=design, netlist=SimpleNamespace(path=netlist), gate=gate_sim)
        monkeypatch.setattr(words, "best_variant", lambda *_: result)
        options = [
            "--net",
            "resnet20_cifar10",
            "--rows",
            str(ROWS),
            "--out",
            str(tmp_path / "out"),
            "--jobs",
            "1",
            *more,
        ]
        monkeypatch.setattr("sys.argv", ["gates", *options, *more])
        code = words.main()
        (found,) = json.loads((tmp_path / "out/reports/gates.json").read_text())["designs"]
        return code, found

    code, found = run_on(circuit.path)
    assert code == 0 and found["passed"] and found["images"] == found["same_scores"] == len(images)
    assert found["matches"] == 2 * 10 * len(images) and found["macs"] == 70 * len(images)
    golden = TableEngine(load_encoding("m14p").product_table, 1)
    assert found["top1"] == pytest.approx(network.top1(images, test.labels, golden), abs=1e-6)
    with monkeypatch.context() as again:
        again.setattr(words, "run_batch", None)
        assert run_on(circuit.path)[1] | {"written": 0} == found | {"written": 0}
    wrong = tmp_path / "wrong.v"
    wrong.write_text(circuit.path.read_text().replace("  NAND2X1 ", "  NOR2X1 ", 1))
    code, found = run_on(wrong, "--images", "40")
    assert code == 1 and not found["passed"] and found["wrong"] > 0 and found["images"] == 40
    with pytest.raises(UserError, match="IMAGES=600: the test set of cifar10 has 521"):
        run_on(wrong, "--images", "600")
    with pytest.raises(UserError, match="enc m14p merged on osu018: its gate-level simulation is 'failed'"):
        run_on(circuit.path, gate="failed")
    with pytest.raises(UserError, match=r"DESIGNS=f\(a\) of m14p: an extra column multiplies no weights"):
        run_on(circuit.path, "--designs", "m14p,f(a) of m14p")
    # results are of these images and this library: others of the same name are run
    monkeypatch.setattr(words, "run_batch", lambda *_: words.Batch(9, 7, 1, 0, 0, 1, 1.0))
    assert run_on(circuit.path)[1]["wrong"] == 0
    library = dataclasses.replace(load_platform("osu018"), clock_slew_ns=0.2)
    with monkeypatch.context() as other:
        other.setattr(words, "load_platform", lambda _: library)
        assert run_on(circuit.path)[0] == 1
    test.images[0, 0] ^= 1
    assert run_on(circuit.path)[0] == 1
