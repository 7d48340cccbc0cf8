"""What was measured, kept: one entry for each key, replaced by a newer one of the same key.

The store is `records.sqlite` in the folder of the records (build/reports). Any number of commands may write to it
at the same time, and a command that is killed leaves it whole. The JSON records beside it (`ppa.json`, `sim.json`
and so on) are views: written anew from the entries whenever one of their kind was put.

A key says what was measured: design, rows, platform, clock, network, ... Files are named in it by hash
(`file_sha256`), so that two files of one name are two things. Beside its data an entry holds its sources: what the
result depends on and the hash of each as it was then. `changed` tells which of them are others now: the entry is
stale, and a view marks it and compares nothing with it. Order is that of writing, whatever the clock says.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import command
from common.errors import UserError
from common.files import locked, write_text
from common.provenance import git_commit

ROOT = Path(__file__).resolve().parent.parent
FILE = "records.sqlite"
SOURCE_SUFFIXES = {".py", ".sv", ".svh", ".vlt", ".cpp", ".h", ".json", ".toml", ".tcl", ".v", ".lib"}
PATIENCE_S = 120  # for another command's transaction
SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
  number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL, data TEXT NOT NULL,
  sources TEXT NOT NULL, written TEXT NOT NULL, command TEXT NOT NULL DEFAULT '', UNIQUE (kind, key))
"""
PUT = "INSERT OR REPLACE INTO entries (kind, key, data, sources, written, command) VALUES (?, ?, ?, ?, ?, ?)"
# a store of earlier versions has no column for it
COMMAND = "ALTER TABLE entries ADD COLUMN command TEXT NOT NULL DEFAULT ''"

Key = Mapping[str, Any]
Sources = Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """One result: what was measured (`key`), the figures (`data`), what they depend on, when (UTC), by what."""

    number: int  # later ones are higher
    key: dict[str, Any]
    data: dict[str, Any]
    sources: dict[str, str]
    written: str
    command: str = ""  # as it was typed

    @property
    def stale(self) -> list[str]:
        """Names of the sources that have changed since; empty if the entry is current."""
        return changed(self.sources)


