"""What is simulated: configurations, the suites made of them, the user's choice among them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import UserError, unknown
from models.encoding import absolute, library_names, load_encoding
from models.rivals import widths
from tb.reporting import testplan

SIMULATORS = ("verilator", "icarus")
ARRAYS = testplan.KINDS
DUTS = ("rtl", "gate")
WAVES, COVERAGE = "waves", "coverage"
EVERY = "every"  # in place of an encoding's name, in the design that holds the whole library


FORMS = ("written", "tree", "carry-save", "recoded", "opt1")  # of conventional arrays, by encmac_pkg::FORM_*
COLUMN_FORMS = ("fip", "fip tree")  # the forms after them: of columns alone, no array takes their surplus off


@dataclass(frozen=True)
class Config:
    """One build and the tests that it gets.

    `encoding` is that of encoded columns; of conventional ones it may name widths of operands, such as w4a8.
    `tests` is a regular expression on test names; `vectors` limits the activation vectors of a real
    tile (0: all). `depth` puts a tile engine around the array, with a buffer of that many vectors (0: none).
    """

    sim: str
    array: str
    encoding: str = "exact64"
    rows: int = 16
    columns: int = 16
    rows_per_group: int = 16
    merged: bool = True
    form: int = 0
    columns_per_stage: int = 1
    shadow: bool = False
    programmable: bool = False
    gated: bool = False  # clocks of the weight registers
    zeros: bool = False  # activation registers hold while activations are 0
    sum_register: bool = True  # one before the final addition of an encoded column
    tests: str = ".*"
    vectors: int = 0
    depth: int = 0
    instrument: str = ""  # WAVES or COVERAGE
    gate: bool = False  # the mapped netlist in place of the RTL: zero delay in Verilator, timed in Icarus
    port: bool = False  # whole tiles from memory (tb/hdl/tile_port.sv) instead of pins
    netlist: str = ""  # of `make synth`, of one column: its path; `netlist_sha256` what ppa.json says of it
    netlist_sha256: str = ""
    cells: str = ""  # a netlist of the whole design that was made elsewhere, in place of one that is mapped here
    library: str = ""  # of its cells: name or folder of a platform
    name: str = ""  # of that column, as ppa.json calls it
    module: str = ""  # a module alone, tested by the bench of its name, with these parameters
    values: tuple[tuple[str, int], ...] = ()

    @property
    def kind(self) -> str:
        """What is tested: names the simulation top and the module of tests."""
        if self.module:
            return self.module
        if self.array == "library":
            return "library"
        if self.netlist or self.alone:
            return "column"
        if self.port:
            return "port"
        return "tile" if self.depth else "array"

    @property
    def alone(self) -> bool:
        """True for the RTL of a column that no array holds."""
        return self.array == "conv" and self.form >= len(FORMS)

    @property
    def array_fields(self) -> dict[str, object]:
        """What a test has to know of the array (tb.env.bench.ArrayConfig)."""
        others = {"sim", "gated", "tests", "vectors", "instrument", "gate", "port", "netlist", "netlist_sha256", "name"}
        others |= {"module", "values", "cells", "library"}
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in others}

    @property
    def encodings(self) -> list[str]:
        """Encodings of the design: one, those of the library, or none."""
        if self.array in ("conv", testplan.LEAF):
            return []
        return library_names() if self.encoding == EVERY else [self.encoding]

    def pattern(self, test: str = "") -> str:
        """Regular expression on full names of tests, `tb.tests.<kind>.<name>`: its own and the user's choice."""
        choice = f"^(?=.*(?:{self.tests}))(?=.*(?:{test}))"
        return choice if self.programmable else f"^(?!.*programmed){choice}"

    @property
    def top(self) -> str:
        """Module name of the simulation top."""
        if self.module:
            return self.module
        return "tile_port" if self.port else "column_gates" if self.netlist else f"{self.kind}_top"

    @property
    def design(self) -> str:
        """Name of what is simulated, as records and tables show it."""
        of_file = f" of {Path(self.cells).name}" if self.cells else ""
        return f"{self._rtl_design} gates{of_file}" if self.gate else self._rtl_design

    @property
    def _rtl_design(self) -> str:
        """The design whatever form of it is simulated."""
        if self.netlist:
            return f"{self.name} column of {self.rows}"
        if self.module:
            return " ".join([f"{self.module} alone", *(f"{name} {value}" for name, value in self.values)])
        if self.array == "library":
            return f"{self.encoding} encoding" if self.encoding == EVERY else f"product of {self.encoding}"
        size = f"{self.rows}x{self.columns}"
        size += f" s{self.columns_per_stage}" if self.columns_per_stage > 1 else ""
        size += " shadow" if self.shadow else ""
        size += " programmable" if self.programmable else ""
        size += " gated" if self.gated else ""
        size += " zero-gated" if self.zeros else ""
        size += "" if self.sum_register else " without sum register"
        engine = (f" tile d{self.depth}" if self.depth else "") + (" port" if self.port else "")
        if self.array == "conv":
            rival = f" {self.encoding}" if widths(self.encoding) else ""
            return f"conv {(*FORMS, *COLUMN_FORMS)[self.form]}{rival} {size}{engine}"
        style = "merged" if self.merged else "counted"
        return f"enc {Path(self.encoding).stem} {style} {size} g{self.rows_per_group}{engine}"

    @property
    def parameters(self) -> dict[str, int]:
        """Parameters of the simulation top."""
        if self.module:
            return dict(self.values)
        if self.array == "library":
            return {}
        values = {"Rows": self.rows, "Cols": self.columns} | ({"Depth": self.depth} if self.depth else {})
        values |= {"GateWeights": 1} if self.gated else {}
        values |= {"GateZeros": 1} if self.zeros else {}
        if self.array == "conv":
            values |= {"Form": self.form}
            if bits := widths(self.encoding):
                values |= {"WBits": bits[0], "ABits": bits[1]}
        if self.alone:
            return values
        values |= {"ColsPerStage": self.columns_per_stage, "Shadow": int(self.shadow)}
        if self.array == "conv":
            return values
        values |= {"RowsPerGroup": self.rows_per_group, "Merged": int(self.merged)}
        values |= {} if self.sum_register else {"SumRegister": 0}
        return values | {"Programmable": int(self.programmable)}


