"""Small int8 TFLite models, one for each operator and variant that people have, written through the schema."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.tflite_model import Builder

SIZE, CHANNELS = 8, 8
MODELS: dict[str, Callable[[], bytes]] = {}
UNIT = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
RELU, RELU6 = 1, 3


class Net(Builder):
    """A convolution, an operator, a classifier."""

    def start(self, size: int = SIZE, scale: float = 1 / 255, zero: int = -128) -> int:
        self.x = self.tensor((1, size, size, 3), scale, zero)
        return self.conv(self.x, 3)

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self.graph.tensors[tensor].shape)

    def scale(self, tensor: int) -> float:
        return float(self.graph.tensors[tensor].quantization.scale[0])

    def conv(self, x: int, inputs: int, outputs: int = CHANNELS, kernel: int = 3, size: int = 0, **options: int) -> int:
        side = size or self.shape(x)[1]
        y = self.activation((1, side, side, outputs), 0.03, -9)
        w = self.weights((outputs, kernel, kernel, inputs), outputs, 0.004, self.scale(x))
        self.operator("CONV_2D", [x, *w], [y], "Conv2DOptions", **(UNIT | options))
        return y

    def ints(self, *values: int, shape: tuple | None = None) -> int:
        data = np.array(values, np.int32)
        return self.tensor(shape if shape is not None else data.shape, data=data, kind="INT32")

    def constant(self, *shape: int, scale: float = 0.02, zero: int = 3) -> int:
        return self.tensor(shape, scale, zero, self.rng.integers(-128, 128, shape).astype(np.int8))

    def one(self, name: str, inputs: list[int], shape: tuple, options: str = "", scale=0.03, zero=-9, **values) -> int:
        y = self.activation(shape, scale, zero)
        self.operator(name, inputs, [y], options, **values)
        return y

    def end(self, x: int) -> bytes:
        mean = self.one("MEAN", [x, self.ints(1, 2)], (1, self.shape(x)[3]), "ReducerOptions", 0.02, -20)
        return self.finish(self.dense(mean, self.shape(x)[3]))

    def dense(self, x: int, inputs: int, outputs: int = 7, shape: tuple | None = None) -> int:
        weights = self.tensor(
            (outputs, inputs), 0.01, 0, self.rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
        )
        bias = self.tensor(
            (outputs,), self.scale(x) * 0.01, 0, self.rng.integers(-900, 900, outputs).astype(np.int32), "INT32"
        )
        return self.one(
            "FULLY_CONNECTED",
            [x, weights, bias],
            shape or (1, outputs),
            "FullyConnectedOptions",
            0.05,
            4,
            keepNumDims=shape is not None,
        )

    def finish(self, y: int, x: int | None = None) -> bytes:
        return self.content(self.x if x is None else x, y)


def model(function: Callable[[Net], bytes]) -> Callable[[Net], bytes]:
    """Register a maker."""
    MODELS[function.__name__] = lambda: function(Net(sum(map(ord, function.__name__))))
    return function


def _unary(name: str, options: str = "", scale: float = 0.03, zero: int = -9, **values: object) -> None:
    def make() -> bytes:
        n = Net(len(name))
        x = n.start()
        return n.end(n.one(name, [x], n.shape(x), options, scale, zero, **values))

    MODELS[name.lower()] = make


_unary("LOGISTIC", scale=1 / 256, zero=-128)
_unary("TANH", scale=1 / 128, zero=0)
_unary("HARD_SWISH")
_unary("LEAKY_RELU", "LeakyReluOptions", alpha=0.1)
_unary("RELU")
_unary("RELU6", scale=6 / 255, zero=-128)
_unary("ELU")
_unary("GELU", "GeluOptions")
_unary("ABS", zero=-9)
_unary("NEG")
_unary("EXP", scale=0.1)
_unary("SOFTMAX", "SoftmaxOptions", scale=1 / 256, zero=-128, beta=1.0)
_unary("LOG_SOFTMAX", scale=16 / 256, zero=127)
_unary("QUANTIZE", "QuantizeOptions", scale=0.05, zero=17)


def _binary(label: str, name: str, other: tuple | None, **values: object) -> None:
    def make() -> bytes:
        n = Net(len(label))
        x = n.start()
        b = n.conv(x, CHANNELS) if other is None else n.constant(*other)
        return n.end(n.one(name, [x, b], n.shape(x), f"{name.title()}Options", 0.05, 2, **values))

    MODELS[label] = make


for _name in ("ADD", "SUB", "MUL"):
    _binary(f"{_name.lower()}_tensors", _name, None, fusedActivationFunction=RELU)
    _binary(f"{_name.lower()}_constant", _name, (1, SIZE, SIZE, CHANNELS))
    _binary(f"{_name.lower()}_channels", _name, (CHANNELS,))
    _binary(f"{_name.lower()}_scalar", _name, (1,))
for _name in ("MAXIMUM", "MINIMUM"):

    def _extreme(n: Net, name: str = _name) -> bytes:
        x = n.start()
        return n.end(n.one(name, [x, n.conv(x, CHANNELS)], n.shape(x), "MaximumMinimumOptions"))

    MODELS[_name.lower()] = lambda f=_extreme, name=_name: f(Net(len(name)), name)


def _pool(label: str, name: str, size: int, **values: int) -> None:
    def make() -> bytes:
        n = Net(len(label))
        return n.end(n.one(name, [n.start()], (1, size, size, CHANNELS), "Pool2DOptions", **values))

    MODELS[label] = make


for _name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
    _short = _name.split("_")[0].lower()
    _pool(f"{_short}_valid", _name, 4, padding=1, filterHeight=2, filterWidth=2, strideH=2, strideW=2)
    _pool(f"{_short}_same", _name, 4, padding=0, filterHeight=3, filterWidth=3, strideH=2, strideW=2)
    _pool(
        f"{_short}_relu",
        _name,
        8,
        padding=0,
        filterHeight=3,
        filterWidth=3,
        strideH=1,
        strideW=1,
        fusedActivationFunction=RELU,
    )


@model
def reduce_max(n: Net) -> bytes:
    x = n.start()
    y = n.one("REDUCE_MAX", [x, n.ints(1, 2)], (1, CHANNELS), "ReducerOptions")
    return n.finish(n.dense(y, CHANNELS))


@model
def sum_of_pixels(n: Net) -> bytes:
    x = n.start()
    y = n.one("SUM", [x, n.ints(1, 2)], (1, CHANNELS), "ReducerOptions", 0.5, 0)
    return n.finish(n.dense(y, CHANNELS))


@model
def mean_kept(n: Net) -> bytes:
    x = n.start()
    y = n.one("MEAN", [x, n.ints(1, 2)], (1, 1, 1, CHANNELS), "ReducerOptions", 0.02, 3, keepDims=True)
    return n.end(n.conv(y, CHANNELS, kernel=1))


@model
def mean_of_rows(n: Net) -> bytes:
    x = n.start()
    return n.end(n.one("MEAN", [x, n.ints(1)], (1, 1, SIZE, CHANNELS), "ReducerOptions", 0.02, 3, keepDims=True))


@model
def mean_of_channels(n: Net) -> bytes:
    x = n.start()
    y = n.one("MEAN", [x, n.ints(3)], (1, SIZE, SIZE, 1), "ReducerOptions", 0.02, 3, keepDims=True)
    return n.end(n.conv(y, 1))


@model
def concatenation(n: Net) -> bytes:
    x = n.start()
    y = n.one("CONCATENATION", [x, n.conv(x, CHANNELS)], (1, SIZE, SIZE, 2 * CHANNELS), "ConcatenationOptions", axis=3)
    return n.end(n.conv(y, 2 * CHANNELS))


@model
def pad(n: Net) -> bytes:
    x = n.start()
    return n.end(n.one("PAD", [x, n.ints(0, 0, 1, 2, 0, 1, 0, 0, shape=(4, 2))], (1, 11, 9, CHANNELS), "PadOptions"))


@model
def pad_channels(n: Net) -> bytes:
    x = n.start()
    return n.end(n.one("PAD", [x, n.ints(0, 0, 0, 0, 0, 0, 1, 3, shape=(4, 2))], (1, SIZE, SIZE, 12), "PadOptions"))


@model
def pad_value(n: Net) -> bytes:
    x, value = n.start(), n.tensor((1,), 0.03, -9, np.array([40], np.int8))
    pads = n.ints(0, 0, 1, 1, 1, 1, 0, 0, shape=(4, 2))
    return n.end(n.one("PADV2", [x, pads, value], (1, 10, 10, CHANNELS), "PadV2Options"))


@model
def mirror_pad(n: Net) -> bytes:
    x = n.start()
    pads = n.ints(0, 0, 1, 1, 1, 1, 0, 0, shape=(4, 2))
    return n.end(n.one("MIRROR_PAD", [x, pads], (1, 10, 10, CHANNELS), "MirrorPadOptions"))


@model
def resize_nearest(n: Net) -> bytes:
    x = n.start()
    return n.end(
        n.one("RESIZE_NEAREST_NEIGHBOR", [x, n.ints(16, 16)], (1, 16, 16, CHANNELS), "ResizeNearestNeighborOptions")
    )


@model
def resize_bilinear(n: Net) -> bytes:
    x = n.start()
    return n.end(n.one("RESIZE_BILINEAR", [x, n.ints(16, 16)], (1, 16, 16, CHANNELS), "ResizeBilinearOptions"))


@model
def split(n: Net) -> bytes:
    x = n.start()
    a, b = (n.activation((1, SIZE, SIZE, 4), 0.03, -9) for _ in range(2))
    n.operator("SPLIT", [n.ints(3, shape=()), x], [a, b], "SplitOptions", numSplits=2)
    return n.end(n.one("ADD", [n.conv(a, 4), n.conv(b, 4)], n.shape(x), "AddOptions", 0.05, 2))


@model
def strided_slice(n: Net) -> bytes:
    x = n.start()
    at = [n.ints(0, 1, 0, 0), n.ints(1, 7, 8, 8), n.ints(1, 2, 1, 1)]
    return n.end(n.one("STRIDED_SLICE", [x, *at], (1, 3, SIZE, CHANNELS), "StridedSliceOptions"))


@model
def transpose(n: Net) -> bytes:
    x = n.start()
    return n.end(n.one("TRANSPOSE", [x, n.ints(0, 2, 1, 3)], n.shape(x), "TransposeOptions"))


@model
def depth_to_space(n: Net) -> bytes:
    x = n.start()
    y = n.one("DEPTH_TO_SPACE", [x], (1, 16, 16, 2), "DepthToSpaceOptions", blockSize=2)
    return n.end(n.conv(y, 2))


@model
def space_to_depth(n: Net) -> bytes:
    x = n.start()
    y = n.one("SPACE_TO_DEPTH", [x], (1, 4, 4, 32), "SpaceToDepthOptions", blockSize=2)
    return n.end(n.conv(y, 32))


@model
def prelu(n: Net) -> bytes:
    x = n.start()
    return n.end(n.one("PRELU", [x, n.constant(1, 1, CHANNELS)], n.shape(x)))


@model
def squeeze_excite(n: Net) -> bytes:
    x = n.start()
    s = n.one("MEAN", [x, n.ints(1, 2)], (1, 1, 1, CHANNELS), "ReducerOptions", 0.02, 3, keepDims=True)
    s = n.one("LOGISTIC", [n.conv(s, CHANNELS, kernel=1)], (1, 1, 1, CHANNELS), scale=1 / 256, zero=-128)
    return n.end(n.one("MUL", [x, s], n.shape(x), "MulOptions", 0.03, 1))


@model
def strided(n: Net) -> bytes:
    return n.end(n.conv(n.start(), CHANNELS, size=4, strideH=2, strideW=2, fusedActivationFunction=RELU6))


@model
def valid(n: Net) -> bytes:
    return n.end(n.conv(n.start(), CHANNELS, size=6, padding=1))


@model
def dilated(n: Net) -> bytes:
    return n.end(n.conv(n.start(), CHANNELS, dilationHFactor=2, dilationWFactor=2))


@model
def grouped(n: Net) -> bytes:
    return n.end(n.conv(n.start(), CHANNELS // 2))


@model
def depthwise(n: Net) -> bytes:
    x = n.start()
    w = n.weights((1, 3, 3, CHANNELS), CHANNELS, 0.004, 0.03, axis=3)
    return n.end(n.one("DEPTHWISE_CONV_2D", [x, *w], n.shape(x), "DepthwiseConv2DOptions", depthMultiplier=1, **UNIT))


@model
def depth_multiplier(n: Net) -> bytes:
    x = n.start()
    w = n.weights((1, 3, 3, 2 * CHANNELS), 2 * CHANNELS, 0.004, 0.03, axis=3)
    shape = (1, SIZE, SIZE, 2 * CHANNELS)
    return n.end(n.one("DEPTHWISE_CONV_2D", [x, *w], shape, "DepthwiseConv2DOptions", depthMultiplier=2, **UNIT))


@model
def space_to_batch(n: Net) -> bytes:
    """Dilation as TensorFlow writes it."""
    x = n.start()
    pads, block = n.ints(2, 2, 2, 2, shape=(2, 2)), n.ints(2, 2)
    y = n.one("SPACE_TO_BATCH_ND", [x, block, pads], (4, 6, 6, CHANNELS))
    w = n.weights((CHANNELS, 3, 3, CHANNELS), CHANNELS, 0.004, 0.03)
    y = n.one("CONV_2D", [y, *w], (4, 4, 4, CHANNELS), "Conv2DOptions", padding=1, **UNIT)
    return n.end(n.one("BATCH_TO_SPACE_ND", [y, block, n.ints(0, 0, 0, 0, shape=(2, 2))], (1, 8, 8, CHANNELS)))


def _transposed(label: str, stride: int, padding: int, size: int, kernel: int = 3) -> None:
    def make() -> bytes:
        n = Net(len(label))
        x = n.start()
        w = n.weights((CHANNELS, kernel, kernel, CHANNELS), CHANNELS, 0.004, 0.03)
        inputs = [n.ints(1, size, size, CHANNELS), w[0], x, w[1]]
        options = {"strideH": stride, "strideW": stride, "padding": padding}
        return n.end(n.one("TRANSPOSE_CONV", inputs, (1, size, size, CHANNELS), "TransposeConvOptions", **options))

    MODELS[label] = make


_transposed("transposed_same", 2, 0, 16)
_transposed("transposed_valid", 2, 1, 17)
_transposed("transposed_unit", 1, 0, 8)
_transposed("transposed_even", 2, 0, 16, 2)


@model
def flatten(n: Net) -> bytes:
    x = n.start()
    y = n.one("RESHAPE", [x, n.ints(1, 512)], (1, 512), "ReshapeOptions", newShape=[1, 512])
    return n.finish(n.dense(y, 512))


@model
def flatten_by_shape(n: Net) -> bytes:
    """As Keras writes it for an unknown batch."""
    x = n.start()
    shape, first, pair = (n.tensor(s, kind="INT32") for s in ((4,), (), (2,)))
    n.operator("SHAPE", [x], [shape], "ShapeOptions", outType=2)
    at = [n.ints(0), n.ints(1), n.ints(1)]
    n.operator("STRIDED_SLICE", [shape, *at], [first], "StridedSliceOptions", shrinkAxisMask=1)
    n.operator("PACK", [first, n.ints(512, shape=())], [pair], "PackOptions", valuesCount=2)
    y = n.one("RESHAPE", [x, pair], (1, 512), "ReshapeOptions")
    return n.finish(n.dense(y, 512))


@model
def flatten_then_activate(n: Net) -> bytes:
    """What follows the flattening is the runtime's: it has its own order."""
    x = n.start()
    y = n.one("RESHAPE", [x, n.ints(1, 512)], (1, 512), "ReshapeOptions", newShape=[1, 512])
    y = n.one("LOGISTIC", [y], (1, 512), "", 1 / 256, -128)
    return n.finish(n.dense(y, 512))


