"""Gradients by layer and dead units, against nets worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.studies import vanishing
from optlab.errors import InputError

INPUTS, TARGETS = jnp.linspace(-1, 1, 24).reshape(6, 4), jnp.arange(6) % 3


def measured(net, depth, inputs=INPUTS, clip=np.inf):
    module, function = vanishing.make_net({"name": "any", **net}, depth, 5)
    params = module.init(jax.random.key(0), inputs)["params"]
    return vanishing.measure(
        module, function, inputs, TARGETS, params, {}, optax.clip_by_global_norm(clip)
    )


@pytest.mark.parametrize(
    ("activation", "dead"), [("binary_step", 1.0), ("identity", 0.0), ("tanh", 0.0)]
)
def test_a_step_has_no_slope_and_smooth_units_have_one(activation, dead):
    slopes, share = measured({"activation": activation}, 3)
    assert slopes.shape == (4,)
    np.testing.assert_array_equal(share, np.full(3, dead))
    # Before a step nothing arrives; behind the last one the gradient is there.
    assert (slopes[:-1] == 0).all() == bool(dead)
    assert slopes[-1] > 0


def test_an_activation_that_learns_and_one_by_its_path_are_measured():
    plain, _ = measured({"activation": "tanh"}, 2)
    own, _ = measured({"activation": "jax.numpy.tanh"}, 2)
    np.testing.assert_allclose(own, plain, rtol=1e-6)
    _, dead = measured({"activation": "prelu"}, 2, -jnp.ones((6, 4)))
    assert not dead.any()  # no unit without a slope below zero
    with pytest.raises(InputError, match="no activation 'rlu'; did you mean"):
        measured({"activation": "rlu"}, 2)


def test_equal_positive_weights_kill_relus_of_negative_inputs():
    """Every z of the first layer is negative, so that all units are dead."""
    net = {"activation": "relu", "initializer": "ones"}
    _, dead = measured(net, 1, -jnp.ones((6, 4)))
    _, alive = measured(net, 1, jnp.ones((6, 4)))
    assert (dead.item(), alive.item()) == (1.0, 0.0)


def test_links_pass_a_step_and_clipping_changes_no_ratio():
    linked, _ = measured({"activation": "binary_step", "residual": True}, 3)
    assert linked[0] == 0  # 4 inputs and 5 units: no link around the first layer
    plain, _ = measured({"activation": "tanh"}, 3)
    clipped, _ = measured({"activation": "tanh"}, 3, clip=1e-3)
    np.testing.assert_allclose(clipped / clipped[-1], plain / plain[-1], rtol=1e-5)
    assert clipped.max() < 0.1 * plain.max()
    with pytest.raises(InputError, match="clip=0 must be above 0"):
        vanishing.make_optimizer({"name": "x", "clip": 0}, {"name": "sgd"})


def test_derivatives_are_those_of_the_textbook():
    logistic, step = vanishing.curve("sigmoid"), vanishing.curve("binary_step")
    expected = logistic.values * (1 - logistic.values)
    np.testing.assert_allclose(logistic.slopes, expected, atol=1e-6)
    assert not step.slopes.any()
    softmax = vanishing.curve("softmax")
    np.testing.assert_allclose(
        softmax.slopes, softmax.values * (1 - softmax.values), atol=1e-6
    )


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.nets=({'activation':'relu'},)", "{'activation': 'relu'} is no net"),
        ("--config.examples=9999", "examples=9999 is more than the 1294 training ex"),
        ("--config.batch_size=9999", "batch_size=9999 is more than the 1294 training"),
    ],
)
def test_a_mistake_is_one_line(refused, argument, message):
    refused("experiments.solve", ("--config=configs/vanishing.py", argument), message)
