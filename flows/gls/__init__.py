"""Gate-level simulation: a mapped netlist runs the column test on Icarus with the library's cell models."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.errors import UserError
from common.files import write_text
from common.processes import SimulatorFault, run_process
from flows.platform import Platform
from models.encoding import absolute, load_encoding
from models.hardware import ColumnModel

if TYPE_CHECKING:
    from flows.synth.netlist import Design

COLUMN_RECORD = "column.json"
RTL = Path(__file__).resolve().parents[2] / "rtl"
LIMIT_S = 3600  # of the simulation of one column
WRAPPER = """
`timescale 1ns/1ps
module column_gates (
  input clk_i, w_shift_i, input [{w_high}:0] w_i, input [{a_high}:0] a_i, input [{zero_high}:0] zero_i,
  input [{f_high}:0] f_i, output [{a_high}:0] a_o, output [{y_high}:0] y_o
);
  column_top dut (
    .clk_i(clk_i), .w_shift_i(w_shift_i),
{connections}
  );
endmodule
"""


@dataclass(frozen=True)
class Simulated:
    """What the gate-level run showed: "passed", "failed" or "not_run"; elements compared."""

    status: str
    matches: int
    mismatches: int


def column_buses(netlist: Path, design: Design, rows: int) -> dict[str, int]:
    """Widths of a netlist's buses, whose bits are ports of their own; raises UserError if they are not a column's."""
    ports = re.findall(r"^\s*(?:input|output) (\w+);", netlist.read_text(), re.MULTILINE)
    names = ("w_i", "a_i", "a_o", "zero_i", "f_i", "y_o")
    buses = {bus: sum(bool(re.fullmatch(rf"{bus}_\d+", port)) for port in ports) for bus in names}
    if buses["a_i"] != column_model(design).port(np.zeros((1, rows), np.int8), rows).size or not buses["y_o"]:
        raise UserError(f"{netlist}: ports are not those of a column of {rows} rows; run make synth again")
    return buses


def surplus_of_pairs(design: Design) -> bool:
    """True for columns of a fast inner product: an element has two rows, and an extra column sums their surplus."""
    return dict(design.parameters).get("Form", 0) >= 5


def column_model(design: Design) -> ColumnModel:
    """The golden model of a design."""
    parameters = dict(design.parameters)
    encoding = load_encoding(design.encoding) if design.encoding else None
    bits = parameters.get("WBits", 8) or 8, parameters.get("ABits", 8)  # an extra column has no weights
    return ColumnModel(encoding, design.shared, surplus_of_pairs(design), *bits)


def skew(design: Design) -> int:
    """Rows that come together, a cycle after those before them; 0: all rows come at once."""
    if design.encoding:
        return dict(design.parameters).get("RowsPerGroup", 0)
    return 2 if surplus_of_pairs(design) else 1


def latency(design: Design, rows: int) -> int:
    """Clock edges from an activation vector at the ports (its first row, if rows are skewed) to its sum."""
    parameters = dict(design.parameters)
    if design.encoding:
        return rows // parameters.get("RowsPerGroup", rows) + 1 + parameters.get("SumRegister", 0)
    foot = parameters["Form"] in (2, 4) or (surplus_of_pairs(design) and not design.shared)
    return rows // skew(design) + 1 + foot


def column_config(design: Design, rows: int) -> dict[str, object]:
    """What `tb.tests.column` has to know of a column."""
    model = column_model(design)
    return {
        "encoding": design.encoding and absolute(design.encoding),
        "shared": design.shared,
        "pairs": model.pairs,
        "weight_bits": model.weight_bits,
        "activation_bits": model.activation_bits,
        "rows": rows,
        "latency": latency(design, rows),
        "skew": skew(design),
        "gated": bool(dict(design.parameters).get("GateZeros")),
    }


def rtl_sha256(encoding: str | None) -> str:
    """Hash of the RTL that a column is made of, the package of its encoding (a path or a name) included."""
    files = [*RTL.glob("*.sv*"), *(p for folder in ("accum", "array", "mult") for p in (RTL / folder).glob("*.sv"))]
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in sorted(files)))
    if encoding:
        digest.update(load_encoding(encoding).to_systemverilog().encode())
    return digest.hexdigest()


def simulate_column(netlist: Path, design: Design, rows: int, platform: Platform) -> Simulated:
    """Run `tb.tests.column` on a netlist, zero delay, real operands of a network layer and corners.

    "failed" is a verdict of the test; a simulator that is killed, hangs or has no room left raises UserError.
    """
    from cocotb_tools.runner import Icarus

    class Bounded(Icarus):
        def _execute_cmds(self, cmds, cwd, stdout=None) -> None:
            for command in cmds:
                errors = subprocess.STDOUT if stdout else None
                run_process(command, LIMIT_S, cwd=cwd, env=self.env, stdout=stdout, stderr=errors)

    folder = netlist.parent / "gate"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    buses = column_buses(netlist, design, rows)
    connections = [f"    .{bus}_{i}({bus}[{i}])" for bus, width in buses.items() for i in range(width)]
    wrapper = folder / "column_gates.v"
    high = {f"{bus[:-2]}_high": buses[bus] - 1 for bus in ("w_i", "a_i", "zero_i", "f_i", "y_o")}
    text = WRAPPER.format(**high, connections=",\n".join(connections))
    wrapper.write_text(text)
    records = folder / "records.jsonl"
    config = column_config(design, rows)
    sources = [platform.cell_models, netlist, wrapper]
    # what `make sim DUT=gate` needs to simulate this very netlist again, and to see whether it is still that of the RTL
    again = {"column": config, "rtl_sha256": rtl_sha256(config["encoding"])}
    again |= {"cells": str(platform.cell_models.resolve()), "wrapper": wrapper.name}
    write_text(folder / COLUMN_RECORD, json.dumps(again, indent=1) + "\n")
    tool = Bounded()
    log, xml, fault = folder / "gate.log", folder / "results.xml", None
    try:
        tool.build(
            sources=sources,
            hdl_toplevel="column_gates",
            build_dir=folder,
            build_args=["-g2012"],
            timescale=("1ns", "1ps"),
            log_file=log,
            always=True,
        )
        log = folder / "sim.log"
        tool.test(
            test_module="tb.tests.column",
            hdl_toplevel="column_gates",
            hdl_toplevel_lang="verilog",
            build_dir=folder,
            test_dir=folder,
            seed=1,
            results_xml=str(xml),
            log_file=log,
            extra_env={
                "ENCMAC_COLUMN": json.dumps(config),
                "ENCMAC_RECORDS": str(records),
                "OPENBLAS_NUM_THREADS": "1",
                "COCOTB_ANSI_OUTPUT": "0",
            },
        )
    except (RuntimeError, SystemExit, OSError) as error:  # the last are a test's failure too, where pytest runs
        fault = error
    return judged(design, records, xml, log, fault)


def judged(design: Design, records: Path, xml: Path, log: Path, fault: BaseException | None) -> Simulated:
    """The verdict of a gate-level run, from what its tests wrote; UserError if it says nothing of the design."""
    try:
        cases = list(ElementTree.parse(xml).iter("testcase"))
        found = [json.loads(line) for line in records.read_text().splitlines()] if records.exists() else []
    except (OSError, ElementTree.ParseError, ValueError) as error:
        fault, cases, found = fault or error, [], []
    matches, mismatches = (sum(r[key] for r in found) for key in ("matches", "mismatches"))
    failed = [c for case in cases for c in case if c.tag in ("failure", "error", "skipped")]
    told = found or any(c.get("type") == "AssertionError" for c in failed)  # an X at the sums is a verdict
    if not told or (isinstance(fault, SimulatorFault) and not failed):
        raise UserError(
            f"the gate-level run of {design.label} ended badly ({fault or 'no results'}), which says nothing of the "
            f"design and is not kept; see {log} and run the same command again"
        ) from fault
    good = cases and not failed and len(found) == len(cases) and matches and not mismatches
    return Simulated("passed" if good else "failed", matches, mismatches)
