"""What a regression leaves: judgement of each simulator run, one record, its text and JUnit views."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from common import command
from common.console import tell
from common.errors import UserError
from common.files import NO_SPACE, full_disk, locked, write_text
from common.processes import CRASH, DISK
from common.provenance import git_commit
from common.store import Store, marked
from tb.reporting.report import add_run, refresh
from tb.reporting.testplan import Passed, Plan, coverage_record, merge, unplanned
from tb.reporting.testplan import judge as judge_plan

NO_TEST = ("build", "simulation")  # names of outcomes of a whole run that has no tests to tell of
SHOWN_FAULTS = 4  # of a testpoint; sim.json has them all
RUNNING = re.compile(r" running \S+\.(\w+) \(\d+/\d+\)")
ASSERTION = re.compile(r"%Error.*|^.*\b(?:ERROR|FATAL): .*", re.MULTILINE)  # linear in a line, however long


@dataclass(frozen=True)
class Outcome:
    """One test on one design: what `sim.json` holds per test.

    `coverage` (bins that the test hit, see tb.env.coverage) goes into `coverage.json` instead.
    """

    name: str
    suite: str
    array: str
    design: str
    simulator: str
    seed: int
    status: str
    matches: int
    mismatches: int
    duration_s: float
    replay: str
    message: str = ""
    cause: str = ""  # of a failure that says nothing of the design: one of CAUSES
    log: str = ""
    waves: str = ""
    netlist_sha256: str = ""  # of the netlist that was simulated; empty for RTL
    encoding_sha256: str = ""  # of the encoding of an encoded array
    worker: str = ""  # of a cluster, that ran it
    lost_workers: tuple[str, ...] = ()  # that were running it before
    text: str = field(default="", repr=False, compare=False)  # of a log that lies on another machine
    coverage: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def passed(self) -> bool:
        """True if the test passed."""
        return self.status == "passed"

    @property
    def where(self) -> str:
        """The design as tables show it."""
        return f"{self.simulator} {self.design}"

    def record(self) -> dict:
        """The fields of `sim.json`."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k not in ("coverage", "text")}


@dataclass(frozen=True)
class About:
    """A regression as the stored runs know it: what was chosen, seed, wall-clock seconds; the folder of its RTL if
    that is not the project's own, what its results depend on, and whether all of a suite ran."""

    choice: str
    seed: int
    wall_s: float
    rtl: str = ""
    sources: dict[str, str] = field(default_factory=dict)
    whole: bool = False


class BuildFault(UserError):
    """A design that could not be built; `cause` as that of SimulatorFault, empty if a tool refused the design."""

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True)
class SimulatorRun:
    """Files of one simulator run, and what was wrong with the process itself."""

    xml: Path
    records: Path
    log: Path
    fault: str = ""
    cause: str = ""  # of the fault

    @property
    def text(self) -> str:
        """The log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def describe(self, fault: str) -> str:
        """A fault with the test that was running, the first error of the simulator, a full disk."""
        text = self.text
        running = RUNNING.findall(text)
        if self.fault and running:
            fault += f", in {running[-1]}"
        if errors := ASSERTION.findall(text):
            fault += f": {errors[0].strip()}"
        return f"{fault}{full_disk(self.log.parent)}; see {self.log}"


def cause_of(message: str, cause: str = "") -> str:
    """Why a run failed, one of CAUSES, from what is known of its process and what is said of it."""
    return DISK if NO_SPACE in message.lower() else cause


def judge(run: SimulatorRun, outcome: Callable[..., Outcome], seconds: float) -> list[Outcome]:
    """Outcomes of one simulator run: exit, XML and the scoreboard's records must agree."""

    def whole_run(fault: str, cause: str) -> Outcome:
        message = run.describe(fault)
        return outcome("simulation", "failed", message, seconds=seconds, cause=cause_of(message, cause))

    try:
        cases = list(ElementTree.parse(run.xml).iter("testcase"))
        lines = run.records.read_text().splitlines() if run.records.exists() else []
        evidence = {record["test"]: record for record in map(json.loads, lines)}
    except (OSError, ElementTree.ParseError, json.JSONDecodeError) as error:
        fault = f"simulator {run.fault}" if run.fault else f"no whole results ({error})"
        return [whole_run(fault, run.cause or CRASH)]
    outcomes = []
    for case in cases:
        if case.find("skipped") is not None:
            continue
        name, spent = case.get("name"), float(case.get("time", 0))
        faults = [case for case in case if case.tag in ("failure", "error")]
        fault = next((c.get("error_msg") or c.get("message") or c.tag for c in faults), "")
        record = evidence.get(name)
        if not fault:
            if record is None:
                fault = f"passed without a scoreboard record{full_disk(run.log.parent)}"
            elif record["errors"] or record["mismatches"] or not record["matches"]:
                fault = f"scoreboard: {record['matches']} matches, {record['mismatches']} mismatches"
        elif record is None:
            fault = "; ".join([fault, *ASSERTION.findall(run.text)[:1]]) + full_disk(run.log.parent)
        outcomes.append(outcome(name, "failed" if fault else "passed", fault, record, spent, cause_of(fault)))
    if not outcomes:
        return [whole_run(f"simulator {run.fault}" if run.fault else "no test was executed", run.cause or CRASH)]
    if all(o.passed for o in outcomes) and (run.fault or ASSERTION.search(run.text)):
        outcomes.append(whole_run(f"every test passed, but the simulator {run.fault or 'complained'}", run.cause))
    return outcomes


