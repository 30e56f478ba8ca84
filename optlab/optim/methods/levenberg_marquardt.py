"""Levenberg-Marquardt: Gauss-Newton, damped by how well the last step was predicted.

    (J^T J + nu D) s = J^T r,      x+ = x - s   if f falls as predicted, else x
    nu and D follow one of `damping`'s rules; for a loss l(z): J^T H J and J^T l'(z)

One update is one trial: a rejected step is a zero update, and the next tries again
with more damping. Lanes of a vmap run in lockstep, so with an inner loop all of them
would wait for the one with the most rejections.

The geodesic correction a / 2 fits the outputs along the path to second order.

Sources: Marquardt, SIAM J. Appl. Math. 11 (1963); Transtrum, Sethna, arXiv:1201.5885,
eq. (15) and (16) (the geodesic correction).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab.errors import InputError, check_choice
from optlab.optim.arguments import checked
from optlab.optim.dense.damping import RULES, SCALINGS, next_damping, next_scale
from optlab.optim.dense.least_squares import attempt, local, predicted_decrease
from optlab.optim.dense.lift import OUTPUTS, lift
from optlab.optim.dense.linear import SOLVERS
from optlab.optim.info import Info, initial

# A correction longer than this, relative to the step, means that the step has left the
# region where two derivatives describe the function.
BEND_LIMIT = 0.75


class LevenbergMarquardtState(NamedTuple):
    """State between two trials."""

    nu: jax.Array  # scalar
    growth: jax.Array  # scalar: v of Nielsen's rule
    scale: jax.Array  # memory of D [n], or a scalar for `identity`
    info: Info


@checked
def levenberg_marquardt(
    damping: Any = None,
    decrease: Any = None,
    increase: Any = None,
    max_damping: Any = 1e10,
    rule: str = "nielsen",
    scaling: str | None = None,
    geodesic: bool = True,
    solver: str = "cholesky",
) -> optax.GradientTransformationExtraArgs:
    """Builds Levenberg-Marquardt, one trial step for each update.

    Use it first for curve fits and small nets on full batches. On large nets or noisy
    batches try `gauss_newton` with ``solver="cg"`` and damping 1, or a first-order
    method; where residuals at the solution are large, `newton` or `bfgs`. With m
    outputs and n parameters a step takes of the order of m n min(m, n) operations
    and m n numbers, with ``cg`` products only; the state is n numbers, or a few scalars
    with ``identity``.

    Pass ``residual_fn`` to ``update``, or for a loss that is no sum of squares (such
    as cross-entropy) ``output_fn`` and ``output_loss_fn``. Pass ``grad``, the gradient
    itself, too: a change of it before this method (clipping) is then refused, and
    otherwise ignored.

    ``damping`` is read once, by ``init``; the other numbers but None may change during
    a run, by `optax.inject_hyperparams`.

    Args:
      damping: first nu, relative to D. None for 1, or for 1e-3 where ``scaling`` is
        chosen by shape to be ``identity``.
      decrease: factor of nu after an accepted step, for ``nielsen`` the smallest one;
        None for the rule's default, 0.1 or 1/3, or for 0.1 where outputs are fewer
        than parameters and ``scaling`` is None.
      increase: factor of nu after a rejection, for ``nielsen`` the first one after an
        accepted step; None for the rule's default, 10 or 2.
      max_damping: nu at which a rejected step means that the method stalls.
      rule: ``trainlm`` or ``nielsen``, static.
      scaling: name of the damping's matrix D, static: ``identity`` (times the curvature
        along the gradient), ``marquardt`` (the diagonal of J^T J), ``more`` (its
        maximum so far), ``fading`` (a maximum that forgets a tenth at each step) or
        ``balanced`` (the last one, its smaller entries raised by at most ten). None for
        ``balanced``, or for ``identity`` where ``cg`` has no diagonal or outputs are
        fewer than parameters, as in wide nets.
      geodesic: whether to correct the step for the curvature of its path, static;
        it costs two more products.
      solver: ``cholesky``, ``qr`` (for badly conditioned residuals) or ``cg`` (no
        matrices, a residual of 0.1%), static; the first two solve an m x m system where
        m < n. ``cg`` is for nets: it has no diagonal to scale by, and parameters in
        units far apart (1 and 1e6) hardly move. A fit of a wide net goes lower now and
        then by ``qr``: in float32 J J^T has lost its small eigenvalues to rounding.

    Returns:
      The optimizer. Its state's ``info`` holds the diagnostics of the last trial.

    Raises:
      InputError: an unknown rule, scaling or solver, ``cg`` with a scaling that needs a
        matrix, or a number out of its range, unless it is traced; from ``update``,
        where matrices do not fit, or ``qr`` meets a loss that is no sum of squares.

    >>> from optlab.solving import solve
    >>> rosenbrock = lambda x: jnp.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])
    >>> start = jnp.array([-1.2, 1.0])
    >>> solve(levenberg_marquardt(), start, residual_fn=rosenbrock).params.round(4)
    Array([1., 1.], dtype=float32)
    """
    check_choice("rule", rule, RULES, "levenberg_marquardt")
    by_shape = scaling is None and solver != "cg"
    if scaling is None:
        scaling = "identity" if solver == "cg" else "balanced"
    check_choice("scaling", scaling, SCALINGS, "levenberg_marquardt")
    check_choice("solver", solver, SOLVERS, "levenberg_marquardt")
    if solver == "cg" and scaling != "identity":
        raise InputError(
            "levenberg_marquardt: solver='cg' has no matrix to read a diagonal from; "
            "use scaling='identity'"
        )
    diagonal = scaling != "identity"
    smaller, larger = RULES[rule]
    increase = larger if increase is None else increase

    def init(x):
        return LevenbergMarquardtState(
            nu=jnp.asarray(1.0 if damping is None else damping, x.dtype),
            growth=jnp.asarray(increase, x.dtype),
            scale=jnp.zeros(x.shape if diagonal else (), x.dtype),
            info=initial(x.dtype),
        )

    def update(g, state, x, objective):
        del g  # J^T r is at hand, and agrees with the residuals that judge the step
        few = by_shape and jax.eval_shape(objective.output_fn, x).size < x.size
        here = local(
            objective,
            x,
            solver=solver,
            diagonal=diagonal and not few,
            name="levenberg_marquardt",
        )
        chosen = "identity" if few else scaling
        shrink = min(smaller, 0.1) if few else smaller
        shrink = shrink if decrease is None else decrease
        memory, scale = next_scale(chosen, state.scale, here)
        nu = state.nu
        if few and damping is None:  # shapes are known here, and not to `init`
            nu = jnp.where(state.info.evaluations == 0, jnp.asarray(1e-3, x.dtype), nu)
        solve = here.factorize(nu, scale)
        s, products = solve(here.u)
        predicted = predicted_decrease(here.gradient, s, nu * scale)
        trusted = True
        if geodesic:
            # The second derivative of the outputs along s in place of J^T r.
            a, more_products = solve(here.bend(s))
            trusted = jnp.linalg.norm(a) <= BEND_LIMIT * jnp.linalg.norm(s)
            s, products = s + 0.5 * a, products + more_products + 2
        low, high = jnp.finfo(x.dtype).eps, jnp.asarray(max_damping, x.dtype)
        direction, info, progress = attempt(
            here,
            s,
            predicted,
            damping=nu,
            exhausted=nu >= high,
            evaluations=state.info.evaluations + here.evaluations + products,
            trusted=trusted,
        )
        rho, accepted, factors = info.gain_ratio, info.accepted, (shrink, increase)
        next_nu, growth = next_damping(rule, nu, state.growth, rho, accepted, factors)
        # Guard: a step that was accepted by rounding says nothing about the model, and
        # one that is not much shorter than the last walks in a cycle.
        cycles = info.step_norm > 0.5 * state.info.step_norm
        rounded = jnp.where(cycles, 2.0, 1.0) * nu
        nu = jnp.where(accepted & ~progress, rounded, next_nu)
        return direction, LevenbergMarquardtState(
            # Guard: less than eps changes no digit, but is slow to come back from.
            nu=jnp.clip(nu, low, high).astype(x.dtype),
            growth=jnp.minimum(growth, high).astype(x.dtype),
            scale=jnp.broadcast_to(memory, state.scale.shape),
            info=info,
        )

    step = lift(init, update, name="levenberg_marquardt", needs=OUTPUTS)
    return optax.chain(step, optax.scale(-1.0))
