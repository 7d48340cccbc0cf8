"""A network whose sums of products come from a column's netlist, tile by tile, each compared with the golden model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.errors import UserError
from flows.gls import column_model
from flows.synth.netlist import Design
from flows.words.column import LANES, Column, run
from models.emulate import TableEngine
from models.emulate.operands import output_size
from models.encoding import load_encoding
from models.hardware import ColumnModel

STEPS = 64  # of activation vectors at a time: their operands stay in a cache


@dataclass
class Layer:
    """A convolution of up to 512 images, cut into blocks as an array has them: `x` int8 [C, H, W, 512], padded."""

    x: np.ndarray
    weights: np.ndarray
    stride: tuple[int, int]
    size: tuple[int, int]

    def rows(self, k0: int, count: int, first: int, end: int) -> np.ndarray:
        """Activations int8 [count, pixels, 512] of window positions `k0` on, for output rows `first` to `end`."""
        _, kh, kw = self.weights.shape[1:]
        found = np.zeros((count, end - first, self.size[1], LANES), np.int8)
        for r in range(min(count, self.weights[0].size - k0)):
            channel, place = divmod(k0 + r, kh * kw)
            top, left = place // kw + first * self.stride[0], place % kw
            rows = self.x[channel, top : top + (end - first - 1) * self.stride[0] + 1 : self.stride[0]]
            found[r] = rows[:, left : left + (self.size[1] - 1) * self.stride[1] + 1 : self.stride[1]]
        return found.reshape(count, -1, LANES)


class GateEngine:
    """Engine (see models.quant.graph) whose sums are those of a netlist: one tile of a column after the other.

    `matches` and `wrong` count results of columns, each the sum of a tile for one activation vector, that agree with
    the golden model's and that do not; `macs` products of the network, rows that a layer leaves unused not counted.
    """

    def __init__(self, column: Column, threads: int = 1) -> None:
        self.column = column
        model = column.model
        table, f_table = tables(model)
        self._golden = TableEngine(table, threads)
        self._f_golden = TableEngine(f_table, threads) if f_table.any() else None
        self._unused = int(table[128, 128] + f_table[128, 0])
        self._held: dict[bytes, np.ndarray] = {}
        self.matches = self.wrong = self.macs = 0

    def __call__(
        self,
        x: np.ndarray,
        weights: np.ndarray,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
        pad_value: int = 0,
    ) -> np.ndarray:
        """int32 [N, O, H', W'] of int8 `x` [N, C, H, W] and `weights` [O, C / groups, kh, kw]."""
        if len(x) > LANES:
            parts = [x[i : i + LANES] for i in range(0, len(x), LANES)]
            return np.concatenate([self(p, weights, stride, padding, groups, pad_value) for p in parts])
        size = output_size(x, weights, stride, padding, groups, pad_value)
        top, bottom, left, right = padding
        channels, outputs = x.shape[1] // groups, len(weights) // groups
        padded = np.full((x.shape[1], x.shape[2] + top + bottom, x.shape[3] + left + right, LANES), pad_value, np.int8)
        padded[:, top : top + x.shape[2], left : left + x.shape[3], : len(x)] = x.transpose(1, 2, 3, 0)
        found = np.empty((len(weights), *size, LANES), np.int32)
        for g in range(groups):
            mine = slice(g * outputs, (g + 1) * outputs)
            layer = Layer(padded[g * channels : (g + 1) * channels], weights[mine], stride, size)
            self._layer(layer, found[mine], len(x))
        self.macs += len(x) * found[..., 0].size * weights[0].size
        return np.ascontiguousarray(found[..., : len(x)].transpose(3, 0, 1, 2))

    def _layer(self, layer: Layer, found: np.ndarray, images: int) -> None:
        """Sums int32 [N, H', W', 512] of a layer."""
        rows, depth = self.column.rows, layer.weights[0].size
        together = max(1, STEPS // layer.size[1])
        for k0 in range(0, depth, rows):
            tiles = tile_weights(layer.weights, k0, rows, self.column.columns)
            held = self._loaded(tiles)
            for first in range(0, layer.size[0], together):
                end = min(first + together, layer.size[0])
                sums = self._block(layer.rows(k0, rows, first, end), tiles, held, images)[: len(found)]
                part = sums.reshape(len(found), end - first, *found.shape[2:])
                if k0:
                    found[:, first:end] += part
                else:
                    found[:, first:end] = part
        if spare := -depth % rows:
            found -= spare * self._unused

    def _loaded(self, tiles: np.ndarray) -> np.ndarray:
        key = tiles.tobytes()
        if key not in self._held:
            self._held[key] = self.column.load(tiles)
        return self._held[key]

    def _block(self, activations: np.ndarray, tiles: np.ndarray, held: np.ndarray, images: int) -> np.ndarray:
        """Sums int32 [N, pixels, 512] of one block of rows, those of the netlist."""
        column = self.column
        expected, f_sums = self.golden(activations, tiles)
        found = run(
            column.code,
            column.operands(activations, f_sums),
            column.places,
            held,
            columns=column.columns,
            expected=expected,
            lanes=images,
            sums=True,
        )
        self.wrong += found.wrong
        self.matches += expected[..., 0].size * images - found.wrong
        return found.sums.reshape(-1, *activations.shape[1:])

    def golden(self, activations: np.ndarray, tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """What the golden model gives: sums int32 [tiles, columns, pixels, 512], and those of f(a) in them."""
        count, rows, columns = tiles.shape
        weights = tiles.transpose(0, 2, 1).reshape(count * columns, rows, 1, 1)
        expected = self._golden(activations[None], weights)[0]
        f_sums = None
        if self._f_golden:
            f_sums = self._f_golden(activations[None], np.zeros((1, rows, 1, 1), np.int8))[0, 0]
            expected += f_sums
        return expected.reshape(count, columns, *activations.shape[1:]), f_sums


def tables(model: ColumnModel) -> tuple[np.ndarray, np.ndarray]:
    """What a row adds to its column, and through f(a): int32 [256, 256] each, index [a + 128, w + 128]."""
    if model.encoding and model.shared:
        return model.encoding.array_table - model.encoding.column_table, np.zeros((256, 256), np.int32)
    if model.encoding:
        return model.encoding.column_table, model.encoding.array_table - model.encoding.column_table
    exact = load_encoding(f"w{model.weight_bits}a{model.activation_bits}").product_table
    return exact, np.zeros_like(exact)


def tile_weights(weights: np.ndarray, k0: int, rows: int, columns: int) -> np.ndarray:
    """Tiles int8 [tiles, R, C] of a layer's weights int8 [O, ...], window positions `k0` on; unused ones are 0."""
    matrix = weights.reshape(len(weights), -1)[:, k0 : k0 + rows]
    count = -(-len(weights) // columns)
    padded = np.zeros((count * columns, rows), np.int8)
    padded[: len(weights), : matrix.shape[1]] = matrix
    return np.ascontiguousarray(padded.reshape(count, columns, rows).transpose(0, 2, 1))


def check_design(design: Design) -> None:
    """UserError for a design whose netlist would be refused: told before one is made."""
    if column_model(design).pairs:
        raise UserError(f"{design.name}: a fast inner product of pairs of rows is not run as words; leave EXACT=1 out")
    if dict(design.parameters).get("GateZeros"):
        raise UserError(f"{design.name}: registers that hold depend on earlier vectors; leave ZEROS=1 out")


def check_netlist(column: Column) -> None:
    """UserError for what a whole network cannot be run on."""
    if column.code.program.holds:
        raise UserError(f"{column.design.label}: registers that hold depend on earlier vectors; leave ZEROS=1 out")
