"""Small ONNX models with random weights, quantised by ONNX Runtime's own tools: what people have, in little."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, SIZE = 4, 8
MS = "com.microsoft"


class Graph:
    """A float model under construction; `add` returns the result's name."""

    def __init__(self, seed: int, shape: tuple = ("n", 3, SIZE, SIZE), opset: int = 17) -> None:
        self.rng, self.shape, self.opset = np.random.default_rng(seed), shape, opset
        self.nodes: list = []
        self.stored: list = []

    def add(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: object) -> str:
        names = [f"t{len(self.nodes)}_{k}" if outputs > 1 else f"t{len(self.nodes)}" for k in range(outputs)]
        self.nodes.append(
            helper.make_node(kind, inputs, names, f"{kind}_{len(self.nodes)}", domain=domain, **attributes)
        )
        return names[0] if outputs == 1 else names

    def constant(self, value: object) -> str:
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def real(self, *shape: int, scale: float = 0.4) -> str:
        return self.constant((self.rng.normal(size=shape) * scale).astype(np.float32))

    def conv(
        self, x: str, inputs: int, outputs: int = CHANNELS, kernel: int = 3, bias: bool = True, **where: object
    ) -> str:
        where = {"pads": [kernel // 2] * 4} | where if "auto_pad" not in where else where
        group = where.get("group", 1)
        operands = [x, self.real(outputs, inputs // group, kernel, kernel)]
        return self.add("Conv", *operands, *([self.real(outputs)] if bias else []), **where)

    def dense(self, x: str, inputs: int, outputs: int = 10) -> str:
        return self.add("Gemm", x, self.real(outputs, inputs), self.real(outputs), transB=1)

    def pooled(self, x: str, channels: int = CHANNELS) -> str:
        return self.dense(self.add("Flatten", self.add("GlobalAveragePool", x)), channels)

    def model(self, output: str) -> onnx.ModelProto:
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "zoo",
            [value("image", TensorProto.FLOAT, self.shape)],
            [onnx.helper.make_empty_tensor_value_info(output)],
            self.stored,
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(MS, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        inferred = onnx.shape_inference.infer_shapes(model)
        kinds = {o.name: o for o in inferred.graph.output}
        model.graph.output[0].CopyFrom(kinds[output])
        if not model.graph.output[0].type.HasField("tensor_type"):
            model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
        return model


Body = Callable[[Graph, str], str]
BODIES: dict[str, Body] = {}


def body(function: Body) -> Body:
    """Register a maker of what lies between the first and the last layer: [n, 4, 8, 8] to [n, 4, H, W]."""
    BODIES[function.__name__] = function
    return function


def _unary(kind: str, opset: int = 17, **attributes: object) -> None:
    BODIES[kind.lower()] = lambda g, x: g.add(kind, x, **attributes)
    BODIES[kind.lower()].opset = opset


for _kind in ("Sigmoid", "Tanh", "HardSigmoid", "Elu", "Selu", "Softplus", "Softsign", "Erf", "Exp", "Abs", "Neg"):
    _unary(_kind)
for _kind in ("HardSwish", "Relu", "Ceil", "Identity", "Softmax", "LogSoftmax", "Dropout"):
    _unary(_kind)
_unary("LeakyRelu", alpha=0.1)
_unary("Gelu", 20)
_unary("Mish", 18)
_unary("LRN", size=3)
_unary("DepthToSpaceless")
del BODIES["depthtospaceless"]


@body
def silu(g: Graph, x: str) -> str:
    return g.add("Mul", x, g.add("Sigmoid", x))


@body
def prelu(g: Graph, x: str) -> str:
    return g.add("PRelu", x, g.real(CHANNELS, 1, 1))


@body
def clip6(g: Graph, x: str) -> str:
    return g.add("Clip", x, g.constant(np.float32(0)), g.constant(np.float32(6)))


@body
def clip_narrow(g: Graph, x: str) -> str:
    return g.add("Clip", x, g.constant(np.float32(-0.3)), g.constant(np.float32(0.57)))


@body
def batch_norm(g: Graph, x: str) -> str:
    ones = [g.constant(np.abs(g.rng.normal(size=CHANNELS)).astype(np.float32) + 0.5) for _ in range(4)]
    return g.add("BatchNormalization", g.add("Relu", x), *ones)


@body
def instance_norm(g: Graph, x: str) -> str:
    return g.add("InstanceNormalization", x, g.real(CHANNELS), g.real(CHANNELS))


@body
def layer_norm(g: Graph, x: str) -> str:
    last = g.add("Transpose", x, perm=[0, 2, 3, 1])
    last = g.add("LayerNormalization", last, g.real(CHANNELS), g.real(CHANNELS), axis=-1)
    return g.add("Transpose", last, perm=[0, 3, 1, 2])


@body
def max_pool(g: Graph, x: str) -> str:
    return g.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])


@body
def max_pool_dilated(g: Graph, x: str) -> str:
    return g.add("MaxPool", x, kernel_shape=[2, 2], dilations=[2, 2])


@body
def max_pool_ceil(g: Graph, x: str) -> str:
    return g.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)


@body
def average_pool(g: Graph, x: str) -> str:
    return g.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])


