"""A lane of a sweep is the run that it would be alone, and costs no compile."""

import contextlib
import functools
from typing import Any

import flax.linen as nn
import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

from optlab import losses, models, optim, problems, sweep, training
from optlab.data import Split, from_arrays
from optlab.models.layers import Dropout
from optlab.problems import Metric, Problem
from optlab.sweep import Task, parallel

#: Programs of the same formulas add in other orders; 12 steps of a small net that has
#: no kink agree to this.
close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)

ONE = parallel.layout("jit", 1, 16, devices=jax.devices()[:1])
SEEDS = (0, 7)
BATCH, EPOCHS = 16, 2
WIDTH = 2  # of a seed's four lanes: they run in chunks


@functools.cache
def dataset():
    """108 examples to train on and 300 to test: more than are evaluated at a time."""
    draw = np.random.default_rng(0)

    def pair(n):
        inputs = draw.normal(size=(n, 6)).astype(np.float32)
        return inputs, np.digitize(inputs[:, 0] * inputs[:, 1], [-0.3, 0.3])

    parts = {"train": pair(108), "validation": pair(21), "test": pair(300)}
    return from_arrays("toy", classes=3, **parts)


class Net(nn.Module):
    """A net with batch statistics and a dropout share that may be a tracer."""

    dropout: Any

    @nn.compact
    def __call__(self, inputs, train=False):
        x = jnp.tanh(nn.Dense(8)(inputs))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(x)
        return nn.Dense(3)(Dropout(self.dropout, deterministic=not train)(x))


def of_net(point):
    loss = losses.make("cross_entropy", label_smoothing=point["label_smoothing"])
    return problems.classification(Net(point["dropout"]), dataset(), loss=loss)


@functools.cache
def of_plain_net():
    net = models.make("mlp", classes=3, hidden=(8,), activation="tanh")
    return problems.classification(net, dataset())


#: With and without numbers that the problem reads, and three points of each.
TASKS = {
    "swept": Task(
        dataset(),
        BATCH,
        of_net,
        lambda point: optax.adam(point["learning_rate"]),
        ("dropout", "label_smoothing"),
    ),
    "plain": Task(
        dataset(),
        BATCH,
        lambda _: of_plain_net(),
        lambda p: optim.make("momentum", **p),
    ),
}
POINTS = {
    "swept": [
        {"learning_rate": 0.01, "dropout": 0.5, "label_smoothing": 0.0},
        {"learning_rate": 0.01, "dropout": 0.1, "label_smoothing": 0.0},
        {"learning_rate": 0.01, "dropout": 0.5, "label_smoothing": 0.2},
        {"learning_rate": 0.03, "dropout": 0.0, "label_smoothing": 0.1},
    ],
    "plain": sweep.grid({"learning_rate": (0.01, 0.1), "momentum": (0.5, 0.9)}),
}


def layout_of(name):
    """One device; four with a lane each; two pairs that share each batch."""
    if name == "one":
        return ONE
    shape = (2, 2) if name == "2x2" else (4, 1)
    devices = np.array(jax.devices()[: shape[0] * shape[1]]).reshape(shape)
    return parallel.Layout("jit", Mesh(devices, (parallel.LANE, parallel.DATA)))


def program(kind, width=WIDTH, layout="one"):
    return compiled(kind, width, layout)


@functools.cache
def compiled(kind, width, layout):
    lanes = sweep.make_lanes(SEEDS, POINTS[kind])
    return sweep.compile_program(TASKS[kind], lanes, layout_of(layout), width)


def train(program, lanes, epochs=EPOCHS):
    """States and metrics of every step, and metrics of the test split."""
    states, metrics = program.init(lanes), []
    for epoch in range(epochs):
        states, of_epoch = program.train(states, lanes, epoch)
        metrics.append(jax.device_get(of_epoch))
    steps = jax.tree.map(lambda *parts: np.concatenate(parts, axis=-1), *metrics)
    return jax.device_get((states, steps, program.evaluate(states, lanes, "test")))


def trained(kind, width=WIDTH, layout="one"):
    return trained_states(kind, width, layout)


@functools.cache
def trained_states(kind, width, layout):
    lanes = sweep.make_lanes(SEEDS, POINTS[kind])
    return train(program(kind, width, layout), lanes)


def assert_close(found, expected):
    jax.tree.map(close, found, expected)


