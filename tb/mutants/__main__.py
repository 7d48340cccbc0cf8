"""Tries the suite on broken copies of the RTL: `python -m tb.mutants`, called by `make mutants`.

Each mutant is built and simulated on small designs until a test fails: then it is killed. One that no
test sees survives, and fails the run unless `equivalent.toml` says why no test can see it. A mutant that
no simulator takes is refused: the next one of its file takes its place. The same seed gives the same mutants.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from models.errors import UserError, run_cli
from models.files import write_text
from models.provenance import git_commit
from tb.build import ROOT, Bounded, prepare_environment, tool_versions
from tb.mutants.bench import designs, every_gate, files
from tb.mutants.mutate import Mutant, queue
from tb.report import refresh
from tb.results import Outcome
from tb.run import Options, run

EQUIVALENT = Path(__file__).parent / "equivalent.toml"
TARGET = 98.0  # percent
LIMIT_S = 300  # of a build or a simulator process; a healthy one takes seconds
MEMORY = 8 << 30  # bytes of a process: an adder tree that never ends must not take the machine down
# what decides whether a mutant is killed, beside the RTL
JUDGES = ("models/**/*.py", "models/**/*.json", "tb/hdl/*", "tb/agents/*.py", "tb/sequences/*.py", "tb/tests/*.py")
JUDGES += ("tb/build.py", "tb/env.py", "tb/mutants/bench.py", "tb/results.py", "tb/run.py", "tb/scoreboard.py")
STATUSES = ("killed", "survived", "equivalent", "refused")


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


def first_failure(outcomes: Iterable[Outcome]) -> Outcome | None:
    """The first test that failed."""
    return next((o for o in outcomes if not o.passed), None)


def simulate(rtl: Path, file: str, seed: int, scratch: Path, out: Path) -> Outcome | None:
    """Run the designs of a file on the RTL in `rtl` until a test fails; that test, or None if all passed."""
    for config in designs(file, scratch):
        options = Options("mutants", seed=seed, rtl=rtl, out=out, rerun=False, limit_s=LIMIT_S)
        failed = first_failure(run(config, options))
        if failed:
            return failed
    return None


def judge(mutant: Mutant, rtl: Path, seed: int, scratch: Path) -> Verdict:
    """Build and simulate one mutant of the RTL in `rtl`."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        copy = Path(shutil.copytree(rtl, Path(name) / "rtl"))
        path = copy / mutant.file
        path.write_text(mutant.apply(path.read_text()))
        failed = simulate(copy, mutant.file, seed, scratch, Path(name))
    seconds = round(time.perf_counter() - started, 2)
    if failed is None:
        return Verdict(mutant, "survived", seconds=seconds)
    status = "refused" if failed.name == "build" else "killed"
    return Verdict(mutant, status, failed.where, failed.name, failed.message.split("; see ")[0], seconds)


def prepare_worker() -> None:
    """Of a process that judges: limits, and the first failing test ends a simulation."""
    prepare_environment()
    os.environ["COCOTB_MAX_FAILURES"] = "1"
    Bounded.limit_s = LIMIT_S
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
    """Verdicts of this design and suite, kept in a file: an interrupted run goes on where it was."""

    def __init__(self, path: Path, rtl: Path, seed: int) -> None:
        digest = hashlib.sha256(f"{seed} {tool_versions()}".encode())
        files = [*rtl.rglob("*.sv*"), *(path for name in JUDGES for path in ROOT.glob(name))]
        for file in sorted(files):
            digest.update(file.read_bytes())
        self.path, self.of = path, digest.hexdigest()
        self.known: dict[Mutant, Verdict] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
                verdict = Verdict(**entry["verdict"] | {"mutant": Mutant(**entry["verdict"]["mutant"])})
            except (ValueError, KeyError, TypeError):
                continue  # the line that was being written when the run was killed
            if entry["of"] == self.of:
                self.known[verdict.mutant] = verdict

    def add(self, verdict: Verdict) -> None:
        """Keep a verdict."""
        self.known[verdict.mutant] = verdict
        with self.path.open("a") as stream:
            stream.write(json.dumps({"of": self.of, "verdict": asdict(verdict)}) + "\n")


def campaign(
    queues: dict[str, list[Mutant]], quotas: dict[str, int], rtl: Path, seed: int, scratch: Path, jobs: int
) -> list[Verdict]:
    """Judge mutants until every file has its quota of those that build; in the order of the queues."""
    verdicts: dict[str, list[Verdict]] = {file: [] for file in queues}
    notes = Notes(scratch / "verdicts.jsonl", rtl, seed)
    with (
        ProcessPoolExecutor(jobs, initializer=prepare_worker) as pool,
        tqdm(total=sum(quotas.values()), unit=" mutants", initial=len(notes.known), disable=None) as bar,
    ):
        checks = {pool.submit(simulate, rtl, file, seed, scratch, scratch / "sound"): file for file in queues}
        for future in as_completed(checks):
            if failed := future.result():
                raise UserError(
                    f"the design itself fails {failed.name} on {failed.where}: {failed.message}; mend it first"
                )
        while True:
            batch = []
            for file, mutants in queues.items():
                built = sum(v.status != "refused" for v in verdicts[file])
                tried = len(verdicts[file])
                batch += mutants[tried : tried + quotas[file] - built]
            if not batch:
                break
            waiting = [mutant for mutant in batch if mutant not in notes.known]
            for future in as_completed([pool.submit(judge, mutant, rtl, seed, scratch) for mutant in waiting]):
                notes.add(future.result())
                bar.update(future.result().status != "refused")
            for mutant in batch:
                verdicts[mutant.file].append(notes.known[mutant])
    return [v for file in queues for v in verdicts[file]]


