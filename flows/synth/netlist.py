"""From RTL to a netlist of library cells with Yosys (pyosys).

Every design goes through the same passes. Two things are choices, tried where they can help and
reported: Booth recoding of a written multiplication, and carry-propagate adders as a ripple of full
adder cells or with lookahead. Full adders become the library's full adder cell in all designs,
whether they were written as modules or come out of an expression.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from common.errors import UserError
from common.files import full_disk
from flows.cells import cells_of
from flows.platform import FullAdder, Platform

ROOT = Path(__file__).resolve().parent.parent.parent
TOP, ARRAY_TOP = "column_top", "array_top"
ADDERS = ("ripple", "lookahead")
RTL = ("encmac_pkg.sv", "encodings", "mult", "accum/full_adder.sv", "accum/compressor_tree.sv")
RTL += ("accum/bit_counter.sv", "accum/position_decoder.sv")
RTL += tuple(
    f"array/{name}.sv"
    for name in ("clock_gate", "enc_group", "enc_column", "conv_pe", "fip_pe", "conv_column", "array_stage")
)

# Ways to map logic, all tried for every design; the smallest netlist that meets the clock counts. After each:
# buffers for large fan-outs (`-p`: of inputs as well, the weight-load enable drives every row) and cell sizes.
SIZING = "buffer,-p,-N,16;upsize,{D};dnsize,{D};stime,-p"
EFFORTS = {
    # Yosys' own script for a library with constraints
    "nf": "+strash;&get,-n;&fraig,-x;&put;scorr;dc2;strash;&get,-n;&dch,-f;&nf,{D};&put;" + SIZING,
    # area alone, exclusive-ors of the RTL left as they are
    "amap": "+strash;ifraig;scorr;strash;dch,-f;amap,-m,-x;" + SIZING,
    # area alone, structure made anew from functions of six inputs
    "if": "+strash;ifraig;scorr;strash;if,-g,-K,6;strash;dch,-f;amap,-m;" + SIZING,
}

# names of a clock gate's cells and nets that every tool can read: clock_gate_0, ...
PLAIN_GATES = (
    "setattr -set clock_gate 1 c:*clock_gate*",
    "rename -hide c:*clock_gate* w:*u_gate*",
    "rename -enumerate -pattern clock_gate_% a:clock_gate",
)


@dataclass(frozen=True)
class Design:
    """One form of a column: what it is called, its parameters, its encoding (None: conventional)."""

    name: str
    parameters: tuple[tuple[str, int], ...]
    encoding: str | None = None
    booth: bool = False
    adders: str = "ripple"  # one of ADDERS
    shared: bool = False  # the extra column that sums the encoding's f(a)

    @property
    def label(self) -> str:
        """Unique name for files."""
        words = [self.name, self.adders] + [f"{k}{v}" for k, v in self.parameters]
        return re.sub(r"[^a-z0-9-]", "", "-".join(words).lower().replace(" ", "-"))


@dataclass(frozen=True)
class Netlist:
    """A mapped design: its Verilog, cells by kind, areas (um2), and the way it was mapped."""

    path: Path
    sha256: str
    cells: int
    area_um2: float
    sequential_um2: float
    kinds: dict[str, int]
    areas_um2: dict[str, float]  # by what cells are for: flip-flops, adders, buffers, logic
    effort: str


def adder_maps(cell: FullAdder | None, adders: str) -> str:
    """Techmap rules (Verilog): `$fa` to the library cell, or to logic without one, and `$alu` to a ripple of `$fa`."""
    rules = LOGIC_ADDER if cell is None else _adder_cell(cell)
    if adders == "ripple":
        rules += RIPPLE
    return rules


def _adder_cell(cell: FullAdder) -> str:
    invert = "~" if cell.inverted else ""
    return f"""