@model
def rows(n: Net) -> bytes:
    """Tokens through two dense layers, as in transformers."""
    x = n.start()
    y = n.one("RESHAPE", [x, n.ints(1, 64, CHANNELS)], (1, 64, CHANNELS), "ReshapeOptions", newShape=[1, 64, CHANNELS])
    y = n.dense(n.dense(y, CHANNELS, 12, (1, 64, 12)), 12, CHANNELS, (1, 64, CHANNELS))
    y = n.one(
        "RESHAPE",
        [y, n.ints(1, 8, 8, CHANNELS)],
        (1, 8, 8, CHANNELS),
        "ReshapeOptions",
        0.05,
        4,
        newShape=[1, 8, 8, CHANNELS],
    )
    return n.end(y)


@model
def batch_matmul(n: Net) -> bytes:
    """Attention: both operands are activations."""
    x = n.start()
    t = n.one("RESHAPE", [x, n.ints(1, 64, CHANNELS)], (1, 64, CHANNELS), "ReshapeOptions", newShape=[1, 64, CHANNELS])
    q, k = n.dense(t, CHANNELS, 8, (1, 64, 8)), n.dense(t, CHANNELS, 8, (1, 64, 8))
    s = n.one("BATCH_MATMUL", [q, k], (1, 64, 64), "BatchMatMulOptions", 0.08, 0, adjY=True)
    p = n.one("SOFTMAX", [s], (1, 64, 64), "SoftmaxOptions", 1 / 256, -128, beta=1.0)
    y = n.one("BATCH_MATMUL", [p, t], (1, 64, CHANNELS), "BatchMatMulOptions", 0.03, -9)
    y = n.one(
        "RESHAPE", [y, n.ints(1, 8, 8, CHANNELS)], (1, 8, 8, CHANNELS), "ReshapeOptions", newShape=[1, 8, 8, CHANNELS]
    )
    return n.end(y)


