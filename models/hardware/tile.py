"""Golden model of the tile engine: streams of beats in, result vectors out, bit-exact integers.

It knows the contract of rtl/tile (packets, K accumulation, bias, requantisation, faults), but works
on whole numbers and whole vectors; products come from a table, rounding from models.quant.arith.
`layer_jobs` is the host's part: it cuts a captured layer of a network into what the streams carry.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np

from common.errors import UserError
from models.encoding import Encoding
from models.hardware.array import TileModel
from models.quant.arith import INT8_MAX, INT8_MIN, MAX_SHIFT, MIN_SHIFT, requantise
from models.replay import Layer, tiles

ID = int.from_bytes(b"EMAC", "big")
VERSION = 1 << 16 | 1  # [31:16] major, [15:0] minor
START, ABORT = 1, 2  # bits of CONTROL
INT32 = np.iinfo(np.int32)
SIZE_LIMIT = 1 << 16  # sizes are registers of 16 bits


class Register(IntEnum):
    """Byte addresses (rtl/tile/axil_registers.sv says what is in each)."""

    ID = 0x00
    VERSION = 0x04
    GEOMETRY = 0x08
    DEPTH = 0x0C
    CONTROL = 0x10
    STATUS = 0x14
    ERRORS = 0x18
    K_TILES = 0x1C
    N_TILES = 0x20
    VECTORS = 0x24
    LAST_ROWS = 0x28
    MODE = 0x2C
    CLAMP = 0x30
    TILE = 0x34
    CYCLES = 0x38
    OPEN_CYCLES = 0x3C
    OPEN_BEATS = 0x40


# bits of the registers that a write may set
WRITABLE = {
    Register.CONTROL: START | ABORT,
    Register.ERRORS: (1 << 12) - 1,
    **dict.fromkeys((Register.K_TILES, Register.N_TILES, Register.VECTORS, Register.LAST_ROWS), SIZE_LIMIT - 1),
    Register.MODE: 1,
    Register.CLAMP: (1 << 24) - 1,
}


class Fault(IntFlag):
    """Bits of the register ERRORS."""

    K_TILES = 1 << 0
    N_TILES = 1 << 1
    VECTORS = 1 << 2
    LAST_ROWS = 1 << 3
    CLAMP = 1 << 4
    WEIGHTS_EARLY = 1 << 5
    WEIGHTS_LATE = 1 << 6
    ACTIVATIONS_EARLY = 1 << 7
    ACTIVATIONS_LATE = 1 << 8
    PARAMETERS_EARLY = 1 << 9
    PARAMETERS_LATE = 1 << 10
    PARAMETER_RANGE = 1 << 11


@dataclass(frozen=True)
class Shape:
    """What the registers hold at a start: sizes, and how sums become results."""

    k_tiles: int = 1
    n_tiles: int = 1
    vectors: int = 1
    last_rows: int = 1
    raw: bool = False
    lo: int = INT8_MIN
    hi: int = INT8_MAX
    zero_point: int = 0

    def faults(self, rows: int, depth: int) -> Fault:
        """Why an engine with `rows` rows and a buffer of `depth` vectors would not start."""
        found = Fault(0)
        for name, limit in (("k_tiles", SIZE_LIMIT - 1), ("n_tiles", SIZE_LIMIT - 1), ("vectors", depth)):
            if not 1 <= getattr(self, name) <= limit:
                found |= Fault[name.upper()]
        if not 1 <= self.last_rows <= rows:
            found |= Fault.LAST_ROWS
        if self.lo > self.hi:
            found |= Fault.CLAMP
        return found

    def registers(self) -> dict[Register, int]:
        """Words to write before a start."""
        clamp = (self.lo & 0xFF) | (self.hi & 0xFF) << 8 | (self.zero_point & 0xFF) << 16
        sizes = {Register[n.upper()]: getattr(self, n) for n in ("k_tiles", "n_tiles", "vectors", "last_rows")}
        return sizes | {Register.MODE: int(self.raw), Register.CLAMP: clamp}

    @classmethod
    def from_registers(cls, words: dict[int, int]) -> Shape:
        """The inverse of `registers`."""
        lo, hi, zero_point = np.array([words[Register.CLAMP]], np.int32).view(np.int8)[:3].tolist()
        sizes = {n: words[Register[n.upper()]] for n in ("k_tiles", "n_tiles", "vectors", "last_rows")}
        return cls(**sizes, raw=bool(words[Register.MODE]), lo=lo, hi=hi, zero_point=zero_point)


class _Packets:
    """One stream: packets of `length` beats; short ones are filled with zeros, long ones cut."""

    def __init__(self, lanes: int, dtype: type, early: Fault, late: Fault) -> None:
        self.zero = np.zeros(lanes, dtype)
        self.early, self.late = early, late
        self.beats: list[np.ndarray] = []
        self.dropping = False

    def take(self, beat: np.ndarray, last: bool, length: int) -> tuple[list[np.ndarray], Fault]:
        """The beats that this one stands for: itself, itself and what fills its packet, or none."""
        if self.dropping:
            self.dropping = not last
            return [], Fault(0)
        self.beats.append(beat)
        missing = length - len(self.beats)
        if missing and not last:
            return [beat], Fault(0)
        self.beats = []
        self.dropping = not last
        return [beat] + [self.zero] * missing, self.early if missing else Fault(0) if last else self.late


class EngineModel:
    """A tile engine with an array of `rows` x `columns` and a buffer of `depth` vectors.

    `table` is int [256, 256] as for `TileModel`: what one row adds for operands [a + 128, w + 128].
    Feed it what the streams carry; `take_results` gives every result vector that must have become
    known by then, with its tlast. Streams are independent: each is looked at when what it needs is there.
    """

    def __init__(self, table: np.ndarray, rows: int, columns: int, depth: int) -> None:
        self.table, self.rows, self.columns, self.depth = table, rows, columns, depth
        self.reset()

    wrapped: frozenset[str] = frozenset()  # ends of int32 that some sum passed: up, down

    def reset(self) -> None:
        """Nothing started, nothing in flight, no faults."""
        self.faults = Fault(0)
        self._streams = {
            "weights": _Packets(self.columns, np.int8, Fault.WEIGHTS_EARLY, Fault.WEIGHTS_LATE),
            "activations": _Packets(self.rows, np.int8, Fault.ACTIVATIONS_EARLY, Fault.ACTIVATIONS_LATE),
            "parameters": _Packets(3, np.int32, Fault.PARAMETERS_EARLY, Fault.PARAMETERS_LATE),
        }
        self._queue: deque[tuple[np.ndarray, bool]] = deque()
        self.aborting = False
        self._begin(None)

    def abort(self, on: bool) -> None:
        """Forget the layer and take and drop what the streams carry until the abort is taken back; faults stay."""
        if on:
            faults = self.faults
            self.reset()
            self.faults = faults
        self.aborting = on

    def _begin(self, shape: Shape | None) -> None:
        self.shape = shape
        self._taken = dict.fromkeys(self._streams, 0)  # beats of this layer
        self._rows: list[np.ndarray] = []
        self._models: deque[TileModel] = deque()
        self._vectors: deque[np.ndarray] = deque()
        self._added = 0  # vectors that went through the array
        self._sums: deque[np.ndarray] = deque()  # finished sums without bias
        self._parameters: list[np.ndarray] = []
        self._finished = 0

    @property
    def busy(self) -> bool:
        """A layer is started and some of its results are not known yet."""
        return self.shape is not None and self._finished < self.shape.n_tiles * self.shape.vectors

    def start(self, shape: Shape) -> bool:
        """Start a layer; False, with faults, if its sizes are refused."""
        if self.busy:
            raise AssertionError("the engine started a layer while it was busy")
        found = shape.faults(self.rows, self.depth)
        self.faults |= found
        self.aborting = False
        if not found:
            self._begin(shape)
        return not found

    def wants(self, stream: str) -> bool:
        """True if the engine may take a beat of this stream now."""
        if self.aborting or self._streams[stream].dropping:
            return True
        if self.shape is None:
            return False
        packets = self.shape.n_tiles * (1 if stream == "parameters" else self.shape.k_tiles)
        return self._taken[stream] < packets * self._length(stream)

    def _length(self, stream: str) -> int:
        """Beats in a packet."""
        return {"weights": self.rows, "activations": self.shape.vectors, "parameters": self.columns}[stream]

    def takes(self, stream: str) -> bool:
        """True if a beat of this stream would be part of a packet, not dropped."""
        return self.wants(stream) and not self.aborting and not self._streams[stream].dropping

    def feed(self, stream: str, beat: np.ndarray, last: bool) -> None:
        """One accepted beat: weights int8 [C], activations int8 [R], parameters int32 [3] (bias, multiplier,
        shift)."""
        packets, shape = self._streams[stream], self.shape
        if self.aborting:
            return
        if packets.dropping:
            packets.take(beat, last, 0)
            return
        if not self.wants(stream):
            raise AssertionError(f"the engine accepted {stream} that nobody asked for")
        beats, fault = packets.take(beat, last, self._length(stream))
        self.faults |= fault
        if stream == "parameters" and not shape.raw and not (MIN_SHIFT <= beat[2] <= MAX_SHIFT and beat[1] >= 0):
            self.faults |= Fault.PARAMETER_RANGE
        self._taken[stream] += len(beats)
        if stream == "weights":
            self._rows += beats
            if len(self._rows) == self.rows:
                weights = np.stack(self._rows)
                weights[self._used_rows(self._taken["weights"] // self.rows - 1) :] = 0
                self._models.append(TileModel(self.table, weights))
                self._rows = []
        elif stream == "activations":
            self._vectors.extend(beats)
        else:
            self._parameters += beats
        self._advance()

    def take_results(self) -> list[tuple[np.ndarray, bool]]:
        """(result, tlast) since the last call: int8 [C], or int32 [C] of a raw layer."""
        taken = list(self._queue)
        self._queue.clear()
        return taken

    def _used_rows(self, tile: int) -> int:
        """Rows that tile number `tile` of the layer uses."""
        return self.shape.last_rows if tile % self.shape.k_tiles == self.shape.k_tiles - 1 else self.rows

    def _advance(self) -> None:
        """Do all that what has come allows."""
        shape = self.shape
        while self._vectors and self._models:
            tile, at = divmod(self._added, shape.vectors)
            vector = self._vectors.popleft().copy()
            vector[self._used_rows(tile) :] = 0
            if tile % shape.k_tiles == 0 and at == 0:
                self._buffer = np.zeros((shape.vectors, self.columns), np.int64)
            self._buffer[at] += self._models[0].column_sums(vector)
            if at == shape.vectors - 1:
                self._models.popleft()
            if tile % shape.k_tiles == shape.k_tiles - 1:
                self._sums.append(self._buffer[at].copy())
            self._added += 1
        while self._sums:
            n_tile, at = divmod(self._finished, shape.vectors)
            if len(self._parameters) < (n_tile + 1) * self.columns:
                return
            own = np.stack(self._parameters[n_tile * self.columns : (n_tile + 1) * self.columns])
            sums = self._sums.popleft()
            total = sums + own[:, 0]
            ends = {"up": total.max() > INT32.max, "down": total.min() < INT32.min}
            self.wrapped |= {end for end, passed in ends.items() if passed}
            self._queue.append((finish(sums, own, shape), at == shape.vectors - 1))
            self._finished += 1


def finish(sums: np.ndarray, parameters: np.ndarray, shape: Shape) -> np.ndarray:
    """Results of sums int64 [..., C] without bias: int8, or int32 of a raw layer; `parameters` int32 [C, 3]."""
    acc = (sums + parameters[:, 0]).astype(np.int32)  # wraps
    if shape.raw:
        return acc
    return requantise(acc, parameters[:, 1], parameters[:, 2], shape.lo, shape.hi, shape.zero_point)


@dataclass(frozen=True)
class Job:
    """One start of an engine: all the tiles of some activation vectors of a layer.

    `weights` int8 [n_tiles, k_tiles, R, C], `activations` int8 [n_tiles, k_tiles, vectors, R],
    `parameters` int32 [n_tiles, C, 3]. Column c of set n is output channel `channels[n, c]` of the
    layer, -1 if it is none; the vectors are those from `first_vector` on. The engine's results times 2**`grid` are the
    layer's.
    """

    shape: Shape
    weights: np.ndarray
    activations: np.ndarray
    parameters: np.ndarray
    channels: np.ndarray
    first_vector: int = 0
    grid: int = 0

    def results(self, model: EngineModel) -> np.ndarray:
        """What the engine gives: int8 (raw: int32) [n_tiles, vectors, C]."""
        if not model.start(self.shape):
            raise UserError(f"the engine refuses this layer: {model.faults!r}; mend the sizes in its Shape")
        for n_tile, parameters in enumerate(self.parameters):
            for at, beat in enumerate(parameters):
                model.feed("parameters", beat, at == len(parameters) - 1)
            for weights, vectors in zip(self.weights[n_tile], self.activations[n_tile], strict=True):
                for at, beat in enumerate(weights):
                    model.feed("weights", beat, at == len(weights) - 1)
                for at, beat in enumerate(vectors):
                    model.feed("activations", beat, at == len(vectors) - 1)
        vectors = np.stack([result for result, _ in model.take_results()])
        return vectors.reshape(self.shape.n_tiles, self.shape.vectors, -1)

    def place(self, results: np.ndarray, output: np.ndarray) -> None:
        """Put `results` [n_tiles, vectors, C] in the layer's `output` [all vectors, O], in its units."""
        for part, channels in zip(results, self.channels, strict=True):
            used = channels >= 0
            output[self.first_vector : self.first_vector + len(part), channels[used]] = part[:, used] << self.grid