@body
def average_pool_padded(g: Graph, x: str) -> str:
    return g.add("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)


@body
def global_max(g: Graph, x: str) -> str:
    return g.add("GlobalMaxPool", x)


@body
def reduce_mean(g: Graph, x: str) -> str:
    return g.add("ReduceMean", x, axes=[2, 3], keepdims=1)


@body
def reduce_max(g: Graph, x: str) -> str:
    return g.add("ReduceMax", x, axes=[3], keepdims=1)


@body
def reduce_sum(g: Graph, x: str) -> str:
    return g.add("ReduceSum", x, g.constant(np.array([3], np.int64)), keepdims=1)


@body
def pad(g: Graph, x: str) -> str:
    return g.add("Pad", x, g.constant(np.array([0, 0, 1, 0, 0, 0, 2, 1], np.int64)))


@body
def pad_reflect(g: Graph, x: str) -> str:
    return g.add("Pad", x, g.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)), mode="reflect")


@body
def resize_nearest(g: Graph, x: str) -> str:
    return g.add("Resize", x, "", g.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest")


@body
def resize_linear(g: Graph, x: str) -> str:
    return g.add("Resize", x, "", g.constant(np.array([1, 1, 1.5, 1.5], np.float32)), mode="linear")


@body
def transpose(g: Graph, x: str) -> str:
    return g.add("Transpose", x, perm=[0, 1, 3, 2])


@body
def reshape(g: Graph, x: str) -> str:
    return g.add("Reshape", x, g.constant(np.array([0, CHANNELS, 4, -1], np.int64)))


@body
def slices(g: Graph, x: str) -> str:
    parts = [g.constant(np.array(v, np.int64)) for v in ([1, 2], [7, 8], [2, 3], [2, 1])]
    return g.add("Slice", x, *parts)


@body
def depth_to_space(g: Graph, x: str) -> str:
    return g.conv(g.add("DepthToSpace", x, blocksize=2), 1, CHANNELS)


@body
def space_to_depth(g: Graph, x: str) -> str:
    return g.conv(g.add("SpaceToDepth", x, blocksize=2), 16, CHANNELS)


@body
def split_concat(g: Graph, x: str) -> str:
    a, b = g.add("Split", x, g.constant(np.array([2, 2], np.int64)), axis=1, outputs=2)
    return g.add("Concat", g.add("Relu", b), a, axis=1)


@body
def concat(g: Graph, x: str) -> str:
    both = g.add("Concat", x, g.conv(x, CHANNELS), axis=1)
    return g.conv(both, 2 * CHANNELS)


@body
def gather(g: Graph, x: str) -> str:
    return g.add("Gather", x, g.constant(np.array([3, 1, 0, 2], np.int64)), axis=1)


@body
def tile(g: Graph, x: str) -> str:
    return g.add("Tile", x, g.constant(np.array([1, 1, 2, 1], np.int64)))


@body
def residual(g: Graph, x: str) -> str:
    return g.add("Relu", g.add("Add", x, g.conv(x, CHANNELS)))


@body
def residual_chain(g: Graph, x: str) -> str:
    for _ in range(3):
        x = g.add("Add", x, g.add("Relu", g.conv(x, CHANNELS)))
    return x


@body
def difference(g: Graph, x: str) -> str:
    return g.add("Sub", x, g.conv(x, CHANNELS))


@body
def add_constant(g: Graph, x: str) -> str:
    return g.add("Add", x, g.real(CHANNELS, 1, 1))


@body
def multiply_constant(g: Graph, x: str) -> str:
    return g.add("Mul", x, g.real(1, CHANNELS, 1, 1))


@body
def divide(g: Graph, x: str) -> str:
    return g.add("Div", x, g.constant(np.float32(1.7)))


@body
def squeeze_excite(g: Graph, x: str) -> str:
    s = g.add("Relu", g.conv(g.add("GlobalAveragePool", x), CHANNELS, 2, 1))
    return g.add("Mul", x, g.add("Sigmoid", g.conv(s, 2, CHANNELS, 1)))


@body
def grouped(g: Graph, x: str) -> str:
    return g.conv(x, CHANNELS, group=2)


@body
def depthwise(g: Graph, x: str) -> str:
    return g.add("Relu", g.conv(x, CHANNELS, group=CHANNELS, strides=[2, 2]))


@body
def dilated(g: Graph, x: str) -> str:
    return g.conv(x, CHANNELS, dilations=[2, 2], pads=[2, 2, 2, 2])


@body
def asymmetric(g: Graph, x: str) -> str:
    return g.conv(x, CHANNELS, pads=[0, 1, 2, 0], strides=[2, 1])


@body
def same_upper(g: Graph, x: str) -> str:
    return g.conv(x, CHANNELS, auto_pad="SAME_UPPER", strides=[2, 2])


@body
def same_lower(g: Graph, x: str) -> str:
    return g.conv(x, CHANNELS, auto_pad="SAME_LOWER", strides=[2, 2])


@body
def valid(g: Graph, x: str) -> str:
    return g.conv(x, CHANNELS, auto_pad="VALID", bias=False)


@body
def transposed(g: Graph, x: str) -> str:
    return g.add(
        "ConvTranspose",
        x,
        g.real(CHANNELS, CHANNELS, 3, 3),
        g.real(CHANNELS),
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        output_padding=[1, 1],
    )


@body
def transposed_grouped(g: Graph, x: str) -> str:
    return g.add("ConvTranspose", x, g.real(CHANNELS, 2, 2, 2), strides=[2, 2], group=2)


@body
def one_dimension(g: Graph, x: str) -> str:
    x = g.add("Reshape", x, g.constant(np.array([0, CHANNELS, 64], np.int64)))
    x = g.add("Relu", g.add("Conv", x, g.real(6, CHANNELS, 5), g.real(6), pads=[2, 2], strides=[2]))
    x = g.add("Conv", x, g.real(CHANNELS, 3, 3), dilations=[2], group=2)
    return g.add("Unsqueeze", x, g.constant(np.array([3], np.int64)))


def _tokens(g: Graph, x: str) -> str:
    """[n, 64, 4]."""
    x = g.add("Reshape", x, g.constant(np.array([0, CHANNELS, 64], np.int64)))
    return g.add("Transpose", x, perm=[0, 2, 1])


def _image(g: Graph, x: str) -> str:
    x = g.add("Transpose", x, perm=[0, 2, 1])
    return g.add("Reshape", x, g.constant(np.array([0, CHANNELS, 8, 8], np.int64)))


@body
def matmul_tokens(g: Graph, x: str) -> str:
    x = g.add("Add", g.add("MatMul", _tokens(g, x), g.real(CHANNELS, 6)), g.real(6))
    return _image(g, g.add("MatMul", g.add("Relu", x), g.real(6, CHANNELS)))


@body
def matmul_four(g: Graph, x: str) -> str:
    return g.add("MatMul", x, g.real(8, 8))


@body
def attention(g: Graph, x: str) -> str:
    t = _tokens(g, x)
    q, k, v = (g.add("Add", g.add("MatMul", t, g.real(CHANNELS, CHANNELS)), g.real(CHANNELS)) for _ in range(3))
    scores = g.add("MatMul", q, g.add("Transpose", k, perm=[0, 2, 1]))
    mixed = g.add("MatMul", g.add("Softmax", g.add("Mul", scores, g.constant(np.float32(0.5))), axis=-1), v)
    return _image(g, g.add("Add", t, mixed))


@dataclass(frozen=True)
class Case:
    """A model of the zoo: how it is made and quantised."""

    name: str
    body: str
    head: str = "pooled"
    method: str = "static"
    options: dict = field(default_factory=dict)
    batch: str | int = "n"

    def write(self, folder: Path) -> Path:
        """The quantised model's file."""
        from onnxruntime import quantization as q

        made = BODIES[self.body]
        g = Graph(sum(map(ord, self.name)), (self.batch, 3, SIZE, SIZE), max(17, getattr(made, "opset", 17)))
        x = made(g, g.add("Relu", g.conv("image", 3)))
        output = HEADS[self.head](g, x)
        source, target = folder / "float.onnx", folder / f"{self.name}.onnx"
        onnx.save(onnx.shape_inference.infer_shapes(g.model(output)), source)
        kinds = {k: getattr(q.QuantType, v) for k, v in self.options.items() if k.endswith("_type")}
        rest = {k: v for k, v in self.options.items() if not k.endswith("_type") and k != "format"}
        if self.method == "dynamic":
            q.quantize_dynamic(source, target, **kinds, **rest)
        else:
            images = np.random.default_rng(6).random((4, 3, SIZE, SIZE)).astype(np.float32)
            form = getattr(q.QuantFormat, self.options.get("format", "QDQ"))
            q.quantize_static(source, target, _Samples(images), quant_format=form, **kinds, **rest)
        return target


class _Samples:
    def __init__(self, images: np.ndarray) -> None:
        self._rest = iter([{"image": i[None]} for i in images])

    def get_next(self) -> dict | None:
        return next(self._rest, None)

    def __iter__(self) -> Iterator:
        return self._rest


HEADS: dict[str, Body] = {
    "pooled": lambda g, x: g.pooled(x),
    "softmax": lambda g, x: g.add("Softmax", g.pooled(x), axis=1),
    "sigmoid": lambda g, x: g.add("Sigmoid", g.pooled(x)),
    "map": lambda g, x: g.conv(x, CHANNELS, 5, 1),
    "matmul": lambda g, x: g.add(
        "Add", g.add("MatMul", g.add("Flatten", g.add("GlobalMaxPool", x)), g.real(CHANNELS, 12)), g.real(12)
    ),
}
S8, U8 = "QInt8", "QUInt8"
STYLES: list[tuple[str, str, dict]] = [
    ("u8s8", "static", {"activation_type": U8, "weight_type": S8, "per_channel": True}),
    ("s8s8", "static", {"activation_type": S8, "weight_type": S8}),
    ("symmetric", "static", {"activation_type": S8, "weight_type": S8, "extra_options": {"ActivationSymmetric": True}}),
    ("u8u8", "static", {"activation_type": U8, "weight_type": U8}),
    ("dedicated", "static", {"weight_type": S8, "extra_options": {"DedicatedQDQPair": True}, "per_channel": True}),
    ("qat", "static", {"activation_type": U8, "weight_type": S8, "extra_options": {"AddQDQPairToWeight": True}}),
    ("qoperator", "static", {"activation_type": U8, "weight_type": S8, "format": "QOperator"}),
    ("asymmetric", "static", {"activation_type": S8, "weight_type": S8, "extra_options": {"WeightSymmetric": False}}),
    ("dynamic", "dynamic", {"weight_type": S8}),
    ("dynamic_u8", "dynamic", {"weight_type": U8}),
]


def cases() -> list[Case]:
    """All models: every body in three styles, every style and head at least once."""
    styles, heads, found = itertools.cycle(STYLES), itertools.cycle(HEADS), []
    for k, name in enumerate(BODIES):
        for _ in range(3):
            style, method, options = next(styles)
            head = next(heads)
            found.append(Case(f"{name}-{style}-{head}", name, head, method, options, "n" if k % 2 else 1))
    return found


# ---- models written node by node: scales are round decimals, so that sums fall on ties


class Qdq(Graph):
    """A model in QDQ form under construction."""

    def through(self, x: str, scale: float, zero: int = 0, kind: type = np.int8) -> str:
        """`x` quantised and read again."""
        return self.read(self.codes(x, scale, zero, kind), scale, zero, kind)

    def codes(self, x: str, scale: float, zero: int = 0, kind: type = np.int8) -> str:
        return self.add("QuantizeLinear", x, self.constant(np.float32(scale)), self.constant(kind(zero)))

    def read(self, codes: str, scale: object, zero: object = 0, kind: type = np.int8, **where: object) -> str:
        parts = self.constant(np.asarray(scale, np.float32)), self.constant(np.asarray(zero, kind))
        return self.add("DequantizeLinear", codes, *parts, **where)

    def weights(self, *shape: int, scale: float = 0.01, zero: int = 0, kind: type = np.int8) -> str:
        about = np.iinfo(kind)
        return self.read(
            self.constant(self.rng.integers(about.min, about.max + 1, shape).astype(kind)), scale, zero, kind
        )

    def ended(self, x: str, inputs: int = 8) -> str:
        """Pool and classifier."""
        x = self.through(self.add("GlobalAveragePool", x), 0.02)
        x = self.through(self.add("Flatten", x), 0.02)
        return self.through(self.add("Gemm", x, self.weights(10, inputs), transB=1), 0.1)


HAND_MADE: dict[str, Callable[[], onnx.ModelProto]] = {}


def hand_made(function: Callable[[Qdq], str]) -> Callable[[Qdq], str]:
    """Register a maker; its default arguments are those of the graph."""
    HAND_MADE[function.__name__] = lambda: (lambda g: g.model(function(g)))(
        Qdq(sum(map(ord, function.__name__)), (1, 3, SIZE, SIZE))
    )
    return function


def _first(g: Qdq, activation: str = "Relu", weights: str = "", zero: int = 0, kind: type = np.int8) -> str:
    x = g.add("Conv", g.through("image", 0.02, zero, kind), weights or g.weights(8, 3, 3, 3))
    return g.add(activation, x) if activation else x


@hand_made
def relu_symmetric(g: Qdq) -> str:
    return g.ended(g.through(_first(g), 0.1))


@hand_made
def relu_asymmetric(g: Qdq) -> str:
    return g.ended(g.through(_first(g), 0.1, -37))


@hand_made
def clip_between_codes(g: Qdq) -> str:
    x = g.add("Clip", _first(g, ""), g.constant(np.float32(0)), g.constant(np.float32(0.67)))
    return g.ended(g.through(x, 0.1, -128))


@hand_made
def unsigned(g: Qdq) -> str:
    return g.ended(g.through(_first(g, zero=3, kind=np.uint8), 0.1, 0, np.uint8))


@hand_made
def zero_points_of_weights(g: Qdq) -> str:
    x = g.through(_first(g, weights=g.weights(8, 3, 3, 3, zero=-9)), 0.1)
    x = g.through(g.add("Conv", x, g.weights(8, 8, 3, 3, zero=131, kind=np.uint8), dilations=[2, 2]), 0.1)
    return g.ended(x)


@hand_made
def zero_point_for_each_channel(g: Qdq) -> str:
    codes = g.constant(g.rng.integers(-100, 100, (8, 3, 3, 3)).astype(np.int8))
    return g.ended(g.through(_first(g, weights=g.read(codes, np.full(8, 0.01), np.arange(8) - 4, axis=0)), 0.1))


@hand_made
def tiny_and_huge_scales(g: Qdq) -> str:
    scales = np.array([1e-2, 1e-12, 3e-2, 1e-30, 1, 1e-2, 1e-3, 50])
    weights = g.read(g.constant(g.rng.integers(-127, 128, (8, 3, 3, 3)).astype(np.int8)), scales, np.zeros(8), axis=0)
    return g.ended(g.through(_first(g, weights=weights), 0.1, -128))


@hand_made
def scales_below_zero(g: Qdq) -> str:
    codes = g.constant(g.rng.integers(-127, 128, (8, 8, 1, 1)).astype(np.int8))
    weights = g.read(codes, np.array([0.01] * 7 + [-0.01]), np.zeros(8), axis=0)
    return g.ended(g.through(g.add("Conv", g.through(_first(g), 0.1), weights), 0.1))


@hand_made
def biases_of_dead_channels(g: Qdq) -> str:
    scales = np.array([1e-2] * 6 + [1e-9] * 2)
    weights = g.read(g.constant(g.rng.integers(-127, 128, (8, 3, 3, 3)).astype(np.int8)), scales, np.zeros(8), axis=0)
    codes = np.array([5, -400, 30, 7, 0, 99, 2**31 - 70000, -(2**31)], np.int32)
    bias = g.read(g.constant(codes), np.float32(0.02) * scales.astype(np.float32), np.zeros(8), np.int32, axis=0)
    x = g.add("Relu", g.add("Conv", g.through("image", 0.02), weights, bias))
    return g.ended(g.through(x, 0.1, -128))


@hand_made
def two_scales_of_one_value(g: Qdq) -> str:
    x = _first(g)
    a = g.through(g.add("Conv", g.through(x, 0.07, -128), g.weights(8, 8, 1, 1)), 0.1)
    return g.ended(g.through(g.add("Add", a, g.through(x, 0.1)), 0.1))


@hand_made
def input_twice(g: Qdq) -> str:
    image = g.through("image", 0.02)
    a = g.through(g.add("Conv", image, g.weights(8, 3, 3, 3), pads=[1] * 4), 0.1)
    b = g.through(g.add("Conv", image, g.weights(8, 3, 1, 1)), 0.1)
    return g.ended(g.through(g.add("Add", a, b), 0.1))


@hand_made
def input_in_floating_point(g: Qdq) -> str:
    x = g.through(g.add("Sigmoid", g.add("Mul", "image", g.real(3, 1, 1))), 0.01)
    return g.ended(g.through(g.add("Conv", x, g.weights(8, 3, 3, 3)), 0.1))


@hand_made
def first_layer_in_floating_point(g: Qdq) -> str:
    x = g.through(g.add("Relu", g.conv("image", 3, 8)), 0.02, -128)
    return g.ended(g.through(g.add("Conv", x, g.weights(8, 8, 3, 3)), 0.1))


@hand_made
def weights_moved(g: Qdq) -> str:
    x = g.through(_first(g, weights=g.add("Transpose", g.weights(3, 3, 3, 8), perm=[3, 2, 0, 1])), 0.1)
    x = g.through(g.add("Flatten", g.add("GlobalAveragePool", x)), 0.02)
    dense = g.add("Transpose", g.weights(10, 8), perm=[1, 0])
    return g.through(g.add("MatMul", x, dense), 0.1)


@hand_made
def codes_moved(g: Qdq) -> str:
    x = g.add("Transpose", g.through(_first(g, ""), 0.1), perm=[0, 1, 3, 2])
    x = g.add("Flatten", g.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]))
    return g.through(g.add("Gemm", x, g.weights(10, 72, scale=0.003), transB=1), 0.1)


