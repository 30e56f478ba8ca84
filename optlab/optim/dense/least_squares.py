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
from optlab.optim.dense.linear import (
    cg_solve,
    cholesky_solver,
    dual_qr_solver,
    lu_solver,
    norm,
    qr_solver,
)
from optlab.optim.dense.trial import judge, rounding_of
from optlab.optim.info import Info


class Local(NamedTuple):
    """The objective near x: value, derivatives and the linear problem's solver."""

    value: jax.Array  # f(x)
    gradient: jax.Array  # J^T u [n]
    curvature: jax.Array  # g.G g / g.g, scalar
    diagonal: jax.Array | None  # of G [n], where it was asked for
    factorize: Callable  # (nu, scale) -> (u [m] -> (s [n], products)), d = nu * scale
    decrease: Callable  # s [n] -> f(x) - f(x - s)
    u: jax.Array  # l'(z) [m]
    bend: Callable  # s [n] -> H z'' [m], z'' the second derivative of z along s
    evaluations: int  # number of evaluations that these took


def local(
    objective: Objective, x: jax.Array, *, solver: str, diagonal: bool, name: str
) -> Local:
    """Builds the damped linear problem at x [n], by one of ``linear.SOLVERS``.

    Args:
      objective: functions of the problem.
      x: point [n].
      solver: key of ``SOLVERS``.
      diagonal: whether the damping is scaled by the diagonal of G, and else by one
        number; ``cg`` has no matrix to read a diagonal from.
      name: name of the method, for messages.

    Returns:
      The problem near x. With fewer outputs than parameters its matrices are m x m.

    Raises:
      InputError: matrices that do not fit; ``qr`` for a loss that is no sum of squares.
    """
    output_fn, loss_fn, squares = objective[2:]
    assert output_fn is not None  # the lift saw to it
    assert loss_fn is not None
    if solver == "qr" and not squares:
        raise InputError(f"{name}: solver='qr' needs residual_fn; use 'cholesky'")
    m, n = jax.eval_shape(output_fn, x).size, x.size

    def curve(z):  # l'(z) and v -> H v
        return (z, lambda v: v) if squares else jax.linearize(jax.grad(loss_fn), z)

    if solver == "cg":
        parts = _by_products(output_fn, curve, x)
    elif m < n and solver == "cholesky" and not diagonal:
        shapes = [(m, m)] * (1 if squares else 3)  # K, its factor, H K
        curvature.require_memory(name, shapes, x.dtype, f"{name}(solver='cg')")
        parts = _by_gram(output_fn, curve, x, squares)
    else:
        shapes = _shapes(m, n, solver, squares)
        curvature.require_memory(name, shapes, x.dtype, f"{name}(solver='cg')")
        parts = _by_jacobian(output_fn, curve, x, squares, solver)
    z, u, H, push, pull, factorize, entries, evaluations = parts  # noqa: N806
    gradient = pull(u)
    unit = gradient / jnp.maximum(norm(gradient), jnp.finfo(x.dtype).tiny)
    along = push(unit)

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
        gradient=gradient,
        curvature=jnp.vdot(along, H(along)),
        diagonal=entries() if diagonal else None,
        factorize=factorize,
        decrease=decrease,
        u=u,
        bend=bend,
        evaluations=evaluations,
    )


class _Parts(NamedTuple):
    """The outputs near x, as products or by matrices."""

    z: jax.Array  # [m]
    u: jax.Array  # l'(z) [m]
    H: Callable  # v [m] -> H v
    push: Callable  # v [n] -> J v
    pull: Callable  # u [m] -> J^T u
    factorize: Callable  # as of `Local`
    entries: Callable  # () -> diagonal of G [n]
    evaluations: int


def _by_products(output_fn: Callable, curve: Callable, x: jax.Array) -> _Parts:
    z, push, pull = _products(output_fn, x)
    u, H = curve(z)  # noqa: N806
    product = lambda v: pull(H(push(v)))  # noqa: E731
    factorize = lambda nu, scale: (  # noqa: E731
        lambda u: cg_solve(product, nu * scale, pull(u))
    )
    return _Parts(z, u, H, push, pull, factorize, _no_entries, evaluations=2)


