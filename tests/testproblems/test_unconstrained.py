"""Each problem against its own source: the value and the slope at the known optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.testproblems import classical, more_garbow_hillstrom
from optlab.testproblems.unconstrained import PROBLEMS

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(params=PROBLEMS)
def problem(request):
    return PROBLEMS[request.param]


def test_names_are_unique():
    every = [*more_garbow_hillstrom.PROBLEMS, *classical.PROBLEMS]
    assert len(PROBLEMS) == len(every)
    assert len(more_garbow_hillstrom.PROBLEMS) == 35


def compiled(function):
    # Half the time to compile, and there is little to run.
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def test_value_and_slope_at_the_minimizer(problem):
    if problem.minimizer is None:
        pytest.skip("the source gives no minimizer")
    value_and_grad = compiled(jax.value_and_grad(problem.value_fn))
    f, g = value_and_grad(jnp.asarray(problem.minimizer))
    # Sources print minimizers to about seven digits: f sees the square of the rest.
    np.testing.assert_allclose(f, problem.minima[0], rtol=1e-7, atol=1e-9)
    scale = jnp.abs(value_and_grad(jnp.asarray(problem.start))[1]).max()
    assert jnp.all(jnp.abs(g) <= 1e-4 * jnp.maximum(1.0, scale))


def test_derivative_is_that_of_finite_differences(problem):
    step = 1e-6

    def both(x):
        v = jnp.cos(jnp.arange(x.size) + 0.3)
        f, g = jax.value_and_grad(problem.value_fn)(x)
        ahead, behind = problem.value_fn(x + step * v), problem.value_fn(x - step * v)
        noise = 1e-9 * jnp.abs(f) + 1e-4 * jnp.linalg.norm(g)
        return (ahead - behind) / (2 * step), g @ v, noise

    # Away from the start, which may be a point of symmetry.
    difference, slope, noise = compiled(both)(jnp.asarray(problem.start) + 0.01)
    np.testing.assert_array_less(jnp.abs(difference - slope), noise)


def test_value_is_half_the_sum_of_squares():
    problem = PROBLEMS["rosenbrock"]
    r = problem.residual_fn(problem.start)
    np.testing.assert_allclose(r, [-4.4, 2.2])
    np.testing.assert_allclose(problem.value_fn(problem.start), 0.5 * 24.2)
