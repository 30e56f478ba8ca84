"""What a config says of an optimizer: some numbers are swept, all else is fixed."""

from collections.abc import Mapping
from typing import Any

from optlab import sweep
from optlab.errors import InputError


def split(
    label: str, entry: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[dict[str, float], ...]]:
    """Fixed arguments, and every point of the grid.

    Args:
      label: of the optimizer, for messages.
      entry: its arguments; a tuple is swept.

    Returns:
      Name to value, and the points; where nothing is swept, a single empty one.

    Raises:
      InputError: a tuple is empty or holds what is no number.

    >>> split("adam", {"b1": 0.9, "learning_rate": (0.1, 1.0)})
    ({'b1': 0.9}, ({'learning_rate': 0.1}, {'learning_rate': 1.0}))
    """
    axes = {key: value for key, value in entry.items() if isinstance(value, tuple)}
    for key, values in axes.items():
        if not values:
            raise InputError(f"the grid of {label}.{key} is empty: give numbers")
        for value in values:
            if not isinstance(value, int | float):
                raise InputError(f"{label}.{key}: {value!r} is not a number")
    fixed = {key: value for key, value in entry.items() if key not in axes}
    return fixed, sweep.grid(axes)