def layer_jobs(
    layer: Layer, encoding: Encoding | None, rows: int, columns: int, depth: int, images: int | None = None
) -> Iterator[Job]:
    """Jobs of a whole layer, at most `depth` vectors each, for an array with `encoding` (None: exact products).

    The bias takes up what the array leaves out (constants of the weights' rows) and takes off what
    unused rows add (P(0, 0) of the array).
    """
    if depth < 1:
        raise UserError(f"a buffer of {depth} vectors holds nothing; it must hold at least 1")
    cut = list(tiles(layer, rows, columns, images))
    k_tiles = -(-layer.depth // rows)
    sets = [cut[i : i + k_tiles] for i in range(0, len(cut), k_tiles)]
    last_rows = sets[0][-1].rows_used
    constants, per_unused = np.zeros(len(layer.bias), np.int64), 0
    if encoding is not None:
        matrix = layer.weights.reshape(len(layer.bias), -1).astype(np.int64)
        constants = encoding.row_constants.astype(np.int64)[matrix + 128].sum(axis=1)
        per_unused = int(encoding.array_table[128, 128])
    requant, grid = layer.requant, layer.requant.grid if layer.requant else 0
    bias = layer.bias + constants - (rows - last_rows) * per_unused
    if grid:
        bias, requant = bias + requant.offsets, requant.coarse()
    if np.abs(bias).max() >= 1 << 31:
        raise UserError(f"layer {layer.name}: a bias of {np.abs(bias).max()} does not fit 32 bits")
    channels = np.full((len(sets), columns), -1)
    parameters = np.zeros((len(sets), columns, 3), np.int32)
    parameters[:, :, 2] = MIN_SHIFT
    for n_tile, (first, *_) in enumerate(sets):
        used = slice(0, first.cols_used)
        channels[n_tile, used] = np.arange(first.n0, first.n0 + first.cols_used)
        parameters[n_tile, used, 0] = bias[channels[n_tile, used]]
        if requant:
            for word, values in ((1, requant.multiplier), (2, requant.shift)):
                parameters[n_tile, used, word] = np.broadcast_to(values, bias.shape)[channels[n_tile, used]]
    weights = np.stack([[tile.weights for tile in members] for members in sets])
    vectors = np.stack([[tile.activations for tile in members] for members in sets])
    clamp = {k: getattr(requant, k) for k in ("lo", "hi", "zero_point")} if requant else {}
    for first in range(0, vectors.shape[2], depth):
        part = vectors[:, :, first : first + depth]
        shape = Shape(k_tiles, len(sets), part.shape[2], last_rows, raw=requant is None, **clamp)
        yield Job(shape, weights, part, parameters, channels, first, grid)
