"""int8 TensorFlow Lite models to integer networks, bit for bit as the runtime's reference kernels compute them.

Weights are symmetric (zero point 0), per channel or per tensor; activations are asymmetric, one scale and zero
point for each tensor (Jacob et al., arXiv 1712.05877). A sum of (a - za) * w is the sum of a * w plus the constant
-za * sum(w), which goes into the bias; so an encoding's products are those of the raw codes. Feature maps become
[N, C, H, W]. A softmax or requantisation at the very end changes no class and is left out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.datasets import classes_of
from models.errors import UserError
from models.quant.arith import (
    INT8_MAX,
    INT8_MIN,
    float32_multipliers,
    quantise_multiplier,
    quantise_multipliers,
    requantise,
)
from models.quant.checkpoint import validate
from models.quant.graph import INPUT, Conv, Linear, Node, QuantNetwork
from models.quant.nodes import Add, Flatten, GlobalAveragePool, Lookup, Multiply, Pad, Pool, Requant, TfliteAdd

SUPPORTED = (
    *("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MUL", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN"),
    *("PAD", "RELU", "RELU6", "QUANTIZE", "RESHAPE", "SOFTMAX"),
)
ADD_BITS = 21  # of the larger multiplier in XNNPACK's addition
CODES = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)


@dataclass(frozen=True)
class _Tensor:
    """A tensor of the file; `scale` float64 [n], `zero_point` int, `data` its constant contents or None."""

    index: int
    name: str
    kind: str
    shape: tuple[int, ...]
    scale: np.ndarray
    zero_point: int
    data: np.ndarray | None


def read_tflite(
    path: str | Path, name: str, dataset: str, rounding: str = "float"
) -> tuple[QuantNetwork, dict[str, int]]:
    """The network in `path`, and the number of the file's tensor that each node makes ("input" included).

    Images are given as uint8; the input's code is the pixel minus 128. `rounding` "float" is that of the runtime's
    default kernels (XNNPACK), "double" of its reference kernels, "single" of our tile engine. Raises UserError if
    the file is damaged or holds what the layer graph does not have; unsupported operators are named.
    """
    reader = _Reader(Path(path), rounding)
    network = reader.network(name, dataset)
    try:
        validate(network)
    except ValueError as error:
        raise UserError(f"{path}: {error}; the model does not fit the layer graph") from error
    return network, reader.made


class _Reader:
    """Goes through the operators in order; `made` maps node names to tensor numbers."""

    def __init__(self, path: Path, rounding: str) -> None:
        try:
            import tflite
        except ImportError as error:
            raise UserError("TFLite models need the package 'tflite'; run 'make setup'") from error
        self.schema, self.path, self.rounding = tflite, path, rounding
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {path} ({error.strerror})") from error
        if content[4:8] != b"TFL3":
            raise UserError(f"{path} is no TFLite model (its identifier is {content[4:8]!r}, expected b'TFL3')")
        try:
            self.model = tflite.Model.GetRootAsModel(content, 0)
            self.graph = self.model.Subgraphs(0)
            if (count := self.model.SubgraphsLength()) != 1:
                raise UserError(f"{path} has {count} subgraphs; only models with 1 are supported")
            self._kinds = {v: k for k, v in vars(tflite.TensorType).items() if isinstance(v, int)}
            self._operators = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
            self.tensors = [self._tensor(i) for i in range(self.graph.TensorsLength())]
            self.operators = [self.graph.Operators(i) for i in range(self.graph.OperatorsLength())]
            self.names = [self._operator_name(o) for o in self.operators]
        except (struct.error, IndexError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise UserError(f"{path} is a damaged TFLite model ({error}); copy it again") from error
        self.nodes: list[Node] = []
        self.made: dict[str, int] = {}
        self._node_of: dict[int, str] = {}  # tensor number -> node
        self._flat: dict[int, tuple[int, int, int]] = {}  # [N, H * W * C] tensor -> (H, W, C)
        self._ended: dict[int, str] = {}  # tensor that only the result may be -> operator that made it

    # ---- the file

    def _tensor(self, index: int) -> _Tensor:
        tensor = self.graph.Tensors(index)
        kind = self._kinds.get(tensor.Type(), str(tensor.Type()))
        shape = tuple(int(n) for n in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
        about = tensor.Quantization()
        scale = np.array(about.ScaleAsNumpy(), np.float64) if about and about.ScaleLength() else np.zeros(0)
        zeros = np.array(about.ZeroPointAsNumpy()) if about and about.ZeroPointLength() else np.zeros(1, int)
        name = (tensor.Name() or b"").decode(errors="replace")
        if len(set(zeros.tolist())) != 1:
            raise UserError(f"{self.path}: tensor '{name}' has several zero points; only one is supported")
        data = None
        buffer = self.model.Buffers(tensor.Buffer())
        types = {"INT8": np.int8, "INT32": np.int32, "INT64": np.int64}
        if buffer is not None and buffer.DataLength() and kind in types:
            data = np.frombuffer(buffer.DataAsNumpy().tobytes(), types[kind]).reshape(shape).copy()
        return _Tensor(index, name, kind, shape, scale, int(zeros[0]), data)

    def _operator_name(self, operator: object) -> str:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if custom := code.CustomCode():
            return custom.decode(errors="replace")
        return self._operators.get(number, f"operator {number}")

    def _options(self, operator: object, kind: str) -> object:
        options = getattr(self.schema, kind)()
        table = operator.BuiltinOptions()
        if table is None:
            raise UserError(f"{self.path}: an operator has no {kind}; the file is damaged")
        options.Init(table.Bytes, table.Pos)
        return options

    # ---- the graph

    def network(self, name: str, dataset: str) -> QuantNetwork:
        """All operators as nodes."""
        if unknown := sorted({n for n in self.names if n not in SUPPORTED}):
            raise UserError(
                f"{self.path}: operators {', '.join(unknown)} are not supported; supported: {', '.join(SUPPORTED)}"
            )
        if self.graph.InputsLength() != 1 or self.graph.OutputsLength() != 1:
            raise UserError(f"{self.path}: only models with one input and one output are supported")
        source = self._input(self.tensors[int(self.graph.Inputs(0))])
        for i, (operator, kind) in enumerate(zip(self.operators, self.names, strict=True)):
            inputs = [self.tensors[j] if j >= 0 else None for j in map(int, operator.InputsAsNumpy())]
            output = self.tensors[int(operator.Outputs(0))]
            if output.index in self._node_of:
                continue  # the input's requantisation
            if ended := next((self._ended[t.index] for t in inputs if t and t.index in self._ended), None):
                if kind not in ("QUANTIZE", "RESHAPE"):
                    raise UserError(f"{self.path}: {kind} after {ended}; it is supported at the very end only")
                self._ended[output.index] = ended
                continue
            getattr(self, f"_{kind.lower()}")(f"{_SHORT.get(kind, kind.lower())}{i}", operator, inputs, output)
        last = int(self.graph.Outputs(0))
        if not self.nodes or (last not in self._ended and self._node_of.get(last) != self.nodes[-1].name):
            raise UserError(f"{self.path}: the output is not what the last operator makes")
        outputs, classes = self._outputs(self.nodes[-1]), classes_of(dataset)
        if outputs - classes not in (0, 1):
            raise UserError(
                f"{self.path} has {outputs} outputs, {dataset} has {classes} classes; is it another data set?"
            )
        scale = float(source.scale[0])
        mean, std = (128 + source.zero_point) / 255, 1 / (255 * scale)
        channels = source.shape[3]
        return QuantNetwork(
            name,
            dataset,
            (mean,) * channels,
            (std,) * channels,
            scale,
            tuple(self.nodes),
            {"imported": {"file": self.path.name, "shape": [channels, *source.shape[1:3]]}},
            input_zero_point=source.zero_point,
            first_class=outputs - classes,
        )

    def _outputs(self, node: Node) -> int:
        """Channels of the result: those of the last convolution or linear layer behind it."""
        made = {n.name: n for n in self.nodes}
        while not isinstance(node, Conv | Linear):
            node = made.get(node.sources[0])
            if node is None:
                raise UserError(f"{self.path}: no convolution or linear layer makes the result")
        return len(node.bias)

    def _input(self, tensor: _Tensor) -> _Tensor:
        """The int8 input: the model's, or what its first operator makes of uint8."""
        if tensor.kind != "UINT8":
            self._int8(tensor)
        if len(tensor.shape) != 4 or len(tensor.scale) != 1:
            raise UserError(f"{self.path}: input '{tensor.name}' is no quantised image [1, H, W, C]")
        if tensor.kind == "UINT8":
            readers = [i for i, o in enumerate(self.operators) if tensor.index in o.InputsAsNumpy()]
            made = self.tensors[int(self.operators[readers[0]].Outputs(0))] if readers else None
            if len(readers) != 1 or self.names[readers[0]] != "QUANTIZE" or made.zero_point != tensor.zero_point - 128:
                raise UserError(f"{self.path}: a uint8 input must be turned into int8 of the same scale at once")
            tensor = made
            self._int8(tensor)
        self._node_of[tensor.index], self.made[INPUT] = INPUT, tensor.index
        return tensor

    def _int8(self, *tensors: _Tensor) -> None:
        for tensor in tensors:
            if tensor.kind != "INT8" or not len(tensor.scale):
                raise UserError(
                    f"{self.path}: tensor '{tensor.name}' is {tensor.kind}"
                    f"{'' if len(tensor.scale) else ' without a scale'}; quantise the whole model to int8"
                )

    def _source(self, tensor: _Tensor) -> str:
        if tensor.index not in self._node_of:
            raise UserError(f"{self.path}: tensor '{tensor.name}' is read, but no operator before makes it")
        self._int8(tensor)
        return self._node_of[tensor.index]

    def _add_node(self, node: Node, output: _Tensor) -> None:
        self._int8(output)
        self.nodes.append(node)
        self._node_of[output.index], self.made[node.name] = node.name, output.index

    def _range(self, function: int, output: _Tensor) -> tuple[int, int]:
        """Smallest and largest code that a fused activation function leaves."""
        name = {v: k for k, v in vars(self.schema.ActivationFunctionType).items() if isinstance(v, int)}.get(function)
        ranges = {"NONE": (None, None), "RELU": (0, None), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
        if name not in ranges:
            raise UserError(f"{self.path}: fused activation {name or function} is not supported")
        scale = np.float32(output.scale[0])
        codes = [
            None if v is None else output.zero_point + int(np.floor(np.float32(v) / scale + np.float32(0.5)))
            for v in ranges[name]
        ]
        lo, hi = (limit if c is None else c for c, limit in zip(codes, (INT8_MIN, INT8_MAX), strict=True))
        return max(lo, INT8_MIN), min(hi, INT8_MAX)

    def _requant(self, factors: np.ndarray, function: int, output: _Tensor, rounding: str = "") -> Requant:
        lo, hi = self._range(function, output)
        rounding = rounding or self.rounding
        multipliers = float32_multipliers(factors) if rounding == "float" else quantise_multipliers(factors)
        return Requant(*multipliers, lo, hi, output.zero_point, rounding)

    # ---- operators, one each

    def _conv_2d(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        options = self._options(operator, "Conv2DOptions")
        weights = self._weights(name, inputs[1]).transpose(0, 3, 1, 2)
        self._convolution(name, options, inputs, output, weights, groups=inputs[0].shape[3] // weights.shape[1])

    def _depthwise_conv_2d(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        options = self._options(operator, "DepthwiseConv2DOptions")
        weights = self._weights(name, inputs[1]).transpose(3, 0, 1, 2)  # [1, kh, kw, O] to [O, 1, kh, kw]
        self._convolution(name, options, inputs, output, weights, groups=inputs[0].shape[3])

    def _convolution(
        self, name: str, options: object, inputs: list, output: _Tensor, weights: np.ndarray, groups: int
    ) -> None:
        if (options.DilationHFactor(), options.DilationWFactor()) != (1, 1):
            raise UserError(f"{self.path}: {name} is dilated; only dilation 1 is supported")
        x, source = inputs[0], self._source(inputs[0])
        stride = (options.StrideH(), options.StrideW())
        bias, scale = self._bias(name, weights, inputs)
        node = Conv(
            name,
            source,
            np.ascontiguousarray(weights),
            bias,
            self._requant(self._factors(x, scale, output), options.FusedActivationFunction(), output),
            np.broadcast_to(scale, len(weights)).copy(),
            float(output.scale[0]),
            stride,
            self._padding(options, x, weights.shape[2:], stride),
            groups,
            x.zero_point,
        )
        self._add_node(node, output)

    def _fully_connected(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        options = self._options(operator, "FullyConnectedOptions")
        weights, x, source = self._weights(name, inputs[1]), inputs[0], self._source(inputs[0])
        if x.index in self._flat or len(x.shape) == 4:
            height, width, channels = self._flat.get(x.index, x.shape[1:])
            weights = weights.reshape(-1, height, width, channels).transpose(0, 3, 1, 2).reshape(len(weights), -1)
        if len(x.shape) == 4:
            flat = Flatten(f"{name}_input", source, float(x.scale[0]))
            self.nodes.append(flat)
            source = flat.name
        bias, scale = self._bias(name, weights, inputs)
        # the reference kernel of this operator, unlike the others, rounds once
        rounding = "float" if self.rounding == "float" else "single"
        requant = self._requant(self._factors(x, scale, output), options.FusedActivationFunction(), output, rounding)
        wide = np.broadcast_to(scale, len(weights)).copy()
        weights = np.ascontiguousarray(weights)
        node = Linear(name, source, weights, bias, requant, wide, float(output.scale[0]), x.zero_point)
        self._add_node(node, output)

    def _factors(self, x: _Tensor, scale: np.ndarray, output: _Tensor) -> np.ndarray:
        """What sums are multiplied by, float64 [n], in the precision in which the runtime computes it."""
        if self.rounding == "float":
            return np.float32(x.scale[0]) * scale.astype(np.float32) / np.float32(output.scale[0])
        return x.scale[0] * scale / output.scale[0]

    def _weights(self, name: str, tensor: _Tensor) -> np.ndarray:
        self._int8(tensor)
        if tensor.data is None or tensor.zero_point:
            raise UserError(f"{self.path}: weights of {name} are no constants with zero point 0")
        return tensor.data

    def _bias(self, name: str, weights: np.ndarray, inputs: list) -> tuple[np.ndarray, np.ndarray]:
        """Bias int32 [O] with the share of the input's zero point in it, and the weights' scales float64."""
        total = -inputs[0].zero_point * weights.reshape(len(weights), -1).sum(axis=1, dtype=np.int64)
        if len(inputs) > 2 and inputs[2] is not None:
            if inputs[2].kind != "INT32" or inputs[2].data is None:
                raise UserError(f"{self.path}: bias of {name} is {inputs[2].kind}, expected INT32 constants")
            total = total + inputs[2].data
        if np.abs(total).max() >= 1 << 30:
            raise UserError(f"{self.path}: bias of {name} does not fit")
        return total.astype(np.int32), inputs[1].scale

    def _padding(
        self, options: object, x: _Tensor, kernel: tuple[int, int], stride: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        """(top, bottom, left, right): none, or such that the output is ceil(size / stride), the odd one behind."""
        if options.Padding() == self.schema.Padding.VALID:
            return (0, 0, 0, 0)
        sides = []
        for size, k, s in zip(x.shape[1:3], kernel, stride, strict=True):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            sides += [total // 2, total - total // 2]
        return tuple(sides)

    def _add(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        self._same_shape(name, inputs)
        lo, hi = self._range(self._options(operator, "AddOptions").FusedActivationFunction(), output)
        sources = tuple(self._source(t) for t in inputs)
        zeros = tuple(t.zero_point for t in inputs)
        scale, zero = float(output.scale[0]), output.zero_point
        if self.rounding != "double":
            factors = [np.float32(t.scale[0]) / np.float32(scale) for t in inputs]
            shift = ADD_BITS - int(np.frexp(max(factors))[1])
            multipliers = tuple(int(np.rint(np.ldexp(f, shift))) for f in factors)
            self._add_node(Add(name, sources, multipliers, shift, scale, lo, hi, zero, zeros), output)
            return
        twice = 2 * max(t.scale[0] for t in inputs)
        factors = [t.scale[0] / twice for t in inputs] + [twice / (2.0**TfliteAdd.LEFT_SHIFT * output.scale[0])]
        multipliers, shifts = zip(*(quantise_multiplier(float(f)) for f in factors), strict=True)
        node = TfliteAdd(name, sources, multipliers, shifts, scale, lo, hi, zero, zeros, self.rounding)
        self._add_node(node, output)

    def _mul(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        if inputs[0].shape != output.shape:
            inputs = inputs[::-1]
        a, b = inputs
        if a.shape != output.shape or (b.shape != a.shape and b.shape != (a.shape[0], 1, 1, a.shape[-1])):
            raise UserError(f"{self.path}: {name} multiplies shapes {a.shape} and {b.shape}; that is not supported")
        function = self._options(operator, "MulOptions").FusedActivationFunction()
        requant = self._requant(self._factors(a, b.scale[:1], output), function, output)
        sources = (self._source(a), self._source(b))
        zeros = (a.zero_point, b.zero_point)
        self._add_node(Multiply(name, sources, requant, float(output.scale[0]), zeros), output)

    def _same_shape(self, name: str, inputs: list) -> None:
        if inputs[0].shape != inputs[1].shape:
            raise UserError(f"{self.path}: {name} has operands of shapes {inputs[0].shape} and {inputs[1].shape}")

    def _average_pool_2d(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        self._pool(name, operator, inputs[0], output, "average")

    def _max_pool_2d(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        self._pool(name, operator, inputs[0], output, "max")

    def _pool(self, name: str, operator: object, x: _Tensor, output: _Tensor, kind: str) -> None:
        options = self._options(operator, "Pool2DOptions")
        if (x.scale[0], x.zero_point) != (output.scale[0], output.zero_point):
            raise UserError(f"{self.path}: {name} changes the scale; that is not supported")
        kernel, stride = (options.FilterHeight(), options.FilterWidth()), (options.StrideH(), options.StrideW())
        lo, hi = self._range(options.FusedActivationFunction(), output)
        padding = self._padding(options, x, kernel, stride)
        self._add_node(
            Pool(name, self._source(x), kind, kernel, stride, padding, float(output.scale[0]), lo, hi), output
        )

    def _mean(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        x, axes = inputs[0], inputs[1].data
        if axes is None or len(x.shape) != 4 or sorted(int(a) % 4 for a in axes.ravel()) != [1, 2]:
            raise UserError(f"{self.path}: {name} is not the mean over height and width; that is not supported")
        multiplier, shift = quantise_multiplier(float(x.scale[0] / output.scale[0]))
        pixels = x.shape[1] * x.shape[2]
        # the runtime divides its 31-bit multiplier by the number of pixels, shifted as far as that fits
        more = min(pixels.bit_length() - 1, 32, 62 - shift)
        requant = Requant(
            np.array([(multiplier << more) // pixels], np.int32),
            np.array([shift + more], np.int32),
            zero_point=output.zero_point,
            rounding=self.rounding,
        )
        node = GlobalAveragePool(
            name, self._source(x), requant, float(output.scale[0]), x.zero_point, len(output.shape) == 4, pixels
        )
        self._add_node(node, output)

    def _pad(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        x, amounts = inputs[0], inputs[1].data
        if amounts is None or amounts.shape != (4, 2) or amounts[[0, 3]].any():
            raise UserError(f"{self.path}: {name} pads other axes than height and width; that is not supported")
        padding = tuple(int(n) for n in amounts[1:3].ravel())
        self._add_node(Pad(name, self._source(x), padding, x.zero_point, float(output.scale[0])), output)

    def _relu(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        self._table(name, inputs[0], output, "RELU")

    def _relu6(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        self._table(name, inputs[0], output, "RELU6")

    def _quantize(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        if output.kind != "INT8":  # the result for the outside world
            self._source(inputs[0])
            self._ended[output.index] = "QUANTIZE"
            return
        self._table(name, inputs[0], output, "NONE")

    def _table(self, name: str, x: _Tensor, output: _Tensor, function: str) -> None:
        lo, hi = self._range(getattr(self.schema.ActivationFunctionType, function), output)
        ratio = float(x.scale[0] / output.scale[0])
        if function == "NONE" and self.rounding == "float":  # XNNPACK: a factor of 8 fractional bits
            factor, rounding = (int(np.rint(256 * np.float32(ratio))), 8), "single"
        else:
            factor, rounding = quantise_multiplier(ratio), "single" if self.rounding == "single" else "double"
        table = requantise(CODES - x.zero_point, *factor, lo, hi, output.zero_point, rounding)
        self._add_node(Lookup(name, self._source(x), table, float(output.scale[0])), output)

    def _reshape(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        x = inputs[0]
        if x.shape == output.shape:
            self._node_of[output.index] = self._source(x)
        elif len(x.shape) == 4 and output.shape == (x.shape[0], int(np.prod(x.shape[1:]))):
            self._flat[output.index] = x.shape[1:]
            self._add_node(Flatten(name, self._source(x), float(output.scale[0])), output)
        else:
            raise UserError(f"{self.path}: {name} makes {output.shape} of {x.shape}; only flattening is supported")

    def _softmax(self, name: str, operator: object, inputs: list, output: _Tensor) -> None:
        self._source(inputs[0])
        self._ended[output.index] = "SOFTMAX"


_SHORT = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "linear",
    "AVERAGE_POOL_2D": "average_pool",
    "MAX_POOL_2D": "max_pool",
}
