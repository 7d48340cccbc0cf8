"""Child processes that do not outlive who started them."""

from __future__ import annotations

import ctypes
import functools
import math
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait

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


_RUNNING: set[subprocess.Popen] = set()
_ENDING = threading.Event()  # everything is being ended: what a thread starts now would be left
_REAPING = threading.Lock()  # multiprocessing reaps any ended child at every start, also one that a thread waits for


def start(command: list, **options) -> subprocess.Popen:
    """A process that ends when this one does; KeyboardInterrupt while all are being ended."""
    if _ENDING.is_set():
        raise KeyboardInterrupt
    process = subprocess.Popen(command, preexec_fn=functools.partial(end_with, os.getpid()), **options)
    _RUNNING.add(process)
    if _ENDING.is_set():
        _kill(process)
    return process


def _kill(process: subprocess.Popen) -> None:
    """End a process, with its children if it leads a session."""
    if process.poll() is not None:
        return  # its number may be another's by now
    with suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            signal_group(process.pid)
        else:
            process.kill()


def run(command: list, timeout: float | None = None, capture_output: bool = False, **options):
    """`subprocess.run` of a process that ends when this one does."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start(command, **options)
    try:
        out, errors = process.communicate(timeout=timeout)
    finally:
        _RUNNING.discard(process)
        if process.poll() is None:
            process.kill()
            process.wait()
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def spawn(target: Callable, *arguments: object) -> multiprocessing.Process:
    """A Python process that runs `target(*arguments)` and ends when this one does."""
    if _ENDING.is_set():
        raise KeyboardInterrupt
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_with_parent, args=(os.getpid(), target, *arguments))
    with _REAPING:
        process.start()
    if _ENDING.is_set():
        _kill_child(process)
    return process


def ended(process: multiprocessing.Process, limit_s: float | None = None) -> bool:
    """Wait for a process of `spawn`; False if it did not end within `limit_s` seconds: it is killed then."""
    until = math.inf if limit_s is None else time.monotonic() + limit_s
    try:
        while not _reaped(process):
            if (left := until - time.monotonic()) <= 0:
                return False
            # what it started may hold its sentinel open, so it is looked at now and then
            if wait([process.sentinel], min(left, 0.2)):
                time.sleep(0.001)
        return True
    finally:
        _kill_child(process)


def _reaped(process: multiprocessing.Process) -> bool:
    with _REAPING:
        return process.exitcode is not None


def _kill_child(process: multiprocessing.Process) -> None:
    """End a child and wait for it, and what is left of the session that it leads."""
    with _REAPING:
        try:
            signal_group(process.pid)
        except ProcessLookupError:  # it leads none, or not yet, or nothing is left
            process.kill()
        process.join()


def _with_parent(parent: int, target: Callable, *arguments: object) -> None:
    os.setsid()
    end_with(parent)
    target(*arguments)


def begin(parent: int) -> None:
    """First thing in a worker process: it ends with its parent, and SIGTERM interrupts it, so that it ends its own."""
    end_with(parent)
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def ending() -> Iterator[None]:
    """End every process that this one started, with its children, and all that its threads would start meanwhile."""
    _ENDING.set()
    try:
        _end_all()
        yield
    finally:
        _ENDING.clear()


def _end_all() -> None:
    for process in list(_RUNNING):
        _kill(process)
    with _REAPING:
        children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    until = time.monotonic() + PATIENCE_S
    for child in children:
        while not _reaped(child) and time.monotonic() < until:
            time.sleep(0.01)
        _kill_child(child)


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
