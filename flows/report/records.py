"""Reads the records in build/reports: each whole and of the version that this checkout writes, or absent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from common.errors import UserError
from common.files import read_json
from common.store import outdated


class Kind(NamedTuple):
    """What a record is called, its format, the command that writes it, what it tells."""

    name: str
    format: str
    command: str
    title: str


KINDS = (
    Kind("sim", "encmac-sim/1", "make sim", "simulation"),
    Kind("coverage", "encmac-coverage/1", "make sim", "functional coverage"),
    Kind("code_coverage", "encmac-code-coverage/1", "make sim COVERAGE=1", "code coverage"),
    Kind("mutants", "encmac-mutants/1", "make mutants", "faults that the suite must find"),
    Kind("formal", "encmac-formal/1", "make formal", "proofs"),
    Kind("replay", "encmac-replay/1", "make replay", "networks through the RTL"),
    Kind("gates", "encmac-gates/1", "make gates NET=resnet20_cifar10", "a test set through the gates"),
    Kind("accuracy", "encmac-accuracy/1", "make accuracy NET=resnet20_cifar10 ENCODING=m20p", "accuracy"),
    Kind("ppa", "encmac-ppa/1", "make synth", "area, timing, power"),
    Kind("bench", "encmac-bench/1", "make bench", "speed beside peers"),
)


@dataclass(frozen=True)
class Record:
    """A record that was found."""

    kind: Kind
    path: Path
    data: dict
    written: str  # date and minute, UTC
    stale: tuple[str, ...] = ()  # sources that have changed since something in it was measured
    narrow: str = ""  # the last run, if it was of a part: its words and its outcome

    @property
    def commit(self) -> str:
        """Commit of the sources that measured; empty if the record does not say."""
        rows = self.data.get("rows") or [{}]
        return self.data.get("git_commit") or rows[-1].get("git_commit") or ""

    @property
    def commands(self) -> list[str]:
        """What was typed, the latest last; nothing if the record does not say."""
        return list(self.data.get("commands") or [])

    @property
    def tools(self) -> dict[str, str]:
        """Versions of what took part."""
        rows = self.data.get("rows") or [{}]
        return self.data.get("tools") or rows[-1].get("tools") or {}


@dataclass(frozen=True)
class Records:
    """All records of a folder."""

    folder: Path
    found: dict[str, Record]

    def __getitem__(self, name: str) -> dict:
        """Content of a record; an empty one if it is absent."""
        return self.found[name].data if name in self.found else {}

    @contextmanager
    def reading(self, *names: str) -> Iterator[None]:
        """Turns what a damaged record makes of its reader into one line."""
        try:
            yield
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            what = f"no field {error}" if isinstance(error, KeyError) else str(error)
            there = [self.found[name] for name in names if name in self.found]
            paths = " or ".join(str(record.path) for record in there)
            again = " and ".join(dict.fromkeys(record.kind.command for record in there))
            raise UserError(f"{paths} is damaged ({what}); make it anew with: {again}") from error


def whole_of(data: dict) -> tuple[dict, str]:
    """What a record says of the whole regression or network, and the last run in words if that was of a part of it."""
    whole = data.get("regression")
    if not isinstance(whole, dict):
        return data, ""
    totals, words = data.get("totals", {}), data.get("choice") or f"{data.get('network')}, a part"
    told = f"{totals['passed']} of {totals['tests']} passed" if "passed" in totals else "see the record"
    return data | whole, f"{words}: {told}"


def load_records(folder: Path) -> Records:
    """Every record of `folder` that is there.

    Raises UserError for a folder that does not exist, a file that is not JSON, another format.
    """
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; run something that measures first, for example: make sim")
    found = {}
    for kind in KINDS:
        path = folder / f"{kind.name}.json"
        if not path.exists():
            continue
        try:
            data = read_json(path)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}); make it anew with: {kind.command}") from error
        told = data.get("format") if isinstance(data, dict) else None
        if told != kind.format:
            raise UserError(
                f"{path} has format '{told}', this version reads '{kind.format}'; make it anew with: {kind.command}"
            )
        data, narrow = whole_of(data)
        stale = tuple(outdated(data))
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M")
        found[kind.name] = Record(kind, path, data, written, stale, narrow)
    return Records(folder, found)
