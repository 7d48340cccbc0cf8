"""Line and toggle coverage of the RTL: merges what Verilator counted in the runs of the suite `coverage`.

A line, or a bit in one direction, is a point of the source text: it is covered if any design of the
suite, in any instance, reached it. `build/reports/code_coverage.json` says what is not covered, and the
reason of everything excluded; beside it the merged counts (`code_coverage.info`) and, if `genhtml` is
there, the annotated sources.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from common.errors import UserError
from common.files import locked, write_text
from common.provenance import git_commit
from common.store import Sources, Store
from tb.reporting.testplan import CodeExclusion

TARGETS = {"line": 98.0, "toggle": 95.0}  # percent
KINDS = {"v_line": "line", "v_branch": "line", "v_toggle": "toggle"}
RECORD = re.compile(r"C '(.*)' (\d+)$")


@dataclass(frozen=True, order=True)
class Point:
    """A line or a bit in one direction: file within rtl/, line, what is counted there."""

    kind: str
    file: str
    line: int
    name: str
    text: str = ""  # of the source line
    function: bool = False  # within a function


def source_lines(path: Path) -> list[tuple[str, bool]]:
    """Lines of a source file, each with whether it is within a function."""
    lines, inside = [], False
    for line in path.read_text().splitlines():
        inside = inside or line.lstrip().startswith("function ")
        lines.append((line.strip(), inside))
        inside = inside and not line.lstrip().startswith("endfunction")
    return lines


def read_counts(path: Path, rtl: Path) -> Counter[Point]:
    """Counts of a file that Verilator or verilator_coverage wrote; only of sources in `rtl`."""
    counts: Counter[Point] = Counter()
    sources: dict[Path, list[tuple[str, bool]]] = {}
    for text in path.read_text().splitlines():
        match = RECORD.match(text)
        if not match:
            continue
        fields = dict(part.split("\x02", 1) for part in match[1].split("\x01") if part)
        kind = KINDS.get(fields.get("page", "").split("/")[0])
        file = Path(fields["f"])
        if kind and file.is_relative_to(rtl):
            name = fields["o"] if kind == "toggle" else f"{fields['o']} {fields.get('n', '')}".strip()
            lines = sources.setdefault(file, source_lines(file))
            number = int(fields["l"])
            counts[Point(kind, str(file.relative_to(rtl)), number, name, *lines[number - 1])] += int(match[2])
    return counts


def merge(files: list[Path], reports: Path, rtl: Path) -> Counter[Point]:
    """Merge the files of all runs with verilator_coverage; HTML of the sources if genhtml is there."""
    tool = shutil.which("verilator_coverage", path="/usr/bin:/usr/local/bin") or shutil.which("verilator_coverage")
    if not tool:
        raise UserError("verilator_coverage is not installed; run: make setup")
    reports.mkdir(parents=True, exist_ok=True)
    merged, info = reports / "code_coverage.dat", reports / "code_coverage.info"
    for option, path in (("--write", merged), ("--write-info", info)):
        done = subprocess.run([tool, option, str(path), *map(str, files)], capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"{tool} failed: {(done.stderr or done.stdout).strip().splitlines()[:1]}")
    # the simulation tops are not the design
    files_of_info = info.read_text().split("end_of_record\n")
    ours = [text for text in files_of_info if f"SF:{rtl}/" in text]
    write_text(info, "".join(f"{text}end_of_record\n" for text in ours))
    if ours and shutil.which("genhtml"):
        command = ["genhtml", "--quiet", "--prefix", str(rtl.parent), "--title", "encmac: lines of rtl/"]
        command += ["--output-directory", str(reports / "code_coverage"), str(info)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"genhtml failed, no annotated sources: {done.stderr.strip().splitlines()[:1]}")
    return read_counts(merged, rtl)


def evaluate(counts: Counter[Point], exclusions: tuple[CodeExclusion, ...]) -> tuple[dict, list[str]]:
    """The record `code_coverage.json`, and what falls short of the targets."""
    faults, totals, missing, excluded = [], {}, [], Counter()
    for point, count in sorted(counts.items()):
        if count:
            continue
        reason = next((e.reason for e in exclusions if matches(e, point)), "")
        if reason:
            excluded[point.kind, reason] += 1
        else:
            missing.append(point)
    for kind, target in TARGETS.items():
        out = sum(n for (k, _), n in excluded.items() if k == kind)
        points = sum(p.kind == kind for p in counts) - out
        hit = points - sum(p.kind == kind for p in missing)
        percent = round(100 * hit / points, 2) if points else 0.0
        totals[kind] = {"percent": percent, "hit": hit, "points": points, "excluded": out, "target": target}
        if percent < target:
            faults.append(f"{kind} coverage {percent} % of {points} points; the target is {target} %")
    for exclusion in exclusions:
        if not any(matches(exclusion, p) and not n for p, n in counts.items()):
            faults.append(f"exclusion '{exclusion.reason}' excludes nothing: remove it")
    record = {
        "format": "encmac-code-coverage/1",
        "totals": totals,
        "missing": [f"{p.file}:{p.line} {p.kind} {p.name}" for p in missing],
        "excluded": [{"kind": kind, "points": n, "reason": reason} for (kind, reason), n in sorted(excluded.items())],
        "git_commit": git_commit(),
    }
    return record, faults


def matches(exclusion: CodeExclusion, point: Point) -> bool:
    """True if the exclusion speaks of this point."""
    pairs = ((point.file, exclusion.file), (point.name, exclusion.name), (point.text, exclusion.text))
    known = all(fnmatchcase(text, pattern.replace("[", "[[]")) for text, pattern in pairs)
    return known and exclusion.kind == point.kind and (point.function or not exclusion.function)


def report(
    files: list[Path], exclusions: tuple[CodeExclusion, ...], reports: Path, rtl: Path, sources: Sources
) -> list[str]:
    """Merge, keep the record, print the percentages; what falls short. `sources`: what the counts depend on."""
    if not files:
        raise UserError("no run wrote coverage.dat: nothing to merge")
    with locked(reports / ".code_coverage.lock"):
        record, faults = evaluate(merge(files, reports, rtl), exclusions)
    store = Store(reports)
    store.put("code coverage", {"rtl": str(rtl)}, record, sources)
    store.publish("code_coverage", lambda kept: kept.entries("code coverage")[-1].data)
    for kind, t in record["totals"].items():
        print(f"{kind} coverage: {t['percent']} % ({t['hit']} of {t['points']}, {t['excluded']} excluded)")
    return faults
