"""Imported networks beside the runtimes that they come from, layer by layer and bit for bit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import models.importers.__main__
from common.errors import UserError
from models.datasets import have_cifar, load_cifar
from models.emulate import ExactEngine
from models.importers.onnx import read_onnx
from models.importers.tflite import read_tflite
from models.networks import NetworkSpec
from models.quant.checkpoint import load_network, save_network
from models.quant.convert import convert
from models.quant.graph import INPUT, Conv, Linear, QuantNetwork
from models.quant.nodes import Add
from tb.replay.store import engine_words
from tests.tflite_model import IMAGE, Builder, pooled_model, small_model

torch.set_num_threads(1)
RNG = np.random.default_rng(2)
SHARED = Path("../shared/data/tflite")
RESNET8 = SHARED / "mlperftiny_resnet8_cifar10_int8.tflite"
MOBILENET = SHARED / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
# our rounding -> the runtime's kernels that do the same
KERNELS = {"double": "BUILTIN_REF", "float": "BUILTIN"}


def all_tensors(
    network: QuantNetwork, images: np.ndarray, given: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """What every node makes of uint8 `images`, from our own tensors or from those `given`."""
    tensors = {INPUT: network.quantise_input(images)}
    for node in network.nodes:
        operands = [(given or tensors)[s] for s in node.sources]
        tensors[node.name] = node(*operands, *[ExactEngine()] * hasattr(node, "weights"))
    return tensors


def runtime_tensors(path: Path, made: dict[str, int], images: np.ndarray, kernels: str) -> dict[str, np.ndarray]:
    """The same from ai-edge-litert."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter", reason="no ai-edge-litert")
    resolver = getattr(interpreter.OpResolverType, kernels)
    run = interpreter.Interpreter(
        str(path), experimental_op_resolver_type=resolver, experimental_preserve_all_tensors=True, num_threads=1
    )
    run.allocate_tensors()
    about, found = run.get_input_details()[0], {name: [] for name in made}
    for image in images.transpose(0, 2, 3, 1):
        pixels = image if about["dtype"] == np.uint8 else (image.astype(np.int16) - 128).astype(np.int8)
        run.set_tensor(about["index"], pixels[None])
        run.invoke()
        for name, index in made.items():
            found[name].append(run.get_tensor(index).copy())
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    if "reshape9" in joined:  # of the small model: 3x3 pixels of 8 channels
        joined["reshape9"] = joined["reshape9"].reshape(-1, 3, 3, 8).transpose(0, 3, 1, 2).reshape(-1, 72)
    return {name: x.transpose(0, 3, 1, 2) if x.ndim == 4 else x for name, x in joined.items()}


