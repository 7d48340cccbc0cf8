"""Environments of an array and of a tile engine: an agent for each interface, reference, scoreboard, watchdog."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, Timer
from cocotb.utils import get_sim_time
from pyuvm import ConfigDB, uvm_env

from models.emulate import exact_table
from models.encoding import Encoding, load_encoding
from models.hardware.tile import EngineModel
from models.rivals import widths
from tb.agents.axil import Access, AxilAgent, AxilConfig
from tb.agents.axis import AxisAgent, AxisConfig, no_stall, random_stall
from tb.env.coverage import ArrayCoverage, Coverage
from tb.env.coverage_tile import TileCoverage
from tb.env.engine_reference import EngineReference
from tb.env.limits import CLOCK_NS
from tb.env.scoreboard import Reference, Scoreboard

SILENCE_CYCLES = 2000  # more than any latency plus any stall
SILENT_TIMES = 12  # so often nothing but registers moves, and a layer is not at its end: it hangs


@dataclass(frozen=True)
class ArrayConfig:
    """The array under test, as the runner built it."""

    array: str
    encoding: str
    rows: int
    columns: int
    rows_per_group: int
    merged: bool
    form: int
    columns_per_stage: int
    shadow: bool
    programmable: bool
    zeros: bool  # activation registers hold while activations are 0
    sum_register: bool  # one before the final addition of an encoded column
    depth: int  # vectors that a tile engine's buffer holds

    @classmethod
    def from_environment(cls) -> ArrayConfig:
        """Read what the runner put into ENCMAC_CONFIG."""
        return cls(**json.loads(os.environ["ENCMAC_CONFIG"]))

    @cached_property
    def products(self) -> Encoding | None:
        """The encoding of the array's products; None if they are exact."""
        return load_encoding(self.encoding) if self.array == "enc" else None

    @property
    def latency(self) -> int:
        """Cycles of the array from an activation vector to its result, as rtl/array/mac_array.sv documents them."""
        stages = self.columns // self.columns_per_stage
        if self.products is None:
            return self.rows + stages + (self.form in (2, 4))
        groups = self.rows // self.rows_per_group
        return groups + stages + self.sum_register + bool(self.products.shared_bits())

    @cached_property
    def table(self) -> np.ndarray:
        """What one row adds to a column: int32 [256, 256], index [a + 128, w + 128]."""
        if self.array == "conv":
            return load_encoding(self.encoding).product_table if widths(self.encoding) else exact_table()
        return self.products.array_table


class BenchEnv(uvm_env):
    """What all benches share: stream agents, scoreboard, clock, resets, watchdog.

    A bench names its streams and makes `reference` (with `reset` and a port `ap` for predictions).
    """

    # name of the stream, prefix of its ports, whether the bench sends
    STREAMS: tuple[tuple[str, str, bool], ...] = ()
    VALIDS: tuple[str, ...] = ("m_axis_y_tvalid",)  # outputs that a reset makes 0

    def build_phase(self) -> None:
        self.dut = cocotb.top
        self.config = ArrayConfig.from_environment()
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.numpy_rng = np.random.default_rng(cocotb.RANDOM_SEED)
        self.streams: dict[str, AxisConfig] = {}
        self.agents: dict[str, AxisAgent | AxilAgent] = {}
        for name, prefix, source in self.STREAMS:
            self.streams[name] = AxisConfig(self.dut, prefix, source, rng=self.rng)
            ConfigDB().set(self, name, "config", self.streams[name])
            self.agents[name] = AxisAgent.create(name, self)
        self.build_reference()
        self.scoreboard = Scoreboard("scoreboard", self, self.config.columns, self.config.products)
        self.coverage = self.build_coverage()

    def build_reference(self) -> None:
        """Make `reference`."""
        raise AssertionError(f"{type(self).__name__} has no reference")

    def build_coverage(self) -> Coverage:
        """Make what samples the cover points of this bench."""
        return Coverage("coverage", self, self.config, self.dut)

    def connect_phase(self) -> None:
        for name, agent in self.agents.items():
            if name != "results":
                agent.monitor.ap.connect(getattr(self.reference, name).analysis_export)
        self.reference.ap.connect(self.scoreboard.predicted.analysis_export)
        self.agents["results"].monitor.ap.connect(self.scoreboard.observed.analysis_export)
        self.coverage.listen(self.agents, self.reference)

    def leftovers(self) -> list[str]:
        """What a run must not leave behind, beside results that never came."""
        error = self.dut.position_error_o.value
        return [] if self.config.programmable or error == 0 else [f"position_error_o is {error}, of constant weights"]

    def stall_all(self, stall: bool = True) -> None:
        """Random stalls on every interface from now on, or none."""
        for stream in self.streams.values():
            stream.stall = random_stall(self.rng) if stall else no_stall

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

    async def reset_between_edges(self, begin: float, length: float) -> None:
        """Reset from a share `begin` of a cycle after an edge of the clock, for `length` cycles (0.3: no edge in it).

        Every valid of the design falls at once. Neither end may be at an edge.
        """
        await RisingEdge(self.dut.clk_i)
        await Timer(round(1000 * begin * CLOCK_NS), unit="ps")
        self.dut.rst_ni.value = 0
        await Timer(1, unit="ps")
        for name in self.VALIDS:
            if getattr(self.dut, name).value != 0:
                raise AssertionError(f"{name} outlives the begin of a reset between edges of the clock")
        await Timer(round(1000 * length * CLOCK_NS) - 1, unit="ps")
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
            since = get_sim_time("ns")
            self.coverage.reset_begins()
            self.reference.reset()
            self.scoreboard.reset()
            await RisingEdge(self.dut.rst_ni)
            self.coverage.reset_ends(round((get_sim_time("ns") - since) / CLOCK_NS))

    async def _watch(self) -> None:
        """Fail when no stream moves for a long time: a design that hangs must not hang the test."""
        before = streams_before = -1
        quiet = 0
        while True:
            moved = sum(agent.monitor.beats for agent in self.agents.values())
            streams = sum(self.agents[name].monitor.beats for name in self.streams)
            quiet = quiet + 1 if streams == streams_before and self.awaits_results() else 0
            if moved == before or quiet == SILENT_TIMES:
                cycles, waiting = SILENCE_CYCLES * max(1, quiet), self.scoreboard.outstanding
                fault = f"no stream moved for {cycles} cycles, {waiting} result vectors missing"
                raise AssertionError("; ".join(filter(None, (fault, self.scoreboard.summary()))))
            before, streams_before = moved, streams
            await ClockCycles(self.dut.clk_i, SILENCE_CYCLES)

    def awaits_results(self) -> bool:
        """True if streams should move, though others (registers that are polled) may."""
        return bool(self.scoreboard.outstanding)


