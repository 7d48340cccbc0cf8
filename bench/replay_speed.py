"""Simulator's side of the benchmark `replay`: long tiles through the tile port, checked as in a replay."""

from __future__ import annotations

import os
import time

import numpy as np
import pyuvm

from tb.agents.port import TileItem
from tb.tests.port import PortTest


@pyuvm.test()
class port_speed(PortTest):
    """Leaves cycles and processor seconds in the record, everything that Python does for a tile included."""

    async def stimulus(self) -> None:
        config = self.env.config
        vectors, tiles = (int(word) for word in os.environ["ENCMAC_SPEED"].split())
        rng = np.random.default_rng(1)
        weights = rng.integers(-128, 128, (config.rows, config.columns), dtype=np.int8)
        activations = rng.integers(-128, 128, (vectors, config.rows), dtype=np.int8)
        await self.send([TileItem(weights, activations)])  # compiles and loads the reference's kernel
        before = self.env.scoreboard.cycles
        started = time.process_time()
        await self.send(TileItem(weights, activations) for _ in range(tiles))
        seconds = time.process_time() - started
        cycles = self.env.scoreboard.cycles - before
        self.figures = {"speed_cycles": cycles, "speed_seconds": seconds}
