"""Layout with OpenROAD, which is not part of the setup: `make layout`. Scripts, runs, and what they leave.

A run reads one netlist and leaves the routed one, its delays (SDF), the capacitances of its wires (SPEF), the
layout (DEF) and figures. Power is taken from the transitions of a workload in a run of its own, never from default
activity: statistical activity of a column is wrong by an order of magnitude.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError
from common.processes import signal_group, start
from common.store import file_sha256
from flows.platform import SUFFIXES, Platform, plain
from flows.power.activity import Activity
from flows.power.circuit import Circuit
from flows.power.opensta import read_total, write_saif
from flows.sta import IO_SHARE

SCRIPTS = Path(__file__).parent
UTILIZATION = 55.0  # percent of the core
ASPECT_RATIO = 2.0  # height by width: a column is tall, and its activations pass from side to side
MARGIN = 0.02  # of the clock, that repair of setup and hold leaves
LIMIT_S = 4 * 3600.0
# rounds of detailed routing after the first, and violations then that end a run: m12p and m14p had none left
ROUNDS, HOPELESS = 6, 1000
# parts of OpenROAD that fail where there is too little room: power grid, placement of cells and pins, global routing
CROWDED = re.compile(r"\[ERROR (?:PDN|GPL|DPL|PPL|GRT)-")
LATE = re.compile(r"\[ERROR\] (?:setup|hold) slack")  # before detailed routing
# what a version must know: those before are too old
COMMANDS = "set_io_pin_constraint insert_tiecells repair_tie_fanout check_antennas read_saif report_clock_latency"
LEFT = ("layout.v", "layout.sdf", "layout.spef", "layout.odb")  # what power is found from
SIDES = {"left": ("a_i", "zero_i"), "right": ("a_o", "zero_o"), "top": ("w_i", "w_shift_i", "f_i", "clk_i")}
SIDES |= {"bottom": ("y_o", "f_o")}
STREAMS = {"left": "s_axis_a_", "top": "s_axis_w_", "bottom": "m_axis_y_"}  # of an array
THROUGH = {"a_i": "a_o", "zero_i": "zero_o"}  # leave where they came in, so that columns abut


class Unroutable(UserError):
    """A layout that does not end well at this utilisation, and may at a smaller one."""


class Late(Unroutable):
    """One that misses its clock, and may meet it with another form of the same design."""


def openroad() -> str:
    """The program; UserError if there is none."""
    if tool := shutil.which("openroad"):
        return tool
    raise UserError("openroad is not on PATH; docs/layout.md says how to get it")


def version(tool: str) -> str:
    """What it says of itself; UserError if it says nothing."""
    try:
        done = subprocess.run([tool, "-version"], capture_output=True, text=True, errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{tool} does not start ({error}); is it OpenROAD?") from error
    said = done.stdout.strip().rpartition("\n")[2]  # after what a shell may have to say
    words = [word for word in said.split() if re.search(r"\d", word)]  # not the tool's name
    if done.returncode or not words:
        raise UserError(f"{tool} -version says nothing; is it OpenROAD?")
    return words[0]


def ports_of(netlist: Path, top: str) -> list[str]:
    """Ports of the module `top`; UserError if it is not there."""
    if not netlist.is_file():
        raise UserError(f"{netlist} {'is no file' if netlist.exists() else 'does not exist'}; run make synth")
    found = re.search(rf"^\s*module {re.escape(top)}\s*\(([^)]*)\)", plain(netlist), re.MULTILINE)
    if not found:
        raise UserError(f"{netlist} has no module {top}")
    return [port.split()[-1] for port in found.group(1).split(",") if port.strip()]  # some have direction and range


def check_cells(netlist: Path, platform: Platform) -> None:
    """Refuse a netlist with cells whose layout no LEF file holds."""
    macros = {
        name for file in platform.lef for name in re.findall(r"^\s*MACRO\s+(\S+)", plain(platform.find(file)), re.M)
    }
    text = plain(netlist)
    if found := re.search(r"^\s*(always|initial)\b", text, re.MULTILINE):
        raise UserError(f"{netlist} has '{found.group(1)}': it is no netlist of cells; map it first")
    used = set(re.findall(r"^  (\w+) (?:\\\S+|\w+) +?\(\n", text, re.MULTILINE))
    if within := used & set(re.findall(r"^\s*module (\w+)", text, re.MULTILINE)):
        raise UserError(f"{netlist} has {min(within)} as a module of its own: flatten it first")
    if lacking := sorted(used - macros):
        raise UserError(
            f"{netlist}: {', '.join(platform.lef)} lack {', '.join(lacking)}: name their LEF in the config.toml"
        )


def scripts_of(platform: Platform) -> list[Path]:
    """The scripts that run: the platform's and ours. Raises UserError if the platform cannot be laid out."""
    process = platform.folder / "openroad.tcl"
    if not process.is_file():
        raise UserError(
            f"{process} does not exist: platform {platform.name} has no layout; see flows/platforms/nangate45"
        )
    if not platform.lef:
        raise UserError(f"{platform.folder / 'config.toml'} names no lef; layout needs technology and cells")
    return [process.resolve(), SCRIPTS / "layout.tcl"]


