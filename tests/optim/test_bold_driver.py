"""The bold driver: up by 5%, down by 30%, and an undo that is a zero update."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.optim import bold_driver
from optlab.solving import Reason, Stop, solve


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def value_fn(x):
    return 0.5 * x @ x


def one(rate, x=(2.0,)):
    x = jnp.asarray(x)
    tx = bold_driver(learning_rate=rate)
    updates, state = tx.update(x, tx.init(x), x, value=value_fn(x), value_fn=value_fn)
    return float(updates[0]), state[0]


def test_a_decrease_is_kept_and_the_step_grows():
    update, state = one(0.1)
    np.testing.assert_allclose(update, -0.2)
    np.testing.assert_allclose(state.rate, 0.105)
    assert state.info.accepted


def test_a_small_rise_is_kept_and_the_step_shrinks():
    update, state = one(2.01)  # f rises by 1.01^2 - 1 = 2%
    np.testing.assert_allclose(update, -4.02)
    np.testing.assert_allclose(state.rate, 0.7 * 2.01)
    assert state.info.accepted


@pytest.mark.parametrize("rate", [2.1, 1e200])
def test_a_large_rise_is_undone(rate):  # 2.1: f rises by 21%
    update, state = one(rate)
    assert update == 0
    np.testing.assert_allclose(state.rate, 0.7 * rate)
    assert not state.info.accepted


@pytest.mark.parametrize(
    ("rate", "f"),
    # The first step has no end where f is 0; where the second ends, f is -infinity.
    [(1e200, jnp.exp), (1e100, lambda x: 1e200 * x)],
)
def test_neither_a_step_nor_a_value_may_be_infinite(rate, f):
    x, tx = jnp.array([1.0]), bold_driver(learning_rate=rate)
    g = jnp.array([1e200])
    updates, state = tx.update(g, tx.init(x), x, value_fn=lambda x: f(x).sum())
    assert updates[0] == 0
    assert not state[0].info.accepted
    assert state[0].rate < rate


def test_comes_back_from_a_rate_that_diverges():
    solution = solve(
        bold_driver(learning_rate=1e6),
        jnp.ones(3),
        value_fn=value_fn,
        stop=Stop(gradient=1e-6),
    )
    assert solution.reason == Reason.GRADIENT


def test_negative_values_have_their_four_percent_too():
    x = jnp.array([1.0])
    tx = bold_driver(learning_rate=1.0)
    for rise, kept in ((0.03, True), (0.05, False)):
        updates, _ = tx.update(
            jnp.ones(1), tx.init(x), x, value=-1.0, value_fn=lambda _, r=rise: -1.0 + r
        )
        assert bool(updates[0] != 0) == kept
