"""Static timing with OpenSTA: worst slack, and delays for timed simulation."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from flows.platform import Platform
from models.errors import UserError

IO_SHARE = 0.1  # of the clock, spent outside at inputs and outputs alike


def constraints(netlist: Path, top: str, platform: Platform, clock_ns: float) -> str:
    """Commands that read a netlist and constrain it: inputs come from and outputs go to registers."""
    return f"""
read_liberty {platform.liberty}
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

    Raises UserError if it complains about anything: an incomplete read gives wrong figures.
    """
    script, log = folder / f"{name}.tcl", folder / f"{name}.log"
    script.write_text(commands + "exit\n")
    try:
        done = subprocess.run(["sta", "-no_splash", "-exit", script], capture_output=True, text=True, timeout=600)
    except FileNotFoundError as error:
        raise UserError("OpenSTA (sta) is not installed; run: make setup") from error
    output = done.stdout + done.stderr
    log.write_text(output)
    if complaint := re.search(r"^.*(Error|Warning).*$", output, re.MULTILINE):
        raise UserError(f"timing of {folder.name} failed: {complaint.group(0)}; see {log}")
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


def write_delays(netlist: Path, top: str, platform: Platform, clock_ns: float, path: Path) -> None:
    """Delays of all cells as SDF, without the wires' (zero before placement; Icarus cannot annotate them)."""
    commands = constraints(netlist, top, platform, clock_ns) + f"write_sdf -digits 4 {path}\n"
    run_sta(commands, path.parent, "write_sdf")
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f"OpenSTA wrote no delays: {error}; see {path.parent / 'write_sdf.log'}") from error
    path.write_text(re.sub(r"^ \(CELL\n[^\n]*\n  \(INSTANCE\)\n.*?^ \)\n", "", text, count=1, flags=re.M | re.S))
