"""A stage: lanes that train together, in segments that the host may look on between.

A segment is one epoch, a pure call. Between segments, and only there, an
:class:`Observer` draws, writes and saves, and before the first it may hand back a
saved :class:`Progress` to go on from. What a stage measures is a :class:`History` of
fixed shape; the tidy rows are read off it.
"""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from optlab import sweep
from optlab.results import Row
from optlab.sweep import Lanes, Program, Task
from optlab.training import Metrics, TrainState

#: Relative; by so much the same loss may differ when its examples are summed in
#: another order.
ROUNDING = 1e-3


class Contender(NamedTuple):
    """An optimizer and the grid that it is tuned on."""

    label: str
    #: (hyperparameters, steps in an epoch) -> transformation; the former are traced
    optimizer: Callable[[Mapping[str, Any], int], optax.GradientTransformation]
    grid: tuple[Mapping[str, float], ...]


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
        ends = dict.fromkeys((self.seeds[0], self.seeds[-1]))  # all may be hundreds
        seeds = "-".join(map(str, ends))
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

    def widths(
        self, name: str, measure: Callable[[], Mapping[int, float]]
    ) -> Mapping[int, float]:
        """Lanes that run at a time are to be chosen; returns what was measured.

        A run that goes on must choose as before, for the same bits: keep the table
        under its name and return it the next time.
        """
        return measure()

    def compiling(self, stage: Stage) -> None:
        """A training program is about to be compiled."""

    def segment(self, stage: Stage, progress: Progress) -> None:
        """A segment is done, or the stage stands at its start (epoch 0)."""


def run_stage(
    stage: Stage,
    task: Task,
    compile_for: Callable[[Lanes], tuple[Program, bool]],
    observer: Observer,
) -> History:
    """Trains a stage's lanes, segment by segment, from where the observer says.

    Args:
      stage: the lanes.
      task: what they share.
      compile_for: gives the program for lanes of their shape, and whether it was
        compiled for them.
      observer: looks on.

    Returns:
      What was measured.
    """
    grid = stage.contender.grid
    lanes = sweep.make_lanes(stage.seeds, [grid[point] for point in stage.points])
    init = functools.partial(sweep.init_states, task)
    fresh = Progress(_no_history(stage), jax.eval_shape(init, lanes))
    history, states = observer.restore(stage, fresh)
    if history.epoch == stage.epochs:
        return history
    observer.compiling(stage)
    program, compiled = compile_for(lanes)
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
    mini-batch loss of its last epoch is above the loss of its first step. (One that
    has not moved is not lost, whatever the rounding.)

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
            last = losses[:, :, -steps:].mean(axis=-1)
            lost |= last > (1 + ROUNDING) * losses[:, :, 0]
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
        # Not in the dictionary's order: that of a restored one is another.
        for split in stage.splits + stage.final_splits:
            metrics = history.evaluations[split]
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
