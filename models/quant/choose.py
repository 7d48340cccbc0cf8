"""Weight codes chosen for the products of an encoding: sums of products match the exact layer's, not products.

Weights stay in the array, so the code of each is free. Layer by layer, on unlabelled training images and with
the activations that the layers before really give (their codes chosen already):

1. Each code q of a tap (a position of the window) has a slope, cov(a, P(a, q)) / var(a) under the tap's own
   activations, and a spread that no slope explains. The weights wanted are the least-squares ones for the sums of
   the *exact* network; before an addition also for what the other operand has lost.
2. Taps take codes one after the other, those with the most signal first; what a tap misses is made up for by the
   taps still free (GPTQ, arXiv 2210.17323), the spread counts as noise. Several scales of each channel are tried.
3. Codes are exchanged while the error of the true products' sums falls (exchange.cpp).
4. For each channel the best on windows of held-out images of: the codes as they were, of step 2, of step 3.
5. Bias and gain as in models.quant.correct, against the exact network's sums.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.errors import UserError
from models.emulate import TableEngine, exact_table
from models.emulate.native import load_library
from models.multiplier import Products
from models.quant.arith import quantise_multipliers
from models.quant.correct import (
    BATCH_PIXELS,
    GAIN_LIMITS,
    Moments,
    corrected_node,
    encoding_engine,
    fitting_gain,
)
from models.quant.graph import INPUT, Conv, MacNode, QuantNetwork
from models.quant.nodes import Add, Rescale

SOURCE = Path(__file__).parent / "exchange.cpp"
ROWS = 256  # activations
CENTRE = 128  # activation 0
BLOCK = 128  # taps whose misses are passed on at once
HELD_OUT = 4  # of so many images one
SHARES = (0.0199, 0.0001)  # of all taps together and of uniform activations in what a tap sees: no tap is without
LARGEST_SCALE = 8.0
LARGEST_SUM = 2.0**30  # that a layer is asked to make up for


@dataclass(frozen=True)
class Settings:
    """How codes are chosen.

    `windows` are sampled in each layer; `damping` times the mean signal of a tap is added to every tap's; `scales`
    are tried in each channel, beside its largest weight; `passes` of exchanges.
    """

    windows: int = 8192
    damping: float = 0.01
    scales: tuple[float, ...] = (0.8, 0.9, 1.0, 1.1, 1.25, 1.4)
    passes: int = 3
    seed: int = 1


@dataclass(frozen=True)
class Levels:
    """What a weight can be: `codes` int16 [Q], no two with the same products, and their `products` float32 [256, Q].

    Products are those of the array, index a + 128, less their value at a = 0 (a constant, in the bias).
    """

    codes: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray) -> Levels:
        """Of a table int [256, 256], index [a + 128, w + 128]; of codes that are equal the lowest stands for all."""
        columns = (table - table[CENTRE]).T
        _, first = np.unique(columns, axis=0, return_index=True)
        first = np.sort(first)
        return cls((first - 128).astype(np.int16), np.ascontiguousarray(columns[first].T, np.float32))

    def weights(self, level: np.ndarray) -> np.ndarray:
        """Codes int8 [channels, K, 1, 1] of indices [..., K]."""
        return self.codes[level].astype(np.int8).reshape(-1, level.shape[-1], 1, 1)


@dataclass(frozen=True)
class Windows:
    """Samples of a layer: `codes` uint8 [G, K, S] (activation + 128), `sums` float64 [G, O, S] that it should give.

    `image` int [S] tells which image each is of.
    """

    codes: np.ndarray
    sums: np.ndarray
    image: np.ndarray

    def part(self, which: np.ndarray) -> Windows:
        """The samples `which`."""
        return Windows(np.ascontiguousarray(self.codes[:, :, which]), self.sums[:, :, which], self.image[which])

    @property
    def centred(self) -> np.ndarray:
        """`sums` without their mean."""
        return self.sums - self.sums.mean(2, keepdims=True)

    def encoded(self, weights: np.ndarray, engine: TableEngine) -> np.ndarray:
        """Sums float64 [G * O, S], without their mean, of `weights` int8 [G * O, K, 1, 1]."""
        groups, taps, samples = self.codes.shape
        x = (self.codes.astype(np.int16) - CENTRE).astype(np.int8).reshape(groups * taps, samples).T
        sums = engine(x[:, :, None, None], weights, groups=groups)[:, :, 0, 0].T.astype(np.float64)
        return sums - sums.mean(1, keepdims=True)


@dataclass(frozen=True)
class Statistics:
    """What the taps of a layer see, per group: arrays [G, K, ...].

    `counts` of activations [G, K, 256]; `slopes` and `noise` of each level [G, K, Q]; `signal` [G, K, K] is the
    covariance of the activations with `damping` [G] added; `order` [G, K] of the taps.
    """

    counts: np.ndarray
    slopes: np.ndarray
    noise: np.ndarray
    signal: np.ndarray
    damping: np.ndarray
    order: np.ndarray
    centred: np.ndarray


@dataclass
class Chosen:
    """Layers done so far; `noise` is that of each, held out, over its signal: with its own codes, and chosen."""

    nodes: dict[str, MacNode] = field(default_factory=dict)
    noise: dict[str, tuple[float, float]] = field(default_factory=dict)
    still: dict[str, int] = field(default_factory=dict)  # channels whose exact sums never vary


@cache
def _kernel() -> ctypes.CDLL:
    library = load_library(SOURCE)
    library.encmac_exchange.argtypes = [ctypes.c_void_p] * 10 + [ctypes.c_int]
    library.encmac_exchange.restype = None
    return library


def choose(
    network: QuantNetwork,
    target: QuantNetwork,
    products: Products,
    images: np.ndarray,
    settings: Settings,
    done: Chosen | None = None,
    keep: Callable[[Chosen], None] = lambda done: None,
    label: str = "",
) -> QuantNetwork:
    """`network` with codes, biases and gains chosen so that with `products` it gives what `target` gives exactly.

    `images` uint8 [N, C, H, W]; `target` has the same nodes. Run the result with `encoding_engine`. Layers in
    `done` are taken from there; `keep` is called after each new one. If the last layer has no requantiser, a
    `Rescale` follows: weights of each class have a scale of their own.
    """
    if len(images) < HELD_OUT:
        raise UserError(f"{len(images)} images to choose weights on; give at least {HELD_OUT}")
    exact, encoded, levels = TableEngine(exact_table()), encoding_engine(products), Levels.of(products.array_table)
    target.run(images[:1], exact)  # images of a wrong shape are told at once
    done = Chosen() if done is None else done
    step = max(1, BATCH_PIXELS // int(np.prod(images.shape[2:])))
    parts = [slice(i, i + step) for i in range(0, len(images), step)]
    last_use = {s: i for i, node in enumerate(network.nodes) for s in node.sources}
    wanted, found = {INPUT: target.quantise_input(images)}, {INPUT: network.quantise_input(images)}
    layers = {n.name for n in network.mac_nodes}
    with tqdm(total=len(layers), desc=label, disable=None if label else True, leave=False) as bar:
        for i, (node, theirs) in enumerate(zip(network.nodes, target.nodes, strict=True)):
            if node.name in layers:
                x = found[node.source]
                sums = _joined(partial(theirs.accumulate, engine=exact), parts, wanted[node.source])
                if node.name not in done.nodes:
                    goal = sums + other_operand(network, node, wanted, found)
                    ends, own = node is network.nodes[-1], theirs.weights
                    done.nodes[node.name] = chosen_node(
                        node, own, x, sums, goal, levels, encoded, settings, parts, done, ends
                    )
                    keep(done)
                wanted[node.name] = _joined(theirs.requant, parts, sums) if theirs.requant else sums
                found[node.name] = _joined(partial(done.nodes[node.name], engine=encoded), parts, x)
                bar.update()
            else:
                for tensors, one in ((wanted, theirs), (found, node)):
                    tensors[node.name] = _joined(one, parts, *(tensors[s] for s in node.sources))
            for name in node.sources:
                if last_use[name] == i:
                    wanted.pop(name, None), found.pop(name, None)
    if not np.ptp(wanted[network.nodes[-1].name], axis=0).any():
        raise UserError(f"network {network.name} gives the same result for all {len(images)} images; give other images")
    result, last = network.with_nodes(done.nodes), network.nodes[-1]
    if last.name not in layers or last.requant is not None:
        return result
    factors = quantise_multipliers(done.nodes[last.name].weight_scale / last.weight_scale)
    return replace(
        result, nodes=(*result.nodes, Rescale(f"{last.name}.rescale", last.name, *factors, last.output_scale))
    )


def _joined(function: Callable[..., np.ndarray], parts: list[slice], *operands: np.ndarray) -> np.ndarray:
    """`function` of the same part of each operand, all parts."""
    return np.concatenate([function(*(one[part] for one in operands)) for part in parts])


def other_operand(network: QuantNetwork, node: MacNode, wanted: dict, found: dict) -> np.ndarray | int:
    """What a layer's sums should have more so that the addition behind it misses nothing of its other operand.

    int32 [N, O, H, W]; 0 where the result goes elsewhere too, or the other operand is not there yet.
    """
    users = [n for n in network.nodes if node.name in n.sources]
    if len(users) != 1 or not isinstance(users[0], Add) or node.requant is None:
        return 0
    add = users[0]
    mine = add.sources.index(node.name)
    other = add.sources[1 - mine]
    if other not in found or not add.multipliers[mine]:
        return 0
    factors = node.requant.factors
    ratio = add.multipliers[1 - mine] / add.multipliers[mine] / np.where(factors > 0, factors, np.inf)
    lost = wanted[other].astype(np.float32) - found[other]
    more = lost * np.broadcast_to(ratio, lost.shape[1:2]).astype(np.float32)[:, None, None]
    return np.rint(np.clip(more, -LARGEST_SUM, LARGEST_SUM)).astype(np.int32)


def chosen_node(
    node: MacNode,
    own: np.ndarray,
    x: np.ndarray,
    sums: np.ndarray,
    goal: np.ndarray,
    levels: Levels,
    engine: TableEngine,
    settings: Settings,
    parts: list[slice],
    done: Chosen,
    last: bool,
) -> MacNode:
    """`node` with codes, bias and gain for inputs `x` int8 [N, ...] and sums `goal` int32 [N, O, ...].

    `sums` are those of the exact network, alike; the goal is these and what the other operand of an addition has lost,
    which is noise to the gain. `own` are the weights int8 whose exact products the sums are of; the node's are those
    that correction alone has. What the `last` layer gives are scores of classes.
    """
    windows = sample(node, x, goal, settings)
    weights, scale, noise = choose_codes(node, own, windows, levels, engine, settings, last)
    done.noise[node.name] = noise
    new = replace(node, weights=weights, bias=np.zeros_like(node.bias))
    moments = Moments()
    for part in parts:
        moments.add(sums[part], new.accumulate(x[part], engine))
    done.still[node.name] = int((moments.variance == 0).sum())
    mean_y, mean_e, gain = moments.fit()
    mean_y = mean_y + (goal - sums).mean((0, *range(2, sums.ndim)))
    gain = np.where(moments.variance > 0, np.clip(gain * scale, *GAIN_LIMITS) / scale, 1.0)
    if node.requant is None and not last:  # nothing behind it can bring channels to one scale
        gain = np.ones_like(gain)
    gain = fitting_gain(new.bias, mean_y, mean_e, gain)
    new = replace(new, weight_scale=node.weight_scale * gain)
    if node.requant is None:
        return replace(new, bias=np.rint(mean_y / gain - mean_e).astype(np.int32))
    return corrected_node(new, mean_y, mean_e, gain, True)


def sample(node: MacNode, x: np.ndarray, sums: np.ndarray, settings: Settings) -> Windows:
    """Windows of `x` at random output pixels, and the `sums` there."""
    if isinstance(node, Conv):
        rng = np.random.default_rng(settings.seed)
        (kh, kw), (sy, sx), groups = node.weights.shape[2:], node.stride, node.groups
        (top, bottom, left, right), (height, width) = node.padding, sums.shape[2:]
        each = min(height * width, -(-settings.windows // len(x)))
        taken, places = [], []
        for one in x:
            place = rng.choice(height * width, each, replace=False)
            rows, columns = place // width, place % width
            padded = np.pad(one, ((0, 0), (top, bottom), (left, right)), constant_values=node.input_zero_point)
            view = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), (1, 2))
            taken.append(view[:, rows * sy, columns * sx].transpose(1, 0, 2, 3).reshape(each, -1))
            places.append(place)
        codes, image = np.concatenate(taken), np.repeat(np.arange(len(x)), each)
        sums = np.concatenate([y.reshape(len(y), -1)[:, place].T for y, place in zip(sums, places, strict=True)])
    else:
        codes, groups, image = x, 1, np.arange(len(x))
    codes = (codes.astype(np.int16) + CENTRE).astype(np.uint8).T.reshape(groups, -1, len(codes))
    return Windows(codes, sums.T.reshape(groups, -1, len(sums)).astype(np.float64), image)


def statistics(windows: Windows, levels: Levels, damping: float) -> Statistics:
    """Of sampled windows."""
    groups, taps, samples = windows.codes.shape
    counts = np.stack([np.bincount(row, minlength=ROWS) for row in windows.codes.reshape(-1, samples)])
    shares = counts / samples
    mean = (shares @ np.arange(-CENTRE, CENTRE)).reshape(groups, taps, 1)
    centred = (windows.codes.astype(np.float32) - CENTRE) - mean.astype(np.float32)
    signal = (centred @ centred.transpose(0, 2, 1)).astype(np.float64) / samples
    power = np.einsum("gkk->gk", signal)
    damping = damping * power.mean(1) + 1e-3
    order = np.argsort(-power, axis=1, kind="stable")
    signal = signal + damping[:, None, None] * np.eye(taps)

    together, uniform = SHARES
    shares = (1 - together - uniform) * shares + together * shares.mean(0) + uniform / ROWS
    values, table = np.arange(-CENTRE, CENTRE, dtype=np.float64), levels.products.astype(np.float64)
    mean, average = (shares @ values)[:, None], shares @ table
    variance = (shares @ values**2)[:, None] - mean**2
    slopes = ((shares * values) @ table - mean * average) / variance
    noise = np.maximum(shares @ table**2 - average**2 - slopes**2 * variance, 0)
    shape = (groups, taps, -1)
    return Statistics(
        counts.reshape(shape), slopes.reshape(shape), noise.reshape(shape), signal, damping, order, centred
    )


def choose_codes(
    node: MacNode,
    own: np.ndarray,
    windows: Windows,
    levels: Levels,
    engine: TableEngine,
    settings: Settings,
    last: bool,
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """(weights int8 of the layer's shape, scale float64 [O] of each channel beside the layer's own, noise)."""
    held_out = windows.image % HELD_OUT == HELD_OUT - 1  # whole images: windows of one are alike
    train, check = windows.part(~held_out), windows.part(held_out)
    own = own.reshape(windows.codes.shape[0], -1, windows.codes.shape[1])
    found = statistics(train, levels, settings.damping)
    raw = node.requant is None and not last
    if raw:
        scales = np.ones((1, len(node.weights)))
    else:
        largest = np.abs(own.astype(np.int16)).max(2).ravel()
        tried = [s for s in settings.scales if s <= 1 or not last]  # the largest weights of a class decide: not cut
        scales = np.array(tried or [1.0])[:, None] * np.clip(127 / np.maximum(largest, 1), 1, LARGEST_SCALE)

    def errors(weights: list[np.ndarray]) -> np.ndarray:
        """Held-out error [candidates, channels] of `weights`."""
        y = check.centred.reshape(len(node.weights), -1)
        return np.stack([unexplained(y, check.encoded(one, engine), not raw) for one in weights])

    channels = np.arange(len(node.weights))
    several = feedback(train, found, own, scales)
    best = errors([levels.weights(one) for one in several]).argmin(0)
    level, scale = several[best, channels], scales[best, channels]
    exchanged = exchange(train, found, levels, own, level, scale, engine, settings.passes)
    candidates = [node.weights.reshape(levels.weights(level).shape), levels.weights(level), levels.weights(exchanged)]
    factors = np.stack([np.ones(len(channels)), scale, scale])
    error = errors(candidates)
    best = error.argmin(0)
    power = max(float(check.sums.var(2).sum()), 1e-9)
    noise = float(error[0].sum() / power), float(error[best, channels].sum() / power)
    return np.stack(candidates)[best, channels].reshape(node.weights.shape), factors[best, channels], noise


def unexplained(y: np.ndarray, e: np.ndarray, with_gain: bool) -> np.ndarray:
    """Mean square [channels] of centred `y` [channels, S] that centred `e` misses, with the gain that fits best."""
    if not with_gain:
        return ((y - e) ** 2).mean(1)
    cross, power = (y * e).mean(1), (e * e).mean(1)
    good = (cross > 0) & (power > 0)
    return (y * y).mean(1) - np.where(good, cross**2 / np.where(good, power, 1), 0)


def divergence(wanted: np.ndarray, found: np.ndarray) -> float:
    """Mean Kullback-Leibler divergence of softmax(`found`) from softmax(`wanted`), real scores [N, classes]."""
    logs = []
    for scores in (wanted, found):
        scores = scores - scores.max(1, keepdims=True)
        logs.append(scores - np.log(np.exp(scores).sum(1, keepdims=True)))
    return float((np.exp(logs[0]) * (logs[0] - logs[1])).sum(1).mean())


def feedback(windows: Windows, found: Statistics, own: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Indices of levels int64 [candidates, G * O, K] for weights `own` int8 [G, O, K] times `scales` (step 2)."""
    groups, outputs, taps = own.shape
    where = np.arange(groups)[:, None]
    order = found.order
    upper = inverse_factor(found.signal[where[:, :, None], order[:, :, None], order[:, None]])
    own = own.astype(np.float64)
    missing = windows.centred.astype(np.float32) - own.astype(np.float32) @ found.centred
    towards = (missing @ found.centred.transpose(0, 2, 1)).astype(np.float64) / windows.codes.shape[2]
    own, towards = (np.take_along_axis(v, order[:, None], 2) for v in (own, towards))
    wanted = own + towards @ upper.transpose(0, 2, 1) @ upper
    factors = scales.reshape(-1, groups, outputs, 1).transpose(1, 0, 2, 3)
    goals = (wanted[:, None] * factors).reshape(groups, -1, taps)
    slopes, noise = (np.take_along_axis(v, order[:, :, None], 1) for v in (found.slopes, found.noise))
    level, diagonal = np.empty(goals.shape, np.int64), np.einsum("gkk->gk", upper)
    for first in range(0, taps, BLOCK):
        last = min(first + BLOCK, taps)
        misses = np.zeros((*goals.shape[:2], last - first))
        for k in range(first, last):
            d = diagonal[:, k, None]
            cost = ((slopes[:, None, k] - goals[:, :, k, None]) / d[..., None]) ** 2 + noise[:, None, k]
            level[:, :, k] = cost.argmin(2)
            taken = np.take_along_axis(slopes[:, k], level[:, :, k], 1)
            misses[:, :, k - first] = (goals[:, :, k] - taken) / d
            goals[:, :, k + 1 : last] -= misses[:, :, k - first, None] * upper[:, None, k, k + 1 : last]
        goals[:, :, last:] -= misses @ upper[:, first:last, last:]
    back = np.empty_like(level)
    np.put_along_axis(back, np.broadcast_to(order[:, None], level.shape), level, 2)
    return back.reshape(groups, -1, outputs, taps).transpose(1, 0, 2, 3).reshape(-1, groups * outputs, taps)


