"""Power of a mapped netlist from the transitions of its nets and the tables of its library.

- Switching: C V^2 / 2 a transition of every net that a cell drives, and of the clock port. C are the
  input pins it feeds, the load of an output port, and `wire_pf_per_pin` for each of those. Data inputs of
  the column are paid for by whatever drives them.
- Internal: energy tables of the library at the net's own load and slew, rises and falls apart. Where a
  table belongs to one input of several, an output transition is shared among the inputs by how often
  each toggles while the output follows it (probabilities of the other inputs taken as independent).
- Leakage: by state where the library tells, weighted with the time spent in it.

Slews are the largest that reach a pin, as in timing. The clock is ideal, with one slew everywhere.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flows.platform import Platform
from flows.power.activity import Activity
from flows.power.liberty import Cell, Library, Pin, Table, read_library, truth_table
from models.errors import UserError

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
KINDS = ("internal", "switching", "leakage")
MIN_ANNOTATED_PERCENT = 95.0
SWEEPS = 400  # of slews along the longest path
INSTANCE = re.compile(r"^  (\w+) (\\\S+|\w+) +?\(\n(.*?)\n?  \);", re.MULTILINE | re.DOTALL)
CONNECTION = re.compile(r"\.(\w+)\((.*?)\)(?:,\n|\n?$)")
CLOCK = "clk_i"
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
    outputs: list[int]

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
    if latches := [cell for cell in by_cell if library.cells[cell].latch]:
        name = by_cell[latches[0]][0][0]
        raise UserError(f"{path}: latch inferred ({latches[0]} {name}); a column has none: correct the RTL")

    def number(net: str) -> int:
        return -1 if "'" in net else index.setdefault(net.lstrip("\\"), len(index))

    groups = []
    for cell, found in sorted(by_cell.items()):
        unconnected = "1'b0"
        wired = {pin: [wires.get(pin, unconnected).strip() for _, wires in found] for pin in library.cells[cell].pins}
        pins = {pin: np.array([number(net) for net in nets]) for pin, nets in wired.items()}
        ones = {pin: np.array([net.endswith("'b1") for net in nets]) for pin, nets in wired.items()}
        groups.append(CellGroup(library.cells[cell], [name for name, _ in found], pins, ones))
    outputs = []
    aliases = dict(re.findall(r"^  assign (\w+) = (\\?\S+) ?;", text, re.MULTILINE))
    for port in re.findall(r"^  output (\w+);", text, re.MULTILINE):
        net = number(aliases.get(port, port))
        outputs += [net] if net >= 0 else []
    return Circuit(path, hashlib.sha256(text.encode()).hexdigest(), library, list(index), groups, outputs)


def annotated_percent(circuit: Circuit, activity: Activity) -> float:
    """Share of the cells' pins whose net was counted."""
    known = np.array([net in activity.nets for net in circuit.nets])
    found = sum(int((known[nets] | (nets < 0)).sum()) for g in circuit.groups for nets in g.pins.values())
    return 100 * found / circuit.pin_count


def net_loads(circuit: Circuit, platform: Platform) -> np.ndarray:
    """Capacitance of each net, pF: pins, output ports, wires."""
    loads = np.zeros(len(circuit.nets) + 1)  # the last takes constants
    for group in circuit.groups:
        for name, nets in group.pins.items():
            pin = group.cell.pins[name]
            if not pin.output:
                np.add.at(loads, nets, pin.capacitance_pf + platform.wire_pf_per_pin)
    np.add.at(loads, circuit.outputs, platform.output_load_pf + platform.wire_pf_per_pin)
    return loads[:-1]