@hand_made
def bias_in_floating_point(g: Qdq) -> str:
    x = g.add("Conv", g.through("image", 0.02), g.weights(8, 3, 3, 3), g.real(8, scale=1))
    x = g.through(g.add("Relu", x), 0.1, -128)
    x = g.through(g.add("Flatten", g.add("GlobalAveragePool", x)), 0.02)
    return g.add("Add", g.add("MatMul", x, g.weights(8, 10)), g.real(10))


@hand_made
def integer_output(g: Qdq) -> str:
    x = g.through(g.add("Flatten", g.add("GlobalAveragePool", g.through(_first(g), 0.1))), 0.02)
    return g.codes(g.add("Gemm", x, g.weights(10, 8), transB=1), 0.1)


@hand_made
def normalised_tokens(g: Qdq) -> str:
    """MatMul of rank 3 between layer norms, as in transformers."""
    x = g.add("Reshape", g.through(_first(g, ""), 0.1), g.constant(np.array([1, 8, 36], np.int64)))
    x = g.add("Transpose", x, perm=[0, 2, 1])
    for _ in range(2):
        y = g.through(g.add("LayerNormalization", x, g.real(8), g.real(8)), 0.02)
        y = g.through(g.add("Gelu", g.add("Add", g.add("MatMul", y, g.weights(8, 16)), g.real(16)), domain=MS), 0.05)
        x = g.through(g.add("Add", x, g.add("MatMul", y, g.weights(16, 8))), 0.1)
    x = g.through(g.add("ReduceMean", x, axes=[1], keepdims=0), 0.02)
    return g.through(g.add("Gemm", x, g.weights(10, 8), transB=1), 0.1)


