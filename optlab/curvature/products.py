"""Curvature of a function of one vector: dense where it fits, products where not.

    Hessian         H v  = d/dt grad f(x + t v)                 forward over reverse
    Jacobian        J v  = d/dt z(x + t v)                      forward
    Gauss-Newton    G v  = J^T H_l (J v)                        H_l: Hessian of l in z

for f = l(z(x)); a sum of squares has l = 0.5 z.z and H_l = I, so G = J^T J.

Source: Schraudolph, Fast Curvature Matrix-Vector Products for Second-Order Gradient
Descent, Neural Computation 14 (2002), section 3.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from optlab.curvature import rowwise
from optlab.errors import InputError

# Greatest number of bytes of the dense matrices of one method (in one lane).
DENSE_LIMIT = 4 * 2**30


def hessian(value_fn: Callable, x: jax.Array) -> jax.Array:
    """Computes the dense Hessian H [n, n] of a scalar function at x [n].

    >>> hessian(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0]))
    Array([[6., 2.], [2., 0.]], dtype=float32)
    """
    return jax.hessian(value_fn)(x)


def hessian_product(value_fn: Callable, x: jax.Array) -> Callable:
    """Builds the map v [n] -> H v [n] at x [n], linearized once for many products.

    >>> product = hessian_product(lambda x: x[0] ** 2 * x[1], jnp.array([1.0, 3.0]))
    >>> product(jnp.array([1.0, 0.0]))
    Array([6., 2.], dtype=float32)
    """
    return jax.linearize(jax.grad(value_fn), x)[1]


def jacobian(output_fn: Callable, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Computes outputs z [m] and their dense Jacobian J [m, n] at x [n].

    >>> jacobian(lambda x: jnp.stack([x[0] * x[1], x[1]]), jnp.array([2.0, 5.0]))
    (Array([10., 5.], dtype=float32),
     Array([[5., 2.], [0., 1.]], dtype=float32))
    """
    return counted_jacobian(output_fn, x)[:2]


def counted_jacobian(
    output_fn: Callable, x: jax.Array
) -> tuple[jax.Array, jax.Array, int]:
    """Computes outputs z [m], their Jacobian J [m, n] at x [n], and its cost.

    It takes k backward passes where every example has k outputs of its own, as in a
    net (see ``rowwise``). Otherwise it takes reverse mode, m passes, with fewer outputs
    than parameters, and forward mode, n passes, with more.

    Returns:
      z, J and the number of passes.

    >>> inputs = jnp.ones((5, 3))
    >>> net = lambda x: (inputs @ x.reshape(3, 2)).ravel()
    >>> counted_jacobian(net, jnp.ones(6))[2]
    2
    """
    found = rowwise.jacobian(output_fn, x)
    outputs = jax.eval_shape(output_fn, x)
    if found is not None and found.passes <= min(outputs.size, x.size):
        z, J, passes = found  # noqa: N806
        return z, J, passes
    if outputs.size < x.size:
        z, pull = jax.vjp(output_fn, x)
        rows = jax.vmap(lambda u: pull(u)[0])(jnp.eye(z.size, dtype=z.dtype))
        return z, rows, z.size
    push = lambda v: jax.jvp(output_fn, (x,), (v,))  # noqa: E731
    unit = jnp.eye(x.size, dtype=x.dtype)
    return *jax.vmap(push, out_axes=(None, 1))(unit), x.size


def counted_gram(output_fn: Callable, x: jax.Array) -> tuple[jax.Array, jax.Array, int]:
    """Computes outputs z [m], their gradients' products J J^T [m, m], and its cost.

    Where every example has outputs of its own, J is not formed (see ``rowwise``).

    Returns:
      z, J J^T and the number of passes.

    >>> counted_gram(lambda x: jnp.stack([x[0] * x[1], x[1]]), jnp.array([2.0, 5.0]))[1]
    Array([[29.,  2.],
           [ 2.,  1.]], dtype=float32)
    """
    found = rowwise.gram(output_fn, x)
    if found is not None and found.passes < min(found.outputs.size, x.size):
        z, K, passes = found  # noqa: N806
        return z, K, passes
    z, J, passes = counted_jacobian(output_fn, x)  # noqa: N806
    return z, J @ J.T, passes


