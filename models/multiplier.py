"""Any multiplier in the place of an encoding: its 65,536 products as a table.

Wherever accuracy or training take `ENCODING=`, these are understood beside the encodings of the library:

- `mine.npy`: integers [256, 256], index [a + 128, w + 128], activation `a`, weight `w`;
- `many.npz:name`: one such array of an archive (`many.npz` alone: all of them, where several are taken);
- `mine.c`, `mine.c:function`: a C function of two 8-bit operands, as EvoApproxLib ships them, compiled with the
  system's compiler and called with every pair. Without a name it is the one that no other calls;
- `mine.bin`: 65,536 little-endian products of 16 bits, index 256 a + w of the operands' bit patterns (TFApprox).

Whether a function or a `.bin` is signed is what it correlates with, whatever its types are. Unsigned products U stand
for networks of uint8 codes: our codes are 128 less, so P(a, w) = U(a + 128, w + 128) - 128 a - 128 w - 2^14, and what
is taken off is exact sums of operands. An array with another index is recognised in the same way and told.

Such a table has no gates: it cannot be simulated or synthesised.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import NO_ARRAYS, first_line
from models.emulate.table import checked_table, exact_table
from models.encoding import TABLE_SUFFIXES, Encoding, load_encoding

ROWS = 256
CALL_SECONDS = 60  # of all calls
COMPILERS = ("cc", "gcc", "clang")
LEAST_LIKE = 0.5  # correlation with the exact product; circuits of EvoApproxLib have 0.88 and more
# first the type of results, then those of signed operands, then those of bit patterns 0..255
PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#define main main_of_the_file
#include "{source}"
#undef main
int main(void) {{
  _Static_assert(__builtin_classify_type({function}(0, 0)) != 8, "results are no integers");
  int64_t is_unsigned = (__typeof__({function}(0, 0)))-1 > 0;
  if (fwrite(&is_unsigned, sizeof is_unsigned, 1, stdout) != 1) return 1;
  for (int first = -128; first <= 0; first += 128)
    for (int a = first; a < first + 256; ++a)
      for (int w = first; w < first + 256; ++w) {{
        int64_t product = (int64_t){function}({order});
        if (fwrite(&product, sizeof product, 1, stdout) != 1) return 1;
      }}
  return 0;
}}
"""
FUNCTION = re.compile(r"([\w\s]+?)\b(\w+)\s*\(\s*([\w\s]+?)\b(\w+)\s*,\s*([\w\s]+?)\b(\w+)\s*\)\s*\{")
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Multiplier:
    """A table of products where networks take an encoding: `table` int32 [256, 256], index [a + 128, w + 128]."""

    name: str
    table: np.ndarray
    source: str

    m = None  # no product bits

    @property
    def product_table(self) -> np.ndarray:
        """P(a, w), as of an encoding."""
        return self.table

    @property
    def array_table(self) -> np.ndarray:
        """What a row adds to a result: the product, nothing is apart."""
        return self.table

    @property
    def row_constants(self) -> np.ndarray:
        """int32 [256]: zeros."""
        return np.zeros(ROWS, np.int32)

    @cached_property
    def sha256(self) -> str:
        """Of the table as little-endian int32."""
        return hashlib.sha256(self.table.astype("<i4").tobytes()).hexdigest()


Products = Encoding | Multiplier


def load_products(name: str) -> Products:
    """The encoding or multiplier called `name`, see the module's text."""
    path, key = _split(name)
    if path.suffix not in TABLE_SUFFIXES:
        return load_encoding(name)
    if not path.is_file():
        raise UserError(
            f"no file {path}; give a table (.npy, .npz:name, .bin), a C file, or an encoding of the library"
        )
    if path.suffix == ".c":
        function, signed, unsigned = _called(path, key)
        return _best(function, signed, unsigned, f"{path}: products of {function}", name)
    if path.suffix == ".bin":
        return _binary(path, name)
    if path.suffix == ".npz":
        keys = _keys(path)
        if not key and len(keys) > 1:
            raise UserError(f"{path} holds several tables; add which one, e.g. :{keys[0]}; it has: {', '.join(keys)}")
        key = key or keys[0]
        if key not in keys:
            raise UserError(f"{path} has no table '{key}'; it has: {', '.join(keys)}")
    elif key:
        raise UserError(f"{path} is one table; leave out ':{key}'")
    try:
        table = np.load(path, allow_pickle=False)
        table = table[key] if key else table
    except NO_ARRAYS as error:
        raise UserError(f"cannot read {name} ({first_line(error)}); save integers with numpy.save") from error
    if np.issubdtype(table.dtype, np.floating):
        if np.isnan(table).any():
            raise UserError(f"{name} holds NaN, first at index {np.argwhere(np.isnan(table))[0].tolist()}")
        raise UserError(f"{name} is {table.dtype}; products are integers: save numpy.rint(table).astype('int16')")
    if table.shape == (ROWS, ROWS) and table.dtype.kind in "iu" and table.max() >= 1 << 15:
        shifted = _from_unsigned(table)
        if _like(shifted, exact_table()) >= LEAST_LIKE:
            what = f"{name} (unsigned; operands shifted by 128)"
            return Multiplier(key or path.stem, checked_table(shifted, what), what)
        _check_order(table, name)
    table = checked_table(table, name)
    _check_order(table, name)
    return Multiplier(key or path.stem, table, name)


