"""Checkpoints of integer networks: one compressed npz, arrays plus a JSON header.

Array `header` holds UTF-8 JSON: format, name, dataset, mean, std, input_scale, nodes (all scalar
fields, in order), provenance, and `arrays_sha256`, a digest of all other arrays. Arrays are named
`<node>/<field>`. Everything is checked on reading; a file that fails is named in a UserError.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import UserError, unknown
from common.files import NO_ARRAYS, first_line
from models.quant.arith import INT8_MAX, INT8_MIN, MAX_SHIFT, MIN_SHIFT, ROUNDINGS
from models.quant.graph import INPUT, Conv, Linear, Node, QuantNetwork
from models.quant.nodes import (
    Add,
    Flatten,
    GlobalAveragePool,
    Lookup,
    Multiply,
    Pad,
    Pixels,
    Pool,
    Repeat,
    Requant,
    Rescale,
    Rows,
    Spread,
    SubsamplePad,
    TfliteAdd,
)
from models.quant.runtime import Runtime

FORMAT = "encmac-network/1"
ZOO = Path(__file__).parent.parent / "zoo"
MAX_GRID = 6  # results are multiples of 2**grid
OWN = Path("build/networks")  # what a user quantises; not of the zoo
FINETUNED = Path("build/finetuned")  # and fine-tunes
_KINDS = {
    "conv": Conv,
    "linear": Linear,
    "add": Add,
    "tflite_add": TfliteAdd,
    "multiply": Multiply,
    "lookup": Lookup,
    "subsample_pad": SubsamplePad,
    "average_pool": GlobalAveragePool,
    "pool": Pool,
    "pad": Pad,
    "spread": Spread,
    "pixels": Pixels,
    "repeat": Repeat,
    "rows": Rows,
    "flatten": Flatten,
    "rescale": Rescale,
    "runtime": Runtime,
}
_DTYPES = {
    "weights": np.int8,
    "bias": np.int32,
    "multiplier": np.int32,
    "shift": np.int32,
    "weight_scale": np.float64,
    "table": np.int8,
    "model": np.uint8,
}


def write_npz(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a compressed npz whole or not at all (temporary file, then rename); same arrays, same bytes."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    temporary.replace(path)


def read_npz(path: str | Path, what: str) -> tuple[dict[str, np.ndarray], str]:
    """All arrays of an npz file and the file's SHA-256; `what` it should be is named in errors."""
    path = Path(path)
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise ValueError("a bare array")
            arrays = {key: archive[key] for key in archive.files}
    except FileNotFoundError as error:
        raise UserError(f"no {what} at {path}") from error
    except OSError as error:
        raise UserError(f"cannot read {what} {path} ({error.strerror or first_line(error)})") from error
    except NO_ARRAYS as error:
        raise UserError(f"{path} is damaged or no {what} ({first_line(error)}); make it again") from error
    return arrays, hashlib.sha256(content).hexdigest()


def read_header(arrays: dict[str, np.ndarray], expected: str, path: str | Path) -> dict:
    """Take the JSON header out of `arrays` and check its `format` and the digest of the other arrays."""
    try:
        header = json.loads(bytes(arrays.pop("header")).decode())
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: no JSON header; it is no '{expected}' file") from error
    if not isinstance(header, dict) or header.get("format") != expected:
        found = header.get("format") if isinstance(header, dict) else None
        raise UserError(f"{path}: format is {found!r}, expected '{expected}'; make it again with this version")
    if header.get("arrays_sha256") != digest(arrays):
        raise UserError(f"{path}: contents do not match the checksum inside; the file is damaged, make it again")
    return header


