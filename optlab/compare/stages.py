"""A stage: lanes that train together, in segments that the host may look on between.

A segment is one epoch, a pure call. Between segments, and only there, an `Observer`
draws, writes and saves, and before the first it may hand back a saved `Progress` to go
on from. A stage's measurements are a `History` of fixed shape.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optlab import sweep
from optlab.compare import stop
from optlab.compare.contenders import Contender
from optlab.problems import Metric
from optlab.results import Runs
from optlab.sweep import Lanes, Lowered, Program, parallel
from optlab.training import History as TrainingHistory
from optlab.training import Trained, TrainState

#: A lane has diverged when it ends this much above its start.
RISE = 1.1


class Stage(NamedTuple):
    """Lanes that train together from the first step to the last."""

    phase: str  # "tune" or "report"
    contender: Contender
    metrics: tuple[Metric, ...]  # the first one decides
    seeds: tuple[int, ...]
    points: tuple[int, ...]  # indices into the contender's points
    splits: tuple[str, ...]  # evaluated after every epoch
    final_splits: tuple[str, ...]  # evaluated once, after the last

    @property
    def name(self) -> str:
        """A name that no other stage of a comparison has."""
        ends = dict.fromkeys((self.seeds[0], self.seeds[-1]))  # all may be hundreds
        seeds = "-".join(map(str, ends))
        return f"{self.contender.label} {self.phase} {seeds}"

    @property
    def epochs(self) -> int:
        """Number of segments, at most: a rule of stopping may end it earlier."""
        return self.contender.epochs


class History(NamedTuple):
    """Measurements of a stage so far; NaN is not measured."""

    epoch: Any  # [], epochs done
    seconds: np.ndarray  # [epochs + 1], training time since the start
    steps: dict[str, np.ndarray]  # metric -> [seeds, points, steps], of mini-batches
    #: split -> metric -> [epochs + 1, seeds, points]
    evaluations: dict[str, dict[str, np.ndarray]]
    compiles: Any  # [], training programs compiled for this stage
    compile_seconds: Any  # []


class Progress(NamedTuple):
    """A stage between two segments: with it, a stage can go on later."""

    history: History
    #: None once the last segment is done, and where the observer wants none
    states: TrainState | None


class Compilation(NamedTuple):
    """A program for some lanes, which may still be compiling in a thread."""

    lowered: Lowered
    program: Future[Program]
    fresh: bool  # whether it is compiled for these lanes, and not an earlier one


class Observer:
    """Looks on from the host between segments; this one does nothing.

    Derive from it to draw, write and save.
    """

    def begin(self, segments: int) -> None:
        """The comparison starts, and will take at most this many segments."""

    def restore(self, stage: Stage, fresh: Progress) -> Progress:
        """A stage is about to start; returns the progress to go on from.

        ``fresh`` is its start, the states as abstract shapes: saved progress has the
        same structure. Return it as it is to start anew.
        """
        return fresh

    def widths(
        self, name: str, measure: Callable[[], Mapping[int, float]]
    ) -> Mapping[int, float]:
        """The number of lanes at a time is to be chosen; returns the measured times.

        A run that goes on must choose as before, for the same bits: keep the table
        under its name and return it the next time.
        """
        return measure()

    def compiling(self, stage: Stage) -> None:
        """A training program is about to be compiled."""

    def compiled(self, stage: Stage, program: Program) -> None:
        """A training program was compiled."""

    def wants_states(self, stage: Stage) -> bool:
        """Tells whether the segment that is done shall bring its states.

        Of several processes all have to answer alike: states are gathered from them.
        """
        return True

    def segment(self, stage: Stage, progress: Progress) -> None:
        """A segment is done, or the stage stands at its start (epoch 0)."""

    def trained(self, stage: Stage, trained: Trained) -> None:
        """A run of the report stage is done; this is its net."""


def run_stage(
    stage: Stage,
    compile_for: Callable[[Lanes], Compilation],
    observer: Observer,
    copies: int = 0,
) -> History:
    """Trains a stage's lanes, segment by segment, from the observer's progress on.

    Args:
      stage: the lanes.
      compile_for: function from lanes to a program for their shape.
      observer: callbacks between segments.
      copies: number of copies of the last point, for devices that have none; they are
        not measured.

    Returns:
      The measurements.
    """
    contender = stage.contender
    points = [contender.points[point] for point in stage.points]
    lanes = sweep.make_lanes(stage.seeds, points)
    fresh = Progress(_no_history(stage), sweep.states_shape(contender.task, lanes))
    history, states = observer.restore(stage, fresh)
    if done(stage, history):
        return history
    if copies:
        lanes = sweep.make_lanes(stage.seeds, points + points[-1:] * copies)
        states = _repeated(states, copies) if history.epoch else states
    observer.compiling(stage)
    compilation = compile_for(lanes)
    if history.epoch == 0:  # while the program is compiled
        states = compilation.lowered.init(lanes)
        for split in stage.splits:
            seen = compilation.lowered.evaluate(states, lanes, split)
            history = _with_evaluation(history, split, seen)
    assert states is not None
    program = compilation.program.result()
    if compilation.fresh:
        observer.compiled(stage, program)
        history = history._replace(
            compiles=history.compiles + 1,
            compile_seconds=history.compile_seconds + program.compile_seconds,
        )
        if stage.phase == "report":  # a program's first run is slower than the others
            spare = jax.tree.map(jnp.copy, states)
            jax.block_until_ready(program.train(spare, lanes, 0))
    if history.epoch == 0:
        observer.segment(stage, _progress(stage, history, states, observer))
    watched = contender.stop.watched
    while not done(stage, history):
        epoch = int(history.epoch)
        before = sweep.copied(states) if "weight_change" in watched else ()
        started = time.perf_counter()
        states, metrics = jax.block_until_ready(program.train(states, lanes, epoch))
        seconds = time.perf_counter() - started
        history = _with_epoch(history, metrics, seconds)
        seen = {}
        if "gradient_norm" in watched:
            seen["gradient_norm"] = program.gradient_norms(states, lanes)
        if "weight_change" in watched:
            seen["weight_change"] = program.weight_changes(before, states)
        if seen:
            history = _with_evaluation(history, "train", seen)
        for split in stage.splits:
            seen = program.evaluate(states, lanes, split)
            history = _with_evaluation(history, split, seen)
        if done(stage, history):
            for split in stage.final_splits:
                seen = program.evaluate(states, lanes, split)
                history = _with_evaluation(history, split, seen)
            if stage.phase == "report":
                observer.trained(stage, _net(stage, history, states, lanes))
        observer.segment(stage, _progress(stage, history, states, observer))
    return history


def _repeated(states: Any, copies: int) -> Any:
    """States with copies of the last point's at the end."""
    points = jax.tree.leaves(states)[0].shape[1]
    kept = np.minimum(np.arange(points + copies), points - 1)
    return jax.tree.map(lambda x: x[:, kept], states)  # on the host, where they are


