"""Newton's method by conjugate gradients: Steihaug's three ways to end."""
# ruff: noqa: N803, N806

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.optim import newton_cg
from optlab.optim.dense.trust_region import Trial, scale_by_trust_region
from optlab.optim.methods.newton_cg import steihaug_step
from optlab.solving import Reason, Stop, solve


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def steihaug(H, g, radius, tolerance=1e-10, max_products=20):
    H, g = jnp.asarray(H), jnp.asarray(g)
    return jax.jit(
        lambda H, g: steihaug_step(lambda v: H @ v, g, radius, tolerance, max_products)
    )(H, g)


def test_inside_the_region_it_solves_newtons_equations_by_hand():
    s, predicted, products = steihaug([[2.0, 1.0], [1.0, 3.0]], [4.0, 7.0], 10.0)
    np.testing.assert_allclose(s, [1.0, 2.0], rtol=1e-12)
    np.testing.assert_allclose(predicted, 9.0, rtol=1e-12)
    assert products == 2  # n products end a quadratic


def test_negative_curvature_is_followed_to_the_boundary():
    s, predicted, products = steihaug([[-1.0, 0.0], [0.0, -1.0]], [3.0, 4.0], 2.0)
    np.testing.assert_allclose(s, [1.2, 1.6], rtol=1e-12)
    np.testing.assert_allclose(predicted, 10 + 2, rtol=1e-12)
    assert products == 1


def test_a_long_step_ends_at_the_boundary():
    s, _, _ = steihaug([[2.0, 1.0], [1.0, 3.0]], [4.0, 7.0], 0.5)
    np.testing.assert_allclose(jnp.linalg.norm(s), 0.5, rtol=1e-12)


def test_it_gains_at_least_what_the_gradient_alone_would():
    keys = jax.random.split(jax.random.key(0), 2)
    A, g = jax.random.normal(keys[0], (6, 6)), jax.random.normal(keys[1], (6,))
    H = A @ A.T
    _, predicted, _ = steihaug(H, g, 1e6, tolerance=0.5)
    alone = 0.5 * (g @ g) ** 2 / (g @ H @ g)
    assert predicted >= (1 - 1e-12) * alone  # equal where one product is enough


def test_a_zero_gradient_takes_no_product():
    s, predicted, products = steihaug(np.eye(2), np.zeros(2), 1.0)
    assert (jnp.all(s == 0), predicted, products) == (True, 0, 0)


def test_a_product_without_a_value_gives_the_gradients_step():
    def kink(x):  # |x|^1.5 has no second derivative at zero
        return jnp.sum(jnp.abs(x) ** 1.5 + (x - 1.0) ** 2)

    solution = solve(newton_cg(), jnp.array([0.0, 0.5]), value_fn=kink)
    assert solution.reason == Reason.GRADIENT
    np.testing.assert_allclose(solution.params[0], solution.params[1], rtol=1e-5)


def test_a_model_without_a_finite_minimizer_makes_no_step():
    def nowhere(g, x, radius, objective):
        return Trial(step=jnp.inf * g, length=radius, predicted=1.0, evaluations=0)

    tx, x = scale_by_trust_region(nowhere, 1.0, 9.0, name="toy"), jnp.ones(2)
    updates, state = tx.update(x, tx.init(x), x, value_fn=lambda x: jnp.tanh(x).sum())
    np.testing.assert_array_equal(updates, 0.0)
    assert state.info.stalled


def test_leaves_a_saddle():
    solution = solve(
        newton_cg(),
        jnp.array([0.01, 1.0]),
        value_fn=lambda x: 0.25 * x[0] ** 4 - 0.5 * x[0] ** 2 + 0.5 * x[1] ** 2,
    )
    np.testing.assert_allclose(solution.params, [1.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_thousand_parameters_without_a_matrix(dtype):
    scale = jnp.linspace(1.0, 100.0, 1000).astype(dtype)
    solution = jax.jit(
        lambda x: solve(
            newton_cg(),
            x,
            value_fn=lambda x: jnp.mean(scale * x**2 + x**4),
            stop=Stop(gradient=1e-6),
        )
    )(jnp.ones(1000, dtype))
    assert solution.reason == Reason.GRADIENT
    assert solution.evaluations < 300
