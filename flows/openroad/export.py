"""A column or an array as a design of other flows: LibreLane (`config.json`) and OpenROAD-flow-scripts (`config.mk`).

A folder holds all that it needs: RTL, constraints, places of pins. Both flows map the RTL themselves, with Yosys and
slang, so their areas are those of their own recipes and not the figures of `make synth`.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError
from common.files import scratch, settle
from flows.openroad import ASPECT_RATIO, SIDES, STREAMS
from flows.platform import PLATFORMS
from flows.sta import IO_SHARE
from flows.synth.netlist import ROOT, TOP, Design, column_sources
from models.encoding import export_package, load_encoding

ARRAY_SIDES: dict[str, tuple[str, ...]] = {side: (STREAMS[side],) if side in STREAMS else () for side in SIDES}
ARRAY_SIDES["top"] += ("clk_i", "rst_ni")
SLANG = "--max-constexpr-steps 1000000000"  # heights of the adder tree are computed while it is read
CONSTRAINTS = "constraint.sdc"  # written first: whose folder it is
OWN = (CONSTRAINTS, "rtl", "config.json", "pins.cfg", "config.mk", "io.tcl")
SECTIONS = {"top": "#N", "right": "#E", "bottom": "#S", "left": "#W"}  # of LibreLane's order of pins
# what other flows call the platforms
LIBRELANE = {"sky130hd": ("sky130A", "sky130_fd_sc_hd"), "gf180": ("gf180mcuD", "gf180mcu_fd_sc_mcu7t5v0")}
LIBRELANE |= {"ihp-sg13g2": ("ihp-sg13g2", "sg13g2_stdcell")}
ORFS = {"nangate45": 1, "sky130hd": 1, "asap7": 1000, "ihp-sg13g2": 1}  # times of its library in a nanosecond


@dataclass(frozen=True)
class Exported:
    """What is laid out: a top module, its sources and what chooses its content."""

    name: str
    top: str
    files: list[Path]
    define: dict[str, object]
    parameters: dict[str, int]
    sides: dict[str, tuple[str, ...]]


def exported(design: Design, columns: int | None, packages: list[Path]) -> Exported:
    """A column of `make synth`, or with `columns` the whole array of it behind its streams."""
    files, define = column_sources(design, packages)
    parameters = dict(design.parameters)
    kind = f"{Path(design.encoding).stem}" if design.encoding else design.label.split("-rows")[0]
    rows = parameters["Rows"]
    if columns is None:
        return Exported(f"{kind}_column{rows}", "column_top", files, define, parameters, SIDES)
    shell = [ROOT / "rtl" / name for name in ("accum/position_multiplier.sv", "accum/position_weights.sv")]
    shell += [ROOT / "rtl/array" / f"{name}.sv" for name in ("delay_triangle", "stream_control", "mac_array")]
    top = ROOT / "flows/synth/array_top.sv"
    have = [*files[:-1], *(file for file in shell if file not in files), top]
    return Exported(
        f"{kind}_array{rows}x{columns}", "array_top", have, define, parameters | {"Cols": columns}, ARRAY_SIDES
    )


def export(design: Design, columns: int | None, platform: str, clock_ns: float, util: float, out: Path) -> Path:
    """Write the folder of a design below `out`; returns it. What else is in it, as runs of a flow, stays.

    Raises UserError if it is there already and was not written by this, or for another platform or another encoding of
    that name, or if neither flow knows the platform.
    """
    if platform not in LIBRELANE and platform not in ORFS:
        known = ", ".join(sorted({*LIBRELANE, *ORFS}))
        raise UserError(f"neither LibreLane nor OpenROAD-flow-scripts has platform {platform}; they have {known}")
    if out.exists() and not out.is_dir():
        raise UserError(f"EXPORT={out} is no folder; name another")
    out.mkdir(parents=True, exist_ok=True)
    packages = [export_package(load_encoding(design.encoding), out)] if design.encoding else []
    try:
        what = exported(design, columns, packages)
        folder = out / what.name
        head = f"# {platform}, {load_encoding(design.encoding).sha256[:12] if design.encoding else design.name}"
        constraints = folder / CONSTRAINTS
        if folder.exists() and not constraints.is_file():
            raise UserError(f"{folder} is there and no design of this command; name another folder")
        if folder.exists() and (found := constraints.read_text().partition("\n")[0]) != head:
            raise UserError(f"{folder} holds another design ({found[2:]}, not {head[2:]}); name another folder")
        folder.mkdir(exist_ok=True)
        with scratch(folder) as made:
            _write(what, platform, clock_ns, util, made, head)
            for own in OWN:
                if (made / own).exists():
                    settle(made / own, folder / own)
    finally:
        for package in packages:
            package.unlink()
    return folder


def _write(what: Exported, platform: str, clock_ns: float, util: float, folder: Path, head: str) -> None:
    rtl = folder / "rtl"
    rtl.mkdir()
    for file in [*what.files, *(ROOT / "rtl").glob("*.svh")]:
        shutil.copyfile(file, rtl / file.name)
    names = [f"rtl/{file.name}" for file in what.files]
    scale = ORFS.get(platform, 1)
    delay, period = (f"{scale * time:g}" for time in (IO_SHARE * clock_ns, clock_ns))
    (folder / CONSTRAINTS).write_text(
        f"{head}\n# times are those of the library: {scale:,} to a nanosecond\n"
        f"create_clock -name clock -period {period} [get_ports clk_i]\n"
        f"set_input_delay {delay} -clock clock [all_inputs -no_clocks]\n"
        f"set_output_delay {delay} -clock clock [all_outputs]\n"
    )
    if platform in LIBRELANE:
        (folder / "config.json").write_text(
            json.dumps(librelane(what, platform, clock_ns, util, names), indent=2) + "\n"
        )
        (folder / "pins.cfg").write_text(pin_order(what))
    if platform in ORFS:
        (folder / "config.mk").write_text(orfs(what, platform, util, names))
        (folder / "io.tcl").write_text(io_constraints(what))


def aspect_ratio(what: Exported, platform: str) -> float:
    """Height by width of a core, as our own layout of it has: the platform's, if it has one."""
    script = PLATFORMS / platform / "openroad.tcl"
    own = (
        re.search(r"^set layout\(aspect_ratio\) (\S+)", script.read_text(), re.MULTILINE) if script.is_file() else None
    )
    return float(own[1]) if own else ASPECT_RATIO if what.top == TOP else 1.0


