"""The plan of verification: loads `testplan.toml`, merges coverage, says what is missing.

Evidence only: a test counts if a run of this regression passed it, a bin if a test that passed hit it.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from common.errors import UserError

PLAN = Path(__file__).parent.parent / "testplan.toml"
TESTS = PLAN.parent / "tests"
BENCH_OF = dict.fromkeys(("tile_axil", "tile_limits", "tile_streams"), "tile")  # files named otherwise
STAGES = ("smoke", "full", "nightly")  # each suite of this name demands its stage and those before
NETLIST = "netlist"  # shown elsewhere
KINDS = ("enc", "conv")
LIBRARY = "library"  # the kind of the design that holds every encoding
LEAF = "leaf"  # the kind of modules that are tested alone


@dataclass(frozen=True)
class Testpoint:
    """A feature, the tests that show it, the cover points that prove it."""

    __test__ = False  # not for pytest

    bench: str
    name: str
    description: str
    stage: str
    tests: tuple[str, ...]
    cover: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS

    @property
    def label(self) -> str:
        """How reports call it."""
        return f"{self.bench}.{self.name}"


@dataclass(frozen=True)
class Exclusion:
    """A bin that need not be hit. `point` with its kind; both may hold `*`."""

    point: str
    bin: str
    reason: str

    def covers(self, point: str, label: str) -> bool:
        """True if it speaks of this bin."""
        return fnmatchcase(point, self.point) and fnmatchcase(label, self.bin.replace("[", "[[]"))


@dataclass(frozen=True)
class CodeExclusion:
    """Lines or toggles of the RTL that need not be covered.

    `file` within rtl/, `name` of what is counted and `text` of its source line may hold `*`; `function`
    limits it to lines between `function` and `endfunction`.
    """

    kind: str
    reason: str
    file: str = "*"
    name: str = "*"
    text: str = "*"
    function: bool = False


@dataclass(frozen=True)
class Plan:
    """Everything in the file."""

    testpoints: tuple[Testpoint, ...]
    exclusions: tuple[Exclusion, ...] = ()
    code_exclusions: tuple[CodeExclusion, ...] = ()

    def reason(self, point: str, label: str) -> str:
        """Why a bin is excluded; empty if it is not."""
        return next((e.reason for e in self.exclusions if e.covers(point, label)), "")


@dataclass
class PointCoverage:
    """A cover point over a regression: the tests that hit each bin, as "simulator design test"."""

    bins: dict[str, list[str]] = field(default_factory=dict)

    def missing(self, plan: Plan, name: str) -> list[str]:
        """Bins that should have been hit."""
        return [label for label, tests in self.bins.items() if not tests and not plan.reason(name, label)]


@dataclass(frozen=True)
class Passed:
    """What a passed test leaves: who it was and the bins that it hit (see tb.env.coverage)."""

    test: str
    kind: str
    where: str
    coverage: dict[str, dict[str, list[str]]]


def load_plan(path: Path = PLAN) -> Plan:
    """Read the plan; UserError if it is not what its head says."""
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: {error}") from error
    exclusions = [_record(Exclusion, entry, f"{path}: exclude") for entry in data.pop("exclude", [])]
    code = [_record(CodeExclusion, entry, f"{path}: exclude_code") for entry in data.pop("exclude_code", [])]
    testpoints = []
    for bench, entries in data.items():
        for name, entry in entries.items():
            where = f"{path}: [{bench}.{name}]"
            point = _record(Testpoint, {"bench": bench, "name": name, **entry}, where)
            if point.stage not in (*STAGES, NETLIST):
                raise UserError(f"{where}: stage '{point.stage}'; known: {', '.join((*STAGES, NETLIST))}")
            known = (*KINDS, LIBRARY, LEAF)
            if not set(point.kinds) <= set(known):
                raise UserError(f"{where}: kinds {list(point.kinds)}; known: {', '.join(known)}")
            testpoints.append(point)
    for exclusion in (*exclusions, *code):
        if not exclusion.reason.strip():
            raise UserError(f"{path}: {exclusion} gives no reason; write one")
    return Plan(tuple(testpoints), tuple(exclusions), tuple(code))


def _record(kind: type, entry: dict, where: str):
    """A record from a table of TOML, lists as tuples."""
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})
    except TypeError as error:
        raise UserError(f"{where}: {str(error).replace(f'{kind.__name__}.__init__() ', '')}") from error


def discover(folder: Path = TESTS) -> dict[str, set[str]]:
    """Tests by bench: what `pyuvm.test` or `cocotb.test` decorates in its files."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        names = set()
        for node in ast.parse(path.read_text()).body:
            decorators = getattr(node, "decorator_list", [])
            called = [ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in decorators]
            if {"pyuvm.test", "cocotb.test"} & set(called):
                names.add(node.name)
        if names:
            found.setdefault(BENCH_OF.get(path.stem, path.stem), set()).update(names)
    return found


