"""Float weights in the forms that people have them in, as a plain state dict.

Files of models.train, state dicts of torchvision and others (bare or under "state_dict", names with "module." in
front), and product-quantised ones of "Permute, Quantize, and Fine-tune" (Martinez et al., arXiv 2010.15703), whose
weights are rows of a codebook.
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from common.errors import UserError

CODES, CODEBOOK = ".codes_matrix", ".codebook"


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict, str]:
    """State dict, training record ({} unless models.train wrote the file) and SHA-256 of a file of weights."""
    path = Path(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        record = state.get("record", {})
        weights = next((state[k] for k in ("weights", "state_dict") if k in state), state)
        if not weights or not all(isinstance(v, Tensor) for v in weights.values()):
            raise TypeError("it holds no state dict")
    except FileNotFoundError as error:
        raise UserError(f"no float weights at {path}; train them with: python -m models.train --net <name>") from error
    except (RuntimeError, KeyError, TypeError, AttributeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path} is damaged or no float checkpoint ({str(error).splitlines()[0]}); train or copy it again"
        ) from error
    weights = {key.removeprefix("module."): value for key, value in weights.items()}
    return weights, record, hashlib.sha256(path.read_bytes()).hexdigest()


def decoded(weights: dict[str, Tensor], model: nn.Module, source: str) -> dict[str, Tensor]:
    """Product-quantised `weights` as a state dict of `model`; others as they are.

    The rows of codes give the rows of a weight matrix [O, I / groups * kh * kw]. BatchNorm in such files is a factor
    and a bias only: means are 0, variances 1.
    """
    if not any(key.endswith(CODES) for key in weights):
        return weights
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    result = {k: v for k, v in weights.items() if not k.endswith((CODES, CODEBOOK))}
    for key in (k for k in weights if k.endswith(CODES)):
        name = key.removesuffix(CODES)
        codes, codebook = weights[key].long(), weights.get(name + CODEBOOK)
        if codebook is None or codes.min() < 0 or codes.max() >= len(codebook):
            raise UserError(f"{source}: '{name}' has no codebook, or codes outside it; copy the file again")
        rows = codebook.float()[codes].reshape(len(codes), -1)
        shape = shapes.get(f"{name}.weight")
        if shape is not None and rows.numel() == shape.numel():
            rows = rows.reshape(shape)
        result[f"{name}.weight"] = rows
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            result.setdefault(f"{name}.running_mean", torch.zeros_like(module.running_mean))
            result.setdefault(f"{name}.running_var", torch.ones_like(module.running_var))
    return result
