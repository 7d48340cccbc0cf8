"""Tests of an array through its ports: corners, random with stalls, resets, real network tiles.

Each test is thin; stimulus is in `tb.sequences`, checking in the environment.
"""

from __future__ import annotations

import itertools
import os

import cocotb
import numpy as np
import pyuvm
from cocotb.triggers import ClockCycles, Combine, RisingEdge
from cocotb.utils import get_sim_time

from models.encoding import load_encoding
from models.hardware import TileModel
from models.replay import load_capture, tiles
from tb.agents.axis import AxisSource, PoliteSource, no_stall
from tb.env.bench import CLOCK_NS, ArrayEnv
from tb.env.coverage import LONG_STALL
from tb.env.scoreboard import Listener
from tb.sequences import TileSequence
from tb.tests.base import LIMIT, BenchTest


class ArrayTest(BenchTest):
    """A test of an array."""

    ENVIRONMENT = ArrayEnv

    async def tile(self, weights: np.ndarray, activations: np.ndarray, label: str = "") -> bool:
        """Run one tile; True unless a reset cut it off."""
        sequence = TileSequence(self.env, weights, activations, label)
        await sequence.start()
        return sequence.completed


@pyuvm.test(**LIMIT)
class array_smoke_corners(ArrayTest):
    """Extreme operands in every pairing, whole columns of one value (counter extremes)."""

    async def stimulus(self) -> None:
        config = self.env.config
        corners = np.array([-128, -127, -1, 0, 1, 126, 127, 85, -86], np.int8)
        rows = np.arange(config.rows)
        for w in corners:
            activations = [np.full(config.rows, a, np.int8) for a in corners]
            activations += [corners[(rows + shift) % len(corners)] for shift in range(len(corners))]
            await self.tile(np.full((config.rows, config.columns), w, np.int8), np.stack(activations))
        mixed = corners[np.add.outer(rows, np.arange(config.columns)) % len(corners)]
        await self.tile(mixed, np.stack([corners[(rows * 2 + s) % len(corners)] for s in range(len(corners))]))


