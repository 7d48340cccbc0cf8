"""ONNX models with quantised operands to integer networks.

ONNX Runtime itself fuses the graph, as it does before it runs it. Convolutions and matrix products of 8-bit codes
with constant 8-bit weights become layers of ours (models/importers/onnx_layers.py); what lies between two of them is
cut out as a piece of ONNX and executed by the runtime (models/quant/runtime.py). So no operator is missing, and
results are the runtime's, bit for bit. uint8 codes are shifted by 128, which changes no value.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import UserError
from models.datasets import classes_of
from models.emulate import ExactEngine
from models.importers import fitting
from models.importers.onnx_layers import KEEPS_CODES, PRODUCTS, Lowering, Step
from models.quant.arith import ROUNDINGS
from models.quant.checkpoint import validate
from models.quant.graph import INPUT, Conv, Linear, Node, QuantNetwork
from models.quant.runtime import Runtime, first_line, session, shifted

LARGEST = 2**31 - 1  # bytes of a model: the limit of its format
LARGEST_IMAGE = 1 << 27  # numbers
PIXELS = "encmac/pixels"
IMAGES = 2  # that are run while a model is read
CHEAP = ("DequantizeLinear", "Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Constant")
# a number of their result has one rounding, wherever it lies: whole batches give what images give one by one. Sums in
# floating point, vectorised functions and scales of a whole tensor depend on the number of images.
BATCHED = {*CHEAP, *KEEPS_CODES, "QuantizeLinear", "Add", "Sub", "Mul", "Div", "Min", "Max", "Clip", "Abs", "Neg"}
BATCHED |= {"Sign", "Sqrt", "Ceil", "Floor", "Round", "Concat", "Pad", "Where", "Shape"}
CHANNELS_LAST = (0, 2, 3, 1)
SIZES = {"cifar10": (3, 32, 32), "cifar100": (3, 32, 32), "imagenet": (3, 224, 224)}
_STEMS = {"GlobalAveragePool": "pool", "AveragePool": "pool", "MaxPool": "max_pool", "ReduceMean": "mean"}


def read_onnx(
    path: str | Path,
    name: str,
    dataset: str = "",
    rounding: str = "float",
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    size: tuple[int, ...] | None = None,
) -> tuple[QuantNetwork, dict[str, str]]:
    """The network in `path`, and the name of the quantised tensor of the file that each node makes.

    Images scaled to 0..1 are normalised by `mean` and `std` (default 0 and 1), as for the network's training. `size`
    is that of one image, for dimensions that the file leaves open. `rounding` is one of models.quant.arith.ROUNDINGS.
    Raises UserError, which names what is wrong, where, and what to do.
    """
    if rounding not in ROUNDINGS:
        raise UserError(f"unknown rounding '{rounding}'; known: {', '.join(ROUNDINGS)}")
    with fitting(path):
        reader = _Reader(Path(path), rounding)
        network = reader.network(name, dataset, mean, std, size)
        validate(network)
    return network, reader.made


@dataclass
class _Known:
    """A tensor that a node of the network makes: the node's name, and what it gives for IMAGES random images.

    `rows` is the leading size for one image, 0 for scalars; `unsigned` whether it is uint8 in ONNX.
    """

    node: str
    value: np.ndarray
    rows: int
    unsigned: bool


def channels_last(shape: tuple[int, ...]) -> bool:
    """Whether an input is [n, H, W, C], as models of TensorFlow have it."""
    return len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)


def captured(node: Any) -> set[str]:
    """Tensors that bodies of a node (If, Loop) read."""
    found: set[str] = set()
    for a in node.attribute:
        for body in [a.g] if a.HasField("g") else a.graphs:
            for inner in body.node:
                found |= set(inner.input) | captured(inner)
    return found


class _Reader:
    """One file."""

    def __init__(self, path: Path, rounding: str) -> None:
        try:
            import onnx
        except ImportError as error:
            raise UserError("ONNX models need the package 'onnx'; run 'make setup'") from error
        self.path, self.rounding, self._onnx = path, rounding, onnx
        self.model = self._load()
        self.nodes: list[Node] = []
        self.made: dict[str, str] = {}

    # ---- the file

    def _load(self) -> Any:
        onnx, path = self._onnx, self.path
        try:
            if path.stat().st_size > LARGEST:
                raise UserError(f"{path} is larger than 2 GB, more than ONNX allows in one file; use external data")
            model = onnx.load(str(path), load_external_data=False)
        except OSError as error:
            raise UserError(f"cannot read {path} ({(error.strerror or str(error)).lower()})") from error
        except UserError:
            raise
        except Exception as error:  # protobuf's own exceptions differ between its versions
            raise UserError(f"{path} is damaged or no ONNX model ({first_line(error)}); export it again") from error
        if not model.graph.node:
            raise UserError(f"{path} is damaged or no ONNX model (it has no nodes); export it again")
        told = [e.value for i in model.graph.initializer for e in i.external_data if e.key == "length"]
        if (total := path.stat().st_size + sum(int(n) for n in told if n.isdecimal())) > LARGEST:
            raise UserError(f"{path} has {total / 2**30:.1f} GB with its external data; at most 2 GB are read")
        try:
            onnx.external_data_helper.load_external_data_for_model(model, str(path.parent))
        except Exception as error:  # of onnx, of the file system
            raise UserError(f"{path}: its external data cannot be read ({first_line(error)}); copy them too") from error
        self._known_opsets(model)
        self._tidy(model)
        self.qonnx = any(n.op_type in ("Quant", "BipolarQuant", "Trunc") for n in model.graph.node)
        if self.qonnx:
            from models.importers.qonnx import to_qdq

            model = to_qdq(model, path)
        bare = [o.type.tensor_type for o in model.graph.output if not o.type.tensor_type.HasField("shape")]
        for kind in bare:  # the runtime needs no shape there, the checker does
            kind.shape.SetInParent()
        try:
            onnx.checker.check_model(model)
        except Exception as error:
            raise UserError(f"{path} is damaged or no ONNX model ({first_line(error)}); export it again") from error
        for kind in bare:
            kind.ClearField("shape")
        self._finite_scales(model)
        return model

    def _finite_scales(self, model: Any) -> None:
        """UserError for a scale that no codes can have."""
        stored = {i.name: i for i in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or node.input[1] not in stored:
                continue
            scales = self._onnx.numpy_helper.to_array(stored[node.input[1]]).astype(np.float32).ravel()
            fit = np.isfinite(scales) & ((scales != 0) | (node.op_type == "DequantizeLinear"))
            if not fit.all():
                raise UserError(
                    f"{self.path}: {node.op_type} '{node.name or node.output[0]}' has a scale of "
                    f"{scales[~fit][0]} in '{node.input[1]}'; quantise the model again, on images of a usual range"
                )

    def _tidy(self, model: Any) -> None:
        """Nodes in an order in which they can be computed, constants no inputs; UserError for a cycle."""
        graph = model.graph
        stored = {i.name for i in graph.initializer} | {i.values.name for i in graph.sparse_initializer}
        inputs = [i for i in graph.input if i.name not in stored]
        del graph.input[:]
        graph.input.extend(inputs)
        model.ir_version = max(model.ir_version, 4)  # before, every constant was an input
        for value in inputs:
            if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
                raise UserError(f"{self.path}: its input '{value.name}' has no shape; export it with one")
        made = {o for n in graph.node for o in n.output}
        ready, waiting, ordered = stored | {i.name for i in inputs}, list(graph.node), []
        while waiting:
            late = []
            for node in waiting:
                needed = {*node.input, *captured(node)}
                if all(i in ready or i not in made for i in needed):
                    ready.update(node.output)
                    ordered.append(node)
                else:
                    late.append(node)
            if len(late) == len(waiting):
                node = late[0]
                tensor = next(i for i in node.input if i in made and i not in ready)
                raise UserError(
                    f"{self.path} has a cycle: {node.op_type} '{node.name or node.output[0]}' needs '{tensor}', "
                    "which is made from its own result; export it again"
                )
            waiting = late
        for node in ordered:
            for tensor in node.input:
                if tensor and tensor not in ready:
                    raise UserError(
                        f"{self.path}: {node.op_type} '{node.name or node.output[0]}' reads '{tensor}', which nothing "
                        "makes; export it again"
                    )
        if ordered != list(graph.node):
            del graph.node[:]
            graph.node.extend(ordered)

    def _known_opsets(self, model: Any) -> None:
        if model.ir_version > self._onnx.IR_VERSION:
            raise UserError(
                f"{self.path} has IR version {model.ir_version}, newer than the {self._onnx.IR_VERSION} known here; "
                "export it with an older onnx"
            )
        newest = self._onnx.defs.onnx_opset_version()
        for entry in model.opset_import:
            if entry.domain in ("", "ai.onnx") and entry.version > newest:
                raise UserError(
                    f"{self.path} needs operators of ONNX opset {entry.version}, newer than the {newest} known here; "
                    f"export it with opset {newest} or older"
                )

    def _fused(self, model: Any, int8: bool) -> Any:
        """The graph as the runtime fuses it; nothing is computed."""
        with tempfile.TemporaryDirectory() as place:
            target = f"{place}/fused.onnx"
            session(model.SerializeToString(), str(self.path), save=target, int8=int8, real_bias=self.qonnx)
            return self._onnx.load(target)

    # ---- the network

    def network(
        self, name: str, dataset: str, mean: tuple | None, std: tuple | None, size: tuple | None
    ) -> QuantNetwork:
        """All layers, and pieces of ONNX between them."""
        classes = classes_of(dataset) if dataset else None
        stored = {i.name for i in self.model.graph.initializer}
        inputs = [i for i in self.model.graph.input if i.name not in stored]
        if len(inputs) != 1 or len(self.model.graph.output) != 1:
            given = [v.name for v in inputs], [v.name for v in self.model.graph.output]
            raise UserError(
                f"{self.path} has {len(given[0])} inputs and {len(given[1])} outputs; only models with one input and "
                f"one output are supported; cut one out of {given[0]} and {given[1]}: onnx.utils.extract_model"
            )
        shape = self._shape(inputs[0], size, dataset)
        self.last = channels_last(shape)
        if self.last:  # images come with their channels first
            shape = (shape[0], shape[3], *shape[1:3])
        channels = shape[1] if len(shape) > 2 else 1
        mean, std = (tuple(v) if v is not None else (d,) * channels for v, d in ((mean, 0.0), (std, 1.0)))
        if not len(mean) == len(std) == channels:
            raise UserError(f"{self.path} takes {channels} channels; give as many values of mean and std")
        self._fuse(inputs[0], shape, mean, std)
        about = self._start(inputs[0], shape, mean, std)
        self._cut()
        result = self.known[self.result].value
        outputs = result.shape[-1] if result.ndim else 1
        if classes is not None and outputs - classes not in (0, 1):
            raise UserError(
                f"{self.path} has {outputs} outputs, {dataset} has {classes} classes; is it another data set?"
            )
        imported = {"file": self.path.name, "shape": list(shape[1:]), "runtime": self.lowering.left}
        return QuantNetwork(
            name,
            dataset,
            nodes=tuple(self.nodes),
            provenance={"imported": imported | {"differs": self.differs}},
            first_class=outputs - classes if classes is not None else 0,
            **about,
        )

    def _shape(self, value: Any, size: tuple | None, dataset: str) -> tuple[int, ...]:
        """[1, ...]: of one image."""
        found = value.type.tensor_type
        if found.elem_type not in (1, 2, 3):
            kind = self._onnx.TensorProto.DataType.Name(found.elem_type)
            raise UserError(f"{self.path}: its input '{value.name}' is {kind}; images or features are expected")
        dims = [d.dim_value for d in found.shape.dim]
        if len(dims) < 2:
            raise UserError(f"{self.path}: its input '{value.name}' has {len(dims)} axes; [batch, ...] is expected")
        given = size or (SIZES.get(dataset) if len(dims) == 4 else None)
        if size is None and given is not None and channels_last(tuple(dims)):
            given = (*given[1:], given[0])
        if given is not None and len(given) == len(dims) - 2:
            given = (*given, dims[3]) if channels_last(tuple(dims)) else (dims[1], *given)
        for k, n in enumerate(dims[1:]):
            if n <= 0 and (given is None or len(given) != len(dims) - 1):
                free = " x ".join(d.dim_param or str(d.dim_value or "?") for d in found.shape.dim)
                raise UserError(
                    f"{self.path}: its input '{value.name}' is {free}; give the size of one image, e.g. SIZE=3x32x32"
                )
            if n > 0 and size is not None and given[k] != n:
                raise UserError(f"{self.path}: its input '{value.name}' has {n} at axis {k + 1}, SIZE= says {given[k]}")
        if dims[0] > 1:
            raise UserError(f"{self.path}: its input '{value.name}' is {dims[0]} images; export it with a batch of 1")
        shape = (1, *(n if n > 0 else given[k] for k, n in enumerate(dims[1:])))
        if math.prod(shape) > LARGEST_IMAGE:
            one = " x ".join(map(str, shape))
            raise UserError(
                f"{self.path}: its input '{value.name}' is {one}; at most {LARGEST_IMAGE:,} numbers are read"
            )
        return shape

    def _fuse(self, value: Any, shape: tuple, mean: tuple, std: tuple) -> None:
        """The fused graph, its constants, and every tensor for one random image."""
        onnx = self._onnx
        fused = self._fused(self.model, int8=False)
        plain = self._fused(self.model, int8=True)
        names = {o for n in self.model.graph.node for o in n.output} | {value.name}
        self.file_names: dict[str, str] = {t: t for t in names}
        ours, theirs = fused.graph.node, plain.graph.node
        if [n.op_type for n in ours] == [n.op_type for n in theirs]:
            same = [(n.output, p.output) for n, p in zip(ours, theirs, strict=True)]
        else:
            named = {n.name: n.output for n in theirs if n.name}
            same = [(n.output, named.get(n.name, ())) for n in ours]
        for outputs, others in same:
            pairs = zip(outputs, others, strict=False)
            self.file_names |= {s: t for s, t in pairs if t in names and s not in names}
        self.fused = fused
        self.opsets = [onnx.helper.make_opsetid(o.domain, o.version) for o in fused.opset_import]
        self.constants = {i.name: onnx.numpy_helper.to_array(i) for i in fused.graph.initializer}
        for node in list(fused.graph.node):
            if node.op_type == "Constant":
                value_of = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
                array = value_of.get("value")
                array = (
                    onnx.numpy_helper.to_array(array) if array is not None else np.array(next(iter(value_of.values())))
                )
                self.constants[node.output[0]] = array
                fused.graph.node.remove(node)
                fused.graph.initializer.append(onnx.numpy_helper.from_array(array, node.output[0]))
        probe = onnx.ModelProto()
        probe.CopyFrom(fused)
        del probe.graph.value_info[:], probe.graph.output[:]
        made = [o for n in probe.graph.node for o in n.output if o]
        probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(o) for o in made)
        self.pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, *shape[1:])).astype(np.uint8)
        self.pixels[1:] //= 2  # what depends on the range of a whole batch must show
        feed = self._feed(value, self.pixels, mean, std)
        run = session(probe.SerializeToString(), str(self.path), optimise=False)
        self.values = dict(zip(made, self._run(run, value.name, feed[:1], made), strict=True))
        self.values[value.name] = feed[:1]

    def _run(self, run: Any, name: str, feed: np.ndarray, made: list[str]) -> list[np.ndarray]:
        try:
            return run.run(made, {name: feed})
        except Exception as error:
            raise UserError(f"{self.path}: ONNX Runtime cannot run it on {feed.shape} ({first_line(error)})") from error

    def _feed(self, value: Any, image: np.ndarray, mean: tuple, std: tuple) -> np.ndarray:
        """Images as the file takes them."""
        kind = value.type.tensor_type.elem_type
        if kind in (2, 3):
            fed = image if kind == 2 else shifted(image)
        else:
            shape = (1, -1) + (1,) * (image.ndim - 2) if image.ndim > 2 else (1,)
            m, s = (np.array(v, np.float32).reshape(shape) for v in (mean, std))
            fed = ((image.astype(np.float32) / np.float32(255) - m) / s).astype(np.float32)
        return fed.transpose(CHANNELS_LAST) if self.last and image.ndim == 4 else fed

    def _start(self, value: Any, shape: tuple, mean: tuple, std: tuple) -> dict:
        """Where the network's input enters, and how images become its codes."""
        readers: dict[str, list] = {}
        for node in self.fused.graph.node:
            for i in node.input:
                readers.setdefault(i, []).append(node)
        for output in self.fused.graph.output:  # somebody outside reads it
            readers.setdefault(output.name, []).append(self._onnx.NodeProto())
        self.lowering = Lowering(self._onnx.helper, self.constants, self.values, self._evaluate, self.rounding, readers)
        self.known: dict[str, _Known] = {}
        same = {"mean": (0.0,), "std": (1.0,), "input_scale": 1 / 255, "input_zero_point": -128}
        codes = shifted(self.pixels)
        integer, unsigned = value.type.tensor_type.elem_type in (2, 3), value.type.tensor_type.elem_type == 2
        if integer and self.last:
            self.known[PIXELS] = _Known(INPUT, codes, 1, unsigned)
            self.lowering.emit("Transpose", [PIXELS], value.name, perm=CHANNELS_LAST)
            return same
        if integer:
            self.known[value.name] = _Known(INPUT, codes, 1, unsigned)
            self.made[INPUT] = value.name
            return same
        quantised = [] if self.last else [self._input_codes(node) for node in readers.get(value.name, [])]
        if quantised and quantised[0] is not None and len(set(quantised)) == 1:
            scale, zero, unsigned = quantised[0]
            about = {"mean": mean, "std": std, "input_scale": scale, "input_zero_point": zero - 128 * unsigned}
        if quantised and quantised[0] is not None and len(set(quantised)) == 1 and self._same_codes(value, about):
            codes = QuantNetwork("", "", nodes=(), **about).quantise_input(self.pixels)
            for node in readers[value.name]:
                self.known[node.output[0]] = _Known(INPUT, codes, 1, unsigned)
                if node.output[0] in self.file_names:
                    self.made[INPUT] = self.file_names[node.output[0]]
            return about
        # floating point goes on: pixels are normalised inside
        low, axes = self.lowering, [1, -1] + [1] * (len(shape) - 2) if len(shape) > 2 else [1]
        self.known[PIXELS] = _Known(INPUT, codes, 1, True)
        real = low.emit("Div", [low.emit("Cast", [PIXELS], to=1), low.constant(np.float32(255))])
        real = low.emit("Sub", [real, low.constant(np.array(mean, np.float32).reshape(axes))])
        std_name = low.constant(np.array(std, np.float32).reshape(axes))
        real = low.emit("Div", [real, std_name], "" if self.last else value.name)
        if self.last:
            low.emit("Transpose", [real], value.name, perm=CHANNELS_LAST)
        return same

    def _same_codes(self, value: Any, about: dict) -> bool:
        """Whether our table of pixels gives what the runtime's float32 gives, also where a pixel lies on a tie."""
        channels = len(about["mean"])
        pixels = np.tile(np.arange(256, dtype=np.uint8), (1, channels, 1))
        real = self._feed(value, pixels, about["mean"], about["std"])
        codes = np.rint(real / np.float32(about["input_scale"])) + np.float32(about["input_zero_point"])
        ours = QuantNetwork("", "", nodes=(), **about).quantise_input(pixels)
        return np.array_equal(np.clip(codes, -128, 127).astype(np.int8), ours)

    def _input_codes(self, node: Any) -> tuple[float, int, bool] | None:
        """Scale, zero point and type of a QuantizeLinear with one constant scale."""
        if node.op_type != "QuantizeLinear" or any(i not in self.constants for i in node.input[1:] if i):
            return None
        scale = self.constants[node.input[1]]
        kind = self.values[node.output[0]].dtype
        if scale.size != 1 or kind not in (np.int8, np.uint8):
            return None
        zero = self.constants[node.input[2]] if len(node.input) > 2 and node.input[2] else np.zeros(1)
        return float(scale.ravel()[0]), int(zero.ravel()[0]), kind == np.uint8

    # ---- cutting

    def _cut(self) -> None:
        """Layers, and between them the nodes of ONNX that their operands and the result need."""
        low = self.lowering
        for node in self.fused.graph.node:
            if not self.known.keys() >= set(node.output):
                low.add(node)
        self.producer = {o: k for k, step in enumerate(low.steps) for o in step.outputs if o}
        if not any(isinstance(s.node, Conv | Linear) for s in low.steps):
            raise UserError(self._nothing())
        self.result = self._result()
        targets = [s.inputs[0] for s in low.steps if isinstance(s.node, Conv | Linear)] + [self.result]
        wanted, users = self._wanted(targets)
        self.differs: list[str] = []
        for step in low.steps:
            if isinstance(step.node, Conv | Linear):
                if wanted.get(step.outputs[0]):
                    self._layer(step)
                continue
            for tensor in step.outputs:
                shared = users.get(tensor, 0) > 1 and len(wanted.get(tensor, ())) > 1
                if tensor in targets or (shared and step.node.op_type not in CHEAP):
                    self._need(tensor)
        self._need(self.result)
        if self.nodes[-1].name != self.known[self.result].node:
            self._last()

    def _result(self) -> str:
        """The tensor that the network gives: the model's output, or the codes that it dequantises at the end."""
        output = self.model.graph.output[0].name
        step = self.lowering.steps[self.producer[output]] if output in self.producer else None
        if step is None:
            raise UserError(f"{self.path}: no operator makes its output '{output}'")
        if getattr(step.node, "op_type", "") == "DequantizeLinear" and step.inputs[0] in self.producer:
            scale = self.constants.get(step.inputs[1])
            codes = self.values.get(step.inputs[0])
            if scale is not None and scale.size == 1 and codes is not None and codes.dtype in (np.int8, np.uint8):
                return step.inputs[0]
        return output

    def _wanted(self, targets: list[str]) -> tuple[dict[str, set[int]], dict[str, int]]:
        """For each tensor the targets whose pieces it is in, and how many steps read it."""
        low = self.lowering
        wanted: dict[str, set[int]] = {}
        users: dict[str, int] = {}
        for k, target in enumerate(targets):
            wanted.setdefault(target, set()).add(k)
        for step in reversed(low.steps):
            if isinstance(step.node, Conv | Linear):
                continue
            goal = set().union(*(wanted.get(o, set()) for o in step.outputs))
            for i in {*step.inputs, *captured(step.node)}:
                if goal:
                    wanted.setdefault(i, set()).update(goal)
                    users[i] = users.get(i, 0) + 1
        return wanted, users

    def _layer(self, step: Step) -> None:
        self._need(step.inputs[0])
        source = self.known[step.inputs[0]]
        node = replace(step.node, source=source.node)
        unsigned = self.lowering.kinds[step.outputs[0]] == np.uint8
        self._add(node, step.outputs[0], node(source.value, ExactEngine()), source.rows, unsigned)

    def _add(self, node: Node, tensor: str, value: np.ndarray, rows: int, unsigned: bool) -> None:
        self.nodes.append(node)
        self.known[tensor] = _Known(node.name, value, rows, unsigned)
        name = next((o for o in self._same(tensor) if o in self.file_names), None)
        if name is not None and (value.dtype == np.int8 or tensor == self.result):
            self.made[node.name] = self.file_names[name]
        elif tensor == self.result:
            self.made[node.name] = self._file_result()
        expected = self.values.get(name or tensor) if name or tensor not in self.lowering.own_tensors else None
        if expected is not None and expected.size:
            expected = shifted(expected) if expected.dtype == np.uint8 else expected
            first = value[:rows] if rows else value[0]
            if not np.array_equal(expected, first, equal_nan=value.dtype.kind == "f"):
                self.differs.append(node.name)

    def _file_result(self) -> str:
        """What the file calls the network's result: its output, or the codes that are its last operand."""
        output = self.model.graph.output[0].name
        made = next(n for n in self.model.graph.node if output in n.output)
        return output if self.result == output else made.input[0]

    def _same(self, tensor: str) -> Iterable[str]:
        """`tensor` and the names that Identity nodes give it."""
        yield tensor
        for step in self.lowering.steps:
            if getattr(step.node, "op_type", "") == "Identity" and step.inputs[0] == tensor:
                yield step.outputs[0]

    def _need(self, tensor: str) -> None:
        """Make sure that a node makes `tensor`: cut out what it needs from what is known."""
        if tensor in self.known:
            return
        low = self.lowering
        steps: set[int] = set()
        sources: list[str] = []
        stored: list[str] = []
        stack = [tensor]
        seen: set[str] = set()
        while stack:
            name = stack.pop()
            if not name or name in seen:
                continue
            seen.add(name)
            if name in self.known:
                sources.append(name)
            elif name in self.constants:
                stored.append(name)
            elif name in self.producer:
                k = self.producer[name]
                steps.add(k)
                stack += [*low.steps[k].inputs, *captured(low.steps[k].node)]
            elif not name.startswith("encmac/") and name not in self.values:
                continue  # of a body itself
        nodes = [low.steps[k].node for k in sorted(steps)]
        aliases = [n for n in nodes if n.op_type == "Identity"]
        if len(nodes) == len(aliases) == 1 and sources:
            self.known[tensor] = self.known[sources[0]]
            return
        if not sources:
            raise UserError(f"{self.path}: '{tensor}' does not depend on the input")
        sources.sort(key=lambda s: list(self.known).index(s))
        name = low.name(self._stem(nodes))
        node = Runtime(
            name,
            tuple(self.known[s].node for s in sources),
            np.frombuffer(self._piece(name, nodes, sources, stored, tensor), np.uint8),
            self._scale(nodes, tensor),
            tuple(self.known[s].rows for s in sources),
            batched=False,
        )
        value = node(*(self.known[s].value for s in sources))
        rows = node.result_rows(*(self.known[s].value for s in sources))
        self._add(self._batched(node, nodes, sources, value), tensor, value, rows, node.unsigned)

    def _batched(self, node: Runtime, nodes: list, sources: list[str], value: np.ndarray) -> Runtime:
        """`node`, for whole batches if these give what images give one by one."""
        whole = replace(node, batched=True)
        if not all(node.rows) or any(n.op_type not in BATCHED for n in nodes):
            return node
        try:
            found = whole(*(self.known[s].value for s in sources))
        except UserError:  # a model for one image
            return node
        return whole if np.array_equal(found, value, equal_nan=value.dtype.kind == "f") else node

    def _piece(self, name: str, nodes: list, sources: list[str], stored: list[str], tensor: str) -> bytes:
        helper = self._onnx.helper
        inputs = []
        for s in sources:
            known = self.known[s]
            kind = np.dtype(np.uint8) if known.unsigned else known.value.dtype
            dims = [f"{s}/{k}" for k in range(known.value.ndim if known.rows else 0)]
            inputs.append(helper.make_tensor_value_info(s, helper.np_dtype_to_tensor_dtype(kind), dims))
        graph = helper.make_graph(
            [self._apart(n, sources) for n in nodes],
            name,
            inputs,
            [self._onnx.helper.make_empty_tensor_value_info(tensor)],
            [self._onnx.numpy_helper.from_array(np.array(self.constants[c], order="C"), c) for c in sorted(stored)],
        )
        model = helper.make_model(graph, opset_imports=self.opsets, ir_version=self.fused.ir_version)
        return model.SerializeToString(deterministic=True)

    def _apart(self, node: Any, sources: list[str]) -> Any:
        """`node`, with other names for results that are known already (of a node with several)."""
        if not set(node.output) & set(sources):
            return node
        other = type(node)()
        other.CopyFrom(node)
        other.output[:] = [f"{o}/again" if o in sources else o for o in node.output]
        return other

    def _scale(self, nodes: list, tensor: str) -> float:
        """Of codes; 1 where the result is real."""
        for reader in self.lowering.readers.get(tensor, []):
            if reader.op_type == "DequantizeLinear" and reader.input[1] in self.constants:
                return float(self.constants[reader.input[1]].ravel()[0])
        last = next(n for n in reversed(nodes) if tensor in n.output)
        if not (last.op_type.startswith("QLinear") or last.op_type == "QuantizeLinear"):
            return 1.0
        stored = [self.constants[i] for i in reversed(last.input) if i in self.constants]
        scale = next((c for c in stored if c.dtype == np.float32 and c.size == 1), np.ones(1))
        return float(scale.ravel()[0])

    def _stem(self, nodes: list) -> str:
        """What a piece is called after: its last operator of the file that does more than move or scale."""
        dull = {"QuantizeLinear", "Transpose", *CHEAP, *PRODUCTS}
        kinds = [n.op_type for n in reversed(nodes) if not any(n is own for own in self.lowering.own)]
        found = next((k for k in kinds if k not in dull), "Requantise").removeprefix("QLinear")
        return _STEMS.get(found, found.lower())

    def _last(self) -> None:
        """The network's result is what its last node makes: an earlier one is passed on."""
        raise UserError(f"{self.path}: nothing after its output '{self.result}' is of use; export it again")

    def _nothing(self) -> str:
        left = self.lowering.left or ["it has no convolution and no matrix product"]
        return (
            f"{self.path}: nothing is multiplied that is quantised; {left[0]}. Quantise it in QDQ form: "
            "onnxruntime.quantization.quantize_static, or .venv/bin/python -m "
            "onnxruntime.quantization.static_quantize_runner -i model.onnx -o int8.onnx (docs/networks.md)"
        )

    def _evaluate(self, node: Any, arrays: list[np.ndarray]) -> np.ndarray:
        helper = self._onnx.helper
        names = [f"in{k}" for k in range(len(arrays))]
        one = helper.make_node(node.op_type, names, ["out"])
        one.attribute.extend(node.attribute)
        graph = helper.make_graph(
            [one],
            "one",
            [],
            [helper.make_empty_tensor_value_info("out")],
            [self._onnx.numpy_helper.from_array(a, n) for a, n in zip(arrays, names, strict=True)],
        )
        model = helper.make_model(graph, opset_imports=self.opsets, ir_version=self.fused.ir_version)
        return session(model.SerializeToString(), str(self.path), optimise=False).run(None, {})[0]
