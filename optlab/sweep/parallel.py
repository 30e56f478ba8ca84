"""Device mesh and sharding of lanes and batches: axes ``lane`` and ``data``, or pmap.

``jit`` with named shardings is the default: lanes are spread over devices first,
because they never communicate, and the remaining devices share each batch. ``data``
spreads each batch over all devices: for nets of which one fills a device. Under both
XLA computes what one device would, to rounding: statistics of batch normalization are
of the whole batch, dropout draws the same masks, and where a batch does not divide
evenly some devices get fewer examples. ``pmap`` is the classical data-parallel step:
every device holds all parameters and takes its equal share of the batch, and gradients
are averaged. There batch statistics are of a device's share, averaged once the step is
done, and every device draws the same dropout masks for its share.

On a CPU a device is a core's worth of lanes: lanes of different devices never wait for
each other, as the threads of one product do. A single lane uses all cores from one
device.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from optlab import machine
from optlab.errors import InputError
from optlab.sweep import compiler

#: Names of the mesh's axes.
LANE, DATA = "lane", "data"

#: Ways to spread a step over devices.
MODES = ("jit", "data", "pmap")


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

    def share(self, batch: Any) -> Any:
        """Cuts a batch, inside of a program, over the devices that share it."""
        if self.mode == "pmap" or self.mesh.size == 1:
            return batch
        return lax.with_sharding_constraint(batch, self.sharding(DATA))

    @property
    def compiler_options(self) -> dict[str, Any]:
        """XLA options for programs of these devices, beside its defaults."""
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        return compiler.known(compiler.WIDE_VECTORS) if on_cpu else {}

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

    The length of the ``lane`` axis is the greatest common divisor of the numbers of
    devices and points; the other devices share each batch, which need not divide
    evenly. CPU devices of one process share its threads: a batch is cut for them only
    in the modes that ask for it.

    Args:
      mode: one of ``MODES``; all but ``jit`` put every device on the ``data`` axis.
      points: number of hyperparameter points of a sweep.
      batch_size: examples of a batch.
      devices: devices to use; by default all that JAX sees, of all processes. A single
        lane on CPUs runs in every process alike, on the process's own devices.

    Returns:
      The layout.

    Raises:
      InputError: the mode is unknown, or ``pmap`` cannot cut a batch evenly.

    >>> str(layout("jit", points=7, batch_size=64, devices=jax.devices()[:1]))
    'jit over 1 x 1 devices (lane x data)'
    """
    if devices is None:
        devices = _own_or_all(points) if mode == "jit" else jax.devices()
    devices = list(devices)
    if mode not in MODES:
        raise InputError(f"parallel={mode!r}: choose from {', '.join(MODES)}")
    if mode == "pmap" and batch_size % len(devices):
        raise InputError(
            f"parallel='pmap': batch_size={batch_size} does not divide evenly over "
            f"{len(devices)} devices; choose a multiple of that number, or "
            "parallel='data'"
        )
    if mode == "jit":
        lanes, shares = mesh_shape(len(devices), points, share_host(devices))
    else:
        lanes, shares = 1, len(devices)
    chosen = np.array(devices[: lanes * shares]).reshape(lanes, shares)
    return Layout(mode, Mesh(chosen, (LANE, DATA)))


def mesh_shape(devices: int, points: int, one_host: bool) -> tuple[int, int]:
    """Computes the sizes of the mesh's axes.

    Args:
      devices: number of devices.
      points: number of hyperparameter points of a sweep.
      one_host: whether the devices share one host's threads.

    Returns:
      The sizes of the axes ``lane`` and ``data``.

    >>> mesh_shape(8, 12, one_host=False), mesh_shape(8, 12, one_host=True)
    ((4, 2), (4, 1))
    """
    lanes = math.gcd(devices, points)
    return lanes, 1 if one_host else devices // lanes


def _own_or_all(points: int) -> list[Any]:
    """Every device, but on CPUs those of this process for a single lane.

    To average a gradient over the network at every step would take longer than a step
    of a net that a CPU trains.
    """
    alone = points == 1 and jax.default_backend() == "cpu"
    return jax.local_devices() if alone else jax.devices()


