"""A platform is a folder with a config.toml: a cell library, where its files are, which of its cells the flow names.

Files are named in the config and looked for in the platform's own folder, `$PDK_ROOT/<name>`, and
`pdk/<name>` of the data folders. They may be packed (.gz, .bz2, .xz, .zip). What the tools read, one plain Liberty
file and models of its cells, is made from them once and kept in build/pdk.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import io
import lzma
import os
import re
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from common.errors import UserError, unknown
from common.files import write_text
from common.store import file_sha256
from flows.cells import CELL, cell_models, is_tidy, merge_libraries
from models.datasets.cifar import candidate_folders

PLATFORMS = Path(__file__).parent / "platforms"
PACKED: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"PK\x03\x04": lambda content: _only_file(content),
}
SUFFIXES = (".gz", ".bz2", ".xz", ".zip")
FLIP_FLOP = re.compile(r"\bff\s*\([^)]*\)\s*\{([^{}]*)\}")
PLAIN_NEXT = re.compile(r"""\bnext_state\s*:\s*"?[\s(]*!?\s*\w+[\s)']*"?\s*;""")
PREPARED = Path(__file__).parent.parent / "build" / "pdk"


@dataclass(frozen=True)
class FullAdder:
    """A library cell with x + y + z = sum + 2 carry, and the names of its pins."""

    cell: str
    x: str
    y: str
    z: str
    sum: str
    carry: str
    inverted: bool = False  # both outputs come complemented


@dataclass(frozen=True)
class HalfAdder:
    """A library cell with x + y = sum + 2 carry, and the names of its pins."""

    cell: str
    x: str
    y: str
    sum: str
    carry: str
    inverted: bool = False


@dataclass(frozen=True)
class Platform:
    """A standard-cell library: where it is, which of its cells the flow names, its usual clock."""

    name: str
    title: str
    liberty: Path  # one plain file, without the cells of dont_use
    cell_models: Path
    clock_ns: float
    driver: str
    output_load_pf: float
    full_adder: FullAdder | None = None  # none: adders are made of logic, in all designs alike
    half_adder: HalfAdder | None = None
    clock_gate: str = ""  # Verilog: cells between clk_i, enable_i and clk_o; none: no gated clocks
    areas_um2: dict[str, float] = field(default_factory=dict, hash=False)  # of cells whose Liberty area is missing
    clock_slew_ns: float = 0.1  # of an ideal clock, for power
    wire_pf_per_pin: float = 0.0  # assumed wire of a net for each pin it feeds, for power
    lef: tuple[str, ...] = ()  # technology first; found by `find` when layout needs it
    extraction: str = ""  # rules of OpenRCX for wires of a layout; none: they are estimated from global routing
    dont_use: tuple[str, ...] = ()  # patterns of cells that the flow leaves alone
    corner: str = ""
    mend: str = "correct the path in the file"
    folder: Path = PLATFORMS

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of the library and of all that the flow is told of it, whatever its name and place."""
        nameless = replace(self, name="", title="", mend="", liberty=Path(), cell_models=Path(), folder=Path())
        contents = [file_sha256(path) for path in (self.liberty, self.cell_models)]
        return hashlib.sha256(repr((nameless, contents)).encode()).hexdigest()

    def find(self, file: str) -> Path:
        """Where a file of the library is, plain or packed; raises UserError if it is nowhere."""
        return _find(file, self.name, self.folder, self.mend)


def load_platform(name: str | Path) -> Platform:
    """A platform by name, or by the path of a folder that holds a config.toml.

    Raises UserError if the file or a library is missing or malformed.
    """
    path = config_path(name)
    data = read_config(path)
    data.pop("download", None)
    folder, mend = path.parent, data.setdefault("mend", Platform.mend)
    try:
        for key, kind in (("full_adder", FullAdder), ("half_adder", HalfAdder)):
            if key in data:
                data[key] = kind(**data[key])
        for key in ("lef", "dont_use"):
            data[key] = tuple(data.get(key, ()))
        wanted = data.pop("liberty")
        libraries = [_find(f, data["name"], folder, mend) for f in ([wanted] if isinstance(wanted, str) else wanted)]
        models = data.pop("cell_models", None)
        liberty, derived = _prepared(data["name"], tuple(libraries), data["dont_use"], models is None)
        models = _find(models, data["name"], folder, mend) if models else derived
        platform = Platform(liberty=liberty, cell_models=models, folder=folder, **data)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: {error}; see flows/platforms/osu018 for the fields") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    _check_cells(platform, path)
    return platform


def config_path(name: str | Path) -> Path:
    """The config.toml of a platform; raises UserError that names the known ones."""
    path = (Path(name) if "/" in str(name) else PLATFORMS / name) / "config.toml"
    if not path.is_file():
        known = [p.parent.name for p in PLATFORMS.glob("*/config.toml")]
        raise unknown("platform", str(name), known, ", or a folder with a config.toml: mine/")
    return path


