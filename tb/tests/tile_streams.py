"""Tests of a tile engine with packets of wrong lengths, parameters out of range, and layers that are aborted."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cocotb
import pyuvm
from cocotb.triggers import ClockCycles, Event

from models.hardware.tile import ABORT, START, Fault, Register
from models.quant.arith import MAX_SHIFT
from tb.agents.axil import SLVERR
from tb.agents.axis import no_stall
from tb.sequences import LayerSequence, PacketSequence, job_packets
from tb.tests.base import LIMIT
from tb.tests.tile import TileTest

LONG_PACKET = 3  # beats too many
FAR = (300, 1100)  # beats too many, beyond counters of 8 and 10 bits
MEASURED = (Register.CYCLES, Register.OPEN_CYCLES, Register.OPEN_BEATS)
STREAMS = ("weights", "activations", "parameters")


@pyuvm.test(**LIMIT)
class tile_protocol_errors(TileTest):
    """Packets that end early or late: the fault shows, other tiles and the next layer are right."""

    async def stimulus(self) -> None:
        config, rng = self.env.config, self.env.rng
        for stall, name, late in itertools.product((False, True), ("weights", "activations", "parameters"), (0, 1)):
            self.env.stall_all(stall)
            sequence = LayerSequence(self.env, self.job(self.shape(n_tiles=2, vectors=min(5, config.depth))))
            packet = rng.choice(sequence.packets[name])
            if late:
                packet.beats += [rng.getrandbits(8) for _ in range(rng.randint(1, LONG_PACKET))]
            elif len(packet.beats) > 1:
                del packet.beats[rng.randint(1, len(packet.beats) - 1) :]
            else:
                continue
            await sequence.start()
            await self.expect_faults(Fault[f"{name.upper()}_{'LATE' if late else 'EARLY'}"])
            await self.run_job(self.job(self.shape()))
            await self.expect_faults()
        # parameters out of range count only where they are used
        for word, value in ((2, 0), (2, MAX_SHIFT + 1), (2, 1 << 20), (2, -1), (1, -1)):
            for raw in (True, False):
                job = self.job(self.shape(n_tiles=1, raw=raw))
                job.parameters[0, rng.randrange(config.columns), word] = value
                for register, data in (job.shape.registers() | {Register.CONTROL: 1}).items():
                    await self.write(register, data)
                packet = job_packets(job, self.env.numpy_rng)["parameters"][0]
                await PacketSequence(packet).start(self.env.agents["parameters"].sequencer)
                await self.expect(Register.ERRORS, 0 if raw else int(Fault.PARAMETER_RANGE))
                await self.expect(Register.STATUS, 1 if raw else 3)
                await self.env.reset(2)


@pyuvm.test(**LIMIT)
class tile_packet_lengths(TileTest):
    """Packets of every length from one beat on, far too long ones, wrong ones on all streams at the same time."""

    async def stimulus(self) -> None:
        config, rng = self.env.config, self.env.rng
        vectors = min(5, config.depth)
        right = {"weights": config.rows, "activations": vectors, "parameters": config.columns}
        for name, far in itertools.product(STREAMS, (False, True)):
            lengths = FAR if far else [n for n in range(1, right[name] + 3) if n != right[name]]
            lengths = lengths if len(lengths) < 12 else rng.sample(lengths, 12)
            for length in lengths:
                await self.wrong({name: length if not far else right[name] + length}, vectors)
        for _ in range(6):
            await self.wrong({name: rng.randint(1, 2 * right[name] + 1) for name in STREAMS}, vectors)

    async def wrong(self, lengths: dict[str, int], vectors: int) -> None:
        """A layer with a packet of that many beats in each of the streams; the next one is right."""
        shape = self.shape(k_tiles=2, n_tiles=2, vectors=vectors)
        sequence = LayerSequence(self.env, self.job(shape))
        for name, length in lengths.items():
            packet = self.env.rng.choice(sequence.packets[name])
            width = {"weights": 8 * self.env.config.columns, "activations": 8 * self.env.config.rows, "parameters": 128}
            beats = packet.beats + [self.env.rng.getrandbits(width[name]) for _ in range(length)]
            packet.beats = beats[:length]
        await sequence.start()
        await self.expect_faults()
        await self.run_job(self.job(self.shape(k_tiles=1, n_tiles=1, vectors=vectors)))
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_parameter_bits(TileTest):
    """Each bit of a shift and of a multiplier, alone and with others, in the first and the last column."""

    async def stimulus(self) -> None:
        config = self.env.config
        shifts = [*(1 << b for b in range(32)), *(5 | 1 << b for b in range(6, 32)), MAX_SHIFT, MAX_SHIFT + 1, 0]
        cases = [(2, value) for value in shifts] + [(1, 1 << b) for b in range(32)]
        for number, (word, value) in enumerate(cases):
            job = self.job(self.shape(n_tiles=1, raw=False))
            parameters = job.parameters.copy()
            parameters[0, :, 1:] = (1 << 30, 31)
            parameters.view("uint32")[0, (0, config.columns - 1)[number % 2], word] = value
            packet = job_packets(replace(job, parameters=parameters), self.env.numpy_rng)
            for register, data in (job.shape.registers() | {Register.CONTROL: START}).items():
                await self.write(register, data)
            await PacketSequence(packet["parameters"][0]).start(self.env.agents["parameters"].sequencer)
            bad = not (1 <= value <= MAX_SHIFT) if word == 2 else value >> 31
            await self.expect(Register.ERRORS, int(Fault.PARAMETER_RANGE) if bad else 0)
            await self.write(Register.ERRORS, 0xFFF)
            await self.abort()


@pyuvm.test(**LIMIT)
class tile_missing_last(TileTest):
    """A packet without tlast takes the next one along: it is reported, the engine waits, an abort brings it back."""

    async def stimulus(self) -> None:
        hung = 0
        for name, at, more in itertools.product(STREAMS, (0, -1), (0, 1)):
            sequence = LayerSequence(self.env, self.job(self.shape(k_tiles=2, n_tiles=2)))
            packet = sequence.packets[name][at]
            packet.beats, packet.ends = packet.beats + packet.beats[: 4 * more], False
            layer = cocotb.start_soon(sequence.start())
            moved = -1
            while moved != (moved := sum(self.env.agents[stream].monitor.beats for stream in self.env.streams)):
                await self.settle()
            hung += not layer.done()
            await self.write(Register.CONTROL, ABORT)
            await layer
            await self.settle()
            await self.expect(Register.STATUS, 2)
            await self.write(Register.CONTROL, 0)
            await self.expect_faults(Fault[f"{name.upper()}_LATE"])
            await self.run_job(self.job(self.shape()))
            await self.expect_faults()
        if hung < len(STREAMS):
            raise AssertionError(f"the engine waited for a lost packet {hung} times: the test tested nothing")


class AbortTest(TileTest):
    """Reads what the engine counted; the reference knows what that is."""

    async def read_counters(self) -> None:
        """What is dropped is not counted."""
        for register in MEASURED:
            await self.env.read(register)


@pyuvm.test(**LIMIT)
class tile_abort(AbortTest):
    """Aborts at any time of a layer, with stalls and without; the next layer is right, even if it ends the abort."""

    async def stimulus(self) -> None:
        env, rng = self.env, self.env.rng
        cut = 0
        await self.write(Register.CONTROL, ABORT)  # nothing to end
        await self.expect(Register.CONTROL, ABORT)
        await self.write(Register.CONTROL, START | ABORT, SLVERR)
        await self.write(Register.CONTROL, START, strobe=14)  # no byte of it
        await self.expect(Register.CONTROL, ABORT)
        await self.write(Register.CONTROL, 0)
        for attempt in range(16):
            env.stall_all(attempt % 2 == 1)
            layer = cocotb.start_soon(self.run_job(self.job(self.shape(k_tiles=2, n_tiles=2))))
            while not env.reference.running:
                await ClockCycles(env.dut.clk_i, 1)
            await ClockCycles(env.dut.clk_i, rng.randint(1, 4 * (env.config.rows + 20)))
            dropped = env.scoreboard.discarded
            await self.write(Register.CONTROL, ABORT)
            await layer  # its sources come to their ends
            await self.settle()
            await self.expect(Register.STATUS, 0)
            await self.read_counters()
            cut += env.scoreboard.discarded != dropped
            together = attempt % 4 > 1
            if not together:
                await self.write(Register.CONTROL, 0)
            await self.run_job(self.job(self.shape()), late=together)
            await self.expect(Register.CONTROL, 0)
            await self.expect_faults()
        if not cut:
            raise AssertionError("no abort fell into a running layer: the test tested nothing")


@pyuvm.test(**LIMIT)
class tile_abort_offered(AbortTest):
    """A result that is offered when an abort comes stays until it is taken, and busy with it; no start before."""

    async def stimulus(self) -> None:
        env = self.env
        for vectors, raw in itertools.product((1, min(4, env.config.depth)), (False, True)):  # alone it is the last
            env.streams["results"].stall = itertools.repeat(1 << 20).__next__
            layer = cocotb.start_soon(self.run_job(self.job(self.shape(n_tiles=2, vectors=vectors, raw=raw))))
            while not env.dut.m_axis_y_tvalid.value:
                await ClockCycles(env.dut.clk_i, 1)
            await self.settle()
            await self.write(Register.CONTROL, ABORT)
            for _ in range(3):
                await self.settle()
                await self.expect(Register.STATUS, 1)
                await self.read_counters()
            await self.write(Register.CONTROL, 0)
            await self.write(Register.CONTROL, START, SLVERR)
            await self.write(Register.MODE, not raw, SLVERR)
            await env.take_one_result()
            await self.expect(Register.STATUS, 0)
            await layer
            env.streams["results"].stall = no_stall
            await self.run_job(self.job(self.shape(n_tiles=3)))


@pyuvm.test(**LIMIT)
class tile_abort_progress(TileTest):
    """TILE stays where an abort found it, at every tile of a layer, and the counters stand still."""

    async def stimulus(self) -> None:
        env = self.env
        still = (Register.TILE, *MEASURED)
        for at in range(9):
            reached = Event()

            async def before(name: str, index: int, at: int = at, reached: Event = reached) -> None:
                if name == "activations" and index == at:
                    await self.settle()
                    reached.set()
                    await self.settle()

            shape = self.shape(k_tiles=3, n_tiles=3, vectors=1)
            layer = cocotb.start_soon(self.run_job(self.job(shape), before))
            await reached.wait()
            await self.expect(Register.TILE, at // 3 << 16 | at % 3)
            await self.write(Register.CONTROL, ABORT)
            await layer
            await self.expect(Register.TILE, at // 3 << 16 | at % 3)
            kept = [(await env.read(register)).data for register in still]
            await self.write(Register.CONTROL, 0)
            await self.settle()
            for register, value in zip(still, kept, strict=True):
                await self.expect(register, value)
        await self.run_job(self.job(self.shape()))
        await self.expect_faults()
