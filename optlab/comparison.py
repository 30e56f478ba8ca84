"""The comparison: tune each optimizer on validation, report the winner on test.

Tuning runs every point of an optimizer's grid with the same seeds, as lanes of one
program. The best point by validation then runs again with fresh seeds, each run a lane
on its own, so that its time is that of a real run; only these runs see the test split,
once, after their last step.

A run is cut into segments of one epoch. A segment is a pure call; between segments,
and only there, the host may look on: an :class:`Observer` draws, writes and saves, and
may hand back a saved :class:`Progress` to go on from.
"""

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from optlab import augment, parallel, sweep
from optlab.data import Dataset
from optlab.errors import InputError, near
from optlab.problems import Problem
from optlab.results import Cell, Row, Trace, choose_point
from optlab.sweep import Lanes, Program, Task
from optlab.training import Metrics, TrainState
from optlab.width import choose_width


class Contender(NamedTuple):
    """An optimizer and the grid that it is tuned on."""

    label: str
    #: (hyperparameters, steps in an epoch) -> transformation; the former are traced
    optimizer: Callable[[Mapping[str, Any], int], optax.GradientTransformation]
    grid: tuple[Mapping[str, float], ...]


class Protocol(NamedTuple):
    """The rules, the same for every contender."""

    epochs: int
    batch_sizes: tuple[int, ...]
    tune_seeds: int
    report_seeds: int
    augmentations: tuple[str, ...] = ()
    parallel: str = "jit"  # one of parallel.MODES
    width: int | None = None  # lanes at a time; None: chosen for this machine


class Stage(NamedTuple):
    """Lanes that train together from the first step to the last."""

    phase: str  # "tune" or "report"
    contender: Contender
    batch_size: int
    seeds: tuple[int, ...]
    points: tuple[int, ...]  # places in the contender's grid
    epochs: int
    steps_per_epoch: int
    splits: tuple[str, ...]  # evaluated after every epoch
    final_splits: tuple[str, ...]  # evaluated once, after the last

    @property
    def name(self) -> str:
        """A name that no other stage of a comparison has, fit for a file."""
        seeds = "-".join(map(str, self.seeds))
        return f"{self.contender.label}-b{self.batch_size}-{self.phase}-{seeds}"


class History(NamedTuple):
    """What a stage has measured so far; NaN is what has not been measured."""

    epoch: Any  # [], epochs done
    seconds: np.ndarray  # [epochs + 1], training time since the start
    steps: Metrics  # [seeds, points, steps], of each mini-batch
    evaluations: dict[str, Metrics]  # split -> [epochs + 1, seeds, points]
    compiles: Any  # [], training programs compiled for this stage
    compile_seconds: Any  # []


class Progress(NamedTuple):
    """A stage between two segments: with it, a stage can go on later."""

    history: History
    states: TrainState | None  # None once the last segment is done


class Observer:
    """Looks on from the host between segments; this one does nothing.

    Derive from it to draw, write and save.
    """

    def begin(self, segments: int) -> None:
        """The comparison starts; it will take at most so many segments."""

    def restore(self, stage: Stage, fresh: Progress) -> Progress:
        """A stage is about to start; returns where it is to go on from.

        ``fresh`` is its start, the states as abstract shapes: what was saved of the
        stage has the same structure. Return it as it is to start anew.
        """
        return fresh

    def compiling(self, stage: Stage) -> None:
        """A training program is about to be compiled."""

    def segment(self, stage: Stage, progress: Progress) -> None:
        """A segment is done, or the stage stands at its start (epoch 0)."""


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
      InputError: no contender or two of one name, an empty grid, hyperparameters that
        an optimizer refuses, no epoch, seed or batch size, a batch larger than the
        training split, an unknown augmentation, a layout that does not fit.
    """
    labels = [contender.label for contender in contenders]
    if not labels or len(set(labels)) < len(labels):
        raise InputError(f"optimizers must be one or more, each once: got {labels}")
    for contender in contenders:
        if not contender.grid:
            raise InputError(f"the grid of {contender.label!r} is empty")
        for point in contender.grid:
            contender.optimizer(point, 1)  # the optimizer checks its own numbers
    for name in ("epochs", "tune_seeds", "report_seeds"):
        if getattr(protocol, name) < 1:
            raise InputError(f"{name} must be 1 or more: {getattr(protocol, name)}")
    if protocol.width is not None and protocol.width < 1:
        raise InputError(f"width must be 1 or more: {protocol.width}")
    examples = len(dataset.train.labels)
    if not protocol.batch_sizes:
        raise InputError("batch_size is empty: give one or more")
    for batch_size in protocol.batch_sizes:
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
    tuned = _run_stage(tune, _Compiler(task, protocol), observer)
    rows = rows_of(tune, tuned)
    best = choose_point(rows)
    fresh = range(protocol.tune_seeds, protocol.tune_seeds + protocol.report_seeds)
    reported = []
    if best is not None:
        alone = _Compiler(task, protocol)  # one program for all of the fresh seeds
        for seed in fresh:
            stage = tune._replace(
                phase="report",
                seeds=(seed,),
                points=(best,),
                splits=("train", "validation"),
                final_splits=("test",),
            )
            reported.append(_run_stage(stage, alone, observer))
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


class _Compiler:
    """Compiles a task's program when it is first wanted, then keeps it."""

    def __init__(self, task: Task, protocol: Protocol):
        self.task, self.protocol = task, protocol
        self.program: Program | None = None

    def __call__(self, lanes: Lanes) -> tuple[Program, bool]:
        """The program for lanes of this shape, and whether it was compiled now."""
        if self.program is not None:
            return self.program, False
        layout = parallel.layout(
            self.protocol.parallel, lanes.shape[1], [self.task.batch_size]
        )
        width = self.protocol.width or choose_width(self.task, lanes, layout)
        self.program = sweep.compile_program(self.task, lanes, layout, width)
        return self.program, True


