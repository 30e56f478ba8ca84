"""Machinery of the trust-region methods: trial step, gain ratio, next radius.

    s minimizes m(s) = -g.s + s.H s / 2  over |s| <= radius        (the trial is x - s)
    rho = (f(x) - f(x - s)) / -m(s)
    radius+ = |s| / 4      where rho < 1/4
              3 radius     where rho > 3/4 and s ends at the boundary
              20 radius    where the step before was as good, too

The step is taken where rho > 0.01, the first one where rho > 0.1. One update is one
trial: a rejected step is a zero update, and the next tries again in a smaller region.
Newton and Newton-CG differ only in how they minimize m.

Source: Nocedal, Wright, Numerical Optimization (2nd ed.), algorithm 4.1, which doubles
the radius and takes any threshold below 1/4. A factor of twenty solves more problems:
the norm may change with x, and the same region then has another radius than a step ago.
Such a region may reach a plateau far away, where the step gains next to nothing of what
the model predicts. So may the first one, whose radius is a guess: a first step that
gains less than a tenth finds it too large. After a step that was refused three times
the radius is less than what was refused, so that a curved valley does not refuse every
third step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab.optim.dense.lift import lift
from optlab.optim.dense.linear import norm
from optlab.optim.dense.trial import judge
from optlab.optim.dense.units import in_own_unit
from optlab.optim.info import Info, initial

# Greatest gain ratio of a step that is refused, and of one before the first step.
SUFFICIENT, FIRST_SUFFICIENT = 0.01, 0.1
GOOD = 0.75  # gain ratio of a step after which the radius grows
GROWTH, FIRST_GROWTH = 20.0, 3.0  # factors of it, after two good steps and after one


class TrustRegionState(NamedTuple):
    """State between two trials."""

    radius: jax.Array  # scalar
    unit: jax.Array  # scalar c of `units`; 0 before the first update
    moved: jax.Array  # bool: a step has been taken
    info: Info


class Trial(NamedTuple):
    """A minimizer of the model in the region."""

    step: jax.Array  # s [n], an ascent direction: the trial is x - s
    length: jax.Array  # |s| in the norm of the region, scalar
    predicted: jax.Array  # -m(s), scalar, not negative
    evaluations: jax.Array  # int: number of Hessian columns or products


def next_radius(
    radius: jax.Array,
    length: jax.Array,
    ratio: jax.Array,
    before: jax.Array,
    max_radius: Any,
) -> jax.Array:
    """Computes the radius after a trial; a ratio of NaN means a value not finite.

    ``before`` is the ratio of the trial before; NaN where there was none.

    >>> ratios = (0.1, 0.9), (0.5, 0.9), (0.9, 0.5), (0.9, 0.9)
    >>> [float(next_radius(2.0, 2.0, *map(jnp.array, pair), 9.0)) for pair in ratios]
    [0.5, 2.0, 6.0, 9.0]
    """
    poor = ~(ratio >= 0.25)
    at_boundary = length >= 0.9 * radius
    growth = jnp.where(before > GOOD, GROWTH, FIRST_GROWTH)
    grown = jnp.where((ratio > GOOD) & at_boundary, growth * radius, radius)
    return jnp.where(poor, 0.25 * length, jnp.minimum(grown, max_radius))


def scale_by_trust_region(
    minimize_model: Callable, radius: Any, max_radius: Any, *, name: str
) -> optax.GradientTransformationExtraArgs:
    """Builds the step s of a trust-region method, to be subtracted in full.

    ``minimize_model`` maps (g [n], x [n], radius, ``Objective``) to a ``Trial``.
    """

    def init(x):
        first = jnp.asarray(jnp.minimum(radius, max_radius), x.dtype)
        return TrustRegionState(
            radius=first,
            unit=jnp.zeros((), x.dtype),
            moved=jnp.zeros((), bool),
            info=initial(x.dtype),
        )

    def update(g, state, x, objective):
        trial = minimize_model(g, x, state.radius, objective)
        # Guard: a gradient or curvature that is not finite makes no step at all.
        usable = jnp.all(jnp.isfinite(trial.step)) & jnp.all(jnp.isfinite(g))
        s = jnp.where(usable, trial.step, 0.0)
        f = objective.value
        decrease = f - objective.value_fn(x - s)
        sufficient = jnp.where(state.moved, SUFFICIENT, FIRST_SUFFICIENT)
        ratio, accepted = judge(f, decrease, trial.predicted, sufficient)
        # A step that changes no digit of x has no smaller one to try.
        unmoved = jnp.all(x - s == x)
        accepted = accepted & usable & ~unmoved
        before = jnp.where(state.info.accepted, state.info.gain_ratio, jnp.nan)
        next_ = next_radius(state.radius, trial.length, ratio, before, max_radius)
        info = Info(
            loss=f,
            gradient_norm=norm(g),
            step_norm=norm(s),
            damping=state.radius,
            gain_ratio=ratio,
            accepted=accepted,
            stalled=unmoved,
            evaluations=state.info.evaluations + trial.evaluations + 1,
        )
        radius = jnp.where(usable, next_, state.radius).astype(x.dtype)
        new = state._replace(radius=radius, moved=state.moved | accepted, info=info)
        return jnp.where(accepted, s, 0.0), new

    return lift(init, in_own_unit(update), name=name)
