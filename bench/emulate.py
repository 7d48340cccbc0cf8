"""Multiply-accumulates per second of convolutions with a table of products, one thread.

Peers: float32 conv2d of torch, which can only do exact products, a plain gather from the table in
torch, which computes what we do, and the layers of EncodingNet (REF=), which gather as well. Every
result must equal int64 arithmetic. Seconds are those that the process computed, without waiting.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from bench.reference import Convolution
from bench.timing import Effort, Row, calls_per_second, peak_growth
from models.emulate import TableEngine, available_paths
from models.encoding import load_encoding

ENCODING = "m32p"
FLOAT = "torch conv2d float32"


@dataclass(frozen=True)
class Shape:
    """A square convolution: channels, pixels a side, outputs, kernel a side, stride, groups."""

    name: str
    channels: int
    side: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        """Padding on every side."""
        return self.kernel // 2

    def macs(self, images: int) -> int:
        """Multiply-accumulates of a batch."""
        out = (self.side + 2 * self.padding - self.kernel) // self.stride + 1
        return images * self.outputs * out * out * self.channels // self.groups * self.kernel**2


SHAPES = (
    Shape("ResNet-20 first, 3 to 16, 32x32", 3, 32, 16),
    Shape("ResNet-20 stage 1, 16 to 16, 32x32", 16, 32, 16),
    Shape("ResNet-20 strided, 16 to 32, 32x32", 16, 32, 32, stride=2),
    Shape("ResNet-20 stage 2, 32 to 32, 16x16", 32, 16, 32),
    Shape("ResNet-20 stage 3, 64 to 64, 8x8", 64, 8, 64),
    Shape("1x1, 64 to 128, 16x16", 64, 16, 128, kernel=1),
    Shape("depthwise 3x3, 64, 16x16", 64, 16, 64, groups=64),
    Shape("depthwise 3x3 strided, 96, 32x32", 96, 32, 96, stride=2, groups=96),
)


def windows(x: np.ndarray, shape: Shape) -> np.ndarray:
    """The inputs of every output pixel: [groups, images, rows, columns, taps] of `x` [N, C, H, W]."""
    p, k = shape.padding, shape.kernel
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))[:, :, :: shape.stride, :: shape.stride]
    n, c, rows, columns = view.shape[:4]
    split = view.reshape(n, shape.groups, c // shape.groups, rows, columns, k * k).transpose(1, 0, 3, 4, 2, 5)
    return np.ascontiguousarray(split).reshape(shape.groups, n, rows, columns, -1)


def int64_sums(x: np.ndarray, weights: np.ndarray, shape: Shape, table: np.ndarray | None) -> np.ndarray:
    """The truth, int64 [N, O, H', W']: products from `table`, or exact ones for None."""
    inputs = windows(x, shape).astype(np.int64)
    each = shape.outputs // shape.groups
    found = []
    for o, kernel in enumerate(weights.reshape(shape.outputs, -1).astype(np.int64)):
        taps = inputs[o // each]
        products = taps * kernel if table is None else table.astype(np.int64)[taps + 128, kernel + 128]
        found.append(products.sum(-1))
    return np.stack(found, axis=1)


class Gather:
    """The plain way in torch: one look-up and one addition for each multiply-accumulate."""

    def __init__(self, x: np.ndarray, weights: np.ndarray, shape: Shape, table: np.ndarray) -> None:
        self.table = torch.from_numpy(table.astype(np.int32).reshape(-1).copy())
        self.rows = torch.from_numpy((windows(x, shape).astype(np.int32) + 128) * 256)
        self.columns = torch.from_numpy(weights.reshape(shape.outputs, -1).astype(np.int32) + 128)
        self.each = shape.outputs // shape.groups

    def __call__(self) -> torch.Tensor:
        """int32 [N, O, H', W']."""
        found = []
        for o, column in enumerate(self.columns):
            where = self.rows[o // self.each] + column
            products = self.table.index_select(0, where.view(-1)).view(where.shape)
            found.append(products.sum(-1, dtype=torch.int32))
        return torch.stack(found, dim=1)


def run(effort: Effort, size: int, ref: Path | None = None) -> list[Row]:
    """Rows of every shape and path against its peers, on batches of `size` images; `ref` is a clone of EncodingNet."""
    torch.set_num_threads(1)
    torch.backends.nnpack.set_flags(False)  # its Winograd transform has intermediate values that are no integers
    table = load_encoding(ENCODING).product_table
    return [row for shape in SHAPES for row in measure(shape, table, effort, size, ref)]


def measure(shape: Shape, table: np.ndarray, effort: Effort, images: int, ref: Path | None = None) -> list[Row]:
    """Rows of one shape: the fastest path against every peer, the others against float32."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 128, (images, shape.channels, shape.side, shape.side)).astype(np.int8)  # after ReLU
    size = (shape.outputs, shape.channels // shape.groups, shape.kernel, shape.kernel)
    weights = rng.integers(-128, 128, size).astype(np.int8)
    geometry = {"stride": (shape.stride,) * 2, "padding": (shape.padding,) * 4, "groups": shape.groups}
    operand, kernel = torch.from_numpy(x).float(), torch.from_numpy(weights).float()

    def conv2d() -> torch.Tensor:
        return F.conv2d(operand, kernel, stride=shape.stride, padding=shape.padding, groups=shape.groups)

    def ours(path: str) -> object:
        engine = TableEngine(table, threads=1, path=path)
        return lambda: engine(x, weights, **geometry)

    peers = {FLOAT: conv2d, "torch gather": Gather(x, weights, shape, table)}
    if ref:
        peers["EncodingNet"] = Convolution(ref, x, weights, table, shape.stride, shape.padding, shape.groups)
    paths = available_paths(table.astype(np.int32))
    candidates = {path: ours(path) for path in paths} | peers
    truths = {"table": int64_sums(x, weights, shape, table), "exact": int64_sums(x, weights, shape, None)}
    right, growth = {}, {}
    with torch.inference_mode():
        for name, call in candidates.items():
            right[name] = np.array_equal(np.asarray(call()), truths["exact" if name == FLOAT else "table"])
            growth[name] = peak_growth(call)
        rates = calls_per_second(candidates, effort, time.process_time)
    gmacs = {name: rate * shape.macs(images) / 1e9 for name, rate in rates.items()}
    own = TableEngine(table).workspace_bytes(x.shape, weights.shape, **geometry) + truths["table"].size * 4
    rows = []
    for path in paths:
        for peer in peers if path == paths[-1] else (FLOAT,):
            note = ""
            if path == paths[-1] and growth[peer]:
                note = f"{shape.name}: {own / 1e6:.1f} MB of memory for a call, the peer {growth[peer] / 1e6:.1f}"
            agrees = right[path] and right[peer]
            rows.append(Row("emulate", f"{shape.name}, {path}", peer, gmacs[path], gmacs[peer], "GMAC/s", agrees, note))
    return rows
