"""Steepest descent: along the gradient, by a length from a line search.

    x+ = x - t g,     first trial t = t- (g-.g- / g.g), the last step's first-order gain

Source: Cauchy 1847; Nocedal, Wright, Numerical Optimization (2nd ed.), section 3.5
(the first trial).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab.optim.dense.lift import lift
from optlab.optim.dense.line_search import step_along
from optlab.optim.info import Info, initial


class SteepestDescentState(NamedTuple):
    """State between two searches."""

    gain: jax.Array  # t g.g of the last step, scalar; 0 before the first step
    info: Info


def steepest_descent(curvature: Any = 0.1) -> optax.GradientTransformationExtraArgs:
    """Builds steepest descent with a line search, the baseline of all other methods.

    Args:
      curvature: c2 of the strong Wolfe conditions, the greatest share of the slope
        that may remain; smaller for a more exact search.

    Returns:
      The optimizer. Its state's ``info`` holds the diagnostics of the last search.

    >>> from optlab.solving import solve
    >>> bowl = lambda x: x[0] ** 2 + 3 * x[1] ** 2
    >>> solve(steepest_descent(), jnp.ones(2), value_fn=bowl).params.round(4) + 0
    Array([0., 0.], dtype=float32)
    """

    def init(x):
        return SteepestDescentState(gain=jnp.zeros((), x.dtype), info=initial(x.dtype))

    def update(g, state, x, objective):
        squared = jnp.vdot(g, g)
        # Without a last step, or after a failed one, the first trial is at most 1 long.
        first = 1 / jnp.maximum(jnp.sqrt(squared), 1.0)
        t = jnp.where(state.gain > 0, state.gain / squared, first)
        step, point, info = step_along(objective, state.info, x, g, g, t, curvature)
        moved = info.accepted
        info = info._replace(stalled=~moved & (state.gain == 0))
        gain = jnp.where(moved, point.t * squared, 0.0)
        return jnp.where(moved, step, 0.0), SteepestDescentState(gain=gain, info=info)

    return optax.chain(lift(init, update, name="steepest_descent"), optax.scale(-1.0))
