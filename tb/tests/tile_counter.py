"""tile_counter alone."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import Timer

from tb.env.leaf import CLOCK_NS, LIMIT, Leaf

MOST = 0xFFFF


def check(bench: Leaf, active: bool, k: int, n: int, k_tiles: int) -> None:
    """Compare all outputs."""
    bench.check("active_o", bench.get("active_o"), active)
    bench.check("k_tile_o", bench.get("k_tile_o"), k)
    bench.check("n_tile_o", bench.get("n_tile_o"), n)
    bench.check("k_first_o", bench.get("k_first_o"), k == 0)
    bench.check("k_last_o", bench.get("k_last_o"), k == k_tiles - 1)


async def walk(bench: Leaf, k_tiles: int, n_tiles: int, pace: float, end: str) -> None:
    """A layer, to its end or until it is aborted, started anew or reset in the middle."""
    sizes = {"k_tiles_i": k_tiles, "n_tiles_i": n_tiles}
    await bench.cycle(start_i=1, step_i=0, abort_i=0, **sizes)
    steps = k_tiles * n_tiles
    walked = steps if end == "end" else bench.rng.randint(0, steps - 1)
    for step in range(walked):
        n, k = divmod(step, k_tiles)
        while bench.rng.random() < pace:
            await bench.cycle(start_i=0, step_i=0)
            check(bench, True, k, n, k_tiles)
        await bench.cycle(start_i=0, step_i=1)
        check(bench, True, k, n, k_tiles)
    if end == "end":
        for _ in range(2):
            await bench.cycle(start_i=0, step_i=0)
            check(bench, False, 0, n_tiles & MOST, k_tiles)
    elif end == "abort":
        await bench.cycle(start_i=0, abort_i=1, step_i=bench.rng.randint(0, 1))
        for _ in range(2):
            await bench.cycle(abort_i=0, step_i=0)
            n, k = divmod(walked, k_tiles)
            check(bench, False, k, n, k_tiles)  # where it was
    elif end == "start with abort":
        await bench.cycle(start_i=1, abort_i=1, step_i=1)
        await bench.cycle(start_i=0, abort_i=0, step_i=0)
        check(bench, True, 0, 0, k_tiles)
    elif end == "reset":
        await bench.reset()
        check(bench, False, 0, 0, k_tiles)
        bench.dut.step_i.value = 0
        await bench.release()


@cocotb.test(**LIMIT)
async def tile_counter_walks(dut: HierarchyObject) -> None:
    """Random sizes with pauses; abort, start and reset in the middle."""
    async with Leaf(dut, "tile_counter_walks") as bench:
        for end in ("end", "abort", "start with abort", "restart", "reset") * 6:
            sizes = bench.rng.choice([(1, 1), (1, 9), (9, 1), (bench.rng.randint(1, 9), bench.rng.randint(1, 9))])
            await walk(bench, *sizes, bench.rng.choice([0, 0.4]), end)
        for sizes in ((300, 2), (2, 300)):
            await walk(bench, *sizes, 0, "end")


@cocotb.test(**LIMIT)
async def tile_counter_all_bits(dut: HierarchyObject) -> None:
    """As many tiles as 16 bits hold, of either kind."""
    async with Leaf(dut, "tile_counter_all_bits") as bench:
        for k_tiles, n_tiles in ((MOST, 1), (1, MOST)):
            await bench.cycle(start_i=1, step_i=0, k_tiles_i=k_tiles, n_tiles_i=n_tiles)
            done, most = 0, max(k_tiles, n_tiles)
            for upto in (255, 1023, (1 << 14) - 1, most - 2, most - 1):
                await bench.drive(start_i=0, step_i=1)
                if upto > done:
                    await Timer((upto - done - 0.5) * CLOCK_NS, unit="ns")
                await bench.cycle(step_i=0)
                done = upto
                n, k = divmod(done, k_tiles)
                check(bench, True, k, n, k_tiles)
            await bench.cycle(step_i=1)
            await bench.cycle(step_i=0)
            check(bench, False, 0, n_tiles, k_tiles)
