"""Networks for an encoding: the mean error of its products goes into the biases.

An encoding's product P(a, w) errs by a*w - P(a, w). Averaged over the activations that meet a weight
this is a constant of the output channel, and a bias costs no hardware: with p_k(a) the distribution
of the activation at window position k (training images, zero padding included),

    bias[o] += round(sum_k sum_a p_k(a) (a * w[o, k] - P(a, w[o, k])))

What remains is the spread of the error. P is the sum that a row adds to a column, without the
encoding's offset: the offset is a constant too and is part of the correction.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.emulate import TableEngine, exact_table
from models.encoding import Encoding
from models.errors import UserError
from models.quant.graph import Conv, MacNode, QuantNetwork
from models.quant.histogram import JointHistogram, measure

SCOPES = ("tap", "layer", "none")


def expected_error(node: MacNode, taps: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Mean over the inputs of sum_k (a w - table[a, w]), float64 [O], for `taps` [groups * K, 256]."""
    groups = node.groups if isinstance(node, Conv) else 1
    weights = node.weights.reshape(groups, node.weights.shape[0] // groups, -1).astype(np.int64) + 128
    if taps.shape != (groups * weights.shape[2], 256):
        raise UserError(f"layer {node.name}: activation histograms {taps.shape} do not fit; count them on this network")
    share = taps / taps.sum(axis=1, keepdims=True)
    mean = (share @ (exact_table() - table).astype(np.float64)).reshape(groups, -1, 256)
    positions = np.arange(weights.shape[2])
    return np.concatenate([m[positions, w].sum(axis=1) for m, w in zip(mean, weights, strict=True)])


def encoded_network(
    network: QuantNetwork, encoding: Encoding, histogram: JointHistogram | None = None, scope: str = "tap"
) -> QuantNetwork:
    """`network` with biases for `encoding`; run it with `encoding_engine(encoding)`.

    `scope` "tap" uses the activation distribution of every window position, "layer" one for the
    layer; "none" (or no histogram) only accounts for the encoding's offset.
    """
    if scope not in SCOPES:
        raise UserError(f"unknown correction '{scope}'; known: {', '.join(SCOPES)}")
    changed = {}
    for node in network.mac_nodes:
        if histogram is None or scope == "none":
            shift = np.full(len(node.bias), float(encoding.offset * node.weights[0].size))
        else:
            if node.name not in histogram.inputs:
                raise UserError(f"the histogram of {histogram.network} has no layer '{node.name}'; count it again")
            taps = histogram.inputs[node.name]
            if scope == "layer":
                taps = np.broadcast_to(taps.sum(axis=0), taps.shape)
            shift = expected_error(node, taps, encoding.array_table)
        changed[node.name] = replace(node, bias=node.bias + np.rint(shift).astype(np.int32))
    return network.with_nodes(changed)


def encoding_engine(encoding: Encoding, threads: int | None = None, path: str = "auto") -> TableEngine:
    """Engine of what rows with `encoding` add to a column (no offset: that is in the biases)."""
    return TableEngine(encoding.array_table, threads, path)


def corrected_network(
    network: QuantNetwork, encoding: Encoding, images: np.ndarray, rounds: int = 2, scope: str = "tap", label: str = ""
) -> QuantNetwork:
    """`encoded_network` with histograms counted on uint8 training `images` [N, C, H, W].

    Round 1 counts on the exact network; every further one on the encoded network of the round
    before, whose activations are what the correction will really meet.
    """
    result = network
    engine = TableEngine(exact_table())
    for _ in range(rounds):
        result = encoded_network(network, encoding, measure(result, images, engine, label), scope)
        engine = encoding_engine(encoding)
    return result
