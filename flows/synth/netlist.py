"""From RTL to a netlist of library cells with Yosys (pyosys).

Every design goes through the same passes. Two things are choices, tried where they can help and
reported: Booth recoding of a written multiplication, and carry-propagate adders as a ripple of full
adder cells or with lookahead. Full adders become the library's full adder cell in all designs,
whether they were written as modules or come out of an expression.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from flows.platform import FullAdder, Platform
from models.errors import UserError

ROOT = Path(__file__).resolve().parent.parent.parent
TOP = "column_top"
ADDERS = ("ripple", "lookahead")
RTL = ("encmac_pkg.sv", "encodings", "mult", "accum/full_adder.sv", "accum/compressor_tree.sv")
RTL += ("accum/bit_counter.sv", "accum/position_decoder.sv")
RTL += tuple(
    f"array/{name}.sv" for name in ("clock_gate", "enc_group", "enc_column", "conv_pe", "conv_column", "array_stage")
)


# Yosys' own script for a library with constraints, and `-p`: buffer inputs as well, because the
# weight-load enable of a column drives every row.
ABC_SCRIPT = (
    "+strash;&get,-n;&fraig,-x;&put;scorr;dc2;strash;&get,-n;&dch,-f;&nf,{D};&put;"
    "buffer,-p,-N,16;upsize,{D};dnsize,{D};stime,-p"
)

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
    """A mapped design: its Verilog, cell counts and areas (um2)."""

    path: Path
    sha256: str
    cells: int
    area_um2: float
    sequential_um2: float


def adder_maps(cell: FullAdder, adders: str) -> str:
    """Techmap rules (Verilog): `$fa` to the library cell, and `$alu` to a ripple of `$fa`."""
    invert = "~" if cell.inverted else ""
    rules = f"""
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
    if adders == "ripple":
        rules += """
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
    return rules


def clock_gate_map(platform: Platform) -> str:
    """Techmap rule (Verilog): the library's cells in place of the module clock_gate; none without them."""
    body = platform.clock_gate.strip()
    ports = "input clk_i, input enable_i, output clk_o"
    return f"module clock_gate ({ports});\n{body}\nendmodule\n" if body else ""


def script(
    read: str, top: str, platform: Platform, clock_ns: float, folder: Path, booth: bool = False, split: bool = True
) -> list[str]:
    """The Yosys commands for one design; outputs go to `folder`.

    `read` holds the options and files of `read_slang`; with `split` every bit of a port is a port of its own.
    """
    maps, liberty = folder / "adders.v", platform.liberty
    return [
        f"read_slang -I {ROOT / 'rtl'} -D SYNTHESIS=1 --max-constexpr-steps 1000000000 "
        f"--blackboxed-module clock_gate --top {top} {read}",
        f"hierarchy -check -top {top}",
        "proc",
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
        f"abc -liberty {liberty} -D {clock_ns * 1000:.0f} -constr {folder / 'abc.constr'} -script {ABC_SCRIPT}",
        f"splitnets {'-ports ' if split else ''}-format _",
        "opt_clean -purge",
        *PLAIN_GATES,
        "check -assert -mapped",
        f"write_verilog -noattr -noexpr -nohex -nodec {folder / 'netlist.v'}",
        f"tee -q -o {folder / 'stat.json'} stat -json -liberty {liberty}",
    ]


def slang_options(files: list[Path], defines: dict[str, object], parameters: dict[str, int]) -> str:
    """Options of `read_slang` for files, macros and parameters of the top module."""
    words = [f"-D {key}={value}" for key, value in defines.items()]
    words += [f"-G {key}={value}" for key, value in parameters.items()]
    return " ".join([*words, *map(str, files)])


def column_options(design: Design, packages: list[Path]) -> str:
    """What `read_slang` reads for a column."""
    rtl = ROOT / "rtl"
    files: list[Path] = []
    for entry in RTL:
        path = rtl / entry
        files += packages if entry == "encodings" else sorted(path.glob("*.sv")) if path.is_dir() else [path]
    files.append(Path(__file__).with_name("column_top.sv"))
    define = {"ENCODING_PKG": f"{Path(design.encoding).stem}_pkg"} if design.encoding else {"COLUMN_CONV": 1}
    define |= {"COLUMN_SHARED": 1} if design.shared else {}
    return slang_options(files, define, dict(design.parameters))


def synthesise(design: Design, packages: list[Path], platform: Platform, clock_ns: float, folder: Path) -> Netlist:
    """Map one column; raises UserError with Yosys' own first error. Meant for a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    commands = script(column_options(design, packages), TOP, platform, clock_ns, folder, design.booth)
    return run_yosys(commands, platform, design.adders, folder)


def run_yosys(commands: list[str], platform: Platform, adders: str, folder: Path) -> Netlist:
    """Run the commands of `script` in this process, which Yosys ends at an error."""
    from pyosys import libyosys

    (folder / "adders.v").write_text(adder_maps(platform.full_adder, adders) + clock_gate_map(platform))
    constraint = f"set_driving_cell {platform.driver}\nset_load {platform.output_load_pf * 1000:.0f} [all_outputs]\n"
    (folder / "abc.constr").write_text(constraint)
    log = folder / "yosys.log"
    # Yosys prints from C++ and ends the process on an error: the log is the file descriptor.
    with log.open("wb") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    session = libyosys.Design()
    for command in commands:
        libyosys.run_pass(command, session)
    return read_netlist(folder, platform)


def read_netlist(folder: Path, platform: Platform) -> Netlist:
    """Figures of a finished mapping; raises UserError if it holds cells that are not the library's."""
    path, log = folder / "netlist.v", folder / "yosys.log"
    try:
        stat = json.loads((folder / "stat.json").read_text())["design"]
        text = path.read_bytes()
    except (OSError, KeyError, json.JSONDecodeError) as error:
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        reason = next((line for line in lines if "ERROR" in line), str(error))
        raise UserError(f"synthesis of {folder.name} failed: {reason}; see {log}") from error
    foreign = [name for name in stat["num_cells_by_type"] if name.startswith(("$", "\\$"))]
    if foreign:
        raise UserError(f"synthesis of {folder.name} left cells that {platform.name} has not: {', '.join(foreign)}")
    # cells whose area the Liberty file does not tell
    missing = sum(area * stat["num_cells_by_type"].get(cell, 0) for cell, area in platform.areas_um2.items())
    return Netlist(
        path=path,
        sha256=hashlib.sha256(text).hexdigest(),
        cells=stat["num_cells"],
        area_um2=float(stat["area"]) + missing,
        sequential_um2=float(stat["sequential_area"]),
    )
