"""A column laid out and measured: routed, its netlist read back, run on layer tiles with the delays of its wires."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError, unknown
from common.files import first_line, keep, kept, locked
from common.store import sources_of
from flows.openroad import (
    ASPECT_RATIO,
    Late,
    Plan,
    Unroutable,
    layout_script,
    openroad,
    ports_of,
    read_figures,
    read_spef,
    routed_power,
    run_layout,
    version,
)
from flows.openroad.picture import draw
from flows.platform import Platform
from flows.power.circuit import Circuit, read_circuit
from flows.power.measure import Conditions, Routed, tiles_sha256, weigh
from flows.power.measure import sources as power_sources
from flows.power.traced import Trace, read_trace, weigh_trace
from flows.synth.array import Array, flat_netlist
from flows.synth.measure import Result, forms, in_a_process
from flows.synth.netlist import ARRAY_TOP, ROOT, TOP, Design, Netlist, read_netlist, run_yosys, yosys_complaint
from models.encoding import load_encoding
from models.rivals import widths

# not what runs have left in results/
SOURCES = (*Path(__file__).parent.glob("*.py"), *Path(__file__).parent.glob("*.tcl"))
SOURCES = (*sorted(SOURCES), ROOT / "flows/synth/netlist.py", ROOT / "flows/platform.py")
UTILIZATIONS = tuple(float(percent) for percent in range(30, 81, 5))
ANNOTATED = 0.99  # of the pins must have activity for OpenROAD's power; cells without pins that switch have none
WRITE = "write_verilog -noattr -noexpr -nohex -nodec"
ESTIMATED, EXTRACTED = "estimated from global routes", "OpenRCX"


def chosen(words: Sequence[str], rows: int, gated: bool) -> dict[str, list[Design]]:
    """Lines of the table of `make synth` by name ("conv tree", "enc m14p merged") or by encoding, with their variants.

    With an encoding the extra column for its f(a) comes along. Raises UserError for a name that is none.
    """
    named = [re.sub(r"^(conv|exact)-", r"\1 ", word.strip()) for word in words]
    of = {word: found.group(1) or found.group(2) for word in named if (found := ENCODED.fullmatch(word))}
    lines_of_table = [word for word in named if " " in word and not word.endswith(".json")]
    encodings = list(dict.fromkeys(of.get(word, word) for word in named if word not in lines_of_table or word in of))
    rivals = [bits for word in lines_of_table if word not in of and widths(bits := word.rpartition(" ")[2])]
    table = forms(rows, encodings, 1, gated, True, None, False, list(dict.fromkeys(rivals)))
    found: dict[str, list[Design]] = {}
    for word in named:
        if word in lines_of_table:
            lines = [word, f"f(a) of {of[word]}"] if word in of else [word]
        else:
            lines = [f"{kind} {load_encoding(word).name}{end}" for kind, end in ENDS]
        if not any(line in table for line in lines):
            raise unknown("design", word, [name for name in table if " " in name], ", or an encoding")
        found |= {line: table[line] for line in lines if line in table}
    return found


ENCODED = re.compile(r"enc (\S+) (?:merged|counted)|f\(a\) of (\S+)")
ENDS = (("enc", " merged"), ("enc", " counted"), ("f(a) of", ""))


def sources(platform: Platform) -> dict[str, str]:
    """What every layout depends on beside netlist, library and tiles, by name and hash."""
    return sources_of(*SOURCES, platform.folder / "openroad.tcl") | power_sources()


@dataclass(frozen=True)
class Block:
    """What is laid out: a column, or an array of `columns` behind streams (0: a column)."""

    design: Design
    netlist: Netlist
    rows: int
    columns: int = 0

    @property
    def top(self) -> str:
        """Its module."""
        return ARRAY_TOP if self.columns else TOP

    @property
    def aspect_ratio(self) -> float:
        """Height by width of its core."""
        return 1.0 if self.columns else ASPECT_RATIO


def block_of(measured: Result | Array, platform: Platform) -> Block:
    """A column or array that `make synth` measured.

    Raises UserError if its column has not passed, Late if it misses its clock, as an array with the same adders may.
    """
    column = measured.column if isinstance(measured, Array) else measured
    if column.gate.status != "passed" or not column.meets or measured.slack_ns < 0:
        why = f"its gate-level simulation is '{column.gate.status}', its slack {measured.slack_ns:.3f} ns"
        kind = Late if column.gate.status == "passed" else UserError
        raise kind(f"{column.design.label}: {why}; a layout needs one that passed, see make synth")
    if isinstance(measured, Array):
        return Block(column.design, flat_netlist(measured, platform), column.rows, measured.columns)
    return Block(column.design, column.netlist, column.rows)


def weighed_before(block: Block, clock_ns: float, given: Conditions) -> dict:
    """Activity and power of the mapped netlist of an array, kept beside it; UserError if it computes wrong."""
    folder = block.netlist.path.parent
    what = [block.netlist.sha256, clock_ns, given.platform.sha256, given.vectors, tiles_sha256(given.capture)]
    key = hashlib.sha256(json.dumps([*what, sources(given.platform)]).encode()).hexdigest()
    with locked(folder / "power.lock"):
        if (fields := kept(folder / "power.json", key)) is None:
            circuit = read_circuit(block.netlist.path, given.platform)
            fields = weigh(circuit, block.design, clock_ns, block.rows, given, folder, behind_streams=block.columns)
            keep(folder / "power.json", key, fields)
    return fields


def lay_out(
    block: Block, clock_ns: float, utilization: float, given: Conditions, progress: Callable[[str], None]
) -> dict:
    """Route a block and weigh it: the `routed` part of its record, kept beside its netlist.

    One that cannot be routed is tried once more with its cells spread over the core, where its platform crowds them.
    Raises UserError if its netlist computes wrong, Unroutable if it has violations, Late if it misses setup or hold.
    """
    path = block.netlist.path.resolve()
    plan = Plan(path, block.top, given.platform, clock_ns, utilization, block.aspect_ratio)
    try:
        return _laid(plan, block, given, progress)
    except Late:
        raise
    except Unroutable as error:
        if not (wider := plan.wider()):
            raise
        progress(f"{error}; once more with cells spread over the core")
    return _laid(wider, block, given, progress)


def _laid(plan: Plan, block: Block, given: Conditions, progress: Callable[[str], None]) -> dict:
    """`lay_out` of one plan."""
    design, platform = block.design, given.platform
    what: list = [version(openroad()), plan.hashed()]
    key = hashlib.sha256(json.dumps(what).encode()).hexdigest()
    what += [given.vectors, tiles_sha256(given.capture), sources(platform)]
    key_of_power = hashlib.sha256(json.dumps(what).encode()).hexdigest()
    folder = plan.netlist.parent / "layout" / key[:12]
    # logs of a run that failed stay where they are; what counts is written last
    with locked(folder.with_name(f"{folder.name}.lock")):
        script = folder / "layout.tcl"
        if (routed := kept(folder / "layout.json", key)) is None:
            script = layout_script(plan, folder)
            try:
                routed = run_layout(script, progress)
                routed |= {"utilization_percent": plan.utilization, "spread": plan.spread}
            except Unroutable as error:  # and would be again
                routed = {"late" if isinstance(error, Late) else "unroutable": f"{design.label}: {error}"}
            keep(folder / "layout.json", key, routed)
        elif "wns_ns" in routed and (log := script.with_suffix(".log")).is_file():
            routed |= read_figures(log.read_text(errors="replace"))  # as they are read today
        if "unroutable" in routed:
            raise Unroutable(routed["unroutable"])
        if "late" in routed:
            raise Late(routed["late"])
        if min(routed["wns_ns"], routed["hold_wns_ns"]) < 0:
            raise Late(
                f"{design.label}: routed, but setup slack is {routed['wns_ns']} ns and hold slack "
                f"{routed['hold_wns_ns']} ns; give a longer CLOCK_NS= or a smaller UTILIZATION="
            )
        if (fields := kept(folder / "power.json", key_of_power)) is None:
            progress("simulation with wires")
            fields = weighed(folder, script, block, plan.clock_ns, given, routed["clock_latency_ns"])
            keep(folder / "power.json", key_of_power, fields)
    if routed.get("diodes"):  # they are in no netlist
        area, diodes = fields["area_um2"], routed["diodes_um2"]
        purposes = area["by_purpose"] | {"antenna diodes": diodes}
        fields |= {"area_um2": {"total": round(area["total"] + diodes, 3), "by_purpose": purposes}}
    known = {"parasitics": parasitics_of(platform), "mapped_netlist_sha256": block.netlist.sha256}
    return routed | fields | known | {"picture": os.path.relpath(folder / "layout.png", ROOT)}


def parasitics_of(platform: Platform) -> str:
    """Where the capacitance and the delays of wires come from."""
    return EXTRACTED if platform.extraction else ESTIMATED


def highest(lay: Callable[[float], dict], progress: Callable[[str], None]) -> dict:
    """The layout of the highest of `UTILIZATIONS` that routes, by bisection; `lay` makes the one of a utilisation.

    Its "tried" says what became of each. Raises Unroutable if none does.
    """
    found, tried, low, high, last = None, {}, 0, len(UTILIZATIONS) - 1, Unroutable
    while low <= high:
        middle = (low + high) // 2
        percent = UTILIZATIONS[middle]
        try:
            found, low = lay(percent), middle + 1
            tried[f"{percent:g}"] = "routed"
        except Unroutable as error:
            high, last = middle - 1, type(error)
            tried[f"{percent:g}"] = str(error)
        progress(f"{percent:g} %: {tried[f'{percent:g}']}")
    if not found:
        raise last(f"not routed at {UTILIZATIONS[0]:g} % or above; {tried[f'{UTILIZATIONS[0]:g}']}")
    return found | {"tried": tried}


def weighed(folder: Path, script: Path, block: Block, clock_ns: float, given: Conditions, latency_ns: float) -> dict:
    """Area, activity and power of the netlist that a layout has written, with the longest latency of its clock."""
    in_a_process(read_back, folder, given.platform, block.top)
    netlist = read_netlist(folder, given.platform)
    circuit = read_circuit(netlist.path, given.platform)
    size = f"{block.rows} rows" + (f", {block.columns} columns" if block.columns else "")
    title = f"{block.design.label.split('-rows')[0]}, {size}, {given.platform.title}"
    draw(folder / "layout.def", circuit, given.platform, title, folder / "layout.png")
    power = functools.partial(routed_power, script)
    layout = Routed(folder / "layout.sdf", wires_of(folder / "layout.spef", circuit), latency_ns, power)
    compared = dataclasses.replace(given, compare=True)
    fields = weigh(circuit, block.design, clock_ns, block.rows, compared, folder, layout, block.columns)
    check_annotated(fields, circuit, block.design.label, folder)
    return {
        "netlist_sha256": netlist.sha256,
        "cells": netlist.cells,
        "area_um2": {"total": round(netlist.area_um2, 3), "by_purpose": netlist.areas_um2},
        **fields,
    }


def check_annotated(fields: dict, circuit: Circuit, label: str, folder: Path) -> None:
    """UserError if OpenROAD took the activity of too few pins."""
    annotated, pins = fields["agreement_mw"]["openroad"]["annotated_pins"], circuit.pin_count
    if annotated < ANNOTATED * pins:
        raise UserError(
            f"{label}: OpenROAD took activity for {annotated:,.0f} of {pins:,} pins only, the others "
            f"would be guessed; see {folder / 'power.log'}"
        )


def wires_of(spef: Path, circuit: Circuit) -> dict[str, float]:
    """Capacitance of the wire of each net of a routed netlist, pF; UserError if the file, as a cut one, lacks a net.

    A port is a pin; nets of one pin, as of an output that nobody reads, have no wire.
    """
    try:
        found = read_spef(spef)
        # nets of a bus of ports, which the circuit has as bits
        found = {re.sub(r"\[(\d+)\]$", r"_\1", net): wire for net, wire in found.items()} | found
    except (OSError, ValueError) as error:
        raise UserError(f"{spef} cannot be read ({first_line(error)}); delete its folder and run it again") from error
    pins = np.zeros(len(circuit.nets), int)
    for group in circuit.groups:
        for nets in group.pins.values():
            np.add.at(pins, nets[nets >= 0], 1)
    ports = set(re.findall(r"^  input (\w+);", circuit.path.read_text(), re.MULTILINE))
    pins += np.array([net in ports for net in circuit.nets], int)
    np.add.at(pins, np.array(circuit.outputs, int), 1)
    if lacking := [net for net, count in zip(circuit.nets, pins, strict=True) if count > 1 and net not in found]:
        raise UserError(
            f"{spef} has no wire of net {lacking[0]} and of {len(lacking) - 1} more; delete its folder and run it again"
        )
    return found


def traced(
    netlist: Path, top: str, platform: Platform, waves: Path, folder: Path, own_names: bool = False
) -> tuple[Circuit, Trace]:
    """A netlist with its ports as bits, `bits.v` in a folder, and waves of them; UserError if they do not fit.

    With `own_names` its nets keep theirs, by which the wires of a layout are known.
    """
    ports_of(netlist, top)
    folder.mkdir(parents=True, exist_ok=True)
    bits = folder / "bits.v"
    bits.unlink(missing_ok=True)
    buses = folder / "buses.v"
    before = [f"{WRITE} {buses}", "splitnets -ports -format _", *([] if own_names else ["opt_clean -purge"])]
    in_a_process(_written, netlist, bits, platform, top, before)
    if not bits.is_file():
        log = folder / "yosys.log"
        raise UserError(f"{netlist} cannot be read: {yosys_complaint(log)}; see {log}")
    circuit = read_circuit(bits, platform)
    return circuit, read_trace(waves, circuit, buses.read_text())


def weighed_by_waves(
    folder: Path, top: str, platform: Platform, clock_ns: float, waves: Path, latency_ns: float
) -> dict:
    """Power of a layout in `folder` as `weigh_trace` gives it; UserError if its outputs differ from the waves."""
    circuit, trace = traced(folder / "layout.v", top, platform, waves, folder, own_names=True)
    power = functools.partial(routed_power, folder / "layout.tcl")
    layout = Routed(folder / "layout.sdf", wires_of(folder / "layout.spef", circuit), latency_ns, power)
    fields = weigh_trace(circuit, trace, platform, clock_ns, folder, layout)
    check_annotated(fields, circuit, top, folder)
    return fields


def read_back(folder: Path, platform: Platform, top: str) -> None:
    """`layout.v` as the flow's other netlists are, in this process, which Yosys may end; figures of its cells."""
    figures = f"tee -q -o {folder / 'stat.json'} stat -json -liberty {platform.liberty}"
    _written(folder / "layout.v", folder / "netlist.v", platform, top, [], [figures])


def _written(
    source: Path, path: Path, platform: Platform, top: str, before: Sequence[str], after: Sequence[str] = ()
) -> None:
    """A netlist of cells as Yosys writes it, with its commands before and after that."""
    read = [f"read_liberty -lib {platform.liberty}", f"read_verilog {source}", f"hierarchy -check -top {top}"]
    run_yosys([*read, *before, f"{WRITE} {path}", *after], platform, "ripple", path.parent)
