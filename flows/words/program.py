"""A mapped netlist as straight-line code: what every net is, in terms of words that hold many steps or streams.

A column has no feedback: what it gives for an activation vector depends on that vector alone, some cycles later.
So a wave, all that one vector causes, is computed at once, and a register is a name for what the wave is one cycle
later: a net at depth d shows in cycle t the wave of cycle t - d. A cycle has four phases: after the clock's rise,
after registers have changed (a moment later), after inputs have (IO_SHARE of the cycle), after the clock's fall, where
latches of clock gates open. What a net is in each phase, and which transitions lie between, follows from the netlist
alone; they are those of a simulation without delays (flows/power/simulate.cpp), one by one.

Registers whose clock or enable stands still while an input is constant (`fixed`: weights while none shift) are held:
inputs of the code that are set once for each tile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from common.errors import UserError
from flows.power.circuit import CLOCK, Circuit
from flows.power.simulate import KINDS, model
from flows.words.graph import BEFORE, ONE, SELF, ZERO, Graph

LOGIC, FLIP_FLOP, LATCH, CLOCK_GATE = (KINDS[kind] for kind in (None, "flip-flop", "latch", "clock gate"))
CLOCK_PHASES = (ONE, ONE, ONE, ZERO)
Phases = tuple[int, ...]  # references to what a net is in each phase


@dataclass(frozen=True)
class Net:
    """A net in the phases of a cycle, and its depth; None: the same in all cycles."""

    phases: Phases
    depth: int | None


@dataclass(frozen=True)
class Program:
    """What `elaborate` made of a netlist.

    `ports` and `held` are inputs of the code, by name of the port and net of the register's output; `nets` has every
    net of the netlist, `loads` what a held register takes over while it is not held.
    """

    circuit: Circuit
    graph: Graph
    ports: dict[str, int]
    held: dict[int, int]
    nets: dict[int, Net]

    @property
    def holds(self) -> bool:
        """True if a register keeps its value for some waves: then one wave is not known without those before."""
        return any(SELF in node.inputs for node in self.graph.nodes)


def elaborate(circuit: Circuit, depths: dict[str, int], fixed: dict[str, bool]) -> Program:
    """The code of a netlist whose input ports `depths` give wave w in cycle w + depth; those of `fixed` stay.

    Registers that stand still with the `fixed` ports are held.
    Raises UserError on feedback, on waves that meet out of step, on a clock that is more than a clock and its gates.
    """
    cut = _Elaboration(circuit, depths, fixed)
    cut.elaborate(cut.gates)
    whole = _Elaboration(circuit, depths, fixed, cut.standing_still(), cut.constants())
    # outputs first: what an adder tree adds is made where it is added
    whole.elaborate([net for net in circuit.outputs if net in whole.gates])
    whole.elaborate(whole.gates)
    return Program(circuit, whole.graph, whole.ports, whole.held, whole.nets)


def elaborate_loading(circuit: Circuit, depths: dict[str, int], fixed: dict[str, bool], wanted: list[int]) -> Program:
    """As `elaborate`, of the nets `wanted` and what they depend on alone, no register being held."""
    cut = _Elaboration(circuit, depths, fixed)
    cut.elaborate(cut.gates)
    part = _Elaboration(circuit, depths, fixed, set(), cut.constants())
    part.elaborate(wanted)
    return Program(circuit, part.graph, part.ports, part.held, part.nets)


class _Elaboration:
    """Nets of a circuit, each after those that it depends on.

    First cut at its registers, whose outputs are inputs then (no `known`); then whole: `held` registers are inputs, and
    nets that are `known` to be constant need nothing, so that a register that could hold but does not is no feedback.
    """

    def __init__(
        self,
        circuit: Circuit,
        depths: dict[str, int],
        fixed: dict[str, bool],
        held: Iterable[int] = (),
        known: dict[int, int] | None = None,
    ) -> None:
        self.circuit, self.cut, self.graph = circuit, known is None, Graph()
        self.known = known or {}
        gates, _, inputs = model(circuit, None)
        self.gates = {int(g["out"]): g for g in gates}
        self.inputs = {out: inputs[g["input"] : g["input"] + g["n"]].tolist() for out, g in self.gates.items()}
        self.ports: dict[str, int] = {}
        self.held = {net: self.graph.source(held=True) for net in sorted(held)}
        zero = len(circuit.nets)
        self.nets = {zero: constant(ZERO), zero + 1: constant(ONE)}
        for net, name in enumerate(circuit.nets):
            if net in self.held:
                self.nets[net] = constant(self.held[net])
            elif net not in self.gates:
                self.nets[net] = self._port(name, depths, fixed)
            elif net in self.known:
                self.nets[net] = constant(self.known[net])

    def _port(self, name: str, depths: dict[str, int], fixed: dict[str, bool]) -> Net:
        """A net that no cell drives: the clock, an input, or one that stays 0."""
        if name == CLOCK:
            return Net(CLOCK_PHASES, None)
        if name in fixed or name not in depths:
            return constant(int(fixed.get(name, False)))
        self.ports[name] = ref = self.graph.source()
        return Net((ref | BEFORE, ref | BEFORE, ref, ref), depths[name])

    def elaborate(self, wanted: Iterable[int]) -> None:
        """Nets, and those that they depend on, depth first."""
        for start in wanted:
            stack, opened = [start], set()
            while stack:
                net = stack[-1]
                missing = [] if net in self.nets else self._missing(net)
                if missing and net in opened:
                    raise self._fault(net, "depends on itself: only netlists without feedback run as words")
                if missing:
                    opened.add(net)
                    stack += missing
                    continue
                stack.pop()
                opened.discard(net)
                if net not in self.nets:
                    self.nets[net] = self._driven(net)

    def _missing(self, net: int) -> list[int]:
        """Inputs that must be known before a net is."""
        if self.cut and self.gates[net]["kind"] == FLIP_FLOP:
            return []
        return [n for n in self._read(net) if n not in self.nets]

    def _read(self, net: int) -> list[int]:
        """Inputs of a net's gate that matter, others being constant."""
        inputs, gate = self.inputs[net], self.gates[net]
        if not any(n in self.known for n in inputs):
            return inputs
        fixed = [self.known.get(n) for n in inputs]
        rows = [r for r in range(1 << len(inputs)) if all(v is None or r >> i & 1 == v for i, v in enumerate(fixed))]
        return [
            n
            for i, n in enumerate(inputs)
            if fixed[i] is None
            and any(
                (int(gate[key]) >> r ^ int(gate[key]) >> (r ^ 1 << i)) & 1 for r in rows for key in ("data", "clock")
            )
        ]

    def constants(self) -> dict[int, int]:
        """Of a cut netlist: nets that are 0 or 1 for ever."""
        return {net: found.phases[0] for net, found in self.nets.items() if set(found.phases) in ({ZERO}, {ONE})}

    def _fault(self, net: int, what: str) -> UserError:
        return UserError(f"{self.circuit.path}: net {self.circuit.nets[net]} {what}")

    def _function(self, truth: int, nets: list[int]) -> Phases:
        """A function of nets, in each phase."""
        found: dict[tuple[int, ...], int] = {}
        phases = []
        for phase in range(len(CLOCK_PHASES)):
            refs = tuple(self.nets[n].phases[phase] if n in self.nets else ZERO for n in nets)  # one not read
            if refs not in found:
                found[refs] = self.graph.gate(truth, list(refs))
            phases.append(found[refs])
        return tuple(phases)

    def _depth(self, net: int, refs: tuple[int, ...]) -> int | None:
        """Depth at which all waves that `refs`, made of the inputs of `net`, depend on meet."""
        if self.cut:
            return None
        # of all inputs that can matter: in the graph a register is what it stores, and x ^ register of x would be 0
        inputs = [self.nets[n] for n in self._read(net) if n in self.nets]
        depths = {n.depth for n in inputs if n.depth is not None and set(n.phases) not in ({ZERO}, {ONE})}
        if len(depths) > 1:
            raise self._fault(net, f"joins what comes {max(depths) - min(depths)} cycles apart: no column's skew")
        return depths.pop() if depths and any(ref > ONE for ref in refs) else None

    def _driven(self, net: int) -> Net:
        """A net from its gate, whose inputs are known."""
        gate, inputs = self.gates[net], self.inputs[net]
        kind = int(gate["kind"])
        if kind == FLIP_FLOP and self.cut:
            return constant(self.graph.source())
        data = self._function(int(gate["data"]), inputs)
        if kind == LOGIC:
            return Net(data, self._depth(net, data))
        clock = self._function(int(gate["clock"]), inputs)
        if kind == FLIP_FLOP:
            return self._register(net, data, clock)
        is_open = tuple(ref ^ (kind == CLOCK_GATE) for ref in clock)
        if is_open not in ((ZERO, ZERO, ZERO, ONE), (ONE,) * 4):
            raise self._fault(net, "is stored other than while the clock is low")
        before = self.graph.before(data[3])
        stored = data if is_open[0] else (before, before, before, data[3])
        if kind == CLOCK_GATE:
            gated = tuple(self.graph.gate(0b1000, list(both)) for both in zip(clock, stored, strict=True))
            return Net(gated, self._depth(net, stored))
        return Net(stored, self._depth(net, stored))

    def _edge(self, net: int, clock: Phases) -> int:
        """Waves that a register takes over, at the clock's rise: a reference."""
        steps = zip((self.graph.before(clock[3]), *clock), clock, strict=False)
        rise, *others = (self.graph.gate(0b0100, list(step)) for step in steps)
        moving = rise > ONE and not (rise & BEFORE or self.graph.nodes[rise >> 2].held)
        if moving or any(others):
            raise self._fault(net, "is clocked other than at the rise of the clock")
        return rise & ~BEFORE

    def _register(self, net: int, data: Phases, clock: Phases) -> Net:
        """A register's output: what the wave was at its input, one cycle later."""
        edge = self._edge(net, clock)
        taken = data[3] if edge == ONE else self.graph.holding(edge, data[3])
        depth = self._depth(net, (data[3], edge))
        before = self.graph.before(taken)
        return Net((before, taken, taken, taken), None if depth is None else depth + 1)

    def standing_still(self) -> set[int]:
        """Of a cut netlist: registers that are never clocked, or take over what they hold."""
        found = set()
        for net, gate in self.gates.items():
            if gate["kind"] == FLIP_FLOP:
                data = self._function(int(gate["data"]), self.inputs[net])
                edge = self._edge(net, self._function(int(gate["clock"]), self.inputs[net]))
                if edge == ZERO or data[3] == self.nets[net].phases[3]:
                    found.add(net)
        return found


def constant(ref: int) -> Net:
    """A net that is the same in all phases and cycles."""
    return Net((ref,) * 4, None)
