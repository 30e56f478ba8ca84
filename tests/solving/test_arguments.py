"""Arguments of the functions: traced, checked, and no reason to compile again."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import optlab
from optlab.errors import InputError
from optlab.solving import Bounds, Reason, Stop, solve
from optlab.solving.stopping import Ending

X = jnp.linspace(0.0, 2.0, 30)
START = {"height": 1.0, "rate": 1.0}


def decay(p, x, y):
    return p["height"] * jnp.exp(-p["rate"] * x) - y


def compiles(run):
    """Number of programs that the backend compiles during a call."""
    found = []

    def count(event, _, **__):
        found.extend([event] if event.endswith("backend_compile_duration") else [])

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        jax.block_until_ready(run())
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    return len(found)


def test_other_numbers_of_the_same_shapes_compile_nothing():
    tx, traces = optlab.levenberg_marquardt(), []

    def residual_fn(p, x, y):
        traces.append(1)
        return decay(p, x, y)

    def run(height, rate, upper, stop):
        args = X, height * jnp.exp(-rate * X)
        bounds = Bounds(upper={"rate": upper})
        found = solve(
            tx, START, residual_fn=residual_fn, args=args, bounds=bounds, stop=stop
        )
        return found.params

    assert compiles(lambda: run(3.0, 2.0, 9.0, Stop())) > 0
    seen = len(traces)
    other = {}
    again = lambda: other.update(run(2.0, 1.5, 8.0, Stop(steps=99))) or other  # noqa: E731
    assert compiles(again) == 0
    assert len(traces) == seen
    np.testing.assert_allclose([other["height"], other["rate"]], [2, 1.5], rtol=1e-4)


def test_aux_is_of_the_solution_and_has_derivatives():
    def value_fn(x, a):
        return (x - a) ** 2, {"square": x**2, "count": jnp.int32(3)}

    def end(a):
        solution = solve(
            optax.sgd(0.5), 0.0, value_fn=value_fn, args=(a,), has_aux=True
        )
        return solution.aux["square"]

    solution = solve(optax.sgd(0.5), 0.0, value_fn=value_fn, args=(3.0,), has_aux=True)
    assert (solution.aux["square"], solution.aux["count"]) == (9.0, 3)
    np.testing.assert_allclose(jax.grad(end)(3.0), 6.0, rtol=1e-5)
    np.testing.assert_allclose(jax.jacfwd(end)(3.0), 6.0, rtol=1e-5)


def test_a_reason_prints_its_name_alone_and_in_lanes():
    run = jax.jit(lambda x: solve(optax.sgd(0.5), x, value_fn=lambda x: x**2).reason)
    assert (str(run(1.0)), repr(run(1.0)), run(1.0).name) == ("GRADIENT",) * 3
    assert run(1.0) == Reason.GRADIENT
    lanes = jax.vmap(run)(jnp.array([1.0, jnp.nan]))
    assert str(lanes) == "[GRADIENT, NON_FINITE]"
    assert str(lanes[1]) == "NON_FINITE"
    assert str(Reason.STEP) == "STEP"
    assert run(1.0)
    assert not Ending(jnp.int32(Reason.RUNNING))


def test_a_tree_of_shapes_prints():
    shapes = jax.eval_shape(lambda x: solve(optax.sgd(0.1), x, value_fn=abs), 1.0)
    assert "reason=Ending(ShapeDtypeStruct(" in str(shapes)


@pytest.mark.parametrize("value", [2.0, 2, True, np.float64(2)])
def test_a_value_may_be_a_number_of_python(value):
    solution = solve(optlab.bfgs(), jnp.ones(2), value_fn=lambda x: value)
    assert solution.value == float(value)
    assert solution.reason == Reason.GRADIENT


def test_whole_numbers_become_floats_of_the_default_type():
    found = optlab.solve(optlab.bfgs(), 1.0, residual_fn=lambda p: jnp.arange(100))
    assert (found.value, found.value.dtype) == (164175.0, jnp.float32)
    found = optlab.solve(optlab.bfgs(), 1.0, value_fn=lambda p: jnp.int32(12345))
    assert (found.value, found.value.dtype) == (12345.0, jnp.float32)


@pytest.mark.parametrize("name", ["levenberg_marquardt", "gauss_newton", "bfgs"])
def test_complex_residuals_count_with_both_parts(name):
    w = jnp.linspace(0.5, 5.0, 40)
    impedance = lambda p: p[0] + 1 / (1 / p[1] + 1j * w * p[2])  # noqa: E731
    data = impedance(jnp.array([1.0, 5.0, 0.3]))
    residual_fn = lambda p: impedance(p) - data  # noqa: E731
    solution = solve(
        optlab.optim.make(name), jnp.array([0.8, 4.0, 0.2]), residual_fn=residual_fn
    )
    np.testing.assert_allclose(solution.params, [1.0, 5.0, 0.3], rtol=1e-3)


def test_complex_residuals_count_with_both_parts_in_a_custom_loop():
    tx, x = optlab.gauss_newton(damping=0.0), jnp.array([5.0, 5.0])
    residual_fn = lambda x: x[0] + 1j * x[1] - (1 + 2j)  # noqa: E731
    value_fn = lambda x: 0.5 * jnp.abs(residual_fn(x)) ** 2  # noqa: E731
    value, grad = jax.value_and_grad(value_fn)(x)
    updates, _ = tx.update(
        grad, tx.init(x), x, value=value, grad=grad, residual_fn=residual_fn
    )
    np.testing.assert_allclose(x + updates, [1.0, 2.0], atol=1e-4)


def growing(calls):
    """A function whose output has one more entry at each call."""
    return lambda x: calls.append(0) or jnp.ones(len(calls)) * x[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"args": jnp.ones(2)}, "args must be a tuple, args=(x,), not Array("),
        ({"args": ({"name": "x"},)}, "args[0]['name'] is 'x'; args hold arrays and"),
        ({"args": (np.array(["a"]),)}, "args[0] is array(['a']"),
        ({"args": (print,)}, "args[0] is <built-in function print>; args hold"),
        ({"residual": 3}, "no argument 'residual'; did you mean residual_fn?"),
        ({"value_fn": 3}, "value_fn must be a function, not 3"),
        ({"value_fn": lambda x: None}, "value_fn returns None, which holds no number"),
        ({"value_fn": None, "residual_fn": lambda x: x[:0]}, "residual_fn returns "),
        (
            {"value_fn": None, "residual_fn": lambda x: (x[:0], x), "has_aux": True},
            "residual_fn returns ",
        ),
        ({"value_fn": lambda x: x}, "value_fn returns the shape (2,), not a scalar"),
        ({"value_fn": lambda x: x[0] * 1j}, "value_fn returns a complex number"),
        ({"has_aux": True}, "has_aux=True, but value_fn returns no pair"),
        (
            {"value_fn": None, "residual_fn": lambda x: x[x > 0]},
            "residual_fn needs a number that is known only when it runs",
        ),
        (
            {"value_fn": lambda x: x[0] if x[0] > 0 else x[1]},
            "value_fn needs a number that is known only when it runs",
        ),
        (
            {"value_fn": None, "residual_fn": growing([])},
            "residual_fn gave the shape (1,), and now (2,); it must be the same",
        ),
        (
            {"value_fn": lambda x: float(np.exp(x) @ x)},
            "value_fn needs a number that is known only when it runs: use jax.numpy",
        ),
        (
            {"value_fn": lambda x: math.exp(x[0])},
            "value_fn needs a number that is known only when it runs: use jax.numpy",
        ),
        ({"value_fn": lambda x: (x @ x, x)}, "value_fn returns a tuple; pass has_aux"),
        (
            {"value_fn": lambda x: (x @ x, "x"), "has_aux": True},
            "value_fn returns 'x' beside its value, and aux holds arrays and numbers",
        ),
        ({"value_fn": lambda x: "x"}, "value_fn returns 'x', which holds no number"),
        ({"args": (np.array(["2020"], "datetime64[D]"),)}, "args[0] is array(['2020"),
        (
            {"bounds": Bounds(lower=[0.0, 0.0])},
            "bounds.lower is a tree, and the parameters are one array: give an array",
        ),
        (
            {
                "value_fn": lambda x: lax.while_loop(
                    lambda s: s < 9, lambda s: s + 1, x[0]
                )
            },
            "the gradient of the objective is needed, and a loop of unknown length in",
        ),
    ],
)
def test_what_cannot_work_is_one_line(arguments, message):
    arguments = {"value_fn": lambda x: x @ x} | arguments
    with pytest.raises(InputError, match=re.escape(f"solve: {message}")) as refusal:
        solve(optax.sgd(0.1), jnp.ones(2), **arguments)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("leaf", ["x", jnp.tanh], ids=["text", "function"])
def test_a_parameter_that_is_no_array_is_one_line(leaf):
    with pytest.raises(InputError, match=r"solve: parameter \['a'\] is a .*floating"):
        solve(optax.sgd(0.1), {"a": leaf}, value_fn=lambda x: 1.0)


@jax.custom_vjp
def reverse_only(x, y):
    """A product that defines its gradient and no forward mode, as ``odeint`` does."""
    return x * y


reverse_only.defvjp(
    lambda x, y: (x * y, (x, y)), lambda kept, ct: (ct * kept[1], ct * kept[0])
)


@jax.custom_vjp
def twice_reverse_only(x, y):
    """A product whose gradient defines no forward mode either."""
    return x * y


twice_reverse_only.defvjp(
    lambda x, y: (x * y, (x, y)),
    lambda kept, ct: (reverse_only(ct, kept[1]), reverse_only(ct, kept[0])),
)


def test_residuals_with_reverse_mode_only_are_differentiated_by_their_gradient():
    def end(y):
        def residual_fn(p, y):
            return reverse_only(p * jnp.ones(2), jnp.array([1.0, 2.0])) - y

        return solve(optlab.bfgs(), 1.0, residual_fn=residual_fn, args=(y,)).params

    found = jax.grad(end)(jnp.array([2.0, 4.0]))  # of t.y / t.t
    np.testing.assert_allclose(found, [0.2, 0.4], rtol=1e-5)


def test_a_function_without_forward_mode_is_minimized_but_not_differentiated():
    def residual_fn(p, t):
        return twice_reverse_only(p * jnp.ones(2), t) - 2 * t

    def end(t, tx):
        return solve(tx, 1.0, residual_fn=residual_fn, args=(t,)).params

    t = jnp.array([1.0, 2.0])
    for tx in (optlab.bfgs(), optax.adam(0.1)):
        np.testing.assert_allclose(end(t, tx), 2.0, rtol=1e-3)
    # JAX 0.12 finds out when it compiles the derivative, and says so itself.
    with pytest.raises((InputError, TypeError), match=r"forward-mode (deriv|autodiff)"):
        jax.grad(lambda t: end(t, optlab.bfgs()))(t)
    with pytest.raises(InputError, match="solve: forward-mode derivatives are"):
        end(t, optlab.levenberg_marquardt())


def test_a_list_in_args_is_explained_where_the_function_fails_on_it():
    with pytest.raises(TypeError) as info:
        solve(
            optlab.levenberg_marquardt(),
            jnp.zeros(2),
            args=([1.0, 2.0],),
            residual_fn=lambda p, y: p - y,
        )
    assert "jnp.array" in info.value.__notes__[0]
