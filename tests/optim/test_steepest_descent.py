"""Steepest descent with a line search."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.optim import steepest_descent
from optlab.solving import Reason, Stop, solve


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def bowl(x):
    return 0.5 * (x[0] ** 2 + 10 * x[1] ** 2)


def test_the_exact_step_by_hand():
    # f = 0.5 |x|^2: the exact length is 1, and one step ends it.
    tx, x = steepest_descent(curvature=1e-9), jnp.array([3.0, 4.0])
    updates, state = tx.update(x, tx.init(x), x, value_fn=lambda x: 0.5 * x @ x)
    np.testing.assert_allclose(updates, -x, rtol=1e-9)
    np.testing.assert_allclose(state[0].info.damping, 1.0, rtol=1e-9)


def test_the_worst_start_converges_at_kantorovichs_rate():
    # From (k, 1) every exact step multiplies f by ((k - 1) / (k + 1))^2.
    solution = solve(
        steepest_descent(curvature=1e-8),
        jnp.array([10.0, 1.0]),
        value_fn=bowl,
        stop=Stop(gradient=0.0, steps=10),
        history=10,
    )
    f = solution.history.value
    np.testing.assert_allclose(f[1:] / f[:-1], (9 / 11) ** 2, rtol=1e-4)


def test_successive_directions_are_orthogonal():
    tx, x = steepest_descent(curvature=1e-9), jnp.array([1.0, 1.0])
    state, steps = tx.init(x), []
    for _ in range(2):
        updates, state = tx.update(jax.grad(bowl)(x), state, x, value_fn=bowl)
        x, steps = x + updates, [*steps, updates]
    cosine = steps[0] @ steps[1] / jnp.linalg.norm(steps[0]) / jnp.linalg.norm(steps[1])
    np.testing.assert_allclose(cosine, 0.0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_converges(dtype):
    solution = solve(
        steepest_descent(), jnp.ones(2, dtype), value_fn=bowl, stop=Stop(1e-5)
    )
    assert solution.reason == Reason.GRADIENT
