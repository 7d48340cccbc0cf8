"""C++ of a program: one statement a node, in functions short enough for a compiler."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from pathlib import Path

from flows.words.graph import BEFORE, INVERTED, ONE, SELF, Graph
from flows.words.tally import Entry

STATEMENTS, COUNTING = 4000, 250  # nodes of a function, and of one that counts: compilers take longer
LOOKUP = 3  # inputs of a function that is one instruction, where a processor has it
MULTIPLEXER = 0b11001010  # input 2 chooses input 1 or input 0
SOURCE = Path(__file__).with_name("words.cpp")
MARK = "// the netlist\n"


def generate(
    graph: Graph,
    ports: list[int],
    held: list[int],
    outputs: list[int],
    entries: dict[Entry, int],
    held_nodes: list[int],
) -> str:
    """C++ that gives `outputs` (references), counts `entries` and gives the values of `held_nodes`.

    `ports` and `held` are the inputs, references, in their order.
    """
    return SOURCE.read_text().replace(MARK, _Writer(graph, ports, held, outputs, entries, held_nodes).text())


class _Writer:
    """Statements of one program."""

    def __init__(
        self,
        graph: Graph,
        ports: list[int],
        held: list[int],
        outputs: list[int],
        entries: dict[Entry, int],
        held_nodes: list[int],
    ) -> None:
        self.graph, self.outputs, self.entries, self.held_nodes = graph, outputs, entries, held_nodes
        self.place = {ref >> 2: i for i, ref in enumerate(ports)}
        self.held_place = {ref >> 2: i for i, ref in enumerate(held)}
        self.depths = sorted({depth for _, _, depth in entries})
        self.live = self._alive()
        # each entry is counted where the later of its two words is made
        self.counted: dict[int, list[Entry]] = {}
        for entry in entries:
            self.counted.setdefault(max(entry[0] >> 2, entry[1] >> 2), []).append(entry)
        self.slots: dict[int, int] = {}  # of a word (2 * node), and of what it was (2 * node + 1)
        self.here: set[int] = set()  # nodes whose words are local variables

    def _alive(self) -> list[int]:
        """Nodes that anything depends on, in the order in which they are made."""
        roots = [*self.outputs, *(ref for was, becomes, _ in self.entries for ref in (was, becomes))]
        reached = {ref >> 2 for ref in roots} | set(self.held_nodes)
        for node in range(len(self.graph.nodes) - 1, 0, -1):
            if node in reached:
                reached |= {ref >> 2 for ref in self.graph.nodes[node].inputs if ref != SELF}
        return sorted(reached - {0})

    def slot(self, node: int, before: bool = False) -> str:
        """Where a word lies between functions."""
        return f"s[{self.slots.setdefault(2 * node + before, len(self.slots))}]"

    def word(self, ref: int) -> str:
        """A reference as C++."""
        node = ref >> 2
        if ref <= ONE:
            return "kOnes" if ref else "kZeros"
        if ref & BEFORE:
            text = f"p{node}" if node in self.here else self.slot(node, True)
        else:
            text = f"v{node}" if node in self.here else self.slot(node)
        return f"~{text}" if ref & INVERTED else text

    def text(self) -> str:
        """All of it."""
        held = [node for node in self.live if self.graph.nodes[node].held]
        moving = [node for node in self.live if not self.graph.nodes[node].held]
        parts = [*self._functions("Hold", held), *self._functions("Step", moving)]
        self.here = set()
        parts.append(
            self._body(
                "void give(const word* s, word* y)",
                [f"y[{i}] = {self.word(ref)};" for i, ref in enumerate(self.outputs)],
            )
        )
        parts.append(
            self._body(
                "void tell(const word* s, uint8_t* y)",
                [f"y[{i}] = s[{self.slots[2 * n]}][0] & 1;" for i, n in enumerate(self.held_nodes)],
            )
        )
        numbers = {
            "kPorts": len(self.place),
            "kHeld": len(self.held_place),
            "kSlots": max(len(self.slots), 1),
            "kEntries": len(self.entries),
            "kDepths": len(self.depths),
            "kOutputs": len(self.outputs),
            "kTold": len(self.held_nodes),
        }
        return "".join(f"constexpr int {name} = {value};\n" for name, value in numbers.items()) + "\n".join(parts)

    def _functions(self, name: str, nodes: list[int]) -> list[str]:
        """Functions of so many nodes each, and one that calls them."""
        arguments = "word* __restrict s, const word* __restrict in, counter* __restrict c, const word* __restrict m"
        size = COUNTING if self.entries else STATEMENTS
        pieces = [nodes[i : i + size] for i in range(0, len(nodes), size)]
        after, bodies = {4 * (ref >> 2) for ref in self.outputs}, []  # what is read after a piece
        for piece in reversed(pieces):
            bodies.append(self._statements(piece, after))
            after |= self._reads(piece)
        found = [self._body(f"void piece{name}{i}({arguments})", lines) for i, lines in enumerate(reversed(bodies))]
        calls = [f"piece{name}{i}(s, in, c, m);" for i in range(len(pieces))]
        return [*found, self._body(f"void all{name}s({arguments})", calls)]

    def _body(self, head: str, lines: list[str]) -> str:
        return f"static {head} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"

    def _reads(self, nodes: list[int]) -> set[int]:
        """References that the statements of nodes read, without inversions."""
        refs = {ref for node in nodes for ref in self.graph.nodes[node].inputs if ref != SELF}
        refs |= {ref for node in nodes for entry in self.counted.get(node, ()) for ref in entry[:2]}
        return {ref & ~INVERTED for ref in refs if ref > ONE}

    def _statements(self, nodes: list[int], after: set[int]) -> list[str]:
        """Those of a piece; words that are read `after` it, or in the next step, go to their slots."""
        self.here, lines, reads = set(), [], self._reads(nodes)
        for node in nodes:
            what = self.graph.nodes[node]
            before = 4 * node | BEFORE
            stays = before in after or before in reads or SELF in what.inputs
            if stays:
                lines.append(f"const word p{node} = {self.slot(node)};")
            lines.append(f"const word v{node} = {self._value(node)};")
            if before in after:
                lines.append(f"{self.slot(node, True)} = p{node};")
            if stays or what.held or 4 * node in after:
                lines.append(f"{self.slot(node)} = v{node};")
            self.here.add(node)
            for entry in self.counted.get(node, ()):
                was, becomes = (self.word(ref) for ref in entry[:2])
                lines.append(f"tally(c[{self.entries[entry]}], {was}, {becomes}, m[{self.depths.index(entry[2])}]);")
        return lines

    def _value(self, node: int) -> str:
        if node in self.place:
            return f"in[{self.place[node]}]"
        if node in self.held_place:
            return f"in[{self.held_place[node]}]"
        found = self.graph.nodes[node]
        names = [f"p{node}" if ref == SELF else self.word(ref) for ref in found.inputs]
        return expression(found.truth, tuple(names))


def expression(truth: int, names: tuple[str, ...]) -> str:
    """C++ of the function `truth` of some words: look-ups of three inputs, one in the other."""
    if len(names) <= LOOKUP:
        padded = truth
        for i in range(len(names), LOOKUP):
            padded |= padded << (1 << i)
        return f"look<{padded}>({', '.join([*names, *[names[0]] * (LOOKUP - len(names))])})"
    bound, inner, outer = split(truth, len(names))
    rest = [name for i, name in enumerate(names) if i not in bound]
    if inner is None:  # a multiplexer over the last input
        low, high = (expression(half, tuple(rest)) for half in outer)
        return f"look<{MULTIPLEXER}>({low}, {high}, {names[bound[0]]})"
    within = expression(inner, tuple(names[i] for i in bound))
    return expression(outer[0], (within, *rest))


@cache
def split(truth: int, count: int) -> tuple[tuple[int, ...], int | None, tuple[int, ...]]:
    """A function as one of a function of some inputs: (these inputs, inner function, outer function).

    The outer function's first input is the inner's result, the others follow in order. Where there is none: (last
    input, None, the functions for its values 0 and 1).
    """
    for size in (3, 2):
        for bound in combinations(range(count), size):
            rest = [i for i in range(count) if i not in bound]
            columns = [_column(truth, bound, rest, value) for value in range(1 << size)]
            kinds = sorted(set(columns))
            if len(kinds) == 2:
                inner = sum((column == kinds[1]) << value for value, column in enumerate(columns))
                outer = sum((kinds[at & 1] >> (at >> 1) & 1) << at for at in range(2 << len(rest)))
                return bound, inner, (outer,)
    last = (count - 1,)
    rest = list(range(count - 1))
    return last, None, (_column(truth, last, rest, 0), _column(truth, last, rest, 1))


def _column(truth: int, bound: tuple[int, ...], rest: list[int], value: int) -> int:
    """The function of the inputs `rest` that is left where the inputs `bound` have the bits of `value`."""
    base = sum((value >> k & 1) << i for k, i in enumerate(bound))
    found = 0
    for at in range(1 << len(rest)):
        index = base | sum((at >> k & 1) << i for k, i in enumerate(rest))
        found |= (truth >> index & 1) << at
    return found
