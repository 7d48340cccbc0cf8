"""Data sets, read from a folder that the user names or downloaded from their official place."""

from models.datasets.cifar import Cifar, load_cifar

__all__ = ["Cifar", "load_cifar"]