def net_slews(circuit: Circuit, platform: Platform, loads: np.ndarray) -> dict[str, np.ndarray]:
    """Largest rise and fall slew of each net, ns."""
    count = len(circuit.nets)
    driven = np.zeros(count + 1, bool)
    for group in circuit.groups:
        for name, nets in group.pins.items():
            if group.cell.pins[name].output:
                driven[nets] = True
    base = {edge: np.zeros(count + 1) for edge in ("rise", "fall")}
    driver = next(p for p in circuit.library.cells[platform.driver].pins.values() if p.output)
    ports = np.flatnonzero(~driven[:-1])
    for edge in base:
        base[edge][ports] = np.max([arc.edges[edge](loads[ports], np.zeros(len(ports))) for arc in driver.arcs], axis=0)
        base[edge][[i for i in ports if circuit.nets[i] == CLOCK]] = platform.clock_slew_ns
    slews = {edge: values.copy() for edge, values in base.items()}
    for _ in range(SWEEPS):
        new = {edge: values.copy() for edge, values in base.items()}
        for group in circuit.groups:
            for name, nets in group.pins.items():
                for arc in group.cell.pins[name].arcs if group.cell.pins[name].output else ():
                    source = group.pins[arc.related]
                    for edge, table in arc.edges.items():
                        for cause in _causes(arc.sense, edge, group.cell.pins[arc.related]):
                            given = slews[cause][source]
                            np.maximum.at(new[edge], nets, table(loads[nets], given))
        moved = max(float(np.abs(new[edge] - slews[edge]).max()) for edge in slews)
        slews = new
        if moved < 1e-6:
            return {edge: values[:-1] for edge, values in slews.items()}
    raise UserError(f"{circuit.path}: slews do not settle; is there a loop of cells?")


def _causes(sense: str, edge: str, related: Pin) -> tuple[str, ...]:
    """Edges of the input that give this edge of the output."""
    if related.clock:
        return ("rise",)
    other = "fall" if edge == "rise" else "rise"
    return {"positive_unate": (edge,), "negative_unate": (other,)}.get(sense, ("rise", "fall"))


@dataclass(frozen=True)
class Power:
    """mW by cell and kind: `by_part[part][kind]`, arrays over windows; where it was counted."""

    by_part: dict[str, dict[str, np.ndarray]]
    annotated_percent: float

    def total(self, kind: str | None = None, part: str | None = None) -> np.ndarray:
        """mW per window, of one kind or part or all."""
        parts = [part] if part else list(self.by_part)
        return np.sum([self.by_part[p][k] for p in parts for k in ([kind] if kind else KINDS)], axis=0)


def power_of(circuit: Circuit, activity: Activity, platform: Platform, clock_ns: float) -> Power:
    """Power at `clock_ns`; raises UserError if the activity does not belong to this netlist and clock."""
    if activity.netlist_sha256 != circuit.sha256:
        raise UserError(f"{circuit.path}: the netlist has changed since its activity was counted; run make synth again")
    if abs(activity.clock_ns - clock_ns) > 1e-3 * clock_ns:
        raise UserError(
            f"{circuit.path}: activity has a clock of {activity.clock_ns:.3f} ns, the constraint one of {clock_ns:.3f}"
        )
    annotated = annotated_percent(circuit, activity)
    if annotated < MIN_ANNOTATED_PERCENT:
        raise UserError(
            f"{circuit.path}: activity of {annotated:.1f} % of the pins, {MIN_ANNOTATED_PERCENT:.0f} needed"
        )
    windows = len(activity.windows)
    # per net and window: transitions by edge a ns, share of time at 1; row -1 is for constants
    time_ns = activity.cycles * activity.clock_ns
    rates = {edge: np.zeros((len(circuit.nets) + 1, windows)) for edge in ("rise", "fall")}
    high = np.zeros((len(circuit.nets) + 1, windows))
    rows = np.array([activity.nets.get(net, -1) for net in circuit.nets])
    known = np.flatnonzero(rows >= 0)
    rates["rise"][known] = activity.rises[rows[known]] / time_ns
    rates["fall"][known] = activity.falls[rows[known]] / time_ns
    high[known] = activity.high[rows[known]]
    loads = net_loads(circuit, platform)
    engine = _Engine(circuit, platform, rates, high, loads, net_slews(circuit, platform, loads))
    by_part = {part: {kind: np.zeros(windows) for kind in KINDS} for part in PARTS}
    for group, parts in zip(circuit.groups, classify(circuit), strict=True):
        for clock, kind, cells in engine.group_power(group):  # cells: [instances, windows]
            for number, name in enumerate(PARTS):
                of_clock = "weight clock" if name == "weight registers" else "clock"
                by_part[of_clock if clock else name][kind] += cells[parts == number].sum(axis=0)
    return Power(by_part, annotated)


