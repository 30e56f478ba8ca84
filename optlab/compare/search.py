"""Points of a search: a grid of values, or draws from ranges."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from optlab.errors import InputError, check_choice
from optlab.ranges import is_whole
from optlab.sweep import grid

#: Kinds of search.
KINDS = ("grid", "random", "halton")

#: A range whose ends are this many times apart is drawn evenly in its logarithm.
LOG_FACTOR = 10


class Search(NamedTuple):
    """Choice of the points of every contender."""

    kind: str = "grid"  # one of KINDS
    points: int | None = None  # number of draws; None for a grid


def check(search: Search) -> None:
    """Refuses a search that is unknown or draws nothing.

    Args:
      search: kind and number of points.

    Raises:
      InputError: see above.
    """
    check_choice("search", search.kind, KINDS)
    drawn = search.kind != "grid"
    if drawn and not (is_whole(search.points) and (search.points or 0) >= 1):
        raise InputError(
            f"search={search.kind!r} needs points, a whole number of 1 or more, not "
            f"{search.points!r}"
        )
    if not drawn and search.points is not None:
        raise InputError(
            "points is for search='random' or 'halton': a grid has its own"
        )


def draw(
    search: Search, axes: Mapping[str, Sequence[Any]]
) -> tuple[dict[str, float], ...]:
    """Chooses the points of one contender.

    The k-th axis of every contender gets the same k-th coordinates in the unit cube.

    Args:
      search: kind and number of points.
      axes: dotted key to the values of a grid, or to the two ends of a range (or one
        value, which is kept). A range whose ends are positive and ``LOG_FACTOR`` apart
        is drawn in its logarithm.

    Returns:
      The points.

    Raises:
      InputError: a range without two rising ends.

    >>> draw(Search(), {"rate": (0.1, 1.0)})
    ({'rate': 0.1}, {'rate': 1.0})
    >>> draw(Search("halton", 2), {"rate": (0.01, 1.0), "b1": (0.0, 0.9)})
    ({'rate': 0.1..., 'b1': 0.3}, {'rate': 0.03..., 'b1': 0.6})
    """
    ranges = {key: ends for key, ends in axes.items() if len(ends) > 1}
    if search.kind == "grid" or not ranges:
        return grid(axes)
    for key, ends in ranges.items():
        if len(ends) != 2 or not ends[0] < ends[1]:
            raise InputError(
                f"{key}={tuple(ends)} is no range: search={search.kind!r} draws "
                "between two ends, (low, high)"
            )
    assert search.points is not None
    cube = _unit_cube(search.kind, search.points, len(ranges))
    columns = {key: np.full(search.points, ends[0]) for key, ends in axes.items()}
    for column, (key, ends) in zip(cube.T, ranges.items(), strict=True):
        columns[key] = _scaled(column, *map(float, ends))
    return tuple(
        {key: float(column[i]) for key, column in columns.items()}
        for i in range(search.points)
    )


def _unit_cube(kind: str, points: int, axes: int) -> np.ndarray:
    """``[points, axes]``; further axes leave the earlier columns as they are."""
    if kind == "random":
        return np.random.default_rng(0).random((axes, points)).T
    from scipy.stats import qmc

    sequence = qmc.Halton(axes, scramble=False)
    sequence.fast_forward(1)  # its first point is the corner of all lower ends
    return sequence.random(points)


def _scaled(unit: np.ndarray, low: float, high: float) -> np.ndarray:
    if low > 0 and high >= LOG_FACTOR * low:
        return low * (high / low) ** unit
    return low + (high - low) * unit
