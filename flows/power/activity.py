"""What the nets of a mapped column do while it computes tiles of a network.

Weights of a tile are shifted in, its activation vectors follow one a cycle. Transitions are counted in
a window of cycles in which every row computes; loading and draining lie outside. The same run compares
every result with the golden model: a run with a wrong result counts nothing. Without delays every net
changes at most once a cycle; with them the glitches are counted too.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError
from flows.gls import column_model, latency, skew
from flows.power.circuit import CLOCK, RESET, Circuit
from flows.power.simulate import PS, read_sdf, simulate
from flows.sta import IO_SHARE
from flows.synth.netlist import Design
from models.replay import Capture, Tile, tiles

CUT_OFF = 2  # activation vectors that a reset meets on their way
FLAGS = ("m_axis_y_tvalid", "m_axis_y_tlast", "s_axis_w_tready", "s_axis_a_tready")
F_BITS = 32  # of a sum of f(a) as it is offered; a column takes as many as it needs


@dataclass(frozen=True)
class Stimulus:
    """Operands by cycle, the sums they must give, and the windows that count.

    `ports` are the bits that each input port takes, bool [cycles]; `results` are (cycle, sums of the columns), the
    cycle -1 for those of a stream, which say themselves when they are valid; `windows` are (first cycle, end) of each
    of `tiles`.
    """

    ports: dict[str, np.ndarray]
    results: list[tuple[int, list[int]]]
    windows: list[tuple[int, int]]
    tiles: list[Tile]


@dataclass(frozen=True)
class Activity:
    """Transitions of the nets of a netlist: int64 [nets, windows]; `high` is the share of time at 1."""

    netlist_sha256: str
    clock_ns: float
    glitches: bool
    windows: tuple[str, ...]
    cycles: np.ndarray
    nets: dict[str, int]
    rises: np.ndarray
    falls: np.ndarray
    high: np.ndarray
    matches: int

    @property
    def toggles(self) -> np.ndarray:
        """Rises and falls."""
        return self.rises + self.falls

    def merged(self) -> Activity:
        """All windows as one: what a single SAIF file can tell."""
        return dataclasses.replace(
            self,
            windows=("+".join(self.windows),),
            cycles=self.cycles.sum(keepdims=True),
            rises=self.rises.sum(axis=1, keepdims=True),
            falls=self.falls.sum(axis=1, keepdims=True),
            high=(self.high * self.cycles).sum(axis=1, keepdims=True) / self.cycles.sum(),
        )


def workload(capture: Capture, rows: int, vectors: int, columns: int = 1) -> list[Tile]:
    """A tile of every layer, with `vectors` activation vectors after `rows` that fill a skewed column.

    Of window positions it is a middle block that fills all rows, if there is one.
    """
    found: list[Tile] = []
    for layer in capture.layers.values():
        block, channel = layer.depth // rows // 2, (5 + 11 * len(found)) % len(layer.bias)
        outputs = len(layer.bias) // layer.groups  # of a group, where its tiles begin anew
        group, within = divmod(channel, outputs)
        first = group * outputs + min(within // columns, max(outputs // columns - 1, 0)) * columns
        tile = next(t for t in tiles(layer, rows, columns) if t.n0 == first and t.k0 == block * rows)
        total, there = rows + vectors, len(tile.activations)
        if there < total:
            raise UserError(f"layer {layer.name} has {there} vectors, {total} are needed: give a smaller VECTORS=")
        start = min(there // 4, there - total)
        found.append(dataclasses.replace(tile, activations=tile.activations[start : start + total]))
    return found


def stimulus(chosen: list[Tile], design: Design, rows: int) -> Stimulus:
    """Tiles one after the other: load, stream, drain."""
    model, together, late = column_model(design), skew(design) or rows, latency(design, rows)
    columns = chosen[0].weights.shape[1]
    delay = np.arange(rows) // together
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("a_i", "w_i", "zero_i", "f_i", "w_shift_i")}
    results, windows, start = [], [], 0
    for tile in chosen:
        count = len(tile.activations)
        length = rows + count + rows + late + 1
        operands = np.zeros((length, rows), np.int8)
        for row in range(rows):
            operands[rows + delay[row] : rows + delay[row] + count, row] = tile.activations[:, row]
        weights = np.zeros((length, 8 * columns), bool)
        weights[:rows] = np.unpackbits(tile.weights.view(np.uint8), axis=1, bitorder="little")
        f_sums = np.zeros((length, 1), np.int64)
        # f(a) comes in the cycle of the final addition
        f_sums[rows + late - 1 : rows + late - 1 + count, 0] = model.f_sums(tile.activations)
        parts["a_i"].append(model.port(operands, together))
        parts["zero_i"].append(model.zeros(operands))
        parts["w_i"].append(weights)
        parts["f_i"].append((f_sums >> np.arange(F_BITS) & 1).astype(bool))
        parts["w_shift_i"].append(np.arange(length)[:, None] < rows)
        start += rows
        sums = model.sums(tile.activations, tile.weights)
        results += [(start + n + late, row) for n, row in enumerate(sums.tolist())]
        windows.append((start + rows + 1, start + count + 1))
        start += length - rows
    ports: dict[str, np.ndarray] = {}
    for name, bits in parts.items():
        lanes = np.concatenate(bits).T
        ports |= {name: lanes[0]} if name == "w_shift_i" else {f"{name}_{i}": lane for i, lane in enumerate(lanes)}
    return Stimulus(ports, results, windows, chosen)


def stream_stimulus(chosen: list[Tile], design: Design, rows: int) -> Stimulus:
    """Tiles for a whole array, through its streams: of each weights and activations, and a pause.

    Before them comes a tile of ones that a reset of one cycle cuts off: what it leaves must not be seen. Counted are
    the cycles in which all rows of all columns compute.
    """
    model, columns = column_model(design), chosen[0].weights.shape[1]
    cycle = np.arange(rows + CUT_OFF + 2)[:, None]  # a reset at both ends
    loads, computes = (cycle >= 1) & (cycle <= rows), (rows < cycle) & (cycle <= rows + CUT_OFF)
    ones = {"w": loads.repeat(8 * columns, axis=1), "a": computes.repeat(8 * rows, axis=1)}
    parts: dict[str, list[np.ndarray]] = {f"s_axis_{name}_tdata": [bits] for name, bits in ones.items()}
    parts |= {"s_axis_w_tvalid": [loads], "s_axis_w_tlast": [cycle == rows]}
    parts |= {"s_axis_a_tvalid": [computes], "s_axis_a_tlast": [np.zeros_like(computes)]}
    resets = [0, len(cycle) - 1]
    results, windows, start = [], [], len(cycle)
    for tile in chosen:
        count = len(tile.activations)
        length = rows + count + 2 * (rows + columns)  # until the last result has left
        for name, words, begin in (("w", tile.weights, 0), ("a", tile.activations, rows)):
            end = begin + len(words)
            data = np.zeros((length, 8 * words.shape[1]), bool)
            data[begin:end] = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=1, bitorder="little")
            cycle = np.arange(length)[:, None]
            parts[f"s_axis_{name}_tdata"].append(data)
            parts[f"s_axis_{name}_tvalid"].append((begin <= cycle) & (cycle < end))
            parts[f"s_axis_{name}_tlast"].append(cycle == end - 1)
        results += [(-1, row) for row in model.sums(tile.activations, tile.weights).tolist()]
        windows.append((start + 2 * rows + columns + 1, start + rows + count + 1))
        start += length
    ports = {RESET: ~np.isin(np.arange(start), resets)}
    for name, bits in parts.items():
        lanes = np.concatenate(bits).T
        ports |= {f"{name}_{i}": lane for i, lane in enumerate(lanes)} if "tdata" in name else {name: lanes[0]}
    return Stimulus(ports, results, windows, chosen)


def measure_activity(
    circuit: Circuit,
    design: Design,
    clock_ns: float,
    given: Stimulus,
    sdf: Path | None,
    latency_ns: float | None = None,
) -> Activity:
    """Simulate a netlist on tiles and count, with the delays of the file `sdf`, or without any; see `simulated`.

    Raises UserError if a result is wrong or a delay is missing.
    """
    names = tuple(f"{t.layer} k{t.k0} n{t.n0}" for t in given.tiles)
    run = Run(
        given.ports, output_bits(circuit), given.windows, names, lambda found: check_results(found, given, design)
    )
    return simulated(circuit, run, clock_ns, sdf, latency_ns)


@dataclass(frozen=True)
class Run:
    """What drives a netlist, bool [cycles] of each port; outputs that are looked at; windows that count, with names.

    `check` gets the outputs, bool [cycles, outputs], and returns how many results are right, or raises UserError.
    """

    ports: dict[str, np.ndarray]
    outputs: list[str]
    windows: list[tuple[int, int]]
    names: tuple[str, ...]
    check: Callable[[np.ndarray], int]


def simulated(
    circuit: Circuit, run: Run, clock_ns: float, sdf: Path | None, latency_ns: float | None = None
) -> Activity:
    """Simulate a netlist and count, with the delays of the file `sdf`, or without any.

    After layout the clock has a longest `latency_ns`. Inputs come from registers behind a clock tree like that one:
    they change after it, if it is longer than what is spent outside.
    """
    delays = read_sdf(sdf) if sdf else None
    outside_ns = IO_SHARE * clock_ns
    outside_ns += latency_ns if latency_ns and latency_ns > outside_ns else 0.0
    period, before = round(clock_ns * PS), round(outside_ns * PS)
    if 2 * before >= period:
        raise UserError(
            f"{circuit.path}: a clock latency of {latency_ns:g} ns leaves inputs no time in {clock_ns:g} ns; "
            f"give a longer CLOCK_NS="
        )
    found = simulate(circuit, delays, run.ports, run.outputs, run.windows, period, before, latency_ns is not None)
    matches = run.check(found.samples)
    cycles = np.array([b - a for a, b in run.windows])
    nets = {net: i for i, net in enumerate(circuit.nets)}
    clock = found.rises[nets[CLOCK]]
    if not clock.all():
        raise UserError(f"{circuit.path}: the clock does not run in the simulation")
    return Activity(
        netlist_sha256=circuit.sha256,
        clock_ns=float(cycles.sum() * period / clock.sum() / PS),
        glitches=sdf is not None,
        windows=run.names,
        cycles=cycles,
        nets=nets,
        rises=found.rises,
        falls=found.falls,
        high=found.high_ps / (cycles * period),
        matches=matches,
    )


def output_bits(circuit: Circuit) -> list[str]:
    """Ports of the sums, column by column, lowest bit first; of an array FLAGS come last."""
    found = [port for port in circuit.ports if re.fullmatch(r"(?:y_o|m_axis_y_tdata)_\d+", port)]
    ordered = sorted(found, key=lambda port: int(port.rsplit("_", 1)[1]))
    return [*ordered, *FLAGS] if FLAGS[0] in circuit.ports else ordered


def check_results(samples: np.ndarray, given: Stimulus, design: Design) -> int:
    """Number of results in `samples` (bool [cycles, sum bits of all columns]), all right; else raises UserError."""
    columns = given.tiles[0].weights.shape[1]
    at = np.array([cycle for cycle, _ in given.results])
    if (at < 0).all():
        at, samples = _streamed(samples, given, design)
    width = samples.shape[1] // columns
    found = samples[at].reshape(len(at), columns, width)
    sums = np.array([expected for _, expected in given.results], np.int64)[..., None]
    wrong = int((found != (sums >> np.arange(width) & 1).astype(bool)).any(axis=2).sum())
    if wrong or not found.size:
        raise UserError(f"{design.label}: {wrong} of {sums.size} results are wrong; its toggles do not count")
    return sums.size


def _streamed(samples: np.ndarray, given: Stimulus, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Cycles of the results of an array, and the samples of its sums; UserError if its streams did not go as driven.

    A beat is taken in the cycle in which it is offered, weights and activations are never asked for at once, and the
    last result of a tile says so.
    """
    samples, (valid, last, w_ready, a_ready) = samples[:, : -len(FLAGS)], samples[:, -len(FLAGS) :].T
    begin = np.flatnonzero(~given.ports[RESET])[-1] + 1
    loads, computes = (given.ports[f"s_axis_{name}_tvalid"][begin:] for name in "wa")
    for name, offered, taken, other in (
        ("weights", loads, w_ready[begin:], a_ready[begin:]),
        ("activations", computes, a_ready[begin:], w_ready[begin:]),
    ):
        if not taken[offered].all():
            raise UserError(f"{design.label}: {(~taken[offered]).sum()} beats of {name} were not taken")
        if other[offered].any():
            raise UserError(f"{design.label}: the other stream is asked for while {name} come")
    at = begin + np.flatnonzero(valid[begin:])
    if len(at) != len(given.results):
        raise UserError(f"{design.label}: {len(at)} results came, {len(given.results)} are expected")
    ends = np.cumsum([len(tile.activations) for tile in given.tiles]) - 1
    if not np.array_equal(np.flatnonzero(last[at]), ends):
        raise UserError(f"{design.label}: the last result of a tile is not marked, or another is")
    return at, samples
