"""Float torch networks as a list of nodes: traced with torch.fx, BatchNorm folded, activations fused.

Any network is understood that is made of the modules and functions in MODULES, FUNCTIONS and METHODS; what else it
does is named in a UserError.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from common.errors import UserError
from models.networks.efficientnet_lite import SameConv2d
from models.networks.resnet import SubsamplePad
from models.quant.graph import INPUT

CLAMPS = {"relu": (0.0, None), "relu6": (0.0, 6.0)}
CURVES = {"silu": F.silu, "sigmoid": torch.sigmoid}  # any function of one value becomes a table
MODULES = {
    nn.Conv2d: "conv",
    SameConv2d: "conv",
    nn.Linear: "linear",
    nn.BatchNorm2d: "norm",
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.SiLU: "silu",
    nn.Sigmoid: "sigmoid",
    nn.AdaptiveAvgPool2d: "average_pool",
    nn.MaxPool2d: "max_pool",
    nn.Flatten: "flatten",
    nn.Dropout: "identity",
    nn.Identity: "identity",
    SubsamplePad: "subsample_pad",
}
FUNCTIONS = {
    **dict.fromkeys((operator.add, operator.iadd, torch.add), "add"),
    **dict.fromkeys((operator.mul, operator.imul, torch.mul), "multiply"),
    **dict.fromkeys((F.relu, torch.relu), "relu"),
    **dict.fromkeys((torch.sigmoid, F.sigmoid), "sigmoid"),
    F.relu6: "relu6",
    F.silu: "silu",
    torch.mean: "average_pool",
    F.adaptive_avg_pool2d: "average_pool",
    F.max_pool2d: "max_pool",
    torch.flatten: "flatten",
    F.dropout: "identity",
}
METHODS = {"add": "add", "mul": "multiply", "relu": "relu", "sigmoid": "sigmoid", "mean": "average_pool"}
METHODS |= {"flatten": "flatten"}
_NAMES = {"average_pool": "pool"}


@dataclass(frozen=True)
class FloatNode:
    """A node of the folded float network; `attributes` are the matching integer node's."""

    kind: str  # conv, linear, add, multiply, curve, average_pool, max_pool, flatten, subsample_pad
    name: str
    sources: tuple[str, ...]
    weights: Tensor | None = None  # float32 [O, I / groups, kh, kw] or [O, I], BatchNorm folded in
    bias: Tensor | None = None  # float32 [O]
    clamp: tuple[float | None, float | None] = (None, None)
    attributes: dict = field(default_factory=dict)

    def __call__(self, *x: Tensor) -> Tensor:
        """Float result for float operands [N, C, H, W]."""
        y = getattr(self, f"_{self.kind}")(*x)
        return y if self.clamp == (None, None) else y.clamp(*self.clamp)

    def _conv(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self.attributes["padding"]
        x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.weights, self.bias, self.attributes["stride"], 0, 1, self.attributes["groups"])

    def _linear(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weights, self.bias)

    def _add(self, a: Tensor, b: Tensor) -> Tensor:
        return a + b

    def _multiply(self, a: Tensor, b: Tensor) -> Tensor:
        return a * b

    def _curve(self, x: Tensor) -> Tensor:
        return CURVES[self.attributes["curve"]](x)

    def _average_pool(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3), keepdim=self.attributes["keep"])

    def _max_pool(self, x: Tensor) -> Tensor:
        padding = self.attributes["padding"][0], self.attributes["padding"][2]
        return F.max_pool2d(x, self.attributes["kernel"], self.attributes["stride"], padding)

    def _flatten(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def _subsample_pad(self, x: Tensor) -> Tensor:
        stride, before, after = (self.attributes[k] for k in ("stride", "before", "after"))
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, before, after))


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return type(module) in MODULES or super().is_leaf_module(module, name)


def float_nodes(model: nn.Module) -> list[FloatNode]:
    """The folded float nodes of `model` in evaluation mode, in order; UserError names what is not understood."""
    try:
        graph = _Tracer().trace(model)
    except (fx.proxy.TraceError, TypeError) as error:
        raise UserError(f"cannot trace {type(model).__name__} ({error}); its forward() must not branch") from error
    return _Lowering(model, graph).nodes


