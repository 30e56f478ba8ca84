"""Small sets of examples by name, for nets of a few dozen to a few hundred weights.

    samples.load("sinc").inputs                      # [2000, 1]
    samples.load("yacht", directory).targets         # [308, 1], standardized

``concrete``, ``energy`` and ``yacht`` are tables of the UCI repository: the folder
holds ``NAME/data.txt``, a row of numbers an example, and ``NAME/TARGET``, the number
of the target's column, counted from zero. Everything else needs no file.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.datasets

from optlab.errors import InputError, near

#: Read from a folder; all others are at hand.
TABLES = ("concrete", "energy", "yacht")


class Samples(NamedTuple):
    """Examples to fit, float64."""

    inputs: np.ndarray  # [n, features]
    targets: np.ndarray  # [n, outputs], or [n] class numbers
    source: str


def load(name: str, directory: str | os.PathLike | None = None) -> Samples:
    """Examples by name.

    Args:
      name: a key of ``SAMPLES``.
      directory: of the tables.

    Returns:
      The examples. Columns of real tables are standardized: mean 0, variance 1.

    Raises:
      InputError: the name is unknown; the folder is not given, or holds no such table.

    >>> load("xor").inputs.tolist(), load("xor").targets.ravel().tolist()
    ([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]], [-1.0, 1.0, 1.0, -1.0])
    """
    if name in TABLES:
        return _table(name, directory)
    if name not in SAMPLES:
        raise InputError(f"unknown samples {name!r}; {near(name, [*SAMPLES, *TABLES])}")
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
    table = sklearn.datasets.load_diabetes(scaled=False)
    return Samples(
        _standardized(table.data),  # pyright: ignore[reportAttributeAccessIssue]
        _standardized(table.target[:, None]),  # pyright: ignore[reportAttributeAccessIssue]
        "Efron et al. 2004, in scikit-learn",
    )


def _digits() -> Samples:
    pixels, labels = sklearn.datasets.load_digits(return_X_y=True)
    first = slice(500)  # enough for nets whose Hessian is to fit
    return Samples(
        pixels[first] / 16, labels[first], "UCI handwritten digits, in scikit-learn"
    )


def _table(name: str, directory: str | os.PathLike | None) -> Samples:
    if directory is None:
        raise InputError(f"{name!r} is read from a folder of tables: --data_dir=DIR")
    folder = Path(directory, name)
    try:
        rows = np.loadtxt(folder / "data.txt", ndmin=2)
        column = int((folder / "TARGET").read_text())
        target = rows[:, [column]]
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"cannot read the table in {folder}: {error}") from error
    inputs = np.delete(rows, column, axis=1)
    return Samples(_standardized(inputs), _standardized(target), f"UCI {name}")


def _standardized(columns: np.ndarray) -> np.ndarray:
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


#: Name to what makes it.
SAMPLES: dict[str, Callable[[], Samples]] = {
    "sinc": _sinc,
    "xor": _xor,
    "spirals": _spirals,
    "diabetes": _diabetes,
    "digits": _digits,
}