class ArrayEnv(BenchEnv):
    """Agents for weights, activations and results around one array."""

    STREAMS = (("weights", "s_axis_w", True), ("activations", "s_axis_a", True), ("results", "m_axis_y", False))

    def build_reference(self) -> None:
        self.reference = Reference("reference", self, self.config.table, self.config.rows, self.config.columns)

    def build_coverage(self) -> Coverage:
        return ArrayCoverage("coverage", self, self.config, self.dut)


class TileEnv(BenchEnv):
    """The same around a tile engine, with its parameters and registers."""

    STREAMS = (*ArrayEnv.STREAMS[:2], ("parameters", "s_axis_p", True), ArrayEnv.STREAMS[2])
    VALIDS = (*BenchEnv.VALIDS, "s_axil_bvalid", "s_axil_rvalid")

    def build_reference(self) -> None:
        config = self.config
        model = EngineModel(config.table, config.rows, config.columns, config.depth)
        self.reference = EngineReference("reference", self, model, self.dut.clk_i)
        self.registers = AxilConfig(self.dut, "s_axil", rng=self.rng)
        ConfigDB().set(self, "registers", "config", self.registers)
        self.agents["registers"] = AxilAgent.create("registers", self)

    def build_coverage(self) -> Coverage:
        return TileCoverage("coverage", self, self.config, self.dut, self.reference)

    def connect_phase(self) -> None:
        super().connect_phase()
        self.agents["results"].monitor.ap.connect(self.reference.results.analysis_export)
        self.reference.judged_by(self.scoreboard, self.dut.m_axis_y_tvalid)

    def awaits_results(self) -> bool:
        return self.reference.running

    def leftovers(self) -> list[str]:
        counts = Counter(self.reference.unasked)
        left = super().leftovers()
        left += [f"{count} beats of {stream} taken that nobody asked for" for stream, count in counts.items()]
        unanswered = self.agents["registers"].monitor.checker.unanswered
        return left + [f"{count} accesses on {channel} without an answer" for channel, count in unanswered.items()]

    def stall_all(self, stall: bool = True) -> None:
        super().stall_all(stall)
        self.registers.stall = self.streams["weights"].stall

    async def take_one_result(self) -> None:
        """Take one result, whatever the sink does: it must wait for long."""
        await FallingEdge(self.dut.clk_i)
        self.dut.m_axis_y_tready.value = 1
        await FallingEdge(self.dut.clk_i)
        self.dut.m_axis_y_tready.value = 0

    async def write(self, address: int, data: int, strobe: int = 15) -> Access:
        """Write a register; the access says how the engine answered."""
        return await self.agents["registers"].access(Access(True, address, data, strobe))

    async def read(self, address: int) -> Access:
        """Read a register; the access holds data and answer."""
        return await self.agents["registers"].access(Access(False, address))