def assert_same_bits(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


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


# Points and lanes


def test_a_grid_has_every_combination():
    assert [tuple(point.values()) for point in POINTS["plain"]] == [
        (0.01, 0.5), (0.01, 0.9), (0.1, 0.5), (0.1, 0.9)
    ]  # fmt: skip
    assert sweep.grid({"learning_rate": ()}) == ()
    assert sweep.grid({}) == ({},)  # a recipe with nothing to tune has one point


def test_lanes_are_every_seed_with_every_point():
    lanes = sweep.make_lanes(SEEDS, POINTS["plain"])
    assert lanes.shape == (2, 4)
    assert lanes.seeds.tolist() == [0, 7]
    assert lanes.indices.tolist() == [[0, 1, 2, 3]] * 2
    rates = lanes.hyperparameters["learning_rate"]
    np.testing.assert_array_equal(rates, np.float32([[0.01, 0.01, 0.1, 0.1]] * 2))


# A lane is the run that it would be alone


@functools.cache
def single_runs(kind):
    """`optlab.train` of every seed and point, one after another, by one program."""
    task = TASKS[kind]

    @jax.jit
    def run(seed, point):
        found = training.train(
            task.problem(point),
            task.optimizer(point),
            seed=seed,
            epochs=EPOCHS,
            batch_size=BATCH,
        )
        return (
            found.params,
            found.model_state,
            found.history.steps,
            found.evaluate("test"),
        )

    return [[jax.device_get(run(seed, p)) for p in POINTS[kind]] for seed in SEEDS]


@pytest.mark.parametrize(
    ("kind", "width", "layout"),
    [
        ("swept", WIDTH, "one"),
        ("swept", 8, "2x2"),
        ("plain", WIDTH, "one"),
        ("plain", 4, "4x1"),
    ],
)
def test_a_lane_is_the_run_alone_whatever_the_width_and_devices(kind, width, layout):
    states, steps, metrics = trained(kind, width, layout)
    for i in range(len(SEEDS)):
        for j in range(len(POINTS[kind])):
            lane = states.params, states.model_state, steps, metrics
            lane = jax.tree.map(lambda x, i=i, j=j: x[i, j], lane)
            assert_close(lane, single_runs(kind)[i][j])


def test_every_swept_number_makes_a_difference():
    """Each differs from point 0, or the comparison above would show nothing."""
    _, steps, _ = trained("swept")
    assert steps["loss"].shape == (2, 4, EPOCHS * (108 // BATCH))
    for point in (1, 2, 3):
        assert np.abs(steps["loss"][:, point] - steps["loss"][:, 0]).min(0).max() > 0.01


def test_lanes_learn():
    _, steps, _ = trained("plain")
    assert (steps["loss"][:, 3, -6:].mean(-1) < steps["loss"][:, 3, :6].mean(-1)).all()


@pytest.mark.parametrize("kind", ["swept", "plain"])
def test_lanes_of_one_seed_share_their_initial_parameters(kind):
    lanes = sweep.make_lanes(SEEDS, POINTS[kind])
    states = sweep.init_states(TASKS[kind], lanes, ONE)
    for leaf in map(np.asarray, jax.tree.leaves(states.params)):
        assert_close(leaf, np.broadcast_to(leaf[:, :1], leaf.shape))
        assert leaf.ndim < 4 or (leaf[0] != leaf[1]).all()  # kernels; biases are 0


def test_a_number_of_the_initialization_is_a_lane():
    def scaled(point):
        return problems.classification(
            models.make("mlp", classes=3, hidden=(4,), **point), dataset()
        )

    task = TASKS["plain"]._replace(
        problem=scaled,
        optimizer=lambda _: optax.sgd(0.1),
        problem_numbers=("initial_scale",),
    )
    lanes = sweep.make_lanes((3,), sweep.grid({"initial_scale": (1.0, 0.5)}))
    kernels = sweep.init_states(task, lanes, ONE).params["Dense_0"]["kernel"]
    np.testing.assert_allclose(kernels[0, 1], 0.5 * kernels[0, 0], rtol=1e-6)
    assert np.abs(kernels).min() > 0


def test_metrics_are_before_the_update():
    """So lanes of a seed agree on the first step, whatever their learning rate."""
    _, steps, _ = trained("plain")
    first = steps["loss"][:, :, 0]
    np.testing.assert_allclose(first, np.tile(first[:, :1], (1, 4)), rtol=1e-4)
    assert np.unique(steps["loss"][0, :, -1]).size == 4


# Evaluation


@pytest.mark.parametrize(
    ("kind", "width", "layout"),
    [("swept", WIDTH, "one"), ("swept", 8, "2x2"), ("plain", 4, "4x1")],
)
def test_what_stops_a_lane_is_of_its_whole_gradient_and_weights(kind, width, layout):
    """The norms of one gradient over all examples at once, and of one difference."""
    this, lanes = program(kind, width, layout), sweep.make_lanes(SEEDS, POINTS[kind])
    states = this.init(lanes)
    before = sweep.copied(states)
    first = jax.device_get(before)
    states, _ = this.train(states, lanes, 0)
    norms = jax.device_get(this.gradient_norms(states, lanes))
    changes = jax.device_get(this.weight_changes(before, states))
    states = jax.device_get(states)

    def norm(tree):
        return np.sqrt(sum((np.float64(leaf) ** 2).sum() for leaf in tree))

    for i, j in np.ndindex(2, 4):
        own = TASKS[kind].problem(POINTS[kind][j])
        batch = own.make_batch(dataset().train)
        old, new, rest = jax.tree.map(
            lambda x, i=i, j=j: x[i, j], (first, states.params, states.model_state)
        )

        def loss(params, own=own, rest=rest, batch=batch):
            return own.loss(
                own.outputs(params, rest, batch.inputs), batch.targets
            ).mean()

        grad, before = jax.tree.leaves(jax.grad(loss)(new)), jax.tree.leaves(old)
        change = [b - a for a, b in zip(before, jax.tree.leaves(new), strict=True)]
        np.testing.assert_allclose(norms[i, j], norm(grad), 1e-4)
        np.testing.assert_allclose(changes[i, j], norm(change) / norm(before), 1e-4)


def test_label_smoothing_is_a_lane_of_the_evaluation_too():
    """(1 - s) exact + s uniform, of lanes that differ in s alone."""
    point = {"learning_rate": 0.1, "dropout": 0.5}
    shares = np.array([0.0, 0.2, 0.5, 1.0])
    lanes = sweep.make_lanes(SEEDS, [point | {"label_smoothing": s} for s in shares])
    states = program("swept").init(lanes)
    found = program("swept").evaluate(states, lanes, "test")
    this = of_net(point | {"label_smoothing": 0.0})
    batch = this.make_batch(dataset().test)
    for i in range(len(SEEDS)):
        net = jax.tree.map(lambda x, i=i: x[i, 0], (states.params, states.model_state))
        logs = jax.nn.log_softmax(this.outputs(*net, batch.inputs))
        exact, uniform = -logs[np.arange(300), batch.targets].mean(), -logs.mean()
        expected = (1 - shares) * exact + shares * uniform
        np.testing.assert_allclose(found["loss"][i], expected, rtol=1e-5)
        assert np.ptp(found["loss"][i]) > 0.003
        assert np.ptp(found["accuracy"][i]) == 0


def test_a_single_lane_is_evaluated_as_any_net_is():
    """By the same program: a net that was saved and loaded gives the same bits."""
    task = TASKS["swept"]
    lanes = sweep.make_lanes((5,), POINTS["swept"][2:3])
    run = sweep.compile_program(task, lanes, ONE, 1)
    states, _ = run.train(run.init(lanes), lanes, 0)
    metrics = run.evaluate(states, lanes, "test")
    this, *net = sweep.the_lane(task, states, lanes)
    with counted_compiles() as events:
        found = training.evaluate_split(this, *jax.device_get(net), dataset().test)
    assert not events
    assert_same_bits(jax.tree.map(lambda x: x[0, 0], metrics), found)


def test_schedule_free_lanes_are_evaluated_at_their_means():
    """And a recipe with nothing to tune is one point."""
    task = TASKS["plain"]._replace(
        optimizer=lambda _: optax.contrib.schedule_free_sgd(0.5, b1=0.9)
    )
    lanes = sweep.make_lanes(SEEDS, sweep.grid({}))
    run = sweep.compile_program(task, lanes, ONE, 2)
    states, steps, found = train(run, lanes)
    assert steps["loss"].shape == (2, 1, 12)
    assert states.step.tolist() == [[12], [12]]
    for i in range(len(SEEDS)):
        lane = jax.tree.map(lambda x, i=i: x[i, 0], states)
        x = optax.contrib.schedule_free_eval_params(lane.opt_state, lane.params)
        expected = training.evaluate_split(of_plain_net(), x, {}, dataset().test)
        assert_close(jax.tree.map(lambda x, i=i: x[i, 0], found), expected)


# Common random numbers


def ledger(split, steps):
    """A problem that writes down which examples, and which key, each step is given."""

    def init(key):
        state = {
            "step": jnp.int32(0),
            "examples": jnp.zeros((steps, 3), jnp.int32),
            "keys": jnp.zeros((steps, 2), jnp.uint32),
        }
        return {"w": jax.random.normal(key, (2,))}, state

    def train_outputs(params, state, inputs, key):
        step = state["step"]
        written = {
            "step": step + 1,
            "examples": state["examples"].at[step].set(inputs),
            "keys": state["keys"].at[step].set(jax.random.key_data(key)),
        }
        return outputs(params, state, inputs), written

    def outputs(params, state, inputs):
        return inputs[:, None] * params["w"]

    def loss(outputs, targets):
        return (outputs**2).sum(-1)

    toy = from_arrays("numbers", train=split, validation=split, test=split)
    metrics = (Metric("loss", higher=False, percent=False, of=loss),)
    return Problem(toy, init, train_outputs, outputs, loss, metrics)


@pytest.fixture(scope="module")
def noted():
    """Examples, keys and first parameters of lanes of seeds 0, 7, 0; 11 examples."""
    numbers = np.arange(11)
    this = ledger(Split(numbers, numbers), steps=3 * 3)
    task = Task(this.dataset, 3, lambda _: this, lambda point: optax.sgd(**point))
    lanes = sweep.make_lanes((0, 7, 0), sweep.grid({"learning_rate": (0.1, 0.2)}))
    run = sweep.compile_program(task, lanes, ONE, width=2)
    start = np.asarray(run.init(lanes).params["w"])
    states, _, _ = train(run, lanes, epochs=3)
    examples, keys = (states.model_state[name] for name in ("examples", "keys"))
    return examples.reshape(3, 2, 3, 9), keys.reshape(3, 2, 3, 3, 2), start


def test_an_epoch_is_a_shuffle_of_the_examples(noted):
    seen, _, _ = noted
    for epoch in seen.reshape(-1, 9):
        assert len(set(epoch.tolist())) == 9
        assert set(epoch.tolist()) <= set(range(11))
    assert len(np.unique(seen[0, 0], axis=0)) == 3  # each epoch a new one


def test_lanes_of_one_seed_see_the_same(noted):
    for values in noted:  # examples, keys, first parameters
        np.testing.assert_array_equal(values[:, 0], values[:, 1])
        np.testing.assert_array_equal(values[0], values[2])  # both are seed 0


def test_another_seed_sees_and_starts_with_something_else(noted):
    seen, keys, start = noted
    assert (seen[0, 0] != seen[1, 0]).any(axis=-1).all()  # in every epoch
    assert (keys[0, 0] != keys[1, 0]).any(axis=-1).all()  # in every step
    assert (start[0, 0] != start[1, 0]).all()


def test_no_step_has_the_key_of_another(noted):
    _, keys, _ = noted
    steps = keys[:2, 0].reshape(-1, 2)
    assert len(np.unique(steps, axis=0)) == len(steps)


# One compile


@pytest.mark.parametrize("kind", ["swept", "plain"])
def test_other_numbers_and_seeds_compile_nothing(kind):
    with counted_compiles() as events:
        jax.jit(lambda x: x + jnp.float32(0.123))(1.0)
    assert events  # they are counted at all
    run = program(kind)
    trained(kind)
    points = [{name: x / 2 for name, x in point.items()} for point in POINTS[kind]]
    lanes = sweep.make_lanes((1234, 5), points)
    with counted_compiles() as events:
        states = run.init(lanes)
        for epoch in range(3):
            states, _ = run.train(states, lanes, epoch)
            run.evaluate(states, lanes, "test")
    assert not events


# Donation


def test_the_given_states_are_used_up():
    run, lanes = program("plain"), sweep.make_lanes(SEEDS, POINTS["plain"])
    states, _ = run.train(run.init(lanes), lanes, 0)
    run.train(states, lanes, 1)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(states))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(lanes))


# A lane that diverges


@pytest.mark.parametrize("rate", [1e38, np.nan])
def test_a_lane_that_diverges_touches_no_other(rate):
    wild = [
        point | ({"learning_rate": rate} if index == 2 else {})
        for index, point in enumerate(POINTS["plain"])
    ]
    lanes = sweep.make_lanes(SEEDS, wild)
    found = train(program("plain"), lanes)
    assert not np.isfinite(found[1]["loss"][:, 2, -1]).any()
    for others in (np.s_[:, :2], np.s_[:, 3:]):
        assert_same_bits(  # of the same program
            jax.tree.map(lambda x, others=others: x[others], found),
            jax.tree.map(lambda x, others=others: x[others], trained("plain")),
        )
