"""A column of `make synth` that runs as words: 512 streams at a time, each with its own activations."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError
from flows.gls import column_model, latency, skew
from flows.power.activity import F_BITS, Activity, Stimulus, output_bits
from flows.power.circuit import CLOCK, Circuit
from flows.power.simulate import PS
from flows.sta import IO_SHARE
from flows.synth.netlist import Design
from flows.words.code import generate
from flows.words.program import Program, elaborate, elaborate_loading
from flows.words.tally import Tally
from models.emulate.native import load_text

LANES = 512
MAX_STEPS = 1 << 14  # of a call: counters of words.cpp hold twice as many
ARRAYS = ("bytes", "places", "held", "expected", "sums", "masks", "raw", "counts", "told")
NUMBERS = ("groups", "steps", "first", "tiles", "columns", "lanes", "wrong")
VECTORS = ({"avx512f", "avx512_vpopcntdq"}, {"avx2", "popcnt"})  # of a processor, the best first


class _Run(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ARRAYS] + [(name, ctypes.c_int64) for name in NUMBERS]


def vector_options() -> tuple[str, ...]:
    """Options of the compiler for this processor's vectors."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().partition("\nflags")[2].partition("\n")[0].split())
    except OSError:
        flags = set()
    found = next((wanted for wanted in VECTORS if wanted <= flags), set())
    return (*(f"-m{name.replace('_', '')}" for name in sorted(found)), "-O1", "-ftree-vectorize", "-Wno-psabi")


@dataclass(frozen=True)
class Code:
    """A compiled program and the order of its inputs: names of ports, nets of held registers."""

    library: ctypes.CDLL
    program: Program
    ports: list[str]
    held: list[int]
    outputs: int
    entries: int
    told: int
    depths: list[int]


def compiled(program: Program, outputs: list[int], tally: Tally | None = None) -> Code:
    """C++ of a program, compiled, or as it was kept: results are the references `outputs`."""
    ports, held = list(program.ports), list(program.held)
    entries, told = (tally.entries, list(tally.held)) if tally else ({}, [])
    text = generate(program.graph, list(program.ports.values()), list(program.held.values()), outputs, entries, told)
    library = load_text("words", text, vector_options())
    library.encmac_words.argtypes = [ctypes.c_void_p]
    library.encmac_words.restype = None
    depths = sorted({depth for _, _, depth in entries})
    return Code(library, program, ports, held, len(outputs), len(entries), len(told), depths)


@dataclass
class Found:
    """What a run of words gave.

    `sums` int32 [tiles, columns, steps, 512], `counts` int64 [tiles, entries, 3], `told` bool [tiles, held nodes],
    `raw` uint64 [tiles, steps, outputs, 8]; `wrong` results differ from what was expected. Sums and raw words are empty
    unless they were asked for.
    """

    sums: np.ndarray
    counts: np.ndarray
    told: np.ndarray
    raw: np.ndarray
    wrong: int


def run(
    code: Code,
    groups: np.ndarray,
    places: np.ndarray,
    held: np.ndarray,
    *,
    first: int = 0,
    columns: int = 1,
    expected: np.ndarray | None = None,
    sums: bool = False,
    raw: bool = False,
    lanes: int = LANES,
    masks: np.ndarray | None = None,
    counts: np.ndarray | None = None,
) -> Found:
    """Run all `steps` for each tile, whose held registers are bool [tiles, held].

    `groups` uint8 [groups, steps, 512] are operands, `places` int32 [ports] the group and bit (8 * group + bit) of
    each port. Steps before `first` are neither counted nor compared; `masks` bool [steps, depths, 512] say what counts
    in place of that and of the first `lanes`, which are used. `counts` are added to, if given.
    """
    _, steps, _ = groups.shape
    if steps > MAX_STEPS:
        raise ValueError(f"{steps} steps at once, {MAX_STEPS} can be")
    tiles, counted = len(held), steps - first
    counts = np.zeros((tiles, code.entries, 3), np.int64) if counts is None else counts
    told = np.zeros((tiles, max(code.told, 1)), np.uint8)
    found = np.zeros((tiles, columns, counted, LANES) if sums else 0, np.int32)
    words = np.zeros((tiles, steps, code.outputs, 8) if raw else 0, np.uint64)
    arrays: dict[str, np.ndarray | None] = {
        "bytes": np.ascontiguousarray(groups, np.uint8),
        "places": np.ascontiguousarray(places, np.int32),
        "held": np.ascontiguousarray(held, np.uint8),
        "expected": None if expected is None else np.ascontiguousarray(expected, np.int32),
        "sums": found if sums else None,
        "masks": None if masks is None else words_of(masks),
        "raw": words if raw else None,
        "counts": counts,
        "told": told,
    }
    pointers = [None if array is None else array.ctypes.data for array in arrays.values()]
    request = _Run(*pointers, len(groups), steps, first, tiles, columns, lanes, 0)
    code.library.encmac_words(ctypes.byref(request))
    return Found(found, counts, told[:, : code.told].astype(bool), words, request.wrong)