APPROXIMATE = "m32p"
SMALL: dict[str, Any] = {"rows": 8, "columns": 8, "rows_per_group": 8}
# Icarus runs the adder trees at about 25 cycles a second
ON_ICARUS: dict[str, Any] = SMALL | {"tests": "corners|first_convolution|classifier", "vectors": 4}
SUITES: dict[str, tuple[Config, ...]] = {
    "smoke": (
        Config("verilator", "enc", "exact64"),
        Config("verilator", "enc", APPROXIMATE),
        Config("verilator", "conv"),
        Config(
            "verilator",
            "enc",
            APPROXIMATE,
            8,
            8,
            2,
            merged=False,
            vectors=64,
            columns_per_stage=2,
            shadow=True,
            programmable=True,
        ),
        Config("icarus", "enc", "exact64", **ON_ICARUS),
        Config("icarus", "enc", APPROXIMATE, **ON_ICARUS),
        Config("icarus", "conv", **ON_ICARUS),
        Config("icarus", "conv", rows=4, columns=4, columns_per_stage=2, gated=True, tests="corners|back_pressure"),
        Config("icarus", "enc", "m12p", 4, 4, 2, columns_per_stage=2, shadow=True, gated=True, tests="corners|reset"),
    ),
}
SUITES["tiny"] = (Config("icarus", "enc", APPROXIMATE, 4, 4, 2, merged=False, tests="corners|back_pressure"),)
SUITES["tiny-tile"] = (
    Config("icarus", "conv", rows=4, columns=4, tests="smoke|registers|requantiser", depth=16),
    Config("verilator", "enc", APPROXIMATE, 4, 4, 2, merged=False, shadow=True, tests="tile_smoke", depth=16),
)
LAYERS = "smoke|layer_|requantiser|back_pressure|random_reset|utilisation|bad_sizes|protocol|masks|wrap|latency|sets"
SMALL_ENGINE: dict[str, Any] = {"tests": "^(?!.*(_layer_|utilisation|counters_long))"}
SUITES["tile"] = (
    Config("verilator", "enc", "exact64", tests=LAYERS, depth=256),
    Config("verilator", "enc", APPROXIMATE, tests=LAYERS, depth=256, shadow=True),
    Config("verilator", "conv", tests=LAYERS, depth=100),
    Config("verilator", "conv", rows=5, columns=12, tests="^(?!.*(first_convolution|_long))", depth=37, shadow=True),
    # small ones, in which much fits into little time
    Config("verilator", "enc", "m12p", 4, 4, 2, depth=16, **SMALL_ENGINE),
    Config("verilator", "conv", rows=4, columns=4, depth=16, **SMALL_ENGINE),
    Config("verilator", "conv", rows=1, columns=1, depth=1, **SMALL_ENGINE),
    Config("verilator", "conv", rows=1, columns=2, depth=3, shadow=True, **SMALL_ENGINE),
    Config("icarus", "conv", rows=4, columns=8, tests="smoke|registers|protocol|classifier", vectors=4, depth=16),
    # counters of rows, columns and vectors beyond 8 and 10 bits
    Config("verilator", "conv", rows=260, columns=1, tests="smoke|sizes_long|masks", depth=3),
    Config("verilator", "conv", rows=1, columns=260, tests="smoke|sizes_long", depth=3),
    Config("verilator", "conv", rows=1, columns=2, tests="smoke|sizes_long|counters_long", depth=1100),
)
SUITES["full"] = (
    SUITES["smoke"]
    + SUITES["tile"]
    + (
        Config("verilator", "enc", "exact64", rows_per_group=4, merged=False),
        Config("verilator", "enc", APPROXIMATE, rows_per_group=4, columns_per_stage=8, shadow=True),
        Config("verilator", "conv", columns_per_stage=4, shadow=True),
        Config("verilator", "conv", form=1, **SMALL),
        Config("verilator", "conv", form=2, columns_per_stage=8, shadow=True, **SMALL),
        Config("verilator", "conv", form=3, shadow=True, **SMALL),
        Config("verilator", "conv", form=4, **SMALL),
    )
)