def librelane(what: Exported, platform: str, clock_ns: float, util: float, names: list[str]) -> dict:
    """Configuration of LibreLane's flow Classic; paths are relative to its folder."""
    pdk, scl = LIBRELANE[platform]
    return {
        "meta": {"version": 2, "flow": "Classic"},
        "PDK": pdk,
        "STD_CELL_LIBRARY": scl,
        "DESIGN_NAME": what.top,
        "VERILOG_FILES": [f"dir::{name}" for name in names],
        "VERILOG_INCLUDE_DIRS": ["dir::rtl"],
        "VERILOG_DEFINES": [f"{key}={value}" for key, value in what.define.items()],
        "SYNTH_PARAMETERS": [f"{key}={int(value)}" for key, value in what.parameters.items()],
        "USE_SLANG": True,
        "SLANG_ARGUMENTS": SLANG.split(),
        "CLOCK_PORT": "clk_i",
        "CLOCK_PERIOD": clock_ns,
        "PNR_SDC_FILE": "dir::constraint.sdc",
        "SIGNOFF_SDC_FILE": "dir::constraint.sdc",
        "FP_CORE_UTIL": util,
        "FP_ASPECT_RATIO": aspect_ratio(what, platform),
        "IO_PIN_ORDER_CFG": "dir::pins.cfg",
    }


def pin_order(what: Exported) -> str:
    """Sides of the pins as LibreLane reads them: regular expressions under the letter of a side."""
    lines = []
    for side, section in SECTIONS.items():
        lines += [
            section,
            *(rf"{bus}(\[.*\])?" if what.top == "column_top" else rf"{bus}.*" for bus in what.sides[side]),
        ]
    return "\n".join(lines) + "\n"


def orfs(what: Exported, platform: str, util: float, names: list[str]) -> str:
    """A design's config.mk; `make DESIGN_CONFIG=<folder>/config.mk` in the folder flow/ of OpenROAD-flow-scripts."""
    here = "$(dir $(DESIGN_CONFIG))"
    define = " ".join(f"-D {key}={value}" for key, value in what.define.items())
    parameters = " ".join(f"{key} {int(value)}" for key, value in what.parameters.items())
    lines = {
        "DESIGN_NAME": what.top,
        "DESIGN_NICKNAME": what.name,
        "PLATFORM": platform,
        "SYNTH_HDL_FRONTEND": "slang",
        "SYNTH_SLANG_ARGS": SLANG,
        "VERILOG_FILES": " ".join(here + name for name in names),
        "VERILOG_INCLUDE_DIRS": f"{here}rtl",
        "VERILOG_DEFINES": define,
        "VERILOG_TOP_PARAMS": parameters,
        "SDC_FILE": f"{here}constraint.sdc",
        "IO_CONSTRAINTS": f"{here}io.tcl",
        "CORE_UTILIZATION": f"{util:g}",
        "CORE_ASPECT_RATIO": f"{aspect_ratio(what, platform):g}",
        "PLACE_DENSITY_LB_ADDON": "0.10",
    }
    return "".join(f"export {key} = {value}\n" for key, value in lines.items())


def io_constraints(what: Exported) -> str:
    """Sides of the pins as OpenROAD reads them."""
    lines = [
        f"set_io_pin_constraint -region {side}:* -pin_names {{{bus}*}}"
        for side in what.sides
        for bus in what.sides[side]
    ]
    return "\n".join(lines) + "\n"