@hand_made
def einsums(g: Qdq) -> str:
    """Matrix products of rank 3 by their equations, weights either way round; one of two activations stays."""
    x = g.add("Reshape", g.through(_first(g), 0.1, -128), g.constant(np.array([1, 8, 36], np.int64)))
    x = g.through(g.add("Transpose", x, perm=[0, 2, 1]), 0.1, -128)
    x = g.through(g.add("Einsum", x, g.weights(8, 16), equation="bnk,ko->bno"), 0.1)
    x = g.through(g.add("Einsum", x, g.weights(8, 16), equation="...c, dc -> ...d"), 0.1)
    x = g.through(g.add("Einsum", x, x, equation="bnk,bnl->bkl"), 0.5)
    x = g.through(g.add("ReduceMean", x, axes=[1], keepdims=0), 0.02)
    return g.through(g.add("Gemm", x, g.weights(10, 8), transB=1), 0.1)


@hand_made
def recurrent(g: Qdq) -> str:
    """An LSTM, which multiplies and stays whole, before a layer."""
    x = g.add("Reshape", g.through(_first(g), 0.1, -128), g.constant(np.array([8, 1, 36], np.int64)))
    rng = np.random.default_rng(11)
    weights = [g.constant(rng.normal(0, 0.3, shape).astype(np.float32)) for shape in ((1, 16, 36), (1, 16, 4))]
    x = g.add("Reshape", g.add("LSTM", x, *weights, hidden_size=4), g.constant(np.array([1, 32], np.int64)))
    return g.through(g.add("Gemm", g.through(x, 0.01), g.weights(10, 32), transB=1), 0.02)


