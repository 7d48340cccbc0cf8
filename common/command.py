"""Which command this process belongs to: how a user typed it, and what an interruption leaves of it.

Standard library only and plain Python >= 3.7, because make asks it before `make setup` has run.
"""

from __future__ import annotations

import os
import shlex
import sys

TYPED = "ENCMAC_COMMAND"  # in the environment: number of the command's first process, and how it was typed
_kept = ""


def note(typed: str = "", kept: str = "") -> None:
    """What this process is from now on, for itself and its children: `typed`, or its own command line.

    What make noted of this process before it became it holds. `kept`: what an interruption leaves.
    """
    global _kept
    _kept = kept
    if typed or _noted()[0] != str(os.getpid()):
        os.environ[TYPED] = f"{os.getpid()} {typed or shlex.join(sys.orig_argv)}"


def typed() -> str:
    """The command as a user types it: the target of make with its variables, else the command line."""
    return _noted()[1] or shlex.join(sys.orig_argv)


def process() -> int:
    """Number of the command's first process, with which its workers are one."""
    return int(_noted()[0] or os.getpid())


def kept() -> str:
    """What an interruption leaves."""
    return _kept or "nothing is left half-written; run the same command again"


def _noted() -> tuple:
    number, _, words = os.environ.get(TYPED, "").partition(" ")
    return (number, words) if number.isdecimal() else ("", "")
