"""Sums proven by rewriting: an adder of bits is a linear equation, whatever its size.

To prove `sum of coefficient * output = sum of coefficient * input + constant (modulo 2^width)`, the left
side is rewritten from the outputs back to the inputs. Each step replaces what an operation puts out by
what it reads, by an identity that holds for all values of its inputs:

    full adder   s + 2 c = x + y + z
    half adder   (x ^ y) + 2 (x & y) = x + y
    inverter     ~x = 1 - x
    addition     Y = A + B (modulo 2^its width)
    register     its value now is what it read at the last step of its enable

An output whose coefficient does not fit such an identity stops the proof; what is left at the inputs is
compared with the right side, coefficient by coefficient. That is a proof for all inputs in time linear in
the size, where SAT solvers give up at a few dozen bits. A failed proof is turned into a counterexample,
if random inputs find one.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from flows.formal.netlist import Bit, Netlist, NotProven, Operation, evaluate

Form = dict[tuple[str, int], int]  # (port, bit) -> coefficient
Path = tuple[Bit, ...]  # enables of the registers between an input and an output, the last register first


@dataclass(frozen=True)
class Identity:
    """Sum over outputs of a netlist = sum over its inputs + constant, modulo 2**width.

    `steps`: for an input port the enables (port, bit) of the registers on its way, the last register
    first; a port not named is read at once.
    """

    left: Form
    right: Form
    constant: int
    width: int
    steps: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)


class Rewriter:
    """The operations of a netlist, ready to rewrite any number of sums."""

    def __init__(self, netlist: Netlist) -> None:
        self.netlist = netlist
        self.operations = _paired(netlist.operations)
        self.makers = {bit: i for i, o in enumerate(self.operations) for bit in o.outputs}

    def rewrite(self, identity: Identity) -> tuple[dict[tuple[Bit, Path], int], int]:
        """The left side in terms of inputs: ((net, path) -> coefficient, constant).

        Operations are taken from the last to the first, so an output has all its coefficients when its
        turn comes. Raises NotProven if a step does not fit.
        """
        modulus = 1 << identity.width
        terms: dict[Bit, dict[Path, int]] = {}
        awaited: list[int] = []  # operations to rewrite, negated for the heap

        def add(bit: Bit, path: Path, coefficient: int) -> None:
            if bit not in terms:
                terms[bit] = {}
                if bit in self.makers:
                    heapq.heappush(awaited, -self.makers[bit])
            terms[bit][path] = (terms[bit].get(path, 0) + coefficient) % modulus

        for (port, index), coefficient in identity.left.items():
            add(self.netlist.outputs[port][index], (), coefficient)
        while awaited:
            operation = self.operations[-heapq.heappop(awaited)]
            taken = [terms.pop(bit, {}) for bit in operation.outputs]
            for path in dict.fromkeys(path for found in taken for path in found):
                coefficients = [found.get(path, 0) for found in taken]
                if operation.kind == "register":
                    add(operation.inputs[0], (*path, operation.inputs[1]), coefficients[0])
                    continue
                for bit, coefficient in _step(operation, coefficients, modulus):
                    add(bit, path, coefficient)
        constant = sum(terms.pop("1", {}).values()) % modulus
        terms.pop("0", None)
        return {(bit, path): c for bit, found in terms.items() for path, c in found.items() if c}, constant


def _step(operation: Operation, coefficients: list[int], modulus: int) -> list[tuple[Bit, int]]:
    """What a weighted sum of an operation's outputs is in terms of what it reads."""
    kind, inputs = operation.kind, operation.inputs
    if not any(coefficients):
        return []
    if kind == "add":
        unit, width = coefficients[0], len(coefficients)
        if any(c != (unit << i) % modulus for i, c in enumerate(coefficients)) or (unit << width) % modulus:
            raise NotProven("an addition is not used as one number")
        return [(inputs[i], unit << i % width) for i in range(2 * width)]
    if kind in ("adder", "half"):
        total, carry = coefficients
        if (carry - 2 * total) % modulus:
            raise NotProven(f"a carry weighs {carry} and its sum {total}")
        return [(bit, total) for bit in inputs]
    if kind == "not":
        return [("1", coefficients[0]), (inputs[0], -coefficients[0])]
    if kind == "buf":
        return [(inputs[0], coefficients[0])]
    raise NotProven(f"the output of an {kind} is added")


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


def prove(netlist: Netlist, *identities: Identity) -> str:
    """Prove all: "" if they hold, else a counterexample in words. Raises NotProven if neither is found."""
    rewriter = Rewriter(netlist)
    return next(filter(None, (_prove(rewriter, identity) for identity in identities)), "")


def _prove(rewriter: Rewriter, identity: Identity) -> str:
    netlist, modulus = rewriter.netlist, 1 << identity.width
    there = netlist.inputs.keys() | netlist.outputs.keys()
    if gone := [port for port, _ in (*identity.left, *identity.right) if port not in there]:
        return f"{gone[0]} is not in the netlist: nothing reads what its module puts out"
    expected: dict[tuple[Bit, Path], int] = defaultdict(int)
    for (port, index), coefficient in identity.right.items():
        path = tuple(netlist.inputs[enable][bit] for enable, bit in identity.steps.get(port, ()))
        expected[netlist.inputs[port][index], path] += coefficient
    expected = {term: c % modulus for term, c in expected.items() if c % modulus}
    try:
        terms, constant = rewriter.rewrite(identity)
    except NotProven as error:
        if found := counterexample(netlist, identity):
            return found
        raise NotProven(f"{error}; no counterexample found") from error
    if terms == expected and constant == identity.constant % modulus:
        return ""
    return counterexample(netlist, identity) or _difference(netlist, terms, expected)


def _difference(netlist: Netlist, terms: dict[tuple[Bit, Path], int], expected: dict[tuple[Bit, Path], int]) -> str:
    """The first input that counts more or less than it must, or at another time: values held long show no difference.

    Inputs of different times are free, so two sums of them are equal only if their coefficients are.
    """
    names = {bit: f"{port}[{i}]" for port, bits in netlist.inputs.items() for i, bit in enumerate(bits)} | {
        "1": "clk_i"
    }
    bit, path = next(term for term in {**expected, **terms} if terms.get(term, 0) != expected.get(term, 0))
    steps = ", ".join(names[enable] for enable in path) or "no register"
    count, right = terms.get((bit, path), 0), expected.get((bit, path), 0)
    return f"{names[bit]} behind {steps}: counts {count} in place of {right}"


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
