"""What differs between the records of two runs: `python -m flows.report.compare --before <folder>`.

Compared is what was found: status and results of tests, coverage, proofs, cycles, top-1, areas, slacks and powers. How
long a command took, where and when, is not: that differs each time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from common.console import obey, signed, tell
from common.errors import UserError, run_cli
from flows.ppa import key_of
from flows.report.records import Record, load_records
from tools.options import parse

FORMAT = "encmac-compare/1"
ROW_HASHES = ("encoding_sha256", "checkpoint_sha256", "data_sha256")  # rows of one name are told apart by them
Value = str | int | float | None


class Difference(NamedTuple):
    """One figure of one thing that two runs measured; `before` is that of the other run."""

    record: str
    what: str
    figure: str
    before: Value
    after: Value

    @property
    def change(self) -> str:
        """In percent, where that says something."""
        numbers = [v for v in (self.before, self.after) if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) < 2 or not numbers[0]:
            return ""
        return f"{signed(100 * (numbers[1] / numbers[0] - 1), 2)} %"


Things = Iterator[tuple[str, dict[str, Value]]]  # what was measured, in words, and its figures


def _sim(data: dict) -> Things:
    for t in data["tests"]:
        name = f"{t['design']}, {t['simulator']}: {t['name']}, seed {t['seed']}"
        yield name, {"status": t["status"], "results": t["matches"], "wrong": t["mismatches"]}


def _coverage(data: dict) -> Things:
    for name, point in data["points"].items():
        yield name, {"hit": sum(bool(b["tests"]) for b in point["bins"].values()), "bins": len(point["bins"])}


def _code_coverage(data: dict) -> Things:
    for name, value in data.get("totals", {}).items():
        yield name, {"value": value if isinstance(value, int | float) else json.dumps(value)}


def _mutants(data: dict) -> Things:
    for m in data["mutants"]:
        yield f"{m['file']}: {m['before'].strip()} -> {m['after'].strip()}", {"status": m["status"]}


def _formal(data: dict) -> Things:
    for p in data["proofs"]:
        yield f"{p['name']}: {p['claim']}", {"result": p["result"], "method": p["method"]}


def _replay(data: dict) -> Things:
    for layer in data["layers"]:
        figures = ("cycles", "compared", "mismatches")
        yield f"{data['network']}, {data['design']}: {layer['name']}", {f: layer.get(f) for f in figures}


def _gates(data: dict) -> Things:
    for d in data["designs"]:
        where = f"{d['platform']}, {d['rows']} rows, {d['clock_ns']:g} ns, gated {d['gated']}"
        name = f"{d['network']}, {d['design']} ({where}), {d['images']} images"
        yield name, {"results": d["matches"], "wrong": d["wrong"], "same scores": d["same_scores"], "top-1": d["top1"]}


def _accuracy(data: dict) -> Things:
    for row in sorted(data["rows"], key=lambda row: [str(row.get(name)) for name in ROW_HASHES]):
        corrected = row.get("correction", {}).get("scope", "gain")
        name = f"{row['network']}, {row['encoding']}, {row['images']} images of {row.get('dataset')}"
        name += f", seed {row.get('seed')}, correction {corrected}{', chosen' if row.get('choose') else ''}"
        yield name, {f"top-1, {way}": value for way, value in row["top1"].items()}


def _ppa(data: dict) -> Things:
    for d in data["designs"]:
        key = key_of(d)
        where = f"{d['platform']}, {d['parameters']['Rows']} rows, {d['clock_ns']:g} ns"
        more = ", ".join(f"{k} {v}" for k, v in key.items() if k in {"columns", "gated", "group", "zeros"} and v)
        routed = d.get("routed") or {}
        figures = {"area um2": d["area_um2"]["total"], "slack ns": d["wns_ns"], "gate level": d["gate_sim"]}
        figures |= {"power mW": (d.get("power_mw") or {}).get("total")}
        if test := d.get("test_set"):
            figures[f"power mW, {test['images']} images of {test['network']}"] = test["total"]
        figures |= {"routed area um2": (routed.get("area_um2") or {}).get("total")}
        figures |= {"routed power mW": (routed.get("power_mw") or {}).get("total")}
        yield f"{d['design']} ({where}{', ' if more else ''}{more})", figures


READERS: dict[str, Callable[[dict], Things]] = {
    "sim": _sim,
    "coverage": _coverage,
    "code_coverage": _code_coverage,
    "mutants": _mutants,
    "formal": _formal,
    "replay": _replay,
    "gates": _gates,
    "accuracy": _accuracy,
    "ppa": _ppa,
}


def things_of(record: Record) -> dict[str, dict[str, Value]]:
    """What a record tells, by name; a name that comes again is numbered."""
    found: dict[str, dict[str, Value]] = {}
    seen: Counter[str] = Counter()
    for name, figures in READERS[record.kind.name](record.data):
        seen[name] += 1
        found[name if seen[name] == 1 else f"{name} ({seen[name]})"] = figures
    return found


def same(before: Value, after: Value, percent: float) -> bool:
    """Equal, or numbers that differ by no more than `percent` of the first."""
    if isinstance(before, int | float) and isinstance(after, int | float):
        return before == after or abs(after - before) <= percent / 100 * abs(before)
    return before == after


def compare(ours: Path, theirs: Path, percent: float) -> dict:
    """What differs between two folders of records.

    Keys: format, compared (things in both, by record), differences (rows of Difference), only_before and only_after
    (names, by record), missing (records that one of the two lacks). Raises UserError for a folder without records.
    """
    after, before = load_records(ours), load_records(theirs)
    document: dict = {"format": FORMAT, "compared": {}, "differences": [], "only_before": {}, "only_after": {}}
    document["missing"] = []
    for name in READERS:
        if name not in after.found and name not in before.found:
            continue
        if name not in after.found or name not in before.found:
            document["missing"].append(f"{(ours if name not in after.found else theirs) / name}.json")
            continue
        with before.reading(name):
            then = things_of(before.found[name])
        with after.reading(name):
            now = things_of(after.found[name])
        both = [thing for thing in then if thing in now]
        document["compared"][name] = len(both)
        document["only_before"][name] = [thing for thing in then if thing not in now]
        document["only_after"][name] = [thing for thing in now if thing not in then]
        document["differences"] += [
            Difference(name, thing, figure, then[thing].get(figure), now[thing].get(figure))
            for thing in both
            for figure in {**then[thing], **now[thing]}
            if not same(then[thing].get(figure), now[thing].get(figure), percent)
        ]
    if not document["compared"]:
        raise UserError(f"{theirs} and {ours} have no record in common; name the folder of records of another run")
    return document


def print_differences(document: dict, most: int = 40) -> None:
    """For people: counts of each record, then what differs, at most `most` lines of each record."""
    for name, count in document["compared"].items():
        rows = [d for d in document["differences"] if d.record == name]
        differ = len({d.what for d in rows})
        ends = [(document["only_before"][name], "only before"), (document["only_after"][name], "only now")]
        told = "".join(f", {len(things)} {where}" for things, where in ends if things)
        print(f"{name}: {count} in both, {differ or 'none'} of them {'differs' if differ < 2 else 'differ'}{told}")
        for d in rows[:most]:
            change = f"  {d.change}" if d.change else ""
            print(f"  {d.what}\n    {d.figure}: {_shown(d.before)} -> {_shown(d.after)}{change}")
        if len(rows) > most:
            print(f"  and {len(rows) - most} more; JSON=1 has all")
        for things, where in ends:
            for thing in things[:5]:
                print(f"  {where}: {thing}")
            if len(things) > 5:
                print(f"  {where}: and {len(things) - 5} more")
    for path in document["missing"]:
        print(f"not compared: there is no {path}")


def _shown(value: Value) -> str:
    return "none" if value is None else f"{value:,.10g}" if isinstance(value, int | float) else str(value)


def main() -> int:
    """Command line; exit code 1 if anything differs, a record that one lacks included, as of diff."""
    args = parse("flows.report.compare")
    obey(args)
    document = compare(args.reports, args.before, args.tolerance)
    print_differences(document)
    tell(document | {"differences": [d._asdict() for d in document["differences"]]})
    rest = (document["only_before"], document["only_after"])
    compared = any(document["compared"].values())
    if not compared:
        print("nothing was compared: what both have is stale, or has other names; measure anew")
    alike = (
        compared
        and not document["differences"]
        and not document["missing"]
        and not any(any(names.values()) for names in rest)
    )
    return 0 if alike else 1


if __name__ == "__main__":
    run_cli(main)
