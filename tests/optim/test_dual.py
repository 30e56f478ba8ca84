"""With fewer outputs than parameters an m x m system gives the steps of the n x n one.

The oracle is the n x n system itself, solved by NumPy.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from optlab import curvature
from optlab.curvature import products
from optlab.optim import gauss_newton, levenberg_marquardt
from optlab.optim.contract import extra_args
from optlab.optim.dense.damping import next_scale

INPUTS = jax.random.normal(jax.random.key(0), (4, 3))
LABELS = jnp.array([0, 1, 1, 0])
NU = 0.3


def outputs(params):
    """A net with 32 parameters and 8 outputs."""
    hidden = jnp.tanh(INPUTS @ params["v"] + params["c"])
    return hidden @ params["w"] + params["b"]


def cross_entropy(z):
    return optax.softmax_cross_entropy_with_integer_labels(z, LABELS).sum()


def start():
    keys = jax.random.split(jax.random.key(1), 4)
    shapes = {"v": (3, 5), "c": (5,), "w": (5, 2), "b": (2,)}
    return {
        name: jax.random.normal(key, shape, jnp.float64)
        for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def primal_step(squares, scaling):
    """s with (J^T H J + nu D) s = J^T u, in full."""
    x, unravel = ravel_pytree(start())
    z_of = lambda x: outputs(unravel(x)).ravel()  # noqa: E731
    loss = lambda z: cross_entropy(z.reshape(4, 2))  # noqa: E731
    z, J = z_of(x), jax.jacfwd(z_of)(x)  # noqa: N806
    u, H = (z, jnp.eye(8)) if squares else (jax.grad(loss)(z), jax.hessian(loss)(z))  # noqa: N806
    G, g = J.T @ H @ J, J.T @ u  # noqa: N806
    here = SimpleNamespace(curvature=g @ G @ g / (g @ g), diagonal=jnp.diag(G))
    D = next_scale(scaling, jnp.zeros(x.shape), here)[1]  # noqa: N806
    return np.linalg.solve(G + NU * D * np.eye(x.size), g)


def one_step(tx, squares):
    functions = {"output_fn": outputs, "output_loss_fn": cross_entropy}
    if squares:
        functions = {"residual_fn": outputs}
    half = lambda r: 0.5 * jnp.sum(r**2)  # noqa: E731
    value_fn = lambda p: (half if squares else cross_entropy)(outputs(p))  # noqa: E731

    def update(params):
        value, g = jax.value_and_grad(value_fn)(params)
        given = extra_args(params, value, g, value_fn=value_fn, **functions)
        step, state = tx.update(g, tx.init(params), params, **given)
        return -ravel_pytree(step)[0], state[0].info.accepted

    # Half the time to compile, and there is little to run.
    options = {"xla_backend_optimization_level": 0}
    step, accepted = jax.jit(update, compiler_options=options)(start())
    assert accepted
    return step


@pytest.mark.parametrize(
    ("squares", "solver", "scaling"),
    [
        (True, "cholesky", "identity"),
        (True, "cholesky", "balanced"),
        (True, "qr", "marquardt"),
        (False, "cholesky", "identity"),  # qr is refused here
        (False, "cholesky", "balanced"),
    ],
)
def test_the_step_is_that_of_the_full_system(squares, solver, scaling, float64):
    tx = levenberg_marquardt(NU, scaling=scaling, solver=solver, geodesic=False)
    if scaling == "identity":
        tx = gauss_newton(2 * NU, solver=solver)  # in units of half the curvature
    step = one_step(tx, squares)
    np.testing.assert_allclose(step, primal_step(squares, scaling), rtol=1e-8)


def test_few_outputs_of_many_parameters_are_not_refused(monkeypatch, float64):
    # 8 x 8 three times fit, 32 x 32 would not, nor 8 x 32 where J is formed.
    monkeypatch.setattr(products, "DENSE_LIMIT", 3 * 8 * 8 * 8)
    assert one_step(gauss_newton(damping=2 * NU), squares=False).shape == (32,)
    assert one_step(levenberg_marquardt(), squares=True).shape == (32,)
    balanced = levenberg_marquardt(scaling="balanced")
    with pytest.raises(curvature.DenseMemoryError, match="8 x 32"):
        one_step(balanced, squares=True)
    monkeypatch.setattr(products, "DENSE_LIMIT", (2 * 8 * 32 + 8 * 8) * 8)
    assert one_step(balanced, squares=True).shape == (32,)
