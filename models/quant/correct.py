"""Networks for an encoding: what its products do to a channel on average goes into bias and requantiser.

An encoding's product P(a, w) errs by a*w - P(a, w). For the sums e of one output channel, measured on
training images beside the exact sums y of the same operands, two things cost no hardware:

- the mean error, E[y] - E[e], is a constant and goes into the bias;
- the slope of e over y, cov(e, y) / var(y), is a factor and goes into the requantiser's multiplier.
  Least squares makes products too small by their own noise-to-signal ratio, and layers multiply that.

What remains is the spread of the error. Nothing is trained: no weight changes. An encoding's offset
is a constant too; it never enters the array and is part of the bias.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tqdm import tqdm

from common.errors import UserError
from models.emulate import TableEngine, exact_table
from models.multiplier import Products
from models.quant.arith import quantise_multipliers
from models.quant.graph import MacNode, QuantNetwork, Requant

SCOPES = ("gain", "bias", "none")
GAIN_LIMITS = (0.5, 2.0)
BIAS_LIMIT = 1 << 30  # int32 with room for an encoding's constants
BATCH_PIXELS = 50 * 32 * 32  # of the images that are measured at once


def encoding_engine(encoding: Products, threads: int | None = None, path: str = "auto") -> TableEngine:
    """Engine of what rows with `encoding` add to a column (no offset: that is in the biases)."""
    return TableEngine(encoding.array_table, threads, path)


def offset_network(network: QuantNetwork, encoding: Products, sign: int = 1) -> QuantNetwork:
    """`network` with the encoding's constants, g(w) and offset, in its biases and nothing else corrected.

    With `sign` -1 they are taken out: the network for whole products, as checkpoints keep it.
    """
    added = {n.name: sign * encoding.row_constants[n.weights.astype(int) + 128] for n in network.mac_nodes}
    return network.with_nodes(
        {
            n.name: replace(n, bias=n.bias + added[n.name].reshape(len(n.bias), -1).sum(1, np.int32))
            for n in network.mac_nodes
        }
    )


def corrected_network(
    network: QuantNetwork,
    encoding: Products,
    images: np.ndarray,
    rounds: int = 3,
    scope: str = "gain",
    label: str = "",
    target: QuantNetwork | None = None,
) -> QuantNetwork:
    """`network` corrected for `encoding` on uint8 training `images` [N, C, H, W]; run it with `encoding_engine`.

    `scope` "bias" leaves the multipliers alone, "none" only accounts for the offset. Round 1
    measures on the operands of the exact network, every further one on those of the round before. The exact sums
    are those of `target`'s layers (default: the network's own).
    """
    if scope not in SCOPES:
        raise UserError(f"unknown correction '{scope}'; known: {', '.join(SCOPES)}")
    if scope == "none":
        return offset_network(network, encoding)
    if not len(images):
        raise UserError("no images to correct with; give at least 1")
    exact, encoded = TableEngine(exact_table()), encoding_engine(encoding)
    result, engine = network, exact
    batch = max(1, BATCH_PIXELS // int(np.prod(images.shape[2:])))
    parts = [images[i : i + batch] for i in range(0, len(images), batch)]
    with tqdm(total=rounds * len(parts), desc=label, disable=None if label else True, leave=False) as bar:
        for _ in range(rounds):
            moments = ChannelMoments(network, target or network, exact, encoded)
            for part in parts:
                result.run(part, engine, moments.observe)
                bar.update()
            changed = {n.name: corrected_node(n, *moments.fit(n.name), scope == "gain") for n in network.mac_nodes}
            result, engine = network.with_nodes(changed), encoded
    return result


class Moments:
    """First and second moments of exact and encoded sums of every channel of a layer."""

    def __init__(self) -> None:
        self._sums, self._count = np.zeros(0), 0

    def add(self, y: np.ndarray, e: np.ndarray) -> None:
        """Count a batch of sums [N, O, ...]: exact `y`, encoded `e`."""
        axes = tuple(axis for axis in range(y.ndim) if axis != 1)
        y, e = y.astype(np.float64), e.astype(np.float64)
        sums = np.stack([v.sum(axes) for v in (y, e, y * y, y * e)])
        self._sums = self._sums + sums if self._count else sums
        self._count += y.size // y.shape[1]

    @property
    def variance(self) -> np.ndarray:
        """Of the exact sums, float64 [O]; 0 where they never vary."""
        mean, _, square, _ = self._sums / self._count
        return np.where(square - mean**2 > 1e-12 * square, square - mean**2, 0.0)

    def fit(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(mean exact sum, mean encoded sum, gain) of each channel, float64 [O]; gain 1 where nothing varies."""
        mean_y, mean_e, _, cross = self._sums / self._count
        variance, covariance = self.variance, cross - mean_y * mean_e
        varies = (variance > 0) & (covariance > 0)
        return mean_y, mean_e, np.where(varies, variance / np.where(varies, covariance, 1), 1.0)


class ChannelMoments:
    """`Moments` of all layers, bias included, on operands that a network meets: `target` exact, `network` encoded."""

    def __init__(self, network: QuantNetwork, target: QuantNetwork, exact: TableEngine, encoded: TableEngine) -> None:
        self._nodes = {
            n.name: ((t, exact), (n, encoded)) for n, t in zip(network.mac_nodes, target.mac_nodes, strict=True)
        }
        self._moments = {name: Moments() for name in self._nodes}

    def observe(self, node: MacNode, x: np.ndarray) -> None:
        """Count one batch of a layer's int8 input."""
        self._moments[node.name].add(*(one.accumulate(x, engine) for one, engine in self._nodes[node.name]))

    def fit(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`Moments.fit` of a layer, the gain within GAIN_LIMITS."""
        mean_y, mean_e, gain = self._moments[name].fit()
        return mean_y, mean_e, np.clip(gain, *GAIN_LIMITS)


def fitting_gain(bias: np.ndarray, mean_y: np.ndarray, mean_e: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """`gain` float64 [O], 1 for channels whose bias would leave BIAS_LIMIT with it.

    A channel that training made a constant has weights next to nothing and a bias next to the largest there is.
    """
    fits = np.abs(bias + mean_y / gain - mean_e) <= BIAS_LIMIT
    return np.where(fits, gain, 1.0)


def corrected_node(node: MacNode, mean_y: np.ndarray, mean_e: np.ndarray, gain: np.ndarray, with_gain: bool) -> MacNode:
    """`node` with bias and multiplier such that gain * (e + shift) has the mean of y."""
    if not with_gain or node.requant is None:
        gain = np.ones_like(mean_y)
    gain = fitting_gain(node.bias, mean_y, mean_e, gain)
    bias = (node.bias + np.rint(mean_y / gain - mean_e)).astype(np.int32)
    if (gain == 1).all():
        return replace(node, bias=bias)
    requant: Requant = node.requant
    multiplier, shift = (np.broadcast_to(v, gain.shape).copy() for v in (requant.multiplier, requant.shift))
    changed = (gain != 1) & (multiplier > 0)
    multiplier[changed], shift[changed] = quantise_multipliers((np.ldexp(1.0 * multiplier, -shift) * gain)[changed])
    return replace(node, bias=bias, requant=replace(requant, multiplier=multiplier, shift=shift))
