"""The comparison: tune each optimizer on validation, report the winner on test.

Tuning runs every point of an optimizer's grid with the same seeds, as lanes of one
program. The best point by validation then runs again with fresh seeds, each run a lane
on its own, so that its time is that of a real run; only these runs see the test split,
once, after their last step.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optlab import sweep
from optlab.compare.stages import Contender, Observer, Stage, rows_of, run_stage
from optlab.data import Dataset, augment
from optlab.errors import InputError, near
from optlab.optim.info import find, refuse_evaluation
from optlab.problems import Problem
from optlab.results import Cell, Row, Trace, choose_point
from optlab.sweep import Lanes, Program, Task, parallel, width
from optlab.sweep.lanes import fastest
from optlab.sweep.parallel import Layout


class Protocol(NamedTuple):
    """The rules, the same for every contender."""

    epochs: int
    batch_sizes: tuple[int, ...]
    tune_seeds: int
    report_seeds: int
    augmentations: tuple[str, ...] = ()
    parallel: str = "jit"  # one of parallel.MODES
    width: int | None = None  # lanes at a time; None: chosen for this machine


class Outcome(NamedTuple):
    """All that a comparison measured."""

    rows: tuple[Row, ...]
    cells: tuple[Cell, ...]
    traces: tuple[Trace, ...]


def compare(
    dataset: Dataset,
    problem: Problem,
    contenders: Sequence[Contender],
    protocol: Protocol,
    observer: Observer | None = None,
) -> Outcome:
    """Compares optimizers on a problem, fairly tuned.

    Args:
      dataset: split three ways.
      problem: what is minimized.
      contenders: optimizers with their grids.
      protocol: epochs, batch sizes, seeds.
      observer: looks on between segments.

    Returns:
      Tidy rows, one cell an optimizer and batch size, and mini-batch traces of the
      reported runs.

    Raises:
      InputError: see :func:`check`.
    """
    check(dataset, contenders, protocol)
    observer = observer or Observer()
    runs_of_a_cell = 1 + protocol.report_seeds
    cells = len(contenders) * len(protocol.batch_sizes)
    observer.begin(cells * runs_of_a_cell * protocol.epochs)
    outcome = Outcome((), (), ())
    for batch_size in protocol.batch_sizes:
        for contender in contenders:
            cell = _compare_cell(
                dataset, problem, contender, batch_size, protocol, observer
            )
            outcome = Outcome(
                outcome.rows + cell.rows,
                outcome.cells + cell.cells,
                outcome.traces + cell.traces,
            )
    return outcome


def check(
    dataset: Dataset, contenders: Sequence[Contender], protocol: Protocol
) -> None:
    """Refuses what could only fail later, before anything is compiled.

    Args:
      dataset: as for :func:`compare`.
      contenders: likewise.
      protocol: likewise.

    Raises:
      InputError: no contender or two of one name, an empty grid or one with a point
        twice, hyperparameters that an optimizer refuses, no epoch, seed or batch size,
        a batch size twice, a batch larger than the training split, an unknown
        augmentation, a layout that does not fit.
    """
    labels = [contender.label for contender in contenders]
    if not labels or len(set(labels)) < len(labels):
        raise InputError(f"optimizers must be one or more, each once: got {labels}")
    for contender in contenders:
        if not contender.grid:
            raise InputError(f"the grid of {contender.label!r} is empty")
        if len({tuple(point.items()) for point in contender.grid}) < len(
            contender.grid
        ):
            raise InputError(f"the grid of {contender.label!r} has a point twice")
    for name in ("epochs", "tune_seeds", "report_seeds"):
        if getattr(protocol, name) < 1:
            raise InputError(f"{name} must be 1 or more: {getattr(protocol, name)}")
    if protocol.width is not None and protocol.width < 1:
        raise InputError(f"width must be 1 or more: {protocol.width}")
    examples = len(dataset.train.labels)
    if not protocol.batch_sizes:
        raise InputError("batch_size is empty: give one or more")
    if len(set(protocol.batch_sizes)) < len(protocol.batch_sizes):
        raise InputError(f"batch_size={protocol.batch_sizes} has one twice")
    for batch_size in protocol.batch_sizes:
        if not isinstance(batch_size, int):
            raise InputError(f"batch_size={batch_size!r} is not a whole number")
        if not 1 <= batch_size <= examples:
            raise InputError(
                f"batch_size={batch_size} does not fit the training split of "
                f"{dataset.name}, which holds {examples} images"
            )
    for name in protocol.augmentations:
        if name not in augment.AUGMENTATIONS:
            raise InputError(
                f"unknown augmentation {name!r}; {near(name, augment.AUGMENTATIONS)}"
            )
    parallel.layout(protocol.parallel, 1, protocol.batch_sizes)
    for contender, batch_size in itertools.product(contenders, protocol.batch_sizes):
        steps = examples // batch_size
        for point in contender.grid:
            contender.optimizer(point, steps)  # it checks its own numbers
        if protocol.parallel == "pmap":
            refuse_evaluation(_fresh_state(contender, steps))


def _compare_cell(
    dataset: Dataset,
    problem: Problem,
    contender: Contender,
    batch_size: int,
    protocol: Protocol,
    observer: Observer,
) -> Outcome:
    """Tunes and reports one contender at one batch size."""
    steps = len(dataset.train.labels) // batch_size
    task = Task(
        problem,
        lambda point: contender.optimizer(point, steps),
        dataset,
        batch_size,
        protocol.augmentations,
    )
    tune = Stage(
        phase="tune",
        contender=contender,
        batch_size=batch_size,
        seeds=tuple(range(protocol.tune_seeds)),
        points=tuple(range(len(contender.grid))),
        epochs=protocol.epochs,
        steps_per_epoch=steps,
        splits=("validation",),
        final_splits=(),
    )
    tuned = run_stage(
        tune, task, _Compiler(task, contender, protocol, observer), observer
    )
    rows = rows_of(tune, tuned)
    best = choose_point(rows)
    fresh = range(protocol.tune_seeds, protocol.tune_seeds + protocol.report_seeds)
    reported = []
    if best is not None:
        # One program for all of the fresh seeds.
        alone = _Compiler(task, contender, protocol, observer)
        for seed in fresh:
            stage = tune._replace(
                phase="report",
                seeds=(seed,),
                points=(best,),
                splits=("train", "validation"),
                final_splits=("test",),
            )
            reported.append(run_stage(stage, task, alone, observer))
            rows += rows_of(stage, reported[-1])
    cell = Cell(
        optimizer=contender.label,
        batch_size=batch_size,
        grid=contender.grid,
        tune_seeds=tune.seeds,
        report_seeds=tuple(fresh),
        epochs=protocol.epochs,
        steps_per_epoch=steps,
        best=best,
        compiles=sum(int(history.compiles) for history in (tuned, *reported)),
        compile_seconds=sum(float(h.compile_seconds) for h in (tuned, *reported)),
        sweep_seconds=float(tuned.seconds[-1]),
        parameters=sum(
            math.prod(leaf.shape)
            for leaf in jax.tree.leaves(
                jax.eval_shape(problem.init, jax.random.key(0))[0]
            )
        ),
    )
    traces = ()
    if reported:
        losses, accuracies = (
            np.concatenate([values[:, 0] for values in metric])
            for metric in zip(*(history.steps for history in reported), strict=True)
        )
        traces = (
            Trace(contender.label, batch_size, tuple(fresh), losses, 1 - accuracies),
        )
    return Outcome(rows, (cell,), traces)


def _fresh_state(contender: Contender, steps: int) -> Any:
    """The shapes of an optimizer's state, at the first point of its grid."""
    tx = contender.optimizer(contender.grid[0], steps)
    return jax.eval_shape(tx.init, jax.ShapeDtypeStruct((2,), jnp.float32))


