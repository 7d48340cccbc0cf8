"""accumulation_buffer alone."""

from __future__ import annotations

from collections import deque

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import Timer

from tb.env.leaf import LIMIT, Leaf
from tb.env.scoreboard import pack

INT32 = np.iinfo(np.int32)


class Buffer:
    """The module with its stream: feeds vectors, compares every sum that leaves."""

    def __init__(self, bench: Leaf) -> None:
        self.bench, self.columns = bench, bench.value["Cols"]
        self.numpy_rng = np.random.default_rng(bench.rng.getrandbits(32))
        self.bias = self.values(2)  # of both banks
        self.expected: deque[tuple[int, bool, int]] = deque()  # sum, last, bank
        self.due = False  # without stalls a sum leaves in the cycle after its vector was taken

    def values(self, count: int) -> np.ndarray:
        """int32 [count, Cols]: anything, and often the ends."""
        anything = self.numpy_rng.integers(INT32.min, INT32.max, (count, self.columns), endpoint=True)
        ends = self.numpy_rng.choice([INT32.min, INT32.max, -1, 0, 1], anything.shape)
        return np.where(self.numpy_rng.random(anything.shape) < 0.3, ends, anything).astype(np.int32)

    async def cycle(self, stall: float, vector: np.ndarray | None = None, **flags: int) -> bool:
        """One cycle, with a vector offered or not; True if it was taken."""
        bench, rng = self.bench, self.bench.rng
        ready = int(rng.random() >= stall)
        data = pack(vector) if vector is not None else rng.getrandbits(32 * self.columns)
        offered = {"s_axis_tvalid": vector is not None, "s_axis_tdata": data}
        idle = {name: rng.randint(0, 1) for name in ("first_i", "final_i", "bank_i", "s_axis_tlast")}
        await bench.cycle(**offered, **(idle | flags), m_axis_tready=ready, bias_i=pack(self.bias))
        shown = bench.get("m_axis_tvalid")
        bench.check("m_axis_tvalid", shown, self.due)
        if shown and self.expected:
            total, last, bank = self.expected[0]
            bench.check("sum", bench.get("m_axis_tdata"), total)
            bench.check("m_axis_tlast", bench.get("m_axis_tlast"), last)
            bench.check("bank_o", bench.get("bank_o"), bank)
            if ready:
                self.expected.popleft()
        taken = vector is not None and bool(bench.get("s_axis_tready"))
        self.due = bool(shown and not ready) or (taken and bool(flags["final_i"]))
        return taken

    async def tiles(self, stall: float, k_tiles: int, vectors: int, bank: int, upto: int | None = None) -> None:
        """K tiles of a set of columns, or only the first vectors of them."""
        rng = self.bench.rng
        total = np.tile(self.bias[bank], (vectors, 1)).astype(np.int64)
        count = 0
        for k in range(k_tiles):
            for v, vector in enumerate(self.values(vectors)):
                while rng.random() < stall:
                    await self.cycle(stall)
                total[v] += vector
                flags = {"first_i": k == 0, "final_i": k == k_tiles - 1, "bank_i": bank}
                flags["s_axis_tlast"] = v == vectors - 1
                waited = 0
                while not await self.cycle(stall, vector, **flags):
                    waited += 1
                    assert waited < 50, "s_axis_tready stays 0"
                if not stall:  # only what is being written is waited for
                    self.bench.check("cycles that a vector waited", waited, int(vectors == 1 and k > 0))
                if k == k_tiles - 1:
                    self.expected.append((pack(total[v].astype(np.int32)), v == vectors - 1, bank))
                count += 1
                if count == upto:
                    return

    async def drain(self) -> None:
        """Until all sums have left."""
        for _ in range(50):
            if not self.expected:
                break
            await self.cycle(0.2)
        assert not self.expected, f"{len(self.expected)} sums never came"


@cocotb.test(**LIMIT)
async def accumulation_buffer_sums(dut: HierarchyObject) -> None:
    """Tiles of one vector to a whole buffer, one to many of them, banks in turn, with stalls and without."""
    async with Leaf(dut, "accumulation_buffer_sums") as bench:
        buffer, depth = Buffer(bench), bench.value["Depth"]
        for stall in (0.0, 0.4):
            for turn in range(24):
                bank = turn % 2
                if bench.rng.random() < 0.5:
                    await buffer.drain()
                    buffer.bias = buffer.values(2)
                vectors = bench.rng.choice([1, depth, bench.rng.randint(1, depth)])
                await buffer.tiles(stall, bench.rng.choice([1, 2, 5]), vectors, bank)
        await buffer.drain()


@cocotb.test(**LIMIT)
async def accumulation_buffer_abort_and_reset(dut: HierarchyObject) -> None:
    """In the middle of a tile; the next one begins with its first vector."""
    async with Leaf(dut, "accumulation_buffer_abort_and_reset") as bench:
        buffer, depth = Buffer(bench), bench.value["Depth"]
        for attempt in range(24):
            await buffer.tiles(0.2, 2, depth, attempt % 2, upto=bench.rng.randint(1, 2 * depth))
            if attempt % 2:
                await bench.reset()
                await Timer(1, unit="ns")
                bench.check("m_axis_tvalid in reset", bench.get("m_axis_tvalid"), 0)
                bench.dut.s_axis_tvalid.value = 0
                await bench.release()
            else:
                await bench.cycle(abort_i=1, s_axis_tvalid=bench.rng.randint(0, 1))
                await bench.cycle(abort_i=0, s_axis_tvalid=0, m_axis_tready=0)
                bench.check("m_axis_tvalid after an abort", bench.get("m_axis_tvalid"), 0)
            buffer.expected.clear()
            buffer.due = False
            await buffer.tiles(0.2, bench.rng.randint(1, 3), bench.rng.randint(1, depth), 1)
            await buffer.drain()
