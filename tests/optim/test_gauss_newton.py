"""Gauss-Newton: exact where residuals are linear, shortened where they are not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab import curvature
from optlab.optim import info
from optlab.optim.methods.gauss_newton import gauss_newton
from optlab.solving import Reason, Stop, solve

STEP = Stop(gradient=-1.0, step=-1.0, steps=1)


@pytest.mark.parametrize("solver", ["cholesky", "qr"])
def test_linear_residuals_are_solved_in_one_step(solver):
    # The line through (0, 1), (1, 3), (2, 4): slope 3/2, intercept 7/6.
    t, y = jnp.arange(3.0), jnp.array([1.0, 3.0, 4.0])
    solution = solve(
        gauss_newton(solver=solver),
        jnp.array([5.0, -7.0]),
        residual_fn=lambda x: x[0] * t + x[1] - y,
        stop=STEP,
    )
    np.testing.assert_allclose(solution.params, [3 / 2, 7 / 6], rtol=1e-4)
    assert solution.evaluations == 2 + 1 + 1  # values, one backward pass, the trial


def test_no_solve_of_products_differs_from_the_dense_one():
    A = jax.random.normal(jax.random.key(0), (6, 4))  # noqa: N806

    def residual_fn(x):
        return jnp.tanh(A @ x) - 0.1

    ends = [
        solve(
            gauss_newton(solver=s), jnp.zeros(4), residual_fn=residual_fn, stop=STEP
        ).params
        for s in ("cholesky", "cg")
    ]
    np.testing.assert_allclose(*ends, atol=1e-3)


def test_the_length_halves_until_f_falls():
    # From 3, atan's Newton step is 12.5 long; 1/2 of it still overshoots, 1/4 not.
    stop = STEP._replace(steps=3)
    solution = solve(
        gauss_newton(), jnp.array([3.0]), residual_fn=jnp.arctan, stop=stop, history=3
    )
    np.testing.assert_array_equal(solution.history.accepted, [False, False, True])
    full = 10 * jnp.arctan(3.0)
    np.testing.assert_allclose(solution.params, 3.0 - full / 4, rtol=1e-4)
    assert info.find(solution.state)[0].damping == 0.25
    assert solution.state[0].length == 0.5


def test_for_a_linear_model_it_is_newton_on_cross_entropy():
    x = jax.random.normal(jax.random.key(0), (20, 3))
    labels = (x[:, 0] > 0.2 * x[:, 1] ** 2).astype(float)
    output_fn = lambda w: x @ w  # noqa: E731
    output_loss_fn = lambda z: optax.sigmoid_binary_cross_entropy(  # noqa: E731
        z, labels
    ).mean()
    f = lambda w: output_loss_fn(output_fn(w))  # noqa: E731
    w = jnp.zeros(3)
    solution = solve(
        gauss_newton(),
        w,
        output_fn=output_fn,
        output_loss_fn=output_loss_fn,
        stop=STEP,
    )
    newton = jnp.linalg.solve(curvature.hessian(f, w), jax.grad(f)(w))
    np.testing.assert_allclose(solution.params, -newton, rtol=1e-3)


@pytest.mark.parametrize("solver", ["cholesky", "qr", "cg"])
def test_a_singular_matrix_gives_the_shortest_step(solver):
    solution = solve(
        gauss_newton(solver=solver),
        jnp.zeros(2),
        residual_fn=lambda x: jnp.array([x[0] + x[1] - 2.0]),
        stop=Stop(gradient=1e-4),
    )
    np.testing.assert_allclose(solution.params, 1.0, atol=1e-3)
    assert Reason(int(solution.reason)) == Reason.GRADIENT


@pytest.mark.parametrize("solver", ["cholesky", "qr"])
def test_a_singular_matrix_without_damping_has_a_step(solver):
    solution = solve(
        gauss_newton(damping=0.0, solver=solver),
        jnp.zeros(2),
        residual_fn=lambda x: jnp.array([x[0] + x[1] - 2.0]),
        stop=STEP,
    )
    np.testing.assert_allclose(solution.params.sum(), 2.0, rtol=1e-5)


def test_a_parameter_without_effect_stays():
    solution = solve(
        gauss_newton(damping=0.0),
        jnp.ones(2),
        residual_fn=lambda x: x[:1] - 3.0,
        stop=STEP,
    )
    np.testing.assert_allclose(solution.params, [3.0, 1.0], rtol=1e-5)


def test_where_every_step_fails_it_stalls():
    def cliff(x):
        return jnp.where(x == 1.0, 1.0 + (x - 1.0), jnp.nan)

    solution = solve(gauss_newton(min_length=0.1), jnp.ones(1), residual_fn=cliff)
    assert Reason(int(solution.reason)) == Reason.STALLED
    assert solution.steps == 5  # lengths 1, 1/2, ..., 1/16
    np.testing.assert_array_equal(solution.params, 1.0)
