"""Tests of a tile engine with its array, through ports only."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import cocotb
import numpy as np
import pyuvm
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge
from cocotb.utils import get_sim_time

from models.emulate import TableEngine, exact_table
from models.hardware.tile import ABORT, INT32, Fault, Job, Register, Shape, layer_jobs
from models.quant.arith import MAX_SHIFT, MIN_SHIFT
from models.quant.graph import Conv
from models.replay import Layer, load_capture
from tb.agents.axil import OKAY
from tb.env.bench import CLOCK_NS, TileEnv
from tb.sequences import LayerSequence
from tb.sequences.layer import Before
from tb.tests.base import LIMIT, BenchTest


class TileTest(BenchTest):
    """A test of a tile engine."""

    ENVIRONMENT = TileEnv

    async def run_job(self, job: Job, before: Before | None = None, late: bool = False) -> bool:
        """Run one job (see LayerSequence); True unless a reset cut it off."""
        sequence = LayerSequence(self.env, job, before, late)
        await sequence.start()
        return sequence.completed

    async def settle(self) -> None:
        """Wait until nothing moves in an engine that has nobody to wait for but a source."""
        config = self.env.config
        await ClockCycles(self.env.dut.clk_i, 2 * (config.rows + config.columns + config.latency) + 20)

    async def abort(self) -> None:
        """End a layer, empty its streams, and be ready for the next one."""
        await self.write(Register.CONTROL, ABORT)
        await self.settle()
        await self.write(Register.CONTROL, 0)

    async def results(self, job: Job) -> np.ndarray:
        """Run one job and give its results, int32 [n_tiles, vectors, C]."""
        self.env.scoreboard.take_results()
        if not await self.run_job(job):
            raise AssertionError("a layer was cut off without a reset")
        return self.env.scoreboard.take_results().reshape(job.shape.n_tiles, job.shape.vectors, -1)

    async def expect(self, register: Register, value: int, response: int = OKAY) -> None:
        """Read a register and compare."""
        access = await self.env.read(register)
        self.env.scoreboard.check(f"response to a read of {register:#x}", access.response, response)
        self.env.scoreboard.check(f"register {register:#x}", access.data, value)

    async def write(self, register: int, data: int, response: int = OKAY, strobe: int = 15) -> None:
        """Write a register and compare the response."""
        access = await self.env.write(register, data, strobe)
        self.env.scoreboard.check(f"response to a write of {register:#x}", access.response, response)

    async def expect_faults(self, *wanted: Fault) -> None:
        """ERRORS is what the model says and holds `wanted`; then it is cleared."""
        await FallingEdge(self.env.dut.clk_i)  # the reference has settled
        faults = self.env.reference.model.faults
        for fault in wanted:
            self.env.scoreboard.check(f"{fault!r} in the model's {faults!r}", bool(faults & fault), True)
        await self.expect(Register.ERRORS, int(faults))
        await self.expect(Register.STATUS, 2 if faults else 0)
        await self.write(Register.ERRORS, int(faults))
        await self.expect(Register.ERRORS, 0)

    def job(self, shape: Shape, **parts: np.ndarray) -> Job:
        """A job of random operands and parameters, but for what is given."""
        config, n, k = self.env.config, shape.n_tiles, shape.k_tiles
        random = {
            "weights": self.operands(n, k, config.rows, config.columns),
            "activations": self.operands(n, k, shape.vectors, config.rows),
            "parameters": self.parameters(n),
            "channels": np.tile(np.arange(config.columns), (n, 1)),
        }
        return Job(shape, **random | parts)

    def parameters(self, n_tiles: int) -> np.ndarray:
        """Random int32 [n_tiles, C, 3]: mostly factors that bring sums near int8, and anything at all."""
        size, rng = (n_tiles, self.env.config.columns), self.env.numpy_rng
        anything = rng.random(size) < 0.2
        bias = np.where(anything, rng.integers(INT32.min, INT32.max, size), rng.integers(-20000, 20000, size))
        multiplier = np.where(anything, rng.integers(0, INT32.max, size), rng.integers(1 << 30, INT32.max, size))
        shift = np.where(anything, rng.integers(MIN_SHIFT, MAX_SHIFT + 1, size), rng.integers(37, 44, size))
        return np.stack([bias, multiplier, shift], axis=2).astype(np.int32)

    def shape(self, **given: int | bool) -> Shape:
        """Random sizes and clamp, but for what is given."""
        config, rng = self.env.config, self.env.rng
        lo, hi = sorted((rng.randint(-128, 127), rng.randint(-128, 127)))
        random = {
            "k_tiles": rng.randint(1, 3),
            "n_tiles": rng.randint(1, 2),
            "vectors": min(config.depth, rng.choice([1, 2, rng.randint(3, 20), config.depth])),
            "last_rows": rng.randint(1, config.rows),
            "raw": rng.random() < 0.3,
            "lo": rng.choice([-128, 0, lo]),
            "hi": rng.choice([127, hi, hi]),
            "zero_point": rng.choice([0, rng.randint(-128, 127)]),
        }
        random["hi"] = max(random["lo"], random["hi"])
        return Shape(**random | given)


@pyuvm.test(**LIMIT)
class tile_smoke(TileTest):
    """Sums of several K tiles over several sets of columns, int8 and raw, unused rows full of noise."""

    async def stimulus(self) -> None:
        rows, depth = self.env.config.rows, self.env.config.depth
        for raw in (False, True):
            sizes = {"k_tiles": 3, "n_tiles": 2, "vectors": min(depth, 12), "last_rows": (rows + 1) // 2}
            await self.run_job(self.job(Shape(**sizes, raw=raw, zero_point=3)))
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_requantiser_corners(TileTest):
    """Sums at the ends of int32, ties of both signs, least and largest multiplier and shift, all clamps."""

    async def stimulus(self) -> None:
        config = self.env.config
        sums = [INT32.min, INT32.min + 1, -(1 << 30), -3, -2, -1, 0, 1, 2, 3, 1 << 30, INT32.max - 1, INT32.max]
        factors = itertools.product((0, 1, 3, 1 << 30, INT32.max), (MIN_SHIFT, 2, 30, 31, 32, 61, MAX_SHIFT))
        cases = [(s, m, h) for (m, h), s in itertools.product(factors, sums)]
        # odd multiples of half a unit: ties, and their neighbours
        for shift in (1, 4, 20):
            for odd in (-255, -129, -3, -1, 1, 3, 253, 255):
                cases += [((odd << shift - 1) + d, 1, shift) for d in (-1, 0, 1)]
                cases += [(odd, 1 << 30, 31), (odd << 8, 1 << 30, 39), ((odd << 8) + 1, 1 << 30, 39)]
        self.env.rng.shuffle(cases)
        cases = cases[: 4 * config.columns] if config.columns < 4 else cases
        cases += [(0, 1, 1)] * (-len(cases) % config.columns)
        parameters = np.array(cases, np.int64).reshape(-1, config.columns, 3)
        # operands of 0: the bias makes the sum
        parameters[:, :, 0] -= config.rows * int(config.table[128, 128])
        parameters = parameters.astype(np.int32)
        n_tiles = len(parameters)
        zeros = {
            "weights": np.zeros((n_tiles, 1, config.rows, config.columns), np.int8),
            "activations": np.zeros((n_tiles, 1, 1, config.rows), np.int8),
        }
        for lo, hi, zero_point in (
            (-128, 127, 0),
            (0, 127, 0),
            (0, 6, 0),
            (-128, 127, -128),
            (-7, -7, 127),
            (-3, 90, 5),
        ):
            clamp = {"lo": lo, "hi": hi, "zero_point": zero_point}
            shape = Shape(n_tiles=n_tiles, last_rows=config.rows, **clamp)
            await self.run_job(self.job(shape, **zeros, parameters=parameters))
        await self.run_job(self.job(replace(shape, raw=True), **zeros, parameters=parameters))
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_random_back_pressure(TileTest):
    """Random layers, stalls on every stream and on the registers."""

    async def stimulus(self) -> None:
        self.env.stall_all()
        for _ in range(10):
            await self.run_job(self.job(self.shape()))
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_random_reset(TileTest):
    """Resets at any time of a layer; the next one must be right and no fault be left."""

    async def stimulus(self) -> None:
        rng, config = self.env.rng, self.env.config
        cut = 0
        for attempt in range(14):
            self.env.stall_all(attempt % 2 == 1)
            layer = cocotb.start_soon(self.run_job(self.job(self.shape(k_tiles=2, vectors=min(20, config.depth)))))
            await ClockCycles(self.env.dut.clk_i, rng.randint(1, 6 * (config.rows + 40)))
            await self.env.reset(rng.randint(1, 4))
            cut += not await layer
            await self.run_job(self.job(self.shape(n_tiles=1)))
            await self.expect_faults()
        if not cut:
            raise AssertionError("no reset fell into a running layer: the test tested nothing")


@pyuvm.test(**LIMIT)
class tile_utilisation(TileTest):
    """With nobody stalling, an activation vector goes in with every cycle of a packet; the counters say so."""

    async def stimulus(self) -> None:
        config = self.env.config
        bus, clock = self.env.agents["activations"].monitor.pins.bus, self.env.dut.clk_i
        times: list[tuple[float, bool]] = []

        async def watch() -> None:
            while True:
                await RisingEdge(clock)
                if bus.tvalid.value == 1 and bus.tready.value == 1:
                    times.append((get_sim_time("ns"), bool(bus.tlast.value)))

        cocotb.start_soon(watch())
        shape = Shape(k_tiles=3, n_tiles=2, vectors=config.depth, last_rows=config.rows)
        await self.run_job(self.job(shape))
        beats = shape.k_tiles * shape.n_tiles * shape.vectors
        await self.expect(Register.OPEN_BEATS, beats)
        ends = [time for time, last in times if last]
        begins = [times[0][0], *(times[i + 1][0] for i, (_, last) in enumerate(times[:-1]) if last)]
        cycles = sum(round((end - begin) / CLOCK_NS) + 1 for begin, end in zip(begins, ends, strict=True))
        await self.expect(Register.OPEN_CYCLES, cycles)
        total = (await self.env.read(Register.CYCLES)).data
        self.logger.info("%d vectors in %d cycles of open packets, %d cycles of the layer", beats, cycles, total)
        if beats < 0.98 * cycles:
            raise AssertionError(f"only {beats} vectors in {cycles} cycles of open packets")


class LayerTest(TileTest):
    """A whole captured layer through the streams; the results must be those of the network's own arithmetic."""

    layer = ""
    images = 1

    async def stimulus(self) -> None:
        config, layer = self.env.config, load_capture().layer(self.layer)
        self.env.reference.label = f"layer {self.layer}, all of its rows"
        limit = int(os.environ["ENCMAC_VECTORS"]) or None
        engine = TableEngine(config.products.product_table if config.products else exact_table(), 1)
        expected = network_results(layer, self.images, engine)
        output = np.full_like(expected, 99)
        jobs = layer_jobs(layer, config.products, config.rows, config.columns, config.depth, self.images)
        for job in itertools.islice(jobs, 1 if limit else None):
            if limit:
                shape = replace(job.shape, vectors=min(limit, job.shape.vectors))
                job = replace(job, shape=shape, activations=job.activations[:, :, : shape.vectors])
            job.place(await self.results(job), output)
            done = job.first_vector + job.shape.vectors
        self.logger.info("%s: %d vectors, %s", self.layer, done, job.shape)
        wrong = int((output[:done] != expected[:done]).sum())
        self.env.scoreboard.check(f"results of layer {self.layer} that are not the network's", wrong, 0)
        await self.expect_faults()


def network_results(layer: Layer, images: int, engine: TableEngine) -> np.ndarray:
    """What the integer network computes for a layer, int8 or (no requantisation) int32 [vectors, O]."""
    where = (layer.stride, layer.padding, layer.groups)
    node = Conv(layer.name, "input", layer.weights, layer.bias, layer.requant, np.ones(1), 1.0, *where)
    x = layer.inputs[:images]
    result = node(x, engine) if layer.requant else node.accumulate(x, engine)
    return result.transpose(0, 2, 3, 1).reshape(-1, len(layer.bias))


@pyuvm.test(**LIMIT)
class tile_layer_first_convolution(LayerTest):
    """ResNet-20: the first convolution; K = 27 leaves rows unused."""

    layer = "conv1"


@pyuvm.test(**LIMIT)
class tile_layer_strided_convolution(LayerTest):
    """ResNet-20: a convolution of K = 144 and 32 outputs, more of both than the array has."""

    layer = "layer2.0.conv1"


@pyuvm.test(**LIMIT)
class tile_layer_classifier(LayerTest):
    """ResNet-20: the classifier, raw sums."""

    layer = "linear"
    images = 64
