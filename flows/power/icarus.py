"""The same activity by Icarus Verilog on the library's own cell models: what our simulation is checked against."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import threading
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.processes import run
from flows.platform import Platform
from flows.power.activity import Stimulus, check_results, output_bits
from flows.power.circuit import Circuit
from flows.power.simulate import PS, Counts
from flows.sta import IO_SHARE
from flows.synth.netlist import Design
from models.emulate.native import load_library

BENCH = """
`timescale 1ns/1ps
module bench;
  reg clk_i;
  reg [{word_high}:0] now;
  reg [{word_high}:0] stimulus [0:{cycles} - 1];
  wire [{y_high}:0] y_o;
  integer cycle, results;
  column_top dut (
    .clk_i(clk_i),
{connections}
  );
  initial begin
    $readmemb("stimulus.bin", stimulus);
    results = $fopen("{name}.results");
    now = 0;
    {annotate}
    $dumpfile("/dev/./fd/{pipe}");
    $dumpvars(1, dut);
    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
      clk_i = 1;
      #{before} now = stimulus[cycle];
      #{high} clk_i = 0;
      #{low} $fdisplay(results, "%b", y_o);
      #{before};
    end
    $finish;
  end
endmodule
"""


def icarus_counts(
    circuit: Circuit, design: Design, platform: Platform, clock_ns: float, given: Stimulus, folder: Path, timed: bool
) -> Counts:
    """Transitions of the circuit's nets, simulated in `folder`, if `timed` with the `delays.sdf` that is there.

    Raises UserError if a result is wrong or a delay was not annotated.
    """
    sdf = folder / "delays.sdf" if timed else None
    name = "icarus-timed" if sdf else "icarus-zero"
    outputs = output_bits(circuit)
    text = circuit.path.read_text()
    ports = [port for port in given.ports if re.search(rf"^\s*input {port};", text, re.MULTILINE)]
    joined = [f"    .{port}(now[{i}])" for i, port in enumerate(ports)]
    joined += [f"    .{port}(y_o[{i}])" for i, port in enumerate(outputs)]
    models = folder / "cells.v"  # one resolution for all, that of the delays
    models.write_text(re.sub(r"`timescale\s+\S+\s*/\s*\S+", "`timescale 1ns/1ps", platform.cell_models.read_text()))
    bits = np.array([given.ports[port] for port in reversed(ports)], np.uint8).T
    (folder / "stimulus.bin").write_text("\n".join("".join(map(str, word)) for word in bits.tolist()) + "\n")
    reader, writer = os.pipe()
    io_ns = IO_SHARE * clock_ns
    bench = folder / f"{name}.v"
    bench.write_text(
        BENCH.format(
            word_high=len(ports) - 1,
            cycles=len(bits),
            y_high=len(outputs) - 1,
            connections=",\n".join(joined),
            name=name,
            annotate=f'$sdf_annotate("{sdf}", dut);' if sdf else "",
            pipe=writer,
            before=io_ns,
            high=clock_ns / 2 - io_ns,
            low=clock_ns / 2 - io_ns,
        )
    )
    # OpenSTA writes minimum and maximum but no typical delays: with `-T typ` nothing would be annotated
    options = ["-gspecify", "-T", "max"] if sdf else []
    binary = folder / f"{name}.vvp"
    _run(["iverilog", "-g2012", *options, "-s", "bench", "-o", binary, bench, circuit.path, models], folder, name)
    windows = [(round(a * clock_ns * PS), round(b * clock_ns * PS)) for a, b in given.windows]
    found: list[tuple[list[str], np.ndarray]] = []
    failure: list[UserError] = []
    thread = threading.Thread(target=_count, args=(reader, windows, found, failure))
    thread.start()
    try:
        _run(["vvp", "-N", binary], folder, name, pass_fds=(writer,))
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)
    if failure:
        raise failure[0]
    names, counts = found[0]
    place = {net: i for i, net in reversed(list(enumerate(names)))}
    # what belongs to a cell: a port that a design leaves alone, as f(a)'s of a conventional one, is left open
    if unknown := [net for net in circuit.nets if counts[place[net], :, 3].any()]:
        raise UserError(f"{design.label}: net {unknown[0]} and {len(unknown) - 1} more are unknown while counting")
    lines = (folder / f"{name}.results").read_text().split()
    if len(lines) != len(bits):
        raise UserError(f"{design.label}: the simulation ended after {len(lines)} of {len(bits)} cycles")
    samples = np.array([[bit == "1" for bit in reversed(line)] for line in lines])
    check_results(samples, given, design)
    rows = counts[[place[net] for net in circuit.nets]]
    rises, falls, high = (rows[:, :, k] for k in range(3))
    return Counts(rises, falls, high, samples, int((rises + falls).sum()))


def _run(command: list, folder: Path, name: str, pass_fds: tuple[int, ...] = ()) -> None:
    """A tool in `folder`; raises UserError if it fails or, as annotation does, only complains."""
    log = folder / f"{name}-{Path(command[0]).name}.log"
    with log.open("w") as stream:
        try:
            done = run(command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT, pass_fds=pass_fds, timeout=3600)
        except FileNotFoundError as error:
            raise UserError(f"{command[0]} is not installed; run: make setup") from error
    lines = [line for line in log.read_text(errors="replace").splitlines() if re.search(r"(?i)\bsdf\b|error", line)]
    if done.returncode or lines:
        reason = lines[0] if lines else f"exit code {done.returncode}"
        raise UserError(f"{command[0]} on {folder.parent.name}: {reason.strip()}; see {log}")


def _count(reader: int, windows: list[tuple[int, int]], found: list, failure: list) -> None:
    """Names and counts int64 [nets, windows, (rise, fall, high, unknown)] of the dump that comes out of a pipe."""
    try:
        found.append(count_vcd(Path(f"/dev/fd/{reader}"), "bench.dut", windows))
    except UserError as error:
        failure.append(error)


def count_vcd(path: Path, scope: str, windows: list[tuple[int, int]]) -> tuple[list[str], np.ndarray]:
    """Nets of a scope of a VCD and their int64 [nets, windows, (rise, fall, time at 1, time unknown)].

    Windows are half open, ascending, in units of the dump. Raises UserError on what is no VCD.
    """
    library = load_library(Path(__file__).with_name("vcd_count.cpp"))
    array = ctypes.c_int64 * len(windows)
    library.vcd_read.restype = ctypes.c_void_p
    library.vcd_name.restype = library.vcd_error.restype = ctypes.c_char_p
    library.vcd_counts.restype = ctypes.POINTER(ctypes.c_int64)
    library.vcd_nets.restype = library.vcd_last_time.restype = ctypes.c_int64
    begins, ends = array(*(a for a, _ in windows)), array(*(b for _, b in windows))
    handle = ctypes.c_void_p(library.vcd_read(str(path).encode(), scope.encode(), len(windows), begins, ends))
    try:
        if error := library.vcd_error(handle).decode():
            raise UserError(f"{path}: not a VCD that can be counted: {error}")
        count = library.vcd_nets(handle)
        if not count or library.vcd_last_time(handle) < max(b for _, b in windows):
            raise UserError(f"{path}: the dump of {scope} has {count} nets and ends before the last window")
        names = [library.vcd_name(handle, ctypes.c_int64(i)).decode() for i in range(count)]
        counts = np.ctypeslib.as_array(library.vcd_counts(handle), (count, len(windows), 4)).copy()
    finally:
        library.vcd_free(handle)
    return names, counts
