"""Real layers for the array: `python -m models.replay --net NAME` captures some, `tiles()` cuts tiles.

`python -m models.archive` captures whole networks.

A capture keeps, for a few layers of a network, the int8 input feature maps of some images, weights,
bias and requantisation. From it tiles for an array of any size are cut at run time. The K direction
(rows) is the window position k = (channel, ky, kx) in that order, the N direction (columns) the
output channel, a stream is one activation vector for each output pixel, images in order, row-major.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.errors import UserError, run_cli, unknown
from models.datasets import load_dataset
from models.emulate import ExactEngine
from models.emulate.operands import output_size
from models.quant.arith import INT8_MAX, INT8_MIN
from models.quant.checkpoint import (
    ZOO,
    check_whole,
    load_network,
    pack_header,
    read_header,
    read_npz,
    validate_requant,
    write_npz,
)
from models.quant.graph import Linear, MacNode, QuantNetwork, Requant
from tools.options import parse

FORMAT = "encmac-tiles/1"
CAPTURES = Path("build/captures")  # what a user captures; not of the zoo
# layer -> images kept; weighted with their MACs, these have as many zero activations as the whole network
RESNET20_LAYERS = {"conv1": 4, "layer1.1.conv2": 1, "layer2.0.conv1": 4, "layer2.1.conv2": 1}
RESNET20_LAYERS |= {"layer3.1.conv1": 4, "linear": 256}


@dataclass(frozen=True)
class Layer:
    """A captured layer; a linear layer is a 1x1 convolution on 1x1 maps.

    `inputs` int8 [images, I, H, W], `weights` int8 [O, I / groups, kh, kw], `bias` int32 [O];
    `requant` is None where the int32 sums are the result. `results` int8 (else int32) [images, O, H', W'] are
    what the network got, where they were kept.
    """

    name: str
    inputs: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    requant: Requant | None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    pad_value: int = 0
    results: np.ndarray | None = None

    @property
    def depth(self) -> int:
        """K: window positions of one group, what is summed for one output."""
        return int(np.prod(self.weights.shape[1:]))

    @property
    def kernel(self) -> tuple[int, int]:
        """(kh, kw)."""
        return self.weights.shape[2:]

    @property
    def group_inputs(self) -> int:
        """Input channels of a group."""
        return self.weights.shape[1]

    @property
    def group_outputs(self) -> int:
        """Output channels of a group."""
        return len(self.weights) // self.groups

    @property
    def size(self) -> tuple[int, int]:
        """(H', W') of the output."""
        where = (self.stride, self.padding, self.groups, self.pad_value)
        return output_size(self.inputs, self.weights, *where)

    @property
    def macs(self) -> int:
        """Products of one image."""
        return self.depth * len(self.bias) * int(np.prod(self.size))

    def vectors(self, images: int | None = None) -> np.ndarray:
        """Activation vectors int8 [images * H' * W', groups * K] (im2col), of the first `images` images."""
        x = self.inputs[:images]
        top, bottom, left, right = self.padding
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=self.pad_value)
        kernel = self.weights.shape[2:]
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))
        windows = windows[:, :, :: self.stride[0], :: self.stride[1]]  # [images, I, H', W', kh, kw]
        return np.ascontiguousarray(windows.transpose(0, 2, 3, 1, 4, 5)).reshape(-1, self.groups * self.depth)

    def sums(self, images: int | None = None) -> np.ndarray:
        """Exact sums with bias, int32 [images * H' * W', O]: what all tiles of the layer add up to."""
        acc = ExactEngine()(self.inputs[:images], self.weights, self.stride, self.padding, self.groups, self.pad_value)
        return acc.transpose(0, 2, 3, 1).reshape(-1, len(self.bias)) + self.bias


@dataclass(frozen=True)
class Tile:
    """One load of the array: weights int8 [R, C], activations int8 [vectors, R], unused rows and columns zero.

    Row r is window position `k0 + r` of the layer (of group `group`), column c is output channel
    `n0 + c`; `rows_used` and `cols_used` count those that are real.
    """

    layer: str
    group: int
    k0: int
    n0: int
    rows_used: int
    cols_used: int
    weights: np.ndarray
    activations: np.ndarray


@dataclass(frozen=True)
class Capture:
    """Layers of one network and where they come from."""

    network: str
    network_sha256: str
    layers: Mapping[str, Layer]
    provenance: dict = field(default_factory=dict)

    def layer(self, name: str) -> Layer:
        """The captured layer called `name`."""
        if name not in self.layers:
            raise unknown("layer of the capture", name, self.layers)
        return self.layers[name]


def tile_count(layer: Layer, rows: int, columns: int) -> int:
    """Number of tiles `tiles` makes: ceil(K / R) * ceil(outputs of a group / C), for every group."""
    group_outputs = len(layer.bias) // layer.groups
    return layer.groups * -(-layer.depth // rows) * -(-group_outputs // columns)


def tiles(layer: Layer, rows: int, columns: int, images: int | None = None) -> Iterator[Tile]:
    """Tiles for an array of `rows` x `columns`, all K of one set of columns one after the other.

    Sums over all tiles with the same columns give the layer's result (without bias).
    """
    if rows < 1 or columns < 1:
        raise UserError(f"an array of {rows} x {columns} holds nothing; rows and columns must be at least 1")
    vectors = layer.vectors(images)
    depth, group_outputs = layer.depth, len(layer.bias) // layer.groups
    matrix = layer.weights.reshape(len(layer.bias), depth).T  # [K, O]
    made = 0
    for group in range(layer.groups):
        first, end = group * group_outputs, (group + 1) * group_outputs
        for n0 in range(first, end, columns):
            for k0 in range(0, depth, rows):
                part = matrix[k0 : k0 + rows, n0 : min(n0 + columns, end)]
                weights = np.zeros((rows, columns), np.int8)
                weights[: part.shape[0], : part.shape[1]] = part
                activations = np.zeros((len(vectors), rows), np.int8)
                at = group * depth + k0
                activations[:, : part.shape[0]] = vectors[:, at : at + part.shape[0]]
                made += 1
                yield Tile(layer.name, group, k0, n0, *part.shape, weights, activations)
    if made != tile_count(layer, rows, columns):
        raise UserError(f"layer {layer.name}: {made} tiles cut, {tile_count(layer, rows, columns)} expected")


def layer_of(node: MacNode, x: np.ndarray) -> Layer:
    """The layer that `node` is for its int8 input `x`."""
    if isinstance(node, Linear):
        maps, weights = x[:, :, None, None], node.weights[:, :, None, None]
        return Layer(node.name, maps, weights, node.bias, node.requant, pad_value=node.input_zero_point)
    where = (node.stride, node.padding, node.groups, node.input_zero_point)
    return Layer(node.name, x, node.weights, node.bias, node.requant, *where)


def capture(network: QuantNetwork, images: np.ndarray, layers: dict[str, int]) -> Capture:
    """Run `network` on uint8 `images` [N, C, H, W]; keep each layer's input for the number of images named."""
    for name, count in layers.items():
        network.node(name)
        if not 1 <= count <= len(images):
            raise UserError(f"layer {name}: {count} images to keep, but {len(images)} are given")
    kept: dict[str, Layer] = {}

    def observe(node: MacNode, x: np.ndarray) -> None:
        if node.name in layers:
            kept[node.name] = layer_of(node, x[: layers[node.name]].copy())

    network.run(images, ExactEngine(), observe)
    return Capture(network.name, network.sha256, kept)


