"""Ranges of the methods' arguments, checked by name and where a factory is called."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
from jax.core import Tracer

from optlab import ranges
from optlab.errors import InputError
from optlab.ranges import Range

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: Type and range of every argument of the built-in methods, by its name.
RANGES: dict[str, Range] = {
    **dict.fromkeys(("learning_rate", "adam_learning_rate"), ranges.LEARNING_RATE),
    **dict.fromkeys(
        (
            "damping",
            "eps",
            "weight_decay",
            "initial_accumulator_value",
            "min_length",
        ),
        ranges.NOT_NEGATIVE,
    ),
    **dict.fromkeys(("first_step", "radius", "max_damping"), ranges.POSITIVE),
    "decrease": ranges.Range(
        ranges.NUMBER, "more than 0 and at most 1", lambda x: 0 < x <= 1
    ),
    "increase": ranges.Range(ranges.NUMBER, "more than 1", lambda x: x > 1),
    "max_radius": ranges.FINITE_POSITIVE,
    **dict.fromkeys(
        ("b1", "b2", "curvature", "decay", "momentum", "tolerance"), ranges.SHARE
    ),
    "max_products": ranges.COUNT,
    "geodesic": ranges.FLAG,
    "decayed": ranges.NAMES,
    **dict.fromkeys(("indefinite", "rule", "scaling", "solver"), ranges.TEXT),
}


#: Types that `checked` looks at; of texts the factory says more.
_KINDS = ranges.NUMBER, ranges.RATE, ranges.WHOLE, ranges.FLAG.kind


def checked(factory: Callable[_P, _T]) -> Callable[_P, _T]:
    """Makes a factory refuse numbers that are out of their range in ``RANGES``.

    Of a tracer only the shape is known and checked. The factory itself checks texts.

    Args:
      factory: function that builds an optimizer.

    Returns:
      The same function; it raises ``InputError`` for a number out of its range.

    >>> checked(lambda radius=1.0: radius)(radius=2.0)
    2.0
    >>> checked(lambda radius=1.0: radius)(radius=0.0)
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: <lambda>: radius must be more than 0, not 0.0
    """
    signature, name = inspect.signature(factory), factory.__name__
    declared = {
        argument: range_
        for argument, range_ in ranges.of_signature(factory, RANGES).items()
        if argument in RANGES and RANGES[argument].kind in _KINDS
    }

    @functools.wraps(factory)
    def checking(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return factory(*args, **kwargs)  # raises with the factory's name
        ranges.check(name, declared, _known(name, given))
        return factory(*args, **kwargs)

    return checking


def require_optimizer(where: str, tx: Any) -> None:
    """Refuses what is no optimizer: a name, a factory, anything else.

    Args:
      where: function that takes it, for the message.
      tx: value that was given.

    Raises:
      InputError: it has no ``init`` and ``update``.

    >>> require_optimizer("solve", "adam")
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: solve: tx is a name: make it, optlab.optim.make('adam')
    """
    if isinstance(tx, str):
        raise InputError(f"{where}: tx is a name: make it, optlab.optim.make({tx!r})")
    if not (hasattr(tx, "init") and hasattr(tx, "update")):
        if callable(tx):
            name = getattr(tx, "__name__", "tx")
            raise InputError(f"{where}: tx is a function: call it, {name}()")
        raise InputError(f"{where}: tx={tx!r} is no optimizer; give one: optlab.bfgs()")


def _known(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """Leaves out tracers; one that is no scalar is refused."""
    known = {}
    for name, value in given.items():
        traced = [x for x in jax.tree.leaves(value) if isinstance(x, Tracer)]
        if not traced:
            known[name] = value
        elif traced[0] is value and value.ndim:
            raise InputError(
                f"{method}: {name} must be a number, not an array of the shape "
                f"{value.shape}: take one entry, x[0]"
            )
    return known
