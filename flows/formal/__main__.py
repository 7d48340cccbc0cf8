"""Prove the RTL: `python -m flows.formal`.

Every library encoding's product bits, the adder trees, counters and decoders at full size, and the
stream control. Each proof runs in a process of its own with a time limit. Exit code 0 only if every
proof that was asked for came about: a counterexample, a timeout and a fault of a tool all fail.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from common.console import interruptible, obey, tell
from common.errors import UserError, run_cli, unknown
from common.provenance import git_commit
from common.store import Store, marked, sources_of
from flows.formal.proofs import Proof
from flows.formal.worker import Result, proofs_of, prove
from flows.platform import load_platform
from models.encoding import library_names, load_encoding
from tools.options import parse

ROOT = Path(__file__).resolve().parent.parent.parent


def select(proofs: dict[str, Proof], wanted: str | None) -> list[Proof]:
    """Proofs whose name is, or begins at a slash with, one of the words in `wanted` (commas between)."""
    if wanted is None:
        return list(proofs.values())
    chosen: dict[str, Proof] = {}
    for word in wanted.split(","):
        found = {name: proof for name, proof in proofs.items() if f"{name}/".startswith(f"{word.strip('/')}/")}
        if not found:
            known = {proof.module for proof in proofs.values()}
            raise unknown("proof", word, known, ", each also as <module>/<name> (--list shows them)")
        chosen |= found
    return list(chosen.values())


def proof_record(r: Result) -> dict:
    """A proof of formal.json."""
    return {
        "name": r.proof.name,
        "module": r.proof.module,
        "parameters": r.proof.parameters,
        "claim": r.proof.claim,
        "method": r.proof.method,
        "result": r.result,
        "detail": r.detail,
        "seconds": r.seconds,
    }


def sources_of_proofs(rtl: Path, encodings: list[str], platform: str | None) -> dict[str, str]:
    """What proofs depend on, by name and hash."""
    files = [ROOT / name for name in ("flows/formal", "flows/synth/netlist.py", "models/encoding.py")]
    files += [ROOT / "models/encodings"]
    files += [Path(name) for name in encodings if name.endswith(".json")]
    files += [load_platform(platform).liberty] if platform else []
    return sources_of(rtl, *files, packages=["pyosys"])


def encodings_of(args: argparse.Namespace) -> list[str]:
    """Names or files of the encodings that proofs are about."""
    return args.encoding.split(",") if args.encoding else library_names()


def document(proofs: list[dict], stale: list[dict]) -> dict:
    """formal.json, of these proofs."""
    return {
        "format": "encmac-formal/1",
        "proofs": proofs,
        "proven": sum(p["result"] == "proven" for p in proofs),
        "total": len(proofs),
        "stale": stale,
        "tools": {"pyosys": importlib.metadata.version("pyosys")},
        "git_commit": git_commit(),
    }


def view(store: Store) -> dict:
    """`formal.json`: every proof of the RTL, the encodings and the library that there are now."""
    current, stale = marked(store.entries("proof"))
    return document([e.data for e in current], stale)


def keep(results: list[Result], store: Store, args: argparse.Namespace, sources: dict[str, str]) -> None:
    """Put proofs into the store. A time that was too short or a fault of a tool takes the place of no verdict."""
    entries = []
    hashes = {encoding.name: encoding.sha256 for encoding in map(load_encoding, encodings_of(args))}
    where = {"platform": args.platform and load_platform(args.platform).sha256}
    where |= {"rtl": "" if args.rtl.resolve() == ROOT / "rtl" else str(args.rtl.resolve())}
    for r in results:
        own = [hashes[word] for word in r.proof.name.split("/") if word in hashes]
        key = {"name": r.proof.name, "encodings": own} | where
        verdict = r.result in ("proven", "refuted")
        known = None if verdict else store.get("proof", key)
        if known is None:
            entries.append((key, proof_record(r), sources))
    store.put_all("proof", entries)


def print_tables(results: list[Result]) -> None:
    """One line a proof, then one a module."""
    rows = [("proof", "method", "result", "seconds", "extent or counterexample")]
    rows += [(r.proof.name, r.proof.method, r.result, f"{r.seconds:.1f}", r.detail) for r in results]
    _print(rows)
    groups: dict[tuple[str, str, str], list[Result]] = {}
    for r in results:
        groups.setdefault((r.proof.module, r.proof.method, r.proof.claim), []).append(r)
    rows = [("module", "claim", "method", "proven", "seconds")]
    for (module, method, claim), members in groups.items():
        proven = sum(r.result == "proven" for r in members)
        rows.append((module, claim, method, f"{proven} of {len(members)}", f"{sum(r.seconds for r in members):.1f}"))
    print()
    _print(rows)


def _print(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> int:
    """Command line; exit code 0 if every proof came about."""
    args = parse("flows.formal")
    obey(args)
    if args.time_limit <= 0 or args.jobs < 1:
        raise UserError(f"time limit ({args.time_limit:g} s) and jobs ({args.jobs}) must be positive")
    if not (args.rtl / "encmac_pkg.sv").is_file():
        raise UserError(f"{args.rtl} holds no encmac_pkg.sv; give the folder of the RTL with --rtl")
    encodings = encodings_of(args)
    if args.platform:
        load_platform(args.platform)
    proofs = select(proofs_of(encodings, args.platform), args.proof)
    if args.list:
        print("\n".join(proof.name for proof in proofs))
        return 0
    if importlib.util.find_spec("pyosys") is None:
        raise UserError("pyosys is not installed; run: make setup")
    store = Store(args.out / "reports")
    store.check()
    folder, rtl = args.out.resolve() / "formal", args.rtl.resolve()
    start, sources = time.monotonic(), sources_of_proofs(rtl, encodings, args.platform)
    with interruptible(ThreadPoolExecutor(args.jobs)) as pool:
        running = pool.map(lambda proof: prove(proof, encodings, args.platform, rtl, folder, args.time_limit), proofs)
        results = list(tqdm(running, total=len(proofs), unit="proof", disable=not sys.stderr.isatty(), leave=False))
    keep(results, store, args, sources)
    whole = store.publish("formal", view)
    tell(whole | document([proof_record(r) for r in results], []))
    print_tables(results)
    missing = [r.proof.name for r in results if r.result != "proven"]
    print(f"\n{len(results) - len(missing)} of {len(results)} proven in {time.monotonic() - start:.0f} s")
    if missing:
        print(f"NOT proven: {', '.join(missing)}")
    return 1 if missing else 0


if __name__ == "__main__":
    run_cli(main)