def words_of(bits: np.ndarray) -> np.ndarray:
    """Words uint64 [..., 8] of bool [..., 512]; see words.cpp for the order of lanes."""
    by_byte = np.asarray(bits, bool).reshape(*bits.shape[:-1], 8, 64).swapaxes(-1, -2)
    return np.ascontiguousarray(np.packbits(by_byte, axis=-1, bitorder="little")[..., 0]).view(np.uint64)


def bits_of(words: np.ndarray) -> np.ndarray:
    """bool [..., 512] of words uint64 [..., 8]."""
    by_byte = np.unpackbits(np.ascontiguousarray(words).view(np.uint8)[..., None], axis=-1, bitorder="little")
    return by_byte.swapaxes(-1, -2).reshape(*words.shape[:-1], LANES).astype(bool)


class Column:
    """A column whose netlist is compiled; `counted`: with the transitions of all its nets at this clock.

    Raises UserError if it cannot be: feedback, a clock that is more than a clock, a product of two rows at once.
    """

    def __init__(self, circuit: Circuit, design: Design, rows: int, clock_ns: float, counted: bool = True) -> None:
        self.circuit, self.design, self.rows, self.clock_ns = circuit, design, rows, clock_ns
        self.model, self.columns = column_model(design), dict(design.parameters).get("Cols", 1)
        if self.model.pairs:
            raise UserError(f"{design.label}: a fast inner product of pairs of rows is not run as words; leave it out")
        codes = self.model.codes(np.arange(-128, 128, dtype=np.int8))
        self.bits = codes.shape[1]
        self._plain, self._codes = plain_bits(codes), np.packbits(codes, axis=1, bitorder="little")[:, 0]
        self._places, depths = self._ports()
        program = elaborate(circuit, depths, {"w_shift_i": False})
        outputs = [circuit.ports[name] for name in output_bits(circuit)]
        late = latency(design, rows)
        for net in outputs:
            if net >= 0 and program.nets[net].depth not in (None, late):
                raise UserError(f"{circuit.path}: sums come {program.nets[net].depth} cycles late, expected {late}")
        self.tally = Tally(program, self._durations()) if counted else None
        refs = [program.nets[net].phases[3] if net >= 0 else -1 - net for net in outputs]
        self.code = compiled(program, refs, self.tally)
        self.places = np.array([self._places[name] for name in self.code.ports], np.int32)
        self._taken = {name.rsplit("_", 1)[0] for name in self.code.ports}  # buses that the netlist reads
        self._loader = self._load_code()

    def _durations(self) -> tuple[int, int, int, int]:
        """ps of the phases of a cycle: see flows/power/simulate.py."""
        period, before = round(self.clock_ns * PS), round(IO_SHARE * self.clock_ns * PS)
        return 1, before - 1, period // 2 - before, period - period // 2

    def _ports(self) -> tuple[dict[str, int], dict[str, int]]:
        """Of each port its group and bit, and the cycles that its wave comes later than the first row's."""
        rows, bits = self.rows, self.bits
        together = skew(self.design) or rows
        sliced = together if self.model.encoding else 1
        places: dict[str, int] = {}
        depths: dict[str, int] = {}
        wires = self._plain or list(range(bits))  # codes that are bits of the activation are read from it
        for row in range(rows):
            ports = {
                f"a_i_{(row // sliced * bits + i) * sliced + row % sliced}": 8 * row + wires[i] for i in range(bits)
            }
            ports[f"zero_i_{row}"] = 8 * (rows + row)
            places |= ports
            depths |= dict.fromkeys(ports, row // together)
        sums = {f"f_i_{i}": 8 * 2 * rows + i for i in range(F_BITS)}
        return places | sums, depths | dict.fromkeys(sums, latency(self.design, rows) - 1)

    def _load_code(self) -> Code:
        """What weights that are shifted in leave in the held registers."""
        ports = {f"w_i_{i}": 0 for i in range(8 * self.columns)}
        program = elaborate_loading(self.circuit, ports, {"w_shift_i": True}, self.code.held)
        nets = [program.nets[net] for net in self.code.held]
        self._ages = np.array([net.depth or 1 for net in nets], int)
        return compiled(program, [net.phases[3] for net in nets])

    def load(self, weights: np.ndarray) -> np.ndarray:
        """Held registers bool [tiles, held] after weights int8 [tiles, R, C] were shifted in."""
        places = np.array([int(name.rsplit("_", 1)[1]) for name in self._loader.ports], np.int32)
        found = []
        for at in range(0, len(weights), LANES):
            some = weights[at : at + LANES].view(np.uint8)
            groups = np.zeros((self.columns, self.rows, LANES), np.uint8)
            groups[:, :, : len(some)] = some.transpose(2, 1, 0)
            raw = run(self._loader, groups, places, np.zeros((1, 0), bool), raw=True).raw
            words = raw[0, self.rows - self._ages, np.arange(len(self._ages))]  # [held, 8]
            found.append(bits_of(words).T[: len(some)])
        return np.concatenate(found)

    def operands(self, activations: np.ndarray, f_sums: np.ndarray | None = None) -> np.ndarray:
        """Bytes of the ports, uint8 [groups, steps, 512], of activations int8 [R, steps, 512].

        `f_sums` int [steps, 512] are what the extra column sends; None: asked of the model.
        """
        found = np.zeros((2 * self.rows + F_BITS // 8, *activations.shape[1:]), np.uint8)
        codes = activations.view(np.uint8) if self._plain else self._codes[activations.view(np.uint8) ^ 128]
        found[: self.rows] = codes
        if "zero_i" in self._taken:
            found[self.rows : 2 * self.rows] = self._codes[activations.view(np.uint8) ^ 128] == 0
        if "f_i" in self._taken:
            if f_sums is None:
                f_sums = self.model.f_sums(activations.reshape(self.rows, -1).T).reshape(activations.shape[1:])
            found[2 * self.rows :] = f_sums >> 8 * np.arange(F_BITS // 8)[:, None, None]
        return found


def plain_bits(codes: np.ndarray) -> list[int] | None:
    """Which bits of an activation a row is given, from codes bool [256, bits] of -128 to 127; None: none of them."""
    values = np.arange(-128, 128)[:, None] >> np.arange(8) & 1
    found = [np.flatnonzero((code == values.T).all(axis=1)) for code in codes.T]
    return [int(bits[0]) for bits in found] if all(len(bits) for bits in found) else None


def word_activity(column: Column, given: Stimulus) -> Activity:
    """What `measure_activity` finds without delays (flows/power/activity.py), by words: for comparison."""
    tally, columns = column.tally, column.columns
    assert tally is not None
    depths, counts, told, matches = column.code.depths, [], [], 0
    rows = column.rows
    past = zero = np.zeros((1, rows), np.int8)  # before and after each tile; registers that hold have more of the past
    for tile, (begin, end) in zip(given.tiles, given.windows, strict=True):
        first = begin - rows - 1 - len(past)  # the cycle of the first wave at the first row
        waves = np.concatenate([past, tile.activations, zero])
        activations = np.zeros((rows, len(waves), LANES), np.int8)
        activations[:, :, 0] = waves.T
        cycles = first + np.arange(len(waves))[:, None] + np.array(depths)
        masks = np.zeros((*cycles.shape, LANES), bool)
        masks[:, :, 0] = (cycles >= begin) & (cycles < end)
        held = column.load(tile.weights[None])
        found = run(
            column.code, column.operands(activations), column.places, held, columns=columns, sums=True, masks=masks
        )
        sums, given_sums = found.sums[0, :, :, 0].T, column.model.sums(waves, tile.weights)
        if not np.array_equal(sums, given_sums):
            raise UserError(f"{column.design.label}: {(sums != given_sums).sum()} results are wrong")
        past = waves if column.code.program.holds else zero
        matches += tile.activations.shape[0] * columns
        counts.append(found.counts)
        told.append(found.told)
    cycles = np.array([b - a for a, b in given.windows])
    rises, falls, high = tally.nets(np.concatenate(counts), np.concatenate(told), cycles)
    nets = {net: i for i, net in enumerate(column.circuit.nets)}
    period = round(column.clock_ns * PS)
    return Activity(
        netlist_sha256=column.circuit.sha256,
        clock_ns=float(cycles.sum() * period / rises[nets[CLOCK]].sum() / PS),
        glitches=False,
        windows=tuple(f"{t.layer} k{t.k0} n{t.n0}" for t in given.tiles),
        cycles=cycles,
        nets=nets,
        rises=rises,
        falls=falls,
        high=high / (cycles * period),
        matches=matches,
    )
