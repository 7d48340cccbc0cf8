"""TFLite models as sessions: what models.quant.runtime.Runtime calls for pieces of a TFLite model."""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from common.errors import UserError

IDENTIFIER = b"TFL3"  # bytes 4..8 of a TFLite file
SILENCE = threading.Lock()


@dataclass(frozen=True)
class _Port:
    """An input or the output: its name, and its type as ONNX Runtime spells it."""

    name: str
    type: str
    index: int
    four: bool


class Session:
    """A model run by ai-edge-litert, image by image; feature maps are [N, C, H, W] outside, [N, H, W, C] inside.

    `reference` takes the reference kernels instead of the default ones. An interpreter serves one thread: each thread
    that calls `run` has its own.
    """

    def __init__(self, model: bytes, what: str, reference: bool = False) -> None:
        self._model, self._what, self._reference = model, what, reference
        self._threads = threading.local()
        run = self._interpreter()
        self._inputs = [self._port(d) for d in run.get_input_details()]
        self._outputs = [self._port(d) for d in run.get_output_details()]

    def get_inputs(self) -> list[_Port]:
        """The inputs, in order."""
        return self._inputs

    def get_outputs(self) -> list[_Port]:
        """The output, as a list."""
        return self._outputs

    def run(self, names: None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The output for one image, as a list."""
        run = self._interpreter()
        for port in self._inputs:
            x = feeds[port.name]
            run.set_tensor(port.index, np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if port.four else x)
        run.invoke()
        (port,) = self._outputs
        result = run.get_tensor(port.index)
        return [np.ascontiguousarray(result.transpose(0, 3, 1, 2)) if port.four else result]

    def _interpreter(self) -> Any:
        if not hasattr(self._threads, "run"):
            self._threads.run = interpreter(self._model, self._what, self._reference)
        return self._threads.run

    def _port(self, detail: dict) -> _Port:
        kind = np.dtype(detail["dtype"]).name
        return _Port(detail["name"], f"tensor({kind})", detail["index"], len(detail["shape"]) == 4)


def interpreter(model: bytes, what: str, reference: bool = False, keep: bool = False) -> Any:
    """An interpreter of ai-edge-litert on one thread; with `keep` all its tensors can be read after a run."""
    try:
        from ai_edge_litert import interpreter as litert
    except ImportError as error:
        raise UserError("TFLite models need the package 'ai-edge-litert'; run 'make setup'") from error
    kinds = litert.OpResolverType
    try:
        with _Silence(), warnings.catch_warnings(action="ignore"):  # it tells on stderr which kernels it takes
            run = litert.Interpreter(
                model_content=model,
                num_threads=1,
                experimental_op_resolver_type=kinds.BUILTIN_REF if reference else kinds.BUILTIN,
                experimental_preserve_all_tensors=keep,
            )
            run.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{what}: TensorFlow Lite does not take it ({reason})") from error
    return run


class _Silence:
    """Nothing on stderr, also from C++."""

    def __enter__(self) -> None:
        SILENCE.acquire()
        self._saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)

    def __exit__(self, *about: object) -> None:
        os.dup2(self._saved, 2)
        os.close(self._saved)
        SILENCE.release()
