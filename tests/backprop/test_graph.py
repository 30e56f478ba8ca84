"""Graphs of scalar functions: by hand, and against ``jax.grad``."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from optlab.backprop import parse, trace
from optlab.errors import InputError

pytestmark = pytest.mark.usefixtures("float64")


def gradients(function, values):
    """Checks the graph's value and gradients against JAX, and returns them by name."""
    graph = trace(function, values)
    start = {name: jnp.asarray(float(value), float) for name, value in values.items()}
    expected = jax.grad(lambda xs: function(**xs))(start)
    found = {node.name: node.gradient for node in graph.nodes if node.name in values}
    assert graph.nodes[graph.output].value == pytest.approx(float(function(**start)))
    assert found == pytest.approx({name: float(x) for name, x in expected.items()})
    return found


def test_the_example_of_the_lecture():
    values = {"a": 1, "b": 2, "c": 3, "d": 4}
    graph = trace(parse("((a+b)*(c+d))**2"), values)
    found = {node.name: (node.formula, node.value, node.gradient)
             for node in graph.nodes[4:]}  # fmt: skip
    assert found == {
        "v1": ("a + b", 3, 2 * 21 * 7),
        "v2": ("c + d", 7, 2 * 21 * 3),
        "v3": ("v1 * v2", 21, 2 * 21),
        "v4": ("v3**2", 441, 1),
    }
    by_names = {
        (graph.nodes[e.source].name, graph.nodes[e.target].name): e.derivative
        for e in graph.edges
    }
    assert by_names == {
        ("a", "v1"): 1, ("b", "v1"): 1, ("c", "v2"): 1, ("d", "v2"): 1,
        ("v1", "v3"): 7, ("v2", "v3"): 3, ("v3", "v4"): 42,
    }  # fmt: skip
    assert gradients(parse("((a+b)*(c+d))**2"), values) == {
        "a": 294, "b": 294, "c": 126, "d": 126,
    }  # fmt: skip


def test_a_sigmoid_neuron():
    """s' = s (1 - s); 0.73 (1 - 0.73) = 0.197 at the output of 1."""
    found = gradients(parse("sigmoid(w*x + b)"), {"w": 2, "x": -1, "b": 3})
    assert found == pytest.approx({"w": -0.19661, "x": 0.39322, "b": 0.19661}, abs=1e-5)


LEAVES = st.sampled_from(["x", "y", "0.5", "3"])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        st.tuples(st.sampled_from(["sin", "tanh", "sigmoid", "softplus"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        ),
        inner.map(lambda text: f"({text})**2"),
        inner.map(lambda text: f"(-{text} / (2 + sin({text})))"),
    ),
    max_leaves=6,
)


@settings(max_examples=25, deadline=None)
@given(EXPRESSIONS, st.floats(-1, 1), st.floats(-1, 1))
def test_any_expression_has_the_gradient_of_jax(text, x, y):
    gradients(parse(f"x + y * {text}"), {"x": x, "y": y})


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jax.nn.relu(x) * x,  # a derivative of its own: 0 at 0
        lambda x: jnp.where(x > -1, jnp.sin(x), -x),
        lambda x: lax.fori_loop(0, 3, lambda _, z: z * jnp.cos(x), x + 1),
        lambda x: lax.cond(x > 0, jnp.sin, jnp.exp, x),
        lambda x: x * lax.stop_gradient(x) + jnp.maximum(x, 2.0 * x),
        lambda x: x * x * x,
        lambda x: jax.checkpoint(jnp.tanh)(x) * jax.jit(jnp.exp)(x),
        lambda x: x,
    ],
)
@pytest.mark.parametrize("x", [0.0, 0.7])
def test_branches_loops_and_custom_derivatives(function, x):
    gradients(function, {"x": x})


def test_nodes_have_names_that_no_variable_has():
    values = {"v1": 1, "v2": 2}
    graph = trace(parse("v1*v2 + v1"), values)
    assert [node.name for node in graph.nodes] == ["v1", "v2", "v3", "v4"]
    assert graph.nodes[-1].formula == "v3 + v1"
    assert gradients(parse("v1*v2 + v1"), values) == {"v1": 3, "v2": 1}


def test_what_the_output_does_not_need_is_left_out():
    def function(x, unused):
        _ = jnp.exp(x) + unused
        return jnp.sin(x)

    graph = trace(function, {"x": 1.0, "unused": 2.0})
    assert [node.formula for node in graph.nodes] == ["", "", "sin(x)"]
    assert graph.nodes[1].gradient == 0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: jnp.stack([x, x]), r"returns float64 of shape \(2,\): it must"),
        (lambda x: (x, x), "returns float64, float64"),
        (lambda x: x > 0, "returns bool"),
        (lambda x: jnp.sum(jnp.stack([x, x])), "on its way .*: every value must be"),
        (lambda x: jnp.asarray(2.0), "depends on no variable"),
    ],
)
def test_what_is_not_scalar_is_refused(function, message):
    with pytest.raises(InputError, match=message):
        trace(function, {"x": 1.0})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no expression"),
        ("a +", "is no expression"),
        ("import os", "is no expression"),
        ("a = 1", "is no expression"),
        ("__import__('os')", "no function '__import__'"),
        ("(lambda: a)()", "cannot stand in an expression"),
        ("a.real", "'a.real' cannot stand"),
        ("a[0]", "cannot stand"),
        ("[a for a in b]", "cannot stand"),
        ("'a' * 3", "cannot stand"),
        ("True + a", "cannot stand"),
        ("1j * a", "cannot stand"),
        ("a if b else c", "cannot stand"),
        ("a // b", "cannot stand"),
        ("2*a^2 + b", r"'2\*a\^2 \+ b': \^ is no power, write 2\*a\*\*2 \+ b"),
        ("sinh(a)", "no function 'sinh'; did you mean"),
        ("sin(a, b)", "sin takes one argument"),
        ("sin + a", "sin is a function"),
        ("(" * 400 + "a" + ")" * 400, "longer than 500"),
    ],
)
def test_what_is_no_expression_is_refused(text, message):
    with pytest.raises(InputError, match=message) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_huge_powers_are_numbers_and_no_work():
    assert float(parse("9**9**9**9**9 + x")(x=1.0)) == float("inf")