SUITES["library"] = (Config("verilator", "library", EVERY),)
SUITES["tiny-library"] = (Config("verilator", "library", "m12p"),)
SUITES["tiny-shadow"] = (
    Config("icarus", "conv", rows=4, columns=4, columns_per_stage=2, shadow=True, tests="back_to_back"),
)
SUITES["tiny-programmable"] = (
    Config("icarus", "enc", "m12p", 2, 2, 2, merged=False, programmable=True, tests="programmed"),
)
SUITES["smoke"] += SUITES["library"]
SUITES["full"] += SUITES["library"]
SUITES["tiny-conv"] = tuple(  # builds in a second on Icarus
    Config(sim, "conv", rows=4, columns=4, tests="corners|back_pressure|stall_patterns")
    for sim in ("icarus", "verilator")
)
SUITES["tiny-polite"] = (Config("icarus", "conv", rows=4, columns=4, tests="polite|back_pressure"),)
SUITES["port"] = (  # whole tiles from memory, as replays of networks use them
    Config("verilator", "conv", rows=4, columns=4, port=True),
    Config("verilator", "conv", rows=4, columns=4, depth=16, port=True),
    Config("verilator", "enc", APPROXIMATE, 4, 8, 4, shadow=True, port=True),
)
SUITES["full"] += SUITES["port"]
SUITES["pairs"] = (  # fast inner products, two columns each
    Config("icarus", "conv", rows=6, columns=2, form=5),
    Config("icarus", "conv", rows=6, columns=2, form=6, gated=True),
)
SUITES["full"] += SUITES["pairs"]
SUITES["leaf"] = tuple(  # modules of the tile engine, each alone
    Config("icarus", testplan.LEAF, module=module, values=values)
    for module, values in (
        ("packet_framer", (("Width", 8), ("CountWidth", 4))),
        ("tile_counter", ()),
        ("accumulation_buffer", (("Cols", 2), ("Depth", 5))),
        ("accumulation_buffer", (("Cols", 1), ("Depth", 1))),
        ("requantiser", (("Cols", 2),)),
        ("skid_buffer", (("Width", 8),)),
        ("axil_registers", (("Rows", 260), ("Cols", 3), ("Depth", 300))),
    )
)
SUITES["full"] += SUITES["leaf"]
NARROW: dict[str, Any] = {"rows": 4, "columns": 2, "tests": "corners|extremes|back_pressure|column_results"}
SUITES["rivals"] = (  # operands of fewer bits, every form; activation registers that hold while activations are 0
    *(
        Config("icarus", "conv", bits, form=form, shadow=form == 2, zeros=zeros, **NARROW)
        for form, bits, zeros in (
            (0, "w4a7", False),
            (0, "w5a8", True),
            (1, "w5a7", False),
            (1, "w4a8", True),
            (2, "w7a6", True),
            (3, "w5a7", True),
            (4, "w6a8", False),
            (5, "w6a7", True),
            (6, "w5a8", False),
        )
    ),
    Config("icarus", "enc", "w5a7", rows_per_group=2, columns_per_stage=2, zeros=True, **NARROW),
    Config("icarus", "enc", "m12p", rows_per_group=4, merged=False, zeros=True, gated=True, **NARROW),
)
SUITES["full"] += SUITES["rivals"]
THROUGH: dict[str, Any] = {"sum_register": False, "tests": "corners|back_pressure|latency|reset_phases"}
SUITES["full"] += (
    Config("icarus", "enc", "m12p", 4, 2, 2, **THROUGH),
    Config("icarus", "enc", "exact36", 4, 4, 1, merged=False, shadow=True, columns_per_stage=2, **THROUGH),
)
COUNTED: dict[str, Any] = {"vectors": 64, "instrument": COVERAGE}  # small, as counting lines and toggles is slow
SUITES["coverage"] = (
    Config("verilator", "enc", "exact64", 4, 4, 4, **COUNTED),
    Config("verilator", "enc", APPROXIMATE, 4, 4, 2, merged=False, shadow=True, programmable=True, **COUNTED),
    Config("verilator", "enc", APPROXIMATE, 4, 4, 2, columns_per_stage=2, **COUNTED),
    *(
        Config("verilator", "conv", rows=4, columns=4, form=form, shadow=form == 1, **COUNTED)
        for form in range(len(FORMS))
    ),
    Config("verilator", "conv", rows=4, columns=4, depth=16, **SMALL_ENGINE, **COUNTED),
    Config("verilator", "enc", "m12p", 2, 2, 2, depth=3, shadow=True, **SMALL_ENGINE, **COUNTED),
)
GATES: dict[str, Any] = {"vectors": 16, "gate": True}
SUITES["gate"] = (  # of the size that a netlist is mapped, built and run in a minute
    Config("verilator", "enc", "exact64", 4, 4, 4, **GATES),
    Config("verilator", "enc", "m12p", 4, 4, 2, merged=False, columns_per_stage=2, shadow=True, **GATES),
    Config("verilator", "conv", rows=4, columns=4, form=1, **GATES),
    Config("verilator", "enc", "m12p", 4, 4, 4, tests="^(?!.*convolution)", depth=4, shadow=True, **GATES),
    Config("icarus", "enc", "m12p", 2, 2, 2, tests="corners|back_pressure|random_reset", **GATES),
    Config("icarus", "conv", rows=2, columns=2, tests="smoke|registers", depth=2, **GATES),
)
SUITES["columns"] = ()
MAPPED = ("gate", "columns")  # suites that get every column of `make synth` besides
LARGE: dict[str, Any] = {"tests": "corners|random_reset|tiles_stalled|tiles_classifier", "vectors": 32}
SUITES["large"] = (  # sizes that are built, every group, both ways to accumulate
    Config("verilator", "enc", APPROXIMATE, 64, 64, 64, columns_per_stage=8, shadow=True, **LARGE),
    Config("verilator", "enc", "exact36", 64, 64, 16, columns_per_stage=4, **LARGE),
    Config("verilator", "enc", APPROXIMATE, 32, 64, 8, merged=False, **LARGE),
    Config("verilator", "enc", "m20p", 32, 64, 4, merged=False, columns_per_stage=16, shadow=True, **LARGE),
    Config("verilator", "conv", rows=32, columns=64, **LARGE),
    Config("verilator", "conv", rows=64, columns=64, columns_per_stage=8, shadow=True, **LARGE),
)
SUITES["nightly"] = SUITES["full"] + SUITES["large"]  # with several seeds
SEEDS = {"nightly": 4}  # seeds of a suite, one after the other from the one given


