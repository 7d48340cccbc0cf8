"""How often each pair (a, w) is multiplied in a network: `python -m models.quant.histogram --net NAME`.

For one position k = (input channel, ky, kx) of a window, every output pixel multiplies its
activation with the weight at k of every output channel of the group. So the exact number of products
(a, w) is the outer product of two histograms: of the activation over all output pixels, zero padding
included, and of the weight over the output channels; summed over k.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.errors import UserError, run_cli
from models.datasets import load_dataset
from models.quant.checkpoint import load_network, pack_header, read_header, read_npz, write_npz
from models.quant.graph import Conv, Engine, Linear, MacNode, QuantNetwork
from tools.options import parse

FORMAT = "encmac-histogram/1"


@dataclass(frozen=True)
class JointHistogram:
    """Numbers of products (a, w), index [a + 128, w + 128], for `images` images.

    `layers` maps each layer to float64 [256, 256]; `inputs` maps each layer to the activation
    histograms float64 [groups * K, 256] of its window positions k (channel-major, then ky, kx).
    """

    layers: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    network: str
    network_sha256: str
    images: int
    provenance: dict = field(default_factory=dict)

    @property
    def joint(self) -> np.ndarray:
        """All layers together, float64 [256, 256]; its sum is the number of MACs."""
        return np.sum(list(self.layers.values()), axis=0)

    def save(self, path: str | Path) -> None:
        """Write an npz; array `joint` is the sum over the layers."""
        arrays = {"joint": self.joint}
        arrays |= {f"layer/{k}": v for k, v in self.layers.items()}
        arrays |= {f"input/{k}": v for k, v in self.inputs.items()}
        header = {
            "format": FORMAT,
            "network": self.network,
            "network_sha256": self.network_sha256,
            "images": self.images,
            "layers": list(self.layers),
            "provenance": self.provenance,
        }
        write_npz(path, {"header": pack_header(header, arrays)} | arrays)


def load_histogram(path: str | Path) -> JointHistogram:
    """Read and check a histogram file."""
    arrays, _ = read_npz(path, "histogram")
    header = read_header(arrays, FORMAT, path)
    try:
        names = header["layers"]
        histogram = JointHistogram(
            layers={n: _checked(arrays[f"layer/{n}"], (256, 256), path, n) for n in names},
            inputs={n: _checked(arrays[f"input/{n}"], (-1, 256), path, n) for n in names},
            network=header["network"],
            network_sha256=header["network_sha256"],
            images=header["images"],
            provenance=header["provenance"],
        )
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: malformed histogram ({error}); make it again") from error
    if not names:
        raise UserError(f"{path}: no layers; make it again")
    return histogram


def check_joint(joint: np.ndarray, source: str | Path) -> np.ndarray:
    """A joint histogram as float64 [256, 256], or UserError if it is none (shape, sign, NaN, no mass)."""
    return _checked(np.asarray(joint), (256, 256), source, "joint histogram")


def _checked(values: np.ndarray, shape: tuple[int, int], source: str | Path, what: str) -> np.ndarray:
    if values.ndim != 2 or any(want not in (-1, have) for want, have in zip(shape, values.shape, strict=True)):
        raise UserError(f"{source}: {what} has shape {values.shape}, expected {str(shape).replace('-1', 'K')}")
    values = values.astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise UserError(f"{source}: {what} holds negative or non-finite counts; make it again")
    if values.sum() == 0:
        raise UserError(f"{source}: {what} counts no products at all; use at least one image")
    return values


def tap_histograms(node: MacNode, x: np.ndarray) -> np.ndarray:
    """Histograms of what each window position sees: float64 [I * kh * kw, 256] for int8 input `x`.

    `x` is [N, I, H, W], or [N, I] for a linear layer; rows are channel-major, then ky, kx.
    """
    if isinstance(node, Linear):
        x, (kh, kw), (sy, sx) = x[:, :, None, None], (1, 1), (1, 1)
    else:
        (kh, kw), (sy, sx) = node.weights.shape[2:], node.stride
        top, bottom, left, right = node.padding
        x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=node.input_zero_point)
    channels = x.shape[1]
    rows, columns = (x.shape[2] - kh) // sy + 1, (x.shape[3] - kw) // sx + 1
    # One table for all channels: code = 256 * channel + (a + 128).
    codes = x.astype(np.int32) + (128 + 256 * np.arange(channels, dtype=np.int32))[None, :, None, None]
    counts = np.empty((channels, kh, kw, 256))
    for ky in range(kh):
        for kx in range(kw):
            seen = codes[:, :, ky : ky + sy * (rows - 1) + 1 : sy, kx : kx + sx * (columns - 1) + 1 : sx]
            counts[:, ky, kx] = np.bincount(seen.ravel(), minlength=256 * channels).reshape(channels, 256)
    return counts.reshape(-1, 256)


def joint_of(node: MacNode, taps: np.ndarray) -> np.ndarray:
    """Numbers of products float64 [256, 256] of a layer whose window positions see `taps` [groups * K, 256]."""
    groups = node.groups if isinstance(node, Conv) else 1
    weights = node.weights.reshape(groups, node.weights.shape[0] // groups, -1).astype(np.int64) + 128
    joint = np.zeros((256, 256))
    for group, a in zip(weights, taps.reshape(groups, -1, 256), strict=True):
        k = np.broadcast_to(np.arange(group.shape[1]), group.shape)
        w = np.bincount((256 * k + group).ravel(), minlength=256 * group.shape[1]).reshape(-1, 256)
        joint += a.T @ w
    return joint


def measure(network: QuantNetwork, images: np.ndarray, engine: Engine, label: str = "") -> JointHistogram:
    """Histogram of all products of `network` for uint8 `images` [N, C, H, W]."""
    if not len(images):
        raise UserError("no images to count products on; give at least 1")
    inputs: dict[str, np.ndarray] = {}

    def observe(node: MacNode, x: np.ndarray) -> None:
        inputs[node.name] = inputs.get(node.name, 0) + tap_histograms(node, x)

    for _ in network.run_batches(images, engine, observe, label=label):
        pass
    layers = {node.name: joint_of(node, inputs[node.name]) for node in network.mac_nodes}
    return JointHistogram(layers, inputs, network.name, network.sha256, len(images))


def training_sample(dataset: str, count: int, seed: int, folder: str | None = None, or_all: bool = False) -> np.ndarray:
    """`count` random training images of `dataset`, uint8 [count, 3, H, W], the same for the same seed.

    With `or_all` those that there are, where they are fewer.
    """
    images = load_dataset(dataset, "train", folder).images
    count = min(count, len(images)) if or_all else count
    if not 1 <= count <= len(images):
        raise UserError(f"{count} images asked for; the training set of {dataset} has 1..{len(images)}")
    return images[np.random.default_rng(seed).choice(len(images), count, replace=False)]


def calibration_sample(dataset: str, count: int, seed: int, folder: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(`count` training images, as many others that decide between what was made with them), uint8 [N, 3, H, W].

    A data set with fewer images gives half of them to each.
    """
    images = load_dataset(dataset, "train", folder).images
    if count < 1 or len(images) < 2:
        raise UserError(f"{count} images asked for; the training set of {dataset} has {len(images)}; give at least 1")
    count = min(count, len(images) // 2)
    drawn = np.random.default_rng(seed).choice(len(images), 2 * count, replace=False)
    return images[drawn[:count]], images[drawn[count:]]


def main() -> None:
    """Command line: count the products of a network on training images."""
    from models.emulate import exact_engine

    args = parse("models.quant.histogram")
    network = load_network(args.net)
    images = training_sample(network.dataset, args.images, args.seed, args.data)
    found = measure(network, images, exact_engine(), label="" if args.quiet else "histogram")
    found.provenance.update(
        command=f"python -m models.quant.histogram --net {network.name} --images {args.images} --seed {args.seed}"
    )
    out = Path(args.out or f"build/histograms/{network.name}.npz")
    found.save(out)
    joint = found.joint
    total, values = joint.sum(), np.abs(np.arange(-128, 128))
    print(
        f"{out}: {total / args.images / 1e6:.1f} million products an image, P(a=0) = {joint[128].sum() / total:.3f}, "
        f"E|a| = {values @ joint.sum(axis=1) / total:.1f}, E|w| = {values @ joint.sum(axis=0) / total:.1f}"
    )


if __name__ == "__main__":
    run_cli(main)
