"""Convolutions and linear layers of torch that multiply with a table, and can be trained.

`EncodedConv2d` and `EncodedLinear` take the place of `nn.Conv2d` and `nn.Linear` (`replace_layers` does so
in a whole network). Forward: operands are quantised to int8 with the scales of models.quant, products come
from the table, sums are the exact integers of `TableEngine`. Backward: the products' slope is taken to be

- "straight": that of the exact product, dP/da = w, dP/dw = a (straight-through);
- "table": the slope of the least-squares line through P(., w) over all a, and through P(a, .) over all w:
  a table of 256 numbers for each operand (one-dimensional table gradients, arXiv 2509.10519).

Rounding is straight-through, clamping passes gradients inside only.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from common.errors import UserError
from models.emulate.table import TableEngine, checked_table, exact_engine, exact_table

CODE_MAX = 127
GRADIENTS = ("straight", "table")


class TrainingTable:
    """A table of products ready for training: engine of its sums, and its slopes.

    `table` integer [256, 256], index [a + 128, w + 128]. `slope_a` float32 [256] is dP/da by w + 128,
    `slope_w` float32 [256] dP/dw by a + 128.
    """

    def __init__(self, table: np.ndarray, gradient: str = "straight", threads: int | None = None) -> None:
        if gradient not in GRADIENTS:
            raise UserError(f"unknown gradient '{gradient}'; known: {', '.join(GRADIENTS)}")
        self.table = table = checked_table(np.asarray(table), "product table")
        self.exact = bool(np.array_equal(table, exact_table()))
        self.engine = exact_engine(threads) if self.exact else TableEngine(table, threads)
        self.gradient = gradient
        operands = np.arange(-128, 128, dtype=np.float64)
        self.slope_a = self.slope_w = torch.from_numpy(operands.astype(np.float32))
        if gradient == "table":
            centred = operands - operands.mean()
            by_w, by_a = (centred @ t / (centred @ centred) for t in (table.astype(float), table.T.astype(float)))
            self.slope_a, self.slope_w = (torch.from_numpy(s.astype(np.float32)) for s in (by_w, by_a))

    def slopes(self, codes: Tensor, of: str) -> Tensor:
        """What takes the place of int8 `codes` in a gradient: of "a" by weights, of "w" by activations."""
        if self.gradient == "straight":
            return codes
        slope = (self.slope_a if of == "a" else self.slope_w).to(codes.device)
        return slope[codes.to(torch.int32) + 128]


def table_sums(
    x: Tensor,
    weights: Tensor,
    products: TrainingTable,
    stride=(1, 1),
    padding=(0, 0),
    groups: int = 1,
    slopes: Tensor | None = None,
) -> Tensor:
    """Sums of products, float32 [N, O, H', W'] of integer values, differentiable in both operands.

    `x` [N, C, H, W] and `weights` [O, C / groups, kh, kw] hold codes -128..127 in any float type. `slopes`, of the
    shape of `weights`, are the slopes dP/da of their products where the caller knows them better.
    """
    return _TableSums.apply(x, weights, products, tuple(stride), tuple(padding), groups, slopes)


class _TableSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weights, products, stride, padding, groups, slopes):
        codes, w = x.detach().to(torch.int8), weights.detach().to(torch.int8)
        ctx.save_for_backward(codes, products.slopes(w, "a") if slopes is None else slopes)
        ctx.rest = products, stride, padding, groups, x.dtype, weights.dtype
        vertical, horizontal = padding
        sums = products.engine(
            codes.cpu().contiguous().numpy(),
            w.cpu().contiguous().numpy(),
            stride,
            (vertical, vertical, horizontal, horizontal),
            groups,
        )
        return torch.from_numpy(sums).to(x.device, torch.float32)

    @staticmethod
    def backward(ctx, gradient):
        codes, slopes = ctx.saved_tensors
        products, stride, padding, groups, x_type, w_type = ctx.rest
        kind = torch.bfloat16 if x_type == torch.bfloat16 else torch.float32  # holds all codes exactly
        operands = (
            gradient.to(kind).contiguous(memory_format=torch.channels_last),
            products.slopes(codes, "w").to(kind).contiguous(memory_format=torch.channels_last),
            slopes.to(kind),
        )
        wanted = [*ctx.needs_input_grad[:2], False]
        gx, gw, _ = torch.ops.aten.convolution_backward(
            *operands, None, stride, padding, (1, 1), False, (0, 0), groups, wanted
        )
        return gx if gx is None else gx.to(x_type), gw if gw is None else gw.to(w_type), None, None, None, None, None


class _Round(torch.autograd.Function):
    """Integers lo..hi nearest to `x`; the gradient passes where nothing was clamped."""

    @staticmethod
    def forward(ctx, x, lo, hi):
        codes = x.detach().round()
        ctx.save_for_backward((codes >= lo) & (codes <= hi))
        return codes.clamp_(lo, hi)

    @staticmethod
    def backward(ctx, gradient):
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


def round_codes(x: Tensor, lo: int = -128, hi: int = CODE_MAX) -> Tensor:
    """Integers lo..hi nearest to float `x` (ties to even), straight-through inside."""
    return _Round.apply(x, lo, hi)


def weight_scales(weights: Tensor, per_channel: bool = True) -> Tensor:
    """Scale of each output channel [O], such that the largest magnitude is 127, as models.quant.convert has it."""
    peaks = weights.detach().abs().flatten(1).amax(1)
    peak = peaks.max().clamp(min=torch.finfo(weights.dtype).tiny)
    peaks = torch.where(peaks > peak * 1e-6, peaks, peak) if per_channel else peak.expand_as(peaks)
    return peaks / CODE_MAX


class _Encoded(nn.Module):
    """What both layers share: quantisation of operands, sums, scale and bias."""

    products: TrainingTable
    per_channel: bool
    weight: nn.Parameter
    bias: nn.Parameter | None

    def _prepare(self, table: np.ndarray | TrainingTable, input_scale: float, per_channel: bool) -> None:
        if not (np.isfinite(input_scale) and input_scale > 0):
            raise UserError(f"input scale {input_scale} is no positive number; calibrate the network first")
        self.products = table if isinstance(table, TrainingTable) else TrainingTable(table)
        self.per_channel = per_channel
        self.register_buffer("input_scale", torch.tensor(float(input_scale)))

    def _sums(self, x: Tensor, weights: Tensor, **shape) -> Tensor:
        scale = weight_scales(weights, self.per_channel)
        codes = round_codes(weights / scale.view(-1, 1, 1, 1), -CODE_MAX)
        sums = table_sums(round_codes(x / self.input_scale), codes, self.products, **shape)
        y = sums * (scale * self.input_scale).view(1, -1, 1, 1)
        return y if self.bias is None else y + self.bias.view(1, -1, 1, 1)


class EncodedConv2d(nn.Conv2d, _Encoded):
    """`nn.Conv2d` with the products of `table` (int [256, 256] or `TrainingTable`) and activations of `input_scale`."""

    def __init__(
        self,
        *shape: int,
        table: np.ndarray | TrainingTable,
        input_scale: float,
        per_channel: bool = True,
        **options: object,
    ) -> None:
        super().__init__(*shape, **options)
        if tuple(self.dilation) != (1, 1) or self.padding_mode != "zeros" or isinstance(self.padding, str):
            raise UserError("an encoded convolution has zero padding in numbers and no dilation")
        self._prepare(table, input_scale, per_channel)

    def forward(self, x: Tensor) -> Tensor:
        """float [N, O, H', W'] of float [N, C, H, W]."""
        return self._sums(x, self.weight, stride=self.stride, padding=self.padding, groups=self.groups)


class EncodedLinear(nn.Linear, _Encoded):
    """`nn.Linear` with the products of `table` (int [256, 256] or `TrainingTable`) and activations of `input_scale`."""

    def __init__(
        self,
        *shape: int,
        table: np.ndarray | TrainingTable,
        input_scale: float,
        per_channel: bool = True,
        **options: object,
    ) -> None:
        super().__init__(*shape, **options)
        self._prepare(table, input_scale, per_channel)

    def forward(self, x: Tensor) -> Tensor:
        """float [N, O] of float [N, I]."""
        return self._sums(x[:, :, None, None], self.weight[:, :, None, None])[:, :, 0, 0]


@torch.no_grad()
def replace_layers(model: nn.Module, table: np.ndarray | TrainingTable, images: Tensor) -> nn.Module:
    """`model` with its convolutions and linear layers replaced in place; same parameters, same state-dict keys.

    Activation scales are the largest magnitudes that layers see for normalised `images` [N, C, H, W].
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    peaks: dict[str, float] = {}
    hooks = [
        m.register_forward_pre_hook(lambda _, x, name=name: peaks.update({name: float(x[0].abs().max())}))
        for name, m in layers.items()
    ]
    was_training = model.training
    model.eval()(images)
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    products = table if isinstance(table, TrainingTable) else TrainingTable(table)
    for name, layer in layers.items():
        if not peaks.get(name, 0) > 0:
            raise UserError(f"layer {name} sees only zeros, or nothing; give other images")
        options = {"bias": layer.bias is not None, "table": products, "input_scale": peaks[name] / CODE_MAX}
        if isinstance(layer, nn.Conv2d):
            shape = (layer.in_channels, layer.out_channels, layer.kernel_size)
            kind = EncodedConv2d
            options |= {k: getattr(layer, k) for k in ("stride", "padding", "dilation", "groups", "padding_mode")}
        else:
            shape, kind = (layer.in_features, layer.out_features), EncodedLinear
        encoded = kind(*shape, **options)
        encoded.weight, encoded.bias = layer.weight, layer.bias
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, encoded.train(layer.training).to(layer.weight.device))
    return model
