"""Test problem: a source, a start, a formula and the known optimum."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Problem(NamedTuple):
    """An unconstrained minimization whose answer is known.

    ``value_fn`` is 0.5 * sum(r**2) where there are residuals, as everywhere in this
    package; most sources state sum(r**2).
    """

    name: str
    source: str
    start: np.ndarray  # [n], float64
    value_fn: Callable[[jax.Array], jax.Array]  # x [n] -> scalar
    minima: tuple[float, ...]  # known local minima of value_fn, the least one first
    minimizer: np.ndarray | None  # [n], of the least one, where the source gives it
    residual_fn: Callable[[jax.Array], jax.Array] | None  # x [n] -> r [m]


def least_squares(
    name: str,
    source: str,
    start: Any,
    residual_fn: Callable[[jax.Array], jax.Array],
    squares: tuple[float, ...],
    minimizer: Any = None,
) -> Problem:
    """Makes a problem from its residuals.

    Args:
      name: name of the problem.
      source: paper or collection that states the problem.
      start: the standard start [n].
      residual_fn: x [n] -> residuals [m].
      squares: known minima of sum(r**2), as sources print them.
      minimizer: point of the least of them [n], if known.

    Returns:
      The problem.

    >>> problem = least_squares("line", "none", [0.0], lambda x: x - 3.0, (0.0,), [3.0])
    >>> float(problem.value_fn(problem.start))
    4.5
    """
    return Problem(
        name=name,
        source=source,
        start=np.asarray(start, float),
        value_fn=lambda x: 0.5 * jnp.sum(residual_fn(jnp.asarray(x)) ** 2),
        minima=tuple(0.5 * s for s in squares),
        minimizer=None if minimizer is None else np.asarray(minimizer, float),
        residual_fn=residual_fn,
    )


def register(
    problems: list[Problem],
    source: str,
    start: Any,
    minima: tuple[float, ...],
    minimizer: Any = None,
    *,
    squares: bool = True,
) -> Callable:
    """Registers the problem whose formula follows, under the formula's name.

    Args:
      problems: list that the problem is appended to.
      source: paper or collection that states the problem.
      start: the standard start [n].
      minima: known minima, of sum(r**2) where the formula returns residuals.
      minimizer: point of the least of them [n], if known.
      squares: whether the formula returns residuals, as an array or a list of numbers.

    Returns:
      A decorator of a function of x [n], or of n numbers, that returns its argument.

    >>> problems = []
    >>> @register(problems, "none", [0, 0], (0.0,), [1, 2])
    ... def _shifted(a, b):
    ...     return [a - 1, b - 2]
    >>> problems[0].name, float(problems[0].value_fn(problems[0].start))
    ('shifted', 2.5)
    """

    def decorate(formula):
        several = len(inspect.signature(formula).parameters) > 1

        def function(x):
            found = formula(*x) if several else formula(x)
            return jnp.stack(found) if isinstance(found, list) else found

        name = formula.__name__.removeprefix("_")
        problem = least_squares(name, source, start, function, minima, minimizer)
        if not squares:
            value_fn = lambda x: function(jnp.asarray(x))  # noqa: E731
            problem = problem._replace(
                value_fn=value_fn, minima=minima, residual_fn=None
            )
        problems.append(problem)
        return formula

    return decorate