def explain(verdicts: list[Verdict], reasons: dict[tuple[str, str, str], str]) -> tuple[list[Verdict], list[str]]:
    """Survivors with a reason become equivalent; reasons that speak of a mutant that was killed are faults."""
    explained, faults = [], []
    for v in verdicts:
        reason = reasons.get((v.mutant.file, v.mutant.before, v.mutant.after))
        if reason and v.status == "survived":
            v = Verdict(v.mutant, "equivalent", message=reason, seconds=v.seconds)
        elif reason:
            faults.append(
                f"{v.mutant.file}:{v.mutant.line} '{v.mutant.after}' is called equivalent, but was {v.status}"
            )
        explained.append(v)
    return explained, faults


def report(verdicts: list[Verdict], faults: list[str], seed: int, reports: Path) -> int:
    """Write mutants.json, print the table; 0 if no survivor is without a reason and the target is met."""
    count = Counter(v.status for v in verdicts)
    judged = count["killed"] + count["survived"]
    percent = round(100 * count["killed"] / judged, 2) if judged else 0.0
    totals = {"mutants": judged + count["equivalent"], "percent": percent, "target": TARGET}
    totals |= {status: count[status] for status in STATUSES}
    record = {
        "format": "encmac-mutants/1",
        "seed": seed,
        "totals": totals,
        "mutants": [v.record() for v in verdicts],
        "tools": tool_versions(),
        "git_commit": git_commit(),
    }
    write_text(reports / "mutants.json", json.dumps(record, indent=1) + "\n")
    refresh(reports)
    for key in ("file", "kind"):
        members = sorted({getattr(v.mutant, key) for v in verdicts})
        print(f"\n{key:28}" + "".join(f"{s:>12}" for s in STATUSES))
        for member in members:
            of_member = Counter(v.status for v in verdicts if getattr(v.mutant, key) == member)
            print(f"{member:28}" + "".join(f"{of_member[s]:12}" for s in STATUSES))
    print()
    for v in verdicts:
        if v.status in ("survived", "equivalent"):
            print(f"{v.status.upper()} {v.mutant.file}:{v.mutant.line} ({v.mutant.kind})")
            print(f"       {v.mutant.before}\n    -> {v.mutant.after}")
            if v.message:
                print(f"       {v.message}")
    for fault in faults:
        print(f"FAILED {fault}")
    print(f"{totals['mutants']} mutants of {len({v.mutant.file for v in verdicts})} files, seed {seed}: ", end="")
    print(f"{count['killed']} killed, {count['equivalent']} equivalent, {count['survived']} survived unexplained")
    print(f"killed: {percent} % of those that are not equivalent; the target is {TARGET} %")
    return 1 if faults or count["survived"] or not judged or percent < TARGET else 0


def shares(sizes: dict[str, int], number: int) -> dict[str, int]:
    """How many mutants of each file: the same number, as far as a file has so many."""
    quotas = dict.fromkeys(sizes, 0)
    while sum(quotas.values()) < min(number, sum(sizes.values())):
        for file in sizes:
            if quotas[file] < sizes[file] and sum(quotas.values()) < number:
                quotas[file] += 1
    return quotas


def main() -> int:
    """Command line; exit code 0 only if the suite kills what can be killed."""
    parser = argparse.ArgumentParser(prog="tb.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=88, help="mutants that build, in all")
    parser.add_argument("--file", help="only of this file within rtl/")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--equivalent", type=Path, default=EQUIVALENT, help="survivors that are explained")
    parser.add_argument("--rtl", type=Path, default=ROOT / "rtl", help="folder of the design")
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="where the report goes")
    args = parser.parse_args()
    rtl, out = args.rtl.resolve(), args.out.resolve()
    if args.number < 1:
        raise UserError(f"{args.number} mutants; at least 1")
    known = files(rtl)
    if args.file and args.file not in known:
        raise UserError(f"'{args.file}' is not mutated; known: {', '.join(known)}")
    reasons = equivalents(args.equivalent)
    queues = {file: queue(rtl, file, args.seed) for file in ([args.file] if args.file else known)}
    quotas = shares({file: len(mutants) for file, mutants in queues.items()}, args.number)
    scratch = out / "mutants"
    scratch.mkdir(parents=True, exist_ok=True)
    encoding = every_gate()
    encoding.save(scratch / f"{encoding.name}.json")
    verdicts = campaign(queues, quotas, rtl, args.seed, scratch, max(1, args.jobs))
    verdicts, faults = explain(verdicts, reasons)
    return report(verdicts, faults, args.seed, out / "reports")


if __name__ == "__main__":
    run_cli(main)
