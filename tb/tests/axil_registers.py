"""axil_registers alone: its register model, and every answer against it, to the cycle."""

from __future__ import annotations

from collections import deque

import cocotb
import pyuvm
from cocotb.triggers import FallingEdge, RisingEdge, Timer
from cocotbext.axi import AxiLiteBus, AxiLiteMaster
from pyuvm import ConfigDB, uvm_predict_e, uvm_status_e, uvm_test

from models.hardware.tile import Register
from tb.agents.axil import OKAY, SLVERR, Access, AxilAgent, AxilConfig, AxilMonitor
from tb.agents.axis import no_stall, random_stall
from tb.env.leaf import LIMIT, Leaf
from tb.env.registers import RegisterModel
from tb.env.scoreboard import Listener

WORDS = 64
HARDWARE = {"TILE": "tile_i", "CYCLES": "cycles_i", "OPEN_CYCLES": "open_cycles_i", "OPEN_BEATS": "open_beats_i"}
OUTPUTS = {"K_TILES": "k_tiles_o", "N_TILES": "n_tiles_o", "VECTORS": "vectors_o", "LAST_ROWS": "last_rows_o"}
SIZE_ERRORS, PULSES = 0x1F, 0xFE0


class Checker:
    """What the registers must be and answer: the register model, kept up to date at every clock edge.

    Reads and writes come from the monitor when their answer shows, one edge after they took effect; until then
    the model stays one edge behind the pins.
    """

    def __init__(self, bench: Leaf, monitor: AxilMonitor) -> None:
        self.bench, self.monitor = bench, monitor
        self.model = RegisterModel(*(bench.value[name] for name in ("Rows", "Cols", "Depth")))
        self.shown: deque[Access] = deque()
        self.reset()

    def reset(self) -> None:
        """Everything as after a reset."""
        for register in self.model.words.values():
            register.reset()
        self.shown.clear()
        self.pins = self.outputs()
        self.before: dict[str, int] | None = None  # inputs at the edge before
        self.started = False

    def seen(self, access: Access) -> None:
        """From the monitor."""
        self.shown.append(access)

    async def run(self) -> None:
        """Follow the pins for ever."""
        dut, names = self.bench.dut, ("busy_i", "errors_i", *HARDWARE.values())
        while True:
            await RisingEdge(dut.clk_i)
            inputs = {name: int(getattr(dut, name).value) for name in names}
            outputs = {name: self.bench.get(name) for name in self.pins}
            start = self.bench.get("start_o")
            await FallingEdge(dut.clk_i)  # the monitor has reported
            if dut.rst_ni.value != 1:
                self.reset()
                continue
            if self.before is not None:
                self.settle()
            for name in self.pins if outputs != self.pins else ():
                self.bench.check(name, outputs[name], self.pins[name])
            self.bench.check("start_o", start, self.starts(start))
            self.before, self.started = inputs, bool(start)

    def starts(self, start: int) -> int:
        """start_o comes with the edge at which a start is written, so with the answer an edge later."""
        return start if start == 0 or not self.sizes() else 0

    def sizes(self) -> int:
        """Bits of ERRORS that a start would set now."""
        words = {name: self.model[name].get_mirrored_value() for name in (*OUTPUTS, "CLAMP")}
        lo, hi = (int.from_bytes([words["CLAMP"] >> at & 0xFF], signed=True) for at in (0, 8))
        bad = [
            words["K_TILES"] == 0,
            words["N_TILES"] == 0,
            not 1 <= words["VECTORS"] <= self.bench.value["Depth"],
            not 1 <= words["LAST_ROWS"] <= self.bench.value["Rows"],
            lo > hi,
        ]
        return sum(fault << bit for bit, fault in enumerate(bad))

    def outputs(self) -> dict[str, int]:
        """What the pins of the engine's side must show."""
        clamp = self.model["CLAMP"].get_mirrored_value()
        found = {pin: self.model[name].get_mirrored_value() for name, pin in OUTPUTS.items()}
        found |= {"min_o": clamp & 0xFF, "max_o": clamp >> 8 & 0xFF, "zero_point_o": clamp >> 16}
        found |= {"raw_o": self.model["MODE"].get_mirrored_value()}
        return found | {"abort_o": self.model["CONTROL"].get_mirrored_value() >> 1 & 1}

    def settle(self) -> None:
        """What happened at the edge before: reads, then the write, then bits that the engine sets."""
        bench, before = self.bench, self.before
        writes = [access for access in self.shown if access.write]
        for access in self.shown:
            if not access.write:
                self.read(access)
        self.shown.clear()
        start = False
        for access in writes:
            address = access.address & ~3
            errors = self.sizes()
            good = self.model.write(address, access.data, access.strobe, bool(before["busy_i"]))
            what = f"response to a write of {access.data:#x} to {access.address:#x}, strobe {access.strobe:#x}"
            bench.check(f"{what}, busy {before['busy_i']}", access.response, OKAY if good else SLVERR)
            self.pins = self.outputs()
            start = good and address == self.model["CONTROL"].described.address
            start = start and bool(access.data & access.strobe & 1)
            if start:
                self.set_errors(errors)
                start = not errors
        bench.check("start_o with the write of a start", self.started, start)
        self.set_errors(before["errors_i"] << 5)

    def set_errors(self, bits: int) -> None:
        """The engine sets bits of ERRORS."""
        if bits:
            register = self.model["ERRORS"]
            register.predict(register.get_mirrored_value() | bits, kind=uvm_predict_e.UVM_PREDICT_DIRECT)

    def read(self, access: Access) -> None:
        """A read took what the word was before the edge."""
        before = self.before
        register = self.model.words.get(access.address & ~3)
        what = f"a read of {access.address:#x}"
        self.bench.check(f"response to {what}", access.response, SLVERR if register is None else OKAY)
        if register is None:
            expected = 0
        elif (name := register.described.name) in HARDWARE:
            expected = before[HARDWARE[name]]
        elif name == "STATUS":
            expected = (self.model["ERRORS"].get_mirrored_value() != 0) << 1 | before["busy_i"]
        else:
            hidden = sum(field.mask for field in register.described.fields if field.access == "WO")
            expected = register.get_mirrored_value() & ~hidden
        self.bench.check(f"data of {what}", access.data, expected)


