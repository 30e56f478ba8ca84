"""Trials: a few steps of a task's lanes, timed at each width that is worth it."""

import dataclasses
import functools
from collections.abc import Callable
from concurrent.futures import Future

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr

from optlab import training
from optlab.sweep import width as widths
from optlab.sweep.parallel import Layout
from optlab.sweep.program import Lowered, lower
from optlab.sweep.task import Lanes, Task


def step_of(task: Task, lanes: Lanes) -> Jaxpr:
    """Traces one training step of one lane.

    Args:
      task: recipe of all lanes.
      lanes: seeds and points; the first one is traced.

    Returns:
      The step's program.
    """

    def step(point, split, indices, key):
        problem, tx = task.problem(point), task.optimizer(point)
        state = training.init(problem, tx, key)
        batch = training.gather(problem, split, indices, jax.random.split(key, size))
        return training.make_step(problem, tx)(state, batch, key)

    size = task.batch_size
    point = jax.tree.map(lambda x: x[0, 0], lanes.hyperparameters)
    indices = jax.ShapeDtypeStruct((size,), jnp.int32)
    return jax.make_jaxpr(step)(
        point, task.dataset.train, indices, jax.random.key(0)
    ).jaxpr


def measure_widths(
    task: Task,
    lanes: Lanes,
    layout: Layout,
    program: Callable[[int], Lowered] | None = None,
    beside: Callable[[], Future | None] = lambda: None,
) -> dict[int, float]:
    """Times a few steps of the lanes at each width that is worth a trial.

    Where an epoch is short, the trial is an epoch of all lanes by the program that is
    to train them: who chooses its width has it compiled.

    Args:
      task: recipe of all lanes.
      lanes: seeds and points.
      layout: device mesh that the lanes are spread over.
      program: function from a width to the program of all lanes; by default `lower`.
      beside: starts what else is to be compiled; see `width.measure`.

    Returns:
      Width to seconds of one step of one lane; see `width.measure`.
    """
    step, steps = step_of(task, lanes), task.steps_per_epoch
    count = lanes.shape[0] * lanes.shape[1]
    program = program or functools.partial(lower, task, lanes, layout)

    def whole(width, _):
        return _trial(program(width), lanes, steps)

    def part(width, steps):
        some = _first(lanes, width)
        lowered = lower(_shortened(task, steps), some, layout, width)
        return _trial(lowered, some, steps)

    short = widths.computed_bytes(step) * steps * count <= widths.EPOCH_BYTES
    return widths.measure(step, lanes.shape, layout, whole if short else part, beside)


def _trial(lowered: Lowered, lanes: Lanes, steps: int) -> widths.Trial:
    """An epoch of some lanes; each run goes on from the states of the one before."""
    states = [lowered.init(lanes)]  # donated

    def compiled():
        program = lowered.compile()

        def run():
            states[0], _ = jax.block_until_ready(program.train(states[0], lanes, 0))

        return run

    return widths.Trial(compiled, steps * lanes.shape[0] * lanes.shape[1])


def _first(lanes: Lanes, width: int) -> Lanes:
    """As many of the lanes as run at a time."""
    rows = max(1, width // lanes.shape[1])
    return Lanes(
        lanes.seeds[:rows],
        *jax.tree.map(
            lambda x: x[:rows, :width], (lanes.indices, lanes.hyperparameters)
        ),
    )


def _shortened(task: Task, steps: int) -> Task:
    """The task on a few batches, whose epoch is a trial."""
    count = steps * task.batch_size
    # Resizing repeats the examples of a split that is shorter than a trial.
    few = jax.tree.map(
        lambda x: np.resize(np.asarray(x), (count, *x.shape[1:])), task.dataset.train
    )
    dataset = dataclasses.replace(task.dataset, train=few, validation=few, test=few)
    return task._replace(dataset=dataset)
