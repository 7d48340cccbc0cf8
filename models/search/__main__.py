"""Search an encoding: `python -m models.search --net resnet20_cifar10 -M 20`."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from models.encoding import LIBRARY, Encoding, export_package, from_json
from models.errors import UserError, run_cli
from models.search.anneal import Task
from models.search.histogram import UNIFORM_SHARE
from models.search.islands import Archipelago, Dask, Processes, run_islands
from models.search.pareto import plot_archive
from models.search.presets import PRESETS, Options, search
from models.search.select import Progress
from models.search.target import FOLDER, Target, load_target, measured_target


def main() -> None:
    """Command line of the search."""
    parser = argparse.ArgumentParser(prog="models.search", description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(PRESETS), help="kind of search (default: radix4; islands: anneal)")
    parser.add_argument("--hist", help="joint histogram or target of a network (.npz); without it: uniform operands")
    parser.add_argument("--net", help="network whose target is build/search/<net>.npz, measured if it is not there")
    parser.add_argument("--data", help="folder with the data set for --net (default: see models/datasets)")
    parser.add_argument("-M", dest="m", type=int, required=True, help="number of product bits")
    parser.add_argument("--weights", default="pow2", help="position weights: pow2, general, or csd<t>: t digits")
    parser.add_argument("--price", type=float, default=0.3, help="log(error) worth the gates of M product bits")
    parser.add_argument("--steps", type=int, default=1_000_000, help="anneal: proposals of a restart")
    parser.add_argument("--restarts", type=int, default=6, help="anneal, radix-4 digits: restarts")
    parser.add_argument("--pairs", type=int, default=0, help="greedy: second-level candidates drawn at random")
    parser.add_argument("--kicks", type=int, default=150, help="greedy, radix-4 digits: random exchanges tried")
    parser.add_argument("--evaluations", type=int, default=20_000, help="paper: genomes evaluated")
    parser.add_argument("--threshold", type=float, default=0.01, help="paper: maximal relative error allowed")
    parser.add_argument("--islands", type=int, help="anneal on this many islands; keeps build/search/<name>.json")
    parser.add_argument("--rounds", type=int, default=8, help="islands: rounds")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="islands: processes")
    parser.add_argument(
        "--scheduler", default=os.environ.get("SCHEDULER"), help="islands: Dask scheduler, tcp://host:port"
    )
    parser.add_argument("--uniform", type=float, default=UNIFORM_SHARE, help="share of uniform mass mixed in")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", help="name of the encoding, also of its file (default: from target, M and weights)")
    parser.add_argument("--out", type=Path, default=LIBRARY, help="folder to write (default: models/encodings)")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()

    if not 0 <= args.uniform <= 1:
        raise UserError(f"share of uniform mass {args.uniform}; it must lie in 0..1")
    if args.islands is None and args.scheduler:
        raise UserError("--scheduler (SCHEDULER=) runs islands; say how many with --islands (ISLANDS=)")
    args.preset = args.preset or ("radix4" if args.islands is None else "anneal")
    if args.islands is not None and args.preset != "anneal":
        raise UserError(f"--islands (ISLANDS=) anneals; it cannot run preset {args.preset}")
    task = Task(args.m, args.weights, args.price, args.steps, args.restarts, args.seed)
    if args.net and args.hist:
        raise UserError("--net (NET=) and --hist (HIST=) are two targets; give one")
    if args.net:
        args.hist = str(measured_target(args.net, args.data, lambda text: print(text, file=sys.stderr)))
    args.name = check_name(args.name or default_name(args.hist, task))
    target = load_target(args.hist, args.uniform)
    with tqdm(desc=args.name, disable=True if args.quiet else None, leave=False) as bar:

        def progress(stage: str, error: float) -> None:
            bar.set_postfix_str(f"{stage}, centred rmse {error**0.5:.2f}", refresh=False)
            bar.update()

        if args.islands is None:
            options = Options(task, args.pairs, args.kicks, args.evaluations, args.threshold)
            found = search(args.preset, args.name, target, options, progress)
        else:
            found = best_of_islands(args, task, target, progress)
    found = replace(found, provenance={"command": command_line()} | found.provenance)
    path = args.out / f"{found.name}.json"
    try:
        found.save(path)
        if args.out == LIBRARY:
            export_package(found)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); choose another --out") from error
    noise = found.figures.get("noise")
    print(
        f"{path.name}: M = {found.m}, {len(found.gates)} gates, {len(found.digits)} digits, column "
        f"{found.figures['column_area_um2']:.0f} um2, max relative error {found.max_relative_error():.2%}"
        + (f", noise of the result {noise:.4f}" if noise is not None else "")
    )


def default_name(hist: str | None, task: Task) -> str:
    """`<target>_m<M>`, then p for powers of two or csd<t>."""
    stem = re.sub(r"[^a-z0-9]+", "_", Path(hist or "uniform").stem.lower()).strip("_")
    suffix = {"general": "", "pow2": "p"}.get(task.weights, f"_{task.weights}")
    return f"{stem}_m{task.m}{suffix}"


def check_name(name: str) -> str:
    """`name` if an encoding may have it: told before the search, not after."""
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
