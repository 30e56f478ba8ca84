"""Types and ranges of arguments: each is declared once, and checked by `check`.

A declaration is a mapping from the name of an argument to its `Range`. A number that
is a tracer passes: it stands for one that was checked, or belongs to a program.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer

from optlab.errors import InputError


def is_number(value: Any) -> bool:
    """Tells whether a value is one real number, no truth value and no tracer.

    >>> is_number(3), is_number(np.float32(1)), is_number(True), is_number(1j)
    (True, True, False, False)
    """
    if isinstance(value, Tracer | bool):
        return False
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        real = jax.numpy.issubdtype(value.dtype, jax.numpy.floating)
        whole = getattr(value.dtype, "kind", "key") in "iu"
        return value.ndim == 0 and (real or whole)
    if isinstance(value, int):
        return abs(value) <= 1e300  # beyond, no float holds it
    return isinstance(value, float)


def is_whole(value: Any) -> bool:
    """Tells whether a value is one integer, no truth value.

    >>> is_whole(3), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    return (
        is_number(value)
        and not isinstance(value, float)
        and value == int(value)
        and (isinstance(value, int) or value.dtype.kind in "iu")
    )


class Kind(NamedTuple):
    """A type of arguments."""

    words: str  # end of the sentence "X must be ..."
    fits: Callable[[Any], bool]
    traced: bool = False  # whether a tracer may stand for the value


class Range(NamedTuple):
    """A type of an argument, and the values of that type that it may have."""

    kind: Kind
    words: str = ""  # end of the sentence "X must be ..."
    holds: Callable[[Any], Any] = lambda value: True


def _sequence(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, tuple | list) and all(map(of, value))


NUMBER = Kind("a number", is_number, traced=True)
RATE = Kind(
    "a number or a schedule", lambda x: is_number(x) or callable(x), traced=True
)
WHOLE = Kind("a whole number", is_whole)
NUMBERS = Kind("a tuple of numbers, such as (0.1, 0.01)", _sequence(is_number))
TEXTS = Kind(
    "a tuple of texts, such as ('kernel',)", _sequence(lambda x: isinstance(x, str))
)
WHOLES = Kind("a tuple of whole numbers, such as (16, 32)", _sequence(is_whole))

_FINITE = "finite", math.isfinite
_LEAST_0 = "finite and at least 0", lambda x: 0 <= x < math.inf
_POSITIVE = "more than 0", lambda x: x > 0
_ONE_OR_MORE = "1 or more", lambda x: x >= 1

FINITE = Range(NUMBER, *_FINITE)
NOT_NEGATIVE = Range(NUMBER, *_LEAST_0)
POSITIVE = Range(NUMBER, *_POSITIVE)
FINITE_POSITIVE = Range(NUMBER, "finite and more than 0", lambda x: 0 < x < math.inf)
SHARE = Range(NUMBER, "at least 0 and less than 1", lambda x: 0 <= x < 1)
CLOSED_SHARE = Range(NUMBER, "from 0 to 1", lambda x: 0 <= x <= 1)
BETWEEN = Range(NUMBER, "more than 0 and less than 1", lambda x: 0 < x < 1)
LEARNING_RATE = Range(RATE, _LEAST_0[0], lambda x: callable(x) or _LEAST_0[1](x))
SEED = Range(
    WHOLE._replace(traced=True), "from 0 to 2^32 - 1", lambda x: 0 <= x < 2**32
)
COUNT = Range(WHOLE, *_ONE_OR_MORE)
SIZES = Range(WHOLES, "1 or more each", lambda xs: all(x >= 1 for x in xs))
STEPS = Range(WHOLES, "0 or more each", lambda xs: all(x >= 0 for x in xs))
FACTORS = Range(
    NUMBERS, "finite and at least 0 each", lambda xs: all(map(_LEAST_0[1], xs))
)
FLAG = Range(Kind("True or False", lambda x: isinstance(x, bool | np.bool_)))
NAMES = Range(TEXTS)
TEXT = Range(Kind("a text", lambda x: isinstance(x, str)))


def check(
    label: str, ranges: Mapping[str, Range], arguments: Mapping[str, Any]
) -> None:
    """Refuses arguments that are not in their ranges.

    Args:
      label: name of the part, for messages.
      ranges: declaration; arguments that it lacks are not checked.
      arguments: name to value. A tracer passes for a number.

    Raises:
      InputError: a value is of another type, or out of its range.

    >>> check("adam", {"b1": SHARE}, {"b1": 0.9})
    >>> check("adam", {"b1": SHARE}, {"b1": 1})
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: adam: b1 must be at least 0 and less than 1, not 1
    >>> check("adam", {"b1": SHARE}, {"b1": "1"})
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: adam: b1 must be a number, not '1'
    """
    for name, value in arguments.items():
        if name not in ranges:
            continue
        kind, words, holds = ranges[name]
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(value)):
            if kind.traced and isinstance(value, Tracer):
                continue
            raise TypeError(f"{label}: {name} must be {kind.words}, and not traced")
        if not kind.fits(value):
            raise InputError(
                f"{label}: {name} must be {kind.words}, not {shown(value)}"
            )
        if not holds(value):
            raise InputError(f"{label}: {name} must be {words}, not {value}")


def of_signature(
    factory: Callable[..., Any], declared: Mapping[str, Range]
) -> dict[str, Range]:
    """Finds the ranges of a function's arguments.

    Args:
      factory: function whose arguments are wanted.
      declared: ranges by name; None passes where it is the default. An argument that
        is not declared has the type of its default, a truth value, a text or a number.

    Returns:
      Argument to range.

    >>> sorted(of_signature(lambda a, b=1.0, c="x", d=None: 0, {"a": COUNT}))
    ['a', 'b', 'c']
    """
    found = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        default = parameter.default
        range_ = declared.get(name) or _of_default(default)
        if range_ is not None:
            found[name] = _or_none(range_) if default is None else range_
    return found


def _of_default(default: Any) -> Range | None:
    if isinstance(default, bool):
        return FLAG
    if isinstance(default, str):
        return TEXT
    if isinstance(default, int | float):  # optax's own may be schedules, too
        return Range(RATE)
    return None


def _or_none(range_: Range) -> Range:
    kind, words, holds = range_
    either = kind._replace(fits=lambda x: x is None or kind.fits(x))
    return Range(either, words, lambda x: x is None or holds(x))


def shown(value: Any) -> str:
    """Writes a value in a message: its repr on one line, cut after 60 characters.

    >>> shown("x" * 100)[-9:]
    'xxxxxx...'
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
