"""What a network asks of an encoding: `python -m models.search.target --net NAME`.

An output of a layer sums K products, y = sum_k a_k w_k. With the error e(a, w) of the encoding, its
mean corrected in the bias and different weights independent, the variance of the output's error is

    sum_k E[(e - E[e | w])^2]  +  sum_(k != k') cov(f(a_k), f(a_k')),     f(a) = E_w[e(a, w)].

The first sum needs the joint histogram p(a, w). The second is there because activations under one
window resemble each other: an error that does not depend on the weight's sign adds up. It needs the
covariance of the *numbers* of each activation value in a window, a matrix [256, 256], less what
single positions contribute. Both are divided by the layer's signal variance var(y), channels weighted
by their squared weight scale: the layer's noise-to-signal ratio. The layers are added up with the
noise that a ratio of 1 in one of them alone causes in the network's result, over the result's own
variance, measured by injecting a little noise there. So an encoding's error predicts the noise of
the result. Least squares shrinks the product by its own noise-to-signal ratio; that part of the error is a
gain, which the requantiser restores (models/quant/correct.py), so it does not count as noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import UserError, run_cli
from common.files import NO_ARRAYS, first_line
from models.emulate import exact_engine
from models.quant.checkpoint import load_network, write_npz
from models.quant.graph import Engine, Linear, MacNode, QuantNetwork
from models.quant.histogram import tap_histograms, training_sample
from models.search.histogram import UNIFORM_SHARE, joint_distribution, load_histogram
from models.search.moments import Moments, walsh_moments
from tools.options import parse

NOISE = 0.02  # noise-to-signal ratio injected to measure sensitivities
SENSITIVITY_IMAGES = 100
IMAGES = 256  # training images measured
TAPS, DAMPING = 512, 0.01  # positions of a window whose covariance is taken; share of the variance added to it
FOLDER = Path("build/search")
MEASURED = ("coherent", "sensitivity", "activations", "weights", "kept")  # arrays of a target besides `joint`


@dataclass(frozen=True)
class Layers:
    """What each layer multiplies, for encodings whose weights will be chosen (models/search/chosen.py).

    `activations` float64 [L, 256] are distributions p(a); `weights` float64 [L, 256] distributions of the weights times
    what noise in the layer counts in the result; `kept` float64 [L], see `error_kept`; `coherent` as of a target.
    """

    activations: np.ndarray
    weights: np.ndarray
    kept: np.ndarray
    coherent: np.ndarray

    def joint(self) -> np.ndarray:
        """p(a, w) of all layers, float64 [256, 256], sum 1."""
        joint = self.activations.T @ self.weights
        return joint / joint.sum()


@dataclass(frozen=True)
class Target:
    """Distribution an encoding is fitted to.

    `joint` float64 [256, 256], index [a + 128, w + 128], sum 1; `coherent` float64 [256, 256], index
    [a + 128, a' + 128], or None; `scale`: error variance times scale = noise of the result over its variance.
    """

    joint: np.ndarray
    coherent: np.ndarray | None = None
    scale: float = 1.0
    uniform: bool = False
    layers: Layers | None = None

    def moments(self) -> Moments:
        """The inner products of the search."""
        return walsh_moments(self.joint, coherent=self.coherent)

    def noise(self, table: np.ndarray) -> float:
        """Predicted noise of the result over its variance, for a product table [256, 256], gain corrected."""
        product = np.multiply.outer(np.arange(-128.0, 128.0), np.arange(-128.0, 128.0))
        error, product = (self._centred(values) for values in (table - product, product))
        power, along = self._inner(product, product), self._inner(product, error)
        spread = self._inner(error, error) - along**2 / power  # what no gain restores
        return spread / (1 + along / power) ** 2 * self.scale

    def gram(self, functions: np.ndarray, free: np.ndarray | None = None) -> np.ndarray:
        """Centred inner products of functions of the operands, [N, 256, 256]: float64 [N, N].

        `free` [F, 256, 256] are functions that cost nothing: what they explain is taken out.
        """
        count = len(functions)
        flat = np.empty((count + (0 if free is None else len(free)), 65536))
        means = np.empty((len(flat), 256))  # over the weights
        p_w, root = self.joint.sum(0), np.sqrt(self.joint)
        for n, values in enumerate(functions if free is None else (*functions, *free)):
            centred = self._centred(values.astype(np.float64))
            means[n], flat[n] = centred @ p_w, (centred * root).ravel()
        found = flat @ flat.T
        if self.coherent is not None:
            found += means @ self.coherent @ means.T
        if free is None:
            return found
        cross = found[:count, count:]
        return found[:count, :count] - cross @ np.linalg.pinv(found[count:, count:], rcond=1e-12) @ cross.T

    def _centred(self, values: np.ndarray) -> np.ndarray:
        """`values` [256, 256] less their mean for each weight."""
        p_w = self.joint.sum(0)
        return values - (self.joint * values).sum(0) / np.where(p_w > 0, p_w, 1)

    def _inner(self, x: np.ndarray, y: np.ndarray) -> float:
        """Covariance of two centred functions of the operands, summed over a window."""
        result = float((self.joint * x * y).sum())
        if self.coherent is not None:
            p_w = self.joint.sum(0)
            result += float((x @ p_w) @ self.coherent @ (y @ p_w))
        return result


def load_target(path: str | Path | Sequence[str | Path] | None, uniform: float = UNIFORM_SHARE) -> Target:
    """Target of a file written by this module, or of a plain joint histogram; None: uniform operands.

    Several files are one target, in which noise counts alike in the result of each network.
    """
    if path is None:
        return Target(joint_distribution(None), uniform=True)
    paths = [path] if isinstance(path, str | Path) else path
    histogram, coherent = np.zeros((256, 256)), None
    parts: list[dict[str, np.ndarray]] = []
    for one in paths:
        joint, arrays = load_histogram(one), {}
        if str(one).endswith(".npz"):
            try:
                with np.load(one, allow_pickle=False) as stored:
                    arrays = {name: stored[name].astype(float) for name in MEASURED if name in stored.files}
            except NO_ARRAYS as error:
                raise UserError(f"{one} is damaged ({first_line(error)}); measure the network again") from error
        for name, values in arrays.items():
            width = () if name in ("sensitivity", "kept") else (256,)
            square = name != "coherent" or values.shape == (256, 256)
            if values.shape[1:] != width or not square or not np.isfinite(values).all():
                raise UserError(f"{one}: array '{name}' is no finite {['N', *width]}; measure the network again")
        share = 1 / len(paths) / (arrays["sensitivity"].sum() if len(paths) > 1 and "sensitivity" in arrays else 1)
        histogram += joint * share
        if "coherent" in arrays:
            coherent = arrays["coherent"] * share + (0 if coherent is None else coherent)
        parts.append(arrays | {"share": np.array(share)})
    mass, layers = histogram.sum(), None
    if all(len(part) == len(MEASURED) + 1 for part in parts):
        weights = np.concatenate([part["weights"] * part["share"] for part in parts])
        activations, kept = (np.concatenate([part[name] for part in parts]) for name in ("activations", "kept"))
        layers = merged(Layers(activations, weights, kept, coherent))
    joint = joint_distribution(histogram, uniform)
    return Target(joint, None if coherent is None else coherent / mass, float(mass), layers=layers)


def merged(layers: Layers, most: int = 32) -> Layers:
    """`layers` with those joined whose activations are most alike (Ward, on roots of p), until there are `most`."""
    p, w, kept = list(layers.activations), list(layers.weights), list(layers.kept)
    while len(p) > most:
        roots, mass = np.sqrt(p), np.sum(w, 1)
        distance = ((roots[:, None] - roots) ** 2).sum(2) * np.outer(mass, mass) / np.add.outer(mass, mass)
        distance[np.tril_indices(len(p))] = np.inf
        i, j = np.unravel_index(int(distance.argmin()), distance.shape)
        share = mass[i] / (mass[i] + mass[j])
        p[i], kept[i], w[i] = p[i] * share + p[j] * (1 - share), kept[i] * share + kept[j] * (1 - share), w[i] + w[j]
        del p[j], kept[j], w[j]
    return Layers(np.array(p), np.array(w), np.array(kept), layers.coherent)


def layer_statistics(node: MacNode, x: np.ndarray, samples: int, rng: np.random.Generator) -> tuple:
    """(joint [256, 256], coherent [256, 256]) of one layer over its signal variance, and `error_kept`, for input `x`.

    `x` int8 [N, C, H, W] (or [N, C]); `samples` windows drawn at random estimate the covariances.
    """
    groups = 1 if isinstance(node, Linear) else node.groups
    taps = tap_histograms(node, x)
    taps = taps / taps.sum(1, keepdims=True)  # [groups * K, 256]
    weights = node.weights.reshape(groups, node.weights.shape[0] // groups, -1).astype(np.int64)  # [G, O, K]
    scales = np.broadcast_to(np.asarray(node.weight_scale, np.float64).ravel(), node.weights.shape[:1])
    scales = (scales**2 / (scales**2).mean()).reshape(groups, -1)
    joint, coherent, signal = np.zeros((256, 256)), np.zeros((256, 256)), 0.0
    windows = sample_windows(node, x, samples, rng).reshape(samples, groups, -1)
    for g, p in enumerate(taps.reshape(groups, -1, 256)):
        placed = np.zeros((p.shape[0], 256))
        for o in range(weights.shape[1]):
            placed[np.arange(p.shape[0]), weights[g, o] + 128] += scales[g, o]
        joint += p.T @ placed
        counts = np.zeros((samples, 256))
        np.add.at(counts, (np.arange(samples)[:, None], windows[:, g] + 128), 1.0)
        alone = np.diag(p.sum(0)) - p.T @ p
        coherent += (np.cov(counts.T) - alone) * scales[g].sum()
        signal += float(((windows[:, g] @ weights[g].T).var(0) * scales[g]).sum())
    return joint / signal, coherent / signal, error_kept(windows)


def error_kept(windows: np.ndarray) -> float:
    """Share of the variance of rounding errors that is left when the weights after it make up for each.

    `windows` [samples, groups, K]. When codes are chosen one after the other (GPTQ, arXiv 2210.17323), an error counts
    with the variance of its activation given those that come later, not with its whole variance.
    """
    left = whole = 0.0
    for group in range(0, windows.shape[1], -(-windows.shape[1] // 32)):
        x = windows[:, group, :TAPS].astype(np.float64)
        x = x - x.mean(0)
        covariance = x.T @ x / len(x)
        covariance += (DAMPING * np.trace(covariance) / len(covariance) + 1e-6) * np.eye(len(covariance))
        left += (1 / np.diag(np.linalg.cholesky(np.linalg.inv(covariance))) ** 2).sum()
        whole += np.trace(covariance)
    return left / whole


def sample_windows(node: MacNode, x: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Random windows a layer multiplies: int64 [samples, groups * K], channel-major, then ky, kx."""
    if isinstance(node, Linear):
        return x[rng.integers(len(x), size=samples)].astype(np.int64)
    (kh, kw), (sy, sx) = node.weights.shape[2:], node.stride
    top, bottom, left, right = node.padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=node.input_zero_point)
    rows, columns = (x.shape[2] - kh) // sy + 1, (x.shape[3] - kw) // sx + 1
    n, i, j = (rng.integers(size, size=samples) for size in (len(x), rows, columns))
    y = (i * sy)[:, None] + np.arange(kh)
    z = (j * sx)[:, None] + np.arange(kw)
    found = x[n[:, None, None], :, y[:, :, None], z[:, None, :]]  # [samples, kh, kw, C]
    return found.transpose(0, 3, 1, 2).reshape(samples, -1).astype(np.int64)


