"""Tile archives of whole networks: `python -m models.archive --net NAME --images N --out FOLDER`.

A folder of arrays that are mapped into memory, never read whole.

`archive.json` names the network and, for each layer, its shape and files (`.npy`): the exact int8 inputs of
all images, weights, bias, requantisation, and the results that the network got. Images go through the
network some at a time and are written as they come. Tiles are cut from the inputs when they are run
(models/mapping.py): cut and kept they would take several times the space, and fit one array only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.errors import UserError, run_cli
from common.files import alone, scratch, settle, write_text
from common.store import file_sha256
from models.datasets import load_dataset
from models.emulate import ExactEngine
from models.quant.checkpoint import load_network
from models.quant.graph import MacNode, QuantNetwork
from models.replay import Capture, Layer, layer_entry, layer_from, layer_of, load_capture
from tools.options import parse

FORMAT = "encmac-operands/1"
HEADER = "archive.json"
BATCH = 8  # images in the network at a time


class Layers(Mapping):
    """Layers of an archive by name; each is checked and mapped when it is asked for."""

    def __init__(self, folder: Path, entries: dict[str, dict]) -> None:
        self._folder, self._entries = folder, entries
        self._checked: set[str] = set()

    def __getitem__(self, name: str) -> Layer:
        entry = self._entries[name]
        try:
            arrays = {f"{name}/{field}": self._open(name, *stored) for field, stored in entry["files"].items()}
            layer = replace(layer_from(name, entry, arrays), results=arrays[f"{name}/results"])
            kind = np.int32 if layer.requant is None else np.int8
            if list(layer.results.shape) != entry["output"] or layer.results.dtype != kind:
                raise ValueError(
                    f"layer {name}: results are {layer.results.dtype} {layer.results.shape}, the layer gives "
                    f"{np.dtype(kind)} {tuple(entry['output'])}"
                )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{self._folder}: malformed tile archive ({error}); capture it again") from error
        return layer

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _open(self, layer: str, name: str, sha256: str) -> np.ndarray:
        path = self._folder / Path(name).name
        try:
            if name not in self._checked and file_sha256(path) != sha256:
                raise UserError(f"layer {layer}: {path} is damaged (SHA-256); capture the archive again")
            self._checked.add(name)
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"layer {layer}: {path} cannot be read ({error}); capture the archive again") from error


def record(
    network: QuantNetwork,
    images: np.ndarray,
    folder: Path,
    layers: list[str] | None = None,
    provenance: dict | None = None,
    quiet: bool = True,
) -> None:
    """Run `network` on uint8 `images` [N, C, H, W] and write the archive `folder`, whole or not at all."""
    if folder.exists():
        raise UserError(f"{folder} is there already; delete it, or choose another folder")
    wanted = [network.node(name).name for name in layers] if layers else [n.name for n in network.mac_nodes]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder.with_name(f".{folder.name}.lock")), scratch(folder.parent) as parent:
        made = parent / "made"
        made.mkdir()
        _record(network, images, made, wanted, provenance, quiet)
        settle(made, folder)


def _record(
    network: QuantNetwork, images: np.ndarray, made: Path, wanted: list[str], provenance: dict | None, quiet: bool
) -> None:
    engine, entries = ExactEngine(), {}
    maps: dict[str, dict[str, np.ndarray]] = {}
    first = 0

    def keep(node: MacNode, x: np.ndarray) -> None:
        if node.name not in wanted:
            return
        values = {"inputs": layer_of(node, x).inputs, "results": node(x, engine)}
        if values["results"].ndim == 2:
            values["results"] = values["results"][:, :, None, None]
        if node.name not in maps:
            stem = f"{len(maps):03d}"
            maps[node.name] = {
                field: np.lib.format.open_memmap(
                    made / f"{stem}.{field}.npy", "w+", some.dtype, (len(images), *some.shape[1:])
                )
                for field, some in values.items()
            }
            fixed, entries[node.name] = layer_entry(layer_of(node, x))
            for field, array in fixed.items():
                np.save(made / f"{stem}.{field}.npy", array)
            entries[node.name]["output"][0] = len(images)
            entries[node.name]["files"] = {field: f"{stem}.{field}.npy" for field in (*fixed, *values)}
        for field, some in values.items():
            maps[node.name][field][first : first + len(some)] = some

    for first in tqdm(range(0, len(images), BATCH), desc="images", disable=True if quiet else None, leave=False):
        network.run(images[first : first + BATCH], engine, keep)
    for members in maps.values():
        for values in members.values():
            values.flush()
    maps.clear()
    for entry in entries.values():
        entry["files"] = {field: [name, file_sha256(made / name)] for field, name in entry["files"].items()}
    header = {"format": FORMAT, "network": network.name, "network_sha256": network.sha256}
    header |= {"images": len(images), "layers": entries, "provenance": provenance or {}}
    write_text(made / HEADER, json.dumps(header, indent=1) + "\n")


def open_capture(path: str | Path) -> Capture:
    """A tile archive: a folder that `record` wrote, or a file of a few layers (models/replay.py)."""
    folder = Path(path)
    if not folder.is_dir():
        return load_capture(folder)
    try:
        header = json.loads((folder / HEADER).read_text())
        if header.get("format") != FORMAT:
            raise ValueError(f"format {header.get('format')!r}, expected '{FORMAT}'")
        if not header["layers"]:
            raise ValueError("no layers")
        layers = Layers(folder, dict(header["layers"]))
        return Capture(header["network"], header["network_sha256"], layers, header["provenance"])
    except FileNotFoundError as error:
        raise UserError(f"{folder} is no tile archive: it has no {HEADER}") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder}: malformed tile archive ({error}); capture it again") from error


def main() -> None:
    """Command line: capture a network on images of its test set."""
    args = parse("models.archive")
    network = load_network(args.net)
    images = load_dataset(network.dataset, "test", args.data).images
    if not 1 <= args.images <= len(images):
        raise UserError(f"--images {args.images}: there are 1..{len(images)}")
    layers = args.layers.split(",") if args.layers else None
    provenance = {"net": args.net, "split": "test", "first_image": 0}
    record(network, images[: args.images], args.out, layers, provenance, args.quiet)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f"{args.out}: {len(open_capture(args.out).layers)} layers, {args.images} images, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_cli(main)
