"""Operators that multiply no activations by weights, run by the runtime that the network was made for.

A part of a model between convolutions and linear layers is kept as a model of its own, ONNX or TFLite, and executed
by its runtime: bit for bit what the whole model computes there, with no operator of ours. ONNX Runtime gets pieces
that it has fused before, and does not optimise them further.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from common.errors import UserError
from models.quant.litert import IDENTIFIER, Session

PLACE = re.compile(r"/\S+\.(?:h|cc):\d+ .*?\) (?=[A-Z])")  # of the runtime's own source, and a function there


@dataclass(frozen=True)
class Runtime:
    """A part of an ONNX or TFLite model as a node.

    `model` uint8 holds the serialised model; its inputs are the tensors `sources`, in order, and it has one output.
    `reference` takes TFLite's reference kernels. Codes are int8 in the network; where the model has uint8, they are
    shifted by 128 on the way in and out. Other types (float32 sums, int32) pass as they are. `rows` is the leading
    size of each source for one image, 0 for scalars. `batched` says that a batch gives what its images give one by
    one; else they are run one by one. With a `grid` int8 results are rounded once more, to multiples of 2**grid.
    """

    name: str
    sources: tuple[str, ...]
    model: np.ndarray
    output_scale: float
    rows: tuple[int, ...]
    batched: bool = True
    grid: int = 0
    reference: bool = False

    def __call__(self, *operands: np.ndarray) -> np.ndarray:
        """The result: int8 codes, or numbers of the model's own type, first axis images (times rows of one)."""
        feeds = self._feeds(operands)
        if self.batched:
            return self._run(feeds)
        count = len(operands[0]) // max(1, self.rows[0])
        parts = [self._run(self._image(feeds, k)) for k in range(count)]
        return np.concatenate(parts) if parts[0].ndim else np.stack(parts)

    def result_rows(self, *operands: np.ndarray) -> int:
        """The leading size of the result for one image, 0 for a scalar."""
        one = self._run(self._image(self._feeds(operands), 0))
        return len(one) if one.ndim else 0

    def _feeds(self, operands: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
        return {
            i.name: shifted(x) if i.type == "tensor(uint8)" else x
            for i, x in zip(self._session.get_inputs(), operands, strict=True)
        }

    def _image(self, operands: dict, k: int) -> dict:
        """The share of image `k`."""
        return {
            name: x[k * rows : (k + 1) * rows] if rows else np.asarray(x[k])
            for (name, x), rows in zip(operands.items(), self.rows, strict=True)
        }

    def _run(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        try:
            (result,) = self._session.run(None, feeds)
        except Exception as error:  # the runtime's own exceptions derive from Exception only
            shapes = ", ".join(f"{k} {v.shape}" for k, v in feeds.items())
            raise UserError(f"node {self.name} cannot run on {shapes} ({first_line(error)})") from error
        result = shifted(result) if result.dtype == np.uint8 else result
        if self.grid and result.dtype == np.int8:
            step = 1 << self.grid
            result = np.minimum((result.astype(np.int16) + step // 2) // step * step, 128 - step).astype(np.int8)
        return result

    @property
    def unsigned(self) -> bool:
        """Whether the model's result is uint8."""
        return self._session.get_outputs()[0].type == "tensor(uint8)"

    @cached_property
    def _session(self) -> Any:
        content = self.model.tobytes()
        if content[4:8] == IDENTIFIER:
            return Session(content, f"node {self.name}", self.reference)
        return session(content, f"node {self.name}", optimise=False)

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k != "_session"}


def shifted(codes: np.ndarray) -> np.ndarray:
    """int8 of uint8 codes and uint8 of int8 codes: 128 less or more."""
    return (codes ^ np.array(0x80, np.uint8).view(codes.dtype)).view(np.int8 if codes.dtype == np.uint8 else np.uint8)


def first_line(error: Exception) -> str:
    """What an exception says, on one line, without the runtime's own prefix."""
    text = str(error).strip().splitlines()
    if not text:
        return type(error).__name__
    said = text[0].split(" : ", 2)[-1].rpartition("ERROR : ")[2]
    return PLACE.sub("", said)[:300]


def session(
    model: str | bytes,
    what: str,
    optimise: bool = True,
    save: str | None = None,
    int8: bool = False,
    real_bias: bool = False,
) -> Any:
    """An ONNX Runtime session on one thread of the CPU; UserError if it does not take the model.

    With `save` the model as the runtime fuses it (its "extended" level) is written there; `int8` keeps int8
    activations where the runtime would shift them to uint8, `real_bias` biases in floating point where it would round
    them to multiples of a product.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError("ONNX models need the package 'onnxruntime'; run 'make setup'") from error
    options, levels = onnxruntime.SessionOptions(), onnxruntime.GraphOptimizationLevel
    level = levels.ORT_ENABLE_EXTENDED if save else levels.ORT_ENABLE_ALL
    options.graph_optimization_level = level if optimise else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if save:
        options.optimized_model_filepath = save
    if int8:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    try:
        left_out = ["WeightBiasQuantization"] if real_bias else []
        return onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=left_out
        )
    except Exception as error:  # the runtime's own exceptions derive from Exception only
        raise UserError(
            f"{what}: ONNX Runtime does not take it ({first_line(error)}); it has to run there first"
        ) from error