def columns(ppa: Path) -> list[Config]:
    """The columns that `make synth` mapped, whose netlists meet their clock; `ppa` is its record."""
    try:
        designs = json.loads(ppa.read_text())["designs"]
        configs = [
            Config(
                "icarus",
                "enc" if design["encoding"] else "conv",
                design["encoding_source"] or "exact64",
                rows=design["parameters"]["Rows"],
                gate=True,
                netlist=design["netlist"],
                netlist_sha256=design["netlist_sha256"],
                name=design["design"],
            )
            for design in designs
            if design["gate_sim"] != "not_run"
        ]
    except FileNotFoundError as error:
        raise UserError(
            f"{ppa} is missing: columns are simulated from the netlists of make synth; run: make synth DESIGNS=m12p"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{ppa}: not a record of make synth ({type(error).__name__}: {error}); run it again") from error
    return configs


def chosen(
    suite: str,
    sim: str | None,
    array: str | None,
    encoding: str | None,
    design: str | None,
    dut: str | None = None,
    ppa: Path | None = None,
    test: str | None = None,
) -> list[Config]:
    """Configurations of a suite narrowed to the user's choice; an encoding of their own takes the
    place of the suite's approximate one, a netlist (`dut` "gate") that of the RTL. `ppa` is the record of
    `make synth`, whose columns belong to the suites of netlists. With `test`, a regular expression, only designs that
    have such a test."""
    if dut == "gate" and suite == "smoke":
        suite = "gate"
    for value, known, what in (
        (suite, SUITES, "suite"),
        (sim, SIMULATORS, "simulator"),
        (array, ARRAYS, "array"),
        (dut, DUTS, "dut"),
    ):
        if value is not None and value not in known:
            raise unknown(what, value, known)
    configs = list(SUITES[suite])
    if suite in MAPPED and ppa:
        configs += columns(ppa)
    if dut == "gate":  # not mapped: a library, position weights that can be written, memories of whole tiles
        mapped = (c for c in configs if not (c.array == "library" or c.module or c.programmable or c.port))
        configs = [dataclasses.replace(c, gate=True) for c in mapped]
    if encoding:
        powers = load_encoding(encoding).is_power_of_two
        encoding = absolute(encoding)
        if all(c.encoding != encoding for c in configs):
            configs = [dataclasses.replace(c, encoding=encoding) for c in configs if c.encoding == APPROXIMATE]
        configs = [dataclasses.replace(c, merged=c.merged and powers) for c in configs if c.encoding == encoding]
        configs = [c for c in configs if c.array == "enc"]
    configs = [c for c in configs if sim in (None, c.sim) and array in (None, c.array)]
    if design and configs:
        designs = [c.design for c in configs]
        configs = [c for c in configs if c.design == design]
        if not configs:
            raise unknown("design of this choice", design, designs)
    if not configs:
        raise UserError("no configuration of the suite fits this choice of SIM, ARRAY and ENCODING")
    return with_test(configs, test) if test else configs


# width, if any, and name of each port of a module of cells, however it is indented
PORT_OF_NETLIST = re.compile(r"^\s*(?:input|output)\s+(?:wire\s+)?(?:\[(\d+):0\]\s*)?(\w+)\s*;", re.MULTILINE)


def of_netlist(configs: list[Config], path: Path, library: str) -> Config:
    """The one design of a choice, with the netlist of cells at `path` in its place; UserError if that cannot be its."""
    fit = [c for c in configs if c.sim == "verilator" and c.gate and not c.netlist]
    if len(fit) != 1:
        designs = ", ".join(c.design for c in fit) or "none that Verilator runs"
        raise UserError(f"NETLIST={path} is of one design; name it, DESIGN=; of this choice: {designs}")
    (config,) = fit
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"NETLIST={path} cannot be read as Verilog ({error}); give a netlist of cells") from error
    if not re.search(rf"\bmodule\s+{config.top}\s*\(", text):
        raise UserError(f"{path} has no module {config.top}, which {config.design} is")
    wanted = {"s_axis_a_tdata": 8 * config.rows, "m_axis_y_tdata": 32 * config.columns}
    widths = {name: int(high) + 1 for high, name in PORT_OF_NETLIST.findall(text) if high}
    if wrong := [name for name, width in wanted.items() if widths.get(name) != width]:
        raise UserError(
            f"{path}: {wrong[0]} has {widths.get(wrong[0], 'no')} bits where {config.rows}x{config.columns} has "
            f"{wanted[wrong[0]]}; is it of another size?"
        )
    return dataclasses.replace(config, cells=str(path.resolve()), library=library)