def write_junit(outcomes: list[Outcome], testpoints: dict[str, list[str]], path: Path) -> None:
    """The record as JUnit XML: a suite for each design, one for the test plan."""
    totals = {"tests": len(outcomes) + len(testpoints)}
    totals["failures"] = sum(not o.passed for o in outcomes) + sum(map(bool, testpoints.values()))
    root = ElementTree.Element("testsuites", {k: str(v) for k, v in totals.items()})

    def suite(name: str, cases: list[tuple[str, float, str, str]]) -> None:
        failures = sum(bool(message) for *_, message, _ in cases)
        node = ElementTree.SubElement(root, "testsuite", name=name, tests=str(len(cases)), failures=str(failures))
        for case, seconds, message, text in cases:
            entry = ElementTree.SubElement(node, "testcase", classname=name, name=case, time=str(seconds))
            if message:
                ElementTree.SubElement(entry, "failure", message=message).text = text

    for where in dict.fromkeys(o.where for o in outcomes):
        members = [o for o in outcomes if o.where == where]
        suite(where, [(o.name, o.duration_s, "" if o.passed else o.message or "failed", o.replay) for o in members])
    if testpoints:
        suite("testplan", [(label, 0, "; ".join(faults), "") for label, faults in testpoints.items()])
    write_text(path, ElementTree.tostring(root, encoding="unicode") + "\n")