def gauss_newton(
    output_fn: Callable, loss_fn: Callable, x: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Computes the gradient g [n] and the Gauss-Newton matrix G = J^T H J [n, n].

    H is never formed: its product with each column of J is taken, since for a batch it
    is block-diagonal and the dense one would have (batch * classes)^2 entries.

    Args:
      output_fn: x [n] -> z [m].
      loss_fn: z [m] -> scalar.
      x: the point [n].

    Returns:
      g and G.

    >>> g, G = gauss_newton(lambda x: 3.0 * x, lambda z: z @ z, jnp.ones(1))
    >>> float(g[0]), float(G[0, 0])
    (18.0, 18.0)
    """
    z, J = jacobian(output_fn, x)  # noqa: N806
    dl, H_product = jax.linearize(jax.grad(loss_fn), z)  # noqa: N806
    HJ = jax.vmap(H_product, in_axes=1, out_axes=1)(J)  # noqa: N806
    return dl @ J, J.T @ HJ


def gauss_newton_product(
    output_fn: Callable, loss_fn: Callable, x: jax.Array
) -> tuple[jax.Array, Callable]:
    """Computes the gradient g [n] and the map v [n] -> G v [n], without any matrix.

    >>> g, product = gauss_newton_product(
    ...     lambda x: 3.0 * x, lambda z: z @ z, jnp.ones(1)
    ... )
    >>> product(jnp.ones(1))
    Array([18.], dtype=float32)
    """
    z, push = jax.linearize(output_fn, x)
    pull = jax.linear_transpose(push, x)
    dl, H_product = jax.linearize(jax.grad(loss_fn), z)  # noqa: N806

    def product(v):
        Jv = push(v)  # noqa: N806
        HJv = H_product(Jv)  # noqa: N806
        return pull(HJv)[0]

    return pull(dl)[0], product


class DenseMemoryError(InputError):
    """Dense matrices that do not fit, with the bytes that they need.

    Attributes:
      size: number of bytes.
    """

    def __init__(self, message: str, size: int):
        super().__init__(message)
        self.size = size


def require_memory(
    method: str, shapes: Sequence[tuple[int, ...]], dtype: Any, instead: str
) -> None:
    """Refuses dense matrices that cannot fit, before they are allocated.

    Args:
      method: name of the method, for the message.
      shapes: shapes of the matrices that are needed at the same time, including the
        workspace of a factorization, without the activations that a derivative keeps.
      dtype: type of their numbers.
      instead: matrix-free method to advise.

    Raises:
      DenseMemoryError: they take more than ``DENSE_LIMIT`` bytes; an `InputError`.

    >>> require_memory("newton", [(138357544, 138357544)], jnp.float32, "newton_cg()")
    Traceback (most recent call last):
    optlab.curvature.products.DenseMemoryError: newton needs 7.13e+07 GiB for
    dense float32 matrices (138357544 x 138357544), and the limit is 4 GiB
    (optlab.curvature.products.DENSE_LIMIT): use newton_cg(), which forms no matrix
    """
    size = sum(map(math.prod, shapes)) * jnp.dtype(dtype).itemsize
    if size > DENSE_LIMIT:
        matrices = ", ".join(
            (f"{count} of " if count > 1 else "") + " x ".join(map(str, shape))
            for shape, count in Counter(shapes).items()
        )
        raise DenseMemoryError(
            f"{method} needs {size / 2**30:.3g} GiB for dense {jnp.dtype(dtype).name} "
            f"matrices ({matrices}), and the limit is {DENSE_LIMIT / 2**30:.3g} GiB "
            f"(optlab.curvature.products.DENSE_LIMIT): use {instead}, which forms no "
            "matrix",
            size,
        )
