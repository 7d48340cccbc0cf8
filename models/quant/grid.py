"""Activations of fewer bits: networks whose layers read multiples of 2**bits, rounded where they are made.

An array that does not read the lowest bits of an activation would cut them off. It costs nothing to round them in
the requantiser instead: a shift of some bits more, clamp and zero point on the coarser scale, and the result's low
bits are zeros (models.quant.arith.requantise). So every tensor that a convolution or linear layer reads is made on
the grid: by its requantiser, addition, average or table, or the quantisation of the image (what
a runtime computed is rounded after it). Padding has the nearest
multiple to its zero point.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from common.errors import UserError
from models.multiplier import Products
from models.quant.arith import MAX_SHIFT, MIN_SHIFT
from models.quant.checkpoint import MAX_GRID
from models.quant.graph import INPUT, Conv, QuantNetwork
from models.quant.nodes import Add, Flatten, Lookup, Pad, Pixels, Pool, Requant, Rows, Spread, SubsamplePad, TfliteAdd
from models.quant.runtime import Runtime


def ignored_bits(products: Products) -> int:
    """Lowest bits of an activation that an array with these products does not read, 0..MAX_GRID."""
    activations, table = np.arange(-128, 128), products.array_table
    bits = 0
    while bits < MAX_GRID and np.array_equal(table, table[(activations & -2 << bits) + 128]):
        bits += 1
    return bits


def on_grid(network: QuantNetwork, bits: int) -> QuantNetwork:
    """`network` with activations that are multiples of 2**bits wherever a layer multiplies them."""
    if not 0 <= bits <= MAX_GRID:
        raise UserError(f"activations without their lowest {bits} bits; 0..{MAX_GRID} can be left out")
    if not bits:
        return network
    wanted = {node.source for node in network.mac_nodes}
    changed = {}
    for node in reversed(network.nodes):
        new = node
        if isinstance(node, Conv):
            new = replace(new, input_zero_point=_nearest(node.input_zero_point, bits))
        if node.name in wanted:
            if isinstance(node, SubsamplePad | Flatten | Pixels | Rows) or (
                isinstance(node, Pool) and node.reduction == "max"
            ):
                wanted.update(node.sources)  # what they pass on
            elif isinstance(node, Pad | Spread):
                new = replace(new, value=_nearest(node.value, bits))
                wanted.update(node.sources)
            elif isinstance(node, Lookup):
                new = replace(new, table=np.array([_nearest(int(v), bits) for v in node.table], np.int8))
            elif isinstance(node, Add | TfliteAdd | Pool | Runtime):
                new = replace(new, grid=bits)
            elif node.requant is not None:
                new = replace(new, requant=_coarser(node.requant, bits))
        if new is not node:
            changed[node.name] = new
    return replace(network.with_nodes(changed), input_grid=bits if INPUT in wanted else 0)


def _coarser(requant: Requant, bits: int) -> Requant:
    """`requant` with results that are multiples of 2**bits; where the shift would leave 64 bits, every sum is 0."""
    none = requant.shift + bits > MAX_SHIFT
    multiplier, shift = (np.where(none, v, o) for v, o in ((0, requant.multiplier), (MIN_SHIFT, requant.shift)))
    return replace(requant, multiplier=multiplier.astype(np.int32), shift=shift.astype(np.int32), grid=bits)


def _nearest(value: int, bits: int) -> int:
    """The multiple of 2**bits nearest to an int8 value, in int8."""
    step = 1 << bits
    return min((value + step // 2) // step * step, 128 - step)
