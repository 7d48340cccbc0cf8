"""The registers of a tile engine as `rtl/tile/encmac_registers.rdl` describes them (SystemRDL 2.0)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import UserError

if TYPE_CHECKING:
    from systemrdl.node import AddrmapNode, FieldNode, RegNode

DESCRIPTION = Path(__file__).resolve().parents[2] / "rtl" / "tile" / "encmac_registers.rdl"


@dataclass(frozen=True)
class Field:
    """Some bits of a register. `access` as UVM calls it: RO, RW, WO or W1C."""

    name: str
    low: int
    width: int
    access: str
    reset: int
    volatile: bool  # the engine changes it
    while_busy: bool  # may be written while a layer runs
    description: str

    @property
    def mask(self) -> int:
        """Its bits in the word."""
        return (1 << self.width) - 1 << self.low


@dataclass(frozen=True)
class RegisterDescription:
    """A word: byte address, fields from the lowest bits up."""

    name: str
    address: int
    description: str
    fields: tuple[Field, ...]

    @property
    def access(self) -> str:
        """The access of all its fields if they have the same, else RW."""
        kinds = {field.access for field in self.fields}
        return kinds.pop() if len(kinds) == 1 else "RW"

    @property
    def reset(self) -> int:
        """The word after a reset."""
        return sum(field.reset << field.low for field in self.fields)

    @property
    def writable(self) -> int:
        """Bits that may be written as 1."""
        return sum(field.mask for field in self.fields if field.access != "RO")


def compiled(rows: int = 16, columns: int = 16, depth: int = 256, path: Path = DESCRIPTION) -> AddrmapNode:
    """The description, elaborated for a size of the engine; UserError if it is not SystemRDL."""
    from systemrdl import RDLCompileError, RDLCompiler

    compiler = RDLCompiler()
    try:
        compiler.compile_file(str(path))
        return compiler.elaborate("encmac", parameters={"Rows": rows, "Cols": columns, "Depth": depth}).top
    except RDLCompileError as error:
        raise UserError(
            f"{path}: not a description of registers in SystemRDL ({error}); see what is said above"
        ) from error


def registers(
    rows: int = 16, columns: int = 16, depth: int = 256, path: Path = DESCRIPTION
) -> tuple[RegisterDescription, ...]:
    """All words, by address."""
    return tuple(_register(node) for node in compiled(rows, columns, depth, path).registers())


def _register(node: RegNode) -> RegisterDescription:
    fields = tuple(_field(field) for field in node.fields())
    return RegisterDescription(node.inst_name, node.absolute_address, _text(node), fields)


def _field(node: FieldNode) -> Field:
    written = node.get_property("onwrite")
    if written is not None and written.name == "woclr":
        access = "W1C"
    else:
        access = {"r": "RO", "rw": "RW", "w": "WO"}[node.get_property("sw").name]
    return Field(
        node.inst_name,
        node.low,
        node.width,
        access,
        node.get_property("reset"),
        bool(node.is_volatile),
        bool(node.get_property("while_busy")),
        _text(node),
    )


def _text(node: FieldNode | RegNode) -> str:
    """A description on one line."""
    return " ".join((node.get_property("desc") or "").split())
