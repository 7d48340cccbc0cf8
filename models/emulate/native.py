"""C++ kernels, compiled on first use into `build/native/<hash>.so` and kept.

The hash covers source, headers beside it, options and machine type, so an edited kernel is compiled again and an old
library is never loaded. The file appears by rename: parallel first uses do no harm. Its SHA-256 is beside it, written
last: a library that is damaged, or whose compilation was cut off, is compiled again.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
import threading
from functools import cache
from pathlib import Path

from common.errors import UserError
from common.files import write_bytes, write_text

BUILD = Path(__file__).resolve().parent.parent.parent / "build" / "native"
OPTIONS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-pthread", "-Wall", "-Wextra", "-Wno-unused-parameter")
FLAGS = "ENCMAC_CXXFLAGS"  # in the environment: more options, e.g. sanitizers (tests/test_sanitizers.py)
INCLUDE = re.compile(r'^#include "(.+)"', re.MULTILINE)  # of a file beside the source
COMPILERS = ("g++", "c++", "clang++")


def compiler() -> str:
    """Path of the C++ compiler: `$CXX`, or the first of g++, c++, clang++."""
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else COMPILERS
    for name in wanted:
        if found := shutil.which(name):
            return found
    raise UserError(f"no C++ compiler ({', '.join(wanted)}); install one, e.g. apt install g++, or set CXX")


@cache
def load_library(source: Path) -> ctypes.CDLL:
    """The compiled form of the C++ file `source`, compiled if need be."""
    included = [source.parent / name for name in INCLUDE.findall(source.read_text(encoding="utf-8"))]
    beside = [path for path in included if path.is_file()]  # others are of the compiler's include folders
    return _loaded(source, [path.read_bytes() for path in (source, *beside)], ())


def load_text(name: str, text: str, options: tuple[str, ...]) -> ctypes.CDLL:
    """The compiled form of C++ text, which is kept beside it as `<name>_<hash>.cpp`; `options` are added."""
    return _loaded(BUILD / f"{name}.cpp", [text.encode()], options)


def _loaded(source: Path, texts: list[bytes], more: tuple[str, ...]) -> ctypes.CDLL:
    """A library from the file `source`, or, where there is none, from one that is written to hold the first text."""
    options = (*OPTIONS, *more, *os.environ.get(FLAGS, "").split())
    parts = [*texts, *map(str.encode, options), platform.machine().encode()]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    library = BUILD / f"{source.stem}_{key}.so"
    if not _is_whole(library):
        if not source.exists():
            source = library.with_suffix(".cpp")
            write_bytes(source, texts[0])
        _compile(source, library, options)
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise UserError(f"{library} cannot be loaded ({error}); delete it and run again") from error


def _digest(library: Path) -> Path:
    return library.with_suffix(".sha256")


def _is_whole(library: Path) -> bool:
    """Whether a library is there as it was compiled: one cut short ends the process, another may give wrong sums."""
    try:
        return hashlib.sha256(library.read_bytes()).hexdigest() == _digest(library).read_text().strip()
    except (OSError, ValueError):
        return False


def _compile(source: Path, library: Path, options: tuple[str, ...]) -> None:
    temporary = library.with_name(f".{library.stem}.{os.getpid()}-{threading.get_ident()}.tmp.so")
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        command = [compiler(), *options, "-o", str(temporary), str(source)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            lines = [line for line in result.stderr.splitlines() if "error" in line] or ["no message"]
            raise UserError(f"{command[0]} cannot compile {source.name}: {lines[0]}")
        digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        temporary.replace(library)
        write_text(_digest(library), f"{digest}\n")
    except OSError as error:
        raise UserError(f"cannot write {library} ({error.strerror}); make the folder writable") from error
    finally:
        temporary.unlink(missing_ok=True)
