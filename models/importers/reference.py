"""Encodings that the public code of EncodingNet saved, as our JSON.

Two kinds of files are read, each as a pickle or as a torch file:

- what its search keeps (`running_info`): the champion is a Cartesian genome (Happy Algorithms League's `cgp`), a list
  of genes, beside the outputs chosen as product bits;
- what its fine-tuning reads (`searched_info`): the product bits of all 65,536 operand pairs and their position weights,
  with the gates (`OP_info`) or without; without them, gates are found by trying up to two levels over the operand bits.

Inputs 0..7 there are the activation's bits, the highest first, 8..15 the weight's. Nothing in a file is executed:
classes and functions that it names are replaced by empty ones. Position weights are solved for, by least squares over
all operand pairs as that code does, and rounded to integers; the constant one among the outputs is our offset.
"""

from __future__ import annotations

import io
import itertools
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np

from common.errors import UserError
from models.encoding import GATES, OPERAND_WIRES, UNARY, Encoding, Gate

OPERANDS = np.arange(-128, 128)
PRODUCTS = np.multiply.outer(OPERANDS, OPERANDS).reshape(-1).astype(np.float64)
UNIT = 1 << 14  # their position weights are in units of the largest product
KINDS = {"NAND2": "nand", "NOR2": "nor", "XNOR2": "xnor", "AND2": "and", "OR2": "or", "XOR2": "xor"}
KINDS |= {"NOT": "not", "Identity": "buf"}
# what a gate is called in OP_info
FORMULAS = {
    "x_0": "buf",
    "torch.logical_not(x_0)": "not",
    "torch.logical_and(x_0, x_1)": "and",
    "torch.logical_or(x_0, x_1)": "or",
    "torch.logical_xor(x_0, x_1)": "xor",
    "torch.logical_not(torch.logical_and(x_0, x_1))": "nand",
    "torch.logical_not(torch.logical_or(x_0, x_1))": "nor",
    "torch.logical_not(torch.logical_xor(x_0, x_1))": "xnor",
}


def read_reference(path: str | Path, name: str) -> Encoding:
    """The encoding in `path`; UserError if the file is damaged or holds something else."""
    found = _load(Path(path))
    try:
        bits, made = _bits(found, Path(path))
        return _encoding(name, bits, made, Path(path))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is no genome or encoding of EncodingNet's code ({error!r})") from error


# ---- files


class _Empty:
    """What stands for any class or function that a file names: it holds state and does nothing."""

    def __init__(self, *values: object) -> None:
        self.values = values

    def __setstate__(self, state: object) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update(part)

    def __setitem__(self, key: object, value: object) -> None:
        self.__dict__.setdefault("items", {})[key] = value

    def append(self, value: object) -> None:
        """Lists of other classes are not needed."""

    def extend(self, values: object) -> None:
        """The same."""


class _Unpickler(pickle.Unpickler):
    """Reads plain values, arrays and tensors; everything else becomes an empty object of that name."""

    def find_class(self, module: str, name: str) -> object:
        """The class called `name`: a harmless one."""
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray"):
            return {
                "ndarray": np.ndarray,
                "dtype": np.dtype,
                "_reconstruct": np._core.multiarray._reconstruct,
                "scalar": np._core.multiarray.scalar,
            }.get(name) or type(name, (_Empty,), {})
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _storage
        return type(name, (_Empty,), {})


def _tensor(storage: object, offset: int, size: tuple, stride: tuple, *rest: object) -> np.ndarray:
    """A torch tensor as an array."""
    flat = np.asarray(storage)
    strides = tuple(s * flat.itemsize for s in stride)
    if offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True) if n) >= max(1, len(flat)):
        raise ValueError("a tensor is larger than its storage")
    return np.lib.stride_tricks.as_strided(flat[offset:], size, strides).copy()


def _storage(content: bytes) -> np.ndarray:
    """A torch storage as an array: torch reads only tensors and numbers here."""
    import torch

    found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return torch.tensor([], dtype=found.dtype).set_(found._untyped_storage).numpy()