class _Lowering:
    """Goes through the traced graph; `nodes` are what it found."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        self.model, self.nodes = model, []
        self.modules = dict(model.named_modules())
        self._made: dict[fx.Node, str] = {}  # traced node -> name of the tensor
        for node in graph.nodes:
            if node.op == "placeholder":
                if INPUT in self._made.values():
                    raise UserError(f"{type(model).__name__} takes several inputs; networks here take one image")
                self._made[node] = INPUT
            elif node.op == "output":
                if not isinstance(node.args[0], fx.Node) or self._made[node.args[0]] != self.nodes[-1].name:
                    raise UserError(f"{type(model).__name__} does not return its last tensor; it must return scores")
            else:
                self._lower(node)

    def _kind(self, node: fx.Node) -> str:
        if node.op == "call_module":
            module = self.modules[node.target]
            found, shown = MODULES.get(type(module)), type(module).__name__
        else:
            known = FUNCTIONS if node.op == "call_function" else METHODS
            found, shown = known.get(node.target), getattr(node.target, "__name__", str(node.target))
        if found is None:
            raise UserError(f"{type(self.model).__name__}: {shown} at '{node.name}' is not supported")
        return found

    def _lower(self, node: fx.Node) -> None:
        kind = self._kind(node)
        operands = [a for a in node.args if isinstance(a, fx.Node)]
        if kind in ("add", "multiply") and len(operands) != 2:
            raise UserError(f"{type(self.model).__name__}: {kind} of a constant at '{node.name}' is not supported")
        module = self.modules.get(node.target) if node.op == "call_module" else None
        source = self._made[operands[0]]
        if kind == "identity":
            self._made[node] = source
        elif kind in CLAMPS or kind == "norm":
            self._fuse(node, kind, operands[0], module)
        else:
            sources = tuple(self._made[o] for o in operands)
            name = self._name(node, kind)
            self.nodes.append(getattr(self, f"_{kind}")(node, name, sources, module))
            self._made[node] = name

    def _name(self, node: fx.Node, kind: str) -> str:
        """Path of the module, or that of the module around a function and the kind of function."""
        if node.op == "call_module" and kind in ("conv", "linear"):
            return node.target
        scopes = [path for path, _ in node.meta.get("nn_module_stack", {}).values()] if node.meta else []
        scope = next((s for s in reversed(scopes) if s and s != node.target), "")
        if kind == "subsample_pad":
            stem = node.target
        else:
            stem = f"{scope}.{_NAMES.get(kind, kind)}" if scope else _NAMES.get(kind, kind)
        taken = {n.name for n in self.nodes}
        return next(n for n in (stem, *(f"{stem}{i}" for i in range(2, 1000))) if n not in taken)

    def _fuse(self, node: fx.Node, kind: str, operand: fx.Node, module: nn.Module | None) -> None:
        """BatchNorm and clamps become part of the node before, which nothing else may read."""
        last = next((i for i, n in enumerate(self.nodes) if n.name == self._made[operand]), None)
        before = self.nodes[last] if last is not None else None
        alone = before is not None and len(operand.users) == 1 and before.clamp == (None, None)
        if kind == "norm" and alone and before.kind == "conv":
            weights, bias = fold_norm(before.weights, before.bias, module)
            self.nodes[last] = replace(before, weights=weights, bias=bias)
        elif kind in CLAMPS and alone and before.kind in ("conv", "linear", "add", "multiply", "average_pool"):
            self.nodes[last] = replace(before, clamp=CLAMPS[kind])
        else:
            what = "BatchNorm" if kind == "norm" else kind
            raise UserError(
                f"{type(self.model).__name__}: {what} at '{node.name}' does not follow a "
                f"{'convolution' if kind == 'norm' else 'layer'} that only it reads; that is not supported"
            )
        self._made[node] = self._made[operand]

    def _conv(self, node: fx.Node, name: str, sources: tuple, module: nn.Conv2d) -> FloatNode:
        if module.dilation != (1, 1) or module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise UserError(f"convolution '{name}': dilation and padding by words or modes are not supported")
        vertical, horizontal = module.padding
        padding = getattr(module, "around", (vertical, vertical, horizontal, horizontal))
        attributes = {"stride": tuple(module.stride), "padding": padding, "groups": module.groups}
        weights = module.weight.detach()
        bias = module.bias.detach() if module.bias is not None else torch.zeros(len(weights))
        return FloatNode("conv", name, sources, weights, bias, attributes=attributes)

    def _linear(self, node: fx.Node, name: str, sources: tuple, module: nn.Linear) -> FloatNode:
        weights = module.weight.detach()
        bias = module.bias.detach() if module.bias is not None else torch.zeros(len(weights))
        return FloatNode("linear", name, sources, weights, bias)

    def _add(self, node: fx.Node, name: str, sources: tuple, module: None) -> FloatNode:
        return FloatNode("add", name, sources)

    def _multiply(self, node: fx.Node, name: str, sources: tuple, module: None) -> FloatNode:
        return FloatNode("multiply", name, sources)

    def _silu(self, node: fx.Node, name: str, sources: tuple, module: nn.Module | None) -> FloatNode:
        return FloatNode("curve", name, sources, attributes={"curve": "silu"})

    def _sigmoid(self, node: fx.Node, name: str, sources: tuple, module: nn.Module | None) -> FloatNode:
        return FloatNode("curve", name, sources, attributes={"curve": "sigmoid"})

    def _average_pool(self, node: fx.Node, name: str, sources: tuple, module: nn.Module | None) -> FloatNode:
        rest = [a for a in node.args if not isinstance(a, fx.Node)]
        if node.target is torch.mean or node.op == "call_method":
            axes = node.kwargs.get("dim", rest[0] if len(rest) == 1 else tuple(rest))
            keep, whole = bool(node.kwargs.get("keepdim", False)), sorted(a % 4 for a in axes) == [2, 3]
        else:
            size = module.output_size if module is not None else (rest or [node.kwargs.get("output_size")])[0]
            keep, whole = True, size in (1, (1, 1), [1, 1])
        if not whole:
            raise UserError(f"'{name}' is no mean over all pixels; other averages are not supported")
        return FloatNode("average_pool", name, sources, attributes={"keep": keep})

    def _max_pool(self, node: fx.Node, name: str, sources: tuple, module: nn.MaxPool2d | None) -> FloatNode:
        if module is None:
            raise UserError(f"'{name}': write max pooling as nn.MaxPool2d")
        if module.ceil_mode or module.dilation not in (1, (1, 1)):
            raise UserError(f"'{name}': max pooling with ceil_mode or dilation is not supported")
        kernel, stride, padding = (_pair(v) for v in (module.kernel_size, module.stride, module.padding))
        around = (padding[0], padding[0], padding[1], padding[1])
        return FloatNode("max_pool", name, sources, attributes={"kernel": kernel, "stride": stride, "padding": around})

    def _flatten(self, node: fx.Node, name: str, sources: tuple, module: nn.Module | None) -> FloatNode:
        return FloatNode("flatten", name, sources)

    def _subsample_pad(self, node: fx.Node, name: str, sources: tuple, module: SubsamplePad) -> FloatNode:
        extra = module.extra_channels
        attributes = {"stride": module.stride, "before": extra // 2, "after": extra - extra // 2}
        return FloatNode("subsample_pad", name, sources, attributes=attributes)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return tuple(value) if isinstance(value, tuple | list) else (value, value)


def fold_norm(weights: Tensor, bias: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weights [O, I / groups, kh, kw] and bias [O] of a convolution followed by `norm`, computed in float64."""
    factor = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    folded = weights.double() * factor.view(-1, 1, 1, 1)
    shift = norm.bias.double() + (bias.double() - norm.running_mean.double()) * factor
    return folded.float().detach(), shift.float().detach()


@torch.inference_mode()
def run_float(nodes: list[FloatNode], x: Tensor, visit: Callable[[str, Tensor], None] | None = None) -> Tensor:
    """Result of the folded float network for normalised images [N, C, H, W]; `visit` sees every tensor."""
    last_use = {s: i for i, node in enumerate(nodes) for s in node.sources}
    tensors = {INPUT: x}
    if visit:
        visit(INPUT, x)
    for i, node in enumerate(nodes):
        tensors[node.name] = node(*(tensors[s] for s in node.sources))
        if visit:
            visit(node.name, tensors[node.name])
        for name in node.sources:
            if last_use[name] == i:
                tensors.pop(name, None)
    return tensors[nodes[-1].name]
