"""What power needs of a Liberty file: pins, loads, transition tables, internal energy, leakage.

Units are those of the numbers here: ns, pF, pJ, uW, V. Only the cells that are asked for are read in
full, so that libraries of many megabytes cost little.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.errors import UserError
from flows.cells import CELL, CLOCK_GATES, closing

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}():;,]|[^\s{}():;,"]+')
NOISE = re.compile(r"/\*.*?\*/|//[^\n]*|\\\s*\n", re.DOTALL)
UNENDED = re.compile(r"(:[ \t]*[\w.+-]+[ \t]*)$", re.MULTILINE)  # `area : 0.04374` without its semicolon, as in ASAP7
SCALE = {"f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}


@dataclass
class Group:
    """`name (args) { attributes; groups }` as it stands in the file; values are text."""

    name: str
    args: list[str]
    attributes: dict[str, list[str]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def text(self, key: str, default: str = "") -> str:
        """First value of an attribute, without quotes."""
        return self.attributes.get(key, [default])[0]

    def number(self, key: str, default: float = 0.0) -> float:
        """An attribute as a number."""
        return float(self.text(key) or default)

    def select(self, *names: str) -> list[Group]:
        """Groups of these kinds."""
        return [g for g in self.groups if g.name in names]


@dataclass(frozen=True)
class Table:
    """A value by output load (pF) and input slew (ns): `values` float64 [loads, slews]."""

    loads: np.ndarray
    slews: np.ndarray
    values: np.ndarray

    def __call__(self, load: np.ndarray, slew: np.ndarray) -> np.ndarray:
        """Interpolated, beyond the table extrapolated from its last two points, as timing tools do."""
        row, y = _place(self.loads, load)
        column, x = _place(self.slews, slew)
        below, right = np.minimum(row + 1, len(self.loads) - 1), np.minimum(column + 1, len(self.slews) - 1)
        v = self.values
        low = v[row, column] * (1 - x) + v[row, right] * x
        return low * (1 - y) + (v[below, column] * (1 - x) + v[below, right] * x) * y


def _place(axis: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the interval of `axis` and the fraction within it; one point: fraction 0."""
    at = np.asarray(at, float)
    if len(axis) == 1:
        return np.zeros(at.shape, int), np.zeros(at.shape)
    index = np.clip(np.searchsorted(axis, at, side="right") - 1, 0, len(axis) - 2)
    return index, (at - axis[index]) / (axis[index + 1] - axis[index])


@dataclass(frozen=True)
class Arc:
    """Transition of an output caused by an input: tables by output edge; `sense` as in Liberty."""

    related: str
    sense: str
    edges: dict[str, Table]


@dataclass(frozen=True)
class Energy:
    """Internal energy of a pin's transitions (pJ, by edge), under a condition; `related` is an input.

    `supply` is the rail that gives it; a library may tell the energies of both.
    """

    related: str
    when: str
    edges: dict[str, Table]
    supply: str = ""


@dataclass(frozen=True)
class Pin:
    """A pin: direction, capacitance (pF), function of an output, transitions and energies."""

    name: str
    output: bool
    clock: bool
    capacitance_pf: float
    function: str
    arcs: tuple[Arc, ...]
    energies: tuple[Energy, ...]


@dataclass(frozen=True)
class State:
    """What a cell stores. `kind`: flip-flop, latch or clock gate.

    A flip-flop takes `data` over at a rise of the function `clock`, a latch while it is true; a clock gate's
    output is `clock` while a latch that is open at clock low has let `data` through. `true` and `inverse` are the
    names of the state in the functions of outputs; `clear` and `preset` are functions that do so without a clock.
    """

    kind: str
    clock: str
    data: str
    true: str = ""
    inverse: str = ""
    clear: str = ""
    preset: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell: pins, area, leakage (uW, by condition; "" holds where no condition does), what it stores."""

    name: str
    area_um2: float
    pins: dict[str, Pin]
    leakage: tuple[tuple[str, float], ...]
    state: State | None = None

    @property
    def sequential(self) -> bool:
        """True for flip-flops and latches; a clock gate is part of the clock's network."""
        return self.state is not None and self.state.kind != "clock gate"

    @property
    def clock_gate(self) -> bool:
        """True for an integrated clock-gating cell."""
        return self.state is not None and self.state.kind == "clock gate"