def tests_of(configs: Iterable[Config]) -> dict[Config, list[str]]:
    """Names of the tests that each configuration runs."""
    known = testplan.discover()
    return {c: [n for n in known.get(c.kind, ()) if re.search(c.pattern(), f"tb.tests.{c.kind}.{n}")] for c in configs}


def with_test(configs: list[Config], test: str) -> list[Config]:
    """The configurations that have a test whose name fits the regular expression `test`; UserError if none has."""
    try:
        re.compile(test)
    except re.error as error:
        raise UserError(f"TEST={test} is no regular expression ({error})") from error
    tests = tests_of(configs)
    fit = [c for c in configs if any(re.search(c.pattern(test), f"tb.tests.{c.kind}.{n}") for n in tests[c])]
    if not fit:
        everywhere = {n for names in testplan.discover().values() for n in names if re.search(test, n)}
        runs = tests_of(c for suite in SUITES.values() for c in suite)
        designs = [c.design for c, names in runs.items() if everywhere.intersection(names)]
        if designs:
            some = ", ".join(f"'{d}'" for d in list(dict.fromkeys(designs))[:3])
            raise UserError(
                f"TEST={test} is a test, but no design of this choice runs it; of other suites, simulators or arrays "
                f"these do: {some}; make sim SUITE=full TEST=? lists all"
            )
        raise unknown("test of this choice", test, {name for names in tests.values() for name in names})
    return fit
