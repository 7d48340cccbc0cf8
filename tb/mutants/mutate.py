"""Small faults in SystemVerilog, found over its syntax tree (pyslang).

A site is a place in a module's body where an operator changes the text: the mutant is the file with
this one change. Left out, because no fault in the design is made there: module headers (a parameter's
default is always overridden), declarations of types and widths, assertions, text that comes out of
macros, what serves signals called `unused_*`, the ends of generate loops and the widths of slices and
casts (a tool refuses what lies beyond), tables of no gates.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyslang import Bag, SourceManager
from pyslang.parsing import PreprocessorOptions
from pyslang.syntax import SyntaxKind, SyntaxNode, SyntaxTree

# what is counted as what kind of fault
SWAPS = {
    "gate": {"&": "|", "|": "&", "^": "|"},
    "arithmetic": {"+": "-", "-": "+", "*": "+"},
    "off by one": {"<": "<=", "<=": "<", ">": ">=", ">=": ">"},
    "comparison": {"==": "!=", "!=": "=="},
    "handshake": {"&&": "||", "||": "&&"},
    "shift": {"<<": ">>", ">>": "<<", "<<<": ">>>", ">>>": "<<<"},
}
OPERATOR = {old: (kind, new) for kind, swaps in SWAPS.items() for old, new in swaps.items()}
SKIPPED = {  # nothing below these is touched
    SyntaxKind.ModuleHeader,
    SyntaxKind.PackageHeader,
    SyntaxKind.VariableDimension,
    SyntaxKind.EventControlWithExpression,
    SyntaxKind.TypedefDeclaration,
    SyntaxKind.ConcurrentAssertionMember,
    SyntaxKind.EmptyMember,
    SyntaxKind.SimpleRangeSelect,
}
NO_GATES = "32'h00000000"  # the table of an encoding that has none of a kind
INVERTED = {"1'b0": "1'b1", "1'b1": "1'b0", "'0": "'1", "'1": "'0"}


@dataclass(frozen=True, order=True)
class Mutant:
    """One change of one file: `old` at `start` (characters) becomes `new`; lines as they are read."""

    file: str  # within rtl/
    line: int
    start: int
    old: str
    new: str
    kind: str
    before: str
    after: str

    def apply(self, text: str) -> str:
        """The file with the fault."""
        end = self.start + len(self.old)
        if text[self.start : end] != self.old:
            raise AssertionError(f"{self.file} is not the file that this mutant was made of")
        return text[: self.start] + self.new + text[end:]


class _Finder:
    """Walks one file's tree."""

    def __init__(self, path: Path, file: str, includes: list[Path]) -> None:
        options = PreprocessorOptions()
        options.predefines = ["SYNTHESIS=1", "__ICARUS__=1"]  # the assertions are not part of the tree
        options.additionalIncludePaths = includes
        self.manager, self.file = SourceManager(), file
        self.text = path.read_text()
        self.tree = SyntaxTree.fromFile(str(path), self.manager, Bag([options]))
        self.buffer = next(
            b for b in self.manager.getAllBuffers() if str(self.manager.getRawFileName(b)).endswith(path.name)
        )
        self.found: list[Mutant] = []

    def span(self, node) -> tuple[int, int] | None:
        """Where a node or token stands in the file; None if it comes out of a macro or an include."""
        where = getattr(node, "sourceRange", None) or node.range
        for location in (where.start, where.end):
            if self.manager.isMacroLoc(location) or location.buffer != self.buffer:
                return None
        return where.start.offset, where.end.offset

    def add(self, kind: str, node, new: str) -> None:
        """A mutant in which `node` reads `new`."""
        span = self.span(node)
        if span is None:
            return
        old = self.text[span[0] : span[1]]
        first, last = self.text.rfind("\n", 0, span[0]) + 1, self.text.find("\n", span[1])
        before = " ".join(self.text[first:last].split())
        after = " ".join((self.text[first : span[0]] + new + self.text[span[1] : last]).split())
        line = self.text.count("\n", 0, span[0]) + 1
        if old != new and "unused_" not in before and before != NO_GATES:
            self.found.append(Mutant(self.file, line, span[0], old, new, kind, before, after))

    def source(self, node) -> str:
        """Text of a node."""
        span = self.span(node)
        return "" if span is None else self.text[span[0] : span[1]]

    def walk(self, node) -> None:
        """Collect the sites below a node."""
        if not isinstance(node, SyntaxNode) or node.kind in SKIPPED:
            return
        name = type(node).__name__
        if name == "BinaryExpressionSyntax":
            self.binary(node)
        elif name == "PrefixUnaryExpressionSyntax" and node.operatorToken.valueText in ("!", "~"):
            self.add("inversion", node.operatorToken, "")
        elif name == "ConditionalExpressionSyntax":
            self.choice(node)
        elif name == "ConditionalStatementSyntax":
            condition = self.source(node.predicate)
            self.add("enable", node.predicate, "1'b1")
            self.add("condition", node.predicate, f"!({condition})")
        elif name == "LiteralExpressionSyntax" and node.literal.valueText.isdigit():
            if not self.file.startswith("encodings/"):  # there: limits that are only checked, sizes of tables
                self.add("off by one", node, str(int(node.literal.valueText) + 1))
        elif name == "LiteralExpressionSyntax" or name == "IntegerVectorExpressionSyntax":
            self.literal(node)
        if name == "LoopGenerateSyntax":
            parts: Iterator = iter((node.initialExpr, node.block))
        elif name == "DeclaratorSyntax":
            parts = iter((node.initializer,) if node.initializer else ())
        elif name == "CastExpressionSyntax":
            parts = iter((node.right,))
        elif node.kind == SyntaxKind.AscendingRangeSelect:
            parts = iter((node.left,))
        elif node.kind == SyntaxKind.IfGenerate and self.serves_lint(node):
            parts = iter(())
        else:
            parts = (node[n] for n in range(len(node)))
        for part in parts:
            self.walk(part)

    def binary(self, node) -> None:
        """Operators, and assignments that do not happen."""
        token = node.operatorToken.valueText
        if node.kind == SyntaxKind.NonblockingAssignmentExpression:
            self.add("lost update", node, f"{self.source(node.left)} <= {self.source(node.left)}")
        elif token in OPERATOR:
            kind, new = OPERATOR[token]
            self.add(kind, node.operatorToken, new)

    def serves_lint(self, node) -> bool:
        """True for a generate block that only uses up what a configuration does not use."""
        text = self.source(node.block)
        assigned = re.findall(r"\bassign (\w+)", text)
        only = assigned and all(name.startswith("unused_") for name in assigned)
        return bool(only) and node.elseClause is None and "always" not in text

    def choice(self, node) -> None:
        """The other arm."""
        condition, left, right = (self.source(part) for part in (node.predicate, node.left, node.right))
        if condition and left and right:
            self.add("selection", node, f"{condition} ? {right} : {left}")

    def literal(self, node) -> None:
        """Constants of a bit, words of a table of gates or weights."""
        text = self.source(node)
        if text in INVERTED:
            self.add("constant", node, INVERTED[text])
        elif text.startswith(("32'h", "16'h")):
            self.add("table", node, f"{text[:-1]}{int(text[-1], 16) ^ 1:x}")  # another wire, shift or gate
            if len(text) == len("32'h01234567"):
                self.add("table", node, f"{text[:4]}{int(text[4], 16) ^ 1:x}{text[5:]}")
                self.add("table", node, f"{text[:8]}{int(text[8], 16) ^ 8:x}{text[9:]}")  # a digit's sign


def mutants_of(rtl: Path, file: str) -> list[Mutant]:
    """Every mutant of one file, in the order of the text."""
    finder = _Finder(rtl / file, file, [rtl])
    finder.walk(finder.tree.root)
    return sorted(dict.fromkeys(finder.found))


def queue(rtl: Path, file: str, seed: int) -> list[Mutant]:
    """The mutants of a file in the order in which they are tried: kinds take turns, so that each has its share."""
    rng = random.Random(f"{seed} {file}")
    kinds: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants_of(rtl, file):
        kinds[mutant.kind].append(mutant)
    for members in kinds.values():
        rng.shuffle(members)
    order = sorted(kinds)
    rng.shuffle(order)
    longest = max(map(len, kinds.values()), default=0)
    return [kinds[kind][n] for n in range(longest) for kind in order if n < len(kinds[kind])]
