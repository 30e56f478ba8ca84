"""Each problem against its own source: the value and the slope at the known optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.testproblems import classical, more_garbow_hillstrom
from optlab.testproblems.unconstrained import PROBLEMS


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=PROBLEMS)
def problem(request):
    return PROBLEMS[request.param]


def test_names_are_unique():
    every = [*more_garbow_hillstrom.PROBLEMS, *classical.PROBLEMS]
    assert len(PROBLEMS) == len(every)
    assert len(more_garbow_hillstrom.PROBLEMS) == 35


def test_value_and_slope_at_the_minimizer(problem):
    if problem.minimizer is None:
        pytest.skip("the source gives no minimizer")
    f, g = jax.value_and_grad(problem.value_fn)(jnp.asarray(problem.minimizer))
    # Sources print minimizers to about seven digits: f sees the square of the rest.
    np.testing.assert_allclose(f, problem.minima[0], rtol=1e-7, atol=1e-9)
    scale = jnp.abs(jax.grad(problem.value_fn)(jnp.asarray(problem.start))).max()
    assert jnp.all(jnp.abs(g) <= 1e-4 * jnp.maximum(1.0, scale))


def test_value_is_half_the_sum_of_squares(problem):
    if problem.residual_fn is None:
        pytest.skip("no sum of squares")
    x = jnp.asarray(problem.start)
    half = 0.5 * jnp.sum(problem.residual_fn(x) ** 2)
    np.testing.assert_allclose(problem.value_fn(x), half, rtol=1e-14)


def test_derivative_is_that_of_finite_differences(problem):
    x = jnp.asarray(problem.start) + 0.01  # away from kinks that the start may sit on
    step = 1e-6
    offsets = step * jnp.eye(x.size)
    ahead, behind = (jax.vmap(problem.value_fn)(x + o) for o in (offsets, -offsets))
    g = jax.grad(problem.value_fn)(x)
    noise = 1e-9 * jnp.abs(problem.value_fn(x))
    error = jnp.abs((ahead - behind) / (2 * step) - g)
    assert jnp.all(error <= 1e-4 * jnp.abs(g).max() + noise)
