"""Top-1 of a network: float, int8, and with the products of an encoding.

`python -m models.accuracy --net resnet20_cifar10 --encoding exact64` runs the whole test set and
writes or replaces one row of build/reports/accuracy.json; `--table` prints them all beside the area of a column.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np

from common.console import obey, signed, tell
from common.errors import UserError, run_cli
from common.files import read_json, write_block
from common.provenance import git_commit
from common.store import Store, marked, outdated, sources_of
from models.datasets import Cifar, ImageNet, images_sha256, load_dataset
from models.emulate import TableEngine, exact_table
from models.encoding import check_name, encoding_file, library_names, load_encoding
from models.multiplier import Products, expand, load_products, relative_error
from models.predictions import Predictions, check_labels
from models.quant.checkpoint import FINETUNED, ZOO, load_network
from models.quant.correct import corrected_network, encoding_engine, offset_network
from models.quant.graph import QuantNetwork
from models.quant.histogram import calibration_sample
from models.quant.prepare import WAYS, check_origin, prepare, rounded_network
from tools.options import parse

FORMAT = "encmac-accuracy/1"
REPORT = Path("build/reports/accuracy.json")
ROOT = Path(__file__).resolve().parent.parent
NORMAL_95 = 1.96


def float_figure(network: QuantNetwork, test: Cifar | ImageNet, given: Path | None) -> tuple[float | None, str]:
    """(top-1 of the float weights, where it comes from): a network of ours is run again if they are at hand.

    Raises UserError for a file `given` that holds other weights than the network was made from.
    """
    path = given or Path(f"build/train/{network.name}/float.pt")
    if path.is_file():
        from models import networks  # torch takes its time: only where floating point is run
        from models.importers.weights import read_weights
        from models.quant.__main__ import float_top1
        from models.quant.convert import load_weights

        if network.name in networks.NETWORKS:
            weights, _, sha256 = read_weights(path)
            if sha256 == network.provenance.get("float_sha256"):
                spec = networks.network_spec(network.name)
                model = spec.build()
                load_weights(model, weights, str(path))
                return float_top1(model, test.images, test.labels, spec), "measured"
    if given:
        raise UserError(f"--float {given} is not the file of weights that {network.name} was made from; leave it out")
    figures = network.provenance.get("figures", {})
    if figures.get("images") != len(test.labels):  # of other images than int8's: not to be put beside it
        return None, f"not measured on these images; run again with FLOAT={path}"
    return figures.get("float_top1"), f"stored in the checkpoint, {figures['images']} images"


@dataclass(frozen=True)
class Baseline:
    """A network on test images: what every row of it shares. `int8` and `fp32` are top-1, `classes` int64 [N] what
    int8 answers; `data_sha256` is that of the images."""

    network: QuantNetwork
    test: Cifar | ImageNet
    data_sha256: str
    predictions: Predictions
    classes: np.ndarray
    int8: float
    fp32: float | None
    fp32_source: str


def measure_baseline(args: argparse.Namespace, network: QuantNetwork) -> Baseline:
    """The network in float and int8."""
    test = load_dataset(network.dataset, "test", args.data)
    count = len(test.labels) if args.images is None else args.images
    if not 1 <= count <= len(test.labels):
        raise UserError(f"--images {count}: {test.name} has 1..{len(test.labels)} test images")
    check_labels(network, test.images, test.labels)
    if count < len(test.labels):
        test = replace(test, images=test.images[:count], labels=test.labels[:count])
    fp32 = float_figure(network, test, args.float)
    data = images_sha256(test)
    found = Predictions(network, TableEngine(exact_table(), threads=1), data)
    classes = found.classes(test.images, "" if args.quiet else "int8")
    return Baseline(network, test, data, found, classes, float((classes == test.labels).mean()), *fp32)


def finetuned_file(network: QuantNetwork, encoding: Products, path: Path | None) -> Path | None:
    """`network` as fine-tuned for `encoding`: the file `path`, or that made here, or of the zoo (else None).

    A file made from another network or for other products is a UserError if it was asked for, else passed over.
    """
    name = f"{network.name}-{encoding.name}.npz"
    for file in (path,) if path else (FINETUNED / name, ZOO / "finetuned" / name):
        if not path and not file.exists():
            continue
        made = load_network(file).provenance.get("finetuned")
        if made is None:
            raise UserError(f"{file} is not fine-tuned; make it with: python -m models.train.finetune")
        pairs = (encoding.sha256, made.get("encoding_sha256")), (network.sha256, made.get("base_sha256"))
        if all(mine == theirs for mine, theirs in pairs):
            return file
        if path:  # others were trained or searched anew since
            what = f"network {network.name}" if pairs[0][0] == pairs[0][1] else f"encoding {encoding.name}"
            raise UserError(f"{path} is made from {made.get('base')} for {made.get('encoding')}, not for this {what}")
    return None


def paired(better: np.ndarray, worse: np.ndarray) -> dict:
    """Difference of two top-1 figures on the same images, from bool [N] each: points, and their 95 % interval."""
    return interval_of(int((better & ~worse).sum()), int((worse & ~better).sum()), len(better))


def interval_of(won: int, lost: int, count: int) -> dict:
    """The difference that `won` and `lost` of `count` images make, in points, and its 95 % interval."""
    mean = (won - lost) / count
    half = NORMAL_95 * math.sqrt(max(won + lost - count * mean**2, 0)) / count
    points = {"points": mean, "interval": [mean - half, mean + half]}
    return {name: np.round(np.multiply(100, value), 3).tolist() for name, value in points.items()} | {
        "won": won,
        "lost": lost,
    }


HALVES = ("half1", "half2")  # data sets of examples/imagenet_halves.py: together every image of a sample once


def pooled(rows: Sequence[dict]) -> list[dict]:
    """`rows` of a report, those of two HALVES of a sample, made by as many images, as one row of all images.

    Shares of images are averages, differences those of all images; what was kept for one half may be another way than
    for the other: `way` is then "chosen or corrected".
    """
    whole = [row for row in rows if row.get("dataset") not in HALVES]
    pairs: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        if row.get("dataset") in HALVES:
            key = (
                row["network"],
                row["encoding"],
                row["encoding_sha256"],
                row["seed"],
                str(row["correction"]["scope"]),
                row["correction"].get("rounds"),
                row["correction"].get("training_images"),
            )
            pairs.setdefault((*key, row["choose"]), {})[row["dataset"]] = row
    return whole + [_joined(*pair.values()) for pair in pairs.values() if len(pair) == len(HALVES)]


def _joined(one: dict, other: dict) -> dict:
    counts = np.array([one["images"], other["images"]])

    def average(values: Sequence[float | None]) -> float | None:
        return None if None in values else float(np.average(values, weights=counts))

    def difference(ways: Sequence[str]) -> dict:
        found = [row["against_int8"][way] for row, way in zip((one, other), ways, strict=True)]
        return interval_of(*(sum(part[name] for part in found) for name in ("won", "lost")), int(counts.sum()))

    way = one["way"] if one["way"] == other["way"] else "chosen or corrected"
    shared = one["against_int8"].keys() & other["against_int8"].keys()
    against = {name: difference((name, name)) for name in one["against_int8"] if name in shared}
    hashes = ("checkpoint_sha256", "data_sha256")
    both = {name: " and ".join(sorted({str(row.get(name)) for row in (one, other)})) for name in hashes}
    return (one | both) | {
        "dataset": " and ".join(HALVES),
        "images": int(counts.sum()),
        "top1": {name: average([one["top1"][name], other["top1"].get(name)]) for name in one["top1"]},
        "way": way,
        "against_int8": against | {way: difference((one["way"], other["way"]))},
        "agreement_with_int8": average([one["agreement_with_int8"], other["agreement_with_int8"]]),
        "seconds": one["seconds"] + other["seconds"],
        "preparation": {"seconds": sum(row["preparation"].get("seconds") or 0 for row in (one, other))},
    }


def measure_row(args: argparse.Namespace, baseline: Baseline, encoding: Products, file: Path | None) -> dict:
    """One row of the report: figures and everything that they depend on; `file` is the fine-tuned network."""
    network = baseline.network
    tuned = load_network(file) if file else None
    label = "" if args.quiet else encoding.name
    ways, way, figures = {}, "corrected", {}
    if args.correction == "gain":
        wanted = WAYS if args.choose == "1" else WAYS[:1]
        images, held_out = calibration_sample(network.dataset, args.samples, args.seed, args.data)
        if len(images) < args.samples and not args.quiet:
            print(f"{args.samples} training images asked for, {len(images)} taken: half of those that there are")
        found = prepare(network, encoding, images, held_out, wanted, args.rounds, label=label)
        ways, way, figures = found.ways, found.way, found.figures
    else:
        images = calibration_sample(network.dataset, args.samples, args.seed, args.data)[0]
        rounded = rounded_network(network, encoding)
        ways[way] = corrected_network(rounded, encoding, images, args.rounds, args.correction, label, network)
    if tuned:
        ways["finetuned"] = offset_network(tuned, encoding)
    started = time.perf_counter()
    engine, test, right = encoding_engine(encoding, threads=1), baseline.test, {}
    for name, one in ways.items():
        predictions = Predictions(one, engine, f"{encoding.sha256} {baseline.data_sha256}")
        classes = predictions.classes(test.images, label and f"{label}, {name}")
        predictions.forget()
        right[name] = classes == test.labels
        if name == way:
            agreement = float((classes == baseline.classes).mean())
    seconds = time.perf_counter() - started
    top1 = {name: float(hits.mean()) for name, hits in right.items()}
    exact = baseline.classes == test.labels
    differences = {name: paired(hits, exact) for name, hits in right.items()}
    if "chosen" in right:
        differences["chosen against corrected"] = paired(right["chosen"], right["corrected"])
    return {
        "network": network.name,
        "dataset": baseline.test.name,
        "encoding": encoding.name,
        "product_bits": encoding.m,
        "mean_relative_error": relative_error(encoding.product_table),
        "images": len(baseline.test.labels),
        "data_sha256": baseline.data_sha256,
        "top1": {
            "fp32": baseline.fp32,
            "int8": baseline.int8,
            "corrected": top1["corrected"],
            "chosen": top1.get("chosen"),
            "encoded": top1[way],
            "encoded_finetuned": top1.get("finetuned"),
        },
        "way": way,
        "against_int8": differences,
        "preparation": figures,
        "agreement_with_int8": agreement,
        "fp32_source": baseline.fp32_source,
        "correction": {"scope": args.correction, "rounds": args.rounds, "training_images": len(images)},
        "choose": args.choose == "1" and args.correction == "gain",
        "samples": args.samples,
        "seed": args.seed,
        "seconds": round(seconds, 1),
        "checkpoint_sha256": network.sha256,
        "finetuned": tuned.provenance["finetuned"] | {"checkpoint_sha256": tuned.sha256} if tuned else None,
        "encoding_sha256": encoding.sha256,
        "git_commit": git_commit(),
        "tools": {"python": platform.python_version(), "numpy": np.__version__, "torch": metadata.version("torch")},
    }


# what a row is about: networks and encodings by hash, so that two files of one name have two rows
KEY = (
    "network",
    "checkpoint_sha256",
    "dataset",
    "data_sha256",
    "encoding",
    "encoding_sha256",
    "images",
    "correction",
    "choose",
    "seed",
)


def update_report(path: Path, row: dict, sources: Mapping[str, str] | None = None) -> None:
    """Keep `row` in the place of one of the same KEY, and write the report, a view of all rows.

    Rows that the report has and the store beside it lacks, as those of a report that was copied there, are taken over;
    what these depend on is not known any more, so they never count as changed.
    """
    path = path.resolve()  # by its own name, whatever link leads there
    store, kind = Store(path.parent), kind_of(path)
    store.put_all(kind, [(key_of(old), old, {}) for old in read_rows(path)], replace=False)
    store.put(kind, key_of(row), row, sources)
    store.publish(path.stem, partial(view, kind=kind))


def kind_of(path: Path) -> str:
    """Kind of a report's rows in the store: each report of a folder has its own."""
    return "accuracy" if path.stem == "accuracy" else f"accuracy {path.stem}"


