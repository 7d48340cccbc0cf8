"""Tests of an array, or a tile engine, whose streams are memory (tb/hdl/tile_port.sv): whole tiles."""

from __future__ import annotations

import json
import os

import numpy as np
import pyuvm
from cocotb.triggers import Timer
from pyuvm import uvm_factory, uvm_test

from models.hardware.tile import Shape
from tb.agents.port import StallingTileDriver, TileDriver, TileItem
from tb.env.port import PortEnv
from tb.sequences.port import TilesSequence
from tb.tests.base import LIMIT

TILES = 12
DRAIN_NS = 5000


class PortTest(uvm_test):
    """Runs `stimulus`, waits for results that should not come, leaves the record that a run is judged by."""

    def build_phase(self) -> None:
        self.env = PortEnv("env", self)
        self.figures: dict[str, float] = {}  # what else goes into the record

    async def run_phase(self) -> None:
        self.raise_objection()
        await self.stimulus()
        await Timer(DRAIN_NS, unit="ns")
        self.drop_objection()

    async def stimulus(self) -> None:
        """What the test does."""
        raise AssertionError(f"{type(self).__name__} has no stimulus")

    async def send(self, items: list[TileItem]) -> None:
        """Run items."""
        await TilesSequence(items).start(self.env.agent.sequencer)

    def random_items(self) -> list[TileItem]:
        """Tiles of random operands and lengths; jobs of several K tiles if there is an engine."""
        config, rng = self.env.config, self.env.numpy_rng
        return [self.random_item(config, rng) for _ in range(TILES)]

    @staticmethod
    def random_item(config: object, rng: np.random.Generator) -> TileItem:
        """One of them."""

        def operands(*shape: int) -> np.ndarray:
            return rng.integers(-128, 128, shape, dtype=np.int8)

        if not config.depth:
            tiles, vectors = int(rng.integers(1, 4)), int(rng.integers(1, 80))
            return TileItem(operands(tiles, config.rows, config.columns), operands(tiles, vectors, config.rows))
        k, vectors, used = int(rng.integers(1, 4)), int(rng.integers(1, config.depth + 1)), config.rows
        shape = Shape(k, 1, vectors, int(rng.integers(1, used + 1)), raw=bool(rng.integers(2)), zero_point=3)
        parameters = np.stack(
            [
                rng.integers(-20000, 20000, config.columns),
                rng.integers(1 << 30, (1 << 31) - 1, config.columns),
                rng.integers(37, 44, config.columns),
                rng.integers(0, 1 << 31, config.columns),
            ],
            axis=1,
        )
        activations = operands(k, vectors, config.rows)
        return TileItem(operands(k, config.rows, config.columns), activations, (), shape, parameters)

    def check_phase(self) -> None:
        board = self.env.scoreboard
        errors = board.close()
        record = {"test": type(self).__name__, "matches": board.matches, "mismatches": board.mismatches}
        with open(os.environ["ENCMAC_RECORDS"], "a") as stream:
            stream.write(json.dumps(record | {"errors": errors[:5]} | self.figures) + "\n")
        if errors:
            raise AssertionError(f"{len(errors)} errors, first: {errors[0]}")


@pyuvm.test(**LIMIT)
class port_random_tiles(PortTest):
    """Random tiles without a pause: the driver that never stalls."""

    async def stimulus(self) -> None:
        await self.send(self.random_items())


@pyuvm.test(**LIMIT)
class port_stalled_tiles(PortTest):
    """The same test with another driver, by a factory override: every stream stalls, results are the same."""

    def build_phase(self) -> None:
        uvm_factory().set_type_override_by_type(TileDriver, StallingTileDriver)
        super().build_phase()

    async def stimulus(self) -> None:
        items = self.random_items()
        await self.send(items)
        if not all(any(item.stalls) for item in items):
            raise AssertionError("the factory made the driver that does not stall: the test tested nothing")
