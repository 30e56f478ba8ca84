"""Derivatives of a minimizer: closed forms and finite differences, in both modes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optlab
from optlab.solving import Bounds, Stop, implicit, solve

A = jnp.array([[1.0, 0.2], [-0.3, 1.0], [0.5, 0.5], [0.1, -0.8]])
Y = jnp.array([1.0, 0.5, -0.5, 0.3])


def ridge(x, y, weight):
    return {"data": A @ x - y, "penalty": jnp.sqrt(weight) * x}


METHODS = ["levenberg_marquardt", "bfgs"]


@pytest.mark.parametrize("name", METHODS)
def test_ridge_regression_has_the_derivatives_of_its_closed_form(name, float64):
    def fitted(y, weight):
        tx, start = optlab.optim.make(name), jnp.zeros(2)
        return solve(tx, start, residual_fn=ridge, args=(y, weight)).params

    def closed(y, weight):
        return jnp.linalg.solve(A.T @ A + weight * jnp.eye(2), A.T @ y)

    at = Y, jnp.asarray(0.3)
    expected = jax.jacrev(closed, argnums=(0, 1))(*at)
    for mode in (jax.jacrev, jax.jacfwd):
        found = jax.jit(mode(fitted, argnums=(0, 1)))(*at)
        jax.tree.map(lambda f, e: np.testing.assert_allclose(f, e, rtol=1e-6), found,
                     expected)  # fmt: skip
    second = jax.hessian(lambda w: fitted(Y, w).sum())(at[1])
    exact = jax.hessian(lambda w: closed(Y, w).sum())(at[1])
    np.testing.assert_allclose(second, exact, rtol=1e-5)


def decay(p, x, y, scale):
    return scale["factor"] * p["height"] * jnp.exp(-p["rate"] * x) - y


def test_a_nonlinear_fit_agrees_with_finite_differences(float64):
    x = jnp.linspace(0.0, 2.0, 20)
    y = 3.0 * jnp.exp(-2.0 * x) + 0.1 * jnp.sin(9 * x)
    tx, start = optlab.levenberg_marquardt(), {"height": 1.0, "rate": 1.0}

    def outcome(y, factor):
        # The start depends on the data, too: it counts as a constant.
        found = solve(
            tx,
            {**start, "height": y[0]},
            residual_fn=decay,
            args=(x, y, {"factor": factor, "count": 3}),
        )
        return found.params["rate"] + found.params["height"] + found.value

    at, h = (y, jnp.asarray(0.7)), 1e-5
    gradient = jax.grad(outcome, argnums=(0, 1))(*at)
    for i in (0, 7):
        up, down = (outcome(y.at[i].add(d), at[1]) for d in (h, -h))
        np.testing.assert_allclose(gradient[0][i], (up - down) / (2 * h), rtol=1e-5)
    up, down = (outcome(y, at[1] + d) for d in (h, -h))
    np.testing.assert_allclose(gradient[1], (up - down) / (2 * h), rtol=1e-5)
    lanes = jax.vmap(jax.grad(outcome))(jnp.stack([y, 2 * y]), jnp.array([0.7, 0.9]))
    np.testing.assert_allclose(lanes[0], gradient[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("solver", ["qr", "cholesky"])
def test_a_badly_conditioned_fit_loses_no_direction_in_float32(solver):
    # The condition of V is 2e4, and its square is beyond float32.
    t = jnp.linspace(0.0, 1.0, 40)
    V = jnp.vander(t, 7)  # noqa: N806
    tx = optlab.levenberg_marquardt(solver=solver)

    def values(y):
        fit = solve(tx, jnp.zeros(7), residual_fn=lambda p, y: V @ p - y, args=(y,))
        return V @ fit.params

    y = jnp.sin(5 * t) + 0.1 * jnp.cos(40 * t)
    exact = np.vander(t, 7) @ np.linalg.pinv(np.vander(t, 7))
    for mode in (jax.jacrev, jax.jacfwd):
        np.testing.assert_allclose(mode(values)(y), exact, atol=1e-3)


def test_at_a_bound_the_others_move_alone(float64):
    def params(y):
        bounds = Bounds(upper=jnp.array([0.1, jnp.inf]))
        return solve(
            optlab.levenberg_marquardt(),
            jnp.zeros(2),
            residual_fn=lambda x, y: A @ x - y,
            args=(y,),
            bounds=bounds,
        ).params

    found = jax.jacrev(params)(Y)
    np.testing.assert_allclose(found[0], 0.0, atol=1e-7)
    column = A[:, 1]
    np.testing.assert_allclose(found[1], column / (column @ column), rtol=1e-6)


def test_what_the_function_closes_over_is_differentiated_with_arguments(float64):
    @jax.jit
    def root(a):
        data = 2 * a
        return solve(
            optlab.newton(),
            1.0,
            value_fn=lambda x, b: x**4 / 4 - data * b * x,
            args=(4.0,),
        ).params

    np.testing.assert_allclose(root(1.0), 2.0, rtol=1e-8)
    for mode in (jax.grad, jax.jacfwd):
        np.testing.assert_allclose(mode(root)(1.0), 2 / 3, rtol=1e-8)


@pytest.mark.parametrize("solver", [implicit._dense, implicit._iterative])
def test_a_singular_system_has_the_shortest_solution(solver):
    J = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]], np.float32)  # noqa: N806
    H, b = J.T @ J, np.array([2.0, 2.0, 4.0], np.float32)  # noqa: N806
    found = solver(lambda v: H @ v, jnp.asarray(b))
    np.testing.assert_allclose(found, np.linalg.pinv(H) @ b, rtol=1e-5)


def test_many_parameters_need_no_matrix(float64):
    n = implicit.DENSE + 1
    curvatures = jnp.linspace(1.0, 2.0, n)

    def total(a):
        value_fn = lambda x, a: jnp.sum(curvatures * x**2) / 2 - a * jnp.sum(x)  # noqa: E731
        tx, stop = optax.sgd(0.6), Stop(steps=100)
        return solve(
            tx, jnp.zeros(n), value_fn=value_fn, args=(a,), stop=stop
        ).params.sum()

    np.testing.assert_allclose(jax.grad(total)(3.0), (1 / curvatures).sum(), rtol=1e-6)
