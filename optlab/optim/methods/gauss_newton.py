"""Gauss-Newton: the least squares of the linearized residuals, with a step length.

    (J^T J + nu c/2 I) s = J^T r,  c = g.G g / g.g,  nu small and constant
    x+ = x - a s   if f falls as predicted, else x
    a+ = min(1, 2 a) after an accepted step, a / 2 after a rejected one
    for a loss l(z): J^T H J and J^T l'(z)

One update is one trial. After a rejection this method shortens the step, where
`levenberg_marquardt` turns its direction.

Source: Nocedal, Wright, Numerical Optimization (2nd ed.), eq. (10.23) and section 10.3;
for l(z): Schraudolph, Neural Computation 14 (2002), section 3.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab.errors import check_choice
from optlab.optim.arguments import checked
from optlab.optim.dense.damping import next_scale
from optlab.optim.dense.least_squares import attempt, local, predicted_decrease
from optlab.optim.dense.lift import OUTPUTS, lift
from optlab.optim.dense.linear import SOLVERS
from optlab.optim.info import Info, initial

# Default damping where outputs are fewer than parameters, and where they are not.
FEW_OUTPUTS, ENOUGH = 0.2, 2e-6


class GaussNewtonState(NamedTuple):
    """State between two trials."""

    length: jax.Array  # scalar a: share of the full step
    info: Info


@checked
def gauss_newton(
    damping: Any = None, min_length: Any = 1e-9, solver: str = "cholesky"
) -> optax.GradientTransformationExtraArgs:
    """Builds Gauss-Newton with a step length, one trial for each update.

    Use it where the residuals at the solution are small and the start is near, or on
    mini-batches of a small net. Not for rank-deficient fits far from the start, nor for
    parameters in units far apart (1 and 1e6), which only ``damping=0`` then moves. A
    step takes of the order of m n min(m, n) operations and m n numbers, with m outputs
    and n parameters; ``cg`` takes products only, for nets of any size. The state is a
    few scalars. Try `levenberg_marquardt` next.

    Pass ``residual_fn`` to ``update``, or ``output_fn`` and ``output_loss_fn`` for a
    loss that is no sum of squares (cross-entropy), which takes the generalized
    Gauss-Newton matrix. Pass ``grad``, the gradient itself, too: a change of it before
    this method (clipping) is then refused, and otherwise ignored.

    All numbers but None may change during a run, by `optax.inject_hyperparams`.

    Args:
      damping: nu, in units of half the curvature c along the gradient, with every
        solver. A library that adds lambda I takes the same step where
        lambda = nu c / 2; c changes from step to step. None for 2e-6, and for 0.2
        where outputs are fewer than parameters: these, as on a mini-batch, say nothing
        of most directions, and an undamped step is long in them.
      min_length: length at which a rejected step means that the method stalls.
      solver: ``cholesky``, ``qr`` (for badly conditioned residuals) or ``cg`` (no
        matrices, a residual of 0.1%), static; the first two solve an m x m system where
        m < n.

    Returns:
      The optimizer. Its state's ``info`` holds the diagnostics of the last trial;
      their ``damping`` is the length a.

    Raises:
      InputError: an unknown solver, or a number out of its range, unless it is traced;
        from ``update``, where matrices do not fit, or ``qr`` meets a loss that is no
        sum of squares.

    >>> from optlab.solving import solve
    >>> t, y = jnp.array([0.0, 1.0, 2.0]), jnp.array([1.0, 3.0, 5.0])
    >>> line = lambda x: x[0] * t + x[1] - y
    >>> solution = solve(gauss_newton(), jnp.zeros(2), residual_fn=line)
    >>> solution.params.round(4), int(solution.steps) <= 2
    (Array([2., 1.], dtype=float32), True)
    """
    check_choice("solver", solver, SOLVERS, "gauss_newton")

    def init(x):
        return GaussNewtonState(length=jnp.ones((), x.dtype), info=initial(x.dtype))

    def update(g, state, x, objective):
        del g  # J^T r is at hand, and agrees with the residuals that judge the step
        here = local(objective, x, solver=solver, diagonal=False, name="gauss_newton")
        few = here.u.size < x.size
        chosen = (FEW_OUTPUTS if few else ENOUGH) if damping is None else damping
        nu = jnp.asarray(chosen, x.dtype)
        scale = next_scale("identity", jnp.zeros(()), here)[1] / 2
        s, products = here.factorize(nu, scale)(here.u)
        length, d = state.length, nu * scale
        direction, info, progress = attempt(
            here,
            length * s,
            predicted_decrease(here.gradient, s, d, length),
            damping=length,
            exhausted=length <= min_length,
            evaluations=state.info.evaluations + here.evaluations + products,
        )
        # Guard: a step that was accepted by rounding and is not much shorter than the
        # last walks in a cycle.
        cycles = ~progress & (info.step_norm > 0.5 * state.info.step_norm)
        longer = jnp.where(progress, jnp.minimum(1.0, 2 * length), length)
        length = jnp.where(info.accepted & ~cycles, longer, length / 2)
        return direction, GaussNewtonState(length=length.astype(x.dtype), info=info)

    step = lift(init, update, name="gauss_newton", needs=OUTPUTS)
    return optax.chain(step, optax.scale(-1.0))
