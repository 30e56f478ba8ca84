"""The backward pass of dense layers in matrices, against ``jax.grad``."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.backprop import layers


@pytest.mark.parametrize("activation", [jax.nn.sigmoid, jnp.tanh, jax.nn.softplus])
@pytest.mark.usefixtures("float64")
def test_every_delta_and_gradient_is_jaxs(activation):
    sizes, m = (3, 5, 4, 2), 6
    random = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(random.normal(size=shape))  # noqa: E731
    weights = [(draw(n, k), draw(n)) for k, n in itertools.pairwise(sizes)]
    x, y = draw(3, m), draw(2, m)

    def cost(weights, shifts):
        """The shifts stand beside z, so that their gradient is delta."""
        a = x
        for (w, b), shift in zip(weights, shifts, strict=True):
            a = activation(w @ a + b[:, None] + shift)
        return jnp.sum((a - y) ** 2) / (2 * m)

    found, each = layers(weights, x, y, activation)
    zeros = [jnp.zeros((n, m)) for n in sizes[1:]]
    assert found == pytest.approx(float(cost(weights, zeros)))
    by_weights, deltas = jax.grad(cost, (0, 1))(weights, zeros)
    for layer, (dw, db), delta in zip(each, by_weights, deltas, strict=True):
        np.testing.assert_allclose(layer.dw, dw, rtol=1e-10)
        np.testing.assert_allclose(layer.db, db, rtol=1e-10)
        np.testing.assert_allclose(layer.delta, delta, rtol=1e-10)
