"""A network made ready for an encoding: activations on its grid, weights rounded to it, then corrected or chosen.

Two ways are tried and the better on held-out training images is kept: correction alone (models/quant/correct.py),
and codes chosen for the products (models/quant/choose.py). Better is the smaller divergence of the classes'
probabilities from those of the exact network. A result is kept in build/chosen under a hash of everything it
depends on; an interrupted choice goes on with the first layer that is not done.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.store import digest as sources_digest
from models.emulate import TableEngine, exact_table
from models.multiplier import Products
from models.quant.checkpoint import digest, fingerprint, load_network, save_network
from models.quant.choose import CENTRE, Chosen, Levels, Settings, choose, divergence
from models.quant.correct import corrected_network, encoding_engine, offset_network
from models.quant.graph import QuantNetwork
from models.quant.grid import ignored_bits, on_grid

FOLDER = Path("build/chosen")
SAVE_SECONDS = 20.0
WAYS = ("corrected", "chosen")
MODELS = Path(__file__).parents[1]
CODE = ("quant", "emulate", "multiplier.py")  # of models: a change of it makes another result


@dataclass(frozen=True)
class Prepared:
    """`network` runs with `encoding_engine`: the better of `ways`, called `way`; `figures` are of held-out images."""

    network: QuantNetwork
    ways: dict[str, QuantNetwork]
    way: str
    figures: dict


def rounded_network(network: QuantNetwork, products: Products) -> QuantNetwork:
    """`network` on the grid of `products`' activations.

    If products are exact but for weights of fewer bits, that is linear in the activation, weights have the nearest
    of these; otherwise the codes stay.
    """
    bits = ignored_bits(products)
    network = on_grid(network, bits)
    levels = Levels.of(products.array_table)
    read = np.arange(-CENTRE, CENTRE, 1 << bits)
    slopes = (levels.products[-1 << bits] - levels.products[0]) / (read[-1] - read[0])
    if not np.array_equal(levels.products[:: 1 << bits], np.outer(read, slopes)):
        return network
    nearest = levels.codes[np.abs(slopes - np.arange(-CENTRE, CENTRE)[:, None]).argmin(1)].astype(np.int8)
    return network.with_nodes(
        {n.name: replace(n, weights=nearest[n.weights.astype(np.int16) + CENTRE]) for n in network.mac_nodes}
    )


def prepare(
    network: QuantNetwork,
    products: Products,
    images: np.ndarray,
    held_out: np.ndarray,
    ways: Sequence[str] = WAYS,
    rounds: int = 3,
    settings: Settings | None = None,
    label: str = "",
    folder: Path = FOLDER,
) -> Prepared:
    """`network` ready for `products`, by uint8 training `images` and `held_out` ones [N, C, H, W] that decide.

    `ways` are those that are tried: ("corrected",) leaves the codes as they are.
    """
    settings = settings or Settings()
    check_origin(network, products)
    started = time.perf_counter()
    rounded = rounded_network(network, products)
    parts = [fingerprint(network), products.sha256, json.dumps(asdict(settings)), str(rounds)]
    parts += [digest({"images": images, "held_out": held_out})]
    parts += [sources_digest(MODELS / name) for name in CODE]
    key = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    made = {}
    for way in ways:
        path = folder / f"{network.name}-{products.name}-{way}-{key[:16]}.npz"
        if found := _kept(path, key):
            made[way] = offset_network(found, products)
            continue
        if way == "corrected":
            made[way] = corrected_network(
                rounded, products, images, rounds, "gain", label and f"{label}, corrected", network
            )
        else:
            made[way] = _chosen(network, rounded, products, images, settings, path, key, label)
        save_network(_marked(offset_network(made[way], products, -1), network, products, way, key), path)
    way, figures = _better(network, made, products, held_out)
    figures |= {"key": key, "seconds": round(time.perf_counter() - started, 1)}
    return Prepared(made[way], made, way, figures)


def _kept(path: Path, key: str) -> QuantNetwork | None:
    """What an earlier run left in `path` under this key; a file that is damaged or another's is made anew."""
    if not path.exists():
        return None
    try:
        found = load_network(path)
        if found.provenance.get("prepared", {}).get("key") == key:
            return found
        print(f"{path} is of another run; it is made anew")
    except UserError as error:
        print(f"{error}; it is made anew")
    if path.is_dir():
        raise UserError(f"{path} is a folder; remove it")
    path.unlink()
    return None


def check_origin(network: QuantNetwork, products: Products) -> None:
    """UserError if `network` was made for an encoding: other products would find their weights wrong."""
    for made in (network.provenance.get("prepared"), network.provenance.get("finetuned")):
        if made and made.get("encoding_sha256") != products.sha256:
            raise UserError(
                f"network {network.name} has weights for {made['encoding']} ({made['encoding_sha256'][:12]}), not for "
                f"{products.name} ({products.sha256[:12]}); start from its base network {made['base']}"
            )


def _marked(network: QuantNetwork, base: QuantNetwork, products: Products, way: str, key: str) -> QuantNetwork:
    made = {"way": way, "encoding": products.name, "encoding_sha256": products.sha256, "key": key}
    return replace(
        network, provenance=base.provenance | {"prepared": made | {"base": base.name, "base_sha256": base.sha256}}
    )


def _chosen(
    network: QuantNetwork,
    rounded: QuantNetwork,
    products: Products,
    images: np.ndarray,
    settings: Settings,
    path: Path,
    key: str,
    label: str,
) -> QuantNetwork:
    """`choose`, from where an earlier run was interrupted."""
    partial = path.with_suffix(".part.npz")
    done, saved = Chosen(), time.monotonic()
    if found := _kept(partial, key):
        begun = found.provenance["prepared"]
        done.noise = {name: tuple(value) for name, value in begun["noise"].items()}
        done.still = dict(begun["still"])
        done.nodes = {name: found.node(name) for name in done.noise}

    def keep(done: Chosen) -> None:
        nonlocal saved
        if time.monotonic() - saved > SAVE_SECONDS:
            begun = {"prepared": {"key": key, "noise": done.noise, "still": done.still}}
            save_network(replace(rounded.with_nodes(done.nodes), provenance=begun), partial)
            saved = time.monotonic()

    result = choose(rounded, network, products, images, settings, done, keep, label and f"{label}, chosen")
    partial.unlink(missing_ok=True)
    still = [f"{name} ({count} of {len(network.node(name).bias)})" for name, count in done.still.items() if count]
    if still and label:
        print(
            f"{label}: sums of some channels never vary on these images, nothing is chosen by them: {', '.join(still)}"
        )
    return result


def _better(
    network: QuantNetwork, ways: dict[str, QuantNetwork], products: Products, images: np.ndarray
) -> tuple[str, dict]:
    """(the way with the smaller divergence on `images`, figures of all)."""

    def scores(network: QuantNetwork, engine: TableEngine) -> np.ndarray:
        result = np.concatenate(list(network.run_batches(images, engine))).reshape(len(images), -1)
        return result * network.nodes[-1].output_scale

    wanted = scores(network, TableEngine(exact_table(), threads=1))
    figures = {"held_out_images": len(images)}
    for way, one in ways.items():
        found = scores(one, encoding_engine(products, threads=1))
        same = float((found.argmax(1) == wanted.argmax(1)).mean())
        figures[way] = {"divergence": divergence(wanted, found), "same_class": same}
    return min(ways, key=lambda way: figures[way]["divergence"]), figures
