"""Signals of waves that a simulation has written (FST, VCD)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.errors import UserError

if TYPE_CHECKING:
    import pywellen

CLOCKS = ("clk_i", "clk")


class Waves:
    """Signals of a file of waves, read when they are asked for."""

    def __init__(self, path: Path) -> None:
        import pywellen  # only a failure pays for it

        try:
            self._wave = pywellen.Waveform(str(path))
        except BaseException as error:  # the reader panics at half a file, which is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            raise UserError(f"{path} cannot be read ({error})") from error
        self.scopes: dict[str, dict[str, pywellen.Var]] = {}
        for var in self._wave.all_vars():
            place, _, name = var.full_name.rpartition(".")
            self.scopes.setdefault(place, {})[name.partition("[")[0].strip()] = var
        self.names = {str(scope).removeprefix("Scope(").removesuffix(")") for scope in self._wave.all_scopes()}

    def around(self, place: str, name: str) -> pywellen.Var | None:
        """The signal `name` of a scope, or of the nearest around it."""
        while place:
            if var := self.scopes.get(place, {}).get(name):
                return var
            place = place.rpartition(".")[0]
        return None

    def edges(self) -> list[int]:
        """Times of the rising edges of the outermost clock."""
        clocks = [
            (len(place), signals[name]) for place, signals in self.scopes.items() for name in CLOCKS if name in signals
        ]
        return [time for time, value in min(clocks, key=lambda c: c[0])[1].tv if value == 1 and time] if clocks else []


def sampled(var: pywellen.Var, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bits of a signal at ascending times, bool [times, width], lowest first, and where all are known, bool [times].

    A signal is unknown before its first value, and where a bit is neither 0 nor 1.
    """
    width = var.bitwidth or 1
    changes = [(-1, None), *var.tv]
    known = np.array([isinstance(value, int) for _, value in changes])
    length = (width + 7) // 8
    words = b"".join((value if isinstance(value, int) else 0).to_bytes(length, "little") for _, value in changes)
    bits = np.unpackbits(np.frombuffer(words, np.uint8).reshape(len(changes), length), axis=1, bitorder="little")
    last = np.searchsorted(np.array([time for time, _ in changes]), times, side="right") - 1
    return bits[last, :width].astype(bool), known[last]
