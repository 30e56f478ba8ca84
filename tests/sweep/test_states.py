"""Every device makes the states of its own lanes, the same ones as one device does."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

from optlab import models, optim, problems, sweep
from optlab.data import from_arrays
from optlab.sweep import Task, parallel, states

SEEDS = (0, 7, 8)

LAYOUTS = {
    name: parallel.Layout(
        "jit", Mesh(np.array(jax.devices()[:count]).reshape(shape), ("lane", "data"))
    )
    for name, count, shape in (
        ("one", 1, (1, 1)),
        ("lanes", 4, (4, 1)),
        ("lanes and batches", 8, (4, 2)),
        ("batches", 2, (1, 2)),
    )
}


OPTIMIZERS = {
    "adam": lambda point: optim.make("adam", **point),
    "bfgs": lambda point: optim.make("bfgs"),
    "keys": lambda point: optax.chain(
        optax.add_noise(point["learning_rate"], 0.5, jax.random.key(0)),
        optax.sgd(point["learning_rate"]),
    ),
}


def task_of(kind):
    pair = np.eye(6, 5, dtype=np.float32), np.arange(6) % 3
    toy = from_arrays("toy", train=pair, validation=pair, test=pair, classes=3)

    def problem(**options):
        net = models.make("mlp", classes=3, hidden=(7,), **options)
        return problems.classification(net, toy)

    if kind == "own nets":
        return Task(
            toy,
            2,
            lambda point: problem(initial_scale=point["scale"]),
            lambda _: optax.adam(0.1),
            ("scale",),
        )
    shared = problem()
    return Task(toy, 2, lambda _: shared, OPTIMIZERS[kind])


def lanes_of(kind):
    name = "scale" if kind == "own nets" else "learning_rate"
    return sweep.make_lanes(SEEDS, sweep.grid({name: np.geomspace(0.01, 1, 20)}))


def bits(leaf):
    return np.asarray(jax.random.key_data(leaf) if parallel.is_key(leaf) else leaf)


@pytest.mark.parametrize("kind", [*OPTIMIZERS, "own nets"])
@pytest.mark.parametrize("name", ["lanes", "lanes and batches", "batches"])
def test_devices_hold_their_own_lanes_with_the_bits_of_one_device(kind, name):
    task, lanes, layout = task_of(kind), lanes_of(kind), LAYOUTS[name]
    found = sweep.init_states(task, lanes, layout)
    expected = sweep.init_states(task, lanes, LAYOUTS["one"])
    by_lane = layout.sharding(None, "lane")
    share = len(SEEDS), 20 // layout.mesh.shape["lane"]
    for leaf, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert leaf.sharding.is_equivalent_to(by_lane, leaf.ndim)
        assert {each.data.shape[:2] for each in leaf.addressable_shards} == {share}
        np.testing.assert_array_equal(bits(leaf), bits(other))
    assert jax.tree.map(jnp.shape, found) == jax.tree.map(
        lambda x: x.shape, sweep.states_shape(task, lanes)
    )


@pytest.mark.parametrize("kind", [*OPTIMIZERS, "own nets"])
def test_no_program_of_a_start_has_an_array_of_all_lanes(kind, monkeypatch):
    """Of 3 x 20 lanes over four devices each sees arrays ``[3, 5, ...]``."""
    texts, run_once = [], states._run_once

    def recorded(*about):
        jitted = run_once(*about)

        def run(*arguments):
            texts.append(jitted.lower(*arguments).compile().as_text())
            return jitted(*arguments)

        return run

    monkeypatch.setattr(states, "_run_once", recorded)
    task, lanes = task_of(kind), lanes_of(kind)
    sweep.init_states(task, lanes, LAYOUTS["lanes"])
    assert not any(re.search(r"\[(3,)?20\b", text) for text in texts)
    assert "[3,5,5,7]" in texts[-1] or "[3,5,7,5]" in texts[-1]
    sweep.init_states(task, lanes, LAYOUTS["one"])
    assert re.search(r"\[(3,)?20\b", texts[-1])  # they would be seen
