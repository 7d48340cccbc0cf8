"""Which transitions of words are counted, and how nets' transitions and times at 1 follow from the counts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from flows.words.graph import BEFORE, INVERTED, ONE
from flows.words.program import Net, Program

Entry = tuple[int, int, int]  # what a word was, what it becomes, and the depth that says in which cycles it counts


@dataclass
class Sums:
    """A linear map from counts of entries to nets: int64 arrays (net, entry, factor)."""

    nets: list[int] = field(default_factory=list)
    entries: list[int] = field(default_factory=list)
    factors: list[int] = field(default_factory=list)

    def add(self, net: int, entry: int, factor: int) -> None:
        """One more term."""
        self.nets.append(net)
        self.entries.append(entry)
        self.factors.append(factor)

    def __call__(self, counts: np.ndarray, nets: int) -> np.ndarray:
        """int64 [nets, windows] of counts int64 [windows, entries]."""
        found = np.zeros((nets, len(counts)), np.int64)
        terms = counts.T[np.array(self.entries, int)] * np.array(self.factors, np.int64)[:, None]
        np.add.at(found, np.array(self.nets, int), terms)
        return found


class Tally:
    """Entries of a program, and what they say of its nets.

    `durations_ps` are those of the phases of a cycle.
    """

    def __init__(self, program: Program, durations_ps: tuple[int, int, int, int]) -> None:
        self.entries: dict[Entry, int] = {}
        self.held: dict[int, int] = {}  # node -> its place among those whose value is asked for
        self._rises, self._falls = Sums(), Sums()  # of entries' rises, of entries' falls
        self._high, self._moved = Sums(), Sums()  # time at 1 by entries' time at 1, and by rises less falls
        self._of_held = Sums()
        self._program, self._durations = program, durations_ps
        self._count = len(program.circuit.nets)
        self._always_ps = np.zeros(self._count, np.int64)  # time at 1 in each cycle
        self._each_cycle = np.zeros((self._count, 2), np.int64)  # rises and falls
        for number in range(self._count):
            self._add(number, program.nets[number])

    def _entry(self, was: int, becomes: int, depth: int) -> tuple[int, bool]:
        """Number of an entry, and whether it counts the complement."""
        flip = becomes & INVERTED if becomes > ONE else was & INVERTED
        key = (was ^ flip, becomes ^ flip, depth)
        return self.entries.setdefault(key, len(self.entries)), bool(flip)

    def _add(self, number: int, net: Net) -> None:
        last = self._program.graph.before(net.phases[-1])
        for was, becomes in zip((last, *net.phases), net.phases, strict=False):
            if was == becomes:
                continue
            if was <= ONE and becomes <= ONE:
                self._each_cycle[number] += (becomes, was)
                continue
            assert net.depth is not None
            entry, flipped = self._entry(was, becomes, net.depth)
            (self._falls if flipped else self._rises).add(number, 2 * entry, 1)
            (self._rises if flipped else self._falls).add(number, 2 * entry + 1, 1)
        for ref, duration in zip(net.phases, self._durations, strict=True):
            self._add_high(number, ref, duration, net.depth)

    def _add_high(self, number: int, ref: int, duration: int, depth: int | None) -> None:
        """Time at 1 while a net is `ref`."""
        node, sign = ref >> 2, -1 if ref & INVERTED else 1
        self._always_ps[number] += duration * (ref & INVERTED)
        if not node:
            return
        if self._program.graph.nodes[node].held:
            place = self.held.setdefault(node, len(self.held))
            self._of_held.add(number, place, sign * duration)
            return
        assert depth is not None
        now = ref & ~(BEFORE | INVERTED)
        entry, _ = self._entry(now | BEFORE, now, depth)
        self._high.add(number, entry, sign * duration)
        if ref & BEFORE:
            self._moved.add(number, entry, -sign * duration)

    def nets(self, counts: np.ndarray, held: np.ndarray, cycles: np.ndarray) -> tuple[np.ndarray, ...]:
        """Rises, falls and time at 1 (ps) of nets, int64 [nets, windows].

        `counts` int64 [windows, entries, (rises, falls, cycles at 1)], `held` bool [windows, held nodes], `cycles`
        int64 [windows].
        """
        edges = counts[:, :, :2].reshape(len(counts), -1)  # entry e: rises at 2 e, falls at 2 e + 1
        rises = self._rises(edges, self._count) + self._each_cycle[:, :1] * cycles
        falls = self._falls(edges, self._count) + self._each_cycle[:, 1:] * cycles
        high = self._high(counts[:, :, 2], self._count) + self._moved(counts[:, :, 0] - counts[:, :, 1], self._count)
        high += self._of_held(held.astype(np.int64) * cycles[:, None], self._count)
        return rises, falls, high + self._always_ps[:, None] * cycles
