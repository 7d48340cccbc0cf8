"""Tries the suite on broken copies of the RTL: `python -m tb.mutants`, called by `make mutants`.

Each mutant is built and simulated on small designs until a test fails: then it is killed. One that no
test sees survives, and fails the run unless `equivalent.toml` says why no test can see it. So does one whose
simulator crashed, hung or filled the disk: that shows nothing of the suite. A mutant that no simulator takes is
refused: the next one of its file takes its place. Files take turns, and within a file kinds of faults, in an order
that the seed gives; verdicts are kept, so that the next run of the same design and suite goes on.
"""

from __future__ import annotations

import os
import resource
import shutil
import time
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from tqdm import tqdm

from common.errors import UserError, run_cli, unknown
from common.files import scratch
from common.processes import CAUSES, CRASH
from common.provenance import git_commit
from common.store import Sources, Store, sources_of
from tb.control.build import ROOT, Bounded, prepare_environment, tool_versions
from tb.control.run import Options, run
from tb.control.suites import Config
from tb.control.workers import Processes
from tb.mutants.bench import designs, every_gate, files
from tb.mutants.mutate import Mutant, queue
from tb.reporting.report import refresh
from tb.reporting.results import Outcome
from tools.options import parse

EQUIVALENT = Path(__file__).parent / "equivalent.toml"
KIND, SOUND = "mutant", "mutant's design"  # of entries of the store
TARGET = 98.0  # percent
BUDGET_MIN = 30.0  # minutes of a run that is given neither a number nor a budget
STEP = 4  # mutants of every file before any has more
SOUND_S = 900  # of a build or a simulator process of the sound design
LIMIT_S = 30  # of one of a mutant, and so many times what the sound design takes:
TIMES = 10
MEMORY = 8 << 30  # bytes of a process: an adder tree that never ends must not take the machine down
SIMULATED_MS = 2  # of a test; the longest takes a tenth of it
# what a verdict depends on, beside the RTL and its design
MODELS = [ROOT / "models" / name for name in ("encodings", "emulate", "hardware", "encoding.py", "quant/arith.py")]
SIMULATION = [ROOT / f"tb/{name}.py" for name in ("control/build", "control/run", "env/limits", "reporting/results")]
SIMULATION += [ROOT / "common" / "processes.py"]
EVERYTHING = [ROOT / "tb" / name for name in ("agents", "hdl", "sequences", "tests")]
EVERYTHING += [path for path in sorted((ROOT / "tb/env").glob("*.py")) if path.stem != "port"]
ARRAY = [ROOT / f"tb/env/{name}.py" for name in ("bench", "scoreboard", "coverage", "diagnosis")]
ARRAY += [ROOT / f"tb/{name}.py" for name in ("agents/axis", "sequences/tile", "tests/base", "tests/array")]
ARRAY += [ROOT / "tb/hdl/array_top.sv"]
COLUMN = [ROOT / "tb/tests/column.py", ROOT / "flows/gls/__init__.py", ROOT / "flows/synth/column_top.sv"]
LEAF = [ROOT / "tb" / name for name in ("env/leaf.py", "env/registers.py", "env/scoreboard.py", "agents")]
STATUSES = ("killed", "survived", "equivalent", *CAUSES, "refused")
PACKAGES = ("cocotb", "pyuvm", "numpy")
UNSEEN = ("survived", *CAUSES)  # not killed; a reason may explain them
LASTING = ("killed", "survived", "refused")  # not tried again by a run that goes on


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: one of STATUSES, the design and test that told, what they said."""

    mutant: Mutant
    status: str
    design: str = ""
    test: str = ""
    message: str = ""
    seconds: float = 0.0

    def record(self) -> dict:
        """The fields of `mutants.json`."""
        mutant = {k: v for k, v in asdict(self.mutant).items() if k != "start"}
        return mutant | {k: v for k, v in asdict(self).items() if k != "mutant"}


@dataclass(frozen=True)
class Bench:
    """What mutants are judged with: the sound RTL, the seed of stimulus, scratch space, seconds of each design."""

    rtl: Path
    seed: int
    folder: Path
    seconds: dict[str, float]

    def simulate(self, rtl: Path, config: Config, out: Path) -> Outcome | None:
        """Run a design with the RTL in `rtl`; the first test that failed, or None if all passed."""
        prepare_worker()
        known = self.seconds.get(config.design)
        limit_s = SOUND_S if known is None else LIMIT_S + TIMES * known
        Bounded.limit_s = limit_s
        options = Options("mutants", seed=self.seed, rtl=rtl, out=out, rerun=False, limit_s=limit_s)
        return first_failure(run(config, options))


def first_failure(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The first test that failed."""
    return next((o for o in outcomes if not o.passed), None)


