"""Trials: a few steps of a task's lanes, timed at each width that is worth it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr

from optlab import training
from optlab.sweep import width as widths
from optlab.sweep.parallel import Layout
from optlab.sweep.program import lower
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


def measure_widths(task: Task, lanes: Lanes, layout: Layout) -> dict[int, float]:
    """Times a few steps of the lanes at each width that is worth a trial.

    Args:
      task: recipe of all lanes.
      lanes: seeds and points.
      layout: device mesh that the lanes are spread over.

    Returns:
      Width to seconds of one step of one lane; see `width.measure`.
    """

    def trial(width, steps):
        rows = max(1, width // lanes.shape[1])
        some = Lanes(
            lanes.seeds[:rows],
            *jax.tree.map(
                lambda x: x[:rows, :width], (lanes.indices, lanes.hyperparameters)
            ),
        )
        short = _shortened(task, steps)
        lowered = lower(short, some, layout, width)
        states = [lowered.init(some)]  # donated: a run leaves the next one's

        def compiled():
            program = lowered.compile()

            def run():
                states[0], _ = jax.block_until_ready(program.train(states[0], some, 0))

            return run

        return widths.Trial(compiled, width * steps)

    return widths.measure(step_of(task, lanes), lanes.shape, layout, trial)


def _shortened(task: Task, steps: int) -> Task:
    """The task on a few batches, whose epoch is a trial."""
    count = steps * task.batch_size
    # Resizing repeats the examples of a split that is shorter than a trial.
    few = jax.tree.map(
        lambda x: np.resize(np.asarray(x), (count, *x.shape[1:])), task.dataset.train
    )
    dataset = dataclasses.replace(task.dataset, train=few, validation=few, test=few)
    return task._replace(dataset=dataset)
