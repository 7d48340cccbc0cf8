"""Encodings: product bits made by a few gates, and the integer position weight of each bit.

An encoding stands for an 8-bit by 8-bit signed product (EncodingNet, arXiv 2402.18595, section III):

    P(a, w) = sum_m s[m] * b[m](a, w) + offset

A column of R rows counts the bits of each position, `cnt[m] = sum_r b[m](a[r], w[r])`, and applies
the position weights once: `y = sum_m s[m] * cnt[m]`. The offset is a constant per row; it never
enters the array, a network adds `rows * offset` with the bias.

Wires are numbered: 0..7 are the bits of the activation `a` (two's complement, 0 the lowest), 8..15
those of the weight `w`, 16 + g is the output of gate g. A gate reads wires with smaller numbers.
"""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from models.errors import UserError

FORMAT = "encmac-encoding/1"
LIBRARY = Path(__file__).parent / "encodings"
PACKAGES = Path(__file__).parent.parent / "rtl" / "encodings"
OPERAND_WIRES = 16
MAX_GATES = 4096
MAX_BITS = 256
WEIGHT_LIMIT = 1 << 15  # position weights are signed 16-bit integers
PRODUCT_LIMIT = 1 << 15  # so is every product

# Gate types in the order of their codes in SystemVerilog (rtl/encmac_pkg.sv).
GATES = {
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y,
    "nand": lambda x, y: 1 - (x & y),
    "nor": lambda x, y: 1 - (x | y),
    "xnor": lambda x, y: 1 - (x ^ y),
    "andnot": lambda x, y: x & (1 - y),
    "ornot": lambda x, y: x | (1 - y),
    "not": lambda x, _: 1 - x,
    "buf": lambda x, _: x,
}


@dataclass(frozen=True)
class Gate:
    """One gate: its type (a key of `GATES`) and the wires it reads (`not` and `buf` ignore `y`)."""

    op: str
    x: int
    y: int


@dataclass(frozen=True)
class Digit:
    """One signed power of two in a position weight: `sign * 2**shift` of product bit `bit`."""

    bit: int
    shift: int
    sign: int


