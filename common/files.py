"""Files that several commands share: written whole or not at all, locked while they are made, scratch that goes away.

A lock is held by the kernel for an open file (flock), so that one whose owner was killed is free at once. The file
holds what its owner calls itself, for those who wait.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import shlex
import shutil
import struct
import sys
import tempfile
import threading
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from common import command
from common.errors import UserError

SCRATCH = ".scratch-"
FULL_DISK_BYTES = 1 << 16  # less than this left: the disk is full
NO_SPACE = "no space left on device"
# what numpy raises for a file of arrays that is damaged or none
NO_ARRAYS = (OSError, ValueError, TypeError, AttributeError, LookupError, EOFError, NotImplementedError, SyntaxError)
NO_ARRAYS += (zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, ArithmeticError, MemoryError)


def first_line(error: BaseException) -> str:
    """Of what an exception says; its kind if it says nothing."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def full_disk(folder: Path) -> str:
    """Says so if there is no room left."""
    return f"; {NO_SPACE}" if shutil.disk_usage(folder).free < FULL_DISK_BYTES else ""


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_block(page: Path, name: str, text: str) -> None:
    """Write `text` between `<!-- begin NAME -->` and `<!-- end NAME -->` of a page; UserError if it lacks them.

    Ends of lines stay those of the page. Of commands that write to one page, one does at a time.
    """
    page = page.resolve()
    if not page.is_file():
        raise UserError(f"cannot read {page}: no such file")
    with locked(page.with_name(f".{page.name}.lock")):
        _write_block(page, name, text)


def _write_block(page: Path, name: str, text: str) -> None:
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    try:
        found = page.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {page} ({first_line(error)})") from error
    before, mark, rest = found.partition(begin)
    _, closed, after = rest.partition(end)
    if not mark or not closed:
        raise UserError(f"{page} has no lines '{begin}' and '{end}'; put them where the table shall stand")
    if begin in after:
        raise UserError(f"{page} has '{begin}' more than once; leave one of them")
    line = "\r\n" if rest.startswith("\r\n") else "\n"
    written = line.join([begin, *text.splitlines(), end])
    write_text(page, before + written + after)


def read_json(path: Path) -> Any:
    """What a JSON file holds; OSError, or ValueError if it is none, as one with NaN or Infinity is."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number of JSON")

    def finite(number: str) -> float:
        value = float(number)
        if math.isinf(value):
            raise ValueError(f"{number} is larger than any number")
        return value

    return json.loads(path.read_text(), parse_constant=refuse, parse_float=finite)


def keep(path: Path, key: str, value: Any) -> None:
    """Write a result as JSON, with the hash of all that it was made from."""
    write_text(path, json.dumps({"key": key, "value": value}) + "\n")


def kept(path: Path, key: str) -> Any | None:
    """The result that `keep` wrote with the same key; None if it is another's, damaged or not there."""
    try:
        found = json.loads(path.read_text())
        return found["value"] if found["key"] == key else None
    except (OSError, KeyError, TypeError, ValueError):
        return None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name for a file of the same kind, which takes the place of `path` if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock file `path`, alone among all threads and processes; not to be taken again by who holds it.

    If another holds it, says on stderr who and waits; without `wait` raises UserError that names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = _open_locked(path, wait)
    try:
        with suppress(OSError):  # on a full disk the lock holds all the same, its owner without a name
            os.ftruncate(fd, 0)
            os.pwrite(
                fd, f"{command.typed()} (process {command.process()}, since {datetime.now():%H:%M:%S})".encode(), 0
            )
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # who waits for it sees that it is gone, and takes the next one
        _close(fd)


def _open_locked(path: Path, wait: bool) -> int:
    """An open file that holds the lock and still is the one at `path`."""
    told = False
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 4096, 0).decode(errors="replace") or "another command"
            mine = f"(process {command.process()}," in holder  # a thread or a worker of this command: nothing to tell
            if not wait:
                os.close(fd)
                raise UserError(f"{holder} is at work on {_shown(path)}; wait until it has ended") from None
            if not (mine or told):
                print(f"encmac: waiting for {holder}, which is at work on {_shown(path)}", file=sys.stderr, flush=True)
                told = True
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
            except BaseException:
                os.close(fd)
                raise
        _OPEN.add(fd)
        if _same_file(fd, path):
            return fd
        _close(fd)  # removed in between: another may hold the new one


