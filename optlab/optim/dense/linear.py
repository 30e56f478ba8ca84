"""Solvers of the damped linear problem (G + diag(d)) s = g, G positive semi-definite.

    cholesky   of G + diag(d); the fastest, and batched well on a GPU
    qr         of [J; sqrt(d)], which does not square the condition number; G = J^T J
    cg         conjugate gradients on products, no matrix at all

Source: Nocedal, Wright, Numerical Optimization (2nd ed.), sections 5.1 and 10.3.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl

SOLVERS = ("cholesky", "qr", "cg")
# Conjugate gradients end at this residual, relative to the gradient, or after this many
# products: damping keeps the condition number, hence their number, low.
CG_TOLERANCE = 1e-3
CG_PRODUCTS = 100


def cholesky_solve(G: jax.Array, d: jax.Array, g: jax.Array) -> jax.Array:  # noqa: N803
    """Solves (G + diag(d)) s = g, with G [n, n] positive semi-definite.

    Both sides are scaled to a unit diagonal first, so that parameters in units of
    1e-9 and 1e3 do no harm. Guard: n * eps on that diagonal, the size of the rounding
    of a matrix product, keeps a singular G factorizable.

    >>> G, d, g = jnp.array([[3.0, 1.0], [1.0, 2.0]]), jnp.ones(2), jnp.array([11.0, 0])
    >>> [round(float(s), 3) for s in cholesky_solve(G, d, g)]
    [3.0, -1.0]
    """
    A = G + jnp.diag(d)  # noqa: N806
    c = unit_diagonal(jnp.diag(A))
    A = A / c[:, None] / c[None, :]  # noqa: N806
    guard = g.size * jnp.finfo(g.dtype).eps
    factor = jsl.cho_factor(A + guard * jnp.eye(g.size, dtype=g.dtype))
    return jsl.cho_solve(factor, g / c) / c


def qr_solve(J: jax.Array, d: jax.Array, u: jax.Array) -> jax.Array:  # noqa: N803
    """Solves (J^T J + diag(d)) s = J^T u as least squares, [J; sqrt(d)] s ~ [u; 0].

    Columns are scaled to length one; J is [m, n]. Guard: ``eps`` squared under the root
    keeps the triangle invertible where J is singular and d is zero.

    >>> J, d, u = jnp.array([[1.0], [1.0]]), jnp.array([2.0]), jnp.array([4.0, 8.0])
    >>> round(float(qr_solve(J, d, u)[0]), 4)
    3.0
    """
    c = unit_diagonal(jnp.sum(J**2, 0) + d)
    rows = jnp.diag(jnp.sqrt(d / c**2 + jnp.finfo(d.dtype).eps ** 2))
    Q, R = jnp.linalg.qr(jnp.concatenate([J / c, rows]))  # noqa: N806
    return jsl.solve_triangular(R, Q[: u.size].T @ u) / c


def cg_solve(
    product: Callable, d: jax.Array, g: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Solves (G + diag(d)) s = g by conjugate gradients; also counts the products.

    Any iterate is an ascent direction of f, since conjugate gradients start from zero.

    >>> s, products = cg_solve(lambda v: v * jnp.array([1.0, 3.0]), jnp.ones(2),
    ...                        jnp.array([2.0, 4.0]))
    >>> s.round(4), int(products)
    (Array([1., 1.], dtype=float32), 2)
    """

    def going(carry):
        _, r, _, k = carry
        unsolved = jnp.vdot(r, r) > CG_TOLERANCE**2 * jnp.vdot(g, g)
        return unsolved & (k < CG_PRODUCTS)

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
    return s, products


def unit_diagonal(diagonal):
    """Computes c for which A / c / c^T has a unit diagonal; 1 where that of A is 0.

    >>> unit_diagonal(jnp.array([4.0, 0.0]))
    Array([2., 1.], dtype=float32)
    """
    return jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))