class _Engine:
    """Energies of cell groups; rates are per ns, so that pJ / ns = mW."""

    def __init__(
        self,
        circuit: Circuit,
        platform: Platform,
        rates: dict[str, np.ndarray],
        high: np.ndarray,
        loads: np.ndarray,
        slews: dict[str, np.ndarray],
    ) -> None:
        self.rates, self.high = rates, high
        self.loads = np.append(loads, 0.0)
        self.slews = {edge: np.append(values, 0.0) for edge, values in slews.items()}
        self.energy = circuit.library.voltage**2 / 2
        self.wire_pf = platform.wire_pf_per_pin
        self.clock = circuit.nets.index(CLOCK) if CLOCK in circuit.nets else -1

    def _switching(self, nets: np.ndarray, load: np.ndarray) -> np.ndarray:
        """mW [nets, windows] of loads, pF."""
        return self.energy * load[:, None] * (self.rates["rise"][nets] + self.rates["fall"][nets])

    def group_power(self, group: CellGroup) -> list[tuple[bool, str, np.ndarray]]:
        """(True for the clock's part, kind, mW [instances, windows]) of all instances of a cell."""
        found: list[tuple[bool, str, np.ndarray]] = []
        for name, pin in group.cell.pins.items():
            nets = group.pins[name]
            if pin.output:
                found.append((False, "switching", self._switching(nets, self.loads[nets])))
                found.append((False, "internal", self._output_energy(group, pin, nets)))
                continue
            if pin.energies:
                mw = sum(
                    self._edges(energy.edges, nets, nets, None) * self._probability(group, energy.when)
                    for energy in pin.energies
                )
                found.append((pin.clock, "internal", mw))
            if pin.clock:  # the share of the clock port's load; a gated clock is the output of a cell
                load = np.where(nets == self.clock, pin.capacitance_pf + self.wire_pf, 0.0)
                found.append((True, "switching", self._switching(nets, load)))
        found.append((False, "leakage", self._leakage(group)))
        return found

    def _edges(self, tables: dict[str, Table], nets: np.ndarray, source: np.ndarray, sense: str | None) -> np.ndarray:
        """mW of a pin's transitions; slews are those of `source`, by `sense` (None: the pin's own edge)."""
        mw = np.zeros((len(nets), self.high.shape[1]))
        for edge, table in tables.items():
            other = "fall" if edge == "rise" else "rise"
            cause = other if sense == "negative_unate" else edge
            mw += table(self.loads[nets], self.slews[cause][source])[:, None] * self.rates[edge][nets]
        return mw

    def _output_energy(self, group: CellGroup, pin: Pin, nets: np.ndarray) -> np.ndarray:
        """Each table with the share of the transitions that its input causes."""
        senses = {arc.related: arc.sense for arc in pin.arcs}
        weights, energies = [], []
        for energy in pin.energies:
            source = group.pins.get(energy.related, nets)
            share = self._probability(group, energy.when) * (self.rates["rise"][source] + self.rates["fall"][source])
            if energy.related in group.pins:
                share = share * self._sensitivity(group, pin, energy.related)
            sense = senses.get(energy.related)
            if energy.related and group.cell.pins[energy.related].clock:
                sense = None
            weights.append(share)
            energies.append(self._edges(energy.edges, nets, source, sense))
        if not energies:
            return np.zeros((len(nets), self.high.shape[1]))
        total = np.sum(weights, axis=0)
        even = np.full_like(total, 1 / len(weights))
        shares = [np.divide(w, total, out=even.copy(), where=total > 0) for w in weights]
        return np.sum([s * e for s, e in zip(shares, energies, strict=True)], axis=0)

    def _inputs(self, group: CellGroup) -> list[str]:
        return [name for name, pin in group.cell.pins.items() if not pin.output]

    def _high(self, group: CellGroup, pin: str) -> np.ndarray:
        """Share of time at 1 [instances, windows], constants included."""
        nets = group.pins[pin]
        return np.where((nets < 0)[:, None], group.constants[pin][:, None], self.high[nets])

    def _chance(self, group: CellGroup, truth: np.ndarray, inputs: list[str]) -> np.ndarray:
        """Share of time that a function of the inputs is true, inputs taken as independent."""
        ones = [self._high(group, pin) for pin in inputs]
        result = np.zeros((len(group.names), self.high.shape[1]))
        for state in np.flatnonzero(truth):
            product = np.ones_like(result)
            for i, one in enumerate(ones):
                product = product * (one if state >> i & 1 else 1 - one)
            result += product
        return result

    def _probability(self, group: CellGroup, when: str) -> np.ndarray:
        """Share of time that a condition holds; 1 without one. Outputs are written as their functions."""
        if not when:
            return np.ones((len(group.names), self.high.shape[1]))
        inputs = self._inputs(group)
        for name, pin in group.cell.pins.items():
            if pin.output and pin.function and not group.cell.sequential:
                when = re.sub(rf"\b{name}\b", f"({pin.function})", when)
            elif pin.output and name in re.findall(r"\w+", when):
                inputs = [*inputs, name]  # state of a flip-flop: what its output shows
        return self._chance(group, truth_table(when, inputs), inputs)

    def _sensitivity(self, group: CellGroup, pin: Pin, related: str) -> np.ndarray:
        """Share of time that a change of `related` changes the output."""
        inputs = self._inputs(group)
        try:
            truth = truth_table(pin.function, inputs)
        except ValueError:  # state of a flip-flop
            return np.ones((len(group.names), self.high.shape[1]))
        flipped = truth[np.arange(len(truth)) ^ (1 << inputs.index(related))]
        return self._chance(group, truth ^ flipped, inputs)

    def _leakage(self, group: CellGroup) -> np.ndarray:
        """mW; states that no condition names leak the cell's value."""
        rest = np.ones((len(group.names), self.high.shape[1]))
        mw = np.zeros_like(rest)
        default = 0.0
        for when, value in group.cell.leakage:
            if when:
                share = self._probability(group, when)
                mw, rest = mw + share * value, rest - share
            else:
                default = value
        return (mw + np.clip(rest, 0, 1) * default) / 1000


