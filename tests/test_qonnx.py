"""QONNX models: what a Quant node computes is what the imported network computes, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from common.errors import UserError
from models.emulate import ExactEngine
from models.importers.onnx import read_onnx

DOMAIN = "qonnx.custom_op.general"
IMAGES = np.random.default_rng(3).integers(0, 256, (20, 3, 8, 8)).astype(np.uint8)


class Quant(OpRun):
    """The operator as its specification has it."""

    op_domain = DOMAIN

    def _run(self, x, scale, zero, bits, narrow=0, signed=1, rounding_mode="ROUND"):
        assert rounding_mode == "ROUND"
        low = (-(2 ** (bits - 1)) + narrow) if signed else 0
        high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
        codes = np.clip(np.rint(x / scale + zero), low, high)
        return (((codes - zero) * scale).astype(np.float32),)


class Maker:
    """A model under construction: scales are powers of two, so that float32 holds every sum."""

    def __init__(self) -> None:
        self.rng, self.nodes, self.stored = np.random.default_rng(4), [], []

    def constant(self, value: object) -> str:
        self.stored.append(numpy_helper.from_array(np.asarray(value, np.float32), f"c{len(self.stored)}"))
        return self.stored[-1].name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], f"{kind}_{name}", domain=domain, **attributes))
        return name

    def quant(self, x: str, scale: object, bits: float = 8, zero: object = 0, **attributes: object) -> str:
        about = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"} | attributes
        parts = [self.constant(v) for v in (scale, zero, bits)]
        return self.add("Quant", x, *parts, domain=DOMAIN, **about)

    def weights(self, *shape: int, bits: int = 8, channels: bool = False, **attributes: object) -> str:
        scale = 2.0 ** (2 - bits)
        if channels:
            scale = scale * np.exp2(self.rng.integers(-1, 2, (shape[0], *[1] * (len(shape) - 1))))
        return self.quant(self.constant(self.rng.normal(size=shape) * 0.4), scale, bits, narrow=1, **attributes)

    def write(self, output: str, path: Path, opset: int = 13) -> Path:
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "qonnx",
            [value("image", TensorProto.FLOAT, (1, 3, 8, 8))],
            [value(output, TensorProto.FLOAT, None)],
            self.stored,
        )
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path


def head(m: Maker, x: str, channels: int) -> str:
    x = m.add("Flatten", m.quant(m.add("MaxPool", x, kernel_shape=[4, 4], strides=[4, 4]), 0.25))
    return m.quant(m.add("Gemm", x, m.weights(10, channels * 4, bits=4), transB=1), 0.5)


def narrow_bits(m: Maker) -> str:
    """4-bit weights, unsigned activations of 4 bits after a ReLU, as brevitas exports them."""
    x = m.add("Conv", m.quant("image", 2.0**-5), m.weights(6, 3, 3, 3, bits=4), pads=[1, 1, 1, 1])
    x = m.quant(m.add("Relu", x), 0.25, 4, signed=0)
    return head(m, m.add("Conv", x, m.weights(6, 6, 3, 3, bits=3), pads=[1, 1, 1, 1]), 6)


def channels_and_bias(m: Maker) -> str:
    """A scale for each output, and a bias of 32 bits."""
    bias = m.quant(m.constant(m.rng.normal(size=6) * 3), 2.0**-9, 32)
    x = m.add("Conv", m.quant("image", 2.0**-5), m.weights(6, 3, 3, 3, channels=True), bias, pads=[1, 1, 1, 1])
    return head(m, m.quant(m.add("Relu", x), 0.125, 8, signed=0), 6)


def bias_in_floating_point(m: Maker) -> str:
    """Finer than a product: ONNX Runtime would round it."""
    bias = m.constant(np.rint(m.rng.normal(size=6) * 3 * 2**15) / 2**15)
    x = m.add("Conv", m.quant("image", 2.0**-5), m.weights(6, 3, 3, 3), bias, pads=[1, 1, 1, 1])
    return m.quant(x, 2.0**-6)


def zero_points(m: Maker) -> str:
    """Unsigned activations with a zero point, a residual sum quantised again."""
    x = m.quant("image", 2.0**-6, zero=17, signed=0)
    a = m.quant(m.add("Conv", x, m.weights(3, 3, 1, 1)), 0.125, 6, zero=-5)
    b = m.quant(m.add("Conv", x, m.weights(3, 3, 3, 3), pads=[1, 1, 1, 1]), 0.125)
    return head(m, m.quant(m.add("Add", a, b), 0.25), 3)


@pytest.mark.parametrize("make", [narrow_bits, channels_and_bias, bias_in_floating_point, zero_points])
def test_quant_nodes_are_computed_as_specified(make, tmp_path):
    m = Maker()
    path = m.write(make(m), tmp_path / "quant.onnx")
    evaluator = ReferenceEvaluator(str(path), new_ops=[Quant])
    network, made = read_onnx(path, "quant")
    assert len(network.mac_nodes) == sum(n.op_type in ("Conv", "Gemm") for n in onnx.load(path).graph.node)
    real = IMAGES.astype(np.float32) / np.float32(255)
    theirs = np.concatenate([evaluator.run(None, {"image": r[None]})[0] for r in real])
    found = network.run(IMAGES, ExactEngine())
    scale = network.nodes[-1].output_scale
    assert made[network.nodes[-1].name]
    assert len(np.unique(theirs)) > 5 and np.array_equal(found * np.float32(scale), theirs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 12}, "Quant 'Quant_t0' has 12 bits; activations of 8 or fewer are read"),
        ({"rounding_mode": "FLOOR"}, "Quant 'Quant_t0' rounds by FLOOR; only ROUND"),
        ({"bits": 2.5}, r"Quant 'Quant_t0' has \[2.5\] bits; one whole number"),
        ({"zero": 0.5}, "Quant 'Quant_t0' has zero points outside its codes -128..127"),
        ({"scale": 0.0}, "QuantizeLinear 'Quant_t0' has a scale of 0"),
        ({"scale": np.inf}, "QuantizeLinear 'Quant_t0' has a scale of inf"),
    ],
)
def test_other_quant_nodes_are_named(change, message, tmp_path):
    m = Maker()
    path = m.write(head(m, m.quant("image", **{"scale": 2.0**-6} | change), 3), tmp_path / "quant.onnx")
    with pytest.raises(UserError, match=message):
        read_onnx(path, "quant")


def test_old_opset_and_other_operators_are_named(tmp_path):
    m = Maker()
    path = m.write(head(m, m.quant("image", 2.0**-6), 3), tmp_path / "old.onnx", opset=11)
    with pytest.raises(UserError, match="has opset 11; export it with opset 13 or newer"):
        read_onnx(path, "quant")
    m = Maker()
    x = m.add("BipolarQuant", "image", m.constant(1.0), domain=DOMAIN)
    path = m.write(head(m, x, 3), tmp_path / "bipolar.onnx")
    with pytest.raises(UserError, match="node 'BipolarQuant_t0' is BipolarQuant; only Quant has a form in int8"):
        read_onnx(path, "quant")