def _like(table: np.ndarray, exact: np.ndarray) -> float:
    """Correlation of two tables; 0 where one is constant."""
    if table.min() == table.max():
        return 0.0
    return float(np.corrcoef(table.ravel().astype(np.float64), exact.ravel())[0, 1])


def _best(function: str, signed: np.ndarray, unsigned: np.ndarray, what: str, name: str) -> Multiplier:
    """The multiplier that a function of bit patterns is: of `signed` or `unsigned` [256, 256] products."""
    shifted = _from_unsigned(unsigned)
    like = _like(signed, exact_table()), _like(shifted, exact_table())
    if max(like) < LEAST_LIKE:
        raise UserError(
            f"{what} are no multiplier's: their correlation with the product is {like[0]:.2f} if operands are signed, "
            f"{like[1]:.2f} if not; is it another function?"
        )
    if like[0] >= LEAST_LIKE:
        return Multiplier(function, checked_table(signed, what), name)
    return Multiplier(function, checked_table(shifted, what), f"{name} (unsigned; operands shifted by 128)")


def _from_unsigned(table: np.ndarray) -> np.ndarray:
    """Products of our codes from those of uint8 codes, int64 [256, 256]."""
    codes = np.arange(ROWS) - 128
    return table.astype(np.int64) - 128 * (codes[:, None] + codes) - (1 << 14)


def _binary(path: Path, name: str) -> Multiplier:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror})") from error
    if len(content) != 2 * ROWS * ROWS:
        raise UserError(f"{path} has {len(content)} bytes; 65,536 products of 16 bits are {2 * ROWS * ROWS}")
    patterns = np.frombuffer(content, "<u2").reshape(ROWS, ROWS)
    signed = np.roll(patterns.view("<i2"), 128, (0, 1)).astype(np.int64)
    return _best(path.stem, signed, patterns.astype(np.int64), str(path), name)


def _check_order(table: np.ndarray, name: str) -> None:
    """UserError if `table` is a multiplier's in another order of its index."""
    exact = exact_table()
    own = _like(table, exact)
    if own >= LEAST_LIKE:
        return
    read = "np.load(...)"
    orders = {
        "both operands are in two's-complement order (0..127, -128..-1)": (
            np.roll(table, 128, (0, 1)),
            f"np.roll({read}, 128, (0, 1))",
        ),
        "activations are in two's-complement order": (np.roll(table, 128, 0), f"np.roll({read}, 128, 0)"),
        "weights are in two's-complement order": (np.roll(table, 128, 1), f"np.roll({read}, 128, 1)"),
        "activations are in falling order": (table[::-1], f"{read}[::-1]"),
        "products are unsigned patterns of 16 bits": (table.astype(np.int16), f"{read}.astype('int16')"),
        "products are unsigned patterns of 16 bits, operands in two's-complement order": (
            np.roll(table.astype(np.int16), 128, (0, 1)),
            f"np.roll({read}.astype('int16'), 128, (0, 1))",
        ),
    }
    likes = {order: _like(found, exact) for order, (found, _) in orders.items()}
    best = max(likes, key=likes.get)
    if likes[best] >= LEAST_LIKE:
        raise UserError(
            f"{name}: {best} (correlation with the product {likes[best]:.2f}, by index [a + 128, w + 128] {own:.2f}); "
            f"save {orders[best][1]}"
        )
    if table.max() < 1 << 15:
        raise UserError(
            f"{name} is no multiplier's table: its correlation with the product is {own:.2f}; "
            "the index is [a + 128, w + 128]"
        )


def expand(names: str) -> list[str]:
    """The list `a,b.json,c.npz` as single names; an archive without a name in it stands for all its tables."""
    found = []
    for name in names.split(","):
        path, key = _split(name)
        whole = path.suffix == ".npz" and not key and path.is_file()
        found += [f"{path}:{key}" for key in _keys(path)] if whole else [name]
    return found


