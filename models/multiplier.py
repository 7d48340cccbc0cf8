"""Any multiplier in the place of an encoding: its 65,536 products as a table.

Wherever accuracy or training take `ENCODING=`, these are understood beside the encodings of the library:

- `mine.npy`: integers [256, 256], index [a + 128, w + 128], activation `a`, weight `w`;
- `many.npz:name`: one such array of an archive (`many.npz` alone: all of them, where several are taken);
- `mine.c`, `mine.c:function`: a C function of two signed 8-bit operands, as EvoApproxLib ships them,
  compiled with the system's compiler and called with every pair.

Such a table has no gates: it cannot be simulated or synthesised.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from models.emulate.table import checked_table, exact_table
from models.encoding import TABLE_SUFFIXES, Encoding, load_encoding
from models.errors import UserError

ROWS = 256
CALL_SECONDS = 60  # of all 65,536 calls
COMPILERS = ("cc", "gcc", "clang")
# reads the operands as the function's parameters do; results of an unsigned type are bit patterns of 16 bits
PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#include "{source}"
int main(void) {{
  for (int a = -128; a < 128; ++a)
    for (int w = -128; w < 128; ++w) {{
      __typeof__({function}({order})) result = {function}({order});
      int is_unsigned = (__typeof__(result))-1 > 0;
      int64_t product = is_unsigned && (uint64_t)result < 65536 ? (int16_t)result : (int64_t)result;
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
        raise UserError(f"no file {path}; give a table (.npy, .npz:name), a C file, or an encoding of the library")
    if path.suffix == ".c":
        function, table = _called(path, key)
        return Multiplier(function, checked_table(table, f"{path}: products of {function}"), name)
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
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {name} ({str(error).splitlines()[0]}); save integers with numpy.save") from error
    if np.issubdtype(table.dtype, np.floating):
        if np.isnan(table).any():
            raise UserError(f"{name} holds NaN, first at index {np.argwhere(np.isnan(table))[0].tolist()}")
        raise UserError(f"{name} is {table.dtype}; products are integers: save numpy.rint(table).astype('int16')")
    return Multiplier(key or path.stem, checked_table(table, name), name)


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
    for suffix in (".npz", ".c", ".npy"):
        file, found, key = name.rpartition(suffix + ":")
        if found:
            return Path(file + suffix), key
    return Path(name), ""


def _keys(path: Path) -> list[str]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            keys = list(archive.files)
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {path} ({str(error).splitlines()[0]}); save it with numpy.savez") from error
    if not keys:
        raise UserError(f"{path} holds no table; save one with numpy.savez")
    return keys


def _called(path: Path, wanted: str) -> tuple[str, np.ndarray]:
    """(name, int64 [256, 256]): the function `wanted`, or the only one there may be, called with every pair."""
    try:
        text = COMMENT.sub(" ", path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror})") from error
    functions = {match[2]: match for match in FUNCTION.finditer(text)}
    if not functions:
        raise UserError(f"{path}: no function of two operands, e.g. int16_t mul(int8_t a, int8_t w) {{ ... }}")
    name = wanted or (path.stem if path.stem in functions else next(iter(functions)))
    if name not in functions or (not wanted and name != path.stem and len(functions) > 1):
        raise UserError(f"{path}: which function? give {path}:NAME; of two operands are: {', '.join(functions)}")
    match = functions[name]
    kinds = {match[3].replace("const", "").strip(), match[5].replace("const", "").strip()}
    if kinds & {"uint8_t", "unsigned char"} or name.startswith("mul8u"):
        raise UserError(f"{path}: {name} multiplies unsigned operands; a signed 8x8 multiplier is needed (mul8s)")
    order = "w, a" if (match[4], match[6]) == ("B", "A") else "a, w"  # older EvoApproxLib names the second one first
    return name, _run(path, PROGRAM.format(source=path.resolve(), function=name, order=order))


def _run(path: Path, program: str) -> np.ndarray:
    """int64 [256, 256] that the C `program` around `path` writes."""
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
            raise UserError(f"{path}: 65,536 calls took more than {CALL_SECONDS} s; does the function end?") from error
    if done.returncode or len(done.stdout) != ROWS * ROWS * 8:
        raise UserError(f"{path}: the function failed (exit code {done.returncode}, {len(done.stdout) // 8} products)")
    return np.frombuffer(done.stdout, np.int64).reshape(ROWS, ROWS)
