"""How many lanes run at a time: what is timed, what is chosen, what memory holds."""

import jax
import jax.numpy as jnp
import pytest

from optlab import data, models, optim, problems, sweep
from optlab.sweep import Task, machine, parallel, width
from optlab.sweep.lanes import MEMORY_SHARE

ONE = parallel.layout("jit", 1, [8], devices=jax.devices()[:1])


@pytest.fixture(scope="module")
def task():
    digits = data.load("digits", examples=50)
    problem = problems.classification(models.make("mlp", classes=10), (8, 8, 1))
    return Task(problem, lambda point: optim.make("sgd", **point), digits, 8)


@pytest.fixture(scope="module")
def lanes():
    return sweep.make_lanes((0, 1), sweep.grid({"learning_rate": (0.1, 0.2, 0.3)}))


def bytes_of(task):
    lanes = sweep.make_lanes((0,), sweep.grid({"learning_rate": (0.1,)}))
    return width.computed_bytes(width._step(task, lanes))


def limit(monkeypatch, task, lanes_that_fit):
    """Makes the memory hold so many lanes."""
    memory = lanes_that_fit * bytes_of(task) / MEMORY_SHARE
    monkeypatch.setattr(machine, "memory_bytes", lambda device: memory)


def untimed(widths, trial):
    return dict.fromkeys(widths, 1.0)


def test_one_lane_one_row_and_all_are_timed(task, lanes):
    seconds = width.measure(task, lanes, ONE)
    assert sorted(seconds) == [1, 3, 6]
    assert all(0 < time < 1 for time in seconds.values())


@pytest.mark.parametrize(
    ("budget", "expected"), [(6.5, [1, 3, 6]), (5.9, [1, 3]), (2.9, [1]), (0.5, [1])]
)
def test_no_width_is_tried_that_memory_does_not_hold(
    task, lanes, monkeypatch, budget, expected
):
    limit(monkeypatch, task, budget)
    monkeypatch.setattr(width, "timed", untimed)
    assert list(width.measure(task, lanes, ONE)) == expected


def test_lanes_that_do_not_fit_run_in_the_largest_equal_chunks(task, monkeypatch):
    many = sweep.make_lanes((0,), sweep.grid({"learning_rate": [0.1] * 12}))
    limit(monkeypatch, task, 5.5)
    monkeypatch.setattr(width, "timed", untimed)
    assert list(width.measure(task, many, ONE)) == [1, 4]


def test_of_many_points_a_width_between_is_tried(task, monkeypatch):
    many = sweep.make_lanes((0,), sweep.grid({"learning_rate": [0.1] * 64}))
    monkeypatch.setattr(width, "timed", untimed)
    assert list(width.measure(task, many, ONE)) == [1, 8, 64]


def test_every_device_has_a_lane(task, monkeypatch):
    """Four devices share twelve points: no fewer than four run at a time."""
    many = sweep.make_lanes((0,), sweep.grid({"learning_rate": [0.1] * 12}))
    layout = parallel.layout("jit", 12, [8], devices=jax.devices()[:4])
    monkeypatch.setattr(width, "timed", untimed)
    assert list(width.measure(task, many, layout)) == [4, 12]


def test_lanes_that_factorize_run_one_for_each_core(task):
    """More at a time could wait for each other's threads without end."""
    lanes = sweep.make_lanes((0,), sweep.grid({"damping": [0.1] * 4}))
    small = problems.classification(
        models.make("mlp", classes=10, hidden=(2,)), (8, 8, 1)
    )
    newton = task._replace(
        problem=small,
        optimizer=lambda point: optim.make("levenberg_marquardt", **point),
    )
    layout = parallel.layout("jit", 4, [8], devices=jax.devices()[:2])
    assert width.unblocked(newton, lanes, layout) == 2
    assert list(width.measure(newton, lanes, layout)) == [2]
    assert width.unblocked(newton, lanes, ONE) == 4
    assert (
        width.unblocked(
            task, sweep.make_lanes((0,), [{"learning_rate": 0.1}] * 4), layout
        )
        == 4
    )


def test_a_trial_goes_through_a_short_split_again(task):
    steps = 3 * len(task.dataset.train.labels) // task.batch_size
    short = width._shortened(task, steps)
    assert len(short.dataset.train.labels) == steps * task.batch_size
    assert short.steps_per_epoch == steps


def test_memory_is_the_device_own_or_the_host():
    class Accelerator:
        def memory_stats(self):
            return {"bytes_limit": 123}

    assert machine.memory_bytes(Accelerator()) == 123
    assert machine.memory_bytes(jax.devices("cpu")[0]) > 2**28


def test_what_a_step_touches_grows_with_the_batch_and_the_net(task):
    small = bytes_of(task)
    assert small > 4 * (64 * 30 + 30 * 15 + 15 * 10)  # the gradient, at the least
    assert bytes_of(task._replace(batch_size=32)) > small
    wide = problems.classification(
        models.make("mlp", classes=10, hidden=(300,)), (8, 8, 1)
    )
    assert bytes_of(task._replace(problem=wide)) > 5 * small


def test_bytes_are_those_of_every_result():
    def inner(x):
        return jnp.sin(x) * 2  # 2 results

    program = jax.make_jaxpr(lambda x: inner(jnp.exp(x)))(jnp.zeros(5))
    assert width.computed_bytes(program.jaxpr) == 3 * 5 * 4
    nested = jax.make_jaxpr(lambda x: jax.jit(inner)(jnp.exp(x)))(jnp.zeros(5))
    assert width.computed_bytes(nested.jaxpr) == 3 * 5 * 4
    # A loop keeps what it stacks.
    stacked = jax.make_jaxpr(
        lambda x: jax.lax.scan(lambda c, _: (c, inner(c)), x, None, length=100)[1]
    )(jnp.zeros(5))
    assert 100 * 5 * 4 < width.computed_bytes(stacked.jaxpr) < 110 * 5 * 4
    # Of two branches only one runs, so the larger one counts.
    branches = (jnp.sin, lambda x: jnp.cos(jnp.tan(x)))
    chosen = jax.make_jaxpr(lambda x: jax.lax.switch(1, branches, x))(jnp.zeros(5))
    assert width.computed_bytes(chosen.jaxpr) >= 2 * 5 * 4
    assert width.computed_bytes(chosen.jaxpr) < 3 * 5 * 4
