"""Files of a replay: operands of a layer, which workers map into memory, and results of finished parts."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from common.errors import UserError
from models.mapping import Mapping
from models.quant.graph import Requant
from models.replay import Layer


@dataclass(frozen=True)
class StoredLayer:
    """A layer whose int8 arrays are files: `inputs` and `weights` are (path, SHA-256 of its bytes, shape)."""

    name: str
    inputs: tuple[str, str, tuple[int, ...]]
    weights: tuple[str, str, tuple[int, ...]]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    groups: int
    pad_value: int


@dataclass(frozen=True)
class Part:
    """What a worker does at once: some column sets of a layer, for some images and rows of windows.

    `tiles` limits it to single (set, K tile) pairs, of which results are only compared. `engine` holds
    bias, multiplier and shift int32 [O, 3] and lo, hi, zero point and rawness of a tile engine's results.
    """

    layer: StoredLayer
    array: tuple[int, int]
    pack: int
    window: tuple[int, int]
    sets: tuple[int, int]
    images: tuple[int, int]
    down: tuple[int, int]
    tiles: tuple[tuple[int, int], ...] | None = None
    engine: tuple[list, dict] | None = None
    cycles: int = 0  # about, for the progress

    def key(self, design: str) -> str:
        """Name of the result: the same part of the same operands on the same design has the same."""
        fields = asdict(self)
        for operand in ("inputs", "weights"):
            fields["layer"][operand] = fields["layer"][operand][1:]
        return hashlib.sha256(json.dumps([design, fields]).encode()).hexdigest()[:24]


@dataclass
class Done:
    """What a worker found of the part of that key: counts, and for every set its results [vectors, columns].

    `shares` counts [found, of how many]: "zero" activations (the layer's zero point), and bits that changed
    from one vector of a tile to the next: of "activations", of "results", of "products" (of some vectors).
    """

    part: str = ""
    tiles: int = 0
    cycles: int = 0
    macs: int = 0
    matches: int = 0
    mismatches: int = 0
    seconds: float = 0.0
    errors: list[str] | None = None
    results: dict[int, np.ndarray] | None = None
    shares: dict[str, list[int]] = field(default_factory=dict)

    def add(self, name: str, found: int, among: int) -> None:
        """Count into `shares`."""
        entry = self.shares.setdefault(name, [0, 0])
        entry[0] += int(found)
        entry[1] += int(among)


def kept_under(build: str, sources: dict[str, str], once: str) -> str:
    """What parts are kept for: a build, the code that cuts, checks and adds up, and, if it says something, `once`."""
    return json.dumps([build, sources, once])


def store_array(values: np.ndarray, folder: Path) -> tuple[str, str, tuple[int, ...]]:
    """Write an array, named after shape and content, unless it is there, or is a file already."""
    whole_file = isinstance(values, np.memmap) and values.offset + values.nbytes == Path(values.filename).stat().st_size
    kept = str(values.filename) if whole_file else ""
    values = np.ascontiguousarray(values)
    digest = hashlib.sha256(values.data).hexdigest()
    if kept:
        return kept, digest, values.shape
    path = folder / f"{digest[:24]}-{'x'.join(map(str, values.shape))}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.npy")
        np.save(temporary, values)
        temporary.replace(path)
    return str(path), digest, values.shape


def open_array(stored: tuple[str, str, tuple[int, ...]]) -> np.ndarray:
    """The array, mapped into memory; UserError if it is not what was stored."""
    path, digest, shape = stored
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"operands of a layer cannot be read from {path} ({error}); run again") from error
    if values.shape != tuple(shape) or hashlib.sha256(np.ascontiguousarray(values).data).hexdigest() != digest:
        raise UserError(f"operands of a layer in {path} are damaged (SHA-256 or shape); delete it and run again")
    return values


def store_layer(layer: Layer, folder: Path) -> StoredLayer:
    """Write the operands of a layer."""
    operands = store_array(layer.inputs, folder), store_array(layer.weights, folder)
    padding = tuple(int(p) for p in layer.padding)
    return StoredLayer(
        layer.name, *operands, tuple(map(int, layer.stride)), padding, int(layer.groups), int(layer.pad_value)
    )


def open_mapping(part: Part) -> Mapping:
    """The mapping that a part belongs to, operands mapped into memory."""
    stored = part.layer
    weights = open_array(stored.weights)
    bias = np.zeros(len(weights), np.int32)
    where = (stored.stride, stored.padding, stored.groups, stored.pad_value)
    layer = Layer(stored.name, open_array(stored.inputs), weights, bias, None, *where)
    try:
        assert all(layer.size)
    except UserError as error:
        raise UserError(f"layer {stored.name}: {error}") from error
    return Mapping(layer, *part.array, part.pack, part.window)


def save_done(done: Done, path: Path) -> None:
    """Keep the result of a part, whole or not at all."""
    counts = {k: v for k, v in asdict(done).items() if k != "results"}
    arrays = {f"set{index}": values for index, values in (done.results or {}).items()}
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(v).data for v in arrays.values())).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    np.savez(temporary, header=np.array(json.dumps(counts | {"sha256": digest})), **arrays)
    temporary.replace(path)


def load_done(path: Path) -> Done | None:
    """A result that was kept; None if there is none, or a damaged one: then the part is run again."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            counts = json.loads(str(archive["header"]))
            arrays = {name: archive[name] for name in archive.files if name != "header"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    digest = counts.pop("sha256")
    if hashlib.sha256(b"".join(np.ascontiguousarray(v).data for v in arrays.values())).hexdigest() != digest:
        return None
    return Done(**counts, results={int(name[3:]): values for name, values in arrays.items()})


def engine_words(bias: np.ndarray, requant: Requant | None) -> tuple[list, dict]:
    """What a part carries for a tile engine."""
    words = np.zeros((len(bias), 3), np.int64)
    words[:, 0], words[:, 2] = bias, 1
    clamp = {"raw": requant is None}
    if requant:
        if requant.rounding != "single":
            raise UserError(
                f"a tile engine rounds once, this network's requantisation is '{requant.rounding}'; "
                "import it with --rounding single, or replay without ENGINE=1"
            )
        words[:, 1], words[:, 2] = requant.multiplier, requant.shift
        clamp |= {k: int(getattr(requant, k)) for k in ("lo", "hi", "zero_point")}
    return words.tolist(), clamp