(* techmap_celltype = "$fa" *)
module map_fa #(parameter WIDTH = 1) (input [WIDTH-1:0] A, B, C, output [WIDTH-1:0] X, Y);
  parameter _TECHMAP_CONSTMSK_A_ = 0;
  parameter _TECHMAP_CONSTMSK_B_ = 0;
  parameter _TECHMAP_CONSTMSK_C_ = 0;
  genvar i;
  for (i = 0; i < WIDTH; i = i + 1) begin : lane
    if (_TECHMAP_CONSTMSK_A_[i] || _TECHMAP_CONSTMSK_B_[i] || _TECHMAP_CONSTMSK_C_[i]) begin
      assign Y[i] = A[i] ^ B[i] ^ C[i];
      assign X[i] = (A[i] & B[i]) | (C[i] & (A[i] ^ B[i]));
    end else begin
      wire sum, carry;
      {cell.cell} adder (.{cell.x}(A[i]), .{cell.y}(B[i]), .{cell.z}(C[i]), .{cell.sum}(sum), .{cell.carry}(carry));
      assign Y[i] = {invert}sum;
      assign X[i] = {invert}carry;
    end
  end
endmodule
"""


LOGIC_ADDER = """
(* techmap_celltype = "$fa" *)
module map_fa #(parameter WIDTH = 1) (input [WIDTH-1:0] A, B, C, output [WIDTH-1:0] X, Y);
  wire [WIDTH-1:0] odd = A ^ B;
  assign Y = odd ^ C;
  assign X = (A & B) | (C & odd);
endmodule
"""
RIPPLE = """
(* techmap_celltype = "$alu" *)
module map_alu (A, B, CI, BI, X, Y, CO);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  input [B_WIDTH-1:0] B;
  input CI, BI;
  output [Y_WIDTH-1:0] X, Y, CO;
  wire [Y_WIDTH-1:0] a, b;
  wire [Y_WIDTH:0] carry;
  \\$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_a (.A(A), .Y(a));
  \\$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_b (.A(B), .Y(b));
  wire [Y_WIDTH-1:0] addend = b ^ {Y_WIDTH{BI}};
  assign carry[0] = CI;
  assign CO = carry[Y_WIDTH:1];
  assign X = a ^ addend;
  genvar i;
  for (i = 0; i < Y_WIDTH; i = i + 1) begin : bit_slice
    \\$fa #(.WIDTH(1)) fa (.A(a[i]), .B(addend[i]), .C(carry[i]), .X(carry[i+1]), .Y(Y[i]));
  end
endmodule
"""


def clock_gate_map(platform: Platform) -> str:
    """Techmap rule (Verilog): the library's cells in place of the module clock_gate; none without them."""
    body = platform.clock_gate.strip()
    ports = "input clk_i, input enable_i, output clk_o"
    return f"module clock_gate ({ports});\n{body}\nendmodule\n" if body else ""


def elaborate(read: str, top: str, platform: Platform, folder: Path, booth: bool = False) -> list[str]:
    """The Yosys commands from RTL to adders, flip-flops and generic logic.

    `read` holds the options and files of `read_slang`.
    """
    maps, liberty = folder / "adders.v", platform.liberty
    return [
        f"read_slang -I {ROOT / 'rtl'} -D SYNTHESIS=1 --max-constexpr-steps 1000000000 "
        f"--blackboxed-module clock_gate --top {top} {read}",
        f"hierarchy -check -top {top}",
        "proc",
        "select -assert-none t:$dlatch t:$adlatch t:$dlatchsr",
        "flatten -separator _",
        f"synth -top {top} -run coarse:fine{' -booth' if booth else ''}",
        "memory_map",
        "maccmap -unmap",
        f"techmap -map {maps}",
        "opt -fast",
        "techmap",
        "simplemap",
        "opt -fast -full",
        "extract_fa -fa",
        "opt_clean",
        f"techmap -map {maps}",
        f"read_liberty -lib {liberty}",
        "techmap",
        "opt -fast -full",
        f"dfflibmap -liberty {liberty}",
        "opt -fast",
    ]