class RegistersTest(uvm_test):
    """A test of the registers alone: agent, checker, and what else the engine would do at random."""

    def build_phase(self) -> None:
        self.bus = AxilConfig(cocotb.top, "s_axil")
        ConfigDB().set(self, "bus", "config", self.bus)
        self.agent = AxilAgent.create("bus", self)
        self.listener = Listener("listener", self, lambda access: self.checker.seen(access))

    def connect_phase(self) -> None:
        self.agent.monitor.ap.connect(self.listener.analysis_export)

    async def run_phase(self) -> None:
        self.raise_objection()
        self.dut = cocotb.top
        bench = Leaf(self.dut, type(self).__name__)
        self.rng = self.bus.rng = bench.rng
        self.checker = Checker(bench, self.agent.monitor)
        self.checker.model.connect(self.agent)
        async with bench:
            self.bench = bench
            cocotb.start_soon(self.checker.run())
            await self.stimulus()
            await bench.cycle()
            await bench.cycle()
            bench.check("accesses without an answer", sum(self.agent.monitor.checker.unanswered.values()), 0)
        self.drop_objection()

    async def stimulus(self) -> None:
        """What the test does."""
        raise AssertionError(f"{type(self).__name__} has no stimulus")

    async def engine(self, **pins: int) -> None:
        """Set what the engine tells the registers."""
        await FallingEdge(self.dut.clk_i)
        for name, value in pins.items():
            getattr(self.dut, name).value = value

    def access(self, write: bool, address: int, **fields: int) -> Access:
        """An access with random data, strobes and distances, but for what is given."""
        rng = self.rng
        data = rng.choice([rng.getrandbits(32), 1 << rng.randrange(32), rng.getrandbits(2), rng.getrandbits(12)])
        random = {"data": data, "strobe": rng.choice([15, rng.getrandbits(4)])}
        random |= {"lead": rng.choice([0, 0, 1, -1, rng.randint(-9, 9)]), "hold": rng.choice([0, 0, rng.randint(1, 5)])}
        return Access(write, address | rng.getrandbits(2), **random | fields)

    async def read_all(self) -> None:
        """Every register, one behind the other."""
        await self.agent.overlap(*(Access(False, address) for address in self.checker.model.words))