class NoisyEngine:
    """Engine that adds normal noise to the sums of its `layer`-th call, `ratio` of their variance."""

    def __init__(self, engine: Engine, layer: int, ratio: float, rng: np.random.Generator) -> None:
        self.engine, self.layer, self.ratio, self.rng, self.calls = engine, layer, ratio, rng, 0

    def __call__(self, *operands: object, **options: object) -> np.ndarray:
        """int32 sums of the engine, noisy in one layer."""
        sums = self.engine(*operands, **options)
        self.calls += 1
        if self.calls - 1 != self.layer:
            return sums
        deviation = sums.std(axis=(0, *range(2, sums.ndim)), keepdims=True)
        return sums + np.rint(self.rng.standard_normal(sums.shape) * deviation * self.ratio**0.5).astype(np.int32)


def sensitivities(network: QuantNetwork, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of the result over its variance, per noise-to-signal ratio in each layer: float64 [layers]."""
    engine, found = exact_engine(), []
    logits = network.run(images, engine).astype(np.float64)
    spread = (logits - logits.mean(1, keepdims=True)).var()
    for layer in range(len(network.mac_nodes)):
        noise = network.run(images, NoisyEngine(engine, layer, NOISE, rng)) - logits
        found.append((noise - noise.mean(1, keepdims=True)).var() / spread / NOISE)
    return np.array(found)


def measure(network: QuantNetwork, images: np.ndarray, samples: int = 2048, seed: int = 1) -> dict[str, np.ndarray]:
    """Arrays of a network for uint8 `images` [N, C, H, W]: `joint`, `coherent`, `sensitivity`, and for each layer
    `activations` (a distribution), `weights` (a distribution times the layer's share of `joint`), float64 [L, 256],
    and `kept`, see `error_kept`, float64 [L].
    """
    inputs: dict[str, list[np.ndarray]] = {node.name: [] for node in network.mac_nodes}
    for _ in network.run_batches(images, exact_engine(), lambda node, x: inputs[node.name].append(x)):
        pass
    rng = np.random.default_rng(seed)
    sensitivity = sensitivities(network, images[:SENSITIVITY_IMAGES], rng)
    joint, coherent = np.zeros((256, 256)), np.zeros((256, 256))
    activations, weights = np.zeros((2, len(sensitivity), 256))
    kept = np.zeros(len(sensitivity))
    for n, (node, share) in enumerate(zip(network.mac_nodes, sensitivity, strict=True)):
        found = layer_statistics(node, np.concatenate(inputs.pop(node.name)), samples, rng)
        joint += found[0] * share
        coherent += found[1] * share
        activations[n], weights[n] = found[0].sum(1) / found[0].sum(), found[0].sum(0) * share
        kept[n] = found[2]
    arrays = {"joint": joint, "coherent": coherent, "sensitivity": sensitivity}
    return arrays | {"activations": activations, "weights": weights, "kept": kept}


def target_file(network: QuantNetwork, data: str | None) -> Path:
    """Where the target of a network is kept: trained anew, or with another folder of images, it has another."""
    place = Path(data).resolve() if data else None
    of = f"{place} {place.stat().st_mtime_ns if place.exists() else 0}" if place else ""
    of = f"-{hashlib.sha256(of.encode()).hexdigest()[:8]}" if of else ""
    return FOLDER / f"{network.name}-{network.sha256[:8]}{of}.npz"


def measured_target(net: str, data: str | None = None, progress: Callable[[str], object] = print) -> Path:
    """The file with the target of a network, of that very network, measured now if it is not there.

    A training set of fewer images than `IMAGES`, as of ImageNet here, is taken whole.
    """
    network = load_network(net)
    path = target_file(network, data)
    if not path.exists():
        images = training_sample(network.dataset, IMAGES, 1, data, or_all=True)
        progress(f"measuring {network.name} on {len(images)} training images; kept in {path}")
        write_npz(path, measure(network, images))
    return path


def main() -> None:
    """Command line: measure a network on training images."""
    args = parse("models.search.target")
    network = load_network(args.net)
    usual = args.images in (None, IMAGES) and args.seed == 1
    if not usual and not args.out:
        raise UserError(f"searches take a target of {IMAGES} images and seed 1; give another one its own file, --out")
    images = training_sample(network.dataset, args.images or IMAGES, args.seed, args.data, or_all=not args.images)
    arrays = measure(network, images, seed=args.seed)
    out = args.out or target_file(network, args.data)
    write_npz(out, arrays)
    values = np.arange(-128.0, 128.0)
    joint, coherent = arrays["joint"] / arrays["joint"].sum(), arrays["coherent"] / arrays["joint"].sum()
    p_a = joint.sum(1)
    alone = p_a @ values**2 - (p_a @ values) ** 2
    print(
        f"{out}: P(a=0) = {p_a[128]:.3f}; an error proportional to a counts {values @ coherent @ values / alone:.1f}x"
    )


if __name__ == "__main__":
    run_cli(main)
