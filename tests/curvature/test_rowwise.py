"""Jacobians by rows: equal to forward mode where examples are apart, else None."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from optlab import curvature, models
from optlab.curvature import rowwise
from optlab.models import layers
from optlab.testproblems.unconstrained import PROBLEMS

INPUTS = jax.random.normal(jax.random.key(1), (7, 3))
TARGETS = jnp.linspace(-1, 1, 7)


def residuals_of(module, inputs=INPUTS, targets=TARGETS):
    """Residuals as a function of a vector, and the vector."""
    params = module.init(jax.random.key(0), inputs)["params"]
    x, unravel = ravel_pytree(params)

    def residual_fn(x):
        outputs = module.apply({"params": unravel(x)}, inputs)
        return (outputs[:, 0] - targets) / jnp.sqrt(len(targets))

    return residual_fn, x


class Deep(nn.Module):
    """Layers that a net of this kind may have."""

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(4)(x))
        x = x + nn.relu(nn.Dense(4)(x))
        x = nn.LayerNorm()(nn.softplus(layers.Dense(4)(x.T).T))
        return nn.Dense(1)(nn.gelu(x) / (1 + x**2))


class Normalized(nn.Module):
    """One that mixes the examples of its batch."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4)(x)
        return nn.Dense(1)(x - x.mean(0))


@pytest.mark.parametrize(
    "module",
    [
        models.make("mlp", classes=1, hidden=(5, 4), activation="tanh"),
        models.make("mlp", classes=1, hidden=(5,), activation="relu"),
        nn.Dense(1),
        Deep(),
    ],
)
def test_a_net_has_the_rows_of_forward_mode(module):
    residual_fn, x = residuals_of(module)
    found = rowwise.jacobian(residual_fn, x)
    assert found is not None
    np.testing.assert_allclose(found[0], residual_fn(x), rtol=1e-5)
    expected = jax.jacfwd(residual_fn)(x)
    np.testing.assert_allclose(found[1], expected, rtol=2e-5, atol=1e-6)


def test_examples_that_are_mixed_are_seen():
    residual_fn, x = residuals_of(Normalized())
    assert rowwise.jacobian(residual_fn, x) is None
    expected = jax.jacfwd(residual_fn)(x)
    np.testing.assert_allclose(
        curvature.jacobian(residual_fn, x)[1], expected, rtol=2e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.cumsum(x[0] * INPUTS[:, 0]),
        lambda x: jnp.flip(x[0] * INPUTS[:, 0]) * x[1],
        lambda x: jnp.sort(x[0] * INPUTS[:, 0]),
        lambda x: jax.nn.softmax(x[0] * INPUTS[:, 0]),
        lambda x: jnp.sin(INPUTS @ INPUTS.T @ (x[0] * INPUTS[:, 0] + x[1])),
        lambda x: (x[0] * INPUTS[:, 0]) + jnp.roll(x[1] * INPUTS[:, 1], 2),
        lambda x: jnp.outer(x, x).ravel(),
        lambda x: x[jnp.array([[0, 1], [1, 1], [0, 0]])].sum(1),
        lambda x: x,
        lambda x: 2.0 * x + 0 * x[::-1],
        lambda x: jnp.zeros(5),
    ],
)
def test_any_function_has_its_jacobian_or_none(function):
    """A result must be right; None is never a mistake."""
    x = jnp.array([0.7, -0.3])
    found = rowwise.jacobian(function, x)
    if found is not None:
        np.testing.assert_allclose(found[1], jax.jacfwd(function)(x), atol=1e-6)


@pytest.mark.parametrize(
    "name", ["bard", "gulf_research", "box", "brown_dennis", "osborne_2"]
)
def test_residuals_of_data_have_the_rows_of_forward_mode(name, float64):
    problem = PROBLEMS[name]
    x = jnp.asarray(problem.start) + 0.1
    found = rowwise.jacobian(problem.residual_fn, x)
    assert found is not None
    expected = jax.jacfwd(problem.residual_fn)(x)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found[1] / scale, expected / scale, atol=1e-12)


@pytest.mark.parametrize("name", ["watson", "wood", "broyden_banded"])
def test_residuals_of_several_kinds_have_none(name):
    assert rowwise.jacobian(PROBLEMS[name].residual_fn, PROBLEMS[name].start) is None


