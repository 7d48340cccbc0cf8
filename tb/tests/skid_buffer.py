"""skid_buffer alone."""

from __future__ import annotations

from collections import deque

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, Timer

from tb.env.leaf import LIMIT, Leaf


@cocotb.test(**LIMIT)
async def skid_buffer_stream(dut: HierarchyObject) -> None:
    """Random beats and stalls, resets; ready of the input never follows that of the output within a cycle."""
    async with Leaf(dut, "skid_buffer_stream") as bench:
        rng = bench.rng
        for stall in (0.0, 0.3, 0.7):
            kept: deque[tuple[int, int]] = deque()
            offered: tuple[int, int] | None = None
            for _ in range(400):
                if offered is None and rng.random() >= stall:
                    offered = rng.randint(0, 255), rng.randint(0, 1)
                data, last = offered or (rng.randint(0, 255), rng.randint(0, 1))
                ready = int(rng.random() >= stall)
                inputs = {"s_axis_tvalid": offered is not None, "s_axis_tdata": data, "s_axis_tlast": last}
                await bench.drive(**inputs, m_axis_tready=1 - ready)
                await Timer(1, unit="ns")
                before = bench.get("s_axis_tready")
                dut.m_axis_tready.value = ready
                await bench.edge()
                bench.check("s_axis_tready", bench.get("s_axis_tready"), not kept)
                bench.check("s_axis_tready after m_axis_tready changed", bench.get("s_axis_tready"), before)
                if offered is not None and not kept:
                    kept.append(offered)  # shows in the same cycle
                    offered = None
                bench.check("m_axis_tvalid", bench.get("m_axis_tvalid"), bool(kept))
                if kept:
                    shown = bench.get("m_axis_tdata"), bench.get("m_axis_tlast")
                    bench.check("beat", shown, kept[0])
                    if ready:
                        kept.popleft()
            await bench.cycle(s_axis_tvalid=1, m_axis_tready=0)
            await bench.reset()
            dut.s_axis_tvalid.value = 0
            await Timer(1, unit="ns")
            bench.check("m_axis_tvalid in reset", bench.get("m_axis_tvalid"), 0)
            bench.check("s_axis_tready in reset", bench.get("s_axis_tready"), 1)
            await FallingEdge(dut.clk_i)
            await bench.release()
