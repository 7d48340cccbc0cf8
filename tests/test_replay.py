"""Tiles cut from captured layers add up to the layer, for any array size."""

from __future__ import annotations

import json

import numpy as np
import pytest

from common.errors import UserError
from models.emulate import ExactEngine
from models.quant.checkpoint import ZOO, pack_header, read_npz, write_npz
from models.quant.graph import Requant
from models.replay import FORMAT, RESNET20_LAYERS, Capture, Layer, load_capture, save_capture, tile_count, tiles

RNG = np.random.default_rng(2)
ARCHIVE = ZOO / "tiles_resnet20_cifar10.npz"


def layer(name="c", groups=1, kernel=(3, 3), stride=(2, 1), padding=(1, 1, 0, 1)) -> Layer:
    inputs = RNG.integers(-128, 128, (3, 8, 7, 6)).astype(np.int8)
    weights = RNG.integers(-127, 128, (12, 8 // groups, *kernel)).astype(np.int8)
    bias = RNG.integers(-5000, 5000, 12).astype(np.int32)
    requant = Requant(np.full(12, 1 << 30, np.int32), np.full(12, 40, np.int32), lo=0)
    return Layer(name, inputs, weights, bias, requant, stride, padding, groups)


def add_up(captured: Layer, rows: int, columns: int, images: int | None = None) -> np.ndarray:
    """Layer result from its tiles: int64 [vectors, O]."""
    total = np.zeros((len(captured.vectors(images)), len(captured.bias)), np.int64) + captured.bias
    for tile in tiles(captured, rows, columns, images):
        assert tile.weights.shape == (rows, columns) and tile.activations.shape[1] == rows
        assert not tile.weights[tile.rows_used :].any() and not tile.weights[:, tile.cols_used :].any()
        assert not tile.activations[:, tile.rows_used :].any()
        product = tile.activations.astype(np.int64) @ tile.weights.astype(np.int64)
        assert not product[:, tile.cols_used :].any()
        total[:, tile.n0 : tile.n0 + tile.cols_used] += product[:, : tile.cols_used]
    return total


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("size", [(1, 1), (16, 4), (7, 5), (64, 64), (72, 12)])
def test_tiles_add_up_to_the_layer(groups, size):
    captured = layer(groups=groups)
    expected = ExactEngine()(captured.inputs, captured.weights, captured.stride, captured.padding, groups)
    expected = expected.transpose(0, 2, 3, 1).reshape(-1, 12) + captured.bias
    assert np.array_equal(captured.sums(), expected)
    assert np.array_equal(add_up(captured, *size), expected)
    assert len(list(tiles(captured, *size))) == tile_count(captured, *size)


def test_fewer_images():
    captured = layer()
    assert np.array_equal(add_up(captured, 16, 16, images=2), captured.sums()[: 2 * len(captured.sums()) // 3])


def test_archive_round_trip(tmp_path):
    one, two = layer("one"), layer("two", groups=2)
    save_capture(Capture("net", "abc", {"one": one, "two": two}, {"seed": 1}), tmp_path / "t.npz")
    again = load_capture(tmp_path / "t.npz")
    assert again.network_sha256 == "abc" and again.provenance == {"seed": 1}
    assert np.array_equal(again.layer("two").sums(), two.sums())
    assert np.array_equal(again.layer("one").requant(two.sums()), one.requant(two.sums()))
    with pytest.raises(UserError, match="unknown layer of .* 'three'"):
        again.layer("three")


def test_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "t.npz"
    save_capture(Capture("net", "abc", {"one": layer("one")}), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged or no tile archive"):
        load_capture(path)
    path.write_bytes(content)
    arrays, _ = read_npz(path, "tile archive")
    header = arrays.pop("header")
    assert FORMAT in bytes(header).decode()

    def rewritten(**changed: np.ndarray) -> None:
        new = arrays | {f"one/{k}": v for k, v in changed.items()}
        write_npz(path, {"header": pack_header(json.loads(bytes(header)), new)} | new)

    rewritten(weights=arrays["one/weights"][:, :5])
    with pytest.raises(UserError, match="do not fit weights"):
        load_capture(path)
    rewritten(inputs=arrays["one/inputs"][:2])
    with pytest.raises(UserError, match="the header says"):
        load_capture(path)
    rewritten(bias=arrays["one/bias"][:5])
    with pytest.raises(UserError, match="bias is"):
        load_capture(path)
    write_npz(path, {"header": header} | arrays | {"one/bias": arrays["one/bias"] + 1})
    with pytest.raises(UserError, match="checksum"):
        load_capture(path)


@pytest.mark.parametrize("field", ["groups", "pad_value", "stride", "padding"])
@pytest.mark.parametrize("value", [1.0, 1.5, True])
def test_header_of_numbers_that_are_not_whole_is_refused(field, value, tmp_path):
    path = tmp_path / "t.npz"
    save_capture(Capture("net", "abc", {"one": layer("one")}), path)
    arrays, _ = read_npz(path, "tile archive")
    header = json.loads(bytes(arrays.pop("header")))
    kept = header["layers"]["one"].get(field, 0)
    header["layers"]["one"][field] = [value] * len(kept) if isinstance(kept, list) else value
    write_npz(path, {"header": pack_header(header, arrays)} | arrays)
    with pytest.raises(UserError, match=f"{field} is .*; whole numbers expected"):
        load_capture(path)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"lo": 1.0}, "lo is 1.0; whole numbers"), ({"zero_point": None}, "zero_point is None"),
        ({"zero_point": 999}, "zero point or padding 999"), ({"grid": 999}, "grid 999; 0..6"),
        ({"rounding": "x"}, "rounding 'x'; known"), ({"multiplier": slice(2)}, r"\(2,\) multipliers"),
        ({"shift": np.float64}, "shift is float64; int32 expected"),
    ],
)  # fmt: skip
def test_requantiser_of_an_archive_that_cannot_be_is_refused(changed, words, tmp_path):
    path = tmp_path / "t.npz"
    save_capture(Capture("net", "abc", {"one": layer("one")}), path)
    arrays, _ = read_npz(path, "tile archive")
    header = json.loads(bytes(arrays.pop("header")))
    for key, value in changed.items():
        name = f"one/{key}"
        if isinstance(value, slice):
            arrays[name] = arrays[name][value]
        elif name in arrays:
            arrays[name] = arrays[name].astype(value)
        else:
            header["layers"]["one"]["requant"][key] = value
    write_npz(path, {"header": pack_header(header, arrays)} | arrays)
    with pytest.raises(UserError, match=words):
        load_capture(path)


def test_empty_array_is_refused():
    with pytest.raises(UserError, match="holds nothing"):
        next(tiles(layer(), 0, 4))


@pytest.mark.skipif(not ARCHIVE.exists(), reason="no shipped tile archive")
def test_shipped_archive():
    assert ARCHIVE.stat().st_size < 300_000
    capture = load_capture()
    assert list(capture.layers) == list(RESNET20_LAYERS)
    layers = capture.layers.values()
    nonzero = sum(layer.macs * np.count_nonzero(layer.inputs) / layer.inputs.size for layer in layers)
    assert 0.42 < nonzero / sum(layer.macs for layer in layers) < 0.48  # of the network: 0.45
    for captured in capture.layers.values():
        assert np.array_equal(add_up(captured, 64, 16, images=1), captured.sums(1))
