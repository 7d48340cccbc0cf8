"""Static timing with OpenSTA."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from flows.platform import Platform
from models.errors import UserError

IO_SHARE = 0.1  # of the clock, spent outside at inputs and outputs alike


def worst_slack_ns(netlist: Path, top: str, platform: Platform, clock_ns: float) -> float:
    """Setup slack of the worst path at `clock_ns`; inputs come from and outputs go to registers.

    Raises UserError if OpenSTA complains about anything: an incomplete read gives wrong times.
    """
    folder = netlist.parent
    tcl = f"""
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
report_checks -path_delay max -digits 3
puts "worst_slack [worst_slack]"
exit
"""
    (folder / "sta.tcl").write_text(tcl)
    try:
        done = subprocess.run(
            ["sta", "-no_splash", "-exit", folder / "sta.tcl"], capture_output=True, text=True, timeout=600
        )
    except FileNotFoundError as error:
        raise UserError("OpenSTA (sta) is not installed; run: make setup") from error
    output = done.stdout + done.stderr
    (folder / "sta.log").write_text(output)
    complaint = re.search(r"^.*(Error|Warning).*$", output, re.MULTILINE)
    slack = re.search(r"^worst_slack (\S+)$", output, re.MULTILINE)
    if complaint or not slack:
        reason = complaint.group(0) if complaint else "no slack reported"
        raise UserError(f"timing of {folder.name} failed: {reason}; see {folder / 'sta.log'}")
    return float(slack.group(1))
