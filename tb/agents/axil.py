"""AXI4-Lite agent: accesses overlap, the channels of each move on their own; a checker of the protocol.

Addresses, data and answers wait for nobody but their own channel, so an address may come long before or
after its data, the next access while an answer waits, a read in the middle of a write. Driver and monitor
touch ports and nothing else. An access that a reset cuts off is marked.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.queue import Queue
from cocotb.triggers import Event, FallingEdge, RisingEdge
from cocotb_bus.bus import Bus
from pyuvm import (
    ConfigDB,
    uvm_agent,
    uvm_analysis_port,
    uvm_driver,
    uvm_monitor,
    uvm_sequence,
    uvm_sequence_item,
    uvm_sequencer,
)

from tb.agents.axis import ProtocolError, Stall, no_stall

OKAY, EXOKAY, SLVERR, DECERR = range(4)
# the payload of each channel, which goes with its valid and must not change until its ready
CHANNELS = {
    "aw": ("awaddr",),
    "w": ("wdata", "wstrb"),
    "b": ("bresp",),
    "ar": ("araddr",),
    "r": ("rdata", "rresp"),
}
REQUESTS = {"b": ("aw", "w"), "r": ("ar",)}  # what an answer answers
SIGNALS = [name for channel, data in CHANNELS.items() for name in (*data, f"{channel}valid", f"{channel}ready")]


@dataclass
class AxilConfig:
    """Where the pins are and how long the driver waits on each channel."""

    dut: HierarchyObject
    prefix: str
    stall: Stall = no_stall
    rng: random.Random = field(default_factory=lambda: random.Random(1))  # of what idle pins show


class Access(uvm_sequence_item):
    """A read or a write of one word. `response` is None until it has come.

    `lead`: cycles by which the address of a write is offered before its data; negative: after them.
    `hold`: cycles for which the answer is left waiting once it shows.
    """

    def __init__(
        self, write: bool, address: int, data: int = 0, strobe: int = 15, lead: int = 0, hold: int = 0
    ) -> None:
        super().__init__("access")
        self.write, self.address, self.data, self.strobe = write, int(address), int(data), strobe
        self.lead, self.hold = lead, hold
        self.response: int | None = None
        self.done = Event()

    @property
    def aborted(self) -> bool:
        """True if a reset cut it off."""
        return self.response is None


class _Pins:
    def __init__(self, config: AxilConfig) -> None:
        self.clock = config.dut.clk_i
        self.reset_n = config.dut.rst_ni
        self.bus = Bus(config.dut, config.prefix, SIGNALS)

    def pin(self, name: str):
        """Handle of one signal."""
        return getattr(self.bus, name)


class AxilDriver(uvm_driver):
    """The master: a queue for each channel. An item is done for the sequencer when its channels have it."""

    def start_of_simulation_phase(self) -> None:
        self.config: AxilConfig = ConfigDB().get(self, "", "config")
        self.pins = _Pins(self.config)
        self._begin()

    def _begin(self) -> None:
        """Nothing offered, nothing under way."""
        self._queues: dict[str, Queue[Access]] = {channel: Queue() for channel in CHANNELS}
        self._open: list[Access] = []
        for channel in ("aw", "w", "ar"):
            self._idle(channel)
        self.pins.pin("bready").value = self.pins.pin("rready").value = 0

    def _idle(self, channel: str) -> None:
        """Valid low, random payload: a design that looks at it is found out."""
        self.pins.pin(f"{channel}valid").value = 0
        for name in CHANNELS[channel]:
            self.pins.pin(name).value = self.config.rng.getrandbits(len(self.pins.pin(name)))

    async def run_phase(self) -> None:
        tasks = self._start()
        cocotb.start_soon(self._take_items())
        while True:
            await FallingEdge(self.pins.reset_n)
            for task in tasks:
                task.cancel()
            cut_off = self._open
            self._begin()
            for access in cut_off:
                access.done.set()
            tasks = self._start()

    def _start(self) -> list[cocotb.task.Task]:
        """The channels at work."""
        work = {"aw": self._address, "w": self._data, "ar": self._read_address, "b": self._answer, "r": self._answer}
        return [cocotb.start_soon(self._serve(channel, one)) for channel, one in work.items()]

    async def _serve(self, channel: str, one: Callable) -> None:
        """Accesses of one channel, one after the other."""
        while True:
            await one(channel, await self._queues[channel].get())

    async def _take_items(self) -> None:
        while True:
            access = await self.seq_item_port.get_next_item()
            if self.pins.reset_n.value != 1:  # a reset that ends now has ended at the next edge
                await RisingEdge(self.pins.clock)
            if self.pins.reset_n.value == 1:
                self._open.append(access)
                for channel in ("aw", "w", "b") if access.write else ("ar", "r"):
                    self._queues[channel].put_nowait(access)
            else:
                access.done.set()
            self.seq_item_port.item_done()

    async def _wait(self, cycles: int) -> None:
        for _ in range(cycles):
            await RisingEdge(self.pins.clock)

    async def _address(self, channel: str, access: Access) -> None:
        await self._wait(max(0, -access.lead))
        await self._send(channel, access.address)

    async def _data(self, channel: str, access: Access) -> None:
        await self._wait(max(0, access.lead))
        await self._send(channel, access.data, access.strobe)

    async def _read_address(self, channel: str, access: Access) -> None:
        await self._send(channel, access.address)

    async def _send(self, channel: str, *values: int) -> None:
        """Offer a payload on a channel until it is taken."""
        await self._wait(self.config.stall())
        for name, value in zip(CHANNELS[channel], values, strict=True):
            self.pins.pin(name).value = value
        self.pins.pin(f"{channel}valid").value = 1
        while True:
            await RisingEdge(self.pins.clock)
            if self.pins.pin(f"{channel}ready").value == 1:
                break
        self._idle(channel)

    async def _answer(self, channel: str, access: Access) -> None:
        """Take the answer to an access."""
        await self._wait(self.config.stall())
        valid, ready = self.pins.pin(f"{channel}valid"), self.pins.pin(f"{channel}ready")
        if access.hold:
            while valid.value != 1:
                await RisingEdge(self.pins.clock)
            await self._wait(access.hold)
        ready.value = 1
        while True:
            await RisingEdge(self.pins.clock)
            if valid.value == 1:
                break
        ready.value = 0
        if channel == "r":
            access.data = int(self.pins.pin("rdata").value)
        access.response = int(self.pins.pin(f"{channel}resp").value)
        self._open.remove(access)
        access.done.set()


class AxilChecker:
    """The rules of the protocol (AMBA AXI, IHI 0022: A3.1.2 reset, A3.2 handshakes, A3.3 channels, B1.1 Lite).

    Outside reset valid and ready are known, and so is the payload while it is valid; valid and payload stay
    until they are taken; an answer comes after all of its request, one for each; it is OKAY, SLVERR or DECERR.
    In reset no valid is high. Either side of the interface may break a rule.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.beats = 0
        self._powered = False  # the clock's very first edge may come together with the first reset
        self.reset()

    def reset(self) -> None:
        """Forget what is under way."""
        self._waiting: dict[str, tuple] = {}
        self._taken: dict[str, deque[tuple]] = {channel: deque() for channel in ("aw", "w", "ar")}

    @property
    def unanswered(self) -> dict[str, int]:
        """Requests that were taken and have no answer yet, by channel."""
        return {channel: len(taken) for channel, taken in self._taken.items() if taken}

    def in_reset(self, sample: Callable[[str], int | None]) -> None:
        """A clock edge in reset; `sample` as for `cycle`."""
        powered, self._powered = self._powered, True
        for channel in CHANNELS if powered else ():
            if (valid := sample(f"{channel}valid")) != 0:
                raise ProtocolError(f"{self.prefix}: {channel}valid is {_text(valid)} in reset")
        self.reset()

    def cycle(self, sample: Callable[[str], int | None]) -> list[Access]:
        """One clock edge. `sample` gives a signal's value by name, None if a bit of it is neither 0 nor 1.

        Gives the accesses whose answer shows for the first time: what is written has been written, what is
        read was read a cycle before, so a read comes first.
        """
        self._powered = True
        answers: dict[str, tuple] = {}
        taken: dict[str, tuple] = {}
        for channel, names in CHANNELS.items():
            valid, ready = sample(f"{channel}valid"), sample(f"{channel}ready")
            if valid is None or ready is None:
                what = f"{channel}valid={_text(valid)} {channel}ready={_text(ready)}"
                raise ProtocolError(f"{self.prefix}: {what} outside reset")
            before = self._waiting.pop(channel, None)
            if not valid:
                if before is not None:
                    raise ProtocolError(f"{self.prefix}: {channel}valid fell before {channel}ready")
                continue
            values = tuple(sample(name) for name in names)
            if None in values:
                raise ProtocolError(f"{self.prefix}: {', '.join(names)} not known while {channel}valid is high")
            if before is not None and before != values:
                raise ProtocolError(f"{self.prefix}: {', '.join(names)} changed while {channel}ready was low")
            if channel in REQUESTS and before is None:
                answers[channel] = values
            if not ready:
                self._waiting[channel] = values
                continue
            self.beats += 1
            if channel in self._taken:
                taken[channel] = values
        # what is taken now can be answered from the next cycle on
        shown = [self._answered(channel, answers[channel]) for channel in ("r", "b") if channel in answers]
        for channel, values in taken.items():
            self._taken[channel].append(values)
        return shown

    def _answered(self, channel: str, values: tuple) -> Access:
        asked = REQUESTS[channel]
        if not all(self._taken[name] for name in asked):
            raise ProtocolError(f"{self.prefix}: {channel}valid without a request")
        if values[-1] == EXOKAY:
            raise ProtocolError(f"{self.prefix}: {channel}resp is EXOKAY, which AXI4-Lite does not have")
        request = [value for name in asked for value in self._taken[name].popleft()]
        access = Access(channel == "b", *request) if channel == "b" else Access(False, *request, values[0])
        access.response = values[-1]
        return access


