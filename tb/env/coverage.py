"""Functional coverage of an array: what its monitors saw, as cover points of cocotb-coverage.

A cover point has bins; a bin is hit by what crossed the ports, never by what a driver meant to do.
Points are named `<kind of array>.<feature>.<property>`. Every test writes the bins that it hit into
its record; `tb.reporting.testplan` merges the records of a regression and says which bins are missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from cocotb.handle import HierarchyObject
from cocotb_coverage.coverage import CoverageDB, CoverCross, CoverPoint
from pyuvm import uvm_component

from models.encoding import load_encoding
from models.rivals import widths
from tb.agents.axis import Beat
from tb.control.suites import FORMS
from tb.env.scoreboard import Listener, Prediction

CLASSES = ("-128", "-127..-2", "-1", "0", "1", "2..126", "127")
CLASS_OF = np.digitize(np.arange(-128, 128), [-127, -1, 0, 1, 2, 127])  # index: operand + 128
LENGTHS = {1: "1", 2: "2", 16: "3..16", 63: "17..63"}  # longest vectors of a tile: bin
LONG_STALL = 4  # cycles
STALLS = ("none", "one cycle", "long")
PHASES = ("loading", "loaded", "computing", "draining", "idle")
SUMS = ("least possible", "negative", "zero", "positive", "greatest possible")


@lru_cache(maxsize=2)
def bits_of_products(encoding: str) -> np.ndarray:
    """Product bits of all operand pairs: uint8 [256, 256, M], index [a + 128, w + 128]."""
    operands = np.arange(-128, 128)
    return load_encoding(encoding).product_bits(operands[:, None], operands[None, :])


class CoverPoints:
    """Cover points of one design, by their names without the kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._samplers: dict[str, object] = {}
        self._before: dict[str, dict] = {}
        self._sampled: set[tuple] = set()
        self._missing: dict[str, int] = {}  # bins of each point that this test has not hit

    def point(self, name: str, bins: Iterable[str]) -> None:
        """Declare a cover point."""

        @CoverPoint(f"{self.kind}.{name}", bins=list(bins))
        def sample(label: str) -> None:
            """The decorator counts."""

        self._declare(name, sample, name)

    def cross(self, name: str, first: str, second: str, bins: Iterable[str]) -> None:
        """Declare two cover points with the same bins, and their cross."""
        bins, whole = list(bins), [f"{self.kind}.{part}" for part in (first, second)]

        @CoverPoint(whole[0], xf=lambda a, _: a, bins=bins)
        @CoverPoint(whole[1], xf=lambda _, b: b, bins=bins)
        @CoverCross(f"{self.kind}.{name}", items=whole)
        def sample(a: str, b: str) -> None:
            """The decorators count."""

        self._declare(name, sample, first, second, name)

    def _declare(self, sampler: str, sample: object, *names: str) -> None:
        self._samplers[sampler] = sample
        for name in names:
            self._before[name] = dict(CoverageDB()[f"{self.kind}.{name}"].detailed_coverage)
            self._missing[name] = len(self._before[name])

    def hit(self, name: str, *labels: str) -> None:
        """Sample; each combination once a test, as a bin is either hit by a test or not."""
        if (name, *labels) not in self._sampled:
            self._sampled.add((name, *labels))
            self._missing[name] -= 1
            self._samplers[name](*labels)

    def open(self, name: str) -> bool:
        """True while this test has not hit every bin."""
        return self._missing[name] > 0

    def result(self) -> dict[str, dict[str, list[str]]]:
        """Per point: all bins, and those that this test hit."""
        points = {}
        for name, before in self._before.items():
            now = CoverageDB()[f"{self.kind}.{name}"].detailed_coverage
            label = {b: " x ".join(b) if isinstance(b, tuple) else b for b in now}
            points[f"{self.kind}.{name}"] = {
                "bins": list(label.values()),
                "hit": [label[b] for b, hits in now.items() if hits > before[b]],
            }
        return points


