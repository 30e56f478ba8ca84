"""First-order methods on numbers that can be worked by hand, and one fact of each."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab import optim

# Constants are chosen so that roots come out whole; with an epsilon that large, its
# place inside or outside the root shows.


def walk(tx, w, gradients):
    """The parameters after each of the given gradients."""
    w = jnp.array(w)
    state = tx.init(w)
    points = []
    for g in gradients:
        updates, state = tx.update(jnp.array(g), state, w)
        w = optax.apply_updates(w, updates)
        points.append(w)
    return points


def assert_walk(points, *expected):
    chex.assert_trees_all_close(points, [jnp.array(x) for x in expected], rtol=1e-5)


def test_sgd():
    tx = optim.sgd(learning_rate=0.1)
    # 1 - 0.1 * 2 = 0.8    2 - 0.1 * -4 = 2.4
    assert_walk(walk(tx, [1.0, 2.0], [[2.0, -4.0]]), [0.8, 2.4])


@pytest.mark.parametrize("factory", [optim.momentum, optim.nesterov, optim.sgd])
def test_numbers_may_become_tracers_after_init(factory):
    tx = optax.inject_hyperparams(factory)(learning_rate=0.1)
    w = jnp.ones(2)
    updates, _ = jax.jit(tx.update)(w, tx.init(w), w)
    plain = factory(learning_rate=0.1)
    np.testing.assert_allclose(updates, plain.update(w, plain.init(w), w)[0])


def test_decay_needs_parameters():
    tx = optim.momentum(weight_decay=0.1)
    with pytest.raises(ValueError, match="give params to update"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))


def test_momentum():
    tx = optim.momentum(learning_rate=0.1, momentum=0.5)
    # m = -0.1 * 2 = -0.2                  w = 1 - 0.2 = 0.8
    # m = 0.5 * -0.2 - 0.1 * 4 = -0.5      w = 0.8 - 0.5 = 0.3
    assert_walk(walk(tx, 1.0, [2.0, 4.0]), 0.8, 0.3)


def test_nesterov():
    tx = optim.nesterov(learning_rate=0.1, momentum=0.5)
    # f = w^2, gradient 2 v at v = w + 0.5 m; from w = v = 1, m = 0:
    # g = 2      m = -0.2                      w = 0.8     v = 0.8 - 0.1 = 0.7
    # g = 1.4    m = -0.1 - 0.14 = -0.24       w = 0.56    v = 0.56 - 0.12 = 0.44
    assert_walk(walk(tx, 1.0, [2.0, 1.4]), 0.7, 0.44)


def test_nesterov_is_the_look_ahead_loop():
    eta, beta = 0.05, 0.9
    grad = jax.grad(lambda w: jnp.sum(jnp.cosh(w)) + w[0] * w[1])
    with jax.enable_x64(True):
        tx = optim.nesterov(eta, beta)
        w = params = jnp.array([1.0, -0.5])
        m, state = jnp.zeros(2), tx.init(params)
        for _ in range(10):
            m = beta * m - eta * grad(w + beta * m)  # Sutskever et al. (3)
            w = w + m  # (4)
            updates, state = tx.update(grad(params), state, params)
            params = optax.apply_updates(params, updates)
        trace = state[0].trace
        chex.assert_trees_all_close(params, w + beta * m, rtol=1e-12)
        chex.assert_trees_all_close(params + eta * beta * trace, w, rtol=1e-12)


def test_adagrad():
    tx = optim.adagrad(learning_rate=0.5, eps=7.0)
    # s = 9     root(9 + 7) = 4      w = 1 - 0.5 * 3 / 4 = 0.625
    # s = 18    root(18 + 7) = 5     w = 0.625 - 0.5 * 3 / 5 = 0.325
    assert_walk(walk(tx, 1.0, [3.0, 3.0]), 0.625, 0.325)
    begun = optim.adagrad(learning_rate=0.5, initial_accumulator_value=9.0, eps=7.0)
    # s = 9 + 9                      w = 1 - 0.5 * 3 / 5 = 0.7
    assert_walk(walk(begun, 1.0, [3.0]), 0.7)


def test_rmsprop():
    tx = optim.rmsprop(learning_rate=0.3, decay=0.75, eps=5.0)
    # s = 0.25 * 16 = 4              root(4 + 5) = 3    w = 1 - 0.3 * 4 / 3 = 0.6
    # s = 0.75 * 4 + 0.25 * 4 = 4    root(4 + 5) = 3    w = 0.6 - 0.3 * 2 / 3 = 0.4
    assert_walk(walk(tx, 1.0, [4.0, 2.0]), 0.6, 0.4)


def test_adam():
    tx = optim.adam(learning_rate=0.9, b1=0.5, b2=0.5, eps=1.0)
    # g = 2     m = 0.5 * 2 = 1            m^ = 1 / 0.5 = 2
    #           v = 0.5 * 4 = 2            v^ = 2 / 0.5 = 4         root 2
    #           w = 1 - 0.9 * 2 / (2 + 1) = 0.4
    # g = -2    m = 0.5 * 1 - 1 = -0.5     m^ = -0.5 / 0.75 = -2/3
    #           v = 0.5 * 2 + 2 = 3        v^ = 3 / 0.75 = 4        root 2
    #           w = 0.4 + 0.9 * (2/3) / (2 + 1) = 0.6
    assert_walk(walk(tx, 1.0, [2.0, -2.0]), 0.4, 0.6)


def test_nadam():
    tx = optim.nadam(learning_rate=0.9, b1=0.5, b2=0.5, eps=1.0)
    # m and v^ as for Adam, the root 2
    # g = 2     m^ = 0.5 * 1 / 0.75 + 0.5 * 2 / 0.5 = 2/3 + 2 = 8/3
    #           w = 1 - 0.9 * (8/3) / 3 = 0.2
    # g = -2    m^ = 0.5 * -0.5 / 0.875 + 0.5 * -2 / 0.75 = -2/7 - 4/3 = -34/21
    #           w = 0.2 + 0.9 * (34/21) / 3 = 0.2 + 0.485714
    assert_walk(walk(tx, 1.0, [2.0, -2.0]), 0.2, 0.685714)


def test_lamb():
    tx = optim.lamb(learning_rate=0.1, eps=0.0, weight_decay=0.5)
    # r = m^ / root(v^) = (1, -1)       u = (1, -1) + 0.5 (6, 8) = (4, 3)
    # |w| / |u| = 10 / 5                w = (6, 8) - 0.1 * 2 * (4, 3) = (5.2, 7.4)
    assert_walk(walk(tx, [6.0, 8.0], [[2.0, -2.0]]), [5.2, 7.4])
    # A layer of zeros: the ratio is 1  w = 0 - 0.1 * (1, -1)
    assert_walk(walk(tx, [0.0, 0.0], [[2.0, -2.0]]), [-0.1, 0.1])


def test_lamb_takes_the_norm_of_each_leaf_alone():
    tx = optim.lamb(learning_rate=0.1, eps=0.0, weight_decay=0.0)
    w = {"small": jnp.array([3.0, 4.0]), "large": jnp.array([300.0, 400.0])}
    g = {"small": jnp.array([9.0, 1.0]), "large": jnp.array([1.0, 9.0])}
    updates, _ = tx.update(g, tx.init(w), w)
    lengths = jax.tree.map(jnp.linalg.norm, updates)
    chex.assert_trees_all_close(lengths, {"small": 0.5, "large": 50.0}, rtol=1e-5)


@pytest.mark.parametrize("name", ["adagrad", "rmsprop", "adam", "nadam", "lamb"])
def test_adaptive_methods_do_not_see_the_scale_of_the_gradient(name):
    tx = optim.make(name, eps=0.0)
    gradients = jnp.array([[3.0, -1.0], [1.0, 2.0], [-2.0, 0.5]])
    small, large = (walk(tx, [1.0, 1.0], c * gradients) for c in (1.0, 64.0))
    chex.assert_trees_all_close(small, large, rtol=1e-5)


def test_a_schedule_may_stand_for_the_learning_rate():
    tx = optim.sgd(learning_rate=lambda count: 0.5**count)
    assert_walk(walk(tx, 4.0, [1.0, 1.0, 1.0]), 3.0, 2.5, 2.25)


def test_state_is_float32_under_bfloat16_parameters():
    # b2 = 0.999 is 1 in bfloat16; there, v would be 0.001 + 0.001 after two steps.
    tx = optim.adam()
    w = g = jnp.ones(2, jnp.bfloat16)
    state = tx.init(w)
    for _ in range(2):
        updates, state = tx.update(g, state, w)
    nu = jnp.full(2, 0.001 * 0.999 + 0.001)
    chex.assert_trees_all_close(state[0].nu, nu, rtol=1e-5)
    assert updates.dtype == jnp.bfloat16


def test_weight_decay_reaches_the_named_parameters_alone():
    """Worked by hand: 0.1 of 0.5 w for the kernel, once, and again with 0.9 of it."""
    params = {"a": {"kernel": jnp.array(2.0), "shift": jnp.array(3.0)}}
    zero = jax.tree.map(jnp.zeros_like, params)
    options = {"learning_rate": 0.1, "momentum": 0.9}
    for decayed, wanted in (
        (("kernel",), {"kernel": -0.19, "shift": 0.0}),
        ((), {"kernel": -0.19, "shift": -0.285}),
    ):
        tx = optim.momentum(**options, weight_decay=0.5, decayed=decayed)
        _, state = tx.update(zero, tx.init(params), params)
        updates, _ = tx.update(zero, state, params)  # -0.1 * 0.5 w * (1 + 0.9)
        chex.assert_trees_all_close(updates["a"], wanted, rtol=1e-6)


def test_lamb_takes_weights_whose_squares_overflow():
    w = jnp.full(4, 1e20, jnp.float32)
    tx = optim.lamb(learning_rate=0.1, weight_decay=0.0)
    updates, _ = tx.update(jnp.ones(4), tx.init(w), w)
    # A tenth of |w|; the norm of float32 would be infinite.
    np.testing.assert_allclose(updates, -0.1 * w, rtol=1e-4)