def classify(circuit: Circuit) -> list[np.ndarray]:
    """For each group the index in PARTS of each instance, int64 [instances].

    By structure, not by name, so that all designs are judged alike. Registers: activation, if data comes
    straight from an activation port; weight, if it depends on the shift enable; else sum. Product bits:
    gates of at most PRODUCT_INPUTS operand bits before any full adder. Weight loading: what feeds only
    weight registers. Final adders: what lies between a sum and the last full adders, these included.
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
    sequential = [group.cell.sequential for group in circuit.groups]
    adder = [sum(p.output for p in group.cell.pins.values()) > 1 for group in circuit.groups]
    part = [np.full(len(group.names), -1) for group in circuit.groups]
    number = {name: i for i, name in enumerate(PARTS)}
    registers = [(g, i) for g, group in enumerate(circuit.groups) if sequential[g] for i in range(len(group.names))]
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

    sums, shift = [], {net for net, name in ports.items() if name == "w_shift_i"}
    for at in registers:
        data = sources[at]
        cells, ends = cone(data, True)
        if all(ports.get(net, "").startswith("a_i_") for net in ends) and not any(adder[g] for g, _ in cells):
            part[at[0]][at[1]] = number["activation registers"]
        elif ends & shift:
            part[at[0]][at[1]] = number["weight registers"]
            for g, i in cells:
                part[g][i] = number["weight loading"]
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
