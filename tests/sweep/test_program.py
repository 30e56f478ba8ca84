"""A lane of a sweep is the run that it would be alone, and costs no compile."""

import contextlib
import functools

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab import data, models, optim, problems, sweep
from optlab.data import Split
from optlab.problems import Problem
from optlab.sweep import Task, parallel

#: A lane's arithmetic is the same whatever runs beside it, but for the order in which
#: a matrix product adds: parameters of size 1 agree to this after 2 epochs.
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}

ONE = parallel.layout("jit", 1, [16], devices=jax.devices()[:1])
SEEDS = (0, 7)
POINTS = sweep.grid({"learning_rate": (0.01, 0.1), "momentum": (0.5, 0.9)})


@functools.cache
def task():
    digits = data.load("digits", examples=120)
    module = models.make("mlp", classes=10, hidden=(8,))
    problem = problems.classification(module, (8, 8, 1))
    return Task(problem, lambda point: optim.make("momentum", **point), digits, 16)


def train(program, task, lanes, epochs=2):
    """The states and the metrics of every step, after some epochs."""
    states, metrics = sweep.init_states(task, lanes), []
    for epoch in range(epochs):
        states, of_epoch = program.train(states, lanes, epoch)
        metrics.append(jax.device_get(of_epoch))
    return jax.device_get(states), jax.tree.map(
        lambda *parts: np.concatenate(parts, axis=-1), *metrics
    )


@functools.cache
def program(width=4):
    return sweep.compile_program(task(), sweep.make_lanes(SEEDS, POINTS), ONE, width)


@functools.cache
def trained(width):
    return train(program(width), task(), sweep.make_lanes(SEEDS, POINTS))


def assert_close(found, expected):
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, **ROUNDING), found, expected
    )


