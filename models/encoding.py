"""Encodings: product bits made by a few gates, and the integer position weight of each bit.

An encoding stands for an 8-bit by 8-bit signed product (EncodingNet, arXiv 2402.18595, section III):

    P(a, w) = sum_m s[m] * b[m](a, w) + f(a) + g(w) + offset

A column of R rows counts the bits of each position, `cnt[m] = sum_r b[m](a[r], w[r])`, and applies
the position weights once: `y = sum_m s[m] * cnt[m]`. The rest costs an array next to nothing: f(a)
is the same for all columns, so one extra column sums it; g(w) and the offset are constants per
row and output channel that never enter the array, a network adds them with the bias.

Wires are numbered: 0..7 are the bits of the activation `a` (two's complement, 0 the lowest), 8..15
those of the weight `w`, 16 + g is the output of gate g. A gate reads wires with smaller numbers.

A row holds its operands in registers. Wires in `stored` that depend on one operand alone are computed
before the register, once per column (weights) or per row (activations), and held in place of the
operand bits that only they read: Booth digits of the weight, say.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from common.errors import UserError, unknown
from common.files import write_text

FORMAT = "encmac-encoding/1"
LIBRARY = Path(__file__).parent / "encodings"
OWN = Path(__file__).parent.parent / "build" / "encodings"  # what a user's searches write; not of the library
PACKAGES = Path(__file__).parent.parent / "rtl" / "encodings"
OPERAND_WIRES = 16
ACTIVATION, WEIGHT = 1, 2  # operands that a wire depends on, as a mask
MAX_GATES = 4096
MAX_BITS = 256
MAX_SHARED = 256  # bits of the extra column: their sums fit int32 with room to spare, as those of the product bits
WEIGHT_LIMIT = 1 << 15  # position weights are signed 16-bit integers
PRODUCT_LIMIT = 1 << 15  # so is every product
ENCODING_MAGIC = "32'h454e4301"  # first word of an exported encoding (rtl/encmac_pkg.sv, which has its layout)
ENCODING_NUMBERS: tuple[str, ...] = ("A_BITS", "W_BITS", "M", "MIN_SUM", "MAX_SUM")
ENCODING_NUMBERS += ("A_NUM_GATES", "W_NUM_GATES", "NUM_GATES", "NUM_DIGITS")
ENCODING_TABLES = ("A_GATES", "A_WIRES", "W_GATES", "W_WIRES", "GATES", "BITS", "DIGITS", "EXTRA")
TABLE_SUFFIXES = (".npy", ".npz", ".c", ".bin")  # files of bare products, see models/multiplier.py

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
UNARY = ("not", "buf")  # gates that ignore their second wire


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

    `stored` are wires held in the operand registers; `shared` are (wire, weight) pairs whose sums
    are f(a), over wires of the activation, and g(w), over wires of the weight. Raises UserError on
    construction if a field breaks the rules in the module's text.
    """

    name: str
    gates: tuple[Gate, ...]
    bits: tuple[int, ...]
    weights: tuple[int, ...]
    offset: int = 0
    description: str = ""
    stored: tuple[int, ...] = ()
    shared: tuple[tuple[int, int], ...] = ()
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
    def column_table(self) -> np.ndarray:
        """What one row adds to its column, `sum_m s[m] b[m]`: int32 [256, 256], index [a + 128, w + 128]."""
        return self._weighted(zip(self.bits, self.weights, strict=True))

    @cached_property
    def array_table(self) -> np.ndarray:
        """What one row adds to a result of the array, f(a) included: int32 [256, 256], as above."""
        return _frozen(self.column_table + self._weighted(self._shared_of(ACTIVATION)))

    @cached_property
    def product_table(self) -> np.ndarray:
        """P(a, w), whole: int32 [256, 256], index [a + 128, w + 128]."""
        return _frozen(self.array_table + self.row_constants)

    @cached_property
    def row_constants(self) -> np.ndarray:
        """What a row's weight adds to the bias, `g(w) + offset`: int32 [256], index w + 128."""
        return _frozen(self._weighted(self._shared_of(WEIGHT))[0] + np.int32(self.offset))

    @property
    def digits(self) -> tuple[Digit, ...]:
        """Canonical signed digits of all position weights, lowest power first."""
        return position_digits(self.weights)

    @property
    def is_power_of_two(self) -> bool:
        """True if every position weight is plus or minus a power of two."""
        return len(self.digits) == self.m

    @cached_property
    def depends(self) -> tuple[int, ...]:
        """Operands that each wire depends on: 0, ACTIVATION, WEIGHT or both."""
        masks = [ACTIVATION] * 8 + [WEIGHT] * 8
        for gate in self.gates:
            masks.append(masks[gate.x] | (0 if gate.op in UNARY else masks[gate.y]))
        return tuple(masks)

    def cone(self, outputs: tuple[int, ...], cut: frozenset[int] = frozenset()) -> tuple[list[int], list[int]]:
        """What `outputs` need: (wires taken as given, wires of gates), ascending; looks no deeper than `cut`."""
        needed, inputs, gates = set(outputs), [], []
        for wire in range(OPERAND_WIRES + len(self.gates) - 1, -1, -1):
            if wire not in needed:
                continue
            if wire < OPERAND_WIRES or wire in cut:
                inputs.append(wire)
                continue
            gate = self.gates[wire - OPERAND_WIRES]
            gates.append(wire)
            needed |= {gate.x} if gate.op in UNARY else {gate.x, gate.y}
        return inputs[::-1], gates[::-1]

    @cached_property
    def operands(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Wires that a row holds in registers: (activation's, weight's), each ascending."""
        inputs, _ = self.cone(self.bits, frozenset(self.stored))
        return (
            tuple(i for i in inputs if self.depends[i] == ACTIVATION),
            tuple(i for i in inputs if self.depends[i] == WEIGHT),
        )

    @cached_property
    def row_gates(self) -> tuple[Gate, ...]:
        """Gates of every row: between the operand registers and the product bits."""
        _, gates = self.cone(self.bits, frozenset(self.stored))
        return tuple(self.gates[i - OPERAND_WIRES] for i in gates)

    def shared_bits(self) -> tuple[tuple[int, int], ...]:
        """(wire, weight) pairs of f(a), what the extra column counts."""
        return tuple(self._shared_of(ACTIVATION))

    def _shared_of(self, operand: int) -> list[tuple[int, int]]:
        return [(wire, weight) for wire, weight in self.shared if self.depends[wire] == operand]

    def _weighted(self, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
        """Weighted sum of wires for all operand pairs: int32 [256, 256]."""
        table, pairs = np.zeros((256, 256), np.int32), list(pairs)
        if pairs:
            operands = np.arange(-128, 128)
            wires = self.wires(operands[:, None], operands[None, :])
            for wire, weight in pairs:
                table += weight * wires[wire].astype(np.int32)
        return _frozen(table)

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
        tail |= {k: getattr(self, k) for k in ("stored", "shared") if getattr(self, k)}
        tail |= {"provenance": self.provenance, "figures": self.figures}
        lines += [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in tail.items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @cached_property
    def sha256(self) -> str:
        """Of the JSON text."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the JSON file (temporary file, then rename)."""
        write_text(Path(path), self.to_json())

    def to_systemverilog(self) -> str:
        """The encoding as a SystemVerilog package `<name>_pkg` of constants for `mac_array`."""
        a_wires, w_wires = self.operands
        if not a_wires:
            raise UserError(
                f"encoding '{self.name}': no product bit depends on the activation; no column is built of that"
            )
        if not self.column_table.any():
            raise UserError(f"encoding '{self.name}': all products are 0; no column is built of that")
        shared = self.shared_bits()
        column, alone = self.column_table, self._weighted(shared)
        package = _Package()
        package.count("A_BITS", len(a_wires), "bits of an activation that a row holds")
        self._network(package, "A_", tuple(range(8)), a_wires, "A_WIRES", "of an activation from its 8 operand bits")
        package.count("W_BITS", len(w_wires), "bits of a weight that a row holds")
        self._network(package, "W_", tuple(range(8, 16)), w_wires, "W_WIRES", "of a weight from its 8 operand bits")
        package.count("M", self.m, "product bits")
        self._network(package, "", a_wires + w_wires, self.bits, "BITS", "product bits from the bits a row holds")
        package.digits("", self.digits, "of the position weights")
        package.count("MIN_SUM", int(column.min()), "least sum one row adds to its column")
        package.count("MAX_SUM", int(column.max()), "largest sum one row adds to its column")
        package.count("F_M", len(shared), "bits of the activation that the extra column weighs; 0: no extra column")
        f_wires = tuple(i for i, _ in shared)
        self._network(package, "F_", tuple(range(8)), f_wires, "F_BITS", "bits of the extra column")
        package.digits("F_", position_digits([s for _, s in shared]), "of the extra column")
        package.count("F_MIN_SUM", int(alone.min()), "least sum one row adds to the extra column")
        package.count("F_MAX_SUM", int(alone.max()), "largest sum one row adds to the extra column")
        extra = {name: f"F_{name}" for name in (*ENCODING_NUMBERS, *ENCODING_TABLES)}
        extra |= {"A_BITS": "32'd8", "W_BITS": "32'd0", "A_NUM_GATES": "32'd0", "W_NUM_GATES": "32'd0"}
        extra |= {"A_GATES": "32'd0", "A_WIRES": "128'h0007_0006_0005_0004_0003_0002_0001_0000"}
        extra |= {"W_GATES": "32'd0", "W_WIRES": "16'd0", "EXTRA": ""}
        if shared:
            package.encoding("EXTRA", extra, "the extra column as an encoding: rows hold whole activations, no weights")
        package.weight_term(self.row_constants)
        whole = {} if shared else {"EXTRA": ""}
        package.encoding("ENCODING", whole, "all of it, laid out as encmac_pkg says: the parameter `Encoding`")
        return (
            f"// Exported from {self.provenance.get('function', f'models/encodings/{self.name}.json')}; do not edit.\n"
            f"// {self.description}\n"
            f"package {self.name}_pkg;\n" + "\n".join(f"  {line}" for line in package.lines) + "\nendpackage\n"
        )

    def _network(
        self, package: _Package, prefix: str, inputs: tuple[int, ...], outputs: tuple[int, ...], name: str, text: str
    ) -> None:
        """Gates from `inputs` to `outputs` into a package, wires renumbered: inputs first."""
        _, wires = self.cone(outputs, frozenset(inputs))
        number = {wire: n for n, wire in enumerate((*inputs, *wires))}
        codes = {op: code for code, op in enumerate(GATES)}
        words = []
        for gate in (self.gates[wire - OPERAND_WIRES] for wire in wires):
            y = gate.x if gate.op in UNARY else gate.y
            words.append((codes[gate.op] << 28) | (number[gate.x] << 14) | number[y])
        package.count(f"{prefix}NUM_GATES", len(wires), f"gates: {text}")
        package.vector(f"{prefix}GATES", words, 32, "gate g at [g*32 +: 32]: type, wire x, wire y")
        package.vector(name, [number[i] for i in outputs], 16, "wire of output m at [m*16 +: 16]")

    def _validate(self) -> None:
        def fail(message: str) -> None:
            raise UserError(shorten(f"encoding '{shorten(str(self.name), 60)}': {message}", 600))

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
        if len(self.shared) > MAX_SHARED:
            fail(f"{len(self.shared)} shared bits, at most {MAX_SHARED}")
        if len(self.stored) > OPERAND_WIRES + len(self.gates):
            fail(f"{len(self.stored)} stored wires, there are {OPERAND_WIRES + len(self.gates)}")
        for wire in self.stored:
            if not _is_int(wire) or not 0 <= wire < OPERAND_WIRES + len(self.gates):
                fail(f"stored wire {wire}; wires are 0..{OPERAND_WIRES + len(self.gates) - 1}")
            if self.depends[wire] == ACTIVATION | WEIGHT:
                fail(f"stored wire {wire} depends on both operands; a register before the row can hold only one's")
        for wire, weight in self.shared:
            if not _is_int(wire) or not 0 <= wire < OPERAND_WIRES + len(self.gates):
                fail(f"shared wire {wire}; wires are 0..{OPERAND_WIRES + len(self.gates) - 1}")
            if self.depends[wire] == ACTIVATION | WEIGHT:
                fail(f"shared wire {wire} depends on both operands; shared sums are of one operand alone")
            if not _is_int(weight) or weight == 0 or abs(weight) >= WEIGHT_LIMIT:
                fail(f"weight {weight} of shared wire {wire}; it must be an integer, not 0, below {WEIGHT_LIMIT}")
        if not _is_int(self.offset) or abs(self.offset) >= WEIGHT_LIMIT:
            fail(f"offset {self.offset} must be an integer below {WEIGHT_LIMIT} in size")
        for table in (self.column_table, self.array_table, self.product_table):
            if table.min() < -PRODUCT_LIMIT or table.max() >= PRODUCT_LIMIT:
                fail(f"products reach {table.min()}..{table.max()}; they must fit 16 bits: reduce the position weights")


def shorten(text: str, length: int) -> str:
    """`text`, its middle left out if it is longer than `length`."""
    return text if len(text) <= length else f"{text[: length // 2]} ... {text[-length // 2 :]}"


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
        raise UserError(f"{source}: unknown field '{shorten(unknown[0], 60)}'; known: {', '.join(sorted(known))}")
    try:
        gates = tuple(_gate(*gate) for gate in data.pop("gates"))
        fields = {k: v for k, v in data.items() if k != "format"}
        fields |= {key: tuple(data[key]) for key in ("bits", "weights", "stored") if key in data}
        fields |= {"shared": tuple((wire, weight) for wire, weight in data.get("shared", ()))}
        return Encoding(**fields | {"gates": gates})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{source}: malformed encoding ({error}); see models/encoding.py for the fields") from error


def _gate(op: str, x: int, y: int | None = None) -> Gate:
    """A gate of a file; one that ignores its second wire needs none."""
    if y is None:
        if op not in UNARY:
            raise ValueError(f"gate '{op}' reads two wires, one is given")
        y = x
    return Gate(op, x, y)


def absolute(encoding: str) -> str:
    """An encoding as a process in another working directory finds it: a name, or the full path of a file."""
    return str(Path(encoding).resolve()) if encoding.endswith(".json") else encoding


def load_encoding(name: str | Path) -> Encoding:
    """An encoding by name, or by the path of its JSON file.

    Names are those of the library, of what was searched here (OWN), and of rivals (models/rivals.py).
    """
    from models.rivals import rival, widths  # which are made of encodings

    if str(name).partition(":")[0].endswith(TABLE_SUFFIXES):
        raise UserError(f"{name} is a table of products; it has no gates, which an encoding must have here")
    if bits := widths(str(name)):
        return rival(*bits)
    path = encoding_file(name)
    if not path.is_file():
        known = [*library_names(), *own_names()]
        raise unknown("encoding", str(name), known, ", exact products of fewer bits: w4a8, or a JSON file")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {_shown(path)} ({error}); is it an encoding in JSON?") from error
    encoding = from_json(text, _shown(path))
    if encoding.name != path.stem:
        raise UserError(f"{_shown(path)}: the name inside is '{encoding.name}'; rename one of them")
    return encoding


def check_name(name: str, sha256: str, source: str) -> None:
    """Refuse what has a name of the library, or of a rival, and is another: records are read by name.

    Raises UserError, with `source` as what was given.
    """
    from models.rivals import widths

    if (name in library_names() or widths(name)) and load_encoding(name).sha256 != sha256:
        raise UserError(f"{source} is called '{name}', which is something else here; give it another name")


def encoding_file(name: str | Path) -> Path:
    """The JSON file of an encoding, if it is none that is made of its name."""
    if str(name).endswith(".json"):
        return Path(name)
    path = LIBRARY / f"{name}.json"
    return path if path.is_file() else OWN / f"{name}.json"


def own_names() -> list[str]:
    """Names of the encodings that were searched in this checkout."""
    return sorted(p.stem for p in OWN.glob("*.json"))


def library_names() -> list[str]:
    """Names of the encodings that ship with the project."""
    return sorted(p.stem for p in LIBRARY.glob("*.json"))


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


def position_digits(weights: Sequence[int]) -> tuple[Digit, ...]:
    """Canonical signed digits of position weights, lowest power first."""
    digits = [Digit(m, k, sign) for m, s in enumerate(weights) for k, sign in signed_digits(s)]
    return tuple(sorted(digits, key=lambda d: (d.shift, d.bit)))


class _Package:
    """Constants of a SystemVerilog package, in lines; values of the integers, how many bits each vector has."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._value: dict[str, int] = {}
        self._length: dict[str, int] = {}

    def count(self, name: str, value: int, text: str) -> None:
        """An integer."""
        self._value[name] = value
        self.lines += [f"/// {text}", f"localparam int {name} = {value};"]

    def vector(self, name: str, values: Sequence[int], width: int, text: str) -> None:
        """Numbers of `width` bits side by side, element 0 lowest; a single 0 stands for none."""
        values = list(values) or [0]
        words = [f"{width}'h{v:0{width // 4}x}" for v in reversed(values)]
        self._length[name] = len(values) * width
        self._concatenation(name, f"{len(values)}*{width}", [words[i : i + 6] for i in range(0, len(words), 6)], text)

    def digits(self, prefix: str, digits: tuple[Digit, ...], text: str) -> None:
        """Signed digits."""
        words = [(d.bit << 16) | ((d.sign < 0) << 15) | d.shift for d in digits]
        self.count(f"{prefix}NUM_DIGITS", len(digits), f"signed digits {text}")
        text = "digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first"
        self.vector(f"{prefix}DIGITS", words, 32, text)

    def weight_term(self, terms: np.ndarray) -> None:
        """What every weight adds to its products, int32 [256] by weight + 128, as a function of the weight's bits."""
        by_code = np.roll(terms, 128)  # index: the bits of the weight
        start = int(by_code[0])
        slopes = [int(by_code[1 << i]) - start for i in range(8)]
        codes = np.arange(256)
        sums = start + sum(slope * ((codes >> i) & 1) for i, slope in enumerate(slopes))
        # every bit is read, or linters complain
        value = " + ".join([str(start), *(f"(w[{i}] ? {slope} : 0)" for i, slope in enumerate(slopes))])
        if not np.array_equal(sums, by_code):
            self.vector("W_TERMS", [int(v) & 0xFFFFFFFF for v in by_code], 32, "term of the weight w at [w*32 +: 32]")
            value = "W_TERMS[w*32 +: 32]"
        self.lines += [
            "/// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of",
            "/// a tile, as a network does with its bias",
            f"function automatic int weight_term(input logic [7:0] w);\n    weight_term = {value};\n  endfunction",
        ]

    def encoding(self, name: str, given: dict[str, str], text: str) -> None:
        """A whole encoding: header (format, numbers, places of the tables, length of the last), then the tables.

        Numbers and tables are the constants of those names, or what is `given` for them; a table "" is missing.
        Numbers are written out: Verilator 5.006 warns of the name of an integer in a concatenation.
        """

        def number(name: str) -> str:
            constant = given.get(name, name)
            if constant not in self._value:
                return constant
            value = self._value[constant]
            return f"32'd{value}" if value >= 0 else f"-32'd{-value}"

        tables = [given.get(table, table) for table in ENCODING_TABLES]
        lengths = [self._length.get(table) or int(table.partition("'")[0] or 0) for table in tables]
        header = 32 * (1 + len(ENCODING_NUMBERS) + len(ENCODING_TABLES) + 1)
        places = [header + sum(lengths[:i]) if table else 0 for i, table in enumerate(tables)]
        self._length[name] = header + sum(lengths)
        numbers = [ENCODING_MAGIC, *map(number, ENCODING_NUMBERS)]
        words = [[f"32'd{place}" for place in (*places, lengths[-1])], [table for table in tables if table]]
        rows = [row[::-1] for row in (numbers, *words)][::-1]
        self._concatenation(name, str(self._length[name]), rows, text)

    def _concatenation(self, name: str, length: str, rows: Sequence[Sequence[str]], text: str) -> None:
        body = ",\n".join(f"    {', '.join(row)}" for row in rows)
        self.lines += [f"/// {text}", f"localparam logic [{length}-1:0] {name} = {{\n{body}\n  }};"]


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(path: Path) -> str:
    """The path as a user would type it: relative if it lies below the current directory."""
    return os.path.relpath(path) if Path.cwd() in path.resolve().parents else str(path)
