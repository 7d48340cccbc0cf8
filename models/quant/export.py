"""Any torch network to an integer network: exported to ONNX, quantised by ONNX Runtime, imported.

For networks with operators beyond those that `models.quant.trace` knows (attention, layer norms, GELU, dilation, pools
of any kind): convolutions and matrix products become layers of ours, the rest is run by the runtime.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from common.errors import UserError
from models.importers.onnx import read_onnx
from models.networks import NetworkSpec
from models.quant.graph import QuantNetwork

OPSET = 17
BATCH = 8  # images that are calibrated on at once
METHODS = {"max": "MinMax", "percentile": "Percentile", "mse": "Entropy"}  # our rules, or what is nearest to them


class _Images:
    """Calibration images one batch after the other, as the quantiser asks for them."""

    def __init__(self, images: np.ndarray, quiet: bool) -> None:
        whole = len(images) // BATCH * BATCH or len(images)  # the quantiser stacks batches: all of one size
        parts = [images[i : i + BATCH] for i in range(0, whole, BATCH)]
        self._rest: Iterator[np.ndarray] = iter(tqdm(parts, desc="calibrate", disable=quiet or None, leave=False))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch, None after the last."""
        part = next(self._rest, None)
        return None if part is None else {"image": part}


def convert_through_onnx(
    model: torch.nn.Module,
    spec: NetworkSpec,
    name: str,
    images: np.ndarray,
    rule: str = "mse",
    per_channel: bool = True,
    quiet: bool = False,
) -> QuantNetwork:
    """Integer network of float `model`, calibrated on uint8 training `images` [N, C, H, W]."""
    try:
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise UserError(
            "this network goes through ONNX, which needs 'onnx' and 'onnxruntime'; run 'make setup'"
        ) from error
    mean, std = (np.array(v, np.float32).reshape(1, -1, 1, 1) for v in (spec.mean, spec.std))
    normalised = (images.astype(np.float32) / np.float32(255) - mean) / std
    with tempfile.TemporaryDirectory() as place, _silence():
        real, plain, target = (Path(place, f"{part}.onnx") for part in ("float", "plain", "int8"))
        try:
            torch.onnx.export(
                _with_numbers(model),
                (torch.from_numpy(normalised[:1]),),
                real,
                dynamo=False,
                input_names=["image"],
                output_names=["scores"],
                dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
                opset_version=OPSET,
            )
            quant_pre_process(real, plain, skip_symbolic_shape=True)
            quantization.quantize_static(
                plain,
                target,
                _Images(normalised, quiet),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=per_channel,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=getattr(quantization.CalibrationMethod, METHODS[rule]),
            )
        except Exception as error:  # of torch, of the quantiser, of the network's own code
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise UserError(f"network {name} cannot be exported to ONNX and quantised ({lines[0][:300]})") from error
        network, _ = read_onnx(target, name, spec.dataset, "float", tuple(spec.mean), tuple(spec.std))
    return network


def _with_numbers(model: torch.nn.Module) -> torch.nn.Module:
    """A copy for evaluation, in which padding "same" is a number: the runtime takes no dilation beside the word."""
    found = copy.deepcopy(model).eval()
    for layer in found.modules():
        if getattr(layer, "padding", None) == "same":
            totals = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
            if not any(t % 2 for t in totals):
                layer.padding = tuple(t // 2 for t in totals)
    return found


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Advice of the exporter and the quantiser is not for our users."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
