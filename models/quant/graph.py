"""Integer networks: a list of typed nodes, each an exact function of int8 tensors.

Tensors are int8 [N, C, H, W] (or [N, C] after pooling), real value = scale * (q - zero_point). What an
activation's zero point adds to a sum, -zero_point times the sum of the weights, is a constant and part of
the bias; padding has the zero point's code. A node reads the tensors that earlier nodes made, named after
them; "input" is the quantised image. Only convolutions and linear layers multiply activations by weights: they go
through an engine, exact (`models.emulate.ExactEngine`) or with the products of an encoding
(`models.emulate.TableEngine`), and nothing else in the network changes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from tqdm import tqdm

from common.errors import UserError, unknown
from models.quant.arith import INT8_MAX, INT8_MIN, round_half_even
from models.quant.nodes import PlainNode, Requant
from models.quant.runtime import Runtime

INPUT = "input"
BATCH_PIXELS = 40 * 32 * 32  # of the images that run at once


class Engine(Protocol):
    """Sum of products over a window, the only operation with multiplications.

    `x` int8 [N, C, H, W], `weights` int8 [O, C / groups, kh, kw], `padding` (top, bottom, left,
    right) pixels of value `pad_value`. Returns int32 [N, O, H', W'], no bias added.
    """

    def __call__(
        self,
        x: np.ndarray,
        weights: np.ndarray,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
        pad_value: int = 0,
    ) -> np.ndarray: ...


@dataclass(frozen=True)
class Conv:
    """Convolution, bias, requantisation; ReLU is the clamp at lo = zero point.

    Without `requant` the result is the int32 sums.

    `weights` int8 [O, I / groups, kh, kw], `bias` int32 [O] in units of one product,
    `weight_scale` float64 [O], `padding` (top, bottom, left, right).
    """

    name: str
    source: str
    weights: np.ndarray
    bias: np.ndarray
    requant: Requant | None
    weight_scale: np.ndarray
    output_scale: float
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    input_zero_point: int = 0

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.source,)

    def accumulate(self, x: np.ndarray, engine: Engine) -> np.ndarray:
        """int32 [N, O, H', W']: sums of products plus bias."""
        acc = engine(x, self.weights, self.stride, self.padding, self.groups, self.input_zero_point)
        acc += self.bias[:, None, None]
        return acc

    def __call__(self, x: np.ndarray, engine: Engine) -> np.ndarray:
        """int8 (int32 sums without `requant`) [N, O, H', W'] of int8 [N, I, H, W]."""
        acc = self.accumulate(x, engine)
        return self.requant(acc) if self.requant else acc


@dataclass(frozen=True)
class Linear:
    """Fully connected layer. `weights` int8 [O, I], `bias` int32 [O].

    Without `requant` the result is the int32 sums; real value = `output_scale` * sum, one scale for
    all outputs, so that the largest sum is the class.
    """

    name: str
    source: str
    weights: np.ndarray
    bias: np.ndarray
    requant: Requant | None
    weight_scale: np.ndarray
    output_scale: float
    input_zero_point: int = 0

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.source,)

    def accumulate(self, x: np.ndarray, engine: Engine) -> np.ndarray:
        """int32 [N, O]: sums of products plus bias."""
        if x.ndim != 2 or x.shape[1] != self.weights.shape[1]:
            raise UserError(
                f"layer {self.name} takes {self.weights.shape[1]} values an image, not {x.shape[1:]}; "
                "give images of the size that the network was made for"
            )
        return engine(x[:, :, None, None], self.weights[:, :, None, None])[:, :, 0, 0] + self.bias

    def __call__(self, x: np.ndarray, engine: Engine) -> np.ndarray:
        """int32 [N, O] of int8 [N, I], or int8 if the layer is requantised."""
        acc = self.accumulate(x, engine)
        return self.requant(acc) if self.requant else acc


MacNode = Conv | Linear
Node = MacNode | PlainNode | Runtime
Observer = Callable[[MacNode, np.ndarray], None]


@dataclass(frozen=True)
class QuantNetwork:
    """An int8 network: nodes in order of execution, the last one gives the result.

    `mean`, `std` normalise an image scaled to 0..1; `provenance` says where the weights come from
    and what they scored. `sha256` is that of the checkpoint file it was read from ("" if none). Codes of the
    input are multiples of 2**input_grid.
    """

    name: str
    dataset: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_scale: float
    nodes: tuple[Node, ...]
    provenance: dict = field(default_factory=dict)
    sha256: str = ""
    input_zero_point: int = 0
    first_class: int = 0
    input_grid: int = 0

    @property
    def mac_nodes(self) -> tuple[MacNode, ...]:
        """Convolutions and linear layers, in order."""
        return tuple(n for n in self.nodes if isinstance(n, Conv | Linear))

    def node(self, name: str) -> MacNode:
        """The convolution or linear layer called `name`."""
        for node in self.mac_nodes:
            if node.name == name:
                return node
        raise unknown(f"layer of {self.name}", name, [n.name for n in self.mac_nodes])

    def with_nodes(self, changed: dict[str, Node]) -> QuantNetwork:
        """A copy in which the nodes named in `changed` are replaced."""
        return replace(self, nodes=tuple(changed.get(n.name, n) for n in self.nodes), sha256="")

    def quantise_input(self, images: np.ndarray) -> np.ndarray:
        """int8 codes of uint8 images [N, C, H, W], or of any features [N, ...] where there is one mean for all."""
        channels = len(self.mean)
        if images.dtype != np.uint8 or images.ndim < 2 or (channels > 1 and images.shape[1] != channels):
            raise UserError(
                f"network {self.name} takes uint8 images [N, {channels}, ...], not {images.dtype} {images.shape}"
            )
        levels = (np.arange(256)[None] / 255 - np.array(self.mean)[:, None]) / np.array(self.std)[:, None]
        step = 1 << self.input_grid
        rest = self.input_zero_point % step
        codes = round_half_even((levels / self.input_scale + rest) / step) * step + self.input_zero_point - rest
        codes = np.clip(codes, INT8_MIN, INT8_MAX // step * step).astype(np.int8)
        if channels == 1:
            return codes[0][images]
        return np.stack([codes[c][images[:, c]] for c in range(len(codes))], axis=1)

    def run(self, images: np.ndarray, engine: Engine, observe: Observer | None = None) -> np.ndarray:
        """Result of the last node (int32 logits [N, classes]) for uint8 `images` [N, C, H, W].

        `observe(node, x)` sees the int8 input of each convolution and linear layer.
        """
        return self.run_codes(self.quantise_input(images), engine, observe)

    def run_codes(self, codes: np.ndarray, engine: Engine, observe: Observer | None = None) -> np.ndarray:
        """`run` on an input that is quantised already, int8 [N, C, H, W]."""
        last_use = {s: i for i, node in enumerate(self.nodes) for s in node.sources}
        tensors, result = {INPUT: codes}, codes
        for i, node in enumerate(self.nodes):
            operands = [tensors[s] for s in node.sources]
            if isinstance(node, Conv | Linear):
                if observe:
                    observe(node, operands[0])
                result = node(operands[0], engine)
            else:
                result = node(*operands)
            tensors[node.name] = result
            for name in node.sources:
                if last_use[name] == i:
                    tensors.pop(name, None)
        return result

    def run_batches(
        self,
        images: np.ndarray,
        engine: Engine,
        observe: Observer | None = None,
        batch: int | None = None,
        label: str = "",
        first: int = 0,
    ) -> Iterator[np.ndarray]:
        """`run` in batches, in order, on all processors; a progress bar on a terminal if `label` is given.

        Small batches stay in the caches; a result comes as soon as it is there. With `observe` one batch runs after
        the other. Images before `first` are left out.
        """
        batch = batch or max(1, BATCH_PIXELS // int(np.prod(images.shape[2:])))
        starts = range(first, len(images), batch)
        workers = 1 if observe else len(os.sched_getaffinity(0))
        with ThreadPoolExecutor(workers) as pool:
            results = pool.map(lambda i: self.run(images[i : i + batch], engine, observe), starts)
            yield from tqdm(results, desc=label, total=len(starts), disable=None if label else True, leave=False)

    def top1(self, images: np.ndarray, labels: np.ndarray, engine: Engine, label: str = "") -> float:
        """Fraction of uint8 `images` [N, C, H, W] whose largest logit is at `labels` int [N]."""
        if not len(images) or len(images) != len(labels):
            raise UserError(f"{len(images)} images and {len(labels)} labels; give as many labels as images, at least 1")
        classes = np.concatenate([self.classes(r) for r in self.run_batches(images, engine, label=label)])
        return float((classes == labels).mean())

    def classes(self, result: np.ndarray) -> np.ndarray:
        """int64 [N]: the data set's class with the largest score in `result` [N, scores] of `run`."""
        return result.argmax(axis=1) - self.first_class