def padded(points: int, mode: str = "jit") -> int:
    """Counts the lanes of a row so that every device of several processes has some.

    Args:
      points: number of hyperparameter points of a sweep.
      mode: one of ``MODES``.

    Returns:
      At least ``points``; beyond it the last one is repeated. In one process, and for
      one point, as many as there are points.

    >>> padded(7)
    7
    """
    if jax.process_count() == 1 or points == 1 or mode != "jit":
        return points
    devices = jax.device_count()
    if jax.default_backend() != "cpu":  # the devices of a lane share its batches
        devices = next(n for n in range(1, devices + 1) if _covers(devices, n, points))
    return -(-points // devices) * devices


def _covers(devices: int, lanes: int, points: int) -> bool:
    """Tells whether an axis of some lanes divides the devices and takes all points."""
    return devices % lanes == 0 and lanes >= min(points, devices)


def separate_devices() -> list[Any]:
    """Lists devices whose lanes have times of their own.

    Returns:
      Every accelerator; on CPUs, whose devices share a process's threads, the first
      device of each process.
    """
    if jax.default_backend() != "cpu":
        return jax.devices()
    return list({each.process_index: each for each in jax.devices()[::-1]}.values())[
        ::-1
    ]


def placed(tree: Any, sharding: NamedSharding) -> Any:
    """Lays arrays out over devices.

    They pass through the host, unless they have that layout: JAX would compile a
    program that slices them for each shape. Of several processes each cuts its shards
    from its own copy, without communication.

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
            if is_key(x):  # which is no array to NumPy
                return jax.random.wrap_key_data(place(jax.random.key_data(x)))
            x = jax.device_get(x)
        if isinstance(x, jax.Array) or sharding.is_fully_addressable:
            return jax.device_put(x, sharding)
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, sharding, x.__getitem__)

    return jax.tree.map(place, tree)


def gathered(tree: Any) -> Any:
    """Gathers arrays whose shards other processes hold, one array after another.

    Args:
      tree: arrays, laid out alike in all processes.

    Returns:
      The tree; arrays that this process holds wholly are returned as they are.
    """

    def gather(x):
        if not isinstance(x, jax.Array) or x.is_fully_addressable:
            return x
        if is_key(x):
            return jax.random.wrap_key_data(gather(jax.random.key_data(x)))
        return multihost_utils.process_allgather(x, tiled=True)

    return jax.tree.map(gather, tree)


def is_key(leaf: Any) -> bool:
    """Tells whether a leaf is an array of typed PRNG keys."""
    return jnp.issubdtype(getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key)


def broadcast(tree: Any) -> Any:
    """Sends process 0's arrays to all processes.

    Args:
      tree: arrays; in other processes abstract shapes will do.

    Returns:
      The arrays of process 0, on the host; typed keys as typed keys.
    """

    def send(x):
        if is_key(x):
            raw = jax.eval_shape(jax.random.key_data, x)
            data = jax.random.key_data(x) if jax.process_index() == 0 else raw
            return jax.random.wrap_key_data(send(data))
        here = jax.process_index() == 0
        sent = np.asarray(x) if here else np.zeros(x.shape, x.dtype)
        # As bytes: without x64 JAX would round some.
        received = multihost_utils.broadcast_one_to_all(
            np.frombuffer(sent.tobytes(), np.uint8)
        )
        return (
            np.frombuffer(np.asarray(received, np.uint8), sent.dtype)
            .reshape(sent.shape)
            .copy()
        )

    return tree if jax.process_count() == 1 else jax.tree.map(send, tree)


def agreed(numbers: Sequence[float]) -> list[float]:
    """Broadcasts process 0's numbers so that all processes agree.

    Args:
      numbers: measurements of this process, as many in every process.

    Returns:
      The numbers of process 0.
    """
    return broadcast(np.array(numbers, np.float64)).tolist()


def dealt(tasks: Sequence[Callable[[], Any]]) -> Iterator[Any]:
    """Runs each task in one of the processes, and sends all of them its result.

    Args:
      tasks: functions without arguments, alike in all processes. A result is a
        dictionary of arrays, numbers, texts, and lists or dictionaries of them.

    Yields:
      The results in the order of the tasks. One process alone runs each task when its
      result is asked for; of several each runs its own tasks first.

    >>> list(dealt([lambda: {"x": 1}, lambda: {"x": 2}]))
    [{'x': 1}, {'x': 2}]
    """
    rank, count = jax.process_index(), jax.process_count()
    if count == 1:
        yield from (task() for task in tasks)
        return
    own = {
        i: serialization.msgpack_serialize(tasks[i]())
        for i in range(rank, len(tasks), count)
    }
    for i in range(len(tasks)):
        here, result = i % count == rank, own.get(i, b"")
        size = multihost_utils.broadcast_one_to_all(np.array(len(result)), here)
        sent = np.frombuffer(result.ljust(int(size), b"\0"), np.uint8)
        found = multihost_utils.broadcast_one_to_all(sent, here)
        yield serialization.msgpack_restore(np.asarray(found, np.uint8).tobytes())


def share_host(devices: Sequence[Any]) -> bool:
    """Tells whether devices are parts of one CPU, with one pool of threads.

    Args:
      devices: devices of one kind, as ``jax.devices()`` gives them.
    """
    processes = {device.process_index for device in devices}
    return devices[0].platform == "cpu" and len(processes) == 1
