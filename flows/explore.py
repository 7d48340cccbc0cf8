"""From a network to a verdict, `python -m flows.explore`: is an encoded array worth building, and which?

Each step is a command of its own whose results are kept: accuracy of the candidates with weights chosen for them, area,
timing and power of those that keep enough, on tiles of this network, beside exact columns of 8 and fewer bits, and an
image of the network through the RTL of the winner. Stopped, it goes on where it was. The verdict joins their records.

Energy of an image is the array's, and an estimate for its memories: bits moved times SRAM_PJ_PER_BIT, the same for
all designs, so that a saving is seen beside what it does not touch.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from common.console import obey, tell
from common.errors import UserError, run_cli
from common.files import write_text
from common.processes import run
from common.provenance import git_commit
from flows.pareto import Choice, Column, accuracies, choices, columns_of
from flows.platform import load_platform
from flows.report.records import load_records
from flows.verdict import FORMAT, page
from models.datasets import load_dataset
from models.encoding import load_encoding
from models.mapping import Mapping, Timing, best
from models.networks import network_name, network_spec
from models.quant.checkpoint import load_network
from models.quant.graph import MacNode, QuantNetwork
from models.replay import capture, load_capture, save_capture
from models.rivals import NAME
from tools.options import parse

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
# 20 pJ for 64 bits of a 32 kB memory at 45 nm, 0.9 V: M. Horowitz, "Computing's energy problem", ISSCC 2014
SRAM_PJ_PER_BIT = 20 / 64
SUM_BITS = 32  # of a partial sum in memory
CANDIDATES = ("m28p", "m20p", "m16p", "c15p", "c14p", "m14p", "m12p")
RIVALS = ("w5a8", "w4a8", "w4a7")
QUICK_CANDIDATES, QUICK_RIVALS = ("m16p", "c14p", "m14p"), ("w4a8", "w4a7")
TILE_LAYERS = 6  # from which power is measured
SEARCHED_BITS = (16, 14, 12)
WORTH_PERCENT = 10.0  # of area and of power against the cheapest rival of equal accuracy: below it is not worth it


@dataclass(frozen=True)
class Plan:
    """What is explored: the network, where, what it may lose, how thoroughly."""

    network: QuantNetwork
    net: str
    platform: str
    rows: int
    columns: int
    clock_ns: float
    loss: float
    images: int
    samples: int
    candidates: tuple[str, ...]
    rivals: tuple[str, ...]
    searched: tuple[int, ...]
    data: str | None


@dataclass(frozen=True)
class Traffic:
    """Of one image on an array: clock cycles, products, bits between array and memories."""

    cycles: int
    macs: int
    bits: int


def plan_of(args) -> Plan:
    """What the user asked for, all of it checked."""
    platform = load_platform(args.platform)
    net = args.net
    if Path(net).suffix in (".onnx", ".tflite"):
        net = imported(Path(net), args)
    elif ".py:" in net:
        net = quantised(net, args)
    network = load_network(net)
    count = len(load_dataset(network.dataset, "test", args.data).labels)
    images = min(args.images or (1000 if args.quick else count), count)
    return Plan(
        network,
        net,
        args.platform,
        args.rows or (16 if args.quick else 64),
        args.cols,
        args.clock_ns or platform.clock_ns,
        args.loss,
        images,
        200 if args.quick else 500,
        QUICK_CANDIDATES if args.quick else CANDIDATES,
        QUICK_RIVALS if args.quick else RIVALS,
        () if args.quick else SEARCHED_BITS,
        str(args.data) if args.data else None,
    )


def imported(model: Path, args) -> str:
    """The checkpoint of a model file, made now."""
    out = BUILD / "imported" / f"{model.stem}.npz"
    words = ["models.importers", str(model), "--out", str(out)]
    for name in ("dataset", "mean", "std", "size"):
        words += [f"--{name}", str(value)] if (value := getattr(args, name)) else []
    step("import", words)
    return str(out)


def quantised(definition: str, args) -> str:
    """The int8 checkpoint of a torch network, `file.py:function`, made now from its float weights.

    Raises UserError if there are none.
    """
    spec, name = network_spec(definition), network_name(definition)
    weights = args.float or ROOT / f"build/train/{name}/float.pt"
    if not weights.is_file() and not spec.weights:
        raise UserError(f"no float weights at {weights}; train some: make train NET={definition}, or give FLOAT=")
    out = BUILD / "imported" / f"{name}.npz"
    words = ["models.quant", "--net", definition, "--out", str(out), "--test-images", "0"]
    words += ["--float", str(weights)] if weights.is_file() else []
    step("quantise", words + (["--data", str(args.data)] if args.data else []))
    return str(out)


def step(name: str, words: Iterable[str]) -> None:
    """Run a module as a command of its own; UserError if it fails, with what to do."""
    command = [sys.executable, "-m", *words]
    shown = shlex.join(["python", "-m", *words])
    print(f"\n== {name}: {shown}", flush=True)
    began = time.monotonic()
    done = run(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise UserError(f"{name} ended with exit code {done.returncode}: {shown}; what came before is kept")
    print(f"== {name}: {(time.monotonic() - began) / 60:.1f} min", flush=True)


def say_plan(plan: Plan) -> None:
    """What will be done, and how long it takes on two cores."""
    names = [*plan.candidates, *plan.rivals]
    macs = sum(layer.macs for layer in shapes(plan.network, plan.data).values())
    accuracy = len(names) * (0.4 + plan.images * macs / 60e9 / 60 * 4)
    mapped = 4 * (0.15 * plan.rows / 16) + 4 * 0.1 * plan.rows / 16
    print(
        f"{plan.network.name} ({macs / 1e6:.1f} M MAC an image) on {plan.platform}, {plan.rows} x {plan.columns}, "
        f"{plan.clock_ns:g} ns; at most {plan.loss:g} points of top-1 against int8, on {plan.images:,} test images"
    )
    lines = [f"encodings of {', '.join(map(str, plan.searched))} product bits searched for it"] if plan.searched else []
    lines += [
        f"accuracy of {', '.join(names)}, weights chosen (about {accuracy:.0f} min)",
        f"area, timing and power of those that keep to it, beside exact columns (about {2 + 3 * mapped:.0f} min)",
        "an image through the RTL of the winner (about 1 min)",
    ]
    for number, line in enumerate(lines, 1):
        print(f"  {number}. {line}")
    sys.stdout.flush()


def shapes(network: QuantNetwork, data: str | None) -> dict:
    """Every layer with products, as one test image has it."""
    image = load_dataset(network.dataset, "test", data).images[:1]
    return capture(network, image, {node.name: 1 for node in network.nodes if isinstance(node, MacNode)}).layers


def tiles_of(plan: Plan) -> Path:
    """Tiles of some layers, first to last, from as many images as their vectors need; kept by the network's hash."""
    path = BUILD / "captures" / f"explore_{plan.network.name}-{plan.network.sha256[:8]}-{plan.rows}.npz"
    if not path.is_file():
        found = shapes(plan.network, plan.data)
        deep = [name for name, layer in found.items() if layer.group_inputs > 1] or list(found)
        picked = [deep[i] for i in sorted({round(x) for x in np.linspace(0, len(deep) - 1, TILE_LAYERS)})]
        needed = plan.rows + 128
        layers = {name: min(64, -(-needed // int(np.prod(found[name].size)))) for name in picked}
        layers = {n: count for n, count in layers.items() if count * int(np.prod(found[n].size)) >= needed}
        if not layers:
            raise UserError(f"no layer of {plan.network.name} has {needed} vectors; give fewer ROWS=")
        images = load_dataset(plan.network.dataset, "test", plan.data).images[: max(layers.values())]
        save_capture(capture(plan.network, images, layers), path)
    load_capture(path)
    return path


def measured_accuracy(plan: Plan, names: list[str]) -> list[str]:
    """Those of `names` whose accuracy on these images no record holds yet."""
    reports = BUILD / "reports"
    rows = load_records(reports)["accuracy"].get("rows", []) if reports.is_dir() else []
    known = {
        (row["encoding"], row["encoding_sha256"])
        for row in rows
        if row["checkpoint_sha256"] == plan.network.sha256 and row["images"] == plan.images and row["choose"]
    }
    return [name for name in names if (load_encoding(name).name, load_encoding(name).sha256) not in known]


def search(plan: Plan) -> list[str]:
    """Encodings searched for this network, made now unless they are there."""
    found = []
    for bits in plan.searched:
        name = f"{plan.network.name}_m{bits}".lower()
        path = BUILD / "encodings" / f"{name}.json"
        if not path.is_file():
            words = ["models.search", "--net", plan.net, "--m", str(bits), "--name", name]
            step(f"search of {bits} product bits", words + (["--data", plan.data] if plan.data else []))
        found.append(str(path))
    return found


def keeping(plan: Plan) -> tuple[list[str], list[str]]:
    """Names of encodings, and of rivals, that lose no more than is allowed; the fewest product bits first."""
    kept = [
        a
        for a in accuracies(load_records(BUILD / "reports"), plan.images)
        if a.checkpoint == plan.network.sha256 and a.points >= -plan.loss
    ]
    names = sorted({a.products for a in kept}, key=lambda name: (load_encoding(_path(name)).m, name))
    return [n for n in names if not NAME.fullmatch(n)], [n for n in names if NAME.fullmatch(n)]


def _path(name: str) -> str:
    own = BUILD / "encodings" / f"{name}.json"
    return str(own) if own.is_file() else name


def traffic(plan: Plan) -> Traffic:
    """Cycles by the best mapping of each layer, tiles without a pause; each operand and sum once through a memory."""
    cycles = macs = bits = 0
    for layer in shapes(plan.network, plan.data).values():
        timing = Timing(plan.rows, 2 * plan.rows)
        mapping: Mapping = best(layer, plan.rows, plan.columns, timing)
        tiles, vectors = int(mapping.tile_counts.sum()), mapping.vectors
        cycles += timing.cycles(tiles, vectors)
        macs += layer.macs
        sums = vectors * plan.columns * SUM_BITS * (2 * tiles - mapping.sets)  # read again for all but the first
        bits += tiles * (plan.rows * plan.columns * 8 + vectors * plan.rows * 8) + sums
    return Traffic(cycles, macs, bits)


def verdict(plan: Plan, seconds: float) -> dict:
    """The winner and what it is compared with, from the records."""
    records = load_records(BUILD / "reports")
    platform = load_platform(plan.platform)
    where = f"{platform.name}, {plan.rows} rows, {plan.clock_ns:g} ns"
    with records.reading("ppa"):
        designs = [d for d in records["ppa"]["designs"] if d["platform_sha256"] == platform.sha256]
        there = [c for c in columns_of(designs) if c.where == where]
    kept = [a for a in accuracies(records, plan.images) if a.checkpoint == plan.network.sha256]
    picked = {(c.cost, c.kind): c for c in choices(there, kept, [plan.loss])}
    load = traffic(plan)
    sram_uj = load.bits * SRAM_PJ_PER_BIT / 1e6
    conventional = [c for c in there if c.design.startswith("conv ") and c.products.startswith("8 bits")]
    if not any(c.power_mw for c in conventional):
        raise UserError(f"no conventional column meets {plan.clock_ns:g} ns on {where}; give a longer CLOCK_NS=")
    base = {
        "area": min(conventional, key=lambda c: c.area_um2),
        "power": min((c for c in conventional if c.power_mw), key=lambda c: c.power_mw),
    }
    rows = [entry(plan, load, there, choice) for choice in picked.values()]
    encoded, rival = picked.get(("area", "encoded")), picked.get(("area", "rival"))
    saved = {}
    for cost in ("area", "power"):
        ours, theirs = picked.get((cost, "encoded")), picked.get((cost, "rival"))
        if ours and theirs:
            saved[f"{cost}_against_rival_percent"] = round(100 * (1 - ours.value / theirs.value), 1)
            value = base[cost].area_um2 if cost == "area" else base[cost].power_mw
            saved[f"{cost}_against_8_bits_percent"] = round(100 * (1 - ours.value / value), 1)
    worth = bool(saved) and min(saved[f"{c}_against_rival_percent"] for c in ("area", "power")) >= WORTH_PERCENT
    return {
        "format": FORMAT,
        "network": plan.network.name,
        "checkpoint_sha256": plan.network.sha256,
        "where": where,
        "array": [plan.rows, plan.columns],
        "loss": plan.loss,
        "images": plan.images,
        "build_it": worth,
        "encoding": encoded.design if encoded else None,
        "rival": rival.design if rival else None,
        "saved": saved,
        "choices": rows,
        "per_image": asdict(load) | {"sram_uj": round(sram_uj, 3), "sram_pj_per_bit": SRAM_PJ_PER_BIT},
        "energy_saved_percent": energy_saved(rows, sram_uj),
        "parts": parts(designs, where, encoded) if encoded else {},
        "seconds": round(seconds),
        "git_commit": git_commit(),
    }


def energy_saved(rows: list[dict], sram_uj: float) -> float | None:
    """What an image saves with the memories in it, %: the thriftiest encoded array against the thriftiest rival."""
    energy = {row["kind"]: row["array_uj_per_image"] + sram_uj for row in rows if row["cost"] == "power"}
    return round(100 * (1 - energy["encoded"] / energy["rival"]), 1) if len(energy) == 2 else None


def parts(designs: list[dict], where: str, chosen: Choice) -> dict[str, dict[str, float]]:
    """Shares of the winner's parts in its area and power, %, the largest first; those below 1 % are together."""
    winner = next(d for d in designs if d["design"] == chosen.design and [c.where for c in columns_of([d])] == [where])
    found = {}
    for quantity, field in (("area", "area_um2"), ("power", "power_mw")):
        measured = (winner[field] or {}).get("by_part") or {}
        total = sum(measured.values())
        large = {name: value for name, value in measured.items() if value >= 0.01 * total > 0}
        if rest := total - sum(large.values()):
            large["others"] = rest
        order = sorted(large, key=lambda name: (name == "others", -large[name]))
        found |= {quantity: {name: round(100 * large[name] / total, 1) for name in order}} if measured else {}
    return found


def entry(plan: Plan, load: Traffic, there: list[Column], choice: Choice) -> dict:
    """A design with what an architect asks of it: area and power of the array, energy of an image, efficiency."""
    column = next(c for c in there if c.design == choice.design)
    array_mm2 = column.area_um2 * plan.columns / 1e6
    found = {"cost": choice.cost, "kind": choice.kind, "design": choice.design, "points": choice.points}
    found |= {"interval": list(choice.interval), "way": choice.way, "array_mm2": round(array_mm2, 5)}
    if column.power_mw:
        array_mw = column.power_mw * plan.columns
        seconds = load.cycles * plan.clock_ns * 1e-9
        tops = 2 * load.macs / seconds / 1e12
        found |= {
            "array_mw": round(array_mw, 3),
            "array_uj_per_image": round(array_mw * seconds * 1e3, 3),
            "tops_per_w": round(tops / (array_mw / 1e3), 3),
            "tops_per_mm2": round(tops / array_mm2, 4),
        }
    return found


def main() -> int:
    """Command line; exit code 0 if there is a verdict, whatever it is."""
    args = parse("flows.explore")
    obey(args)
    began = time.monotonic()
    plan = plan_of(args)
    say_plan(plan)
    data = ["--data", plan.data] if plan.data else []
    names = [*plan.candidates, *plan.rivals, *search(plan)]
    if lacking := measured_accuracy(plan, names):
        words = ["models.accuracy", "--net", plan.net, "--encoding", ",".join(lacking)]
        words += ["--images", str(plan.images), "--samples", str(plan.samples), *data]
        step("accuracy", words)
    able, rivals = keeping(plan)
    tiles = tiles_of(plan)
    words = ["flows.power", "--platform", plan.platform, "--rows", str(plan.rows)]
    words += ["--clock-ns", f"{plan.clock_ns:g}", "--tiles", str(tiles)]
    words += ["--designs", ",".join(["exact36", *map(_path, able[:3])])]
    words += ["--rivals", ",".join(rivals[:2])] if rivals else []
    step("area and power", words)
    found = verdict(plan, time.monotonic() - began)
    if found["encoding"]:
        winner = next(n for n in able if f"enc {load_encoding(_path(n)).name} " in f"{found['encoding']} ")
        words = ["tb.replay", "--net", plan.net, "--array", "enc", "--encoding", _path(winner), "--rows"]
        words += [str(plan.rows), "--cols", str(plan.columns)] + (["--sample", "0.01"] if args.quick else [])
        step("RTL", words + data)
    place = BUILD / "reports" / f"verdict_{plan.network.name}"
    write_text(place.with_suffix(".json"), json.dumps(found, indent=1) + "\n")
    write_text(place.with_suffix(".md"), page(found))
    tell(found)
    print(f"\n{page(found)}\n{(time.monotonic() - began) / 60:.1f} min; written to {place}.md and .json")
    return 0


if __name__ == "__main__":
    run_cli(main)