def assert_equal(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """Every tensor the same, and not for want of variety."""
    for name, expected in theirs.items():
        assert ours[name].dtype == expected.dtype == np.int8
        differ = int((ours[name].reshape(expected.shape) != expected).sum())
        assert not differ, f"{name}: {differ} of {expected.size} differ"
    assert all(len(np.unique(x)) > 4 for x in theirs.values())


# ---- TFLite


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    pytest.importorskip("ai_edge_litert", reason="no ai-edge-litert")
    path = tmp_path_factory.mktemp("tflite") / "small.tflite"
    path.write_bytes(small_model())
    return path


@pytest.mark.parametrize("rounding", KERNELS)
def test_every_operator_equals_the_runtime(small, rounding):
    network, made = read_tflite(small, "small", "cifar10", rounding)
    assert len(network.nodes) == len(made) - 1 == 12
    images = RNG.integers(0, 256, (20, 3, IMAGE, IMAGE)).astype(np.uint8)
    assert_equal(all_tensors(network, images), runtime_tensors(small, made, images, KERNELS[rounding]))


def test_an_input_that_is_no_image_is_refused(small, monkeypatch):
    """A damaged size would take memory and minutes before the runtime says no."""
    monkeypatch.setattr("models.importers.tflite.LARGEST_IMAGE", 8)
    with pytest.raises(UserError, match="is no image: at most 8 values"):
        read_tflite(small, "small", "cifar10")


@pytest.mark.parametrize("rounding", KERNELS)
def test_mean_equals_the_runtime(tmp_path, rounding):
    pytest.importorskip("ai_edge_litert", reason="no ai-edge-litert")
    path = tmp_path / "mean.tflite"
    path.write_bytes(pooled_model())
    network, made = read_tflite(path, "mean", "cifar10", rounding)
    images = RNG.integers(0, 256, (20, 3, IMAGE, IMAGE)).astype(np.uint8)
    assert_equal(all_tensors(network, images), runtime_tensors(path, made, images, KERNELS[rounding]))
    with pytest.raises(UserError, match="averages 64 pixels, these images give 9 x 8|node mean0 cannot run on"):
        network.run(np.zeros((1, 3, 9, 8), np.uint8), ExactEngine())


def test_comparison_can_fail(small):
    network, made = read_tflite(small, "small", "cifar10", "single")
    images = RNG.integers(0, 256, (50, 3, IMAGE, IMAGE)).astype(np.uint8)
    with pytest.raises(AssertionError, match="differ"):
        assert_equal(all_tensors(network, images), runtime_tensors(small, made, images, "BUILTIN_REF"))


def test_tile_engine_takes_networks_that_round_as_it_does(small):
    single, double = (read_tflite(small, "small", "cifar10", r)[0].mac_nodes[0] for r in ("single", "double"))
    words, _ = engine_words(single.bias, single.requant)
    assert len(words) == 8
    with pytest.raises(UserError, match="rounds once, this network's requantisation is 'double'"):
        engine_words(double.bias, double.requant)


def test_imported_network_survives_the_checkpoint(small, tmp_path):
    network, _ = read_tflite(small, "small", "cifar10")
    images = RNG.integers(0, 256, (5, 3, IMAGE, IMAGE)).astype(np.uint8)
    save_network(network, tmp_path / "small.npz")
    again = load_network(tmp_path / "small.npz")
    assert again.input_zero_point == -128 and again.first_class == 0
    assert np.array_equal(again.run(images, ExactEngine()), network.run(images, ExactEngine()))


@pytest.mark.skipif(not (RESNET8.exists() and have_cifar("cifar10")), reason="no ResNet-8 or no CIFAR-10")
@pytest.mark.parametrize("rounding", KERNELS)
def test_resnet8_equals_the_runtime(rounding):
    network, made = read_tflite(RESNET8, "resnet8", "cifar10", rounding)
    images = load_cifar("cifar10", "test").images[:20]
    assert len(made) == 17
    assert_equal(all_tensors(network, images), runtime_tensors(RESNET8, made, images, KERNELS[rounding]))


@pytest.mark.skipif(not MOBILENET.exists(), reason="no MobileNetV2")
@pytest.mark.parametrize("rounding", KERNELS)
def test_mobilenet_equals_the_runtime(rounding):
    network, made = read_tflite(MOBILENET, "mobilenet", "imagenet", rounding)
    assert network.first_class == 1 and len(made) == 67
    smooth = np.kron(RNG.integers(0, 256, (1, 3, 14, 14)), np.ones((16, 16))).astype(np.uint8)
    assert_equal(all_tensors(network, smooth), runtime_tensors(MOBILENET, made, smooth, KERNELS[rounding]))


def test_bad_tflite_models_are_one_line(tmp_path, small):
    path = tmp_path / "bad.tflite"
    bad = {
        "no TFLite model": b"nonsense",
        "damaged TFLite model": small.read_bytes()[:300],
        "TensorFlow Lite does not take it": pooled_model(kind="UINT8"),
        "has 7 outputs, cifar10 has 10 classes": pooled_model(classes=7),
    }
    for message, content in bad.items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=message) as stop:
            read_tflite(path, "bad", "cifar10")
        assert "\n" not in str(stop.value)
    with pytest.raises(UserError, match="cannot read"):
        read_tflite(tmp_path / "none.tflite", "none", "cifar10")
    b = Builder()
    x = b.tensor((1, 8, 8, 3), kind="FLOAT32")
    b.operator("RELU", [x], [b.tensor((1, 8, 8, 3), kind="FLOAT32")])
    path.write_bytes(b.content(x, x + 1))
    with pytest.raises(
        UserError, match="is FLOAT32 and not turned into int8 at once, but read by RELU; convert the model"
    ):
        read_tflite(path, "float", "cifar10")


# ---- ONNX


