"""Evaluation parameters of schedule-free methods, however they are wrapped."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab.optim import evaluation_params, make

PARAMS = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([3.0])}
B1, RATE = 0.75, 0.125


def method():
    return optax.contrib.schedule_free_sgd(RATE, b1=B1)


def loss(params):
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


def train(tx, steps=5):
    """Parameters and state after some steps, and the gradients on the way."""
    tx, params, gradients = optax.with_extra_args_support(tx), PARAMS, []
    state = tx.init(params)
    for _ in range(steps):
        gradients.append(jax.grad(loss)(params))
        updates, state = tx.update(gradients[-1], state, params)
        params = optax.apply_updates(params, updates)
    return params, state, gradients


def mean_iterate(key, gradients):
    """The mean of z_1, z_2, ..., where z descends by the gradients at y."""
    steps = np.cumsum([RATE * g[key] for g in gradients], axis=0)
    return np.mean(PARAMS[key] - steps, axis=0)


@pytest.mark.parametrize(
    ("tx", "free"),
    [
        (method(), "ab"),
        (optax.chain(optax.identity(), method()), "ab"),
        (make("schedule_free_sgd", learning_rate=RATE, b1=B1), "ab"),
        (optax.apply_if_finite(method(), 3), "ab"),
        (optax.masked(method(), {"a": True, "b": False}), "a"),
        (
            optax.partition({"x": method(), "y": optax.sgd(0.1)}, {"a": "x", "b": "y"}),
            "a",
        ),
        (optax.partition({"x": method(), "y": method()}, {"a": "x", "b": "y"}), "ab"),
    ],
)
def test_it_is_the_mean_of_the_iterates(tx, free):
    params, state, gradients = train(tx)
    found = jax.jit(evaluation_params)(state, params)
    for key in PARAMS:
        if key in free:
            expected = mean_iterate(key, gradients)
            np.testing.assert_allclose(found[key], expected, rtol=1e-5)
            assert jnp.all(jnp.abs(found[key] - params[key]) > 1e-3)
        else:
            np.testing.assert_array_equal(found[key], params[key])


def test_lanes_and_accumulated_gradients_have_it_too():
    tx = optax.MultiSteps(method(), 2).gradient_transformation()
    params, state, gradients = train(tx, steps=6)
    found = evaluation_params(state, params)
    means = [
        jax.tree.map(lambda g, h: (g + h) / 2, *p)
        for p in zip(gradients[::2], gradients[1::2], strict=True)
    ]
    np.testing.assert_allclose(found["a"], mean_iterate("a", means), rtol=1e-5)
    one = jax.tree.map(lambda x: x[None], (state, params))
    lane = jax.vmap(evaluation_params)(*one)
    np.testing.assert_allclose(lane["a"][0], found["a"], rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "bfgs", "lbfgs", "mechanize"])
def test_elsewhere_the_parameters_are_returned(name):
    needed = {"base_optimizer": optax.sgd(0.1)} if name == "mechanize" else {}
    state = make(name, **needed).init(PARAMS)
    assert evaluation_params(state, PARAMS) is PARAMS
