"""An integer network whose weights, biases and requantisers can be trained with the products it will have.

Everything is in units of int8 codes. A layer's result is round(M * sum + b), clamped, with

- the weights, float values that take the code whose products have the nearest slope (`Levels`),
- the multiplier M = M0 * exp(g) of each channel, trained through g,
- the bias b of each channel, in units of output codes.

The forward pass has the integers of the network that `export` makes, up to the rounding of M and b to
the integers of hardware. Gradients: see models.emulate.modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.errors import UserError
from models.emulate.modules import TrainingTable, round_codes, table_sums
from models.quant.arith import quantise_multipliers
from models.quant.graph import INPUT, Linear, MacNode, QuantNetwork
from models.quant.nodes import Add, GlobalAveragePool, Rescale, SubsamplePad

UNIFORM = 0.02  # share of uniform activations in what a layer sees: no slope without any, and none of few values only
ANY = np.ones(256)
LARGEST_FACTOR = 2.0**29  # of a requantiser
BIAS_LIMIT = 2**30  # of int32, so that no sum with it overflows
TRAINABLE = (Add, GlobalAveragePool, Rescale, SubsamplePad)


class _Requantise(torch.autograd.Function):
    """Codes round(sums * factor + bias) in lo..hi; keeps only the int8 codes for the backward pass."""

    @staticmethod
    def forward(ctx, sums, factor, bias, lo, hi, grid):
        y = torch.addcmul(bias, sums, factor).mul_(0.5**grid).round_().clamp_(-(-lo >> grid), hi >> grid).mul_(2**grid)
        ctx.save_for_backward(y.to(torch.int8), factor, bias)
        ctx.limits = lo, hi
        return y.to(torch.bfloat16)

    @staticmethod
    def backward(ctx, gradient):
        codes, factor, bias = ctx.saved_tensors
        lo, hi = ctx.limits
        axes = [d for d in range(codes.ndim) if d != 1]
        codes = codes.float()
        inside = torch.ops.aten.hardtanh_backward(gradient.float(), codes, lo, hi)
        by_bias = inside.sum(axes, keepdim=True)
        by_factor = (codes.mul_(inside).sum(axes, keepdim=True) - bias * by_bias) / factor
        by_factor = by_factor.where(factor != 0, 0)  # a channel whose sums are never read
        return inside.mul_(factor), by_factor, by_bias, None, None, None


def _on_grid(y: Tensor, lo: int, hi: int, grid: int) -> Tensor:
    """Multiples of 2**grid nearest to codes `y`, in lo..hi."""
    return round_codes(y * 0.5**grid, -(-lo >> grid), hi >> grid) * 2**grid


class _Choice(torch.autograd.Function):
    """Codes of float weights; the gradient passes between the lowest and the highest level."""

    @staticmethod
    def forward(ctx, weight, codes, edges):
        ctx.save_for_backward((weight >= edges[0]) & (weight <= edges[-1]))
        return codes

    @staticmethod
    def backward(ctx, gradient):
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


class Levels(nn.Module):
    """What a weight of one layer can be: the slope of its code's products under the activations of the layer.

    Slope and intercept of a code are those of the least-squares line through P(., code), `table` int [256, 256] by
    a + 128 and w + 128, over the activations `seen`, counts [256] by a + 128. An encoding may make of a code what is
    far from the code itself (models/search/chosen.py); the slope is what a weight is worth, the intercept is a
    constant and part of the bias. Of codes whose products differ by a constant one stands for all; -128 is none of
    them.
    """

    def __init__(self, table: np.ndarray, seen: np.ndarray) -> None:
        super().__init__()
        a, share = np.arange(-128.0, 128.0), (1 - UNIFORM) * seen / seen.sum() + UNIFORM / len(seen)
        mean = share @ a
        shapes, code, shape = np.unique(table - table[0], axis=1, return_index=True, return_inverse=True)
        slopes = (share * (a - mean)) @ shapes / (share @ (a - mean) ** 2)
        code[shape[0]] = np.flatnonzero(shape == shape[0])[-1]  # stays 0, -128, if no other is alike
        usable = np.flatnonzero(code)
        kept = usable[np.argsort(slopes[usable], kind="stable")]
        ordered = slopes[kept]
        middles = (ordered[1:] + ordered[:-1]) / 2
        ends = 2 * ordered[[0, -1]] - middles[[0, -1]] if len(middles) else ordered[[0, 0]]
        edges = np.concatenate([ends[:1], middles, ends[1:]])
        level = np.abs(slopes[:, None] - ordered).argmin(1)
        level[kept] = np.arange(len(kept))
        level = level[shape]
        #: float64 [256] by w + 128: the intercept of each code, on a line with the slope of its level
        self.intercepts = share @ table - ordered[level] * mean
        #: float32 [256] by w + 128: the middle of the slopes that take the code, the farthest from any other
        self.middle = ((edges[1:] + edges[:-1]) / 2)[level].astype(np.float32)
        self.spacing = float(ordered[-1] - ordered[0]) / max(1, len(middles))  # the mean distance of two levels
        codes = code[kept]
        constants = torch.from_numpy(self.intercepts[codes])
        self.register_buffer("constants", constants, persistent=False)
        for name, values in (("codes", codes - 128), ("slopes", ordered), ("edges", edges)):
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(codes, slopes, sums of the constants of each channel, float64 [1, O, 1, 1]) of float `weight` [O, ...]."""
        level = torch.bucketize(weight.detach(), self.edges[1:-1])
        constants = self.constants[level].flatten(1).sum(1).view(1, -1, 1, 1)
        return _Choice.apply(weight, self.codes[level], self.edges), self.slopes[level], constants