def _by_gram(
    output_fn: Callable, curve: Callable, x: jax.Array, squares: bool
) -> _Parts:
    """Takes K = J J^T [m, m] alone, which dense layers have without J."""
    z, K, passes = curvature.counted_gram(output_fn, x)  # noqa: N806
    _, push, pull = _products(output_fn, x)
    u, H = curve(z)  # noqa: N806
    factorize = lambda nu, scale: _dual(  # noqa: E731
        K / scale, H, nu, lambda w: pull(w) / scale, squares
    )
    return _Parts(z, u, H, push, pull, factorize, _no_entries, passes + 1)


def _by_jacobian(
    output_fn: Callable, curve: Callable, x: jax.Array, squares: bool, solver: str
) -> _Parts:
    z, J, evaluations = curvature.counted_jacobian(output_fn, x)  # noqa: N806
    # u @ J, for J.T @ u is six times as slow on a CPU.
    push, pull = (lambda v: J @ v), (lambda u: u @ J)
    u, H = curve(z)  # noqa: N806
    HJ = J if squares else jax.vmap(H, 1, 1)(J)  # noqa: N806
    dual = z.size < x.size
    G = None if dual or solver == "qr" else J.T @ HJ  # noqa: N806

    def factorize(nu, scale):
        if G is not None:
            solve = cholesky_solver(G, nu * scale)
            return lambda u: (solve(pull(u)), 0)
        if solver == "qr":
            solve = dual_qr_solver(J, nu, scale) if dual else qr_solver(J, nu * scale)
            return lambda u: (solve(u), 0)
        K = (J / scale) @ J.T  # noqa: N806
        return _dual(K, H, nu, lambda w: pull(w) / scale, squares)

    entries = lambda: jnp.sum(J * HJ, 0)  # noqa: E731
    return _Parts(z, u, H, push, pull, factorize, entries, evaluations)


def _no_entries() -> jax.Array:
    raise AssertionError("a diagonal was asked for where no matrix is formed")


def _products(
    output_fn: Callable, x: jax.Array
) -> tuple[jax.Array, Callable, Callable]:
    """Computes outputs z [m], v -> J v and u -> J^T u."""
    z, push = jax.linearize(output_fn, x)
    transposed = jax.linear_transpose(push, x)
    return z, push, lambda u: transposed(u)[0]


def _shapes(m: int, n: int, solver: str, squares: bool) -> list[tuple[int, int]]:
    """Lists the matrices that a solver with a Jacobian holds at the same time."""
    small = min(m, n)
    if solver == "qr":  # [J; sqrt(d)] or its dual, Q, diagonal
        return [(m + n, small), (m + n, small), (small, small)]
    copies = (1 if squares else 2) + (m < n)  # J, H J, J / scale
    return [(m, n)] * copies + [(small, small)] * (1 if squares or m >= n else 2)


def _dual(K, H, nu, back, squares) -> Callable:  # noqa: N803
    """Builds u -> (s, 0) of the dual form: (H K + nu I) w = u, s = back(w)."""
    if squares:
        # Guard: less than n * eps, whose rounding the damping mends by a rejection.
        solve = cholesky_solver(K, nu, guard=4 * jnp.finfo(K.dtype).eps)
    else:
        solve = lu_solver(jax.vmap(H, 1, 1)(K), nu)
    return lambda u: (back(solve(u)), 0)


def attempt(
    here: Local, s, predicted, *, damping, exhausted, evaluations, trusted: Any = True
) -> tuple[jax.Array, Info, jax.Array]:
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
      The step, zeros where it is rejected; diagnostics; and a bool that is false where
      f fell by no more than its rounding.
    """
    decrease = here.decrease(s)
    ratio, accepted = judge(here.value, decrease, predicted)
    accepted = accepted & trusted
    info = Info(
        loss=here.value,
        gradient_norm=norm(here.gradient),
        step_norm=norm(s),
        damping=damping,
        gain_ratio=ratio,
        accepted=accepted,
        stalled=~accepted & exhausted,
        evaluations=evaluations + 1,
    )
    return jnp.where(accepted, s, 0.0), info, decrease > rounding_of(here.value)


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