def map_logic(
    effort: str, platform: Platform, clock_ns: float, folder: Path, out: Path, split: bool = True
) -> list[str]:
    """The Yosys commands from there to cells; outputs go to `out`.

    With `split` every bit of a port is a port of its own.
    """
    abc = f"-D {clock_ns * 1000:.0f} -constr {folder / 'abc.constr'} -script {EFFORTS[effort]}"
    return [
        f"abc -liberty {platform.liberty} {abc}",
        f"splitnets {'-ports ' if split else ''}-format _",
        "opt_clean -purge",
        *PLAIN_GATES,
        "check -assert -mapped",
        f"write_verilog -noattr -noexpr -nohex -nodec {out / 'netlist.v'}",
        f"tee -q -o {out / 'stat.json'} stat -json -liberty {platform.liberty}",
    ]


def script(
    read: str, top: str, platform: Platform, clock_ns: float, folder: Path, booth: bool = False, split: bool = True
) -> list[str]:
    """The Yosys commands for one design, mapped one way; outputs go to `folder`."""
    return elaborate(read, top, platform, folder, booth) + map_logic("nf", platform, clock_ns, folder, folder, split)


def slang_options(files: list[Path], defines: dict[str, object], parameters: dict[str, int]) -> str:
    """Options of `read_slang` for files, macros and parameters of the top module."""
    words = [f"-D {key}={value}" for key, value in defines.items()]
    words += [f"-G {key}={value}" for key, value in parameters.items()]
    return " ".join([*words, *map(str, files)])


def rtl_files(entries: Iterable[str], packages: list[Path]) -> list[Path]:
    """Files of `rtl` in order; an entry may be a folder, `encodings` stands for the packages."""
    files: list[Path] = []
    for entry in entries:
        path = ROOT / "rtl" / entry
        files += packages if entry == "encodings" else sorted(path.glob("*.sv")) if path.is_dir() else [path]
    return files


def column_sources(design: Design, packages: list[Path]) -> tuple[list[Path], dict[str, object]]:
    """Files of a column, packages first and `column_top` last, and the macros that choose what is in it."""
    files = [*rtl_files(RTL, packages), Path(__file__).with_name("column_top.sv")]
    define: dict[str, object] = (
        {"ENCODING_PKG": f"{Path(design.encoding).stem}_pkg"} if design.encoding else {"COLUMN_CONV": 1}
    )
    return files, define | ({"COLUMN_SHARED": 1} if design.shared else {})


def column_options(design: Design, packages: list[Path]) -> str:
    """What `read_slang` reads for a column."""
    return slang_options(*column_sources(design, packages), dict(design.parameters))


def synthesise(
    design: Design, packages: list[Path], platform: Platform, clock_ns: float, folder: Path, efforts: tuple[str, ...]
) -> None:
    """Map one column in every way, each in a folder of its own; meant for a process of its own."""
    commands = elaborate(column_options(design, packages), TOP, platform, folder, design.booth)
    map_every_way(commands, platform, design.adders, clock_ns, folder, efforts)


def map_every_way(
    commands: list[str], platform: Platform, adders: str, clock_ns: float, folder: Path, efforts: tuple[str, ...]
) -> None:
    """Elaborate once and map in every way, outputs in `folder`/<effort>; in this process, which Yosys may end."""
    for effort in efforts:
        (folder / effort).mkdir(parents=True, exist_ok=True)
        for stale in ("stat.json", "netlist.v"):
            (folder / effort / stale).unlink(missing_ok=True)
        mapping = map_logic(effort, platform, clock_ns, folder, folder / effort)
        commands = [*commands, "design -push-copy", *mapping, "design -pop"]
    run_yosys(commands, platform, adders, folder)


