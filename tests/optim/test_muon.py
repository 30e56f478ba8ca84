"""Muon: orthogonal steps, of a length that depends on the layer's orientation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab.optim import muon


def first_update(tx, shape):
    params = {"kernel": jnp.zeros(shape), "bias": jnp.zeros(3)}
    grad = {"kernel": jax.random.normal(jax.random.key(0), shape), "bias": jnp.ones(3)}
    return tx.update(grad, tx.init(params), params)[0]


def scales(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


@pytest.mark.parametrize(
    ("shape", "factor"),
    [
        ((30, 784), 1.0),  # 784 -> 30, as in optlab's dense layers
        ((784, 30), (784 / 30) ** 0.5),  # 30 -> 784
        ((3, 3, 4, 16), 1.0),  # a convolution of 36 inputs
        ((1, 1, 4, 16), 2.0),
        ((3, 4, 8), 1.0),  # a convolution along one axis
    ],
)
def test_the_step_is_as_long_as_the_layer_asks(shape, factor):
    kernel = first_update(muon(learning_rate=1.0), shape)["kernel"]
    flat = kernel if kernel.ndim == 2 else kernel.reshape(-1, shape[-1])
    # Newton-Schulz leaves singular values between 0.6 and 1.3.
    assert np.all(scales(flat) > 0.6 * factor)
    assert np.all(scales(flat) < 1.3 * factor)


def test_optax_takes_fan_in_for_fan_out():
    kernel = first_update(optax.contrib.muon(1.0), (30, 784))["kernel"]
    assert np.all(scales(kernel) > 0.6 * 5.1)


def test_other_parameters_are_adams_at_a_rate_that_may_be_traced():
    def update(learning_rate, adam_learning_rate):
        return first_update(muon(learning_rate, adam_learning_rate), (4, 4))

    rates, adam_rates = jnp.array([0.1, 0.2]), jnp.array([0.5, 0.25])
    lanes = jax.jit(jax.vmap(update))(rates, adam_rates)
    # The first step of Adam with Nesterov's momentum: (0.9 / 1.9 + 1) eta.
    expected = -(0.9 / 1.9 + 1) * np.asarray(adam_rates)
    np.testing.assert_allclose(lanes["bias"][:, 0], expected, rtol=1e-4)
    twice = 2 * lanes["kernel"][0]
    np.testing.assert_allclose(lanes["kernel"][1], twice, rtol=1e-4, atol=1e-6)
