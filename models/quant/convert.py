"""Float torch networks to integer networks: folding, calibration, quantisation.

BatchNorm is folded into the convolution before it. Weights are symmetric int8 in -127..127, one
scale for each output channel (or one for the layer). Activations are symmetric int8 with one scale
for each tensor, calibrated on training images by one of three rules:

- `max`: the largest magnitude seen,
- `percentile`: the magnitude that 99.99 % of all values stay under,
- `mse`: the clipping magnitude with the least mean squared rounding and clipping error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from models.errors import UserError
from models.networks import NetworkSpec
from models.networks.resnet import CifarResNet
from models.networks.resnet import SubsamplePad as FloatSubsamplePad
from models.quant.arith import (
    INT8_MAX,
    INT8_MIN,
    quantise,
    quantise_multiplier_pair,
    quantise_multipliers,
    round_half_even,
)
from models.quant.checkpoint import BIAS_LIMIT
from models.quant.graph import INPUT, Conv, Linear, Node, QuantNetwork
from models.quant.nodes import Add, GlobalAveragePool, Requant, SubsamplePad

WEIGHT_MAX = 127
HISTOGRAM_BINS = 4096
PERCENTILE = 99.99
RULES = ("max", "percentile", "mse")


@dataclass(frozen=True)
class FloatNode:
    """A node of the folded float network; `attributes` are the matching integer node's."""

    kind: str  # conv, linear, add, subsample_pad, average_pool
    name: str
    sources: tuple[str, ...]
    weights: Tensor | None = None  # float32 [O, I / groups, kh, kw] or [O, I], BatchNorm folded in
    bias: Tensor | None = None  # float32 [O]
    relu: bool = False
    attributes: dict = field(default_factory=dict)

    def __call__(self, *x: Tensor) -> Tensor:
        """Float result for float operands [N, C, H, W]."""
        if self.kind == "conv":
            y = F.conv2d(x[0], self.weights, self.bias, self.attributes["stride"], self.attributes["padding"][0])
        elif self.kind == "linear":
            y = F.linear(x[0], self.weights, self.bias)
        elif self.kind == "add":
            y = x[0] + x[1]
        elif self.kind == "average_pool":
            y = x[0].mean(dim=(2, 3))
        else:
            stride, before, after = (self.attributes[k] for k in ("stride", "before", "after"))
            y = F.pad(x[0][:, :, ::stride, ::stride], (0, 0, 0, 0, before, after))
        return F.relu(y) if self.relu else y


