"""Area of a whole array, built hierarchically: its column once, and once all that surrounds the columns.

What surrounds them, the shell, is mac_array itself with its columns taken out: stream control, skew,
encoders of activations, the extra column of an encoding with f(a) and the addition of its sum,
straightening of results. Its wires to the columns are ports while it is mapped and timed, as at a
column every one of them ends in a register.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from common.errors import UserError
from common.files import keep, kept, locked, making, sweep, write_text
from common.store import check_steady, sources_of
from flows.platform import Platform
from flows.synth.measure import KEPT_RESULTS, Result, choose, fingerprint, in_a_process, unchanged
from flows.synth.netlist import (
    ARRAY_TOP,
    ROOT,
    RTL,
    TOP,
    Design,
    Netlist,
    elaborate,
    map_every_way,
    read_netlist,
    rtl_files,
    run_yosys,
    slang_options,
)
from models.encoding import export_package, load_encoding

COLUMN = "array_column"
SHELL_RTL = ("array/delay_triangle.sv", "array/stream_control.sv", "accum/position_multiplier.sv")
SHELL_RTL += ("accum/position_weights.sv", "array/mac_array.sv")
SHELL_SOURCES = (*(f"rtl/{name}" for name in SHELL_RTL), "flows/synth/array.py", "flows/synth/array_top.sv")
# a port of the shell that leads to a column: its number, its own port
INNER = re.compile(r"u_array_gen_stage_(\d+)__u_stage_gen_column_u_column_(\w+?)_?")
SHELL_EFFORTS = ("amap",)  # nearly all of a shell is registers; the same for all designs

# In place of array_stage: the extra column stays, every other stage becomes a cell whose inside is measured apart.
STAGE = """
module {column} #(parameter int A = 8, parameter int Y = 16) (
    input logic clk_i, input logic w_shift_i, input logic [7:0] w_i, input logic [A-1:0] a_i, output logic [A-1:0] a_o,
    input logic [Y-1:0] f_i, output logic [Y-1:0] f_o, output logic [Y-1:0] y_o
);
endmodule
{header}
  if (WBits == 0) begin : gen_extra
    array_stage_full #(
        .Kind(Kind), .Rows(Rows), .Cols(Cols), .RowsPerGroup(RowsPerGroup), .Merged(Merged),
        .SumRegister(SumRegister), .Programmable(Programmable), .Form(Form), .Shadow(Shadow), .Width(Width),
        .Encoding(Encoding)
    ) u_stage (.*);
  end else begin : gen_column
    {column} #(.A(ABits * Rows), .Y(Width)) u_column (.*);
    assign w_swap_o = '0;
    assign zero_o = '0;
  end