@hand_made
def free_size(g: Qdq) -> str:
    g.shape = ("n", 3, "h", "w")
    return g.ended(g.through(_first(g), 0.1))


@hand_made
def channels_last(g: Qdq) -> str:
    """As models of TensorFlow have them."""
    g.shape = ("n", SIZE, SIZE, 3)
    x = g.through(g.add("Transpose", "image", perm=[0, 3, 1, 2]), 0.02)
    return g.ended(g.through(g.add("Relu", g.add("Conv", x, g.weights(8, 3, 3, 3))), 0.1))


@hand_made
def dynamic_batch(g: Qdq) -> str:
    """Scales of the whole batch that the runtime is given: an image must not get those of another."""
    g.shape = ("n", 3, 32, 32)
    x, scale, zero = g.add("DynamicQuantizeLinear", "image", outputs=3)
    weights = g.constant(g.rng.integers(-128, 128, (8, 3, 3, 3)).astype(np.int8))
    x = g.add("Cast", g.add("ConvInteger", x, weights, zero), to=1)
    return g.add("Flatten", g.add("GlobalAveragePool", g.add("Mul", x, scale)))


@hand_made
def features(g: Qdq) -> str:
    g.shape = (1, 40)
    x = g.through(g.add("Relu", g.add("Gemm", g.through("image", 0.02), g.weights(16, 40), transB=1)), 0.3)
    return g.through(g.add("Gemm", x, g.weights(10, 16), transB=1), 0.4)


@hand_made
def series(g: Qdq) -> str:
    g.shape = (1, 3, 24)
    x = g.through(g.add("Relu", g.add("Conv", g.through("image", 0.02), g.weights(8, 3, 3), dilations=[2])), 0.1)
    x = g.through(g.add("Conv", x, g.weights(8, 1, 5), group=8, strides=[2], auto_pad="SAME_UPPER"), 0.1)
    return g.through(g.add("Gemm", g.add("Flatten", x), g.weights(10, 80, scale=0.002), transB=1), 0.1)
