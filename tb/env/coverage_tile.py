"""Functional coverage of a tile engine: what its monitors saw, besides what tb.env.coverage samples of an array."""

from __future__ import annotations

import numpy as np
from cocotb.utils import get_sim_time

from models.hardware.tile import ABORT, Fault, Register, Shape
from tb.agents.axil import OKAY, Access
from tb.agents.axis import Beat
from tb.env.coverage import STALLS, Coverage
from tb.env.engine_reference import EngineReference
from tb.env.scoreboard import Prediction

FEW = ("1", "2", "more")
BITS = [str(bit) for bit in range(32)]
PACKETS = ("one beat", "too short", "right", "too long", "far too long")
FAR = 256  # beats too many


class TileCoverage(Coverage):
    """Cover points of a tile engine: sizes of layers, results, faults, registers, stalls, resets."""

    prefix = "engine."

    def __init__(self, name: str, parent, config, dut, reference: EngineReference) -> None:
        super().__init__(name, parent, config, dut)
        self.reference = reference
        self._inside = dict.fromkeys(("weights", "activations", "parameters"), 0)  # beats of an open packet
        self._shown = -1, False  # when the access before showed its answer, and whether it wrote

    def declare(self) -> None:
        point = self.points.point
        point("engine.k_tiles", (*FEW, "beyond 8 bits"))
        point("engine.n_tiles", ("1", "more", "beyond 10 bits"))
        point("engine.vectors", ("1", "some", "whole buffer"))
        point("engine.last_rows", ("1", "some", "all"))
        point("engine.result", ("int8", "raw"))
        point("engine.clamp", ("at the lower end", "between", "at the upper end"))
        point("engine.faults", [str(fault.name) for fault in Fault])
        point("engine.registers", ("read", "write", "refused read", "refused write", "some bytes"))
        point("engine.reset.phase", ("idle", "busy"))
        point("engine.strobe", [f"{strobe:04b}" for strobe in range(16)])
        point("engine.busy", [register.name for register in Register])
        point("engine.meeting", ("read and write", "fault and its clearing"))
        point("engine.abort", ("idle", "busy", "result offered"))
        point("engine.wraps", ("up", "down"))
        point("engine.shift", BITS)
        point("engine.multiplier", BITS)
        for stream in self._inside:
            point(f"engine.packet.{stream}", PACKETS)
        for stream in (*self._inside, "results"):
            point(f"engine.stall.{stream}", STALLS)

    def registers_seen(self, access: Access) -> None:
        """A register was read or written."""
        self.beats += 1
        refused = "" if access.response == OKAY else "refused "
        self.points.hit("engine.registers", f"{refused}{'write' if access.write else 'read'}")
        if access.write and access.strobe not in (0, 15) and not refused:
            self.points.hit("engine.registers", "some bytes")
        if not access.write and not refused and access.address == Register.ERRORS:
            for fault in Fault:
                if access.data & fault:
                    self.points.hit("engine.faults", str(fault.name))
        self._sample_meeting(access)
        if access.write:
            self.points.hit("engine.strobe", f"{access.strobe:04b}")
        if access.write and not refused and access.address == Register.CONTROL and access.data & ABORT:
            offered = self.dut.m_axis_y_tvalid.value == 1
            phase = "idle" if not self.reference.running else "result offered" if offered else "busy"
            self.points.hit("engine.abort", phase)
        if access.write and not refused and access.address == Register.CONTROL and access.data & access.strobe & 1:
            shape = Shape.from_registers(self.reference.words)
            if not shape.faults(self.config.rows, self.config.depth):
                self._sample_shape(shape)

    def _sample_meeting(self, access: Access) -> None:
        """What else is under way?"""
        if self.reference.running and access.address in Register.__members__.values():
            self.points.hit("engine.busy", Register(access.address).name)
        if self._shown == (get_sim_time("step"), not access.write):
            self.points.hit("engine.meeting", "read and write")
        self._shown = get_sim_time("step"), access.write
        if self.reference.met:
            self.points.hit("engine.meeting", "fault and its clearing")

    def _sample_shape(self, shape: Shape) -> None:
        rows, depth, hit = self.config.rows, self.config.depth, self.points.hit
        hit("engine.k_tiles", "beyond 8 bits" if shape.k_tiles > 256 else FEW[min(shape.k_tiles, 3) - 1])
        hit("engine.n_tiles", "1" if shape.n_tiles == 1 else "beyond 10 bits" if shape.n_tiles > 1024 else "more")
        hit("engine.vectors", "1" if shape.vectors == 1 else "whole buffer" if shape.vectors == depth else "some")
        hit("engine.last_rows", "all" if shape.last_rows == rows else "1" if shape.last_rows == 1 else "some")
        hit("engine.result", "raw" if shape.raw else "int8")

    def _packet(self, stream: str, beat: Beat) -> None:
        self.beats += 1
        if self._inside[stream]:
            self.stall(stream, beat.gap)
        self._inside[stream] += 1
        if beat.last:
            self._sample_packet(stream, self._inside[stream])
            self._inside[stream] = 0

    def _sample_packet(self, stream: str, beats: int) -> None:
        """A packet is at its end."""
        shape = self.reference.model.shape
        if shape is None:
            return
        length = {"weights": self.config.rows, "activations": shape.vectors, "parameters": self.config.columns}[stream]
        label = "right" if beats == length else "one beat" if beats == 1 else "too short"
        if beats > length:
            label = "far too long" if beats >= length + FAR else "too long"
        self.points.hit(f"engine.packet.{stream}", label)

    def weights_seen(self, beat: Beat) -> None:
        """A row of weights was taken."""
        self._packet("weights", beat)

    def activations_seen(self, beat: Beat) -> None:
        """An activation vector was taken."""
        self._packet("activations", beat)

    def parameters_seen(self, beat: Beat) -> None:
        """Parameters of a column were taken."""
        self._packet("parameters", beat)
        for at, name in ((1, "multiplier"), (2, "shift")):
            if beat.data is not None and self.points.open(f"engine.{name}"):
                for bit in range(32):
                    if beat.data >> (32 * at + bit) & 1:
                        self.points.hit(f"engine.{name}", BITS[bit])

    def results_seen(self, beat: Beat) -> None:
        """A result was taken."""
        self.stall("results", beat.waited)

    def predicted(self, prediction: Prediction) -> None:
        """A result vector must come: where in the clamp is it?"""
        shape = self.reference.model.shape
        for end in self.reference.model.wrapped:
            self.points.hit("engine.wraps", end)
        if shape is None or shape.raw or not self.points.open("engine.clamp"):
            return
        values = np.asarray(prediction.values)
        facts = (values == shape.lo, (values > shape.lo) & (values < shape.hi), values == shape.hi)
        for label, fact in zip(("at the lower end", "between", "at the upper end"), facts, strict=True):
            if fact.any():
                self.points.hit("engine.clamp", label)

    def reset_begins(self) -> None:
        """Is a layer under way?"""
        if self.beats:
            self.points.hit("engine.reset.phase", "busy" if self.reference.model.busy else "idle")
        self._inside = dict.fromkeys(self._inside, 0)
