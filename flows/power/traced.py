"""Activity of any netlist from waves of its ports: what drove them in another simulation drives its gates.

The waves may be of the RTL, or of a netlist before layout, without delays. What the gates answer in every cycle is
compared with them, so that the same run tells whether a netlist still computes right with its own delays.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import write_text
from common.waves import Waves
from flows.platform import Platform
from flows.power.activity import Activity, Run, simulated
from flows.power.circuit import CLOCK, RESET, Circuit
from flows.power.engine import KINDS, power_of
from flows.power.measure import Routed, without_clock_net
from flows.sta import plain_delays

# ports of a stream or channel, which mean something while its valid is up
WITH_VALID = re.compile(r"(\w*_[a-z]?)(?:data|last|resp|strb|keep|user)(?:_\d+)?")
RISES = 3  # of the clock, at least


@dataclass(frozen=True)
class Trace:
    """Bits of ports by cycle, bool [cycles] each: what comes in, what must come out, and where that counts.

    `place` is the scope of the waves they are from, `begin` the first cycle after the first reset; before it nothing is
    known of the outputs. An input that is unknown is 0: outputs that are known depend on none.
    """

    place: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]
    begin: int

    @property
    def silent(self) -> list[str]:
        """Outputs of which the waves say nothing."""
        return [port for port, counts in self.counts.items() if not counts.any()]


def bits_of(netlist: str) -> dict[str, tuple[str, int]]:
    """Bus and place in it, lowest first, of each bit of the ports of a netlist (its text) when they are split."""
    found: dict[str, tuple[str, int]] = {}
    for bounds, name in re.findall(r"^\s*(?:input|output)\s+(?:wire\s+)?(\[\S+\])?\s*(\w+)\s*;", netlist, re.MULTILINE):
        left, right = map(int, bounds[1:-1].split(":")) if bounds else (0, 0)
        for i in range(min(left, right), max(left, right) + 1):
            found[f"{name}_{i}" if bounds else name] = (name, abs(i - right))
    return found


def read_trace(path: Path, circuit: Circuit, netlist: str) -> Trace:
    """Ports in waves, values at the end of each cycle of the clock, of a circuit whose text with buses is `netlist`.

    They are taken from the outermost scope that has all of them. Raises UserError if there is none, or several that
    differ, or no reset.
    """
    text = circuit.path.read_text()
    declared = re.findall(r"^  (input|output|inout) (\S+) ?;", text, re.MULTILINE)
    of = bits_of(netlist)
    for kind, port in declared:
        if port not in of and (kind != "inout" or port in circuit.nets):
            raise UserError(f"{circuit.path}: {kind} {port} can be neither driven nor compared; rename or remove it")
    inputs = [port for kind, port in declared if kind == "input" and port != CLOCK]
    if RESET not in inputs or CLOCK not in circuit.nets:
        lacking = RESET if RESET not in inputs else f"cell that {CLOCK} reaches"
        raise UserError(f"{circuit.path} has no {lacking}: it cannot be told from when on its state is known")
    waves = Waves(path)
    wanted = {port: of[port] for port in (*inputs, *circuit.ports)}
    place = _place(waves, wanted)
    bits, known = _values(waves, place, wanted)
    reset, sure = bits[RESET], known[RESET]
    released = np.flatnonzero(reset[1:] & ~reset[:-1] & sure[1:] & sure[:-1])
    if not len(released):
        raise UserError(
            f"{path}: {RESET} of {place} does not go from 0, over a rise of {CLOCK}, to 1: no state is known"
        )
    begin = int(released[0]) + 1
    counts = {}
    for port in circuit.ports:
        # a reset clears at once in the waves, with the clock in the simulation
        counts[port] = known[port] & reset & (np.arange(len(reset)) >= begin)
        stream = WITH_VALID.fullmatch(port)
        if stream and (valid := f"{stream[1]}valid") in circuit.ports:  # not of what comes in
            counts[port] &= bits[valid] & known[valid]
    given = {port: bits[port] for port in inputs}
    return Trace(place, given, {port: bits[port] for port in circuit.ports}, counts, begin)


def _place(waves: Waves, wanted: dict[str, tuple[str, int]]) -> str:
    """The scope in which the ports are; UserError if none has them, or several that do not agree."""
    named = {bus for bus, _ in wanted.values()} | {CLOCK}
    clocked = {place: signals for place, signals in waves.scopes.items() if CLOCK in signals}
    if not clocked:
        raise UserError(f"{waves.path}: no scope has {CLOCK}; are these waves of the netlist?")
    lacking = {place: sorted(named - signals.keys() - _split(signals, wanted)) for place, signals in clocked.items()}
    places = sorted(lacking, key=lambda place: (len(lacking[place]), place.count("."), place))
    if missing := lacking[places[0]]:
        raise UserError(f"{waves.path}: no signal {missing[0]} in {places[0]}; are these waves of another design?")
    fit = [place for place in places if not lacking[place]]
    first = _values(waves, fit[0], wanted)[0]
    for other in fit[1:]:
        second = _values(waves, other, wanted)[0]
        if any(not np.array_equal(first[port], second[port]) for port in wanted):
            raise UserError(
                f"{waves.path}: {fit[0]} and {other} have all ports and differ; dump one, as by $dumpvars(0, {other})"
            )
    return fit[0]


def _split(signals: Collection[str], wanted: dict[str, tuple[str, int]]) -> set[str]:
    """Buses that a scope has bit by bit, as in waves of another netlist."""
    there = {bus: True for bus, _ in wanted.values()}
    for port, (bus, _) in wanted.items():
        there[bus] &= port in signals
    return {bus for bus, whole in there.items() if whole}


def _values(
    waves: Waves, place: str, wanted: dict[str, tuple[str, int]]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Bits of ports in a scope by cycle, and where they are known; UserError if the clock rises too seldom."""
    signals = waves.scopes[place]
    edges = waves.rises(signals[CLOCK])
    if len(edges) < RISES:
        raise UserError(f"{waves.path}: {CLOCK} of {place} rises {len(edges)} times; {RISES} are needed")
    sampled = functools.cache(lambda name: waves.sampled(signals[name], np.array(edges[1:], np.int64) - 1))
    bits, known = {}, {}
    for port, (bus, at) in wanted.items():
        values, sure = sampled(bus if bus in signals else port)
        at = at if bus in signals else 0
        if not at < values.shape[1]:
            raise UserError(
                f"{waves.path}: {bus} of {place} has {values.shape[1]} bits, the netlist more; is it another design?"
            )
        bits[port], known[port] = values[:, at], sure[:, at]
    return bits, known


