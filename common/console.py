"""What a command says on stdout: text for people, the record alone for programs, or nothing."""

from __future__ import annotations

import argparse
import atexit
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager

from common.processes import ending

VERBOSE = "ENCMAC_VERBOSE"  # in the environment: worker processes tell of their commands as well


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add --json, --quiet and --verbose."""
    parser.add_argument("--json", action="store_true", help="print the record as JSON; text for people goes to stderr")
    parser.add_argument("--quiet", action="store_true", help="print errors only; the exit code tells")
    parser.add_argument("--verbose", action="store_true", help="print every command that is started, on stderr")


def signed(value: float, digits: int = 1) -> str:
    """A change as terminal, page and docs show it: with its sign, rounded once, never -0.0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def obey(args: argparse.Namespace) -> None:
    """Turn stdout, also that of child processes, as --json and --quiet ask; --verbose tells of those processes.

    With --json the record that `tell` is given is printed when the process ends.
    """
    if args.verbose and not os.environ.get(VERBOSE):
        os.environ[VERBOSE] = "1"
        sys.addaudithook(_tell_command)
    if not (args.json or args.quiet):
        return
    sys.stdout.flush()
    stdout = os.dup(1)
    if args.quiet:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    else:
        os.dup2(2, 1)
    if args.json:
        atexit.register(_print_record, stdout)


_TOLD: list[Mapping] = []


def tell(record: Mapping) -> None:
    """What this run found, for --json; the files of records may hold the results of other runs as well."""
    _TOLD[:] = [record]


def _tell_command(event: str, details: tuple) -> None:
    if event == "subprocess.Popen":
        words = [details[1]] if isinstance(details[1], str | bytes | os.PathLike) else details[1]
        sys.stderr.write(f"+ {shlex.join(os.fsdecode(word) for word in words)}\n")


def _print_record(stdout: int) -> None:
    for record in _TOLD:
        with os.fdopen(stdout, "w") as out:
            out.write(json.dumps(record, indent=1) + "\n")


@contextmanager
def interruptible(pool: Executor) -> Iterator[Executor]:
    """A pool of workers; after any exception what still waits in it is dropped, on Ctrl-C what runs is ended too."""
    try:
        yield pool
    except KeyboardInterrupt:
        with ending():
            pool.shutdown(wait=True, cancel_futures=True)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=sys.exc_info()[0] is not None)


if os.environ.get(VERBOSE):
    sys.addaudithook(_tell_command)
