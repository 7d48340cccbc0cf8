"""Images per second of a training step with encoded products, one thread, beside float steps of the same network.

A step is forward, cross entropy and gradients of ResNet-20 on images of CIFAR's size: ours with the products of an
encoding or exact ones (models/train/integer.py), the peer's with torch's layers in float32 or, as `make train`
may, in bfloat16. Results are compared first: every layer's sums with int64 arithmetic and its gradients with those
of a float64 convolution of the same codes, on what the layer meets in the network. Seconds are those that the process
computed, without waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.timing import Effort, Row, calls_per_second
from models.emulate import exact_table
from models.emulate.modules import TrainingTable, table_sums
from models.encoding import load_encoding
from models.networks import network_spec
from models.quant.checkpoint import load_network
from models.quant.graph import Conv
from models.train.integer import TrainableLayer, TrainableNetwork

NETWORK, ENCODINGS = "resnet20_cifar10", ("m14p", "exact64")
COMPARED = 2  # images
GRADIENT = 0.02  # of the largest one: gradients are taken in bfloat16, which has eight bits
MOST = 3.0  # float steps that a step with encoded products may take


def int64_sums(x: Tensor, weights: Tensor, table: np.ndarray, stride: tuple, padding: tuple, groups: int) -> Tensor:
    """Sums of products of `table`, code by code: int64 [N, O, H', W']."""
    n, o, kernel = len(x), len(weights), tuple(weights.shape[2:])
    taps = F.unfold(x.float(), kernel, padding=padding, stride=stride).long()  # zeros around it are codes as well
    products = torch.from_numpy(table.astype(np.int64))
    size = [(s + 2 * p - k) // t + 1 for s, p, k, t in zip(x.shape[2:], padding, kernel, stride, strict=True)]
    grouped = taps.view(n, groups, 1, -1, taps.shape[-1]) + 128
    codes = weights.long().view(1, groups, o // groups, -1, 1) + 128
    return products[grouped, codes].sum(3).view(n, o, *size)


def agrees(layer: TrainableLayer, x: Tensor, table: np.ndarray) -> bool:
    """True if sums and gradients of a layer for its input `x` are right."""
    node, flat = layer.node, x.ndim == 2
    x = (x[:, :, None, None] if flat else x).detach().requires_grad_()
    weights = layer.levels(layer.weight.detach())[0].requires_grad_()
    shape = (node.stride, node.padding[::2], node.groups) if isinstance(node, Conv) else ((1, 1), (0, 0), 1)
    sums = table_sums(x, weights, layer.products, *shape)
    pull = torch.from_numpy(np.random.default_rng(1).standard_normal(sums.shape).astype(np.float32))
    found = torch.autograd.grad((sums * pull).sum(), (x, weights))
    a, w = (v.detach().double().requires_grad_() for v in (x, weights))
    exact = F.conv2d(a, w, None, shape[0], tuple(shape[1]), 1, shape[2])
    wanted = torch.autograd.grad((exact * pull.double()).sum(), (a, w))
    near = all(
        float((f - w).abs().max()) <= GRADIENT * float(w.abs().max()) for f, w in zip(found, wanted, strict=True)
    )
    return near and torch.equal(sums.long(), int64_sums(x.detach(), weights.detach(), table, *shape))


def checked(model: TrainableNetwork, codes: Tensor, table: np.ndarray) -> bool:
    """True if all layers of `model` are right for what they meet with input `codes`."""
    met: list[tuple[TrainableLayer, Tensor]] = []
    hooks = [layer.register_forward_pre_hook(lambda m, x: met.append((m, x[0]))) for layer in model.layers.values()]
    with torch.no_grad():
        model(codes)
    for hook in hooks:
        hook.remove()
    return len(met) == len(model.layers) and all(agrees(layer, x, table) for layer, x in met)


def step_of(forward: Callable[[], Tensor], parameters: list, labels: Tensor) -> Callable[[], None]:
    """A step: loss of `forward` and the gradients of `parameters`."""

    def step() -> None:
        for parameter in parameters:
            parameter.grad = None
        F.cross_entropy(forward(), labels).backward()

    return step


def run(effort: Effort, size: int) -> list[Row]:
    """Rows of every encoding against both peers, in batches of `size` images."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    base, spec = load_network(NETWORK), network_spec(NETWORK)
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (size, 3, 32, 32)).astype(np.uint8)
    codes = torch.from_numpy(base.quantise_input(images))
    labels = torch.from_numpy(rng.integers(0, 10, size))
    scaled = torch.from_numpy((images / 128 - 1).astype(np.float32)).to(memory_format=torch.channels_last)
    plain = spec.build().train()
    for parameter in plain.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def half() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return plain(scaled)

    peers = {"torch float32": lambda: plain(scaled), "torch bfloat16": half}
    steps = {name: step_of(forward, list(plain.parameters()), labels) for name, forward in peers.items()}
    right = {}
    for name in ENCODINGS:
        table = load_encoding(name).product_table if name != "exact64" else exact_table()
        model = TrainableNetwork(base, TrainingTable(table, threads=1))
        right[name] = checked(model, codes[:COMPARED], table)
        steps[name] = step_of(partial(model, codes), list(model.parameters()), labels)
    rates = calls_per_second(steps, effort, time.process_time)
    rows = []
    for name in ENCODINGS:
        case = f"step of ResNet-20, {name}, batch {size}"
        for peer in peers:
            slow = rates[peer] / rates[name]
            note = f"{case}: {slow:.2f} float steps, more than {MOST:g}" if slow > MOST else ""
            rows.append(Row("train", case, peer, rates[name] * size, rates[peer] * size, "images/s", right[name], note))
    return rows
