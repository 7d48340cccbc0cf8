"""Multiply-accumulates per second of convolutions with a table of products, one thread, and at last two.

Peers: float32 conv2d of torch, which can only do exact products, a plain gather from the table in
torch, which computes what we do, and the layers of EncodingNet (REF=), which gather as well. Every
result must equal int64 arithmetic. Seconds are those that the process computed, without waiting.
The limit of a path is what its look-ups or products of bytes alone would allow, at the rate at
which this processor runs nothing but that instruction.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from bench.reference import Convolution
from bench.timing import Effort, Row, calls_per_second, peak_growth
from models.emulate import TableEngine, available_paths
from models.encoding import load_encoding

ENCODING = "m32p"
SIGNED = ("m32p", "m14p", "exact64")  # with activations of both signs, as imported networks have them
FLOAT = "torch conv2d float32"
LIMIT = "limit of its instruction"
PEAK = 10_000  # turns of the loop of a limit in one call


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

THREADED = Shape("3x3, 64 to 64, 56x56", 64, 56, 64)


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


def scaling(shape: Shape, table: np.ndarray, effort: Effort, images: int) -> Row:
    """Two threads beside one, by the clock: whatever else the machine does counts."""
    x, weights, geometry = operands(shape, images, -128)
    calls = {str(n): partial(TableEngine(table, n), x, weights, **geometry) for n in (1, 2)}
    truth = int64_sums(x, weights, shape, table)
    agrees = all(np.array_equal(call(), truth) for call in calls.values())
    rates = calls_per_second(calls, effort)
    one, two = (rates[n] * shape.macs(images) / 1e9 for n in ("1", "2"))
    note = f"by the clock, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    return Row("emulate", f"{shape.name}, 2 threads", "1 thread", two, one, "GMAC/s", agrees, note)


def run(effort: Effort, size: int, ref: Path | None = None) -> list[Row]:
    """Rows of every shape and path against its peers, on batches of `size` images; `ref` is a clone of EncodingNet."""
    torch.set_num_threads(1)
    torch.backends.nnpack.set_flags(False)  # its Winograd transform has intermediate values that are no integers
    table = load_encoding(ENCODING).product_table
    rows = [row for shape in SHAPES for row in measure(shape, table, effort, size, ref)]
    for name in SIGNED:
        table = load_encoding(name).product_table
        rows += [row for shape in SHAPES for row in measure(shape, table, effort, size, signed=name)]
    rows.append(scaling(THREADED, load_encoding(ENCODING).product_table, effort, size))
    return rows


def operands(shape: Shape, images: int, lowest: int) -> tuple[np.ndarray, np.ndarray, dict]:
    """Random int8 activations from `lowest` on and weights, and what else a convolution is told."""
    rng = np.random.default_rng(1)
    x = rng.integers(lowest, 128, (images, shape.channels, shape.side, shape.side)).astype(np.int8)
    size = (shape.outputs, shape.channels // shape.groups, shape.kernel, shape.kernel)
    weights = rng.integers(-128, 128, size).astype(np.int8)
    return x, weights, {"stride": (shape.stride,) * 2, "padding": (shape.padding,) * 4, "groups": shape.groups}


def measure(
    shape: Shape, table: np.ndarray, effort: Effort, images: int, ref: Path | None = None, signed: str = ""
) -> list[Row]:
    """Rows of one shape: the fastest path against every peer, the others against float32 and their limits.

    `signed`, the name of an encoding: activations of both signs, and the path that is chosen by itself.
    """
    x, weights, geometry = operands(shape, images, -128 if signed else 0)  # after ReLU
    operand, kernel = torch.from_numpy(x).float(), torch.from_numpy(weights).float()

    def conv2d() -> torch.Tensor:
        return F.conv2d(operand, kernel, stride=shape.stride, padding=shape.padding, groups=shape.groups)

    paths = available_paths(table.astype(np.int32))
    engines = {path: TableEngine(table, 1, path) for path in (("auto",) if signed else paths)}
    fastest = list(engines)[-1]
    peers: dict[str, Callable[[], object]] = {FLOAT: conv2d}
    if not signed:
        peers["torch gather"] = Gather(x, weights, shape, table)
    if ref:
        peers["EncodingNet"] = Convolution(ref, x, weights, table, shape.stride, shape.padding, shape.groups)
    ours = {path: partial(engine, x, weights, **geometry) for path, engine in engines.items()}
    truths = {"table": int64_sums(x, weights, shape, table), "exact": int64_sums(x, weights, shape, None)}
    right, growth = {}, {}
    limits = {
        path: partial(engine.peak, PEAK, bool(signed)) for path, engine in engines.items() if engine.peak(1, False)
    }
    with torch.inference_mode():
        for name, call in (ours | peers).items():
            right[name] = np.array_equal(np.asarray(call()), truths["exact" if name == FLOAT else "table"])
            growth[name] = peak_growth(call)
        timed = {f"limit {path}": call for path, call in limits.items()}
        rates = calls_per_second(ours | peers | timed, effort, time.process_time)
    gmacs = {name: rates[name] * shape.macs(images) / 1e9 for name in ours | peers}
    own = engines[fastest].workspace_bytes(x.shape, weights.shape, **geometry) + truths["table"].size * 4
    rows = []
    for path in engines:
        case = f"{shape.name}, {signed} signed, {path}" if signed else f"{shape.name}, {path}"
        for peer in peers if path == fastest else (FLOAT,):
            note = ""
            if path == fastest and growth[peer] and not signed:
                note = f"{shape.name}: {own / 1e6:.1f} MB of memory for a call, the peer {growth[peer] / 1e6:.1f}"
            agrees = right[path] and right[peer]
            rows.append(Row("emulate", case, peer, gmacs[path], gmacs[peer], "GMAC/s", agrees, note))
        if path in limits:
            limit = rates[f"limit {path}"] * limits[path]() / 1e9
            rows.append(Row("emulate", case, LIMIT, gmacs[path], limit, "GMAC/s", right[path]))
    return rows
