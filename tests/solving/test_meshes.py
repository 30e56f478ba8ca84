"""Data that a mesh shards: the same solutions, whoever decides on the sharding."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import optlab
from optlab.optim.contract import extra_args
from optlab.solving import Bounds, solve

X = jnp.linspace(0.0, 2.0, 20)
START = {"height": 1.0, "rate": 1.0}
TRUE = {"height": 3.0, "rate": 2.0}


def residual_fn(p, x, y):
    return p["height"] * jnp.exp(-p["rate"] * x) - y


@pytest.fixture(params=[AxisType.Explicit, AxisType.Auto], ids=str)
def mesh(request):
    return jax.make_mesh((2,), ("data",), axis_types=(request.param,))


def sharded(mesh, array):
    axes = "data", *(None,) * (array.ndim - 1)
    return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*axes)))


@pytest.mark.parametrize(
    "name",
    ["levenberg_marquardt", "gauss_newton", "bfgs", "dfp", "newton", "newton_cg"],
)
def test_fits_of_sharded_data(mesh, name):
    x = sharded(mesh, X)
    y = sharded(mesh, residual_fn(TRUE, X, 0.0))
    tx = optlab.optim.make(name)
    found = solve(tx, START, args=(x, y), residual_fn=residual_fn).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), found, TRUE)


@pytest.mark.parametrize("name", ["levenberg_marquardt", "newton"])
def test_a_loop_of_ones_own_on_sharded_data(mesh, name):
    x = sharded(mesh, X)
    y = sharded(mesh, residual_fn(TRUE, X, 0.0))
    tx = optlab.optim.make(name)

    def value_fn(p):
        return 0.5 * jnp.sum(residual_fn(p, x, y) ** 2)

    @jax.jit
    def run(p):
        state = tx.init(p)
        for _ in range(10):
            value, grad = jax.value_and_grad(value_fn)(p)
            functions = {"residual_fn": lambda p: residual_fn(p, x, y)}
            given = extra_args(p, value, grad, value_fn=value_fn, **functions)
            updates, state = tx.update(grad, state, p, **given)
            p = optax.apply_updates(p, updates)
        return p

    with jax.set_mesh(mesh):
        found = run(START)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3), found, TRUE)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_a_loss_of_sharded_outputs(mesh, solver):
    inputs = jax.random.normal(jax.random.key(0), (64, 5))
    labels = jnp.arange(64) % 3
    start = {"w": jnp.zeros((5, 3)), "b": jnp.zeros(3)}

    def fit(inputs, labels):
        return solve(
            optlab.levenberg_marquardt(solver=solver),
            start,
            args=(inputs, labels),
            output_fn=lambda p, x, _: x @ p["w"] + p["b"],
            output_loss_fn=lambda z, _, y: (
                optax.softmax_cross_entropy_with_integer_labels(z, y).mean()
            ),
        ).value

    whole = fit(inputs, labels)
    with jax.set_mesh(mesh):
        shared = fit(sharded(mesh, inputs), sharded(mesh, labels))
    np.testing.assert_allclose(shared, whole, rtol=1e-5)


def test_bounds_and_derivatives_of_sharded_data(mesh):
    x = sharded(mesh, X)
    y = residual_fn(TRUE, X, 0.0)

    def height(y, x):
        bounds = Bounds(upper={"rate": 1.5})
        options = {"args": (x, y), "residual_fn": residual_fn, "bounds": bounds}
        return solve(optlab.gauss_newton(), START, **options).params["height"]

    with jax.set_mesh(mesh):
        found = jax.grad(height)(sharded(mesh, y), x)
    np.testing.assert_allclose(found, jax.grad(height)(y, X), atol=1e-4)


BASIS = jnp.stack([X**k for k in range(4)], 1)
COEFFICIENTS = jnp.array([1.0, -1.0, 0.5, 0.2])


def polynomial(p, y):
    return BASIS[: y.size] @ p["c"] + p["start"] - y


@pytest.fixture
def explicit():
    mesh = jax.make_mesh((2,), ("model",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        yield mesh


def both_starts(mesh):
    """The same parameters, whole and with one of them in two shards."""
    whole = {"c": jnp.ones(4), "start": jnp.float32(0.0)}
    shards = NamedSharding(mesh, PartitionSpec("model"))
    return whole, whole | {"c": jax.device_put(whole["c"], shards)}


@pytest.mark.parametrize(
    ("name", "rows"),
    [*((name, 20) for name in optlab.optim.METHODS), ("levenberg_marquardt", 3)],
)
def test_parameters_that_a_mesh_shards(explicit, name, rows):
    y = (BASIS @ COEFFICIENTS)[:rows]
    tx = optlab.optim.make(name)

    def end(start):
        stop = optlab.Stop(steps=5)
        return solve(tx, start, args=(y,), residual_fn=polynomial, stop=stop)

    whole, shared = map(end, both_starts(explicit))
    assert jax.typeof(shared.params["c"]).sharding.spec == PartitionSpec("model")
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
        shared.params,
        whole.params,
    )


def test_all_that_follows_a_fit_of_sharded_parameters(explicit):
    y = BASIS @ COEFFICIENTS + 0.1 * jnp.sin(9 * X)
    tx = optlab.levenberg_marquardt()

    def fit(start, y):
        bounds = Bounds(lower={"c": -2.0, "start": -1.0})
        options = {"args": (y,), "residual_fn": polynomial, "bounds": bounds}
        return solve(tx, start, **options)

    def measured(start):
        end = fit(start, y)
        slope = jax.grad(lambda y: fit(start, y).value)(y)
        found = optlab.uncertainties(
            polynomial, end.params, args=(y,), at_bound=end.at_bound
        )
        return slope, found.residual_deviation, end.at_bound

    whole, shared = map(measured, both_starts(explicit))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        shared,
        whole,
    )
