"""Simulator's side of the benchmark `replay`: long tiles, or layers, through the tile port, checked as in a replay."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyuvm

from models.mapping import best
from models.replay import load_capture
from tb.agents.port import TileItem
from tb.control.suites import Config
from tb.replay import worker
from tb.replay.design import timing
from tb.replay.store import Part, store_layer
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


@pyuvm.test()
class layers_speed(worker.replay_worker):
    """Replays the shipped layers, a part each; leaves MACs, cycles and processor seconds, those of Python included."""

    async def stimulus(self) -> None:
        config = Config("verilator", port=True, **json.loads(os.environ["ENCMAC_CONFIG"]))
        size, times, rounds = (config.rows, config.columns), timing(config), int(os.environ["ENCMAC_SPEED"])
        self.prepare()
        with tempfile.TemporaryDirectory(prefix="encmac-bench-") as folder:
            parts = []
            for layer in load_capture().layers.values():
                mapping, images = best(layer, *size, times, len(layer.inputs)), (0, len(layer.inputs))
                shape = {"array": size, "pack": mapping.pack, "window": mapping.window}
                stored = store_layer(layer, Path(folder))
                parts.append(Part(stored, **shape, sets=(0, mapping.sets), images=images, down=(0, mapping.windows[0])))
            await self.run_part(parts[0])  # compiles and loads the reference's kernel
            started, done = time.process_time(), []
            for part in parts * rounds:
                done.append(await self.run_part(part))
            seconds = time.process_time() - started
        macs, cycles = (sum(getattr(d, name) for d in done) for name in ("macs", "cycles"))
        self.figures = {"speed_macs": macs, "speed_cycles": cycles, "speed_seconds": seconds}

    check_phase = PortTest.check_phase