@dataclass(frozen=True)
class Plan:
    """What is laid out, and how: a module of a netlist at a clock, ns, on so many percent of a core."""

    netlist: Path
    top: str
    platform: Platform
    clock_ns: float
    utilization: float = UTILIZATION
    aspect_ratio: float = ASPECT_RATIO  # a platform's script may have its own
    spread: bool = False  # cells all over the core, where the platform's script crowds them

    def constraints(self) -> str:
        """SDC, in ns and pF."""
        platform, delay = self.platform, f"{IO_SHARE * self.clock_ns:g}"  # more than 0, or there is no hold to repair
        return (
            f"create_clock -name clock -period {self.clock_ns:g} [get_ports clk_i]\n"
            f"set_input_delay {delay} -clock clock [all_inputs -no_clocks]\n"
            f"set_output_delay {delay} -clock clock [all_outputs]\n"
            f"set_driving_cell -lib_cell {platform.driver} [all_inputs -no_clocks]\n"
            f"set_input_transition {platform.clock_slew_ns:g} [get_ports clk_i]\n"
            f"set_load {platform.output_load_pf:g} [all_outputs]\n"
        )

    def settings(self) -> dict[str, str]:
        """Variables of layout.tcl that are no files. Raises UserError if the netlist lacks the module."""
        ports = ports_of(self.netlist, self.top)

        def bits(side: str) -> str:
            stream = STREAMS.get(side)
            return " ".join(
                # a bus of a stream is a port with an index, in a netlist of cells a port of its own for each bit
                f"{port}*" if stream and port.startswith(stream) and not re.search(r"_\d+$", port) else port
                for port in ports
                if re.sub(r"_\d+$", "", port) in SIDES[side] or (stream and port.startswith(stream))
            )

        through = [(p, p.replace(i, o, 1)) for i, o in THROUGH.items() for p in ports if re.fullmatch(rf"{i}_\d+", p)]
        return {
            "top": self.top,
            "utilization": f"{self.utilization:g}",
            "margin": f"{MARGIN * self.clock_ns:g}",
            "aspect_ratio": f"{self.aspect_ratio:g}",
            "diode": "",
            "spread": f"{self.spread:d}",
            **{f"pins_{side}": bits(side) for side in SIDES},
            "through": " ".join(port for pair in through for port in pair if pair[1] in ports),
        }

    def wider(self) -> Plan | None:
        """The same with its cells spread over the core; None where they are, or the platform always does."""
        crowds = "$layout(spread)" in scripts_of(self.platform)[0].read_text()
        return dataclasses.replace(self, spread=True) if crowds and not self.spread else None

    def hashed(self) -> list:
        """What OpenROAD is given, files by content, and when a run is given up."""
        platform = self.platform
        scripts = [path.read_text() for path in scripts_of(self.platform)]
        files = [self.netlist, *map(platform.find, (*platform.lef, *filter(None, [platform.extraction])))]
        given_up = [ROUNDS, HOPELESS, CROWDED.pattern, LATE.pattern]
        hashes = [file_sha256(path) for path in files]
        return [platform.sha256, self.constraints(), self.settings(), scripts, hashes, given_up]


