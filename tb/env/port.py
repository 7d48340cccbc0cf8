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
        """Column sums int32 [vectors, C] of `weights` int8 [R, C], `activations` int8 [vectors, R]."""
        if self._exact and len(weights) * LARGEST_PRODUCT < FLOAT32_INTEGERS:  # as ExactEngine, without torch
            return (activations.astype(np.float32) @ weights.astype(np.float32)).astype(np.int32)
        maps = np.ascontiguousarray(activations.T)[None, :, :, None]
        kernels = np.ascontiguousarray(weights.T)[:, :, None, None]
        return np.ascontiguousarray(self._engine(maps, kernels)[0, :, :, 0].T)

    def predict(self, item: TileItem) -> np.ndarray:
        """What must come: [vectors, C], int32 or what a tile engine makes of it."""
        if item.shape is None:
            return self.sums(item.weights, item.activations)
        weights, activations, used = item.weights.copy(), item.activations.copy(), item.shape.last_rows
        weights[-1, used:] = 0
        activations[-1, :, used:] = 0
        total = sum(self.sums(w, a).astype(np.int64) for w, a in zip(weights, activations, strict=True))
        return finish(total, item.parameters, item.shape)


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
        label = item.label or f"tile {self.items}"
        if not self._expected or self._expected[0][0] is not item:
            self._error(f"{label}: results that were not expected")
            return
        _, expected = self._expected.pop(0)
        self.items += 1
        self.cycles += item.cycles
        for fault in item.faults:
            self._error(f"{label}: {fault}")
        received = item.job.received
        wrong = item.results[:received] != expected[:received]
        count = int(np.count_nonzero(wrong))
        self.mismatches += count + expected[received:].size
        self.matches += wrong.size - count
        if count:
            vector, column = np.argwhere(wrong)[0]
            values = f"expected {expected[vector, column]}, got {item.results[vector, column]}"
            columns = np.flatnonzero(wrong.any(axis=0))
            many = f"columns {columns[0]}..{columns[-1]}" if len(columns) > 1 else f"column {columns[0]}"
            where = f" ({item.locate(int(vector), int(column))})" if item.locate else ""
            self._error(f"{label}, vector {vector}, column {column}{where}: {values}; {count} wrong in {many}")
            if item.shape is None and not self._wrong:
                for v in np.flatnonzero(wrong[:, column])[:USED_MISMATCHES]:
                    values = int(expected[v, column]), int(item.results[v, column])
                    self._wrong.append(Mismatch(item.activations[v], item.weights[:, column], *values))

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