@pyuvm.test(**LIMIT)
class axil_registers_reset(RegistersTest):
    """Every register through the register model after a reset, and after one at any time."""

    async def stimulus(self) -> None:
        for _ in range(6):
            for address, register in self.checker.model.words.items():
                status, value = await register.read()
                self.bench.check(f"status of {register.get_name()}", status, uvm_status_e.UVM_IS_OK)
                if not any(field.volatile for field in register.described.fields):
                    self.bench.check(f"reset value of {register.get_name()}", value, register.get_reset())
                if register.described.access == "RW":
                    status = await register.write(0 if address == 0x10 else register.described.writable & 0x55AA55AA)
                    self.bench.check(f"write of {register.get_name()}", status, uvm_status_e.UVM_IS_OK)
            await self.engine(errors_i=0x7F)
            await self.engine(errors_i=0)
            # in the middle of accesses
            for address in self.rng.choices(range(0, 4 * WORDS, 4), k=4):
                await self.agent.begin(self.access(self.rng.random() < 0.5, address, data=0, strobe=15))
            await self.bench.reset()
            await Timer(1, unit="ns")
            for name in ("s_axil_bvalid", "s_axil_rvalid", "start_o"):
                self.bench.check(f"{name} in reset", self.bench.get(name), 0)
            await self.bench.release()
            await FallingEdge(self.dut.clk_i)


@pyuvm.test(**LIMIT)
class axil_registers_rights(RegistersTest):
    """Writes of every address with every strobe, idle and busy, bits that exist and bits that do not."""

    async def stimulus(self) -> None:
        rng = self.rng
        for busy in (0, 1):
            await self.engine(busy_i=busy, **{pin: rng.getrandbits(32) for pin in HARDWARE.values()})
            for address in range(0, 4 * WORDS, 4):
                known = self.checker.model.words.get(address)
                writable = known.described.writable if known else 0
                strobed = [(strobe, rng.getrandbits(32) & writable) for strobe in range(16)]
                strobed += [(strobe, rng.getrandbits(32)) for strobe in range(16)]
                bits = [(15, 1 << bit) for bit in range(32)]
                for strobe, data in strobed + bits if known else strobed[15::4]:  # of what is nowhere, some
                    if address == self.checker.model["ERRORS"].described.address:
                        await self.engine(errors_i=0x7F)
                        await self.engine(errors_i=0)
                    await self.agent.access(Access(True, address | rng.getrandbits(2), data, strobe))
                    if writable:
                        await self.agent.access(Access(False, address | rng.getrandbits(2)))
                if known:
                    await self.read_all()


@pyuvm.test(**LIMIT)
class axil_registers_sizes(RegistersTest):
    """Sizes at the ends of what a start allows, each bit of them."""

    async def stimulus(self) -> None:
        rows, depth = self.bench.value["Rows"], self.bench.value["Depth"]
        good = {"K_TILES": 1, "N_TILES": 1, "VECTORS": depth, "LAST_ROWS": rows, "CLAMP": 0x7F80}
        values = {
            "K_TILES": [0, 0xFFFF, *(1 << bit for bit in range(16))],
            "N_TILES": [0, 0xFFFF, *(1 << bit for bit in range(16))],
            "VECTORS": [0, 1, depth + 1, 0xFFFF, *(1 << bit for bit in range(16))],
            "LAST_ROWS": [0, 1, rows + 1, 0xFFFF, *(1 << bit for bit in range(16))],
            "CLAMP": [0x807F, 0x0000, 0x7F7F, 0x8080, 0x0100, 0x0001, 0xFF00, 0x00FF, 0xFF0001, 0x80FF, 0xFF80],
        }
        model = self.checker.model
        for changed, words in values.items():
            for word in words:
                for name, value in (good | {changed: word}).items():
                    await self.agent.access(Access(True, model[name].described.address, value))
                await self.agent.access(Access(True, 0x10, 1))
                await self.read_all()
                await self.agent.access(Access(True, 0x18, self.rng.choice([0xFFF, 0x1F, self.rng.getrandbits(12)])))


