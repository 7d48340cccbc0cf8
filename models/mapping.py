"""How a layer lies on an array of R x C: which weight stands where, which activation goes into which row.

A column computes one output channel at one place of a window of `window` = (height, width) neighbouring
output pixels; an activation vector holds the input pixels of one such window. `pack` groups of a grouped
convolution stand side by side. `window` (1, 1) and `pack` 1 is im2col, one pixel a vector, one group a
tile. A depthwise layer then uses 9 rows and 1 column; with windows and packing its few weights fill more
of the array, each several times. Elsewhere a column's weights are 0.

A row whose weight is 0 adds table[a, 0]. Where that is not 0 (encodings whose products are only about
0 there), whoever adds up tiles takes it off: the activations of unused rows are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from common.errors import UserError
from models.replay import Layer

WIDEST_WINDOW = 16


@dataclass(frozen=True)
class Timing:
    """Clock cycles of tiles that follow each other without a pause.

    A tile of V vectors starts max(V, `least`) cycles after the one before: weights of the next come in
    meanwhile. `fill` cycles pass besides before the first vector goes in and after the last one did.
    """

    least: int
    fill: int

    def cycles(self, tiles: int, vectors: int) -> int:
        """Of `tiles` tiles of `vectors` vectors each."""
        return self.fill + vectors + (tiles - 1) * max(vectors, self.least) if tiles else 0


@dataclass(frozen=True)
class ColumnSet:
    """Columns that are in the array at the same time, and all rows that they need.

    Column c is output channel `channels[c]` at `places[c]` (y, x) of the window; row k is input channel
    `taps[k, 0]` at `taps[k, 1:]` (y, x) of the window's input pixels.
    """

    index: int
    channels: np.ndarray
    places: np.ndarray
    taps: np.ndarray


@dataclass(frozen=True)
class MappedTiles:
    """Loads of a column set, one after the other: `weights` int8 [K tiles, R, C], `used` bool of the same shape,
    where a weight of the layer stands."""

    column_set: ColumnSet
    weights: np.ndarray
    used: np.ndarray

    def rows_used(self, k: int) -> int:
        """Rows of tile `k` that are real."""
        rows = self.weights.shape[1]
        return min(len(self.column_set.taps) - k * rows, rows)


@dataclass(frozen=True)
class Mapping:
    """A layer on an array of `rows` x `columns`; see the module's text."""

    layer: Layer
    rows: int
    columns: int
    pack: int = 1
    window: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise UserError(f"an array of {self.rows} x {self.columns} holds nothing; both must be at least 1")
        if not 1 <= self.pack <= self.layer.groups or min(self.window) < 1:
            raise UserError(f"layer {self.layer.name}: no mapping of {self.pack} groups, window {self.window}")

    @property
    def name(self) -> str:
        """As reports call it."""
        return f"{self.pack} x {self.window[0]}x{self.window[1]}"

    @property
    def windows(self) -> tuple[int, int]:
        """Windows that cover the output, down and across; the last ones may stand over its edge."""
        height, width = self.layer.size
        return -(-height // self.window[0]), -(-width // self.window[1])

    @property
    def vectors(self) -> int:
        """Activation vectors of a tile and an image."""
        return self.windows[0] * self.windows[1]

    @property
    def _bundle_columns(self) -> int:
        """Columns of `pack` groups."""
        return self.pack * self.layer.group_outputs * self.window[0] * self.window[1]

    @cached_property
    def _bundle_sets(self) -> int:
        """Column sets of `pack` groups."""
        return -(-self._bundle_columns // self.columns)

    @property
    def sets(self) -> int:
        """Number of column sets."""
        full, rest = divmod(self.layer.groups, self.pack)
        last = -(-rest * self._bundle_columns // self.pack // self.columns)
        return full * self._bundle_sets + last

    def column_set(self, index: int) -> ColumnSet:
        """One of them: the columns of a bundle of groups, channel by channel, cut every `columns`."""
        layer, (height, width) = self.layer, self.window
        if not 0 <= index < self.sets:
            raise UserError(f"layer {layer.name} has {self.sets} sets of columns, none with number {index}")
        bundle, part = divmod(index, self._bundle_sets)
        first = bundle * self.pack
        groups = min(self.pack, layer.groups - first)
        count = groups * layer.group_outputs * height * width
        flat = np.arange(part * self.columns, min((part + 1) * self.columns, count))
        channel, place = np.divmod(flat, height * width)
        channels = first * layer.group_outputs + channel
        places = np.stack(np.divmod(place, width), axis=1)
        return ColumnSet(index, channels, places, self._taps(channels, places))

    def _taps(self, channels: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Input pixels that any of the columns needs, [K, 3], sorted."""
        layer, groups = self.layer, channels // self.layer.group_outputs
        (step_y, step_x), (kernel_y, kernel_x) = layer.stride, layer.kernel
        ky, kx = (k.ravel() for k in np.indices(layer.kernel))
        found, inputs = [], np.arange(layer.group_inputs)
        for group in range(int(groups[0]), int(groups[-1]) + 1):
            own = places[groups == group]
            seen = np.zeros((own[:, 0].max() * step_y + kernel_y, own[:, 1].max() * step_x + kernel_x), bool)
            seen[own[:, 0, None] * step_y + ky, own[:, 1, None] * step_x + kx] = True
            pixels = np.argwhere(seen)
            taps = np.empty((len(inputs), len(pixels), 3), np.int64)
            taps[..., 0], taps[..., 1:] = group * layer.group_inputs + inputs[:, None], pixels
            found.append(taps.reshape(-1, 3))
        return np.concatenate(found)

    def tiles(self, column_set: ColumnSet) -> MappedTiles:
        """Tiles of a set; their results add up to its sums."""
        layer, taps, channels = self.layer, column_set.taps, column_set.channels
        count = self.k_tiles(column_set)
        weights = np.zeros((count * self.rows, self.columns), np.int8)
        used = np.zeros((count * self.rows, self.columns), bool)
        some = slice(len(taps)), slice(len(channels))
        if self.window == (1, 1) and channels[0] // layer.group_outputs == channels[-1] // layer.group_outputs:
            weights[some], used[some] = (
                layer.weights[channels].reshape(len(channels), -1).T,
                True,
            )  # all of them, in order
        else:
            same = taps[:, 0, None] // layer.group_inputs == channels // layer.group_outputs
            ky = taps[:, 1, None] - column_set.places[:, 0] * layer.stride[0]
            kx = taps[:, 2, None] - column_set.places[:, 1] * layer.stride[1]
            inside = same & (ky >= 0) & (ky < layer.kernel[0]) & (kx >= 0) & (kx < layer.kernel[1])
            r, c = np.nonzero(inside)
            weights[r, c] = layer.weights[channels[c], taps[r, 0] % layer.group_inputs, ky[r, c], kx[r, c]]
            used[some] = inside
        shape = count, self.rows, self.columns
        return MappedTiles(column_set, weights.reshape(shape), used.reshape(shape))

    def k_tiles(self, column_set: ColumnSet) -> int:
        """Tiles of a set."""
        return -(-len(column_set.taps) // self.rows)

    @cached_property
    def tile_counts(self) -> np.ndarray:
        """K tiles of every set, int [sets]; bundles are alike, but for the last."""
        alike = self.layer.groups // self.pack * self._bundle_sets
        first = [self.k_tiles(self.column_set(i)) for i in range(min(self._bundle_sets, self.sets))]
        last = [self.k_tiles(self.column_set(i)) for i in range(alike, self.sets)]
        return np.array([first[i % self._bundle_sets] for i in range(alike)] + last, np.int64)

    @cached_property
    def tile_kinds(self) -> np.ndarray:
        """Kind of every tile, set by set, int [tiles]: +1 if it is the last of its set (rows may be left
        over), +2 if the set is the last of its groups (columns may be left over)."""
        sets = np.arange(self.sets)
        last_set = (sets % self._bundle_sets == self._bundle_sets - 1) | (sets == self.sets - 1)
        last_tile = np.zeros(int(self.tile_counts.sum()), int)
        last_tile[np.cumsum(self.tile_counts) - 1] = 1
        return last_tile + 2 * np.repeat(last_set, self.tile_counts)

    def macs(self, columns: ColumnSet, used: np.ndarray, down: tuple[int, int] | None = None) -> int:
        """Products of the layer that tiles with weights where `used` [tiles, R, C] says make of one image, without
        those of pixels over the edge."""
        first, end = down or (0, self.windows[0])
        limits = min(end * self.window[0], self.layer.size[0]) - first * self.window[0], self.layer.size[1]
        inside = [
            -(-(limit - place) // step)
            for limit, place, step in zip(limits, columns.places.T, self.window, strict=True)
        ]
        pixels = np.maximum(inside[0], 0) * np.maximum(inside[1], 0)
        return int(used.sum(axis=(0, 1))[: len(pixels)] @ pixels)

    def padded(self, inputs: np.ndarray) -> np.ndarray:
        """`inputs` with padding, and as many pixels more as windows stand over the edge."""
        layer = self.layer
        top, bottom, left, right = layer.padding
        spans = [
            (count * step - 1) * stride + kernel
            for count, step, stride, kernel in zip(self.windows, self.window, layer.stride, layer.kernel, strict=True)
        ]
        bottom = max(bottom, spans[0] - inputs.shape[2] - top)
        right = max(right, spans[1] - inputs.shape[3] - left)
        around = ((0, 0), (0, 0), (top, bottom), (left, right))
        return np.pad(inputs, around, constant_values=layer.pad_value)

    def activations(self, padded: np.ndarray, taps: np.ndarray, down: tuple[int, int] | None = None) -> np.ndarray:
        """Vectors int8 [tiles, images * windows, R] of tiles whose rows are `taps` [K, 3] of a column set, from what
        `padded` gave; images in order, row-major. `down` limits them to some rows of windows."""
        first, end = down or (0, self.windows[0])
        step_y, step_x = (w * s for w, s in zip(self.window, self.layer.stride, strict=True))
        image, channel, y, x = padded.strides
        _, channels, height, width = padded.shape
        across = self.windows[1]
        seen = np.lib.stride_tricks.as_strided(  # of a channel and a pixel of the first window: that pixel of all
            padded[:, :, first * step_y :],
            (channels, height - (end - 1) * step_y, width - (across - 1) * step_x, len(padded), end - first, across),
            (channel, y, x, image, step_y * y, step_x * x),
            writeable=False,
        )
        count = -(-len(taps) // self.rows)
        found = np.zeros((count * self.rows, len(padded), end - first, across), np.int8)
        found[: len(taps)] = seen[taps[:, 0], taps[:, 1], taps[:, 2]]
        return np.ascontiguousarray(found.reshape(count, self.rows, -1).transpose(0, 2, 1))

    def blank(self, images: int, dtype: np.dtype) -> np.ndarray:
        """Zeros for `place`: [images, O, windows down, window's rows, windows across, window's columns]."""
        (down, across), (height, width) = self.windows, self.window
        return np.zeros((images, len(self.layer.weights), down, height, across, width), dtype)

    def place(
        self, columns: ColumnSet, sums: np.ndarray, output: np.ndarray, down: tuple[int, int] | None = None
    ) -> None:
        """Put a set's `sums` [images * windows, columns used] where they belong in `output`, which `blank` made."""
        first, end = down or (0, self.windows[0])
        maps = sums.reshape(len(output), end - first, self.windows[1], -1)
        output[:, columns.channels, first:end, columns.places[:, 0], :, columns.places[:, 1]] = maps.transpose(
            3, 0, 1, 2
        )

    def whole(self, output: np.ndarray) -> np.ndarray:
        """What was placed in `output`, as [images, O, H', W']: without what windows have over the edge."""
        images, channels, down, height, across, width = output.shape
        maps = output.reshape(images, channels, down * height, across * width)
        return np.ascontiguousarray(maps[:, :, : self.layer.size[0], : self.layer.size[1]])

    def pixel(self, vector: int, place: np.ndarray, down: tuple[int, int] | None = None) -> tuple[int, int, int]:
        """(image, y, x) of the output that a column at `place` computes for a vector."""
        first, end = down or (0, self.windows[0])
        image, window = divmod(vector, (end - first) * self.windows[1])
        row, across = divmod(window, self.windows[1])
        return image, int((row + first) * self.window[0] + place[0]), int(across * self.window[1] + place[1])


def naive(layer: Layer, rows: int, columns: int) -> Mapping:
    """One output pixel a vector, one group a tile."""
    return Mapping(layer, rows, columns)


def best(layer: Layer, rows: int, columns: int, timing: Timing, images: int = 1) -> Mapping:
    """The mapping that takes the fewest cycles; the simplest of equals."""
    height, width = layer.size
    inputs, outputs = layer.group_inputs, layer.group_outputs
    chosen, least = naive(layer, rows, columns), None
    for h in range(1, min(height, WIDEST_WINDOW) + 1):
        for w in range(1, min(width, WIDEST_WINDOW) + 1):
            pixels = [(n - 1) * s + k for n, s, k in zip((h, w), layer.stride, layer.kernel, strict=True)]
            taps = inputs * pixels[0] * pixels[1]
            if h * w > columns or (h * w > 1 and taps > 16 * rows):
                continue
            fitting = min(rows // taps, columns // (outputs * h * w), layer.groups)
            vectors = images * -(-height // h) * -(-width // w)
            for pack in {1, fitting} - {0}:
                sets = -(-layer.groups // pack) * -(-pack * outputs * h * w // columns)
                cycles = timing.cycles(sets * -(-pack * taps // rows), vectors)
                if least is None or (cycles, h * w, pack) < least:
                    chosen, least = Mapping(layer, rows, columns, pack, (h, w)), (cycles, h * w, pack)
    return chosen
