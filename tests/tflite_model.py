"""A small int8 TFLite model made by hand, with every operator that the importer knows."""

from __future__ import annotations

import numpy as np

IMAGE = 8
FIRST = ("HARD_SWISH", "ELU", "NEG", "PRELU", "SHAPE", "SIN", "DEPTH_TO_SPACE")  # operators of version 1
VERSIONS = {name: 1 for name in FIRST} | {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "RESHAPE": 1,
    "QUANTIZE": 1,
    "FULLY_CONNECTED": 4,
}  # others: 2


class Builder:
    """Tensors and operators of one subgraph; `content` is the file."""

    def __init__(self, seed: int = 0) -> None:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

        self.flatbuffers, self.s, self.rng = flatbuffers, schema, np.random.default_rng(seed)
        self.graph, self.model = schema.SubGraphT(), schema.ModelT()
        self.graph.tensors, self.graph.operators, self.graph.name = [], [], b"main"
        self.model.version, self.model.subgraphs, self.model.operatorCodes = 3, [self.graph], []
        self.model.buffers = [schema.BufferT()]

    def tensor(self, shape, scale=None, zero=0, data=None, kind="INT8") -> int:
        """A tensor; `scale` one value or one for each entry of the first axis."""
        t = self.s.TensorT()
        t.shape, t.type, t.name = list(shape), getattr(self.s.TensorType, kind), f"t{len(self.graph.tensors)}".encode()
        t.buffer = 0
        if data is not None:
            buffer = self.s.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            t.buffer = len(self.model.buffers) - 1
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            t.quantization = self.s.QuantizationParametersT()
            t.quantization.scale, t.quantization.zeroPoint = scales, np.full(len(scales), zero, np.int64)
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def activation(self, shape, scale=0.05, zero=-5) -> int:
        """A tensor that an operator makes."""
        return self.tensor(shape, scale, zero)

    def operator(self, name: str, inputs: list[int], outputs: list[int], options: str = "", **values: int) -> None:
        """An operator and its options table."""
        code, op = self.s.OperatorCodeT(), self.s.OperatorT()
        code.builtinCode = getattr(self.s.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), VERSIONS.get(name, 2)
        self.model.operatorCodes.append(code)
        op.opcodeIndex, op.inputs, op.outputs = len(self.model.operatorCodes) - 1, inputs, outputs
        if options:
            op.builtinOptionsType = getattr(self.s.BuiltinOptions, options)
            op.builtinOptions = getattr(self.s, f"{options}T")()
            for key, value in values.items():
                setattr(op.builtinOptions, key, value)
        self.graph.operators.append(op)

    def weights(self, shape, outputs: int, scale: float, input_scale: float, axis: int = 0) -> list[int]:
        """Per-channel weights and a bias."""
        scales = (scale * self.rng.uniform(0.5, 1.5, outputs)).astype(np.float32)
        w = self.tensor(shape, scales, 0, self.rng.integers(-127, 128, shape).astype(np.int8))
        self.graph.tensors[w].quantization.quantizedDimension = axis
        bias = self.rng.integers(-2000, 2000, outputs).astype(np.int32)
        return [w, self.tensor((outputs,), np.float32(input_scale) * scales, 0, bias, "INT32")]

    def content(self, first: int, last: int) -> bytes:
        """The file, with input `first` and output `last`."""
        self.graph.inputs, self.graph.outputs = [first], [last]
        builder = self.flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def small_model(seed: int = 0) -> bytes:
    """Image 8x8x3 to 10 classes through one of everything."""
    b, s = Builder(seed), IMAGE
    relu, relu6 = 1, 3
    x = b.tensor((1, s, s, 3), 1 / 255, -128)
    conv = b.activation((1, 4, 4, 8), 0.0235, -128)
    stride = {"strideH": 2, "strideW": 2, "dilationHFactor": 1, "dilationWFactor": 1}
    unit = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    w = b.weights((8, 3, 3, 3), 8, 0.01, 1 / 255)
    b.operator("CONV_2D", [x, *w], [conv], "Conv2DOptions", fusedActivationFunction=relu6, **stride)
    deep = b.activation((1, 4, 4, 8), 0.03, -20)
    w = b.weights((1, 3, 3, 8), 8, 0.003, 0.0235, axis=3)
    b.operator("DEPTHWISE_CONV_2D", [conv, *w], [deep], "DepthwiseConv2DOptions", depthMultiplier=1, **unit)
    total = b.activation((1, 4, 4, 8), 0.04, -100)
    b.operator("ADD", [conv, deep], [total], "AddOptions", fusedActivationFunction=relu)
    product = b.activation((1, 4, 4, 8), 0.05, 3)
    b.operator("MUL", [total, deep], [product], "MulOptions")
    clamped = b.activation((1, 4, 4, 8), 0.05, 3)
    b.operator("RELU", [product], [clamped])
    rescaled = b.activation((1, 4, 4, 8), 0.06, -128)
    b.operator("QUANTIZE", [clamped], [rescaled], "QuantizeOptions")
    padded = b.activation((1, 6, 6, 8), 0.06, -128)
    amounts = b.tensor((4, 2), data=np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32), kind="INT32")
    b.operator("PAD", [rescaled, amounts], [padded], "PadOptions")
    pooled = b.activation((1, 3, 3, 8), 0.06, -128)
    window = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2}
    b.operator("MAX_POOL_2D", [padded], [pooled], "Pool2DOptions", **window)
    mean = b.activation((1, 3, 3, 8), 0.06, -128)
    window = {"filterHeight": 3, "filterWidth": 3, "strideH": 1, "strideW": 1}
    b.operator("AVERAGE_POOL_2D", [pooled], [mean], "Pool2DOptions", **window)  # SAME
    flat = b.activation((1, 72), 0.06, -128)
    shape = b.tensor((2,), data=np.array([1, 72], np.int32), kind="INT32")
    b.operator("RESHAPE", [mean, shape], [flat], "ReshapeOptions", newShape=[1, 72])
    scores = b.activation((1, 10), 0.2, 4)
    weights = b.tensor((10, 72), 0.01, 0, b.rng.integers(-127, 128, (10, 72)).astype(np.int8))
    bias = b.tensor((10,), 0.06 * 0.01, 0, b.rng.integers(-2000, 2000, 10).astype(np.int32), "INT32")
    b.operator("FULLY_CONNECTED", [flat, weights, bias], [scores], "FullyConnectedOptions")
    chances = b.activation((1, 10), 1 / 256, -128)
    b.operator("SOFTMAX", [scores], [chances], "SoftmaxOptions", beta=1.0)
    return b.content(x, chances)


def pooled_model(operator: str = "MEAN", kind: str = "INT8", classes: int = 10) -> bytes:
    """Mean over all pixels (or what `operator` does), then a fully connected layer."""
    b, s = Builder(1), IMAGE
    x = b.tensor((1, s, s, 3), 1 / 255, -128, kind=kind)
    mean = b.activation((1, 3), 0.0031, -100)
    axes = b.tensor((2,), data=np.array([1, 2], np.int32), kind="INT32")
    b.operator(operator, [x, axes], [mean], "ReducerOptions", keepDims=False)
    scores = b.activation((1, classes), 0.01, 4)
    weights = b.tensor((classes, 3), 0.01, 0, b.rng.integers(-127, 128, (classes, 3)).astype(np.int8))
    b.operator("FULLY_CONNECTED", [mean, weights], [scores], "FullyConnectedOptions")
    return b.content(x, scores)
