"""What the nets of a mapped column do while it computes tiles of a network.

Weights of a tile are shifted in, its activation vectors follow one a cycle. Transitions are counted in
a window of cycles in which every row computes; loading and draining lie outside. The same run compares
every result with the golden model: a run with a wrong result counts nothing. Without delays every net
changes at most once a cycle; with them (SDF, inertial) the glitches are counted too.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flows.gls import column_buses, latency
from flows.platform import Platform
from flows.sta import IO_SHARE, write_delays
from flows.synth.netlist import TOP, Design
from models.emulate import exact_table
from models.emulate.native import load_library
from models.encoding import load_encoding
from models.errors import UserError
from models.hardware import TileModel, bit_slice
from models.replay import Capture, Tile, tiles

PS = 1000  # in a ns: resolution of the simulation

BENCH = """
`timescale 1ns/1ps
module bench;
  reg clk_i;
  reg [{word_high}:0] now;
  reg [{word_high}:0] stimulus [0:{cycles} - 1];
  wire [{y_high}:0] y_o;
  integer cycle, results;
  column_top dut (
    .clk_i(clk_i), .w_shift_i(now[{shift_at}]),
{connections}
  );
  initial begin
    $readmemh("stimulus.hex", stimulus);
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


@dataclass(frozen=True)
class Stimulus:
    """Operands by cycle, the sums they must give, and the windows that count.

    `words` are what the ports take (activation bits, weight, shift); `results` are (cycle, sum);
    `windows` are (first cycle, end) of each of `tiles`.
    """

    words: list[int]
    results: list[tuple[int, int]]
    windows: list[tuple[int, int]]
    tiles: list[Tile]


@dataclass(frozen=True)
class Activity:
    """Transitions of the nets of a netlist: int64 [nets, windows]; `high` is the share of time at 1."""

    netlist_sha256: str
    clock_ns: float
    glitches: bool
    windows: tuple[str, ...]
    cycles: np.ndarray
    nets: dict[str, int]
    rises: np.ndarray
    falls: np.ndarray
    high: np.ndarray
    matches: int

    @property
    def toggles(self) -> np.ndarray:
        """Rises and falls."""
        return self.rises + self.falls


def workload(capture: Capture, rows: int, vectors: int) -> list[Tile]:
    """A tile of every layer, with `vectors` activation vectors after `rows` that fill a skewed column.

    Of window positions it is a middle block that fills all rows, if there is one.
    """
    found: list[Tile] = []
    for layer in capture.layers.values():
        block, channel = layer.depth // rows // 2, (5 + 11 * len(found)) % len(layer.bias)
        tile = next(t for t in tiles(layer, rows, 1) if t.n0 == channel and t.k0 == block * rows)
        total, there = rows + vectors, len(tile.activations)
        if there < total:
            raise UserError(f"layer {layer.name} has {there} vectors, {total} are needed: give a smaller VECTORS=")
        start = min(there // 4, there - total)
        found.append(dataclasses.replace(tile, activations=tile.activations[start : start + total]))
    return found


def stimulus(chosen: list[Tile], design: Design, rows: int) -> Stimulus:
    """Tiles one after the other: load, stream, drain."""
    encoding = load_encoding(design.encoding) if design.encoding else None
    table = encoding.column_table if encoding else exact_table()
    a_bits = (len(encoding.operands[0]) if encoding else 8) * rows
    delay = np.zeros(rows, int) if encoding else np.arange(rows)
    late = latency(design, rows)
    words: list[int] = []
    results, windows = [], []
    for tile in chosen:
        weights, count = tile.weights[:, 0], len(tile.activations)
        words += [(int(w) & 0xFF | 0x100) << a_bits for w in weights]
        start = len(words)
        length = count + rows + late + 1
        operands = np.zeros((length, rows), np.int8)
        for row in range(rows):
            operands[delay[row] : delay[row] + count, row] = tile.activations[:, row]
        for vector in operands:
            packed = bit_slice(vector, encoding) if encoding else vector
            words.append(int.from_bytes(packed.tobytes(), "little"))
        model = TileModel(table, tile.weights)
        results += [(start + n + late, int(model.column_sums(a)[0])) for n, a in enumerate(tile.activations)]
        windows.append((start + rows + 1, start + count + 1))
    return Stimulus(words, results, windows, chosen)


def measure_activity(
    netlist: Path,
    sha256: str,
    design: Design,
    rows: int,
    platform: Platform,
    clock_ns: float,
    given: Stimulus,
    timed: bool,
) -> Activity:
    """Simulate a netlist and count; raises UserError if a result is wrong or a delay was not annotated."""
    folder = netlist.parent / "power"
    folder.mkdir(exist_ok=True)
    name = "timed" if timed else "zero"
    buses = column_buses(netlist, design, rows)
    a_high = buses["a_i"]
    joined = [f"    .a_i_{i}(now[{i}])" for i in range(a_high)]
    joined += [f"    .w_i_{i}(now[{a_high + i}])" for i in range(buses["w_i"])]
    joined += [f"    .y_o_{i}(y_o[{i}])" for i in range(buses["y_o"])]
    models = folder / "cells.v"  # one resolution for all, that of the delays
    models.write_text(re.sub(r"`timescale\s+\S+\s*/\s*\S+", "`timescale 1ns/1ps", platform.cell_models.read_text()))
    width = max(a_high + 9, 2)
    digits = -(-width // 4)
    (folder / "stimulus.hex").write_text("".join(f"{word:0{digits}x}\n" for word in given.words))
    sdf = folder / "delays.sdf"
    if timed:
        write_delays(netlist, TOP, platform, clock_ns, sdf)
    reader, writer = os.pipe()
    io_ns = IO_SHARE * clock_ns
    bench = folder / f"{name}.v"
    bench.write_text(
        BENCH.format(
            word_high=width - 1,
            shift_at=a_high + 8,
            cycles=len(given.words),
            y_high=buses["y_o"] - 1,
            connections=",\n".join(joined),
            name=name,
            annotate='$sdf_annotate("delays.sdf", dut);' if timed else "",
            pipe=writer,
            before=io_ns,
            high=clock_ns / 2 - io_ns,
            low=clock_ns / 2 - io_ns,
        )
    )
    # OpenSTA writes minimum and maximum but no typical delays: with `-T typ` nothing would be annotated
    options = ["-gspecify", "-T", "max"] if timed else []
    binary = folder / f"{name}.vvp"
    _run(["iverilog", "-g2012", *options, "-s", "bench", "-o", binary, bench, netlist, models], folder, name)
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
    matches = _check(folder / f"{name}.results", given, design)
    lengths = np.array([b - a for a, b in windows])
    if unknown := [net for net, row in zip(names, counts[:, :, 3], strict=True) if row.any()]:
        raise UserError(f"{design.label}: net {unknown[0]} and {len(unknown) - 1} more are unknown while counting")
    nets: dict[str, int] = {}
    for index, net in enumerate(names):
        nets.setdefault(net, index)
    clock = counts[nets["clk_i"], :, 0] if "clk_i" in nets else np.zeros(len(windows))
    if not clock.all():
        raise UserError(f"{design.label}: the clock does not run in the simulation")
    cycles = np.array([b - a for a, b in given.windows])
    return Activity(
        netlist_sha256=sha256,
        clock_ns=float(lengths.sum() / clock.sum() / PS),
        glitches=timed,
        windows=tuple(f"{t.layer} k{t.k0} n{t.n0}" for t in given.tiles),
        cycles=cycles,
        nets=nets,
        rises=counts[:, :, 0],
        falls=counts[:, :, 1],
        high=counts[:, :, 2] / lengths,
        matches=matches,
    )


def _run(command: list, folder: Path, name: str, pass_fds: tuple[int, ...] = ()) -> None:
    """A tool in `folder`; raises UserError if it fails or, as annotation does, only complains."""
    log = folder / f"{name}-{Path(command[0]).name}.log"
    with log.open("w") as stream:
        try:
            done = subprocess.run(
                command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT, pass_fds=pass_fds, timeout=3600
            )
        except FileNotFoundError as error:
            raise UserError(f"{command[0]} is not installed; run: make setup") from error
    lines = [line for line in log.read_text(errors="replace").splitlines() if re.search(r"(?i)\bsdf\b|error", line)]
    if done.returncode or lines:
        reason = lines[0] if lines else f"exit code {done.returncode}"
        raise UserError(f"{command[0]} on {folder.parent.name}: {reason.strip()}; see {log}")


def _check(path: Path, given: Stimulus, design: Design) -> int:
    """Number of results, all of them right; raises UserError otherwise."""
    lines = path.read_text().split()
    if len(lines) != len(given.words):
        raise UserError(f"{design.label}: the simulation ended after {len(lines)} of {len(given.words)} cycles")
    width = len(lines[0])
    wrong = 0
    for cycle, expected in given.results:
        text = lines[cycle]
        good = set(text) <= {"0", "1"} and int(text, 2) == expected % (1 << width)
        wrong += not good
    if wrong or not given.results:
        raise UserError(f"{design.label}: {wrong} of {len(given.results)} results are wrong; its toggles do not count")
    return len(given.results)


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