class Coverage(uvm_component):
    """What the coverage of every bench shares: it listens to all monitors and to the reference.

    A bench overrides `declare` and what it samples; a listener is named as the agent it listens to.
    """

    prefix = ""  # of all cover points but the operands'

    def __init__(self, name: str, parent: uvm_component, config, dut: HierarchyObject) -> None:
        super().__init__(name, parent)
        self.config, self.dut = config, dut
        self.beats = 0  # since the test began

    def build_phase(self) -> None:
        self.points = CoverPoints(self.config.array)
        self.points.point(f"{self.prefix}reset.length", ("between edges", "one cycle", "several cycles"))
        self.declare()

    def declare(self) -> None:
        """Declare the cover points of this bench."""

    def listen(self, agents: dict[str, uvm_component], reference: uvm_component) -> None:
        """Connect `<agent>_seen` to each agent's monitor, `predicted` to the reference."""
        for name, agent in agents.items():
            listener = Listener(name, self, getattr(self, f"{name}_seen"))
            agent.monitor.ap.connect(listener.analysis_export)
        waits = Listener("result_waits", self, self.result_waits)
        agents["results"].monitor.waits.connect(waits.analysis_export)
        reference.ap.connect(Listener("predicted", self, self.predicted).analysis_export)

    def result_waits(self, _: object) -> None:
        """A result is held back in this cycle."""

    def predicted(self, prediction: Prediction) -> None:
        """A result vector must come."""

    def reset_begins(self) -> None:
        """The design loses what it is doing."""

    def reset_ends(self, cycles: int) -> None:
        """The design was held in reset over so many edges of the clock."""
        if self.beats:  # the reset after power-up does not count
            label = ("between edges", "one cycle", "several cycles")[min(cycles, 2)]
            self.points.hit(f"{self.prefix}reset.length", label)

    def stall(self, stream: str, cycles: int) -> None:
        """A beat of a packet came after so many idle cycles."""
        if cycles <= 1 or cycles >= LONG_STALL:
            self.points.hit(f"{self.prefix}stall.{stream}", STALLS[min(cycles, 2)])


