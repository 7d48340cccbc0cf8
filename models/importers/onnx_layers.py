"""Products of quantised operands in an ONNX graph become layers of ours; all other nodes stay as they are.

The graph is the one that ONNX Runtime makes of the file: QLinearConv and its like where it computes in integers,
float operators between DequantizeLinear and QuantizeLinear where it does not. A layer gives

- int8 codes, requantised, where the runtime's operator gives codes;
- else int32 sums, and its float result is y = scale * sum + bias. Where that is what the runtime's own operator
  gives, up to its roundings, the runtime's own result goes on: so exact sums give what the runtime gives, bit for
  bit, and sums of an encoding, of changed weights or of a simulated array count as what they are.

Zero points of weights that do not fit int8 with the weights are a sum over activations, taken off by the graph.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.quant.arith import float32_multipliers, quantise_multipliers
from models.quant.graph import Conv, Linear, MacNode
from models.quant.nodes import Requant

CONTRIB = "com.microsoft"
MOVES = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")  # of constants, too
# results are values of the operand (or 0 where that is one of the operand's), so its codes stay codes
KEEPS_CODES = (*MOVES, "MaxPool", "Relu", "Dropout", "Slice", "Gather", "Split", "Expand", "Tile", "DepthToSpace")
KEEPS_CODES += ("SpaceToDepth", "ReduceMax", "ReduceMin")
CONVOLUTIONS = ("Conv", "FusedConv", "ConvTranspose")
PRODUCTS = (*CONVOLUTIONS, "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "Einsum", "MatMulIntegerToFloat")
PRODUCTS += ("DynamicQuantizeMatMul", "QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger", "MatMulInteger")
# multiply as well, and are never taken apart
WHOLE = (
    "LSTM",
    "GRU",
    "RNN",
    "DeformConv",
    "Attention",
    "MultiHeadAttention",
    "GroupQueryAttention",
    "PackedAttention",
)
WHOLE += ("SparseAttention", "QAttention", "DynamicQuantizeLSTM", "MatMulNBits", "MoE", "QMoE")
_STEMS = {"Conv": "conv", "FusedConv": "conv", "QLinearConv": "conv", "ConvInteger": "conv", "ConvTranspose": "deconv"}


@dataclass(frozen=True)
class Stored:
    """A quantised constant: integer `codes`, and `zero` and float32 `scale` of each code (same shapes)."""

    codes: np.ndarray
    zero: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class Codes:
    """A float tensor whose values are scale * (code - zero); `tensor` holds the codes, "" if no tensor does."""

    tensor: str
    scale: np.float32
    zero: int
    unsigned: bool


@dataclass
class Step:
    """A node of the rewritten graph: an ONNX node, or a layer of ours (one input, one output)."""

    inputs: list[str]
    outputs: list[str]
    node: Any | MacNode


class NotALayer(Exception):
    """Why a product is not a layer of ours."""


class Lowering:
    """The nodes of a graph, in order, with layers in it.

    `constants` and `values` (of one image) are arrays by tensor, `readers` the nodes that read a tensor; `evaluate`
    runs one ONNX node on arrays. Gives `steps`, more `constants`, `kinds` (dtypes of new tensors) and `left`: why
    other products stay with the runtime.
    """

    def __init__(
        self,
        helper: Any,
        constants: dict[str, np.ndarray],
        values: dict[str, np.ndarray],
        evaluate: Callable[[object, list[np.ndarray]], np.ndarray],
        rounding: str,
        readers: dict[str, list],
    ) -> None:
        self._onnx, self.constants, self._values, self._evaluate = helper, constants, values, evaluate
        self.rounding, self.readers = rounding, readers
        self.steps: list[Step] = []
        self.kinds: dict[str, np.dtype] = {}
        self.left: list[str] = []
        self._stored: dict[str, Stored] = {}
        self._codes: dict[str, Codes] = {}
        self._names: set[str] = set()
        self.own: list = []  # nodes of ONNX that no file has
        self.own_tensors: set[str] = set()  # names that no file has
        self._done: set[str] = set()  # results that a layer before makes

    # ---- the graph

    def add(self, node: Any) -> None:
        """The next node of the graph."""
        kind = node.op_type
        if self._done.issuperset(node.output):
            return None
        if kind == "DequantizeLinear":
            self._dequantise(node)
        elif kind in KEEPS_CODES:
            self._move(node)
        if kind in PRODUCTS:
            mark = len(self.steps)
            try:
                return self._product(node, kind)
            except NotALayer as reason:
                del self.steps[mark:]
                self.left.append(f"{kind.removeprefix('Fused')} '{node.name or node.output[0]}': {reason}")
        elif kind in WHOLE:
            self.left.append(f"{kind} '{node.name or node.output[0]}': this operator is not taken apart")
        self._keep(node)
        return None

    def _keep(self, node: Any) -> None:
        self.steps.append(Step(list(node.input), list(node.output), node))

    def name(self, stem: str) -> str:
        """A name for a node that no other has."""
        name = next(f"{stem}{i}" for i in range(10**6) if f"{stem}{i}" not in self._names)
        self._names.add(name)
        return name

    def _tensor(self) -> str:
        name = f"encmac/{len(self.own_tensors)}"
        self.own_tensors.add(name)
        return name

    def constant(self, value: np.ndarray) -> str:
        """The name of a new constant."""
        name = self._tensor()
        self.constants[name] = np.asarray(value)
        return name

    def emit(self, kind: str, inputs: list[str], output: str = "", domain: str = "", **attributes: object) -> str:
        """A new ONNX node; returns its result."""
        output = output or self._tensor()
        made = self._onnx.make_node(kind, inputs, [output], domain=domain, **attributes)
        self.own.append(made)
        self._keep(made)
        return output

    def attributes(self, node: Any) -> dict:
        """Attributes of an ONNX node by name."""
        return {a.name: self._onnx.get_attribute_value(a) for a in node.attribute}

    def _shape(self, tensor: str) -> tuple[int, ...]:
        return self._values[tensor].shape

    def _is_unsigned(self, tensor: str) -> bool:
        known = self.constants.get(tensor, self._values.get(tensor))
        return known is not None and known.dtype == np.uint8

    # ---- what is known of tensors

    def _dequantise(self, node: Any) -> None:
        source, scale, zero = [*node.input, ""][:3]
        if scale not in self.constants or (zero and zero not in self.constants):
            return
        scales = self.constants[scale].astype(np.float32)
        if source in self.constants:
            codes = self.constants[source].astype(np.int64)
            zeros = self.constants[zero].astype(np.int64) if zero else np.zeros_like(scales, np.int64)
            if scales.ndim == 1 and scales.size > 1:
                axis = self.attributes(node).get("axis", 1) % max(1, codes.ndim)
                shape = [1] * codes.ndim
                shape[axis] = -1
                scales, zeros = scales.reshape(shape), zeros.reshape(shape)
            elif scales.size > 1:
                return  # blocks
            else:
                scales, zeros = scales.reshape(()), zeros.reshape(())
            self._stored[node.output[0]] = Stored(
                codes, np.broadcast_to(zeros, codes.shape), np.broadcast_to(scales, codes.shape)
            )
        elif scales.size == 1 and self._values[source].dtype in (np.int8, np.uint8):
            zeros = int(self.constants[zero].ravel()[0]) if zero else 0
            self._codes[node.output[0]] = Codes(source, scales.ravel()[0], zeros, self._is_unsigned(source))

    def _move(self, node: Any) -> None:
        source = node.input[0]
        if source in self._stored and node.op_type in MOVES and all(i in self.constants for i in node.input[1:] if i):
            given = self._stored[source]
            others = [self.constants[i] for i in node.input[1:]]
            parts = (given.codes.astype(np.float64), given.zero.astype(np.float64), given.scale)
            codes, zero, scale = (self._evaluate(node, [np.ascontiguousarray(p), *others]) for p in parts)
            self._stored[node.output[0]] = Stored(codes.astype(np.int64), zero.astype(np.int64), scale)
        elif source in self._codes:
            for output in node.output:
                self._codes[output] = replace(self._codes[source], tensor="")

    def _codes_of(self, tensor: str) -> tuple[str, Codes]:
        """The tensor of codes behind a float tensor, made if there is none."""
        if tensor in self._stored or tensor in self.constants:
            raise NotALayer(f"its first operand '{tensor}' is constant")
        if tensor not in self._codes:
            raise NotALayer(f"its operand '{tensor}' is not quantised (to 8 bits, one constant scale)")
        found = self._codes[tensor]
        if found.tensor:
            return found.tensor, found
        zero = np.array(found.zero, np.uint8 if found.unsigned else np.int8)
        parts = [self.constant(found.scale), self.constant(zero)]
        codes = self.emit("QuantizeLinear", [tensor, *parts])
        self._values[codes] = np.empty(self._shape(tensor), zero.dtype)
        return codes, found

    def _weights_of(self, tensor: str) -> Stored:
        if tensor in self._stored:
            found = self._stored[tensor]
            if found.codes.max(initial=0) > 255 or found.codes.min(initial=0) < -128:
                raise NotALayer(f"its weights '{tensor}' have more than 8 bits")
            return found
        if tensor in self.constants:
            raise NotALayer(f"its weights '{tensor}' are floating point")
        raise NotALayer("both operands are activations")

    def _array(self, tensor: str, what: str) -> np.ndarray:
        if tensor not in self.constants:
            raise NotALayer(f"its {what} '{tensor}' is not constant")
        return self.constants[tensor]

    def _integer_weights(self, tensor: str, scale: str, zero: str, axis: int) -> Stored:
        """Of an integer operator; `scale` and `zero` may be of one value or one for each index of `axis`."""
        if tensor not in self.constants:
            raise NotALayer("both operands are activations")
        codes = self.constants[tensor].astype(np.int64)
        wide = []
        for part, default in ((zero, 0), (scale, 1)):
            values = self._array(part, "scale or zero point").ravel() if part else np.array([default])
            if len(values) not in (1, codes.shape[axis]):
                raise NotALayer(f"its weights have {len(values)} scales for {codes.shape[axis]} outputs")
            shape = [1] * codes.ndim
            shape[axis] = -1
            wide.append(np.broadcast_to(values.reshape(shape), codes.shape))
        return Stored(codes, wide[0].astype(np.int64), wide[1].astype(np.float32))

    # ---- products

    def _product(self, node: Any, kind: str) -> None:
        if kind == "QLinearConv":
            x, sx, zx, w, sw, zw, sy, zy, bias = [*node.input, ""][:9]
            weights = self._integer_weights(w, sw, zw, 0)
            self._to_codes(node, weights, x, (sx, zx), (sy, zy), bias, self.attributes(node))
        elif kind == "QLinearMatMul":
            x, sx, zx, w, sw, zw, sy, zy = node.input
            weights = self._integer_weights(w, sw, zw, -1)
            self._to_codes(node, weights, x, (sx, zx), (sy, zy), "", None)
        elif kind == "QGemm":
            self._qgemm(node)
        elif kind in ("ConvInteger", "MatMulInteger"):
            x, w, zx, zw = [*node.input, "", ""][:4]
            weights = self._integer_weights(w, "", zw, 0 if kind == "ConvInteger" else -1)
            where = self.attributes(node) if kind == "ConvInteger" else None
            sums, _, _ = self._sums(node, weights, x, zx, where)
            self.emit("Identity", [sums], node.output[0])
        elif kind == "DynamicQuantizeMatMul":
            self._dynamic(node)
        elif kind == "MatMulIntegerToFloat":
            x, w, sx, sw, zx, zw, bias = [*node.input, "", "", ""][:7]
            weights = self._integer_weights(w, sw, zw, -1)
            self._to_float(node, weights, x, sx, zx, bias, None)
        else:
            self._float_product(node, kind)

    def _qgemm(self, node: Any) -> None:
        a, sa, za, b, sb, zb, bias, sy, zy = [*node.input, "", "", ""][:9]
        attributes = self.attributes(node)
        if attributes.get("alpha", 1.0) != 1.0:
            raise NotALayer("its alpha is not 1")
        transposed = bool(attributes.get("transB", 0))
        weights = self._integer_weights(b, sb, zb, 0 if transposed else 1)
        if transposed:
            weights = Stored(weights.codes.T, weights.zero.T, weights.scale.T)
        if attributes.get("transA", 0):
            raise NotALayer("its first operand is transposed")
        if sy:
            self._to_codes(node, weights, a, (sa, za), (sy, zy), bias, None)
        else:
            self._to_float(node, weights, a, sa, za, "", None, integer_bias=bias)

    def _dynamic(self, node: Any) -> None:
        """Quantise, then multiply: what the operator does inside."""
        x, w, sw, zw, bias = [*node.input, "", ""][:5]
        if w not in self.constants:
            raise NotALayer("both operands are activations")
        codes, scale, zero = (self._tensor() for _ in range(3))
        self._keep(self._onnx.make_node("DynamicQuantizeLinear", [x], [codes, scale, zero]))
        self._values[codes] = np.empty(self._shape(x), np.uint8)
        inputs = [codes, w, scale, sw, zero, zw, bias]
        made = self._onnx.make_node("MatMulIntegerToFloat", inputs, list(node.output), node.name, domain=CONTRIB)
        self._product(made, "MatMulIntegerToFloat")

    def _einsum(self, node: Any, attributes: dict) -> bool:
        """Whether the weights of an Einsum have their outputs first; NotALayer if it is no matrix product."""
        equation = attributes["equation"].decode().replace(" ", "")
        if len(node.input) != 2:
            raise NotALayer(f"it has {len(node.input)} operands; 2 are supported")
        found = re.fullmatch(r"((?:\.\.\.)?\w*)(\w),(\w)(\w)->((?:\.\.\.)?\w*)(\w)", equation)
        if found:
            lead, depth, *axes, kept, output = found.groups()
            letters = f"{lead.removeprefix('...')}{depth}{output}"
            if lead == kept and sorted(axes) == sorted((depth, output)) and len(set(letters)) == len(letters):
                return axes == [output, depth]
        raise NotALayer(f"its equation '{equation}' is not '...k,ko->...o' or '...k,ok->...o'")

    def _float_product(self, node: Any, kind: str) -> None:
        x, w = node.input[:2] if len(node.input) > 1 else (node.input[0], "")
        attributes = self.attributes(node)
        transposed = self._einsum(node, attributes) if kind == "Einsum" else bool(attributes.get("transB", 0))
        weights = self._weights_of(w)
        if kind in ("MatMul", "FusedMatMul", "Einsum") and len(self._shape(x)) < 2:
            raise NotALayer("its operand has no batch")
        codes, about = self._codes_of(x)
        factor, where = 1.0, attributes | {"transposed": kind == "ConvTranspose"}
        if kind not in CONVOLUTIONS:
            if weights.codes.ndim != 2:
                raise NotALayer("its weights have more than two axes")
            if transposed:
                weights = Stored(weights.codes.T, weights.zero.T, weights.scale.T)
            if attributes.get("transA", 0) or attributes.get("transBatchA", 0) or attributes.get("transBatchB", 0):
                raise NotALayer("its first operand is transposed")
            factor, where = float(attributes.get("alpha", 1.0)), None
        scale, zero = self.constant(about.scale), self.constant(np.array(about.zero))
        bias = [*node.input, ""][2]
        beta = float(attributes.get("beta", 1.0))
        self._to_float(node, weights, codes, scale, zero, bias, where, factor, beta)

    # ---- layers

    def _to_codes(
        self, node: Any, weights: Stored, x: str, about: tuple, target: tuple, bias: str, where: dict | None
    ) -> None:
        """A layer whose result are codes."""
        sx = np.float32(self._array(about[0], "scale").ravel()[0])
        sy = np.float32(self._array(target[0], "scale").ravel()[0])
        zero = int(self._array(target[1], "zero point").ravel()[0]) if target[1] else 0
        unsigned = self._is_unsigned(node.output[0])
        added = self._array(bias, "bias").astype(np.int64).ravel() if bias else None
        scale = self._output_scales(weights, where)
        factors = sx * scale / sy
        as_float = self.rounding == "float"
        try:
            multipliers = float32_multipliers(factors) if as_float else quantise_multipliers(factors)
        except ValueError as error:
            raise NotALayer(str(error)) from error
        requant = Requant(*multipliers, zero_point=zero - 128 * unsigned, rounding=self.rounding)
        result, whole, _ = self._sums(node, weights, x, about[1], where, added, requant, float(sy), unsigned)
        if whole:
            self.emit("Identity", [result], node.output[0])
            return
        shape = [1, -1] + [1] * (len(self._shape(node.output[0])) - 2) if where is not None else [-1]
        real = self.emit("Mul", [self.emit("Cast", [result], to=1), self.constant(factors.reshape(shape))])
        kind = np.uint8 if unsigned else np.int8
        parts = [self.constant(np.float32(1)), self.constant(np.array(zero, kind))]
        self.emit("QuantizeLinear", [real, *parts], node.output[0])

    def _to_float(
        self,
        node: Any,
        weights: Stored,
        x: str,
        sx: str,
        zx: str,
        bias: str,
        where: dict | None,
        factor: float = 1.0,
        beta: float = 1.0,
        integer_bias: str = "",
    ) -> None:
        """A layer whose result is float: the runtime's own where the sums agree with it.

        With another rounding than the runtime's, one that is quantised at once is requantised by the layer.
        """
        scale = self._output_scales(weights, where)
        if self.rounding != "float" and self._requantised(node, weights, x, sx, zx, bias, where, factor, beta):
            return
        rank = len(self._shape(node.output[0]))
        shape = [1, -1] + [1] * (rank - 2) if where is not None else [-1]
        added = self._array(integer_bias, "bias").astype(np.int64).ravel() if integer_bias else None
        real, offset = None, 0.0
        if bias and bias in self._stored and self._units(bias, weights, sx, scale, factor * beta):
            added = self._stored[bias].codes.ravel()
        elif bias:
            if bias in self._stored:
                stored = self._stored[bias]
                real = (stored.codes - stored.zero) * stored.scale
            else:
                real = self._array(bias, "bias")
            real = (np.float32(beta) * real).astype(np.float32)
            if where is not None:
                real = real.reshape(shape)
            offset = float(np.abs(real).max(initial=0))
        sums, _, total = self._sums(node, weights, x, zx, where, added)
        unit = scale.astype(np.float64) * factor
        if sx in self.constants:
            unit_name = self.constant((unit * self.constants[sx].ravel()[0]).astype(np.float32).reshape(shape))
        else:
            unit_name = self.emit("Mul", [self.constant(unit.astype(np.float32).reshape(shape)), sx])
        ours = self.emit("Mul", [self.emit("Cast", [sums], to=1), unit_name])
        if real is not None:
            ours = self.emit("Add", [ours, self.constant(real)])
        if node.op_type == "FusedConv" and len(node.input) > 3 and node.input[3]:
            ours = self.emit("Add", [ours, node.input[3]])
        # half a product, or what float32 sums may be off
        slack = np.maximum(0.5, 2.0**-23 * 256 * total).astype(np.float32).reshape(shape)
        tolerance = self.emit("Mul", [self.emit("Abs", [unit_name]), self.constant(slack)])
        if offset:
            tolerance = self.emit("Add", [tolerance, self.constant(np.float32(offset * 2.0**-21))])
        theirs = self._tensor()
        plain, activation = self._without_activation(node, theirs)
        self._keep(plain)
        apart = self.emit("Abs", [self.emit("Sub", [ours, theirs])])
        agree = self.emit("Not", [self.emit("Greater", [apart, tolerance])])
        result = node.output[0] if activation is None else self._tensor()
        self.emit("Where", [agree, theirs, ours], result)
        if activation is not None:
            activation(result)

    def _requantised(
        self,
        node: Any,
        weights: Stored,
        x: str,
        sx: str,
        zx: str,
        bias: str,
        where: dict | None,
        factor: float,
        beta: float,
    ) -> bool:
        """Whether a layer with codes as its result could stand for a float operator and what follows it up to its Q."""
        found = self._quantised_after(node)
        if found is None or sx not in self.constants or factor != 1.0 or beta != 1.0:
            return False
        last, passed, clamp = found
        scale = self._output_scales(weights, where)
        units = scale.astype(np.float64) * float(self.constants[sx].ravel()[0])
        added = None
        if bias:
            stored = self._stored.get(bias)
            real = (stored.codes - stored.zero) * stored.scale if stored else self.constants.get(bias)
            if real is None or real.size != len(scale):
                return False
            added = np.rint(real.ravel() / units).astype(np.int64)
        target = np.float32(self.constants[last.input[1]].ravel()[0])
        zero = int(self.constants[last.input[2]].ravel()[0]) if len(last.input) > 2 and last.input[2] else 0
        unsigned = self._is_unsigned(last.output[0])
        zero -= 128 * unsigned
        lo, hi = (
            limit if v is None else int(np.clip(np.rint(v / target) + zero, -128, 127))
            for v, limit in zip(clamp, (-128, 127), strict=True)
        )
        try:
            requant = Requant(*quantise_multipliers(units / target), lo, hi, zero, self.rounding)
        except ValueError:
            return False
        mark = len(self.steps)
        result, whole, _ = self._sums(node, weights, x, zx, where, added, requant, float(target), unsigned)
        if not whole:
            del self.steps[mark:]
            return False
        self.emit("Identity", [result], last.output[0])
        self._done |= {*passed, last.output[0]}
        return True

    def _quantised_after(self, node: Any) -> tuple[Any, list[str], tuple[float | None, float | None]] | None:
        """The only QuantizeLinear that reads a node's result, what lies between, and the clamp that it is."""
        clamp: list[float | None] = [None, None]
        attributes, tensor, passed = self.attributes(node), node.output[0], []
        kind = attributes.get("activation", b"").decode()
        given = list(attributes.get("activation_params", ()))
        while True:
            if kind == "Relu":
                given = [0.0, None]
            elif kind not in ("", "Clip"):
                return None
            if kind:
                bounds = zip(clamp, given, (max, min), strict=True)
                clamp = [b if a is None else a if b is None else pick(a, b) for a, b, pick in bounds]
            readers = self.readers.get(tensor, [])
            if len(readers) != 1:
                return None
            (reader,) = readers
            if reader.op_type == "QuantizeLinear":
                constant = all(i in self.constants for i in reader.input[1:] if i)
                whole = constant and self.constants[reader.input[1]].size == 1
                eight = self._values[reader.output[0]].dtype in (np.int8, np.uint8)
                return (reader, passed, tuple(clamp)) if whole and eight else None
            kind = reader.op_type
            if kind == "Clip":
                if any(i and i not in self.constants for i in reader.input[1:]):
                    return None
                given = [float(self.constants[i]) if i else None for i in [*reader.input[1:], "", ""][:2]]
            elif kind != "Relu":
                return None
            tensor = reader.output[0]
            passed.append(tensor)

    def _units(self, bias: str, weights: Stored, sx: str, scale: np.ndarray, factor: float) -> bool:
        """Whether a stored bias counts products."""
        stored = self._stored[bias]
        if sx not in self.constants or stored.codes.size != len(scale) or factor != 1.0 or stored.zero.any():
            return False
        units = self.constants[sx].ravel()[0] * scale
        return bool(np.allclose(stored.scale.ravel(), units, rtol=1e-6, atol=0))

    def _without_activation(self, node: Any, output: str) -> tuple[Any, Callable[[str], None] | None]:
        """A copy of a node that makes `output` and no fused activation, and what emits the activation."""
        plain = type(node)()
        plain.CopyFrom(node)
        self.own.append(plain)
        plain.output[0] = output
        attributes = self.attributes(node)
        if "activation" not in attributes:
            return plain, None
        kept = [a for a in plain.attribute if not a.name.startswith("activation")]
        del plain.attribute[:]
        plain.attribute.extend(kept)
        if node.op_type in ("FusedConv", "FusedGemm") and len([i for i in node.input if i]) < 4:
            plain.op_type, plain.domain = node.op_type.removeprefix("Fused"), ""
        kind = attributes["activation"].decode()
        given = list(attributes.get("activation_params", ()))
        given = given or [attributes[f"activation_{k}"] for k in ("alpha", "beta") if f"activation_{k}" in attributes]
        target = node.output[0]

        def emit(source: str) -> None:
            if kind == "Clip":
                low, high = (self.constant(np.float32(v)) for v in given)
                self.emit("Min", [self.emit("Max", [source, low]), high], target)
            else:
                names = {"LeakyRelu": ["alpha"], "HardSigmoid": ["alpha", "beta"]}.get(kind, [])
                self.emit(kind, [source], target, **dict(zip(names, given, strict=False)))

        return plain, emit

    def _output_scales(self, weights: Stored, where: dict | None) -> np.ndarray:
        """float32 [O], or [1] where all are the same."""
        if where is None:
            scales = weights.scale.T
        elif where.get("transposed"):
            group = where.get("group", 1)
            scales = weights.scale.reshape(group, -1, *weights.scale.shape[1:]).swapaxes(1, 2)
            scales = scales.reshape(group * weights.scale.shape[1], -1)
        else:
            scales = weights.scale
        scales = scales.reshape(len(scales), math.prod(scales.shape[1:]))
        if (scales != scales[:, :1]).any():
            raise NotALayer("its weights have several scales for one output")
        if not (fit := np.isfinite(scales) & (scales > 0)).all():
            raise NotALayer(f"its weights have a scale of {scales[~fit][0]}")
        return np.ascontiguousarray(scales[:, 0])

    def _sums(
        self,
        node: Any,
        weights: Stored,
        x: str,
        zx: str,
        where: dict | None,
        bias: np.ndarray | None = None,
        requant: Requant | None = None,
        output_scale: float = 1.0,
        unsigned: bool = False,
    ) -> tuple[str, bool, np.ndarray]:
        """The tensor of a new layer's results, shaped as the node's; whether they are requantised; sums of |w| [O]."""
        if not weights.codes.size:
            raise NotALayer(f"its weights have the shape {weights.codes.shape}")
        scale = self._output_scales(weights, where)
        zero = int(self.constants[zx].ravel()[0]) if zx in self.constants else 0
        dynamic = zx if zx and zx not in self.constants else ""
        x_unsigned = self._is_unsigned(x)
        if self._values[x].dtype not in (np.int8, np.uint8):
            raise NotALayer(f"its operand '{x}' is {self._values[x].dtype}")
        shape = self._shape(x)
        if where is None:
            x, codes, rest, finish, geometry = self._matrix(node, weights, x, shape)
            ones = np.ones(codes.shape, np.float32)
        else:
            x, codes, ones, rest, finish, geometry = self._convolution(node, weights, x, shape, where, zero, dynamic)
        flat = codes.reshape(len(codes), -1)
        code_zero = zero - 128 * x_unsigned
        total = -code_zero * flat.sum(1, dtype=np.int64) + (bias if bias is not None else 0)
        total = total.astype(np.int32)  # sums wrap round in int32, as the runtime's do
        whole = requant is not None and not rest.any() and not dynamic
        name = self.name(_STEMS.get(node.op_type, "linear"))
        wide = np.broadcast_to(scale.astype(np.float64), len(codes)).copy()
        common = (requant if whole else None, wide, output_scale if whole else 1.0)
        if geometry is None:
            layer: MacNode = Linear(name, x, codes, total, *common, code_zero)
        else:
            stride, padding, groups = geometry
            layer = Conv(name, x, codes, total, *common, stride, padding, groups, code_zero)
        made = self._tensor()
        self.kinds[made] = np.dtype((np.uint8 if unsigned else np.int8) if whole else np.int32)
        self.steps.append(Step([x], [made], layer))
        if dynamic:  # the sum of a * w less the zero point's share
            share = self.constant(
                flat.sum(1, dtype=np.int64).astype(np.int32).reshape([1, -1, *[1] * (codes.ndim - 2)])
            )
            shift = self.emit("Cast", [dynamic], to=6)
            made = self.emit("Sub", [made, self.emit("Mul", [shift, share])])
        if rest.any():
            made = self._less_zeros(made, x, rest, ones, geometry, zero, dynamic)
        return finish(made), whole, (np.abs(flat - rest[:, None]) * ones.reshape(flat.shape)).sum(1)

    def _less_zeros(
        self, sums: str, x: str, rest: np.ndarray, ones: np.ndarray, geometry: tuple | None, zero: int, dynamic: str
    ) -> str:
        """`sums` less rest[o] times the sum of all activations: exact in float32, where all are small integers."""
        real = self.emit("Cast", [x], to=1)
        shift = self.emit("Cast", [dynamic], to=1) if dynamic else self.constant(np.float32(zero))
        real = self.emit("Sub", [real, shift])
        if geometry is None:
            total = self.emit("MatMul", [real, self.constant(ones.T)])
            rest_name = self.constant(rest.astype(np.int32))
        else:
            stride, (top, bottom, left, right), groups = geometry
            where = {"strides": stride, "pads": (top, left, bottom, right), "group": groups}
            total = self.emit("Conv", [real, self.constant(ones)], **where)
            rest_name = self.constant(rest.astype(np.int32).reshape(1, -1, 1, 1))
        share = self.emit("Mul", [self.emit("Cast", [total], to=6), rest_name])
        return self.emit("Sub", [sums, share])

    def _centred(self, weights: Stored) -> tuple[np.ndarray, np.ndarray]:
        """int8 codes of weights [O, ...] and the zero points int64 [O] that are left in them."""
        codes = weights.codes - weights.zero
        if codes.min(initial=0) >= -128 and codes.max(initial=0) <= 127:
            return np.ascontiguousarray(codes.astype(np.int8)), np.zeros(len(codes), np.int64)
        shift = 128 if weights.codes.max() > 127 else 0
        zeros = (weights.zero - shift).reshape(len(codes), -1)
        if (zeros != zeros[:, :1]).any():
            raise NotALayer("its weights have several zero points for one output")
        return np.ascontiguousarray((weights.codes - shift).astype(np.int8)), zeros[:, 0]

    def _matrix(self, node: Any, weights: Stored, x: str, shape: tuple) -> tuple:
        """[rows, K] times [K, O] is a linear layer; several rows of one image are the pixels of a 1x1 convolution."""
        codes, rest = self._centred(Stored(weights.codes.T, weights.zero.T, weights.scale.T))
        rows, depth, outputs = int(np.prod(shape[:-1])), shape[-1], len(codes)
        if len(shape) == 2 and rows == 1:
            return x, codes, rest, lambda made: made, None
        three = self._reshape(x, [-1, rows, depth])
        pixels = self._reshape(self.emit("Transpose", [three], perm=[0, 2, 1]), [0, 0, -1, 1])
        lead = [-1, *shape[1:-1]] if len(shape) > 2 else [-1]

        def finish(made: str) -> str:
            rows_last = self.emit("Transpose", [self._reshape(made, [0, 0, -1])], perm=[0, 2, 1])
            return self._reshape(rows_last, [*lead, outputs])

        return pixels, codes.reshape(outputs, depth, 1, 1), rest, finish, ((1, 1), (0, 0, 0, 0), 1)

    def _reshape(self, x: str, shape: list[int]) -> str:
        result = self.emit("Reshape", [x, self.constant(np.array(shape, np.int64))])
        if x in self._values:
            self._values[result] = np.empty(0, self._values[x].dtype)
        return result

    def _convolution(
        self, node: Any, weights: Stored, x: str, shape: tuple, where: dict, zero: int, dynamic: str
    ) -> tuple:
        """Codes in at most two dimensions, padding, dilation and stride as our layers have them."""
        dims, group = len(shape) - 2, where.get("group", 1)
        if dims not in (1, 2):
            raise NotALayer(f"it has {dims} dimensions; 1 and 2 are supported")
        kernel = weights.codes.shape[2:]
        stride = list(where.get("strides", [1] * dims))
        dilation = list(where.get("dilations", [1] * dims))
        pads = self._pads(where, shape[2:], kernel, stride, dilation)
        if where.get("transposed"):
            flipped = [
                v.reshape(group, -1, *v.shape[1:]).swapaxes(1, 2).reshape(group * v.shape[1], -1, *kernel)
                for v in (weights.codes, weights.zero, weights.scale)
            ]
            axes = tuple(range(2, 2 + dims))
            weights = Stored(*(np.flip(v, axes) for v in flipped))
            x, pads = self._spread(x, shape, where, kernel, stride, dilation, pads, zero, dynamic)
            stride = [1] * dims
        codes, rest = self._centred(weights)
        if dynamic and any(pads):
            amounts = self.constant(np.array([0, 0, *pads[:dims], 0, 0, *pads[dims:]], np.int64))
            padded = self.emit("Pad", [x, amounts, dynamic])
            self._values[padded] = np.empty(0, self._values[x].dtype)
            x, pads = padded, [0] * (2 * dims)
        codes, ones = self._apart(codes, dilation), self._apart(np.ones(codes.shape, np.float32), dilation)
        if dims == 1:
            x = self._reshape(x, [0, 0, -1, 1])
            codes, ones = codes[..., None], ones[..., None]
            stride, pads = [*stride, 1], [pads[0], 0, pads[1], 0]
        top, left, bottom, right = pads

        def finish(made: str) -> str:
            return self._reshape(made, [0, 0, -1]) if dims == 1 else made

        geometry = (tuple(stride), (top, bottom, left, right), group)
        return x, np.ascontiguousarray(codes), ones, rest, finish, geometry

    def _apart(self, kernel: np.ndarray, dilation: list) -> np.ndarray:
        """A kernel [O, I, ...] with `dilation` - 1 zeros between its weights."""
        sizes = [(k - 1) * d + 1 for k, d in zip(kernel.shape[2:], dilation, strict=True)]
        wide = np.zeros((*kernel.shape[:2], *sizes), kernel.dtype)
        wide[(slice(None), slice(None), *(slice(None, None, d) for d in dilation))] = kernel
        return wide

    def _pads(self, where: dict, size: tuple, kernel: tuple, stride: list, dilation: list) -> list[int]:
        auto = where.get("auto_pad", b"NOTSET")
        if auto == b"VALID":
            return [0] * (2 * len(size))
        if auto == b"NOTSET":
            return list(where.get("pads", [0] * (2 * len(size))))
        if where.get("transposed"):
            totals = []
            extra = where.get("output_padding", [0] * len(size))
            shape = where.get("output_shape", [s * n for s, n in zip(stride, size, strict=True)])
            for n, k, s, d, e, want in zip(size, kernel, stride, dilation, extra, shape, strict=True):
                totals.append(max(s * (n - 1) + e + (k - 1) * d + 1 - want, 0))
        else:
            totals = [
                max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
                for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
            ]
        before = [(t + 1) // 2 if auto == b"SAME_LOWER" else t // 2 for t in totals]
        return before + [t - b for t, b in zip(totals, before, strict=True)]

    def _spread(
        self,
        x: str,
        shape: tuple,
        where: dict,
        kernel: tuple,
        stride: list,
        dilation: list,
        pads: list,
        zero: int,
        dynamic: str,
    ) -> tuple[str, list[int]]:
        """The operand of a transposed convolution with stride - 1 zeros between pixels, and the padding it then has."""
        dims, kind = len(kernel), self._values[x].dtype
        if "output_shape" in where and where.get("auto_pad", b"NOTSET") == b"NOTSET":
            raise NotALayer("it has an output_shape; write its pads")
        fill = dynamic or self.constant(np.array(zero, kind))
        if any(s > 1 for s in stride):
            apart = [n for k in range(dims) for n in (shape[2 + k], 1)]
            x = self._reshape(x, [-1, shape[1], *apart])
            after = [n for k in range(dims) for n in (0, stride[k] - 1)]
            x = self.emit("Pad", [x, self.constant(np.array([0] * (2 + 2 * dims) + [0, 0, *after], np.int64)), fill])
            wide = [shape[2 + k] * stride[k] for k in range(dims)]
            x = self._reshape(x, [-1, shape[1], *wide])
            ends = self.constant(np.array([w - s + 1 for w, s in zip(wide, stride, strict=True)], np.int64))
            axes = self.constant(np.arange(2, 2 + dims, dtype=np.int64))
            x = self.emit("Slice", [x, self.constant(np.zeros(dims, np.int64)), ends, axes])
            self._values[x] = np.empty(0, kind)
        extra = where.get("output_padding", [0] * dims)
        reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        before = [r - p for r, p in zip(reach, pads[:dims], strict=True)]
        after = [r - p + e for r, p, e in zip(reach, pads[dims:], extra, strict=True)]
        if min(before + after) < 0:
            raise NotALayer("its padding is wider than its kernel")
        return x, before + after
