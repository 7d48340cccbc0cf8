"""Power of a mapped netlist from the transitions of its nets and the tables of its library.

- Switching: C V^2 / 2 a transition of every net that a cell drives, and of the clock port. C are the
  input pins it feeds, the load of an output port, and wires: those of a layout, or `wire_pf_per_pin` for each of
  those before there is one. Data inputs of the column are paid for by whatever drives them.
- Internal: energy tables of the library at the net's own load and slew, rises and falls apart. Where a
  table belongs to one input of several, an output transition is shared among the inputs by how often
  each toggles while the output follows it (probabilities of the other inputs taken as independent).
- Leakage: by state where the library tells, weighted with the time spent in it.

Slews are the largest that reach a pin, as in timing. The clock comes with `clock_slew_ns`, which is the slew of
every register unless the netlist holds a clock tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from common.errors import UserError
from flows.platform import Platform
from flows.power.circuit import CLOCK, PARTS, CellGroup, Circuit, classify
from flows.power.liberty import Energy, Pin, Table, truth_table

if TYPE_CHECKING:
    from flows.power.activity import Activity

KINDS = ("internal", "switching", "leakage")
MIN_ANNOTATED_PERCENT = 95.0
SWEEPS = 400  # of slews along the longest path


def annotated_percent(circuit: Circuit, activity: Activity) -> float:
    """Share of the cells' pins whose net was counted."""
    known = np.array([net in activity.nets for net in circuit.nets])
    found = sum(int((known[nets] | (nets < 0)).sum()) for g in circuit.groups for nets in g.pins.values())
    return 100 * found / circuit.pin_count


def net_loads(circuit: Circuit, platform: Platform, wires_pf: np.ndarray | None = None) -> np.ndarray:
    """Capacitance of each net, pF: pins, output ports, wires (of a layout `wires_pf`, float64 [nets])."""
    loads = np.zeros(len(circuit.nets) + 1)  # the last takes constants
    for group in circuit.groups:
        for name, nets in group.pins.items():
            pin = group.cell.pins[name]
            if not pin.output:
                np.add.at(loads, nets, pin.capacitance_pf + platform.wire_pf_per_pin)
    np.add.at(loads, circuit.outputs, platform.output_load_pf + platform.wire_pf_per_pin)
    return loads[:-1] if wires_pf is None else loads[:-1] + wires_pf


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
    """mW by cell and kind: `by_part[part][kind]`, arrays over windows; where it was counted.

    `clock_net` is what of it the clock port's own net takes, which no cell of the netlist drives.
    """

    by_part: dict[str, dict[str, np.ndarray]]
    annotated_percent: float
    clock_net: np.ndarray

    def total(self, kind: str | None = None, part: str | None = None) -> np.ndarray:
        """mW per window, of one kind or part or all."""
        parts = [part] if part else list(self.by_part)
        return np.sum([self.by_part[p][k] for p in parts for k in ([kind] if kind else KINDS)], axis=0)


def power_of(
    circuit: Circuit,
    activity: Activity,
    platform: Platform,
    clock_ns: float,
    by_state: bool = True,
    wires_pf: np.ndarray | None = None,
) -> Power:
    """Power at `clock_ns` of one activity; see `Scales`."""
    return Scales(circuit, platform, wires_pf)(activity, clock_ns, by_state)


