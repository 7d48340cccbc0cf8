"""Child processes that do not outlive who started them."""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import os
import signal
import subprocess
import time
from contextlib import suppress

TIMEOUT, CRASH, DISK = CAUSES = ("timeout", "crash", "disk")  # why a run shows nothing of the design
PATIENCE_S = 3.0  # with a child that is asked to end
_PR_SET_PDEATHSIG = 1  # prctl(2): the signal that this process gets when its parent's thread ends
_LIBRARY = ctypes.CDLL(None)


def end_with(parent: int) -> None:
    """Have this process killed when its parent, of that number, ends, however it does; first thing in a child."""
    if hasattr(_LIBRARY, "prctl"):  # Linux
        _LIBRARY.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # already gone
            os.kill(os.getpid(), signal.SIGKILL)


_RUNNING: set[subprocess.Popen] = set()  # those with a session of their own: Ctrl-C at a terminal does not reach them


def start(command: list, **options) -> subprocess.Popen:
    """A process that ends when this one does; options are those of `subprocess.Popen`."""
    process = subprocess.Popen(command, preexec_fn=functools.partial(end_with, os.getpid()), **options)
    if options.get("start_new_session"):
        _RUNNING.add(process)
    return process


def run(command: list, **options) -> subprocess.CompletedProcess:
    """`subprocess.run` of a process that ends when this one does."""
    return subprocess.run(command, preexec_fn=functools.partial(end_with, os.getpid()), **options)


def begin(parent: int) -> None:
    """First thing in a worker process: it ends with its parent, and SIGTERM interrupts it, so that it ends its own."""
    end_with(parent)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def end_all() -> None:
    """End every process that this one started and that still runs, with its children."""
    for process in list(_RUNNING):
        with suppress(ProcessLookupError):
            signal_group(process.pid)
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    until = time.monotonic() + PATIENCE_S
    for child in children:
        child.join(max(0.0, until - time.monotonic()))
        child.kill()


class SimulatorFault(RuntimeError):
    """A process that did not end as it should; `cause` is one of CAUSES, empty for an exit code."""

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


def run_process(command: list[str], limit_s: float, **options) -> None:
    """Run a process and its children to the end; SimulatorFault says how it failed, after `limit_s` that it hung."""
    process = start(command, start_new_session=True, **options)
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        raise SimulatorFault(f"hung: no end after {limit_s:g} s", TIMEOUT) from None
    finally:
        _RUNNING.discard(process)
        if process.poll() is None:
            signal_group(process.pid)
            process.wait()
    if code < 0:
        raise SimulatorFault(f"was killed by {signal.Signals(-code).name}", CRASH)
    if code:
        raise SimulatorFault(f"ended with exit code {code}")


def signal_group(leader: int) -> None:
    """Kill a process that leads a session of its own, with its children."""
    os.killpg(leader, signal.SIGKILL)
