"""Whole test sets through the gates of a mapped column: `python -m flows.words --net NAME --designs m14p`.

Every tile of every layer runs on the netlist, 512 images at a time; each sum of the column is compared with the golden
model's, the results of a layer feed the next, and the class scores must be the emulator's. Stopped, it goes on where it
was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.console import interruptible, obey, tell
from common.errors import UserError, run_cli
from common.files import keep, kept
from common.provenance import git_commit
from common.store import Store, marked, sources_of
from flows.openroad.routed import chosen
from flows.platform import load_platform
from flows.power.circuit import read_circuit
from flows.synth.measure import best_variant
from flows.synth.netlist import ROOT, Design
from flows.words.column import LANES, Column
from flows.words.network import GateEngine, check_netlist, tables
from models.datasets import images_sha256, load_dataset
from models.emulate import TableEngine
from models.encoding import load_encoding
from models.quant.checkpoint import fingerprint, load_network
from models.quant.correct import offset_network
from models.quant.graph import QuantNetwork
from models.quant.prepare import check_origin
from tools.options import parse

FORMAT = "encmac-gates/1"
SOURCES = ("flows/words", "flows/power/circuit.py", "flows/power/liberty.py", "flows/power/simulate.py", "flows/gls")
DEPENDS = (*SOURCES, "models/hardware", "models/emulate", "models/quant")


@dataclass
class Batch:
    """What some images gave: results of columns that agree with the golden model's and that do not, images whose
    scores are the emulator's, images classed right, products, seconds of a processor."""

    images: int
    matches: int
    wrong: int
    same_scores: int
    right: int
    macs: int
    seconds: float


def run_batch(column: Column, network: QuantNetwork, images: np.ndarray, labels: np.ndarray) -> Batch:
    """Up to 512 images through the gates."""
    began, engine = time.thread_time(), GateEngine(column)
    scores = network.run(images, engine)
    seconds = time.thread_time() - began
    golden = network.run(images, TableEngine(np.add(*tables(column.model)), 1))
    same, right = (scores == golden).all(axis=1), network.classes(scores) == labels
    return Batch(len(images), engine.matches, engine.wrong, int(same.sum()), int(right.sum()), engine.macs, seconds)


def batches(
    column: Column, network: QuantNetwork, data: tuple[np.ndarray, np.ndarray], folder: Path, key: str, jobs: int
) -> Iterator[Batch]:
    """Batches in order, those that an earlier run finished as they were kept."""
    images, labels = data

    def one(first: int) -> Batch:
        some = slice(first, first + LANES)
        path = folder / f"{first}-{len(labels[some])}.json"
        if found := kept(path, key):
            return Batch(**found)
        done = run_batch(column, network, images[some], labels[some])
        keep(path, key, asdict(done))
        return done

    with interruptible(ThreadPoolExecutor(jobs)) as pool:
        yield from pool.map(one, range(0, len(labels), LANES))


def run_design(args: argparse.Namespace, column: Column, network: QuantNetwork, data: tuple, same: list[str]) -> dict:
    """All images through one netlist: an entry of gates.json. `same`: hashes of the images and of the library."""
    what = [column.circuit.sha256, column.design.label, args.rows, fingerprint(network), *same]
    key = hashlib.sha256(json.dumps([*what, sources_of(*(ROOT / name for name in DEPENDS))]).encode()).hexdigest()
    folder = args.out / "words" / key[:16]
    total, parts = len(data[1]), []
    hidden = args.quiet or not sys.stderr.isatty()
    with tqdm(total=total, desc=column.design.name, unit="image", disable=hidden, leave=False) as bar:
        for batch in batches(column, network, data, folder, key, args.jobs):
            parts.append(batch)
            rate = sum(b.macs for b in parts) / max(sum(b.seconds for b in parts), 1e-9) / 1e9
            bar.set_postfix_str(f"{sum(b.wrong for b in parts)} wrong, {rate:.2f} GMAC/s a core")
            bar.update(batch.images)
    sums = {name: sum(getattr(b, name) for b in parts) for name in asdict(parts[0])}
    return {
        "design": column.design.name,
        "network": network.name,
        "rows": args.rows,
        "netlist_sha256": column.circuit.sha256,
        **{name: value for name, value in sums.items() if name != "seconds"},
        "top1": round(sums["right"] / sums["images"], 6),
        "gmac_per_s_a_core": round(sums["macs"] / sums["seconds"] / 1e9, 3),
        "passed": bool(sums["matches"] and not sums["wrong"] and sums["same_scores"] == sums["images"]),
    }


