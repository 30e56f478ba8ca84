"""Checks of the numbers in a config that are sizes, not swept hyperparameters."""

from collections.abc import Mapping
from typing import Any

from optlab.compare.recipe import flatten
from optlab.errors import InputError


def check(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuses values of another kind than the config file's, and counts below 1.

    Args:
      settings: nested plain data, the command line applied.
      defaults: the same data as the config file has it. Keys that it lacks are not
        checked; a count that is 0 there may be 0.

    Raises:
      InputError: a value does not fit; the message names its key.

    >>> check({"net": {"hidden": 4}}, {"net": {"hidden": 20}})
    >>> check({"net": {"hidden": 0}}, {"net": {"hidden": 20}})
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: --config.net.hidden must be a whole number of 1 or more: 0
    """
    known = flatten(defaults)
    for key, value in flatten(settings).items():
        if key in known and (wanted := _wanted(value, known[key])):
            raise InputError(f"--config.{key} must be {wanted}: {value!r}")


def _wanted(value: Any, default: Any) -> str:
    """Describes a default's kind; empty where the value is of that kind."""
    if default is None:  # a placeholder: whoever reads it checks it
        return ""
    if isinstance(default, tuple):
        if not isinstance(value, tuple) or (default and not value):
            return "a tuple with one value or more, such as (1, 2)"
        found = (_wanted(each, default[0]) for each in value if default)
        return next((f"a tuple; each value {text}" for text in found if text), "")
    if isinstance(default, int) and not isinstance(default, bool):
        least = min(default, 1)
        fits = isinstance(value, int) and value >= least
        return "" if fits else f"a whole number of {least} or more"
    if isinstance(default, float):
        return "" if isinstance(value, int | float) else "one number"
    kind = "true or false" if isinstance(default, bool) else "a text"
    return "" if isinstance(value, type(default)) else kind
