"""AXI4-Lite agent: one access at a time, address and data of a write in any order.

Driver and monitor touch ports and nothing else. An access that a reset cuts off is marked.
"""

from __future__ import annotations

from dataclasses import dataclass

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
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

OKAY, SLVERR = 0, 2
# the valid of each channel, the ready it waits for, and what must not change meanwhile
CHANNELS = {
    "aw": ("awaddr",),
    "w": ("wdata", "wstrb"),
    "b": ("bresp",),
    "ar": ("araddr",),
    "r": ("rdata", "rresp"),
}
SIGNALS = [name for channel, data in CHANNELS.items() for name in (*data, f"{channel}valid", f"{channel}ready")]


@dataclass
class AxilConfig:
    """Where the pins are and how long the driver waits on each channel."""

    dut: HierarchyObject
    prefix: str
    stall: Stall = no_stall


class Access(uvm_sequence_item):
    """A read or a write of one word. `response` is None until it has come."""

    def __init__(self, write: bool, address: int, data: int = 0, strobe: int = 15) -> None:
        super().__init__("access")
        self.write, self.address, self.data, self.strobe = write, int(address), int(data), strobe
        self.response: int | None = None

    @property
    def aborted(self) -> bool:
        """True if a reset cut it off."""
        return self.response is None


class _Reset(Exception):
    """A reset came."""


class _Pins:
    def __init__(self, config: AxilConfig) -> None:
        self.clock = config.dut.clk_i
        self.reset_n = config.dut.rst_ni
        self.bus = Bus(config.dut, config.prefix, SIGNALS)

    def pin(self, name: str):
        """Handle of one signal."""
        return getattr(self.bus, name)


class AxilDriver(uvm_driver):
    """The master."""

    def start_of_simulation_phase(self) -> None:
        self.config: AxilConfig = ConfigDB().get(self, "", "config")
        self.pins = _Pins(self.config)
        self._idle()

    def _idle(self) -> None:
        for name in ("awvalid", "wvalid", "bready", "arvalid", "rready"):
            self.pins.pin(name).value = 0

    async def run_phase(self) -> None:
        while True:
            access = await self.seq_item_port.get_next_item()
            try:
                if access.write:
                    await self._write(access)
                else:
                    await self._read(access)
            except _Reset:
                pass
            self._idle()
            self.seq_item_port.item_done()

    async def _edge(self) -> None:
        await RisingEdge(self.pins.clock)
        if self.pins.reset_n.value != 1:
            raise _Reset

    async def _send(self, channel: str, **values: int) -> None:
        """Offer values on a channel until they are taken."""
        for _ in range(self.config.stall()):
            await self._edge()
        for name, value in values.items():
            self.pins.pin(name).value = value
        self.pins.pin(f"{channel}valid").value = 1
        while True:
            await self._edge()
            if self.pins.pin(f"{channel}ready").value == 1:
                break
        self.pins.pin(f"{channel}valid").value = 0

    async def _receive(self, channel: str) -> dict[str, int]:
        """Take what a channel offers."""
        for _ in range(self.config.stall()):
            await self._edge()
        self.pins.pin(f"{channel}ready").value = 1
        while True:
            await self._edge()
            if self.pins.pin(f"{channel}valid").value == 1:
                break
        self.pins.pin(f"{channel}ready").value = 0
        return {name: int(self.pins.pin(name).value) for name in CHANNELS[channel]}

    async def _write(self, access: Access) -> None:
        # both channels at once, each with stalls of its own: either may be first
        tasks = [
            cocotb.start_soon(self._guarded(self._send("aw", awaddr=access.address))),
            cocotb.start_soon(self._guarded(self._send("w", wdata=access.data, wstrb=access.strobe))),
        ]
        if not all([await task for task in tasks]):
            raise _Reset
        access.response = (await self._receive("b"))["bresp"]

    @staticmethod
    async def _guarded(work) -> bool:
        """False if a reset cut the work off."""
        try:
            await work
        except _Reset:
            return False
        return True

    async def _read(self, access: Access) -> None:
        await self._send("ar", araddr=access.address)
        taken = await self._receive("r")
        access.data, access.response = taken["rdata"], taken["rresp"]


class AxilMonitor(uvm_monitor):
    """Reports every access when its answer shows; holds both sides to the protocol (known, stable until taken)."""

    def build_phase(self) -> None:
        self.ap = uvm_analysis_port("ap", self)
        self.beats = 0

    def start_of_simulation_phase(self) -> None:
        self.config: AxilConfig = ConfigDB().get(self, "", "config")
        self.pins = _Pins(self.config)

    async def run_phase(self) -> None:
        prefix, pin = self.config.prefix, self.pins.pin
        waiting: dict[str, tuple] = {}
        taken: dict[str, tuple] = {}
        while True:
            await RisingEdge(self.pins.clock)
            if self.pins.reset_n.value != 1:
                waiting, taken = {}, {}
                continue
            for channel, names in CHANNELS.items():
                valid, ready = pin(f"{channel}valid").value, pin(f"{channel}ready").value
                if not (valid.is_resolvable and ready.is_resolvable):
                    raise ProtocolError(f"{prefix}: {channel}valid={valid} {channel}ready={ready} outside reset")
                before = waiting.pop(channel, None)
                if not valid:
                    if before is not None:
                        raise ProtocolError(f"{prefix}: {channel}valid fell before {channel}ready")
                    continue
                values = tuple(pin(name).value for name in names)
                if not all(value.is_resolvable for value in values):
                    raise ProtocolError(f"{prefix}: {names} are {values}")
                if before is not None and before != values:
                    raise ProtocolError(f"{prefix}: {names} changed while {channel}ready was low")
                if before is None and channel in ("b", "r"):
                    self._answered(channel, values, taken)
                if ready:
                    self.beats += 1
                    if channel in ("aw", "w", "ar"):
                        taken[channel] = values
                else:
                    waiting[channel] = values

    def _answered(self, channel: str, values: tuple, taken: dict[str, tuple]) -> None:
        """An answer shows for the first time: what was written has been written."""
        asked = ("aw", "w") if channel == "b" else ("ar",)
        if any(name not in taken for name in asked):
            raise ProtocolError(f"{self.config.prefix}: {channel}valid without a request")
        address, *rest = (int(value) for name in asked for value in taken.pop(name))
        access = Access(channel == "b", address, *rest) if channel == "b" else Access(False, address, int(values[0]))
        access.response = int(values[-1])
        self.ap.write(access)


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

    async def access(self, access: Access) -> Access:
        """Run one access to its end."""
        await _AccessSequence(access).start(self.sequencer)
        return access