def pack_header(header: dict, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The JSON header with the digest of `arrays`, as uint8 array."""
    text = json.dumps(header | {"arrays_sha256": digest(arrays)}, indent=1)
    return np.frombuffer(text.encode(), np.uint8)


def digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and contents of `arrays`."""
    total = hashlib.sha256()
    for key in sorted(arrays):
        value = np.ascontiguousarray(arrays[key])
        total.update(f"{key} {value.dtype.str} {value.shape}".encode())
        total.update(value.tobytes())
    return total.hexdigest()


def save_network(network: QuantNetwork, path: str | Path) -> str:
    """Write the checkpoint; returns the SHA-256 of the file."""
    header, arrays = _contents(network)
    header |= {"provenance": network.provenance}
    write_npz(path, {"header": pack_header(header, arrays)} | arrays)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def fingerprint(network: QuantNetwork) -> str:
    """SHA-256 of all that the network computes with: the same for two that give the same results."""
    header, arrays = _contents(network)
    return hashlib.sha256((json.dumps(header) + digest(arrays)).encode()).hexdigest()


def _contents(network: QuantNetwork) -> tuple[dict, dict[str, np.ndarray]]:
    """Header, without provenance, and arrays of a checkpoint."""
    arrays: dict[str, np.ndarray] = {}
    nodes = []
    for node in network.nodes:
        kind = next(k for k, v in _KINDS.items() if isinstance(node, v))
        nodes.append({"kind": kind} | _node_fields(node, node.name, arrays))
    header = {
        "format": FORMAT,
        "name": network.name,
        "dataset": network.dataset,
        "mean": list(network.mean),
        "std": list(network.std),
        "input_scale": network.input_scale,
        "input_zero_point": network.input_zero_point,
        "first_class": network.first_class,
        "input_grid": network.input_grid,
        "nodes": nodes,
    }
    return header, arrays


def load_network(name: str | Path) -> QuantNetwork:
    """A network of the zoo or of OWN by name, or any checkpoint by the path of its npz file."""
    path = Path(name) if str(name).endswith(".npz") else ZOO / f"{name}.npz"
    if path.parent == ZOO and not path.exists():
        path = OWN / path.name
    if path.parent == OWN and not path.exists():
        known = [p.stem for p in (*ZOO.glob("*.npz"), *OWN.glob("*.npz")) if not p.stem.startswith("tiles_")]
        raise unknown("network", str(name), known, ", or a checkpoint: mine.npz")
    arrays, sha256 = read_npz(path, "network checkpoint")
    header = read_header(arrays, FORMAT, path)
    try:
        nodes = tuple(_build_node(dict(entry), arrays) for entry in header["nodes"])
        network = QuantNetwork(
            name=header["name"],
            dataset=header["dataset"],
            mean=tuple(header["mean"]),
            std=tuple(header["std"]),
            input_scale=header["input_scale"],
            nodes=nodes,
            provenance=header["provenance"],
            sha256=sha256,
            input_zero_point=header.get("input_zero_point", 0),
            first_class=header.get("first_class", 0),
            input_grid=header.get("input_grid", 0),
        )
        validate(network)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: malformed network ({error}); make it again") from error
    return network


def validate(network: QuantNetwork) -> None:
    """Raise ValueError if a number is not finite, a shape disagrees, or a node reads an unknown tensor."""
    for owner in (network, *network.nodes, *filter(None, (getattr(n, "requant", None) for n in network.nodes))):
        check_whole(owner)
    scales = [network.input_scale, *network.mean, *network.std]
    if not all(math.isfinite(s) for s in scales) or min(network.input_scale, *network.std) <= 0:
        raise ValueError("input scale, mean and std must be finite, scale and std positive")
    if len(network.mean) != len(network.std) or not network.nodes:
        raise ValueError("mean and std differ in length, or there are no nodes")
    _validate_codes(network)
    known = {INPUT}
    for node in network.nodes:
        if missing := [s for s in node.sources if s not in known]:
            raise ValueError(f"node {node.name} reads '{missing[0]}', which no earlier node makes")
        if node.name in known:
            raise ValueError(f"two nodes are called '{node.name}'")
        known.add(node.name)
        if not math.isfinite(node.output_scale) or node.output_scale <= 0:
            raise ValueError(f"node {node.name}: output scale {node.output_scale}")
        _validate_codes(node)
        if isinstance(node, Conv | Linear):
            _validate_mac(node)
        if isinstance(node, Add | TfliteAdd):
            shifts = (node.shift,) if isinstance(node, Add) else node.shifts
            if not (min(shifts) >= MIN_SHIFT and max(shifts) <= MAX_SHIFT and min(node.multipliers) >= 0):
                raise ValueError(f"node {node.name}: shifts {shifts}, multipliers {node.multipliers}")
        if isinstance(node, Add | TfliteAdd | Pool) and not (
            INT8_MIN <= node.lo <= node.hi <= INT8_MAX and 0 <= node.grid <= MAX_GRID
        ):
            raise ValueError(f"node {node.name}: clamp {node.lo}..{node.hi}, grid {node.grid}; 0..{MAX_GRID}")
        if isinstance(node, Rescale):
            validate_requant(node.name, Requant(node.multiplier, node.shift), len(node.multiplier))
        if isinstance(node, Lookup) and node.table.shape != (256,):
            raise ValueError(f"node {node.name}: table has shape {node.table.shape}")
        if isinstance(node, Pool) and (node.reduction not in ("max", "average") or min(*node.kernel, *node.stride) < 1):
            raise ValueError(f"node {node.name}: pool '{node.reduction}' of {node.kernel}, stride {node.stride}")
        requant = getattr(node, "requant", None)
        if requant is not None:
            validate_requant(node.name, requant, len(node.bias) if hasattr(node, "bias") else 1)


def check_whole(owner: Any) -> None:
    """Raise ValueError if a field of a dataclass that is annotated with `int`, or a tuple of them, holds anything else.

    JSON does not tell 2.0 from 2: slices and shapes refuse the first, kernels in C++ would cut 1.5.
    """
    for f in fields(owner):
        if re.match(r"int\b|tuple\[int\b", kind := str(f.type)):
            value = getattr(owner, f.name)
            several = isinstance(value, tuple | list)
            fixed = several and "..." not in kind
            if several != kind.startswith("tuple") or (fixed and len(value) != kind.count("int")):
                raise ValueError(f"{getattr(owner, 'name', 'requant')}: {f.name} is {value}; it should be {kind}")
            for number in value if several else (value,):
                if isinstance(number, bool) or not isinstance(number, int | np.integer):
                    who = getattr(owner, "name", "requant")
                    raise ValueError(f"{who}: {f.name} is {value}; whole numbers expected")


def _validate_codes(owner: Node | QuantNetwork) -> None:
    """Zero points and the value that a node pads with are codes of int8 tensors: kernels rely on it."""
    parts = (owner, getattr(owner, "requant", None))
    found = [getattr(part, name, 0) for part in parts for name in ("input_zero_point", "zero_point", "value")]
    for code in (*found, *getattr(owner, "input_zero_points", ())):
        if not isinstance(code, int | np.integer) or not INT8_MIN <= code <= INT8_MAX:
            raise ValueError(f"{owner.name}: zero point or padding {code}; a code is {INT8_MIN}..{INT8_MAX}")


def _validate_mac(node: Conv | Linear) -> None:
    outputs = node.weights.shape[0]
    if node.weights.ndim != (4 if isinstance(node, Conv) else 2) or 0 in node.weights.shape:
        raise ValueError(f"layer {node.name}: weights have shape {node.weights.shape}")
    if node.bias.shape != (outputs,) or node.weight_scale.shape != (outputs,):
        raise ValueError(f"layer {node.name}: {outputs} outputs, bias {node.bias.shape}")
    if not np.isfinite(node.weight_scale).all() or node.weight_scale.min() <= 0:
        raise ValueError(f"layer {node.name}: weight scales must be finite and positive")
    if isinstance(node, Conv):
        if len(node.padding) != 4 or len(node.stride) != 2 or min(node.padding) < 0 or min(node.stride) < 1:
            raise ValueError(f"layer {node.name}: stride {node.stride}, padding {node.padding}")
        if node.groups < 1 or outputs % node.groups:
            raise ValueError(f"layer {node.name}: {outputs} outputs in {node.groups} groups")


def validate_requant(name: str, requant: Requant, outputs: int) -> None:
    """Raise ValueError if a requantiser of `outputs` channels cannot be."""
    for array in (requant.multiplier, requant.shift):
        if array.dtype != np.int32:
            raise ValueError(f"node {name}: multiplier or shift is {array.dtype}; int32 expected")
    if not 0 <= requant.grid <= MAX_GRID:
        raise ValueError(f"node {name}: grid {requant.grid}; 0..{MAX_GRID} are possible")
    if requant.multiplier.shape != requant.shift.shape or requant.multiplier.shape not in ((1,), (outputs,)):
        raise ValueError(f"node {name}: {requant.multiplier.shape} multipliers, {requant.shift.shape} shifts")
    if (
        requant.multiplier.min() < 0
        or requant.shift.min() < MIN_SHIFT
        or requant.shift.max() + requant.grid > MAX_SHIFT
    ):
        raise ValueError(f"node {name}: negative multiplier, or shift outside {MIN_SHIFT}..{MAX_SHIFT}")
    if not INT8_MIN <= requant.lo <= requant.hi <= INT8_MAX:
        raise ValueError(f"node {name}: clamp {requant.lo}..{requant.hi}")
    if requant.rounding not in ROUNDINGS:
        raise ValueError(f"node {name}: rounding '{requant.rounding}'; known: {', '.join(ROUNDINGS)}")


def _node_fields(node: Node | Requant, prefix: str, arrays: dict[str, np.ndarray]) -> dict:
    """JSON fields of a node; arrays go to `arrays` under `<prefix>/<field>`."""
    out: dict = {}
    for f in fields(node):
        value = getattr(node, f.name)
        if isinstance(value, np.ndarray):
            arrays[f"{prefix}/{f.name}"] = value.astype(_DTYPES[f.name], casting="same_kind", copy=False)
        elif isinstance(value, Requant):
            out[f.name] = _node_fields(value, prefix, arrays)
        else:
            out[f.name] = value
    return out


def _build_node(entry: dict, arrays: dict[str, np.ndarray]) -> Node:
    kind = _KINDS[entry.pop("kind")]
    name = entry["name"]

    def array(key: str) -> np.ndarray:
        value = arrays[f"{name}/{key}"]
        if value.dtype != _DTYPES[key]:
            raise ValueError(f"{name}/{key} is {value.dtype}, expected {np.dtype(_DTYPES[key])}")
        return value

    if isinstance(entry.get("requant"), dict):
        entry["requant"] = Requant(multiplier=array("multiplier"), shift=array("shift"), **entry["requant"])
    keys = ("multiplier", "shift") if kind is Rescale else ("weights", "bias", "weight_scale", "table", "model")
    for key in keys:
        if key in kind.__dataclass_fields__:
            entry[key] = array(key)
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
