"""Runs a regression and leaves one record of it: `python -m tb.runner`, called by `make sim`.

A suite is done when all that `testplan.toml` demands of it was shown.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from pathlib import Path

from common.console import obey
from common.errors import UserError, run_cli, unknown
from common.files import write_text
from common.store import Store
from tb.control.build import GATE_PLATFORM, LIMIT_S, ROOT, prepare_environment, tool_versions
from tb.control.run import HOME, WAVES_FILE, Options, outcome_of, run, run_away, sources_of_tests, sources_sha256
from tb.control.suites import COVERAGE, SEEDS, SUITES, WAVES, Config, chosen, of_netlist, tests_of
from tb.control.workers import Dask, Processes
from tb.reporting import code_coverage, testplan
from tb.reporting.results import About, Outcome, report
from tools.options import parse

LIST = "?"  # in place of a test: list them


def regress(configs: list[Config], options: Options, jobs: int, scheduler: str = "") -> list[Outcome]:
    """Run all configurations, several at a time, with every seed of the suite.

    With a `scheduler` (address of a Dask cluster) workers run them; their logs come back with the outcomes.
    """
    seeds = range(options.seed, options.seed + SEEDS.get(options.suite, 1))
    tasks = [(config, dataclasses.replace(options, seed=seed)) for seed in seeds for config in configs]
    done: dict[int, list[Outcome]] = {}
    if scheduler:
        here = {"rtl": options.rtl == ROOT / "rtl", "out": options.out == ROOT / "build"}
        changes = {name: HOME for name, home in here.items() if home}
        away = [(c, dataclasses.replace(o, **changes), sources_sha256()) for c, o in tasks]
        ended = Dask(scheduler).run(run_away, away)
    else:
        ended = Processes(jobs).run(run, tasks)
    for part in ended:
        config, chosen_options = tasks[part.index]
        outcomes = part.result
        if outcomes is None:
            fault = f"no result: its worker was lost {len(part.lost)} times ({', '.join(part.lost)})"
            outcomes = [outcome_of(config, chosen_options)("simulation", "failed", fault)]
        done[part.index] = [dataclasses.replace(o, lost_workers=part.lost) for o in outcomes]
        good = all(o.passed for o in outcomes)
        again = f", run again: {', '.join(part.lost)} was lost" if part.lost and part.result else ""
        print(f"{config.sim} {config.design}: {'passed' if good else 'FAILED'}{again}", flush=True)
    return [outcome for index in range(len(tasks)) for outcome in keep_logs(done[index], options.out / "reports")]


def keep_logs(outcomes: list[Outcome], reports: Path) -> list[Outcome]:
    """Put logs that came from other machines into `reports`/logs; outcomes name them there."""
    kept = []
    for o in outcomes:
        if o.text:
            path = reports / "logs" / f"{hashlib.sha256(f'{o.worker}{o.log}'.encode()).hexdigest()[:16]}.log"
            write_text(path, o.text)
            o = dataclasses.replace(o, log=str(path))
        kept.append(o)
    return kept


def print_tests(configs: list[Config]) -> None:
    """Every test of a choice, and the designs that it runs on."""
    designs: dict[str, list[str]] = {}
    for config, names in tests_of(configs).items():
        for name in names:
            designs.setdefault(name, []).append(f"{config.sim} {config.design}")
    for name, where in sorted(designs.items()):
        shown = ", ".join([*where[:2], *["..."] * (len(where) > 2)])
        print(f"{name:48s} {len(where):3d} x  {shown}")
    print(f"\n{len(designs)} tests on {len(configs)} designs; suites: {', '.join(SUITES)}")


def main() -> int:
    """Command line of the runner; exit code 0 only if every test passed and the test plan is fulfilled."""
    args = parse("tb.runner", limit=LIMIT_S, plan=testplan.PLAN)
    obey(args)
    prepare_environment()
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # with it cocotb's runner judges, and stops at what it finds
    suite = COVERAGE if args.coverage else args.suite
    ppa = None if args.netlist else args.out / "reports" / "ppa.json"
    test = None if args.test == LIST else args.test
    configs = chosen(
        suite, args.sim, args.array, args.encoding, args.design, "gate" if args.netlist else args.dut, ppa, test
    )
    if args.platform and not args.netlist:
        raise UserError(f"PLATFORM= is the library of NETLIST=; netlists that are mapped here are of {GATE_PLATFORM}")
    if args.netlist:
        for option in ("scheduler", "coverage", "dut"):
            if getattr(args, option) not in (None, False, "", "gate"):
                raise UserError(f"NETLIST= is of gates, simulated on this machine: leave out {option.upper()}=")
        configs = [of_netlist(configs, args.netlist, args.platform or GATE_PLATFORM)]
    if args.test == LIST:
        print_tests(configs)
        return 0
    plan = testplan.load_plan(args.plan)
    faults = testplan.static_faults(plan, testplan.discover())
    if faults:
        raise UserError(f"{args.plan.name}: {'; '.join(faults)}")
    if args.stage is not None and args.stage not in testplan.STAGES:
        raise unknown("stage", args.stage, testplan.STAGES)
    narrowed = any((args.sim, args.array, args.encoding, args.design, args.test, args.dut, args.netlist))
    stage = args.stage or (suite if suite in testplan.STAGES and not narrowed else None)
    options = Options(
        suite=suite,
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
    if args.scheduler and any(c.instrument == COVERAGE for c in configs):
        raise UserError("lines and toggles are counted on one machine: leave out SCHEDULER")
    Store(options.out / "reports").check()
    started, sources = time.perf_counter(), sources_of_tests(options.rtl, configs)
    outcomes = regress(configs, options, args.jobs, args.scheduler or "")
    reports = options.out / "reports"
    for waves in sorted({path for o in outcomes if o.log and (path := Path(o.log).with_name(WAVES_FILE)).is_file()}):
        print(f"waves: {waves}")
    shortfall = []
    if suite == COVERAGE and not narrowed and not args.waves:
        counts = [path for o in outcomes if o.log for path in [Path(o.log).with_name("coverage.dat")] if path.exists()]
        shortfall = code_coverage.report(sorted(set(counts)), plan.code_exclusions, reports, options.rtl, sources)
    narrowing = {"SIM": args.sim, "ARRAY": args.array, "ENCODING": args.encoding, "DUT": args.dut}
    narrowing |= {"DESIGN": args.design, "TEST": args.test, "NETLIST": args.netlist, "PLATFORM": args.platform}
    choice = " ".join([suite, *(f"{key}={value}" for key, value in narrowing.items() if value)])
    wall_s = round(time.perf_counter() - started, 1)
    rtl = "" if options.rtl == ROOT / "rtl" else str(options.rtl)
    about = About(choice, options.seed, wall_s, rtl, sources, whole=not narrowed and not args.waves)
    code = report(outcomes, plan, stage, reports, tool_versions(), about)
    for fault in shortfall:
        print(f"FAILED code coverage: {fault}")
    return 1 if shortfall else code


if __name__ == "__main__":
    run_cli(main)
