"""A worker of a replay: one simulator that stays alive, takes parts of layers and runs their tiles.

It is a pyuvm test; the parts come over a local socket from `tb.replay.pool`, whose name is in ENCMAC_REPLAY.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from multiprocessing.connection import Client

import numpy as np
import pyuvm

from common.errors import UserError
from models.encoding import Encoding
from models.hardware.tile import Shape
from models.mapping import ColumnSet, MappedTile, Mapping
from tb.agents.port import TileItem
from tb.replay.store import Done, Part, open_mapping
from tb.tests.port import PortTest

SHOWN_ERRORS = 5
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


class Run:
    """One part on the array: makes items, adds up what came. `words`, `bits` are those of `product_words`."""

    def __init__(
        self,
        part: Part,
        mapping: Mapping,
        padded: np.ndarray,
        table: np.ndarray,
        depth: int,
        words: np.ndarray,
        bits: int,
    ) -> None:
        self.part, self.mapping, self.depth = part, mapping, depth
        self.padded, self.words, self.bits = padded, words, bits
        self.at_zero = table[:, 128].astype(np.float32)  # what a row with weight 0 adds, index a + 128
        self.done = Done(errors=[], results={})
        self.images = len(padded)
        self._waiting: list[tuple[ColumnSet, MappedTile, TileItem]] = []

    def items(self) -> Iterator[TileItem]:
        """All tiles of the part; results of a tile are added up when the next but one is asked for."""
        for column_set, tile in self._tiles():
            activations = self.mapping.activations(self.padded, tile, self.part.down)
            self._count(tile, activations)
            item = TileItem(tile.weights, activations, self._label(column_set, tile))
            item.locate = self._locate(column_set)
            yield from self._send(column_set, tile, item)

    def jobs(self) -> Iterator[TileItem]:
        """All column sets of the part as jobs of a tile engine, as many vectors each as its buffer holds."""
        words, clamp = self.part.engine
        words = np.array(words, np.int64).astype(np.int32)
        for index in range(*self.part.sets):
            column_set = self.mapping.column_set(index)
            tiles = list(self.mapping.tiles(column_set))
            weights = np.stack([tile.weights for tile in tiles])
            vectors = np.stack([self.mapping.activations(self.padded, tile, self.part.down) for tile in tiles])
            parameters = np.zeros((self.mapping.columns, 4), np.int32)
            parameters[:, 2] = 1
            parameters[: len(column_set.channels), :3] = words[column_set.channels]
            unused = len(tiles) * self.mapping.rows - sum(tile.used.sum(axis=0) for tile in tiles)
            parameters[:, 0] -= (unused * int(self.at_zero[128])).astype(np.int32)
            for tile, activations in zip(tiles, vectors, strict=True):
                self._count(tile, activations)
            for first in range(0, vectors.shape[1], self.depth):
                part = vectors[:, first : first + self.depth]
                shape = Shape(len(tiles), 1, part.shape[1], tiles[-1].rows_used, **clamp)
                item = TileItem(weights, part, self._label(column_set, tiles[0]), shape, parameters)
                item.locate = self._locate(column_set, first)
                yield from self._send(column_set, None, item)

    def _send(self, column_set: ColumnSet, tile: MappedTile | None, item: TileItem) -> Iterator[TileItem]:
        self._waiting.append((column_set, tile, item))
        yield item
        while self._waiting and self._waiting[0][2].finished.is_set():
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

    def _tiles(self) -> Iterator[tuple[ColumnSet, MappedTile]]:
        wanted = None if self.part.tiles is None else set(self.part.tiles)
        sets = range(*self.part.sets) if wanted is None else sorted({index for index, _ in wanted})
        for index in sets:
            column_set = self.mapping.column_set(index)
            for k, tile in enumerate(self.mapping.tiles(column_set)):
                if wanted is None or (index, k) in wanted:
                    yield column_set, tile

    def _count(self, tile: MappedTile, activations: np.ndarray) -> None:
        self.done.tiles += 1
        self.done.macs += self.mapping.macs(tile, self.part.down) * self.images
        real = activations[:, : tile.rows_used]
        self.done.add("zero", np.count_nonzero(real == self.mapping.layer.pad_value), real.size)
        if len(activations) > 1:
            first = np.unique(np.linspace(0, len(activations) - 2, TOGGLE_PAIRS).astype(int))
            rows = np.flatnonzero(tile.used.any(axis=1))
            weights = tile.weights[rows].astype(np.int16) + 128
            before, after = (
                self.words[activations[v][:, rows, None].astype(np.int16) + 128, weights] for v in (first, first + 1)
            )
            changed = np.bitwise_count(before ^ after).sum(axis=-1)[:, tile.used[rows]].sum()
            self.done.add("products", changed, len(first) * int(tile.used.sum()) * self.bits)

    def _take(self, column_set: ColumnSet, tile: MappedTile | None, item: TileItem) -> None:
        """Add the results of an item to those of its set, less what unused rows added."""
        self.done.cycles += item.cycles
        steps = item.activations.size // item.activations.shape[-1] - 1, len(item.results) - 1
        widths = 8 * item.activations.shape[-1], 8 * item.results.itemsize * item.results.shape[-1]
        for name, changed, step, width in zip(("activations", "results"), item.toggles, steps, widths, strict=True):
            self.done.add(name, changed, step * width)
        count = len(column_set.channels)
        if tile is None:
            self.done.results.setdefault(column_set.index, []).append(item.results[:, :count].copy())
            return
        if self.part.tiles is not None:
            return
        sums = item.results[:, :count].astype(np.int64)
        if self.at_zero.any():
            added = self.at_zero[item.activations.astype(np.int16) + 128]  # [vectors, R]
            sums -= np.rint(added @ (~tile.used[:, :count]).astype(np.float32)).astype(np.int64)
        total = self.done.results.get(column_set.index)
        self.done.results[column_set.index] = sums if total is None else total + sums

    def _label(self, column_set: ColumnSet, tile: MappedTile) -> str:
        return (
            f"layer {self.mapping.layer.name}, set {column_set.index}, rows {tile.k0}..{tile.k0 + tile.rows_used - 1}"
        )

    def _locate(self, column_set: ColumnSet, first: int = 0):
        """Says which output of the layer a vector and a column are."""

        def locate(vector: int, column: int) -> str:
            if column >= len(column_set.channels):
                return "no output of the layer"
            image, y, x = self.mapping.pixel(vector + first, column_set.places[column], self.part.down)
            image += self.part.images[0]
            return f"image {image}, channel {column_set.channels[column]}, row {y}, column {x} of the layer"

        return locate


@pyuvm.test()
class replay_worker(PortTest):
    """Takes parts until it is told to stop."""

    async def stimulus(self) -> None:
        address, key = os.environ["ENCMAC_REPLAY"], bytes.fromhex(os.environ["ENCMAC_REPLAY_KEY"])
        self.mapping: tuple[object, Mapping, np.ndarray] | None = None
        self.products = product_words(self.env.config.products)
        with Client(address, authkey=key) as connection:
            connection.send(os.getpid())
            while (part := connection.recv()) is not None:
                try:
                    connection.send(await self.run_part(part))
                except UserError as error:
                    connection.send(str(error))

    async def run_part(self, part: Part) -> Done:
        """Run one part; everything compared."""
        started, board = time.perf_counter(), self.env.scoreboard
        before = board.matches, board.mismatches, len(board.errors)
        key = (part.layer, part.pack, part.window, part.images)
        if self.mapping is None or self.mapping[0] != key:
            mapping = open_mapping(part)
            self.mapping = key, mapping, mapping.padded(mapping.layer.inputs[slice(*part.images)])
        _, mapping, padded = self.mapping
        run = Run(part, mapping, padded, self.env.config.table, self.env.config.depth, *self.products)
        await self.send(run.items() if part.engine is None else run.jobs())
        done = run.finish()
        done.matches, done.mismatches = board.matches - before[0], board.mismatches - before[1]
        done.errors = board.errors[before[2] :][:SHOWN_ERRORS]
        if self.env.port.extra:
            done.errors.append(f"{self.env.port.extra} results came that nobody asked for")
        if done.mismatches and (explained := board.diagnosis()):
            done.errors.append(explained)
        done.seconds = time.perf_counter() - started
        return done

    def check_phase(self) -> None:
        """Every part was judged by who asked for it."""