def _progress(
    stage: Stage, history: History, states: Any, observer: Observer
) -> Progress:
    """The progress for an observer, without copies of the last point."""
    if done(stage, history) or not observer.wants_states(stage):
        return Progress(history, None)
    count, states = len(stage.points), parallel.gathered(states)
    if jax.tree.leaves(states)[0].shape[1] > count:
        states = jax.tree.map(lambda x: x[:, :count], states)
    return Progress(history, states)


def _net(stage: Stage, history: History, states: Any, lanes: Lanes) -> Trained:
    """The net of a stage of one lane."""
    problem, params, model_state = sweep.the_lane(stage.contender.task, states, lanes)
    epochs = int(history.epoch)
    steps = epochs * stage.contender.task.steps_per_epoch
    return Trained(
        params,
        model_state,
        TrainingHistory(
            steps={name: x[0, 0, :steps] for name, x in history.steps.items()},
            evaluations={
                split: {name: x[: epochs + 1, 0, 0] for name, x in metrics.items()}
                for split, metrics in history.evaluations.items()
            },
        ),
        problem,
    )


def _no_history(stage: Stage) -> History:
    """A history with nothing in it yet."""
    lanes = len(stage.seeds), len(stage.points)
    steps = stage.epochs * stage.contender.task.steps_per_epoch

    names = [metric.name for metric in stage.metrics]
    measured = dict.fromkeys(stage.splits + stage.final_splits, names)
    if watched := stage.contender.stop.watched:
        measured["train"] = [*measured.get("train", ()), *watched]

    def unmeasured(names, *shape):
        return {name: np.full(shape, np.nan, np.float32) for name in names}

    return History(
        epoch=np.int64(0),
        seconds=np.zeros(stage.epochs + 1),
        steps=unmeasured(names, *lanes, steps),
        evaluations={
            split: unmeasured(names, stage.epochs + 1, *lanes)
            for split, names in measured.items()
        },
        compiles=np.int64(0),
        compile_seconds=np.float64(0),
    )


def _with_epoch(history: History, metrics: Any, seconds: float) -> History:
    """The history after one more epoch of training."""
    epoch, steps = int(history.epoch), metrics["loss"].shape[-1]
    place = np.s_[:, :, epoch * steps : (epoch + 1) * steps]
    times = history.seconds.copy()
    times[epoch + 1 :] = times[epoch] + seconds
    return history._replace(
        epoch=np.int64(epoch + 1),
        seconds=times,
        steps=_written(history.steps, place, metrics),
    )


def _with_evaluation(
    history: History, split: str, values: Mapping[str, Any]
) -> History:
    """The history with some values of a split at its epoch."""
    seen = _written(history.evaluations[split], np.s_[int(history.epoch)], values)
    return history._replace(evaluations={**history.evaluations, split: seen})


