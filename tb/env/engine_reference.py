"""Reference of a tile engine, fed by monitors: results, and to the cycle every answer of its registers."""

from __future__ import annotations

from functools import partial

from cocotb.handle import LogicObject
from cocotb.triggers import FallingEdge
from pyuvm import uvm_analysis_port, uvm_component

from models.hardware.tile import ABORT, ID, START, VERSION, WRITABLE, EngineModel, Fault, Register, Shape
from tb.agents.axil import OKAY, SLVERR, Access
from tb.agents.axis import Beat
from tb.env.scoreboard import Listener, Prediction, Scoreboard, unpack

WHOLE_WORD = 0xFFFFFFFF
MEASURED = (Register.OPEN_CYCLES, Register.OPEN_BEATS)


def merged(old: int, access: Access) -> int:
    """What a word becomes by a write."""
    mask = sum(0xFF << 8 * byte for byte in range(4) if access.strobe >> byte & 1)
    return old & ~mask | access.data & mask


class EngineReference(uvm_component):
    """Predicts what a tile engine gives for the registers written and the beats that it accepted.

    Clock edges have numbers. What monitors saw at an edge is looked at half a cycle later, when all have
    reported. An answer that shows at edge n: the word was written at edge n - 1, or read as it was before
    that edge. So a beat and an access that meet have one right answer each. `unasked`: beats that nobody
    asked for, by stream.
    """

    def __init__(self, name: str, parent: uvm_component, model: EngineModel, clock: LogicObject) -> None:
        super().__init__(name, parent)
        self.model, self.clock = model, clock
        self.label = ""  # what to call the layer if a result is wrong
        self.edge = 0
        self.met = 0  # faults that came in the cycle in which their bits were cleared

    def build_phase(self) -> None:
        self.ap = uvm_analysis_port("ap", self)
        self.registers = Listener("registers", self, lambda access: self._accesses.append(access))
        self.results = Listener("results", self, lambda beat: self._results.append(beat))
        for stream in ("weights", "activations", "parameters"):
            setattr(self, stream, Listener(stream, self, partial(self._beat, stream)))
        self.reset()

    def judged_by(self, scoreboard: Scoreboard, offered: LogicObject) -> None:
        """Where to report; `offered`: the valid of the results."""
        self.scoreboard, self.offered = scoreboard, offered

    def reset(self) -> None:
        """The engine has lost everything; its registers are as after power-up."""
        self.model.reset()
        self.words = dict(Shape(last_rows=self.model.rows).registers())
        self.unasked: list[str] = []
        self._accesses: list[Access] = []
        self._beats: list[tuple[str, Beat]] = []
        self._results: list[Beat] = []
        self._begin = self._end = -1  # the edges at which a layer was started and ended
        self._errors, self._pulses = 0, Fault(0)
        self._measured = self._measured_before = dict.fromkeys(MEASURED, 0)
        self._exact = True  # the engine fills no packet of activations up by itself
        self._vector = 0  # of the open packet of activations
        self._given = self._taken = 0  # results predicted, and taken

    async def run_phase(self) -> None:
        while True:
            await FallingEdge(self.clock)
            self.edge += 1
            self._settle()

    def _beat(self, stream: str, beat: Beat) -> None:
        self._beats.append((stream, beat))

    def _settle(self) -> None:
        """All that happened at one edge."""
        accesses, beats, results = self._accesses, self._beats, self._results
        self._accesses, self._beats, self._results = [], [], []
        for access in accesses:
            if not access.write:
                self._read(access)
        self._measured_before = dict(self._measured)
        stopped = False
        for access in accesses:
            if access.write:
                stopped |= self._write(access)
        self._errors = int(self.model.faults)
        faults, self.model.faults = self.model.faults, Fault(0)
        self._measure(beats)
        for stream, beat in beats:
            self._feed(stream, beat)
        self._pulses = self.model.faults
        self.model.faults |= faults
        for _ in results:
            self._taken += 1
            if self.running and (self._taken == self._wanted):
                self._end = self.edge
        if stopped and self.running:
            offered = bool(self.offered.value)
            self.scoreboard.abort(offered)
            self._wanted = self._taken + offered
            if not offered:
                self._end = self.edge

    @property
    def running(self) -> bool:
        """A layer is started and not at its end."""
        return self._begin > self._end

    def _busy(self, edge: int) -> bool:
        """STATUS before an edge."""
        return self._begin >= 0 and self._begin < edge and (self.running or edge <= self._end)

    def _check(self, what: str, got: int, expected: int) -> None:
        if got != expected:  # not counted as results
            self.scoreboard.check(what, got, expected)

    def _read(self, access: Access) -> None:
        """Data and answer of a read."""
        address, edge = access.address & ~3, self.edge - 1
        known = address in Register.__members__.values()
        self._check(f"response to a read of {address:#x}", access.response, OKAY if known else SLVERR)
        if address == Register.TILE:
            self._check_tile(access.data)
        elif self._exact or address not in MEASURED:
            name = Register(address).name if known else f"{address:#x}"
            self._check(f"register {name}", access.data, self._value(address, edge))

    def _value(self, address: int, edge: int) -> int:
        """What a word holds before an edge."""
        model, last = self.model, edge - 1 if self.running else min(edge - 1, self._end)
        values = self.words | self._measured_before
        values |= {Register.ID: ID, Register.VERSION: VERSION, Register.DEPTH: model.depth}
        values |= {Register.GEOMETRY: model.columns << 16 | model.rows, Register.ERRORS: self._errors}
        values |= {Register.CONTROL: ABORT * model.aborting, Register.CYCLES: max(0, last - self._begin)}
        values |= {Register.STATUS: (self._errors != 0) << 1 | self._busy(edge)}
        return values.get(address, 0)

    def _check_tile(self, word: int) -> None:
        """TILE is between the tiles whose results have left and those whose activations have come."""
        n_tile, k_tile = word >> 16, word & 0xFFFF
        if self._begin < 0:
            self._check("register TILE", word, 0)
            return
        shape = self.shape
        vectors, k_tiles = shape.vectors, shape.k_tiles
        sets, more = divmod(self._taken - len(self._results), vectors)
        least, most = sets * k_tiles + (k_tiles - 1) * (more > 0), self._packets
        at = n_tile * k_tiles + k_tile
        if k_tile >= k_tiles or not least <= at <= most:
            self.scoreboard.check(f"register TILE, which may be tile {least}..{most}", word, self._tile(least))

    def _tile(self, at: int) -> int:
        """TILE for tile number `at` of the layer."""
        n_tile, k_tile = divmod(at, self.shape.k_tiles)
        return n_tile << 16 | k_tile

    def _write(self, access: Access) -> bool:
        """A write; True if it aborts a layer."""
        address, writable = access.address & ~3, WRITABLE.get(access.address & ~3, 0)
        old = self.words.get(address, ABORT * self.model.aborting if address == Register.CONTROL else 0)
        value = merged(old, access)
        starts = address == Register.CONTROL and bool(value & START)
        free = address == Register.ERRORS or (address == Register.CONTROL and not starts)
        good = writable and not value & ~writable and (free or not self._busy(self.edge - 1))
        good = good and not (starts and value & ABORT)
        self._check(f"response to a write of {address:#x}", access.response, OKAY if good else SLVERR)
        if not good:
            return False
        if address == Register.ERRORS:
            self.met += bool(value & self._pulses)
            self.model.faults = self.model.faults & ~Fault(value) | self._pulses
        elif starts:
            if self.model.start(Shape.from_registers(self.words)):
                self._start()
        elif address == Register.CONTROL:
            self.model.abort(bool(value & ABORT))
            return bool(value & ABORT)
        else:
            self.words[address] = value
        return False

    def _start(self) -> None:
        self.shape = self.model.shape
        self._begin = self.edge - 1
        self._measured = self._measured_before = dict.fromkeys(MEASURED, 0)
        self._exact, self._vector, self._packets = True, 0, 0
        self._given = self._taken = 0
        self._wanted = self.shape.n_tiles * self.shape.vectors

    def _measure(self, beats: list[tuple[str, Beat]]) -> None:
        """Count the activations of an edge: vectors, and cycles in which a packet of them is open."""
        if not self.running:
            return
        taken = [b for stream, b in beats if stream == "activations" and self.model.takes("activations")]
        self._measured[Register.OPEN_CYCLES] += bool(taken or self._vector)
        if self.model.aborting:
            self._vector = 0
        for beat in taken:
            self._measured[Register.OPEN_BEATS] += 1
            self._vector += 1
            self._exact &= not beat.last or self._vector == self.shape.vectors
            if beat.last or self._vector == self.shape.vectors:
                self._vector, self._packets = 0, self._packets + 1

    def _feed(self, stream: str, beat: Beat) -> None:
        model = self.model
        if not model.wants(stream):
            self.unasked.append(stream)
            return
        lanes, dtype = {
            "weights": (model.columns, "int8"),
            "activations": (model.rows, "int8"),
            "parameters": (4, "int32"),
        }[stream]
        values = unpack(beat.data, lanes, dtype)
        model.feed(stream, values[:3] if stream == "parameters" else values, beat.last)
        for result in model.take_results():
            part, index = divmod(self._given, self.shape.vectors)
            label = f"{self.label or 'layer'}, channels {part * model.columns}..{(part + 1) * model.columns - 1}"
            self.ap.write(Prediction(*result, index=index, label=label))
            self._given += 1