@model
def softmax_at_the_end(n: Net) -> bytes:
    x = n.start()
    mean = n.one("MEAN", [x, n.ints(1, 2)], (1, CHANNELS), "ReducerOptions", 0.02, -20)
    return n.finish(n.one("SOFTMAX", [n.dense(mean, CHANNELS)], (1, 7), "SoftmaxOptions", 1 / 256, -128, beta=1.0))


@model
def floating_point_ends(n: Net) -> bytes:
    first = n.tensor((1, SIZE, SIZE, 3), kind="FLOAT32")
    x = n.one("QUANTIZE", [first], (1, SIZE, SIZE, 3), "QuantizeOptions", 1 / 255, -128)
    y = n.conv(x, 3)
    mean = n.one("MEAN", [y, n.ints(1, 2)], (1, CHANNELS), "ReducerOptions", 0.02, -20)
    last = n.tensor((1, 7), kind="FLOAT32")
    n.operator("DEQUANTIZE", [n.dense(mean, CHANNELS)], [last], "DequantizeOptions")
    return n.finish(last, first)


@model
def unsigned_ends(n: Net) -> bytes:
    first = n.tensor((1, SIZE, SIZE, 3), 1 / 255, 0, kind="UINT8")
    x = n.one("QUANTIZE", [first], (1, SIZE, SIZE, 3), "QuantizeOptions", 1 / 255, -128)
    y = n.conv(x, 3)
    mean = n.one("MEAN", [y, n.ints(1, 2)], (1, CHANNELS), "ReducerOptions", 0.02, -20)
    last = n.tensor((1, 7), 0.05, 132, kind="UINT8")
    n.operator("QUANTIZE", [n.dense(mean, CHANNELS)], [last], "QuantizeOptions")
    return n.finish(last, first)