def layer_entry(layer: Layer) -> tuple[dict[str, np.ndarray], dict]:
    """What an archive keeps of a layer beside its inputs: arrays by field, and JSON fields."""
    arrays = {"weights": layer.weights, "bias": layer.bias}
    entry = {"stride": layer.stride, "padding": layer.padding, "groups": layer.groups, "requant": None}
    entry |= {"pad_value": layer.pad_value} if layer.pad_value else {}
    if layer.requant:
        arrays |= {"multiplier": layer.requant.multiplier, "shift": layer.requant.shift}
        entry["requant"] = {k: getattr(layer.requant, k) for k in ("lo", "hi", "zero_point")}
        entry["requant"] |= {"rounding": layer.requant.rounding} if layer.requant.rounding != "single" else {}
        entry["requant"] |= {"grid": layer.requant.grid} if layer.requant.grid else {}
    entry["output"] = [len(layer.inputs), len(layer.bias), *layer.size]
    return arrays, entry


def save_capture(found: Capture, path: str | Path) -> None:
    """Write the tile archive (compressed npz, JSON header)."""
    arrays: dict[str, np.ndarray] = {}
    entries = {}
    for name, layer in found.layers.items():
        own, entries[name] = layer_entry(layer)
        arrays |= {f"{name}/{k}": value for k, value in ({"inputs": layer.inputs} | own).items()}
    header = {
        "format": FORMAT,
        "network": found.network,
        "network_sha256": found.network_sha256,
        "layers": entries,
        "provenance": found.provenance,
    }
    write_npz(path, {"header": pack_header(header, arrays)} | arrays)


