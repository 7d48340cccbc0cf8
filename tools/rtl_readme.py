"""Writes what is made of the RTL's sources: `python -m tools.rtl_readme [--check]`.

That is rtl/README.md, its block diagrams and the registers' header for C. The table takes each module's contract
and latency from its header comment, its lines and parameters from its text; who verifies it follows from the proofs
of flows.formal and from the hierarchy under the simulation tops. `--check` writes nothing and fails if a file is not
current.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import wavedrom

from common.errors import UserError, run_cli
from common.files import write_text
from flows.formal.proofs import all_proofs
from models.encoding import library_names
from tb.control.suites import SUITES
from tools import registers
from tools.options import parse

ROOT = Path(__file__).resolve().parent.parent
RTL = ROOT / "rtl"
FOLDERS = ("mult", "accum", "array", "tile")
TESTS = {"mac_array": "tb.tests.array", "tile_engine": "tb.tests.tile"}
ALONE = {"fip_pe": "tb.tests.column"}  # of a column that no array has
STREAMS = RTL / "diagrams" / "streams.json"  # timing of the three streams
LEAVES = {config.module for config in SUITES["leaf"]}


@dataclass(frozen=True)
class Module:
    """A module as its source tells it; `uses` are the modules that it instantiates."""

    name: str
    path: Path
    contract: str
    latency: str
    lines: int
    parameters: tuple[str, ...]
    uses: tuple[str, ...]


def read_module(path: Path) -> Module:
    """Header comment, parameters and instances of one source file."""
    text = path.read_text()
    header = [line[3:].strip() for line in text.splitlines() if line.startswith("///")]
    latency = next((line[8:].strip(" .") for line in header if line.startswith("Latency:")), "")
    if not latency and any("Combinational" in line for line in header):
        latency = "combinational"
    paragraph = " ".join(header[: header.index("")] if "" in header else header)
    contract = first_sentence(paragraph)
    start = text.index("module ")
    head = text[start : text.index("\n)", start)]
    parameters = re.findall(r"parameter (?:(?:int|bit|logic(?: \[.*?\])?) )?(\w+)", head)
    uses = re.findall(r"^ *(\w+) (?:#|u_\w+ )\($", text, re.MULTILINE)
    lines = sum(bool(line.strip()) and not line.strip().startswith("//") for line in text.splitlines())
    return Module(path.stem, path, contract, latency, lines, tuple(parameters), tuple(dict.fromkeys(uses)))


def first_sentence(paragraph: str) -> str:
    """What stands before the first full stop, colon or semicolon outside parentheses."""
    for stop in re.finditer(r"(?<=[a-z)`])[.:;](?: |$)", paragraph):
        before = paragraph[: stop.start()]
        if before.count("(") == before.count(")"):
            return before
    return paragraph


def modules() -> dict[str, Module]:
    """All modules of the design by name, in the order of the folders."""
    found = [read_module(path) for folder in FOLDERS for path in sorted((RTL / folder).glob("*.sv"))]
    for module in found:
        if not module.latency:
            raise UserError(f"{module.path.name}: the header has neither 'Latency:' nor 'Combinational'; add one")
    return {module.name: module for module in found}


def below(name: str, known: dict[str, Module]) -> set[str]:
    """A module and all that it instantiates, directly or not."""
    found, left = set(), [name]
    while left:
        module = left.pop()
        if module in known and module not in found:
            found.add(module)
            left += known[module].uses
    return found


def table(known: dict[str, Module]) -> list[str]:
    """The table of modules, Markdown."""
    proofs = Counter(name.split("/")[0] for name in all_proofs(library_names()))
    simulated = {test: below(top, known) for top, test in TESTS.items()}
    rows = ["| module | what it does | lines | parameters | latency | verified by |", "|---|---|---:|---|---|---|"]
    for module in known.values():
        by = [f"{proofs[module.name]} proofs"] if proofs[module.name] else []
        tests = [test for test, members in simulated.items() if module.name in members]
        by += [f"`tb.tests.{module.name}`"] if module.name in LEAVES else []
        by += [f"`{test}`" for test in ([ALONE[module.name]] if module.name in ALONE else tests)]
        if not by:
            raise UserError(f"{module.name} is verified by nothing: prove it (flows/formal) or simulate it (tb/tests)")
        link = f"[`{module.name}`]({module.path.relative_to(RTL)})"
        parameters = ", ".join(module.parameters)
        rows.append(
            f"| {link} | {module.contract} | {module.lines} | {parameters} | {module.latency} | {', '.join(by)} |"
        )
    return rows


# name: (title, boxes {key: (text, x, y, width, height)}, arrows [(from, to, label)]), units of a text line
Boxes = dict[str, tuple[str, float, float, float, float]]
DIAGRAMS: dict[str, tuple[str, Boxes, list[tuple[str, str, str]]]] = {
    "mac_array": (
        "mac_array: streams, skew, stages",
        {
            "w": ("s_axis_w\nweights", 0, 8, 8, 3),
            "a": ("s_axis_a\nactivations", 0, 3.5, 8, 3),
            "control": ("stream_control\nvalid, ready, tlast; advance, shift, swap", 11, 12.5, 30, 3),
            "skew": ("bit-slice, delay_triangle\ngroup g: g cycles", 11, 3.5, 13, 3),
            "encode": ("encoders\nof activations", 26, 3.5, 8, 3),
            "stage0": ("array_stage 0\nregister, ColsPerStage columns", 37, 3.5, 17, 7.5),
            "stage1": ("array_stage 1 ...", 57, 3.5, 11, 7.5),
            "extra": ("extra column\nsums f(a)", 37, -3, 17, 3),
            "straight": ("delay_triangle\nresults side by side", 71, 3.5, 12, 7.5),
            "y": ("m_axis_y\nresults", 86, 3.5, 8, 7.5),
        },
        [
            ("a", "skew", ""), ("skew", "encode", ""), ("encode", "stage0", ""),
            ("w", "stage0", "encoded by each column"),
            ("stage0", "stage1", ""), ("stage1", "straight", ""), ("straight", "y", ""), ("skew", "extra", ""),
            ("extra", "stage0", ""), ("control", "stage0", ""),
        ],
    ),
    "enc_column": (
        "enc_column: groups of rows, counts or one tree, position weights once",
        {
            "w": ("weights,\nencoded", 0, 7, 8, 3),
            "a": ("activations of\ngroup g, cycle g", 0, 1, 10, 3),
            "held": ("weight registers\n(and shadow)", 13, 7, 11, 3),
            "mult": ("enc_mult\nM product bits a row", 13, 1, 13, 3),
            "sum": ("Merged = 0: M x bit_counter\nMerged = 1: position_decoder,\none compressor_tree", 29, 0.5, 18, 4),
            "state": ("register\nstate of the column", 50, 1, 12, 3),
            "next": ("next group ...", 65, 1, 9, 3),
            "decode": ("Merged = 0:\nposition_decoder or\nposition_multiplier", 77, 0.5, 13, 4),
            "y": ("final addition\ny", 93, 1, 9, 3),
        },
        [
            ("w", "held", ""), ("held", "mult", ""), ("a", "mult", ""), ("mult", "sum", ""), ("sum", "state", ""),
            ("state", "next", ""), ("next", "decode", ""), ("decode", "y", ""),
        ],
    ),
    "tile_engine": (
        "tile_engine: a layer through streams",
        {
            "regs": ("axil_registers\nsizes, mode, clamp, errors", 13, 12.5, 18, 3),
            "w": ("s_axis_w", 0, 8.5, 7, 2),
            "a": ("s_axis_a", 0, 5.5, 7, 2),
            "p": ("s_axis_p\nbias, multiplier, shift", 0, 0.5, 14, 3),
            "frame": ("packet_framer, row mask\ntile_counter", 11, 5.5, 15, 5),
            "array": ("array\n(outside)", 30, 5.5, 9, 5),
            "buffer": ("accumulation_buffer\nK tiles, bias", 43, 5.5, 14, 5),
            "bank": ("two banks of\ncolumn parameters", 43, 0.5, 14, 3),
            "requant": ("requantiser\nint32 to int8, clamp", 61, 5.5, 14, 5),
            "y": ("m_axis_y", 79, 7, 7, 2),
        },
        [
            ("w", "frame", ""), ("a", "frame", ""), ("frame", "array", ""), ("array", "buffer", ""), ("p", "bank", ""),
            ("bank", "buffer", ""), ("bank", "requant", ""), ("buffer", "requant", ""), ("requant", "y", ""),
            ("regs", "frame", ""),
        ],
    ),
}  # fmt: skip


def edge(box: tuple[str, float, float, float, float], x: float, y: float) -> tuple[float, float]:
    """Where a line from the middle of a box towards (x, y) leaves it."""
    _, left, bottom, width, height = box
    middle_x, middle_y = left + width / 2, bottom + height / 2
    dx, dy = x - middle_x, y - middle_y
    scale = min(width / 2 / abs(dx) if dx else 1e9, height / 2 / abs(dy) if dy else 1e9)
    return middle_x + dx * scale, middle_y + dy * scale


def diagram(name: str) -> str:
    """A block diagram as SVG text, the same bytes each time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    title, boxes, arrows = DIAGRAMS[name]
    right = max(x + w for _, x, _, w, _ in boxes.values())
    low, top = min(y for _, _, y, _, _ in boxes.values()), max(y + h for _, _, y, _, h in boxes.values())
    with plt.rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 9}):
        figure, axes = plt.subplots(figsize=((right + 2) * 0.145, (top - low + 3) * 0.18))
        for text, x, y, w, h in boxes.values():
            axes.add_patch(plt.Rectangle((x, y), w, h, facecolor="#eef3fa", edgecolor="#30507a", linewidth=1.2))
            axes.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=8)
        for source, sink, label in arrows:
            centres = [(boxes[k][1] + boxes[k][3] / 2, boxes[k][2] + boxes[k][4] / 2) for k in (source, sink)]
            start, end = edge(boxes[source], *centres[1]), edge(boxes[sink], *centres[0])
            axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "#30507a", "linewidth": 1.2})
            if label:
                axes.text((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.8, label, ha="center", fontsize=7)
        axes.set_xlim(-1, right + 1)
        axes.set_ylim(low - 1, top + 1)
        axes.set_title(title, fontsize=10)
        axes.axis("off")
        out = io.StringIO()
        figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)
    return out.getvalue()


