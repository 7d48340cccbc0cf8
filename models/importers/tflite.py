"""int8 TensorFlow Lite models to integer networks, bit for bit as the runtime computes them.

Weights are symmetric (zero point 0), per channel or per tensor; activations are asymmetric, one scale and zero
point for each tensor (Jacob et al., arXiv 1712.05877). A sum of (a - za) * w is the sum of a * w plus the constant
-za * sum(w), which goes into the bias; so an encoding's products are those of the raw codes. Feature maps become
[N, C, H, W].

Convolutions and fully connected layers are layers of ours, and common operators nodes of ours: exact integer
arithmetic. Every other operator, and each that would differ from the runtime on a random image, is cut out as a piece
of TFLite and executed by the runtime (models/quant/runtime.py). So no operator is missing.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import UserError
from models.datasets import classes_of
from models.emulate import ExactEngine
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
from models.quant.litert import interpreter
from models.quant.nodes import (
    Add,
    Flatten,
    GlobalAveragePool,
    Lookup,
    Multiply,
    Pad,
    Pixels,
    Pool,
    Repeat,
    Requant,
    Rows,
    Spread,
    TfliteAdd,
)
from models.quant.runtime import Runtime, first_line, shifted

LARGEST_IMAGE = 1 << 24  # values: one of 2,364 x 2,364 pixels in three colours
ADD_BITS = 21  # of the larger multiplier in XNNPACK's addition
DAMAGE = (struct.error, IndexError, ValueError, TypeError, AttributeError, KeyError, OverflowError, MemoryError)
CODES = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)


class _Other(Exception):
    """Why an operator is left to the runtime."""


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
    unsigned: bool = False  # it is uint8 in the file; what stands here is 128 less
    packed: bool = False  # it is int4 in the file


def read_tflite(
    path: str | Path,
    name: str,
    dataset: str = "",
    rounding: str = "float",
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> tuple[QuantNetwork, dict[str, int]]:
    """The network in `path`, and the number of the file's tensor that each node makes ("input" included).

    Images are given as uint8; the input's code is the pixel minus 128. Where the model takes floating point, images
    scaled to 0..1 are normalised by `mean` and `std` (default 0 and 1). `rounding` "float" is that of the runtime's
    default kernels (XNNPACK), "double" of its reference kernels, "single" of our tile engine. Raises UserError if
    the file is damaged or holds what the layer graph does not have; unsupported operators are named.
    """
    try:
        reader = _Reader(Path(path), rounding)
        network = reader.network(name, dataset, mean, std)
    except _Other as error:
        raise UserError(f"{path}: {error}; convert the model with full integer quantisation") from error
    except DAMAGE as error:
        raise UserError(f"{path} is a damaged TFLite model ({first_line(error)}); copy it again") from error
    try:
        validate(network)
    except ValueError as error:
        raise UserError(f"{path}: {error}; the model does not fit the layer graph") from error
    return network, reader.made


class _Reader:
    """Goes through the operators in order; `made` maps node names to tensor numbers."""

    def __init__(self, path: Path, rounding: str) -> None:
        try:
            from ai_edge_litert import schema_py_generated as schema
        except ImportError as error:
            raise UserError("TFLite models need the package 'ai-edge-litert'; run 'make setup'") from error
        self.schema, self.path, self.rounding = schema, path, rounding
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read {path} ({error.strerror})") from error
        if content[4:8] != b"TFL3":
            raise UserError(f"{path} is no TFLite model (its identifier is {content[4:8]!r}, expected b'TFL3')")
        try:
            self.content = content
            self.model = schema.Model.GetRootAsModel(content, 0)
            self.graph = self.model.Subgraphs(0)
            if (count := self.model.SubgraphsLength()) != 1:
                raise UserError(f"{path} has {count} subgraphs; only models with 1 are supported")
            self._kinds = {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
            self._operators = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
            self.tensors = [self._tensor(i) for i in range(self.graph.TensorsLength())]
            self.operators = [self.graph.Operators(i) for i in range(self.graph.OperatorsLength())]
            self.names = [self._operator_name(o) for o in self.operators]
        except DAMAGE as error:
            raise UserError(f"{path} is a damaged TFLite model ({error}); copy it again") from error
        self.nodes: list[Node] = []
        self.made: dict[str, int] = {}
        self._node_of: dict[int, str] = {}  # tensor number -> node
        self._flat: dict[int, tuple[int, int, int]] = {}  # [N, H * W * C] tensor -> (H, W, C)
        self._producer = {int(t): k for k, o in enumerate(self.operators) for t in o.OutputsAsNumpy()}
        self._inner: dict[str, np.ndarray] = {}  # values of nodes that make no tensor of the file
        self._roundings: dict[str, Requant] = {}
        self._skipped: set[int] = set()  # operators that are part of a layer
        self.left: list[str] = []  # why products stay with the runtime
        self.differs: list[str] = []

    # ---- the file

    def _tensor(self, index: int) -> _Tensor:
        tensor = self.graph.Tensors(index)
        kind = self._kinds.get(tensor.Type(), str(tensor.Type()))
        shape = tuple(int(n) for n in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
        about = tensor.Quantization()
        scale = np.array(about.ScaleAsNumpy(), np.float64) if about and about.ScaleLength() else np.zeros(0)
        zeros = np.array(about.ZeroPointAsNumpy()) if about and about.ZeroPointLength() else np.zeros(1, int)
        name = (tensor.Name() or b"").decode(errors="replace")
        data, packed = None, kind == "INT4"
        buffer = self.model.Buffers(tensor.Buffer())
        types = {"INT8": np.int8, "UINT8": np.uint8, "INT32": np.int32, "INT64": np.int64, "FLOAT32": np.float32}
        if buffer is not None and buffer.DataLength():
            data = np.frombuffer(buffer.DataAsNumpy().tobytes(), types.get(kind, np.uint8))
            if packed:  # two in a byte, the first in its lower half
                halves = np.stack([data & 15, data >> 4], axis=-1).ravel()[: int(np.prod(shape, dtype=np.int64))]
                data, kind = ((halves ^ 8).astype(np.int8) - 8), "INT8"
            if kind in types:
                data = data.reshape(shape).copy()
        if kind == "UINT8" and len(scale):
            data = None if data is None else shifted(data)
            return _Tensor(index, name, "INT8", shape, scale, int(zeros[0]) - 128, data, unsigned=True)
        return _Tensor(index, name, kind, shape, scale, int(zeros[0]), data, packed=packed)

    def _operator_name(self, operator: Any) -> str:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if custom := code.CustomCode():
            return custom.decode(errors="replace")
        return self._operators.get(number, f"operator {number}")

    def _options(self, operator: Any, kind: str) -> Any:
        options = getattr(self.schema, kind)()
        table = operator.BuiltinOptions()
        if table is None:
            raise _Other(f"it has no {kind}")
        options.Init(table.Bytes, table.Pos)
        return options

    # ---- the graph

    def network(self, name: str, dataset: str, mean: tuple | None, std: tuple | None) -> QuantNetwork:
        """All operators as nodes."""
        classes = classes_of(dataset) if dataset else None
        if self.graph.InputsLength() != 1 or self.graph.OutputsLength() != 1:
            found = f"{self.graph.InputsLength()} inputs and {self.graph.OutputsLength()} outputs"
            raise UserError(
                f"{self.path} has {found}; only models with one input and one output are supported: convert one"
            )
        about = self._input(self.tensors[int(self.graph.Inputs(0))], mean, std)
        for k, (operator, kind) in enumerate(zip(self.operators, self.names, strict=True)):
            if k in self._skipped or int(operator.Outputs(0)) in self._node_of:
                continue
            inputs = [self.tensors[j] if j >= 0 else None for j in map(int, operator.InputsAsNumpy())]
            output = self.tensors[int(operator.Outputs(0))]
            own = getattr(self, f"_{kind.lower()}", None)
            mark, sofar = len(self.nodes), dict(self._node_of)
            try:
                if own is not None and operator.OutputsLength() == 1:
                    own(f"{_SHORT.get(kind, kind.lower())}{k}", operator, inputs, output)
            except _Other as reason:
                for node in self.nodes[mark:]:
                    self.made.pop(node.name, None)
                del self.nodes[mark:]
                self._node_of = sofar
                if kind in PRODUCTS:
                    self.left.append(f"{kind} that makes '{output.name}': {reason}")
            else:
                if kind in PRODUCTS and own is None:
                    self.left.append(f"{kind} that makes '{output.name}': this operator is not taken apart")
        last = self._result(int(self.graph.Outputs(0)))
        if not any(isinstance(n, Conv | Linear) for n in self.nodes):
            why = self.left[0] if self.left else "it has no convolution and no fully connected layer"
            raise UserError(
                f"{self.path}: nothing is multiplied that is quantised; {why}. "
                "Convert it anew with full integer quantisation (converter.representative_dataset)"
            )
        if self._source(self.tensors[last], "result") != self.nodes[-1].name:
            raise UserError(f"{self.path}: the output is not what the last operator makes")
        shape = self.tensors[last].shape
        outputs = shape[-1] if shape else 1
        if classes is not None and outputs - classes not in (0, 1):
            raise UserError(
                f"{self.path} has {outputs} outputs, {dataset} has {classes} classes; is it another data set?"
            )
        return QuantNetwork(
            name,
            dataset,
            nodes=tuple(self.nodes),
            first_class=outputs - classes if classes is not None else 0,
            **about,
        )

    def _result(self, tensor: int) -> int:
        """The tensor that the network gives: the output, or the int8 codes that it is read from at the end."""
        while tensor in self._producer and self.names[self._producer[tensor]] in ("DEQUANTIZE", "QUANTIZE"):
            before = self.tensors[int(self.operators[self._producer[tensor]].Inputs(0))]
            after = self.tensors[tensor]
            same = after.kind == "INT8" and np.array_equal(before.scale, after.scale)
            if before.kind != "INT8" or not (
                after.kind == "FLOAT32" or (same and after.zero_point == before.zero_point)
            ):
                break
            tensor = before.index
        return tensor

    def _input(self, tensor: _Tensor, mean: tuple | None, std: tuple | None) -> dict:
        """How images become the codes of the int8 input: the model's, or what its first operator makes."""
        if tensor.kind not in ("INT8", "FLOAT32") or len(tensor.shape) < 2:
            raise UserError(
                f"{self.path}: input '{tensor.name}' is {tensor.kind} {tensor.shape}; int8 images are expected: "
                "convert it with full integer quantisation"
            )
        shape, kind = tensor.shape, "UINT8" if tensor.unsigned else tensor.kind
        if shape[0] != 1:
            raise UserError(f"{self.path}: input '{tensor.name}' is {shape[0]} images; convert it with a batch of 1")
        if math.prod(shape) > LARGEST_IMAGE:
            raise UserError(f"{self.path}: input '{tensor.name}' {shape} is no image: at most {LARGEST_IMAGE:,} values")
        channels = shape[3] if len(shape) == 4 else 1
        if kind == "FLOAT32":
            readers = [k for k, o in enumerate(self.operators) if tensor.index in o.InputsAsNumpy()]
            made = self.tensors[int(self.operators[readers[0]].Outputs(0))] if readers else None
            if len(readers) != 1 or self.names[readers[0]] != "QUANTIZE" or made.kind != "INT8":
                found = f", but read by {self.names[readers[0]]}" if readers else ""
                raise UserError(
                    f"{self.path}: input '{tensor.name}' is {kind} and not turned into int8 at once{found}; "
                    "convert the model with full integer quantisation"
                )
            tensor = made
        self._int8(tensor)
        if kind != "FLOAT32" and (mean or std):
            raise UserError(
                f"{self.path}: mean and std are for models that take floating point; its input is the pixel"
            )
        self._node_of[tensor.index], self.made[INPUT] = INPUT, tensor.index
        scale = float(tensor.scale[0])
        pixel = ((128 + tensor.zero_point) / 255, 1 / (255 * scale))
        given = (mean or (0.0,) * channels, std or (1.0,) * channels)
        mean, std = given if kind == "FLOAT32" else ((p,) * channels for p in pixel)
        if not len(mean) == len(std) == channels:
            raise UserError(f"{self.path} takes {channels} channels; give as many values of mean and std")
        size = [channels, *shape[1:3]] if len(shape) == 4 else list(shape[1:])
        self.imported = {"file": self.path.name, "shape": size, "runtime": self.left, "differs": self.differs}
        about = {"mean": tuple(mean), "std": tuple(std), "input_scale": scale, "input_zero_point": tensor.zero_point}
        self._probe(QuantNetwork("", "", nodes=(), **about), shape, kind)
        return about | {"provenance": {"imported": self.imported}}

    def _probe(self, network: QuantNetwork, shape: tuple, kind: str) -> None:
        """What the runtime makes of a random image: every tensor, as we hold it."""
        pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        run = interpreter(self.content, str(self.path), self.rounding == "double", keep=True)
        given = {"INT8": shifted(pixels), "UINT8": pixels}.get(kind)
        if given is None:
            about = np.array(network.mean, np.float32), np.array(network.std, np.float32)
            given = ((pixels.astype(np.float32) / np.float32(255) - about[0]) / about[1]).astype(np.float32)
        run.set_tensor(run.get_input_details()[0]["index"], given)
        try:
            run.invoke()
        except RuntimeError as error:
            raise UserError(f"{self.path}: TensorFlow Lite cannot run it ({' '.join(str(error).split())})") from error
        self.values: dict[int, np.ndarray] = {}
        for t in self.tensors:
            if t.index in self._producer or t.index == self.made[INPUT]:
                try:
                    value = run.get_tensor(t.index).copy()
                except ValueError:
                    continue  # the runtime has fused it away
                value = shifted(value) if value.dtype == np.uint8 else value
                self.values[t.index] = value.transpose(0, 3, 1, 2) if value.ndim == 4 else value
        ours = network.quantise_input(pixels.transpose(0, 3, 1, 2) if pixels.ndim == 4 else pixels)
        if not np.array_equal(ours, self.values.get(self.made[INPUT], ours)):
            self.differs.append(INPUT)  # a pixel lies between two codes

    def _int8(self, *tensors: _Tensor) -> None:
        for tensor in tensors:
            if tensor.kind != "INT8" or not len(tensor.scale):
                raise _Other(
                    f"tensor '{tensor.name}' is {tensor.kind}{'' if len(tensor.scale) else ' without a scale'}"
                )

    def _source(self, tensor: _Tensor, reader: str) -> str:
        """The node that makes a tensor; operators without a node of ours are cut out here."""
        if tensor.data is not None:
            raise _Other(f"its operand '{tensor.name}' is constant")
        if tensor.index not in self._node_of:
            self._piece(tensor)
        return self._node_of[tensor.index]

    def _add_node(self, node: Node, output: _Tensor, alone: bool = True) -> None:
        """`node`, if it makes what the runtime makes of the same operands; else the operator is the runtime's."""
        self._int8(output)
        expected = self.values.get(output.index)
        operands = [self._value(s) for s in node.sources]
        if alone and expected is not None and all(o is not None for o in operands):
            node = self._as_runtime(node, operands, expected)
        self.nodes.append(node)
        self._node_of[output.index], self.made[node.name] = node.name, output.index

    def _value(self, node: str) -> np.ndarray | None:
        """What a node makes of the random image, as far as the runtime shows it."""
        index = self.made.get(node)
        if index is None:
            return self._inner.get(node)
        value = self.values.get(index)
        if value is not None and index in self._flat:
            height, width, channels = self._flat[index]
            value = value.reshape(-1, height, width, channels).transpose(0, 3, 1, 2).reshape(len(value), -1)
        return value

    def _as_runtime(self, node: Node, operands: list[np.ndarray], expected: np.ndarray) -> Node:
        """`node` with the rounding that its kernel has; _Other if no rounding gives what the runtime gives."""
        if self.rounding == "single":
            return node
        layer = isinstance(node, Conv | Linear)
        given = (*operands, ExactEngine()) if layer else tuple(operands)
        flat = expected.shape[0], -1

        def equal(candidate: Node) -> bool:
            return np.array_equal(candidate(*given).reshape(flat), self._ours(candidate, expected).reshape(flat))

        if equal(node):
            return node
        if not layer:
            raise _Other("the runtime's kernel rounds otherwise")
        for rounding, requant in self._roundings.items():
            other = replace(node, requant=replace(requant, rounding=rounding))
            if equal(other):
                return other
        self.differs.append(node.name)
        return node

    def _ours(self, node: Node, expected: np.ndarray) -> np.ndarray:
        """The runtime's tensor in the order of a flattening node of ours."""
        if isinstance(node, Flatten):
            return self._value(node.source).reshape(len(expected), -1)
        return expected

    # ---- pieces for the runtime

    def _piece(self, tensor: _Tensor) -> None:
        """A node that runs all operators between known tensors and `tensor`."""
        steps: set[int] = set()
        sources: list[int] = []
        stack, seen = [tensor.index], set()
        while stack:
            index = stack.pop()
            if index < 0 or index in seen or self.tensors[index].data is not None:
                continue
            seen.add(index)
            if index in self._node_of and index not in self._flat:
                sources.append(index)
            elif index in self._producer:
                steps.add(self._producer[index])
                stack += map(int, self.operators[self._producer[index]].InputsAsNumpy())
            else:
                raise UserError(f"{self.path}: tensor '{self.tensors[index].name}' is read, but nothing makes it")
        if not sources:
            raise UserError(f"{self.path}: tensor '{tensor.name}' does not depend on the input")
        sources.sort()
        names = [self.names[k] for k in sorted(steps)]
        stem = next((n for n in reversed(names) if n not in _DULL), names[-1])
        made = f"{_SHORT.get(stem, stem.lower())}{max(steps)}"
        node = Runtime(
            made if made not in self.made else f"{made}_{tensor.index}",
            tuple(self._node_of[s] for s in sources),
            np.frombuffer(self._model(sorted(steps), sources, tensor.index), np.uint8),
            float(tensor.scale[0]) if len(tensor.scale) else 1.0,
            (1,) * len(sources),
            batched=False,
            reference=self.rounding == "double",
        )
        operands = [self._value(n) for n in node.sources]
        expected = self.values.get(tensor.index)
        known = expected is not None and all(o is not None for o in operands)
        if known and not np.array_equal(node(*operands), expected, equal_nan=expected.dtype.kind == "f"):
            self.differs.append(node.name)
        self.nodes.append(node)
        self._node_of[tensor.index], self.made[node.name] = node.name, tensor.index

    def _model(self, steps: list[int], sources: list[int], result: int) -> bytes:
        """A TFLite file of some operators of this one."""
        import flatbuffers

        schema = self.schema
        whole = schema.ModelT.InitFromObj(self.model)
        graph = whole.subgraphs[0]
        graph.operators = [graph.operators[k] for k in steps]
        used = sorted({int(t) for o in graph.operators for t in [*o.inputs, *o.outputs] if t >= 0} | set(sources))
        number = {t: k for k, t in enumerate(used)}
        graph.tensors = [graph.tensors[t] for t in used]
        buffers = [schema.BufferT()]
        for t in graph.tensors:
            content = whole.buffers[t.buffer]
            t.buffer = 0
            if content.data is not None and len(content.data):
                t.buffer = len(buffers)
                buffers.append(content)
            t.shapeSignature = None
        for o in graph.operators:
            o.inputs = [number[int(t)] if t >= 0 else -1 for t in o.inputs]
            o.outputs = [number[int(t)] for t in o.outputs]
        graph.inputs, graph.outputs = [number[s] for s in sources], [number[result]]
        for k, t in enumerate(graph.tensors):
            t.name = f"t{used[k]}".encode()
        codes = sorted({o.opcodeIndex for o in graph.operators})
        whole.operatorCodes = [whole.operatorCodes[c] for c in codes]
        for o in graph.operators:
            o.opcodeIndex = codes.index(o.opcodeIndex)
        whole.buffers, whole.metadata, whole.metadataBuffer, whole.signatureDefs = buffers, [], None, []
        whole.description = b"encmac"
        builder = flatbuffers.Builder(1 << 12)
        builder.Finish(whole.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _range(self, function: int, output: _Tensor) -> tuple[int, int]:
        """Smallest and largest code that a fused activation function leaves."""
        name = {v: k for k, v in vars(self.schema.ActivationFunctionType).items() if isinstance(v, int)}.get(function)
        ranges = {"NONE": (None, None), "RELU": (0, None), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
        if name not in ranges:
            raise _Other(f"its fused activation is {name or function}")
        scale = np.float32(output.scale[0])
        codes = [
            None if v is None else output.zero_point + int(np.floor(np.float32(v) / scale + np.float32(0.5)))
            for v in ranges[name]
        ]
        lo, hi = (limit if c is None else c for c, limit in zip(codes, (INT8_MIN, INT8_MAX), strict=True))
        return max(lo, INT8_MIN), min(hi, INT8_MAX)

    def _requant(self, x: _Tensor, scale: np.ndarray, function: int, output: _Tensor, rounding: str = "") -> Requant:
        """Of sums of `x` and weights of `scale` float64 [n]; factors in the precision in which the runtime has them."""
        lo, hi = self._range(function, output)
        rounding = rounding or self.rounding
        try:
            with np.errstate(divide="ignore", invalid="ignore"):  # what they give is refused
                exact = quantise_multipliers(x.scale[0] * scale / output.scale[0])
                single = np.float32(x.scale[0]) * scale.astype(np.float32) / np.float32(output.scale[0])
            multipliers = float32_multipliers(single) if rounding == "float" else exact
        except ValueError as error:
            raise _Other(str(error)) from error
        made = Requant(*multipliers, lo, hi, output.zero_point, rounding)
        self._roundings = {"double": replace(made, multiplier=exact[0], shift=exact[1])}
        self._roundings |= {"single": self._roundings["double"]}
        return made

    # ---- operators, one each

    def _conv_2d(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        options = self._options(operator, "Conv2DOptions")
        weights = self._weights(name, inputs[1]).transpose(0, 3, 1, 2)
        self._convolution(name, options, inputs, output, weights, groups=inputs[0].shape[3] // weights.shape[1])

    def _depthwise_conv_2d(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        options = self._options(operator, "DepthwiseConv2DOptions")
        weights = self._weights(name, inputs[1]).transpose(3, 0, 1, 2)  # [1, kh, kw, O] to [O, 1, kh, kw]
        self._convolution(name, options, inputs, output, weights, groups=inputs[0].shape[3])

    def _convolution(
        self, name: str, options: Any, inputs: list, output: _Tensor, weights: np.ndarray, groups: int
    ) -> None:
        dilation = (options.DilationHFactor(), options.DilationWFactor())
        stride, x = (options.StrideH(), options.StrideW()), inputs[0]
        spread = self._space_to_batch(x, output) if dilation == stride == (1, 1) else None
        if spread is not None:
            x, output, dilation, padding = spread
        bias, scale = self._bias(name, weights, inputs)
        weights = _apart(weights, dilation)
        if spread is None:
            padding = self._padding(options, x, weights.shape[2:], stride)
        source, weights = self._eight_bits(name, self._source(x, name), x, weights)
        node = Conv(
            name,
            source,
            weights,
            bias,
            self._requant(x, scale, options.FusedActivationFunction(), output),
            np.broadcast_to(scale, len(weights)).copy(),
            float(output.scale[0]),
            stride,
            padding,
            groups,
            x.zero_point,
        )
        self._add_node(node, output)

    def _space_to_batch(self, x: _Tensor, output: _Tensor) -> tuple | None:
        """A convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND is a dilated one: its operand, result,
        dilation and padding (top, bottom, left, right)."""
        before = self._producer.get(x.index)
        after = [k for k, o in enumerate(self.operators) if output.index in o.InputsAsNumpy()]
        if before is None or self.names[before] != "SPACE_TO_BATCH_ND" or len(after) != 1:
            return None
        if self.names[after[0]] != "BATCH_TO_SPACE_ND":
            return None
        source, blocks, pads = (self.tensors[int(t)] for t in self.operators[before].InputsAsNumpy())
        _, _, crops = (self.tensors[int(t)] for t in self.operators[after[0]].InputsAsNumpy())
        result = self.tensors[int(self.operators[after[0]].Outputs(0))]
        if any(t.data is None for t in (blocks, pads, crops)) or blocks.data.size != 2 or crops.data[:, 0].any():
            return None
        (top, bottom), (left, right) = (pads.data - np.array([[0, c] for c in crops.data[:, 1]])).tolist()
        if min(top, bottom, left, right) < 0:
            return None
        self._skipped.add(after[0])
        return source, result, tuple(int(b) for b in blocks.data), (top, bottom, left, right)

    def _transpose_conv(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        options = self._options(operator, "TransposeConvOptions")
        x, stride = inputs[2], (options.StrideH(), options.StrideW())
        weights = np.ascontiguousarray(self._weights(name, inputs[1]).transpose(0, 3, 1, 2)[:, :, ::-1, ::-1])
        bias, scale = self._bias(name, weights, [x, inputs[1], *inputs[3:4]])
        kernel = weights.shape[2:]
        padding = []
        for size, wide, k, s in zip(x.shape[1:3], output.shape[1:3], kernel, stride, strict=True):
            total = max((size - 1) * s + k - wide, 0)
            before = total // 2 if options.Padding() == self.schema.Padding.SAME else 0
            first = k - 1 - before
            padding += [first, wide + k - 1 - first - ((size - 1) * s + 1)]
        if min(padding) < 0:
            raise _Other("its padding is wider than its kernel")
        source = self._source(x, name)
        if stride != (1, 1):
            spread = Spread(f"{name}_input", source, stride, x.zero_point, float(x.scale[0]))
            self._inside(spread)
            source = spread.name
        function = getattr(options, "FusedActivationFunction", lambda: 0)()
        requant = self._requant(x, scale, function, output)
        wide = np.broadcast_to(scale, len(weights)).copy()
        source, weights = self._eight_bits(name, source, x, weights)
        node = Conv(
            name, source, weights, bias, requant, wide, float(output.scale[0]), (1, 1), tuple(padding), 1, x.zero_point
        )
        self._add_node(node, output)

    def _fully_connected(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        options = self._options(operator, "FullyConnectedOptions")
        weights, x = self._weights(name, inputs[1]), inputs[0]
        if len(output.shape) > 2 or len(x.shape) == 3:
            self._matrix(name, weights, inputs, output, options.FusedActivationFunction())
            return
        source = self._source(x, name)
        if x.index in self._flat or len(x.shape) == 4:
            height, width, channels = self._flat.get(x.index, x.shape[1:])
            weights = weights.reshape(-1, height, width, channels).transpose(0, 3, 1, 2).reshape(len(weights), -1)
        if len(x.shape) == 4:
            flat = Flatten(f"{name}_input", source, float(x.scale[0]))
            self._inside(flat)
            source = flat.name
        bias, scale = self._bias(name, weights, inputs)
        # the reference kernel of this operator, unlike the others, rounds once
        rounding = "float" if self.rounding == "float" else "single"
        requant = self._requant(x, scale, options.FusedActivationFunction(), output, rounding)
        wide = np.broadcast_to(scale, len(weights)).copy()
        source, weights = self._eight_bits(name, source, x, weights)
        node = Linear(name, source, weights, bias, requant, wide, float(output.scale[0]), x.zero_point)
        self._add_node(node, output)

    def _batch_matmul(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        options = self._options(operator, "BatchMatMulOptions")
        weights = self._weights(name, inputs[1])
        if options.AdjX() or weights.size != int(np.prod(weights.shape[-2:])):
            raise _Other("its operands are transposed, or several matrices")
        weights = weights.reshape(weights.shape[-2:])
        weights = np.ascontiguousarray(weights if options.AdjY() else weights.T)
        self._matrix(name, weights, inputs, output, 0)

    def _matrix(self, name: str, weights: np.ndarray, inputs: list, output: _Tensor, function: int) -> None:
        """Rows of numbers times a matrix: a 1x1 convolution."""
        x, source = inputs[0], self._source(inputs[0], name)
        if x.shape[-1] != weights.shape[1] or x.index in self._flat or output.shape[0] != 1:
            raise _Other(f"it multiplies {x.shape} by {weights.shape[::-1]}")
        bias, scale = self._bias(name, weights, inputs)
        if len(x.shape) != 4:
            rows = Pixels(f"{name}_input", source, float(x.scale[0]))
            self._inside(rows)
            source = rows.name
        requant = self._requant(x, scale, function, output)
        wide, real = np.broadcast_to(scale, len(weights)).copy(), float(output.scale[0])
        source, kernel = self._eight_bits(name, source, x, weights[:, :, None, None])
        whole = len(x.shape) == len(output.shape) == 4
        node = Conv(name, source, kernel, bias, requant, wide, real, input_zero_point=x.zero_point)
        if whole:
            self._add_node(node, output)
            return
        expected, value = self.values.get(output.index), self._value(source)
        if expected is not None and value is not None:
            pixels = expected.transpose(0, 2, 3, 1) if expected.ndim == 4 else expected
            pixels = pixels.reshape(1, -1, len(weights)).transpose(0, 2, 1)
            node = self._as_runtime(node, [value], pixels)
        self._inside(node)
        if len(output.shape) == 4:
            raise _Other(f"it makes {output.shape} of {x.shape}")
        self._add_node(Rows(f"{name}_rows", node.name, output.shape[1:], real), output)

    def _inside(self, node: Node) -> None:
        """A node that makes no tensor of the file."""
        self.nodes.append(node)
        operands = [self._value(s) for s in node.sources]
        if all(o is not None for o in operands):
            layer = isinstance(node, Conv | Linear)
            self._inner[node.name] = node(*operands, ExactEngine()) if layer else node(*operands)

    def _weights(self, name: str, tensor: _Tensor) -> np.ndarray:
        if tensor.data is None:
            raise _Other("both operands are activations")
        self._int8(tensor)
        if tensor.packed and self.rounding == "float":
            raise _Other(f"its weights '{tensor.name}' are INT4, where the default kernels round in a way of their own")
        return tensor.data.astype(np.int16) - tensor.zero_point

    def _eight_bits(self, name: str, source: str, x: _Tensor, weights: np.ndarray) -> tuple[str, np.ndarray]:
        """int8 weights, and the operand that they multiply: with wider ones, each channel twice for two halves."""
        if weights.min(initial=0) >= INT8_MIN and weights.max(initial=0) <= INT8_MAX:
            return source, np.ascontiguousarray(weights.astype(np.int8))
        twice = Repeat(f"{name}_twice", source, 2, float(x.scale[0]))
        self._inside(twice)
        halves = np.stack([weights >> 1, weights - (weights >> 1)], axis=2)
        return twice.name, halves.reshape(len(weights), -1, *weights.shape[2:]).astype(np.int8)

    def _bias(self, name: str, weights: np.ndarray, inputs: list) -> tuple[np.ndarray, np.ndarray]:
        """Bias int32 [O] with the share of the input's zero point in it, and the weights' scales float64."""
        total = -inputs[0].zero_point * weights.reshape(len(weights), -1).sum(axis=1, dtype=np.int64)
        if len(inputs) > 2 and inputs[2] is not None:
            if inputs[2].kind != "INT32" or inputs[2].data is None:
                raise _Other(f"its bias is {inputs[2].kind}, expected INT32 constants")
            total = total + inputs[2].data
        return total.astype(np.int32), inputs[1].scale  # sums wrap round in int32, as the runtime's do

    def _padding(
        self, options: Any, x: _Tensor, kernel: tuple[int, int], stride: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        """(top, bottom, left, right): none, or such that the output is ceil(size / stride), the odd one behind."""
        if options.Padding() == self.schema.Padding.VALID:
            return (0, 0, 0, 0)
        sides = []
        for size, k, s in zip(x.shape[1:3], kernel, stride, strict=True):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            sides += [total // 2, total - total // 2]
        return tuple(sides)

    def _add(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        self._same_shape(name, inputs)
        lo, hi = self._range(self._options(operator, "AddOptions").FusedActivationFunction(), output)
        sources = tuple(self._source(t, name) for t in inputs)
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

    def _mul(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        if inputs[0].shape != output.shape:
            inputs = inputs[::-1]
        a, b = inputs
        if a.shape != output.shape or (b.shape != a.shape and b.shape != (a.shape[0], 1, 1, a.shape[-1])):
            raise _Other(f"it multiplies shapes {a.shape} and {b.shape}")
        function = self._options(operator, "MulOptions").FusedActivationFunction()
        requant = self._requant(a, b.scale[:1], function, output)
        sources = (self._source(a, name), self._source(b, name))
        zeros = (a.zero_point, b.zero_point)
        self._add_node(Multiply(name, sources, requant, float(output.scale[0]), zeros), output)

    def _same_shape(self, name: str, inputs: list) -> None:
        if inputs[0].shape != inputs[1].shape:
            raise _Other(f"it has operands of shapes {inputs[0].shape} and {inputs[1].shape}")

    def _average_pool_2d(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        if inputs[0].unsigned:
            raise _Other("its kernel rounds uint8 codes")
        self._pool(name, operator, inputs[0], output, "average")

    def _max_pool_2d(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        self._pool(name, operator, inputs[0], output, "max")

    def _pool(self, name: str, operator: Any, x: _Tensor, output: _Tensor, kind: str) -> None:
        options = self._options(operator, "Pool2DOptions")
        if (x.scale[0], x.zero_point) != (output.scale[0], output.zero_point):
            raise _Other("it changes the scale")
        kernel, stride = (options.FilterHeight(), options.FilterWidth()), (options.StrideH(), options.StrideW())
        lo, hi = self._range(options.FusedActivationFunction(), output)
        padding = self._padding(options, x, kernel, stride)
        self._add_node(
            Pool(name, self._source(x, name), kind, kernel, stride, padding, float(output.scale[0]), lo, hi), output
        )

    def _mean(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        x, axes = inputs[0], inputs[1].data
        if axes is None or len(x.shape) != 4 or sorted(int(a) % 4 for a in axes.ravel()) != [1, 2]:
            raise _Other("it is not the mean over height and width")
        if self.rounding == "float" or x.unsigned:
            raise _Other("its kernel rounds in another way")
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
            name, self._source(x, name), requant, float(output.scale[0]), x.zero_point, len(output.shape) == 4, pixels
        )
        self._add_node(node, output)

    def _pad(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        x, amounts = inputs[0], inputs[1].data
        if amounts is None or amounts.shape != (4, 2) or amounts[[0, 3]].any():
            raise _Other("it pads other axes than height and width")
        padding = tuple(int(n) for n in amounts[1:3].ravel())
        self._add_node(Pad(name, self._source(x, name), padding, x.zero_point, float(output.scale[0])), output)

    def _relu(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        self._table(name, inputs[0], output, "RELU")

    def _relu6(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        self._table(name, inputs[0], output, "RELU6")

    def _quantize(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        self._int8(inputs[0])
        same = output.kind == "INT8" and np.array_equal(inputs[0].scale, output.scale)
        if same and inputs[0].zero_point == output.zero_point:
            source = self._source(inputs[0], name)
            self._node_of[output.index] = source
            if not output.unsigned and source in self.made:
                self.made[source] = output.index
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
        self._add_node(Lookup(name, self._source(x, name), table, float(output.scale[0])), output)

    def _reshape(self, name: str, operator: Any, inputs: list, output: _Tensor) -> None:
        x = inputs[0]
        if x.shape == output.shape:
            self._node_of[output.index] = self._source(x, name)
        elif len(x.shape) == 4 and output.shape == (x.shape[0], int(np.prod(x.shape[1:]))):
            self._flat[output.index] = x.shape[1:]
            self._add_node(Flatten(name, self._source(x, name), float(output.scale[0])), output)
        else:
            raise _Other(f"it makes {output.shape} of {x.shape}")


def _apart(kernel: np.ndarray, dilation: tuple[int, int]) -> np.ndarray:
    """A kernel [O, I, kh, kw] with `dilation` - 1 zeros between its weights."""
    dy, dx = dilation
    wide = np.zeros((*kernel.shape[:2], (kernel.shape[2] - 1) * dy + 1, (kernel.shape[3] - 1) * dx + 1), kernel.dtype)
    wide[:, :, ::dy, ::dx] = kernel
    return wide


PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL", "CONV_3D")
PRODUCTS += ("CONV_3D_TRANSPOSE", "LSTM", "RNN", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN")
PRODUCTS += ("BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN")
_DULL = ("RESHAPE", "QUANTIZE", "DEQUANTIZE", "TRANSPOSE", "SHAPE", "PACK", "STRIDED_SLICE")
_SHORT = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "depthwise",
    "FULLY_CONNECTED": "linear",
    "AVERAGE_POOL_2D": "average_pool",
    "MAX_POOL_2D": "max_pool",
}