def inverse_factor(signal: np.ndarray) -> np.ndarray:
    """Upper triangular U [G, K, K] with U^T U the inverse of `signal` [G, K, K], positive definite."""
    import torch

    flipped = torch.from_numpy(np.ascontiguousarray(signal[:, ::-1, ::-1]))
    lower = torch.linalg.cholesky(flipped)
    identity = torch.eye(signal.shape[1], dtype=flipped.dtype).expand_as(flipped)
    return torch.linalg.solve_triangular(lower, identity, upper=False).numpy()[:, ::-1, ::-1]


def exchange(
    windows: Windows,
    found: Statistics,
    levels: Levels,
    own: np.ndarray,
    level: np.ndarray,
    scale: np.ndarray,
    engine: TableEngine,
    passes: int,
) -> np.ndarray:
    """`level` int64 [G * O, K] after exchanges on the true products (step 3), the damping towards `own` weights."""
    groups, taps, samples = windows.codes.shape
    sums = windows.centred.reshape(len(level), samples) * scale[:, None]
    residual = np.ascontiguousarray(sums - windows.encoded(levels.weights(level), engine), np.float32)
    result = np.ascontiguousarray(level, np.int32)
    numbers = np.array([groups, taps, samples, len(levels.codes), own.shape[1], passes], np.int64)
    goals = own.reshape(len(level), taps) * scale[:, None]
    floats = (levels.products, found.slopes, found.counts, found.damping, goals)
    products, slopes, counts, damping, goals = (np.ascontiguousarray(v, np.float32) for v in floats)
    order = np.ascontiguousarray(found.order, np.int32)
    operands = (numbers, windows.codes, products, slopes, counts, order, damping, goals, residual, result)
    _kernel().encmac_exchange(*(o.ctypes.data for o in operands), len(os.sched_getaffinity(0)))
    return result