@pyuvm.test(**LIMIT)
class axil_registers_overlap(RegistersTest):
    """Accesses that overlap in every way, with stalls, while the engine starts, ends and reports at random."""

    async def stimulus(self) -> None:
        rng, dut = self.rng, self.dut
        favourites = [register.described.address for register in self.checker.model.words.values()]

        async def live() -> None:
            while True:
                pins = {pin: rng.getrandbits(32) for pin in HARDWARE.values()}
                pulses = rng.choice([0, 0, 1 << rng.randrange(7), rng.getrandbits(7)])
                await self.engine(busy_i=rng.random() < 0.3, errors_i=pulses, **pins)

        alive = cocotb.start_soon(live())
        for stall in (no_stall, random_stall(rng)):
            self.bus.stall = stall
            for _ in range(60):
                some = rng.choices([*favourites, 0x10, 0x18, 0x18, max(Register) + 4, 0xFC], k=rng.randint(2, 8))
                await self.agent.overlap(*(self.access(rng.random() < 0.6, address) for address in some))
        alive.cancel()
        await FallingEdge(dut.clk_i)


@pyuvm.test(**LIMIT)
class axil_registers_set_while_cleared(RegistersTest):
    """Bits of ERRORS are set a little before, with and after the edge at which they are cleared."""

    async def stimulus(self) -> None:
        for distance in range(6):
            for bit in range(7):
                await self.engine(errors_i=self.rng.getrandbits(7))
                await self.engine(errors_i=0)
                await self.agent.begin(Access(True, 0x18, 0xFFF, lead=self.rng.randint(-1, 1)))
                for _ in range(distance):
                    await self.engine()
                await self.engine(errors_i=1 << bit)
                await self.engine(errors_i=0)
                await self.agent.access(Access(False, 0x18))
                await self.agent.overlap(Access(True, 0x18, 0xFFF), Access(False, 0x18), Access(False, 0x14))


@pyuvm.test(**LIMIT)
class axil_registers_outside_master(RegistersTest):
    """The same registers through a master that is not ours (cocotbext-axi); our checker watches the bus."""

    async def stimulus(self) -> None:
        rng, model = self.rng, self.checker.model
        master = AxiLiteMaster(AxiLiteBus.from_prefix(self.dut, "s_axil"), self.dut.clk_i, self.dut.rst_ni, False)
        for register in model.words.values():
            described = register.described
            read = await master.read(described.address, 4)
            self.bench.check(f"response to a read of {described.name}", int(read.resp), OKAY)
            value = rng.getrandbits(32) & described.writable & ~1 if described.name == "CONTROL" else described.reset
            wrote = await master.write(described.address, value.to_bytes(4, "little"))
            good = described.access != "RO"
            self.bench.check(f"response to a write of {described.name}", int(wrote.resp), OKAY if good else SLVERR)
        for _ in range(40):  # bytes, and words that follow each other
            begin, length = rng.randrange(0x1C, 0x30), rng.choice([1, 2, 4, 8])
            await master.write(begin, rng.randbytes(length))
            await master.read(rng.randrange(0, 0x100, 4), 4)
        # several at once
        begun = [master.init_write(0x20, b"\x07\x00\x00\x00"), master.init_read(0x20, 4), master.init_read(0x00, 4)]
        for one in begun:
            await one.wait()
        read = await master.read(0x20, 4)
        self.bench.check("N_TILES", int.from_bytes(read.data, "little"), 7)
