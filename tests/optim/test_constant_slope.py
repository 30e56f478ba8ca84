"""On a constant slope momentum moves 1 / (1 - beta) times as fast as plain descent."""

import jax.numpy as jnp
import optax
import pytest

import optlab


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("method", [optlab.momentum, optlab.nesterov])
def test_the_step_grows_to_its_limit(method, beta):
    slope, rate = jnp.array([2.0, -3.0]), 0.1
    tx = method(learning_rate=rate, momentum=beta)
    x = jnp.zeros(2)
    state = tx.init(x)
    steps = round(12 / (1 - beta))  # beta^steps < 1e-5
    for _ in range(steps):
        updates, state = tx.update(slope, state, x)
        x = optax.apply_updates(x, updates)
    plain = -rate * slope
    assert jnp.allclose(updates, plain / (1 - beta), rtol=1e-4)
    # Before, the distance lags by beta / (1 - beta)^2 plain steps (a geometric sum).
    if method is optlab.momentum:
        lag = beta / (1 - beta) ** 2
        assert jnp.allclose(x, plain * (steps / (1 - beta) - lag), rtol=1e-3)


def test_adagrad_slows_down_on_a_constant_slope():
    """Its t-th step is rate / sqrt(t): the sum of squares is all that it has seen."""
    tx = optlab.adagrad(learning_rate=0.1)
    x = jnp.zeros(())
    state = tx.init(x)
    for t in range(1, 101):
        updates, state = tx.update(jnp.array(2.0), state, x)
        if t in (1, 4, 100):
            assert updates == pytest.approx(-0.1 / t**0.5, rel=1e-4)
