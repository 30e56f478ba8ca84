"""A method in units of its own, in which the objective is neither huge nor tiny.

    f -> c f,    g -> c g,    c a power of two, chosen at the first update

An optimum does not depend on the unit of f, but squares of gradients of 1e-20 or 1e20
leave float32, and a first radius or step length means something else in each unit. A
power of two changes no digit, so that runs in units 2^k apart are equal where c makes
up for the whole of it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from optlab.optim.dense.lift import Objective

# Values and gradients are left as they are from 2^-6 to this power of 1 / eps. Beyond
# it, the identity with which secant methods start is lost in the rounding of V.
LOW, HIGH = -6, 0.85


def unit_of(value: jax.Array, g: jax.Array) -> jax.Array:
    """Chooses the factor c by the larger of |f| and the largest entry of |g|.

    Args:
      value: f, scalar.
      g: gradient [n].

    Returns:
      c, a power of two that brings the larger one to the nearer end of the usual
      range; 0 where none can be chosen: both are zero, or one is not finite.

    >>> unit_of(jnp.array(0.0), jnp.array([2.0**29, 1.0])) == 2.0**-10
    Array(True, dtype=bool)
    >>> [float(unit_of(jnp.array(f), jnp.zeros(1))) for f in (3.0, 0.0, jnp.inf)]
    [1.0, 0.0, 0.0]
    """
    size = jnp.maximum(jnp.abs(value), jnp.max(jnp.abs(g), initial=0.0))
    usable = (size > 0) & jnp.isfinite(size)
    exponent = jnp.frexp(jnp.where(usable, size, 1.0))[1] - 1
    limits = jnp.finfo(size.dtype)
    shift = jnp.clip(exponent, LOW, int(HIGH * limits.nmant)) - exponent
    # Guard: a factor above the largest float would be infinite.
    most = limits.maxexp - 1
    c = jnp.ldexp(jnp.ones((), size.dtype), jnp.clip(shift, 1 - most, most))
    return jnp.where(usable, c, 0.0)


def in_own_unit(update: Callable) -> Callable:
    """Wraps a flat ``update`` so that it sees f and g times c.

    Args:
      update: (g [n], state, x [n], ``Objective``) -> (step [n], state). The state has
        the fields ``unit`` (c; 0 until it is chosen) and ``info``. It may call
        ``value_fn`` alone.

    Returns:
      The same function of the objective in the caller's unit. The info's loss and
      gradient norm are in the caller's unit, its radius or length in the method's own.
    """

    def outer(g: jax.Array, state: Any, x: jax.Array, objective: Objective):
        unit = jnp.where(state.unit > 0, state.unit, unit_of(objective.value, g))
        c = jnp.where(unit > 0, unit, 1.0)
        inside = objective._replace(
            value=c * objective.value, value_fn=lambda x: c * objective.value_fn(x)
        )
        step, new = update(c * g, state, x, inside)
        info = new.info._replace(
            loss=objective.value, gradient_norm=new.info.gradient_norm / c
        )
        return step, new._replace(unit=unit, info=info)

    return outer
