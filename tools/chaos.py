"""Faults in the middle of commands, for so many minutes: `python -m tools.chaos`, or `make chaos MINUTES=20`.

Small runs of simulation, synthesis, power, proofs, replay, search, training, fine-tuning and accuracy go on in a
scratch clone, each first undisturbed: that is the truth. Then rounds begin: some commands at once, up to eight, and one
fault:

kill       SIGKILL of any one of their processes at a random time
interrupt  SIGINT or SIGTERM of one command at a random time
disk       no file of one command may grow beyond a random size
full       the disk under `build` is a small one that fills up
readonly   the checkout may only be read
clock      files of `build` carry times of the future or the past

After a round every entry of the store must be as the undisturbed run left it (nothing lost, nothing crossed, no
failure kept that is none), a command that ended with 0 must have found the same (no false pass), one that no fault hit
must have ended with 0 or have named in one line the command it would not wait for, and no process may be left. At the
end all commands run undisturbed again, from no builds.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.errors import UserError, run_cli
from common.provenance import git_commit
from common.store import Store
from tools.docs import scratch_clone
from tools.options import parse

MARK = "ENCMAC_CHAOS"  # in the environment of every process of a run
ROUND_LIMIT_S = 1200
LEFT_S = 60  # for compilers whose make was killed
AT_ONCE = 8
SIM = ("--sim", "icarus", "--jobs", "1", "--no-rerun")
SMALL = ("--designs", "m12p", "--rows", "2", "--jobs", "1")
TUNE = ("--net", "resnet20_cifar10", "--encoding", "m12p", "--samples", "4")
RUNS: dict[str, tuple[str, ...]] = {
    "sim": ("tb.runner", "--suite", "tiny", *SIM),
    "sim conv": ("tb.runner", "--suite", "tiny-conv", *SIM),
    "synth": ("flows.synth", *SMALL),
    "power": ("flows.power", *SMALL, "--vectors", "16"),
    "formal": ("flows.formal", "--proof", "full_adder", "--jobs", "2"),
    "replay": ("tb.replay", "--rows", "4", "--cols", "4", "--layers", "linear", "--jobs", "2"),
    "search": ("models.search", "-M", "8", "--name", "chaos", "--islands", "2", "--rounds", "3", "--steps", "20000"),
    "train": ("models.train", "--net", "resnet20_cifar10", "--epochs", "2", "--batch", "8", "--threads", "1"),
    "finetune": ("models.train.finetune", *TUNE, "--steps", "4", "--batch", "4", "--save-every", "1", "--threads", "1"),
    "accuracy": ("models.accuracy", *TUNE),
    "report": ("flows.report",),
}
SAID = r"top-1 [\d.]+ on \d+|\d+ passed, \d+ failed|\d+ of \d+ proven|: M = .*|[\d,]+ results compared, \d+ wrong"
# what of an entry of the store does not depend on when and where it was made
FACTS: dict[str, Callable[[dict], object]] = {
    "test": lambda d: [d[k] for k in ("status", "matches", "mismatches", "message")],
    "area": lambda d: [d[k] for k in ("area_um2", "wns_ns", "cells", "netlist_sha256", "gate_sim", "gate_sim_matches")],
    "power": lambda d: [d["netlist_sha256"], d["fields"]["power_mw"]["total"]],
    "proof": lambda d: [d[k] for k in ("result", "detail")],
    "replay": lambda d: [[layer[k] for k in ("cycles", "compared", "mismatches")] for layer in d["layers"]],
    "accuracy": lambda d: [d["top1"], d["images"]],
}
KILL, INTERRUPT, DISK, FULL, READONLY, CLOCK = FAULTS = ("kill", "interrupt", "disk", "full", "readonly", "clock")
WRONG = ("lost", "crossed", "false pass", "false failure", "hung", "left")
LOST, CROSSED, FALSE_PASS, FALSE_FAILURE, HUNG, LEFT = WRONG


@dataclass
class Run:
    """One command that was started."""

    name: str
    process: subprocess.Popen
    out: Path
    hit: bool = False  # by the fault


@dataclass
class Campaign:
    """A clone, what undisturbed runs found in it, and what went wrong since."""

    clone: Path
    data: Path
    rng: random.Random
    truth: dict[str, object] = field(default_factory=dict)  # of entries, by kind and key
    said: dict[str, list[str]] = field(default_factory=dict)  # of commands
    seconds: dict[str, float] = field(default_factory=dict)
    counts: Counter = field(default_factory=Counter)
    wrong: Counter = field(default_factory=Counter)
    ran: Counter = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    def blame(self, what: str, detail: str) -> None:
        """Note something that must not be."""
        self.wrong[what] += 1
        self.details.append(f"round {sum(self.counts[f] for f in FAULTS)}: {what.upper()}: {detail}")
        print(self.details[-1], flush=True)

    def start(self, name: str, prefix: tuple[str, ...] = (), limit: int | None = None) -> Run:
        """Start a command; `limit` is the largest size of a file."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "PYTEST"))}
        environment |= {MARK: str(self.clone), "ENCMAC_DATA": str(self.data), "OMP_NUM_THREADS": "1"}

        def before() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        out = Path(tempfile.mkstemp(prefix="out-", dir=self.data)[1])
        command = [*prefix, str(self.clone / ".venv/bin/python"), "-m", *RUNS[name]]
        with out.open("w") as stream:
            options = {"stdout": stream, "stderr": subprocess.STDOUT, "start_new_session": True, "preexec_fn": before}
            return Run(name, subprocess.Popen(command, cwd=self.clone, env=environment, **options), out)

    def entries(self) -> dict[str, object]:
        """Facts of every entry of the store."""
        store, found = Store(self.clone / "build" / "reports"), {}
        for kind, facts in FACTS.items():
            for entry in store.entries(kind):
                found[f"{kind} {json.dumps(entry.key, sort_keys=True)}"] = facts(entry.data)
        return found

    def undisturbed(self, name: str) -> list[str]:
        """Run a command alone; what it said. UserError if it does not end well."""
        started = time.monotonic()
        run = self.start(name)
        try:
            code = run.process.wait(ROUND_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise UserError(f"'{name}' alone, undisturbed, did not end in {ROUND_LIMIT_S} s") from None
        self.seconds[name] = time.monotonic() - started
        text = run.out.read_text()
        if code:
            raise UserError(f"'{name}' alone, undisturbed, ended with {code}: {text.strip().splitlines()[-1:]}")
        return re.findall(SAID, text)

    def processes(self) -> list[int]:
        """Numbers of all processes of this campaign's commands."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if f"{MARK}={self.clone}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    found += [int(entry.name)] * (state != "Z")
        return found

    def end(self) -> None:
        """End all that still runs."""
        for number in self.processes():
            with suppress(OSError):
                os.kill(number, signal.SIGKILL)

    def round(self, fault: str) -> None:
        """Some commands at once and a fault; blames what it leaves."""
        if self.rng.random() < 0.6:  # or nothing would be left to do
            for folder in self.rng.sample(["sim", "synth", "formal", "replay", "search", "train", "finetune"], 3):
                shutil.rmtree(self.clone / "build" / folder, ignore_errors=True)
        known = self.entries()
        names = self.rng.choices(list(RUNS), k=self.rng.choice((1, 2, 2, 3, 3, AT_ONCE)))
        prefix, limit = (), None
        if fault == DISK:
            limit = int(2 ** self.rng.uniform(8, 18))
        elif fault == FULL:
            size = self.rng.choice((64, 512, 4096, 16384, 65536))
            prefix = ("unshare", "-rm", "bash", "-c", f'mount -t tmpfs -o size={size}k none build && exec "$@"', "-")
        elif fault == READONLY:
            here = f"mount --bind {self.clone} {self.clone} && mount -o remount,ro,bind {self.clone} && cd {self.clone}"
            prefix = ("unshare", "-rm", "bash", "-c", f'{here} && exec "$@"', "-")
        elif fault == CLOCK:
            shift = self.rng.choice((-1, 1)) * self.rng.uniform(3600, 10**8)
            for path in (self.clone / "build").rglob("*"):
                with suppress(OSError):
                    os.utime(path, (time.time() + shift,) * 2)
        runs = [self.start(names[0], prefix, limit), *(self.start(name) for name in names[1:])]
        runs[0].hit = fault != CLOCK
        self.ran.update(names)
        print(f"round {sum(self.counts[f] for f in FAULTS)}: {fault} of {names[0]}, {len(names)} at once", flush=True)
        if fault in (KILL, INTERRUPT):
            strikes = self.rng.choice((1, 1, 2, 4))
            for strike in range(strikes):
                time.sleep(self.rng.uniform(0, 1.3 * max(self.seconds[name] for name in names) / strikes))
                self.counts[fault] += strike > 0  # the first is counted
                self.strike(fault, runs)
        self.wait(runs)
        self.judge(runs, known)

    def strike(self, fault: str, runs: list[Run]) -> None:
        """SIGKILL of any process, or an interruption of any command."""
        alive = [run for run in runs if run.process.poll() is None]
        if fault == INTERRUPT and alive:
            run = self.rng.choice(alive)
            with suppress(ProcessLookupError):
                os.killpg(run.process.pid, self.rng.choice((signal.SIGINT, signal.SIGTERM)))
            run.hit = True
        elif fault == KILL and (processes := self.processes()):
            victim = self.rng.choice(processes)
            session = victim
            with suppress(OSError, ValueError):
                session = os.getsid(victim)
            for run in runs:  # a simulator has a session of its own: whose it was is not known
                run.hit |= run.process.pid == session or session not in [r.process.pid for r in runs]
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)

    def wait(self, runs: list[Run]) -> None:
        """Until all have ended; what hangs or is left is blamed and ended."""
        until = time.monotonic() + ROUND_LIMIT_S
        for run in runs:
            try:
                run.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.blame(HUNG, f"{run.name} after {ROUND_LIMIT_S} s")
                run.hit = True
        until = time.monotonic() + LEFT_S
        while (left := self.processes()) and time.monotonic() < until:
            time.sleep(0.2)
        for number in left:
            with suppress(OSError):
                line = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
                self.blame(LEFT, line)
                os.kill(number, signal.SIGKILL)

    def judge(self, runs: list[Run], known: dict[str, object]) -> None:
        """Compare what commands said and what is kept with the truth."""
        for run in runs:
            text = run.out.read_text(errors="replace")
            run.out.unlink()
            last = (text.strip().splitlines() or [""])[-1]
            if run.hit and "Traceback (most recent call last)" in text:
                self.counts["traceback"] += 1
                line = next((x for x in text.rpartition("Traceback")[2].splitlines()[1:] if x[:1].strip()), last)
                print(f"traceback of {run.name}: {line[:200]}", flush=True)
            if run.process.returncode == 0:
                if self.said[run.name] and re.findall(SAID, text) != self.said[run.name]:
                    self.blame(FALSE_PASS, f"{run.name} said {re.findall(SAID, text)}, not {self.said[run.name]}")
            elif not run.hit and "is at work on" not in last and "not finished" not in last:
                self.blame(CROSSED, f"{run.name}, which no fault hit, ended with {run.process.returncode}: {last}")
        try:
            found = self.entries()
            database = self.clone / "build" / "reports" / "records.sqlite"
            if sqlite3.connect(database).execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise UserError(f"{database} is damaged")
            for view in (self.clone / "build" / "reports").glob("*.json"):
                json.loads(view.read_text())
        except (UserError, ValueError, OSError) as error:
            self.blame(LOST, str(error))
            return
        for key in known.keys() - found.keys():
            self.blame(LOST, key)
        for key, facts in found.items():
            if key not in self.truth:
                self.blame(FALSE_FAILURE, f"{key}: {facts}")
            elif facts != self.truth[key]:
                self.blame(CROSSED, f"{key}: {facts}, not {self.truth[key]}")


def small_data(folder: Path) -> None:
    """CIFAR-10 in its official binary form, four images a file."""
    place, rng = folder / "cifar-10-batches-bin", np.random.default_rng(1)
    place.mkdir(parents=True)
    for name in ("test_batch", *(f"data_batch_{i}" for i in range(1, 6))):
        records = rng.integers(0, 256, (4, 3073)).astype(np.uint8)
        records[:, 0] %= 10
        (place / f"{name}.bin").write_bytes(records.tobytes())


def able(command: str) -> bool:
    """True if mounts of one's own can be made, and the command works in them."""
    test = ["unshare", "-rm", "bash", "-c", command]
    return bool(shutil.which("unshare")) and not subprocess.run(test, capture_output=True).returncode


def main() -> int:
    """Command line; exit code 1 if anything was lost, crossed, wrongly passed or wrongly kept."""
    args = parse("tools.chaos")
    store = Store(args.out / "reports")
    store.check()
    faults = [KILL, KILL, KILL, INTERRUPT, DISK, CLOCK]
    mounts = able("mount -t tmpfs none /mnt")
    faults += [FULL, READONLY] if mounts else []
    if not mounts:
        print("not tried, for want of mounts of one's own (unshare): full, readonly")
    with ExitStack() as ends:
        name = ends.enter_context(tempfile.TemporaryDirectory(prefix="encmac-chaos-", ignore_cleanup_errors=True))
        folder = Path(name).resolve()
        small_data(folder / "data")
        chaos = Campaign(scratch_clone(folder), folder / "data", random.Random(args.seed))
        ends.callback(chaos.end)
        for run in RUNS:
            chaos.said[run] = chaos.undisturbed(run)
            print(f"{run}: {chaos.seconds[run]:.0f} s, {', '.join(chaos.said[run][-1:])}", flush=True)
        chaos.said["report"] = []  # it tells of whatever ran last
        chaos.truth = chaos.entries()
        if not chaos.truth:
            raise UserError("the undisturbed runs left no results")
        whole = campaign(chaos, faults, 60 * args.minutes)
    return conclude(chaos, store, args.minutes, args.seed) if whole else 130


def campaign(chaos: Campaign, faults: list[str], seconds: float) -> bool:
    """Rounds for so long, then everything undisturbed again, from no builds; False if it was interrupted."""
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            fault = chaos.rng.choice(faults)
            chaos.counts[fault] += 1
            chaos.round(fault)
        for folder in ("sim", "synth"):
            shutil.rmtree(chaos.clone / "build" / folder, ignore_errors=True)
        for run in RUNS:
            if chaos.undisturbed(run) != chaos.said[run] and chaos.said[run]:
                chaos.blame(CROSSED, f"{run}, undisturbed at the end, is another")
        chaos.judge([], chaos.truth)
    except KeyboardInterrupt:
        print(f"interrupted; so far {describe(chaos)}", flush=True)
        return False
    return True


def describe(chaos: Campaign) -> str:
    """Faults, commands and what was wrong."""
    faults = ", ".join(f"{chaos.counts[fault]} {fault}" for fault in FAULTS)
    wrong = ", ".join(f"{what} {chaos.wrong[what]}" for what in WRONG)
    total = sum(chaos.counts[fault] for fault in FAULTS)
    return (
        f"{total} faults ({faults}), {sum(chaos.ran.values())} commands, {len(chaos.truth)} results: {wrong}; "
        f"{chaos.counts['traceback']} tracebacks"
    )


def conclude(chaos: Campaign, store: Store, minutes: float, seed: int) -> int:
    """Keep the record, print the figures; the exit code."""
    wrong = {what: chaos.wrong[what] for what in WRONG}
    faults = {fault: chaos.counts[fault] for fault in FAULTS}
    record = {"format": "encmac-chaos/1", "minutes": minutes, "seed": seed, "faults": faults, "wrong": wrong}
    record |= {"ran": dict(chaos.ran), "results": len(chaos.truth), "tracebacks": chaos.counts["traceback"]}
    record |= {"details": chaos.details, "git_commit": git_commit()}
    store.put("chaos", {"minutes": minutes, "seed": seed}, record)
    store.publish("chaos", lambda kept: kept.entries("chaos")[-1].data)
    print(describe(chaos))
    return 1 if any(wrong.values()) or not sum(faults.values()) else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    run_cli(main)
