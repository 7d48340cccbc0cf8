"""Tests of a tile engine where counters, sums and buffers are at their ends, and of its latency and resets."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cocotb
import numpy as np
import pyuvm
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time

from models.hardware.tile import Job, Register, Shape
from tb.agents.axis import no_stall, random_stall
from tb.env.bench import CLOCK_NS
from tb.tests.base import LIMIT
from tb.tests.tile import INT32, TileTest

ENGINE_CYCLES = 4  # of buffer and requantiser, as rtl/tile/tile_engine.sv documents them
AROUND_POWERS = {(1 << bits) + d for bits in range(5, 11) for d in (-1, 0, 1)}
COUNTERS = (Register.STATUS, Register.TILE, Register.CYCLES, Register.OPEN_CYCLES, Register.OPEN_BEATS, Register.ERRORS)


@pyuvm.test(**LIMIT)
class tile_sums_wrap(TileTest):
    """Sums that pass the ends of int32 wrap: by the bias or by a K tile, there and back, raw and int8."""

    async def stimulus(self) -> None:
        config, vectors = self.env.config, min(4, self.env.config.depth)
        table = config.table
        pairs = [np.argwhere(table == end)[0] - 128 for end in (table.max(), table.min())]
        reach = [config.rows * int(end) for end in (table.max(), table.min())]
        shape = Shape(k_tiles=3, n_tiles=2, vectors=vectors, last_rows=config.rows, raw=True)
        for order in ((0, 0, 0), (1, 1, 1), (0, 1, 0), (1, 0, 1)):
            job = self.job(shape)
            for k, end in enumerate(order):
                job.activations[:, k], job.weights[:, k] = pairs[end][0], pairs[end][1]
            # vector 0 passes an end with the last tile or the first, others with what is random
            job.activations[:, :, 1:] = self.operands(*job.activations[:, :, 1:].shape)
            starts = [INT32.max, INT32.max - reach[0] // 2, INT32.max - reach[0] * 2, INT32.min]
            starts += [INT32.min - reach[1] // 2, INT32.min - reach[1] * 2]
            biases = np.array(starts * config.columns, np.int64).clip(INT32.min, INT32.max)
            for first in range(0, len(starts), max(1, 2 * config.columns // 2)):
                size = 2 * config.columns
                job.parameters[:, :, 0] = np.resize(biases[first : first + size], size).reshape(2, -1)
                job.parameters[:, :, 1:] = (1 << 30, 30 + 24)  # int8 shows the upper bits
                await self.run_job(job)
                await self.run_job(replace(job, shape=replace(shape, raw=False)))
        if self.env.reference.model.wrapped != {"up", "down"}:
            raise AssertionError("sums did not pass both ends of int32: the test tested nothing")
        await self.expect_faults()


class CountersTest(TileTest):
    """Reads TILE where it has one value: whenever the tiles up to a chosen one are through."""

    async def stepped(self, shape: Shape, stops: set[int]) -> None:
        """Run a layer; before packets `stops` of activations wait until all tiles before are added."""

        async def before(name: str, index: int) -> None:
            if name == "activations" and index in stops:
                await self.settle()
                await self.expect(Register.TILE, index // shape.k_tiles << 16 | index % shape.k_tiles)

        await self.run_job(self.job(shape), before)
        await self.expect(Register.TILE, shape.n_tiles << 16)
        for register in COUNTERS:
            await self.env.read(register)


@pyuvm.test(**LIMIT)
class tile_progress(CountersTest):
    """TILE, set of columns and K tile, at every tile of a layer."""

    async def stimulus(self) -> None:
        await self.expect(Register.TILE, 0)
        for _ in range(2):
            shape = self.shape(k_tiles=3, n_tiles=3, vectors=1)
            await self.stepped(shape, set(range(9)))
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_k_tiles_long(CountersTest):
    """300 and more tiles that are added up: counters of K tiles beyond 8 bits."""

    async def stimulus(self) -> None:
        for k_tiles, n_tiles in ((300, 2), (1030, 1)):
            shape = self.shape(k_tiles=k_tiles, n_tiles=n_tiles, vectors=1)
            await self.stepped(shape, {0, 1, 2, 299, 300, 301, *AROUND_POWERS})
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_n_tiles_long(CountersTest):
    """1,100 sets of columns: counters of sets beyond 10 bits."""

    async def stimulus(self) -> None:
        shape = self.shape(k_tiles=1, n_tiles=1100, vectors=1)
        await self.stepped(shape, {0, 1, 2, 1099, *AROUND_POWERS})
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_counters_long(TileTest):
    """A layer of more than 65,536 activation vectors: counters of cycles and beats beyond 16 bits."""

    async def stimulus(self) -> None:
        env, vectors = self.env, self.env.config.depth
        shape = self.shape(k_tiles=(1 << 16) // vectors + 2, n_tiles=1, vectors=vectors, raw=True)
        await self.run_job(self.job(shape))
        for register in (Register.CYCLES, Register.OPEN_CYCLES, Register.OPEN_BEATS):
            if (found := (await env.read(register)).data) <= 1 << 16:
                raise AssertionError(f"{register.name} is {found}: the test tested nothing")
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_sizes_long(TileTest):
    """Every vector of the buffer, every row and every column with a value of its own: their counters in all bits."""

    async def stimulus(self) -> None:
        config = self.env.config
        for vectors, last_rows in ((config.depth, config.rows), (config.depth, max(1, config.rows - 1)), (1, 1)):
            for k_tiles, raw in ((2, True), (1, False)):
                sizes = {"k_tiles": k_tiles, "n_tiles": 2, "vectors": vectors, "last_rows": last_rows}
                await self.run_job(self.job(self.shape(**sizes, raw=raw)))
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_counters(TileTest):
    """Counters and states read at any time, in several layers, with stalls and without: one right value each."""

    async def stimulus(self) -> None:
        env, rng = self.env, self.env.rng
        for attempt in range(12):
            env.stall_all(attempt % 3 == 1)
            if attempt % 3 == 2:  # everything waits for the results
                env.streams["results"].stall = random_stall(rng, 0.8)
            layer = cocotb.start_soon(
                self.run_job(self.job(self.shape(k_tiles=rng.randint(1, 4), n_tiles=rng.randint(1, 4))))
            )
            while not layer.done():
                await env.read(rng.choice(COUNTERS))
                await ClockCycles(env.dut.clk_i, rng.randrange(6))
            for register in COUNTERS:
                await env.read(register)
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_sets_stalled(TileTest):
    """Sets of columns, each with parameters unlike the others', while one stream holds up all others for long."""

    async def stimulus(self) -> None:
        env, config = self.env, self.env.config
        long = 3 * (config.rows + config.columns + config.latency + 30)
        # as many vectors of a set wait as there are places behind the array, and some more or fewer
        for vectors in range(1, min(8, config.depth) + 1):
            env.streams["results"].stall = itertools.cycle((long, *(0,) * (vectors + 2))).__next__
            await self.run_job(self.unlike(k_tiles=1, n_tiles=3, vectors=vectors))
        for vectors, k_tiles in ((1, 1), (min(3, config.depth), 2)):
            for late in ((), ("results",), ("parameters",), ("weights",), ("activations",), ("results", "parameters")):
                for name, stream in env.streams.items():
                    stalls = itertools.chain([long], itertools.cycle((*(0,) * 13, long // 2))) if name in late else None
                    stream.stall = stalls.__next__ if stalls else no_stall
                await self.run_job(self.unlike(k_tiles=k_tiles, n_tiles=7, vectors=vectors))
        env.stall_all(False)
        await self.expect_faults()

    def unlike(self, **sizes: int) -> Job:
        """A layer whose sets and columns all have parameters of their own."""
        job = self.job(self.shape(**sizes, raw=False, lo=-128, hi=127))
        shape, rng = job.parameters.shape[:2], self.env.numpy_rng
        job.parameters[:, :, 0] = rng.integers(-3000, 3000, shape)
        job.parameters[:, :, 1] = rng.integers(1 << 29, INT32.max, shape)
        job.parameters[:, :, 2] = 34 + (np.arange(shape[0])[:, None] + np.arange(shape[1])) % 7
        return job


@pyuvm.test(**LIMIT)
class tile_stalls_long(TileTest):
    """Results that nobody takes until everything is full and stands still; then all, one a cycle or with pauses."""

    async def stimulus(self) -> None:
        env, config = self.env, self.env.config
        for pauses, raw in itertools.product(((0,), (1, 0), (0, 0, 40)), (False, True)):
            env.streams["results"].stall = itertools.chain([2000], itertools.cycle(pauses)).__next__
            shape = self.shape(k_tiles=2, n_tiles=3, vectors=min(config.depth, 12), raw=raw)
            layer = cocotb.start_soon(self.run_job(self.job(shape)))
            await ClockCycles(env.dut.clk_i, 1500)
            await self.expect(Register.STATUS, 1)
            await layer
        env.stall_all(False)
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_masks(TileTest):
    """Every number of rows that the last K tile may use; the others hold noise in both streams, or in one."""

    async def stimulus(self) -> None:
        rows = self.env.config.rows
        for last_rows in range(1, rows + 1) if rows <= 16 else (1, 2, 255, 256, 257, rows - 1, rows):
            if last_rows <= rows:
                vectors = min(2, self.env.config.depth)
                await self.run_job(
                    self.job(self.shape(k_tiles=2, n_tiles=1, vectors=vectors, last_rows=last_rows, raw=True))
                )
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_latency(TileTest):
    """With nobody stalling a result comes as many cycles after its activations as the contract says."""

    async def stimulus(self) -> None:
        config, env = self.env.config, self.env
        taken: dict[str, list[float]] = {"activations": [], "results": []}

        async def watch(name: str) -> None:
            bus = env.agents[name].monitor.pins.bus
            while True:
                await RisingEdge(env.dut.clk_i)
                if bus.tvalid.value == 1 and bus.tready.value == 1:
                    taken[name].append(get_sim_time("ns"))

        for name in taken:
            cocotb.start_soon(watch(name))
        for raw in (False, True):
            shape = self.shape(k_tiles=1, n_tiles=1, vectors=min(config.depth, 6), raw=raw)

            async def before(name: str, index: int) -> None:
                if name == "activations":  # parameters are there
                    await ClockCycles(env.dut.clk_i, 3 * (config.rows + config.columns) + 60)

            await self.run_job(self.job(shape), before)
        for begin, end in zip(taken["activations"], taken["results"], strict=True):
            cycles = round((end - begin) / CLOCK_NS)
            env.scoreboard.check("cycles from activations to their result", cycles, config.latency + ENGINE_CYCLES)


@pyuvm.test(**LIMIT)
class tile_async_reset(TileTest):
    """Resets between edges of the clock, some over before the next one; nothing of the layer is left."""

    async def stimulus(self) -> None:
        env, rng = self.env, self.env.rng
        cut = 0
        for attempt in range(16):
            env.stall_all(attempt % 2 == 1)
            layer = cocotb.start_soon(self.run_job(self.job(self.shape(k_tiles=2, n_tiles=2))))
            await ClockCycles(env.dut.clk_i, rng.randint(1, 6 * (env.config.rows + 40)))
            await env.reset_between_edges(rng.uniform(0.1, 0.5), rng.choice((0.3, 0.3, 1.2)))
            cut += not await layer
            for register in COUNTERS:
                await self.expect(register, 0)
            await self.run_job(self.job(self.shape(n_tiles=1)))
            await self.expect_faults()
        if not cut:
            raise AssertionError("no reset fell into a running layer: the test tested nothing")
