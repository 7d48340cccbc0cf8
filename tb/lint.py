"""Two opinions on the RTL, Verilator -Wall and slang: `python -m tb.lint`.

Every array kind and every encoding of the library goes through both; the property modules of
rtl/formal, which are never simulated, through slang. A single warning fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError, run_cli
from models.encoding import library_names, load_encoding
from tb.control.build import CONTROL, ROOT, defines, prepare_environment, sources
from tb.control.suites import COLUMN_FORMS, FORMS, Config

# slang's groups of warnings, less two that the code cannot heed, each with its reason
SLANG_WARNINGS = ("extra", "conversion", "pedantic")
SLANG_WAIVED = {
    "sign-conversion": "constant functions cut unsigned 16-bit fields out of vectors and count in int, none above 2^15",
    "useless-cast": "casts to a width that is a parameter: useless for some values, needed for others",
}
YOSYS = "import sys; from pyosys import libyosys as y; y.run_pass(sys.argv[1], y.Design())"


@dataclass(frozen=True)
class Unit:
    """What is linted as a whole: name, top module, files, defines and parameters."""

    name: str
    top: str
    files: tuple[Path, ...]
    defines: dict[str, object]
    parameters: dict[str, int]
    simulated: bool = True


def configurations() -> list[Config]:
    """Small arrays that reach every generate branch."""
    small = {"rows": 4, "columns": 4, "rows_per_group": 2}
    configs = [Config("verilator", "conv", form=form, **small) for form in range(len(FORMS) + len(COLUMN_FORMS))]
    configs += [Config("verilator", "conv", rows=rows, columns=rows, depth=2 * rows - 1) for rows in (4, 1)]
    staged = small | {"columns_per_stage": 2, "shadow": True}
    configs += [Config("verilator", "conv", **staged), Config("verilator", "enc", "m20p", merged=True, **staged)]
    configs += [Config("verilator", "enc", "m20p", merged=False, programmable=True, **staged)]
    configs += [Config("verilator", kind, "m12p", gated=True, **staged) for kind in ("conv", "enc")]
    narrow = ((0, "w5a7", True), (2, "w4a8", True), (4, "w5a7", False), (6, "w7a6", False))
    configs += [Config("verilator", "conv", bits, form=form, zeros=zeros, **small) for form, bits, zeros in narrow]
    configs += [Config("verilator", "enc", "w4a8", zeros=True, **small)]
    for name in library_names():
        configs += [Config("verilator", "enc", name, merged=False, **small)]
        if load_encoding(name).is_power_of_two:
            configs += [Config("verilator", "enc", name, merged=True, **small)]
    return configs


def units(rtl: Path, scratch: Path) -> list[Unit]:
    """Arrays, and the modules that state properties."""
    found = [Unit(c.design, c.top, tuple(sources(c, scratch, rtl)), defines(c), c.parameters) for c in configurations()]
    package, name = rtl / "encmac_pkg.sv", "formal/delay_triangle_props.sv"
    found.append(
        Unit(name, "delay_triangle_props", (package, rtl / "array/delay_triangle.sv", rtl / name), {}, {}, False)
    )
    for module in (
        "accumulation_buffer",
        "axil_registers",
        "packet_framer",
        "requantiser",
        "skid_buffer",
        "tile_counter",
    ):
        name = f"formal/{module}_props.sv"
        found.append(Unit(name, f"{module}_props", (package, rtl / f"tile/{module}.sv", rtl / name), {}, {}, False))
    name, control = "formal/stream_control_props.sv", rtl / "array/stream_control.sv"
    for shadow in (0, 1):
        parameters = {"Latency": 3, "Shadow": shadow, "SwapCycles": shadow}
        files = (package, control, rtl / name)
        found.append(Unit(f"{name} Shadow={shadow}", "stream_control_props", files, {}, parameters, False))
    return found


def verilator_complaints(unit: Unit, rtl: Path) -> str:
    """What Verilator says against a unit, "" if nothing."""
    command = ["verilator", "--lint-only", "-Wall", "--assert", "--top-module", unit.top, f"-I{rtl}"]
    command += [f"-D{key}={value}" for key, value in unit.defines.items()]
    command += [f"-G{key}={value}" for key, value in unit.parameters.items()]
    try:
        done = subprocess.run([*command, *map(str, [CONTROL, *unit.files])], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UserError("verilator is not installed; run: make setup") from error
    complaints = [line for line in done.stderr.splitlines() if line.startswith("%")]
    return done.stderr if done.returncode or complaints else ""


def slang_complaints(unit: Unit, rtl: Path) -> str:
    """What slang (in pyosys) says against a unit, "" if nothing."""
    words = [f"-W{name}" for name in SLANG_WARNINGS] + [f"-Wno-{name}" for name in SLANG_WAIVED]
    words += [f"-D {key}={value}" for key, value in unit.defines.items()]
    words += [f"-G {key}={value}" for key, value in unit.parameters.items()]
    words += ["--max-constexpr-steps 1000000000", f"-I {rtl}", f"--top {unit.top}", *map(str, unit.files)]
    command = [sys.executable, "-c", YOSYS, f"read_slang {' '.join(words)}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if "No module named 'pyosys'" in done.stderr:
        raise UserError("pyosys is not installed; run: make setup")
    clean = re.search(r"^Build succeeded: 0 errors, 0 warnings$", done.stdout, re.MULTILINE)
    if clean and not done.returncode:
        return ""
    text = done.stdout.partition("Top level design units:")[2] or done.stdout
    return text.partition("Build ")[0].strip() + "\n" + done.stderr


def lint(rtl: Path) -> int:
    """Lint the RTL in a folder; prints complaints, returns how many units have any."""
    prepare_environment()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        everything = units(rtl, Path(scratch))
        asked = {("slang", u.name): pool.submit(slang_complaints, u, rtl) for u in everything}
        asked |= {("Verilator", u.name): pool.submit(verilator_complaints, u, rtl) for u in everything if u.simulated}
        faults = {key: answer.result() for key, answer in asked.items() if answer.result()}
    for (tool, name), text in faults.items():
        print(f"{tool} on {name}:\n{text}")
    print(f"rtl: {len(everything)} units, {len(faults)} with warnings (Verilator, slang)")
    return len(faults)


def main() -> int:
    """Lint everything; exit code 1 if there is a single warning."""
    return 1 if lint(ROOT / "rtl") else 0


if __name__ == "__main__":
    run_cli(main)
