"""Sums proven by rewriting: an adder of bits is a linear equation, whatever its size.

To prove `sum of coefficient * output = sum of coefficient * input + constant (modulo 2^width)`, the left
side is rewritten from the outputs back to the inputs. Each step replaces what an operation puts out by
what it reads, by an identity that holds for all values of its inputs:

    full adder   s + 2 c = x + y + z
    half adder   (x ^ y) + 2 (x & y) = x + y
    inverter     ~x = 1 - x
    addition     Y = A + B (modulo 2^its width)

An output whose coefficient does not fit such an identity stops the proof; what is left at the inputs is
compared with the right side, coefficient by coefficient. That is a proof for all inputs in time linear in
the size, where SAT solvers give up at a few dozen bits. A failed proof is turned into a counterexample,
if random inputs find one.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from flows.formal.netlist import Bit, Netlist, NotProven, Operation, evaluate

Form = dict[tuple[str, int], int]  # (port, bit) -> coefficient


@dataclass(frozen=True)
class Identity:
    """Sum over outputs of a netlist = sum over its inputs + constant, modulo 2**width."""

    left: Form
    right: Form
    constant: int
    width: int


def rewrite(netlist: Netlist, identity: Identity) -> tuple[dict[Bit, int], int]:
    """The left side in terms of input nets: (coefficients, constant). Raises NotProven if a step does not fit."""
    modulus = 1 << identity.width
    terms: dict[Bit, int] = defaultdict(int)
    for (port, index), coefficient in identity.left.items():
        terms[netlist.outputs[port][index]] += coefficient

    def add(bit: Bit, coefficient: int) -> None:
        terms[bit] = (terms[bit] + coefficient) % modulus

    def take(bit: Bit) -> int:
        return terms.pop(bit, 0) % modulus

    for operation in reversed(_paired(netlist.operations)):
        kind, inputs, outputs = operation.kind, operation.inputs, operation.outputs
        if kind == "add":
            coefficients, width = [take(bit) for bit in outputs], len(outputs)
            unit = coefficients[0]
            if any(c != (unit << i) % modulus for i, c in enumerate(coefficients)) or (unit << width) % modulus:
                raise NotProven("an addition is not used as one number")
            for i in range(width):
                add(inputs[i], unit << i)
                add(inputs[width + i], unit << i)
        elif kind in ("adder", "half"):
            total, carry = take(outputs[0]), take(outputs[1])
            if (carry - 2 * total) % modulus:
                raise NotProven(f"a carry weighs {carry} and its sum {total}")
            for bit in inputs:
                add(bit, total)
        elif kind == "not":
            coefficient = take(outputs[0])
            add("1", coefficient)
            add(inputs[0], -coefficient)
        elif kind == "buf":
            add(inputs[0], take(outputs[0]))
        elif any(take(bit) for bit in outputs):
            raise NotProven(f"the output of an {kind} is added")
    constant = take("1")
    take("0")
    return {bit: c for bit, c in terms.items() if c}, constant


def _paired(operations: tuple[Operation, ...]) -> list[Operation]:
    """Operations with the xor and the and of two bits as one half adder (outputs: sum, carry).

    Where two bits are added twice, as counts of a position weight with several digits may be, the second
    result is the first one.
    """
    result: list[Operation] = []
    xors: dict[frozenset[Bit], Operation] = {}
    ands: dict[frozenset[Bit], Operation] = {}
    for operation in operations:
        kind, inputs, outputs = operation.kind, operation.inputs, operation.outputs
        if kind not in ("xor", "and"):
            result.append(operation)
        elif not {"0", "1"}.isdisjoint(inputs):
            x, y = sorted(inputs, key=lambda bit: isinstance(bit, str))
            if kind == "xor":
                result.append(Operation("not" if y == "1" else "buf", (x,), outputs))
            else:
                result.append(Operation("buf", (x if y == "1" else "0",), outputs))
        else:
            first = (xors if kind == "xor" else ands).setdefault(frozenset(inputs), operation)
            if first is not operation:
                result.append(Operation("buf", first.outputs, outputs))
    for bits in xors.keys() & ands.keys():
        result.append(Operation("half", xors[bits].inputs, xors.pop(bits).outputs + ands.pop(bits).outputs))
    for xor in xors.values():
        result.append(Operation("half", xor.inputs, (*xor.outputs, f"no carry of {xor.outputs[0]}")))
    return _ordered([*result, *ands.values()])


def _ordered(operations: list[Operation]) -> list[Operation]:
    """Operations, each after those that it reads (depth first)."""
    maker = {bit: i for i, o in enumerate(operations) for bit in o.outputs}
    done, order = [False] * len(operations), []
    for start in range(len(operations)):
        stack = [(start, False)]
        while stack:
            index, ready = stack.pop()
            if ready:
                order.append(operations[index])
            elif not done[index]:
                done[index] = True
                stack.append((index, True))
                stack += [(maker[bit], False) for bit in operations[index].inputs if bit in maker]
    return order


def prove(netlist: Netlist, identity: Identity) -> str:
    """Prove it: "" if it holds, else a counterexample in words. Raises NotProven if neither is found."""
    modulus = 1 << identity.width
    expected: dict[Bit, int] = defaultdict(int)
    for (port, index), coefficient in identity.right.items():
        expected[netlist.inputs[port][index]] += coefficient
    expected = {bit: c % modulus for bit, c in expected.items() if c % modulus}
    reason = "the sums differ"
    try:
        terms, constant = rewrite(netlist, identity)
        if terms == expected and constant == identity.constant % modulus:
            return ""
    except NotProven as error:
        reason = str(error)
    found = counterexample(netlist, identity)
    if not found:
        raise NotProven(f"{reason}; no counterexample found")
    return found


def counterexample(netlist: Netlist, identity: Identity, patterns: int = 256, seed: int = 1) -> str:
    """Inputs for which the identity is wrong, in words, or "". Tries all zeros, all ones and random inputs."""
    rng = random.Random(seed)
    inputs = {port: [_mixed(rng, patterns) for _ in bits] for port, bits in netlist.inputs.items()}
    return mismatch(netlist, identity, inputs, patterns)


def mismatch(netlist: Netlist, identity: Identity, inputs: Mapping[str, list[int]], patterns: int) -> str:
    """The first of `patterns` input patterns (see `netlist.evaluate`) that breaks the identity, or ""."""
    outputs = evaluate(netlist, inputs, patterns)
    for k in range(patterns):
        left = sum(c * (outputs[port][i] >> k & 1) for (port, i), c in identity.left.items())
        right = sum(c * (inputs[port][i] >> k & 1) for (port, i), c in identity.right.items()) + identity.constant
        if (left - right) % (1 << identity.width):
            values = {port: sum((bit >> k & 1) << i for i, bit in enumerate(bits)) for port, bits in inputs.items()}
            shown = ", ".join(f"{port} = {len(inputs[port])}'h{value:x}" for port, value in values.items())
            return f"{shown}: {left % (1 << identity.width)} in place of {right % (1 << identity.width)}"
    return ""


def _mixed(rng: random.Random, patterns: int) -> int:
    """Random bits: pattern 0 is 0, pattern 1 is 1, then a quarter sparse, a quarter dense, half even."""
    even, sparse = rng.getrandbits(patterns), rng.getrandbits(patterns)
    for _ in range(3):
        sparse &= rng.getrandbits(patterns)
    quarter = (1 << (patterns // 4)) - 1
    value = (even & ~(quarter | quarter << (patterns // 4))) | (sparse & quarter)
    value |= (~sparse & quarter) << (patterns // 4)
    return (value & ~0b11) | 0b10