def float_onnx(extra: str = "") -> object:
    """Convolution, pool, depthwise and 1x1 convolution, sum, mean, linear layer as a float ONNX model."""
    onnx = pytest.importorskip("onnx", reason="no onnx")
    node, rng = onnx.helper.make_node, np.random.default_rng(4)
    shapes = {"w1": (8, 3, 3, 3), "w2": (8, 1, 3, 3), "w3": (8, 8, 1, 1), "w4": (10, 8), "b1": (8,), "b4": (10,)}
    constants = {k: (rng.normal(size=v) * 0.4).astype(np.float32) for k, v in shapes.items()}
    constants |= {"six": np.array(6, np.float32), "zero": np.array(0, np.float32)}
    pads = {"pads": [1, 1, 1, 1]}
    nodes = [
        node("Conv", ["image", "w1", "b1"], ["c1"], strides=[2, 2], **pads),
        node("Clip", ["c1", "zero", "six"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], kernel_shape=[3, 3], strides=[2, 2], **pads),
        node("Conv", ["p1", "w2"], ["c2"], group=8, **pads),
        node("Relu", ["c2"], ["r2"]),
        node("Conv", ["r2", "w3"], ["c3"]),
        node("Add", ["p1", "c3"], ["s1"]),
        node("Relu", ["s1"], ["r3"]),
        *([node(extra, ["r3"], ["e1"])] if extra else []),
        node("GlobalAveragePool", ["e1" if extra else "r3"], ["g1"]),
        node("Flatten", ["g1"], ["f1"]),
        node("Gemm", ["f1", "w4", "b4"], ["scores"], transB=1),
    ]
    value = onnx.helper.make_tensor_value_info
    image = value("image", onnx.TensorProto.FLOAT, ["n", 3, 16, 16])
    scores = value("scores", onnx.TensorProto.FLOAT, ["n", 10])
    stored = [onnx.numpy_helper.from_array(v, k) for k, v in constants.items()]
    graph = onnx.helper.make_graph(nodes, "small", [image], [scores], stored)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module", params=["QUInt8", "QInt8"])
def quantised(request, tmp_path_factory) -> Path:
    """The model quantised by ONNX Runtime's own tool, in QDQ form."""
    return quantised_onnx(float_onnx(), tmp_path_factory.mktemp("onnx"), request.param)


def quantised_onnx(model: object, place: Path, activations: str) -> Path:
    """A float model in QDQ form, by ONNX Runtime's own tool; a file in `place`."""
    quantization = pytest.importorskip("onnxruntime.quantization", reason="no onnxruntime")
    import onnx

    onnx.save(model, place / "float.onnx")

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.batches = iter([{"image": sample(8)}])

        def get_next(self) -> dict | None:
            return next(self.batches, None)

    quantization.quantize_static(
        place / "float.onnx",
        place / "quantised.onnx",
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=getattr(quantization.QuantType, activations),
        weight_type=quantization.QuantType.QInt8,
    )
    return place / "quantised.onnx"


def sample(count: int) -> np.ndarray:
    return np.random.default_rng(6).random((count, 3, 16, 16)).astype(np.float32)