def _load(path: Path) -> object:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path} ({(error.strerror or str(error)).lower()})") from error
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            import torch

            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return _Unpickler(io.BytesIO(content)).load()
    except Exception as error:  # a pickle can fail in any way
        text = str(error).splitlines() or [type(error).__name__]
        raise UserError(f"{path} is damaged, or holds more than genomes and tensors ({text[0][:200]})") from error


# ---- what is in them


def _bits(found: object, path: Path) -> tuple[list, dict]:
    """Product bits as (position weight or None, how it is made), and what the file says of itself."""
    if isinstance(found, (list, tuple)) and found and isinstance(found[0], dict):
        found = found[0]
    if isinstance(found, dict) and "output code of product" in found:
        return _searched(found), {"kind": "searched_info"}
    champion = found.get("pop.champion") if isinstance(found, dict) else found
    if champion is None and isinstance(found, dict) and found.get("pop.parents"):
        champion = found["pop.parents"][0]
    genome = getattr(champion, "genome", getattr(champion, "_genome", None))
    if genome is None:
        raise UserError(f"{path} holds neither a champion of a search nor searched_info")
    parameters = found.get("genome_params", {}) if isinstance(found, dict) else {}
    about = {"kind": "running_info"}
    if isinstance(found, dict) and isinstance(found.get("pop.generation"), int):
        about["generation"] = found["pop.generation"]
    return _champion(champion, genome, parameters), about


def _champion(champion: object, genome: object, parameters: dict) -> list:
    """Outputs of a Cartesian genome: (None, ("wire", w) or ("one",) or (kind, x, y) over such)."""
    held = getattr(getattr(genome, "_primitives", None), "_primitives", None) or parameters["primitives"]
    primitives = list(held.values()) if isinstance(held, dict) else list(held)
    kinds = [KINDS[p.__name__] for p in primitives]
    dna, inputs = [int(g) for g in genome._dna], int(genome._n_inputs)
    hidden, outputs = int(genome._n_columns) * int(genome._n_rows), int(genome._n_outputs)
    length = len(dna) // (inputs + hidden + outputs)
    if inputs != OPERAND_WIRES or length * (inputs + hidden + outputs) != len(dna):
        raise UserError(f"the genome has {inputs} inputs and {len(dna)} genes; two operands of 8 bits are expected")
    made: list = [("wire", _wire(k)) for k in range(inputs)]
    for region in range(inputs, inputs + hidden):
        kind, x, *y = dna[region * length : (region + 1) * length]
        operands = [x, *y[:1]]
        unary = kinds[kind] in UNARY
        if any(not 0 <= o < region for o in operands[: 1 if unary else 2]):
            raise UserError(f"node {region} of the genome reads {operands}; nodes before it are expected")
        made.append(made[x] if kinds[kind] == "buf" else (kinds[kind], made[x], made[x] if unary else made[y[0]]))
    ends = [dna[(inputs + hidden + k) * length + 1] for k in range(outputs)]
    chosen = getattr(champion, "custom_attr_valid_output_bits", range(outputs))
    return [(None, ("one",) if int(k) == outputs else made[ends[int(k)]]) for k in chosen]


def _wire(k: int) -> int:
    """Our wire of their input `k`: highest bits come first there."""
    return 7 - k if k < 8 else 23 - k


def _searched(info: dict) -> list:
    """Product bits of searched_info, by their gates or by their values."""
    codes = np.asarray(info["output code of product"]).astype(bool).reshape(-1, len(PRODUCTS))
    weights = np.asarray(info["digit-weight of product code"], np.float64).ravel() * UNIT
    if len(weights) != len(codes):
        raise UserError(f"the file has {len(codes)} product bits and {len(weights)} position weights")
    known = info.get("OP_info") or [None] * len(codes)
    found = []
    for code, weight, gate in zip(codes, weights, known, strict=True):
        if gate is None:
            found.append((weight, _found(code)))
        elif gate["i"] is None:
            found.append((weight, ("one",)))
        else:
            x, y = (("wire", _wire(int(gate[k]))) for k in "ij")
            kind = FORMULAS[gate["f_str"]]
            found.append((weight, x if kind == "buf" else (kind, x, y)))
    return found


