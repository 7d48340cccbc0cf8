"""Power of one netlist of `make synth`: simulated twice on tiles of real layers, its transitions weighed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import keep, kept, locked, making, sweep, write_text
from common.store import check_steady, sources_of
from flows.platform import Platform
from flows.power.activity import Activity, Stimulus, measure_activity, stimulus, stream_stimulus, workload
from flows.power.circuit import PARTS, Circuit, classify, read_circuit
from flows.power.engine import KINDS, Power, power_of
from flows.power.icarus import icarus_counts
from flows.power.opensta import opensta_power
from flows.sta import plain_delays, write_delays
from flows.synth.measure import KEPT_RESULTS, rival_of
from flows.synth.netlist import ARRAY_TOP, ROOT, TOP, Design
from models.replay import Capture, Tile
from models.rivals import nearest, widths

POWER = ("measure.py", "activity.py", "circuit.py", "engine.py", "icarus.py", "liberty.py", "opensta.py")
POWER += ("simulate.py", "simulate.cpp")
SOURCES = (*(f"flows/power/{name}" for name in POWER), "flows/sta", "flows/platform.py", "models/replay.py")
SOURCES += ("models/rivals.py",)
WIRED_PF = 0.005  # of wire a pin, to see what layout may change


@dataclass(frozen=True)
class Load:
    """What the layers of the tiles ask of a column for one image: clock cycles and MACs, int64 [tiles]."""

    cycles: np.ndarray
    macs: np.ndarray

    def mean(self, power: np.ndarray) -> float:
        """Of the powers of the tiles, each as long as its layer takes."""
        return float((power * self.cycles).sum() / self.cycles.sum())


def load_of(capture: Capture, rows: int) -> Load:
    """Load of a column of `rows`: one cycle for each output pixel, block of rows and output channel."""
    layers = capture.layers.values()
    cycles = [int(np.prod(layer.size)) * len(layer.bias) * -(-layer.depth // rows) for layer in layers]
    return Load(np.array(cycles), np.array([layer.macs for layer in layers]))


def design_of(record: dict) -> Design:
    """The design of an entry of ppa.json."""
    parameters = dict(record["parameters"])
    adders, booth, _ = (parameters.pop(key) for key in ("adders", "booth", "effort"))
    return Design(
        record["design"], tuple(parameters.items()), record["encoding_source"], booth, adders, record["shared"]
    )


@dataclass(frozen=True)
class Conditions:
    """What all netlists are measured with; `compare` OpenSTA, `check` Icarus."""

    platform: Platform
    capture: Capture
    vectors: int
    compare: bool = False
    check: bool = False


def measure(record: dict, given: Conditions) -> dict:
    """Fields that power adds to an entry of ppa.json, kept beside the netlist and not measured twice.

    Simulates the netlist both ways and weighs its transitions; raises UserError if it must not be believed.
    """
    circuit, design, clock_ns = tested(record, given.platform), design_of(record), record["clock_ns"]
    path = circuit.path
    key = fingerprint(record, given)
    place = path.parent / "power" / key[:12]
    with locked(place.with_name(f"{place.name}.lock")):
        if (found := kept(place / "result.json", key)) is not None:
            return found
        with making(place) as folder:
            fields = weigh(circuit, design, clock_ns, record["parameters"]["Rows"], given, folder)
            check_steady(f"power of {design.label}", key, fingerprint(record, given))
            keep(folder / "result.json", key, fields)
    sweep(path.parent / "power", "[0-9a-f]*", KEPT_RESULTS, spare=place)
    return fields


def tested(record: dict, platform: Platform) -> Circuit:
    """The netlist of an entry of ppa.json; UserError unless it is the one that passed at gate level."""
    label, path = design_of(record).label, (ROOT / record["netlist"]).resolve()
    if record["gate_sim"] != "passed":
        raise UserError(f"{label}: its gate-level simulation is '{record['gate_sim']}', not passed; no power")
    if not path.is_file():
        raise UserError(f"{path} does not exist; run make synth again")
    circuit = read_circuit(path, platform)
    if circuit.sha256 != record["netlist_sha256"]:
        raise UserError(f"{path} is not the netlist that was tested (its hash changed); run make synth again")
    return circuit


def fingerprint(record: dict, given: Conditions) -> str:
    """Hash of all that the power of a netlist depends on."""
    what = [record["netlist_sha256"], record["parameters"], record["package_sha256"], record["clock_ns"]]
    what += [given.capture.network, given.vectors, given.compare, given.check, tiles_sha256(given.capture)]
    what += [given.platform.sha256, sources()]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def tiles_sha256(capture: Capture) -> str:
    """Hash of the operands of all layers, and of how activations meet weights."""
    digest = hashlib.sha256()
    for name, layer in capture.layers.items():
        how = (
            name,
            layer.inputs.shape,
            layer.weights.shape,
            layer.stride,
            layer.padding,
            layer.groups,
            layer.pad_value,
        )
        digest.update(repr(how).encode() + layer.inputs.tobytes() + layer.weights.tobytes())
    return digest.hexdigest()


def sources() -> dict[str, str]:
    """What every power depends on beside netlist, library and tiles, by name and hash."""
    return sources_of(*(ROOT / name for name in SOURCES), programs=["sta"])


def as_read(tiles: list[Tile], design: Design) -> list[Tile]:
    """Tiles as a network for this design has them: operands of a rival are rounded to its widths, others stay int8."""
    bits = widths(rival_of(design) or "")
    if not bits:
        return tiles
    return [
        dataclasses.replace(t, weights=nearest(t.weights, bits[0]), activations=nearest(t.activations, bits[1]))
        for t in tiles
    ]


@dataclass(frozen=True)
class Routed:
    """What a layout knows of its netlist: delays (SDF), capacitance of the wire of each net (pF), latency of the clock.

    `power` is another's power of the same transitions.
    """

    sdf: Path
    wires_pf: dict[str, float]
    latency_ns: float
    power: Callable[[Circuit, Activity, Path], dict[str, float]]


def weigh(
    circuit: Circuit,
    design: Design,
    clock_ns: float,
    rows: int,
    given: Conditions,
    folder: Path,
    routed: Routed | None = None,
    behind_streams: int = 0,
) -> dict:
    """Activity and power of a netlist as fields of ppa.json; means are over the time that each layer takes.

    The netlist is a column, or an array of so many columns `behind_streams`. Delays and wires are those of a layout,
    `routed`, or of the cells and assumed ones before there is one. What tools read and write goes to `folder`.
    """
    platform, load = given.platform, load_of(given.capture, rows)
    columns = behind_streams or dict(design.parameters).get("Cols", 1)
    tiles = as_read(workload(given.capture, rows, given.vectors + behind_streams, columns), design)
    stimuli = (stream_stimulus if behind_streams else stimulus)(tiles, design, rows)
    sdf, wires_pf = folder / "delays.sdf", None
    if routed:
        write_text(sdf, plain_delays(routed.sdf.read_text(), circuit.senses))
        wires_pf = np.array([routed.wires_pf.get(net, 0.0) for net in circuit.nets])
    else:
        write_delays(circuit.path, ARRAY_TOP if behind_streams else TOP, platform, clock_ns, sdf)
    quiet = measure_activity(circuit, design, clock_ns, stimuli, None)
    timed = measure_activity(circuit, design, clock_ns, stimuli, sdf, routed.latency_ns if routed else None)
    power = power_of(circuit, timed, platform, clock_ns, wires_pf=wires_pf)
    zero_delay = power_of(circuit, quiet, platform, clock_ns, wires_pf=wires_pf)
    totals = {"total": load.mean(power.total()), "zero_delay_total": load.mean(zero_delay.total())}
    if not routed:
        wires = dataclasses.replace(platform, wire_pf_per_pin=platform.wire_pf_per_pin + WIRED_PF)
        totals["wired_total"] = load.mean(power_of(circuit, timed, wires, clock_ns).total())
    fields = {
        "area_by_part": {part: round(value, 3) for part, value in area_by_part(circuit).items() if value},
        "power_mw": {
            **{kind: round(load.mean(power.total(kind)), 6) for kind in KINDS},
            **{name: round(value, 6) for name, value in totals.items()},
            "by_part": {part: round(load.mean(power.total(part=part)), 6) for part in PARTS},
            "by_tile": dict(zip(timed.windows, power.total().round(5).tolist(), strict=True)),
        },
        "activity": {
            "source": "workload",
            "workload": {
                "tiles_sha256": tiles_sha256(given.capture),
                "network": given.capture.network,
                "tiles": list(timed.windows),
                "cycles_per_image": load.cycles.tolist(),
                "macs_per_image": int(load.macs.sum()),
            },
            "clock_ns": round(timed.clock_ns, 6),
            "cycles": int(timed.cycles.sum()),
            "results_checked": timed.matches,
            "annotated_percent": round(power.annotated_percent, 2),
            "glitches": True,
            "glitch_percent": round(100 * (1 - totals["zero_delay_total"] / totals["total"]), 2),
        },
    }
    if given.compare:
        again = routed.power if routed else functools.partial(opensta_power, platform=platform, clock_ns=clock_ns)
        theirs = again(circuit, timed, folder=folder)
        averaged = power_of(circuit, timed.merged(), platform, clock_ns, False, wires_pf)
        fields["agreement_mw"] = {
            "ours_without_clock_net": round(without_clock_net(power), 6),
            "averaged": round(without_clock_net(averaged), 6),
            "openroad" if routed else "opensta": {k: round(v, 6) for k, v in theirs.items()},
        }
    if given.check:
        fields["activity"] |= _against_icarus(circuit, design, clock_ns, stimuli, given, folder, quiet, timed)
    return fields


def _against_icarus(
    circuit: Circuit,
    design: Design,
    clock_ns: float,
    stimuli: Stimulus,
    given: Conditions,
    folder: Path,
    quiet: Activity,
    timed: Activity,
) -> dict[str, float]:
    """How many percent more transitions we count than Icarus, without and with delays."""
    found = {}
    for name, activity in (("zero_delay", quiet), ("timed", timed)):
        other = icarus_counts(circuit, design, given.platform, clock_ns, stimuli, folder, activity.glitches)
        change = 100 * (activity.toggles.sum() / (other.rises + other.falls).sum() - 1)
        found[f"{name}_transitions_against_icarus_percent"] = round(float(change), 4)
    return found


def area_by_part(circuit: Circuit) -> dict[str, float]:
    """um2 of the cells of each of PARTS."""
    area = dict.fromkeys(PARTS, 0.0)
    for group, parts in zip(circuit.groups, classify(circuit), strict=True):
        for number in parts:
            area[PARTS[number]] += group.cell.area_um2
    return area


def without_clock_net(power: Power) -> float:
    """mW over all cycles, without the load of the clock port: what OpenSTA counts."""
    return float((power.total() - power.clock_net).mean())
