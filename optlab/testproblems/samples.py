"""Small sets of examples by name, for nets of a few dozen to a few hundred weights.

    samples.load("sinc").inputs                      # [2000, 1]
    samples.load("yacht", data_dir).targets          # [308, 1], standardized

``concrete``, ``energy`` and ``yacht`` are read from a folder of tables, see
`optlab.data.tables`; all others need no file.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from optlab.data import embedded, tables
from optlab.errors import check_choice


class Samples(NamedTuple):
    """Examples to fit, float64."""

    inputs: np.ndarray  # [n, features]
    targets: np.ndarray  # [n, outputs], or [n] class indices
    source: str


def load(name: str, data_dir: str | os.PathLike | None = None) -> Samples:
    """Loads examples by name.

    Args:
      name: key of ``SAMPLES``, or one of ``tables.TABLES``.
      data_dir: folder that holds the tables.

    Returns:
      The examples. Columns of real tables are standardized: mean 0, variance 1.

    Raises:
      InputError: the name is unknown, or the folder is not given or lacks the table.

    >>> load("xor").inputs.tolist(), load("xor").targets.ravel().tolist()
    ([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], [-1.0, 1.0, 1.0, -1.0])
    """
    if name in tables.TABLES:
        return _standardized(*tables.read(name, data_dir), f"UCI {name}")
    check_choice("samples", name, [*SAMPLES, *tables.TABLES])
    return SAMPLES[name]()


def _sinc() -> Samples:
    x = np.linspace(-1, 1, 2000)[:, None]
    return Samples(x, np.sinc(10 * x / np.pi), "sin(10 x) / (10 x) on [-1, 1]")


def _xor() -> Samples:
    inputs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], float)
    return Samples(inputs, -inputs.prod(axis=1, keepdims=True), "exclusive or, +-1")


def _spirals() -> Samples:
    k = np.arange(97)
    radius, angle = 6.5 * (104 - k) / 104, k * np.pi / 16
    one = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    return Samples(
        np.concatenate([one, -one]) / 6.5,
        np.repeat([1.0, -1.0], 97)[:, None],
        "two spirals, Lang and Witbrock 1988, scaled to the unit disc",
    )


def _diabetes() -> Samples:
    return _standardized(*embedded.diabetes(), "Efron et al. 2004, in scikit-learn")


def _digits() -> Samples:
    pixels, labels = (array[:500] for array in embedded.digits())
    return Samples(  # so few that the Hessian of a net in all of them fits in memory
        pixels.reshape(500, 64) / 240, labels, "UCI handwritten digits, in scikit-learn"
    )


def _standardized(inputs: np.ndarray, targets: np.ndarray, source: str) -> Samples:
    def standardized(columns: np.ndarray) -> np.ndarray:
        std = columns.std(axis=0)
        return (columns - columns.mean(axis=0)) / np.where(std > 0, std, 1.0)

    return Samples(standardized(inputs), standardized(targets), source)


#: Name to function that makes the examples.
SAMPLES: dict[str, Callable[[], Samples]] = {
    make.__name__.removeprefix("_"): make
    for make in (_sinc, _xor, _spirals, _diabetes, _digits)
}
