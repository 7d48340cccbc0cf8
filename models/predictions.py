"""Classes that a network gives to images, kept while a long run goes on so that it can be interrupted."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np

from common.errors import UserError
from models.emulate import TableEngine, exact_engine
from models.quant.checkpoint import fingerprint
from models.quant.graph import QuantNetwork

FOLDER = Path("build/accuracy")
SAVE_SECONDS = 10.0


def check_labels(network: QuantNetwork, images: np.ndarray, labels: np.ndarray) -> None:
    """Raises UserError for `labels` int [N] that are no class of `network`; running one of `images` tells how many."""
    classes = network.run(images[:1], exact_engine()).shape[1] - network.first_class
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(
            f"labels are {labels.min()}..{labels.max()}, the classes of {network.name} 0..{classes - 1}; "
            "give the data set that it was trained on"
        )


class Predictions:
    """`classes` of a run, in the order of the images; what was interrupted goes on where it was.

    A file in `folder` is named after everything that the classes depend on. `forget` removes it.
    """

    def __init__(self, network: QuantNetwork, engine: TableEngine, data: str, folder: Path = FOLDER) -> None:
        """`data` is the hash of the images, and of the engine's products."""
        self._network, self._engine = network, engine
        key = hashlib.sha256(f"{fingerprint(network)} {data}".encode()).hexdigest()[:24]
        self._path = Path(folder) / f"{key}.npy"

    def classes(self, images: np.ndarray, label: str = "") -> np.ndarray:
        """int64 [N] for uint8 `images` [N, C, H, W]."""
        done = self._load()[: len(images)]
        saved = time.monotonic()
        for result in self._network.run_batches(images, self._engine, label=label, first=len(done)):
            done = np.concatenate([done, self._network.classes(result)])
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save(done)
                saved = time.monotonic()
        return done

    def forget(self) -> None:
        """Remove what was kept."""
        self._path.unlink(missing_ok=True)

    def _load(self) -> np.ndarray:
        try:
            found = np.load(self._path, allow_pickle=False)
            return found if found.dtype == np.int64 and found.ndim == 1 else np.zeros(0, np.int64)
        except (OSError, ValueError, EOFError):
            return np.zeros(0, np.int64)

    def _save(self, done: np.ndarray) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.stem}.{os.getpid()}.npy")
        np.save(temporary, done)
        temporary.replace(self._path)
