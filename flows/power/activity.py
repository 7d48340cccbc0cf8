"""What the nets of a mapped column do while it computes tiles of a network.

Weights of a tile are shifted in, its activation vectors follow one a cycle. Transitions are counted in
a window of cycles in which every row computes; loading and draining lie outside. The same run compares
every result with the golden model: a run with a wrong result counts nothing. Without delays every net
changes at most once a cycle; with them the glitches are counted too.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flows.gls import latency, skew, surplus_of_pairs
from flows.platform import Platform
from flows.power.circuit import CLOCK, Circuit
from flows.power.simulate import PS, read_sdf, simulate
from flows.sta import IO_SHARE, write_delays
from flows.synth.netlist import TOP, Design
from models.emulate import exact_table
from models.encoding import load_encoding
from models.errors import UserError
from models.hardware import TileModel, bit_slice
from models.replay import Capture, Tile, tiles

F_BITS = 32  # of a sum of f(a) as it is offered; a column takes as many as it needs


@dataclass(frozen=True)
class Stimulus:
    """Operands by cycle, the sums they must give, and the windows that count.

    `ports` are the bits that each input port takes, bool [cycles]; `results` are (cycle, sums of the columns);
    `windows` are (first cycle, end) of each of `tiles`.
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
        first = min(channel // columns, len(layer.bias) // columns - 1) * columns
        tile = next(t for t in tiles(layer, rows, columns) if t.n0 == first and t.k0 == block * rows)
        total, there = rows + vectors, len(tile.activations)
        if there < total:
            raise UserError(f"layer {layer.name} has {there} vectors, {total} are needed: give a smaller VECTORS=")
        start = min(there // 4, there - total)
        found.append(dataclasses.replace(tile, activations=tile.activations[start : start + total]))
    return found


def sum_of_pairs(operands: np.ndarray) -> np.ndarray:
    """Sum over pairs of rows of their product, int64 [...]: operands int8 [R] or [R, ...]."""
    return (operands[0::2].astype(int) * operands[1::2]).sum(axis=0)


def stimulus(chosen: list[Tile], design: Design, rows: int) -> Stimulus:
    """Tiles one after the other: load, stream, drain."""
    encoding = load_encoding(design.encoding) if design.encoding else None
    table = encoding.column_table if encoding else exact_table()
    f_table = encoding.array_table - encoding.column_table if encoding else np.zeros((256, 256), np.int32)
    if design.shared:
        table, f_table = f_table, np.zeros_like(f_table)
    a_bits = (len(encoding.operands[0]) if encoding and not design.shared else 8) * rows
    columns = chosen[0].weights.shape[1]
    group = dict(design.parameters).get("RowsPerGroup", rows)
    delay = np.arange(rows) // (group if encoding else skew(design))
    surplus = sum_of_pairs if surplus_of_pairs(design) else lambda operands: 0
    late = latency(design, rows)
    parts: list[np.ndarray] = []  # bool [cycles, (activations, weights, shift)]
    results, windows, start = [], [], 0
    for tile in chosen:
        count = len(tile.activations)
        load = np.zeros((rows, a_bits + 8 * columns + 1 + F_BITS), bool)
        load[:, a_bits : a_bits + 8 * columns] = np.unpackbits(tile.weights.view(np.uint8), axis=1, bitorder="little")
        load[:, a_bits + 8 * columns] = True
        start += rows
        length = count + rows + late + 1
        operands = np.zeros((length, rows), np.int8)
        for row in range(rows):
            operands[delay[row] : delay[row] + count, row] = tile.activations[:, row]
        stream = np.zeros((length, load.shape[1]), bool)
        for word, vector in zip(stream, operands, strict=True):
            parts_of = vector.reshape(-1, group if encoding else rows)
            packed = [bit_slice(v, encoding, design.shared) if encoding else v.view(np.uint8) for v in parts_of]
            bits = [np.unpackbits(part, bitorder="little")[: a_bits // len(packed)] for part in packed]
            word[:a_bits] = np.concatenate(bits)
        f_sums = f_table[tile.activations.astype(int) + 128, 0].sum(axis=1)
        # f(a) comes in the cycle of the final addition
        stream[late - 1 : late - 1 + count, -F_BITS:] = f_sums[:, None] >> np.arange(F_BITS) & 1
        parts += [load, stream]
        sums = TileModel(table, tile.weights)
        results += [
            (start + n + late, (sums.column_sums(a).astype(int) + f + surplus(a) + surplus(tile.weights)).tolist())
            for n, (a, f) in enumerate(zip(tile.activations, f_sums, strict=True))
        ]
        windows.append((start + rows + 1, start + count + 1))
        start += length
    ports = [f"a_i_{i}" for i in range(a_bits)] + [f"w_i_{i}" for i in range(8 * columns)] + ["w_shift_i"]
    ports += [f"f_i_{i}" for i in range(F_BITS)]
    return Stimulus(dict(zip(ports, np.concatenate(parts).T, strict=True)), results, windows, chosen)


def measure_activity(
    circuit: Circuit, design: Design, platform: Platform, clock_ns: float, given: Stimulus, timed_in: Path | None
) -> Activity:
    """Simulate a netlist and count, without delays, or with those that are written to the folder `timed_in`.

    Raises UserError if a result is wrong or a delay is missing.
    """
    delays = None
    if timed_in:
        write_delays(circuit.path, TOP, platform, clock_ns, timed_in / "delays.sdf")
        delays = read_sdf(timed_in / "delays.sdf")
    outputs = output_bits(circuit)
    period, before = round(clock_ns * PS), round(IO_SHARE * clock_ns * PS)
    found = simulate(circuit, delays, given.ports, outputs, given.windows, period, before)
    matches = check_results(found.samples, given, design)
    cycles = np.array([b - a for a, b in given.windows])
    nets = {net: i for i, net in enumerate(circuit.nets)}
    clock = found.rises[nets[CLOCK]]
    if not clock.all():
        raise UserError(f"{design.label}: the clock does not run in the simulation")
    return Activity(
        netlist_sha256=circuit.sha256,
        clock_ns=float(cycles.sum() * period / clock.sum() / PS),
        glitches=timed_in is not None,
        windows=tuple(f"{t.layer} k{t.k0} n{t.n0}" for t in given.tiles),
        cycles=cycles,
        nets=nets,
        rises=found.rises,
        falls=found.falls,
        high=found.high_ps / (cycles * period),
        matches=matches,
    )


def output_bits(circuit: Circuit) -> list[str]:
    """Ports of the sums, column by column, lowest bit first."""
    return sorted((p for p in circuit.ports if p.startswith("y_o_")), key=lambda port: int(port.rsplit("_", 1)[1]))


def check_results(samples: np.ndarray, given: Stimulus, design: Design) -> int:
    """Number of results in `samples` (bool [cycles, sum bits of all columns]), all right; else raises UserError."""
    columns = given.tiles[0].weights.shape[1]
    width = samples.shape[1] // columns
    at = np.array([cycle for cycle, _ in given.results])
    found = samples[at].reshape(len(at), columns, width)
    sums = np.array([expected for _, expected in given.results], np.int64)[..., None]
    wrong = int((found != (sums >> np.arange(width) & 1).astype(bool)).any(axis=2).sum())
    if wrong or not found.size:
        raise UserError(f"{design.label}: {wrong} of {sums.size} results are wrong; its toggles do not count")
    return sums.size
