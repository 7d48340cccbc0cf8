"""Power of a column from the test set of a network, in place of a few tiles of it.

Every tile of every layer runs as words on the activations of many images: transitions and time at 1 of every net,
without delays, each sum compared with the golden model's. What glitches add comes from the event-driven simulation
(flows/power/simulate.py) of tiles drawn from every layer: power with delays over power without, layers weighted by
their time; from how the tiles of a layer differ follows the interval of that ratio. A rival has operands of its widths.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import keep, kept, locked, making, sweep
from common.store import check_steady, sources_of
from flows.platform import Platform
from flows.power.activity import Activity, measure_activity, stimulus
from flows.power.circuit import Circuit
from flows.power.engine import Scales
from flows.power.measure import design_of, tested
from flows.power.measure import sources as power_sources
from flows.power.simulate import PS
from flows.sta import write_delays
from flows.synth.measure import KEPT_RESULTS, rival_of
from flows.synth.netlist import ROOT, TOP, Design
from flows.words.column import LANES, Column, run
from flows.words.network import STEPS, GateEngine, Layer, check_netlist, tile_weights
from models.emulate import ExactEngine
from models.emulate.operands import output_size
from models.quant.graph import MacNode, QuantNetwork
from models.replay import Layer as Captured
from models.replay import Tile, layer_of
from models.rivals import nearest, widths

CONFIDENCE = 0.95


@dataclass(frozen=True)
class WholeSet:
    """Inputs of all layers of a network for some images, and how the sample for glitches is drawn.

    `sample` tiles of each layer, `vectors` of each count.
    """

    network: str
    images: int
    layers: tuple[Captured, ...]
    sample: int
    vectors: int
    seed: int


def capture_all(network: QuantNetwork, images: np.ndarray, sample: int, vectors: int, seed: int) -> WholeSet:
    """Run the int8 network on uint8 images [N, C, H, W] and keep what every layer reads."""
    found: list[Captured] = []

    def observe(node: MacNode, x: np.ndarray) -> None:
        found.append(layer_of(node, x))

    network.run(images, ExactEngine(), observe)
    return WholeSet(network.name, len(images), tuple(found), sample, vectors, seed)


def blocks(test: WholeSet, record: dict) -> int:
    """Steps of the progress of `measure`: blocks of rows of all layers, and the sample."""
    rows = record["parameters"]["Rows"]
    return 1 + sum(layer.groups * -(-layer.depth // rows) for layer in test.layers)


@dataclass(frozen=True)
class Window:
    """mW without delays of the tiles of a block of rows, float64 [tiles], and the cycles that each takes."""

    layer: str
    mw: np.ndarray
    cycles: int


class Counting:
    """Words of one column, counted on all tiles of a test set."""

    def __init__(self, column: Column, scales: Scales) -> None:
        check_netlist(column)
        self.column, self.scales, self.engine = column, scales, GateEngine(column)
        self.matches = 0

    def windows(self, layers: tuple[Captured, ...]) -> Iterator[Window]:
        """Every block of rows of every layer, all its tiles."""
        for layer in layers:
            for group in range(layer.groups):
                outputs, inputs = layer.group_outputs, layer.group_inputs
                weights = layer.weights[group * outputs : (group + 1) * outputs]
                if self.column.model.shared:
                    weights = weights[:1]  # an extra column has none
                part = slice(group * inputs, (group + 1) * inputs)
                for k0 in range(0, layer.depth, self.column.rows):
                    activity = self.activity(layer, part, weights, k0)
                    mw = self.scales(activity, self.column.clock_ns).total()
                    yield Window(layer.name, mw, int(activity.cycles[0]))

    def activity(self, layer: Captured, part: slice, weights: np.ndarray, k0: int) -> Activity:
        """Of a block of rows, window positions `k0` on of the input channels `part`; a window for each tile.

        Images come in order, row by row; the last of 512 is followed by the first of them.
        """
        column = self.column
        tiles = tile_weights(weights, k0, column.rows, column.columns)
        held = column.load(tiles)
        counts = np.zeros((len(tiles), column.code.entries, 3), np.int64)
        told, waves = np.zeros((len(tiles), 0), bool), 0
        for lanes, activations in self._chunks(layer, part, weights, k0):
            expected, f_sums = self.engine.golden(activations, tiles)
            operands = column.operands(activations, f_sums)
            found = run(
                *(column.code, operands, column.places, held),
                first=1,
                columns=column.columns,
                expected=expected[:, :, 1:],
                lanes=lanes,
                counts=counts,
            )
            if found.wrong:
                raise UserError(f"{column.design.label}: {found.wrong} sums of layer {layer.name} are wrong; no power")
            told = found.told
            waves += lanes * (activations.shape[1] - 1)
            self.matches += lanes * expected[:, :, 1:, 0].size
        return self._activity(counts, told, waves, layer.name)

    def _chunks(self, layer: Captured, part: slice, weights: np.ndarray, k0: int) -> Iterator[tuple[int, np.ndarray]]:
        """Lanes used and activations int8 [R, 1 + pixels, 512], the pixel before them first.

        Lanes are images, or parts of a few images, in order.
        """
        size = output_size(layer.inputs[:1], layer.weights, layer.stride, layer.padding, layer.groups)
        together = max(1, STEPS // size[1])
        top, bottom, left, right = layer.padding
        for at in range(0, len(layer.inputs), LANES):
            x = layer.inputs[at : at + LANES, part].transpose(1, 2, 3, 0)
            images = x.shape[3]
            pads = ((0, 0), (top, bottom), (left, right), (0, 0))
            x = np.pad(x, pads, constant_values=layer.pad_value)
            parts = math.gcd(size[0], 1 << (LANES // images).bit_length() - 1)
            height = size[0] // parts  # of a part of an image
            step, need = height * layer.stride[0], (height - 1) * layer.stride[0] + layer.kernel[0]
            x = np.stack([x[:, i * step : i * step + need] for i in range(parts)], axis=-1)
            lanes = images * parts
            x = np.pad(x.reshape(*x.shape[:3], lanes), ((0, 0), (0, 0), (0, 0), (0, LANES - lanes)))
            cut = Layer(x, weights, layer.stride, (height, size[1]))
            last = cut.rows(k0, self.column.rows, height - 1, height)[:, -1:]
            before = last.copy()  # of a lane the one before it; of the first the last
            before[:, :, :lanes] = np.roll(last[:, :, :lanes], 1, axis=2)
            for first in range(0, height, together):
                rows = cut.rows(k0, self.column.rows, first, min(first + together, height))
                yield lanes, np.concatenate([before, rows], axis=1)
                before = rows[:, -1:]

    def _activity(self, counts: np.ndarray, told: np.ndarray, waves: int, name: str) -> Activity:
        column = self.column
        assert column.tally is not None
        cycles = np.full(len(counts), waves)
        rises, falls, high = column.tally.nets(counts, told, cycles)
        return Activity(
            netlist_sha256=column.circuit.sha256,
            clock_ns=column.clock_ns,
            glitches=False,
            windows=(name,) * len(counts),
            cycles=cycles,
            nets={net: i for i, net in enumerate(column.circuit.nets)},
            rises=rises,
            falls=falls,
            high=high / (cycles * round(column.clock_ns * PS)),
            matches=0,
        )


def check_sample(layers: tuple[Captured, ...], images: int, rows: int, vectors: int) -> None:
    """UserError if a layer has too few pixels in so many images for the tiles of `sampled`."""
    for layer in layers:
        needed = -(-(rows + vectors) // math.prod(layer.size))
        if needed > images:
            raise UserError(
                f"layer {layer.name}: {needed} images are needed for a sample of VECTORS={vectors} of {rows} rows, not "
                f"{images}; give more IMAGES= or a smaller VECTORS="
            )


def sampled(test: WholeSet, rows: int, columns: int) -> tuple[list[Tile], list[int]]:
    """Tiles drawn from every layer, with `rows` + `vectors` activation vectors in a row, and the layer of each.

    All tiles of a layer have the same chance, and all pixels: the first image follows the last.
    """
    check_sample(test.layers, test.images, rows, test.vectors)
    rng, tiles, of_layer = np.random.default_rng(test.seed), [], []
    for number, layer in enumerate(test.layers):
        pixels, length = math.prod(layer.size), rows + test.vectors
        for _ in range(test.sample):
            group = int(rng.integers(layer.groups))
            k0 = rows * int(rng.integers(-(-layer.depth // rows)))
            n0 = columns * int(rng.integers(-(-layer.group_outputs // columns)))
            first, start = divmod(int(rng.integers(test.images * pixels)), pixels)
            images = (first + np.arange(-(-(start + length) // pixels))) % test.images
            some = dataclasses.replace(layer, inputs=layer.inputs[images])
            vectors = some.vectors()[start : start + length]
            used = min(rows, layer.depth - k0)
            activations = np.zeros((length, rows), np.int8)
            activations[:, :used] = vectors[:, group * layer.depth + k0 :][:, :used]
            n0 += group * layer.group_outputs
            mine = layer.weights[n0 : min(n0 + columns, (group + 1) * layer.group_outputs)]
            weights = tile_weights(mine, k0, rows, columns)[0]
            tiles.append(Tile(layer.name, group, k0, n0, used, len(mine), weights, activations))
            of_layer.append(number)
    return tiles, of_layer


def ratio_of(with_delays: np.ndarray, without: np.ndarray, strata: np.ndarray, weights: np.ndarray) -> dict:
    """Ratio of two means over strata of given weights (float64 [strata]), and its 95 % interval.

    The combined ratio estimator: Cochran, Sampling Techniques, 6.11; Student's t with the degrees of freedom of
    Satterthwaite (5.4 there), since strata are few and have few tiles each.
    """
    means = np.array([[v[strata == h].mean() for h in range(len(weights))] for v in (with_delays, without)])
    above, below = means @ weights / weights.sum()
    ratio = above / below
    rests = [(with_delays - ratio * without)[strata == h] for h in range(len(weights))]
    counts = np.array([len(rest) for rest in rests])
    variances = (weights / weights.sum()) ** 2 * [rest.var(ddof=1) for rest in rests] / counts
    variance, half = variances.sum(), 0.0
    if variance:
        freedom = variance**2 / (variances**2 / (counts - 1)).sum()
        half = student(freedom) * math.sqrt(variance) / below
    return {"ratio": ratio, "interval": [ratio - half, ratio + half], "tiles": len(strata), "zero_delay_mw": below}


def student(freedom: float) -> float:
    """What Student's t of `freedom` degrees (at least 1) exceeds, up or down, in 5 of 100 cases.

    With t = sqrt(freedom) tan(x) its density is as cos(x)^(freedom - 1).
    """
    freedom = min(freedom, 1e6)  # the normal distribution's to six digits
    x = np.linspace(0, min(math.pi / 2, 12 / math.sqrt(freedom)), 20001)
    density = np.cos(x) ** (freedom - 1)
    share = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
    return math.sqrt(freedom) * math.tan(np.interp(CONFIDENCE, share / share[-1], x))


def as_read(test: WholeSet, design: Design) -> WholeSet:
    """Layers as a network for this design has them: operands of a rival are rounded to its widths, as in its tiles."""
    bits = widths(rival_of(design) or "")
    if not bits:
        return test
    layers = [
        dataclasses.replace(
            layer,
            weights=nearest(layer.weights, bits[0]),
            inputs=nearest(layer.inputs, bits[1]),
            pad_value=int(nearest(np.array(layer.pad_value), bits[1])),
        )
        for layer in test.layers
    ]
    return dataclasses.replace(test, layers=tuple(layers))


def measure(record: dict, platform: Platform, test: WholeSet, progress: Callable[[str], None]) -> dict:
    """Power of a netlist of ppa.json on a test set, kept beside the netlist and not measured twice."""
    circuit, design, rows = tested(record, platform), design_of(record), record["parameters"]["Rows"]
    test = as_read(test, design)
    key = fingerprint(record, platform, test)
    place = circuit.path.parent / "test_set" / key[:12]
    with locked(place.with_name(f"{place.name}.lock")):
        if (found := kept(place / "result.json", key)) is not None:
            return found
        with making(place) as folder:
            fields = weigh(circuit, design, record["clock_ns"], rows, platform, test, folder, progress)
            check_steady(f"power of {design.label}", key, fingerprint(record, platform, test))
            keep(folder / "result.json", key, fields)
    sweep(place.parent, "[0-9a-f]*", KEPT_RESULTS, spare=place)
    return fields


def fingerprint(record: dict, platform: Platform, test: WholeSet) -> str:
    """Hash of all that the power of a netlist on a test set depends on."""
    digest = hashlib.sha256()
    for layer in test.layers:
        digest.update(layer.name.encode() + layer.inputs.tobytes() + layer.weights.tobytes())
    what = [record["netlist_sha256"], record["parameters"], record["package_sha256"], record["clock_ns"]]
    what += [test.network, test.sample, test.vectors, test.seed, digest.hexdigest(), platform.sha256, sources()]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def sources() -> dict[str, str]:
    """What it depends on beside netlist, library and test set, by name and hash."""
    return power_sources() | sources_of(ROOT / "flows" / "words")


def weigh(
    circuit: Circuit,
    design: Design,
    clock_ns: float,
    rows: int,
    platform: Platform,
    test: WholeSet,
    folder: Path,
    progress: Callable[[str], None],
) -> dict:
    """mW of a column over all layers of a network, on many images; fields of ppa.json."""
    column, scales = Column(circuit, design, rows, clock_ns), Scales(circuit, platform)
    counting = Counting(column, scales)
    windows = []
    for window in counting.windows(test.layers):
        windows.append(window)
        progress(window.layer)
    time = np.concatenate([np.full(len(w.mw), w.cycles) for w in windows])
    if design.shared:  # its one tile stands for as many as there are output channels
        outputs = {layer.name: layer.group_outputs for layer in test.layers}
        time = np.array([w.cycles * outputs[w.layer] for w in windows])
    quiet = float((np.concatenate([w.mw for w in windows]) * time).sum() / time.sum())
    tiles, strata = sampled(test, rows, column.columns)
    progress("glitches")
    given = stimulus(tiles, design, rows)
    sdf = folder / "delays.sdf"
    write_delays(circuit.path, TOP, platform, clock_ns, sdf)
    both = [scales(measure_activity(circuit, design, clock_ns, given, d), clock_ns).total() for d in (sdf, None)]
    loads = [int(np.prod(layer.size)) * len(layer.bias) * -(-layer.depth // rows) for layer in test.layers]
    found = ratio_of(both[0], both[1], np.array(strata), np.array(loads, float))
    ratio, interval = found["ratio"], found["interval"]
    return {
        "network": test.network,
        "images": test.images,
        "results_checked": counting.matches,
        "zero_delay_total": round(quiet, 6),
        "total": round(quiet * ratio, 6),
        "interval": [round(quiet * bound, 6) for bound in interval],
        "glitches": {
            "ratio": round(ratio, 5),
            "interval": [round(bound, 5) for bound in interval],
            "tiles": found["tiles"],
            "vectors": test.vectors,
            "seed": test.seed,
            "zero_delay_of_sample": round(found["zero_delay_mw"], 6),
        },
    }
