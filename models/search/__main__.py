"""Search an encoding: `python -m models.search --preset greedy --hist FILE -M 32 --weights pow2 --name NAME`."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from models.encoding import LIBRARY, export_package
from models.errors import UserError, run_cli
from models.search.histogram import UNIFORM_SHARE, load_histogram
from models.search.presets import WEIGHTS, GreedyOptions, greedy


def main() -> None:
    """Command line of the search."""
    parser = argparse.ArgumentParser(prog="models.search", description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=("greedy",), default="greedy")
    parser.add_argument("--hist", help="joint histogram of a network (.npz); without it operands are uniform")
    parser.add_argument("-M", dest="m", type=int, required=True, help="number of product bits")
    parser.add_argument("--weights", choices=WEIGHTS, default="general", help="position weights")
    parser.add_argument("--pairs", type=int, default=0, help="second-level candidates drawn at random")
    parser.add_argument("--kicks", type=int, default=20, help="random restarts of the choice of powers of two")
    parser.add_argument("--uniform", type=float, default=UNIFORM_SHARE, help="share of uniform mass mixed in")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--name", required=True, help="name of the encoding, also of its file")
    parser.add_argument("--out", type=Path, default=LIBRARY, help="folder to write (default: models/encodings)")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()

    options = GreedyOptions(args.m, args.weights, args.pairs, args.kicks, args.uniform, args.seed)
    histogram = load_histogram(args.hist) if args.hist else None
    with tqdm(desc=args.name, disable=True if args.quiet else None, leave=False) as bar:

        def progress(stage: str, error: float) -> None:
            bar.set_postfix_str(f"{stage}, centred rmse {error**0.5:.2f}", refresh=False)
            bar.update()

        found = greedy(args.name, histogram, options, progress)
    found = replace(found, provenance={"command": command_line()} | found.provenance)
    path = args.out / f"{found.name}.json"
    try:
        found.save(path)
        if args.out == LIBRARY:
            export_package(found)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror}); choose another --out") from error
    errors = found.figures["errors"]
    shown = ", ".join(f"{k} {v['centred_rmse']:.1f}" for k, v in errors.items())
    print(f"{path}: M = {found.m}, {len(found.gates)} gates, max relative error {found.max_relative_error():.2%}")
    print(f"centred rmse: {shown}")


def command_line() -> str:
    """This command as a user would type it, absolute paths cut to the file name."""
    words = [Path(w).name if w.startswith("/") else w for w in sys.argv[1:]]
    return shlex.join(["python", "-m", "models.search", *words])


if __name__ == "__main__":
    run_cli(main)
