"""Bounds: optima inside, on and beyond them, by every kind of method."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optlab
from optlab.errors import InputError
from optlab.solving import Bounds, Reason, Stop, solve
from optlab.solving.bounds import make_box, resolve

T = jnp.linspace(0.0, 2.0, 30)
Y = 2.0 * jnp.exp(-1.5 * T) + 0.1 * jnp.cos(9 * T)


def residual_fn(p):
    return p["height"] * jnp.exp(-p["shape"]["rate"] * T) - Y


START = {"height": 1.0, "shape": {"rate": 1.0}}
METHODS = ["levenberg_marquardt", "gauss_newton", "bfgs", "newton_cg"]


def fit(name, bounds=None, **options):
    tx = optlab.optim.make(name)
    return solve(tx, START, residual_fn=residual_fn, bounds=bounds, **options)


@pytest.mark.parametrize("name", METHODS)
def test_the_optimum_inside_on_and_beyond(name, float64):
    free = fit("levenberg_marquardt").params
    best = float(free["shape"]["rate"])

    inside = fit(name, Bounds(lower={"shape.rate": 0.0}, upper={"height": 9.0}))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6),
                 inside.params, free)  # fmt: skip
    assert not any(jax.tree.leaves(inside.at_bound))

    on = fit(name, Bounds(upper={"shape": {"rate": best}}))
    np.testing.assert_allclose(on.params["shape"]["rate"], best, rtol=1e-5)
    assert on.params["shape"]["rate"] <= best

    beyond = fit(name, Bounds(lower={"shape.rate": 0.5}, upper={"shape.rate": 1.2}))
    np.testing.assert_allclose(beyond.params["shape"]["rate"], 1.2, rtol=1e-12)
    basis = jnp.exp(-1.2 * T)
    height = basis @ Y / (basis @ basis)
    np.testing.assert_allclose(beyond.params["height"], height, rtol=1e-6)
    assert beyond.at_bound["shape"]["rate"] == 1
    assert beyond.at_bound["height"] == 0
    assert beyond.reason in (Reason.GRADIENT, Reason.ROUNDING, Reason.STEP)


@pytest.mark.parametrize("solver", ["cholesky", "qr", "cg"])
@pytest.mark.parametrize("limits", [(None, 1.2), (2.5, None), (0.5, 1.2), (2.0, 9.0)])
def test_gauss_newton_ends_beyond_a_bound_within_a_few_steps(solver, limits, float64):
    """J^T J alone vanishes there: without g p'' it takes 1000 steps and stays short."""
    low, high = limits
    bounds = Bounds(
        lower={} if low is None else {"shape.rate": low},
        upper={} if high is None else {"shape.rate": high},
    )
    start = {"height": 1.0, "shape": {"rate": 1.0 if high == 1.2 else 3.0}}
    tx = optlab.gauss_newton(solver=solver)
    found = solve(tx, start, residual_fn=residual_fn, bounds=bounds)
    limit = low if high in (None, 9.0) else high
    np.testing.assert_allclose(found.params["shape"]["rate"], limit, rtol=1e-9)
    basis = jnp.exp(-limit * T)
    height = basis @ Y / (basis @ basis)
    np.testing.assert_allclose(found.params["height"], height, rtol=1e-6)
    assert found.steps < 30
    assert found.value == pytest.approx(0.5 * float(jnp.sum((height * basis - Y) ** 2)))


@pytest.mark.parametrize("name", ["levenberg_marquardt", "gauss_newton"])
def test_losses_of_outputs_end_beyond_a_bound(name, float64):
    counts = jnp.array([0.0, 1.0, 3.0, 2.0, 7.0])

    def poisson(z):  # of log rates
        return jnp.sum(jnp.exp(z) - counts * z)

    found = solve(
        optlab.optim.make(name),
        {"level": 0.0, "slope": 0.2},
        output_fn=lambda p: p["level"] + p["slope"] * jnp.arange(5.0),
        output_loss_fn=poisson,
        bounds=Bounds(upper={"slope": 0.3}),
    )
    np.testing.assert_allclose(found.params["slope"], 0.3, rtol=1e-9)
    level = jnp.log(counts.sum() / jnp.exp(0.3 * jnp.arange(5.0)).sum())
    np.testing.assert_allclose(found.params["level"], level, rtol=1e-6)


def test_one_sided_bounds_hold_entry_by_entry():
    lower, upper = (
        jnp.array([0.0, -jnp.inf, -jnp.inf]),
        jnp.array([jnp.inf, 1.0, jnp.inf]),
    )
    target = jnp.array([-2.0, 3.0, 5.0])
    solution = solve(
        optlab.bfgs(),
        jnp.array([0.0, 0.5, 0.0]),  # the first starts at its bound
        value_fn=lambda x: jnp.sum((x - target) ** 2),
        bounds=Bounds(lower, upper),
    )
    np.testing.assert_allclose(solution.params, [0.0, 1.0, 5.0], atol=1e-4)
    np.testing.assert_array_equal(solution.at_bound, [-1, 1, 0])


def test_first_order_methods_and_lanes_keep_within_bounds():
    def run(upper):
        return solve(
            optax.adam(0.05),
            jnp.float32(0.5),
            value_fn=lambda x: (x - 2.0) ** 2,
            bounds=Bounds(lower=0.0, upper=upper),
            stop=Stop(steps=800),
        )

    lanes = jax.vmap(run)(jnp.array([1.0, 3.0]))
    np.testing.assert_allclose(lanes.params, [1.0, 2.0], atol=1e-3)
    np.testing.assert_array_equal(lanes.at_bound, [1, 0])


@pytest.mark.parametrize("name", [*METHODS, "newton"])
def test_a_start_inside_stays_where_it_is_however_wide_the_bounds(name):
    """Moved by a share of the interval, it would be where the curve is flat."""
    bounds = Bounds(lower={"shape.rate": 0.0}, upper={"shape.rate": 1e6})
    rate = fit(name, bounds).params["shape"]["rate"]
    best = fit("levenberg_marquardt").params["shape"]["rate"]
    np.testing.assert_allclose(rate, best, rtol=1e-3)


def test_the_change_of_variables_keeps_what_is_not_on_a_bound():
    low = jnp.array([0.0, 0.0, 0.0, -jnp.inf])
    start = jnp.array([0.0, 1.0, 1e6, jnp.nan])
    box = make_box(low, jnp.full(4, 1e6), start)
    moved = box.params(box.free(start))
    np.testing.assert_allclose(moved, [2500, 1.0, 1e6 - 2500, jnp.nan], rtol=1e-3)


@pytest.mark.parametrize("upper", [jnp.inf, 2.0])
def test_a_start_on_a_bound_has_a_derivative(upper):
    def end(start):
        found = solve(
            optax.sgd(0.1), start, value_fn=lambda x: (x - 1.0) ** 2,
            bounds=Bounds(0.0, upper), stop=Stop(steps=3),
        )  # fmt: skip
        return found.params

    assert jnp.isfinite(jax.jvp(end, (0.0,), (1.0,))[1])


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_change_of_variables_is_its_inverse_in_any_unit(scale, float64):
    low = scale * jnp.array([-1.0, 2.0, -jnp.inf, -jnp.inf])
    high = scale * jnp.array([3.0, jnp.inf, 5.0, jnp.inf])
    start = scale * jnp.array([0.5, 2.7, -4.0, 9.0])
    box = make_box(low, high, start)
    np.testing.assert_allclose(box.params(box.free(start)), start, rtol=1e-12)
    far = box.params(jnp.linspace(-40.0, 40.0, 400)[:, None] * jnp.ones(4))
    assert jnp.all((far >= low) & (far <= high))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"upper": 1.0}, "bounds={'upper': 1.0} are no Bounds; give some"),
        (Bounds(lower={"hight": 0.0}), "'hight', which is no parameter; did you mean"),
        (Bounds(lower=1.0), "'a bare number', which is no parameter; known: height"),
        (Bounds(lower={"height": "0"}), "lower of height must be a number or an array"),
        (
            Bounds(lower={"height": jnp.ones(2)}),
            "has the shape (2,), and the parameter",
        ),
        (Bounds({"height": 2.0}, {"height": 1.0}), "cross: lower 2.0 is not below"),
        (Bounds({"height": 1.0}, {"height": 1.0}), "cross: lower 1.0 is not below"),
        (Bounds({"height": np.nan}), "cross: lower nan is not below"),
        (
            Bounds({"shape.rate": 2.0}),
            "the start 1.0 of shape.rate lies outside of its",
        ),
    ],
)
def test_bounds_that_cannot_hold_are_one_line(bounds, message):
    with pytest.raises(InputError, match=re.escape(message)) as refusal:
        fit("bfgs", bounds)
    assert str(refusal.value).startswith("solve: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("low", "high"), [(2.0, 0.5), (1.5, 3.0)])
def test_under_jit_bounds_that_cannot_hold_end_the_run_at_once(low, high):
    @jax.jit
    def run(low, high):
        bounds = Bounds(jnp.array([low, -jnp.inf]), jnp.array([high, jnp.inf]))
        tx, value_fn = optlab.bfgs(), lambda x: x @ x
        return solve(tx, jnp.ones(2), value_fn=value_fn, bounds=bounds)

    found = run(low, high)
    assert found.reason == Reason.NON_FINITE
    assert found.steps == 0
    assert found.params.tolist() == [1.0, 1.0]  # the start


def test_two_parameters_of_one_name_are_one_line():
    params = {"a.b": jnp.ones(()), "a": {"b": jnp.ones(())}}
    with pytest.raises(InputError, match="two parameters have the same one"):
        resolve(Bounds({"a.b": 0.0}), params)


def test_names_and_trees_mean_the_same():
    params = jax.tree.map(jnp.asarray, START)
    flat, tree = Bounds({"shape.rate": 0.5}), Bounds({"shape": {"rate": 0.5}})
    jax.tree.map(np.testing.assert_array_equal, resolve(flat, params),
                 resolve(tree, params))  # fmt: skip


def test_an_optimum_near_a_bound_is_inside_where_f_falls_towards_it():
    """The start is far away, so that its distance is no measure of the optimum's."""
    t = jnp.linspace(0.0, 1.0, 20)
    for start in (1.0, 100.0):
        inside, beyond = (
            solve(
                optlab.levenberg_marquardt(),
                start,
                residual_fn=lambda p, best=best: (p - best) / 0.02 * t,
                bounds=Bounds(lower=0.0),
            )
            for best in (0.02, -0.02)
        )
        assert (int(inside.at_bound), int(beyond.at_bound)) == (0, -1)
        np.testing.assert_allclose(inside.params, 0.02, rtol=1e-3)


def test_a_start_far_below_the_width_of_its_bounds_stays(float64):
    t = jnp.linspace(0.0, 4e6, 50)
    found = solve(
        optlab.levenberg_marquardt(),
        1e-6,
        residual_fn=lambda k: jnp.exp(-k * t) - jnp.exp(-1.3e-6 * t),
        bounds=Bounds(1e-9, 1e3),
    )
    np.testing.assert_allclose(found.params, 1.3e-6, rtol=1e-6)