class Scales:
    """What weighs the activity of a netlist: loads, slews and the part of every cell, found once.

    `wires_pf` float64 [nets] are those of a layout.
    """

    def __init__(self, circuit: Circuit, platform: Platform, wires_pf: np.ndarray | None = None) -> None:
        self.circuit, self.wires_pf = circuit, wires_pf
        self.platform = platform if wires_pf is None else replace(platform, wire_pf_per_pin=0.0)
        self._loads = net_loads(circuit, self.platform, wires_pf)
        self._slews = net_slews(circuit, self.platform, self._loads)
        self._parts = classify(circuit)

    def __call__(self, activity: Activity, clock_ns: float, by_state: bool = True) -> Power:
        """Power at `clock_ns`; raises UserError if the activity does not belong to this netlist and clock.

        Energies of an output that hold in some states of other inputs (`when`) count by the time spent there;
        without `by_state` all states count alike, as in OpenSTA (`Power::findInputDuty`), to compare with it.
        """
        circuit, loads = self.circuit, self._loads
        if activity.netlist_sha256 != circuit.sha256:
            raise UserError(
                f"{circuit.path}: the netlist has changed since its activity was counted; run make synth again"
            )
        if abs(activity.clock_ns - clock_ns) > 1e-3 * clock_ns:
            raise UserError(
                f"{circuit.path}: activity has a clock of {activity.clock_ns:.3f} ns, the constraint one of "
                f"{clock_ns:.3f}"
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
        engine = _Engine(circuit, self.platform, rates, high, loads, self._slews, by_state)
        by_part = {part: {kind: np.zeros(windows) for kind in KINDS} for part in PARTS}
        for group, parts in zip(circuit.groups, self._parts, strict=True):
            for clock, kind, cells in engine.group_power(group):  # cells: [instances, windows]
                for number, name in enumerate(PARTS):
                    of_clock = "weight clock" if name in ("weight registers", "weight clock") else "clock"
                    by_part[of_clock if clock else name][kind] += cells[parts == number].sum(axis=0)
        clock_net = engine.of_clock_net(engine.registers_pf)
        if self.wires_pf is not None:  # its wire, and the first buffers of a clock tree
            rest = engine.of_clock_net(loads[engine.clock] - engine.registers_pf)
            by_part["clock"]["switching"] += rest
            clock_net = clock_net + rest
        return Power(by_part, annotated, clock_net)


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
        by_state: bool,
    ) -> None:
        self.rates, self.high, self.by_state = rates, high, by_state
        self.loads = np.append(loads, 0.0)
        self.slews = {edge: np.append(values, 0.0) for edge, values in slews.items()}
        self.energy = circuit.library.voltage**2 / 2
        self.wire_pf, self.registers_pf = platform.wire_pf_per_pin, 0.0  # of the clock port's net
        self.clock = circuit.nets.index(CLOCK) if CLOCK in circuit.nets else -1

    def _switching(self, nets: np.ndarray, load: np.ndarray) -> np.ndarray:
        """mW [nets, windows] of loads, pF."""
        return self.energy * load[:, None] * self._toggles(nets)

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
                self.registers_pf += load.sum()
                found.append((True, "switching", self._switching(nets, load)))
        found.append((False, "leakage", self._leakage(group)))
        return found

    def of_clock_net(self, load: float) -> np.ndarray:
        """mW [windows] of so much, pF, of the load of the clock port's net."""
        return self._switching(np.array([self.clock]), np.array([load]))[0]

    def _edges(self, tables: dict[str, Table], nets: np.ndarray, source: np.ndarray, sense: str | None) -> np.ndarray:
        """mW of a pin's transitions; slews are those of `source`, by `sense` (None: the pin's own edge)."""
        mw = np.zeros((len(nets), self.high.shape[1]))
        for edge, table in tables.items():
            other = "fall" if edge == "rise" else "rise"
            cause = other if sense == "negative_unate" else edge
            mw += table(self.loads[nets], self.slews[cause][source])[:, None] * self.rates[edge][nets]
        return mw

    def _output_energy(self, group: CellGroup, pin: Pin, nets: np.ndarray) -> np.ndarray:
        """Each table of a rail with the share of the transitions that its input causes."""
        senses = {arc.related: arc.sense for arc in pin.arcs}
        mw = np.zeros((len(nets), self.high.shape[1]))
        for supply in {energy.supply: None for energy in pin.energies}:
            weights, energies = [], []
            for energy in pin.energies:
                if energy.supply != supply:
                    continue
                source = group.pins.get(energy.related, nets)
                weights.append(self._share(group, pin, energy) * self._toggles(source))
                clocked = energy.related and group.cell.pins[energy.related].clock
                sense = None if clocked else senses.get(energy.related)
                energies.append(self._edges(energy.edges, nets, source, sense))
            total = np.sum(weights, axis=0)
            even = np.full_like(total, 1 / len(weights))
            for weight, energy_mw in zip(weights, energies, strict=True):
                mw += np.divide(weight, total, out=even.copy(), where=total > 0) * energy_mw
        return mw

    def _toggles(self, nets: np.ndarray) -> np.ndarray:
        """Transitions a ns [nets, windows]."""
        return self.rates["rise"][nets] + self.rates["fall"][nets]

    def _share(self, group: CellGroup, pin: Pin, energy: Energy) -> np.ndarray:
        """Share of the transitions of an energy's input that it speaks of [instances, windows]."""
        share = np.ones((len(group.names), self.high.shape[1]))
        causes = energy.related in group.pins
        if self.by_state or not causes:
            share = self._probability(group, energy.when)
        return share * self._sensitivity(group, pin, energy.related) if causes else share

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