@pyuvm.test(**LIMIT)
class array_all_products(ArrayTest):
    """All 65,536 operand pairs: row 0 sees every pair, the other rows hold zeros."""

    async def stimulus(self) -> None:
        config = self.env.config
        values = np.arange(-128, 128, dtype=np.int16).astype(np.int8)
        activations = np.zeros((256, config.rows), np.int8)
        for first in range(0, 256, config.columns):
            weights = np.zeros((config.rows, config.columns), np.int8)
            row = (first // config.columns) % config.rows
            batch = values[first : first + config.columns]
            weights[row, : len(batch)] = batch
            activations[:] = 0
            activations[:, row] = values
            await self.tile(weights, activations)


@pyuvm.test(**LIMIT)
class array_random_back_pressure(ArrayTest):
    """Random tiles of random length, offered at once, stalls on all three streams."""

    async def stimulus(self) -> None:
        config = self.env.config
        self.env.stall_all()
        running = []
        for _ in range(12):
            length = self.env.rng.choice([1, 2, self.env.rng.randint(3, 60)])
            tile = self.tile(self.operands(config.rows, config.columns), self.operands(length, config.rows))
            running.append(cocotb.start_soon(tile))
        await Combine(*running)


@pyuvm.test(**LIMIT)
class array_random_reset(ArrayTest):
    """Resets while loading, computing and draining; every following tile must be right."""

    async def stimulus(self) -> None:
        config, rng = self.env.config, self.env.rng
        cut = 0
        for attempt in range(16):
            self.env.stall_all(attempt % 2 == 1)
            weights, activations = self.operands(config.rows, config.columns), self.operands(30, config.rows)
            tile = cocotb.start_soon(self.tile(weights, activations))
            await ClockCycles(self.env.dut.clk_i, rng.randint(1, 3 * (config.rows + 30)))
            await self.env.reset(rng.randint(1, 4))
            cut += not await tile
            await self.tile(self.operands(config.rows, config.columns), self.operands(8, config.rows))
            await self.env.drain()
        if not cut:
            raise AssertionError("no reset fell into a running tile: the test tested nothing")


@pyuvm.test(**LIMIT)
class array_smoke_extremes(ArrayTest):
    """Whole columns of one pair: every product bit and count at its least and most, sums at both ends."""

    async def stimulus(self) -> None:
        config, values = self.env.config, np.arange(-128, 128)
        sums = config.table
        targets = [sums == sums.min(), sums == sums.max(), sums == 0]
        if config.products:
            bits = config.products.product_bits(values[:, None], values[None, :]).astype(bool)
            targets += [bits[:, :, m] == value for m in range(config.products.m) for value in (False, True)]
        pairs = [tuple(np.argwhere(target)[0]) for target in targets if target.any()]
        for w in sorted({w for _, w in pairs}):
            activations = [np.full(config.rows, values[a], np.int8) for a, v in dict.fromkeys(pairs) if v == w]
            await self.tile(np.full((config.rows, config.columns), values[w], np.int8), np.stack(activations))


@pyuvm.test(**LIMIT)
class array_stall_patterns(ArrayTest):
    """Single and long stalls on each stream alone and on all at once; tiles from one vector to many."""

    pattern = (0, 1, 0, 0, LONG_STALL + 1, 2)

    async def stimulus(self) -> None:
        config, streams = self.env.config, self.env.streams
        lengths = (1, 2, config.rows, 17, 64)
        for stalled in ([], *([stream] for stream in streams), list(streams)):
            for name, stream in streams.items():
                stream.stall = itertools.cycle(self.pattern).__next__ if name in stalled else no_stall
            running = []
            for length in lengths:
                tile = self.tile(self.operands(config.rows, config.columns), self.operands(length, config.rows))
                running.append(cocotb.start_soon(tile))
            await Combine(*running)
            await self.env.drain()
        # nothing moves for a while inside a tile: results first, then both inputs
        streams["weights"].stall = streams["activations"].stall = itertools.cycle((0, 0, 30)).__next__
        streams["results"].stall = itertools.cycle((60, 0)).__next__
        await self.tile(self.operands(config.rows, config.columns), self.operands(40, config.rows))


@pyuvm.test(**LIMIT)
class array_polite_sources(ArrayTest):
    """Sources that wait for ready before they offer a beat, put in by the factory."""

    def build_phase(self) -> None:
        pyuvm.uvm_factory().set_type_override_by_type(AxisSource, PoliteSource)
        super().build_phase()

    async def stimulus(self) -> None:
        config = self.env.config
        self.env.streams["results"].stall = itertools.cycle((0, 3, 0, 1)).__next__
        running = []
        for length in (1, 5, config.rows):
            tile = self.tile(self.operands(config.rows, config.columns), self.operands(length, config.rows))
            running.append(cocotb.start_soon(tile))
        await Combine(*running)
        waited = {name: self.env.agents[name].driver.waited for name in ("weights", "activations")}
        if not all(waited.values()):
            raise AssertionError(f"the sources waited for ready {waited} times: the test tested nothing")


@pyuvm.test(**LIMIT)
class array_reset_phases(ArrayTest):
    """A reset, one cycle or more, in each phase of a tile; the tile after it must be right."""

    async def stimulus(self) -> None:
        config, monitors = self.env.config, {name: agent.monitor for name, agent in self.env.agents.items()}
        vectors = 12
        # phase: stream and its beats of this tile after which the reset comes
        phases = {
            "loading": ("weights", (config.rows + 1) // 2),
            "loaded": ("weights", config.rows),
            "computing": ("activations", vectors // 2),
            "draining": ("activations", vectors),
            "idle": ("results", vectors),
        }
        for cycles in (1, 3):
            for phase, (stream, beats) in phases.items():
                # activations are late: the whole tile of weights waits for them
                self.env.streams["activations"].stall = itertools.chain([2 * config.rows], itertools.repeat(0)).__next__
                goal = monitors[stream].beats + beats
                tile = self.tile(self.operands(config.rows, config.columns), self.operands(vectors, config.rows))
                tile = cocotb.start_soon(tile)
                while monitors[stream].beats < goal:
                    await RisingEdge(self.env.dut.clk_i)
                if phase == "idle":
                    await self.env.drain()
                await self.env.reset(cycles)
                if await tile != (phase in ("draining", "idle")):
                    raise AssertionError(f"the reset did not come while {phase}")
                self.env.streams["activations"].stall = no_stall
                await self.tile(self.operands(config.rows, config.columns), self.operands(3, config.rows))
                await self.env.drain()


@pyuvm.test(**LIMIT)
class array_back_to_back(ArrayTest):
    """Tiles offered without a pause and nobody stalls: one activation vector a cycle.

    Within a tile in any array; from the first tile to the last with shadow weights.
    """

    tiles = 5
    least = 0.98

    async def stimulus(self) -> None:
        config = self.env.config
        length = 4 * (config.rows + config.columns)
        beats: list[tuple[float, bool]] = []
        listener = Listener("beats", self.env, lambda beat: beats.append((get_sim_time("ns"), beat.last)))
        self.env.agents["activations"].monitor.ap.connect(listener.analysis_export)
        running = []
        for _ in range(self.tiles):
            sequence = TileSequence(
                self.env, self.operands(config.rows, config.columns), self.operands(length, config.rows)
            )
            running.append(cocotb.start_soon(sequence.start()))
        await Combine(*running)
        ends = [n for n, (_, last) in enumerate(beats) if last]
        if len(ends) != self.tiles:
            raise AssertionError(f"{len(ends)} tiles went in, expected {self.tiles}")
        starts = [0, *(n + 1 for n in ends[:-1])]
        spans = [(starts[0], ends[-1])] if config.shadow else list(zip(starts, ends, strict=True))
        for first, last in spans:
            cycles = (beats[last][0] - beats[first][0]) / CLOCK_NS + 1
            if (last - first + 1) / cycles < self.least:
                raise AssertionError(f"{last - first + 1} vectors took {cycles:.0f} cycles; at least {self.least:.0%}")


@pyuvm.test(**LIMIT)
class array_weights_wait(ArrayTest):
    """Weights that are offered early are taken when the contract says: no cycle before, with shadow weights none after.

    With shadow weights: as soon as those of the tile are in effect everywhere, a number of cycles after its first
    activation. Else once all of its results have left, however long these wait.
    """

    async def stimulus(self) -> None:
        config, env = self.env.config, self.env
        beats: dict[str, list[tuple[float, bool]]] = {name: [] for name in env.agents}
        for name, seen in beats.items():
            listener = Listener(f"{name}_seen", env, lambda b, seen=seen: seen.append((get_sim_time("ns"), b.last)))
            env.agents[name].monitor.ap.connect(listener.analysis_export)
        waited: list[object] = []
        listener = Listener("results_wait", env, waited.append)
        env.agents["results"].monitor.waits.connect(listener.analysis_export)
        stages, shared = config.columns // config.columns_per_stage, 0
        groups = config.rows
        if config.products:
            groups, shared = config.rows // config.rows_per_group, int(bool(config.products.shared_bits()))
        env.streams["results"].by_beat = True
        for length, waits in itertools.product((1, 3, config.rows + 2), (0, 40)):
            for seen in (*beats.values(), waited):
                seen.clear()
            if not config.shadow:
                env.streams["results"].stall = itertools.chain(
                    [0] * (length - 1), [waits], itertools.repeat(0)
                ).__next__
            running = [
                cocotb.start_soon(self.tile(self.operands(config.rows, config.columns), self.operands(n, config.rows)))
                for n in (length, 1)
            ]
            await Combine(*running)
            await env.drain()
            taken = beats["weights"][config.rows][0]
            if config.shadow:
                cycles = round((taken - beats["activations"][0][0]) / CLOCK_NS)
                env.scoreboard.check("cycles from a tile to the weights after it", cycles, groups + stages - 1 + shared)
            else:
                env.scoreboard.check("cycles that the last result waited", len(waited), waits)
                left = beats["results"][length - 1][0]
                env.scoreboard.check("weights are taken after the results before", taken > left, True)


@pyuvm.test(**LIMIT)
class array_latency(ArrayTest):
    """With nobody stalling every result comes as many cycles after its activations as the contract says."""

    async def stimulus(self) -> None:
        config, env = self.env.config, self.env
        taken: dict[str, list[float]] = {"activations": [], "results": []}
        for name, times in taken.items():
            listener = Listener(f"{name}_times", env, lambda _, times=times: times.append(get_sim_time("ns")))
            env.agents[name].monitor.ap.connect(listener.analysis_export)
        for length in (1, 2, 3 * config.rows + 1):
            await self.tile(self.operands(config.rows, config.columns), self.operands(length, config.rows))
            await env.drain()
        for begin, end in zip(taken["activations"], taken["results"], strict=True):
            cycles = round((end - begin) / CLOCK_NS)
            env.scoreboard.check("cycles from activations to their result", cycles, config.latency)


@pyuvm.test(**LIMIT)
class array_async_reset(ArrayTest):
    """Resets between edges of the clock, some over before the next one, in each phase of a tile and at any time."""

    async def stimulus(self) -> None:
        config, env, rng = self.env.config, self.env, self.env.rng
        cut = 0
        for attempt in range(24):
            env.stall_all(attempt % 2 == 1)
            tile = self.tile(self.operands(config.rows, config.columns), self.operands(12, config.rows))
            tile = cocotb.start_soon(tile)
            await ClockCycles(env.dut.clk_i, rng.randint(1, 2 * config.rows + 20))
            await env.reset_between_edges(rng.uniform(0.1, 0.5), rng.choice((0.3, 0.3, 1.2)))
            cut += not await tile
            await self.tile(self.operands(config.rows, config.columns), self.operands(3, config.rows))
            await env.drain()
        if not cut:
            raise AssertionError("no reset fell into a running tile: the test tested nothing")


@pyuvm.test(**LIMIT)
class array_programmed_bits(ArrayTest):
    """Each bit of a position's index and of its weight counts; errors and their clearing that meet; resets."""

    async def stimulus(self) -> None:
        config, env = self.env.config, self.env
        encoding = load_encoding(config.encoding)
        values = np.arange(-128, 128)
        bits = encoding.product_bits(values[:, None], values[None, :]).astype(np.int64)
        weights = env.numpy_rng.integers(-32768, 32768, encoding.m)
        await env.program(weights)
        for bit in (1 << b for b in range(16)):
            for index in {bit, bit | encoding.m - 1, bit | 1}:
                await self.refused(index < encoding.m, index, int(weights[min(index, encoding.m - 1)]))
        for bit in (1 << b for b in range(32)):
            for weight in (bit, ~bit, bit | 1 << 31, bit | 0x7FFF):
                await self.refused(-32768 <= (weight + (1 << 31)) % (1 << 32) - (1 << 31) < 32768, 0, weight)
        for m in range(encoding.m):
            await env.write_position(m, int(weights[m]))
        env.reference.table = bits @ weights + config.table - encoding.column_table  # f(a) stays
        await self.tile(self.operands(config.rows, config.columns), self.operands(40, config.rows))
        await env.drain()
        # a bad write in the cycle in which the error is cleared: the error stays
        for good in (False, True):
            await env.write_position(encoding.m, 0)
            env.dut.position_clear_i.value = 1
            await env.write_position(0 if good else encoding.m, int(weights[0]))
            env.dut.position_clear_i.value = 0
            env.scoreboard.check("an error that meets its clearing", int(env.dut.position_error_o.value), int(not good))
        await env.write_position(encoding.m, 0)
        # index and weight count only with a write
        env.dut.position_index_i.value, env.dut.position_weight_i.value = 0, int(weights[0]) ^ 1
        await ClockCycles(env.dut.clk_i, 3)
        await self.tile(self.operands(config.rows, config.columns), self.operands(10, config.rows))
        await env.drain()
        await env.reset_between_edges(0.2, 0.3)
        env.reference.table = config.table
        env.scoreboard.check("the error after a reset between edges", int(env.dut.position_error_o.value), 0)
        await self.tile(self.operands(config.rows, config.columns), self.operands(40, config.rows))

    async def refused(self, good: bool, index: int, weight: int) -> None:
        """Write a position: an error is reported unless it is good."""
        await self.env.clear_position_error()
        await self.env.write_position(index, weight)
        what = f"an error for weight {weight:#x} of position {index:#x}"
        self.env.scoreboard.check(what, int(self.env.dut.position_error_o.value), int(not good))


@pyuvm.test(**LIMIT)
class array_programmed_weights(ArrayTest):
    """Position weights written anew: used, kept when a write is out of range, the encoding's after reset."""

    async def stimulus(self) -> None:
        config, env = self.env.config, self.env
        encoding = load_encoding(config.encoding)
        values = np.arange(-128, 128)
        bits = encoding.product_bits(values[:, None], values[None, :]).astype(np.int64)
        extreme = np.resize([32767, -32768, 0, 1, -1], encoding.m)
        for weights in (env.numpy_rng.integers(-32768, 32768, encoding.m), extreme):
            await env.clear_position_error()
            if await env.program(weights):
                raise AssertionError("an error is reported for weights in range")
            for index, weight in ((encoding.m, 5), (0xFFFF, 0), (0, 32768), (1, -32769), (2, 1 << 20)):
                await env.clear_position_error()
                await env.write_position(index, weight)
                if not env.dut.position_error_o.value:
                    raise AssertionError(f"weight {weight} of product bit {index} was taken without an error")
            await env.write_position(0, int(weights[0]))
            if not env.dut.position_error_o.value:
                raise AssertionError("a good write hides the error of the bad one before it")
            env.reference.table = bits @ weights + config.table - encoding.column_table  # f(a) stays
            await self.tile(self.operands(config.rows, config.columns), self.operands(40, config.rows))
            await env.drain()
        await env.reset(2)
        env.reference.table = config.table
        if env.dut.position_error_o.value:
            raise AssertionError("the error outlives a reset")
        await self.tile(self.operands(config.rows, config.columns), self.operands(40, config.rows))


class RealTilesTest(ArrayTest):
    """Streams a layer's own tiles; what they add up to over K must be the layer's own sums."""

    layer = ""
    images = 1
    vectors = 0  # the first ones of each tile; 0: all
    stalled = False

    async def stimulus(self) -> None:
        config, layer = self.env.config, load_capture().layer(self.layer)
        limit = int(os.environ["ENCMAC_VECTORS"]) or self.vectors or None
        if self.stalled:
            self.env.stall_all()
        vectors = layer.vectors(self.images)[:limit]
        matrix = layer.weights.reshape(len(layer.bias), layer.depth).T
        sums = np.zeros((len(vectors), len(layer.bias)), np.int64)
        for tile in tiles(layer, config.rows, config.columns, self.images):
            rows, channels = tile.k0 + tile.rows_used - 1, tile.n0 + tile.cols_used - 1
            label = f"layer {tile.layer}, rows {tile.k0}..{rows}, channels {tile.n0}..{channels}"
            if not await self.tile(tile.weights, tile.activations[:limit], label):
                raise AssertionError("a tile was cut off without a reset")
            while self.env.scoreboard.outstanding:
                await RisingEdge(self.env.dut.clk_i)
            results = self.env.scoreboard.take_results()
            unused = (config.rows - tile.rows_used) * int(config.table[128, 128])
            sums[:, tile.n0 : tile.n0 + tile.cols_used] += results[:, : tile.cols_used] - unused
        model = TileModel(config.table, matrix)
        if not all(np.array_equal(model.column_sums(v), s) for v, s in zip(vectors, sums, strict=True)):
            raise AssertionError(f"layer {self.layer}: sums over its tiles are not the layer's sums")


@pyuvm.test(**LIMIT)
class array_tiles_stalled(RealTilesTest):
    """ResNet-20: a strided convolution, random stalls on every stream."""

    layer = "layer2.0.conv1"
    vectors = 24
    stalled = True


@pyuvm.test(**LIMIT)
class array_tiles_first_convolution(RealTilesTest):
    """ResNet-20: the first convolution."""

    layer = "conv1"


@pyuvm.test(**LIMIT)
class array_tiles_strided_convolution(RealTilesTest):
    """ResNet-20: a strided convolution."""

    layer = "layer2.0.conv1"


@pyuvm.test(**LIMIT)
class array_tiles_classifier(RealTilesTest):
    """ResNet-20: the classifier."""

    layer = "linear"
    images = 256
