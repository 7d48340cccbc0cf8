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
from common.store import file_sha256
from flows.pareto import EXACT, Accuracy, Column, accuracies_of, columns_in_array, place_of, points_of
from flows.platform import load_platform
from flows.power.measure import tiles_sha256
from flows.ppa import conditions_of
from flows.report.records import load_records
from flows.verdict import FORMAT, page
from models.datasets import images_sha256, load_dataset
from models.encoding import load_encoding
from models.mapping import Mapping, Timing, best
from models.quant.checkpoint import load_network
from models.quant.graph import MacNode, QuantNetwork
from models.replay import capture, load_capture, save_capture
from models.rivals import NAME
from models.search.figures import significant
from tools.options import parse

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
# 20 pJ for 64 bits of a 32 kB memory at 45 nm, 0.9 V: M. Horowitz, "Computing's energy problem", ISSCC 2014
SRAM_PJ_PER_BIT = 20 / 64
SUM_BITS = 32  # of a partial sum in memory
CANDIDATES = ("m28p", "m20p", "c20p", "m16p", "c16p", "c15p", "c14p", "m14p", "m12p", "c12p")
RIVALS = ("w5a8", "w4a8", "w4a7", "w4a6")
QUICK_CANDIDATES, QUICK_RIVALS = ("m16p", "c14p", "m14p"), ("w4a8", "w4a7")
QUICK_SAMPLES, SAMPLES = 200, 500  # training images for the choice of weights
TILE_LAYERS = 6  # from which power is measured
SEARCHED_BITS = (16, 14, 12)
WORTH_PERCENT = 10.0  # of area and of power against the cheapest rivals of equal accuracy: below it is not worth it
IMAGES_OF_TILES = 1024  # at most, for layers of few vectors


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
    data_sha256: str  # of the test images and their labels

    @property
    def label(self) -> str:
        """A name that no other network has."""
        return f"{self.network.name}-{self.network.sha256[:6]}"


@dataclass(frozen=True)
class Traffic:
    """Of one image on an array: clock cycles, products, bits between array and memories."""

    cycles: int
    macs: int
    bits: int


def plan_of(args) -> Plan:
    """What the user asked for, all of it checked."""
    platform = load_platform(args.platform)
    if args.dataset or args.data:  # told before the model is read
        load_dataset(args.dataset or "", "test", args.data)
    net = args.net
    if Path(net).suffix in (".onnx", ".tflite"):
        net = imported(Path(net), args)
    elif ".py:" in net:
        net = quantised(net, args)
    network = load_network(net)
    test = load_dataset(network.dataset, "test", args.data)
    count = len(test.labels)
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
        QUICK_SAMPLES if args.quick else SAMPLES,
        QUICK_CANDIDATES if args.quick else CANDIDATES,
        QUICK_RIVALS if args.quick else RIVALS,
        () if args.quick else SEARCHED_BITS,
        str(args.data) if args.data else None,
        images_sha256(test, images),
    )


def imported(model: Path, args) -> str:
    """The checkpoint of a model file, made now."""
    out = BUILD / "imported" / file_sha256(model)[:6] / f"{model.stem}.npz"  # models of one name may be others
    words = ["models.importers", str(model), "--out", str(out)]
    for name in ("dataset", "mean", "std", "size"):
        words += [f"--{name}", str(value)] if (value := getattr(args, name)) else []
    step("import", words)
    return str(out)


def quantised(definition: str, args) -> str:
    """The int8 checkpoint of a torch network, `file.py:function`, made now from its float weights.

    Raises UserError if there are none.
    """
    from models.networks import network_name, network_spec  # torch takes its time

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
        "the verdict, and the page of the report",
    ]
    print("minutes are those of two cores with nothing else to do:")
    for number, line in enumerate(lines, 1):
        print(f"  {number}. {line}")
    sys.stdout.flush()


def shapes(network: QuantNetwork, data: str | None) -> dict:
    """Every layer with products, as one test image has it."""
    image = load_dataset(network.dataset, "test", data).images[:1]
    return capture(network, image, {node.name: 1 for node in network.nodes if isinstance(node, MacNode)}).layers