def _text(value: int | None) -> str:
    return "X" if value is None else str(value)


class AxilMonitor(uvm_monitor):
    """Reports every access when its answer shows; holds both sides to the protocol."""

    def build_phase(self) -> None:
        self.ap = uvm_analysis_port("ap", self)

    def start_of_simulation_phase(self) -> None:
        self.config: AxilConfig = ConfigDB().get(self, "", "config")
        self.pins = _Pins(self.config)
        self.checker = AxilChecker(self.config.prefix)

    @property
    def beats(self) -> int:
        """Transfers of all channels."""
        return self.checker.beats

    def sample(self, name: str) -> int | None:
        """A signal as the checker wants it."""
        value = self.pins.pin(name).value
        return int(value) if value.is_resolvable else None

    async def run_phase(self) -> None:
        cocotb.start_soon(self._follow_resets())
        while True:
            await RisingEdge(self.pins.clock)
            if self.pins.reset_n.value != 1:
                self.checker.in_reset(self.sample)
                continue
            for access in self.checker.cycle(self.sample):
                self.ap.write(access)

    async def _follow_resets(self) -> None:
        """A reset may be over before the next edge of the clock."""
        while True:
            await FallingEdge(self.pins.reset_n)
            self.checker.reset()


class _AccessSequence(uvm_sequence):
    """Hands one access to the driver."""

    def __init__(self, access: Access) -> None:
        super().__init__("access")
        self.access = access

    async def body(self) -> None:
        await self.start_item(self.access)
        await self.finish_item(self.access)


class AxilAgent(uvm_agent):
    """Sequencer and driver of the master, and the monitor."""

    def build_phase(self) -> None:
        self.config: AxilConfig = ConfigDB().get(self, "", "config")
        ConfigDB().set(self, "*", "config", self.config)
        self.monitor = AxilMonitor.create("monitor", self)
        self.sequencer = uvm_sequencer.create("sequencer", self)
        self.driver = AxilDriver.create("driver", self)

    def connect_phase(self) -> None:
        self.driver.seq_item_port.connect(self.sequencer.seq_item_export)

    async def begin(self, access: Access) -> Access:
        """Start an access and go on: `access.done` is set when it has its answer, or a reset cut it off."""
        await _AccessSequence(access).start(self.sequencer)
        return access

    async def access(self, access: Access) -> Access:
        """Run one access to its end."""
        await self.begin(access)
        await access.done.wait()
        return access

    async def overlap(self, *accesses: Access) -> None:
        """Start accesses at once, in this order, and wait for the end of all."""
        for access in accesses:
            await self.begin(access)
        for access in accesses:
            await access.done.wait()