def layout_script(plan: Plan, out: Path) -> Path:
    """Write the run's variables and constraints to `out`; returns the Tcl file to run.

    Raises UserError if the platform has no openroad.tcl, its LEF files are missing or lack a cell of the netlist.
    """
    sources, platform = scripts_of(plan.platform), plan.platform
    settings = plan.settings()
    check_cells(plan.netlist, platform)
    out.mkdir(parents=True, exist_ok=True)
    (out / "layout.sdc").write_text(plan.constraints())
    values = settings | {
        "lef": " ".join(f"{{{_unpacked(platform, file, out)}}}" for file in platform.lef),
        "liberty": platform.liberty.resolve(),
        "netlist": plan.netlist.resolve(),
        "sdc": out / "layout.sdc",
        "extraction": _unpacked(platform, platform.extraction, out) if platform.extraction else "",
        "threads": os.cpu_count() or 1,
        "out": out,
    }
    return _script(out / "layout.tcl", values, sources)


def _script(path: Path, values: dict[str, object], sources: list[Path]) -> Path:
    """A Tcl file that sets variables of `layout` and runs scripts, where OpenROAD knows what they need."""
    lines = [f"foreach command {{{COMMANDS}}} {{", '  if {[info commands $command] eq ""} {']
    lines += ['    puts "\\[ERROR\\] this OpenROAD is too old: it lacks $command"', "    exit 1", "  }", "}"]
    lines += [f"set layout({key}) {{{value}}}" for key, value in values.items()]
    path.write_text("\n".join([*lines, *(f"source {{{source}}}" for source in sources), ""]))
    return path


def _unpacked(platform: Platform, file: str, out: Path) -> Path:
    """A file of a process, without packing."""
    found = platform.find(file).resolve()
    if found.suffix not in SUFFIXES:
        return found
    (out / found.stem).write_text(plain(found))
    return out / found.stem