def _found(code: np.ndarray) -> tuple:
    """Gates, at most two levels of them, that make a product bit bool [65536]."""
    if code.all():
        return ("one",)
    cube = code.reshape([2] * OPERAND_WIRES)  # axes: bits from the highest, activation first, sign bits inverted
    cube = np.flip(cube, (0, 8))
    axes = [k for k in range(OPERAND_WIRES) if (np.take(cube, 0, k) != np.take(cube, 1, k)).any()]
    if not 1 <= len(axes) <= 4:
        raise UserError(f"a product bit depends on {len(axes)} operand bits; gates of two levels read 1 to 4")
    others = tuple(0 if k not in axes else slice(None) for k in range(OPERAND_WIRES))
    wanted = cube[others].ravel()
    one = [("wire", _wire(k)) for k in axes]
    grid = np.meshgrid(*[[False, True]] * len(axes), indexing="ij")
    level = {tuple(g.ravel()): wire for g, wire in zip(grid, one, strict=True)}
    for _ in range(3):
        if tuple(wanted) in level:
            return level[tuple(wanted)]
        before = list(level.items())
        for (a, x), (b, y) in itertools.product(before, before):
            for kind, function in GATES.items():
                if kind == "buf":
                    continue
                value = tuple(np.asarray(function(np.array(a, int), np.array(b, int)), bool))
                level.setdefault(value, (kind, x, y))
    raise UserError("a product bit is not made by gates of two levels")


# ---- the encoding


def _encoding(name: str, bits: list, about: dict, path: Path) -> Encoding:
    gates: list[Gate] = []
    wires: dict[tuple, int] = {}

    def wire(made: tuple) -> int:
        if made[0] == "wire":
            return made[1]
        if made not in wires:
            x, y = wire(made[1]), wire(made[2])
            gates.append(Gate(made[0], x, y))
            wires[made] = OPERAND_WIRES + len(gates) - 1
        return wires[made]

    ends = [None if made == ("one",) else wire(made) for _, made in bits]
    given = [weight for weight, _ in bits]
    places = sorted({w for w in ends if w is not None})
    values = _values(gates)
    if all(weight is None for weight in given):
        solved = _solved(np.stack([*(values[w] for w in places), np.ones(len(PRODUCTS))]))
        offset, weights = solved[-1], dict(zip(places, solved[:-1], strict=True))
    else:
        offset = sum(w for w, end in zip(given, ends, strict=True) if end is None)
        weights = {p: sum(w for w, end in zip(given, ends, strict=True) if end == p) for p in places}
    rounded = {p: round(float(w)) for p, w in weights.items() if round(float(w))}
    return Encoding(
        name=name,
        description=f"from EncodingNet's code: {about['kind']}",
        gates=tuple(gates),
        bits=tuple(rounded),
        weights=tuple(rounded.values()),
        offset=round(float(offset)),
        provenance={"imported": {"file": path.name} | about},
    )


def _values(gates: list[Gate]) -> list[np.ndarray]:
    """float64 [65536] of every wire, activation outer."""
    a, w = (v.reshape(-1) for v in np.meshgrid(OPERANDS, OPERANDS, indexing="ij"))
    values = [((v >> k) & 1) for v in (a, w) for k in range(8)]
    for gate in gates:
        values.append(GATES[gate.op](values[gate.x], values[gate.y]))
    return [v.astype(np.float64) for v in values]


def _solved(codes: np.ndarray) -> np.ndarray:
    """Position weights float64 [M] whose products of `codes` [M, 65536] are nearest to the exact ones."""
    return np.linalg.lstsq(codes @ codes.T, codes @ PRODUCTS, rcond=None)[0]


def encoding_name(stem: str) -> str:
    """A name that an encoding may have, like a file's."""
    return re.sub(r"[^a-z0-9_]+", "_", stem.lower()).strip("_0123456789") or "reference"
