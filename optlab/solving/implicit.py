"""Derivatives of a minimizer by the implicit function theorem, in both modes.

    g(x, a) = 0    =>    dx = -H^-1 (dg/da) da          g: gradient, H: Hessian of f
    df = (df/da) da                                     as g is zero

    for residuals r, with J = U S V^T and H = J^T J + B, B the Hessian of r0.r:
    dx = -W (W^T H W)^-1 (S' U^T dr + W^T d(J^T r0)),   W = V S^-1,   S' = 1

The loop that found x is not differentiated. Where H is singular, the change is the
shortest one, in coordinates in which the diagonal of H is one. In the second form the
condition of J counts once and not twice: J^T J, whose small eigenvalues float32 loses
where J's condition is above 1e3, is not formed. Where a singular value is rounding, its
column of W is that of V, and S' is the value.

Sources: Griewank, Walther, Evaluating Derivatives (2nd ed.), section 15.1; Blondel et
al., Efficient and Modular Implicit Differentiation, arXiv:2105.15183, section 2.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.flatten_util import ravel_pytree
from jax.interpreters import ad, batching, mlir

from optlab import curvature
from optlab.errors import InputError
from optlab.optim.dense.linear import norm, unit_diagonal

# Largest number of parameters for which H is formed; above it, conjugate gradients.
DENSE = 1000

# Largest number of entries of a Jacobian that is factorized and differentiated.
ENTRIES = 10**6


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


def least_squares_minimizer(
    residual_fn: Callable, held_fn: Callable, x: Any
) -> Any | None:
    """Gives a minimizer of half a sum of squares its derivatives.

    Args:
      residual_fn: x -> tree of residuals; it closes over the arguments that are
        differentiated.
      held_fn: the same function of arguments that are constants.
      x: minimizer, a tree.

    Returns:
      ``x``, as a differentiable function of what ``residual_fn`` closes over; None
      where the Jacobian is too large to be factorized.

    >>> t = jnp.array([1.0, 2.0, 3.0])
    >>> def slope(y):  # of a line through the origin: t.y / t.t
    ...     fit = lambda p, y: p * t - y
    ...     held = lambda p: fit(p, jax.lax.stop_gradient(y))
    ...     x = jax.lax.stop_gradient(t @ y / 14)
    ...     return least_squares_minimizer(lambda p: fit(p, y), held, x)
    >>> (jax.grad(slope)(2 * t) * 14).round(4)
    Array([1., 2., 3.], dtype=float32)
    """
    flat, unravel = ravel_pytree(x)
    wide = jnp.promote_types(flat.dtype, jnp.float32)
    start = flat.astype(wide)

    def outputs_of(function):
        whole = lambda u: function(unravel(u.astype(flat.dtype)))  # noqa: E731
        return lambda u: ravel_pytree(whole(u))[0].astype(wide)

    held, outputs = outputs_of(held_fn), outputs_of(residual_fn)
    m, n = jax.eval_shape(held, start).size, start.size
    if n > DENSE or m * n > ENTRIES:
        return None
    r, J = jax.lax.stop_gradient(curvature.jacobian(held, start))  # noqa: N806
    lengths = jax.vmap(norm, 1)(J)
    c = jnp.where(lengths > 0, lengths, 1.0)
    # All of V: what no residual depends on may be curved all the same.
    U, S, Vt = jnp.linalg.svd(J / c, full_matrices=n > m)  # noqa: N806
    U, S = U[:, : S.size], jnp.zeros(n, wide).at[: S.size].set(S)  # noqa: N806
    used = max(m, n) * jnp.finfo(wide).eps * jnp.max(S, initial=0) < S
    W = (Vt / jnp.where(used, S, 1.0)[:, None] / c).T  # noqa: N806
    share = jnp.where(used, 1.0, S)
    P = jnp.zeros((n, m), wide).at[: U.shape[1]].set(U.T)  # noqa: N806
    P = share[:, None] * P  # noqa: N806  W^T J^T, without the product
    bent = jax.hessian(lambda u: jnp.vdot(r, held(u)))(start)
    A = jax.lax.stop_gradient(jnp.diag(share**2) + W.T @ bent @ W)  # noqa: N806
    differentiate = jax.jacrev if m < n else jax.jacfwd

    def root(x):  # W^T J^T r
        u = ravel_pytree(x)[0].astype(wide)
        J = differentiate(outputs)(u)  # noqa: N806
        # J comes in by its derivatives alone: its digits are in P.
        change = (J - jax.lax.stop_gradient(J)) @ W
        return unravel(((P + change.T) @ outputs(u)).astype(flat.dtype))

    def solve(product, b):  # W^T H v = b
        v = jax.lax.custom_linear_solve(
            lambda v: ravel_pytree(product(unravel(v.astype(flat.dtype))))[0].astype(
                wide
            ),
            ravel_pytree(b)[0].astype(wide),
            solve=lambda _, b: W @ _pseudo_inverse(A, b),
            transpose_solve=lambda _, b: _pseudo_inverse(A, b @ W),
        )
        return unravel(v.astype(flat.dtype))

    return jax.lax.custom_root(root, x, lambda _, x: x, solve)


def refusing(x: Any, of: Any, why: str) -> Any:
    """Gives x, which refuses to be differentiated as a function of something else."""

    @jax.custom_jvp
    def held(x, of):
        del of
        return x

    @held.defjvp
    def _refuse(primals, tangents):
        raise InputError(why)

    return held(x, of)


def forward_only(tree: Any, why: str) -> Any:
    """Gives a tree in forward mode; in reverse mode its derivative is refused.

    >>> jax.jvp(lambda x: forward_only(x**2, "no"), (3.0,), (1.0,))[1].item()
    6.0
    """

    def mark(x):
        real = jnp.issubdtype(x.dtype, jnp.floating)
        return _forward_only.bind(x, why=why) if real else x

    return jax.tree.map(mark, tree)


def _refuse_reverse(cotangent: Any, x: Any, *, why: str) -> list[Any]:
    if isinstance(cotangent, ad.Zero):  # nothing depends on this one
        return [ad.Zero(x.aval)]
    raise InputError(why)


_forward_only = Primitive("forward_only")
_forward_only.def_impl(lambda x, *, why: x)
_forward_only.def_abstract_eval(lambda x, *, why: x)
ad.deflinear2(_forward_only, _refuse_reverse)
batching.defvectorized(_forward_only)
mlir.register_lowering(_forward_only, lambda _, x, *, why: [x])


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
    return _pseudo_inverse(H / (c[:, None] * c[None, :]), b / c) / c


def _pseudo_inverse(A: jax.Array, b: jax.Array) -> jax.Array:  # noqa: N803
    """Solves A x = b, with A symmetric but for rounding, and maybe singular."""
    values, vectors = jnp.linalg.eigh((A + A.T) / 2)
    sizes = jnp.abs(values)
    # Guard: smaller eigenvalues are rounding, and zero in exact arithmetic.
    zero = sizes <= b.size * jnp.finfo(b.dtype).eps * jnp.max(sizes, initial=0)
    inverse = jnp.where(zero, 0.0, 1 / jnp.where(zero, 1.0, values))
    return vectors @ (inverse * (vectors.T @ b))


def _iterative(product: Callable, b: jax.Array) -> jax.Array:
    tolerance = float(jnp.finfo(b.dtype).eps) ** 0.5
    return jax.scipy.sparse.linalg.cg(product, b, tol=tolerance)[0]
