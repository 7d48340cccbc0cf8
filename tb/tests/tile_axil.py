"""Tests of a tile engine's registers: rights, strobes, accesses that meet, what is refused and counted."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cocotb
import pyuvm
from cocotb.triggers import ClockCycles, FallingEdge

from models.hardware.tile import ABORT, ID, START, VERSION, WRITABLE, Fault, Register, Shape
from tb.agents.axil import OKAY, SLVERR, Access
from tb.sequences import LayerSequence, PacketSequence, job_packets
from tb.tests.base import LIMIT
from tb.tests.tile import TileTest

WORDS = range(0, 256, 4)
CHANGING = (Register.STATUS, Register.ERRORS, *range(Register.TILE, Register.OPEN_BEATS + 1, 4))


@pyuvm.test(**LIMIT)
class tile_registers(TileTest):
    """Every register, what may not be written, bytes, and what is refused while a layer runs."""

    async def stimulus(self) -> None:
        config = self.env.config
        await self.expect(Register.ID, ID)
        await self.expect(Register.VERSION, VERSION)
        await self.expect(Register.GEOMETRY, config.columns << 16 | config.rows)
        await self.expect(Register.DEPTH, config.depth)
        for register, value in Shape(last_rows=config.rows).registers().items():
            await self.expect(register, value)
        for register in (Register.CONTROL, Register.STATUS, Register.ERRORS, Register.TILE, Register.CYCLES):
            await self.expect(register, 0)
        for address in (max(Register) + 4, 0x80, 0xFC):
            await self.expect(address, 0, SLVERR)
            await self.write(address, 0, SLVERR)
        for register in (Register.ID, Register.DEPTH, Register.STATUS, Register.TILE, Register.OPEN_BEATS):
            await self.write(register, 1, SLVERR)
        # words, bytes, bits that do not exist
        await self.write(Register.K_TILES, 0x1234)
        await self.write(Register.K_TILES, 0xFFFFFF56, strobe=1)
        await self.expect(Register.K_TILES, 0x1256)
        await self.write(Register.K_TILES, 0xFFFF78FF, strobe=2)
        await self.expect(Register.K_TILES, 0x7856)
        await self.write(Register.K_TILES, 0x10000, SLVERR)
        await self.write(Register.MODE, 2, SLVERR)
        await self.write(Register.CLAMP, 1 << 24, SLVERR)
        await self.write(Register.CONTROL, 4, SLVERR)
        await self.write(Register.CONTROL, 3, SLVERR)
        await self.expect(Register.K_TILES + 3, 0x7856)  # the lowest address bits do not count
        self.env.stall_all()
        for register, bits in ((Register.N_TILES, 16), (Register.VECTORS, 16), (Register.LAST_ROWS, 16)):
            value = self.env.rng.getrandbits(bits)
            await self.write(register, value)
            await self.expect(register, value)
        # a layer that waits for its streams keeps its registers
        shape = self.shape()
        for register, word in shape.registers().items():
            await self.write(register, word)
        await self.write(Register.CONTROL, 0)
        await self.expect(Register.STATUS, 0)
        await self.write(Register.CONTROL, 1)
        await self.expect(Register.STATUS, 1)
        for register, word in shape.registers().items():
            await self.write(register, word ^ 1, SLVERR)
        await self.write(Register.CONTROL, 1, SLVERR)
        for register, word in shape.registers().items():
            await self.expect(register, word)
        await self.env.reset(2)
        for register, value in Shape(last_rows=config.rows).registers().items():
            await self.expect(register, value)
        await self.expect(Register.STATUS, 0)


@pyuvm.test(**LIMIT)
class tile_bad_sizes(TileTest):
    """Every size that is refused sets its bit and nothing starts; together they set all bits."""

    async def stimulus(self) -> None:
        config = self.env.config
        good = Shape(last_rows=config.rows)
        bad: dict[Fault, list[dict]] = {
            Fault.K_TILES: [{"k_tiles": 0}],
            Fault.N_TILES: [{"n_tiles": 0}],
            Fault.VECTORS: [{"vectors": 0}, {"vectors": config.depth + 1}, {"vectors": 0xFFFF}],
            Fault.LAST_ROWS: [{"last_rows": 0}, {"last_rows": config.rows + 1}, {"last_rows": 0xFFFF}],
            Fault.CLAMP: [{"lo": 1, "hi": 0}, {"lo": 127, "hi": -128}],
        }
        everything = {key: value for changes in bad.values() for key, value in changes[0].items()}
        for faults, changes in [*((f, c) for f, cs in bad.items() for c in cs), (Fault(0b11111), everything)]:
            for register, word in replace(good, **changes).registers().items():
                await self.write(register, word)
            await self.write(Register.CONTROL, 1)
            await self.expect_faults(*faults)
        await self.run_job(self.job(self.shape()))
        await self.expect_faults()


class AccessTest(TileTest):
    """Random accesses; the reference says what each must answer."""

    def random_access(self) -> Access:
        """Any address, any bits; more often such as are written in earnest."""
        rng = self.env.rng
        address = rng.choice((*WORDS, *Register, *WRITABLE, *WRITABLE)) | rng.choice((0, 0, rng.randrange(4)))
        data = rng.choice((rng.getrandbits(32), rng.getrandbits(16), 1 << rng.randrange(32), rng.randrange(4), 1))
        if rng.random() < 0.7:
            data &= WRITABLE.get(address & ~3, 0xFFFFFFFF)
        strobe = rng.choice((15, 15, rng.randrange(16), 1 << rng.randrange(4)))
        lead, hold = rng.choice((0, 0, rng.randint(-6, 6))), rng.choice((0, 0, rng.randrange(6)))
        return Access(rng.random() < 0.6, address, data, strobe, lead, hold)


@pyuvm.test(**LIMIT)
class tile_register_access(AccessTest):
    """Every word with every strobe, written and read, in an idle and in a busy engine."""

    async def stimulus(self) -> None:
        env, rng = self.env, self.env.rng
        for busy in (False, True):
            if busy:
                for register, word in self.shape().registers().items():
                    await self.write(register, word)
                await self.write(Register.CONTROL, 1)
            for word, strobe in itertools.product(WORDS, range(16)):
                # a start, or its refusal, is for others
                data = rng.getrandbits(32) & rng.choice((0xFFFFFFFF, WRITABLE.get(word, 0xFFFFFFFF)))
                data &= ~3 if word == Register.CONTROL else 0xFFFFFFFF
                await env.write(word | rng.randrange(4), data, strobe)
                await env.read(word | rng.randrange(4))
            await self.expect(Register.STATUS, int(busy))
        await self.abort()
        await self.run_job(self.job(self.shape()))
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_register_bits(TileTest):
    """Every bit of every register that can be written is kept, by itself, and no other register moves."""

    async def stimulus(self) -> None:
        kept = {r: w for r, w in WRITABLE.items() if r not in (Register.CONTROL, Register.ERRORS)}
        for register, writable in kept.items():
            for bit in (1 << b for b in range(32)):
                await self.write(register, bit, OKAY if bit & writable else SLVERR)
            for value in (writable, 0, writable & 0x55555555, writable & 0xAAAAAA):
                await self.write(register, value)
                for other in kept:
                    await self.expect(other, value if other == register else self.env.reference.words[other])


@pyuvm.test(**LIMIT)
class tile_register_collisions(AccessTest):
    """Accesses that overlap: reads that meet writes, addresses before and after data, answers that wait."""

    async def stimulus(self) -> None:
        env, rng = self.env, self.env.rng
        agent = env.agents["registers"]
        for lead, hold, gap in itertools.product((-5, -2, -1, 0, 1, 2, 5), (0, 1, 4), range(5)):
            value = rng.getrandbits(16)
            write = Access(True, Register.K_TILES, value, 15, lead, hold)
            after = Access(True, Register.N_TILES, value ^ 0xFFFF, 15, -lead, 0)
            await agent.begin(write)
            await agent.begin(after)
            await ClockCycles(env.dut.clk_i, gap)
            await agent.overlap(*(Access(False, r, hold=hold) for r in (Register.K_TILES, Register.N_TILES)))
            await after.done.wait()
            await self.expect(Register.K_TILES, value)
            await self.expect(Register.N_TILES, value ^ 0xFFFF)
        for stall in (False, True):
            env.stall_all(stall)
            for _ in range(40):
                await agent.overlap(*(self.random_access() for _ in range(rng.randint(2, 8))))
                await self.write(Register.CONTROL, ABORT)
                await self.write(Register.CONTROL, 0)
        env.stall_all(False)
        await self.write(Register.ERRORS, 0xFFF)
        await self.run_job(self.job(self.shape()))
        await self.expect_faults()


@pyuvm.test(**LIMIT)
class tile_register_resets(AccessTest):
    """A reset between any two events of accesses that overlap; registers are then as after power-up."""

    async def stimulus(self) -> None:
        env, rng = self.env, self.env.rng
        for cycles, short in itertools.product(range(16), (False, True)):
            accesses = [self.random_access() for _ in range(6)]
            for access in accesses:
                await env.agents["registers"].begin(access)
            await ClockCycles(env.dut.clk_i, cycles)
            if short:
                await env.reset_between_edges(rng.uniform(0.1, 0.5), 0.3)
            else:
                await env.reset(1)
            for access in accesses:
                await access.done.wait()
            for register, value in Shape(last_rows=env.config.rows).registers().items():
                await self.expect(register, value)
            for register in CHANGING:
                await self.expect(register, 0)


@pyuvm.test(**LIMIT)
class tile_errors_collisions(TileTest):
    """A fault that comes in the cycle in which it is cleared stays, before and after it is cleared; also while busy."""

    async def stimulus(self) -> None:
        env = self.env
        shape, met = self.shape(n_tiles=2, raw=False), 0
        for delay in range(14):
            job = self.job(shape)
            job.parameters[0, :, 2] = 0
            for register, data in (shape.registers() | {Register.CONTROL: 1}).items():
                await self.write(register, data)
            packet = job_packets(job, env.numpy_rng)["parameters"][0]
            clear = Access(True, Register.ERRORS, int(Fault.PARAMETER_RANGE))
            packet.beats = packet.beats[:1]  # early, unless there is but one column
            await env.agents["registers"].begin(clear)
            await ClockCycles(env.dut.clk_i, delay % 7)
            sent = cocotb.start_soon(PacketSequence(packet).start(env.agents["parameters"].sequencer))
            if delay >= 7:
                await env.agents["registers"].begin(Access(True, Register.ERRORS, 0xFFF))
            await sent
            await clear.done.wait()
            await env.read(Register.ERRORS)
            await env.read(Register.STATUS)
            met += env.reference.met
            await self.write(Register.ERRORS, 0xFFF)  # while busy
            await self.expect(Register.ERRORS, 0)
            await self.abort()
        if not env.reference.met:
            raise AssertionError("no fault came in the cycle of its clearing: the test tested nothing")


@pyuvm.test(**LIMIT)
class tile_errors_bits(TileTest):
    """All faults at once, then each bit of ERRORS cleared alone: by a 1 in a byte that is written, by nothing else."""

    async def stimulus(self) -> None:
        rng = self.env.rng
        for register in (Register.K_TILES, Register.N_TILES, Register.VECTORS, Register.LAST_ROWS):
            await self.write(register, 0)
        await self.write(Register.CLAMP, 0x0001)
        await self.write(Register.CONTROL, START)
        sequence = LayerSequence(self.env, self.job(self.shape(k_tiles=2, n_tiles=2, vectors=self.vectors, raw=False)))
        for name, packets in sequence.packets.items():
            early, late = packets[0], packets[-1]
            if name == "parameters":
                late.beats[0] &= ~(0xFFFFFFFF << 64)  # a shift of 0
            del early.beats[1:]  # too early, unless one beat is all
            late.beats.append(rng.getrandbits(8))
        await sequence.start()
        await FallingEdge(self.env.dut.clk_i)
        faults = int(self.env.reference.model.faults)
        self.env.scoreboard.check("no fault of a whole engine is left out", faults | self.impossible, 0xFFF)
        for byte, strobe in ((0xFFF, 0), (0, 15), (0xFFF, 12)):
            await self.write(Register.ERRORS, byte, strobe=strobe)
            await self.expect(Register.ERRORS, faults)
        for bit in rng.sample(range(12), 12):
            own = 1 << bit // 8
            await self.write(Register.ERRORS, 1 << bit, strobe=15 & ~own)
            await self.expect(Register.ERRORS, faults)
            await self.write(Register.ERRORS, 1 << bit, strobe=own)
            faults &= ~(1 << bit)
            await self.expect(Register.ERRORS, faults)
            await self.expect(Register.STATUS, 2 * bool(faults))

    @property
    def vectors(self) -> int:
        """Vectors of the layer."""
        return min(3, self.env.config.depth)

    @property
    def impossible(self) -> Fault:
        """Packets of one beat cannot end early."""
        sizes = {
            Fault.WEIGHTS_EARLY: self.env.config.rows,
            Fault.ACTIVATIONS_EARLY: self.vectors,
            Fault.PARAMETERS_EARLY: self.env.config.columns,
        }
        return sum((fault for fault, beats in sizes.items() if beats == 1), Fault(0))
