"""Environment of a tile port: one agent, reference, a scoreboard that compares whole tiles.

Works on arrays, not on beats: what a tile must give is one product with a table, what came is
compared at once, every element of it.
"""

from __future__ import annotations

import cocotb
import numpy as np
from pyuvm import ConfigDB, uvm_analysis_port, uvm_component, uvm_env

from models.emulate import TableEngine, exact_table
from models.emulate.exact import FLOAT32_INTEGERS, LARGEST_PRODUCT
from models.encoding import Encoding
from models.hardware.tile import finish
from tb.agents.port import PortConfig, TileAgent, TileItem
from tb.env.bench import ArrayConfig
from tb.env.diagnosis import USED_MISMATCHES, Mismatch, explain
from tb.env.scoreboard import SHOWN_MISMATCHES, Listener


class TileReference(uvm_component):
    """Predicts the results of an item from the operands that the design was given."""

    def __init__(self, name: str, parent: uvm_component, table: np.ndarray) -> None:
        super().__init__(name, parent)
        self._engine = TableEngine(table, threads=1)
        self._exact = np.array_equal(table, exact_table())

    def build_phase(self) -> None:
        self.ap = uvm_analysis_port("ap", self)
        self.items = Listener("items", self, lambda item: self.ap.write((item, self.predict(item))))

    def sums(self, weights: np.ndarray, activations: np.ndarray) -> np.ndarray:
        """Column sums int32 [tiles, vectors, C] of int8 `weights` [tiles, R, C], `activations` [tiles, vectors, R]."""
        tiles, vectors, rows = activations.shape
        if self._exact and rows * LARGEST_PRODUCT < FLOAT32_INTEGERS:  # as ExactEngine, without torch
            return (activations.astype(np.float32) @ weights.astype(np.float32)).astype(np.int32)
        maps = np.ascontiguousarray(activations.transpose(0, 2, 1)).reshape(1, -1, vectors, 1)
        kernels = np.ascontiguousarray(weights.transpose(0, 2, 1)).reshape(-1, rows, 1, 1)
        found = self._engine(maps, kernels, groups=tiles)
        return np.ascontiguousarray(found.reshape(tiles, -1, vectors).transpose(0, 2, 1))

    def predict(self, item: TileItem) -> np.ndarray:
        """What must come, of the shape of the item's results: int32, or what a tile engine makes of it."""
        weights, activations = (x if x.ndim == 3 else x[None] for x in (item.weights, item.activations))
        if item.shape is None:
            return self.sums(weights, activations).reshape(item.results.shape)
        weights, activations, used = weights.copy(), activations.copy(), item.shape.last_rows
        weights[-1, used:] = 0
        activations[-1, :, used:] = 0
        return finish(self.sums(weights, activations).sum(axis=0, dtype=np.int64), item.parameters, item.shape)


class TileScoreboard(uvm_component):
    """Compares every element of every item, in order; `errors` collects what must not happen."""

    def __init__(self, name: str, parent: uvm_component, config: PortConfig, encoding: Encoding | None) -> None:
        super().__init__(name, parent)
        self.config, self.encoding = config, encoding
        self.matches = self.mismatches = self.items = self.cycles = 0
        self.errors: list[str] = []
        self._expected: list[tuple[TileItem, np.ndarray]] = []
        self._wrong: list[Mismatch] = []

    def build_phase(self) -> None:
        self.predicted = Listener("predicted", self, self._expected.append)
        self.observed = Listener("observed", self, self._compare)

    def _compare(self, item: TileItem) -> None:
        count = item.results.shape[0] if item.results.ndim == 3 else 1
        labels = item.labels or [f"tile {self.items + k}" for k in range(count)]
        if not self._expected or self._expected[0][0] is not item:
            self._error(f"{labels[0]}: results that were not expected")
            return
        _, expected = self._expected.pop(0)
        self.items += count
        self.cycles += item.cycles
        for fault in item.faults:
            self._error(f"{' to '.join(dict.fromkeys((labels[0], labels[-1])))}: {fault}")
        received, (vectors, columns) = item.job.received, item.results.shape[-2:]
        expected, results = (x.reshape(-1, columns) for x in (expected, item.results))
        wrong = results[:received] != expected[:received]
        mismatches = int(np.count_nonzero(wrong))
        self.mismatches += mismatches + expected[received:].size
        self.matches += wrong.size - mismatches
        tiles = np.unique(np.flatnonzero(wrong.any(axis=1)) // vectors) if mismatches else ()
        for tile in tiles[:SHOWN_MISMATCHES]:
            here = slice(tile * vectors, (tile + 1) * vectors)
            self._explain(item, int(tile), labels[tile], expected[here], results[here], wrong[here])

    def _explain(
        self, item: TileItem, tile: int, label: str, expected: np.ndarray, got: np.ndarray, wrong: np.ndarray
    ) -> None:
        """Say what is wrong in a tile of an item; `expected`, `got` [vectors, C], `wrong` of those that came."""
        vector, column = (int(x) for x in np.argwhere(wrong)[0])
        columns = np.flatnonzero(wrong.any(axis=0))
        many = f"columns {columns[0]}..{columns[-1]}" if len(columns) > 1 else f"column {columns[0]}"
        where = f" ({item.locate(tile, vector, column)})" if item.locate else ""
        values = f"expected {expected[vector, column]}, got {got[vector, column]}"
        self._error(f"{label}, vector {vector}, column {column}{where}: {values}; {wrong.sum()} wrong in {many}")
        if item.shape is None and not self._wrong:
            activations = item.activations.reshape(-1, len(expected), item.activations.shape[-1])[tile]
            weights = item.weights.reshape(-1, *item.weights.shape[-2:])[tile]
            for v in np.flatnonzero(wrong[:, column])[:USED_MISMATCHES]:
                values = int(expected[v, column]), int(got[v, column])
                self._wrong.append(Mismatch(activations[v], weights[:, column], *values))

    def diagnosis(self) -> str:
        """What explains the wrong sums of the first wrong column; empty if there is none."""
        return explain(self._wrong, self.encoding) if self._wrong else ""

    def _error(self, message: str) -> None:
        self.errors.append(message)
        if len(self.errors) <= SHOWN_MISMATCHES:
            self.logger.error(message)

    def close(self) -> list[str]:
        """All errors, with those that only the end can show."""
        if self.config.posted:
            self._error(f"{len(self.config.posted)} tiles never ended")
        if self.config.extra:
            self._error(f"{self.config.extra} results came that nobody asked for")
        if not self.matches:
            self._error("nothing was compared")
        return self.errors


class PortEnv(uvm_env):
    """Agent, reference and scoreboard around one tile port."""

    def build_phase(self) -> None:
        self.config = ArrayConfig.from_environment()
        self.numpy_rng = np.random.default_rng(cocotb.RANDOM_SEED)
        self.port = PortConfig(cocotb.top, cocotb.RANDOM_SEED & 0x7FFFFFFF)
        ConfigDB().set(self, "tiles", "config", self.port)
        self.agent = TileAgent("tiles", self)
        self.reference = TileReference("reference", self, self.config.table)
        self.scoreboard = TileScoreboard("scoreboard", self, self.port, self.config.products)

    def connect_phase(self) -> None:
        # the prediction is made before the results are looked at
        self.agent.monitor.ap.connect(self.reference.items.analysis_export)
        self.agent.monitor.ap.connect(self.scoreboard.observed.analysis_export)
        self.reference.ap.connect(self.scoreboard.predicted.analysis_export)
