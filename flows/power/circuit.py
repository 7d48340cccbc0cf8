"""A flat netlist of library cells, and what each cell is there for."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError
from flows.platform import Platform
from flows.power.liberty import Cell, Library, read_library

PARTS = (
    "clock",
    "weight clock",
    "activation registers",
    "weight registers",
    "sum registers",
    "product bits",
    "adder tree",
    "final adders",
    "weight loading",
)
INSTANCE = re.compile(r"^  (\w+) (\\\S+|\w+) +?\(\n(.*?)\n?  \);", re.MULTILINE | re.DOTALL)
CONNECTION = re.compile(r"\.(\w+)\((.*?)\)(?:,\n|\n?$)")
INPUT = re.compile(r"^  input (\w+);", re.MULTILINE)
CLOCK = "clk_i"
RESET = "rst_ni"
CLOCK_GATE = "clock_gate"  # in the names of the cells of a platform's clock gate
STREAM = "s_axis_a_tdata_"  # activations of an array
OPERANDS = ("a_i_", "zero_i_", STREAM)
PRODUCT_INPUTS = 5  # operand bits at most below a product bit; a Booth row needs five


@dataclass(frozen=True)
class CellGroup:
    """All instances of one library cell: names and, per pin, net indices int64 [instances] (-1: constant)."""

    cell: Cell
    names: list[str]
    pins: dict[str, np.ndarray]
    constants: dict[str, np.ndarray]  # bool [instances], value of a constant pin


@dataclass(frozen=True)
class Circuit:
    """A flat netlist of library cells."""

    path: Path
    sha256: str
    library: Library
    nets: list[str]
    groups: list[CellGroup]
    ports: dict[str, int]  # net of each output port; -1, -2: constant 0, 1

    @property
    def outputs(self) -> list[int]:
        """Nets of the output ports that something drives."""
        return [net for net in self.ports.values() if net >= 0]

    @property
    def pin_count(self) -> int:
        """Connected pins of cells."""
        return sum(len(g.names) * len(g.pins) for g in self.groups)

    @property
    def senses(self) -> dict[tuple[str, str, str], tuple[str, ...]]:
        """Senses of the paths of (cell, input, output) in the order of OpenSTA's SDF: the Liberty's, backwards."""
        found: dict[tuple[str, str, str], tuple[str, ...]] = {}
        for cell in (group.cell for group in self.groups):
            for pin in cell.pins.values():
                for arc in pin.arcs:
                    path = (cell.name, arc.related, pin.name)
                    found[path] = (arc.sense, *found.get(path, ()))
        return found


def read_circuit(path: Path, platform: Platform) -> Circuit:
    """Parse a netlist of Yosys; raises UserError if it holds a latch, a cell that the library lacks, or a short."""
    text = path.read_text()
    index: dict[str, int] = {}
    by_cell: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for cell, name, body in INSTANCE.findall(text):
        by_cell.setdefault(cell, []).append((name, dict(CONNECTION.findall(body))))
    library = read_library(platform.liberty, {*by_cell, platform.driver})
    latches = [cell for cell in by_cell if (state := library.cells[cell].state) and state.kind == "latch"]
    if inferred := [f"{latch} {name}" for latch in latches for name, _ in by_cell[latch] if CLOCK_GATE not in name]:
        raise UserError(f"{path}: latch inferred ({inferred[0]}); a column has none: correct the RTL")

    def number(net: str) -> int:
        return -1 if "'" in net else index.setdefault(net.lstrip("\\"), len(index))

    groups = []
    for cell, found in sorted(by_cell.items()):
        unconnected = "1'b0"
        wired = {pin: [wires.get(pin, unconnected).strip() for _, wires in found] for pin in library.cells[cell].pins}
        pins = {pin: np.array([number(net) for net in nets]) for pin, nets in wired.items()}
        ones = {pin: np.array([net.endswith("'b1") for net in nets]) for pin, nets in wired.items()}
        kind = library.cells[cell]
        kind = dataclasses.replace(kind, area_um2=platform.areas_um2.get(cell, kind.area_um2))
        groups.append(CellGroup(kind, [name for name, _ in found], pins, ones))
    driven = Counter(index[port] for port in INPUT.findall(text) if port in index)
    for group in groups:
        outputs = [to for pin, to in group.pins.items() if group.cell.pins[pin].output]
        driven.update(net for to in outputs for net in to.tolist() if net >= 0)
    if shorted := [net for net, to in zip(index, map(driven.get, index.values()), strict=True) if (to or 0) > 1]:
        raise UserError(f"{path}: net {shorted[0]} is driven {driven[index[shorted[0]]]} times; it can be once")
    ports: dict[str, int] = {}
    aliases = dict(re.findall(r"^  assign (\w+) = (\\?\S+) ?;", text, re.MULTILINE))
    names: list[str] = re.findall(r"^  output (\w+);", text, re.MULTILINE)
    if len(aliases) < len(re.findall(r"^  assign ", text, re.MULTILINE)) or aliases.keys() - set(names):
        raise UserError(
            f"{path}: a net has two names, or several are assigned at once; write it after opt_clean -purge"
        )
    for output in names:
        source = aliases.get(output, output)
        ports[output] = -2 if source.endswith("'b1") else -1 if "'" in source else number(source)
    return Circuit(path, hashlib.sha256(text.encode()).hexdigest(), library, list(index), groups, ports)


At = tuple[int, int]  # an instance: its group, its place in it


def classify(circuit: Circuit) -> list[np.ndarray]:
    """For each group the index in PARTS of each instance, int64 [instances].

    By structure, not by name, so that all designs are judged alike. Clock: buffers between the clock's port and
    registers or gates. Registers: activation, if data comes straight from the port of an activation or of its flag,
    in an array also from a register of that kind, with the buffers before it; weight, if the clock is gated or data
    depends on the shift enable; else sum (f(a) that passes by is one). Gates of the clock and buffers after them belong
    to the weight clock, those of an activation's to its register. Product bits: gates of at most PRODUCT_INPUTS operand
    bits before any full adder. Weight loading: what feeds only weight registers. Final adders: what lies between a sum
    and the last full adders, these included.
    """
    found = _Parts(circuit)
    found.mark_clock()
    sums = found.mark_registers()
    found.mark_gates(sums)
    return found.part


class _Parts:
    """A circuit as a graph of instances, and what is known of the part that each belongs to (`part`, -1: not yet)."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.driver: dict[int, At] = {}  # of a net
        self.sources: dict[At, list[int]] = {}  # nets at an instance's data inputs
        for g, group in enumerate(circuit.groups):
            pins = group.cell.pins
            for name, nets in group.pins.items():
                if pins[name].output:
                    self.driver |= {int(net): (g, i) for i, net in enumerate(nets) if net >= 0}
            inputs = [nets for name, nets in group.pins.items() if not pins[name].output and not pins[name].clock]
            for i in range(len(group.names)):
                self.sources[g, i] = [int(nets[i]) for nets in inputs if nets[i] >= 0]
        self.gate = [[CLOCK_GATE in name for name in group.names] for group in circuit.groups]
        self.sequential = [group.cell.sequential for group in circuit.groups]
        self.adder = [sum(p.output for p in group.cell.pins.values()) > 1 for group in circuit.groups]
        self.part = [np.full(len(group.names), -1) for group in circuit.groups]
        self.number = {name: i for i, name in enumerate(PARTS)}
        self.registers = [
            (g, i)
            for g, group in enumerate(circuit.groups)
            for i in range(len(group.names))
            if self.sequential[g] and not self.gate[g][i]
        ]
        # nets of the clock before any gate
        self.plain = {circuit.nets.index(CLOCK)} if CLOCK in circuit.nets else set()
        self.support: dict[int, frozenset[int] | None] = {}

    def mark(self, cells: Iterable[At], part: str) -> None:
        """Say what part some instances belong to."""
        for g, i in cells:
            self.part[g][i] = self.number[part]

    def nets(self, at: At, *, outputs: bool) -> list[int]:
        """Nets at the outputs, or at the inputs, of an instance; -1 where nothing is connected."""
        group = self.circuit.groups[at[0]]
        return [int(nets[at[1]]) for name, nets in group.pins.items() if group.cell.pins[name].output == outputs]

    def cone(self, start: list[int]) -> tuple[set[At], set[int]]:
        """Combinational cells behind nets, down to adders, and the ports and register outputs where they end."""
        cells: set[At] = set()
        ends: set[int] = set()
        reached = list(start)
        while reached:
            net = reached.pop()
            at = self.driver.get(net)
            if at is None or self.sequential[at[0]]:
                ends.add(net)
            elif at not in cells:
                cells.add(at)
                if not self.adder[at[0]]:
                    reached += self.sources[at]
        return cells, ends

    def gates_behind(self, clocks: set[int]) -> set[At]:
        """Cells of the clock gates that make some clocks, and buffers after them."""
        cells: set[At] = set()
        reached = list(clocks)
        while reached:
            net = reached.pop()
            at = self.driver.get(net)
            if at is None or net in self.plain or at in cells:
                continue
            if self.gate[at[0]][at[1]] or len(self.sources[at]) == 1:
                cells.add(at)
                reached += self.nets(at, outputs=False)
        return cells

    def mark_clock(self) -> None:
        """Clock gates, and the buffers between the clock's port and registers or gates."""
        for g, of_group in enumerate(self.gate):
            self.part[g][of_group] = self.number["weight clock"]
        while leaves := [
            at
            for at, nets in self.sources.items()
            if len(nets) == 1 and nets[0] in self.plain and self.part[at[0]][at[1]] < 0
        ]:
            self.mark(leaves, "clock")
            for at in leaves:
                self.plain |= set(self.nets(at, outputs=True))

    def follow(self, rows: dict[int, int], behind: dict[At, tuple[set[At], set[int]]]) -> None:
        """Add to `rows`, the row of each net of an activation, outputs of registers that hold bits of one row alone."""

        def row_of(ends: set[int]) -> int | None:
            found = {rows.get(net) for net in ends}
            return found.pop() if len(found) == 1 else None

        left = {at: ends for at, (cells, ends) in behind.items() if ends and not any(self.adder[g] for g, _ in cells)}
        while found := {at: row for at, ends in left.items() if (row := row_of(ends)) is not None}:
            for at, row in found.items():
                rows.update(dict.fromkeys(self.nets(at, outputs=True), row))
                del left[at]

    def mark_registers(self) -> list[int]:
        """Registers, and what only loads or clocks them; returns the nets at the data inputs of sum registers."""
        names = {net: name for net, name in enumerate(self.circuit.nets) if net not in self.driver}
        operands = {net for net, name in names.items() if name.startswith(OPERANDS)}
        behind = {at: self.cone(self.sources[at]) for at in self.registers}
        if rows := {net: int(names[net][len(STREAM) :]) // 8 for net in operands if names[net].startswith(STREAM)}:
            self.follow(rows, behind)
            operands |= set(rows)
        shift = {net for net, name in names.items() if name == "w_shift_i"}
        sums: list[int] = []
        for at in self.registers:
            group = self.circuit.groups[at[0]]
            clocks = {int(nets[at[1]]) for name, nets in group.pins.items() if group.cell.pins[name].clock} - self.plain
            cells, ends = behind[at]
            if (ends or not clocks) and ends <= operands and not any(self.adder[g] for g, _ in cells):
                buffers = [cell for cell in cells if len(self.sources[cell]) == 1]
                self.mark([at, *buffers, *self.gates_behind(clocks)], "activation registers")
            elif clocks or ends & shift:
                self.mark(cells, "weight loading")
                self.mark([at], "weight registers")
                self.mark(self.gates_behind(clocks), "weight clock")
            else:
                self.mark([at], "sum registers")
                sums += self.sources[at]
        return sums

    def operands_below(self, net: int, operands: set[int]) -> frozenset[int] | None:
        """Operand bits that a net depends on; None if they are many, or if an adder lies between."""
        stack = [net]
        while stack:
            top = stack[-1]
            if top in self.support:
                stack.pop()
                continue
            at = self.driver.get(top)
            if top in operands:
                self.support[top] = frozenset([top])
            elif at is None or self.sequential[at[0]] or self.adder[at[0]]:
                self.support[top] = None
            elif missing := [n for n in self.sources[at] if n not in self.support]:
                stack += missing
            else:
                parts = [self.support[n] for n in self.sources[at]]
                known = [part for part in parts if part is not None]
                joined = frozenset[int]().union(*known)
                self.support[top] = joined if len(known) == len(parts) and len(joined) <= PRODUCT_INPUTS else None
        return self.support[net]

    def mark_gates(self, sums: list[int]) -> None:
        """What is left: product bits, the adder tree, and the final adders, which lie before `sums`."""
        held = [at for at in self.registers if self.part[at[0]][at[1]] != self.number["sum registers"]]
        operands = {net for at in held for net in self.nets(at, outputs=True) if net >= 0}
        final, _ = self.cone(sums)
        for g, group in enumerate(self.circuit.groups):
            for i in range(len(group.names)):
                if self.part[g][i] >= 0:
                    continue
                output = self.nets((g, i), outputs=True)[0]
                if not self.adder[g] and self.operands_below(output, operands) is not None:
                    self.mark([(g, i)], "product bits")
                else:
                    self.mark([(g, i)], "final adders" if (g, i) in final else "adder tree")
