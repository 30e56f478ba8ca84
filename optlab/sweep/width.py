"""How many lanes to run at a time: measured on this machine, within its memory.

Lanes that run together share a program's fixed costs and their seed's batches; lanes
whose intermediate values fall out of the cache run slower together than one after
another. Which of the two weighs more depends on net, batch and machine, so a few steps
of each candidate are timed before a sweep. Lanes that the memory cannot hold together
run in chunks.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Jaxpr, jaxprs_in_params

from optlab import sweep, training
from optlab.data import Split
from optlab.problems import Batch
from optlab.sweep import Lanes, Task
from optlab.sweep.lanes import MEMORY_SHARE, chunk_size, timed
from optlab.sweep.lanes import unblocked as unblocked_lanes
from optlab.sweep.parallel import LANE, Layout

#: A trial makes as many steps as touch so many bytes in all its lanes, within limits.
TRIAL_BYTES, TRIAL_STEPS = 2**35, (4, 128)

#: Of a seed; between one of them and all there is then a width worth its compile.
MANY_POINTS = 32


def measure(task: Task, lanes: Lanes, layout: Layout) -> dict[int, float]:
    """Times one lane, one seed's points and all lanes at a time, where they fit.

    Of many points, their square root is tried too.

    Args:
      task: what the lanes share.
      lanes: seeds and points.
      layout: the devices that the lanes are spread over.

    Returns:
      Width to seconds a lane and step. A single width is not timed: its time is NaN.
    """
    seeds, points = lanes.shape
    devices, (least, longest) = layout.mesh.shape[LANE], TRIAL_STEPS
    most = fitting(task, lanes, layout)
    tried = [1, min(most, points)]
    if points >= MANY_POINTS:
        tried.append(math.isqrt(tried[1]))
    widths = {chunk_size(points, devices, width) for width in tried}
    if seeds * points <= most:
        widths.add(seeds * points)
    lane_bytes = computed_bytes(_step(task, lanes))
    steps = {
        width: min(max(TRIAL_BYTES // (width * lane_bytes), least), longest)
        for width in sorted(widths)
    }
    seconds = timed(
        steps,
        lambda width: _trial(_shortened(task, steps[width]), lanes, layout, width),
    )
    return {width: spent / (width * steps[width]) for width, spent in seconds.items()}


def fitting(task: Task, lanes: Lanes, layout: Layout) -> int:
    """Most lanes at a time whose values the memory is sure to hold, at least one.

    Args:
      task: what the lanes share.
      lanes: their hyperparameters' names matter.
      layout: the devices that the lanes are spread over.

    Returns:
      Lanes that can run together, no more than :func:`unblocked` allows.
    """
    most = MEMORY_SHARE * layout.memory_bytes / computed_bytes(_step(task, lanes))
    return min(max(1, int(most)), unblocked(task, lanes, layout))


def unblocked(task: Task, lanes: Lanes, layout: Layout) -> int:
    """:func:`optlab.lanes.unblocked` of a task's step."""
    return unblocked_lanes(_step(task, lanes), math.prod(lanes.shape), layout)


def _shortened(task: Task, steps: int) -> Task:
    """The task on a few batches, whose epoch is a trial."""
    count = steps * task.batch_size
    # Resizing repeats the examples of a split that is shorter than a trial.
    few = Split(*(np.resize(x, (count, *x.shape[1:])) for x in task.dataset.train))
    dataset = task.dataset._replace(train=few, validation=few, test=few)
    return task._replace(dataset=dataset)


def _trial(task: Task, lanes: Lanes, layout: Layout, width: int) -> Callable[[], Any]:
    """Compiles so many of the lanes, and returns a function that trains an epoch."""
    seeds = max(1, width // lanes.shape[1])
    some = Lanes(
        lanes.seeds[:seeds],
        *jax.tree.map(
            lambda x: x[:seeds, :width], (lanes.numbers, lanes.hyperparameters)
        ),
    )
    program = sweep.compile_program(task, some, layout, width)
    states = [sweep.init_states(task, some)]  # donated: a run leaves the next one's

    def run():
        states[0], _ = jax.block_until_ready(program.train(states[0], some, 0))

    return run


def _step(task: Task, lanes: Lanes) -> Jaxpr:
    """The program of one training step of one lane."""
    tx = task.optimizer(dict.fromkeys(lanes.hyperparameters, 0.001))
    images = task.dataset.train.images.shape[1:]
    state = jax.eval_shape(
        lambda key: training.init(task.problem, tx, key), jax.random.key(0)
    )
    batch = Batch(
        jax.ShapeDtypeStruct((task.batch_size, *images), jnp.float32),
        jax.ShapeDtypeStruct((task.batch_size,), jnp.int32),
    )
    step = training.make_step(task.problem, tx)
    return jax.make_jaxpr(step)(state, batch, jax.random.key(0)).jaxpr


def computed_bytes(program: Jaxpr) -> int:
    """Bytes of all values that a program computes.

    Args:
      program: of inner programs, the largest counts.

    Returns:
      An upper bound of its working set: nothing is taken to be fused or reused.
    """
    total = 0
    for equation in program.eqns:
        inner = list(jaxprs_in_params(equation.params))
        if inner:
            total += max(map(computed_bytes, inner))
        if not inner or equation.primitive is lax.scan_p:  # which stacks results
            shapes: list[Any] = [result.aval for result in equation.outvars]
            total += sum(math.prod(x.shape) * x.dtype.itemsize for x in shapes)
    return total
