"""Units of a layer that start alike stay alike: why initial weights are random."""

import jax
import numpy as np
import pytest

import optlab
from optlab import data, models, problems


@pytest.mark.parametrize("tx", [optlab.momentum(0.1), optlab.adam(0.01)])
def test_equal_weights_stay_equal_within_a_layer(tx):
    """To the bit: the units of a hidden layer are rows of the same products."""
    net = models.make("mlp", 10, hidden=(8, 8), initializer="ones", initial_scale=0.1)
    problem = problems.classification(net, data.load("digits"))
    trained = optlab.train(problem, tx, seed=0, epochs=2, batch_size=64)
    first = problem.init(jax.random.key(0))[0]
    params = trained.params
    for name in ("Dense_0", "Dense_1"):
        kernel = np.asarray(params[name]["kernel"])
        assert not np.allclose(kernel, first[name]["kernel"])  # it was trained
        rows = np.unique(kernel, axis=0)
        assert len(rows) == 1, f"{name}: {len(rows)} different units"
    # The outputs differ: the classes do.
    assert len(np.unique(np.asarray(params["Dense_2"]["kernel"]), axis=0)) == 10


def test_random_weights_become_different_units():
    net = models.make("mlp", 10, hidden=(8,), initializer="he_normal")
    problem = problems.classification(net, data.load("digits"))
    trained = optlab.train(problem, optlab.adam(0.01), seed=0, epochs=1, batch_size=64)
    kernel = np.asarray(trained.params["Dense_0"]["kernel"])
    assert len(np.unique(kernel, axis=0)) == 8
