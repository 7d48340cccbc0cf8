"""ONNX models in QDQ form (QuantizeLinear and DequantizeLinear around float operators) to integer networks.

Every operator whose operands come from DequantizeLinear and whose result goes to QuantizeLinear, with a Relu or Clip
between at most, becomes one node. Activations are int8 or uint8 with any zero point (uint8 codes are shifted by 128,
which changes no value), weights int8 with zero point 0. Sums are rounded as ONNX Runtime's integer kernels do it:
times a float32 factor, to nearest, ties to even.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.datasets import classes_of
from models.errors import UserError
from models.quant.arith import (
    INT8_MAX,
    INT8_MIN,
    ROUNDINGS,
    float32_multipliers,
    quantise_multiplier_pair,
    quantise_multipliers,
)
from models.quant.checkpoint import validate
from models.quant.graph import INPUT, Conv, Linear, Node, QuantNetwork
from models.quant.nodes import Add, Flatten, GlobalAveragePool, Lookup, Multiply, Pool, Requant

LAYERS = ("Conv", "Gemm", "MatMul", "Add", "Mul", "GlobalAveragePool", "ReduceMean")
MOVES = ("MaxPool", "Flatten", "Reshape")  # results have their operand's codes
POOLS = ("GlobalAveragePool", "ReduceMean")
CLAMPS = ("Relu", "Clip")
SUPPORTED = ("QuantizeLinear", "DequantizeLinear", *LAYERS, *MOVES, *CLAMPS, "Softmax", "Identity", "Constant")
_SHORT = {
    "GlobalAveragePool": "pool",
    "ReduceMean": "pool",
    "Gemm": "linear",
    "MatMul": "linear",
    "MaxPool": "max_pool",
}


@dataclass(frozen=True)
class _Codes:
    """A quantised activation: the node that makes it, its scale and (int8) zero point."""

    node: str
    scale: float
    zero_point: int


@dataclass(frozen=True)
class _Constant:
    """A quantised constant: int32 or int8 `codes`, `scale` float32 [n] along the first axis or [1]."""

    codes: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class _Pending:
    """A float result that waits for its scale."""

    kind: str
    name: str
    operands: tuple[_Codes | _Constant, ...]
    attributes: dict
    clamp: tuple[float | None, float | None] = (None, None)


@dataclass
class _Values:
    """What is known of the tensors of a graph, by their names."""

    constants: dict[str, np.ndarray] = field(default_factory=dict)
    codes: dict[str, _Codes | _Constant] = field(default_factory=dict)  # integer tensors
    real: dict[str, _Codes | _Constant | _Pending | str] = field(default_factory=dict)  # float ones; str: ended


def read_onnx(
    path: str | Path,
    name: str,
    dataset: str,
    rounding: str = "float",
    mean: tuple[float, ...] = (0.0, 0.0, 0.0),
    std: tuple[float, ...] = (1.0, 1.0, 1.0),
) -> tuple[QuantNetwork, dict[str, str]]:
    """The network in `path`, and the name of the quantised tensor of the file that each node makes.

    Images scaled to 0..1 are normalised by `mean` and `std`, as for the network's training. `rounding` is one of
    models.quant.arith.ROUNDINGS. Raises UserError if the file is damaged or holds what the layer graph does not
    have; unsupported operators are named.
    """
    reader = _Reader(Path(path), rounding)
    network = reader.network(name, dataset, tuple(mean), tuple(std))
    try:
        validate(network)
    except ValueError as error:
        raise UserError(f"{path}: {error}; the model does not fit the layer graph") from error
    return network, reader.made


class _Reader:
    """Goes through the nodes of the graph in order."""

    def __init__(self, path: Path, rounding: str) -> None:
        try:
            import onnx
        except ImportError as error:
            raise UserError("ONNX models need the package 'onnx'; run 'make setup'") from error
        if rounding not in ROUNDINGS:
            raise UserError(f"unknown rounding '{rounding}'; known: {', '.join(ROUNDINGS)}")
        self.path, self.rounding, self._onnx = path, rounding, onnx
        try:
            self.model = onnx.load(str(path))
            onnx.checker.check_model(self.model)
            self.graph = self.model.graph
            self.values = _Values({i.name: onnx.numpy_helper.to_array(i) for i in self.graph.initializer})
        except FileNotFoundError as error:
            raise UserError(f"cannot read {path} (no such file)") from error
        except Exception as error:  # protobuf's own exceptions differ between its versions
            raise UserError(f"{path} is damaged or no ONNX model ({str(error).splitlines()[0]})") from error
        self.nodes: list[Node] = []
        self.made: dict[str, str] = {}
        self.input_codes: _Codes | None = None
        self._used: set[str] = set()

    def network(self, name: str, dataset: str, mean: tuple, std: tuple) -> QuantNetwork:
        """All operators as nodes."""
        if unknown := sorted({n.op_type for n in self.graph.node} - set(SUPPORTED)):
            raise UserError(
                f"{self.path}: operators {', '.join(unknown)} are not supported; supported: {', '.join(SUPPORTED)}"
            )
        inputs = [i for i in self.graph.input if i.name not in self.values.constants]
        if len(inputs) != 1 or len(self.graph.output) != 1:
            raise UserError(f"{self.path}: only models with one input and one output are supported")
        channels = inputs[0].type.tensor_type.shape.dim[1].dim_value or len(mean)
        self.values.real[inputs[0].name] = _Pending("input", INPUT, (), {})
        for node in self.graph.node:
            self._node(node)
        result = self.values.real.get(self.graph.output[0].name)
        if isinstance(result, _Pending) and result.kind in ("Gemm", "MatMul"):
            self._emit(result, None, self.graph.output[0].name)
        elif result is None or self.input_codes is None:
            raise UserError(f"{self.path}: no quantised path from input to output; quantise the model in QDQ form")
        outputs, classes = self._outputs(), classes_of(dataset)
        if outputs - classes not in (0, 1):
            raise UserError(
                f"{self.path} has {outputs} outputs, {dataset} has {classes} classes; is it another data set?"
            )
        if not len(mean) == len(std) == channels:
            raise UserError(f"{self.path} takes {channels} channels; give as many values of mean and std")
        return QuantNetwork(
            name,
            dataset,
            mean,
            std,
            self.input_codes.scale,
            tuple(self.nodes),
            {"imported": {"file": self.path.name}},
            input_zero_point=self.input_codes.zero_point,
            first_class=outputs - classes,
        )

    def _outputs(self) -> int:
        macs = [n for n in self.nodes if isinstance(n, Conv | Linear)]
        if not macs:
            raise UserError(f"{self.path}: no convolution or linear layer is quantised")
        return len(macs[-1].bias)

    def _attributes(self, node: object) -> dict:
        return {a.name: self._onnx.helper.get_attribute_value(a) for a in node.attribute}

    def _node(self, node: object) -> None:
        kind, inputs, output = node.op_type, list(node.input), node.output[0]
        if kind == "Constant":
            self.values.constants[output] = self._onnx.numpy_helper.to_array(self._attributes(node)["value"])
        elif kind == "Identity":
            for known in (self.values.constants, self.values.codes, self.values.real):
                if inputs[0] in known:
                    known[output] = known[inputs[0]]
        elif kind == "QuantizeLinear":
            self._quantise(inputs, output)
        elif kind == "DequantizeLinear":
            self._dequantise(node, inputs, output)
        elif kind == "Softmax":
            self._real(inputs[0])
            self.values.real[output] = "Softmax"
        elif kind in CLAMPS:
            self._clamp(node, kind, inputs, output)
        else:
            operands = tuple(self._real(i) for i in inputs[: 3 if kind in ("Conv", "Gemm") else 2] if i)
            if kind in ("Reshape", "ReduceMean"):
                operands = operands[:1]
            if kind in ("Flatten", "Reshape") and isinstance(operands[0], _Pending) and operands[0].kind in POOLS:
                self.values.real[output] = replace(operands[0], attributes=operands[0].attributes | {"flat": True})
                return
            if any(isinstance(o, _Pending) for o in operands):
                raise UserError(f"{self.path}: an operand of {kind} '{node.name}' is not quantised")
            attributes = self._attributes(node) | {"inputs": inputs}
            self.values.real[output] = _Pending(kind, self._name(kind), operands, attributes)

    def _name(self, kind: str) -> str:
        stem = _SHORT.get(kind, kind.lower())
        name = next(f"{stem}{i}" for i in range(10**6) if f"{stem}{i}" not in self._used)
        self._used.add(name)
        return name

    def _real(self, name: str) -> _Codes | _Constant | _Pending:
        value = self.values.real.get(name)
        if isinstance(value, str):
            raise UserError(f"{self.path}: something follows {value}; it is supported at the very end only")
        if value is None:
            if name in self.values.constants:  # float constants: a bias that is not quantised, a shape
                return _Constant(self.values.constants[name], np.ones(1, np.float32))
            raise UserError(f"{self.path}: tensor '{name}' is not quantised; quantise the whole model in QDQ form")
        return value

    def _scale(self, inputs: list[str]) -> tuple[np.ndarray, int]:
        """Scale float32 [n] and zero point, as of int8; without one it is 0, of the type that is quantised."""
        constants = self.values.constants
        if inputs[1] not in constants or (len(inputs) > 2 and inputs[2] not in constants):
            raise UserError(f"{self.path}: scale or zero point of '{inputs[0]}' is no constant")
        scale = np.atleast_1d(constants[inputs[1]]).astype(np.float32)
        kind = constants[inputs[0]].dtype if inputs[0] in constants else np.uint8
        zeros = np.atleast_1d(constants[inputs[2]]) if len(inputs) > 2 and inputs[2] else np.zeros(1, kind)
        if zeros.dtype not in (np.int8, np.uint8, np.int32) or len(set(zeros.tolist())) != 1:
            raise UserError(f"{self.path}: '{inputs[0]}' has zero points {zeros.dtype}; int8 or uint8, all the same")
        if not np.isfinite(scale).all() or scale.min() <= 0:
            raise UserError(f"{self.path}: scale of '{inputs[0]}' is not a positive number")
        return scale, int(zeros[0]) - 128 * (zeros.dtype == np.uint8)

    def _quantise(self, inputs: list[str], output: str) -> None:
        scale, zero = self._scale(inputs)
        value = self._real(inputs[0])
        if isinstance(value, _Constant):
            raise UserError(f"{self.path}: constant '{inputs[0]}' is stored as float; store it quantised")
        if isinstance(value, _Pending):
            target = _Codes(value.name, float(scale[0]), zero)
            self.values.codes[output] = self._emit(value, target, output)
        elif (value.scale, value.zero_point) == (float(scale[0]), zero):
            self.values.codes[output] = value
        else:
            target = _Codes(self._name("rescale"), float(scale[0]), zero)
            self.values.codes[output] = self._rescale(value, target, output)

    def _dequantise(self, node: object, inputs: list[str], output: str) -> None:
        if inputs[0] in self.values.codes:
            scale, zero = self._scale(inputs)
            codes = self.values.codes[inputs[0]]
            if (codes.scale, codes.zero_point) != (float(scale[0]), zero):
                raise UserError(f"{self.path}: '{inputs[0]}' is read with another scale than it was made with")
            self.values.real[output] = codes
            return
        if inputs[0] not in self.values.constants:
            raise UserError(f"{self.path}: '{inputs[0]}' is read, but nothing before makes it")
        codes = self.values.constants[inputs[0]]
        scale, zero = self._scale(inputs)
        axis = self._attributes(node).get("axis", 1)
        if len(scale) > 1 and axis % codes.ndim:
            if codes.ndim != 2:
                raise UserError(f"{self.path}: '{inputs[0]}' has scales along axis {axis}; outputs are expected")
            scale = scale[None]  # of a MatMul's columns
        if codes.dtype == np.uint8:
            codes = (codes.astype(np.int16) - 128).astype(np.int8)
        if codes.dtype not in (np.int8, np.int32) or zero:
            raise UserError(f"{self.path}: constant '{inputs[0]}' is {codes.dtype}, zero point {zero}; int8 and 0")
        self.values.real[output] = _Constant(codes, scale)

    def _clamp(self, node: object, kind: str, inputs: list[str], output: str) -> None:
        value = self._real(inputs[0])
        bounds = (0.0, None)
        if kind == "Clip":
            attributes, constants = self._attributes(node), self.values.constants
            given = [constants.get(i) if i else None for i in [*inputs[1:3], "", ""][:2]]
            bounds = tuple(
                float(g) if g is not None else attributes.get(k) for g, k in zip(given, ("min", "max"), strict=True)
            )
        if isinstance(value, _Codes):
            value = _Pending("rescale", self._name(kind.lower()), (value,), {})
        if not isinstance(value, _Pending) or value.clamp != (None, None) or value.kind == "input":
            raise UserError(f"{self.path}: {kind} '{node.name}' does not follow a layer; that is not supported")
        self.values.real[output] = replace(value, clamp=bounds)

    # ---- nodes

    def _add_node(self, node: Node, tensor: str) -> None:
        self.nodes.append(node)
        self.made[node.name] = tensor

    def _range(self, clamp: tuple, target: _Codes) -> tuple[int, int]:
        lo, hi = (
            limit if v is None else int(np.clip(np.rint(v / target.scale) + target.zero_point, INT8_MIN, INT8_MAX))
            for v, limit in zip(clamp, (INT8_MIN, INT8_MAX), strict=True)
        )
        return lo, hi

    def _requant(self, factors: np.ndarray, clamp: tuple, target: _Codes) -> Requant:
        factors = np.atleast_1d(factors)
        multipliers = float32_multipliers(factors) if self.rounding == "float" else quantise_multipliers(factors)
        return Requant(*multipliers, *self._range(clamp, target), target.zero_point, self.rounding)

    def _emit(self, value: _Pending, target: _Codes | None, tensor: str) -> _Codes | None:
        """The node of `value` with the result's scale; without `target` a last layer whose sums are the result."""
        if value.kind == "input":
            self.input_codes = _Codes(INPUT, target.scale, target.zero_point)
            self.made[INPUT] = tensor
            return self.input_codes
        if not all(isinstance(o, _Codes) for o in value.operands[:1]):
            raise UserError(f"{self.path}: the first operand of {value.kind} is a constant; that is not supported")
        if value.kind in ("Conv", "Gemm", "MatMul"):
            self._layer(value, target, tensor)
        elif value.kind in MOVES:
            return self._move(value, target, tensor)
        elif value.kind == "rescale":
            return self._rescale(value.operands[0], target, tensor, value.clamp)
        else:
            getattr(self, f"_{value.kind.lower()}")(value, target, tensor)
        return target

    def _layer(self, value: _Pending, target: _Codes | None, tensor: str) -> None:
        x, weights = value.operands[:2]
        if not isinstance(weights, _Constant) or weights.codes.dtype != np.int8:
            raise UserError(f"{self.path}: weights of {value.name} are no int8 constants")
        codes, scale = weights.codes, weights.scale
        attributes = value.attributes
        if value.kind != "Conv":
            if value.kind == "MatMul" or not attributes.get("transB", 0):
                codes = codes.T
            if attributes.get("transA", 0) or {attributes.get("alpha", 1.0), attributes.get("beta", 1.0)} != {1.0}:
                raise UserError(f"{self.path}: {value.name} has alpha, beta or transA; that is not supported")
        codes, scale = np.ascontiguousarray(codes), scale.ravel()
        bias = self._bias(value, codes, x, scale)
        wide = np.broadcast_to(scale.astype(np.float64), len(codes)).copy()
        if target is None:
            if len(set(wide.tolist())) > 1 or value.kind == "Conv":
                raise UserError(f"{self.path}: scores of {value.name} are not quantised, and weights have many scales")
            real = float(x.scale * wide[0])
            self._add_node(Linear(value.name, x.node, codes, bias, None, wide, real, x.zero_point), tensor)
            return
        factors = np.float32(x.scale) * scale / np.float32(target.scale)
        requant = self._requant(factors, value.clamp, target)
        if value.kind != "Conv":
            node = Linear(value.name, x.node, codes, bias, requant, wide, target.scale, x.zero_point)
        else:
            top, left, bottom, right = self._pads(attributes, value.name)
            stride = tuple(attributes.get("strides", (1, 1)))
            node = Conv(
                value.name,
                x.node,
                codes,
                bias,
                requant,
                wide,
                target.scale,
                stride,
                (top, bottom, left, right),
                attributes.get("group", 1),
                x.zero_point,
            )
        self._add_node(node, tensor)

    def _pads(self, attributes: dict, name: str) -> tuple[int, int, int, int]:
        if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            raise UserError(f"{self.path}: {name} has auto_pad; write its pads")
        if set(attributes.get("dilations", [1])) != {1}:
            raise UserError(f"{self.path}: {name} is dilated; only dilation 1 is supported")
        return tuple(attributes.get("pads", (0, 0, 0, 0)))

    def _bias(self, value: _Pending, codes: np.ndarray, x: _Codes, scale: np.ndarray) -> np.ndarray:
        """int32 [O] with the share of the input's zero point; of another scale than the sums' it is rounded."""
        total = -x.zero_point * codes.reshape(len(codes), -1).sum(axis=1, dtype=np.int64)
        if len(value.operands) > 2:
            bias = value.operands[2]
            if not isinstance(bias, _Constant):
                raise UserError(f"{self.path}: bias of {value.name} is no constant")
            unit = np.float32(x.scale) * scale
            if bias.codes.dtype == np.int32 and np.allclose(bias.scale.ravel(), unit, rtol=1e-6, atol=0):
                total = total + bias.codes
            else:
                real = bias.codes.astype(np.float64) * bias.scale.ravel()
                total = total + np.rint(real / unit.astype(np.float64)).astype(np.int64)
        if np.abs(total).max() >= 1 << 30:
            raise UserError(f"{self.path}: bias of {value.name} does not fit")
        return total.astype(np.int32)

    def _two(self, value: _Pending) -> tuple[_Codes, _Codes]:
        if not all(isinstance(o, _Codes) for o in value.operands):
            raise UserError(f"{self.path}: {value.kind} with a constant is not supported")
        return value.operands

    def _add(self, value: _Pending, target: _Codes, tensor: str) -> None:
        a, b = self._two(value)
        m1, m2, shift = quantise_multiplier_pair(a.scale / target.scale, b.scale / target.scale)
        zeros = (a.zero_point, b.zero_point)
        lo, hi = self._range(value.clamp, target)
        node = Add(value.name, (a.node, b.node), (m1, m2), shift, target.scale, lo, hi, target.zero_point, zeros)
        self._add_node(node, tensor)

    def _mul(self, value: _Pending, target: _Codes, tensor: str) -> None:
        a, b = self._two(value)
        if any(isinstance(n, GlobalAveragePool | Lookup) and n.name == a.node for n in self.nodes):
            a, b = b, a
        factor = np.float32(a.scale) * np.float32(b.scale) / np.float32(target.scale)
        requant = self._requant(factor, value.clamp, target)
        zeros = (a.zero_point, b.zero_point)
        self._add_node(Multiply(value.name, (a.node, b.node), requant, target.scale, zeros), tensor)

    def _globalaveragepool(self, value: _Pending, target: _Codes, tensor: str) -> None:
        self._pool(value, target, tensor, keep=True)

    def _reducemean(self, value: _Pending, target: _Codes, tensor: str) -> None:
        inputs = value.attributes["inputs"]
        axes = value.attributes.get("axes") or self.values.constants.get(inputs[1] if len(inputs) > 1 else "", ())
        if sorted(int(a) % 4 for a in axes) != [2, 3]:
            raise UserError(f"{self.path}: {value.name} is no mean over height and width; that is not supported")
        self._pool(value, target, tensor, keep=bool(value.attributes.get("keepdims", 1)))

    def _pool(self, value: _Pending, target: _Codes, tensor: str, keep: bool) -> None:
        x = value.operands[0]
        factor = x.scale / target.scale / self._pixels(x.node)
        requant = self._requant(np.float32(factor), value.clamp, target)
        keep = keep and not value.attributes.get("flat", False)
        node = GlobalAveragePool(value.name, x.node, requant, target.scale, x.zero_point, keep, self._pixels(x.node))
        self._add_node(node, tensor)

    def _pixels(self, node: str) -> int:
        """Height times width of a node's result, from the shapes of the file."""
        if not hasattr(self, "_shapes"):
            try:
                inferred = self._onnx.shape_inference.infer_shapes(self.model).graph
            except Exception as error:
                raise UserError(f"{self.path}: shapes cannot be inferred ({str(error).splitlines()[0]})") from error
            found = [*inferred.value_info, *inferred.input, *inferred.output]
            self._shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in found}
        shape = self._shapes.get(self.made[node], [])
        if len(shape) != 4 or not shape[2] * shape[3]:
            raise UserError(f"{self.path}: '{self.made[node]}' has no fixed height and width; export it with a size")
        return shape[2] * shape[3]

    def _move(self, value: _Pending, target: _Codes, tensor: str) -> _Codes:
        x, name, attributes = value.operands[0], value.name, value.attributes
        if value.kind == "MaxPool":
            top, left, bottom, right = self._pads(attributes, name)
            if attributes.get("ceil_mode", 0):
                raise UserError(f"{self.path}: {name} has ceil_mode; that is not supported")
            kernel, stride = tuple(attributes["kernel_shape"]), tuple(attributes.get("strides", (1, 1)))
            node = Pool(name, x.node, "max", kernel, stride, (top, bottom, left, right), x.scale)
        else:
            shape = self.values.constants.get(attributes["inputs"][1]) if value.kind == "Reshape" else None
            if value.kind == "Reshape" and (shape is None or len(shape) != 2 or (shape[1] < 1 and shape[1] != -1)):
                raise UserError(f"{self.path}: {name} is no flattening; that is not supported")
            if attributes.get("axis", 1) != 1:
                raise UserError(f"{self.path}: {name} flattens from axis {attributes['axis']}; 1 is expected")
            node = Flatten(name, x.node, x.scale)
        same = (x.scale, x.zero_point) == (target.scale, target.zero_point) and value.clamp == (None, None)
        self._add_node(node, tensor)
        moved = _Codes(name, x.scale, x.zero_point)
        if same:
            return moved
        target = _Codes(self._name("rescale"), target.scale, target.zero_point)
        return self._rescale(moved, target, tensor, value.clamp)

    def _rescale(self, x: _Codes, target: _Codes, tensor: str, clamp: tuple = (None, None)) -> _Codes:
        codes = np.arange(INT8_MIN, INT8_MAX + 1) - x.zero_point
        real = codes.astype(np.float32) * np.float32(x.scale) / np.float32(target.scale)
        lo, hi = self._range(clamp, target)
        table = np.clip(np.rint(real) + target.zero_point, lo, hi).astype(np.int8)
        self._add_node(Lookup(target.node, x.node, table, target.scale), tensor)
        return target
