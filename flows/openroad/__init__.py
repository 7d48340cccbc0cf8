"""Layout with OpenROAD, if it is on PATH: `python -m flows.openroad <netlist>`, or `make layout NETLIST=`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from flows.platform import Platform
from flows.sta import IO_SHARE
from models.errors import UserError

SCRIPT = Path(__file__).with_name("layout.tcl")
UTILIZATION = 55  # percent of the core


def layout_script(
    netlist: Path, top: str, platform: Platform, clock_ns: float, out: Path, activity: Path | None, scope: str
) -> Path:
    """Write the run's variables and constraints to `out`; returns the Tcl file to run.

    Raises UserError if the platform has no openroad.tcl or its LEF files are missing.
    """
    process = platform.folder / "openroad.tcl"
    if not process.is_file():
        raise UserError(
            f"{process} does not exist: platform {platform.name} has no layout; see flows/platforms/nangate45"
        )
    if not platform.lef:
        raise UserError(f"{platform.folder / 'config.toml'} names no lef; layout needs technology and cells")
    if not netlist.is_file():
        raise UserError(f"{netlist} does not exist; run make synth")
    out.mkdir(parents=True, exist_ok=True)
    ports = re.search(rf"module {top}\(([^)]*)\)", netlist.read_text())
    if not ports:
        raise UserError(f"{netlist} has no module {top}")
    delay = f"{IO_SHARE * clock_ns:g}"  # more than 0, or there is no hold to repair
    (out / "layout.sdc").write_text(
        f"set_units -time ns -capacitance pF\ncreate_clock -name clock -period {clock_ns:g} [get_ports clk_i]\n"
        f"set_input_delay {delay} -clock clock [all_inputs -no_clocks]\n"
        f"set_output_delay {delay} -clock clock [all_outputs]\n"
        f"set_driving_cell -lib_cell {platform.driver} [all_inputs -no_clocks]\n"
        f"set_load {platform.output_load_pf:g} [all_outputs]\n"
    )
    values = {
        "lef": " ".join(f"{{{_plain(platform, file, out)}}}" for file in platform.lef),
        "liberty": platform.liberty,
        "netlist": netlist.resolve(),
        "top": top,
        "sdc": out / "layout.sdc",
        "utilization": UTILIZATION,
        "out": out,
        "activity": activity.resolve() if activity else "",
        "scope": scope,
    }
    lines = [f"set layout({key}) {{{value}}}" for key, value in values.items()]
    script = out / "run.tcl"
    script.write_text("\n".join([*lines, f"source {{{process.resolve()}}}", f"source {{{SCRIPT}}}", ""]))
    return script


def _plain(platform: Platform, file: str, out: Path) -> Path:
    """A LEF file without packing."""
    from flows.platform import plain

    found = platform.find(file)
    if found.suffix != ".gz":
        return found
    (out / found.stem).write_text(plain(found))
    return out / found.stem


def run_layout(script: Path) -> dict:
    """Run OpenROAD on a script of `layout_script`; figures of the routed design.

    Raises UserError if OpenROAD is not installed, fails, or leaves violations of design rules.
    """
    tool = shutil.which("openroad")
    if not tool:
        raise UserError(
            "openroad is not on PATH; build it from github.com/The-OpenROAD-Project/OpenROAD or use its container"
        )
    done = subprocess.run([tool, "-no_splash", "-exit", script], capture_output=True, text=True, cwd=script.parent)
    log = script.with_name("openroad.log")
    log.write_text(done.stdout + done.stderr)
    if done.returncode or "encmac end figures" not in done.stdout:
        error = re.search(r"^\[ERROR.*$", done.stdout + done.stderr, re.MULTILINE)
        raise UserError(f"layout failed: {error.group(0) if error else f'exit code {done.returncode}'}; see {log}")
    report = script.with_name("drc.rpt")
    violations = report.read_text().count("violation type") if report.is_file() else 0
    if violations:
        raise UserError(f"layout has {violations} violations of design rules; see {report}")
    version = subprocess.run([tool, "-version"], capture_output=True, text=True).stdout.strip()
    return read_figures(done.stdout) | {"openroad": version, "drc": violations}


def read_figures(text: str) -> dict:
    """Figures between the marks of layout.tcl; wording differs between versions.

    Keys: area_um2, utilization_percent, wns_ns, hold_wns_ns, power_mw {internal, switching, leakage, total}.
    Raises UserError if one is not found.
    """
    part = text.partition("encmac begin figures")[2].partition("encmac end figures")[0]
    area = re.search(r"[Dd]esign area\s+([\d.]+)\s*u(?:m)?\^2\s+([\d.]+)%", part)
    setup = re.search(r"worst slack\s+(?:max\s+)?(-?[\d.]+(?:e-?\d+)?)", part)
    hold = re.search(r"worst slack\s+(?:min\s+)?(-?[\d.]+(?:e-?\d+)?)", part[setup.end() :] if setup else "")
    power = re.search(r"^Total\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", part, re.MULTILINE)
    found = {"area": area, "setup slack": setup, "hold slack": hold, "power": power}
    if lacking := [name for name, match in found.items() if not match]:
        raise UserError(f"OpenROAD printed no {', '.join(lacking)}")
    names = ("internal", "switching", "leakage", "total")
    return {
        "area_um2": float(area.group(1)),
        "utilization_percent": float(area.group(2)),
        "wns_ns": float(setup.group(1)),
        "hold_wns_ns": float(hold.group(1)),
        "power_mw": {name: round(1000 * float(value), 6) for name, value in zip(names, power.groups(), strict=True)},
    }