@dataclass(frozen=True)
class Library:
    """Cells of a library and its supply voltage."""

    voltage: float
    cells: dict[str, Cell]


def read_library(path: Path, wanted: Iterable[str]) -> Library:
    """The wanted cells of a Liberty file; raises UserError that names cells that it lacks."""
    try:
        text = UNENDED.sub(r"\1;", NOISE.sub(" ", path.read_text(errors="replace")))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as Liberty ({error})") from error
    places = list(CELL.finditer(text))
    kept, at = [], 0
    names = set(wanted)
    for place in places:
        if place.start() < at:
            continue
        end = closing(text, place.end(), str(path))
        kept.append(text[at : place.start()])
        if place.group(1) in names:
            kept.append(text[place.start() : end])
        at = end
    kept.append(text[at:])
    try:
        top = Group("", [])
        _body([*TOKEN.findall("".join(kept)), "}"], 0, top)
        return _library(top.groups[0], names, path)
    except (ValueError, IndexError, KeyError) as error:
        raise UserError(f"{path}: malformed Liberty ({error!r})") from error


def _body(tokens: list[str], at: int, group: Group) -> int:
    """Read attributes and groups into `group` up to its closing brace; index after it."""
    while tokens[at] != "}":
        word = tokens[at].strip('"')
        at += 1
        if word == ";":
            continue
        if tokens[at] == ":":
            end = at + 1
            while tokens[end] not in (";", "}"):
                end += 1
            group.attributes[word] = [token.strip('"') for token in tokens[at + 1 : end]]
            at = end
            continue
        end = tokens.index(")", at)
        arguments = [token.strip('"') for token in tokens[at + 1 : end] if token != ","]
        at = end + 1
        if tokens[at] == "{":
            group.groups.append(Group(word, arguments))
            at = _body(tokens, at + 1, group.groups[-1])
        else:
            group.attributes[word] = arguments
    return at + 1


@dataclass(frozen=True)
class _Units:
    """Factors from the file's units to ns, pF, uW; the order of variables of each table template."""

    time: float
    load: float
    leakage: float
    load_first: dict[str, bool]


def _library(top: Group, wanted: set[str], path: Path) -> Library:
    load = top.attributes.get("capacitive_load_unit", ["1", "pf"])
    templates = top.select("lu_table_template", "power_lut_template")
    units = _Units(
        time=_unit(top.text("time_unit", "1ns"), "s") / 1e-9,
        load=_unit("".join(load), "f") / 1e-12,
        leakage=_unit(top.text("leakage_power_unit", "1nW"), "w") / 1e-6,
        load_first={t.args[0]: "capacitance" in t.text("variable_1") for t in templates},
    )
    cells = {group.args[0]: _cell(group, units) for group in top.select("cell")}
    if lacking := sorted(wanted - set(cells)):
        raise UserError(f"{path} lacks {', '.join(lacking)}; the netlist is of another library: run make synth again")
    return Library(top.number("nom_voltage"), cells)


def _unit(text: str, base: str) -> float:
    """`1nW` or `1pf` in SI units."""
    found = re.fullmatch(r"([\d.]+)\s*([a-z]?)" + base, text.strip().lower())
    if not found:
        raise ValueError(f"unit {text!r}")
    return float(found.group(1)) * SCALE[found.group(2)]


def _cell(group: Group, units: _Units) -> Cell:
    leakage: dict[str, float] = {}
    for g in group.select("leakage_power"):  # one for each rail, if the library tells them apart
        leakage[g.text("when")] = leakage.get(g.text("when"), 0.0) + g.number("value") * units.leakage
    if "" not in leakage:
        leakage[""] = group.number("cell_leakage_power") * units.leakage
    return Cell(
        name=group.args[0],
        area_um2=group.number("area"),
        pins={pin.args[0]: _pin(pin, units) for pin in group.select("pin") if pin.text("direction") != "internal"},
        leakage=tuple(leakage.items()),
        state=_state(group),
    )