def load_capture(path: str | Path = ZOO / "tiles_resnet20_cifar10.npz") -> Capture:
    """Read and check a tile archive."""
    arrays, _ = read_npz(path, "tile archive")
    header = read_header(arrays, FORMAT, path)
    try:
        layers = {name: layer_from(name, entry, arrays) for name, entry in header["layers"].items()}
        if not layers:
            raise ValueError("no layers")
        if not isinstance(header["network"], str):
            raise ValueError(f"network is {header['network']!r}; a name is expected")
        return Capture(header["network"], header["network_sha256"], layers, header["provenance"])
    except (KeyError, TypeError, ValueError, AttributeError, UserError) as error:
        raise UserError(f"{path}: malformed tile archive ({error}); capture it again") from error


def layer_from(name: str, entry: dict, arrays: dict[str, np.ndarray]) -> Layer:
    """A layer of an archive; ValueError or UserError if its parts do not fit each other."""
    requant = None
    if entry["requant"] is not None:
        requant = Requant(arrays[f"{name}/multiplier"], arrays[f"{name}/shift"], **entry["requant"])
        check_whole(requant)
    inputs, weights, bias = (arrays[f"{name}/{k}"] for k in ("inputs", "weights", "bias"))
    where = (tuple(entry["stride"]), tuple(entry["padding"]), entry["groups"], entry.get("pad_value", 0))
    layer = Layer(name, inputs, weights, bias, requant, *where)
    check_whole(layer)
    for code in (layer.pad_value, *([requant.zero_point] if requant else [])):
        if not INT8_MIN <= code <= INT8_MAX:
            raise ValueError(f"layer {name}: zero point or padding {code}; a code is {INT8_MIN}..{INT8_MAX}")
    if bias.dtype != np.int32 or bias.shape != weights.shape[:1]:
        raise ValueError(f"layer {name}: bias is {bias.dtype} {bias.shape} for {len(weights)} outputs")
    found = [len(inputs), len(bias), *layer.size]
    if found != entry["output"]:
        raise ValueError(f"layer {name}: output would be {found}, the header says {entry['output']}")
    if requant:
        validate_requant(name, requant, len(bias))
    return layer


def main() -> None:
    """Command line: capture layers of a network on test images."""
    args = parse("models.replay")
    network = load_network(args.net)
    wanted = dict(_parse_layer(word) for word in args.layer) if args.layer else RESNET20_LAYERS
    images = load_dataset(network.dataset, "test", args.data).images[: max(wanted.values())]
    found = capture(network, images, wanted)
    options = "".join(f" --layer {k}={v}" for k, v in wanted.items()) if args.layer else ""
    found.provenance.update(
        command=f"python -m models.replay --net {network.name}{options}", split="test", first_image=0
    )
    out = Path(args.out or CAPTURES / f"tiles_{network.name}.npz")
    save_capture(found, out)
    for layer in found.layers.values():
        vectors, outputs = len(layer.inputs) * layer.size[0] * layer.size[1], len(layer.bias)
        print(f"{layer.name}: {vectors} vectors, K = {layer.depth}, {outputs} outputs, {len(layer.inputs)} images")
    print(f"{os.path.relpath(out)}: {out.stat().st_size / 1000:.0f} kB")


def _parse_layer(word: str) -> tuple[str, int]:
    name, _, count = word.partition("=")
    if not name or not count.isdigit() or int(count) < 1:
        raise UserError(f"--layer {word}: write NAME=IMAGES, e.g. conv1=4")
    return name, int(count)


if __name__ == "__main__":
    run_cli(main)
