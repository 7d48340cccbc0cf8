"""A network through the RTL: every convolution and linear layer is cut, run, put together and compared.

The results of the RTL, and nothing else, go on to the next layer: sums (bias and requantisation are
the integer network's) or, through a tile engine, the int8 results themselves.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import scratch
from models.emulate import exact_table
from models.mapping import Mapping, Timing, best, naive
from models.quant.graph import Conv, Engine, Linear, MacNode, QuantNetwork
from models.replay import Layer, layer_of
from tb.replay.pool import Pool
from tb.replay.store import Done, Part, engine_words, load_done, save_done, store_layer

LEAST_CYCLES = 2000  # of a part: below it a second worker is not worth its weights
PARTS_PER_WORKER = 3
PART_ELEMENTS = 1 << 23  # results of a column set that are held at once
SHOWN_ERRORS = 5


@dataclass(frozen=True)
class Sampling:
    """Tiles drawn at random in each layer, so many that with probability `confidence` at least one wrong
    tile is among them, if a share of `wrong` of the layer's tiles or more are wrong.

    Layers are strata, and within a layer the kinds of tiles (with rows or columns left over or not): of a
    kind that the draw left out one more tile is run.
    """

    wrong: float
    confidence: float = 0.95
    seed: int = 1

    def __post_init__(self) -> None:
        if not (0 < self.wrong < 1 and 0 < self.confidence < 1):
            raise UserError(f"SAMPLE={self.wrong}, confidence {self.confidence}: both lie between 0 and 1")

    def size(self, tiles: int) -> int:
        """Fewest tiles of `tiles` that do it (drawn without putting back)."""
        bad = max(1, math.ceil(self.wrong * tiles))
        missed = 1.0  # probability that no wrong tile was drawn
        for drawn in range(tiles):
            if missed <= 1 - self.confidence:
                return drawn
            missed *= max(0, tiles - bad - drawn) / (tiles - drawn)
        return tiles

    def draw(self, name: str, kinds: np.ndarray) -> np.ndarray:
        """Numbers of the tiles to run, sorted, of as many as `kinds` int [tiles] has entries."""
        seed = int.from_bytes(hashlib.sha256(f"{self.seed} {name}".encode()).digest()[:8], "little")
        rng, tiles = np.random.default_rng(seed), len(kinds)
        drawn = rng.choice(tiles, self.size(tiles), replace=False)
        left_out = np.setdiff1d(kinds, kinds[drawn])
        more = [rng.choice(np.flatnonzero(kinds == kind)) for kind in left_out]
        return np.sort(np.concatenate([drawn, np.array(more, int)]))


@dataclass
class LayerRecord:
    """One line of the report; utilisation is MACs over cycles and cells of the array.

    `toggles` and `zero_activations` are shares of what the array saw (see `Done.shares`).
    """

    name: str
    shape: str
    mapping: str
    macs: int
    tiles: int
    tiles_run: int = 0
    macs_run: int = 0
    cycles: int = 0
    array_cycles: int = 0  # of all tiles on one array, without a pause
    naive_cycles: int = 0
    utilisation: float = 0.0
    naive_utilisation: float = 0.0
    compared: int = 0
    mismatches: int = 0
    tiles_resumed: int = 0
    zero_activations: float | None = None
    toggles: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    macs_per_second: float = 0.0
    equals_emulator: bool | None = None
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ReplayedConv(Conv):
    """A convolution that the RTL computes."""

    replayed: Callable | None = None

    def __call__(self, x: np.ndarray, engine: Engine) -> np.ndarray:
        return self.replayed(self, x)


@dataclass(frozen=True)
class ReplayedLinear(Linear):
    """A linear layer that the RTL computes."""

    replayed: Callable | None = None

    def __call__(self, x: np.ndarray, engine: Engine) -> np.ndarray:
        return self.replayed(self, x)


class Replay:
    """Runs layers on a pool of workers. `table` is what a row of the array adds, `emulator` computes the same.

    `depth` > 0: through tile engines with a buffer of so many vectors. `progress(done, resumed)` hears of
    every part. Finished parts are kept in `folder` until `forget`.
    """

    def __init__(
        self,
        pool: Pool,
        design: str,
        size: tuple[int, int],
        timing: Timing,
        table: np.ndarray,
        emulator: Engine,
        folder: Path,
        depth: int = 0,
        sampling: Sampling | None = None,
        packed: bool = True,
        progress: Callable[[Done, bool], None] = lambda done, resumed: None,
    ) -> None:
        self.pool, self.design, self.size, self.timing = pool, design, size, timing
        self.table, self.emulator, self.folder = table, emulator, folder
        self.depth, self.sampling, self.packed, self.progress = depth, sampling, packed, progress
        self._own = ExitStack()
        self.operands = self._own.enter_context(scratch(folder)) / "operands"  # of the layer that is running
        self.records: list[LayerRecord] = []
        self._shares: dict[str, Done] = {}  # of every layer so far
        self._kept: list[Path] = []

    @property
    def neutral(self) -> bool:
        """A weight of 0 adds the same whatever the activation: an engine can take it off with the bias."""
        return bool((self.table[:, 128] == self.table[128, 128]).all())

    @property
    def exact(self) -> bool:
        """Products are exact."""
        return bool(np.array_equal(self.table, exact_table()))

    def network(self, network: QuantNetwork, layers: list[str]) -> QuantNetwork:
        """`network` with the layers named computed by the RTL."""
        changed = {}
        for name in layers:
            node = network.node(name)
            kind = ReplayedConv if isinstance(node, Conv) else ReplayedLinear
            changed[name] = kind(**{f.name: getattr(node, f.name) for f in fields(node)}, replayed=self.node)
        return network.with_nodes(changed)

    def mapping(self, layer: Layer) -> Mapping:
        """How a layer is cut."""
        if not self.packed or (self.depth and not self.neutral):
            return naive(layer, *self.size)
        return best(layer, *self.size, self.timing, len(layer.inputs))

    def node(self, node: MacNode, x: np.ndarray) -> np.ndarray:
        """What a layer gives for its int8 input: int8, or int32 sums where it has no requantisation."""
        if self.depth and node.requant and (grid := node.requant.grid):  # an engine gives results in steps of the grid
            bias = (node.bias + node.requant.offsets).astype(np.int32)
            return self.node(replace(node, bias=bias, requant=node.requant.coarse()), x) << grid
        layer = layer_of(node, x)
        expected = node.accumulate(x, self.emulator)
        through_engine = self.depth > 0
        if through_engine and node.requant:
            expected = node.requant(expected)
        found = self.layer(layer, expected.reshape(len(x), len(layer.bias), *layer.size), through_engine)
        found = found.reshape(expected.shape)
        return found if through_engine or not node.requant else node.requant(found)

    def layer(self, layer: Layer, expected: np.ndarray, through_engine: bool) -> np.ndarray:
        """Run a layer; `expected` [images, O, H', W'] is the emulator's. Gives the RTL's own, or when
        sampling, which leaves them incomplete, the emulator's."""
        started, mapping = time.perf_counter(), self.mapping(layer)
        record = self._record(layer, mapping)
        shares = self._shares.setdefault(layer.name, Done())
        engine = engine_words(layer.bias, layer.requant) if through_engine else None
        parts = self._parts(layer, mapping, engine)
        whole = self.sampling is None
        output = mapping.blank(len(layer.inputs), expected.dtype)
        for part, done, resumed in self._run(parts):
            self._add(record, done, resumed)
            for name, counts in done.shares.items():
                shares.add(name, *counts)
            for index, values in done.results.items() if whole else ():
                view = output[slice(*part.images)]
                mapping.place(mapping.column_set(index), values, view, part.down)
        if whole:
            output = mapping.whole(output)
            if not through_engine:
                output += layer.bias[:, None, None].astype(output.dtype)
            equal = bool(np.array_equal(output, expected))
            record.equals_emulator = equal and record.equals_emulator is not False
            if not equal and not record.errors:
                image, channel, y, x = (int(v) for v in np.argwhere(output != expected)[0])
                where = f"image {image}, channel {channel}, row {y}, column {x}"
                record.errors.append(f"layer {layer.name}: results put together are not the emulator's, first {where}")
            self._balance(record)
        else:
            self._check_tiles(layer, mapping)
        shutil.rmtree(self.operands, ignore_errors=True)
        record.seconds = round(record.seconds + time.perf_counter() - started, 3)
        record.macs_per_second = round(record.macs_run / record.seconds) if record.seconds else 0
        cells = math.prod(self.size)
        record.utilisation = record.macs_run / max(1, record.cycles) / cells
        record.naive_utilisation = record.macs / record.naive_cycles / cells
        found = {name: round(some / of, 5) for name, (some, of) in shares.shares.items() if of}
        record.zero_activations = found.pop("zero", None)
        record.toggles = found
        return output if whole else expected

    def close(self) -> None:
        """Remove the operands."""
        self._own.close()

    def forget(self) -> None:
        """Remove what was kept for going on after an interruption."""
        self.close()
        for path in self._kept:
            path.unlink(missing_ok=True)

    def _record(self, layer: Layer, mapping: Mapping) -> LayerRecord:
        """The layer's record; images that come later are added to it."""
        images, tiles = len(layer.inputs), int(mapping.tile_counts.sum())
        plain = naive(layer, *self.size)
        cycles = self.timing.cycles(int(plain.tile_counts.sum()), images * plain.vectors)
        record = next((r for r in self.records if r.name == layer.name), None)
        if record is None:
            outputs, inputs = layer.weights.shape[0], layer.inputs.shape[1]
            kernel = "x".join(map(str, layer.kernel))
            shape = f"{inputs}>{outputs} {kernel}" + (
                f" /{'x'.join(map(str, dict.fromkeys(layer.stride)))}" if layer.stride != (1, 1) else ""
            )
            shape += f" g{layer.groups}" if layer.groups > 1 else ""
            size = "x".join(map(str, layer.size))
            record = LayerRecord(layer.name, f"{shape}, {size}", mapping.name, macs=0, tiles=0)
            self.records.append(record)
        record.macs += layer.macs * images
        record.tiles += tiles
        record.array_cycles += self.timing.cycles(tiles, images * mapping.vectors)
        record.naive_cycles += cycles
        return record

    def _parts(self, layer: Layer, mapping: Mapping, engine: tuple | None) -> list[Part]:
        """A layer cut for the workers: by sets of columns, then by images, then by rows of windows."""
        stored = store_layer(layer, self.operands)
        images, (down, across), counts = len(layer.inputs), mapping.windows, mapping.tile_counts
        base = {"layer": stored, "array": self.size, "pack": mapping.pack, "window": mapping.window, "engine": engine}
        everything = {"sets": (0, mapping.sets), "images": (0, images), "down": (0, down)}
        whole = self.timing.cycles(int(counts.sum()), images * mapping.vectors)
        pieces = max(1, min(self.pool.size * PARTS_PER_WORKER, whole // LEAST_CYCLES))
        if self.sampling:
            offsets = np.concatenate([[0], np.cumsum(counts)])
            drawn = self.sampling.draw(layer.name, mapping.tile_kinds)
            at = np.searchsorted(offsets, drawn, side="right") - 1
            pairs = [(int(s), int(t - offsets[s])) for s, t in zip(at, drawn, strict=True)]
            cycles = self.timing.cycles(1, images * mapping.vectors)
            cuts = np.array_split(np.arange(len(pairs)), min(pieces, len(pairs)))
            chosen = [tuple(pairs[i] for i in cut) for cut in cuts]
            return [Part(**base, **everything, tiles=c, cycles=cycles * len(c)) for c in chosen]
        by_sets = min(pieces, mapping.sets)
        # images and rows of windows are cut where memory asks for it, or workers would have nothing to do
        held = -(-images * mapping.vectors * self.size[1] // PART_ELEMENTS)
        rest = max(held, pieces // by_sets)
        by_images = min(images, rest)
        fewest = max(1, 4 * self.timing.least // across)  # rows of windows below which weights take too long
        by_rows = max(1, min(-(-rest // by_images), down // fewest))
        parts = []
        for sets in _cuts(mapping.sets, by_sets):
            for some in _cuts(images, by_images):
                for rows in _cuts(down, by_rows):
                    vectors = (some[1] - some[0]) * (rows[1] - rows[0]) * across
                    cycles = self.timing.cycles(int(counts[slice(*sets)].sum()), vectors)
                    parts.append(Part(**base, sets=sets, images=some, down=rows, cycles=cycles))
        return parts

    def _run(self, parts: list[Part]):
        """(part, result, whether it was kept from before) of every part."""
        waiting = []
        for part in parts:
            path = self.folder / "parts" / f"{part.key(self.design)}.npz"
            self._kept.append(path)
            if done := load_done(path):
                self.progress(done, True)
                yield part, done, True
            else:
                waiting.append((part, path))
        for index, done in self.pool.run([part for part, _ in waiting]):
            part, path = waiting[index]
            if done.part != part.key(""):
                raise UserError(f"layer {part.layer.name}: a worker answered with another part's results; run again")
            if not done.errors:
                save_done(done, path)
            self.progress(done, False)
            yield part, done, False

    def _add(self, record: LayerRecord, done: Done, resumed: bool) -> None:
        record.tiles_run += done.tiles
        record.macs_run += done.macs
        record.cycles += done.cycles
        record.compared += done.matches + done.mismatches
        record.mismatches += done.mismatches
        record.tiles_resumed += done.tiles * resumed
        record.errors = (record.errors + done.errors)[:SHOWN_ERRORS]

    def _balance(self, record: LayerRecord) -> None:
        """All the layer's products were made, once each."""
        if record.macs_run != record.macs or record.tiles_run < record.tiles:
            raise UserError(
                f"layer {record.name}: {record.tiles_run} tiles with {record.macs_run} products were run, it has "
                f"{record.tiles} with {record.macs}; delete {self.folder} and run again"
            )

    def _check_tiles(self, layer: Layer, mapping: Mapping) -> None:
        """All the layer's products are in tiles, whether these were drawn or not."""
        sets = map(mapping.column_set, range(mapping.sets))
        made = sum(mapping.macs(columns, mapping.tiles(columns).used) for columns in sets)
        if made != layer.macs:
            raise UserError(f"layer {layer.name}: its tiles make {made} products an image, it has {layer.macs}")

    def rows(self) -> list[dict]:
        """The report's layers."""
        return [asdict(record) for record in self.records]


def _cuts(count: int, pieces: int) -> list[tuple[int, int]]:
    """0..count in `pieces` ranges of about the same length."""
    edges = [count * i // pieces for i in range(pieces + 1)]
    return list(itertools.pairwise(edges))