def read_config(path: Path) -> dict:
    """The tables of a config.toml; raises UserError if it is malformed."""
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}; see flows/platforms/osu018 for the fields") from error


def _find(file: str, name: str, folder: Path, mend: str) -> Path:
    roots = [folder]
    if pdk_root := os.environ.get("PDK_ROOT"):
        roots += [Path(pdk_root) / name, Path(pdk_root)]
    roots += [root / "pdk" / name for root in candidate_folders(None)]
    stem = next((file.removesuffix(s) for s in SUFFIXES if file.endswith(s)), file)
    for root in roots:
        for candidate in (root / file, root / stem, *(root / f"{stem}{s}" for s in SUFFIXES)):
            try:
                if candidate.is_file():
                    return candidate
            except OSError as error:
                raise UserError(f"{error.strerror}: {file}; mend it with: {mend}") from error
    if Path(file).is_absolute():
        raise UserError(f"{file} does not exist; mend it with: {mend}")
    raise UserError(f"{file} is in none of {', '.join(map(str, roots))}; mend it with: {mend}")


def _only_file(content: bytes) -> bytes:
    """The one file in a zip."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        if len(names) != 1:
            raise zipfile.BadZipFile(f"it holds {len(names)} files, one is expected")
        return archive.read(names[0])


def plain(path: Path) -> str:
    """Text of a file that may be packed (gzip, bzip2, xz, a zip of one file); UserError if it cannot be read."""
    try:
        content = path.read_bytes()
        unpack = next((unpack for magic, unpack in PACKED.items() if content.startswith(magic)), None)
        if unpack is None and path.suffix in SUFFIXES:
            raise OSError(f"no {path.suffix} file")
        return (unpack(content) if unpack else content).decode(errors="replace")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read ({error}); fetch it again") from error


@functools.cache
def _prepared(name: str, libraries: tuple[Path, ...], dont_use: tuple[str, ...], models: bool) -> tuple[Path, Path]:
    """The one plain Liberty file, and models of its cells if they are wanted."""
    alone = (
        len(libraries) == 1 and libraries[0].suffix not in SUFFIXES and not dont_use and is_tidy(plain(libraries[0]))
    )
    contents = [(p.name, file_sha256(p)) for p in libraries]
    code = [Path(__file__).with_name("cells.py").read_bytes(), repr((contents, dont_use)).encode()]
    key = hashlib.sha256(b"".join(code)).hexdigest()[:12]
    place = PREPARED / f"{name}-{key}"
    liberty = libraries[0] if alone else place / f"{name}.lib"
    _make(liberty, lambda: merge_libraries([(str(p), plain(p)) for p in libraries], dont_use))
    derived = place / f"{name}.v"
    if models:
        _make(derived, lambda: cell_models(liberty))
    return liberty, derived


def _make(path: Path, text: Callable[[], str]) -> None:
    """Write a file if it is not there, never half of it."""
    if not path.is_file():
        write_text(path, text())


@functools.cache
def _cells(liberty: Path, _stamp: int) -> tuple[frozenset[str], bool]:
    """Names of the cells, and whether there is a flip-flop that stores one of its pins."""
    text = plain(liberty)
    return frozenset(found.group(1) for found in CELL.finditer(text)), any(
        PLAIN_NEXT.search(body) for body in FLIP_FLOP.findall(text)
    )


def _check_cells(platform: Platform, path: Path) -> None:
    """Refuse a config that names cells which the library lacks."""
    cells, stores = _cells(platform.liberty, platform.liberty.stat().st_mtime_ns)
    gates = re.findall(r"^\s*(\w+)\s+\w+\s*\(\s*\.", platform.clock_gate, re.MULTILINE)
    named = [platform.driver, *gates, *(adder.cell for adder in (platform.full_adder, platform.half_adder) if adder)]
    if lacking := sorted({cell for cell in named if cell not in cells}):
        raise UserError(f"{path}: {platform.liberty} lacks {', '.join(lacking)}; name a cell of this library")
    models = plain(platform.cell_models) if gates else ""
    if bare := [cell for cell in gates if not re.search(rf"\bmodule\s+{cell}\b", models)]:
        raise UserError(
            f"{path}: {platform.cell_models} has no model of {bare[0]}, a cell of clock_gate; from a Liberty file "
            "one is made of functions, latches, clock gates, not of a state table: name a Verilog file in cell_models"
        )
    if not stores:
        raise UserError(
            f"{path}: {platform.liberty} has no plain D flip-flop; those with scan, with several bits or told by a "
            "state table are not taken: add one to the library (set and reset may be there, they are tied off)"
        )
