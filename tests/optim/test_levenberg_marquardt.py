"""Levenberg-Marquardt: its step by hand, its rules, and its behaviour in trouble."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab.curvature import products
from optlab.errors import InputError
from optlab.optim import info
from optlab.optim.contract import extra_args
from optlab.optim.dense.damping import RULES, SCALINGS, next_damping
from optlab.optim.dense.lift import half_square
from optlab.optim.methods.levenberg_marquardt import levenberg_marquardt
from optlab.solving import Reason, Stop, solve

J = jnp.array([[1.0, 1.0], [0.0, 1.0]])
R = jnp.array([1.0, 2.0])


def linear(x):
    return J @ x + R


def rosenbrock(x):
    return jnp.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def one_update(tx, params, state=None, **functions):
    value_fn = functions.pop("value_fn", None) or (
        lambda p: half_square(functions["residual_fn"](p))
    )
    value, grad = jax.value_and_grad(value_fn)(params)
    everything = extra_args(params, value, grad, value_fn=value_fn, **functions)
    state = tx.init(params) if state is None else state
    updates, state = tx.update(grad, state, params, **everything)
    return updates, state, info.find(state)[0]


@pytest.mark.parametrize("solver", ["cholesky", "qr", "cg"])
def test_the_step_by_hand(solver):
    # J'J = [[1, 1], [1, 2]], J'r = [1, 3]; (J'J + I) s = J'r gives s = [0, 1].
    # g.G g / g.g = 25 / 10 for g = J'r, so that a damping of 0.4 adds I.
    plain = {"scaling": "identity", "geodesic": False}
    tx = levenberg_marquardt(damping=0.4, solver=solver, **plain)
    updates, _, diagnostics = one_update(tx, jnp.zeros(2), residual_fn=linear)
    np.testing.assert_allclose(updates, [0.0, -1.0], atol=2e-3)
    # f falls from 2.5 to 0.5 r.r with r = [0, 1]; the model says the same.
    np.testing.assert_allclose(diagnostics.loss, 2.5)
    np.testing.assert_allclose(diagnostics.gain_ratio, 1.0, rtol=1e-2)
    np.testing.assert_allclose(diagnostics.gradient_norm, 10**0.5)
    assert diagnostics.accepted


def test_marquardt_scaling_by_hand():
    # D = diag(1, 2): (J'J + D) s = J'r, [[2, 1], [1, 4]] s = [1, 3], s = [1, 5] / 7.
    tx = levenberg_marquardt(damping=1.0, scaling="marquardt", geodesic=False)
    updates, _, _ = one_update(tx, jnp.zeros(2), residual_fn=linear)
    np.testing.assert_allclose(updates, [-1 / 7, -5 / 7], rtol=1e-5)


def test_marquardt_steps_do_not_depend_on_units():
    units = jnp.array([1e3, 1e-3])
    tx = levenberg_marquardt(scaling="marquardt", geodesic=False)
    start, stop = jnp.array([-1.2, 1.0]), Stop(gradient=-1.0, steps=20)
    plain = solve(tx, start, residual_fn=rosenbrock, stop=stop)
    scaled = solve(
        tx, start / units, residual_fn=lambda x: rosenbrock(x * units), stop=stop
    )
    np.testing.assert_allclose(scaled.params * units, plain.params, rtol=1e-3)
    assert plain.value < 1.0


def test_the_step_turns_from_gauss_newton_to_the_gradient():
    def step(damping):
        plain = {"scaling": "identity", "geodesic": False}
        tx = levenberg_marquardt(damping=damping / 2.5, **plain)
        return -one_update(tx, jnp.zeros(2), residual_fn=linear)[0]

    np.testing.assert_allclose(step(1e-6), jnp.linalg.solve(J, R), rtol=1e-4)
    np.testing.assert_allclose(1e6 * step(1e6), J.T @ R, rtol=1e-4)


def test_trainlm_multiplies_and_divides():
    nu, _ = next_damping("trainlm", 1e-3, 1.0, 0.5, jnp.array(True), (0.1, 10.0))
    np.testing.assert_allclose(nu, 1e-4)
    nu, _ = next_damping("trainlm", 1e-3, 1.0, -1.0, jnp.array(False), (0.1, 10.0))
    np.testing.assert_allclose(nu, 1e-2)


def test_nielsen_grows_ever_faster_and_shrinks_with_the_gain():
    nu, v = 1.0, 2.0
    for expected in (2.0, 8.0, 64.0):
        nu, v = next_damping("nielsen", nu, v, -1.0, jnp.array(False), (1 / 3, 2.0))
        np.testing.assert_allclose(nu, expected)
    nu, v = next_damping("nielsen", nu, v, 0.25, jnp.array(True), (1 / 3, 2.0))
    np.testing.assert_allclose(nu, 64 * (1 + 0.5**3))
    assert v == 2.0


def test_nielsen_trusts_a_step_that_gains_too_much_no_more_than_one_too_little():
    for ratio, expected in ((1.0, 1 / 3), (1.25, 1 - 0.5**3), (1.5, 1.0), (9.0, 1.0)):
        nu, _ = next_damping("nielsen", 1.0, 2.0, ratio, jnp.array(True), (1 / 3, 2.0))
        np.testing.assert_allclose(nu, expected, rtol=1e-6)


def test_a_wide_net_whose_curvature_grows_is_fitted_from_small_weights():
    # Where a step that gains too much lowers the damping, some end at 2e-3 to 5e-2.
    x = jnp.linspace(-1.0, 1.0, 100)

    def residual_fn(p):
        hidden = jnp.tanh(x[:, None] * p["v"] + p["c"])
        return (hidden @ p["w"] - jnp.sin(4 * x)) / 10

    def end(seed):
        v, w = 0.03 * jax.random.normal(jax.random.key(seed), (2, 1333))
        solution = solve(
            levenberg_marquardt(),
            {"v": v, "c": jnp.zeros(1333), "w": w},
            residual_fn=residual_fn,
            stop=Stop(gradient=-1.0, step=-1.0, rounding=-1, steps=20),
        )
        return 0.5 * float(jnp.sum(residual_fn(solution.params) ** 2))

    assert max(end(seed) for seed in range(8)) < 1e-3


def test_geodesic_correction_by_hand():
    # r = x^2 at 1: J = 2, v = 1/2, r'' v v = 1/2, a = 1/4, s = v + a / 2 = 5/8.
    tx = levenberg_marquardt(damping=1e-6, geodesic=True)
    updates, _, _ = one_update(tx, jnp.ones(1), residual_fn=lambda x: x**2)
    np.testing.assert_allclose(updates, [-0.625], rtol=1e-5)
    # A linear residual has no curvature, so the correction changes nothing.
    bent, _, _ = one_update(tx, jnp.zeros(2), residual_fn=linear)
    straight = levenberg_marquardt(damping=1e-6, geodesic=False)
    np.testing.assert_allclose(
        bent, one_update(straight, jnp.zeros(2), residual_fn=linear)[0], rtol=1e-4
    )


def test_a_rejected_step_is_a_zero_update_and_more_damping():
    tx = levenberg_marquardt(damping=1e-3, rule="trainlm", geodesic=False)
    # The full Gauss-Newton step from 3 overshoots the root of atan and f rises.
    updates, state, diagnostics = one_update(
        tx, jnp.array([3.0]), residual_fn=jnp.arctan
    )
    assert not diagnostics.accepted
    assert not diagnostics.stalled
    assert diagnostics.gain_ratio < 0
    np.testing.assert_array_equal(updates, 0.0)
    np.testing.assert_allclose(state[0].nu, 1e-2)
    solution = solve(tx, jnp.array([3.0]), residual_fn=jnp.arctan)
    np.testing.assert_allclose(solution.params, 0.0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", RULES)
def test_rosenbrock_to_the_precision_of_its_type(rule, dtype):
    with jax.enable_x64(dtype == "float64"):
        tolerance = 1e-5 if dtype == "float32" else 1e-10
        plain = [(each, False) for each in SCALINGS]
        for scaling, geodesic in [
            *plain[:: 1 if tolerance < 1e-5 else 2],
            ("more", True),
        ]:
            tx = levenberg_marquardt(rule=rule, scaling=scaling, geodesic=geodesic)
            start = jnp.array([-1.2, 1.0], dtype)
            stop = Stop(gradient=tolerance)
            solution = solve(tx, start, residual_fn=rosenbrock, stop=stop)
            assert Reason(int(solution.reason)) == Reason.GRADIENT, scaling
            np.testing.assert_allclose(solution.params, 1.0, atol=10 * tolerance)


def test_out_of_the_domain_it_shrinks_and_never_returns_nan():
    tx = levenberg_marquardt(damping=1e-3, rule="trainlm", geodesic=False)
    # The root of log lies at 1; a Gauss-Newton step from 10 goes below zero.
    solution = solve(tx, jnp.array([10.0]), residual_fn=jnp.log, history=20)
    np.testing.assert_allclose(solution.params, 1.0, atol=1e-5)
    assert not solution.history.accepted[0]


def test_where_every_step_fails_it_stalls():
    def cliff(x):
        return jnp.where(x == 1.0, 1.0 + (x - 1.0), jnp.nan)

    tx = levenberg_marquardt(damping=1e-3, max_damping=1e4, rule="trainlm")
    solution = solve(tx, jnp.ones(1), residual_fn=cliff, stop=Stop(step=1e-3))
    assert Reason(int(solution.reason)) == Reason.STALLED
    np.testing.assert_array_equal(solution.params, 1.0)
    assert solution.steps == 8  # damping 1e-3, 1e-2, ..., 1e4


def test_zero_residuals_end_at_once():
    tx = levenberg_marquardt()
    updates, _, diagnostics = one_update(tx, jnp.ones(2), residual_fn=lambda x: 0.0 * x)
    np.testing.assert_array_equal(updates, 0.0)
    assert diagnostics.accepted
    solution = solve(tx, jnp.ones(2), residual_fn=lambda x: 0.0 * x)
    assert Reason(int(solution.reason)) == Reason.GRADIENT
    assert solution.steps == 0


@pytest.mark.parametrize("solver", ["cholesky", "qr", "cg"])
def test_more_parameters_than_residuals(solver):
    solution = solve(
        levenberg_marquardt(solver=solver, scaling="identity"),
        jnp.zeros(5),
        residual_fn=lambda x: jnp.array([x @ jnp.arange(5.0) - 3.0]),
        stop=Stop(gradient=1e-4),
    )
    assert Reason(int(solution.reason)) == Reason.GRADIENT
    # The shortest solution, since every step lies in the span of the gradient.
    np.testing.assert_allclose(solution.params, jnp.arange(5.0) / 10, atol=2e-3)


@pytest.mark.parametrize(
    ("residuals", "damping", "first", "factor"),
    [(1, None, 1e-3, 0.1), (1, 0.5, 0.5, 0.1), (5, None, 1.0, 1 / 3)],
)
def test_damping_is_less_where_residuals_are_fewer(residuals, damping, first, factor):
    rows = jnp.eye(5)[:residuals]
    tx, x = levenberg_marquardt(damping), jnp.zeros(5)
    state = tx.init(x)
    for used in (first, first * factor):
        updates, state, diagnostics = one_update(
            tx, x, state, residual_fn=lambda x: rows @ x - 3.0
        )
        assert diagnostics.accepted
        np.testing.assert_allclose(diagnostics.damping, used, rtol=0.05)
        x = x + updates


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_cross_entropy_by_the_generalized_matrix(solver):
    x = jax.random.normal(jax.random.key(0), (30, 3))
    labels = (jnp.sum(x, 1) + x[:, 0] ** 2 > 0.3).astype(int)

    def output_fn(p):
        return {"logits": x @ p["w"] + p["b"]}

    def output_loss_fn(out):
        return optax.softmax_cross_entropy_with_integer_labels(
            out["logits"], labels
        ).mean()

    start = {"w": jnp.zeros((3, 2)), "b": jnp.zeros(2)}
    solution = solve(
        levenberg_marquardt(solver=solver),
        start,
        output_fn=output_fn,
        output_loss_fn=output_loss_fn,
        stop=Stop(gradient=1e-5, steps=30),
    )
    assert Reason(int(solution.reason)) == Reason.GRADIENT


def test_on_the_head_with_adam_on_the_rest():
    x = jnp.linspace(-1, 1, 20)[:, None]
    y = jnp.sin(3 * x)

    def residual_fn(p):
        return jnp.tanh(x @ p["body"]) @ p["head"] - y

    tx = optax.partition(
        {"lm": levenberg_marquardt(), "adam": optax.adam(1e-2)},
        {"body": "adam", "head": "lm"},
    )

    def median(tx):
        def value(key):
            start = {
                "body": 3 * jax.random.normal(key, (1, 8)),
                "head": jnp.zeros((8, 1)),
            }
            return solve(tx, start, residual_fn=residual_fn, stop=Stop(steps=100)).value

        return jnp.median(jax.lax.map(value, jax.random.split(jax.random.key(0), 9)))

    # One start may end ten times as high, by rounding.
    assert median(tx) < 0.01 * median(optax.adam(1e-2))


@pytest.mark.parametrize("rule", RULES)
def test_lanes_over_factors_equal_single_runs(rule):
    # Their default is None, so the contract's sweep over floats leaves them out.
    def run(decrease, increase):
        tx = levenberg_marquardt(decrease=decrease, increase=increase, rule=rule)
        return solve(tx, jnp.array([-1.2, 1.0]), residual_fn=rosenbrock).steps

    factors = jnp.array([0.1, 0.5]), jnp.array([10.0, 2.0])
    single = jax.jit(run)
    steps = np.array([int(single(*lane)) for lane in zip(*factors, strict=True)])
    # Lanes round in another way, so that the last step may fall away or be added.
    assert np.all(np.abs(jax.jit(jax.vmap(run))(*factors) - steps) <= 1)
    assert abs(steps[0] - steps[1]) > 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "nielson"}, "no rule 'nielson'; did you mean nielsen"),
        ({"scaling": "D"}, "no scaling 'D'; known: .*fading, identity"),
        ({"solver": "svd"}, "no solver 'svd'"),
        ({"solver": "cg", "scaling": "more"}, "use scaling='identity'"),
    ],
)
def test_wrong_choices_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        levenberg_marquardt(**arguments)


def test_qr_needs_a_sum_of_squares():
    with pytest.raises(InputError, match="solver='qr' needs residual_fn"):
        one_update(
            levenberg_marquardt(solver="qr"),
            jnp.ones(2),
            value_fn=jnp.sum,
            output_fn=lambda x: x,
            output_loss_fn=jnp.sum,
        )


def test_too_large_a_jacobian_names_the_other_solver(monkeypatch):
    monkeypatch.setattr(products, "DENSE_LIMIT", 31)
    with pytest.raises(InputError, match=r"use levenberg_marquardt\(solver='cg'"):
        one_update(levenberg_marquardt(), jnp.zeros(2), residual_fn=linear)


def test_without_residuals_it_says_what_to_pass():
    with pytest.raises(TypeError, match=r"levenberg_marquardt.*residual_fn=r"):
        one_update(levenberg_marquardt(), jnp.zeros(2), value_fn=jnp.sum)


@pytest.mark.parametrize("solver", ["cholesky", "qr", "cg"])
@pytest.mark.parametrize("k", [1e-9, 1.0, 1e9])
def test_the_optimum_does_not_depend_on_the_residuals_unit(solver, k):
    t = jnp.linspace(0.0, 2.0, 20)

    def residual_fn(p):
        return k * (p[0] * jnp.exp(-p[1] * t) - 3 * jnp.exp(-2 * t))

    tx, stop = levenberg_marquardt(solver=solver), Stop(gradient=-1.0, steps=100)
    end = solve(tx, jnp.ones(2), residual_fn=residual_fn, stop=stop).params
    np.testing.assert_allclose(end, [3.0, 2.0], rtol=1e-4)
