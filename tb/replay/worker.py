"""A worker of a replay: one simulator that stays alive, takes parts of layers and runs their tiles.

It is a pyuvm test; the parts come over a local socket from `tb.replay.pool`, whose name is in ENCMAC_REPLAY.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Client
from typing import NamedTuple

import numpy as np
import pyuvm
from cocotb.triggers import Timer

from common.errors import UserError
from models.encoding import Encoding
from models.hardware.tile import Shape
from models.mapping import ColumnSet, Mapping
from tb.agents.port import TileItem, changed_products
from tb.replay.store import Done, Part, open_mapping
from tb.tests.port import DRAIN_NS, PortTest

SHOWN_ERRORS = 5
BATCH = 1 << 20  # results of an item: so many are compared at once
TOGGLE_PAIRS = 16  # of vectors in each tile, whose product bits are compared


def product_words(encoding: Encoding | None) -> tuple[np.ndarray, int]:
    """(uint64 [256, 256, words], bits): the product bits of every operand pair, index [a + 128, w + 128].

    Without an encoding they are the 16 bits of the exact product.
    """
    a, w = np.arange(-128, 128)[:, None], np.arange(-128, 128)
    if encoding is None:
        return (a * w & 0xFFFF).astype(np.uint64)[..., None], 16
    packed = np.packbits(encoding.product_bits(a.astype(np.int8), w.astype(np.int8)), axis=-1)
    packed = np.pad(packed, ((0, 0), (0, 0), (0, -packed.shape[-1] % 8)))
    return np.ascontiguousarray(packed).view(np.uint64), encoding.m


class Load(NamedTuple):
    """Tiles `k` of a column set: weights int8 [tiles, R, C], activations int8 [tiles, vectors, R], and where a weight
    of the layer stands, bool [tiles, R, C]."""

    column_set: ColumnSet
    k: Sequence[int]
    weights: np.ndarray
    activations: np.ndarray
    used: np.ndarray


class Run:
    """One part on the array: makes items, adds up what came. `products(activations, weights, used, first)` counts
    product bits that change, `bits` are those of a product."""

    def __init__(
        self,
        part: Part,
        mapping: Mapping,
        padded: np.ndarray,
        table: np.ndarray,
        depth: int,
        products: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], int],
        bits: int,
    ) -> None:
        self.part, self.mapping, self.depth = part, mapping, depth
        self.padded, self.products, self.bits = padded, products, bits
        self.at_zero = table[:, 128].astype(np.float32)  # what a row with weight 0 adds, index a + 128
        self.done = Done(errors=[], results={})
        self.results = 0  # that the array gave
        self.images = len(padded)
        self._waiting: list[tuple[list[Load], TileItem]] = []
        self._vectors: tuple[np.ndarray, np.ndarray] | None = None  # taps and activations of the last set

    def items(self) -> Iterator[TileItem]:
        """All tiles of the part, many in an item; its results are added up when the next but one is asked for."""
        for loads in self._batches():
            labels = [self._label(load.column_set, k) for load in loads for k in load.k]
            weights, activations, _ = self._joined(loads)
            item = TileItem(weights, activations, labels)
            item.locate = self._locate([load.column_set for load in loads for _ in load.k])
            yield from self._send(loads, item)

    def jobs(self) -> Iterator[TileItem]:
        """All column sets of the part as jobs of a tile engine, as many vectors each as its buffer holds."""
        words, clamp = self.part.engine
        words = np.array(words, np.int64).astype(np.int32)
        for index in range(*self.part.sets):
            column_set = self.mapping.column_set(index)
            tiles, vectors = self.mapping.tiles(column_set), self._activations(column_set)
            count = len(tiles.weights)
            parameters = np.zeros((self.mapping.columns, 4), np.int32)
            parameters[:, 2] = 1
            parameters[: len(column_set.channels), :3] = words[column_set.channels]
            unused = count * self.mapping.rows - tiles.used.sum(axis=(0, 1))
            parameters[:, 0] -= (unused * int(self.at_zero[128])).astype(np.int32)
            load = Load(column_set, range(count), tiles.weights, vectors, tiles.used)
            self._count([load])
            for first in range(0, vectors.shape[1], self.depth):
                part = vectors[:, first : first + self.depth]
                shape = Shape(count, 1, part.shape[1], tiles.rows_used(count - 1), **clamp)
                item = TileItem(tiles.weights, part, [self._label(column_set, 0)], shape, parameters)
                item.locate = self._locate([column_set], first)
                yield from self._send([load], item)

    def _send(self, loads: list[Load], item: TileItem) -> Iterator[TileItem]:
        self._waiting.append((loads, item))
        yield item
        while self._waiting and self._waiting[0][1].finished.is_set():
            self._take(*self._waiting.pop(0))

    def finish(self) -> Done:
        """After the last item has ended."""
        while self._waiting:
            self._take(*self._waiting.pop(0))
        if self.part.tiles is not None:
            self.done.results = {}
        for index, values in self.done.results.items():
            if isinstance(values, list):
                self.done.results[index] = np.concatenate(values)
            elif values.size and abs(values).max() < 1 << 31:
                self.done.results[index] = values.astype(np.int32)
        return self.done

    def _batches(self) -> Iterator[list[Load]]:
        """The part's tiles in the order of their sets, so many at a time as have about BATCH results."""
        batch, held = [], 0
        for load in self._loads():
            batch.append(load)
            held += load.activations.shape[0] * load.activations.shape[1] * self.mapping.columns
            if held >= BATCH:
                yield self._count(batch)
                batch, held = [], 0
        if batch:
            yield self._count(batch)

    def _loads(self) -> Iterator[Load]:
        """The part's tiles by set; those of a set that are too many for a batch are cut."""
        wanted: dict[int, list[int]] | None = None
        if self.part.tiles is not None:
            wanted = {}
            for index, k in sorted(self.part.tiles):
                wanted.setdefault(index, []).append(k)
        first, end = self.part.down
        vectors = self.images * (end - first) * self.mapping.windows[1]
        most = max(1, BATCH // (vectors * self.mapping.columns))
        for index in range(*self.part.sets) if wanted is None else wanted:
            column_set = self.mapping.column_set(index)
            tiles = self.mapping.tiles(column_set)
            chosen = wanted[index] if wanted else range(len(tiles.weights))
            for start in range(0, len(chosen), most):
                k = chosen[start : start + most]
                at = slice(k[0], k[-1] + 1) if len(k) == k[-1] - k[0] + 1 else np.array(k)
                yield Load(column_set, k, tiles.weights[at], self._activations(column_set, k), tiles.used[at])

    def _activations(self, column_set: ColumnSet, k: Sequence[int] | None = None) -> np.ndarray:
        """Vectors of tiles `k` of a set (all), int8 [tiles, vectors, R]; sets that need the same share them."""
        rows, taps = self.mapping.rows, column_set.taps
        if k is not None:  # only the last tile of a set may have rows left over
            taps = np.concatenate([taps[i * rows : (i + 1) * rows] for i in k])
        if self._vectors is None or not np.array_equal(self._vectors[0], taps):
            self._vectors = taps, self.mapping.activations(self.padded, taps, self.part.down)
        return self._vectors[1]

    def _joined(self, loads: list[Load]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weights, activations and used of loads as one."""
        if len(loads) == 1:
            return loads[0].weights, loads[0].activations, loads[0].used
        weights, activations, used = (
            np.concatenate([getattr(load, name) for load in loads]) for name in ("weights", "activations", "used")
        )
        return weights, activations, used

    def _count(self, loads: list[Load]) -> list[Load]:
        """Count what tiles are, and the activations and product bits in them; gives the loads."""
        rows, pad = self.mapping.rows, self.mapping.layer.pad_value
        for column_set, k, _, activations, used in loads:
            self.done.tiles += len(k)
            self.done.macs += self.mapping.macs(column_set, used, self.part.down) * self.images
            left_over = max(0, (k[-1] + 1) * rows - len(column_set.taps)) * activations.shape[1]
            zeros = np.count_nonzero(activations == pad) - (left_over if pad == 0 else 0)
            self.done.add("zero", zeros, activations.size - left_over)
        weights, activations, used = self._joined(loads)
        vectors = activations.shape[1]
        if vectors > 1:
            first = np.unique(np.linspace(0, vectors - 2, TOGGLE_PAIRS).astype(int))
            changed = self.products(activations, weights, used, first)
            self.done.add("products", changed, len(first) * int(np.count_nonzero(used)) * self.bits)
        return loads

    def _take(self, loads: list[Load], item: TileItem) -> None:
        """Add the results of an item to those of its sets, less what unused rows added."""
        self.done.cycles += item.cycles
        self.results += item.results.size
        tiles = item.results.shape[0] if item.results.ndim == 3 else 1
        steps = item.activations.size // item.activations.shape[-1], item.results.size // item.results.shape[-1]
        packets = item.activations.shape[0], tiles
        widths = 8 * item.activations.shape[-1], 8 * item.results.itemsize * item.results.shape[-1]
        for name, changed, step, packet, width in zip(
            ("activations", "results"), item.toggles, steps, packets, widths, strict=True
        ):
            self.done.add(name, changed, (step - packet) * width)
        if item.shape is not None:
            (load,) = loads
            count = len(load.column_set.channels)
            self.done.results.setdefault(load.column_set.index, []).append(item.results[:, :count].copy())
            return
        if self.part.tiles is not None:
            return
        at = 0
        for column_set, k, _, activations, used in loads:
            count = len(column_set.channels)
            sums = item.results[at : at + len(k), :, :count].sum(axis=0, dtype=np.int64)
            at += len(k)
            if self.at_zero.any():
                added = self.at_zero[activations.astype(np.int16) + 128] @ (~used[:, :, :count]).astype(np.float32)
                sums -= np.rint(added).astype(np.int64).sum(axis=0)
            total = self.done.results.get(column_set.index)
            self.done.results[column_set.index] = sums if total is None else total + sums

    def _label(self, column_set: ColumnSet, k: int) -> str:
        first = k * self.mapping.rows
        last = min(first + self.mapping.rows, len(column_set.taps)) - 1
        return f"layer {self.mapping.layer.name}, set {column_set.index}, rows {first}..{last}"

    def _locate(self, sets: list[ColumnSet], first: int = 0) -> Callable[[int, int, int], str]:
        """Says which output of the layer a tile of these sets, a vector and a column are."""

        def locate(tile: int, vector: int, column: int) -> str:
            column_set = sets[tile]
            if column >= len(column_set.channels):
                return "no output of the layer"
            image, y, x = self.mapping.pixel(vector + first, column_set.places[column], self.part.down)
            image += self.part.images[0]
            return f"image {image}, channel {column_set.channels[column]}, row {y}, column {x} of the layer"

        return locate


def uncounted(done: Done, layer: str, given: int, extra: int) -> list[str]:
    """What is wrong with the number of results compared, the array having given so many, and `extra` unasked."""
    found = [f"layer {layer}: {extra} results came that nobody asked for"] if extra else []
    if (compared := done.matches + done.mismatches) != given:
        found.append(f"layer {layer}: {compared} results were compared, the array gave {given}")
    return found


@pyuvm.test()
class replay_worker(PortTest):
    """Takes parts until it is told to stop."""

    async def stimulus(self) -> None:
        address, key = os.environ["ENCMAC_REPLAY"], bytes.fromhex(os.environ["ENCMAC_REPLAY_KEY"])
        self.prepare()
        with Client(address, authkey=key) as connection:
            connection.send(os.getpid())
            while (part := connection.recv()) is not None:
                try:
                    connection.send(await self.run_part(part))
                except UserError as error:
                    connection.send(str(error))
                except Exception as error:  # what goes wrong here would again
                    connection.send(f"layer {part.layer.name}: {type(error).__name__}: {error}")

    def prepare(self) -> None:
        """What `run_part` needs."""
        self.mapping: tuple[object, Mapping, np.ndarray] | None = None
        words, self.bits = product_words(self.env.config.products)
        self.products = partial(changed_products, self.env.port.library, words)

    async def run_part(self, part: Part) -> Done:
        """Run one part; everything compared."""
        started, board = time.perf_counter(), self.env.scoreboard
        before = board.matches, board.mismatches, len(board.errors), self.env.port.extra
        key = (part.layer, part.pack, part.window, part.images)
        if self.mapping is None or self.mapping[0] != key:
            mapping = open_mapping(part)
            self.mapping = key, mapping, mapping.padded(mapping.layer.inputs[slice(*part.images)])
        _, mapping, padded = self.mapping
        run = Run(part, mapping, padded, self.env.config.table, self.env.config.depth, self.products, self.bits)
        await self.send(run.items() if part.engine is None else run.jobs())
        done = run.finish()
        await Timer(DRAIN_NS, unit="ns")  # what comes late comes in this part
        done.part = part.key("")
        done.matches, done.mismatches = board.matches - before[0], board.mismatches - before[1]
        done.errors = board.errors[before[2] :][:SHOWN_ERRORS]
        done.errors += uncounted(done, part.layer.name, run.results, self.env.port.extra - before[3])
        if done.mismatches and (explained := board.diagnosis()):
            done.errors.append(explained)
        done.seconds = time.perf_counter() - started
        return done

    def check_phase(self) -> None:
        """Every part was judged by who asked for it."""