@model
def all_unsigned(n: Net) -> bytes:
    """A model of the first quantisers: uint8 weights and activations, zero points of both."""

    def weights(shape: tuple, outputs: int, zero: int) -> list[int]:
        w = n.tensor(shape, 0.01, zero, n.rng.integers(0, 256, shape).astype(np.uint8), "UINT8")
        return [w, n.tensor((outputs,), 0.01 / 255, 0, n.rng.integers(-2000, 2000, outputs).astype(np.int32), "INT32")]

    x = n.tensor((1, SIZE, SIZE, 3), 1 / 255, 0, kind="UINT8")
    y = n.tensor((1, SIZE, SIZE, CHANNELS), 1 / 255, 7, kind="UINT8")
    n.operator("CONV_2D", [x, *weights((CHANNELS, 3, 3, 3), CHANNELS, 121)], [y], "Conv2DOptions", **UNIT)
    z = n.tensor((1, SIZE, SIZE, CHANNELS), 0.02, 100, kind="UINT8")
    w = weights((1, 3, 3, CHANNELS), CHANNELS, 131)
    n.operator("DEPTHWISE_CONV_2D", [y, *w], [z], "DepthwiseConv2DOptions", depthMultiplier=1, **UNIT)
    p = n.tensor((1, 1, 1, CHANNELS), 0.02, 100, kind="UINT8")
    n.operator(
        "AVERAGE_POOL_2D", [z], [p], "Pool2DOptions", padding=1, filterHeight=8, filterWidth=8, strideH=1, strideW=1
    )
    f = n.tensor((1, CHANNELS), 0.02, 100, kind="UINT8")
    n.operator("RESHAPE", [p, n.ints(1, CHANNELS)], [f], "ReshapeOptions", newShape=[1, CHANNELS])
    w = n.tensor((7, CHANNELS), 0.01, 140, n.rng.integers(0, 256, (7, CHANNELS)).astype(np.uint8), "UINT8")
    last = n.tensor((1, 7), 0.03, 120, kind="UINT8")
    bias = n.tensor((7,), 0.0002, 0, n.rng.integers(-900, 900, 7).astype(np.int32), "INT32")
    n.operator("FULLY_CONNECTED", [f, w, bias], [last], "FullyConnectedOptions")
    return n.finish(last, x)


