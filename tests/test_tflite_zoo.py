"""Every model of the TFLite zoo imports, and its layers and its output are those of TensorFlow Lite, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.emulate import ExactEngine
from models.importers.tflite import read_tflite
from models.quant.checkpoint import load_network, save_network
from models.quant.graph import QuantNetwork
from models.quant.litert import interpreter
from models.quant.runtime import shifted
from tests.tflite_zoo import MODELS

SHARED = Path("../shared/cases/imports")
RNG = np.random.default_rng(8)
LEFT = ("both operands are activations", "are INT4, where the default kernels")
NO_REFERENCE = {"elu"}  # the runtime has no reference kernel


def runtime(path: Path, images: np.ndarray, rounding: str) -> tuple[np.ndarray, object]:
    """What TensorFlow Lite gives for uint8 images as the file has them, and the interpreter."""
    run = interpreter(path.read_bytes(), str(path), rounding == "double")
    given, result = run.get_input_details()[0], run.get_output_details()[0]
    kinds = {np.int8: shifted, np.uint8: np.asarray, np.float32: lambda x: x.astype(np.float32) / np.float32(255)}
    found = []
    for image in kinds[given["dtype"]](images):
        run.set_tensor(given["index"], image[None])
        run.invoke()
        found.append(run.get_tensor(result["index"]).copy())
    return np.concatenate(found), run


def ours(network: QuantNetwork, made: dict[str, int], images: np.ndarray, run: object) -> np.ndarray:
    """The network's result as the file gives it."""
    maps = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images
    found = network.run(maps, ExactEngine())
    kind = run.get_output_details()[0]["dtype"]
    if kind == np.float32:
        scale, zero = run.get_tensor_details()[made[network.nodes[-1].name]]["quantization"]
        return (found.astype(np.int32) - zero).astype(np.float32) * np.float32(scale)
    return shifted(found) if kind == np.uint8 else found


def check(path: Path, rounding: str, folder: Path) -> None:
    """All that a model promises."""
    network, made = read_tflite(path, path.stem, rounding=rounding)
    about = network.provenance["imported"]
    assert not about["differs"] and all(any(why in reason for why in LEFT) for reason in about["runtime"])
    c, *size = about["shape"]
    images = RNG.integers(0, 256, (5, *size, c) if len(size) == 2 else (5, *about["shape"])).astype(np.uint8)
    theirs, run = runtime(path, images, rounding)
    found = ours(network, made, images, run)
    assert found.dtype == theirs.dtype and np.array_equal(found, theirs)
    assert len(np.unique(theirs)) > 1
    save_network(network, folder / "again.npz")
    assert np.array_equal(ours(load_network(folder / "again.npz"), made, images, run), found)


def test_there_are_enough_models():
    assert len(MODELS) >= 60


@pytest.mark.parametrize("rounding", ["float", "double"])
@pytest.mark.parametrize("name", MODELS)
def test_model_equals_the_runtime(name, rounding, tmp_path):
    if rounding == "double" and name in NO_REFERENCE:
        pytest.skip("the runtime has no reference kernel")
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(MODELS[name]())
    check(path, rounding, tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/cases")
@pytest.mark.parametrize("rounding", ["float", "double"])
@pytest.mark.parametrize("name", sorted(p.name for p in SHARED.glob("*.tflite")))
def test_case_equals_the_runtime(name, rounding, tmp_path):
    check(SHARED / name, rounding, tmp_path)


def test_comparison_can_fail(tmp_path):
    path = tmp_path / "dilated.tflite"
    path.write_bytes(MODELS["dilated"]())
    network, made = read_tflite(path, "dilated")
    first = network.mac_nodes[0]
    changed = network.with_nodes({first.name: replace(first, bias=first.bias + 500)})
    images = RNG.integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    theirs, run = runtime(path, images, "float")
    assert not np.array_equal(ours(changed, made, images, run), theirs)
