"""Losses are what they say, and a model's other state passes through."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import models, problems


class Normalized(nn.Module):
    """Dense, batch norm, dropout: a net with all the state that a net can have."""

    outputs: int = 3

    @nn.compact
    def __call__(self, inputs, train=False):
        x = nn.Dense(8)(inputs)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(self.outputs)(x)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


INPUTS = normal(0, 6, 4)


@pytest.fixture(scope="module")
def normalized():
    problem = problems.classification(Normalized(), (4,))
    return problem, *jax.jit(problem.init)(jax.random.key(0))


def test_cross_entropy_is_minus_the_log_of_the_softmax():
    problem = problems.classification(models.make("mlp", classes=3), (4,))
    logits, labels = normal(1, 6, 3), jnp.array([0, 1, 2, 2, 1, 0])
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = -np.log(shares[np.arange(6), labels])
    np.testing.assert_allclose(problem.loss(logits, labels), expected, rtol=1e-5)
    right = problem.accuracy(logits, labels)
    assert right.dtype == jnp.float32
    assert right.tolist() == (logits.argmax(-1) == labels).astype(float).tolist()
    assert problem.residuals is None  # it is no sum of squares


def test_cross_entropy_of_huge_logits_is_finite():
    problem = problems.classification(models.make("mlp", classes=2), (4,))
    loss = problem.loss(jnp.array([[1e30, -1e30]]), jnp.array([1]))
    assert jnp.isfinite(loss).all()


@pytest.mark.parametrize("outputs", [1, 3])
def test_half_the_squared_residuals_is_the_mean_loss(outputs):
    problem = problems.regression(models.make("mlp", classes=outputs), (4,))
    found, targets = normal(1, 6, outputs), normal(2, 6, outputs)
    loss = problem.loss(found, targets)
    np.testing.assert_allclose(loss, 0.5 * ((found - targets) ** 2).sum(-1), rtol=1e-6)
    residuals = problem.residuals(found, targets)
    assert residuals.shape == (6 * outputs,)
    np.testing.assert_allclose(0.5 * jnp.sum(residuals**2), loss.mean(), rtol=1e-6)
    assert jnp.isnan(problem.accuracy(found, targets)).all()


def test_parameters_are_apart_from_the_model_s_other_state(normalized):
    _, params, model_state = normalized
    assert set(params) == {"Dense_0", "BatchNorm_0", "Dense_1"}
    assert set(model_state) == {"batch_stats"}
    assert model_state["batch_stats"]["BatchNorm_0"]["mean"].tolist() == [0.0] * 8


def test_a_plain_net_has_no_other_state():
    problem = problems.classification(models.make("mlp", classes=2), (4,))
    params, model_state = problem.init(jax.random.key(0))
    assert model_state == {}
    outputs, after = problem.train_outputs(params, {}, INPUTS, jax.random.key(1))
    assert after == {}
    np.testing.assert_array_equal(outputs, problem.outputs(params, {}, INPUTS))


def test_the_key_decides_the_parameters(normalized):
    problem, params, _ = normalized
    init = jax.jit(problem.init)
    same, other = init(jax.random.key(0))[0], init(jax.random.key(1))[0]
    jax.tree.map(np.testing.assert_array_equal, params, same)
    kernels = [tree["Dense_0"]["kernel"] for tree in (params, other)]
    assert not jnp.array_equal(*kernels)


def test_training_moves_the_batch_statistics(normalized):
    problem, params, model_state = normalized
    _, after = problem.train_outputs(params, model_state, INPUTS, jax.random.key(1))
    hidden = INPUTS @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    found = after["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(
        found["mean"], 0.5 * hidden.mean(0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(found["var"], 0.5 + 0.5 * hidden.var(0), rtol=1e-4)


def test_the_key_decides_the_dropout(normalized):
    problem, params, model_state = normalized
    one, same, other = (
        problem.train_outputs(params, model_state, INPUTS, jax.random.key(seed))[0]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not jnp.array_equal(one, other)


def test_evaluation_draws_nothing_and_uses_the_statistics(normalized):
    problem, params, model_state = normalized
    outputs = problem.outputs(params, model_state, INPUTS)
    assert outputs.shape == (6, 3)
    # One input alone gives what it gives in a batch: nothing is taken from the batch.
    alone = problem.outputs(params, model_state, INPUTS[:1])
    np.testing.assert_allclose(alone, outputs[:1], rtol=1e-5)
    moved = jax.tree.map(lambda x: x + 1, model_state)
    assert not jnp.allclose(problem.outputs(params, moved, INPUTS), outputs)