@model
def floating_point_inside(n: Net) -> bytes:
    """A float operator between DEQUANTIZE and QUANTIZE."""
    x = n.start()
    real, curve = (n.tensor((1, SIZE, SIZE, CHANNELS), kind="FLOAT32") for _ in range(2))
    n.operator("DEQUANTIZE", [x], [real], "DequantizeOptions")
    n.operator("SIN", [real], [curve])
    return n.end(n.one("QUANTIZE", [curve], n.shape(x), "QuantizeOptions", 1 / 128, 0))


@model
def four_bits(n: Net) -> bytes:
    """Two weights in a byte."""
    x = n.start()
    y, scales = n.activation((1, SIZE, SIZE, CHANNELS), 0.03, -9), np.full(CHANNELS, 0.03, np.float32)
    packed = n.rng.integers(0, 256, CHANNELS * 9 * CHANNELS // 2).astype(np.uint8)
    w = n.tensor((CHANNELS, 3, 3, CHANNELS), scales, 0, packed, "INT4")
    bias = n.rng.integers(-2000, 2000, CHANNELS).astype(np.int32)
    b = n.tensor((CHANNELS,), np.float32(n.scale(x)) * scales, 0, bias, "INT32")
    n.operator("CONV_2D", [x, w, b], [y], "Conv2DOptions", **UNIT)
    return n.end(y)


@model
def dead_channels(n: Net) -> bytes:
    x = n.start()
    w = n.weights((CHANNELS, 3, 3, CHANNELS), CHANNELS, 0.004, 0.03)
    n.graph.tensors[w[0]].quantization.scale[:2] = [3e-8, 5e-9]
    bias = n.rng.integers(-2000, 2000, CHANNELS).astype(np.int32)
    bias[:2] = [2**31 - 70000, -(2**31) + 40000]
    n.model.buffers[n.graph.tensors[w[1]].buffer].data = np.frombuffer(bias.tobytes(), np.uint8)
    n.graph.tensors[w[1]].quantization.scale[:2] = np.float32(0.03) * np.array([3e-8, 5e-9], np.float32)
    return n.end(n.one("CONV_2D", [x, *w], n.shape(x), "Conv2DOptions", **UNIT))


@model
def tiny_scales(n: Net) -> bytes:
    x = n.start()
    w = n.weights((CHANNELS, 3, 3, CHANNELS), CHANNELS, 0.004, 0.03)
    n.graph.tensors[w[0]].quantization.scale[:2] = [1e-12, 1e-20]
    n.graph.tensors[w[1]].quantization.scale[:2] = np.float32(0.03) * np.array([1e-12, 1e-20], np.float32)
    return n.end(n.one("CONV_2D", [x, *w], n.shape(x), "Conv2DOptions", **UNIT))


@model
def features(n: Net) -> bytes:
    """Anomaly detection: vectors in, vectors out."""
    n.x = n.tensor((1, 40), 0.04, 3)
    return n.finish(n.dense(n.dense(n.dense(n.x, 40, 16), 16, 8), 8, 40))


@model
def spectrum(n: Net) -> bytes:
    """Keyword spotting: one channel, not square, 12 classes."""
    n.x = n.tensor((1, 12, 10, 1), 0.5, 3)
    w = n.weights((CHANNELS, 5, 3, 1), CHANNELS, 0.004, 0.5)
    y = n.one("CONV_2D", [n.x, *w], (1, 6, 5, CHANNELS), "Conv2DOptions", **(UNIT | {"strideH": 2, "strideW": 2}))
    mean = n.one("MEAN", [y, n.ints(1, 2)], (1, CHANNELS), "ReducerOptions", 0.02, -20)
    return n.finish(n.dense(mean, CHANNELS, 12))


@model
def two_classes(n: Net) -> bytes:
    x = n.start()
    mean = n.one("MEAN", [x, n.ints(1, 2)], (1, CHANNELS), "ReducerOptions", 0.02, -20)
    return n.finish(n.dense(mean, CHANNELS, 2))
