"""requantiser alone."""

from __future__ import annotations

from collections import deque

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import Timer

from models.quant.arith import MAX_SHIFT, MIN_SHIFT, requantise
from tb.env.leaf import LIMIT, Leaf
from tb.env.scoreboard import pack

INT32 = np.iinfo(np.int32)
LATENCY = 3


class Requantiser:
    """The module with its stream: draws factors, feeds sums, compares every result."""

    def __init__(self, bench: Leaf) -> None:
        self.bench, self.columns = bench, bench.value["Cols"]
        self.rng = np.random.default_rng(bench.rng.getrandbits(32))
        self.expected: deque[tuple[int, bool]] = deque()
        self.inside = [False] * LATENCY  # stages that hold a vector

    def configure(self, raw: bool) -> dict[str, int]:
        """Random factors of both banks, clamp and zero point; the pins that say so."""
        rng, size = self.rng, (2, self.columns)
        self.multiplier = rng.choice([0, 1, 3, 1 << 30, INT32.max, int(rng.integers(INT32.max))], size).astype(np.int32)
        self.shift = rng.choice([MIN_SHIFT, 2, 20, 31, 32, 39, 61, MAX_SHIFT], size).astype(np.int32)
        ends = sorted(rng.integers(-128, 128, 2).tolist())
        self.lo, self.hi = (-128, 127) if rng.random() < 0.5 else ends
        self.zero_point, self.raw = int(rng.choice([0, int(rng.integers(-128, 128))])), raw
        shifts = sum(int(s) << 6 * i for i, s in enumerate(self.shift.reshape(-1)))
        pins = {"min_i": self.lo & 0xFF, "max_i": self.hi & 0xFF, "zero_point_i": self.zero_point & 0xFF}
        return pins | {"raw_i": raw, "multiplier_i": pack(self.multiplier), "shift_i": shifts}

    def sums(self) -> np.ndarray:
        """int32 [Cols]: anything, ends of int32, and ties of the rounding with their neighbours."""
        anything = self.rng.integers(INT32.min, INT32.max, self.columns, endpoint=True)
        some = self.rng.choice([INT32.min, INT32.max, -1, 0, 1, -3, 1 << 30], self.columns)
        ties = 2 * self.rng.integers(-300, 300, self.columns) + 1 << int(self.rng.choice([0, 1, 7, 8, 19]))
        ties += self.rng.integers(-1, 2, self.columns)
        return np.choose(self.rng.integers(0, 3, self.columns), [anything, some, ties]).astype(np.int32)

    def result(self, sums: np.ndarray, bank: int) -> int:
        """What must come of them, as the stream carries it."""
        if self.raw:
            return pack(sums)
        values = (self.multiplier[bank], self.shift[bank], self.lo, self.hi, self.zero_point)
        return pack(requantise(sums, *values))

    async def cycle(self, sums: np.ndarray | None, stall: float) -> bool:
        """One cycle, with a vector offered or not; True if it was taken."""
        bench, ready, bank = self.bench, int(self.bench.rng.random() >= stall), self.bench.rng.randint(0, 1)
        last = bench.rng.randint(0, 1)
        data = pack(sums) if sums is not None else bench.rng.getrandbits(32 * self.columns)
        offered = {"s_axis_tvalid": sums is not None, "s_axis_tdata": data, "s_axis_tlast": last, "bank_i": bank}
        await bench.cycle(**offered, m_axis_tready=ready)
        shown = bench.get("m_axis_tvalid")
        bench.check("m_axis_tvalid", shown, self.inside[-1])
        if shown and self.expected:
            result, tlast = self.expected[0]
            bench.check("result", bench.get("m_axis_tdata"), result)
            bench.check("m_axis_tlast", bench.get("m_axis_tlast"), tlast)
            if ready:
                self.expected.popleft()
        advance = not shown or bool(ready)
        bench.check("s_axis_tready", bench.get("s_axis_tready"), advance)
        taken = sums is not None and advance
        if taken:
            self.expected.append((self.result(sums, bank), bool(last)))
        if advance:
            self.inside = [taken, *self.inside[:-1]]
        return taken

    async def vectors(self, count: int, stall: float) -> None:
        """So many vectors."""
        while count:
            count -= await self.cycle(self.sums() if self.bench.rng.random() >= stall else None, stall)

    async def drain(self) -> None:
        """Until all results have left."""
        while any(self.inside):
            await self.cycle(None, 0.2)
        assert not self.expected, f"{len(self.expected)} results never came"


@cocotb.test(**LIMIT)
async def requantiser_results(dut: HierarchyObject) -> None:
    """Vectors of either bank right behind each other, with stalls and without, int8 and raw."""
    async with Leaf(dut, "requantiser_results") as bench:
        requantiser = Requantiser(bench)
        for turn in range(40):
            await bench.drive(s_axis_tvalid=0, **requantiser.configure(raw=turn % 4 == 3))
            await requantiser.vectors(40, (0.0, 0.4)[turn % 2])
            await requantiser.drain()


@cocotb.test(**LIMIT)
async def requantiser_abort_and_reset(dut: HierarchyObject) -> None:
    """With any number of vectors inside: none of them comes, those after it are right."""
    async with Leaf(dut, "requantiser_abort_and_reset") as bench:
        requantiser = Requantiser(bench)
        for attempt in range(24):
            await bench.drive(s_axis_tvalid=0, **requantiser.configure(raw=False))
            await requantiser.vectors(bench.rng.randint(1, 4), 0.5)
            if attempt % 2:
                await bench.reset()
                bench.check("m_axis_tvalid in reset", bench.get("m_axis_tvalid"), 0)
                await Timer(1, unit="ns")
                dut.s_axis_tvalid.value = 0
                await bench.release()
            else:
                await bench.cycle(abort_i=1, s_axis_tvalid=bench.rng.randint(0, 1))
                await bench.cycle(abort_i=0, s_axis_tvalid=0, m_axis_tready=0)
                bench.check("m_axis_tvalid after an abort", bench.get("m_axis_tvalid"), 0)
            requantiser.expected.clear()
            requantiser.inside = [False] * LATENCY
            await requantiser.vectors(4, 0.3)
            await requantiser.drain()