endmodule
"""


@dataclass(frozen=True)
class Array:
    """An array: its column, how many, and its shell."""

    column: Result
    columns: int
    shell: Netlist
    shell_slack_ns: float

    @property
    def area_um2(self) -> float:
        """Columns and shell."""
        return self.columns * self.column.netlist.area_um2 + self.shell.area_um2

    @property
    def slack_ns(self) -> float:
        """The worse of column and shell."""
        return min(self.column.slack_ns, self.shell_slack_ns)


def stage_files(folder: Path) -> list[Path]:
    """array_stage under another name, and what stands in its place (see STAGE)."""
    text = (ROOT / "rtl/array/array_stage.sv").read_text()
    if not (header := re.search(r"^module array_stage\b.*?^\);\n", text, re.MULTILINE | re.DOTALL)):
        raise UserError("rtl/array/array_stage.sv: no header of module array_stage")
    full, stage = folder / "array_stage_full.sv", folder / "array_stage.sv"
    write_text(full, re.sub(r"\bmodule array_stage\b", "module array_stage_full", text))
    write_text(stage, STAGE.format(column=COLUMN, header=header.group(0)))
    return [full, stage]


def shell_commands(design: Design, packages: list[Path], columns: int, platform: Platform, folder: Path) -> list[str]:
    """Yosys commands from RTL to generic logic of the shell of an array."""
    entries = [entry for entry in RTL if entry != "array/array_stage.sv"]
    files = [*rtl_files(entries, packages), *stage_files(folder), *(ROOT / "rtl" / name for name in SHELL_RTL)]
    files.append(Path(__file__).with_name("array_top.sv"))
    define = {"ENCODING_PKG": f"{Path(design.encoding).stem}_pkg"} if design.encoding else {"COLUMN_CONV": 1}
    read = f"--blackboxed-module {COLUMN} " + slang_options(files, define, dict(design.parameters) | {"Cols": columns})
    commands = elaborate(read, ARRAY_TOP, platform, folder)
    at = commands.index("flatten -separator _") + 1
    return [*commands[:at], f"expose -evert t:{COLUMN}*", *commands[at:]]


def _map_shell(design: Design, packages: list[Path], columns: int, platform: Platform, clock: float, out: Path) -> None:
    commands = shell_commands(design, packages, columns, platform, out)
    map_every_way(commands, platform, design.adders, clock, out, SHELL_EFFORTS)
    for effort in SHELL_EFFORTS:
        path = out / effort / "netlist.v"
        write_text(path, plain_names(path.read_text()))


def plain_names(verilog: str) -> str:
    """A netlist whose escaped names, those of pins of a column, are plain ones: the others are none to OpenSTA."""
    names = {name: re.sub(r"\W", "_", name) for name in set(re.findall(r"\\(\S+) ", verilog))}
    if len(set(names.values())) != len(names):
        raise UserError("names of the shell's ports become the same without brackets and dots")
    return re.sub(r"\\(\S+) ", lambda found: names[found.group(1)] + " ", verilog)


def _shell_key(column: Result, columns: int, platform: Platform, clock_ns: float) -> str:
    """Hash of all that the shell of an array depends on."""
    known = (fingerprint(column.design, column.rows, platform, clock_ns, SHELL_EFFORTS), columns, SHELL_SOURCES)
    return hashlib.sha256(repr((known, sources_of(*(ROOT / name for name in SHELL_SOURCES)))).encode()).hexdigest()


def measure_array(column: Result, columns: int, platform: Platform, clock_ns: float, folder: Path) -> Array:
    """The array of a measured column; kept and reused as columns are."""
    design = column.design
    shells = folder / f"{design.label}-shell-{columns}"
    key = _shell_key(column, columns, platform, clock_ns)
    place = shells / key[:12]
    with locked(place.with_name(f"{place.name}.lock")):
        try:
            found = json.loads((place / "result.json").read_text())
            shell = Netlist(**found["netlist"] | {"path": place / found["netlist"]["effort"] / "netlist.v"})
            if found["key"] == key and unchanged(shell):
                return Array(column, columns, shell, found["slack_ns"])
        except (OSError, KeyError, TypeError, ValueError):
            pass
        with making(place) as made:
            packages = [export_package(load_encoding(design.encoding), made)] if design.encoding else []
            in_a_process(_map_shell, design, packages, columns, platform, clock_ns, made)
            shell, slack = choose([made / effort for effort in SHELL_EFFORTS], ARRAY_TOP, platform, clock_ns)
            shell = replace(shell, path=place / shell.path.relative_to(made))
            check_steady(f"array of {design.label}", key, _shell_key(column, columns, platform, clock_ns))
            document = {"key": key, "netlist": asdict(shell), "slack_ns": slack}
            write_text(made / "result.json", json.dumps(document, default=str))
    sweep(shells, "[0-9a-f]*", KEPT_RESULTS, spare=place)
    return Array(column, columns, shell, slack)


def flat_netlist(array: Array, platform: Platform) -> Netlist:
    """The whole array as one netlist of cells, beside that of its shell: module `array_top`, columns named c0, c1, ...

    Raises UserError if a port of the shell that leads to a column has no place there.
    """
    place = array.shell.path.parent / "flat"
    what = [array.shell.sha256, array.column.netlist.sha256, array.columns, platform.sha256]
    key = hashlib.sha256(json.dumps([*what, sources_of(Path(__file__))]).encode()).hexdigest()
    with locked(place.with_name("flat.lock")):
        if kept(place / "kept.json", key) is None:
            with making(place) as made:
                in_a_process(_flatten, array, platform, made)
                keep(made / "kept.json", key, read_netlist(made, platform).sha256)
        found = read_netlist(place, platform)
        if found.sha256 != kept(place / "kept.json", key):
            raise UserError(f"{found.path} has changed since it was made; delete its folder and run it again")
        return found


def _flatten(array: Array, platform: Platform, folder: Path) -> None:
    """`netlist.v` and `stat.json` of an array, in this process, which Yosys may end."""
    write_text(folder / "whole.v", whole(array.shell.path, array.column.netlist.path, array.columns))
    commands = [
        f"read_liberty -lib {platform.liberty}",
        f"read_verilog {folder / 'whole.v'}",
        f"hierarchy -check -top {ARRAY_TOP}",
        "flatten -separator _",
        "opt_clean -purge",
        "splitnets -ports -format _",
        f"write_verilog -noattr -noexpr -nohex -nodec {folder / 'netlist.v'}",
        f"tee -q -o {folder / 'stat.json'} stat -json -liberty {platform.liberty}",
    ]
    run_yosys(commands, platform, "ripple", folder)


def whole(shell: Path, column: Path, columns: int) -> str:
    """Verilog of an array: its shell, its column as often as it is there, and wires for the ports between them."""

    def ports(text: str) -> dict[str, str]:
        return {name: way for way, name in re.findall(r"^\s*(input|output) (\w+) ?;", text, re.MULTILINE)}

    outside, inside = shell.read_text(), column.read_text()
    of_shell, of_column = ports(outside), ports(inside)
    inner = {name: found for name in of_shell if (found := INNER.fullmatch(name))}
    if lacking := {int(found[1]) for found in inner.values()} ^ set(range(columns)):
        raise UserError(f"{shell}: no ports to column {min(lacking)}; run make synth again")
    outer = [name for name in of_shell if name not in inner]
    wires = [f"  wire {name};" for name in inner]
    # what a column lacks, as f(a) of a conventional one, nobody drives: it is 0
    wires += [
        f"  assign {name} = 1'b0;"
        for name, found in inner.items()
        if of_shell[name] == "input" and found[2] not in of_column
    ]
    cells = [f"  shell_top shell ({', '.join(f'.{name}({name})' for name in of_shell)});"]
    for number in range(columns):
        own = {found[2]: name for name, found in inner.items() if int(found[1]) == number} | {"clk_i": "clk_i"}
        pins = {port: own.get(port, "1'b0" if way == "input" else "") for port, way in of_column.items()}
        cells.append(f"  {TOP} c{number} ({', '.join(f'.{port}({net})' for port, net in pins.items())});")
    top = [f"module {ARRAY_TOP} ({', '.join(outer)});", *(f"  {of_shell[name]} {name};" for name in outer)]
    modules = [re.sub(rf"\bmodule {ARRAY_TOP}\b", "module shell_top", outside), inside]
    return "\n".join([*modules, *top, *wires, *cells, "endmodule", ""])


def array_record(array: Array) -> dict:
    """What ppa.json says of an array, in the record of its column."""
    area = array.area_um2
    return {
        "columns": array.columns,
        "area_um2": {
            "total": round(area, 3),
            "columns": round(array.columns * array.column.netlist.area_um2, 3),
            "shell": array.shell.area_um2,
            "per_mac": round(area / array.columns / array.column.rows, 3),
        },
        "wns_ns": round(array.slack_ns, 4),
        "shell_netlist_sha256": array.shell.sha256,
    }
