"""Reference model fed by the input monitors, and the in-order scoreboard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pyuvm import uvm_analysis_port, uvm_component, uvm_subscriber

from models.encoding import Encoding
from models.hardware import TileModel
from tb.agents.axis import Beat
from tb.env.diagnosis import Mismatch, explain

SHOWN_MISMATCHES = 5


def unpack(data: int, lanes: int, dtype: str) -> np.ndarray:
    """Lanes of a stream word as integers, lane 0 in the lowest bits: [lanes] of `dtype`."""
    width = np.dtype(dtype).itemsize
    return np.frombuffer(data.to_bytes(lanes * width, "little"), dtype)


def pack(values: np.ndarray) -> int:
    """The inverse of `unpack` for an integer vector."""
    return int.from_bytes(np.ascontiguousarray(values).tobytes(), "little")


class Listener(uvm_subscriber):
    """Hands every beat of one monitor to a function."""

    def __init__(self, name: str, parent: uvm_component, function: Callable) -> None:
        super().__init__(name, parent)
        self._function = function

    def write(self, beat: object) -> None:
        self._function(beat)


@dataclass(frozen=True)
class LoadedTile:
    """A tile that the design has taken: weights int8 [R, C] and where in a network they come from."""

    weights: np.ndarray
    model: TileModel
    label: str = ""


class Prediction(NamedTuple):
    """A result vector that must come, and what it is computed from."""

    values: np.ndarray
    last: bool
    tile: LoadedTile | None = None
    activations: np.ndarray | None = None
    index: int = 0  # vectors of the tile before this one
    label: str = ""  # where the tile comes from, if there is no `tile` to say so

    @property
    def place(self) -> str:
        """Where in the stream, and if known where in the network."""
        return f"{(self.tile.label if self.tile else self.label) or 'tile'}, vector {self.index}"


class Reference(uvm_component):
    """Predicts a result vector for every activation vector that the design accepted.

    `labels` says where weights come from: their bytes, and what to call them if a result is wrong.
    """

    def __init__(self, name: str, parent: uvm_component, table: np.ndarray, rows: int, columns: int) -> None:
        super().__init__(name, parent)
        self.table, self.rows, self.columns = table, rows, columns
        self.labels: dict[bytes, str] = {}

    def build_phase(self) -> None:
        self.ap = uvm_analysis_port("ap", self)
        self.weights = Listener("weights", self, self._weight_row)
        self.activations = Listener("activations", self, self._activation_vector)
        self.reset()

    def reset(self) -> None:
        """Forget the tile: after a reset the design has none."""
        self._loading: list[np.ndarray] = []
        self._loaded: deque[LoadedTile] = deque()  # tiles whose activations are still to come
        self._tile: LoadedTile | None = None  # the tile whose activations come
        self._index = 0

    def _weight_row(self, beat: Beat) -> None:
        self._loading.append(unpack(beat.data, self.columns, "int8"))
        if beat.last:
            weights = np.stack(self._loading)
            label = self.labels.get(weights.tobytes(), "")
            self._loaded.append(LoadedTile(weights, TileModel(self.table, weights), label))
            self._loading = []

    def _activation_vector(self, beat: Beat) -> None:
        if self._tile is None:
            if not self._loaded:
                raise AssertionError("the design accepted activations before a tile of weights")
            self._tile, self._index = self._loaded.popleft(), 0
        activations = unpack(beat.data, self.rows, "int8")
        sums = self._tile.model.column_sums(activations).astype(np.int32)
        self.ap.write(Prediction(sums, beat.last, self._tile, activations, self._index))
        self._index += 1
        if beat.last:
            self._tile = None


class Scoreboard(uvm_component):
    """Compares result vectors in order, element by element.

    `errors` collects everything that must not happen; `close` adds leftovers and "nothing was
    compared". The test fails if there is any.
    """

    def __init__(self, name: str, parent: uvm_component, columns: int, encoding: Encoding | None) -> None:
        super().__init__(name, parent)
        self.columns, self.encoding = columns, encoding
        self.matches = self.mismatches = self.discarded = 0
        self.errors: list[str] = []
        self.results: list[np.ndarray] = []
        self._expected: deque[Prediction] = deque()
        self._wrong: dict[int, list[Mismatch]] = {}  # by column

    def build_phase(self) -> None:
        self.predicted = Listener("predicted", self, lambda prediction: self._expected.append(prediction))
        self.observed = Listener("observed", self, self._compare)

    @property
    def outstanding(self) -> int:
        """Result vectors that are still to come."""
        return len(self._expected)

    def reset(self) -> None:
        """Drop what was in flight: a reset loses it by design."""
        self.discarded += len(self._expected)
        self._expected.clear()

    def abort(self, offered: bool) -> None:
        """Drop what was in flight but for the result that is `offered`: an abort loses it by design."""
        kept = list(self._expected)[:offered]
        self.discarded += len(self._expected) - len(kept)
        self._expected = deque(kept)

    def take_results(self) -> np.ndarray:
        """All result vectors since the last call, int32 [N, C]."""
        taken = np.array(self.results, np.int32).reshape(-1, self.columns)
        self.results.clear()
        return taken

    def check(self, what: str, got: int, expected: int) -> None:
        """Compare a single value, a register say."""
        good = got == expected
        self.matches, self.mismatches = self.matches + good, self.mismatches + (not good)
        if not good:
            self._error(f"{what}: expected {expected:#x}, got {got:#x}")

    def decode(self, data: int, expected: np.ndarray) -> np.ndarray:
        """Lanes of a result word, as wide as those of the expected vector; nothing may stand above them."""
        if data >> 8 * expected.nbytes:
            self._error(f"bits above the {8 * expected.nbytes} of the result are not 0")
            data &= (1 << 8 * expected.nbytes) - 1
        return unpack(data, self.columns, expected.dtype)

    def _compare(self, beat: Beat) -> None:
        if not self._expected:
            self._error("result without an activation vector")
            return
        prediction = self._expected.popleft()
        if beat.data is None:
            self._error(f"{prediction.place}: result with bits that are neither 0 nor 1")
            return
        expected, last = prediction.values, prediction.last
        got = self.decode(beat.data, expected)
        self.results.append(got)
        wrong = np.flatnonzero(got != expected)
        self.matches += self.columns - len(wrong)
        self.mismatches += len(wrong)
        for column in wrong[:1]:
            self._error(f"{prediction.place}, column {column}: expected {expected[column]}, got {got[column]}")
        if prediction.tile is not None:
            for column in wrong:
                operands = prediction.activations, prediction.tile.weights[:, column]
                mismatch = Mismatch(*operands, int(expected[column]), int(got[column]))
                self._wrong.setdefault(int(column), []).append(mismatch)
        if beat.last != last:
            self._error(f"{prediction.place}: tlast is {int(beat.last)}, expected {int(last)}")

    def _error(self, message: str) -> None:
        self.errors.append(message)
        if len(self.errors) <= SHOWN_MISMATCHES:
            self.logger.error(message)

    def close(self) -> list[str]:
        """All errors of the run, with those that only its end can show."""
        if self._expected:
            self._error(f"{len(self._expected)} result vectors never came")
        if not self.matches:
            self._error("nothing was compared")
        return self.errors

    def summary(self) -> str:
        """How many errors, the first of them and what explains the wrong sums; empty if there is none."""
        if not self.errors:
            return ""
        explained = self.diagnosis()
        return f"{len(self.errors)} errors, first: {self.errors[0]}" + (f"; {explained}" if explained else "")

    def diagnosis(self) -> str:
        """What explains the wrong sums of the first column that has any; empty if there are none."""
        for column, mismatches in self._wrong.items():
            return f"column {column}: {explain(mismatches, self.encoding)}"
        return ""