def _written(
    target: Mapping[str, np.ndarray], place: Any, values: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Some arrays, with values in place in copies of those that have any."""
    copies = {name: target[name].copy() for name in values if name in target}
    for name, copy in copies.items():
        # Copies of the last point, which some devices train, are left out.
        copy[place] = np.asarray(values[name])[:, : copy[place].shape[1]]
    return {**target, **copies}


def ends(stage: Stage, history: History) -> np.ndarray:
    """Finds the epoch after which each lane ended, or ends at the latest.

    Args:
      stage: the lanes.
      history: measurements of the lanes.

    Returns:
      ``[seeds, points]``, int.
    """
    return stop.ends(
        stage.contender.stop,
        stage.metrics[0],
        history.evaluations,
        int(history.epoch),
        stage.epochs,
    )


def done(stage: Stage, history: History) -> bool:
    """Tells whether every lane of a stage has ended."""
    return bool(history.epoch >= ends(stage, history).max())


def _held(stage: Stage, history: History) -> History:
    """The history as if each lane had stood still since its end."""
    end, steps = ends(stage, history), stage.contender.task.steps_per_epoch
    if np.all(end == stage.epochs):
        return history

    def held(values: np.ndarray, end: np.ndarray) -> np.ndarray:  # [epochs, ...]
        epochs = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
        return np.take_along_axis(values, np.minimum(epochs, end), axis=0)

    def held_steps(values: np.ndarray) -> np.ndarray:  # its last epoch again and again
        by_epoch = np.moveaxis(values.reshape(*end.shape, -1, steps), 2, 0)
        again = held(by_epoch, end[..., None] - 1)
        return np.moveaxis(again, 0, 2).reshape(values.shape)

    return history._replace(
        steps=jax.tree.map(held_steps, history.steps),
        evaluations=jax.tree.map(lambda x: held(x, end), history.evaluations),
    )


def diverged(stage: Stage, history: History) -> np.ndarray:
    """Finds the lanes that have diverged so far.

    A lane has diverged when one of its losses is not finite, or when it stands more
    than a tenth above its start by two measures: the validation loss now, and the mean
    mini-batch loss of the last epoch. Both are compared with the validation loss before
    the first step. A lane that has not moved, learns slowly or overfits is not lost.

    Args:
      stage: the lanes.
      history: measurements of the lanes.

    Returns:
      ``[seeds, points]``, bool.
    """
    epoch, steps = int(history.epoch), stage.contender.task.steps_per_epoch
    history = _held(stage, history)
    losses = history.steps["loss"][:, :, : epoch * steps]
    lost: Any = ~np.isfinite(losses).all(axis=-1)
    for split in stage.splits:
        seen = history.evaluations[split]["loss"][: epoch + 1]
        lost |= ~np.isfinite(seen).all(axis=0)
    if epoch:
        validation = history.evaluations["validation"]["loss"]
        start = validation[0] + (RISE - 1) * np.abs(validation[0])
        with np.errstate(over="ignore", invalid="ignore"):
            last = losses[:, :, -steps:].mean(axis=-1)
            lost |= (last > start) & (validation[epoch] > start)
    return lost


def runs_of(stage: Stage, histories: Sequence[History]) -> Runs:
    """Joins the measurements of stages that differ in their seeds.

    Args:
      stage: one of them.
      histories: one a stage.

    Returns:
      Arrays of lanes, the seeds one after another. Lanes that ran together have no time
      of their own: it is NaN. After its end a lane is evaluated as it was there, and
      has no steps.
    """
    lanes, count = (len(stage.seeds), len(stage.points)), len(histories)
    times = np.stack([history.seconds for history in histories], axis=1)
    if lanes != (1, 1):
        times = np.full((len(times), lanes[0] * count), np.nan)

    def joined(trees: Sequence[Any], axis: int) -> Any:
        return jax.tree.map(lambda *each: np.concatenate(each, axis), *trees)

    per_epoch = stage.contender.task.steps_per_epoch
    end = np.concatenate([ends(stage, history) for history in histories])
    steps = joined([history.steps for history in histories], 0)
    taken = np.arange(steps["loss"].shape[-1]) < per_epoch * end[..., None]
    return Runs(
        phase=stage.phase,
        seeds=tuple(range(stage.seeds[0], stage.seeds[0] + count * lanes[0])),
        points=stage.points,
        steps_per_epoch=per_epoch,
        seconds=np.repeat(times[:, :, None], lanes[1], axis=2),
        steps={name: np.where(taken, x, np.nan) for name, x in steps.items()},
        evaluations=joined([_held(stage, h).evaluations for h in histories], 1),
        ends=end,
        diverged=np.concatenate([diverged(stage, h) for h in histories]),
    )