def readme() -> str:
    """rtl/README.md."""
    known = modules()
    pictures = "\n\n".join(f"![{title}](diagrams/{name}.svg)" for name, (title, _, _) in DIAGRAMS.items())
    rows = "\n".join(table(known))
    return f"""# The hardware

Hand-written SystemVerilog for simulation, synthesis and proof; no tool or technology is assumed. Encodings are
constants in `encodings/<name>_pkg.sv`, exported from `models/encodings`; a module takes one as a whole:

```systemverilog
mac_array #(.Rows(16), .Cols(16), .Encoding(m14p_pkg::ENCODING)) u_array (.*);
```

This page is written by `python -m tools.rtl_readme` from the sources.

{pictures}

The three streams of an array, cycle by cycle (`diagrams/streams.json`, for WaveDrom; a test simulates it):

![weights, activations and results of a tile; y0 waits a cycle, and all behind it](diagrams/streams.svg)

Lines are those of code. "proofs" are those of `make formal`, for all inputs; tests are run by `make sim`.

{rows}

`encmac_pkg.sv` has the layout of an encoding, and codes and widths that several modules share; `encmac_checks.svh`
stops elaboration for illegal parameters.

## Registers of a tile engine

From `tile/encmac_registers.rdl` (SystemRDL); `tile/encmac_registers.h` is the same for C. RO is read-only, WO reads as
0, W1C is cleared by writing 1; "also busy": may be written while a layer runs.

{registers.rules()}

{registers.section()}

## In a design of your own

`encmac.f` lists the files in the order of compilation, `../encmac.core` is the same for FuseSoC, `../Bender.yml` for
Bender; `encmac.vlt` has the few lint rules of Verilator that do not apply, each with its reason. Besides these, compile
the package of the encoding that you choose. `../examples/array` is the smallest complete design, an array behind its
streams, with a testbench in plain SystemVerilog:

```sh
iverilog -g2012 -s example_tb -o example.vvp -f rtl/encmac.f examples/array/*.sv && vvp example.vvp
fusesoc --cores-root . run --target sim encmac
```

The array leaves out what a weight alone brings to its products: add `weight_term` of the package once a row and tile.

Tests run it from each of these lists (Bender's manifest is read by a test, not by Bender), and compare the lists with
the folder. `../examples/tile` has the tile engine with its array behind SystemVerilog interfaces, for tools that take
them: five ports in place of fifty, and a layer as a testbench:

```sh
fusesoc --cores-root . run --target tile encmac    # Verilator
```

`--tool verilator` runs the array's testbench in Verilator too. Both were run in 5.48; Debian 12's 5.006 lints the RTL,
but fails in the testbench. That of `make setup` compiles with `MAKEFLAGS=CFG_CXXFLAGS_PCH_I=-include`.

Ports are plain vectors because of Icarus 11. It has no interfaces as ports ("Errors in port declarations"), no type
parameters, and aborts at a port of a package's structure that is named with `::`. Nor has it a parameter of a
structure's type ("cannot currently create a parameter of type"): an encoding is a vector, its fields are cut out by the
constants of `encmac_pkg`. The parameter `Encoding` is declared without a type, and so takes the length of what it is
given; there is no largest encoding. A module that was given none, or one of another layout, says so when it is
elaborated. Verilator 5.48 and Yosys with slang take all of these.
"""


def main() -> int:
    """Write or check the page."""
    args = parse("tools.rtl_readme")
    files = {RTL / "README.md": readme(), registers.HEADER: registers.header()}
    files |= {RTL / "diagrams" / f"{name}.svg": diagram(name) for name in DIAGRAMS}
    files[STREAMS.with_suffix(".svg")] = wavedrom.render(STREAMS.read_text()).tostring() + "\n"
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text() != text]
    if args.check and stale:
        raise UserError(f"{stale[0].relative_to(ROOT)} is not current; write it with: python -m tools.rtl_readme")
    for path in stale:
        write_text(path, files[path])
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    run_cli(main)
