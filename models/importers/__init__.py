"""Networks that people have, brought to our layer graph (models.quant.graph): int8 TFLite, ONNX QDQ."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError
from common.files import first_line

# of code that trusts the shapes, types and names of a model that is none
UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError, MemoryError, struct.error)


@contextmanager
def fitting(path: str | Path) -> Iterator[None]:
    """While a model is read: parts that do not fit each other are one line, a UserError."""
    try:
        yield
    except UNFIT as error:
        raise UserError(f"{path}: {first_line(error)}; the model does not fit the layer graph") from error
