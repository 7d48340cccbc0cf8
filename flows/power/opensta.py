"""The same power by OpenSTA, where the `sta` on PATH is recent enough to read activity (SAIF)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np

from common.errors import UserError
from flows.platform import Platform
from flows.power.activity import Activity
from flows.power.circuit import Circuit
from flows.power.engine import KINDS
from flows.power.simulate import PS
from flows.sta import constraints, run_sta
from flows.synth.netlist import TOP


def write_saif(circuit: Circuit, activity: Activity, path: Path) -> None:
    """Activity of every pin of every cell over all windows, for this and other power tools."""
    whole, top = activity.merged(), re.search(r"^module (\w+)", circuit.path.read_text(), re.MULTILINE)
    duration = round(float(whole.cycles[0]) * activity.clock_ns * PS)
    toggles, high = whole.toggles[:, 0], whole.high[:, 0] * duration
    lines = [
        '(SAIFILE (SAIFVERSION "2.0") (DIRECTION "backward")',
        f"(DIVIDER /) (TIMESCALE 1 ps) (DURATION {duration})",
        f"(INSTANCE {top[1] if top else TOP}",
    ]
    for group in circuit.groups:
        for i, name in enumerate(group.names):
            lines.append(f"(INSTANCE {name.removeprefix(chr(92))} (NET")
            for pin, nets in group.pins.items():
                if nets[i] >= 0:
                    row = activity.nets[circuit.nets[nets[i]]]
                    t1 = round(float(high[row]))
                    lines.append(f"({pin} (T0 {duration - t1}) (T1 {t1}) (TX 0) (TC {int(toggles[row])}) (IG 0))")
                else:
                    t1 = duration if group.constants[pin][i] else 0
                    lines.append(f"({pin} (T0 {duration - t1}) (T1 {t1}) (TX 0) (TC 0) (IG 0))")
            lines.append("))")
    path.write_text("\n".join([*lines, "))"]) + "\n")


def opensta_reads_activity() -> bool:
    """True if there is an `sta` that knows read_saif."""
    try:
        done = subprocess.run(
            ["sta", "-no_splash", "-exit", "/dev/stdin"],
            input='puts "found [llength [info commands read_saif]]"\nexit\n',
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return "found 1" in done.stdout


def opensta_power(
    circuit: Circuit, activity: Activity, platform: Platform, clock_ns: float, folder: Path
) -> dict[str, float]:
    """mW by kind, "total" and "annotated_pins". The clock port's own net is not in it: no cell drives it."""
    saif = folder / "activity.saif"
    write_saif(circuit, activity, saif)
    commands = constraints(circuit.path, TOP, platform, clock_ns)
    commands += f"set_clock_transition {platform.clock_slew_ns} [get_clocks clock]\n"
    commands += f"read_saif -scope {TOP} {saif}\nset_power_activity -input -activity 0\nreport_power -digits 8\n"
    return read_total(run_sta(commands, folder, "opensta_power"), folder / "opensta_power.log")


def read_total(output: str, log: Path) -> dict[str, float]:
    """mW by kind, "total" and "annotated_pins" of what `report_power` prints; UserError if it is not there."""
    found = re.search(r"^Total((?:\s+[\d.eE+-]+){4})", output, re.MULTILINE)
    pins = re.search(r"Annotated (\d+) pin", output)
    if not found:
        raise UserError(f"no power was reported; see {log}")
    figures = np.array([float(word) for word in found.group(1).split()]) * 1000
    return dict(zip((*KINDS, "total"), figures.tolist(), strict=True)) | {
        "annotated_pins": float(pins.group(1)) if pins else 0.0
    }
