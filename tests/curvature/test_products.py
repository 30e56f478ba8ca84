"""Every product against its dense oracle, every dense matrix against one by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab import curvature
from optlab.errors import InputError


def rosenbrock(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def logits(x):
    """Outputs [3 * 2], nonlinear in x [5]."""
    features = jnp.arange(9.0).reshape(3, 3) / 9
    return (jnp.tanh(features @ x[:3])[:, None] * x[3:]).ravel()


def cross_entropy(z):
    return optax.softmax_cross_entropy_with_integer_labels(
        z.reshape(3, 2), jnp.array([0, 1, 1])
    ).sum()


X = jnp.array([0.3, -0.2, 0.5, 1.1, -0.7])


def test_hessian_by_hand():
    # H = [[1200 x^2 - 400 y + 2, -400 x], [-400 x, 200]] at (1, 2).
    H = curvature.hessian(rosenbrock, jnp.array([1.0, 2.0]))  # noqa: N806
    np.testing.assert_allclose(H, [[402, -400], [-400, 200]], rtol=1e-6)


def test_hessian_product_is_the_dense_one():
    f = lambda x: cross_entropy(logits(x))  # noqa: E731
    product = curvature.hessian_product(f, X)
    columns = jax.vmap(product)(jnp.eye(5))
    np.testing.assert_allclose(columns, curvature.hessian(f, X), atol=1e-5)


def test_jacobian_by_hand_in_both_modes():
    wide = lambda x: x[:1] * x[1:2]  # fewer outputs than parameters  # noqa: E731
    z, J = curvature.jacobian(wide, jnp.array([2.0, 5.0]))  # noqa: N806
    np.testing.assert_array_equal(z, [10.0])
    np.testing.assert_array_equal(J, [[5.0, 2.0]])
    tall = lambda x: jnp.stack([x[0] * x[1], x[0], x[1] ** 2])  # noqa: E731
    z, J = curvature.jacobian(tall, jnp.array([2.0, 5.0]))  # noqa: N806
    np.testing.assert_array_equal(z, [10.0, 2.0, 25.0])
    np.testing.assert_array_equal(J, [[5.0, 2.0], [1.0, 0.0], [0.0, 10.0]])


def test_gauss_newton_is_j_h_j():
    g, G = curvature.gauss_newton(logits, cross_entropy, X)  # noqa: N806
    J = jax.jacfwd(logits)(X)  # noqa: N806
    H = jax.hessian(cross_entropy)(logits(X))  # noqa: N806
    np.testing.assert_allclose(G, J.T @ H @ J, atol=1e-6)
    np.testing.assert_allclose(
        g, jax.grad(lambda x: cross_entropy(logits(x)))(X), atol=1e-6
    )


def test_gauss_newton_product_is_the_dense_one():
    g, product = curvature.gauss_newton_product(logits, cross_entropy, X)
    g_dense, G = curvature.gauss_newton(logits, cross_entropy, X)  # noqa: N806
    np.testing.assert_allclose(jax.vmap(product)(jnp.eye(5)), G, atol=1e-6)
    np.testing.assert_allclose(g, g_dense, atol=1e-6)


def test_gauss_newton_is_the_hessian_of_a_linear_model():
    A = jnp.arange(12.0).reshape(4, 3)  # noqa: N806
    f = lambda x: 0.5 * jnp.sum((A @ x - 1) ** 2)  # noqa: E731
    x = jnp.ones(3)
    G = curvature.gauss_newton(  # noqa: N806
        lambda x: A @ x - 1, lambda z: 0.5 * z @ z, x
    )[1]
    np.testing.assert_allclose(G, curvature.hessian(f, x), rtol=1e-5)


def test_too_large_a_matrix_is_refused():
    with pytest.raises(InputError, match=r"bfgs needs 7.45 GiB .*limit is 4 GiB"):
        curvature.require_memory("bfgs", [(10**9,), (10**9,)], jnp.float32, "lbfgs()")
    shapes = [(40_000, 40_000), (40_000, 2), (40_000, 40_000)]
    with pytest.raises(InputError, match=r"11.9 .*\(2 of 40000 x 40000, 40000 x 2\)"):
        curvature.require_memory("bfgs", shapes, jnp.float32, "lbfgs()")
    curvature.require_memory("bfgs", [(1000, 1000)], jnp.float64, "lbfgs()")
