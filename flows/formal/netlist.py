"""Elaborated RTL as a graph of one-bit operations, and its value for many inputs at once.

Yosys (pyosys) elaborates the SystemVerilog, without any optimisation, and writes JSON; this module
splits its cells into operations on single bits. A vector of input patterns is a Python integer, one
bit a pattern: evaluating an operation on all 65,536 pairs of operands is one big-integer instruction.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ADDER = "full_adder"  # kept as a unit; every copy is checked against x + y + z = sum + 2 carry
Bit = int | str  # a net, or the constant "0" or "1"


class NotProven(Exception):
    """A proof did not come about for a reason that is no counterexample: the text says which."""


@dataclass(frozen=True)
class Operation:
    """One of these kinds: and, or, xor, not, buf; adder (x, y, z -> sum, carry); add (A and B, lowest bit first -> Y);
    register (next value, enable -> value)."""

    kind: str
    inputs: tuple[Bit, ...]
    outputs: tuple[Bit, ...]


@dataclass(frozen=True)
class Netlist:
    """Ports (nets, lowest bit first) and operations, each after those that it reads.

    A module that was opened at is not in it: what it puts out is an input here, what it reads an output,
    both under the names `<instance>.<port>`.
    """

    inputs: dict[str, list[Bit]]
    outputs: dict[str, list[Bit]]
    operations: tuple[Operation, ...]


def run_yosys(commands: Iterable[str]) -> None:
    """Run Yosys commands in this process, which Yosys ends on an error: call it in a process of its own."""
    from pyosys import libyosys

    session = libyosys.Design()
    for command in commands:
        libyosys.run_pass(command, session)


def read_rtl(
    top: str,
    files: Iterable[Path],
    rtl: Path,
    parameters: Mapping[str, object],
    defines: Mapping[str, str],
    flat: bool = False,
) -> str:
    """The Yosys command that reads SystemVerilog with `top` and its parameters. The hierarchy stays, unless `flat`:
    then a module may name what is inside of those below it."""
    options = [] if flat else ["--keep-hierarchy"]
    options += [f"-D {key}={value}" for key, value in defines.items()]
    options += [f"-G {key}={value}" for key, value in parameters.items()]
    return (
        f"read_slang -I {rtl} -D SYNTHESIS=1 --max-constexpr-steps 1000000000 {' '.join(options)} "
        f"--top {top} {' '.join(map(str, files))}"
    )


def elaborate(read: str, top: str, folder: Path, opened: tuple[str, ...] = ()) -> Netlist:
    """The netlist of RTL without resets, opened at some modules; `read` is a command of `read_rtl`."""
    path = folder / "netlist.json"
    path.unlink(missing_ok=True)
    kept = " ".join(f"{name}*" for name in (ADDER, *opened))
    commands = [read, f"hierarchy -check -top {top}", "proc", f"setattr -mod -set keep_hierarchy 1 {kept}"]
    commands += [] if top == ADDER else ["flatten"]
    commands += ["opt_clean -purge", f"write_json {path}"]
    run_yosys(commands)
    return from_json(json.loads(path.read_text()), top, opened)


def from_json(document: dict, top: str, opened: tuple[str, ...] = ()) -> Netlist:
    """The netlist of module `top` in what Yosys wrote; raises NotProven for cells it does not know."""
    modules = document["modules"]
    module = modules[top]
    ports: dict[str, dict[str, list[Bit]]] = {"input": {}, "output": {}}
    for name, port in module["ports"].items():
        ports[port["direction"]][name] = port["bits"]
    operations: list[Operation] = []
    holds: dict[Bit, tuple[Bit, Bit, Bit]] = {}  # output of a multiplexer: kept value, new value, enable
    for cell in module["cells"].values():
        if cell["type"] == "$mux":
            wires = cell["connections"]
            for kept, new, out in zip(wires["A"], wires["B"], wires["Y"], strict=True):
                holds[out] = (kept, new, wires["S"][0])
    for name, cell in module["cells"].items():
        kind, wires = cell["type"], cell["connections"]
        if kind in ("$scopeinfo", "$mux"):
            continue
        if kind.startswith(opened) and opened:
            other = {"input": "output", "output": "input"}
            for port, direction in cell["port_directions"].items():
                ports[other[direction]][f"{name}.{port}"] = wires[port]
        elif kind.startswith(ADDER):
            if not is_full_adder(from_json(document, kind)):
                raise NotProven(f"{name} is no full adder")
            lanes = zip(*(wires[port] for port in ("x_i", "y_i", "z_i", "sum_o", "carry_o")), strict=True)
            operations += [Operation("adder", lane[:3], lane[3:]) for lane in lanes]
        elif kind == "$dff":
            if wires["CLK"] != ports["input"].get("clk_i") or int(cell["parameters"]["CLK_POLARITY"], 2) != 1:
                raise NotProven(f"{name} is not clocked by the rising edge of clk_i")
            for following, value in zip(wires["D"], wires["Q"], strict=True):
                kept, new, enable = holds.pop(following, (None, following, "1"))
                if kept not in (None, value):
                    raise NotProven(f"{name} is no register with an enable")
                operations.append(Operation("register", (new, enable), (value,)))
        else:
            operations += _split(kind, cell["parameters"], wires)
    if holds:
        raise NotProven("a multiplexer is not understood")
    return Netlist(ports["input"], ports["output"], _sorted(operations, ports["input"], ports["output"]))


def _split(kind: str, parameters: dict[str, str], wires: dict[str, list[Bit]]) -> list[Operation]:
    """One Yosys cell as operations on bits."""

    def operand(port: str) -> list[Bit]:
        bits = wires[port]
        extension = bits[-1] if int(parameters[f"{port}_SIGNED"], 2) else "0"
        return [bits[i] if i < len(bits) else extension for i in range(len(wires["Y"]))]

    a, y = operand("A"), wires["Y"]
    if kind == "$pos":
        return [Operation("buf", (x,), (z,)) for x, z in zip(a, y, strict=True)]
    if kind == "$not":
        return [Operation("not", (x,), (z,)) for x, z in zip(a, y, strict=True)]
    if kind in ("$and", "$or", "$xor"):
        return [Operation(kind[1:], (p, q), (z,)) for p, q, z in zip(a, operand("B"), y, strict=True)]
    if kind == "$add":
        return [Operation("add", (*a, *operand("B")), tuple(y))]
    raise NotProven(f"a cell of type {kind} is not understood")


def _sorted(operations: list[Operation], *ports: dict[str, list[Bit]]) -> tuple[Operation, ...]:
    """Operations in an order of dependence; raises NotProven for loops and for nets that nothing drives."""
    known: set[Bit] = {"0", "1", *(bit for bits in ports[0].values() for bit in bits)}
    readers: dict[Bit, list[int]] = defaultdict(list)
    missing = []
    for index, operation in enumerate(operations):
        awaited = set(operation.inputs) - known
        missing.append(len(awaited))
        for bit in awaited:
            readers[bit].append(index)
    ready = [index for index, count in enumerate(missing) if not count]
    order: list[Operation] = []
    for index in ready:
        order.append(operations[index])
        for bit in operations[index].outputs:
            if bit in known:
                raise NotProven(f"net {bit} is driven more than once")
            known.add(bit)
            for reader in readers.get(bit, ()):
                missing[reader] -= 1
                if not missing[reader]:
                    ready.append(reader)
    outputs = {bit for bits in ports[1].values() for bit in bits}
    if len(order) != len(operations) or outputs - known:
        raise NotProven("there is a loop, or a net that nothing drives")
    return tuple(order)


def evaluate(netlist: Netlist, inputs: Mapping[str, list[int]], patterns: int) -> dict[str, list[int]]:
    """Values of the output ports for `patterns` input patterns at once, held long enough for registers to follow.

    `inputs`: for each port one integer per bit, bit k of it is the value in pattern k. Same form returned.
    """
    ones = (1 << patterns) - 1
    values: dict[Bit, int] = {"0": 0, "1": ones}
    for port, bits in netlist.inputs.items():
        values.update(zip(bits, inputs[port], strict=True))
    for operation in netlist.operations:
        x = [values[bit] for bit in operation.inputs]
        values.update(zip(operation.outputs, _compute(operation.kind, x, ones), strict=True))
    return {port: [values[bit] for bit in bits] for port, bits in netlist.outputs.items()}


def _compute(kind: str, x: list[int], ones: int) -> list[int]:
    if kind == "and":
        return [x[0] & x[1]]
    if kind == "or":
        return [x[0] | x[1]]
    if kind == "xor":
        return [x[0] ^ x[1]]
    if kind == "not":
        return [x[0] ^ ones]
    if kind in ("buf", "register"):
        return x[:1]
    if kind == "adder":
        return _add_bits(*x)
    width, carry, total = len(x) // 2, 0, []
    for p, q in zip(x[:width], x[width:], strict=True):
        bit, carry = _add_bits(p, q, carry)
        total.append(bit)
    return total


def _add_bits(x: int, y: int, z: int) -> list[int]:
    return [x ^ y ^ z, (x & y) | (x & z) | (y & z)]


def counting_patterns(bits: int) -> list[int]:
    """All 2**bits patterns of `bits` inputs: input i is bit i of the pattern's number."""
    patterns = 1 << bits
    result = []
    for i in range(bits):
        value, width = ((1 << (1 << i)) - 1) << (1 << i), 2 << i
        while width < patterns:
            value |= value << width
            width *= 2
        result.append(value)
    return result


def is_full_adder(netlist: Netlist) -> bool:
    """True if every lane of a module with full_adder's ports reads its three bits alone and adds them (all 8 cases)."""
    x, y, z = counting_patterns(3)
    lanes = len(netlist.outputs["sum_o"])
    inputs = {"x_i": [x] * lanes, "y_i": [y] * lanes, "z_i": [z] * lanes}
    right = {"sum_o": [x ^ y ^ z] * lanes, "carry_o": [(x & y) | (x & z) | (y & z)] * lanes}
    return evaluate(netlist, inputs, 8) == right and all(
        supports(netlist)[bit] <= {netlist.inputs[port][lane] for port in inputs}
        for port in right
        for lane, bit in enumerate(netlist.outputs[port])
    )


def supports(netlist: Netlist) -> dict[Bit, frozenset[Bit]]:
    """For each net the input nets that it depends on."""
    reached: dict[Bit, frozenset[Bit]] = {"0": frozenset(), "1": frozenset()}
    reached |= {bit: frozenset([bit]) for bits in netlist.inputs.values() for bit in bits}
    for operation in netlist.operations:
        union = frozenset().union(*(reached[bit] for bit in operation.inputs))
        reached |= dict.fromkeys(operation.outputs, union)
    return reached
