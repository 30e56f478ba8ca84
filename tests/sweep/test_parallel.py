"""Over devices: which layout is chosen, and that none changes the result.

Eight forced CPU devices (see conftest.py) stand in for eight accelerators.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from optlab import data, models, optim, problems, sweep
from optlab.errors import InputError
from optlab.sweep import Task, parallel

#: Over devices a batch's mean is added in another order. After 2 epochs the
#: parameters of a small CNN, of size 1, agree to this.
TOLERANCE = {"rtol": 1e-3, "atol": 1e-4}


def test_the_tests_run_on_eight_devices():
    assert len(jax.devices()) == 8


def meshed(mode, lanes, shares):
    """A layout over forced CPU devices as if each had a processor of its own."""
    devices = np.array(jax.devices()[: lanes * shares]).reshape(lanes, shares)
    return parallel.Layout(mode, Mesh(devices, (parallel.LANE, parallel.DATA)))


# The choice


@pytest.mark.parametrize(
    ("points", "batch", "lanes_by_data"),
    [
        (8, 64, (8, 1)),  # lanes never talk to each other: they come first
        (24, 64, (8, 1)),
        (4, 64, (4, 2)),
        (6, 64, (2, 4)),
        (7, 64, (1, 8)),
        (1, 64, (1, 8)),
        (1, 4, (1, 4)),
        (7, 25, (1, 1)),  # what neither axis can use stays idle
        (2, 3, (2, 1)),
    ],
)
def test_accelerators_get_lanes_first(points, batch, lanes_by_data):
    assert parallel.mesh_shape(8, points, batch, one_host=False) == lanes_by_data


@pytest.mark.parametrize(("points", "lanes"), [(24, 8), (6, 2), (7, 1), (1, 1)])
def test_cores_of_one_host_get_lanes_only(points, lanes):
    layout = parallel.layout("jit", points, [64, 512])
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


def test_pmap_spreads_batches_only():
    layout = parallel.layout("pmap", 8, [64, 512])
    assert layout.mesh.devices.shape == (1, 8)
    assert layout.axis_name == "data"


@pytest.mark.parametrize(
    ("mode", "batch_sizes", "message"),
    [
        (
            "pmap",
            [64, 12],
            r"batches of \(64, 12\) do not divide evenly over 8 devices",
        ),
        ("pmap", [4], r"batches of \(4,\) do not divide evenly"),
        ("xmap", [64], "--parallel=xmap: choose from jit, pmap"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(mode, batch_sizes, message):
    with pytest.raises(InputError, match=message):
        parallel.layout(mode, 1, batch_sizes)


def test_arrays_lie_along_the_named_axes():
    layout = meshed("jit", 4, 2)
    array = jax.device_put(np.zeros((3, 4, 6)), layout.sharding(None, "lane", "data"))
    assert array.addressable_shards[0].data.shape == (3, 1, 3)


# The result


AUGMENTED = ("crop", "flip")


@functools.cache
def task(augmentations, dropout):
    digits = data.load("digits", examples=80)  # 72 to train on
    module = models.make("cnn", classes=10, features=(4,), dense=8, dropout=dropout)
    problem = problems.classification(module, (8, 8, 1))
    return Task(
        problem, lambda p: optim.make("momentum", **p), digits, 16, augmentations
    )


LANES = sweep.make_lanes((3, 4), sweep.grid({"learning_rate": (0.01, 0.03, 0.1, 0.2)}))


@functools.cache
def trained(mode, devices, augmentations=(), dropout=0.0, points=4, width=4):
    """Parameters, metrics and evaluation after 2 epochs of the first some points."""
    shape = parallel.mesh_shape(devices, points, 16, one_host=False)
    layout = meshed(mode, *(shape if mode == "jit" else (1, devices)))
    lanes = jax.tree.map(lambda x: x[:, :points] if x.ndim == 2 else x, LANES)
    this = task(augmentations, dropout)
    run = sweep.compile_program(this, lanes, layout, width)
    states, metrics = sweep.init_states(this, lanes), []
    for epoch in range(2):
        states, of_epoch = run.train(states, lanes, epoch)
        metrics.append(of_epoch)
    return jax.device_get((states.params, metrics, run.evaluate(states, "test")))


def assert_agrees(found, one_device):
    points = found[2].loss.shape[1]
    expected = jax.tree.map(lambda x: x[:, :points], one_device)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, **TOLERANCE), found, expected
    )


@pytest.mark.parametrize(("points", "width"), [(4, 8), (1, 1)], ids=["4x2", "1x8"])
def test_jit_over_a_mesh_agrees_with_one_device(points, width):
    """Dropout and augmentation too: every example has its own draws, wherever it is."""
    found = trained("jit", 8, AUGMENTED, 0.25, points, width)
    assert_agrees(found, trained("jit", 1, AUGMENTED, 0.25))


def test_lanes_over_devices_run_in_chunks():
    """8 lanes by 4 at a time, one on each pair of devices."""
    assert_agrees(trained("jit", 8), trained("jit", 1))


@pytest.mark.parametrize("augmentations", [(), AUGMENTED], ids=["plain", "augmented"])
def test_pmap_agrees_with_one_device(augmentations):
    found = trained("pmap", 8, augmentations)
    assert_agrees(found, trained("jit", 1, augmentations))


def test_what_is_compared_would_show_a_difference():
    plain, augmented = trained("jit", 1), trained("jit", 1, AUGMENTED)
    assert np.abs(plain[1][0].loss - augmented[1][0].loss).max() > 0.01
