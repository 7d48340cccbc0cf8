"""QONNX models (brevitas exports them): Quant nodes become QuantizeLinear and DequantizeLinear.

A Quant node rounds x to scale * (clamp(round(x / scale + zero), lo, hi) - zero), with lo and hi of its bit width.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from common.errors import UserError

OPSET = 13  # the first with a scale for each channel


def to_qdq(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """`model` without Quant nodes; UserError for one that QDQ form cannot express."""
    graph = model.graph
    stored = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            stored[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    nodes: list[onnx.NodeProto] = []
    made: dict[str, np.ndarray] = {}
    for node in graph.node:
        if node.op_type != "Quant":
            if node.op_type in ("BipolarQuant", "Trunc"):
                raise UserError(f"{path}: node '{node.name}' is {node.op_type}; only Quant has a form in int8")
            nodes.append(node)
            continue
        quant = _Quant(node, stored, path)
        if quant.bits > 8:  # a bias: its value, rounded
            if node.input[0] not in stored:
                raise UserError(
                    f"{path}: Quant '{node.name}' has {quant.bits} bits; activations of 8 or fewer are read"
                )
            made[node.output[0]] = stored[node.output[0]] = quant.rounded(stored[node.input[0]])
            continue
        nodes += quant.nodes(made)
    opset = next((o for o in model.opset_import if o.domain in ("", "ai.onnx")), None)
    if opset is None or opset.version < OPSET:
        found = opset.version if opset else "none"
        raise UserError(f"{path} has opset {found}; export it with opset {OPSET} or newer")
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in made.items())
    kept = [o for o in model.opset_import if "qonnx" not in o.domain and "brevitas" not in o.domain]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


class _Quant:
    """One Quant node."""

    def __init__(self, node: onnx.NodeProto, stored: dict[str, np.ndarray], path: Path) -> None:
        missing = [i for i in node.input[1:4] if i not in stored]
        if missing or len(node.input) < 4:
            raise UserError(f"{path}: scale, zero point or bits of Quant '{node.name}' are no constants")
        self.node = node
        self.scale, zero, bits = (stored[i] for i in node.input[1:4])
        if bits.size != 1 or not 1 <= float(bits.ravel()[0]) <= 32 or float(bits.ravel()[0]) % 1:
            raise UserError(f"{path}: Quant '{node.name}' has {bits.ravel()[:4]} bits; one whole number is expected")
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        mode = attributes.get("rounding_mode", b"ROUND")
        if mode.upper() not in (b"ROUND", b"HALF_EVEN"):
            raise UserError(f"{path}: Quant '{node.name}' rounds by {mode.decode()}; only ROUND has a form in int8")
        self.signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
        self.bits = int(bits.ravel()[0])
        self.lo = (-(1 << self.bits - 1) + narrow) if self.signed else 0
        self.hi = (1 << self.bits - 1) - 1 if self.signed else (1 << self.bits) - 1 - narrow
        self.zero = np.broadcast_to(zero, self.scale.shape)
        if (self.zero % 1).any() or self.zero.min() < self.lo or self.zero.max() > self.hi:
            raise UserError(f"{path}: Quant '{node.name}' has zero points outside its codes {self.lo}..{self.hi}")

    def rounded(self, x: np.ndarray) -> np.ndarray:
        """What the node makes of a constant."""
        codes = np.clip(np.rint(x / self.scale + self.zero), self.lo, self.hi)
        return ((codes - self.zero) * self.scale).astype(np.float32)

    def nodes(self, made: dict[str, np.ndarray]) -> list[onnx.NodeProto]:
        """The same in QDQ form; new constants go to `made`."""
        name, source, result = self.node.output[0], self.node.input[0], self.node.output[0]
        axes = [k for k, n in enumerate(self.scale.shape) if n > 1]
        vector = bool(axes)
        kind = np.int8 if self.signed else np.uint8
        made[f"{name}/scale"] = self.scale.astype(np.float32).reshape([-1] if vector else [])
        made[f"{name}/zero"] = self.zero.astype(kind).reshape([-1] if vector else [])
        found = []
        if (self.lo, self.hi) not in ((-128, 127), (0, 255)):
            for bound, code in (("lo", self.lo), ("hi", self.hi)):
                made[f"{name}/{bound}"] = ((code - self.zero) * self.scale).astype(np.float32)
            found.append(helper.make_node("Max", [source, f"{name}/lo"], [f"{name}/above"]))
            found.append(helper.make_node("Min", [f"{name}/above", f"{name}/hi"], [f"{name}/within"]))
            source = f"{name}/within"
        axis = {"axis": axes[0]} if vector else {}
        parts = [f"{name}/scale", f"{name}/zero"]
        found.append(helper.make_node("QuantizeLinear", [source, *parts], [f"{name}/codes"], self.node.name, **axis))
        found.append(helper.make_node("DequantizeLinear", [f"{name}/codes", *parts], [result], **axis))
        return found