def assert_same_bits(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


# Points and lanes


def test_a_grid_has_every_combination():
    assert [tuple(point.values()) for point in POINTS] == [
        (0.01, 0.5), (0.01, 0.9), (0.1, 0.5), (0.1, 0.9)
    ]  # fmt: skip
    assert sweep.grid({"learning_rate": ()}) == ()
    assert sweep.grid({}) == ({},)  # an optimizer with nothing to tune has one point


def test_lanes_are_every_seed_with_every_point():
    lanes = sweep.make_lanes(SEEDS, POINTS)
    assert lanes.shape == (2, 4)
    assert lanes.seeds.tolist() == [0, 7]
    assert lanes.numbers.tolist() == [[0, 1, 2, 3]] * 2
    rates = lanes.hyperparameters["learning_rate"]
    np.testing.assert_array_equal(rates, np.float32([[0.01, 0.01, 0.1, 0.1]] * 2))


def test_an_epoch_has_full_batches_only():
    assert len(task().dataset.train.labels) == 108
    assert task().steps_per_epoch == 6
    assert trained(4)[1].loss.shape == (2, 4, 2 * 6)


# A lane is the run that it would be alone


@functools.cache
def trained_alone():
    """Every seed and point as the one lane of a program of its own."""
    alone = sweep.make_lanes(SEEDS[:1], POINTS[:1])
    program = sweep.compile_program(task(), alone, ONE, width=1)
    return {
        (i, j): train(program, task(), sweep.make_lanes((seed,), (point,)))
        for i, seed in enumerate(SEEDS)
        for j, point in enumerate(POINTS)
    }


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_a_lane_is_the_same_run_alone_whatever_the_width(width):
    for (i, j), alone in trained_alone().items():
        lane = jax.tree.map(lambda x, i=i, j=j: x[i : i + 1, j : j + 1], trained(width))
        assert_close(lane, alone)


def test_lanes_learn():
    _, metrics = trained(4)
    assert (metrics.loss[:, :, -1] < metrics.loss[:, :, 0]).all()


def test_metrics_are_before_the_update():
    _, metrics = trained(4)
    # So all lanes of a seed agree on the first step, whatever their learning rate.
    np.testing.assert_allclose(
        metrics.loss[:, :, 0], np.tile(metrics.loss[:, :1, 0], (1, 4)), rtol=1e-5
    )
    assert np.unique(metrics.loss[0, :, -1]).size == 4


def test_evaluation_is_a_mean_over_the_split():
    lanes = sweep.make_lanes(SEEDS, POINTS)
    states = sweep.init_states(task(), lanes)
    images, labels = task().dataset.validation
    inputs = (images - task().dataset.mean) / task().dataset.std
    found = program().evaluate(states, "validation")
    assert found.loss.shape == (2, 4)
    for i in range(2):
        params = jax.tree.map(lambda x, i=i: x[i, 3], states.params)
        outputs = task().problem.outputs(params, {}, inputs)
        expected = task().problem.loss(outputs, labels).mean()
        np.testing.assert_allclose(found.loss[i, 3], expected, rtol=1e-5)
        right = task().problem.accuracy(outputs, labels).mean()
        np.testing.assert_allclose(found.accuracy[i, 3], right, rtol=1e-6)


# Common random numbers


def ledger(steps, batch_size):
    """A problem that writes down which examples, and which key, each step is given."""

    def init(key):
        state = {
            "step": jnp.int32(0),
            "examples": jnp.zeros((steps, batch_size)),
            "keys": jnp.zeros((steps, 2), jnp.uint32),
        }
        return {"w": jax.random.normal(key, (2,))}, state

    def train_outputs(params, state, inputs, key):
        step = state["step"]
        written = {
            "step": step + 1,
            "examples": state["examples"].at[step].set(inputs.ravel()),
            "keys": state["keys"].at[step].set(jax.random.key_data(key)),
        }
        return outputs(params, state, inputs), written

    def outputs(params, state, inputs):
        return inputs.reshape(-1, 1) * params["w"]

    return Problem(
        init,
        train_outputs,
        outputs,
        loss=optax.softmax_cross_entropy_with_integer_labels,
        accuracy=lambda outputs, targets: jnp.zeros(len(targets)),
    )


EXAMPLES, BATCH, EPOCHS = 11, 3, 3


@pytest.fixture(scope="module")
def noted():
    """What lanes of seeds 0, 7, 0 saw: examples, keys and their first parameters."""
    images = np.arange(EXAMPLES, dtype=np.float32).reshape(-1, 1, 1, 1)
    split = Split(images, np.arange(EXAMPLES) % 2)
    dataset = data.from_arrays(
        "numbers", classes=2, train=split, validation=split, test=split
    )
    steps = EPOCHS * (EXAMPLES // BATCH)
    problem = ledger(steps, BATCH)
    task = Task(problem, lambda point: optax.sgd(**point), dataset, BATCH)
    lanes = sweep.make_lanes((0, 7, 0), sweep.grid({"learning_rate": (0.1, 0.2)}))
    start = sweep.init_states(task, lanes).params["w"]
    program = sweep.compile_program(task, lanes, ONE, width=2)
    states, _ = train(program, task, lanes, EPOCHS)
    seen = states.model_state["examples"] * dataset.std + dataset.mean
    keys = states.model_state["keys"]
    return (
        np.rint(seen).astype(int).reshape(3, 2, EPOCHS, -1),
        keys.reshape(3, 2, EPOCHS, -1, 2),
        np.asarray(start),
    )


def test_an_epoch_is_a_shuffle_of_the_examples(noted):
    seen, _, _ = noted
    for epoch in seen.reshape(-1, 9):
        assert len(set(epoch.tolist())) == 9
        assert set(epoch.tolist()) <= set(range(EXAMPLES))
    assert len(np.unique(seen[0, 0], axis=0)) == EPOCHS  # each epoch a new one


def test_lanes_of_one_seed_see_the_same(noted):
    for values in noted:  # examples, keys, first parameters
        np.testing.assert_array_equal(values[:, 0], values[:, 1])
        np.testing.assert_array_equal(values[0], values[2])  # both are seed 0


def test_another_seed_sees_and_starts_with_something_else(noted):
    seen, keys, start = noted
    assert (seen[0, 0] != seen[1, 0]).any(axis=-1).all()  # in every epoch
    assert (keys[0, 0] != keys[1, 0]).any(axis=-1).all()  # in every step
    assert (start[0, 0] != start[1, 0]).all()


def test_no_step_has_another_s_key(noted):
    _, keys, _ = noted
    steps = keys[:2, 0].reshape(-1, 2)
    assert len(np.unique(steps, axis=0)) == len(steps)


# One compile


@contextlib.contextmanager
def counted_compiles():
    events = []

    def listen(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield events
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_other_rates_and_seeds_compile_nothing():
    with counted_compiles() as events:
        jax.jit(lambda x: x + jnp.float32(0.123))(1.0)
    assert events  # they are counted at all
    run, lanes = program(), sweep.make_lanes(SEEDS, POINTS)
    states, _ = run.train(sweep.init_states(task(), lanes), lanes, 0)
    run.evaluate(states, "validation")
    points = sweep.grid({"learning_rate": (0.3, 0.2), "momentum": (0.0, 0.99)})
    lanes = sweep.make_lanes((1234, 5), points)
    states = jax.block_until_ready(sweep.init_states(task(), lanes))
    with counted_compiles() as events:
        for epoch in range(3):
            states, _ = run.train(states, lanes, epoch)
            run.evaluate(states, "validation")
    assert not events


def test_the_time_to_compile_is_told_apart():
    assert 0.01 < program().compile_seconds < 600


# Donation


def test_the_given_states_are_used_up():
    lanes = sweep.make_lanes(SEEDS, POINTS)
    states, _ = program().train(sweep.init_states(task(), lanes), lanes, 0)
    program().train(states, lanes, 1)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(states))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(lanes))


# A lane that diverges


def test_a_lane_that_diverges_touches_no_other():
    wild = tuple(
        point | {"learning_rate": 1e6} if place == 2 else point
        for place, point in enumerate(POINTS)
    )
    states, metrics = train(program(), task(), sweep.make_lanes(SEEDS, wild))
    assert not (metrics.loss[:, 2, -1] < 100).any()
    for others in (np.s_[:, :2], np.s_[:, 3:]):
        assert_same_bits(
            jax.tree.map(lambda x, others=others: x[others], (states, metrics)),
            jax.tree.map(lambda x, others=others: x[others], trained(4)),
        )


# What a task may be


def test_an_optimizer_with_nothing_to_tune_is_one_point():
    plain = task()._replace(optimizer=lambda point: optax.sgd(0.1, **point))
    lanes = sweep.make_lanes(SEEDS, sweep.grid({}))
    program = sweep.compile_program(plain, lanes, ONE, width=2)
    _, metrics = train(program, plain, lanes, epochs=1)
    assert metrics.loss.shape == (2, 1, 6)
    _, later = train(program, plain, lanes, epochs=4)
    assert (later.loss.mean(-1) < metrics.loss.mean(-1)).all()
