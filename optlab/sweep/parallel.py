"""Where lanes and batches lie: a mesh with the axes ``lane`` and ``data``, or pmap.

``jit`` with named shardings is the default: lanes are spread over devices first, for
they never talk to each other, and what devices remain each take a part of the batch.
``pmap`` is the classical data-parallel step: every device holds all parameters and
takes its share of the batch, and gradients are averaged.

On a CPU a device is a core's worth of lanes: those of several devices never wait for
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

from optlab.errors import InputError
from optlab import machine

#: Names of the mesh's axes.
LANE, DATA = "lane", "data"

#: The ways that a step can be spread over devices.
MODES = ("jit", "pmap")


class Layout(NamedTuple):
    """Devices and how they share the work."""

    mode: str  # one of MODES
    mesh: Mesh  # axes (lane, data)

    @property
    def axis_name(self) -> str | None:
        """The mapped axis that a step averages over; None where jit sees to it."""
        return DATA if self.mode == "pmap" else None

    def sharding(self, *axes: str | None) -> NamedSharding:
        """Lays an array's leading axes along the named mesh axes."""
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    @property
    def compiler_options(self) -> dict[str, Any]:
        """What programs for these devices are compiled with, beside XLA's defaults."""
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        # XLA halves the vectors of processors with 512 bits, for old ones' clocks.
        return {"xla_cpu_prefer_vector_width": 512} if on_cpu else {}

    @property
    def memory_bytes(self) -> int:
        """Of all devices; CPU devices share their host's."""
        device = self.mesh.local_devices[0]  # no process sees another's
        memory = machine.memory_bytes(device)
        memory *= 1 if device.platform == "cpu" else self.mesh.size
        return int(agreed([memory])[0])

    def __str__(self) -> str:
        lanes, shares = self.mesh.devices.shape
        return f"{self.mode} over {lanes} x {shares} devices (lane x data)"


def layout(
    mode: str,
    points: int,
    batch_sizes: Sequence[int],
    devices: Sequence[Any] | None = None,
) -> Layout:
    """Chooses a mesh that divides the work evenly.

    The ``lane`` axis gets as many devices as divide both their number and the
    points of a sweep; of the rest, ``data`` gets as many as divide every batch. A
    device that neither axis can use stays idle. CPU devices of one process share its
    threads: a batch is not cut for them.

    Args:
      mode: ``jit`` or ``pmap``; the latter puts every device on the ``data`` axis.
      points: hyperparameter points of a sweep.
      batch_sizes: examples in a batch, for each of the programs to be laid out.
      devices: by default all that JAX sees.

    Returns:
      The layout.

    Raises:
      InputError: the mode is unknown, or ``pmap`` cannot cut a batch evenly.

    >>> str(layout("jit", points=7, batch_sizes=[64], devices=jax.devices()[:1]))
    'jit over 1 x 1 devices (lane x data)'
    """
    devices = list(jax.devices() if devices is None else devices)
    if mode not in MODES:
        raise InputError(f"--parallel={mode}: choose from {', '.join(MODES)}")
    batch = math.gcd(*batch_sizes)
    if mode == "pmap":
        if batch % len(devices):
            raise InputError(
                f"--parallel=pmap: batches of {tuple(batch_sizes)} do not divide "
                f"evenly over {len(devices)} devices; choose multiples of that number"
            )
        lanes, shares = 1, len(devices)
    else:
        lanes, shares = mesh_shape(len(devices), points, batch, share_host(devices))
    chosen = np.array(devices[: lanes * shares]).reshape(lanes, shares)
    return Layout(mode, Mesh(chosen, (LANE, DATA)))


def mesh_shape(
    devices: int, points: int, batch: int, one_host: bool
) -> tuple[int, int]:
    """How many devices take lanes, and into how many shares a batch is cut.

    Args:
      devices: that there are.
      points: hyperparameter points of a sweep.
      batch: a number that divides every batch.
      one_host: whether the devices share one host's threads.

    Returns:
      The sizes of the axes ``lane`` and ``data``.

    >>> mesh_shape(8, 12, 64, one_host=False), mesh_shape(8, 12, 64, one_host=True)
    ((4, 2), (4, 1))
    """
    lanes = math.gcd(devices, points)
    return lanes, 1 if one_host else math.gcd(devices // lanes, batch)


def agreed(numbers: Sequence[float]) -> list[float]:
    """What the first process measured, in all of them: they must choose alike.

    Args:
      numbers: as many in every process.

    Returns:
      Those of process 0.
    """
    if jax.process_count() == 1:
        return list(numbers)
    # As bytes: without x64 JAX would round them.
    sent = np.array(numbers, np.float64).view(np.uint8)
    received = multihost_utils.broadcast_one_to_all(sent)
    return np.asarray(received, np.uint8).view(np.float64).tolist()


def share_host(devices: Sequence[Any]) -> bool:
    """Whether some devices are parts of one CPU, with one pool of threads.

    Args:
      devices: of one kind, as ``jax.devices()`` gives them.
    """
    processes = {device.process_index for device in devices}
    return devices[0].platform == "cpu" and len(processes) == 1