def _shown(path: Path) -> str:
    """What a lock guards: its name without the ending, as a user would type it."""
    name = path.with_suffix("") if path.suffix == ".lock" else path
    return os.path.relpath(name) if Path.cwd() in name.resolve().parents else str(name)


_OPEN: set[int] = set()  # descriptors of locks that this process holds; a forked child must not keep them


def _close(fd: int) -> None:
    _OPEN.discard(fd)
    os.close(fd)


def _forget() -> None:
    for fd in list(_OPEN):
        with suppress(OSError):
            os.close(fd)
    _OPEN.clear()


os.register_at_fork(after_in_child=_forget)


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


_AT_WORK: dict[Path, int] = {}  # folders that this process marked -> descriptors


def at_work(folder: Path) -> None:
    """Mark a folder of results as worked in until this process ends, by any number of commands; waits for who cleans
    it. Without the folder, or the right to make it, there is nothing to mark.
    """
    folder = folder.resolve()
    if folder in _AT_WORK:
        return
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"encmac: waiting for {_flocker(fd)}, which cleans {_shown(folder)}", file=sys.stderr, flush=True)
            fcntl.flock(fd, fcntl.LOCK_SH)
        _AT_WORK[folder] = fd
        _OPEN.add(fd)


@contextmanager
def nobody_at_work(folder: Path) -> Iterator[None]:
    """Hold a folder of results alone; UserError names a command that works in it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{_flocker(fd)} is at work in {folder.name}/; wait until it has ended") from None
        yield
    finally:
        os.close(fd)


def _flocker(fd: int) -> str:
    """The command line of a process that holds a lock on what `fd` has open, as the kernel tells."""
    with suppress(OSError):
        inode = str(os.fstat(fd).st_ino)
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                words = Path(f"/proc/{fields[4]}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                line = " ".join(shlex.join(map(os.fsdecode, words)).split())
                return f"{line} (process {fields[4]})"
    return "another command"


def alone(path: Path) -> AbstractContextManager[None]:
    """`locked`, refused at once if another has it; the first of several processes of one training holds it for all."""
    return locked(path, wait=False) if os.environ.get("RANK", "0") == "0" else nullcontext()


@contextmanager
def in_use(folder: Path) -> Iterator[bool]:
    """Mark an existing folder as in use by this process while it lasts; False if another has it, or it is gone."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    _OPEN.add(fd)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = _same_file(fd, folder)
        except BlockingIOError:
            held = False
        yield held
    finally:
        _close(fd)


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A new folder below `parent` that nobody else writes to, removed at the end.

    What it shall leave is renamed out of it. Scratch folders of processes that were killed are removed first.
    """
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=parent))
        with in_use(folder) as held:
            if not held:  # swept away before it was marked
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


def sweep(parent: Path, pattern: str = f"{SCRATCH}*", keep: int = 0, spare: Path | None = None) -> None:
    """Remove the folders below `parent` that match and that no process uses, but for the newest `keep` and `spare`,
    which may look old where the clock was set back.
    """
    folders = [path for path in parent.glob(pattern) if path.is_dir() and path != spare]
    found = sorted(folders, key=lambda path: (_changed_ns(path), path.name))
    for folder in found[: len(found) - keep]:
        with in_use(folder) as free:
            if free:
                shutil.rmtree(folder, ignore_errors=True)


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def settle(made: Path, place: Path) -> None:
    """Put a folder that was made in scratch into its place, as a whole; one that is there goes."""
    old = made.with_name(f"{made.name}.old")
    with suppress(FileNotFoundError):
        place.rename(old)
    place.parent.mkdir(parents=True, exist_ok=True)
    made.rename(place)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def making(place: Path) -> Iterator[Path]:
    """A scratch folder that takes the place `place`, whole, when all went well.

    After a UserError it stays as `failed` beside that place, for its logs, and the message tells them there.
    """
    with scratch(place.parent) as parent:
        made = parent / "made"
        made.mkdir()
        try:
            yield made
        except UserError as error:
            failed = place.with_name("failed")
            settle(made, failed)
            raise UserError(str(error).replace(str(made), str(failed))) from error
        settle(made, place)
