"""Every listed optimizer in the training step, second-order methods for longer."""

import functools
import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab import data, models, optim, problems, training
from optlab.optim import METHODS, info

SECOND_ORDER = [n for n, f in METHODS.items() if info.find(f().init(jnp.ones(1)))]
EPOCHS = 20
# Half the time to compile, and there is little to run.
QUICK = {"xla_backend_optimization_level": 0}
# Values of arguments without a default.
REQUIRED = {"learning_rate": 0.01, "base_optimizer": optax.sgd(0.01), "key": 0}


@functools.cache
def problem_of(kind):
    """64 examples with two inputs; a net of 17 or 27 parameters."""
    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    side = x[:, 0] * x[:, 1] + x[:, 0]
    if kind == "regression":
        pair, classes = (x, side[:, None]), None
    else:
        pair, classes = (x, np.digitize(side, [-0.5, 0.5])), 3
    toy = data.from_arrays(
        "toy", train=pair, validation=pair, test=pair, classes=classes
    )
    net = models.make("mlp", classes or 1, hidden=(4,), activation="tanh")
    problem = problems.PROBLEMS[kind](net, toy)
    start = jax.jit(problem.init, compiler_options=QUICK)(jax.random.key(1))
    return problem, start, problem.make_batch(toy.train)


def losses(tx, kind, batch_size=64, epochs=EPOCHS):
    """The loss of every step, [epochs, batches]; the compiled program is a scan."""
    problem, start, examples = problem_of(kind)
    step = training.make_step(problem, tx)
    batches = jax.tree.map(lambda a: a.reshape(-1, batch_size, *a.shape[1:]), examples)

    def epoch(state, _):
        return jax.lax.scan(lambda s, b: step(s, b, jax.random.key(2)), state, batches)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def run(params, model_state):
        state = training.initial_state(params, model_state, tx)
        state, metrics = jax.lax.scan(epoch, state, length=epochs)
        return state.params, metrics["loss"]

    params, loss = run(*start)
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params))
    assert jnp.all(jnp.isfinite(loss))
    return loss


@pytest.mark.parametrize("name", optim.names())
def test_every_listed_optimizer_trains(name):
    parameters = inspect.signature(optim.find(name)).parameters
    needed = {
        key: REQUIRED[key]
        for key, each in parameters.items()
        if each.default is each.empty
        or (key in ("learning_rate", "key") and each.default is None)
    }
    with warnings.catch_warnings(action="ignore"):  # optax deprecates some
        tx = optim.make(name, **needed)
    loss = losses(tx, "classification", epochs=4).ravel()
    # A method may reject its first steps or, as mechanize, begin with tiny ones.
    assert loss[-1] <= loss[0] * (1 + 1e-6)


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_second_order_learns_from_batches_and_never_rises_on_the_whole(name):
    loss = losses(METHODS[name](), "classification", batch_size=16)
    assert loss.shape == (EPOCHS, 4)
    # On 16 examples a method may overfit: the test is that it learns.
    assert loss[1:].min() < loss[0].min()
    loss = losses(METHODS[name](), "regression").ravel()
    assert jnp.all(loss[1:] <= loss[:-1] * (1 + 1e-6))
    assert loss[-1] < loss[0]
