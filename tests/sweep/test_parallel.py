"""Over devices: the layout that is chosen; pmap gives the result of one device.

Eight forced CPU devices (see conftest.py) stand in for eight accelerators. That jit
over a mesh changes no lane is in test_program.py.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from optlab import data, models, optim, problems, sweep
from optlab.data import augment
from optlab.errors import InputError
from optlab.sweep import Task, parallel


def test_the_tests_run_on_eight_devices():
    assert len(jax.devices()) == 8


# The choice


@pytest.mark.parametrize(
    ("points", "lanes_by_data"),
    [
        (8, (8, 1)),  # lanes never communicate: they come first
        (24, (8, 1)),
        (4, (4, 2)),
        (6, (2, 4)),
        (7, (1, 8)),
        (1, (1, 8)),
    ],
)
def test_accelerators_get_lanes_first(points, lanes_by_data):
    assert parallel.mesh_shape(8, points, one_host=False) == lanes_by_data


@pytest.mark.parametrize(("points", "lanes"), [(24, 8), (6, 2), (7, 1), (1, 1)])
def test_cores_of_one_host_get_lanes_only(points, lanes):
    layout = parallel.layout("jit", points, 64)
    assert layout.mesh.devices.shape == (lanes, 1)
    assert layout.mesh.axis_names == ("lane", "data")
    assert layout.axis_name is None
    assert str(layout) == f"jit over {lanes} x 1 devices (lane x data)"


def test_only_cpu_devices_of_one_process_share_a_host():
    class Device(NamedTuple):
        platform: str
        process_index: int

    assert parallel.share_host([Device("cpu", 1), Device("cpu", 1)])
    assert not parallel.share_host([Device("cpu", 0), Device("cpu", 1)])
    assert not parallel.share_host([Device("gpu", 0), Device("gpu", 0)])


@pytest.mark.parametrize(("mode", "axis"), [("pmap", "data"), ("data", None)])
def test_data_parallel_modes_spread_batches_only(mode, axis):
    layout = parallel.layout(mode, 8, 64)
    assert layout.mesh.devices.shape == (1, 8)
    assert layout.axis_name == axis


@pytest.mark.parametrize(
    ("mode", "batch_size", "message"),
    [
        ("pmap", 12, r"batch_size=12 does not divide evenly over 8 devices"),
        ("pmap", 4, r"batch_size=4 does not divide evenly"),
        ("xmap", 64, "parallel='xmap': choose from jit, data, pmap"),
    ],
)
def test_a_layout_that_does_not_fit_is_one_line(mode, batch_size, message):
    with pytest.raises(InputError, match=message):
        parallel.layout(mode, 1, batch_size)


def test_arrays_are_sharded_along_the_named_axes():
    mesh = Mesh(np.array(jax.devices()).reshape(4, 2), (parallel.LANE, parallel.DATA))
    layout = parallel.Layout("jit", mesh)
    array = jax.device_put(np.zeros((3, 4, 6)), layout.sharding(None, "lane", "data"))
    assert array.addressable_shards[0].data.shape == (3, 1, 3)
    assert layout.sharding().is_fully_replicated


def test_processes_agree_on_the_numbers_of_the_first(monkeypatch):
    """They are sent as bytes: float32 would round them."""
    assert parallel.agreed([0.1, 2.0]) == [0.1, 2.0]
    first = np.array([1 / 3, 1e-300]).view(np.uint8)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost_utils, "broadcast_one_to_all", lambda sent: first)
    assert parallel.agreed([0.1, 2.0]) == [1 / 3, 1e-300]


# Copies of a point, and arrays, of several processes


@pytest.mark.parametrize(
    ("platform", "devices", "counts"),
    [
        # Every device of a CPU has lanes; but a single lane runs in each process.
        ("cpu", 4, {1: 1, 2: 4, 4: 4, 5: 8, 8: 8}),
        # Few lanes of accelerators share out all devices evenly.
        ("gpu", 64, {1: 1, 2: 2, 7: 8, 33: 64, 64: 64, 65: 128}),
        ("gpu", 6, {4: 6, 5: 6, 7: 12}),
    ],
)
def test_no_device_of_several_processes_is_left_without_lanes(
    monkeypatch, platform, devices, counts
):
    assert all(parallel.padded(points) == points for points in counts)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    assert {points: parallel.padded(points) for points in counts} == counts
    assert parallel.padded(3, "data") == 3


# The result of data-parallel runs


def trained(mode, devices, points=2, batch_size=16, **options):
    """Parameters, metrics and evaluation after two epochs, with noise on the inputs."""
    digits = data.load("digits", examples=80)
    net = models.make("mlp", classes=10, hidden=(8,), activation="tanh", **options)
    noise = augment.make({"noise": {"std": 0.5}})
    this = problems.classification(net, digits, augment=noise)
    task = Task(
        digits, batch_size, lambda _: this, lambda p: optim.make("momentum", **p)
    )
    lanes = sweep.make_lanes((3,), sweep.grid({"learning_rate": (0.01, 0.1)[:points]}))
    layout = parallel.layout(mode, points, batch_size, jax.devices()[:devices])
    run = sweep.compile_program(task, lanes, layout, width=2)
    states, metrics = run.init(lanes), []
    for epoch in range(2):
        states, of_epoch = run.train(states, lanes, epoch)
        metrics.append(of_epoch)
    found = states.params, states.model_state, metrics
    return jax.device_get((*found, run.evaluate(states, lanes, "test")))


close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)


def test_pmap_agrees_with_one_device():
    """Also in its augmentation: every example has a key of its own on any device."""
    jax.tree.map(close, trained("pmap", 2), trained("jit", 1))


def test_a_batch_over_all_devices_agrees_with_one_device():
    """Batch normalization is over the whole batch, dropout masks are the same.

    Of 25 examples six devices get four, one gets one and the last gets none.
    """
    options = {"normalization": "batch", "dropout": 0.3}
    found = trained("data", 8, 1, 25, **options)
    jax.tree.map(close, found, trained("jit", 1, 1, 25, **options))
