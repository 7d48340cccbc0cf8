"""An integer network whose weights, biases and requantisers can be trained with the products it will have.

Everything is in units of int8 codes. A layer's result is round(M * sum + b), clamped, with

- the weights, float values near the codes, rounded in the forward pass,
- the multiplier M = M0 * exp(g) of each channel, trained through g,
- the bias b of each channel, in units of output codes.

The forward pass has the integers of the network that `export` makes, up to the rounding of M and b to
the integers of hardware. Gradients: see models.emulate.modules.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.errors import UserError
from models.emulate.modules import CODE_MAX, TrainingTable, round_codes, table_sums
from models.quant.arith import quantise_multipliers
from models.quant.graph import INPUT, Linear, MacNode, QuantNetwork
from models.quant.nodes import Add, GlobalAveragePool, Rescale, SubsamplePad

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
        return inside.mul_(factor), by_factor, by_bias, None, None, None


def _on_grid(y: Tensor, lo: int, hi: int, grid: int) -> Tensor:
    """Multiples of 2**grid nearest to codes `y`, in lo..hi."""
    return round_codes(y * 0.5**grid, -(-lo >> grid), hi >> grid) * 2**grid


def centres(table: np.ndarray) -> np.ndarray:
    """float32 [256] by w + 128: the middle of the neighbouring codes with the same products as w.

    There a weight is as far as it can be from another level; at its level's lowest code the least step changes it.
    """
    starts = np.flatnonzero(np.concatenate([[True], (table[:, 1:] != table[:, :-1]).any(0)]))
    ends = np.append(starts[1:], table.shape[1])
    return np.repeat((starts + ends - 1) / 2 - 128, ends - starts).astype(np.float32)


class TrainableLayer(nn.Module):
    """A convolution or linear layer of an integer network, see the module's text."""

    def __init__(self, node: MacNode, products: TrainingTable, scores: Rescale | None = None) -> None:
        super().__init__()
        self.node, self.products = node, products
        weights = node.weights.reshape(*node.weights.shape, *[1] * (4 - node.weights.ndim))
        self.weight = nn.Parameter(torch.from_numpy(centres(products.table)[weights.astype(np.int16) + 128]))
        scale = np.full(1, node.output_scale) if node.requant is None else node.requant.factors
        scale = scale * scores.factors if scores else scale  # real logits at once
        scale = np.broadcast_to(scale, node.bias.shape)
        self.register_buffer("scale", torch.from_numpy(scale.astype(np.float32).reshape(1, -1, 1, 1)))
        self.gain = nn.Parameter(torch.zeros_like(self.scale), requires_grad=node.requant is not None)
        self.bias = nn.Parameter(torch.from_numpy((node.bias * scale).astype(np.float32).reshape(1, -1, 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Codes (or real logits, without a requantiser) of codes [N, C, H, W] or [N, C]."""
        node, flat = self.node, isinstance(self.node, Linear)
        shape = {} if flat else {"stride": node.stride, "padding": node.padding[::2], "groups": node.groups}
        codes = round_codes(self.weight, -CODE_MAX)
        sums = table_sums(x[:, :, None, None] if flat else x, codes, self.products, **shape)
        factor = self.scale * self.gain.exp()
        if node.requant is None:
            y = sums * factor + self.bias
        else:
            y = _Requantise.apply(sums, factor, self.bias, node.requant.lo, node.requant.hi, node.requant.grid)
        return y[:, :, 0, 0] if flat else y

    @torch.no_grad()
    def export(self) -> MacNode:
        """The integer node of the present values."""
        factor = (self.scale * self.gain.exp()).double().cpu().numpy().ravel()
        bias = np.rint(self.bias.double().cpu().numpy().ravel() / factor)
        weights = self.weight.round().clamp(-CODE_MAX, CODE_MAX).to(torch.int8).cpu().numpy()
        weights = weights.reshape(self.node.weights.shape)
        requant = self.node.requant
        if requant is not None:
            multiplier, shift = quantise_multipliers(factor)
            requant = replace(requant, multiplier=multiplier, shift=shift)
        return replace(self.node, weights=weights, bias=bias.astype(np.int32), requant=requant)


class TrainableNetwork(nn.Module):
    """`network` as a torch module: codes [N, C, H, W] in, real logits [N, classes] out.

    UserError for nodes it does not know and for zero points other than 0.
    """

    def __init__(self, network: QuantNetwork, products: TrainingTable) -> None:
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
        layers = {n.name.replace(".", "/"): TrainableLayer(n, products, scores.get(n.name)) for n in network.mac_nodes}
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
