"""Layers cut for arrays with windows and packed groups add up to the layer, and keep the array busy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from common.errors import UserError
from models.mapping import Mapping, Timing, best, naive
from models.replay import Layer
from tb.replay.network import Sampling

RNG = np.random.default_rng(3)


def layer(inputs: int, outputs: int, side: int, kernel: int, stride: int, groups: int = 1, images: int = 2) -> Layer:
    """A layer of random operands whose padding is not 0."""
    x = RNG.integers(-128, 128, (images, inputs, side, side - 1)).astype(np.int8)
    weights = RNG.integers(-127, 128, (outputs, inputs // groups, kernel, kernel)).astype(np.int8)
    padding = (kernel // 2,) * 4
    return Layer("c", x, weights, np.zeros(outputs, np.int32), None, (stride, stride), padding, groups, pad_value=-7)


def add_up(mapping: Mapping, down: int = 1) -> np.ndarray:
    """int64 [images, O, H', W'] from all tiles, rows of windows cut in `down` pieces; every product made once."""
    captured = mapping.layer
    output = mapping.blank(len(captured.inputs), np.int64)
    padded, macs, count = mapping.padded(captured.inputs), 0, 0
    edges = np.linspace(0, mapping.windows[0], down + 1).astype(int)
    for rows in itertools.pairwise(edges):
        for index in range(mapping.sets):
            columns = mapping.column_set(index)
            tiles = mapping.tiles(columns)
            assert not tiles.weights[~tiles.used].any()
            vectors = mapping.activations(padded, columns.taps, rows)
            total = (vectors.astype(np.int64) @ tiles.weights.astype(np.int64)).sum(axis=0)
            macs += mapping.macs(columns, tiles.used, rows)
            count += len(tiles.weights)
            assert [tiles.rows_used(k) for k in range(len(vectors))][-1] == len(columns.taps) - (
                len(vectors) - 1
            ) * mapping.rows
            mapping.place(columns, total[:, : len(columns.channels)], output, rows)
    assert macs == captured.macs
    assert count == down * mapping.tile_counts.sum()
    return mapping.whole(output)


SHAPES = [(8, 12, 7, 3, 1, 1), (8, 12, 7, 3, 2, 4), (8, 8, 9, 3, 2, 8), (6, 10, 5, 1, 1, 2), (9, 18, 6, 3, 1, 9)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(16, 4), (7, 5), (64, 64)])
def test_every_mapping_adds_up(shape: tuple, size: tuple[int, int]) -> None:
    captured = layer(*shape)
    images = len(captured.inputs)
    expected = captured.sums().reshape(images, *captured.size, -1).transpose(0, 3, 1, 2)
    pack = min(3, captured.groups)
    for mapping in (
        naive(captured, *size),
        best(captured, *size, Timing(8, 8)),
        Mapping(captured, *size, pack, (2, 3)),
    ):
        for down in {1, min(2, mapping.windows[0])}:
            assert np.array_equal(add_up(mapping, down), expected), mapping.name


# depthwise layers of MobileNetV2 1.0 at 224x224: channels, side, stride
DEPTHWISE = [(32, 112, 1), (96, 112, 2), (144, 56, 1), (144, 56, 2), (192, 28, 1), (192, 28, 2), (384, 14, 1)]
DEPTHWISE += [(576, 14, 1), (576, 14, 2), (960, 7, 1)]


@pytest.mark.parametrize("shape", DEPTHWISE)
def test_depthwise_layers_use_the_array_at_least_four_times_as_well(shape: tuple[int, int, int]) -> None:
    channels, side, stride = shape
    captured = layer(channels, channels, side, 3, stride, groups=channels, images=1)
    timing = Timing(least=75, fill=78)
    cycles = [
        timing.cycles(int(m.tile_counts.sum()), m.vectors)
        for m in (naive(captured, 64, 64), best(captured, 64, 64, timing))
    ]
    assert cycles[0] >= 4 * cycles[1]


def test_impossible_mappings_are_refused() -> None:
    captured = layer(8, 8, 5, 3, 1, groups=8)
    with pytest.raises(UserError, match="holds nothing"):
        naive(captured, 0, 4)
    with pytest.raises(UserError, match="no mapping of 9 groups"):
        Mapping(captured, 64, 64, pack=9)
    with pytest.raises(UserError, match="none with number 99"):
        naive(captured, 64, 64).column_set(99)


@pytest.mark.parametrize("tiles", [1, 10, 57, 1000])
def test_sample_is_as_large_as_its_promise(tiles: int) -> None:
    sampling = Sampling(wrong=0.1, confidence=0.95)
    size, bad = sampling.size(tiles), -(-tiles // 10)
    drawn = sampling.draw("layer", np.zeros(tiles, int))
    assert len(set(drawn.tolist())) == size and drawn.min() >= 0 and drawn.max() < tiles
    assert np.array_equal(drawn, sampling.draw("layer", np.zeros(tiles, int)))

    def missed(count: int) -> float:
        return float(np.prod([max(0, tiles - bad - i) / (tiles - i) for i in range(count)]))

    assert missed(size) <= 0.05 + 1e-12
    assert missed(size - 1) > 0.05


def test_sample_holds_every_kind_of_tile() -> None:
    mapping = naive(layer(40, 10, 5, 3, 1), 16, 8)  # 2 sets of 23 tiles, the last of 8 rows, of 2 columns
    kinds = mapping.tile_kinds
    assert kinds.tolist() == [0] * 22 + [1] + [2] * 22 + [3]
    for seed in range(20):
        drawn = Sampling(wrong=0.5, seed=seed).draw("layer", kinds)
        assert set(kinds[drawn]) == {0, 1, 2, 3} and len(set(drawn)) == len(drawn) < len(kinds)
    grouped = Mapping(layer(8, 8, 5, 3, 1, groups=8), 16, 8, pack=3)
    for kind, (index, k) in zip(
        grouped.tile_kinds, ((s, k) for s in range(grouped.sets) for k in range(grouped.tile_counts[s])), strict=True
    ):
        count = grouped.tile_counts[index]
        assert kind == (k == count - 1) + 2 * True  # all columns of a bundle fit: every set is a last one


def test_sampling_that_promises_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="between 0 and 1"):
        Sampling(wrong=0.0)
