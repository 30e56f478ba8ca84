"""Libraries that optlab is measured against, one file each, imported when they run."""

import importlib.metadata
import importlib.util
from typing import NamedTuple

import numpy as np

#: Package to the command that installs it.
INSTALL = {
    "nlls_gram": "pip install 'optlab[bench]'",
    "optimistix": "pip install 'optlab[bench]'",
    "scipy": "pip install 'optlab[bench]'",
    "sif2jax": "pip install 'optlab[bench]'",
    "somax": "pip install 'optlab[bench]'",
    "torch": "pip install torch",
    "keras": "pip install keras",
}


class Classifier(NamedTuple):
    """A classifier to train for one shuffled epoch of Adam, and its examples."""

    inputs: np.ndarray  # [n, ...], float32, prepared before the time is taken
    targets: np.ndarray  # [n]
    classes: int
    batch_size: int
    features: tuple[int, ...]  # channels of each convolution; none for an MLP
    hidden: tuple[int, ...]  # units of each hidden dense layer


def missing(package: str) -> str:
    """Describes a peer of ``INSTALL`` that is not installed, and how to install it.

    The line is empty where it is installed.

    >>> missing("scipy")
    ''
    """
    if importlib.util.find_spec(package) is not None:
        return ""
    return f"{package} is not installed and left out: {INSTALL[package]}"


def versions() -> dict[str, str]:
    """Collects the versions of the installed peers, by package."""
    distributions = importlib.metadata.packages_distributions()
    return {
        package: importlib.metadata.version(distributions[package][0])
        for package in INSTALL
        if importlib.util.find_spec(package) is not None
    }