@dataclass(frozen=True)
class Encoding:
    """Gates, the wire of each product bit, the position weight of each product bit, an offset.

    Raises UserError on construction if a field breaks the rules in the module's text.
    """

    name: str
    gates: tuple[Gate, ...]
    bits: tuple[int, ...]
    weights: tuple[int, ...]
    offset: int = 0
    description: str = ""
    provenance: dict = field(default_factory=dict, compare=False)
    figures: dict = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        self._validate()

    @property
    def m(self) -> int:
        """Number of product bits, M."""
        return len(self.bits)

    def wires(self, a: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
        """Value of every wire for int8 operands `a`, `w` (any shapes that broadcast): uint8, 0 or 1."""
        a, w = np.broadcast_arrays(np.asarray(a), np.asarray(w))
        wires = [((v >> i) & 1).astype(np.uint8) for v in (a, w) for i in range(8)]
        for gate in self.gates:
            wires.append(GATES[gate.op](wires[gate.x], wires[gate.y]).astype(np.uint8))
        return wires

    def product_bits(self, a: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Product bits b, uint8 [..., M], of int8 operands that broadcast to [...]."""
        wires = self.wires(a, w)
        return np.stack([wires[i] for i in self.bits], axis=-1)

    def counts(self, a: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Per-position counts of a column, int64 [..., M]: `a` int8 [..., R], `w` int8 [R]."""
        return self.product_bits(a, w).sum(axis=-2, dtype=np.int64)

    @cached_property
    def array_table(self) -> np.ndarray:
        """What one row adds to a column, `sum_m s[m] b[m]`: int32 [256, 256], index [a + 128, w + 128]."""
        operands = np.arange(-128, 128)
        wires = self.wires(operands[:, None], operands[None, :])
        table = np.zeros((256, 256), np.int32)
        for wire, weight in zip(self.bits, self.weights, strict=True):
            table += weight * wires[wire].astype(np.int32)
        table.flags.writeable = False
        return table

    @cached_property
    def product_table(self) -> np.ndarray:
        """P(a, w) with the offset: int32 [256, 256], index [a + 128, w + 128]."""
        table = self.array_table + np.int32(self.offset)
        table.flags.writeable = False
        return table

    @property
    def digits(self) -> tuple[Digit, ...]:
        """Canonical signed digits of all position weights, lowest power first."""
        digits = [Digit(m, k, sign) for m, s in enumerate(self.weights) for k, sign in signed_digits(s)]
        return tuple(sorted(digits, key=lambda d: (d.shift, d.bit)))

    @property
    def is_power_of_two(self) -> bool:
        """True if every position weight is plus or minus a power of two."""
        return len(self.digits) == self.m

    def reads(self) -> tuple[int, int]:
        """Masks of the operand bits that some product bit depends on: (activation, weight)."""
        needed = set(self.bits)
        for index in range(len(self.gates) - 1, -1, -1):
            gate = self.gates[index]
            if OPERAND_WIRES + index in needed:
                needed |= {gate.x} if gate.op in ("not", "buf") else {gate.x, gate.y}
        mask = sum(1 << i for i in range(OPERAND_WIRES) if i in needed)
        return mask & 0xFF, mask >> 8

    def max_relative_error(self) -> float:
        """Largest |P - a w| over all operand pairs, divided by 16384 (the paper's error measure)."""
        operands = np.arange(-128, 128)
        return float(np.abs(self.product_table - np.multiply.outer(operands, operands)).max() / 16384)

    def to_json(self) -> str:
        """The encoding as JSON text, one gate a line."""
        head = {"format": FORMAT, "name": self.name, "description": self.description}
        lines = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in head.items()]
        gates = ",\n".join(f"    {json.dumps([g.op, g.x, g.y])}" for g in self.gates)
        lines.append(f'  "gates": [\n{gates}\n  ]' if gates else '  "gates": []')
        tail = {"bits": self.bits, "weights": self.weights, "offset": self.offset}
        tail |= {"provenance": self.provenance, "figures": self.figures}
        lines += [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in tail.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def save(self, path: str | Path) -> None:
        """Write the JSON file (temporary file, then rename)."""
        write_text(Path(path), self.to_json())

    def to_systemverilog(self) -> str:
        """The encoding as a SystemVerilog package `<name>_pkg` of constants for `enc_column`."""
        codes = {op: code for code, op in enumerate(GATES)}
        a_mask, w_mask = self.reads()
        gates = [(codes[g.op] << 28) | (g.x << 14) | g.y for g in self.gates] or [0]
        digits = [(d.bit << 16) | ((d.sign < 0) << 15) | d.shift for d in self.digits]
        parameters = [
            ("int", "NUM_GATES", str(len(self.gates)), "gates"),
            (
                f"logic [{len(gates)}*32-1:0]",
                "GATES",
                _words(gates, 32),
                "gate g at [g*32 +: 32]: type, wire x, wire y",
            ),
            ("int", "M", str(self.m), "product bits"),
            (f"logic [{self.m}*16-1:0]", "BITS", _words(self.bits, 16), "wire of product bit m at [m*16 +: 16]"),
            ("int", "NUM_DIGITS", str(len(digits)), "signed digits of the position weights"),
            (
                f"logic [{len(digits)}*32-1:0]",
                "DIGITS",
                _words(digits, 32),
                "digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first",
            ),
            ("int", "MIN_SUM", str(int(self.array_table.min())), "least sum one row adds"),
            ("int", "MAX_SUM", str(int(self.array_table.max())), "largest sum one row adds"),
            ("logic [7:0]", "A_READS", f"8'h{a_mask:02x}", "activation bits that a gate reads"),
            ("logic [7:0]", "W_READS", f"8'h{w_mask:02x}", "weight bits that a gate reads"),
        ]
        body = "".join(f"  /// {text}\n  localparam {kind} {key} = {value};\n" for kind, key, value, text in parameters)
        return (
            f"// Exported from models/encodings/{self.name}.json; do not edit.\n"
            f"// {self.description}\n"
            f"package {self.name}_pkg;\n{body}endpackage\n"
        )

    def _validate(self) -> None:
        def fail(message: str) -> None:
            raise UserError(f"encoding '{self.name}': {message}")

        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            fail("the name must be lower-case letters, digits and underscores")
        if not isinstance(self.description, str) or len(self.description.splitlines()) > 1:
            fail("the description must be one line of text; it becomes a comment in the SystemVerilog")
        for key in ("provenance", "figures"):
            if not isinstance(getattr(self, key), dict):
                fail(f"'{key}' is {getattr(self, key)!r}; it must be a table of names and values")
        if len(self.gates) > MAX_GATES:
            fail(f"{len(self.gates)} gates, at most {MAX_GATES}")
        for index, gate in enumerate(self.gates):
            if gate.op not in GATES:
                fail(f"gate {index} has unknown type '{gate.op}'; known: {', '.join(GATES)}")
            for wire in (gate.x, gate.y):
                if not _is_int(wire) or not 0 <= wire < OPERAND_WIRES + index:
                    fail(f"gate {index} reads wire {wire}; it may read wires 0..{OPERAND_WIRES + index - 1}")
        if not self.bits or len(self.bits) > MAX_BITS:
            fail(f"{len(self.bits)} product bits; 1..{MAX_BITS} are possible")
        if len(self.bits) != len(self.weights):
            fail(f"{len(self.bits)} product bits but {len(self.weights)} position weights; M must agree")
        for m, wire in enumerate(self.bits):
            if not _is_int(wire) or not 0 <= wire < OPERAND_WIRES + len(self.gates):
                fail(f"product bit {m} is wire {wire}; wires are 0..{OPERAND_WIRES + len(self.gates) - 1}")
        for m, weight in enumerate(self.weights):
            if not _is_int(weight) or weight == 0 or abs(weight) >= WEIGHT_LIMIT:
                fail(f"position weight {m} is {weight}; it must be an integer, not 0, below {WEIGHT_LIMIT} in size")
        if not _is_int(self.offset) or abs(self.offset) >= WEIGHT_LIMIT:
            fail(f"offset {self.offset} must be an integer below {WEIGHT_LIMIT} in size")
        for table in (self.array_table, self.product_table):
            if table.min() < -PRODUCT_LIMIT or table.max() >= PRODUCT_LIMIT:
                fail(f"products reach {table.min()}..{table.max()}; they must fit 16 bits: reduce the position weights")


def signed_digits(value: int) -> list[tuple[int, int]]:
    """Canonical signed-digit form of an integer: [(shift, +1 or -1), ...], fewest digits possible."""
    digits, shift = [], 0
    while value:
        if value & 1:
            digit = 2 - (value & 3)
            digits.append((shift, digit))
            value -= digit
        value >>= 1
        shift += 1
    return digits


def from_json(text: str, source: str) -> Encoding:
    """Parse and validate JSON text; `source` is named in errors."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source}: not JSON ({error})") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UserError(f"{source}: 'format' is not '{FORMAT}'; it is no encoding, or one of another version")
    known = set(Encoding.__dataclass_fields__) | {"format"}
    if unknown := sorted(set(data) - known):
        raise UserError(f"{source}: unknown field '{unknown[0]}'; known: {', '.join(sorted(known))}")
    try:
        gates = tuple(Gate(op, x, y) for op, x, y in data.pop("gates"))
        fields = {k: v for k, v in data.items() if k != "format"}
        return Encoding(**fields | {"gates": gates, "bits": tuple(data["bits"]), "weights": tuple(data["weights"])})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{source}: malformed encoding ({error}); see models/encoding.py for the fields") from error


def load_encoding(name: str | Path) -> Encoding:
    """An encoding of the library by name, or of a user by the path of its JSON file."""
    path = Path(name) if str(name).endswith(".json") else LIBRARY / f"{name}.json"
    if not path.is_file():
        known = ", ".join(library_names())
        raise UserError(f"unknown encoding '{name}': no file {_shown(path)}; the library has: {known}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {_shown(path)} ({error}); is it an encoding in JSON?") from error
    encoding = from_json(text, _shown(path))
    if encoding.name != path.stem:
        raise UserError(f"{_shown(path)}: the name inside is '{encoding.name}'; rename one of them")
    return encoding


def library_names() -> list[str]:
    """Names of the encodings that ship with the project."""
    return sorted(p.stem for p in LIBRARY.glob("*.json"))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def export_package(encoding: Encoding, folder: Path = PACKAGES) -> Path:
    """Write `<folder>/<name>_pkg.sv`; returns its path."""
    path = folder / f"{encoding.name}_pkg.sv"
    write_text(path, encoding.to_systemverilog())
    return path


def exact64() -> Encoding:
    """The 64 partial products a_i & w_j with weights +-2^(i+j): exact."""
    pairs = sorted(((i, j) for i in range(8) for j in range(8)), key=lambda p: (p[0] + p[1], p))
    return Encoding(
        name="exact64",
        description="all 64 AND partial products of the two's complement operands: exact",
        gates=tuple(Gate("and", i, 8 + j) for i, j in pairs),
        bits=tuple(range(OPERAND_WIRES, OPERAND_WIRES + 64)),
        weights=tuple((-1 if (i == 7) != (j == 7) else 1) << (i + j) for i, j in pairs),
        provenance={"command": "python -m models.encodings"},
    )


def _words(values: list[int] | tuple[int, ...], width: int) -> str:
    """A SystemVerilog concatenation, element 0 in the lowest bits."""
    words = [f"{width}'h{v:0{width // 4}x}" for v in reversed(values)]
    lines = [", ".join(words[i : i + 6]) for i in range(0, len(words), 6)]
    return "{\n    " + ",\n    ".join(lines) + "\n  }"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(path: Path) -> str:
    """The path as a user would type it: relative if it lies below the current directory."""
    return os.path.relpath(path) if Path.cwd() in path.resolve().parents else str(path)