def run_openroad(script: Path, progress: Callable[[str], None] = lambda line: None, limit_s: float = LIMIT_S) -> str:
    """Run OpenROAD on a script; what it prints, kept as a log beside the script.

    `progress` gets the name of each step and the violations that are left. Raises UserError, with the first error of
    the log, if it fails, is killed or takes longer than `limit_s`; Unroutable if what it lacks is room.
    """
    log, began, lines, left = script.with_suffix(".log"), time.monotonic(), [], []
    command = [openroad(), "-no_splash", "-exit", str(script)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    process = start(command, cwd=script.parent, start_new_session=True, **options)
    timer = threading.Timer(limit_s, _end, [process])  # it may say nothing for hours
    timer.start()
    try:
        with log.open("w") as stream:
            for line in process.stdout:
                lines.append(line)
                stream.write(line)
                stream.flush()
                if found := re.match(r"encmac step (\S+)|\s*Completing 100% with (\d+) violations", line):
                    progress(found.group(1) or f"{found.group(2)} violations")
                    left = [*left, int(found.group(2))] if found.group(2) else []
                    if len(left) > ROUNDS and left[-1] > HOPELESS:
                        raise Unroutable(f"{script.stem} has {left[-1]} violations after {len(left)} rounds; see {log}")
        code = process.wait()
    finally:
        timer.cancel()
        _end(process)
        process.wait()
    text = "".join(lines)
    if code < 0 and time.monotonic() - began >= limit_s:
        raise UserError(f"{script.stem} took more than {limit_s / 60:.0f} minutes and was ended; see {log}")
    if code:
        error = re.search(r"^\[ERROR.*$|^Error: .*$", text, re.MULTILINE)
        why = error.group(0) if error else f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        kind = Late if LATE.match(why) else Unroutable if CROWDED.match(why) else UserError
        room = "give a smaller UTILIZATION=, or " * (kind is Unroutable)
        raise kind(f"{script.stem} failed: {why}; {room}see {log}")
    return text


def _end(process: subprocess.Popen) -> None:
    """End a program that leads a session, with what it has started, if it is a wrapper."""
    if process.returncode is None:  # not waited for: what it started may live on and hold its output
        with suppress(ProcessLookupError):
            signal_group(process.pid)


def run_layout(script: Path, progress: Callable[[str], None] = lambda line: None) -> dict:
    """Run OpenROAD on a script of `layout_script`; figures of the routed design.

    Raises UserError if OpenROAD is not installed or fails, Unroutable if it leaves violations of design rules.
    """
    which, began = version(openroad()), time.monotonic()
    log = script.with_suffix(".log")
    for stale in (*LEFT, "layout.def", "drc.rpt"):
        script.with_name(stale).unlink(missing_ok=True)
    text = run_openroad(script, progress)
    if "encmac end figures" not in text:
        raise UserError(f"layout ended without figures; is this OpenROAD? see {log}")
    report = script.with_name("drc.rpt")
    if not report.is_file():
        raise UserError(f"layout ended without {report.name}: its violations are not known; see {log}")
    told = re.findall(r"Number of violations = (\d+)", text)
    violations = max(report.read_text(errors="replace").count("violation type"), int(told[-1]) if told else 0)
    if violations:
        raise Unroutable(f"layout has {violations} violations of design rules at this utilisation; see {report}")
    return read_figures(text) | {"drc": violations, "openroad": which, "seconds": round(time.monotonic() - began)}


def read_figures(text: str) -> dict:
    """Figures of a log of layout.tcl; wording differs between versions.

    Keys: core_um [width, height], wns_ns, hold_wns_ns, wire_um, clock_buffers, clock_latency_ns, antennas (violations
    that are left), diodes (against them, None if unknown), diodes_um2.
    Raises UserError if one is not found.
    """
    part = text.partition("encmac begin figures")[2].partition("encmac end figures")[0]
    core = re.search(r"^core ([\d.]+) ([\d.]+)", part, re.MULTILINE)
    slacks = [
        float(word) if re.fullmatch(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", word) else None  # INF where there is no path
        for word in re.findall(r"worst slack\s+(?:(?:max|min)\s+)?(\S+)", part)
    ]
    setup, hold = [*slacks, None, None][:2]
    number = r"-?\d+(?:\.\d+)?"
    latency = re.findall(rf"^\s*({number})(?:\s+{number})?\s+(?:clock )?(?:network|total) latency", part, re.MULTILINE)
    wire = re.findall(r"Total wire length = (\d+(?:\.\d+)?) um", text)
    buffers = re.findall(r"Created (\d+) clock buffers", text)
    diodes = re.search(r"^diodes (\d+) ([\d.]+)", part, re.MULTILINE)
    antennas = re.findall(r"Found (\d+) (?:net|antenna) violations", text)
    found = {"core": core, "setup slack": setup, "hold slack": hold, "wire length": wire, "clock buffers": buffers}
    found |= {"clock latency": latency}
    if lacking := [name for name, match in found.items() if match is None or match == []]:
        raise UserError(f"OpenROAD printed no {', '.join(lacking)}")
    return {
        "core_um": [round(float(side), 3) for side in core.groups()],
        "wns_ns": setup,
        "hold_wns_ns": hold,
        "wire_um": float(wire[-1]),
        "clock_buffers": sum(map(int, buffers)),
        "clock_latency_ns": max(map(float, latency)),
        "antennas": int(antennas[-1]) if antennas else None,
        "diodes": int(diodes[1]) if diodes else None,
        "diodes_um2": round(int(diodes[1]) * float(diodes[2]), 3) if diodes else 0.0,
    }


def read_spef(path: Path) -> dict[str, float]:
    """Capacitance of the wire of each net, pF; UserError if the file is no SPEF."""
    text = path.read_text(errors="replace")
    unit = re.search(r"^\*C_UNIT ([\d.]+) (\w+)", text, re.MULTILINE)
    scale = {"PF": 1.0, "FF": 1e-3}.get(unit.group(2).upper()) if unit else None
    if scale is None:
        raise UserError(f"{path} names no unit of capacitance that is understood; is it SPEF?")
    names = dict(re.findall(r"^(\*\d+) (\S+)$", text, re.MULTILINE))
    nets = re.findall(r"^\*D_NET (\S+) ([\d.eE+-]+)", text, re.MULTILINE)
    return {names.get(n, n).replace("\\", ""): float(value) * float(unit.group(1)) * scale for n, value in nets}


def routed_power(script: Path, circuit: Circuit, activity: Activity, folder: Path) -> dict[str, float]:
    """mW of a layout by OpenROAD, as `opensta_power`: by kind, and "total", "annotated_pins"."""
    saif = folder / "activity.saif"
    write_saif(circuit, activity, saif)
    text = script.read_text()
    values = dict(re.findall(r"^set layout\((\w+)\) \{(.*)\}$", text, re.MULTILINE))
    wanted = {key: values[key] for key in ("liberty", "top", "sdc", "out")} | {"saif": saif.resolve()}
    return read_total(
        run_openroad(_script(folder / "power.tcl", wanted, [SCRIPTS / "power.tcl"])), folder / "power.log"
    )
