"""Derivatives of a minimizer by the implicit function theorem, in both modes.

    g(x, a) = 0    =>    dx = -H^-1 (dg/da) da          g: gradient, H: Hessian of f
    df = (df/da) da                                     as g is zero

The loop that found x is not differentiated. Where H is singular, the change is the
shortest one, in coordinates in which the diagonal of H is one.

Sources: Griewank, Walther, Evaluating Derivatives (2nd ed.), section 15.1; Blondel et
al., Efficient and Modular Implicit Differentiation, arXiv:2105.15183, section 2.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from optlab.optim.dense.linear import unit_diagonal

# Largest number of parameters for which H is formed; above it, conjugate gradients.
DENSE = 1000


def minimizer(gradient_fn: Callable, x: Any) -> Any:
    """Gives a minimizer the derivatives that follow from a zero gradient.

    Args:
      gradient_fn: x -> gradient of f, a tree like x; it closes over the arguments that
        are differentiated.
      x: point where it is zero, a tree.

    Returns:
      ``x``, as a differentiable function of what ``gradient_fn`` closes over.

    >>> def root(a):  # of f = x^2 / 2 - a^2 x
    ...     return minimizer(lambda x: x - a**2, jax.lax.stop_gradient(a**2))
    >>> float(jax.grad(root)(3.0)), float(jax.jacfwd(root)(3.0))
    (6.0, 6.0)
    """
    return jax.lax.custom_root(gradient_fn, x, lambda _, x: x, _solve)


@jax.custom_jvp
def replace_derivative(value: Any, twin: Any) -> Any:
    """Returns a tree with the derivatives of another computation of the same tree.

    Where nothing is differentiated, the compiler leaves ``twin`` out.

    >>> float(jax.grad(lambda x: replace_derivative(x * 0 + 9.0, x**2))(3.0))
    6.0
    """
    del twin
    return value


@replace_derivative.defjvp
def _replace(primals, tangents):
    return replace_derivative(*primals), tangents[1]


def _solve(product: Callable, b: Any) -> Any:
    """Solves H x = b, with H symmetric and given as a product of trees."""
    flat, unravel = ravel_pytree(b)
    wide = jnp.promote_types(flat.dtype, jnp.float32)

    def apply(v):
        return ravel_pytree(product(unravel(v.astype(flat.dtype))))[0].astype(wide)

    x = jax.lax.custom_linear_solve(
        apply,
        flat.astype(wide),
        solve=_dense if flat.size <= DENSE else _iterative,
        symmetric=True,
    )
    return unravel(x.astype(flat.dtype))


def _dense(product: Callable, b: jax.Array) -> jax.Array:
    """Applies the pseudo-inverse of H, scaled to a unit diagonal."""
    H = jax.vmap(product, out_axes=1)(jnp.eye(b.size, dtype=b.dtype))  # noqa: N806
    c = unit_diagonal(jnp.abs(jnp.diag(H)))
    A = (H + H.T) / (2 * c[:, None] * c[None, :])  # noqa: N806
    values, vectors = jnp.linalg.eigh(A)
    sizes = jnp.abs(values)
    # Guard: smaller eigenvalues are rounding, and zero in exact arithmetic.
    zero = sizes <= b.size * jnp.finfo(b.dtype).eps * jnp.max(sizes, initial=0)
    inverse = jnp.where(zero, 0.0, 1 / jnp.where(zero, 1.0, values))
    return vectors @ (inverse * (vectors.T @ (b / c))) / c


def _iterative(product: Callable, b: jax.Array) -> jax.Array:
    tolerance = float(jnp.finfo(b.dtype).eps) ** 0.5
    return jax.scipy.sparse.linalg.cg(product, b, tol=tolerance)[0]
