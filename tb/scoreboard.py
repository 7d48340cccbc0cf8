"""Reference model fed by the input monitors, and the in-order scoreboard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from pyuvm import uvm_analysis_port, uvm_component, uvm_subscriber

from models.hardware import TileModel
from tb.agents.axis import Beat

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


class Reference(uvm_component):
    """Predicts a result vector for every activation vector that the design accepted."""

    def __init__(self, name: str, parent: uvm_component, table: np.ndarray, rows: int, columns: int) -> None:
        super().__init__(name, parent)
        self.table, self.rows, self.columns = table, rows, columns

    def build_phase(self) -> None:
        self.ap = uvm_analysis_port("ap", self)
        self.weights = Listener("weights", self, self._weight_row)
        self.activations = Listener("activations", self, self._activation_vector)
        self.reset()

    def reset(self) -> None:
        """Forget the tile: after a reset the design has none."""
        self._loading: list[np.ndarray] = []
        self._loaded: deque[TileModel] = deque()  # tiles whose activations are still to come
        self._model: TileModel | None = None  # the tile whose activations come

    def _weight_row(self, beat: Beat) -> None:
        self._loading.append(unpack(beat.data, self.columns, "int8"))
        if beat.last:
            self._loaded.append(TileModel(self.table, np.stack(self._loading)))
            self._loading = []

    def _activation_vector(self, beat: Beat) -> None:
        if self._model is None:
            if not self._loaded:
                raise AssertionError("the design accepted activations before a tile of weights")
            self._model = self._loaded.popleft()
        self.ap.write((self._model.column_sums(unpack(beat.data, self.rows, "int8")), beat.last))
        if beat.last:
            self._model = None


class Scoreboard(uvm_component):
    """Compares result vectors in order, element by element.

    `errors` collects everything that must not happen; `close` adds leftovers and "nothing was
    compared". The test fails if there is any.
    """

    def __init__(self, name: str, parent: uvm_component, columns: int) -> None:
        super().__init__(name, parent)
        self.columns = columns
        self.matches = self.mismatches = self.discarded = 0
        self.errors: list[str] = []
        self.results: list[np.ndarray] = []
        self._expected: deque[tuple[np.ndarray, bool]] = deque()

    def build_phase(self) -> None:
        self.predicted = Listener("predicted", self, self._expected.append)
        self.observed = Listener("observed", self, self._compare)

    @property
    def outstanding(self) -> int:
        """Result vectors that are still to come."""
        return len(self._expected)

    def reset(self) -> None:
        """Drop what was in flight: a reset loses it by design."""
        self.discarded += len(self._expected)
        self._expected.clear()

    def take_results(self) -> np.ndarray:
        """All result vectors since the last call, int32 [N, C]."""
        taken = np.array(self.results, np.int32).reshape(-1, self.columns)
        self.results.clear()
        return taken

    def _compare(self, beat: Beat) -> None:
        if beat.data is None:
            self._error("result with bits that are neither 0 nor 1")
            return
        if not self._expected:
            self._error("result without an activation vector")
            return
        expected, last = self._expected.popleft()
        got = unpack(beat.data, self.columns, "int32")
        self.results.append(got)
        wrong = np.flatnonzero(got != expected)
        self.matches += self.columns - len(wrong)
        self.mismatches += len(wrong)
        for column in wrong[:1]:
            self._error(f"column {column}: expected {expected[column]}, got {got[column]}")
        if beat.last != last:
            self._error(f"tlast is {int(beat.last)}, expected {int(last)}")

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
