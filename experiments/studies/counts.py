"""The counts in a config, checked before anything is computed with them."""

import functools
import operator
from collections.abc import Iterable, Mapping
from typing import Any

from optlab.errors import InputError


def check(settings: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Refuses a count below one.

    Args:
      settings: the config as nested data.
      keys: of the counts, with dots.

    Raises:
      InputError: the first that is below one.

    >>> check({"net": {"xor": {"hidden": 4}}}, ["net.xor.hidden"])
    """
    for key in keys:
        count: Any = functools.reduce(operator.getitem, key.split("."), settings)
        if count < 1:
            raise InputError(f"--config.{key} must be 1 or more: {count}")
