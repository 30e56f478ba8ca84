"""How many lanes run at a time: what a step touches, and what the memory holds."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab import data, models, optim, parallel, problems, sweep, width
from optlab.sweep import Task


@pytest.fixture(scope="module")
def task():
    digits = data.load("digits", examples=50)
    problem = problems.classification(models.make("mlp", classes=10), (8, 8, 1))
    return Task(problem, lambda point: optim.make("sgd", **point), digits, 8)


@pytest.fixture(scope="module")
def lanes():
    return sweep.make_lanes((0, 1), sweep.grid({"learning_rate": (0.1, 0.2, 0.3)}))


ONE = parallel.layout("jit", 1, [8], devices=jax.devices()[:1])


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(6.0, 6), (5.9, 3), (3.0, 3), (2.9, 1), (1.0, 1), (0.5, 1)],
)
def test_the_widest_that_fits(task, lanes, monkeypatch, budget, expected):
    """2 seeds x 3 points: all 6, or a seed's 3, or one, which must run in any case."""
    a_lane = width.step_bytes(task, {"learning_rate": 0.1})
    monkeypatch.setattr(width, "CPU_BYTES", budget * a_lane)
    assert width.choose_width(task, lanes, ONE) == expected


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (lambda lane: {"bytes_limit": 2 * 6 * lane}, 6),
        (lambda lane: {"bytes_limit": 2 * 6 * lane - 2}, 3),
        (lambda lane: {"bytes_limit": 2 * 3 * lane - 2}, 1),
        (lambda lane: None, 6),  # not told: 8 GiB are taken to be there
    ],
)
def test_an_accelerator_is_filled_to_a_half(task, lanes, memory, expected):
    statistics = memory(width.step_bytes(task, {"learning_rate": 0.1}))
    device = SimpleNamespace(platform="gpu", memory_stats=lambda: statistics)
    mesh = SimpleNamespace(devices=np.array([[device]]), size=1)
    assert width.choose_width(task, lanes, SimpleNamespace(mesh=mesh)) == expected


def test_what_a_step_touches_grows_with_the_batch_and_the_net(task):
    point = {"learning_rate": 0.1}
    small = width.step_bytes(task, point)
    assert small > 4 * (64 * 30 + 30 * 15 + 15 * 10)  # the gradient, at the least
    assert width.step_bytes(task._replace(batch_size=32), point) > small
    wide = problems.classification(
        models.make("mlp", classes=10, hidden=(300,)), (8, 8, 1)
    )
    assert width.step_bytes(task._replace(problem=wide), point) > 5 * small


def test_bytes_are_those_of_every_result():
    def inner(x):
        return jnp.sin(x) * 2  # 2 results

    program = jax.make_jaxpr(lambda x: inner(jnp.exp(x)))(jnp.zeros(5))
    assert width._computed_bytes(program.jaxpr) == 3 * 5 * 4
    nested = jax.make_jaxpr(lambda x: jax.jit(inner)(jnp.exp(x)))(jnp.zeros(5))
    assert width._computed_bytes(nested.jaxpr) == 3 * 5 * 4
    # Of two branches only one runs, so the larger one counts.
    branches = (jnp.sin, lambda x: jnp.cos(jnp.tan(x)))
    chosen = jax.make_jaxpr(lambda x: jax.lax.switch(1, branches, x))(jnp.zeros(5))
    assert width._computed_bytes(chosen.jaxpr) >= 2 * 5 * 4
    assert width._computed_bytes(chosen.jaxpr) < 3 * 5 * 4
