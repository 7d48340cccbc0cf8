"""Float torch networks to integer networks: folding, calibration, quantisation.

BatchNorm is folded into the convolution before it (models/quant/trace.py). Weights are symmetric int8 in -127..127,
one scale for each output channel (or one for the layer). Activations are symmetric int8 with one scale for each
tensor, calibrated on training images by one of three rules:

- `max`: the largest magnitude seen,
- `percentile`: the magnitude that 99.99 % of all values stay under,
- `mse`: the clipping magnitude with the least mean squared rounding and clipping error.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from common.errors import UserError
from models.importers.weights import decoded
from models.networks import NetworkSpec
from models.quant.arith import (
    INT8_MAX,
    INT8_MIN,
    quantise,
    quantise_multiplier_pair,
    quantise_multipliers,
    round_half_even,
)
from models.quant.graph import INPUT, Conv, Linear, Node, QuantNetwork
from models.quant.nodes import Add, Flatten, GlobalAveragePool, Lookup, Multiply, Pool, Requant, SubsamplePad
from models.quant.trace import CURVES, FloatNode, float_nodes, run_float

WEIGHT_MAX = 127
HISTOGRAM_BINS = 4096
PERCENTILE = 99.99
BIAS_LIMIT = 1 << 30  # leaves the other half of int32 to the products
BATCH_PIXELS = 250 * 32 * 32  # of the images that are calibrated on at once
KEYS_SHOWN = 5
RULES = ("max", "percentile", "mse")
SAME_SCALE = ("subsample_pad", "flatten", "max_pool")  # nodes whose result has their operand's scale


def load_weights(model: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    """Load a state dict (or what `decoded` makes one of) with one-line errors; `num_batches_tracked` may be absent."""
    weights = decoded(weights, model, source)
    expected = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    weights = {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    missing, unexpected = sorted(set(expected) - set(weights)), sorted(set(weights) - set(expected))
    faults = [f"{len(v)} {k} ({_listed(v)})" for k, v in (("missing", missing), ("unexpected", unexpected)) if v]
    if faults:
        raise UserError(f"{source}: weights of another network or layout: {', '.join(faults)}")
    for key, value in weights.items():
        if value.shape != expected[key].shape:
            raise UserError(f"{source}: '{key}' has shape {tuple(value.shape)}, expected {tuple(expected[key].shape)}")
        if not torch.isfinite(value).all():
            raise UserError(f"{source}: '{key}' holds NaN or infinity; train again")
    model.load_state_dict(weights, strict=False)
    model.eval()


def _listed(keys: list[str]) -> str:
    return ", ".join(keys[:KEYS_SHOWN]) + (", ..." if len(keys) > KEYS_SHOWN else "")


def calibrate(
    nodes: list[FloatNode], images: Tensor, rule: str, batch: int | None = None, quiet: bool = False
) -> dict[str, float]:
    """Clipping magnitude (real value of code 127) of every tensor, for normalised images [N, C, H, W]."""
    if rule not in RULES:
        raise UserError(f"unknown calibration rule '{rule}'; known: {', '.join(RULES)}")
    if not len(images):
        raise UserError("no images to calibrate with; give at least 1")
    peaks: dict[str, float] = {}
    histograms: dict[str, np.ndarray] = {}

    def peak(name: str, x: Tensor) -> None:
        peaks[name] = max(peaks.get(name, 1e-6), float(x.abs().max()))

    def count(name: str, x: Tensor) -> None:
        found = torch.histc(x.abs(), HISTOGRAM_BINS, 0, peaks[name]).double().numpy()
        histograms[name] = histograms.get(name, 0) + found

    visits = (peak,) if rule == "max" else (peak, count)
    parts = images.split(batch or max(1, BATCH_PIXELS // images[0, 0].numel()))
    with tqdm(total=len(visits) * len(parts), desc="calibrate", disable=quiet or None, leave=False) as bar:
        for visit in visits:
            for part in parts:
                run_float(nodes, part, visit)
                bar.update()
    if rule == "max":
        return peaks
    pick = _percentile_clip if rule == "percentile" else _mse_clip
    return {name: pick(histogram, peaks[name]) for name, histogram in histograms.items()}


def _percentile_clip(histogram: np.ndarray, peak: float) -> float:
    share = np.cumsum(histogram) / histogram.sum()
    return peak * (int(np.searchsorted(share, PERCENTILE / 100)) + 1) / HISTOGRAM_BINS


def _mse_clip(histogram: np.ndarray, peak: float) -> float:
    """Clip with the least mean squared error of `histogram` of magnitudes in 0..peak."""
    centres = (np.arange(HISTOGRAM_BINS) + 0.5) * peak / HISTOGRAM_BINS
    best, best_error = peak, np.inf
    for clip in peak * np.geomspace(1.0, 0.1, 200):
        scale = clip / INT8_MAX
        error = (np.square(np.minimum(np.rint(centres / scale), INT8_MAX) * scale - centres) * histogram).sum()
        if error < best_error:
            best, best_error = clip, error
    return float(best)


def convert(
    model: nn.Module,
    spec: NetworkSpec,
    name: str,
    images: np.ndarray,
    rule: str = "mse",
    per_channel: bool = True,
    quiet: bool = False,
) -> QuantNetwork:
    """Integer network of float `model`, calibrated on uint8 training `images` [N, C, H, W]."""
    nodes = float_nodes(model)
    if nodes[-1].kind != "linear":
        raise UserError(f"the last layer of {name} is no linear layer; it must give one score for each class")
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (spec.mean, spec.std))
    clips = calibrate(nodes, (torch.from_numpy(images).float() / 255 - mean) / std, rule, quiet=quiet)
    scales = {k: v / INT8_MAX for k, v in clips.items()}
    pixels: dict[str, int] = {}
    probe = torch.zeros(1, *images.shape[1:])
    run_float(nodes, probe, lambda tensor, x: pixels.update({tensor: x[0, 0].numel()}))
    built: list[Node] = []
    for node in nodes:
        if node.kind in SAME_SCALE:
            scales[node.name] = scales[node.sources[0]]
        built.append(_integer_node(node, scales, pixels, per_channel, last=node is nodes[-1]))
    return QuantNetwork(name, spec.dataset, tuple(spec.mean), tuple(spec.std), scales[INPUT], tuple(built))


def _integer_node(
    node: FloatNode, scales: dict[str, float], pixels: dict[str, int], per_channel: bool, last: bool
) -> Node:
    name, source, out = node.name, node.sources[0], scales[node.name]
    lo, hi = (
        limit if real is None else int(np.clip(round_half_even(real / out), INT8_MIN, INT8_MAX))
        for real, limit in zip(node.clamp, (INT8_MIN, INT8_MAX), strict=True)
    )

    def requant(factors: np.ndarray) -> Requant:
        return Requant(*quantise_multipliers(factors), lo, hi)

    if node.kind == "subsample_pad":
        return SubsamplePad(name, source, output_scale=out, **node.attributes)
    if node.kind == "flatten":
        return Flatten(name, source, out)
    if node.kind == "max_pool":
        return Pool(name, source, "max", output_scale=out, **node.attributes)
    if node.kind == "curve":
        codes = torch.arange(INT8_MIN, INT8_MAX + 1, dtype=torch.float64)
        values = CURVES[node.attributes["curve"]](codes * scales[source])
        return Lookup(name, source, quantise(values.numpy(), out), out)
    if node.kind == "add":
        m1, m2, shift = quantise_multiplier_pair(*(scales[s] / out for s in node.sources))
        return Add(name, node.sources, (m1, m2), shift, out, lo, hi)
    if node.kind == "multiply":
        sources = tuple(sorted(node.sources, key=lambda s: -pixels[s]))  # the factors for each channel come second
        return Multiply(name, sources, requant(np.array([scales[sources[0]] * scales[sources[1]] / out])), out)
    if node.kind == "average_pool":
        factors = np.array([scales[source] / (out * pixels[source])])
        return GlobalAveragePool(name, source, requant(factors), out, pixels=pixels[source], **node.attributes)
    float_bias = node.bias.double().numpy()
    least = 2 * np.abs(float_bias) / (scales[source] * BIAS_LIMIT)  # a channel of tiny weights still holds its bias
    weights, weight_scale = quantise_weights(node.weights.numpy(), per_channel and not last, least)
    bias = round_half_even(float_bias / (scales[source] * weight_scale)).astype(np.int32)
    if last:
        return Linear(name, source, weights, bias, None, weight_scale, float(scales[source] * weight_scale[0]))
    kind = Conv if node.kind == "conv" else Linear
    factors = scales[source] * weight_scale / out
    return kind(name, source, weights, bias, requant(factors), weight_scale, out, **node.attributes)


def quantise_weights(
    weights: np.ndarray, per_channel: bool, least: np.ndarray | float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """int8 weights in -127..127 and scales float64 [O] of float `weights` [O, ...], by the largest magnitude.

    No scale is below `least` (one for all, or one for each channel).
    """
    peaks = np.abs(weights.astype(np.float64)).reshape(len(weights), -1).max(axis=1)
    peak = peaks.max() or 1.0
    peaks = np.where(peaks > peak * 1e-6, peaks, peak) if per_channel else np.full_like(peaks, peak)
    scale = np.maximum(peaks / WEIGHT_MAX, least if per_channel else np.max(least))
    codes = quantise(weights, scale.reshape(-1, *[1] * (weights.ndim - 1)), -WEIGHT_MAX, WEIGHT_MAX)
    return codes, scale