def load_weights(model: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    """Load a state dict with one-line errors; `num_batches_tracked` may be absent."""
    expected = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    weights = {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    if missing := sorted(set(expected) - set(weights)):
        raise UserError(f"{source}: {len(missing)} weights are missing, first '{missing[0]}'; is it another network?")
    if unexpected := sorted(set(weights) - set(expected)):
        raise UserError(f"{source}: {len(unexpected)} unexpected weights, first '{unexpected[0]}'; another network?")
    for key, value in weights.items():
        if value.shape != expected[key].shape:
            raise UserError(f"{source}: '{key}' has shape {tuple(value.shape)}, expected {tuple(expected[key].shape)}")
        if not torch.isfinite(value).all():
            raise UserError(f"{source}: '{key}' holds NaN or infinity; train again")
    model.load_state_dict(weights, strict=False)
    model.eval()


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weights [O, I / groups, kh, kw] and bias [O] of conv followed by norm, computed in float64."""
    factor = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weights = conv.weight.double() * factor.view(-1, 1, 1, 1)
    bias = (
        norm.bias.double()
        + ((conv.bias.double() if conv.bias is not None else 0) - norm.running_mean.double()) * factor
    )
    return weights.float().detach(), bias.float().detach()


def float_nodes(model: nn.Module) -> list[FloatNode]:
    """The folded float nodes of a CifarResNet, in order; raises UserError for another network."""
    if not isinstance(model, CifarResNet):
        raise UserError(f"cannot convert a {type(model).__name__}; models/quant/convert.py knows CifarResNet")
    nodes = [_conv(model.conv1, model.bn1, "conv1", INPUT, relu=True)]
    for stage in ("layer1", "layer2", "layer3"):
        for i, block in enumerate(getattr(model, stage)):
            name, source = f"{stage}.{i}", nodes[-1].name
            nodes.append(_conv(block.conv1, block.bn1, f"{name}.conv1", source, relu=True))
            nodes.append(_conv(block.conv2, block.bn2, f"{name}.conv2", nodes[-1].name, relu=False))
            branch, shortcut = nodes[-1].name, source
            if isinstance(block.shortcut, FloatSubsamplePad):
                shortcut, extra = f"{name}.shortcut", block.shortcut.extra_channels
                shape = {"stride": block.shortcut.stride, "before": extra // 2, "after": extra - extra // 2}
                nodes.append(FloatNode("subsample_pad", shortcut, (source,), attributes=shape))
            nodes.append(FloatNode("add", f"{name}.add", (branch, shortcut), relu=True))
    nodes.append(FloatNode("average_pool", "pool", (nodes[-1].name,)))
    linear = model.linear
    nodes.append(FloatNode("linear", "linear", ("pool",), linear.weight.detach(), linear.bias.detach()))
    return nodes


def _conv(conv: nn.Conv2d, norm: nn.BatchNorm2d, name: str, source: str, relu: bool) -> FloatNode:
    weights, bias = fold(conv, norm)
    vertical, horizontal = conv.padding
    padding = (vertical, vertical, horizontal, horizontal)
    attributes = {"stride": tuple(conv.stride), "padding": padding, "groups": conv.groups}
    return FloatNode("conv", name, (source,), weights, bias, relu, attributes)


@torch.inference_mode()
def run_float(nodes: list[FloatNode], x: Tensor, visit: Callable[[str, Tensor], None] | None = None) -> Tensor:
    """Result of the folded float network for normalised images [N, C, H, W]; `visit` sees every tensor."""
    tensors = {INPUT: x}
    if visit:
        visit(INPUT, x)
    for node in nodes:
        tensors[node.name] = node(*(tensors[s] for s in node.sources))
        if visit:
            visit(node.name, tensors[node.name])
    return tensors[nodes[-1].name]


def calibrate(
    nodes: list[FloatNode], images: Tensor, rule: str, batch: int = 250, quiet: bool = False
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
    parts = images.split(batch)
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
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (spec.mean, spec.std))
    clips = calibrate(nodes, (torch.from_numpy(images).float() / 255 - mean) / std, rule, quiet=quiet)
    scales = {k: v / INT8_MAX for k, v in clips.items()}
    pixels: dict[str, int] = {}
    probe = torch.zeros(1, *images.shape[1:])
    run_float(nodes, probe, lambda tensor, x: pixels.update({tensor: x[0, 0].numel()}))
    built: list[Node] = []
    for node in nodes:
        if node.kind == "subsample_pad":
            scales[node.name] = scales[node.sources[0]]
        built.append(_integer_node(node, scales, pixels, per_channel, last=node is nodes[-1]))
    return QuantNetwork(name, spec.dataset, tuple(spec.mean), tuple(spec.std), scales[INPUT], tuple(built))


def _integer_node(
    node: FloatNode, scales: dict[str, float], pixels: dict[str, int], per_channel: bool, last: bool
) -> Node:
    lo = 0 if node.relu else INT8_MIN
    out = scales[node.name]
    source = node.sources[0]
    if node.kind == "subsample_pad":
        return SubsamplePad(node.name, source, output_scale=out, **node.attributes)
    if node.kind == "add":
        m1, m2, shift = quantise_multiplier_pair(*(scales[s] / out for s in node.sources))
        return Add(node.name, node.sources, (m1, m2), shift, out, lo)
    if node.kind == "average_pool":
        requant = Requant(*quantise_multipliers(np.array([scales[source] / (out * pixels[source])])), lo=lo)
        return GlobalAveragePool(node.name, source, requant, out)
    weights, weight_scale = quantise_weights(node.weights.numpy(), per_channel and not last)
    bias = round_half_even(node.bias.double().numpy() / (scales[source] * weight_scale))
    if np.abs(bias).max() >= BIAS_LIMIT:
        raise UserError(
            f"layer {node.name}: bias of {np.abs(bias).max()} units does not fit; are the weights all zero?"
        )
    bias = bias.astype(np.int32)
    if last:
        return Linear(node.name, source, weights, bias, None, weight_scale, float(scales[source] * weight_scale[0]))
    requant = Requant(*quantise_multipliers(scales[source] * weight_scale / out), lo=lo)
    kind = Conv if node.kind == "conv" else Linear
    return kind(node.name, source, weights, bias, requant, weight_scale, out, **node.attributes)


def quantise_weights(weights: np.ndarray, per_channel: bool) -> tuple[np.ndarray, np.ndarray]:
    """int8 weights in -127..127 and scales float64 [O] of float `weights` [O, ...], by the largest magnitude."""
    peaks = np.abs(weights.astype(np.float64)).reshape(len(weights), -1).max(axis=1)
    peak = peaks.max() or 1.0
    peaks = np.where(peaks > peak * 1e-6, peaks, peak) if per_channel else np.full_like(peaks, peak)
    scale = peaks / WEIGHT_MAX
    codes = quantise(weights, scale.reshape(-1, *[1] * (weights.ndim - 1)), -WEIGHT_MAX, WEIGHT_MAX)
    return codes, scale
