"""Gate-level simulation of a netlist, its cells' functions from the Liberty file, their delays from an SDF file.

`simulate.cpp` does the work and says how delays are understood. No Verilog models of cells are needed, so that
every library is simulated alike; tests and `make power CHECK=1` compare the transitions with Icarus Verilog on
the library's own models.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError
from flows.power.circuit import CLOCK, RESET, CellGroup, Circuit
from flows.power.liberty import truth_table
from models.emulate.native import load_library

KINDS = {None: 0, "flip-flop": 1, "latch": 2, "clock gate": 3}
GATE = np.dtype([("data", "u8"), ("clock", "u8")] + [(n, "i4") for n in ("out", "kind", "arc", "arcs", "input", "n")])
ARC = np.dtype([("input", "i4"), ("delay", "i4", (2, 2))])  # of a fall and a rise at the input to a fall and a rise
PS = 1000  # in a ns: resolution of the simulation
MAX_INPUTS = 6
MAX_DELAY_PS = 10**9  # a millisecond; the simulation counts ps in 32 bits
CELL = re.compile(r'\(CELL\s+\(CELLTYPE "[^"]*"\)\s+\(INSTANCE\s*(\S*?)\s*\)(.*?)(?=\(CELL\s|\Z)', re.DOTALL)
PATH = re.compile(r"\(IOPATH\s+(?:\((pos|neg)edge\s+(\S+)\)|(\S+))\s+(\S+)\s+\(([^)]*)\)(?:\s+\(([^)]*)\))?")


@dataclass(frozen=True)
class Counts:
    """What the nets did: int64 [nets, windows] transitions and time at 1 (ps); outputs bool [cycles, outputs]."""

    rises: np.ndarray
    falls: np.ndarray
    high_ps: np.ndarray
    samples: np.ndarray
    events: int


Edges = tuple[int, int]  # to a fall, to a rise
Paths = dict[tuple[str, str, str], tuple[Edges, Edges]]


def read_sdf(path: Path) -> Paths:
    """Delays in ps of (instance, input, output) after a fall and after a rise of it, the largest of each triple.

    One that is given for one edge only, as of a clock, holds for both.
    """
    try:
        text = path.read_text()
        scale = re.search(r"\(TIMESCALE\s+([\d.]+)\s*(ns|ps)\)", text)
        if not scale:
            raise UserError(f"{path}: no time scale that is understood; is it an SDF file?")
        factor = float(scale[1]) * (PS if scale[2] == "ns" else 1)

        def picoseconds(triple: str) -> int:
            delay = max(float(word) for word in triple.split(":") if word) * factor
            if not 0 <= delay <= MAX_DELAY_PS:
                raise ValueError(f"a delay of {delay:g} ps")
            return round(delay)

        found: Paths = {}
        for instance, body in CELL.findall(text):
            name = instance.replace("\\", "")
            for edge, clocked, plain, output, rise, fall in PATH.findall(body):
                path_, delay = (name, clocked or plain, output), (picoseconds(fall or rise), picoseconds(rise))
                fallen, risen = found.get(path_, (delay, delay))
                found[path_] = (fallen if edge == "pos" else delay, risen if edge == "neg" else delay)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as SDF ({error}); run make synth again") from error
    return found


def _bits(truth: np.ndarray) -> int:
    return sum(1 << i for i in np.flatnonzero(truth).tolist())


def _functions(group: CellGroup, output: str, inputs: list[str], reset: bool) -> tuple[int, int, int]:
    """(kind, data, clock) of an output of a cell; with `reset` a flip-flop is cleared and set by the clock."""
    cell, function = group.cell, group.cell.pins[output].function
    state = cell.state
    if state is None:
        return KINDS[None], _bits(truth_table(function, inputs)), 0
    if state.kind not in KINDS:
        raise UserError(f"cell {cell.name} ({group.names[0]}) stores in a way that is not simulated; use a plain one")
    for text in filter(None, (state.clear, state.preset)):
        if (name := _forced(group, text, inputs)) and not (reset and state.kind == "flip-flop"):
            raise UserError(f"cell {cell.name} ({name}) is cleared or set by more than a constant; tie that pin off")
    data, clock, clear, preset = (
        truth_table(text or "0", inputs) for text in (state.data, state.clock, state.clear, state.preset)
    )
    data = data & ~clear | preset
    if state.kind != "clock gate":
        stored = truth_table(function, [state.true, state.inverse])  # index 1: state 1, index 2: state 0
        if stored[1] == stored[2]:
            raise UserError(f"cell {cell.name}: output {output} does not show its state")
        data = data if stored[1] else ~data
    return KINDS[state.kind], _bits(data), _bits(clock)


def _forced(group: CellGroup, function: str, inputs: list[str]) -> str:
    """The first instance whose constant pins let `function` be true; "" if none does."""
    table, index = truth_table(function, inputs), np.arange(1 << len(inputs))
    fixed = np.array([group.pins[pin] < 0 for pin in inputs])
    values = np.array([group.constants[pin] for pin in inputs])
    for at in np.unique(np.concatenate([fixed, values]), axis=1, return_index=True)[1]:
        possible = np.ones(len(index), bool)
        for pin in np.flatnonzero(fixed[:, at]):
            possible &= (index >> pin & 1) == values[pin, at]
        if table[possible].any():
            return group.names[at]
    return ""


def model(circuit: Circuit, delays: Paths | None, reset: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gates, arcs and the nets of the gates' inputs; nets past the circuit's are the constants 0 and 1."""
    zero = len(circuit.nets)
    gates, arcs, nets, lacking = [], [], [], []
    for group in circuit.groups:
        inputs = [name for name, pin in group.cell.pins.items() if not pin.output]
        if len(inputs) > MAX_INPUTS:
            name = group.cell.name
            raise UserError(
                f"cell {name} has {len(inputs)} inputs, {MAX_INPUTS} can be: add it to the platform's dont_use"
            )
        wires = np.zeros((len(inputs), len(group.names)), np.int32)  # none for a tie cell
        for j, p in enumerate(inputs):
            wires[j] = np.where(group.pins[p] < 0, zero + group.constants[p], group.pins[p])
        for output in (name for name, pin in group.cell.pins.items() if pin.output):
            kind, data, clock = _functions(group, output, inputs, reset)
            for i, name in enumerate(name.lstrip("\\") for name in group.names):
                out, first = int(group.pins[output][i]), len(arcs)
                if out < 0:
                    continue
                if delays is None:  # registers a moment after the clock's network has settled
                    arcs.append((0, [[int(kind == 1)] * 2] * 2))
                for j, pin in enumerate(inputs) if delays is not None else ():
                    if (name, pin, output) in delays:
                        arcs.append((j, delays[name, pin, output]))
                if len(arcs) == first and inputs:
                    lacking.append(f"{group.cell.name} {name}")
                gates.append((data, clock, out, kind, first, len(arcs) - first, len(nets), len(inputs)))
                nets += wires[:, i].tolist()
    if lacking:
        raise UserError(f"{circuit.path}: no delays for {lacking[0]} and {len(lacking) - 1} more cells")
    return np.array(gates, GATE), np.array(arcs, ARC), np.array(nets, np.int32)


