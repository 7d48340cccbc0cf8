"""Boolean functions of words, each made once: constants, inverters and buffers cost nothing, equal gates are one.

A reference is an integer, 4 * node + 2 * before + inverted. Node 0 is the constant 0. `before` is what the node
was one step earlier, `inverted` its complement. A node that depends on held inputs alone is the same at every step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ZERO, ONE = 0, 1
BEFORE, INVERTED = 2, 1
SELF = -4  # in the inputs of a node that holds: itself, one step earlier


@dataclass(frozen=True)
class Node:
    """A port, a held input (`truth` 0, no `inputs`), or a function: bit i of `truth` for the inputs' values i."""

    truth: int
    inputs: tuple[int, ...]
    held: bool


@dataclass
class Graph:
    """All nodes; an input of a node is made before it."""

    nodes: list[Node] = field(default_factory=lambda: [Node(0, (), True)])
    found: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)

    def source(self, held: bool = False) -> int:
        """A new input, as a reference."""
        self.nodes.append(Node(0, (), held))
        return 4 * (len(self.nodes) - 1)

    def before(self, ref: int) -> int:
        """What `ref` was one step earlier."""
        return ref if self.nodes[ref >> 2].held else ref | BEFORE

    def holding(self, enable: int, data: int) -> int:
        """`data` where `enable` is 1, else what it was before."""
        return self._node(0b11001010, (SELF, data, enable))

    def gate(self, truth: int, refs: list[int]) -> int:
        """The function `truth` (bit i: for the values i of `refs`, the first the lowest bit)."""
        variables = sorted({ref & ~INVERTED for ref in refs if ref > ONE})
        place = {variable: i for i, variable in enumerate(variables)}
        table = 0
        for index in range(1 << len(variables)):
            at = 0
            for i, ref in enumerate(refs):
                value = ref & 1 if ref <= ONE else (index >> place[ref & ~INVERTED] & 1) ^ (ref & 1)
                at |= value << i
            table |= (truth >> at & 1) << index
        for i in reversed(range(len(variables))):
            low, high = _cofactors(table, i, len(variables))
            if low == high:
                table = low
                del variables[i]
        if not variables:
            return ONE if table else ZERO
        if len(variables) == 1:
            return variables[0] | (table == 0b01)
        before = all(v & BEFORE or self.nodes[v >> 2].held for v in variables) and any(v & BEFORE for v in variables)
        if before:
            variables = [v & ~BEFORE for v in variables]
        inverted = table & 1
        if inverted:
            table ^= (1 << (1 << len(variables))) - 1
        return self._node(table, tuple(variables)) | (BEFORE if before else 0) | inverted

    def _node(self, truth: int, inputs: tuple[int, ...]) -> int:
        key = (truth, inputs)
        if key not in self.found:
            held = SELF not in inputs and all(self.nodes[i >> 2].held for i in inputs)
            self.nodes.append(Node(truth, inputs, held))
            self.found[key] = len(self.nodes) - 1
        return 4 * self.found[key]


def _cofactors(table: int, i: int, count: int) -> tuple[int, int]:
    """`table` of `count` inputs for input i at 0 and at 1."""
    low = high = 0
    for index in range(1 << (count - 1)):
        at = (index >> i << (i + 1)) | (index & ((1 << i) - 1))
        low |= (table >> at & 1) << index
        high |= (table >> (at | 1 << i) & 1) << index
    return low, high
