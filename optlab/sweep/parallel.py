"""Device mesh and sharding of lanes and batches: axes ``lane`` and ``data``, or pmap.

``jit`` with named shardings is the default: lanes are spread over devices first,
because they never communicate, and the remaining devices share each batch. ``pmap`` is
the classical data-parallel step: every device holds all parameters and takes its share
of the batch, and gradients are averaged.

On a CPU a device is a core's worth of lanes: lanes of different devices never wait for
each other, as the threads of one product do. A single lane uses all cores from one
device.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from optlab import machine
from optlab.errors import InputError

#: Names of the mesh's axes.
LANE, DATA = "lane", "data"

#: Ways to spread a step over devices.
MODES = ("jit", "pmap")


class Layout(NamedTuple):
    """Device mesh, and the mode in which it shares the work."""

    mode: str  # one of MODES
    mesh: Mesh  # axes (lane, data)

    @property
    def axis_name(self) -> str | None:
        """Mapped axis that a step averages over under pmap; None under jit."""
        return DATA if self.mode == "pmap" else None

    def sharding(self, *axes: str | None) -> NamedSharding:
        """Shards an array's leading axes along the named mesh axes."""
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    @property
    def compiler_options(self) -> dict[str, Any]:
        """XLA options for programs of these devices, beside its defaults."""
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        # XLA halves the vectors of processors with 512 bits, for old ones' clocks.
        return {"xla_cpu_prefer_vector_width": 512} if on_cpu else {}

    @property
    def memory_bytes(self) -> int:
        """Memory of all devices; CPU devices share their host's."""
        device = self.mesh.local_devices[0]  # other processes' devices are not visible
        memory = machine.memory_bytes(device)
        memory *= 1 if device.platform == "cpu" else self.mesh.size
        return int(agreed([memory])[0])

    def __str__(self) -> str:
        lanes, shares = self.mesh.devices.shape
        return f"{self.mode} over {lanes} x {shares} devices (lane x data)"


def layout(
    mode: str,
    points: int,
    batch_size: int,
    devices: Sequence[Any] | None = None,
) -> Layout:
    """Chooses a mesh that divides the work evenly.

    The ``lane`` axis gets as many devices as divide both their number and the
    points of a sweep; of the rest, ``data`` gets as many as divide the batch. A device
    that neither axis can use stays idle. CPU devices of one process share its threads:
    a batch is not cut for them.

    Args:
      mode: ``jit`` or ``pmap``; the latter puts every device on the ``data`` axis.
      points: number of hyperparameter points of a sweep.
      batch_size: examples of a batch.
      devices: devices to use; by default all that JAX sees.

    Returns:
      The layout.

    Raises:
      InputError: the mode is unknown, or ``pmap`` cannot cut a batch evenly.

    >>> str(layout("jit", points=7, batch_size=64, devices=jax.devices()[:1]))
    'jit over 1 x 1 devices (lane x data)'
    """
    devices = list(jax.devices() if devices is None else devices)
    if mode not in MODES:
        raise InputError(f"parallel={mode!r}: choose from {', '.join(MODES)}")
    if mode == "pmap":
        if batch_size % len(devices):
            raise InputError(
                f"parallel='pmap': batch_size={batch_size} does not divide evenly over "
                f"{len(devices)} devices; choose a multiple of that number"
            )
        lanes, shares = 1, len(devices)
    else:
        lanes, shares = mesh_shape(
            len(devices), points, batch_size, share_host(devices)
        )
    chosen = np.array(devices[: lanes * shares]).reshape(lanes, shares)
    return Layout(mode, Mesh(chosen, (LANE, DATA)))


def mesh_shape(
    devices: int, points: int, batch: int, one_host: bool
) -> tuple[int, int]:
    """Computes the sizes of the mesh's axes.

    Args:
      devices: number of devices.
      points: number of hyperparameter points of a sweep.
      batch: examples of a batch.
      one_host: whether the devices share one host's threads.

    Returns:
      The sizes of the axes ``lane`` and ``data``.

    >>> mesh_shape(8, 12, 64, one_host=False), mesh_shape(8, 12, 64, one_host=True)
    ((4, 2), (4, 1))
    """
    lanes = math.gcd(devices, points)
    return lanes, 1 if one_host else math.gcd(devices // lanes, batch)


def placed(tree: Any, sharding: NamedSharding) -> Any:
    """Lays arrays out over devices.

    They pass through the host, unless they have that layout: JAX would compile a
    program that slices them for each shape.

    Args:
      tree: arrays, on one device or laid out already.
      sharding: layout of their leading axes.

    Returns:
      The arrays with that layout.
    """

    def place(x):
        if isinstance(x, jax.Array) and not x.sharding.is_equivalent_to(
            sharding, x.ndim
        ):
            x = jax.device_get(x)
        return jax.device_put(x, sharding)

    return jax.tree.map(place, tree)


def agreed(numbers: Sequence[float]) -> list[float]:
    """Broadcasts process 0's numbers so that all processes agree.

    Args:
      numbers: measurements of this process, as many in every process.

    Returns:
      The numbers of process 0.
    """
    if jax.process_count() == 1:
        return list(numbers)
    # As bytes: without x64 JAX would round them.
    sent = np.array(numbers, np.float64).view(np.uint8)
    received = multihost_utils.broadcast_one_to_all(sent)
    return np.asarray(received, np.uint8).view(np.float64).tolist()


def share_host(devices: Sequence[Any]) -> bool:
    """Tells whether devices are parts of one CPU, with one pool of threads.

    Args:
      devices: devices of one kind, as ``jax.devices()`` gives them.
    """
    processes = {device.process_index for device in devices}
    return devices[0].platform == "cpu" and len(processes) == 1