def _run_stage(stage: Stage, compiler: _Compiler, observer: Observer) -> History:
    """Trains a stage's lanes, segment by segment, from where the observer says."""
    grid = stage.contender.grid
    lanes = sweep.make_lanes(stage.seeds, [grid[point] for point in stage.points])
    init = functools.partial(sweep.init_states, compiler.task)
    fresh = Progress(_no_history(stage), jax.eval_shape(init, lanes))
    history, states = observer.restore(stage, fresh)
    if history.epoch == stage.epochs:
        return history
    observer.compiling(stage)
    program, compiled = compiler(lanes)
    if compiled:
        history = history._replace(
            compiles=history.compiles + 1,
            compile_seconds=history.compile_seconds + program.compile_seconds,
        )
    if history.epoch == 0:
        states = init(lanes)
        history = _with_evaluations(history, program, states, stage.splits)
        observer.segment(stage, Progress(history, states))
    assert states is not None
    while history.epoch < stage.epochs:
        epoch = int(history.epoch)
        started = time.perf_counter()
        states, metrics = jax.block_until_ready(program.train(states, lanes, epoch))
        spent = time.perf_counter() - started
        history = _with_epoch(history, metrics, spent, stage.steps_per_epoch)
        done = epoch + 1 == stage.epochs
        splits = stage.splits + (stage.final_splits if done else ())
        history = _with_evaluations(history, program, states, splits)
        observer.segment(stage, Progress(history, None if done else states))
    return history


def _no_history(stage: Stage) -> History:
    """A history with nothing in it yet."""
    lanes = len(stage.seeds), len(stage.points)

    def unmeasured(*shape):
        return Metrics(*(np.full(shape, np.nan, np.float32) for _ in Metrics._fields))

    return History(
        epoch=np.int64(0),
        seconds=np.zeros(stage.epochs + 1),
        steps=unmeasured(*lanes, stage.epochs * stage.steps_per_epoch),
        evaluations={
            split: unmeasured(stage.epochs + 1, *lanes)
            for split in stage.splits + stage.final_splits
        },
        compiles=np.int64(0),
        compile_seconds=np.float64(0),
    )


def _with_epoch(
    history: History, metrics: Metrics, seconds: float, steps: int
) -> History:
    """The history after one more epoch of training."""
    epoch = int(history.epoch)
    place = np.s_[:, :, epoch * steps : (epoch + 1) * steps]
    times = history.seconds.copy()
    times[epoch + 1 :] = times[epoch] + seconds
    return history._replace(
        epoch=np.int64(epoch + 1),
        seconds=times,
        steps=_written(history.steps, place, metrics),
    )


def _with_evaluations(
    history: History, program: Program, states: TrainState, splits: Sequence[str]
) -> History:
    """The history with some splits evaluated at its epoch."""
    place = np.s_[int(history.epoch)]
    measured = {
        split: _written(
            history.evaluations[split], place, program.evaluate(states, split)
        )
        for split in splits
    }
    return history._replace(evaluations={**history.evaluations, **measured})


def _written(target: Metrics, place: Any, values: Metrics) -> Metrics:
    """A copy of some arrays with values in place."""
    copies = Metrics(*(array.copy() for array in target))
    for copy, value in zip(copies, values, strict=True):
        copy[place] = value
    return copies


def diverged(stage: Stage, history: History) -> np.ndarray:
    """Which lanes have diverged so far.

    A lane has diverged when one of its losses is no finite number, or when the mean
    mini-batch loss of its last epoch is above the loss of its first step.

    Args:
      stage: the lanes.
      history: theirs.

    Returns:
      ``[seeds, points]``, bool.
    """
    epoch, steps = int(history.epoch), stage.steps_per_epoch
    losses = history.steps.loss[:, :, : epoch * steps]
    lost: Any = ~np.isfinite(losses).all(axis=-1)
    for split in stage.splits:
        lost |= ~np.isfinite(history.evaluations[split].loss[: epoch + 1]).all(axis=0)
    if epoch:
        with np.errstate(over="ignore", invalid="ignore"):
            lost |= losses[:, :, -steps:].mean(axis=-1) > losses[:, :, 0]
    return lost


def rows_of(stage: Stage, history: History, first_epoch: int = 0) -> tuple[Row, ...]:
    """Tidy rows of what a stage has measured.

    Args:
      stage: the lanes.
      history: theirs.
      first_epoch: leave out evaluations before this epoch.

    Returns:
      One row a lane, evaluated epoch and split. Lanes that ran together have no
      time of their own: it is NaN.
    """
    lost = diverged(stage, history)
    alone = len(stage.seeds) == len(stage.points) == 1
    rows = []
    for epoch in range(first_epoch, int(history.epoch) + 1):
        for split, metrics in history.evaluations.items():
            if split in stage.final_splits and epoch < stage.epochs:
                continue
            for i, seed in enumerate(stage.seeds):
                for j, point in enumerate(stage.points):
                    rows.append(
                        Row(
                            phase=stage.phase,
                            optimizer=stage.contender.label,
                            batch_size=stage.batch_size,
                            seed=seed,
                            point=point,
                            hyperparameters=stage.contender.grid[point],
                            epoch=epoch,
                            step=epoch * stage.steps_per_epoch,
                            split=split,
                            loss=float(metrics.loss[epoch, i, j]),
                            accuracy=float(metrics.accuracy[epoch, i, j]),
                            seconds=float(history.seconds[epoch]) if alone else np.nan,
                            diverged=bool(lost[i, j]),
                        )
                    )
    return tuple(rows)
