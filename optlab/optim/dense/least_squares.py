"""The damped linear problem of Gauss-Newton and Levenberg-Marquardt at x.

    (G + diag(d)) s = J^T u,      G = J^T H J,      f(x) = l(z(x)),   u = l'(z)

A sum of squares is the case z = r, l = 0.5 r.r, hence u = r and H = I.

Source: Nocedal, Wright, Numerical Optimization (2nd ed.), section 10.2.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from optlab import curvature
from optlab.errors import InputError
from optlab.optim.dense.lift import Objective, half_square
from optlab.optim.dense.linear import cg_solve, cholesky_solve, qr_solve
from optlab.optim.dense.trial import judge
from optlab.optim.info import Info


class Local(NamedTuple):
    """The objective near x: value, derivatives and the linear problem's solver."""

    value: jax.Array  # f(x)
    gradient: jax.Array  # J^T u [n]
    diagonal: jax.Array  # of G [n]; ones for cg, which has no matrix to read it from
    solve: Callable  # (d [n], u [m]) -> (s [n], products)
    decrease: Callable  # s [n] -> f(x) - f(x - s)
    u: jax.Array  # l'(z) [m]
    bend: Callable  # s [n] -> H z'' [m], z'' the second derivative of z along s
    evaluations: int  # number of evaluations that these took


def local(objective: Objective, x: jax.Array, *, solver: str, name: str) -> Local:
    """Builds the damped linear problem at x [n], by one of ``linear.SOLVERS``.

    Raises:
      InputError: matrices that do not fit; ``qr`` for a loss that is no sum of squares.
    """
    output_fn, loss_fn, squares = objective[2:]
    assert output_fn is not None  # the lift saw to it
    assert loss_fn is not None
    if solver == "qr" and not squares:
        raise InputError(f"{name}: solver='qr' needs residual_fn; use 'cholesky'")

    def curve(z):  # l'(z) and v -> H v
        return (z, lambda v: v) if squares else jax.linearize(jax.grad(loss_fn), z)

    if solver == "cg":
        z, push = jax.linearize(output_fn, x)
        transposed = jax.linear_transpose(push, x)
        pull = lambda u: transposed(u)[0]  # noqa: E731
        u, H = curve(z)  # noqa: N806
        diagonal, evaluations = jnp.ones_like(x), 2
        product = lambda v: pull(H(push(v)))  # noqa: E731
        solve = lambda d, u: cg_solve(product, d, pull(u))  # noqa: E731
    else:
        m, n = jax.eval_shape(output_fn, x).size, x.size
        shapes = {
            "qr": [(m + n, n), (m + n, n), (n, n)],  # [J; sqrt(d)], Q, diag(sqrt(d))
            "cholesky": [(m, n)] * (1 if squares else 2) + [(n, n)],  # J, H J, G
        }[solver]
        curvature.require_memory(name, shapes, x.dtype, f"{name}(solver='cg')")
        z, J = curvature.jacobian(output_fn, x)  # noqa: N806
        pull = lambda u: J.T @ u  # noqa: E731
        u, H = curve(z)  # noqa: N806
        evaluations = n
        if solver == "qr":
            diagonal = jnp.sum(J**2, 0)
            solve = lambda d, u: (qr_solve(J, d, u), 0)  # noqa: E731
        else:
            HJ = J if squares else jax.vmap(H, 1, 1)(J)  # noqa: N806
            G = J.T @ HJ  # noqa: N806
            diagonal = jnp.diag(G)
            solve = lambda d, u: (cholesky_solve(G, d, pull(u)), 0)  # noqa: E731

    def decrease(s):
        if squares:
            trial = output_fn(x - s)
            # (a - b)(a + b): the difference of two sums of squares would cancel.
            return 0.5 * jnp.vdot(z - trial, z + trial)
        return objective.value - objective.value_fn(x - s)

    def bend(s):
        along = lambda t: output_fn(x - t * s)  # noqa: E731
        tangent = lambda t: jax.jvp(along, (t,), (jnp.ones_like(t),))[1]  # noqa: E731
        t = jnp.zeros((), x.dtype)
        return H(jax.jvp(tangent, (t,), (jnp.ones_like(t),))[1])

    return Local(
        value=half_square(z) if squares else objective.value,
        gradient=pull(u),
        diagonal=diagonal,
        solve=solve,
        decrease=decrease,
        u=u,
        bend=bend,
        evaluations=evaluations,
    )


def attempt(
    here: Local, s, predicted, *, damping, exhausted, evaluations, trusted: Any = True
) -> tuple[jax.Array, Info]:
    """Tries the point x - s, and takes the step where f falls as predicted.

    Args:
      here: objective near x.
      s: step [n]; one that is not finite is rejected.
      predicted: decrease that the model promises, from ``predicted_decrease``.
      damping: damping or length of this step, for the diagnostics.
      exhausted: bool, whether a rejection leaves nothing smaller to try.
      evaluations: number of evaluations so far, without this trial.
      trusted: bool, false where the method itself rejects the step.

    Returns:
      The step, zeros where it is rejected, and diagnostics.
    """
    ratio, accepted = judge(here.value, here.decrease(s), predicted)
    accepted = accepted & trusted
    return jnp.where(accepted, s, 0.0), Info(
        loss=here.value,
        gradient_norm=jnp.linalg.norm(here.gradient),
        step_norm=jnp.linalg.norm(s),
        damping=damping,
        gain_ratio=ratio,
        accepted=accepted,
        stalled=~accepted & exhausted,
        evaluations=evaluations + 1,
    )


def predicted_decrease(
    g: jax.Array, s: jax.Array, d: jax.Array, length: jax.Array | float = 1.0
) -> jax.Array:
    """Computes m(0) - m(length * s), m(s) = -g.s + s.G s / 2, (G + diag(d)) s = g.

    >>> G, d, g = 3.0, 1.0, 8.0  # s = 2, m(s) = -16 + 6
    >>> float(predicted_decrease(jnp.array([g]), jnp.array([g / (G + d)]), d))
    10.0
    """
    gs = jnp.vdot(g, s)
    return length * gs - 0.5 * length**2 * (gs - jnp.vdot(s, d * s))
