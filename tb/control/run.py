"""Runs the tests of one configuration in a simulator, and judges them.

A run passes only on evidence: the simulator ended well, every test in its XML passed, and for every test
the scoreboard's own record shows matches and no mismatch. A test that fails is run again with the same
seed and waves.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from common.errors import UserError
from common.files import in_use, sweep
from common.processes import CRASH, SimulatorFault
from common.store import sources_of
from flows.gls import COLUMN_RECORD, column_config
from flows.synth.netlist import Design
from models.encoding import load_encoding
from tb.control.build import (
    GATE_CLOCK_NS,
    LIMIT_S,
    ROOT,
    BoundedIcarus,
    LeanVerilator,
    build,
    prepare_environment,
    stamp,
)
from tb.control.suites import ARRAYS, WAVES, Config
from tb.control.trace import first_fault
from tb.reporting.results import BuildFault, Outcome, SimulatorRun, cause_of, judge
from tb.reporting.testplan import modules

WAVES_FILE = "waves.fst"
KEPT_RUNS = 8  # of each build
HOME = Path("checkout")  # stands for the folder of a worker's own checkout
TEST_SOURCES = ("tb", "models/encoding.py", "models/encodings", "models/hardware", "models/mapping.py")
SOURCE_FILES = {".py", ".sv", ".svh", ".vlt", ".cpp", ".json", ".toml"}


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


def simulate(config: Config, directory: Path, run_dir: Path, pattern: str, options: Options) -> SimulatorRun:
    """Run the tests that match `pattern` in one simulator process."""
    records, log, xml = (run_dir / name for name in ("records.jsonl", "sim.log", "results.xml"))
    environment = {
        "ENCMAC_CONFIG": json.dumps(config.array_fields),
        "ENCMAC_ENCODINGS": json.dumps(config.encodings),
        "ENCMAC_MODULE": json.dumps(config.parameters),
        "ENCMAC_RECORDS": str(records),
        "ENCMAC_VECTORS": str(config.vectors),
        "ENCMAC_CLOCK_NS": str(GATE_CLOCK_NS if config.gate else 10),
        "COCOTB_ANSI_OUTPUT": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::DeprecationWarning:tb",
    }
    if config.netlist:
        environment["ENCMAC_COLUMN"] = (directory / COLUMN_RECORD).read_text()
    elif config.alone:
        column = column_config(Design(config.design, tuple(config.parameters.items())), config.rows)
        environment["ENCMAC_COLUMN"] = json.dumps(column)
    waves = config.instrument == WAVES
    if config.sim == "verilator":
        tool = LeanVerilator()
        plusargs = ["+verilator+rand+reset+2", f"+verilator+seed+{options.seed}"]
        test_args = ["--trace-file", str(run_dir / WAVES_FILE)] if waves else []
    else:
        tool, test_args = BoundedIcarus(), []
        plusargs = [f"+dumpfile_path={run_dir / WAVES_FILE}"] if waves else []
    tool.limit_s = options.limit_s
    fault = cause = ""
    try:
        tool.test(
            test_module=modules(config.kind),
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
        fault, cause = str(error), error.cause
    except (RuntimeError, SystemExit) as error:
        fault = f"ended badly ({error})"
    return SimulatorRun(xml, records, log, fault, cause)


def outcome_of(config: Config, options: Options, files: dict[str, str] | None = None) -> Callable[..., Outcome]:
    """Makes outcomes of one configuration; `files` (log, waves, netlist) may grow until they are made."""
    words = {"ARRAY": config.array} if config.array in ARRAYS else {}
    words |= {"SIM": config.sim, "SUITE": "full" if options.suite == "nightly" else options.suite, "SEED": options.seed}
    words |= {"ENCODING": config.encoding} if config.array == "enc" else {}
    words |= {"NETLIST": config.cells, "PLATFORM": config.library} if config.cells else {}
    words |= {"DUT": "gate"} if config.gate and not config.cells else {}
    words |= {"DESIGN": f"'{dataclasses.replace(config, cells='').design}'"}
    words |= {"RTL": options.rtl} if options.rtl not in (ROOT / "rtl", HOME) else {}
    words |= {"OUT": options.out} if options.out not in (ROOT / "build", HOME) else {}
    replay = "make sim " + " ".join(f"{key}={value}" for key, value in words.items())

    sha256 = encoding_sha256(config.encoding) if config.array == "enc" else ""

    def outcome(
        name: str,
        status: str,
        message: str = "",
        record: dict | None = None,
        seconds: float = 0.0,
        cause: str = "",
    ) -> Outcome:
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
            cause=cause,
            encoding_sha256=sha256,
            coverage=counts.get("coverage", {}),
            **(files or {}),
        )

    return outcome


def encoding_sha256(name: str) -> str:
    """Hash of an encoding, whatever its name; empty for one that cannot be read."""
    try:
        return load_encoding(name).sha256
    except UserError:
        return ""


def run(config: Config, options: Options) -> list[Outcome]:
    """Build and simulate one configuration; never raises for what the design or a tool does."""
    started = time.perf_counter()
    files: dict[str, str] = {}
    outcome = outcome_of(config, options, files)
    try:
        directory = build(config, options.rtl, options.builds)
        sweep(directory, "run-*", keep=KEPT_RUNS)
        files["netlist_sha256"] = stamp(directory) or ""
        run_dir = directory / f"run-{os.getpid()}-{time.time_ns()}"
        run_dir.mkdir()
        files["log"] = str(run_dir / "sim.log")
        if config.instrument == WAVES:
            files["waves"] = str(run_dir / WAVES_FILE)
        with in_use(run_dir):
            result = simulate(config, directory, run_dir, config.pattern(options.test), options)
            outcomes = judge(result, outcome, time.perf_counter() - started)
    except UserError as error:
        cause = error.cause if isinstance(error, BuildFault) else ""
        return [outcome("build", "failed", str(error), seconds=time.perf_counter() - started, cause=cause)]
    except OSError as error:
        message = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        return [outcome("simulation", "failed", message, cause=cause_of(message, CRASH))]
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
    told = traced(config, second.waves)
    return dataclasses.replace(failed, message="; ".join(filter(None, (failed.message, told))), waves=second.waves)


def traced(config: Config, waves: str) -> str:
    """What the waves of a failed test say of where its first wrong value is; empty if they say nothing."""
    if not waves or not Path(waves).is_file() or config.gate or config.netlist:
        return ""
    try:
        return first_fault(Path(waves))
    except UserError as error:
        return f"waves: {error}"


def sources_of_tests(rtl: Path, configs: list[Config]) -> dict[str, str]:
    """What the outcomes of a run depend on, by name and hash, as it is now."""
    own = {name for config in configs for name in config.encodings if name.endswith(".json")}
    programs = ["iverilog"] * any(config.sim == "icarus" for config in configs)
    tools = {"packages": ["cocotb", "verilator"], "programs": programs}
    return sources_of(rtl, *(ROOT / name for name in TEST_SOURCES), *own, **tools)


@lru_cache(maxsize=1)
def sources_sha256() -> str:
    """Hash of all that decides what a run shows, as it was when this process first asked."""
    files = [
        p
        for folder in ("rtl", "tb", "models", "common")
        for p in (ROOT / folder).rglob("*")
        if p.suffix in SOURCE_FILES
    ]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()


def run_away(config: Config, options: Options, sources: str) -> list[Outcome]:
    """Run a configuration on a worker of a cluster, in the checkout and the build folder that it has."""
    from distributed import get_worker

    address = get_worker().address
    if sources_sha256() != sources:
        raise UserError(f"the checkout of worker {address} is another than this one; update it, start the worker anew")
    prepare_environment()
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))  # what a simulator gets as PYTHONPATH
    if options.rtl == HOME:
        options = dataclasses.replace(options, rtl=ROOT / "rtl")
    if options.out == HOME:
        options = dataclasses.replace(options, out=ROOT / "build")
    outcomes = run(config, options)
    texts = {o.log: Path(o.log).read_text(errors="replace") for o in outcomes if o.log and Path(o.log).exists()}
    return [dataclasses.replace(o, worker=address, text=texts.get(o.log, "")) for o in outcomes]
