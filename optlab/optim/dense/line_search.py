"""A step length by the strong Wolfe conditions: bracket, then interpolate.

    phi(t) = f(x - t d),    phi'(0) < 0
    phi(t) <= phi(0) + c1 t phi'(0) + e      sufficient decrease (Armijo)
    |phi'(t)| <= c2 |phi'(0)|                curvature: long enough, and not too long
    c1 = 0.4 c2

``low`` has a sufficient decrease and still descends; ``high`` is not finite, has none,
or ascends. Some length between two such ones fulfils both conditions. e = 10 eps |f|
accepts the last steps, which improve x but no longer the digits of f.

A plateau fulfils the second condition wherever it is. A large c1 keeps the search off
it: a step's decrease must be that share of what the slope promises, of which a parabola
gives the half. c1 < c2, so that both can be met.

Sources: Nocedal, Wright, Numerical Optimization (2nd ed.), section 3.5, and equation
3.11 (Goldstein) for a c1 of this size; the role of e: Hager, Zhang, SIAM J. Optim. 16
(2005), section 4.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from optlab.optim.dense.lift import Objective
from optlab.optim.dense.trial import rounding_of
from optlab.optim.info import Info

SUFFICIENT_DECREASE = 0.4  # c1 / c2
MAX_EVALUATIONS = 40
# A trial keeps a distance from the bracket's ends, as a share of its width; without an
# upper end, the length grows by a factor in the range GROWTH.
MARGIN = 0.1
GROWTH = (2.0, 10.0)


class Point(NamedTuple):
    """A length, with value and derivatives at its end."""

    t: jax.Array  # scalar
    value: jax.Array  # phi(t)
    slope: jax.Array  # phi'(t)
    gradient: jax.Array  # of f [n]


class _Search(NamedTuple):
    low: Point
    high: Point  # at infinity until one is found
    t: jax.Array  # the next trial
    done: jax.Array  # bool: low fulfils both conditions
    k: jax.Array  # int32: evaluations


def cubic_minimizer(a: Point, b: Point) -> jax.Array:
    """Minimizes the cubic with two points' values and slopes; NaN where it cannot.

    >>> f, slope = lambda t: (t - 3.0) ** 2, lambda t: 2 * (t - 3.0)
    >>> a, b = (Point(jnp.array(t), f(t), slope(t), None) for t in (0.0, 4.0))
    >>> float(cubic_minimizer(a, b))
    3.0
    """
    d1 = a.slope + b.slope - 3 * (b.value - a.value) / (b.t - a.t)
    d2 = jnp.sign(b.t - a.t) * jnp.sqrt(d1**2 - a.slope * b.slope)
    return b.t - (b.t - a.t) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2)


def search(
    value_and_grad: Callable, x, value, gradient, d, t, curvature: Any = 0.9
) -> tuple[Point, jax.Array]:
    """Finds a length t for the step x - t d.

    Args:
      value_and_grad: x [n] -> (f, gradient [n]).
      x: start of the step [n].
      value: f(x).
      gradient: gradient of f at x [n].
      d: ascent direction [n], d.gradient > 0.
      t: first length to try.
      curvature: c2, smaller for a more exact search.

    Returns:
      The point found and the number of evaluations. A length of zero means that no
      tried length decreased f enough. After ``MAX_EVALUATIONS`` it is the lower end
      of the bracket.

    >>> f = lambda x: jnp.sum((x - 3.0) ** 2)
    >>> x, one = jnp.zeros(1), jnp.ones(1)
    >>> point, evaluations = search(
    ...     jax.value_and_grad(f), x, f(x), jax.grad(f)(x), -one, 4.0, curvature=0.1
    ... )
    >>> float(point.t), int(evaluations)
    (3.0, 2)
    """
    zero, infinity = jnp.zeros((), x.dtype), jnp.full((), jnp.inf, x.dtype)
    start = Point(zero, value, -jnp.vdot(gradient, d), gradient)
    rounding = rounding_of(jnp.asarray(value, x.dtype))
    promised = SUFFICIENT_DECREASE * curvature * start.slope  # for each unit of t

    def going(state):
        return ~state.done & (state.k < MAX_EVALUATIONS)

    def trial(state):
        f, g = value_and_grad(x - state.t * d)
        new = Point(state.t, f, -jnp.vdot(g, d), g)
        finite = jnp.isfinite(f) & jnp.all(jnp.isfinite(g))
        limit = value + new.t * promised + rounding
        pays = finite & (f <= limit)
        too_short = pays & (new.slope < curvature * start.slope)
        too_long = ~pays | (new.slope > -curvature * start.slope)
        done = ~too_short & ~too_long
        low = _where(too_short | done, new, state.low)
        high = _where(too_long, new, state.high)
        return _Search(low, high, _next(low, high, state), done, state.k + 1)

    nowhere = Point(infinity, infinity, infinity, gradient)
    t = jnp.asarray(t, x.dtype)
    begin = _Search(start, nowhere, t, jnp.zeros((), bool), jnp.zeros((), jnp.int32))
    end = jax.lax.while_loop(going, trial, begin)
    # Guard: a gain that is only rounding counts where the slope says so too, and not
    # where the evaluations ran out; else a search in vain would look like progress.
    paid = end.low.value <= value + end.low.t * promised
    return _where(end.done | paid, end.low, start), end.k


def step_along(
    objective: Objective, before: Info, x, g, d, t, curvature: Any
) -> tuple[jax.Array, Point, Info]:
    """Searches along x - t d and records it; a method fills in ``stalled`` itself."""
    f, value_and_grad = objective.value, jax.value_and_grad(objective.value_fn)
    point, evaluations = search(value_and_grad, x, f, g, d, t, curvature)
    step = jnp.where(point.t > 0, point.t * d, 0.0)
    info = before._replace(
        loss=f,
        gradient_norm=jnp.linalg.norm(g),
        step_norm=jnp.linalg.norm(step),
        damping=point.t,
        gain_ratio=(f - point.value) / jnp.vdot(step, g),
        accepted=jnp.any(x - step != x),
        evaluations=before.evaluations + evaluations,
    )
    return step, point, info


def _next(low, high, state):
    """Chooses the next length: interpolated, or longer while there is no upper end."""
    # Extrapolate the slopes of the last two lengths that were too short.
    secant = low.t - low.slope * (low.t - state.low.t) / (low.slope - state.low.slope)
    longer = jnp.clip(secant, GROWTH[0] * low.t, GROWTH[1] * low.t)
    longer = jnp.where(jnp.isfinite(secant), longer, GROWTH[1] * low.t)
    width = high.t - low.t
    inner = jnp.clip(
        cubic_minimizer(low, high), low.t + MARGIN * width, high.t - MARGIN * width
    )
    # Guard: where the cubic is misled, every third trial halves the bracket.
    halve = ~jnp.isfinite(inner) | (state.k % 3 == 2)
    inner = jnp.where(halve, low.t + 0.5 * width, inner)
    inner = jnp.where(jnp.isfinite(high.value), inner, low.t + MARGIN * width)
    return jnp.where(jnp.isfinite(high.t), inner, longer)


def _where(condition, a, b):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), a, b)
