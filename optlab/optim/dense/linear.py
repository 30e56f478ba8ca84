"""Solvers of the damped linear problem (G + nu D) s = J^T u, G = J^T H J, D diagonal.

    cholesky   of G + nu D, or with fewer outputs than parameters the dual form:
               (K + nu I) w = u,  K = J D^-1 J^T,  s = D^-1 J^T w
               (H K + nu I) w = u  for a loss that is no sum of squares
    qr         of [J; sqrt(nu D)], or its dual [D^-1/2 J^T; sqrt(nu) I]: it does not
               square the condition number
    cg         conjugate gradients on products, no matrix at all

Both forms give the same step: J^T (H K + nu I) = (G D^-1 + nu I) J^T.

Sources: Nocedal, Wright, Numerical Optimization (2nd ed.), sections 5.1 and 10.3;
Ren, Goldfarb, arXiv:1906.02353, section 3.1 (the dual form).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
from jax import lax

SOLVERS = ("cholesky", "qr", "cg")
# Conjugate gradients end at this residual, relative to the gradient, or after this many
# products: damping keeps the condition number, hence their number, low.
CG_TOLERANCE = 1e-3
CG_PRODUCTS = 100


def cholesky_solver(G: jax.Array, d: jax.Array, guard: Any = None) -> Callable:  # noqa: N803
    """Builds g -> s, (G + diag(d)) s = g, with G [n, n] positive semi-definite.

    Both sides are scaled to a unit diagonal first, so that parameters in units of
    1e-9 and 1e3 do no harm. ``guard`` is added to that diagonal, by default n * eps:
    the size of the rounding of a matrix product keeps a singular G factorizable.

    >>> G, d, g = jnp.array([[3.0, 1.0], [1.0, 2.0]]), jnp.ones(2), jnp.array([11.0, 0])
    >>> [round(float(s), 3) for s in cholesky_solver(G, d)(g)]
    [3.0, -1.0]
    """
    n, dtype = len(G), G.dtype
    A = G + jnp.diag(jnp.broadcast_to(d, (n,)))  # noqa: N806
    c = unit_diagonal(jnp.diag(A))
    A = A / c[:, None] / c[None, :]  # noqa: N806
    guard = n * jnp.finfo(dtype).eps if guard is None else guard
    factor = jsl.cho_factor(A + guard * jnp.eye(n, dtype=dtype))
    return lambda g: jsl.cho_solve(factor, g / c) / c


def lu_solver(A: jax.Array, nu: jax.Array) -> Callable:  # noqa: N803
    """Builds u -> w, (A + nu I) w = u, with A = H K [m, m] a product of two matrices.

    Its eigenvalues are not negative. Guard: m * eps of the largest diagonal entry.

    >>> lu_solver(jnp.array([[1.0, 1.0], [0.0, 0.0]]), 1.0)(jnp.array([3.0, 1.0]))
    Array([1., 1.], dtype=float32)
    """
    m, dtype = len(A), A.dtype
    largest = jnp.max(jnp.abs(jnp.diag(A)), initial=0.0)
    guard = jnp.where(largest > 0, m * jnp.finfo(dtype).eps * largest, 1.0)
    shift = jnp.maximum(jnp.asarray(nu, dtype), guard)
    factor = jsl.lu_factor(A + shift * jnp.eye(m, dtype=dtype))
    return lambda u: jsl.lu_solve(factor, u)


def qr_solver(J: jax.Array, d: jax.Array) -> Callable:  # noqa: N803
    """Builds u -> s, (J^T J + diag(d)) s = J^T u, as least squares.

    [J; sqrt(d)] s ~ [u; 0] with J [m, n], and columns scaled to length one. Guard:
    ``eps`` squared under the root keeps the triangle invertible where J is singular
    and d is zero.

    >>> J, d, u = jnp.array([[1.0], [1.0]]), jnp.array([2.0]), jnp.array([4.0, 8.0])
    >>> round(float(qr_solver(J, d)(u)[0]), 4)
    3.0
    """
    m, n = J.shape
    d = jnp.broadcast_to(d, (n,))
    c = unit_diagonal(jnp.sum(J**2, 0) + d)
    rows = jnp.diag(jnp.sqrt(d / c**2 + jnp.finfo(J.dtype).eps ** 2))
    Q, R = jnp.linalg.qr(jnp.concatenate([J / c, rows]))  # noqa: N806
    return lambda u: jsl.solve_triangular(R, u @ Q[:m]) / c


def dual_qr_solver(J: jax.Array, nu: jax.Array, scale: jax.Array) -> Callable:  # noqa: N803
    """Builds u -> s as `qr_solver` with d = nu * scale, for J [m, n] with m < n.

    >>> J, u = jnp.array([[1.0, 1.0]]), jnp.array([6.0])
    >>> [round(float(s), 4) for s in dual_qr_solver(J, 1.0, jnp.ones(2))(u)]
    [2.0, 2.0]
    """
    m, n = J.shape
    root = jnp.sqrt(jnp.broadcast_to(scale, (n,)))[:, None]
    A = J.T / root  # noqa: N806
    largest = jnp.sqrt(jnp.max(jnp.sum(A**2, 0), initial=0.0))
    guard = jnp.finfo(J.dtype).eps * jnp.where(largest > 0, largest, 1.0)
    shift = jnp.maximum(jnp.sqrt(jnp.asarray(nu, J.dtype)), guard)
    below = shift * jnp.eye(m, dtype=J.dtype)
    Q, R = jnp.linalg.qr(jnp.concatenate([A, below]))  # noqa: N806
    back = lambda u: jsl.solve_triangular(R, u, trans="T")  # noqa: E731
    return lambda u: Q[:n] @ back(u) / root[:, 0]


def cg_solve(
    product: Callable, d: jax.Array, g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Solves (G + diag(d)) s = g by conjugate gradients; also counts the products.

    Any iterate is an ascent direction of f, since conjugate gradients start from zero.
    The gradient is scaled to length one, so that no square of it under- or overflows.

    >>> s, products = cg_solve(lambda v: v * jnp.array([1.0, 3.0]), jnp.ones(2),
    ...                        jnp.array([2.0, 4.0]))
    >>> s.round(4), int(products)
    (Array([1., 1.], dtype=float32), 2)
    """
    length = norm(g)
    g = g / jnp.where(length > 0, length, 1.0)

    def going(carry):
        _, r, _, k = carry
        return (jnp.vdot(r, r) > CG_TOLERANCE**2) & (k < CG_PRODUCTS)

    def step(carry):
        s, r, p, k = carry
        Ap = product(p) + d * p  # noqa: N806
        rr = jnp.vdot(r, r)
        alpha = rr / jnp.vdot(p, Ap)
        r = r - alpha * Ap
        p_next = r + jnp.vdot(r, r) / rr * p
        return s + alpha * p, r, p_next, k + 1

    start = jnp.zeros_like(g), g, g, jnp.zeros((), jnp.int32)
    s, _, _, products = jax.lax.while_loop(going, step, start)
    return length * s, products


def norm(v: jax.Array) -> jax.Array:
    """Computes the length of a vector, without squares that under- or overflow.

    >>> float(norm(jnp.array([3e30, 4e30]))) == float(jnp.float32(5e30))
    True
    """
    largest = jnp.max(jnp.abs(v), initial=0.0)
    usable = (largest > 0) & jnp.isfinite(largest)
    # The compiler may move a constant factor of v out of the sum of squares, unscaled.
    v = lax.optimization_barrier(v / jnp.where(usable, largest, 1.0))
    return jnp.where(usable, largest * jnp.linalg.norm(v), largest)


def unit_diagonal(diagonal):
    """Computes c for which A / c / c^T has a unit diagonal; 1 where that of A is 0.

    >>> unit_diagonal(jnp.array([4.0, 0.0]))
    Array([2., 1.], dtype=float32)
    """
    return jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))
