"""What is proven of which module, with which parameters: the list behind `make formal`.

exhaustive   all inputs are tried (16 operand bits: 65,536 pairs)
rewriting    the sum at the outputs is rewritten to the sum at the inputs (flows/formal/linear.py)
k-induction  assertions of rtl/formal hold for ever (flows/formal/induction.py)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flows.formal import induction, linear
from flows.formal.netlist import (
    NotProven,
    counting_patterns,
    elaborate,
    evaluate,
    is_full_adder,
    read_rtl,
    supports,
)
from models.encoding import Encoding, export_package, library_names, load_encoding

ROWS = 64  # of the column whose decoders are proven
GROUP = 8  # rows of a group in it
SHADOWED = ("exact64", "and36")  # columns proven with shadow weights too, one merged and one counted


@dataclass(frozen=True)
class Place:
    """Where a proof works: the RTL it reads, the folder it writes."""

    rtl: Path
    folder: Path


@dataclass(frozen=True)
class Verdict:
    """`counterexample` "" if proven; `extent`: over what the proof went."""

    counterexample: str
    extent: str


@dataclass(frozen=True)
class Proof:
    """A claim on a module with parameters, and how it is shown."""

    name: str
    module: str
    parameters: dict[str, int | str]
    claim: str
    method: str
    run: Callable[[Place], Verdict]


def all_proofs(encodings: list[str]) -> dict[str, Proof]:
    """Every proof by name; those of enc_mult and position_decoder for each encoding (name or JSON file)."""
    proofs = [_adder(lanes) for lanes in (1, 3)]
    proofs += [_counter(rows, accumulate) for rows in (*range(2, 9), 16, 64, 256) for accumulate in (0, 1)]
    proofs += [_tree(name, heights) for name, heights in heaps().items()]
    for name in encodings:
        encoding = load_encoding(name)
        proofs.append(_mult(name, encoding))
        proofs.append(_decoder(name, encoding, "counted", ROWS, 1, 0, ROWS))
        if encoding.is_power_of_two:
            proofs.append(_decoder(name, encoding, "merged", ROWS, ROWS, 0, ROWS))
            proofs.append(_decoder(name, encoding, "first_group", GROUP, GROUP, 0, ROWS))
            proofs.append(_decoder(name, encoding, "next_group", GROUP, GROUP, 2, 0))
    for name in encodings:
        encoding = load_encoding(name)
        proofs.append(_column(name, encoding, int(encoding.is_power_of_two), 16, 0))
        if name in SHADOWED:
            proofs.append(_column(name, encoding, int(encoding.is_power_of_two), 16, 1))
    proofs += [_control(latency, None) for latency in (1, 2, 3, 4, 6, 8)]
    proofs += [_control(latency, swap_cycles) for latency, swap_cycles in ((1, 0), (2, 0), (3, 1), (4, 2), (6, 4))]
    proofs += [
        _triangle(lanes, width, falling) for lanes, width in ((1, 2), (2, 2), (4, 2), (8, 1)) for falling in (0, 1)
    ]
    proofs += [_tile(*of_module) for of_module in TILE]
    return {proof.name: proof for proof in proofs}


def sources(place: Place, *paths: str) -> list[Path]:
    return [place.rtl / path for path in ("encmac_pkg.sv", *paths)]


ACCUM = tuple(f"accum/{name}.sv" for name in ("full_adder", "compressor_tree", "bit_counter", "position_decoder"))


def package_of(name: str, encoding: Encoding, place: Place) -> tuple[Path, dict[str, str]]:
    """Package of an encoding, that of the RTL unless the library lacks it, and the define that names it."""
    path = place.rtl / "encodings" / f"{encoding.name}_pkg.sv"
    path = path if name in library_names() else export_package(encoding, place.folder)
    return path, {"ENCODING_PKG": f"{encoding.name}_pkg"}


def _adder(lanes: int) -> Proof:
    def run(place: Place) -> Verdict:
        read = read_rtl("full_adder", sources(place, ACCUM[0]), place.rtl, {"Lanes": lanes}, {})
        netlist = elaborate(read, "full_adder", place.folder)
        return Verdict("" if is_full_adder(netlist) else "it does not add some three bits", "8 cases, every lane")

    return Proof(f"full_adder/{lanes}", "full_adder", {"Lanes": lanes}, "x + y + z = sum + 2 carry", "exhaustive", run)


def _counter(rows: int, accumulate: int) -> Proof:
    width = (rows * (1 + accumulate)).bit_length()
    parameters = {"Rows": rows, "CountWidth": width, "Accumulate": accumulate}
    small = rows <= 8

    def run(place: Place) -> Verdict:
        read = read_rtl("bit_counter", sources(place, *ACCUM[:3]), place.rtl, parameters, {})
        netlist = elaborate(read, "bit_counter", place.folder)
        right = {("bits_i", i): 1 for i in range(rows)}
        if accumulate:
            right |= {("count_i", i): 1 << i for i in range(width)}
        identity = linear.Identity({("count_o", i): 1 << i for i in range(width)}, right, 0, width)
        if not small:
            return Verdict(linear.prove(netlist, identity), f"{len(right)} input bits")
        patterns = counting_patterns(rows + width)
        inputs = {"bits_i": patterns[:rows], "count_i": patterns[rows:]}
        return Verdict(linear.mismatch(netlist, identity, inputs, 1 << (rows + width)), f"{1 << (rows + width)} cases")

    name = f"bit_counter/{rows}{'+count' if accumulate else ''}"
    method = "exhaustive" if small else "rewriting"
    return Proof(name, "bit_counter", parameters, "count_o = ones of bits_i (+ count_i)", method, run)


def heaps() -> dict[str, list[int]]:
    """Heights of heaps: what the array uses, and shapes with empty and with single places."""
    product = [min(k, 15 - k, 7) + 1 if k < 15 else 0 for k in range(16)]
    return {
        "one_place": [16, 0, 0, 0, 0],
        "empty_places": [0, 5, 0, 1, 9, 0, 2, 0],
        "even": [8] * 12,
        "product": product,
        "product_and_sums": [height + 2 for height in product],
        "column": [16 * height for height in product] + [0] * 4,
    }


def tree_parameters(heights: list[int]) -> dict[str, int | str]:
    """Parameters of a compressor_tree for a heap."""
    vector = "".join(f"{height:04x}" for height in reversed(heights))
    return {"Width": len(heights), "Heights": f"{16 * len(heights)}'h{vector}", "NumBits": sum(heights)}


def _tree(name: str, heights: list[int]) -> Proof:
    width, bits = len(heights), sum(heights)
    parameters = tree_parameters(heights)

    def run(place: Place) -> Verdict:
        read = read_rtl("compressor_tree", sources(place, *ACCUM[:2]), place.rtl, parameters, {})
        netlist = elaborate(read, "compressor_tree", place.folder)
        places = [p for p, height in enumerate(heights) for _ in range(height)]
        left = {(row, p): 1 << p for row in ("row0_o", "row1_o") for p in range(width)}
        right = {("bits_i", i): 1 << p for i, p in enumerate(places)}
        return Verdict(linear.prove(netlist, linear.Identity(left, right, 0, width)), f"{bits} input bits")

    shown = {"Width": width, "NumBits": bits}
    return Proof(f"compressor_tree/{name}", "compressor_tree", shown, "row0 + row1 = sum of the heap", "rewriting", run)


def _mult(name: str, encoding: Encoding) -> Proof:
    exact = encoding.max_relative_error() == 0

    def run(place: Place) -> Verdict:
        lanes, top = 2, "enc_mult_dut"
        package, defines = package_of(name, encoding, place)
        first, *files = sources(place, "mult/enc_mult.sv", f"formal/{top}.sv")
        read = read_rtl(top, [first, package, *files], place.rtl, {"Lanes": lanes}, defines)
        netlist = elaborate(read, top, place.folder)
        reached = supports(netlist)
        for index, bit in enumerate(netlist.outputs["b_o"] + netlist.outputs["f_o"]):
            own = {netlist.inputs[port][i * lanes + index % lanes] for port in ("a_i", "w_i") for i in range(8)}
            if not reached[bit] <= own:
                raise NotProven(f"an output of lane {index % lanes} reads another lane")
        patterns = [value for value in counting_patterns(16) for _ in range(lanes)]
        inputs = {"a_i": patterns[: 8 * lanes], "w_i": patterns[8 * lanes :]}
        values = evaluate(netlist, inputs, 1 << 16)
        found = ""
        for lane in range(lanes):
            found = found or _compare_products(encoding, exact, values["b_o"][lane::lanes], values["f_o"][lane::lanes])
        return Verdict(found, "65,536 pairs")

    claim = "bits = encoding; weighted sum = table" + (" = a w" if exact else "")
    return Proof(f"enc_mult/{encoding.name}", "enc_mult", {"encoding": encoding.name}, claim, "exhaustive", run)


def _compare_products(encoding: Encoding, exact: bool, bits: list[int], shared: list[int]) -> str:
    """Product bits of the RTL, and bits of f(a), against the encoding; "" or the first operands that differ.

    `bits`, `shared`: an integer each, bit k of it for activation k % 256 and weight k // 256 as bytes.
    """
    byte = np.arange(256).astype(np.uint8).view(np.int8)
    a, w = (v.ravel() for v in np.broadcast_arrays(byte[None, :], byte[:, None]))
    wires = encoding.wires(a, w)
    weighted = list(zip(bits, encoding.bits, encoding.weights, strict=True))
    pairs = encoding.shared_bits()
    weighted += [(bit, wire, weight) for bit, (wire, weight) in zip(shared[: len(pairs)], pairs, strict=True)]
    total = np.zeros(1 << 16, np.int64)
    for m, (packed, wire, weight) in enumerate(weighted):
        bit = np.unpackbits(np.frombuffer(packed.to_bytes(1 << 13, "little"), np.uint8), bitorder="little")
        if (wrong := np.flatnonzero(bit != wires[wire])).size:
            k = wrong[0]
            return f"a = {a[k]}, w = {w[k]}: product bit {m} is {bit[k]}, {wrong.size} pairs are wrong"
        total += weight * bit.astype(np.int64)
    a, w = a.astype(int), w.astype(int)
    total += encoding.row_constants[w + 128]
    for table in [encoding.product_table[a + 128, w + 128]] + [a * w] * exact:
        if (wrong := np.flatnonzero(total != table)).size:
            k = wrong[0]
            return f"a = {a[k]}, w = {w[k]}: {total[k]} in place of {table[k]}"
    return ""


def _decoder(
    name: str, encoding: Encoding, form: str, rows: int, lanes: int, acc_rows: int, constant_lanes: int
) -> Proof:
    """`lanes` 1: counts of `rows` rows; else a lane a row. `constant_lanes` counts rows as `lanes` does."""
    count_width = rows.bit_length() if lanes == 1 else 1
    constant_lanes = 1 if lanes == 1 else constant_lanes
    width = sum_width(ROWS, int(encoding.column_table.min()), int(encoding.column_table.max()))
    parameters = {"Lanes": lanes, "CountWidth": count_width, "Width": width}
    parameters |= {"AccRows": acc_rows, "ConstantLanes": constant_lanes}

    def run(place: Place) -> Verdict:
        package, defines = package_of(name, encoding, place)
        files = sources(place, *ACCUM, "formal/position_decoder_dut.sv")
        top = "position_decoder_dut"
        read = read_rtl(top, [files[0], package, *files[1:]], place.rtl, parameters, defines)
        netlist = elaborate(read, top, place.folder)
        left = {(row, i): 1 << i for row in ("row0_o", "row1_o") for i in range(width)}
        right = {
            ("counts_i", (m * count_width + j) * lanes + lane): weight << j
            for m, weight in enumerate(encoding.weights)
            for j in range(count_width)
            for lane in range(lanes)
        }
        right |= {(f"acc{k}_i", i): 1 << i for k in range(acc_rows) for i in range(width)}
        # a negative digit adds a complement; what that lacks is added for other groups' rows, or by them
        lack = sum((1 << d.shift) * (1 - (1 << count_width)) for d in encoding.digits if d.sign < 0)
        identity = linear.Identity(left, right, lack * (constant_lanes - lanes), width)
        return Verdict(linear.prove(netlist, identity), f"{len(right)} input bits")

    full = {"encoding": encoding.name, "form": form, **parameters}
    claim = "row0 + row1 = sum of s[m] cnt[m] (+ acc0 + acc1)"
    return Proof(f"position_decoder/{encoding.name}/{form}", "position_decoder", full, claim, "rewriting", run)


def _column(name: str, encoding: Encoding, merged: int, group: int, shadow: int) -> Proof:
    """A whole column between the ports and the gates of its rows: operands, sums, delays."""
    parameters = {"Rows": ROWS, "RowsPerGroup": group, "Merged": merged, "SumRegister": 1, "Shadow": shadow}
    groups, (a_wires, w_wires) = ROWS // group, encoding.operands
    width = sum_width(ROWS, int(encoding.column_table.min()), int(encoding.column_table.max()))
    rows = [(g, r) for g in range(groups) for r in range(group)]

    def of_row(g: int) -> str:
        return f"u_column.gen_group[{g}].u_group.u_mult"

    def operands() -> list[linear.Identity]:
        """Every operand bit at the gates of a row: the activation at once, the weight after its shifts."""
        found = []
        for g, r in rows:
            shifts = (("w_shift_i", 0),) * (ROWS - g * group - r)
            steps = {"w_i": ((("w_swap_i", g),) if shadow else ()) + shifts}
            for i in range(len(a_wires) + len(w_wires)):
                here = {(f"{of_row(g)}.in_i", i * group + r): 1}
                there = ("a_i", (g * len(a_wires) + i) * group + r) if i < len(a_wires) else ("w_i", i - len(a_wires))
                found.append(linear.Identity(here, {there: 1}, 0, 1, steps))
        return found

    def sums() -> list[linear.Identity]:
        """The result; counted: each count modulo its range, which it cannot leave, and the decoder's two rows."""

        def steps(after: int) -> dict[str, tuple[tuple[str, int], ...]]:
            return {f"{of_row(g)}.b_o": (("advance_i", 0),) * (groups - g + after) for g in range(groups)}

        result = {("y_o", i): 1 << i for i in range(width)}
        bits = {(f"{of_row(g)}.b_o", m * group + r): s for g, r in rows for m, s in enumerate(encoding.weights)}
        if merged:
            return [linear.Identity(result, bits, 0, width, steps(1))]
        decoder, count = "u_column.gen_decoder.u_decoder", ROWS.bit_length()
        found = []
        for m in range(encoding.m):
            left = {(f"{decoder}.counts_i", m * count + j): 1 << j for j in range(count)}
            found.append(linear.Identity(left, {(p, i): 1 for p, i in bits if i // group == m}, 0, count, steps(0)))
        right = {(f"{decoder}.{row}", i): 1 << i for row in ("row0_o", "row1_o") for i in range(width)}
        after = {f"{decoder}.{row}": (("advance_i", 0),) for row in ("row0_o", "row1_o")}
        return [*found, linear.Identity(result, right, 0, width, after)]

    def run(place: Place) -> Verdict:
        package, defines = package_of(name, encoding, place)
        files = sources(place, "mult/enc_mult.sv", *ACCUM, "array/enc_group.sv", "array/enc_column.sv")
        top = "enc_column_dut"
        files = [files[0], package, *files[1:], place.rtl / f"formal/{top}.sv"]
        read = read_rtl(top, files, place.rtl, parameters, defines)
        netlist = elaborate(read, top, place.folder, ("enc_mult",) if merged else ("enc_mult", "position_decoder"))
        identities = operands() + sums()
        return Verdict(linear.prove(netlist, *identities), f"{ROWS * encoding.m} product bits, {len(identities)} sums")

    full = {"encoding": encoding.name, **parameters}
    claim = "y = sum of s[m] b[m] over all rows, in time; operands reach their rows"
    return Proof(
        f"enc_column/{encoding.name}{'+shadow' if shadow else ''}", "enc_column", full, claim, "rewriting", run
    )


def sum_width(rows: int, low: int, high: int) -> int:
    """Bits of a two's complement sum of `rows` terms, each in low..high (encmac_pkg::sum_width)."""
    return max((rows * high).bit_length(), (-rows * low - 1).bit_length() if low < 0 else 0) + 1


def _control(latency: int, swap_cycles: int | None) -> Proof:
    """`swap_cycles` None: without shadow weights."""
    parameters = {"Rows": 2, "Latency": latency}
    parameters |= {} if swap_cycles is None else {"Shadow": 1, "SwapCycles": swap_cycles}

    def run(place: Place) -> Verdict:
        return _induction(place, "stream_control", parameters, 8)

    claim = "nothing lost or repeated, order, tlast, held under stall"
    name = f"stream_control/{latency}{'' if swap_cycles is None else '+shadow'}"
    return Proof(name, "stream_control", parameters, claim, "k-induction", run)


def _triangle(lanes: int, width: int, falling: int) -> Proof:
    parameters = {"Lanes": lanes, "Width": width, "Falling": falling}

    def run(place: Place) -> Verdict:
        return _induction(place, "delay_triangle", parameters, lanes)

    name = f"delay_triangle/{lanes}{'falling' if falling else 'rising'}"
    return Proof(name, "delay_triangle", parameters, "every lane is a delay line", "k-induction", run)


REQUANTISED = "y = clamp(floor((2 sum multiplier + 2^shift) / 2^(shift + 1)) + zero point)"
# of the tile engine: module, parameters, situations, claim
TILE = (
    ("packet_framer/3 bits", {"Width": 2, "CountWidth": 3}, 5, "packets of the right length of any; reports, aborts"),
    ("tile_counter/16 bits", {}, 4, "every tile once and in order"),
    ("accumulation_buffer/3 vectors", {"Cols": 2, "Depth": 3}, 6, "sums of tiles, modulo 2^32; order, tlast, stalls"),
    ("skid_buffer/2 bits", {"Width": 2}, 3, "nothing lost, repeated or changed; tready from a register"),
    ("axil_registers/5 rows", {}, 6, "AXI4-Lite; sizes stand still while busy; no start but with sizes allowed"),
    ("requantiser/small", {}, 5, REQUANTISED),
    ("requantiser/corners", {"SumBits": 32, "FactorBits": 31, "ShiftBits": 6, "Corners": 1}, 5, REQUANTISED),
)


def _tile(name: str, parameters: dict[str, int], situations: int, claim: str) -> Proof:
    module = name.partition("/")[0]

    def run(place: Place) -> Verdict:
        return _induction(place, module, parameters, situations, "tile")

    return Proof(name, module, dict(parameters), claim, "k-induction", run)


def _induction(place: Place, module: str, parameters: dict[str, int], situations: int, area: str = "array") -> Verdict:
    top = f"{module}_props"
    files = sources(place, f"{area}/{module}.sv", f"formal/{top}.sv")
    read = read_rtl(top, files, place.rtl, parameters, {}, flat=True)
    result = induction.prove(read, top, situations, place.folder)
    extent = f"depth {result.depth}, {result.assertions} assertions, {result.situations} situations reached"
    return Verdict(result.counterexample, extent)
