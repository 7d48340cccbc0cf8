"""Functional coverage of a tile engine: what its monitors saw, besides what tb.coverage samples of an array."""

from __future__ import annotations

import numpy as np

from models.hardware.tile import Fault, Register, Shape
from tb.agents.axil import OKAY, Access
from tb.agents.axis import Beat
from tb.coverage import STALLS, Coverage
from tb.engine_reference import EngineReference
from tb.scoreboard import Prediction

FEW = ("1", "2", "more")


class TileCoverage(Coverage):
    """Cover points of a tile engine: sizes of layers, results, faults, registers, stalls, resets."""

    prefix = "engine."

    def __init__(self, name: str, parent, config, dut, reference: EngineReference) -> None:
        super().__init__(name, parent, config, dut)
        self.reference = reference
        self._inside = dict.fromkeys(("weights", "activations", "parameters"), False)  # a packet is open

    def declare(self) -> None:
        point = self.points.point
        point("engine.k_tiles", FEW)
        point("engine.n_tiles", ("1", "more"))
        point("engine.vectors", ("1", "some", "whole buffer"))
        point("engine.last_rows", ("1", "some", "all"))
        point("engine.result", ("int8", "raw"))
        point("engine.clamp", ("at the lower end", "between", "at the upper end"))
        point("engine.faults", [str(fault.name) for fault in Fault])
        point("engine.registers", ("read", "write", "refused read", "refused write", "some bytes"))
        point("engine.reset.phase", ("idle", "busy"))
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
        if access.write and not refused and access.address == Register.CONTROL and access.data & access.strobe & 1:
            shape = Shape.from_registers(self.reference.words)
            if not shape.faults(self.config.rows, self.config.depth):
                self._sample_shape(shape)

    def _sample_shape(self, shape: Shape) -> None:
        rows, depth, hit = self.config.rows, self.config.depth, self.points.hit
        hit("engine.k_tiles", FEW[min(shape.k_tiles, 3) - 1])
        hit("engine.n_tiles", "1" if shape.n_tiles == 1 else "more")
        hit("engine.vectors", "1" if shape.vectors == 1 else "whole buffer" if shape.vectors == depth else "some")
        hit("engine.last_rows", "all" if shape.last_rows == rows else "1" if shape.last_rows == 1 else "some")
        hit("engine.result", "raw" if shape.raw else "int8")

    def _packet(self, stream: str, beat: Beat) -> None:
        self.beats += 1
        if self._inside[stream]:
            self.stall(stream, beat.gap)
        self._inside[stream] = not beat.last

    def weights_seen(self, beat: Beat) -> None:
        """A row of weights was taken."""
        self._packet("weights", beat)

    def activations_seen(self, beat: Beat) -> None:
        """An activation vector was taken."""
        self._packet("activations", beat)

    def parameters_seen(self, beat: Beat) -> None:
        """Parameters of a column were taken."""
        self._packet("parameters", beat)

    def results_seen(self, beat: Beat) -> None:
        """A result was taken."""
        self.stall("results", beat.waited)

    def predicted(self, prediction: Prediction) -> None:
        """A result vector must come: where in the clamp is it?"""
        shape = self.reference.model.shape
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
        self._inside = dict.fromkeys(self._inside, False)
