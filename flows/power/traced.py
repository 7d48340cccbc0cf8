"""Activity of any netlist from waves of its ports: what drove them in another simulation drives its gates.

The waves may be of the RTL, or of a netlist before layout, without delays. What the gates answer in every cycle is
compared with them, so that the same run tells whether a netlist still computes right with its own delays.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.waves import Waves, sampled
from flows.platform import Platform
from flows.power.activity import Activity, Run, simulated
from flows.power.circuit import CLOCK, INPUT, RESET, Circuit
from flows.power.engine import KINDS, power_of
from flows.power.measure import Routed, without_clock_net
from flows.sta import plain_delays

# ports of a stream or channel, which mean something while its valid is up
WITH_VALID = re.compile(r"(\w*_[a-z]?)(?:data|last|resp|strb|keep|user)(?:_\d+)?")
RISES = 3  # of the clock, at least


@dataclass(frozen=True)
class Trace:
    """Bits of ports by cycle, bool [cycles] each: what comes in, what must come out, and where that counts.

    `begin` is the first cycle after the first reset; before it nothing is known of the outputs.
    """

    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    counts: dict[str, np.ndarray]
    begin: int


def read_trace(path: Path, circuit: Circuit) -> Trace:
    """The ports of a netlist, which are split into bits, in waves: values at the end of each cycle of the clock.

    Raises UserError if the waves lack a port or a reset, or an input is unknown after the reset.
    """
    inputs = [port for port in INPUT.findall(circuit.path.read_text()) if port != CLOCK]
    if RESET not in inputs:
        raise UserError(f"{circuit.path} has no {RESET}: it cannot be told from when on its state is known")
    waves = Waves(path)
    places = sorted((place for place, signals in waves.scopes.items() if CLOCK in signals), key=len)
    edges = np.array(waves.edges(), np.int64)
    if not places or len(edges) < RISES:
        raise UserError(f"{path}: {CLOCK} rises {len(edges)} times; {RISES} are needed")
    signals, times = waves.scopes[places[0]], edges[1:] - 1

    @functools.cache
    def values(name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in signals:
            raise UserError(f"{path}: no signal {name} in {places[0]}; are these waves of another design?")
        return sampled(signals[name], times)

    bits, known = {}, {}
    for port in (*inputs, *circuit.ports):
        bus, _, bit = (port, "", "0") if port in signals else port.rpartition("_")
        found, sure = values(bus)
        if not int(bit) < found.shape[1]:
            raise UserError(f"{path}: {bus} has {found.shape[1]} bits, the netlist {port}; is it another design?")
        bits[port], known[port] = found[:, int(bit)], sure
    reset = bits[RESET]
    released = np.flatnonzero(reset[1:] & ~reset[:-1])
    if not len(released):
        raise UserError(f"{path}: {RESET} does not rise; the state of {circuit.path.name} is not known")
    begin = int(released[0]) + 1
    for port in inputs:
        if not known[port][begin:].all():
            raise UserError(f"{path}: {port} is unknown in cycle {begin + int(np.argmin(known[port][begin:]))}")
    counts = {}
    for port in circuit.ports:
        stream = WITH_VALID.fullmatch(port)
        valid = bits.get(f"{stream[1]}valid") if stream else None
        # a reset clears at once in the waves, with the clock in the simulation
        counts[port] = known[port] & reset & (np.arange(len(times)) >= begin) & (True if valid is None else valid)
    given = {port: bits[port] for port in inputs}
    return Trace(given, {port: bits[port] for port in circuit.ports}, counts, begin)


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
            f"in cycle {cycle}; its toggles do not count"
        )
    if not counts.any():
        raise UserError(f"{circuit.path}: the waves say nothing of its outputs after the reset")
    return int(counts.sum())


def followed(
    circuit: Circuit, trace: Trace, clock_ns: float, sdf: Path | None = None, latency_ns: float = 0
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
    sdf.write_text(plain_delays(routed.sdf.read_text(), wires=True))
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
        "output_bits_compared": timed.matches,
    }
