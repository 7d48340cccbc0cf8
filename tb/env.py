"""The environment of an array: three stream agents, reference, scoreboard, watchdog."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass
from functools import cached_property

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from pyuvm import ConfigDB, uvm_env

from models.emulate import exact_table
from models.encoding import load_encoding
from tb.agents.axis import AxisAgent, AxisConfig
from tb.scoreboard import Reference, Scoreboard

CLOCK_NS = 10
SILENCE_CYCLES = 2000  # more than any latency plus any stall


@dataclass(frozen=True)
class ArrayConfig:
    """The array under test, as the runner built it."""

    array: str
    encoding: str
    rows: int
    columns: int
    shadow: bool

    @classmethod
    def from_environment(cls) -> ArrayConfig:
        """Read what the runner put into ENCMAC_CONFIG."""
        return cls(**json.loads(os.environ["ENCMAC_CONFIG"]))

    @cached_property
    def table(self) -> np.ndarray:
        """What one row adds to a column: int32 [256, 256], index [a + 128, w + 128]."""
        return load_encoding(self.encoding).array_table if self.array == "enc" else exact_table()


class ArrayEnv(uvm_env):
    """Agents for weights, activations and results around one array."""

    def build_phase(self) -> None:
        self.dut = cocotb.top
        self.config = ArrayConfig.from_environment()
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.numpy_rng = np.random.default_rng(cocotb.RANDOM_SEED)
        self.streams: dict[str, AxisConfig] = {}
        self.agents: dict[str, AxisAgent] = {}
        for name, prefix, source in (
            ("weights", "s_axis_w", True),
            ("activations", "s_axis_a", True),
            ("results", "m_axis_y", False),
        ):
            self.streams[name] = AxisConfig(self.dut, prefix, source, rng=self.rng)
            ConfigDB().set(self, name, "config", self.streams[name])
            self.agents[name] = AxisAgent(name, self)
        config = self.config
        self.reference = Reference("reference", self, config.table, config.rows, config.columns)
        self.scoreboard = Scoreboard("scoreboard", self, config.columns)

    def connect_phase(self) -> None:
        self.agents["weights"].monitor.ap.connect(self.reference.weights.analysis_export)
        self.agents["activations"].monitor.ap.connect(self.reference.activations.analysis_export)
        self.reference.ap.connect(self.scoreboard.predicted.analysis_export)
        self.agents["results"].monitor.ap.connect(self.scoreboard.observed.analysis_export)

    async def start(self) -> None:
        """Clock, first reset, watchers."""
        self.dut.rst_ni.value = 0
        self.dut.position_write_i.value = self.dut.position_clear_i.value = 0
        cocotb.start_soon(Clock(self.dut.clk_i, CLOCK_NS, unit="ns").start())
        cocotb.start_soon(self._follow_resets())
        await self.reset(3)
        cocotb.start_soon(self._watch())

    async def reset(self, cycles: int) -> None:
        """Hold reset for some cycles; in-flight work is lost, as it must be."""
        self.dut.rst_ni.value = 0
        await ClockCycles(self.dut.clk_i, cycles)
        self.dut.rst_ni.value = 1

    async def program(self, weights: np.ndarray) -> bool:
        """Write position weights, one a cycle; True if the design reported an error."""
        dut = self.dut
        for index, weight in enumerate(weights):
            await self.write_position(index, int(weight))
        await FallingEdge(dut.clk_i)
        return bool(dut.position_error_o.value)

    async def clear_position_error(self) -> None:
        """Forget that a write was out of range."""
        await FallingEdge(self.dut.clk_i)
        self.dut.position_clear_i.value = 1
        await FallingEdge(self.dut.clk_i)
        self.dut.position_clear_i.value = 0

    async def write_position(self, index: int, weight: int) -> None:
        """Write one position weight."""
        dut = self.dut
        await FallingEdge(dut.clk_i)
        dut.position_write_i.value = 1
        dut.position_index_i.value, dut.position_weight_i.value = index, weight & 0xFFFFFFFF
        await FallingEdge(dut.clk_i)
        dut.position_write_i.value = 0

    async def drain(self) -> None:
        """Wait until every expected result has come, and long enough to see one too many."""
        while self.scoreboard.outstanding:
            await RisingEdge(self.dut.clk_i)
        await ClockCycles(self.dut.clk_i, 2 * (self.config.rows + self.config.columns) + 16)

    async def _follow_resets(self) -> None:
        while True:
            await FallingEdge(self.dut.rst_ni)
            self.reference.reset()
            self.scoreboard.reset()

    async def _watch(self) -> None:
        """Fail when no stream moves for a long time: a design that hangs must not hang the test."""
        before = -1
        while True:
            moved = sum(agent.monitor.beats for agent in self.agents.values())
            if moved == before:
                waiting = self.scoreboard.outstanding
                raise AssertionError(f"no stream moved for {SILENCE_CYCLES} cycles, {waiting} result vectors missing")
            before = moved
            await ClockCycles(self.dut.clk_i, SILENCE_CYCLES)