class _Run(ctypes.Structure):
    _fields_ = (
        [(name, ctypes.c_void_p) for name in ("gates", "arcs", "inputs", "ports", "stimulus", "outputs")]
        + [(name, ctypes.c_void_p) for name in ("samples", "begins", "ends", "counts")]
        + [(name, ctypes.c_int64) for name in ("nets", "num_gates", "num_ports", "cycles", "num_outputs", "windows")]
        + [(name, ctypes.c_int64) for name in ("one", "clock", "period", "before", "half", "routed", "events")]
    )


def simulate(
    circuit: Circuit,
    delays: Paths | None,
    stimulus: dict[str, np.ndarray],
    outputs: list[str],
    windows: list[tuple[int, int]],
    period_ps: int,
    before_ps: int,
    routed: bool = False,
) -> Counts:
    """Run a netlist with `stimulus` (bool [cycles] of each input port) and count in `windows` (cycles).

    `delays` None: none; `routed`: of a layout. Inputs change `before_ps` after the rise of the clock, `outputs` are
    sampled as long before the next. A stimulus of RESET must hold it for whole cycles: flip-flops are cleared and set
    as if by their clock. Raises UserError on a cell without delay, one that cannot be simulated or a loop.
    """
    index = {net: i for i, net in enumerate(circuit.nets)}
    zero = len(circuit.nets)
    ports = [name for name in stimulus if name in index]
    cycles = len(next(iter(stimulus.values())))
    aliases = {name: zero - 1 - net if net < 0 else net for name, net in circuit.ports.items()}  # -1, -2: constants
    gates, arcs, nets = model(circuit, delays, RESET in ports)
    arrays = {
        "gates": gates,
        "arcs": arcs,
        "inputs": nets,
        "ports": np.array([index[name] for name in ports], np.int32),
        "stimulus": np.ascontiguousarray(np.array([stimulus[name] for name in ports], np.uint8).T),
        "outputs": np.array([aliases[name] for name in outputs], np.int32),
        "samples": np.zeros((cycles, len(outputs)), np.uint8),
        "begins": np.array([a for a, _ in windows], np.int64) * period_ps,
        "ends": np.array([b for _, b in windows], np.int64) * period_ps,
        "counts": np.zeros((zero + 2, len(windows), 3), np.int64),
    }
    run = _Run(
        *(array.ctypes.data for array in arrays.values()),
        *(zero + 2, len(gates), len(ports), cycles, len(outputs), len(windows)),
        *(zero + 1, index[CLOCK], period_ps, before_ps, period_ps // 2, routed, 0),
    )
    library = load_library(Path(__file__).with_name("simulate.cpp"))
    if not library.simulate(ctypes.byref(run)):
        raise UserError(f"{circuit.path}: the netlist does not settle; is there a loop of cells?")
    counts = arrays["counts"][:zero]
    rises, falls, high = (np.ascontiguousarray(counts[:, :, k]) for k in range(3))
    return Counts(rises, falls, high, arrays["samples"].astype(bool), run.events)
