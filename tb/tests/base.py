"""What all tests share: start the environment, run the stimulus, drain, write the record."""

from __future__ import annotations

import json
import os

import numpy as np
from pyuvm import uvm_test

from tb.env.bench import BenchEnv
from tb.env.limits import LIMIT

__all__ = ["LIMIT", "BenchTest"]


class BenchTest(uvm_test):
    """Starts the environment, runs `stimulus`, waits for the last result, writes the record."""

    ENVIRONMENT: type[BenchEnv]

    def build_phase(self) -> None:
        self.env = self.ENVIRONMENT("env", self)

    async def run_phase(self) -> None:
        self.raise_objection()
        await self.env.start()
        try:
            await self.stimulus()
        except AssertionError as error:
            self._write_record([str(error)])
            # what the scoreboard saw before tells more
            raise AssertionError("; ".join(filter(None, (self.env.scoreboard.summary(), str(error))))) from error
        await self.env.drain()
        self.drop_objection()

    async def stimulus(self) -> None:
        """What the test does."""
        raise AssertionError(f"{type(self).__name__} has no stimulus")

    def check_phase(self) -> None:
        board = self.env.scoreboard
        leftovers = self.env.leftovers()
        errors = leftovers + board.close()
        self._write_record(errors)
        if errors:
            raise AssertionError("; ".join(filter(None, (*leftovers, board.summary()))))

    def _write_record(self, errors: list[str]) -> None:
        """What the runner takes as evidence, a line of JSON."""
        board = self.env.scoreboard
        record = {"test": type(self).__name__, "matches": board.matches, "mismatches": board.mismatches}
        record |= {"discarded": board.discarded, "errors": errors[:5], "diagnosis": board.diagnosis()}
        record |= {"coverage": self.env.coverage.points.result()}
        with open(os.environ["ENCMAC_RECORDS"], "a") as stream:
            stream.write(json.dumps(record) + "\n")

    def operands(self, *shape: int) -> np.ndarray:
        """Random int8, uniform."""
        return self.env.numpy_rng.integers(-128, 128, shape, dtype=np.int8)