def tiles_of(plan: Plan) -> Path:
    """Tiles of some layers, first to last, from as many images as their vectors need; kept by the network's hash."""
    path = BUILD / "captures" / f"explore_{plan.label}-{plan.data_sha256[:6]}-{plan.rows}.npz"
    if not path.is_file():
        found = shapes(plan.network, plan.data)
        deep = [name for name, layer in found.items() if layer.group_inputs > 1] or list(found)
        picked = [deep[i] for i in sorted({round(x) for x in np.linspace(0, len(deep) - 1, TILE_LAYERS)})]
        needed = plan.rows + 128
        test = load_dataset(plan.network.dataset, "test", plan.data)
        most = min(IMAGES_OF_TILES, len(test.labels))
        layers = {name: -(-needed // int(np.prod(found[name].size))) for name in picked}
        layers = {name: count for name, count in layers.items() if count <= most}
        if not layers:
            raise UserError(
                f"power of {plan.rows} rows needs {needed} activation vectors of a layer, and {most} test images have "
                "fewer; give more images as DATA=, or fewer ROWS="
            )
        images = test.images[: max(layers.values())]
        save_capture(capture(plan.network, images, layers), path)
    load_capture(path)
    return path


def measured_accuracy(plan: Plan, names: list[str]) -> list[str]:
    """Those of `names` whose accuracy on these images no record holds yet."""
    known = {(row["encoding"], row["encoding_sha256"]) for row in rows_of(plan)}
    return [name for name in names if (load_encoding(name).name, load_encoding(name).sha256) not in known]


def rows_of(plan: Plan) -> list[dict]:
    """What is known of the accuracy of this network, on these images, prepared as this plan does."""
    reports = BUILD / "reports"
    if not reports.is_dir():
        return []
    records = load_records(reports)
    with records.reading("accuracy"):
        return [
            row
            for row in records["accuracy"].get("rows", [])
            if row["checkpoint_sha256"] == plan.network.sha256
            and row.get("data_sha256") == plan.data_sha256
            and row["choose"]
            and row.get("samples") == plan.samples
        ]


def search(plan: Plan) -> list[str]:
    """Encodings searched for this network, made now unless they are there."""
    found = []
    for bits in plan.searched:
        name = f"{plan.label}_m{bits}".lower().replace("-", "_")
        path = BUILD / "encodings" / f"{name}.json"
        if not path.is_file():
            words = ["models.search", "--net", plan.net, "--m", str(bits), "--name", name]
            step(f"search of {bits} product bits", words + (["--data", plan.data] if plan.data else []))
        found.append(str(path))
    return found


def keeping(plan: Plan) -> tuple[list[str], list[str]]:
    """Names of encodings, and of rivals, that lose no more than is allowed; the fewest product bits first."""
    kept = [a for a in accuracies_of(rows_of(plan)) if a.points >= -plan.loss]
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


@dataclass(frozen=True)
class Design:
    """A column that keeps enough, in the array that is explored: what it is there for, its figures."""

    column: Column
    kept: Accuracy
    roles: list[str]

    def cost(self, quantity: str) -> float:
        """um2 or mW of a column with its share of the array's extra column; infinite if it was not measured."""
        value = self.column.area_um2 if quantity == "area" else self.column.power_mw
        return float("inf") if value is None else value


def saving(design: Design, other: Design, quantity: str) -> float:
    """How much less of area or power a design takes than another, %."""
    return 100 * (1 - design.cost(quantity) / other.cost(quantity))


def picked(plan: Plan, there: list[Column]) -> dict[str, Design]:
    """The designs that the verdict is about, by role: "encoded", and "rival", "multipliers" and "8 bits" by cost.

    The encoded one is that which saves most, where it saves less, against the cheapest exact designs that keep as much:
    its area and power are both its own.
    """
    kept = accuracies_of(rows_of(plan))
    points = [Design(c, a, []) for c, a in points_of(there, kept, plan.network.name) if a.points >= -plan.loss]
    points = [d for d in points if d.column.power_mw]
    exact = [d for d in points if d.column.is_rival]
    groups = {"rival": exact, "multipliers": [d for d in exact if d.column.design.startswith("conv ")]}
    groups["8 bits"] = [d for d in groups["multipliers"] if d.column.products == EXACT]
    found: dict[str, Design] = {}
    for name, designs in groups.items():
        for cost in ("area", "power"):
            if designs:
                found[f"{name}, {cost}"] = min(designs, key=lambda d: d.cost(cost))
    encoded = [d for d in points if not d.column.is_rival]
    if encoded and exact:

        def least(design: Design) -> float:
            return min(saving(design, found[f"rival, {cost}"], cost) for cost in ("area", "power"))

        found = {"encoded": max(encoded, key=least), **found}
    return found


ROLES = {
    "encoded": "best encoding",
    "rival, area": "smallest exact",
    "rival, power": "exact, least power",
    "multipliers, area": "smallest with multipliers",
    "multipliers, power": "with multipliers, least power",
    "8 bits, area": "smallest of 8 bits",
    "8 bits, power": "8 bits, least power",
}


def verdict(plan: Plan, tiles: Path, seconds: float) -> dict:
    """The winner and what it is compared with, from the records."""
    records = load_records(BUILD / "reports")
    platform = load_platform(plan.platform)
    conditions = {"platform": platform.name, "platform_sha256": platform.sha256, "clock_ns": plan.clock_ns}
    conditions |= {"rows": plan.rows, "columns": 1, "gated": int(bool(platform.clock_gate))}
    where = place_of(conditions)
    with records.reading("ppa"):
        designs = records["ppa"]["designs"]
        there = columns_in_array(designs, conditions, plan.columns, tiles_sha256(load_capture(tiles)))
    found, load = picked(plan, there), traffic(plan)
    if "8 bits, power" not in found:
        raise UserError(f"no conventional column meets {plan.clock_ns:g} ns on {where}; give a longer CLOCK_NS=")
    ours = found.get("encoded")
    saved = {
        f"{cost}_against_{name.replace(' ', '_')}_percent": round(saving(ours, found[f"{name}, {cost}"], cost), 1)
        for cost in ("area", "power")
        for name in ("rival", "multipliers", "8 bits")
        if ours
    }
    rows: dict[str, dict] = {}
    for role, design in found.items():
        row = rows.setdefault(design.column.design, entry(plan, load, design))
        row["roles"].append(ROLES[role])
    sram_uj = load.bits * SRAM_PJ_PER_BIT / 1e6
    energy = {
        role: rows[found[role].column.design]["array_uj_per_image"] for role in ("encoded", "rival, power") if ours
    }
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
        "worth_percent": WORTH_PERCENT,
        "encoding": ours.column.design if ours else None,
        "rivals": {cost: found[f"rival, {cost}"].column.design for cost in ("area", "power")},
        "saved": saved,
        "choices": list(rows.values()),
        "per_image": asdict(load) | {"sram_uj": round(sram_uj, 3), "sram_pj_per_bit": SRAM_PJ_PER_BIT},
        "energy_saved_percent": round(100 * (1 - (energy["encoded"] + sram_uj) / (energy["rival, power"] + sram_uj)), 1)
        if ours
        else None,
        "parts": parts(designs, where, platform.sha256, ours.column.design) if ours else {},
        "seconds": round(seconds),
        "git_commit": git_commit(),
    }


def parts(designs: list[dict], where: str, platform_sha256: str, name: str) -> dict[str, dict[str, float]]:
    """Shares of the winner's parts in its area and power, %, the largest first; those below 1 % are together."""
    here = (d for d in designs if d["design"] == name and d["platform_sha256"] == platform_sha256)
    winner = next(d for d in here if place_of(conditions_of(d)) == where)
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


def entry(plan: Plan, load: Traffic, design: Design) -> dict:
    """A design with what an architect asks of it: area and power of the array, energy of an image, efficiency."""
    array_mm2 = design.cost("area") * plan.columns / 1e6
    array_mw = design.cost("power") * plan.columns
    seconds = load.cycles * plan.clock_ns * 1e-9
    tops = 2 * load.macs / seconds / 1e12
    kept = design.kept
    return {
        "design": design.column.design,
        "roles": [],
        "points": kept.points,
        "interval": list(kept.interval),
        "way": kept.way,
        "array_mm2": significant(array_mm2, 4),
        "array_mw": significant(array_mw, 4),
        "array_uj_per_image": significant(array_mw * seconds * 1e3, 4),
        "tops_per_w": significant(tops / (array_mw / 1e3), 3),
        "tops_per_mm2": significant(tops / array_mm2, 3),
    }


def main() -> int:
    """Command line; exit code 0 if there is a verdict, whatever it is."""
    args = parse("flows.explore")
    obey(args)
    began = time.monotonic()
    plan = plan_of(args)
    say_plan(plan)
    tiles = tiles_of(plan)  # told before anything slow if they cannot be had
    data = ["--data", plan.data] if plan.data else []
    names = [*plan.candidates, *plan.rivals, *search(plan)]
    if lacking := measured_accuracy(plan, names):
        words = ["models.accuracy", "--net", plan.net, "--encoding", ",".join(lacking)]
        words += ["--images", str(plan.images), "--samples", str(plan.samples), *data]
        step("accuracy", words)
    able, rivals = keeping(plan)
    words = ["flows.power", "--platform", plan.platform, "--rows", str(plan.rows)]
    words += ["--clock-ns", f"{plan.clock_ns:g}", "--tiles", str(tiles)]
    words += ["--designs", ",".join(["exact36", *map(_path, able[:3])])]
    words += ["--rivals", ",".join(rivals[:2])] if rivals else []
    words += [] if load_platform(plan.platform).clock_gate else ["--ungated"]  # all designs alike
    step("area and power", words)
    found = verdict(plan, tiles, time.monotonic() - began)
    if found["encoding"]:
        winner = next(n for n in able if f"enc {load_encoding(_path(n)).name} " in f"{found['encoding']} ")
        words = ["tb.replay", "--net", plan.net, "--array", "enc", "--encoding", _path(winner), "--rows"]
        words += [str(plan.rows), "--cols", str(plan.columns)] + (["--sample", "0.01"] if args.quick else [])
        step("RTL", words + data)
    name = f"{plan.label}-{Path(plan.platform).name}-{plan.rows}x{plan.columns}-{plan.clock_ns:g}ns"
    place = BUILD / "reports" / f"verdict_{name}-{plan.loss:g}-{plan.images}"
    for suffix, text in ((".json", json.dumps(found, indent=1) + "\n"), (".md", page(found))):
        write_text(place.with_name(place.name + suffix), text)  # a name may have dots
    tell(found)
    print(f"\n{page(found)}")
    step("report", ["flows.report"])
    print(f"{(time.monotonic() - began) / 60:.1f} min; written to {place}.md and .json, and build/reports/report.html")
    return 0


if __name__ == "__main__":
    run_cli(main)
