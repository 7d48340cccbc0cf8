"""Registers of a tile engine: RTL, page, C header, register model and golden model say what the description says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from broken_rtl import broken_rtl

from common.errors import UserError
from models.hardware import tile
from models.hardware.registers import DESCRIPTION, compiled, registers
from tb.control.build import ROOT
from tb.control.run import Options, run
from tb.control.suites import SUITES
from tb.env.registers import RegisterModel
from tb.reporting.results import Outcome
from tools.registers import HEADER, SIZED, header, section

RTL = ROOT / "rtl"
FILE = "tile/axil_registers.sv"
SOURCE = (RTL / FILE).read_text()
WORDS = registers()
LEAF = next(config for config in SUITES["leaf"] if config.module == "axil_registers")
FIELDS = [(register, field) for register in WORDS for field in register.fields]


def test_fields_do_not_overlap_and_fit_their_word() -> None:
    for register in WORDS:
        seen = 0
        for field in register.fields:
            assert field.mask < 1 << 32 and not field.mask & seen, (register.name, field.name)
            seen |= field.mask
        assert register.description and all(field.description for field in register.fields)


def test_rtl_has_the_same_words() -> None:
    numbers = {name: 4 * int(number) for name, number in re.findall(r"\b([A-Z_]+) = 6'd(\d+)", SOURCE)}
    assert numbers == {register.name: register.address for register in WORDS}
    comment = re.findall(r"^///   0x(\w\w) (\w+) +(ro|rw|w1c|wo) ", SOURCE, re.MULTILINE)
    described = [(f"{r.address:02x}", r.name, r.access.lower()) for r in WORDS]
    assert comment == described


def test_golden_model_has_the_same_words_and_bits() -> None:
    assert {r.name: int(r) for r in tile.Register} == {r.name: r.address for r in WORDS}
    errors = next(r for r in WORDS if r.name == "ERRORS")
    assert {str(f.name): int(f) for f in tile.Fault} == {f.name.upper(): f.mask for f in errors.fields}
    assert {int(r): bits for r, bits in tile.WRITABLE.items()} == {r.address: r.writable for r in WORDS if r.writable}
    values = {"ID": tile.ID, "VERSION": tile.VERSION}
    values |= {r.name: word for r, word in tile.Shape(last_rows=16).registers().items()}
    resets = {r.name: r.reset for r in WORDS}
    assert values == {name: resets[name] for name in values}


def test_register_model_has_the_same_fields() -> None:
    model = RegisterModel(5, 3, 300)
    assert [register.described for register in model.words.values()] == list(registers(5, 3, 300))
    assert {r.get_name(): r.get_address() for r in model.get_registers()} == {r.name: r.address for r in WORDS}
    for register in registers(5, 3, 300):
        fields = model[register.name].get_fields()
        found = [(f.get_name(), f.get_lsb_pos(), f.get_n_bits(), f.get_access(), f.get_reset()) for f in fields]
        assert found == [(f.name, f.low, f.width, f.access, f.reset) for f in register.fields]
    assert model["GEOMETRY"].get_mirrored_value() == 3 << 16 | 5
    assert model["DEPTH"].get_mirrored_value() == 300
    assert model["LAST_ROWS"].get_mirrored_value() == 5


def test_page_names_every_register_and_field() -> None:
    page = (RTL / "README.md").read_text()
    assert section() in page
    for register, field in FIELDS:
        assert f"| `0x{register.address:02x}` | `{register.name}` |" in page
        assert f"| `{field.name}` | {field.access}" in page


@pytest.mark.skipif(not shutil.which("gcc"), reason="no C compiler")
def test_header_says_the_same_to_a_compiler(tmp_path: Path) -> None:
    assert HEADER.read_text() == header()
    names = [f"ENCMAC__{register.name}__{field.name.upper()}" for register, field in FIELDS]
    lines = [f'printf("%lu\\n", (unsigned long)offsetof(encmac_t, {register.name}));' for register in WORDS]
    macros = [f"{name}_{what}" for name in names for what in ("bm", "bp", "bw", "reset")]
    lines += [f'printf("%lu\\n", (unsigned long){macro});' for macro in macros]
    main = "int main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n"
    source = tmp_path / "main.c"
    source.write_text(f'#include <stddef.h>\n#include <stdio.h>\n#include "{HEADER}"\n{main}')
    subprocess.run(["gcc", "-std=c11", "-Wall", "-Werror", "-o", tmp_path / "main", source], check=True, timeout=1200)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True, timeout=1200).stdout
    expected = [register.address for register in WORDS]
    for _, field in FIELDS:
        expected += [field.mask, field.low, field.width, field.reset]
    assert [int(line) for line in printed.split()] == expected
    assert set(SIZED) <= {register.name for register in WORDS}


def test_a_description_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    broken = tmp_path / "broken.rdl"
    broken.write_text(DESCRIPTION.read_text().replace("addrmap encmac", "addrmap encmac {", 1))
    with pytest.raises(UserError, match="not a description of registers in SystemRDL"):
        compiled(path=broken)
    assert "broken.rdl" in capsys.readouterr().err


def simulated(rtl: Path, folder: Path, test: str) -> list[Outcome]:
    """Outcomes of the bench of the registers."""
    return run(LEAF, Options("mine", test=test, rtl=rtl, out=folder, rerun=False))


# what is broken: text that becomes another, the test that sees it, what it says
BROKEN = {
    "strobe ignored where bits are cleared": (
        {"write_word == ERRORS ? value[NumErrors-1:0]": "write_word == ERRORS ? data_q[NumErrors-1:0]"},
        "rights",
        "data of a read of 0x1[89ab]",
    ),
    "errors not cleared while busy": (
        {"&& (write_word == ERRORS || !busy_i)": "&& !busy_i"},
        "rights",
        "response to a write of .* to 0x1[89ab].* busy 1: expected 0, got 2",
    ),
    "a bit too many may be written": (
        {"MODE: {write_old, writable} = {32'(raw_o), 32'h1};": "MODE: {write_old, writable} = {32'(raw_o), 32'h3};"},
        "rights",
        "response to a write of .* to 0x2[cdef]",
    ),
    "a write that meets a read is lost": (
        {"if (allowed) begin": "if (allowed && !s_axil_arvalid) begin"},
        "overlap",
        "errors, first",
    ),
    "a bit that is set while it is cleared is lost": (
        {"errors_q <= (errors_q & ~clear) | set;": "errors_q <= (errors_q | set) & ~clear;"},
        "set_while_cleared",
        "data of a read of 0x1[48]",
    ),
    "reset value": ({"k_tiles_o     <= 16'd1;": "k_tiles_o     <= 16'd2;"}, "reset", "expected 1, got 2"),
    "synchronous reset of reads": (
        {"  always_ff @(posedge clk_i or negedge rst_ni) begin\n    if (!rst_ni) begin\n      s_axil_rvalid <= 1'b0;":
         "  always_ff @(posedge clk_i) begin\n    if (!rst_ni) begin\n      s_axil_rvalid <= 1'b0;"},
        "reset",
        "",
    ),
    "a size too large is allowed": ({"32'(vectors_o) > 32'(Depth)": "32'(vectors_o) > 32'(Depth) + 1"}, "sizes", ""),
}  # fmt: skip


def test_rtl_is_what_the_description_says(tmp_path: Path) -> None:
    outcomes = simulated(RTL, tmp_path, "axil")
    assert len(outcomes) == 6 and all(o.passed and o.matches > 500 for o in outcomes), outcomes


@pytest.mark.parametrize("name", BROKEN)
def test_rtl_that_is_something_else_fails(name: str, tmp_path: Path) -> None:
    changes, test, shown = BROKEN[name]
    (outcome,) = simulated(broken_rtl(tmp_path, FILE, changes), tmp_path, f"axil_registers_{test}")
    assert not outcome.passed and not outcome.cause
    assert re.search(shown, outcome.message), outcome.message