def check_sound(config: Config, bench: Bench) -> tuple[Outcome | None, float]:
    """The first failure of the design itself, if it has one, and the seconds that it took."""
    started = time.perf_counter()
    failed = bench.simulate(bench.rtl, config, bench.folder / "sound")
    return failed, time.perf_counter() - started


def judge(mutant: Mutant, bench: Bench) -> Verdict:
    """Build and simulate one mutant."""
    started = time.perf_counter()
    failed = None
    with scratch(bench.folder) as folder:
        copy = Path(shutil.copytree(bench.rtl, folder / "rtl"))
        path = copy / mutant.file
        path.write_text(mutant.apply(path.read_text()))
        for config in designs(mutant.file, bench.folder):
            if failed := bench.simulate(copy, config, folder):
                break
    seconds = round(time.perf_counter() - started, 2)
    if failed is None:
        return Verdict(mutant, "survived", seconds=seconds)
    status = failed.cause or ("refused" if failed.name == "build" else "killed")
    return Verdict(mutant, status, failed.where, failed.name, failed.message.split("; see ")[0], seconds)


@cache
def prepare_worker() -> None:
    """Of a process that judges: limits, and the first failing test ends a simulation."""
    prepare_environment()
    os.environ["COCOTB_MAX_FAILURES"] = "1"
    os.environ["ENCMAC_LIMIT_MS"] = str(SIMULATED_MS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def equivalents(path: Path) -> dict[tuple[str, str, str], str]:
    """Reasons by (file, line before, line after) of mutants that no test can see."""
    try:
        entries = tomllib.loads(path.read_text()).get("mutant", [])
        reasons = {(e["file"], e["before"], e["after"]): e["reason"].strip() for e in entries}
    except (OSError, tomllib.TOMLDecodeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: {type(error).__name__}: {error}; see its head for the fields") from error
    for key, reason in reasons.items():
        if not reason:
            raise UserError(f"{path}: mutant of {key[0]} gives no reason; write one")
    return reasons


class Notes:
    """Verdicts of this seed, kept in the store of records; `known` are those that would be the same today.

    A kill depends on the design and the tests that killed, a survivor on all that its file is tried on.
    """

    def __init__(self, store: Store, bench: Bench) -> None:
        self.store, self.bench = store, bench
        self._made: dict[str, Sources] = {}
        self.known: dict[Mutant, Verdict] = {}
        for entry in store.entries(KIND, seed=bench.seed):
            data = dict(entry.data)
            tried = data.pop("tried", None)
            verdict = Verdict(**data | {"mutant": Mutant(**entry.key["mutant"])})
            configs = self.deciding(verdict)
            if tried == repr(configs) and entry.sources == self.sources(configs):
                self.known[verdict.mutant] = verdict

    def deciding(self, verdict: Verdict) -> tuple[Config, ...]:
        """The design that told, or all that were tried."""
        configs = designs(verdict.mutant.file, self.bench.folder)
        return tuple(c for c in configs if f"{c.sim} {c.design}" == verdict.design) or configs

    def sources(self, configs: tuple[Config, ...]) -> Sources:
        """What the outcome of these designs depends on."""
        if repr(configs) not in self._made:
            rtl, paths = self.bench.rtl, [*SIMULATION]
            kind = configs[0].kind if len(configs) == 1 else ""
            array = [rtl / name for name in ("encmac_pkg.sv", "encodings", "mult", "accum", "array")]
            array += [*rtl.glob("*.svh"), *MODELS]
            if len(configs) == 1 and configs[0].module:
                own = [rtl / "encmac_pkg.sv", *rtl.glob(f"*/{kind}.sv"), ROOT / "tb" / "tests" / f"{kind}.py"]
                paths += [*LEAF, *own, *MODELS[2:]]
            elif kind in ("array", "column"):
                paths += [*array, *(ARRAY if kind == "array" else COLUMN)]
            else:
                paths += [rtl, *MODELS, *EVERYTHING]
            self._made[repr(configs)] = sources_of(*paths, packages=PACKAGES, programs=["iverilog", "vvp"])
        return self._made[repr(configs)]

    def sound_key(self, config: Config) -> dict[str, object]:
        """Under which the store has that a design passes."""
        return {"design": repr(config), "seed": self.bench.seed}

    def add(self, verdict: Verdict) -> None:
        """Keep a verdict."""
        self.known[verdict.mutant] = verdict
        configs = self.deciding(verdict)
        data = {k: v for k, v in asdict(verdict).items() if k != "mutant"} | {"tried": repr(configs)}
        self.store.put(KIND, {"mutant": asdict(verdict.mutant), "seed": self.bench.seed}, data, self.sources(configs))


def check_designs(chosen: Iterable[str], notes: Notes, jobs: int) -> None:
    """Every design must pass before its mutants are tried; notes how long each takes."""
    bench = notes.bench
    configs = {config.design: config for file in chosen for config in designs(file, bench.folder)}
    for name, config in configs.items():
        passed = notes.store.get(SOUND, notes.sound_key(config))
        if passed and passed.sources == notes.sources((config,)):
            bench.seconds[name] = passed.data["seconds"]
    tasks = [(config, bench) for name, config in configs.items() if name not in bench.seconds]
    for done in Processes(jobs).run(check_sound, tasks):
        config = tasks[done.index][0]
        failed, seconds = done.result or (None, 0.0)
        if done.result is None:
            raise UserError(f"{config.design}: the process that simulated it was killed {len(done.lost)} times")
        if failed:
            said = f"the design itself fails {failed.name} on {failed.where}: {failed.message}"
            raise UserError(f"{said}; mend it first")
        bench.seconds[config.design] = seconds
        notes.store.put(SOUND, notes.sound_key(config), {"seconds": seconds}, notes.sources((config,)))


def prefix(mutants: list[Mutant], level: int, verdicts: dict[Mutant, Verdict]) -> list[Mutant]:
    """The first mutants of a file of which `level` are built, as far as is known."""
    found, built = [], 0
    for mutant in mutants:
        if built == level:
            break
        found.append(mutant)
        built += mutant not in verdicts or verdicts[mutant].status != "refused"
    return found


def campaign(
    queues: dict[str, list[Mutant]], number: int | None, bench: Bench, notes: Notes, jobs: int, until: float | None
) -> list[Verdict]:
    """Judge mutants, files taking turns, until `number` of them are built (None: all), or until a time (monotonic)."""
    check_designs(queues, notes, jobs)
    quotas = shares({file: len(mutants) for file, mutants in queues.items()}, number)
    verdicts = {m: v for m, v in notes.known.items() if v.status in LASTING}

    def chosen(level: int) -> list[Mutant]:
        """The mutants of a level and those before it, files taking turns."""
        lists = [prefix(mutants, min(level, quotas[file]), verdicts) for file, mutants in queues.items()]
        return [m[n] for n in range(max(map(len, lists))) for m in lists if n < len(m)]

    level, over = STEP, False
    with tqdm(total=sum(quotas.values()), unit=" mutants", disable=None, initial=len(verdicts)) as bar:
        while not over:
            waiting = [mutant for mutant in chosen(level) if mutant not in verdicts]
            if not waiting and level >= max(quotas.values()):
                break
            if not waiting:
                level += STEP
            for done in Processes(jobs).run(judge, [(mutant, bench) for mutant in waiting]):
                mutant = waiting[done.index]
                lost = Verdict(mutant, CRASH, message=f"the process that judged it was killed {len(done.lost)} times")
                verdicts[mutant] = done.result or lost
                notes.add(verdicts[mutant])
                bar.update(verdicts[mutant].status != "refused")
                if over := until is not None and time.monotonic() >= until:
                    break
    found = [verdicts[mutant] for mutant in chosen(level) if mutant in verdicts]
    return sorted(found, key=lambda v: list(queues).index(v.mutant.file))


def explain(verdicts: list[Verdict], reasons: dict[tuple[str, str, str], str]) -> tuple[list[Verdict], list[str]]:
    """What was not killed and has a reason becomes equivalent; reasons of mutants that are killed are faults."""
    explained, faults = [], []
    for v in verdicts:
        reason = reasons.get((v.mutant.file, v.mutant.before, v.mutant.after))
        if reason and v.status in UNSEEN:
            v = Verdict(v.mutant, "equivalent", message=reason, seconds=v.seconds)
        elif reason:
            faults.append(
                f"{v.mutant.file}:{v.mutant.line} '{v.mutant.after}' is called equivalent, but was {v.status}"
            )
        explained.append(v)
    return explained, faults


def score(verdicts: Iterable[Verdict]) -> dict[str, int | float | None]:
    """How many of each status, and percent killed of those that were built and are not explained (None: of none)."""
    count = Counter(v.status for v in verdicts)
    judged = count["killed"] + sum(count[status] for status in UNSEEN)
    percent = round(100 * count["killed"] / judged, 2) if judged else None
    return {"mutants": judged + count["equivalent"], "percent": percent} | {s: count[s] for s in STATUSES}


def report(
    verdicts: list[Verdict],
    faults: list[str],
    seed: int,
    reports: Path,
    possible: dict[str, int],
    wall_s: float,
    sources: Sources | None = None,
) -> int:
    """Write mutants.json, print tables; 0 if nothing unexplained was missed and the target is met.

    `possible`: how many mutants each file has; `sources`: what the verdicts depend on.
    """
    totals = score(verdicts) | {"target": TARGET, "possible": sum(possible.values())}
    by_file = {
        file: score(v for v in verdicts if v.mutant.file == file) | {"possible": n} for file, n in possible.items()
    }
    record = {
        "format": "encmac-mutants/1",
        "seed": seed,
        "wall_s": round(wall_s, 1),
        "totals": totals,
        "files": by_file,
        "mutants": [v.record() for v in verdicts],
        "tools": tool_versions(),
        "git_commit": git_commit(),
    }
    store = Store(reports)
    store.put("mutation", {"files": sorted(possible), "seed": seed}, record, sources)
    store.publish("mutants", lambda kept: with_largest(record, kept))
    refresh(reports)
    shown = ("possible", *STATUSES, "percent")
    print(f"\n{'file':28}" + "".join(f"{name:>11}" for name in shown))
    for name, counts in [*by_file.items(), ("all", totals)]:
        print(f"{name:28}" + "".join(f"{_text(counts[key]):>11}" for key in shown))
    print(f"\n{'kind':28}" + "".join(f"{name:>11}" for name in shown[1:]))
    for kind in sorted({v.mutant.kind for v in verdicts}):
        counts = score(v for v in verdicts if v.mutant.kind == kind)
        print(f"{kind:28}" + "".join(f"{_text(counts[key]):>11}" for key in shown[1:]))
    print()
    for v in verdicts:
        if v.status in (*UNSEEN, "equivalent"):
            print(f"{v.status.upper()} {v.mutant.file}:{v.mutant.line} ({v.mutant.kind})")
            print(f"       {v.mutant.before}\n    -> {v.mutant.after}")
            if v.message:
                print(f"       {v.message}")
    for fault in faults:
        print(f"FAILED {fault}")
    missed = sum(totals[status] for status in UNSEEN)
    print(f"{totals['mutants']} of {totals['possible']} mutants of {len(possible)} files, seed {seed}: ", end="")
    print(f"{totals['killed']} killed, {totals['equivalent']} equivalent, {missed} not killed and not explained")
    print(f"killed: {_text(totals['percent'])} % of those that are not equivalent; the target is {TARGET} %")
    return 1 if faults or missed or not totals["killed"] or totals["percent"] < TARGET else 0


def _text(value: float | None) -> str:
    return "-" if value is None else str(value)


def with_largest(record: dict, store: Store) -> dict:
    """The record of a campaign; of one on some files only with `regression`, the last on more of them."""
    larger = [e.data for e in store.entries("mutation") if len(e.key["files"]) > len(record["files"])]
    return record | ({"regression": larger[-1]} if larger else {})


def shares(sizes: dict[str, int], number: int | None) -> dict[str, int]:
    """How many mutants of each file: the same number, as far as a file has so many; all for None."""
    left = sum(sizes.values()) if number is None else min(number, sum(sizes.values()))
    quotas = dict.fromkeys(sizes, 0)
    while left:
        for file in [file for file in sizes if quotas[file] < sizes[file]][:left]:
            quotas[file] += 1
            left -= 1
    return quotas


def count_of(word: str) -> int | None:
    """A number of mutants; None for `all`."""
    if word == "all":
        return None
    if not word.isdecimal() or not int(word):
        raise UserError(f"NUMBER={word}: how many mutants? a number from 1 on, or all")
    return int(word)


def main() -> int:
    """Command line; exit code 0 only if the suite kills what can be killed."""
    args = parse("tb.mutants", equivalent=EQUIVALENT)
    started = time.monotonic()
    rtl, out = args.rtl.resolve(), args.out.resolve()
    number = count_of(args.number or "all")
    budget = args.budget if args.budget or args.number else BUDGET_MIN
    known = files(rtl)
    if args.file and args.file not in known:
        raise unknown("file to mutate", args.file, known)
    reasons = equivalents(args.equivalent)
    queues = {file: queue(rtl, file, args.seed) for file in ([args.file] if args.file else known)}
    Store(out / "reports").check()
    folder = out / "mutants"
    folder.mkdir(parents=True, exist_ok=True)
    encoding = every_gate()
    encoding.save(folder / f"{encoding.name}.json")
    bench = Bench(rtl, args.seed, folder, {})
    notes = Notes(Store(out / "reports"), bench)
    sources = notes.sources(())  # as they are now, not when all is judged
    until = started + 60 * budget if budget is not None else None
    verdicts = campaign(queues, number, bench, notes, max(1, args.jobs), until)
    verdicts, faults = explain(verdicts, reasons)
    possible = {file: len(mutants) for file, mutants in queues.items()}
    return report(verdicts, faults, args.seed, out / "reports", possible, time.monotonic() - started, sources)


if __name__ == "__main__":
    run_cli(main)
