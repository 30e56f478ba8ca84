"""Random images, and sweeps on them compiled as a comparison compiles them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.benchmarks.peers import Classifier
from optlab import data, optim, problems, sweep
from optlab.errors import InputError
from optlab.sweep import Lanes, Program, Task, parallel, width

#: Number of classes of every set.
CLASSES = 10


class Compiled(NamedTuple):
    """A program and the lanes that it was compiled for."""

    task: Task
    lanes: Lanes
    program: Program

    def fresh_epoch(self) -> None:
        """Trains all lanes for one epoch from fresh states."""
        states = self.program.init(self.lanes)
        jax.block_until_ready(self.program.train(states, self.lanes, 0))

    def later_epochs(self) -> Callable[[], None]:
        """Makes a call that trains all lanes for one more epoch."""
        states = [self.program.init(self.lanes)]  # donated each time

        def run():
            states[0], _ = jax.block_until_ready(
                self.program.train(states[0], self.lanes, 0)
            )

        return run


def make_task(module: Any, examples: int, shape: Any, batch_size: int) -> Task:
    """Makes the task of training a net with Adam on random images.

    The time of a step does not depend on the meaning of bytes and labels. The net has
    ``CLASSES`` outputs, ``shape`` is height, width and channels of an image, and points
    hold a learning rate.

    Raises:
      InputError: the examples do not fill one batch.
    """
    if examples < batch_size:
        raise InputError(
            f"examples={examples} do not fill a batch of {batch_size}: give more"
        )
    random = np.random.default_rng(0)
    train, validation, test = (
        (
            random.integers(0, 256, (count, *shape), np.uint8),
            random.integers(0, CLASSES, count, np.int32),
        )
        for count in (examples, 1, 1)  # no benchmark looks at the last two
    )
    dataset = data.from_arrays(
        "random images", train=train, validation=validation, test=test, classes=CLASSES
    )
    problem = problems.classification(module, dataset)
    return Task(
        dataset,
        batch_size,
        problem=lambda _: problem,
        optimizer=lambda point: optim.make("adam", **point),
    )


def compile_sweep(
    task: Task,
    seeds: Sequence[int],
    points: Sequence[Mapping[str, float]],
    devices: Sequence[Any] | None = None,
) -> Compiled:
    """Compiles the training of every seed with every point, at the fastest width.

    The devices are by default all that JAX sees.
    """
    lanes = sweep.make_lanes(seeds, points)
    layout = parallel.layout("jit", len(points), task.batch_size, devices)
    measured = sweep.measure_widths(task, lanes, layout)
    step = sweep.step_of(task, lanes)
    chosen = width.choose(measured, step, len(seeds) * len(points), layout)
    return Compiled(task, lanes, sweep.compile_program(task, lanes, layout, chosen))


def rates(count: int) -> tuple[dict[str, float], ...]:
    """Makes points of learning rates from 1e-4 to 1e-2, even on a log axis."""
    return sweep.grid({"learning_rate": np.geomspace(1e-4, 1e-2, count).tolist()})


def for_peers(
    task: Task, features: tuple[int, ...], hidden: tuple[int, ...]
) -> Classifier:
    """Prepares a task's images, and a net for them, for the peers; see `Classifier`."""
    inputs, targets = task.dataset.train
    prepared = np.asarray(task.dataset.prepare(inputs))
    return Classifier(prepared, targets, CLASSES, task.batch_size, features, hidden)
