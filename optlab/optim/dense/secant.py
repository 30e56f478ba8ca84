"""Machinery of BFGS and DFP: the inverse Hessian V, its guards, and the line search.

    d = V g,    x+ = x - t d,    s = -t d,    r = grad f(x+) - grad f(x)
    V+ = formula(V, s, r)   with V+ r = s, the secant equation

A method is its formula alone. The pair (s, r) is measured inside the line search, on
one batch and with all other parameters fixed: so it remains true where a chain changes
the step, the next batch differs, or other optimizers move the rest of the parameters.

Source: Nocedal, Wright, Numerical Optimization (2nd ed.), sections 6.1 and 6.3;
equation 6.20 (scaling).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab import curvature as curvatures
from optlab.errors import check_choice
from optlab.optim.dense.lift import lift
from optlab.optim.dense.line_search import step_along
from optlab.optim.dense.units import in_own_unit
from optlab.optim.info import Info, initial

SCALINGS = ("none", "first", "always")


class SecantState(NamedTuple):
    """State between two searches."""

    V: jax.Array  # inverse Hessian [n, n], symmetric
    fresh: jax.Array  # bool: V is the identity
    unit: jax.Array  # scalar c of `units`; 0 before the first update
    info: Info


def guarded_update(
    formula: Callable,
    V: jax.Array,  # noqa: N803
    s: jax.Array,
    r: jax.Array,
    rescale: Any,
) -> tuple[jax.Array, jax.Array]:
    """Updates V where the pair has positive curvature, and keeps it elsewhere.

    Args:
      formula: (V, s, r) -> V+.
      V: inverse Hessian [n, n].
      s: step [n].
      r: change of the gradient [n].
      rescale: bool, whether V is first multiplied by s.r / r.V r, the curvature
        along r.

    Returns:
      V+ and a bool that is true where it was updated.

    >>> one = jnp.ones(1)
    >>> guarded_update(lambda V, s, r: 0 * V, jnp.eye(1), one, -one, False)
    (Array([[1.]], dtype=float32), Array(False, dtype=bool))
    """
    sr = jnp.vdot(s, r)
    scale = sr / jnp.vdot(r, V @ r)
    new = formula(V * jnp.where(rescale, scale, 1.0), s, r)
    # Guard: without s.r > 0, by more than rounding, V+ is not positive definite.
    eps = jnp.finfo(s.dtype).eps
    curved = sr > eps * jnp.linalg.norm(s) * jnp.linalg.norm(r)
    # Guard: an overflow leaves V as it was.
    updated = curved & jnp.all(jnp.isfinite(new))
    return jnp.where(updated, 0.5 * (new + new.T), V), updated


def scale_by_secant(
    formula: Callable, scaling: str, curvature: Any, first_step: Any, *, name: str
) -> optax.GradientTransformationExtraArgs:
    """Builds the step t V g of a method by its formula (V, s, r) -> V+; see `bfgs`."""
    check_choice("scaling", scaling, SCALINGS, name)

    def init(x):
        n = x.size
        # V, the next V, and their difference in between.
        curvatures.require_memory(name, [(n, n)] * 3, x.dtype, "newton_cg()")
        return SecantState(
            V=jnp.eye(n, dtype=x.dtype),
            fresh=jnp.ones((), bool),
            unit=jnp.zeros((), x.dtype),
            info=initial(x.dtype),
        )

    def update(g, state, x, objective):
        identity = jnp.eye(x.size, dtype=x.dtype)
        # Guard: where rounding has left V indefinite, start it again.
        descends = jnp.vdot(g, state.V @ g) > 0
        fresh = state.fresh | ~descends
        V = jnp.where(fresh, identity, state.V)  # noqa: N806
        d = V @ g
        # The identity has no scale. A short first trial costs the search a few more
        # evaluations, a long one may end on a plateau without a gradient.
        t = jnp.where(fresh, first_step / jnp.maximum(jnp.linalg.norm(g), 1.0), 1.0)
        step, point, info = step_along(objective, state.info, x, g, d, t, curvature)
        found, moved = point.t > 0, info.accepted
        rescale = {"none": False, "first": fresh, "always": True}[scaling]
        r = point.gradient - g
        V, updated = guarded_update(formula, V, -step, r, rescale)  # noqa: N806
        # No decrease along the gradient, or a step that changes no digit of x.
        info = info._replace(stalled=~moved & (fresh | found))
        # After a search without success, the next update starts from the identity.
        fresh = ~found | (fresh & ~updated)
        state = state._replace(V=V, fresh=fresh, info=info)
        return jnp.where(moved, step, 0.0), state

    return lift(init, in_own_unit(update), name=name)