def network_of(design: Design, network: QuantNetwork) -> QuantNetwork:
    """The network that a design is given: constants of its encoding are in the biases."""
    if not design.encoding:
        return network
    encoding = load_encoding(design.encoding)
    check_origin(network, encoding)
    return offset_network(network, encoding)


def main() -> int:
    """Command line; exit code 0 if every result of every column is right."""
    args = parse("flows.words")
    obey(args)
    platform, network = load_platform(args.platform), load_network(args.net)
    clock_ns = args.clock_ns or platform.clock_ns
    test = load_dataset(network.dataset, "test", args.data)
    count = len(test.labels) if args.images is None else args.images
    if count > len(test.labels):
        raise UserError(f"IMAGES={count}: the test set of {network.dataset} has {len(test.labels)}")
    data = (test.images[:count], test.labels[:count])
    table = chosen(args.designs.split(","), args.rows, not args.ungated)
    designs = {name: variants for name, variants in table.items() if not variants[0].shared}
    named = [word.strip() for word in args.designs.split(",")]
    if idle := [name for name in table if name not in designs and name in named]:
        raise UserError(f"DESIGNS={idle[0]}: an extra column multiplies no weights; name the columns that it serves")
    networks = {name: network_of(variants[0], network) for name, variants in designs.items()}
    store = Store(args.out / "reports")
    store.check()
    folder = args.out.resolve() / "synth" / f"{platform.name}-{clock_ns:g}ns-{args.rows}"
    depends, images = sources_of(*(ROOT / name for name in DEPENDS)), images_sha256(test, count)
    run = {"platform": platform.name, "platform_sha256": platform.sha256, "clock_ns": clock_ns}
    run |= {"gated": int(not args.ungated), "images_sha256": images}
    entries = []
    for name, variants in designs.items():
        result = best_variant(variants, args.rows, platform, clock_ns, folder)
        if result.gate.status != "passed":
            why = f"its gate-level simulation is '{result.gate.status}'"
            raise UserError(f"{name} on {platform.name}: {why}; see {result.netlist.path.parent}")
        circuit = read_circuit(result.netlist.path, platform)
        column = Column(circuit, result.design, args.rows, clock_ns, counted=False)
        check_netlist(column)
        entry = run_design(args, column, networks[name], data, [images, platform.sha256]) | run
        entries.append(entry)
        key = {k: entry[k] for k in ("design", "network", "rows", "images", *run)}
        store.put("gates", key, entry | {"git_commit": git_commit()}, depends)
        print_entry(entry)
    store.publish("gates", view)
    tell({"format": FORMAT, "designs": entries})
    return 0 if all(entry["passed"] for entry in entries) else 1


def print_entry(entry: dict) -> None:
    """One line."""
    verdict = "all right" if entry["passed"] else f"WRONG: {entry['wrong']:,} results"
    print(
        f"{entry['design']}, {entry['network']}: {entry['images']:,} images, {entry['matches']:,} sums of the column "
        f"as the golden model has them, scores of {entry['same_scores']:,} images as the emulator's; {verdict}; top-1 "
        f"{100 * entry['top1']:.2f} %; {entry['gmac_per_s_a_core']:.2f} GMAC/s a core",
        flush=True,
    )


def view(store: Store) -> dict:
    """`gates.json`: the last run of each design; one of more images of the same netlist stands, if both passed."""
    current, stale = marked(store.entries("gates"))
    most: dict[tuple, dict] = {}
    for data in (e.data for e in sorted(current, key=lambda e: e.written)):
        before = most.get(key := tuple(data[k] for k in ("design", "network", "rows", "platform", "clock_ns", "gated")))
        alike = before and before["netlist_sha256"] == data["netlist_sha256"] and before["passed"] and data["passed"]
        if not (before and alike and before["images"] > data["images"]):
            most[key] = data
    return {"format": FORMAT, "designs": list(most.values()), "stale": stale}


if __name__ == "__main__":
    run_cli(main)
