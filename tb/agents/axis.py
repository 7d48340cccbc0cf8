"""AXI4-Stream agent: sequencer, driver, monitor, config.

As a source it sends packets beat by beat; as a sink it only decides when to be ready. Driver and
monitor touch ports and nothing else. Both live through a reset at any time: a packet that is cut
off by a reset is dropped and marked, not resumed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, RisingEdge, select
from cocotb_bus.bus import Bus
from pyuvm import ConfigDB, uvm_agent, uvm_analysis_port, uvm_driver, uvm_monitor, uvm_sequence_item, uvm_sequencer

Stall = Callable[[], int]


def no_stall() -> int:
    """Never wait."""
    return 0


def random_stall(rng: random.Random, probability: float = 0.3, longest: int = 8) -> Stall:
    """Wait 1..longest cycles with the given probability, otherwise not at all."""
    return lambda: rng.randint(1, longest) if rng.random() < probability else 0


@dataclass
class AxisConfig:
    """What an agent needs to know: where its pins are and how it behaves.

    A source asks `stall` before each beat. A sink asks it for each cycle in which it would be ready, or with `by_beat`
    once a beat, and then counts only cycles in which that beat is offered.
    """

    dut: HierarchyObject
    prefix: str
    source: bool
    stall: Stall = no_stall
    by_beat: bool = False
    rng: random.Random = field(default_factory=random.Random)


class Packet(uvm_sequence_item):
    """Beats (integers as wide as tdata) of which the last carries tlast, unless the packet has no end."""

    def __init__(self, name: str, beats: list[int], ends: bool = True) -> None:
        super().__init__(name)
        self.beats, self.ends = beats, ends
        self.aborted = False


@dataclass(frozen=True)
class Beat:
    """One accepted transfer; `data` is None if a bit of tdata was not 0 or 1.

    Before it nothing was offered for `gap` cycles (since the beat before, or the reset), then it was
    offered in vain for `waited` cycles.
    """

    data: int | None
    last: bool
    gap: int = 0
    waited: int = 0


class ProtocolError(AssertionError):
    """The design broke a rule of the stream protocol."""


class _Pins:
    """The bus of one interface, with its clock and reset."""

    def __init__(self, config: AxisConfig) -> None:
        self.clock = config.dut.clk_i
        self.reset_n = config.dut.rst_ni
        self.bus = Bus(config.dut, config.prefix, ["tdata", "tvalid", "tready", "tlast"])


class AxisSource(uvm_driver):
    """Drives tdata, tvalid and tlast."""

    def start_of_simulation_phase(self) -> None:
        self.config: AxisConfig = ConfigDB().get(self, "", "config")
        self.pins = _Pins(self.config)
        self._idle()

    def _idle(self) -> None:
        """tvalid low, random data: a design that looks at it is found out."""
        bus = self.pins.bus
        bus.tvalid.value = 0
        bus.tlast.value = self.config.rng.getrandbits(1)
        bus.tdata.value = self.config.rng.getrandbits(len(bus.tdata))

    async def run_phase(self) -> None:
        while True:
            packet = await self.seq_item_port.get_next_item()
            # a reset may be over before the next edge of the clock
            first, sent = await select(self._send(packet), FallingEdge(self.pins.reset_n))
            packet.aborted = bool(first) or not sent
            self._idle()
            self.seq_item_port.item_done()

    async def pause(self) -> bool:
        """Wait before a beat as the config says; False if a reset came. A subclass may have other reasons to wait."""
        return all([await self.cycle() for _ in range(self.config.stall())])

    async def cycle(self) -> bool:
        """Offer nothing for a cycle; False if a reset came."""
        self.pins.bus.tvalid.value = 0
        await RisingEdge(self.pins.clock)
        return bool(self.pins.reset_n.value)

    async def _send(self, packet: Packet) -> bool:
        """True once every beat is taken, False if a reset came in between."""
        pins, final = self.pins, len(packet.beats) - 1
        for index, data in enumerate(packet.beats):
            if not await self.pause():
                return False
            pins.bus.tdata.value = data
            pins.bus.tlast.value = int(index == final and packet.ends)
            pins.bus.tvalid.value = 1
            while True:
                await RisingEdge(pins.clock)
                if not pins.reset_n.value:
                    return False
                if pins.bus.tready.value == 1:
                    break
        return True


class PoliteSource(AxisSource):
    """Offers a beat only once it has seen tready: a design must not wait for tvalid before it is ready.

    Takes the place of AxisSource by the factory, as any driver, monitor or sequencer may.
    """

    waited = 0

    async def pause(self) -> bool:
        running = await super().pause() and await self.cycle()
        while running and self.pins.bus.tready.value != 1:
            self.waited += 1
            running = await self.cycle()
        return running


class AxisSink(uvm_driver):
    """Drives tready. Another pattern of stalls ends the stall that lasts."""

    def start_of_simulation_phase(self) -> None:
        self.config: AxisConfig = ConfigDB().get(self, "", "config")
        self.pins = _Pins(self.config)
        self.pins.bus.tready.value = 0

    async def run_phase(self) -> None:
        pins, ready = self.pins, self.pins.bus.tready
        while True:
            stall = self.config.stall
            if wait := stall():
                ready.value = 0
                while wait and self.config.stall is stall:
                    await RisingEdge(pins.clock)
                    wait -= not self.config.by_beat or pins.bus.tvalid.value == 1
            ready.value = 1
            await RisingEdge(pins.clock)
            while self.config.by_beat and self.config.stall is stall and pins.bus.tvalid.value != 1:
                await RisingEdge(pins.clock)


class AxisMonitor(uvm_monitor):
    """Reports accepted beats; holds the sender to the protocol (known, stable until taken)."""

    def build_phase(self) -> None:
        self.ap = uvm_analysis_port("ap", self)
        self.waits = uvm_analysis_port("waits", self)  # every cycle in which a beat is offered in vain
        self.beats = 0

    def start_of_simulation_phase(self) -> None:
        self.config: AxisConfig = ConfigDB().get(self, "", "config")
        self.pins = _Pins(self.config)

    async def run_phase(self) -> None:
        while True:
            await select(self._watch(), FallingEdge(self.pins.reset_n))

    async def _watch(self) -> None:
        """From the end of a reset to the next one."""
        bus, prefix = self.pins.bus, self.config.prefix
        waiting: tuple[object, object] | None = None
        gap = waited = 0
        while True:
            await RisingEdge(self.pins.clock)
            if self.pins.reset_n.value != 1:
                continue
            valid, ready = bus.tvalid.value, bus.tready.value
            if not (valid.is_resolvable and ready.is_resolvable):
                raise ProtocolError(f"{prefix}: tvalid={valid} tready={ready} outside reset")
            if not valid:
                if waiting is not None:
                    raise ProtocolError(f"{prefix}: tvalid fell before the beat was taken")
                gap += 1
                continue
            data, last = bus.tdata.value, bus.tlast.value
            if waiting is not None and waiting != (data, last):
                raise ProtocolError(f"{prefix}: tdata or tlast changed while tready was low")
            if not ready:
                waiting, waited = (data, last), waited + 1
                self.waits.write(None)
                continue
            self.beats += 1
            known = data.is_resolvable and last.is_resolvable
            self.ap.write(Beat(int(data) if known else None, bool(last) if known else False, gap, waited))
            waiting, gap, waited = None, 0, 0


class AxisAgent(uvm_agent):
    """Sequencer and driver of one side of a stream, and its monitor."""

    def build_phase(self) -> None:
        self.config: AxisConfig = ConfigDB().get(self, "", "config")
        ConfigDB().set(self, "*", "config", self.config)
        self.monitor = AxisMonitor.create("monitor", self)
        if self.config.source:
            self.sequencer = uvm_sequencer.create("sequencer", self)
            self.driver = AxisSource.create("driver", self)
        else:
            self.driver = AxisSink.create("driver", self)

    def connect_phase(self) -> None:
        if self.config.source:
            self.driver.seq_item_port.connect(self.sequencer.seq_item_export)
