"""One layer pruned, all others whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.compression import stages
from optlab import compress, data, models, problems
from optlab.errors import InputError

PARAMS = {
    "a": {"kernel": jax.random.normal(jax.random.key(0), (6, 5)), "bias": jnp.ones(6)},
    "b": {"kernel": jax.random.normal(jax.random.key(1), (4, 6))},
}


def test_layers_and_sparsities_are_lanes_and_others_stay_whole():
    points = jnp.array([0, 0, 1, 1]), jnp.array([0.0, 0.5, 0.25, 0.75])
    masks = jax.jit(
        jax.vmap(lambda i, s: compress.one_layer_magnitude(PARAMS, s, i))
    )(*points)  # fmt: skip
    kept = {
        name: np.asarray(mask["kernel"].sum((1, 2))) for name, mask in masks.items()
    }
    assert kept["a"].tolist() == [30, 15, 30, 30]
    assert kept["b"].tolist() == [24, 24, 18, 6]
    assert masks["a"]["bias"].all()
    alone = compress.layer_magnitude(PARAMS["b"], 0.75)["kernel"]
    np.testing.assert_array_equal(masks["b"]["kernel"][3], alone)


def test_a_scan_begins_at_the_net_and_ends_at_what_is_left():
    """Of all but one weight of the last layer, the biases alone decide."""
    digits = data.load("digits")
    net = models.make("mlp", classes=10, hidden=(8,))
    problem = problems.classification(net, digits)
    settings = {
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "schedule": {"name": "constant"}, "epochs": 3, "batch_size": 64,
    }  # fmt: skip
    dense = stages.train_dense(settings, problem, jnp.arange(2, dtype=jnp.uint32))
    found = stages.scan(dense, (0.0, 0.3, 0.9999))
    assert found.shape == (2, 2, 3)
    # A sparsity of 0 is the net itself, whichever layer it is of.
    np.testing.assert_array_equal(found[:, 0, 0], found[:, 1, 0])
    assert (found[:, :, 0] > 0.6).all()
    assert (found[:, :, 2] < 0.2).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compress.one_layer_magnitude(PARAMS, 0.5, 2), "has kernels 0 to 1"),
        (lambda: compress.one_layer_magnitude(PARAMS, 1.0, 0), "sparsity=1.0: give"),
        (
            lambda: compress.one_layer_magnitude({"b": jnp.ones(3)}, 0.5, 0),
            "nothing to prune",
        ),
    ],
)
def test_a_mistake_says_what_would_be_right(call, message):
    with pytest.raises(InputError, match=message):
        call()