def relative_error(table: np.ndarray) -> float:
    """Mean of |P - a w| / max(1, |a w|) over all operand pairs (MRE, as EvoApproxLib defines it)."""
    exact = exact_table()
    return float((np.abs(table - exact) / np.maximum(1, np.abs(exact))).mean())


def _split(name: str) -> tuple[Path, str]:
    """(`file`, `part`) of `file:part`."""
    for suffix in (".npz", ".c", ".npy", ".bin"):
        file, found, key = name.rpartition(suffix + ":")
        if found:
            return Path(file + suffix), key
    return Path(name), ""


def _keys(path: Path) -> list[str]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            keys = list(archive.files)
    except NO_ARRAYS as error:
        raise UserError(f"cannot read {path} ({first_line(error)}); save it with numpy.savez") from error
    if not keys:
        raise UserError(f"{path} holds no table; save one with numpy.savez")
    return keys


def _called(path: Path, wanted: str) -> tuple[str, np.ndarray, np.ndarray]:
    """(name, int64 [256, 256], the same): the function `wanted`, or the one that no other calls, for every pair of
    signed operands and of unsigned ones."""
    try:
        text = COMMENT.sub(" ", path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror})") from error
    functions = {match[2]: match for match in FUNCTION.finditer(text)}
    if not functions:
        raise UserError(f"{path}: no function of two operands, e.g. int16_t mul(int8_t a, int8_t w) {{ ... }}")
    name = wanted
    if not name:
        found = [path.stem] if path.stem in functions else _roots(text, functions)
        if len(found) != 1:
            raise UserError(f"{path}: which function? give {path}:NAME; of two operands are: {', '.join(functions)}")
        (name,) = found
    if name not in functions:
        raise UserError(f"{path} has no function '{name}' of two operands; it has: {', '.join(functions)}")
    match = functions[name]
    order = "w, a" if (match[4], match[6]) == ("B", "A") else "a, w"  # older EvoApproxLib names the second one first
    words = _run(path, PROGRAM.format(source=path.resolve(), function=name, order=order))
    signed, unsigned = words[1:].reshape(2, ROWS, ROWS)
    half = ROWS // 2
    if not np.array_equal(signed[half:, half:], unsigned[:half, :half]):  # 0 .. 127 as signed and as unsigned operands
        raise UserError(f"{path}: {name} does not give the same product for the same operands each time it is called")
    if words[0]:  # an unsigned type holds a signed product's bit pattern
        signed = np.where((signed >= 0) & (signed < 1 << 16), signed.astype(np.int16), signed)
    return name, signed, unsigned


def _roots(text: str, functions: dict) -> list[str]:
    """Functions of two operands that no other function of the file calls, but for `main`."""
    bodies, depth, start = [], 0, 0
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace.group() == "{" else -1
        if depth == (brace.group() == "{"):  # an outer one
            if depth:
                heads = re.findall(r"(\w+)\s*\(", text[start : brace.start()])
            elif heads and heads[-1] != "main":
                bodies.append((heads, text[start : brace.start()]))
            start = brace.end()
    return [f for f in functions if not any(f not in head and re.search(rf"\b{f}\s*\(", body) for head, body in bodies)]


def _run(path: Path, program: str) -> np.ndarray:
    """int64 [1 + 2 * 65,536] that the C `program` around `path` writes."""
    chosen = [os.environ["CC"]] if os.environ.get("CC") else COMPILERS
    compiler = next(filter(None, map(shutil.which, chosen)), None)
    if compiler is None:
        raise UserError(f"no C compiler ({', '.join(chosen)}); install one, e.g. apt install gcc, or set CC")
    with tempfile.TemporaryDirectory(prefix="encmac_") as folder:
        source, binary = Path(folder, "table.c"), Path(folder, "table")
        source.write_text(program)
        made = subprocess.run([compiler, "-O1", "-w", "-o", binary, source], capture_output=True, text=True)
        if made.returncode:
            lines = [line for line in made.stderr.splitlines() if "error" in line] or ["no message"]
            raise UserError(f"{compiler} cannot compile {path}: {lines[0]}")
        try:
            done = subprocess.run([binary], capture_output=True, timeout=CALL_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise UserError(
                f"{path}: {2 * ROWS * ROWS:,} calls took more than {CALL_SECONDS} s; does the function end?"
            ) from error
    if done.returncode < 0:
        raise UserError(f"{path}: the function crashed ({signal.Signals(-done.returncode).name})")
    if done.returncode or len(done.stdout) != (1 + 2 * ROWS * ROWS) * 8:
        raise UserError(
            f"{path}: the function ends the program or writes to its output; it should return a product only"
        )
    return np.frombuffer(done.stdout, np.int64)
