"""What a test problem is: a source, a start, a formula and the known optimum."""

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
    """A problem by its residuals.

    Args:
      name: of the problem.
      source: where it stands.
      start: the standard start [n].
      residual_fn: x [n] -> residuals [m].
      squares: the known minima of sum(r**2), as sources print them.
      minimizer: of the least of them [n], if known.

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


def general(
    name: str,
    source: str,
    start: Any,
    value_fn: Callable[[jax.Array], jax.Array],
    minima: tuple[float, ...],
    minimizer: Any = None,
) -> Problem:
    """A problem that is no sum of squares; arguments as in `least_squares`."""
    return Problem(
        name=name,
        source=source,
        start=np.asarray(start, float),
        value_fn=lambda x: value_fn(jnp.asarray(x)),
        minima=minima,
        minimizer=None if minimizer is None else np.asarray(minimizer, float),
        residual_fn=None,
    )
