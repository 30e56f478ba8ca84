"""Thresholds that are learned: the step at t, its gradient, and what is left."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import test_util

import optlab
from experiments.compression.thresholds import kept_at
from optlab import compress, data, models, problems
from optlab.errors import InputError
from optlab.report.figures.compression import Curve

X = jnp.linspace(-3.0, 3.0, 601)


@pytest.mark.parametrize(("t", "beta"), [(0.5, 10.0), (1.0, 200.0), (0.02, 400.0)])
def test_the_step_is_odd_and_hard_in_the_limit(t, beta):
    v = compress.soft_threshold(X, t, beta)
    np.testing.assert_allclose(v, -v[::-1], atol=1e-5)
    far = jnp.abs(jnp.abs(X) - t) > 16 / beta
    hard = jnp.where(jnp.abs(X) > t, X, 0.0)
    np.testing.assert_allclose(v[far], hard[far], atol=1e-5)
    # v(t) = t (1/2 - sig(-2 b t)), by hand.
    at = t * (0.5 - 1 / (1 + np.exp(2 * beta * t)))
    np.testing.assert_allclose(compress.soft_threshold(t, t, beta), at, rtol=1e-5)


def test_the_derivatives_are_those_of_finite_differences(float64):
    w = jnp.array([-1.3, -0.4, 0.2, 0.55, 2.0])
    of = lambda w, t: compress.soft_threshold(w, t, 7.0)  # noqa: E731
    test_util.check_grads(of, (w, 0.5), order=1, modes=("fwd", "rev"))


def test_the_penalty_counts_kept_weights_and_pushes_thresholds_up(float64):
    kernel = jnp.array([[0.1, -0.2, 3.0], [0.5, -4.0, 0.3]])
    both = {
        "weights": {"kernel": kernel, "bias": jnp.ones(2)},
        "log_thresholds": {"kernel": jnp.log(1.0)},
    }
    np.testing.assert_allclose(compress.kept_share(both, 500.0), 2 / 6, atol=1e-6)
    tx = compress.add_threshold_penalty(2.0, 3.0)
    zero = jax.tree.map(jnp.zeros_like, both)
    slope, _ = tx.update(zero, tx.init(both), both)
    z = 3.0 * (np.abs(np.asarray(kernel)) - 1)
    s = 1 / (1 + np.exp(-z))
    expected = -2.0 * np.sum(3.0 * s * (1 - s)) / 6  # dt / d log t = t = 1
    np.testing.assert_allclose(slope["log_thresholds"]["kernel"], expected, rtol=1e-6)
    assert (slope["weights"]["bias"] == 0).all()


def test_a_stronger_penalty_keeps_fewer_and_the_hardened_net_is_evaluated():
    digits = data.load("digits")
    net = models.make("mlp", classes=10, hidden=(16,))
    problem = problems.classification(net, digits)
    params = optlab.train(problem, optlab.adam(0.01), epochs=3, batch_size=64).params

    def lane(strength):
        tx = optax.chain(compress.add_threshold_penalty(strength), optax.adam(0.01))
        soft = compress.thresholded(problem, params, {})
        run = optlab.train(soft, tx, epochs=4, batch_size=64)
        hard = compress.harden(run.params)
        images = jnp.asarray(digits.prepare(digits.test.inputs[:50]))
        same = soft.outputs(run.params, {}, images) == problem.outputs(hard, {}, images)
        return compress.density(jax.tree.map(lambda w: w != 0, hard)), same.all()

    kept, same = jax.jit(jax.vmap(lane))(jnp.array([0.0, 1.0, 10.0]))
    assert kept[0] > kept[1] > kept[2]
    assert same.all()


def test_what_is_trained_has_steps_of_the_sharpness_at_every_scale():
    digits = data.load("digits")
    net = models.make("mlp", classes=10, hidden=(4,))
    problem = problems.classification(net, digits)
    params, _ = problem.init(jax.random.key(0))
    soft = compress.thresholded(problem, params, {}, sharpness=6.0, start=0.5)
    both, _ = soft.init(jax.random.key(1))
    images, key = jnp.asarray(digits.prepare(digits.test.inputs[:9])), jax.random.key(2)

    def by_hand(w):
        t = 0.5 * jnp.std(w)
        return compress.soft_threshold(w, t, 6.0 / t) if w.ndim > 1 else w

    found, _ = soft.train_outputs(both, {}, images, key)
    expected, _ = problem.train_outputs(jax.tree.map(by_hand, params), {}, images, key)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    slope = jax.grad(lambda b: soft.train_outputs(b, {}, images, key)[0].sum())(both)
    assert all(slope["log_thresholds"].values())


def test_noisy_errors_are_made_monotone_before_they_are_compared():
    kept = np.array([[0.05, 0.1, 0.2, 0.4]])
    curve = Curve(kept, np.array([[5.0, 2.0, 3.0, 1.0]]))  # 2.5, 2.5 in the middle
    assert kept_at(curve, 2.5) == pytest.approx(0.1)
    assert kept_at(curve, 0.5) is None
    assert kept_at(curve, 6.0) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: compress.thresholded(p, {"k": X[None]}, {}, 0.0), "sharpness=0.0"),
        (lambda p: compress.thresholded(p, {"k": X[None]}, {}, 8.0, -1), "start=-1"),
        (lambda p: compress.thresholded(p, {"k": X}, {}), "nothing to prune"),
        (lambda p: compress.add_threshold_penalty(-1.0), "strength=-1.0: give"),
    ],
)
def test_a_mistake_says_what_would_be_right(call, message):
    with pytest.raises(InputError, match=message):
        call(None)
