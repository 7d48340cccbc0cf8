"""A flat netlist of library cells, and what each cell is there for."""

from __future__ import annotations

import dataclasses
import hashlib
import re
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
CLOCK = "clk_i"
CLOCK_GATE = "clock_gate"  # in the names of the cells of a platform's clock gate
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


def read_circuit(path: Path, platform: Platform) -> Circuit:
    """Parse a netlist of Yosys; raises UserError if it holds a latch or a cell that the library lacks."""
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
    ports = {}
    aliases = dict(re.findall(r"^  assign (\w+) = (\\?\S+) ?;", text, re.MULTILINE))
    for port in re.findall(r"^  output (\w+);", text, re.MULTILINE):
        source = aliases.get(port, port)
        ports[port] = -2 if source.endswith("'b1") else -1 if "'" in source else number(source)
    return Circuit(path, hashlib.sha256(text.encode()).hexdigest(), library, list(index), groups, ports)


def classify(circuit: Circuit) -> list[np.ndarray]:
    """For each group the index in PARTS of each instance, int64 [instances].

    By structure, not by name, so that all designs are judged alike. Clock: buffers between the clock's port and
    registers or gates. Registers: activation, if data comes straight from the port of an activation or of its flag;
    weight, if the clock is gated or data depends on the shift enable; else sum (f(a) that passes by is one). Gates
    of the clock and buffers after them belong to the weight clock, those of an activation's to its register. Product
    bits: gates of at most PRODUCT_INPUTS operand bits before any full adder. Weight loading: what feeds only weight
    registers. Final adders: what lies between a sum and the last full adders, these included.
    """
    driver: dict[int, tuple[int, int]] = {}
    for g, group in enumerate(circuit.groups):
        for name, nets in group.pins.items():
            if group.cell.pins[name].output:
                driver |= {int(net): (g, i) for i, net in enumerate(nets) if net >= 0}
    sources: dict[tuple[int, int], list[int]] = {}
    for g, group in enumerate(circuit.groups):
        pins = [nets for name, nets in group.pins.items() if not (p := group.cell.pins[name]).output and not p.clock]
        for i in range(len(group.names)):
            sources[g, i] = [int(nets[i]) for nets in pins if nets[i] >= 0]
    gate = [[CLOCK_GATE in name for name in group.names] for group in circuit.groups]
    sequential = [group.cell.sequential for group in circuit.groups]
    adder = [sum(p.output for p in group.cell.pins.values()) > 1 for group in circuit.groups]
    part = [np.full(len(group.names), -1) for group in circuit.groups]
    number = {name: i for i, name in enumerate(PARTS)}
    for g, of_group in enumerate(gate):
        part[g][of_group] = number["weight clock"]
    registers = [
        (g, i)
        for g, group in enumerate(circuit.groups)
        for i in range(len(group.names))
        if sequential[g] and not gate[g][i]
    ]
    ports = {net: circuit.nets[net] for net in range(len(circuit.nets)) if net not in driver}

    def cone(start: list[int], stop_at_adders: bool) -> tuple[set[tuple[int, int]], set[int]]:
        """Combinational cells behind nets, and the ports and register outputs where they end."""
        cells, ends, reached = set(), set(), list(start)
        while reached:
            net = reached.pop()
            at = driver.get(net)
            if at is None or sequential[at[0]]:
                ends.add(net)
            elif at not in cells:
                cells.add(at)
                if not (stop_at_adders and adder[at[0]]):
                    reached += sources[at]
        return cells, ends

    def gates_behind(clocks: set[int]) -> set[tuple[int, int]]:
        """Cells of the clock gates that make some clocks, and buffers after them."""
        cells, reached = set(), list(clocks)
        while reached:
            net = reached.pop()
            at = driver.get(net)
            if at is None or net in plain or at in cells or not (gate[at[0]][at[1]] or len(sources[at]) == 1):
                continue
            cells.add(at)
            pins = circuit.groups[at[0]].cell.pins
            reached += [int(n[at[1]]) for name, n in circuit.groups[at[0]].pins.items() if not pins[name].output]
        return cells

    sums, shift = [], {net for net, name in ports.items() if name == "w_shift_i"}
    plain = {circuit.nets.index(CLOCK)} if CLOCK in circuit.nets else set()  # nets of the clock before any gate
    for _ in range(len(circuit.nets)):
        leaves = [at for at, nets in sources.items() if len(nets) == 1 and nets[0] in plain and part[at[0]][at[1]] < 0]
        for g, i in leaves:
            part[g][i] = number["clock"]
            for name, nets in circuit.groups[g].pins.items():
                plain |= {int(nets[i])} if circuit.groups[g].cell.pins[name].output else set()
        if not leaves:
            break
    for at in registers:
        data, group = sources[at], circuit.groups[at[0]]
        clocks = {int(nets[at[1]]) for name, nets in group.pins.items() if group.cell.pins[name].clock} - plain
        gated = bool(clocks)
        cells, ends = cone(data, True)
        if (
            (ends or not gated)
            and all(ports.get(net, "").startswith(("a_i_", "zero_i_")) for net in ends)
            and not any(adder[g] for g, _ in cells)
        ):
            part[at[0]][at[1]] = number["activation registers"]
            for g, i in gates_behind(clocks):
                part[g][i] = number["activation registers"]
        elif gated or ends & shift:
            part[at[0]][at[1]] = number["weight registers"]
            for g, i in cells:
                part[g][i] = number["weight loading"]
            for g, i in gates_behind(clocks):
                part[g][i] = number["weight clock"]
        else:
            part[at[0]][at[1]] = number["sum registers"]
            sums += data
    # operand bits below each gate, as long as they are few
    support: dict[int, frozenset[int] | None] = {}
    operands = {
        int(net)
        for g, i in registers
        if part[g][i] != number["sum registers"]
        for name, nets in circuit.groups[g].pins.items()
        if circuit.groups[g].cell.pins[name].output and (net := nets[i]) >= 0
    }

    def below(net: int) -> frozenset[int] | None:
        stack = [net]
        while stack:
            top = stack[-1]
            if top in support:
                stack.pop()
                continue
            at = driver.get(top)
            if top in operands:
                support[top] = frozenset([top])
            elif at is None or sequential[at[0]] or adder[at[0]]:
                support[top] = None
            elif missing := [n for n in sources[at] if n not in support]:
                stack += missing
                continue
            else:
                parts = [support[n] for n in sources[at]]
                joined = None if None in parts else frozenset().union(*parts)
                support[top] = joined if joined is not None and len(joined) <= PRODUCT_INPUTS else None
        return support[net]

    final, _ = cone(sums, True)
    for g, group in enumerate(circuit.groups):
        for i in range(len(group.names)):
            if part[g][i] >= 0:
                continue
            output = next(int(nets[i]) for name, nets in group.pins.items() if group.cell.pins[name].output)
            if not adder[g] and below(output) is not None:
                part[g][i] = number["product bits"]
            else:
                part[g][i] = number["final adders" if (g, i) in final else "adder tree"]
    return part
