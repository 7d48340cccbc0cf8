"""Python processes that threads start and wait for."""

import functools
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path

import pytest

from common import processes


def test_a_process_that_another_thread_reaps_has_ended(monkeypatch):
    """Every start of a process reaps those that have ended: who waits for one of them is told so all the same."""
    see, decode = connection.wait, os.waitstatus_to_exitcode

    def see_late(objects: list, timeout: float | None = None) -> list:
        seen = see(objects, timeout)
        time.sleep(0.05)
        return seen

    def decode_late(status: int) -> int:
        time.sleep(0.2)
        return decode(status)

    monkeypatch.setattr(connection, "wait", see_late)
    monkeypatch.setattr(processes, "wait", see_late)
    monkeypatch.setattr(os, "waitstatus_to_exitcode", decode_late)
    found = []
    waited = processes.spawn(time.sleep, 0.1)
    waiting = threading.Thread(target=lambda: found.append((processes.ended(waited, 60), waited.exitcode)))
    waiting.start()
    others = []
    while waiting.is_alive():
        others.append(processes.spawn(time.sleep, 1))
        time.sleep(0.02)
    assert found == [(True, 0)]
    monkeypatch.undo()
    assert all(processes.ended(other) for other in others)


def test_a_process_that_does_not_end_in_time_is_killed():
    process = processes.spawn(time.sleep, 600)
    assert not processes.ended(process, 0.2)
    assert process.exitcode == -9


def leave_behind(folder: Path, end: Callable[[], None]) -> None:
    """Start a program that holds what this process has open, and end."""
    os.system(f"echo $$ > {folder}/pid; exec sleep 600 &")
    while not (folder / "pid").is_file() or not (folder / "pid").read_text().strip():
        time.sleep(0.01)
    end()


@pytest.mark.parametrize(("end", "code"), [(int, 0), (functools.partial(os._exit, 3), 3), (os.abort, -6)])
def test_what_a_process_has_started_neither_holds_up_its_end_nor_outlives_it(tmp_path: Path, end, code):
    process = processes.spawn(leave_behind, tmp_path, end)
    assert processes.ended(process, 60)
    assert process.exitcode == code
    assert not outlives(int((tmp_path / "pid").read_text()))


def test_what_a_process_has_started_is_killed_with_it(tmp_path: Path):
    process = processes.spawn(leave_behind, tmp_path, functools.partial(time.sleep, 600))
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.01)
    assert not processes.ended(process, 0.1)
    assert not outlives(int((tmp_path / "pid").read_text()))


def outlives(number: int) -> bool:
    """Whether a process of that number goes on, though it was killed; one that has ended may wait to be reaped."""
    until = time.monotonic() + 60
    with suppress(FileNotFoundError):
        while Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
            if time.monotonic() > until:
                return True
            time.sleep(0.01)
    return False


def test_an_interrupt_ends_the_process_that_is_waited_for(monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(processes, "wait", interrupted)
    process = processes.spawn(time.sleep, 600)
    with pytest.raises(KeyboardInterrupt):
        processes.ended(process)
    assert process.exitcode == -9