def exported(network: QuantNetwork) -> object:
    """One of our networks, symmetric int8, as an ONNX model in QDQ form."""
    onnx = pytest.importorskip("onnx", reason="no onnx")
    node, nodes, stored = onnx.helper.make_node, [], []

    def constant(name: str, value: np.ndarray) -> str:
        stored.append(onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def quantised(name: str, source: str, scale: float) -> None:
        parts = [constant(f"{name}/scale", np.float32(scale)), constant(f"{name}/zero", np.int8(0))]
        nodes.append(node("QuantizeLinear", [source, *parts], [f"{name}/codes"]))
        nodes.append(node("DequantizeLinear", [f"{name}/codes", *parts], [name]))

    def stored_codes(name: str, codes: np.ndarray, scale: np.ndarray) -> str:
        parts = [constant(f"{name}/codes", codes), constant(f"{name}/scale", scale.astype(np.float32))]
        nodes.append(node("DequantizeLinear", parts, [name], axis=0))
        return name

    quantised(INPUT, "image", network.input_scale)
    scales = {INPUT: network.input_scale} | {n.name: n.output_scale for n in network.nodes}
    for n in network.nodes:
        result, last = f"{n.name}/real", n is network.nodes[-1]
        if hasattr(n, "weights"):
            units = scales[n.source] * n.weight_scale
            weights = stored_codes(f"{n.name}/weights", n.weights, n.weight_scale)
            operands = [n.source, weights, stored_codes(f"{n.name}/bias", n.bias, units)]
        if isinstance(n, Conv):
            top, bottom, left, right = n.padding
            where = {"strides": n.stride, "pads": (top, left, bottom, right), "group": n.groups}
            nodes.append(node("Conv", operands, [result], **where))
        elif isinstance(n, Linear):
            nodes.append(node("Gemm", operands, ["scores" if last else result], transB=1))
        elif isinstance(n, Add):
            nodes.append(node("Add", list(n.sources), [result]))
        else:
            nodes.append(node("GlobalAveragePool", [n.source], [f"{n.name}/map"]))
            nodes.append(node("Flatten", [f"{n.name}/map"], [result]))
        if getattr(getattr(n, "requant", n), "lo", -128) == 0 and not last:
            nodes.append(node("Relu", [result], [f"{result}/relu"]))
            result += "/relu"
        if not last:
            quantised(n.name, result, n.output_scale)
    value = onnx.helper.make_tensor_value_info
    image = value("image", onnx.TensorProto.FLOAT, ["n", 3, 16, 16])
    scores = value("scores", onnx.TensorProto.FLOAT, ["n", 10])
    graph = onnx.helper.make_graph(nodes, "ours", [image], [scores], stored)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


class Residual(torch.nn.Module):
    """A small network of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.Conv2d(8, 8, 3, 1, 1, groups=4)
        self.fc = torch.nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv1(x))
        return self.fc(torch.mean(torch.relu(x + self.conv2(x)), dim=(2, 3)))


def test_our_network_through_onnx(tmp_path):
    """Exported, run by ONNX Runtime, imported again."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="no onnxruntime")
    import onnx

    torch.manual_seed(0)
    images = RNG.integers(0, 256, (16, 3, 16, 16)).astype(np.uint8)
    spec = NetworkSpec(Residual, "cifar10", (0.5,) * 3, (0.25,) * 3)
    network = convert(Residual().eval(), spec, "ours", images, quiet=True)
    onnx.save(exported(network), tmp_path / "ours.onnx")
    again, made = read_onnx(tmp_path / "ours.onnx", "again", "cifar10", mean=network.mean, std=network.std)
    assert [len(n.bias) for n in again.mac_nodes] == [8, 8, 10]
    assert all(np.array_equal(a.bias, b.bias) for a, b in zip(again.mac_nodes, network.mac_nodes, strict=True))
    session = onnxruntime.InferenceSession(tmp_path / "ours.onnx", providers=["CPUExecutionProvider"])
    normalised = (images.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.25)
    scores = np.concatenate([session.run(None, {"image": image[None]})[0] for image in normalised])
    for candidate in (again, network):
        found = candidate.run(images, ExactEngine()) * candidate.nodes[-1].output_scale
        assert np.abs(found - scores).max() < 3 * network.nodes[-2].output_scale
    assert made[again.nodes[-1].name] == "scores" and np.array_equal(again.run(images, ExactEngine()), scores)


def test_onnx_command(quantised, tmp_path, monkeypatch, capsys):
    out = tmp_path / "small.npz"
    words = [quantised, "--dataset", "cifar10", "--name", "small", "--mean", "0.5,0.5,0.5", "--out", out]
    monkeypatch.setattr(sys, "argv", ["command", *map(str, words)])
    models.importers.__main__.main()
    network = load_network(out)
    assert network.mean == (0.5, 0.5, 0.5) and network.provenance["imported"]["rounding"] == "float"
    told = capsys.readouterr().out
    assert "4 of them convolutions and linear layers" in told and "left to the runtime" not in told
    for name in ("../r", ".r", "a/b"):
        monkeypatch.setattr(sys, "argv", ["command", str(quantised), "--name", name])
        with pytest.raises(UserError, match=f"name '{name}': letters, digits"):
            models.importers.__main__.main()
    (tmp_path / "model.pb").touch()
    monkeypatch.setattr(sys, "argv", ["command", str(tmp_path / "model.pb")])
    with pytest.raises(UserError, match="cannot import '.pb'"):
        models.importers.__main__.main()


def test_bad_onnx_models_are_one_line(quantised, tmp_path):
    import onnx

    path = tmp_path / "bad.onnx"
    onnx.save(float_onnx(), path)
    with pytest.raises(
        UserError, match="nothing is multiplied that is quantised; Conv 'r1': its weights 'w1'.*quantize_static"
    ):
        read_onnx(path, "bad", "cifar10")
    model = onnx.load(quantised)
    model.opset_import[0].version = 99
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="needs operators of ONNX opset 99, newer than"):
        read_onnx(path, "bad")
    model = onnx.load(quantised)
    model.graph.node[1].input[0] = model.graph.node[-1].output[0]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="has a cycle: ") as stop:
        read_onnx(path, "bad")
    assert "\n" not in str(stop.value)
    onnx.save(onnx.load(quantised), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(UserError, match="external data cannot be read"):
        read_onnx(path, "bad")
    model = onnx.load(path, load_external_data=False)
    lengths = [e for i in model.graph.initializer for e in i.external_data if e.key == "length"]
    lengths[0].value = str(3 << 30)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="has 3.0 GB with its external data; at most 2 GB are read"):
        read_onnx(path, "bad")
    model = onnx.load(quantised)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match="'image' is n x 3 x height x 16; give the size of one image"):
        read_onnx(path, "bad")
    assert read_onnx(path, "free", size=(3, 16, 16))[0].mac_nodes
    with pytest.raises(UserError, match="has 10 outputs, cifar100 has 100 classes"):
        read_onnx(quantised, "bad", "cifar100")
    path.write_bytes(quantised.read_bytes()[:500])
    with pytest.raises(UserError, match="damaged or no ONNX model") as stop:
        read_onnx(path, "bad", "cifar10")
    assert "\n" not in str(stop.value)
    with pytest.raises(UserError, match="no such file"):
        read_onnx(tmp_path / "none.onnx", "none", "cifar10")
