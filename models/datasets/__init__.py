"""Data sets, read from a folder that the user names or downloaded from their official place."""

from models.datasets.cifar import DATASETS, Cifar, download_cifar, have_cifar, load_cifar

__all__ = ["DATASETS", "Cifar", "download_cifar", "have_cifar", "load_cifar"]