def check_outputs(samples: np.ndarray, trace: Trace, circuit: Circuit) -> int:
    """Number of bits in `samples` (bool [cycles, outputs]) that count and are as in the waves; else UserError."""
    wanted = np.array([trace.outputs[port] for port in trace.outputs]).T
    counts = np.array([trace.counts[port] for port in trace.outputs]).T
    wrong = (samples != wanted) & counts
    if wrong.any():
        cycle = int(np.argmax(wrong.any(axis=1)))
        port = list(trace.outputs)[int(np.argmax(wrong[cycle]))]
        raise UserError(
            f"{circuit.path}: {wrong.sum():,} of {counts.sum():,} output bits differ from the waves, first {port} "
            f"in cycle {cycle}; its toggles do not count (a reset must hold over a rise of the clock)"
        )
    if not counts.any():
        raise UserError(f"{circuit.path}: the waves say nothing of its outputs after the reset")
    return int(counts.sum())


def followed(
    circuit: Circuit, trace: Trace, clock_ns: float, sdf: Path | None = None, latency_ns: float | None = None
) -> Activity:
    """Activity of a netlist on waves, from the first reset to their end; UserError if an output differs from them."""
    window = (trace.begin, len(trace.inputs[RESET]))
    run = Run(
        trace.inputs, list(trace.outputs), [window], ("waves",), lambda found: check_outputs(found, trace, circuit)
    )
    return simulated(circuit, run, clock_ns, sdf, latency_ns)


def weigh_trace(
    circuit: Circuit, trace: Trace, platform: Platform, clock_ns: float, folder: Path, routed: Routed
) -> dict:
    """Power of a routed netlist on waves, mW, as fields of its record.

    Raises UserError if an output differs from the waves, without or with the delays of cells and wires.
    """
    sdf = folder / "delays.sdf"
    write_text(sdf, plain_delays(routed.sdf.read_text(), circuit.senses))
    wires_pf = np.array([routed.wires_pf.get(net, 0.0) for net in circuit.nets])
    quiet = followed(circuit, trace, clock_ns)
    timed = followed(circuit, trace, clock_ns, sdf, routed.latency_ns)
    power = power_of(circuit, timed, platform, clock_ns, wires_pf=wires_pf)
    averaged = power_of(circuit, timed, platform, clock_ns, False, wires_pf)
    theirs = routed.power(circuit, timed, folder)
    return {
        "power_mw": {
            **{kind: round(float(power.total(kind)[0]), 6) for kind in KINDS},
            "total": round(float(power.total()[0]), 6),
            "zero_delay_total": round(
                float(power_of(circuit, quiet, platform, clock_ns, wires_pf=wires_pf).total()[0]), 6
            ),
        },
        "agreement_mw": {
            "ours_without_clock_net": round(without_clock_net(power), 6),
            "averaged": round(without_clock_net(averaged), 6),
            "openroad": {kind: round(value, 6) for kind, value in theirs.items()},
        },
        "cycles": int(timed.cycles[0]),
        "output_bits": len(trace.outputs) * int(timed.cycles[0]),
        "output_bits_compared": timed.matches,
        "outputs_never_compared": trace.silent,
        "scope": trace.place,
    }