def print_table(outcomes: list[Outcome]) -> None:
    """The result as text, one line a test."""
    rows = [("simulator", "design", "test", "matches", "mismatches", "seconds", "status")]
    rows += [
        (o.simulator, o.design, o.name, f"{o.matches}", f"{o.mismatches}", f"{o.duration_s:.1f}", o.status)
        for o in outcomes
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = enumerate(zip(row, widths, strict=True))
        print("  ".join(c.rjust(w) if 3 <= i <= 5 else c.ljust(w) for i, (c, w) in cells).rstrip())
    for o in outcomes:
        if o.lost_workers:
            print(f"RUN AGAIN {o.where} {o.name}: {', '.join(o.lost_workers)} was lost while it ran")
        if not o.passed:
            print(f"FAILED {o.where} {o.name}: {o.message}\n       {o.replay}")
            if o.waves:
                print(f"       waves: {o.waves}")


def record_of(
    outcomes: list[Outcome], plan: Plan, stage: str | None, tools: dict[str, str], commit: str | None
) -> tuple[dict, dict]:
    """What `sim.json` and `coverage.json` say of tests; with a `stage` they have to show what the plan asks of it."""
    tested = [Passed(o.name, o.array, o.where, o.coverage) for o in outcomes if o.passed]
    coverage = merge(tested)
    verdict: dict[str, list[str]] = {}
    if stage:
        verdict = judge_plan(plan, stage, tested, coverage)
        verdict["no cover point unplanned"] = unplanned(plan, coverage)
    totals = {
        "tests": len(outcomes),
        "passed": sum(o.passed for o in outcomes),
        "failed": sum(not o.passed for o in outcomes),
        "matches": sum(o.matches for o in outcomes),
        "mismatches": sum(o.mismatches for o in outcomes),
        "testpoints": len(verdict),
        "testpoints_failed": sum(map(bool, verdict.values())),
    }
    record = {
        "format": "encmac-sim/1",
        "totals": totals,
        "tests": [o.record() for o in outcomes],
        "testplan": {
            "stage": stage,
            "testpoints": verdict,
            "descriptions": {point.label: point.description for point in plan.testpoints if point.label in verdict},
        },
        "tools": tools,
        "git_commit": commit,
    }
    return record, coverage_record(plan, coverage)


def is_good(totals: dict) -> bool:
    """True if something was compared and nothing is missing or wrong."""
    shown = totals["tests"] and totals["matches"] and not totals.get("missing")
    return bool(shown and not totals["failed"] and not totals["testpoints_failed"])


def place_of(o: Outcome, about: About) -> dict:
    """What a test ran on: the simulator, the design by name and its netlist by hash, the encoding by hash, the seed."""
    place = {"simulator": o.simulator, "design": o.design, "seed": o.seed, "rtl": about.rtl}
    return place | {"netlist_sha256": o.netlist_sha256, "encoding_sha256": o.encoding_sha256}


def keep(outcomes: list[Outcome], stage: str | None, store: Store, about: About) -> None:
    """Put the outcomes into the store, each in the place of the same test's on the same design, seed and encoding.

    What says nothing of the design (`cause`) is not kept. A run that was not narrowed is the regression that a page
    shows; narrow ones after it bring newer outcomes to it, and take away that a design did not build.
    """
    places = [place_of(o, about) for o in outcomes]
    both = list(zip(places, outcomes, strict=True))
    entries = [
        (p | {"test": o.name}, dataclasses.asdict(o) | {"text": ""}, about.sources) for p, o in both if not o.cause
    ]
    ran = [place for place, o in both if o.name not in NO_TEST]
    over = ("build",) if " TEST=" in about.choice else NO_TEST  # one test says nothing of a simulator that broke down
    store.remove("test", [place | {"test": name} for place in ran for name in over])
    store.put_all("test", entries)
    if about.whole:
        tests = [place | {"test": o.name} for place, o in both if o.name not in NO_TEST or o.cause]
        store.put("regression", {"choice": about.choice, "rtl": about.rtl}, {"tests": tests, "stage": stage})


def regression(store: Store, plan: Plan, tools: dict[str, str], commit: str | None) -> tuple[dict, dict] | None:
    """The last run that was not narrowed, with what narrower ones found since, as `record_of`; None without one.

    "missing" counts tests of it without an outcome of the sources that there are now; "stale" names those sources.
    """
    runs = store.entries("regression")
    if not runs:
        return None
    last = runs[-1]
    places = {_place(key) for key in last.data["tests"]}
    current, stale = marked([e for e in store.entries("test") if _place(e.key) in places])
    outcomes = [Outcome(**e.data | {"lost_workers": tuple(e.data["lost_workers"])}) for e in current]
    record, covered = record_of(outcomes, plan, last.data["stage"], tools, commit)
    found = [e.key for e in current]
    record["totals"]["missing"] = sum(key not in found for key in last.data["tests"] if key["test"] not in NO_TEST)
    record |= {"choice": last.key["choice"], "date": last.written}
    record["stale"] = sorted({name for entry in stale for name in entry["changed"]})
    by_date = sorted([last, *current], key=lambda entry: entry.number)
    record["commands"] = covered["commands"] = list(dict.fromkeys(e.command for e in by_date if e.command))
    return record, covered


def _place(key: dict) -> str:
    return json.dumps({name: value for name, value in key.items() if name != "test"}, sort_keys=True)


def report(
    outcomes: list[Outcome], plan: Plan, stage: str | None, reports: Path, tools: dict[str, str], about: About
) -> int:
    """Write sim.json, coverage.json, sim.xml, sim.html of a run, keep its outcomes, print the summary; the exit code.

    The records of a run that was narrowed hold the whole regression beside it (`regression`).
    """
    record, covered = record_of(outcomes, plan, stage, tools, git_commit())
    totals, verdict = record["totals"], record["testplan"]["testpoints"]
    told = {"sources": about.sources, "commands": [command.typed()]}
    record |= {"choice": about.choice} | told
    covered |= told
    run = {"choice": about.choice, "seed": about.seed, "wall_s": about.wall_s}
    run |= {k: totals[k] for k in ("tests", "passed", "failed", "matches")}
    run |= {k: covered["totals"][k] for k in ("bins", "hit")} | {"good": is_good(totals), "command": command.typed()}
    run |= {"date": datetime.now(UTC).isoformat(" ", "seconds"), "git_commit": record["git_commit"]}
    store = Store(reports)
    try:
        with locked(reports / ".sim.lock"):  # two runs that end together leave the records of one
            keep(outcomes, stage, store, about)
            if not about.whole and (whole := regression(store, plan, tools, record["git_commit"])):
                record["regression"], covered["regression"] = whole
            write_text(reports / "sim.json", json.dumps(record, indent=1) + "\n")
            write_text(reports / "coverage.json", json.dumps(covered, indent=1) + "\n")
            write_junit(outcomes, verdict, reports / "sim.xml")
            add_run(run, reports)
            refresh(reports)
    except OSError as error:
        raise UserError(f"the reports cannot be written to {reports}: {error.strerror or error}") from error
    tell(record)
    print_table(outcomes)
    for label, faults in verdict.items():
        if faults:
            more = f" (and {len(faults) - SHOWN_FAULTS} more)" if len(faults) > SHOWN_FAULTS else ""
            print(f"FAILED testplan {label}: {'; '.join(faults[:SHOWN_FAULTS])}{more}")
    print(f"{totals['passed']} passed, {totals['failed']} failed; {totals['matches']} results compared")
    bins = covered["totals"]
    print(
        f"coverage: {bins['hit']} of {bins['bins']} bins of {bins['points']} cover points, {bins['excluded']} excluded"
    )
    if stage:
        shown = totals["testpoints"] - totals["testpoints_failed"]
        print(f"testplan: {shown} of {totals['testpoints']} testpoints of stage {stage} shown")
    return 0 if is_good(totals) else 1
