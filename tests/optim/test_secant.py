"""BFGS and DFP: one formula each; the guard, the scaling and the search they share."""
# ruff: noqa: N802, N806

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.errors import InputError
from optlab.optim import bfgs, dfp
from optlab.optim.dense.line_search import MAX_EVALUATIONS, search
from optlab.optim.dense.secant import guarded_update
from optlab.optim.methods.bfgs import bfgs_formula
from optlab.optim.methods.dfp import dfp_formula
from optlab.solving import Reason, Stop, solve

FORMULAS = {"bfgs": bfgs_formula, "dfp": dfp_formula}
METHODS = {"bfgs": bfgs, "dfp": dfp}


pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(params=METHODS)
def name(request):
    return request.param


def rosenbrock(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def pair(seed=0, n=4):
    """A positive definite V and a pair with s.r > 0."""
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(2, n, n))
    s = rng.normal(size=n)
    return A @ A.T + np.eye(n), s, (B @ B.T + np.eye(n)) @ s


def test_bfgs_by_hand():
    # V = I, s = (1, 0), r = (1, 1): s.r = 1, V r = r, r.V r = 2.
    V = bfgs_formula(jnp.eye(2), jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0]))
    np.testing.assert_allclose(V, [[2.0, -1.0], [-1.0, 1.0]])


def test_dfp_by_hand():
    # The same pair: I + [[1, 0], [0, 0]] - [[1, 1], [1, 1]] / 2.
    V = dfp_formula(jnp.eye(2), jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0]))
    np.testing.assert_allclose(V, [[1.5, -0.5], [-0.5, 0.5]])


def test_the_secant_equation(name):
    V, s, r = pair()
    new = FORMULAS[name](V, s, r)
    np.testing.assert_allclose(new @ r, s, rtol=1e-10)
    np.testing.assert_allclose(new, new.T, rtol=1e-10)
    assert jnp.linalg.eigvalsh(new)[0] > 0


def test_each_is_the_dual_of_the_other():
    # Exchanging s and r turns the update of V into that of its inverse.
    V, s, r = pair()
    H = jnp.linalg.inv(V)
    for one, other in ((bfgs_formula, dfp_formula), (dfp_formula, bfgs_formula)):
        np.testing.assert_allclose(
            jnp.linalg.inv(one(V, s, r)), other(H, r, s), rtol=1e-8, atol=1e-10
        )


def test_ends_a_quadratic_in_n_steps_of_an_exact_search(name):
    A = jnp.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]])
    solution = solve(
        METHODS[name](curvature=1e-9),
        jnp.array([1.0, -1.0, 2.0]),
        value_fn=lambda x: 0.5 * x @ A @ x - x.sum(),
        stop=Stop(gradient=1e-7),
    )
    assert solution.steps == 3
    np.testing.assert_allclose(A @ solution.params, np.ones(3), atol=1e-6)
    # ... and V is then the inverse Hessian.
    np.testing.assert_allclose(solution.state[0].V @ A, np.eye(3), atol=1e-4)


def test_a_pair_without_curvature_leaves_V_alone(name):
    V = 2 * jnp.eye(2)
    s = jnp.array([1.0, 0.0])
    for r in ([-1.0, 0.0], [0.0, 1.0], [np.nan, 1.0], [np.inf, 1.0]):
        new, updated = guarded_update(FORMULAS[name], V, s, jnp.array(r), True)
        assert not updated
        np.testing.assert_array_equal(new, V)


def test_scaling_takes_the_curvature_along_r(name):
    s, r = jnp.array([1.0, 0.0]), jnp.array([4.0, 0.0])
    new, _ = guarded_update(FORMULAS[name], jnp.eye(2), s, r, True)
    np.testing.assert_allclose(new, np.eye(2) / 4)


@pytest.mark.parametrize("scaling", ["none", "first", "always"])
def test_rosenbrock_with_every_scaling(name, scaling):
    tx = METHODS[name](scaling=scaling)
    stop = Stop(gradient=1e-6)
    solution = solve(tx, jnp.array([-1.2, 1.0]), value_fn=rosenbrock, stop=stop)
    np.testing.assert_allclose(solution.params, [1.0, 1.0], atol=1e-5)
    assert solution.reason == Reason.GRADIENT
    assert solution.steps < 60


