"""packet_framer alone: every length of packets, stalls on both sides, abort and reset."""

from __future__ import annotations

from dataclasses import dataclass

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import Timer

from tb.env.leaf import LIMIT, Leaf


@dataclass(frozen=True)
class Out:
    """A beat that must leave, and what must be said with it."""

    data: int
    index: int
    last: bool
    early: bool
    late: bool


def framed(beats: list[int], length: int) -> list[Out]:
    """What becomes of a packet that should have had `length` beats."""
    data = (beats + [0] * length)[:length]
    early = len(beats) - 1 if len(beats) < length else None
    late = length - 1 if len(beats) > length else None
    return [Out(d, i, i == length - 1, i == early, i == late) for i, d in enumerate(data)]


async def send(bench: Leaf, beats: list[int], length: int, stall: float) -> None:
    """Send one packet and check every cycle of it."""
    rng, expected = bench.rng, framed(beats, length)
    taken = left = 0
    while taken < len(beats) or left < length:
        valid = taken < len(beats) and rng.random() >= stall
        ready = rng.random() >= stall
        wanted = left < length
        await bench.cycle(
            enable_i=wanted,
            length_i=length if wanted else rng.randint(1, 15),
            s_axis_tvalid=valid,
            s_axis_tdata=beats[taken] if valid else rng.randint(0, 255),
            s_axis_tlast=taken == len(beats) - 1 if valid else rng.randint(0, 1),
            m_axis_tready=ready,
        )
        out = expected[left] if wanted else None
        filling = wanted and taken == len(beats)
        dropping = not wanted
        offered = wanted and (filling or valid)
        leaves = offered and ready
        bench.check("m_axis_tvalid", bench.get("m_axis_tvalid"), offered)
        bench.check("beat_o", bench.get("beat_o"), leaves)
        # a cycle is never added: what is taken leaves at once, or is dropped
        bench.check("s_axis_tready", bench.get("s_axis_tready"), dropping or (not filling and ready))
        if offered:
            bench.check("m_axis_tdata", bench.get("m_axis_tdata"), out.data)
            bench.check("m_axis_tlast", bench.get("m_axis_tlast"), out.last)
            bench.check("index_o", bench.get("index_o"), out.index)
        bench.check("done_o", bench.get("done_o"), leaves and out.last)
        bench.check("early_o", bench.get("early_o"), leaves and out.early)
        bench.check("late_o", bench.get("late_o"), leaves and out.late)
        taken += valid and (dropping or (not filling and ready))
        left += leaves


async def idle(bench: Leaf) -> None:
    """Nothing is wanted: nothing is taken, nothing leaves."""
    for _ in range(bench.rng.randint(1, 3)):
        await bench.cycle(enable_i=0, s_axis_tvalid=1, s_axis_tlast=bench.rng.randint(0, 1), m_axis_tready=1)
        for name in ("s_axis_tready", "m_axis_tvalid", "beat_o", "done_o", "early_o", "late_o"):
            bench.check(f"{name} while nothing is wanted", bench.get(name), 0)


@cocotb.test(**LIMIT)
async def packet_framer_lengths(dut: HierarchyObject) -> None:
    """Every length, packets that are right, one beat off, far too short and far too long."""
    async with Leaf(dut, "packet_framer_lengths") as bench:
        rng, most = bench.rng, (1 << bench.value["CountWidth"]) - 1
        for stall in (0.0, 0.4):
            for length in range(1, most + 1):
                for beats in {length, max(1, length - 1), length + 1, 1, rng.randint(1, 4 * most)}:
                    await send(bench, [rng.randint(1, 255) for _ in range(beats)], length, stall)
                    if rng.random() < 0.2:
                        await idle(bench)


@cocotb.test(**LIMIT)
async def packet_framer_abort_and_reset(dut: HierarchyObject) -> None:
    """In every state: while aborted all beats are taken and none leaves; the next packet is right."""
    async with Leaf(dut, "packet_framer_abort_and_reset") as bench:
        rng = bench.rng
        for attempt in range(40):
            reset = attempt % 2
            # a short packet to fill, a long one to drop, one that goes on
            ends, cycles, length = rng.choice([(2, 3, 9), (99, 7, 3), (99, 3, 9)])
            for n in range(cycles):
                await bench.cycle(
                    enable_i=n < length,
                    length_i=length,
                    s_axis_tvalid=1,
                    s_axis_tdata=n,
                    s_axis_tlast=n == ends,
                    m_axis_tready=1,
                )
            if reset:
                await bench.reset()
                dut.s_axis_tvalid.value = 0
                await Timer(1, unit="ns")
                bench.check("index_o in reset", bench.get("index_o"), 0)
                bench.check("m_axis_tvalid in reset", bench.get("m_axis_tvalid"), 0)
                await bench.release()
            else:
                for _ in range(rng.randint(1, 3)):
                    aborted = {"abort_i": 1, "s_axis_tvalid": rng.randint(0, 1), "m_axis_tready": rng.randint(0, 1)}
                    await bench.cycle(**aborted, s_axis_tlast=rng.randint(0, 1))
                    bench.check("s_axis_tready while aborted", bench.get("s_axis_tready"), 1)
                    for name in ("m_axis_tvalid", "beat_o", "done_o", "early_o", "late_o"):
                        bench.check(f"{name} while aborted", bench.get(name), 0)
                await bench.drive(abort_i=0, enable_i=0, s_axis_tvalid=0)
            await send(bench, [rng.randint(1, 255) for _ in range(rng.randint(1, 8))], rng.randint(1, 8), 0.3)
