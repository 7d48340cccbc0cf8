"""Static timing with OpenSTA: worst slack, and delays for timed simulation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from common.errors import UserError
from common.processes import run
from flows.platform import Platform

IO_SHARE = 0.1  # of the clock, spent outside at inputs and outputs alike

# An arc of a Liberty file that starts at another output (asap7's full adder: from its carry to its sum) is
# remarked upon and timed like any other.
HARMLESS = re.compile(r"^Warning( 1212)?: .* timing group from output port\.$")


def constraints(netlist: Path, top: str, platform: Platform, clock_ns: float) -> str:
    """Commands that read a netlist and constrain it: inputs come from and outputs go to registers."""
    return f"""
read_liberty {platform.liberty}
set_cmd_units -time ns -capacitance pF
read_verilog {netlist}
link_design {top}
create_clock -name clock -period {clock_ns} [get_ports clk_i]
set inputs {{}}
foreach port [all_inputs] {{ if {{[get_property $port full_name] != "clk_i"}} {{ lappend inputs $port }} }}
set_input_delay {IO_SHARE * clock_ns} -clock clock $inputs
set_output_delay {IO_SHARE * clock_ns} -clock clock [all_outputs]
set_driving_cell -lib_cell {platform.driver} $inputs
set_load {platform.output_load_pf} [all_outputs]
"""


def run_sta(commands: str, folder: Path, name: str) -> str:
    """What OpenSTA prints on these commands (kept in `folder` as <name>.tcl and .log).

    Raises UserError if it complains about anything but HARMLESS: an incomplete read gives wrong figures.
    """
    script, log = folder / f"{name}.tcl", folder / f"{name}.log"
    script.write_text(commands + "exit\n")
    try:
        done = run(["sta", "-no_splash", "-exit", script], capture_output=True, text=True, timeout=600)
    except FileNotFoundError as error:
        raise UserError("OpenSTA (sta) is not installed; run: make setup") from error
    output = done.stdout + done.stderr
    log.write_text(output)
    complaints = re.findall(r"^.*(?:Error|Warning).*$", output, re.MULTILINE)
    if real := [line for line in complaints if not HARMLESS.search(line)]:
        raise UserError(f"timing of {folder.name} failed: {real[0]}; see {log}")
    return output


def worst_slack_ns(netlist: Path, top: str, platform: Platform, clock_ns: float) -> float:
    """Setup slack of the worst path at `clock_ns`."""
    commands = constraints(netlist, top, platform, clock_ns)
    commands += 'report_checks -path_delay max -digits 3\nputs "worst_slack [worst_slack]"\n'
    output = run_sta(commands, netlist.parent, "sta")
    slack = re.search(r"^worst_slack (\S+)$", output, re.MULTILINE)
    if not slack:
        raise UserError(f"timing of {netlist.parent.name} failed: no slack reported; see {netlist.parent / 'sta.log'}")
    return float(slack.group(1))


IOPATH = re.compile(r"\(IOPATH (\([^)]*\)|\S+) (\S+) \(([^)]*)\)(?: \(([^)]*)\))?\)")
CELLTYPE, INSTANCE = re.compile(r'\(CELLTYPE "([^"]*)"\)'), re.compile(r"\(INSTANCE (\S+)\)")
WIRE = re.compile(r"\(INTERCONNECT \S+ (\S+) \(([^)]*)\)(?: \(([^)]*)\))?\)")
SCALES_NS = {"1ns": 1.0, "100ps": 0.1, "10ps": 0.01, "1ps": 0.001}


def write_delays(netlist: Path, top: str, platform: Platform, clock_ns: float, path: Path) -> None:
    """Delays of all cells as SDF in ns, without the wires' (zero before placement; Icarus cannot annotate them).

    Where a delay depends on the other inputs, the path gets the longest: Icarus cannot annotate conditions.
    """
    commands = constraints(netlist, top, platform, clock_ns) + f"write_sdf -digits 4 {path}\n"
    run_sta(commands, path.parent, "write_sdf")
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f"OpenSTA wrote no delays: {error}; see {path.parent / 'write_sdf.log'}") from error
    path.write_text(plain_delays(text))


Senses = Mapping[tuple[str, str, str], tuple[str, ...]]  # of the paths of (cell, input, output), as an SDF has them


def plain_delays(text: str, senses: Senses | None = None) -> str:
    """An SDF of cells with one unconditional delay for each path, in ns.

    The first cell holds the delays of wires. Before layout they are zero but for those of the cells that are assumed to
    drive the inputs, which no design has. With `senses`, after layout, they are added to the paths that begin at their
    end, and a path that inverts or not, as other inputs are, has a delay for each edge at its input. Raises UserError
    for an unknown unit, and with `senses` if there are no wires.
    """
    first = re.search(r"^ \(CELL\n[^\n]*\n  \(INSTANCE\)\n.*?^ \)\n", text, flags=re.M | re.S)
    text = text.replace(first.group(), "", 1) if first else text
    unit = re.search(r"\(TIMESCALE (\S+)\)", text)
    if not unit or unit.group(1) not in SCALES_NS:
        raise UserError(f"SDF in an unknown time unit: {unit.group(0) if unit else 'no TIMESCALE'}")
    head, *cells = text.replace(unit.group(0), "(TIMESCALE 1ns)").split(" (CELL\n")
    scale = SCALES_NS[unit.group(1)]
    found = WIRE.findall(first.group()) if first and senses is not None else []
    if senses is not None and not found:
        raise UserError("SDF of a layout without delays of wires (INTERCONNECT); delete its folder and run it again")
    late = {pin: max(_longest(edge, scale) for edge in (rise, fall or rise)) for pin, rise, fall in found}
    return head + "".join(" (CELL\n" + _plain_cell(cell, scale, late, senses or {}) for cell in cells)


def _longest(edge: str, scale: float) -> float:
    """ns of a triple, 0 of none."""
    return max(float(v) for v in edge.split(":") if v) * scale if edge.strip(":") else 0.0


def _plain_cell(cell: str, scale: float, late: dict[str, float], senses: Senses) -> str:
    paths: dict[tuple[str, str], list[list[float]]] = {}
    kind, instance = (head.group(1) if (head := re.search(p, cell)) else "" for p in (CELLTYPE, INSTANCE))
    for source, sink, *edges in IOPATH.findall(cell):
        wire = late.get(f"{instance}/{source.strip('()').split()[-1]}", 0.0)
        both = (edges[0], edges[1] or edges[0])  # a triple that is alone holds for both
        longest = [_longest(edge, scale) + wire if edge else 0.0 for edge in both]
        paths.setdefault((source, sink), []).append(longest)
    if not paths:
        return cell
    lines = []
    for (source, sink), found in paths.items():
        for edge, (rise, fall) in _by_edge(found, senses.get((kind, source, sink), ())).items():
            lines.append(f"    (IOPATH {edge.format(source)} {sink} ({rise:.5f}) ({fall:.5f}))\n")
    begin, end = cell.index("   (ABSOLUTE\n"), cell.index("\n   )\n")
    return cell[:begin] + "   (ABSOLUTE\n" + "".join(lines) + cell[end + 1 :]


def _by_edge(paths: list[list[float]], senses: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Longest delays to rise and fall by the edge at the input: one for both unless senses differ and all are known."""
    rise, fall = (max(column) for column in zip(*paths, strict=True))
    if len(senses) != len(paths) or not {"positive_unate", "negative_unate"} <= set(senses):
        return {"{}": (rise, fall)}
    same, other = (
        [max(p[to] for p, sense in zip(paths, senses, strict=True) if sense != against) for to in (0, 1)]
        for against in ("negative_unate", "positive_unate")
    )
    return {"(posedge {})": (same[0], other[1]), "(negedge {})": (other[0], same[1])}