def test_float32_reaches_its_accuracy(name):
    x = jnp.array([-1.2, 1.0], jnp.float32)
    solution = solve(METHODS[name](), x, value_fn=rosenbrock)
    assert solution.params.dtype == jnp.float32
    np.testing.assert_allclose(solution.params, [1.0, 1.0], atol=2e-3)


def test_an_edge_of_the_domain_is_searched_around(name):
    solution = solve(
        METHODS[name](first_step=1e3),
        jnp.array([2.0, 0.5]),
        value_fn=lambda x: jnp.sum(x - jnp.log(x)),
    )
    np.testing.assert_allclose(solution.params, [1.0, 1.0], rtol=1e-5)


def test_a_function_that_only_rises_stalls(name):
    # The derivative is wrong by its sign, so nothing along it pays.
    @jax.custom_jvp
    def lies(x):
        return jnp.sum(x**2)

    lies.defjvp(lambda x, v: (lies(*x), -2 * jnp.vdot(x[0], v[0])))
    solution = solve(METHODS[name](), jnp.ones(2), value_fn=lies)
    assert solution.reason == Reason.STALLED
    np.testing.assert_array_equal(solution.params, np.ones(2))


def test_a_start_without_a_value_is_said(name):
    start = -jnp.ones(2)
    solution = solve(METHODS[name](), start, value_fn=lambda x: jnp.log(x).sum())
    assert solution.reason == Reason.NON_FINITE


def test_the_pair_is_that_of_one_batch_whatever_a_chain_does():
    # The step is halved after the search: V still meets the equation of the search.
    A = jnp.diag(jnp.array([1.0, 5.0]))

    def value_fn(x):
        return 0.5 * x @ A @ x

    tx, x = bfgs(), jnp.array([1.0, 1.0])
    updates, state = tx.update(A @ x, tx.init(x), x, value_fn=value_fn)
    V, s = state[0].V, updates
    np.testing.assert_allclose(V @ (A @ s), s, rtol=1e-10)


def test_refuses_a_matrix_that_does_not_fit(name):
    x = jax.ShapeDtypeStruct((10**6,), jnp.float32)
    with pytest.raises(InputError, match=rf"{name} needs .* use newton_cg"):
        jax.eval_shape(METHODS[name]().init, x)


def test_an_unknown_scaling_is_refused(name):
    with pytest.raises(InputError, match=f"{name}: no scaling 'frist'"):
        METHODS[name](scaling="frist")


def test_the_search_takes_no_point_without_a_value_or_gradient():
    x = g = jnp.ones(1)
    point, _ = search(jax.value_and_grad(lambda x: jnp.log(x).sum()), x, 0.0, g, g, 1.0)
    assert jnp.isfinite(point.value)  # log 0 at the first length would pay
    assert 0 < point.t < 1

    def kink(x):  # has its least value where its gradient is none
        return jnp.sum(jnp.sqrt(jnp.abs(x)))

    g = jax.grad(kink)(x)
    point, _ = search(jax.value_and_grad(kink), x, kink(x), g, g, 2.0)
    assert jnp.all(jnp.isfinite(point.gradient))
    assert 0 < point.t < 2


@pytest.mark.parametrize("t", [1e-6, 1.0, 1e6])
def test_the_search_meets_both_conditions_from_any_first_length(t):
    def f(x):
        return jnp.sum(jnp.log(1 + (x - 3.0) ** 2))

    x = jnp.zeros(1)
    g = jax.grad(f)(x)
    point, evaluations = search(jax.value_and_grad(f), x, f(x), g, g, t, 0.1)
    assert f(x - point.t * g) <= f(x) - 0.04 * point.t * g @ g
    assert abs(jax.grad(f)(x - point.t * g) @ g) <= 0.1 * g @ g
    assert evaluations <= MAX_EVALUATIONS


def test_no_search_ends_on_a_plateau():
    def falling(x):  # at the first trial, 1, nothing is left of value and slope
        return jnp.sum(jnp.exp(-50 * x))

    x = jnp.zeros(1)
    value, gradient = jax.value_and_grad(falling)(x)
    end, _ = search(jax.value_and_grad(falling), x, value, gradient, -jnp.ones(1), 1.0)
    assert 0 < end.t < 0.06  # 1 - exp(-50 t) >= 0.36 * 50 t
    assert end.slope < -1e-3