def _state(group: Group) -> State | None:
    """What a cell stores; None if nothing. Raises ValueError on a cell whose state is not understood."""
    gating = {
        key: next((pin.args[0] for pin in group.select("pin") if pin.text(f"clock_gate_{key}_pin") == "true"), "")
        for key in ("clock", "enable", "test")
    }
    if group.text("clock_gating_integrated_cell") in CLOCK_GATES:
        return State("clock gate", gating["clock"], "|".join(filter(None, (gating["enable"], gating["test"]))))
    for kind, clock, data in (("ff", "clocked_on", "next_state"), ("latch", "enable", "data_in")):
        for found in group.select(kind, f"{kind}_bank"):
            functions = (" ".join(found.attributes.get(key, [])) for key in (clock, data))
            names = [*found.args, "", ""][:2]
            forced = (found.text(key) for key in ("clear", "preset"))
            return State("flip-flop" if kind == "ff" else kind, *functions, *names, *forced)
    return State("unknown", "", "") if group.select("statetable") else None


def _pin(group: Group, units: _Units) -> Pin:
    edges = [group.number(key) for key in ("capacitance", "rise_capacitance", "fall_capacitance")]
    arcs = [
        Arc(timing.text("related_pin"), timing.text("timing_sense", "non_unate"), tables)
        for timing in group.select("timing")
        if (tables := _tables(timing, "{}_transition", units, units.time))
    ]
    energies = [
        Energy(power.text("related_pin"), power.text("when"), tables, power.text("related_pg_pin"))
        for power in group.select("internal_power")
        if (tables := _tables(power, "{}_power", units, units.load) or _tables(power, "power", units, units.load))
    ]
    return Pin(
        name=group.args[0],
        output=group.text("direction") == "output",
        clock=group.text("clock") == "true",
        capacitance_pf=max(edges) * units.load,
        function=group.text("function"),
        arcs=tuple(arcs),
        energies=tuple(energies),
    )


def _tables(group: Group, name: str, units: _Units, scale: float) -> dict[str, Table]:
    """Tables of a group by edge, values times `scale`."""
    found = {}
    for edge in ("rise", "fall"):
        for table in group.select(name.format(edge)):
            rows = np.array([[float(v) for v in line.split(",")] for line in table.attributes["values"]])
            first, second = (_axis(table, key) for key in ("index_1", "index_2"))
            if second is None and first is not None and not units.load_first.get(table.args[0], False):
                first, second = None, first  # one-dimensional: by slew
            elif not units.load_first.get(table.args[0], True):
                first, second, rows = second, first, rows.T
            loads = np.zeros(1) if first is None else first * units.load
            slews = np.zeros(1) if second is None else second * units.time
            found[edge] = Table(loads, slews, rows.reshape(len(loads), len(slews)) * scale)
    return found


def _axis(table: Group, key: str) -> np.ndarray | None:
    lines = table.attributes.get(key)
    return np.array([float(v) for v in lines[0].split(",")]) if lines else None


def truth_table(function: str, pins: list[str]) -> np.ndarray:
    """A Liberty function of `pins` as bool [2^n]; index bit i is the value of pin i.

    Raises ValueError on a name that is not a pin (state of a flip-flop) or bad syntax.
    """
    index = np.arange(1 << len(pins))
    values = {pin: (index >> i & 1).astype(bool) for i, pin in enumerate(pins)}
    values |= {"0": np.zeros(len(index), bool), "1": np.ones(len(index), bool)}
    tokens = re.findall(r"[\w\[\]]+|\S", function)

    def peek() -> str:
        return tokens[0] if tokens else ""

    def primary() -> np.ndarray:
        if not tokens:
            raise ValueError(f"function {function!r} ends early")
        token = tokens.pop(0)
        if token == "!":
            return ~primary()
        if token == "(":
            value = either()
            if not tokens or tokens.pop(0) != ")":
                raise ValueError(f"function {function!r} lacks a parenthesis")
        elif token in values:
            value = values[token]
        else:
            raise ValueError(f"function {function!r} has {token!r}")
        while peek() == "'":
            tokens.pop(0)
            value = ~value
        return value

    def exclusive() -> np.ndarray:
        value = primary()
        while peek() == "^":
            tokens.pop(0)
            value = value ^ primary()
        return value

    def both() -> np.ndarray:
        value = exclusive()
        while peek() not in ("", ")", "+", "|"):
            if peek() in ("*", "&"):
                tokens.pop(0)
            value = value & exclusive()
        return value

    def either() -> np.ndarray:
        value = both()
        while peek() in ("+", "|"):
            tokens.pop(0)
            value = value | both()
        return value

    result = either()
    if tokens:
        raise ValueError(f"function {function!r} goes on with {tokens[0]!r}")
    return result