def run_yosys(commands: list[str], platform: Platform, adders: str, folder: Path) -> None:
    """Run commands in this process, which Yosys ends at an error; its log is `folder`/yosys.log."""
    from pyosys import libyosys

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adders.v").write_text(adder_maps(platform.full_adder, adders) + clock_gate_map(platform))
    constraint = f"set_driving_cell {platform.driver}\nset_load {platform.output_load_pf * 1000:g} [all_outputs]\n"
    (folder / "abc.constr").write_text(constraint)
    log = folder / "yosys.log"
    # Yosys prints from C++ and ends the process on an error: the log is the file descriptor.
    with log.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    session = libyosys.Design()
    for command in commands:
        libyosys.run_pass(command, session)


def yosys_complaint(log: Path) -> str:
    """What ended a run, in one line: Yosys' first error, a latch by its name."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    if any("Assertion failed: selection is not empty" in line and "dlatch" in line for line in lines):
        latch = next((line for line in lines if "Latch inferred" in line), "")
        found = re.search(r"signal `([^']+)'", latch)
        return f"a latch was inferred{f' for {found.group(1)}' if found else ''}"
    return next((line for line in lines if "ERROR" in line or "error:" in line), f"no result{full_disk(log.parent)}")


def read_netlist(folder: Path, platform: Platform, effort: str = "nf") -> Netlist:
    """Figures of a finished mapping; raises UserError if it holds cells that are not the library's."""
    path, log = folder / "netlist.v", folder / "yosys.log"
    log = log if log.exists() else folder.parent / "yosys.log"
    try:
        stat = json.loads((folder / "stat.json").read_text())["design"]
        text = path.read_bytes()
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise UserError(f"synthesis of {folder.name} failed: {yosys_complaint(log)}; see {log}") from error
    kinds = stat["num_cells_by_type"]
    foreign = [name for name in kinds if name.startswith(("$", "\\$"))]
    if foreign:
        raise UserError(f"synthesis of {folder.name} left cells that {platform.name} has not: {', '.join(foreign)}")
    areas = library_areas(platform.liberty, platform.liberty.stat().st_mtime_ns)
    if lacking := sorted(set(kinds) - set(areas)):
        raise UserError(f"{folder.name}: {platform.liberty} lacks {', '.join(lacking)}; is the netlist of it?")
    if bare := sorted(name for name in kinds if not (platform.areas_um2.get(name) or areas[name][0])):
        raise UserError(
            f"{platform.liberty} tells no area of {', '.join(bare)}; give it in areas_um2 of "
            f"{platform.folder}/config.toml"
        )
    split = dict.fromkeys(("flip-flops", "adders", "buffers", "logic"), 0.0)
    for name, count in kinds.items():
        area, purpose = areas[name]
        area = platform.areas_um2.get(name, area)  # where the Liberty file does not tell it
        adders = {adder.cell for adder in (platform.full_adder, platform.half_adder) if adder}
        split["adders" if name in adders else purpose] += count * area
    missing = sum(area * kinds.get(cell, 0) for cell, area in platform.areas_um2.items())
    return Netlist(
        path=path,
        sha256=hashlib.sha256(text).hexdigest(),
        cells=stat["num_cells"],
        area_um2=float(stat["area"]) + missing,
        sequential_um2=float(stat["sequential_area"]),
        kinds=kinds,
        areas_um2={key: round(value, 3) for key, value in split.items()},
        effort=effort,
    )


@functools.cache
def library_areas(liberty: Path, _stamp: int) -> dict[str, tuple[float, str]]:
    """Area (um2) of every cell of a library, and whether it is a flip-flop, a buffer (or inverter) or logic."""
    found = {}
    for name, text in cells_of(liberty):
        area = re.search(r"\barea\s*:\s*([\d.eE+-]+)", text)
        pins = re.sub(r"\bpg_pin\s*\([^)]*\)\s*\{[^}]*\}", "", text)  # supplies, which some libraries call inputs
        inputs = len(re.findall(r'direction\s*:\s*"?input', pins))
        sequential = re.search(r"\b(?:ff|latch|statetable)\s*\(", text)
        kind = "flip-flops" if sequential else "buffers" if inputs == 1 else "logic"
        found[name] = (float(area.group(1)) if area else 0.0, kind)
    return found
