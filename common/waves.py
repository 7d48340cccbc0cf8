"""Signals of waves that a simulation has written (FST, VCD)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.errors import UserError
from common.files import first_line

if TYPE_CHECKING:
    import pywellen

CLOCKS = ("clk_i", "clk")


class Waves:
    """Signals of a file of waves, read when they are asked for."""

    def __init__(self, path: Path) -> None:
        import pywellen  # only those pay for it who read waves

        try:
            self._wave = pywellen.Waveform(str(path))
        except BaseException as error:  # the reader panics at half a file, which is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            raise UserError(
                f"{path} cannot be read as FST or VCD ({first_line(error)}); packed ones are not"
            ) from error
        self.path = path
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
        return self.rises(min(clocks, key=lambda c: c[0])[1]) if clocks else []

    def rises(self, var: pywellen.Var) -> list[int]:
        """Times at which a signal of one bit becomes 1, but for the first value of all."""
        return [time for time, value in self.changes(var) if value == 1 and time]

    def changes(self, var: pywellen.Var) -> list[tuple[int, int | str]]:
        """Times and values of a signal, ascending: a number, or a word where a bit is neither 0 nor 1."""
        try:
            return list(var.tv)
        except BaseException as error:  # values are read when they are asked for
            if isinstance(error, KeyboardInterrupt):
                raise
            raise UserError(f"{self.path} cannot be read ({first_line(error)}); is it cut?") from error

    def sampled(self, var: pywellen.Var, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bits of a signal at ascending times, lowest first, and where they are known: bool [times, width] each."""
        width = var.bitwidth or 1
        changes = self.changes(var)
        words = ["x" * width]  # before the first value
        words += [f"{v:0{width}b}" if isinstance(v, int) else v.rjust(width, "x") for _, v in changes]
        letters = np.array([list(word[-width:].lower()) for word in words])[:, ::-1]
        last = np.searchsorted(np.array([time for time, _ in changes]), times, side="right")
        return (letters == "1")[last], np.isin(letters, ["0", "1"])[last]
