"""Second-order methods in the training step, on mini-batches and full batches."""

import functools

import jax
import jax.numpy as jnp
import pytest

from optlab import models, problems, training
from optlab.optim import METHODS, info
from optlab.problems import Batch

SECOND_ORDER = [n for n, f in METHODS.items() if info.find(f().init(jnp.ones(1)))]
EPOCHS = 20
# Half the time to compile, and there is little to run.
QUICK = {"xla_backend_optimization_level": 0}


@functools.cache
def problem_and_data(kind):
    """64 examples with two inputs; a net of 17 or 27 parameters."""
    x = jax.random.normal(jax.random.key(0), (64, 2))
    side = x[:, 0] * x[:, 1] + x[:, 0]
    if kind == "regression":
        module = models.make("mlp", classes=1, hidden=(4,), activation="tanh")
        problem, y = problems.regression(module, (2,)), side[:, None]
    else:
        module = models.make("mlp", classes=3, hidden=(4,), activation="tanh")
        problem = problems.classification(module, (2,))
        y = jnp.digitize(side, jnp.array([-0.5, 0.5]))
    start = jax.jit(problem.init, compiler_options=QUICK)(jax.random.key(1))
    return problem, start, Batch(x, y)


def losses(name, kind, batch_size):
    """The loss of every step, [EPOCHS, batches]; the compiled program is a scan."""
    problem, start, data = problem_and_data(kind)
    tx = METHODS[name]()
    step = training.make_step(problem, tx)

    def epoch(state, _):
        batches = jax.tree.map(lambda a: a.reshape(-1, batch_size, *a.shape[1:]), data)
        return jax.lax.scan(lambda s, b: step(s, b, jax.random.key(2)), state, batches)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def run(params, model_state):
        state = training.initial_state(params, model_state, tx)
        state, metrics = jax.lax.scan(epoch, state, length=EPOCHS)
        return state.params, metrics.loss

    params, loss = run(*start)
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params))
    return loss


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_mini_batches_of_a_classification(name):
    loss = losses(name, "classification", batch_size=16)
    assert loss.shape == (EPOCHS, 4)
    assert jnp.all(jnp.isfinite(loss))
    # On 16 examples a method may well overfit: what is told here is that it learns.
    assert loss[1:].min() < loss[0].min()


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_full_batches_of_a_regression_never_rise(name):
    loss = losses(name, "regression", batch_size=64).ravel()
    assert jnp.all(loss[1:] <= loss[:-1] * (1 + 1e-6))
    assert loss[-1] < loss[0]