def modules(bench: str) -> list[str]:
    """Modules of a bench's tests."""
    return [f"tb.tests.{name}" for name in (bench, *(part for part, whole in BENCH_OF.items() if whole == bench))]


def static_faults(plan: Plan, found: dict[str, set[str]]) -> list[str]:
    """What is wrong with the plan before anything runs."""
    faults = []
    for point in plan.testpoints:
        if not point.tests:
            faults.append(f"testpoint {point.label} has no test")
        unknown = sorted(set(point.tests) - found.get(point.bench, set()))
        faults += [
            f"testpoint {point.label} names test {test}, which is not in tb/tests/{point.bench}.py" for test in unknown
        ]
    for bench, tests in found.items():
        planned = {test for point in plan.testpoints if point.bench == bench for test in point.tests}
        faults += [f"test {test} of tb/tests/{bench}.py has no testpoint" for test in sorted(tests - planned)]
    return faults


def merge(passed: Iterable[Passed]) -> dict[str, PointCoverage]:
    """Cover points of all tests that passed."""
    points: dict[str, PointCoverage] = {}
    for test in passed:
        for name, seen in test.coverage.items():
            point = points.setdefault(name, PointCoverage())
            for label in seen["bins"]:
                point.bins.setdefault(label, [])
            for label in seen["hit"]:
                point.bins[label].append(f"{test.where} {test.test}")
    return dict(sorted(points.items()))


def unplanned(plan: Plan, coverage: dict[str, PointCoverage]) -> list[str]:
    """Cover points that no testpoint asks for, exclusions that were hit."""
    asked = [f"{kind}.{cover}" for point in plan.testpoints for kind in KINDS for cover in point.cover]
    faults = [
        f"cover point {name} has no testpoint" for name in coverage if not any(fnmatchcase(name, a) for a in asked)
    ]
    for name, point in coverage.items():
        hit = [label for label, tests in point.bins.items() if tests and plan.reason(name, label)]
        faults += [
            f"bin '{label}' of cover point {name} is excluded, but was hit: remove the exclusion" for label in hit
        ]
    return faults


def judge(plan: Plan, stage: str, passed: list[Passed], coverage: dict[str, PointCoverage]) -> dict[str, list[str]]:
    """Faults of every testpoint that a stage demands, by its label; no faults: it is shown."""
    verdict: dict[str, list[str]] = {}
    demanded = STAGES[: STAGES.index(stage) + 1]
    for point in plan.testpoints:
        if point.stage not in demanded:
            continue
        faults = verdict.setdefault(point.label, [])
        for kind in point.kinds:
            done = {test.test for test in passed if test.kind == kind}
            faults += [
                f"test {test} did not pass on any array of kind {kind}" for test in point.tests if test not in done
            ]
            for cover in point.cover:
                matching = [name for name in coverage if fnmatchcase(name, f"{kind}.{cover}")]
                if not matching:
                    faults.append(f"cover point {kind}.{cover} was never sampled")
                for name in matching:
                    missing = coverage[name].missing(plan, name)
                    if missing:
                        faults.append(f"cover point {name}: {_some(missing)} never hit")
    return verdict


def _some(labels: list[str], shown: int = 6) -> str:
    """A few bins, and how many more there are."""
    text = ", ".join(f"'{label}'" for label in labels[:shown])
    return text if len(labels) <= shown else f"{text} and {len(labels) - shown} more"


def coverage_record(plan: Plan, coverage: dict[str, PointCoverage]) -> dict:
    """What `coverage.json` holds: every bin, who hit it, what is excluded and why, closure in percent."""
    points = {}
    for name, point in coverage.items():
        excluded = {label: plan.reason(name, label) for label in point.bins if plan.reason(name, label)}
        planned = len(point.bins) - len(excluded)
        missing = point.missing(plan, name)
        points[name] = {
            "bins": {
                label: {"tests": len(tests), "first": tests[0] if tests else None}
                for label, tests in point.bins.items()
            },
            "excluded": excluded,
            "missing": missing,
            "closure": round(100 * (planned - len(missing)) / planned, 2) if planned else 100.0,
        }
    bins = sum(len(p["bins"]) - len(p["excluded"]) for p in points.values())
    hit = bins - sum(len(p["missing"]) for p in points.values())
    totals = {
        "points": len(points),
        "bins": bins,
        "hit": hit,
        "excluded": sum(len(p["excluded"]) for p in points.values()),
    }
    return {
        "format": "encmac-coverage/1",
        "totals": totals,
        "closure": round(100 * hit / bins, 2) if bins else 0.0,
        "points": points,
    }
