"""Regression tables of the UCI repository, read from a folder.

The folder holds ``NAME/data.txt``, a row of numbers per example, and ``NAME/TARGET``,
the index of the target's column.
"""

import os
from pathlib import Path

import numpy as np

from optlab.errors import InputError

#: Names of tables.
TABLES = ("concrete", "energy", "yacht")


def read(
    name: str, data_dir: str | os.PathLike | None
) -> tuple[np.ndarray, np.ndarray]:
    """Reads a table.

    Args:
      name: one of ``TABLES``.
      data_dir: folder that holds the tables.

    Returns:
      Inputs ``[n, features]`` and targets ``[n, 1]``, float64, in their own units.

    Raises:
      InputError: no folder is given, or it has no such table.
    """
    if data_dir is None:
        raise InputError(
            f"{name!r} is read from a folder of tables: give it as data_dir"
        )
    folder = Path(data_dir, name)
    try:
        rows = np.loadtxt(folder / "data.txt", ndmin=2)
        column = int((folder / "TARGET").read_text())
        inputs, targets = np.delete(rows, column, axis=1), rows[:, [column]]
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"cannot read the table in {folder}: {error}") from error
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise InputError(
            f"the table in {folder} has NaN or infinity in {(~finite).sum()} of "
            f"{len(rows)} rows, first in row {finite.argmin() + 1}: repair or drop them"
        )
    return inputs, targets
