"""Gradients by layer and dead units, against a net worked by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.studies import vanishing

INPUTS, TARGETS = jnp.linspace(-1, 1, 24).reshape(6, 4), jnp.arange(6) % 3


@pytest.mark.parametrize(
    ("activation", "dead"), [("binary_step", 1.0), ("identity", 0.0), ("tanh", 0.0)]
)
def test_a_step_has_no_slope_and_smooth_units_have_one(activation, dead):
    net = {"name": "any", "activation": activation}
    module, function = vanishing.make_net(net, 3, 5)
    slopes, share = vanishing.measure(module, function, INPUTS, TARGETS, 2)
    assert slopes.shape == (2, 4)
    np.testing.assert_array_equal(share, np.full((2, 3), dead))
    # Before a step nothing arrives; behind the last one the gradient is there.
    assert (slopes[:, :-1] == 0).all() == bool(dead)
    assert (slopes[:, -1] > 0).all()


def test_equal_positive_weights_kill_relus_of_negative_inputs():
    """Every z of the first layer is negative, so that all units are dead."""
    net = {"name": "any", "activation": "relu", "initializer": "ones"}
    module, function = vanishing.make_net(net, 1, 5)
    _, dead = vanishing.measure(module, function, -jnp.ones((6, 4)), TARGETS, 1)
    _, alive = vanishing.measure(module, function, jnp.ones((6, 4)), TARGETS, 1)
    assert (dead.item(), alive.item()) == (1.0, 0.0)