class Store:
    """The entries of one folder of records. Keys and data are JSON values; key order does not matter."""

    def __init__(self, reports: Path) -> None:
        self.reports = reports
        self.path = reports / FILE
        self._told: list[Entry] = []  # what was asked for, in order

    def check(self) -> None:
        """UserError if nothing can be put: before long work, not after it. Also notes the commit that is measured."""
        git_commit()
        try:
            with self._open(write=True):
                why = "" if os.access(self.path, os.W_OK) and os.access(self.reports, os.W_OK) else "it is read-only"
        except OSError as error:
            why = error.strerror
        if why:
            raise UserError(f"{self.reports} cannot be written ({why}); mend it, or name another folder")

    def put(self, kind: str, key: Key, data: Mapping[str, Any], sources: Sources | None = None) -> None:
        """Keep one result, in the place of one with the same key."""
        self.put_all(kind, [(key, data, sources or {})])

    def put_all(
        self, kind: str, results: Iterable[tuple[Key, Mapping[str, Any], Sources]], replace: bool = True
    ) -> None:
        """Keep several results, all or none of them; without `replace` only those whose keys are new."""
        now = datetime.now(UTC).isoformat(" ", "seconds")
        typed = command.typed()
        rows = [(kind, _text(k), json.dumps(d), json.dumps(dict(s)), now, typed) for k, d, s in results]
        with self._open(write=True) as connection, connection:
            connection.executemany(PUT if replace else PUT.replace("REPLACE", "IGNORE"), rows)

    def entries(self, kind: str, **where: Any) -> list[Entry]:
        """Results of a kind whose key has all of `where`, the oldest first; none without a store."""
        found = self._read("kind = ?", kind)
        return [e for e in found if all(e.key.get(name) == value for name, value in where.items())]

    def get(self, kind: str, key: Key) -> Entry | None:
        """The result with this very key."""
        return next(iter(self._read("kind = ? AND key = ?", kind, _text(key))), None)

    def remove(self, kind: str, keys: Iterable[Key]) -> None:
        """Forget results."""
        with self._open(write=True) as connection, connection:
            connection.executemany("DELETE FROM entries WHERE kind = ? AND key = ?", [(kind, _text(k)) for k in keys])

    def publish(self, name: str, view: Callable[[Store], Mapping[str, Any]]) -> dict[str, Any]:
        """Write `<name>.json` from the entries; one command at a time, so that no older view replaces a newer one.

        Beside what `view` says stand the sources of all current entries that it asked for, by which a reader can
        tell what has changed since (`changed`), and the commands that wrote them, the latest last.
        """
        with locked(self.reports / f".{name}.lock"):
            asked = Store(self.reports)
            document = dict(view(asked))
            current = marked({e.number: e for e in asked._told}.values())[0]
            document["sources"] = {source: value for e in current for source, value in e.sources.items()}
            document["commands"] = list(dict.fromkeys(e.command for e in reversed(current) if e.command))[::-1]
            path = self.reports / f"{name}.json"
            write_text(path.resolve(), json.dumps(document, indent=1) + "\n")
        return document

    def _read(self, where: str, *values: str) -> list[Entry]:
        if not self.path.exists():
            return []
        with self._open() as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchone():
                return []  # made by a command that has put nothing yet
            last = "command" if _has_commands(connection) else "''"
            what = f"number, key, data, sources, written, {last}"
            rows = connection.execute(f"SELECT {what} FROM entries WHERE {where} ORDER BY number", values).fetchall()
        found = [Entry(row[0], *map(json.loads, row[1:4]), *row[4:]) for row in rows]
        self._told += found
        return found

    @contextmanager
    def _open(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if write:
                self.reports.mkdir(parents=True, exist_ok=True)
            # a reader as well takes back what a killed writer left half done, if it may
            able = os.access(self.path, os.W_OK) and os.access(self.reports, os.W_OK)
            mode = "rwc" if write else "rw" if able else "ro"
            address = f"{self.path.resolve().as_uri()}?mode={mode}"
            with closing(sqlite3.connect(address, timeout=PATIENCE_S, uri=True)) as connection:
                if write:
                    connection.execute(SCHEMA)
                    if not _has_commands(connection):
                        connection.execute(COMMAND)
                yield connection
        except sqlite3.OperationalError as error:
            raise UserError(f"{self.path} cannot be {'written' if write else 'read'} ({error})") from error
        except sqlite3.DatabaseError as error:
            raise UserError(f"{self.path} is damaged ({error}); delete it and measure again") from error


def _has_commands(connection: sqlite3.Connection) -> bool:
    return any(column[1] == "command" for column in connection.execute("PRAGMA table_info(entries)"))


def _text(key: Key) -> str:
    """A key as it is compared."""
    return json.dumps(dict(key), sort_keys=True)


def marked(entries: Iterable[Entry]) -> tuple[list[Entry], list[dict[str, Any]]]:
    """Entries that are current, and what a view says of the others: their key, date, and what changed since."""
    current, stale, now = [], [], functools.cache(_now)
    for e in entries:
        if names := [name for name, value in e.sources.items() if now(name) != value]:
            stale.append({"key": e.key, "written": e.written, "changed": names})
        else:
            current.append(e)
    return current, stale


def outdated(document: Mapping[str, Any]) -> list[str]:
    """Names of the sources that have changed since something in a view, or left out of it, was measured.

    A copy of a view, as kept with the docs, may name files that a command made below build/: one that is not there
    has not changed.
    """
    told, sources = document.get("stale"), document.get("sources")
    entries = told if isinstance(told, list) else []
    names = {name for e in entries for name in ([e] if isinstance(e, str) else _changed_in(e))}
    now = changed(sources) if isinstance(sources, dict) else []
    return sorted(names | {name for name in now if not name.startswith("build/") or (ROOT / name).exists()})


def _changed_in(entry: Any) -> list[str]:
    """What an entry of "stale" says; nothing for one that is damaged."""
    told = entry.get("changed") if isinstance(entry, dict) else None
    return [name for name in told if isinstance(name, str)] if isinstance(told, list) else []


def sources_of(*paths: Path | str, packages: Iterable[str] = (), programs: Iterable[str] = ()) -> dict[str, str]:
    """What a result depends on, by name: SHA-256 of files and of the sources in folders, versions of Python
    packages, SHA-256 of programs on PATH. Paths below the checkout are named from its top.
    """
    found = {_name(Path(path)): digest(Path(path)) for path in paths}
    found |= {f"package {name}": _version(name) for name in packages}
    return found | {f"program {name}": _program(name) for name in programs}


def changed(sources: Sources) -> list[str]:
    """Names of the sources whose hash or version is another now, or that are gone."""
    return [name for name, value in sources.items() if _now(name) != value]


def check_steady(what: str, before: object, after: object) -> None:
    """UserError if what a result depends on was changed while it was made: it would be kept as that of the sources
    as they were.
    """
    if before != after:
        raise UserError(f"{what}: sources changed while it was made; run the same command again")


def digest(path: Path) -> str:
    """SHA-256 of a file, or of names and contents of the sources in a folder and below; empty if there is neither."""
    if path.is_file():
        return file_sha256(path)
    if not path.is_dir():
        return ""
    files = sorted(p for p in path.rglob("*") if p.suffix in SOURCE_SUFFIXES and p.is_file())
    lines = [f"{p.relative_to(path)} {file_sha256(p)}\n" for p in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits; read once as long as it does not change."""
    stamp = path.stat()
    return _file_sha256(path, stamp.st_size, stamp.st_mtime_ns, stamp.st_ctime_ns, stamp.st_ino)


@functools.lru_cache(maxsize=4096)
def _file_sha256(path: Path, *_stamp: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _name(path: Path) -> str:
    path = Path(os.path.abspath(path))
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


def _now(name: str) -> str:
    kind, _, rest = name.partition(" ")
    if kind == "package":
        return _version(rest)
    if kind == "program":
        return _program(rest)
    return digest(ROOT / name)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _program(name: str) -> str:
    found = shutil.which(name)
    return file_sha256(Path(found)) if found else ""
