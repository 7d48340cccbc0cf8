"""Tile archives of whole networks: exact, mapped into memory, and refused when anything in them is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from common.errors import UserError
from models.archive import HEADER, open_capture, record
from models.emulate import ExactEngine
from models.quant.checkpoint import load_network
from models.quant.graph import QuantNetwork

IMAGES = np.random.default_rng(7).integers(0, 256, (11, 3, 32, 32), dtype=np.uint8)
LAYERS = ["conv1", "layer2.0.conv1", "linear"]


@pytest.fixture(scope="module")
def network() -> QuantNetwork:
    return load_network("resnet20_cifar10")


@pytest.fixture(scope="module")
def original(network, tmp_path_factory) -> Path:
    """An archive of some layers."""
    path = tmp_path_factory.mktemp("original") / "archive"
    record(network, IMAGES, path, LAYERS, {"seed": 7})
    return path


@pytest.fixture
def folder(original, tmp_path) -> Path:
    """A copy to do what one likes with."""
    return Path(shutil.copytree(original, tmp_path / "archive"))


def test_an_archive_holds_what_the_network_computed(network, folder) -> None:
    found = open_capture(folder)
    assert (found.network, found.network_sha256, list(found.layers)) == (network.name, network.sha256, LAYERS)
    inputs = {}
    scores = network.run(IMAGES, ExactEngine(), lambda node, x: inputs.__setitem__(node.name, x))
    for name in LAYERS:
        layer = found.layer(name)
        assert isinstance(layer.inputs, np.memmap) and isinstance(layer.results, np.memmap)
        assert np.array_equal(layer.inputs.reshape(inputs[name].shape), inputs[name])
        sums = layer.sums().reshape(len(IMAGES), *layer.size, -1).transpose(0, 3, 1, 2)
        assert np.array_equal(layer.requant(sums) if layer.requant else sums, layer.results)
    assert np.array_equal(found.layer("linear").results[:, :, 0, 0], scores)
    with pytest.raises(UserError, match="unknown layer of .* 'conv2'"):
        found.layer("conv2")


@pytest.mark.parametrize("field", ["inputs", "weights", "bias", "results", "multiplier"])
def test_a_changed_byte_is_named(folder, field) -> None:
    path = folder / f"001.{field}.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    found = open_capture(folder)
    assert found.layer("conv1").macs  # another layer's file
    with pytest.raises(UserError, match=rf"layer layer2\.0\.conv1: .*001\.{field}\.npy is damaged"):
        found.layer("layer2.0.conv1")
    path.unlink()
    with pytest.raises(UserError, match=rf"001\.{field}\.npy cannot be read"):
        open_capture(folder).layer("layer2.0.conv1")


def files(header: dict, layer: str) -> dict:
    return header["layers"][layer]["files"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h: h["layers"]["conv1"].update(output=[11, 16, 32, 31]), "the header says"),
        (lambda h: h["layers"]["conv1"].update(groups=2), "do not fit weights"),
        (lambda h: h["layers"]["conv1"].update(stride=[2, 2]), "the header says"),
        (lambda h: files(h, "conv1").update(files(h, "linear")), "the header says"),
        (lambda h: files(h, "linear").update(results=files(h, "linear")["bias"]), "results are"),
        (lambda h: files(h, "conv1").pop("results"), "malformed"),
        (lambda h: h["layers"].clear(), "no layers"),
        (lambda h: h.update(format="encmac-operands/0"), "format"),
    ],
)  # fmt: skip
def test_a_header_that_does_not_fit_is_named(folder, change, words) -> None:
    header = json.loads((folder / HEADER).read_text())
    change(header)
    (folder / HEADER).write_text(json.dumps(header))
    with pytest.raises(UserError, match=words):
        open_capture(folder).layer("linear" if words == "results are" else "conv1")


def test_nothing_half_written(network, folder, tmp_path) -> None:
    with pytest.raises(UserError, match="there already"):
        record(network, IMAGES, folder)
    with pytest.raises(UserError, match="unknown layer of .* 'none'"):
        record(network, IMAGES, tmp_path / "other", ["none"])
    with pytest.raises(UserError, match="takes uint8 images"):
        record(network, IMAGES[:, :1], tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    (folder / HEADER).unlink()
    with pytest.raises(UserError, match="has no archive.json"):
        open_capture(folder)