class TrainableLayer(nn.Module):
    """A convolution or linear layer of an integer network, see the module's text."""

    def __init__(
        self, node: MacNode, products: TrainingTable, scores: Rescale | None = None, seen: np.ndarray = ANY
    ) -> None:
        super().__init__()
        self.node, self.products, self.levels = node, products, Levels(products.table, seen)
        weights = node.weights.reshape(*node.weights.shape, *[1] * (4 - node.weights.ndim)).astype(np.int16) + 128
        self.weight = nn.Parameter(torch.from_numpy(self.levels.middle[weights]))
        scale = np.full(1, node.output_scale) if node.requant is None else node.requant.factors
        scale = scale * scores.factors if scores else scale  # real logits at once
        scale = np.broadcast_to(scale, node.bias.shape)
        self.register_buffer("scale", torch.from_numpy(scale.astype(np.float32).reshape(1, -1, 1, 1)))
        self.gain = nn.Parameter(torch.zeros_like(self.scale), requires_grad=node.requant is not None)
        bias = node.bias + self.levels.intercepts[weights].reshape(len(weights), -1).sum(1)
        self.bias = nn.Parameter(torch.from_numpy((bias * scale).astype(np.float32).reshape(1, -1, 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Codes (or real logits, without a requantiser) of codes [N, C, H, W] or [N, C]."""
        node, flat = self.node, isinstance(self.node, Linear)
        shape = {} if flat else {"stride": node.stride, "padding": node.padding[::2], "groups": node.groups}
        codes, slopes, constants = self.levels(self.weight)
        sums = table_sums(x[:, :, None, None] if flat else x, codes, self.products, **shape, slopes=slopes)
        factor = self.scale * self.gain.exp()
        bias = (self.bias - constants * factor).float()
        if node.requant is None:
            y = sums * factor + bias
        else:
            y = _Requantise.apply(sums, factor, bias, node.requant.lo, node.requant.hi, node.requant.grid)
        return y[:, :, 0, 0] if flat else y

    @torch.no_grad()
    def export(self) -> MacNode:
        """The integer node of the present values."""
        factor = (self.scale * self.gain.exp()).double().cpu().numpy().ravel()
        codes, _, constants = (found.double().cpu().numpy() for found in self.levels(self.weight))
        if not (factor < LARGEST_FACTOR).all():
            raise UserError(f"the gain of layer {self.node.name} has left all bounds; lower --lr")
        read = factor != 0  # else the channel is a constant, whatever its bias
        bias = np.where(read, self.bias.double().cpu().numpy().ravel() / np.where(read, factor, 1), self.node.bias)
        bias = np.rint(bias - constants.ravel())
        bias = np.clip(bias, -BIAS_LIMIT, BIAS_LIMIT)  # of a channel that hardly reads its sums
        weights = codes.astype(np.int8).reshape(self.node.weights.shape)
        requant = self.node.requant
        if requant is not None:
            multiplier, shift = quantise_multipliers(np.where(read, factor, 1))
            multiplier = np.where(read, multiplier, 0).astype(multiplier.dtype)
            requant = replace(requant, multiplier=multiplier, shift=shift)
        return replace(self.node, weights=weights, bias=bias.astype(np.int32), requant=requant)


class TrainableNetwork(nn.Module):
    """`network` as a torch module: codes [N, C, H, W] in, real logits [N, classes] out.

    `seen` are the activations of each layer, counts [256] by a + 128; without, any are as likely (see `Levels`).
    UserError for nodes it does not know and for zero points other than 0.
    """

    def __init__(
        self, network: QuantNetwork, products: TrainingTable, seen: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> None:
        super().__init__()
        self.network = network
        mac = {n.name for n in network.mac_nodes}
        for node in network.nodes:
            requant = getattr(node, "requant", None)
            points = [getattr(node, "input_zero_point", 0), getattr(node, "zero_point", 0)]
            points += [*getattr(node, "input_zero_points", ()), requant.zero_point if requant else 0]
            if any(points):
                raise UserError(f"node {node.name} has a zero point; only symmetric networks can be fine-tuned")
            if node.name not in mac and not isinstance(node, TRAINABLE):
                raise UserError(f"node {node.name} is a {type(node).__name__}, which cannot be fine-tuned")
            padding = getattr(node, "padding", (0, 0, 0, 0)) if node.name in mac else (0, 0, 0, 0)
            if padding[0] != padding[1] or padding[2] != padding[3]:
                raise UserError(f"node {node.name} has padding {padding}, which cannot be fine-tuned")
        last = network.nodes[-1]
        scores = {last.source: last} if isinstance(last, Rescale) else {}
        last = network.node(last.source) if scores else last
        if last.name not in mac or last.requant is not None:
            raise UserError(f"network {network.name} does not end in a layer of real logits; it cannot be fine-tuned")
        layers = {
            n.name.replace(".", "/"): TrainableLayer(n, products, scores.get(n.name), seen.get(n.name, ANY))
            for n in network.mac_nodes
        }
        self.layers = nn.ModuleDict(layers)

    def forward(self, codes: Tensor) -> Tensor:
        """Logits float32 [N, classes] of input codes in any float type."""
        tensors = {INPUT: codes.to(torch.bfloat16)}
        for node in self.network.nodes:
            operands = [tensors[s] for s in node.sources]
            tensors[node.name] = self._node(node, operands)
        return tensors[self.network.nodes[-1].name]

    def _node(self, node: object, x: list[Tensor]) -> Tensor:
        if isinstance(node, Rescale):
            return x[0]
        if isinstance(node, Add):
            m1, m2 = (m * 2.0**-node.shift for m in node.multipliers)
            y = x[0].float() * m1 + x[1].float() * m2
            return _on_grid(y, node.lo, node.hi, node.grid).to(torch.bfloat16)
        if isinstance(node, SubsamplePad):
            return F.pad(x[0][:, :, :: node.stride, :: node.stride], (0, 0, 0, 0, node.before, node.after))
        if isinstance(node, GlobalAveragePool):
            y = x[0].float().sum((2, 3), keepdim=node.keep) * float(node.requant.factors[0])
            return _on_grid(y, node.requant.lo, node.requant.hi, node.requant.grid).to(torch.bfloat16)
        return self.layers[node.name.replace(".", "/")](x[0])

    def export(self) -> QuantNetwork:
        """The integer network of the present values."""
        return self.network.with_nodes({layer.node.name: layer.export() for layer in self.layers.values()})
