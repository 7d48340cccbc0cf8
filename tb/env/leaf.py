"""What the benches of single modules share: clock, resets, one cycle at a time, evidence."""

from __future__ import annotations

import json
import os
import random
from types import TracebackType

import cocotb
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from tb.env.limits import CLOCK_NS, LIMIT

__all__ = ["CLOCK_NS", "LIMIT", "Leaf"]
SHOWN_ERRORS = 5


class Leaf:
    """A module alone: drives its inputs after falling edges, looks at it just before rising ones.

    Used as a context (`async with Leaf(dut, "name_of_the_test") as bench`): its end writes the record that the
    runner takes as evidence, and fails the test if a check failed. `value` has the module's parameters.
    """

    def __init__(self, dut: HierarchyObject, test: str) -> None:
        self.dut, self.test = dut, test
        self.rng = random.Random(f"{cocotb.RANDOM_SEED} {test}")
        self.value: dict[str, int] = json.loads(os.environ["ENCMAC_MODULE"])
        self.matches = 0
        self.errors: list[str] = []
        self.cycles = 0

    async def __aenter__(self) -> Leaf:
        self.dut.clk_i.value = 0
        self.dut.rst_ni.value = 0
        cocotb.start_soon(Clock(self.dut.clk_i, CLOCK_NS, unit="ns", impl="gpi").start(start_high=False))
        await self.drive(**dict.fromkeys(self.inputs(), 0))
        await FallingEdge(self.dut.clk_i)
        self.dut.rst_ni.value = 1
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.errors.append(str(error) or repr(error))
        record = {"test": self.test, "matches": self.matches, "mismatches": len(self.errors)}
        with open(os.environ["ENCMAC_RECORDS"], "a") as stream:
            stream.write(json.dumps(record | {"errors": self.errors[:SHOWN_ERRORS]}) + "\n")
        if error is None and not self.matches:
            raise AssertionError("nothing was compared")
        if error is None and self.errors:
            raise AssertionError(f"{len(self.errors)} errors, first: {self.errors[0]}")

    def inputs(self) -> list[str]:
        """Names of the inputs, but for clock and reset."""
        names = [name for name in dir(self.dut) if name.endswith("_i") or name.startswith(("s_axis_", "m_axis_"))]
        outputs = ("s_axis_tready", "m_axis_tdata", "m_axis_tvalid", "m_axis_tlast")
        return [name for name in names if name not in ("clk_i", *outputs)]

    def check(self, what: str, got: int, expected: int) -> None:
        """Compare one value."""
        if got == expected:
            self.matches += 1
        else:
            self.errors.append(f"{what}: expected {expected}, got {got}, cycle {self.cycles}")

    async def drive(self, **inputs: int) -> None:
        """Set inputs in the middle of a cycle."""
        await FallingEdge(self.dut.clk_i)
        for name, value in inputs.items():
            getattr(self.dut, name).value = value

    async def cycle(self, **inputs: int) -> None:
        """Set inputs and wait for the rising edge: outputs are then those of this cycle, before it."""
        await self.drive(**inputs)
        await self.edge()

    async def edge(self) -> None:
        """Wait for the rising edge of a cycle whose inputs are set."""
        await RisingEdge(self.dut.clk_i)
        self.cycles += 1

    def get(self, name: str) -> int:
        """An output as an unsigned number; one that is not known is an error at once."""
        value = getattr(self.dut, name).value
        assert value.is_resolvable, f"{name} is {value}, cycle {self.cycles}"
        return int(value)

    async def reset(self) -> None:
        """A reset that begins and ends between clock edges, of no cycle or some."""
        await RisingEdge(self.dut.clk_i)
        await Timer(self.rng.choice([1, 3, 6, 8]), unit="ns")
        self.dut.rst_ni.value = 0
        await Timer(1 + CLOCK_NS * self.rng.randint(0, 2), unit="ns")

    async def release(self) -> None:
        """End a reset."""
        await FallingEdge(self.dut.clk_i)
        self.dut.rst_ni.value = 1
