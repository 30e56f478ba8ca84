"""The bold driver: gradient descent whose step grows as long as the value falls.

    x+ = x - eta g           unless f would rise by more than 4%: then x+ = x
    eta+ = 1.05 eta          where f falls
           0.70 eta          where it does not

The step is tried before it is made, on the batch of the gradient: so an undo is a zero
update, a comparison never mixes two batches, and no update depends on an earlier one
having been made in full.

Source: Vogl et al., Accelerating the Convergence of the Back-Propagation Method,
Biological Cybernetics 59 (1988), section 2, with the numbers of MATLAB's traingda,
which shrinks eta only where it undoes the step and keeps it after a small rise.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab import ranges
from optlab.optim.arguments import checked
from optlab.optim.dense.lift import lift
from optlab.optim.info import Info, initial


class BoldDriverState(NamedTuple):
    """State between two trials."""

    rate: jax.Array  # eta, scalar
    info: Info


@checked
def bold_driver(
    learning_rate: Any = 0.01,
    increase: Any = 1.05,
    decrease: Any = 0.7,
    tolerance: Any = 0.04,
) -> optax.GradientTransformationExtraArgs:
    """Builds gradient descent with the learning rate of the bold driver.

    Use it on full batches where no rate is known. Not on mini-batches: a rate that
    lowers the value of one of them may be too large for their mean. A step costs one
    value beside the gradient; the state is a few scalars, whatever the number of
    parameters. Try `steepest_descent` next, which searches each length, `bfgs` where
    steps are many, or `sgd` with a schedule on mini-batches.

    ``learning_rate`` is read once, by ``init``; the other numbers may change during a
    run, by `optax.inject_hyperparams`.

    Args:
      learning_rate: the first eta, in units of a squared parameter over those of the
        value: an objective that is k times as large needs 1 / k of it. A rate far from
        the right size takes time to correct, the longer the smaller it is.
      increase: factor of eta after a decrease of the value.
      decrease: factor of eta otherwise.
      tolerance: greatest rise of the value, as a share of it, that is not undone.

    Returns:
      The optimizer. Its state's ``info`` holds the diagnostics of the last trial.

    Raises:
      InputError: a number out of its range, unless it is traced.

    >>> from optlab.solving import solve
    >>> bowl = lambda x: x[0] ** 2 + 3 * x[1] ** 2
    >>> solve(bold_driver(), jnp.ones(2), value_fn=bowl).params.round(3) + 0
    Array([0., 0.], dtype=float32)
    """
    ranges.check(
        "bold_driver",
        {"learning_rate": ranges.NOT_NEGATIVE},
        {"learning_rate": learning_rate},
    )

    def init(x):
        rate = jnp.asarray(learning_rate, x.dtype)
        return BoldDriverState(rate=rate, info=initial(x.dtype))

    def update(g, state, x, objective):
        f, step = objective.value, state.rate * g
        trial = objective.value_fn(x - step)
        # Guard: a function may have a value at infinity, but no step leads there.
        trial = jnp.where(jnp.all(jnp.isfinite(step)), trial, jnp.nan)
        finite = jnp.isfinite(trial)
        fell = finite & (trial < f)
        stays = finite & (trial <= f + tolerance * jnp.abs(f))
        squared = jnp.vdot(g, g)
        info = Info(
            loss=f,
            gradient_norm=jnp.sqrt(squared),
            step_norm=jnp.linalg.norm(step),
            damping=state.rate,
            gain_ratio=(f - trial) / (state.rate * squared),
            accepted=stays,
            stalled=~stays & jnp.all((x - step == x) | ~jnp.isfinite(step)),
            evaluations=state.info.evaluations + 1,
        )
        rate = (state.rate * jnp.where(fell, increase, decrease)).astype(x.dtype)
        return jnp.where(stays, step, 0.0), BoldDriverState(rate=rate, info=info)

    return optax.chain(lift(init, update, name="bold_driver"), optax.scale(-1.0))