def test_it_works_in_lanes_and_compiled():
    residual_fn, x = residuals_of(models.make("mlp", classes=1, hidden=(5,)))
    starts = jnp.stack([x, 2 * x])
    found = jax.jit(jax.vmap(lambda x: curvature.jacobian(residual_fn, x)[1]))(starts)
    for start, lane in zip(starts, found, strict=True):
        expected = jax.jacfwd(residual_fn)(start)
        np.testing.assert_allclose(lane, expected, rtol=2e-5, atol=1e-6)


def test_it_costs_one_gradient_and_not_one_for_each_weight():
    inputs = jax.random.normal(jax.random.key(2), (500, 3))
    module = models.make("mlp", classes=1, hidden=(20,), activation="tanh")
    residual_fn, x = residuals_of(module, inputs, jnp.zeros(500))

    def operations(jacobian):
        return jax.jit(jacobian).lower(x).compile().cost_analysis()["flops"]

    by_rows = operations(lambda x: curvature.jacobian(residual_fn, x)[1])
    by_columns = operations(jax.jacfwd(residual_fn))
    assert by_rows < by_columns / 10


def test_terms_that_take_too_much_memory_are_not_made():
    """A sum over examples inside a net keeps a term each of a hidden layer."""
    mix = jnp.ones((50, 50))

    def function(x):
        return mix @ jnp.tanh(jnp.outer(jnp.ones(50), x[:1]) * jnp.ones(100)).sum(1)

    assert rowwise.jacobian(function, jnp.array([0.3])) is None


class Classes(nn.Module):
    """A net of three outputs an example, of the layers given."""

    kind: str

    @nn.compact
    def __call__(self, x):
        if self.kind == "gather":
            indices = jnp.arange(7) % 4
            x = x + nn.Embed(4, 3)(indices)
        if self.kind == "convolution":
            images = jnp.tile(x[:, :, None, None], (1, 1, 4, 1))
            x = nn.tanh(nn.Conv(2, (2, 2))(images)).reshape(7, -1)
        x = nn.tanh(nn.Dense(4)(x))
        if self.kind == "branch":
            x = jax.lax.cond(jnp.sum(INPUTS) > 0, jnp.sin, jnp.tanh, x)
        return nn.Dense(3)(x)


@pytest.mark.parametrize("kind", ["dense", "convolution", "gather", "branch"])
def test_k_outputs_an_example_take_k_passes(kind, float64):
    module = Classes(kind)
    x, unravel = ravel_pytree(module.init(jax.random.key(0), INPUTS))
    x = x.astype(jnp.float64)

    def output_fn(x):
        return module.apply(unravel(x.astype(jnp.float64)), INPUTS).ravel()

    for find, reference in (
        (curvature.counted_jacobian, lambda rows: rows),
        (curvature.counted_gram, lambda rows: rows @ rows.T),
    ):
        costs = []

        def both(x, find=find, costs=costs):
            costs[:] = [find(output_fn, x)[2]]
            return find(output_fn, x)[1], jax.jacrev(output_fn)(x)

        found, J = jax.jit(both)(x)  # noqa: N806
        assert costs == [3]
        np.testing.assert_allclose(found, reference(J), rtol=1e-9, atol=1e-12)


def test_a_call_with_a_literal_is_looked_into():
    """The gradient of a custom rule calls a compiled function with a number."""
    scaled = jax.jit(lambda u, factor: factor * u)

    @jax.custom_vjp
    def doubled(z):
        return 2 * z

    doubled.defvjp(lambda z: (2 * z, None), lambda _, u: (scaled(u, 2.0),))
    mix = jnp.array([[1.0, 2.0, 0.5], [0.3, -1.0, 2.0], [1.5, 0.2, -0.7]])

    def output_fn(x):
        return doubled((jnp.tanh(x * INPUTS) @ mix).ravel())

    x = jnp.array([0.5, -1.0, 2.0])
    found = rowwise.jacobian(output_fn, x)
    assert found is not None
    assert found.passes == 3
    np.testing.assert_allclose(found.matrix, jax.jacrev(output_fn)(x), rtol=1e-5)