class ArrayCoverage(Coverage):
    """Cover points of an array."""

    def build_phase(self) -> None:
        self._bits = bits_of_products(self.config.encoding) if self.config.array == "enc" else None
        super().build_phase()
        self._seen_pairs = np.zeros((len(CLASSES), len(CLASSES)), bool)
        self._seen_bits: np.ndarray | None = None
        self._forget()
        self._sample_design()

    def declare(self) -> None:
        points, config = self.points, self.config
        points.cross("operands.pair", "operands.activation", "operands.weight", CLASSES)
        points.point("operands.zeros", ("no zero", "some zeros", "all zero"))
        places = [f"{g} group, {r} row" for g in ("first", "inner", "last") for r in ("first", "last")]
        points.point("rows.alone", places)
        points.point("sums.size", SUMS)
        points.point("tile.length", (*LENGTHS.values(), "64 and more"))
        points.point("tile.start", ("waits for the tile before", "after a pause"))
        for stream in ("weights", "activations", "results"):
            points.point(f"stall.{stream}", STALLS)
        points.point("stall.together", ("all streams", "activations wait for results"))
        points.point("reset.phase", PHASES)
        if config.shadow:
            points.point("shadow.overlap", ("load while computing", "load while draining", "swap while draining"))
            points.point("shadow.pace", ("no cycle between tiles",))
        if self._bits is not None:
            name, count = config.products.name, self._bits.shape[2]
            points.point(f"bits.{name}", [f"b[{m}] = {v}" for m in range(count) for v in (0, 1)])
            points.point(f"counts.{name}", [f"cnt[{m}] = {v}" for m in range(count) for v in ("0", "Rows")])
            points.point("design.accumulation", ("counted", "merged"))
            points.point("design.groups", ("one group", "several groups"))
            points.point("design.positions", ("fixed", "programmable"))
        else:
            points.point("design.form", FORMS)
            points.point("design.operands", ("8 bits", "fewer bits"))
        points.point("design.columns", ("a stage each", "several a stage"))
        points.point("design.weights", ("direct", "shadow"))
        points.point("design.zeros", ("clocked", "zero-gated"))

    def _sample_design(self) -> None:
        config, hit = self.config, self.points.hit
        hit("design.columns", "several a stage" if config.columns_per_stage > 1 else "a stage each")
        hit("design.weights", "shadow" if config.shadow else "direct")
        hit("design.zeros", "zero-gated" if config.zeros else "clocked")
        if config.array == "conv":
            hit("design.form", FORMS[config.form])
            hit("design.operands", "fewer bits" if widths(config.encoding) else "8 bits")
        else:
            hit("design.accumulation", "merged" if config.merged else "counted")
            hit("design.groups", "several groups" if config.rows > config.rows_per_group else "one group")
            hit("design.positions", "programmable" if config.programmable else "fixed")

    def _forget(self) -> None:
        self._loading = 0  # weight rows of a tile that has not come whole
        self._loaded = 0  # whole tiles whose activations have not come
        self._length = 0  # activation vectors of the open tile; 0: none is open
        self._outstanding = 0  # results to come

    def reset_begins(self) -> None:
        """Which phase is it in?"""
        if self.beats:
            phases = {
                "loading": self._loading > 0,
                "loaded": self._loaded > 0 and not self._length and not self._outstanding,
                "computing": self._length > 0,
                "draining": self._outstanding > 0 and not self._length,
                "idle": not (self._loading or self._loaded or self._length or self._outstanding),
            }
            for phase, inside in phases.items():
                if inside:
                    self.points.hit("reset.phase", phase)
        self._forget()

    def weights_seen(self, beat: Beat) -> None:
        """A row of weights was taken."""
        self.beats += 1
        if self._loading:
            self.stall("weights", beat.gap)
        elif beat.waited:
            self.points.hit("tile.start", "waits for the tile before")
        elif beat.gap:
            self.points.hit("tile.start", "after a pause")
        if self.config.shadow and (self._length or self._outstanding):
            self.points.hit("shadow.overlap", "load while computing" if self._length else "load while draining")
        self._loading += 1
        if beat.last:
            self._loading, self._loaded = 0, self._loaded + 1

    def activations_seen(self, beat: Beat) -> None:
        """An activation vector was taken."""
        self.beats += 1
        if self._length:
            self.stall("activations", beat.gap)
        else:
            self._loaded -= 1
            if self.config.shadow and self._outstanding:
                self.points.hit("shadow.overlap", "swap while draining")
                if beat.gap == beat.waited == 0:
                    self.points.hit("shadow.pace", "no cycle between tiles")
        self._length += 1
        self._outstanding += 1
        if beat.last:
            bin_of_length = (label for longest, label in LENGTHS.items() if self._length <= longest)
            self.points.hit("tile.length", next(bin_of_length, "64 and more"))
            self._length = 0

    def results_seen(self, beat: Beat) -> None:
        """A result was taken."""
        self._outstanding -= 1
        self.stall("results", beat.waited)

    def result_waits(self, _: object) -> None:
        """A result is held back in this cycle; is anything else?"""
        if self._length and self.points.open("stall.together"):
            if self.dut.s_axis_a_tvalid.value == 1:
                self.points.hit("stall.together", "activations wait for results")
            elif self.dut.s_axis_w_tvalid.value == 0:
                self.points.hit("stall.together", "all streams")

    def predicted(self, prediction: Prediction) -> None:
        """What the design computes on: operands, product bits, counts, sums."""
        activations, weights = prediction.activations, prediction.tile.weights
        self._sample_operands(activations, weights)
        self._sample_sums(prediction.values)
        if self._bits is not None:
            self._sample_bits(activations, weights)

    def _sample_operands(self, activations: np.ndarray, weights: np.ndarray) -> None:
        rows, group = self.config.rows, self.config.rows_per_group if self.config.array == "enc" else 1
        nonzero = np.flatnonzero(activations)
        self.points.hit(
            "operands.zeros", ("all zero", "some zeros", "no zero")[(len(nonzero) > 0) + (len(nonzero) == rows)]
        )
        if len(nonzero) == 1 and weights[nonzero[0]].any():
            row = int(nonzero[0])
            groups = {"first": row < group, "last": row >= rows - group}
            groups["inner"] = not any(groups.values())
            places = {"first": row % group == 0, "last": row % group == group - 1}
            for g in (g for g, inside in groups.items() if inside):
                for r in (r for r, at in places.items() if at):
                    self.points.hit("rows.alone", f"{g} group, {r} row")
        if self._seen_pairs.all():
            return
        a, w = CLASS_OF[activations.astype(int) + 128], CLASS_OF[weights.astype(int) + 128]
        seen = np.zeros_like(self._seen_pairs)
        seen[np.broadcast_to(a[:, None], w.shape), w] = True
        for i, j in np.argwhere(seen & ~self._seen_pairs):
            self.points.hit("operands.pair", CLASSES[i], CLASSES[j])
        self._seen_pairs |= seen

    def _sample_sums(self, sums: np.ndarray) -> None:
        if not self.points.open("sums.size"):
            return
        least, greatest = (self.config.rows * int(f(self.config.table)) for f in (np.min, np.max))
        facts = (
            sums == least,
            (sums < 0) & (sums > least),
            sums == 0,
            (sums > 0) & (sums < greatest),
            sums == greatest,
        )
        for label, fact in zip(SUMS, facts, strict=True):
            if fact.any():
                self.points.hit("sums.size", label)

    def _sample_bits(self, activations: np.ndarray, weights: np.ndarray) -> None:
        name, rows = self.config.products.name, self.config.rows
        if not (self.points.open(f"bits.{name}") or self.points.open(f"counts.{name}")):
            return
        bits = self._bits[activations.astype(int)[:, None] + 128, weights.astype(int) + 128]  # [R, C, M]
        counts = bits.sum(axis=0, dtype=np.int64)  # [C, M]
        least, most = counts.min(axis=0), counts.max(axis=0)
        seen = np.stack([least < rows, most > 0, least == 0, most == rows])
        new = seen if self._seen_bits is None else seen & ~self._seen_bits
        self._seen_bits = new if self._seen_bits is None else self._seen_bits | new
        for kind, m in np.argwhere(new):
            point, label = (
                ("bits", "b[{}] = 0"),
                ("bits", "b[{}] = 1"),
                ("counts", "cnt[{}] = 0"),
                ("counts", "cnt[{}] = Rows"),
            )[kind]
            self.points.hit(f"{point}.{name}", label.format(m))
