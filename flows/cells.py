"""Cells of Liberty files: several files as one, and Verilog models of the cells.

The models are what a simulator needs of a cell: the functions of its outputs, its flip-flop or
latch, the stored enable of a clock gate, and a path from each input that an output depends on, for delays from SDF.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from common.errors import UserError

CELL = re.compile(r'\bcell\s*\(\s*"?([^\s")]+)"?\s*\)\s*\{')
GROUP = re.compile(r"\b(\w+)\s*\(([^(){};]*)\)\s*\{")
TEMPLATE = re.compile(r'\b(?:lu_table_template|power_lut_template)\s*\(\s*"?([^\s")]+)"?\s*\)\s*\{')
COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|/\*.*?\*/|//[^\n]*', re.DOTALL)  # or a string, which stays
OWN_LINE = re.compile(r"\)\s*\n\s*\{")
CLOCK_GATES = ("latch_posedge", "latch_posedge_precontrol")  # the enables are stored while the clock is low
GATING = ("clock", "enable", "test", "out")
UNITS = re.compile(r"\b(?:\w+_unit\s*:[^;\n]*|capacitive_load_unit\s*\([^)]*\)|nom_voltage\s*:[^;\n]*)")


def tidy(text: str) -> str:
    """Liberty without comments, the brace of a group on the line of its name: what every tool reads."""
    text = COMMENT.sub(lambda found: found.group() if found.group()[0] == '"' else " ", text.replace("\r\n", "\n"))
    return OWN_LINE.sub(") {", text)


def is_tidy(text: str) -> bool:
    """Whether tools read a Liberty file as it is."""
    return not ("//" in text or "\r" in text or OWN_LINE.search(text)) and text.count("{") == text.count("}")


def closing(text: str, at: int, where: str) -> int:
    """Index after the brace that closes the group whose body starts at `at`; raises UserError if none does."""
    depth = 1
    for brace in re.compile(r"[{}]").finditer(text, at):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return brace.end()
    raise UserError(f"{where}: malformed Liberty (a group is not closed)")


def _groups(text: str, pattern: re.Pattern[str], where: str) -> Iterator[tuple[str, int, int]]:
    """Argument, start and end of every group that `pattern` finds, not those inside another."""
    at = 0
    while found := pattern.search(text, at):
        at = closing(text, found.end(), where)
        yield found.group(1), found.start(), at


def cells_of(liberty: Path) -> Iterator[tuple[str, str]]:
    """Name and text of every cell of a Liberty file."""
    text = tidy(liberty.read_text(errors="replace"))
    for name, start, end in _groups(text, CELL, str(liberty)):
        yield name, text[start:end]


def merge_libraries(files: list[tuple[str, str]], dont_use: tuple[str, ...]) -> str:
    """One Liberty text of several (path, text), without the cells that match a pattern of `dont_use`.

    The head is the first file's; templates of the others follow if they are new. Raises UserError if
    the files differ in units or voltage, or hold no cell.
    """
    head, units = "", None
    templates: dict[str, str] = {}
    cells: dict[str, str] = {}
    for where, raw in files:
        text = tidy(raw)
        cut, at = [], 0
        for name, start, end in _groups(text, CELL, where):
            cut.append(text[at:start])
            if not any(fnmatchcase(name, pattern) for pattern in dont_use):
                cells.setdefault(name, text[start:end])
            at = end
        rest = "".join(cut) + text[at:]
        if rest.count("{") != rest.count("}"):
            raise UserError(f"{where}: malformed Liberty (a group is not closed)")
        these = {re.sub(r"\s+", "", unit) for unit in UNITS.findall(rest)}
        if units is not None and these != units:
            raise UserError(f"{where}: units or voltage differ from those of {files[0][0]}: {these ^ units}")
        units = these
        if not head:
            head = rest
            templates = dict.fromkeys((name for name, _, _ in _groups(rest, TEMPLATE, where)), "")
        else:
            for name, start, end in _groups(rest, TEMPLATE, where):
                templates.setdefault(name, rest[start:end])
    if not cells or "}" not in head:
        raise UserError(
            f"{', '.join(where for where, _ in files)}: no cells; not a Liberty file, or all are in dont_use"
        )
    body = "\n".join([*filter(None, templates.values()), *cells.values()])
    end = head.rindex("}")
    return f"{head[:end]}\n{body}\n{head[end:]}"


def cell_models(liberty: Path) -> str:
    """Verilog of every cell of a Liberty file whose function it tells; others (fill, state tables) are left out."""
    models = ["// Made from a Liberty file: functions, states, paths.\n`timescale 1ns/1ps\n"]
    for name, text in cells_of(liberty):
        if model := _cell_model(name, text, str(liberty)):
            models.append(model)
    return "\n".join(models)


def _attribute(text: str, key: str) -> str:
    found = re.search(rf'\b{key}\s*:\s*"?([^";\n]*)"?\s*;', text)
    return found.group(1).strip() if found else ""


def verilog_expression(function: str) -> str:
    """A Liberty function as Verilog: `'`, `*`, `+` and a space between operands have other names there."""
    tokens = re.findall(r"[A-Za-z_][\w\[\]]*|\d+|\S", function)
    out: list[str] = []
    for token in tokens:
        starts = token[0].isalnum() or token[0] in "_(!"
        if out and starts and (out[-1][0].isalnum() or out[-1][0] in "_)"):
            out.append("&")
        if token == "'":
            operand = _last_operand(out)
            out[operand:] = ["(", "~", *out[operand:], ")"]
        else:
            out.append({"!": "~", "*": "&", "+": "|", "0": "1'b0", "1": "1'b1"}.get(token, token))
    return " ".join(out)


def _last_operand(tokens: list[str]) -> int:
    """Where the operand that ends a list of tokens begins."""
    if tokens[-1] != ")":
        return len(tokens) - 1
    depth = 0
    for index in range(len(tokens) - 1, -1, -1):
        depth += (tokens[index] == ")") - (tokens[index] == "(")
        if depth == 0:
            return index
    raise ValueError("parentheses")


def _cell_model(name: str, text: str, where: str) -> str | None:
    inner = text[text.index("{") + 1 :]
    pins, state, kinds, gating = {}, None, set(), {}
    for found, start, end in _groups(inner, GROUP, where):
        kinds.add(found)
        arguments = [word.strip().strip('"') for word in GROUP.match(inner, start).group(2).split(",")]
        body = inner[start:end]
        if found == "pin":
            own = re.sub(r"\b(?:timing|internal_power)\s*\(.*", "", body, count=1, flags=re.DOTALL)
            direction = _attribute(body, "direction")
            pins[arguments[0]] = (direction, _attribute(own, "function") or _attribute(body, "function"))
            gating |= {k: arguments[0] for k in GATING if _attribute(body, f"clock_gate_{k}_pin") == "true"}
        elif found in ("ff", "latch"):
            state = (found, arguments, body)
    inputs = [pin for pin, (direction, _) in pins.items() if direction == "input"]
    clock_gate = _attribute(inner, "clock_gating_integrated_cell") in CLOCK_GATES
    if clock_gate:
        if lacking := [key for key in ("clock", "enable", "out") if key not in gating]:
            raise UserError(f"{where}: clock gate {name} has no clock_gate_{lacking[0]}_pin")
        enables = " | ".join(gating[key] for key in ("enable", "test") if key in gating)
        pins[gating["out"]] = ("output", f"{gating['clock']} & stored")
        state = ("latch", ["stored", "missed"], f'enable : "!{gating["clock"]}"; data_in : "{enables}";')
        kinds.discard("statetable")
    outputs = {pin: function for pin, (direction, function) in pins.items() if direction == "output"}
    unknown = any(direction not in ("input", "output", "internal") for direction, _ in pins.values())
    # a state that a table tells, banks, buses, tri-states: nothing that the flow uses
    if not outputs or not all(outputs.values()) or unknown or kinds & {"statetable", "ff_bank", "latch_bank", "bus"}:
        return None
    lines = [f"module {name} ({', '.join([*outputs, *inputs])});"]
    lines += [f"  output {pin};" for pin in outputs] + [f"  input {pin};" for pin in inputs]
    through = set()
    if state:
        lines += _state_lines(*state)
        through = set() if clock_gate else set(state[1])  # a gate's output moves with its clock alone
    lines += [f"  assign {pin} = {verilog_expression(function)};" for pin, function in outputs.items()]
    lines.append("  specify")
    for pin, function in outputs.items():
        words = set(re.findall(r"[A-Za-z_]\w*", function))
        if words & through:
            clock, asynchronous = _state_causes(*state, inputs)
            lines.append(f"    ({clock} => ({pin} : 1'b0)) = (0, 0);")
            lines += [f"    ({cause} => {pin}) = (0, 0);" for cause in asynchronous]
        lines += [f"    ({cause} => {pin}) = (0, 0);" for cause in inputs if cause in words]
    lines += ["  endspecify", "endmodule", ""]
    return "\n".join(lines)


def _state_lines(kind: str, names: list[str], body: str) -> list[str]:
    """The register of a flip-flop or latch; its second name is its complement."""
    clear, preset = (verilog_expression(_attribute(body, key)) for key in ("clear", "preset"))
    data = verilog_expression(_attribute(body, "next_state" if kind == "ff" else "data_in"))
    clock = verilog_expression(_attribute(body, "clocked_on" if kind == "ff" else "enable"))
    lines = [f"  reg {names[0]};", f"  wire {names[1]} = ~{names[0]};", f"  wire model_clock = {clock};"]
    forced = "".join(
        f"if ({signal}) {names[0]} <= 1'b{value}; else " for signal, value in ((clear, 0), (preset, 1)) if signal
    )
    if kind == "latch":
        return [*lines, f"  always @* {forced}if (model_clock) {names[0]} <= {data};"]
    events = ["posedge model_clock"]
    for index, signal in enumerate(filter(None, (clear, preset))):
        lines.append(f"  wire model_force{index} = {signal};")
        events.append(f"posedge model_force{index}")
    return [*lines, f"  always @({' or '.join(events)}) {forced}{names[0]} <= {data};"]


def _state_causes(kind: str, _names: list[str], body: str, inputs: list[str]) -> tuple[str, list[str]]:
    """Edge of the clock pin that changes a state, and pins that force it or, for a latch, pass through it."""
    keys = ("clear", "preset") if kind == "ff" else ("clear", "preset", "data_in")
    words = {key: set(re.findall(r"[A-Za-z_]\w*", _attribute(body, key))) for key in (*keys, "clocked_on", "enable")}
    clock = next(pin for pin in inputs if pin in words["clocked_on"] | words["enable"])
    falls = "!" in (active := _attribute(body, "clocked_on") or _attribute(body, "enable")) or "'" in active
    return f"{'negedge' if falls else 'posedge'} {clock}", [
        pin for pin in inputs if any(pin in words[key] for key in keys)
    ]
