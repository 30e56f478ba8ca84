"""Steepest descent: along the gradient, by a length from a line search.

    x+ = x - t g,     first trial t = t- (g-.g- / g.g), the last step's first-order gain

Source: Cauchy 1847; Nocedal, Wright, Numerical Optimization (2nd ed.), section 3.5
(the first trial).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab.optim.arguments import checked
from optlab.optim.dense.lift import lift
from optlab.optim.dense.line_search import step_along
from optlab.optim.dense.units import in_own_unit
from optlab.optim.info import Info, initial


class SteepestDescentState(NamedTuple):
    """State between two searches."""

    gain: jax.Array  # t g.g of the last step, scalar; 0 before the first step
    unit: jax.Array  # scalar c of `units`; 0 before the first update
    info: Info


@checked
def steepest_descent(curvature: Any = 0.1) -> optax.GradientTransformationExtraArgs:
    """Builds steepest descent with a line search, the baseline of all other methods.

    Use it as a baseline only: its steps grow in number with the condition of the
    Hessian. A step costs a few gradients beside the given one and 2 n numbers, with n
    parameters; the state is a few scalars. Try `bfgs` next, `newton_cg` for large n, or
    `adam` on noisy batches.

    ``curvature`` may change during a run, by `optax.inject_hyperparams`.

    Args:
      curvature: c2 of the strong Wolfe conditions, the greatest share of the slope
        that may remain; smaller for a more exact search.

    Returns:
      The optimizer. Its state's ``info`` holds the diagnostics of the last search.

    Raises:
      InputError: ``curvature`` is not at least 0 and less than 1.

    >>> from optlab.solving import solve
    >>> bowl = lambda x: x[0] ** 2 + 3 * x[1] ** 2
    >>> solve(steepest_descent(), jnp.ones(2), value_fn=bowl).params.round(4) + 0
    Array([0., 0.], dtype=float32)
    """

    def init(x):
        zero = jnp.zeros((), x.dtype)
        return SteepestDescentState(gain=zero, unit=zero, info=initial(x.dtype))

    def update(g, state, x, objective):
        squared = jnp.vdot(g, g)
        # Without a last step, or after a failed one, the first trial is at most 1 long.
        first = 1 / jnp.maximum(jnp.sqrt(squared), 1.0)
        t = jnp.where(state.gain > 0, state.gain / squared, first)
        step, point, info = step_along(objective, state.info, x, g, g, t, curvature)
        moved = info.accepted
        info = info._replace(stalled=~moved & (state.gain == 0))
        gain = jnp.where(moved, point.t * squared, 0.0)
        return jnp.where(moved, step, 0.0), state._replace(gain=gain, info=info)

    step = lift(init, in_own_unit(update), name="steepest_descent")
    return optax.chain(step, optax.scale(-1.0))
