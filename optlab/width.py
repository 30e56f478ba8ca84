"""How many lanes to run at a time: as many as the fast memory holds.

Lanes that run together share a program's fixed costs and their seed's batches; lanes
whose intermediate values fall out of the cache (or out of the memory) run slower
together than one after another. What a lane's step touches is read off its jaxpr,
which costs a trace and no compile.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from optlab import training
from optlab.parallel import Layout
from optlab.problems import Batch
from optlab.sweep import Lanes, Task

#: Bytes a step of all lanes at a time may touch on a CPU, where more falls out of the
#: caches. Measured on 2 cores: small CNN lanes are 2.2x faster at 90 MiB than at 280,
#: MLP lanes 1.8x faster at 126 MiB than at 31, large CNN lanes (440 MiB each) fastest
#: alone.
CPU_BYTES = 128 * 2**20

#: On an accelerator, the share of its memory.
ACCELERATOR_SHARE = 0.5


def choose_width(task: Task, lanes: Lanes, layout: Layout) -> int:
    """The widest of all lanes, one seed's points and one lane that fits.

    Args:
      task: what the lanes share.
      lanes: seeds and points.
      layout: the devices that the lanes are spread over.

    Returns:
      Lanes to run at a time.
    """
    device = layout.mesh.devices.flat[0]
    if device.platform == "cpu":
        budget = CPU_BYTES
    else:
        memory = (device.memory_stats() or {}).get("bytes_limit", 8 * 2**30)
        budget = ACCELERATOR_SHARE * memory * layout.mesh.size
    seeds, points = lanes.shape
    lane_bytes = step_bytes(task, dict.fromkeys(lanes.hyperparameters, 0.001))
    widths = (seeds * points, points)
    return next((width for width in widths if width * lane_bytes <= budget), 1)


def step_bytes(task: Task, point: dict[str, float]) -> int:
    """Bytes of all values that one training step of one lane computes.

    Args:
      task: problem, optimizer, batch.
      point: some hyperparameters; their numbers do not matter.

    Returns:
      An upper bound of its working set: nothing is taken to be fused or reused.
    """
    tx = task.optimizer(point)
    images = task.dataset.train.images.shape[1:]
    state = jax.eval_shape(
        lambda key: training.init(task.problem, tx, key), jax.random.key(0)
    )
    batch = Batch(
        jax.ShapeDtypeStruct((task.batch_size, *images), jnp.float32),
        jax.ShapeDtypeStruct((task.batch_size,), jnp.int32),
    )
    step = training.make_step(task.problem, tx)
    return _computed_bytes(jax.make_jaxpr(step)(state, batch, jax.random.key(0)).jaxpr)


def _computed_bytes(jaxpr: Any) -> int:
    """Bytes of every equation's results; of inner programs, the largest counts."""
    total = 0
    for equation in jaxpr.eqns:
        inner = [
            getattr(value, "jaxpr", value)
            for parameter in equation.params.values()
            for value in (parameter if isinstance(parameter, tuple) else (parameter,))
            if hasattr(value, "jaxpr") or hasattr(value, "eqns")
        ]
        if inner:
            total += max(_computed_bytes(program) for program in inner)
        else:
            total += sum(
                math.prod(result.aval.shape) * result.aval.dtype.itemsize
                for result in equation.outvars
            )
    return total