class _Compiler:
    """Compiles a task's program when it is first wanted, then keeps it."""

    def __init__(
        self, task: Task, contender: Contender, protocol: Protocol, observer: Observer
    ):
        self.task, self.contender = task, contender
        self.protocol, self.observer = protocol, observer
        self.program: Program | None = None

    def __call__(self, lanes: Lanes) -> tuple[Program, bool]:
        """The program for lanes of this shape, and whether it was compiled now."""
        if self.program is not None:
            return self.program, False
        layout = parallel.layout(
            self.protocol.parallel, lanes.shape[1], [self.task.batch_size]
        )
        at_a_time = 1 if lanes.shape == (1, 1) else self._width(lanes, layout)
        self.program = sweep.compile_program(self.task, lanes, layout, at_a_time)
        return self.program, True

    def _width(self, lanes: Lanes, layout: Layout) -> int:
        """Lanes at a time: the user's choice, or the fastest measured."""
        task = self.task
        if self.protocol.width is not None:
            return min(self.protocol.width, width.unblocked(task, lanes, layout))
        seeds, points = lanes.shape
        name = f"batch {task.batch_size}, {seeds} x {points} lanes"
        # Steps that take a gradient cost about the same, those that evaluate do not.
        if find(_fresh_state(self.contender, task.steps_per_epoch)):
            name = f"{name} of {self.contender.label}"
        measured = self.observer.widths(
            name, lambda: width.measure(task, lanes, layout)
        )
        return min(fastest(measured), width.fitting(task, lanes, layout))
