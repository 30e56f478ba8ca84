"""The loop: every reason, and that jit and vmap change no result."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab import optim
from optlab.errors import InputError
from optlab.optim import info
from optlab.optim.dense.lift import lift
from optlab.solving import Reason, Stop, solve


def bowl(x):
    return 0.5 * jnp.sum(x**2)


START = jnp.array([3.0, 4.0])
OFF = Stop(gradient=-1.0, step=-1.0, steps=20)


@pytest.mark.parametrize(
    ("stop", "reason", "steps"),
    [
        # x halves each step: |g|_inf = 4 * 2^-k, |s| = |x| / 2, f = 12.5 * 4^-k.
        (OFF._replace(gradient=0.5), Reason.GRADIENT, 3),
        (OFF._replace(step=0.5), Reason.STEP, 1),
        (OFF._replace(decrease=3.0), Reason.DECREASE, 1),
        (OFF._replace(step=0.5, patience=3), Reason.STEP, 3),
        (OFF._replace(decrease=3.0, patience=2), Reason.DECREASE, 2),
        (OFF._replace(target=0.2), Reason.TARGET, 3),
        (OFF, Reason.STEPS, 20),
        (OFF._replace(gradient=4.0), Reason.GRADIENT, 0),
        (OFF._replace(steps=0), Reason.STEPS, 0),
        (OFF._replace(steps=-1, target=1.0), Reason.TARGET, 2),
    ],
)
def test_each_criterion(stop, reason, steps):
    solution = solve(optax.sgd(0.5), START, value_fn=bowl, stop=stop)
    assert Reason(int(solution.reason)) == reason
    assert solution.steps == steps
    np.testing.assert_allclose(solution.params, START * 0.5**steps)
    np.testing.assert_allclose(solution.value, 12.5 * 0.25**steps)
    np.testing.assert_allclose(solution.gradient_norm, 4 * 0.5**steps)
    assert solution.evaluations == steps + 1


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_a_bad_start_is_a_reason_and_no_loop(bad):
    solution = solve(optax.sgd(0.5), jnp.array([bad]), value_fn=bowl)
    assert Reason(int(solution.reason)) == Reason.NON_FINITE
    assert solution.steps == 0


@pytest.mark.parametrize("start", [{}, jnp.zeros(0), {"a": jnp.zeros((2, 0))}])
@pytest.mark.parametrize("name", ["adam", "bfgs"])
def test_no_parameters_are_a_minimum(name, start):
    for run in (solve, jax.jit(solve, static_argnums=0, static_argnames="value_fn")):
        solution = run(optim.make(name), start, value_fn=lambda _: 2.0 * jnp.ones(()))
        assert Reason(int(solution.reason)) == Reason.GRADIENT
        assert (solution.steps, solution.value, solution.gradient_norm) == (0, 2, 0)


def test_divergence_returns_the_last_good_parameters():
    stop = OFF._replace(steps=1000)
    solution = solve(optax.sgd(1e4), START, value_fn=bowl, stop=stop)
    assert Reason(int(solution.reason)) == Reason.NON_FINITE
    assert jnp.isfinite(solution.value)
    np.testing.assert_allclose(solution.value, bowl(solution.params), rtol=1e-5)


def test_history_is_fixed_in_shape():
    solution = solve(
        optax.sgd(0.5), START, value_fn=bowl, stop=OFF._replace(steps=3), history=5
    )
    nan = np.nan
    np.testing.assert_allclose(solution.history.value, [12.5, 3.125, 0.78125, nan, nan])
    np.testing.assert_allclose(solution.history.gradient_norm, [4, 2, 1, nan, nan])
    np.testing.assert_allclose(solution.history.step_norm, [2.5, 1.25, 0.625, nan, nan])
    np.testing.assert_array_equal(solution.history.accepted, [1, 1, 1, 0, 0])


def test_a_history_shorter_than_the_run():
    solution = solve(optax.sgd(0.5), START, value_fn=bowl, stop=OFF, history=2)
    assert solution.steps == 20
    np.testing.assert_allclose(solution.history.value, [12.5, 3.125])


def test_lanes_over_starts_and_numbers_equal_single_runs():
    starts = jnp.array([[3.0, 4.0], [1e-3, 0.0], [jnp.nan, 0.0]])
    rates = jnp.array([0.5, 0.9, 0.1])
    tolerances = jnp.array([1e-3, 1e-2, 1e-3])

    @jax.jit
    def run(start, rate, tolerance):
        stop = Stop(gradient=tolerance)
        return solve(optax.sgd(rate), start, value_fn=bowl, stop=stop, history=3)

    lanes = jax.vmap(run)(starts, rates, tolerances)
    np.testing.assert_array_equal(
        lanes.reason, [Reason.GRADIENT, Reason.GRADIENT, Reason.NON_FINITE]
    )
    for lane in range(3):
        single = run(starts[lane], rates[lane], tolerances[lane])
        jax.tree.map(
            lambda many, one, lane=lane: np.testing.assert_allclose(
                many[lane], one, rtol=1e-5
            ),
            lanes,
            single,
        )


def hesitant(rejections, stalls):
    """Rejects its first steps; then steps to the minimum, or stalls."""

    def init(x):
        return info.initial(x.dtype)

    def update(g, state, x, objective):
        accepted = state.evaluations >= rejections
        state = state._replace(
            accepted=accepted,
            stalled=~accepted & (state.evaluations >= stalls),
            evaluations=state.evaluations + 1,
        )
        return jnp.where(accepted, -g, 0.0), state

    return lift(init, update, name="hesitant")


def test_a_rejected_step_is_not_convergence():
    stop = Stop(step=1e-3, decrease=1e-3)
    solution = solve(hesitant(3, 99), START, value_fn=bowl, stop=stop, history=4)
    assert Reason(int(solution.reason)) == Reason.GRADIENT
    np.testing.assert_array_equal(solution.params, 0.0)
    np.testing.assert_array_equal(solution.history.accepted, [0, 0, 0, 1])
    assert solution.evaluations == 4 + 1 + 4


def test_a_method_that_can_go_nowhere_stalls():
    solution = solve(hesitant(99, 2), START, value_fn=bowl)
    assert Reason(int(solution.reason)) == Reason.STALLED
    assert solution.steps == 3
    np.testing.assert_array_equal(solution.params, START)


def test_a_part_that_is_done_waits_for_the_others():
    """The one has no step left while the other has only rejected one."""
    rosenbrock = lambda y: 100 * (y[1] - y[0] ** 2) ** 2 + (1 - y[0]) ** 2  # noqa: E731
    parts = {name: optim.make("newton") for name in ("done", "going", "unused")}
    solution = solve(
        optax.partition(parts, {"x": "done", "y": "going"}),
        {"x": 1.0, "y": jnp.array([-1.2, 1.0])},
        value_fn=lambda p: (p["x"] - 1.0) ** 2 + rosenbrock(p["y"]),
        stop=Stop(gradient=-1.0, rounding=-1),  # until both have nothing left to try
    )
    np.testing.assert_allclose(solution.params["y"], [1.0, 1.0], atol=1e-3)
    assert solution.reason != Reason.STEPS  # it does not wait for what never moves


def test_steps_that_only_round_f_end_the_run_unless_they_get_smaller():
    h = 2.0**-40  # 1 + h x^2 / 2 is 1 in float32

    def hidden(x):
        return 1 + 0.5 * h * x**2

    def run(rate):
        return solve(
            optax.sgd(rate / h), 1.0, value_fn=hidden, stop=OFF._replace(steps=60)
        )

    back_and_forth, halving = run(2.0), run(0.5)
    assert back_and_forth.reason == Reason.ROUNDING
    assert 20 <= back_and_forth.steps <= 22
    assert (halving.reason, halving.params) == (Reason.STEPS, 2.0**-60)


def test_a_fit_with_large_residuals_that_is_done_ends():
    t = jnp.linspace(0.0, 2.0, 50)
    y = 3e6 * jnp.exp(-1.5 * t) + 1e5 * jnp.cos(40 * t)

    def residual_fn(p):
        return p["a"] * jnp.exp(-p["b"] * t) - y

    start, tx = {"a": 1e6, "b": 1.0}, optim.levenberg_marquardt()
    stop = OFF._replace(steps=1000)
    solution = solve(tx, start, residual_fn=residual_fn, stop=stop)
    assert solution.reason == Reason.ROUNDING
    # SciPy's curve_fit in float64, to which float32 has four digits.
    found = solution.params["a"], solution.params["b"]
    np.testing.assert_allclose(found, [3.01377e6, 1.50858], rtol=1e-3)


@pytest.mark.parametrize(
    "functions",
    [
        {"residual_fn": lambda x: {"a": x[:1], "b": x[1:, None]}},
        {"output_fn": lambda x: x, "output_loss_fn": bowl},
        {"value_fn": bowl, "residual_fn": lambda x: x},
    ],
)
def test_the_value_of_parts(functions):
    solution = solve(optax.sgd(0.5), START, stop=OFF, **functions)
    np.testing.assert_allclose(solution.value, 12.5 * 0.25**20)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({}, "pass value_fn, residual_fn"),
        ({"output_fn": lambda x: x}, "belong together"),
        (
            {"value_fn": bowl, "residual_fn": lambda x: 2 * x},
            "value_fn gives 12.5 at the start, but residual_fn gives 50; .* is 0.5",
        ),
        (
            {
                "residual_fn": lambda x: x,
                "output_fn": lambda x: x,
                "output_loss_fn": jnp.sum,
            },
            "residual_fn gives 12.5 at the start, but output_fn gives 7; .* agree",
        ),
        (
            {
                "value_fn": bowl,
                "residual_fn": lambda x: x,
                "output_fn": lambda x: x,
                "output_loss_fn": jnp.sum,
            },
            "value_fn gives 12.5 at the start, but output_fn gives 7",
        ),
    ],
)
def test_functions_that_do_not_fit(functions, message):
    with pytest.raises(InputError, match=message):
        solve(optax.sgd(0.5), START, **functions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tx": "bfgs"}, "tx is a name: make it, optlab.optim.make('bfgs')"),
        ({"tx": optim.bfgs}, "tx is a function: call it, bfgs()"),
        ({"tx": None}, "tx=None is no optimizer; give one: optlab.bfgs()"),
        ({"stop": 100}, "stop=100 is no Stop; give one: Stop(steps=100)"),
        ({"stop": {"steps": 3}}, "stop={'steps': 3} is no Stop; give one"),
        ({"stop": Stop(steps="3")}, "stop.steps must be a number, not '3'"),
        ({"stop": Stop(target=None)}, "stop.target must be a number, not None"),
        (
            {"stop": Stop(steps=np.nan)},
            "stop.steps is nan, which no number",
        ),
        ({"stop": Stop(gradient=np.ones(2))}, "stop.gradient must be a number, not"),
        ({"history": -1}, "history=-1 must be a whole number, 0 or more"),
        ({"history": 1.5}, "history=1.5 must be a whole number, 0 or more"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    arguments = {"tx": optax.sgd(0.5), "value_fn": bowl} | arguments
    with pytest.raises(InputError, match=re.escape(f"solve: {message}")):
        solve(params=START, **arguments)


def test_forward_mode_differentiates_through_the_loop_and_reverse_does_not():
    def value(start):  # 12.5 * 4^-3
        stop = OFF._replace(steps=3)
        return solve(optax.sgd(0.5), start, value_fn=bowl, stop=stop).value

    np.testing.assert_allclose(jax.jacfwd(value)(START), START / 4**3)
    second = jax.jit(jax.vmap(jax.jacfwd(jax.jacfwd(value))))(START[None])
    np.testing.assert_allclose(second, jnp.eye(START.size)[None] / 4**3)
    for reverse in (jax.grad(value), jax.jit(jax.grad(value))):
        with pytest.raises(InputError, match=r"solve: reverse mode .* in args"):
            reverse(START)


def test_reverse_mode_goes_past_a_solution_that_is_held():
    def product(scale):
        end = solve(optax.sgd(0.5), START, value_fn=lambda x: bowl(x - scale)).params
        return scale * jax.lax.stop_gradient(end).sum()

    np.testing.assert_allclose(jax.grad(product)(2.0), 2.0 * START.size, rtol=1e-3)


def test_a_start_may_be_whole_numbers_of_python():
    found = solve(optax.sgd(0.5), [3, 1], value_fn=lambda p: p[0] ** 2 + p[1] ** 2)
    assert [float(p) for p in found.params] == [0.0, 0.0]


@pytest.mark.parametrize("start", [np.int32(3), {"w": 1.0, "n": jnp.arange(2)}, True])
def test_parameters_must_be_floating_point(start):
    with pytest.raises(InputError, match=r"solve: parameter .* is (int32|bool); give"):
        solve(optax.sgd(0.5), start, value_fn=lambda p: 0.0)


def test_a_check_that_cannot_be_made_is_left_out():
    @jax.jit
    def run(scale):
        return solve(
            optax.sgd(0.5),
            START,
            value_fn=lambda x: scale * bowl(x),
            residual_fn=lambda x: jnp.sqrt(scale) * x,
        )

    np.testing.assert_allclose(run(1.0).params, 0.0, atol=1e-5)


def test_a_python_number_is_a_start():
    solution = solve(optax.sgd(0.5), 3.0, value_fn=lambda x: x**2, history=1)
    assert solution.params == 0.0


@pytest.mark.parametrize("name", ["lbfgs", "polyak_sgd", "adam"])
def test_optax_methods_get_all_they_need(name):
    tx = {
        "lbfgs": optax.lbfgs(),
        "polyak_sgd": optax.polyak_sgd(),
        "adam": optax.adam(0.1),
    }[name]
    solution = solve(tx, START, value_fn=bowl, stop=Stop(gradient=1e-2))
    assert Reason(int(solution.reason)) == Reason.GRADIENT


def test_accumulation_is_refused_where_it_would_be_wrong():
    tx = optax.MultiSteps(hesitant(0, 0), 2).gradient_transformation()
    with pytest.raises(InputError, match="MultiSteps"):
        solve(tx, START, value_fn=bowl)