def key_of(row: dict) -> dict:
    """The key of a row in the store."""
    return {name: row.get(name) for name in KEY}


def view(store: Store, kind: str = "accuracy") -> dict:
    """`accuracy.json`: every row whose network, encoding and emulation are as they were; the others are named."""
    current, stale = marked(store.entries(kind))
    return {"format": FORMAT, "rows": [entry.data for entry in current], "stale": stale}


def sources_of_row(args: argparse.Namespace, encoding: str, tuned: Path | None) -> dict[str, str]:
    """What a row depends on, by name and hash: emulation, and files of network, fine-tuned network and encoding."""
    files = [ROOT / name for name in ("models/emulate", "models/quant", "models/encoding.py")]
    table = encoding.partition(":")[0]
    own = (args.net, table, ZOO / f"{args.net}.npz", encoding_file(encoding), *([tuned] if tuned else []))
    return sources_of(*files, *(path for path in map(Path, own) if path.is_file()), packages=["numpy", "torch"])


def scope(row: dict) -> str:
    """What was corrected in a row."""
    return row.get("correction", {}).get("scope", "gain")


def read_rows(path: Path) -> list[dict]:
    """Rows of a report; none if there is no file."""
    if not path.exists():
        return []
    try:
        report = read_json(path)
        if report["format"] != FORMAT:
            raise ValueError(f"format {report['format']}")
        return list(report["rows"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged or of another version ({error}); delete it") from error


def table(rows: list[dict]) -> str:
    """Accuracy with everything that was measured, beside the model's area of encodings of the library, as Markdown.

    Rows without correction, or with bias alone, have a line of their own. Differences against int8 are in points, on
    the same images, with their 95 % interval.
    """
    columns = ("network", "encoding", "product bits", "um2 by cost model", "images", "int8 %", "corrected %")
    columns += ("chosen %", "chosen against corrected", "kept", "against int8", "same class %", "fine-tuned %")
    columns += ("against int8",)
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    shown = []
    for row in pooled(rows):
        name, area = row["encoding"], None
        if name in library_names() and load_encoding(name).sha256 == row.get("encoding_sha256"):
            area = load_encoding(name).figures.get("column_area_um2")
        label = name if scope(row) == "gain" else f"{name}, correction {scope(row)}"
        shown.append((row["network"], row["product_bits"] or 0, label, row, area))
    alike = Counter((network, label, row["images"]) for network, _, label, row, _ in shown)
    for network, bits, name, row, area in sorted(shown, key=lambda entry: (*entry[:3], entry[3].get("seed") or 0)):
        if alike[network, name, row["images"]] > 1:
            others = [r for n, _, label, r, _ in shown if (n, label, r["images"]) == (network, name, row["images"])]
            name += "".join(f", {words}" for words in _telling(row, others))
        top1, way = row["top1"], row.get("way", "corrected")
        cells = [
            network,
            name,
            bits,
            "-" if area is None else f"{area:,.0f}",
            f"{row['images']:,}",
            _percent(top1["int8"]),
        ]
        cells += [_percent(top1.get(one)) for one in ("corrected", "chosen")]
        cells += [_interval(row, "chosen against corrected") or "-"]
        cells += [way, _difference(row, way, top1["encoded"]), _percent(row.get("agreement_with_int8"))]
        tuned = top1.get("encoded_finetuned")
        cells += [_percent(tuned), "-" if tuned is None else _difference(row, "finetuned", tuned)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


TELLING = {"seed": "seed", "dataset": "images of", "checkpoint_sha256": "checkpoint", "encoding_sha256": "encoding"}
TELLING |= {"data_sha256": "data", "choose": "choose"}


def _telling(row: dict, others: list[dict]) -> list[str]:
    """What a row has that not all `others` of its label have, in words; of hashes eight digits."""

    def facts(row: dict) -> dict[str, str]:
        known = {word: str(row.get(name))[: 8 if name.endswith("sha256") else None] for name, word in TELLING.items()}
        return known | {key.replace("_", " "): str(value) for key, value in (row.get("correction") or {}).items()}

    found = [facts(other) for other in others]
    return [f"{word} {value}" for word, value in facts(row).items() if len({other.get(word) for other in found}) > 1]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _difference(row: dict, way: str, top1: float) -> str:
    return _interval(row, way) or signed(100 * (top1 - row["top1"]["int8"]), 2)


def _interval(row: dict, what: str) -> str:
    """A paired difference and its 95 % interval; an empty string if the row does not have it."""
    found = row.get("against_int8", {}).get(what)
    if not found:
        return ""
    low, high = found["interval"]
    return f"{signed(found['points'], 2)} ({signed(low, 2)} to {signed(high, 2)})"


def main() -> None:
    """Command line of the accuracy measurement."""
    args = parse("models.accuracy")
    obey(args)
    if args.out.suffix != ".json":
        raise UserError(f"--out {args.out}: a record is JSON; give it a name that ends in .json")
    if args.table:
        if args.net or args.encoding or args.json:
            raise UserError("--table shows what was measured, as text; leave out --net, --encoding and --json")
        if not (rows := read_rows(args.out)):
            raise UserError(f"no rows in {args.out}; measure some first: make accuracy NET= ENCODING=")
        try:
            print(shown := table(rows))
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise UserError(f"{args.out} is damaged ({error!r}); delete it and measure again") from error
        if args.page:
            write_block(args.page, "accuracy", shown)
        if since := outdated(json.loads(args.out.read_text())):
            print(f"\n{args.out.name}: changed since it was measured: {', '.join(since)}")
        return
    if args.page:
        raise UserError("--page is where --table writes; give both")
    if not args.net or not args.encoding:
        raise UserError("which network and which encoding? give --net and --encoding, or --table")
    if args.rounds < 1:
        raise UserError(f"--rounds {args.rounds}: give at least 1, or --correction none")
    Store(args.out.parent).check()
    names = expand(args.encoding)
    products = [load_products(name) for name in names]
    for given, one in zip(names, products, strict=True):
        check_name(one.name, one.sha256, given)
    given = load_network(args.net)
    if made := given.provenance.get("finetuned"):
        raise UserError(f"{args.net} is fine-tuned for {made['encoding']}; give --net {made['base']} --finetuned FILE")
    if made := given.provenance.get("prepared"):
        for encoding in products:
            check_origin(given, encoding)
        raise UserError(
            f"{args.net} is made for {made['encoding']} already; give --net {made['base']}, it is found again"
        )
    read_rows(args.out)
    tuned = [finetuned_file(given, encoding, args.finetuned) for encoding in products]
    baseline = measure_baseline(args, given)
    network, int8 = baseline.network, baseline.int8
    fp32 = f"{baseline.fp32:.4f}" if baseline.fp32 is not None else "unknown"
    print(f"{network.name} on {baseline.test.name}, {len(baseline.test.labels)} test images, top-1:")
    print(f"  float     {fp32} ({baseline.fp32_source})")
    print(f"  int8      {int8:.4f}")
    rows = []
    for name, encoding, file in zip(names, products, tuned, strict=True):
        sources = sources_of_row(args, name, file)
        row = measure_row(args, baseline, encoding, file)
        rows.append(row)
        update_report(args.out, row, sources)
        tell({"format": FORMAT, "rows": rows})
        bits = f"M = {encoding.m}" if encoding.m else "a table"
        agreement = f"{100 * row['agreement_with_int8']:.2f} % as int8"
        low, high = row["against_int8"][row["way"]]["interval"]
        change = f"{row['way']}, {signed(low, 2)} to {signed(high, 2)} points against int8"
        print(f"  {encoding.name:9s} {row['top1']['encoded']:.4f} ({bits}, {change}, {agreement})", flush=True)
        if row["choose"]:
            print(f"  {'':9s} {row['top1']['corrected']:.4f} corrected, {row['top1']['chosen']:.4f} chosen", flush=True)
        if row["finetuned"]:
            print(f"  {'':9s} {row['top1']['encoded_finetuned']:.4f} fine-tuned", flush=True)
    baseline.predictions.forget()
    print(f"written to {args.out}")


if __name__ == "__main__":
    run_cli(main)
