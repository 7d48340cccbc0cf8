"""Search an encoding: `python -m models.search --net resnet20_cifar10 -M 20`."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from common.errors import UserError, run_cli
from common.files import alone
from models.encoding import LIBRARY, Encoding, export_package, from_json, library_names
from models.rivals import NAME as RIVAL
from models.search.anneal import Task
from models.search.islands import Archipelago, Dask, Processes, run_islands
from models.search.pareto import plot_archive
from models.search.presets import Options, check, search
from models.search.select import Progress
from models.search.target import FOLDER, Target, load_target, measured_target
from tools.options import parse


def main() -> None:
    """Command line of the search."""
    args = parse("models.search")

    if not 0 <= args.uniform <= 1:
        raise UserError(f"share of uniform mass {args.uniform}; it must lie in 0..1")
    if args.islands is None and args.scheduler:
        raise UserError("--scheduler (SCHEDULER=) runs islands; say how many with --islands (ISLANDS=)")
    args.preset = args.preset or ("radix4" if args.islands is None else "anneal")
    if args.islands is not None and args.preset != "anneal":
        raise UserError(f"--islands (ISLANDS=) anneals; it cannot run preset {args.preset}")
    task = Task(args.m, args.weights, args.price, args.steps, args.restarts, args.seed)
    options = Options(task, args.pairs, args.kicks, args.evaluations, args.threshold, args.weight_bits)
    if args.net and args.hist:
        raise UserError("--net (NET=) and --hist (HIST=) are two targets; give one")
    # before a network is measured, which takes a minute
    check(args.preset, options)
    args.name = check_name(args.name or default_name(args.net or args.hist, task), args.out)
    if args.net:
        tell = partial(print, file=sys.stderr)
        args.hist = [measured_target(net, args.data, tell) for net in args.net.split(",")]
    target = load_target(args.hist, args.uniform)
    with alone(FOLDER / f"{args.name}.lock"):
        found = find(args, options, target)
    noise, chosen = found.figures.get("noise"), found.figures.get("noise_chosen")
    print(
        f"{found.name}.json: M = {found.m}, {len(found.gates)} gates, {len(found.digits)} digits, column "
        f"{found.figures['column_area_um2']:.0f} um2, max relative error {found.max_relative_error():.2%}"
        + (f", noise of the result {noise:.4f}" if noise is not None else "")
        + (f", with weights chosen {chosen:.4f}" if chosen is not None else "")
    )


def find(args: argparse.Namespace, options: Options, target: Target) -> Encoding:
    """Search and save what was found."""
    with tqdm(desc=args.name, disable=True if args.quiet else None, leave=False) as bar:

        def progress(stage: str, error: float) -> None:
            bar.set_postfix_str(f"{stage}, centred rmse {error**0.5:.2f}", refresh=False)
            bar.update()

        if args.islands is None:
            found = search(args.preset, args.name, target, options, progress)
        else:
            found = best_of_islands(args, options.task, target, progress)
    found = replace(found, provenance={"command": command_line()} | found.provenance)
    path = args.out / f"{found.name}.json"
    try:
        found.save(path)
        if args.out == LIBRARY:
            export_package(found)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); choose another --out") from error
    return found


def default_name(hist: str | None, task: Task) -> str:
    """`<target>_m<M>`, then p for powers of two or csd<t>."""
    stem = in_names(Path(hist or "uniform").stem)
    suffix = {"general": "", "pow2": "p"}.get(task.weights, f"_{task.weights}")
    return f"{stem}_m{task.m}{suffix}"


def in_names(text: str) -> str:
    """`text` as it may stand in the name of an encoding."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def check_name(name: str, out: Path = LIBRARY) -> str:
    """`name` if an encoding in the folder `out` may have it: told before the search, not after."""
    if name in library_names() and out.resolve() != LIBRARY:
        raise UserError(f"'{name}' is an encoding of the library; choose another --name")
    if RIVAL.fullmatch(name):
        raise UserError(f"'{name}' is the name of exact products of fewer bits; choose another --name")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"name '{name}': small letters, digits and _ only, a letter first; choose another --name")
    return name


def best_of_islands(args: argparse.Namespace, task: Task, target: Target, progress: Progress) -> Encoding:
    """Run or go on with the islands; the member of the front with the least error."""
    executor = Dask(args.scheduler) if args.scheduler else Processes(args.workers)
    plan = Archipelago(task, args.islands, args.rounds)
    archive = run_islands(plan, target, executor, FOLDER / f"{args.name}.json", progress, args.name)
    for path in plot_archive(archive, Path("build/reports"), args.name):
        print(f"front: {path}")
    best = min(archive.front, key=lambda entry: entry["error"])
    found = replace(from_json(best["encoding"], "archive"), name=args.name)
    return replace(found, provenance={"seed": task.seed, "islands": args.islands, "rounds": args.rounds})


def command_line() -> str:
    """This command as a user would type it, absolute paths cut to the file name."""
    words = [Path(w).name if Path(w).is_absolute() else w for w in sys.argv[1:]]
    return shlex.join(["python", "-m", "models.search", *words])


if __name__ == "__main__":
    run_cli(main)
