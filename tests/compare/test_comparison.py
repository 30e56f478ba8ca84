"""The comparison: tuned on validation, reported on test once, resumed to the bit."""

import collections
import functools
import math

import numpy as np
import pytest

from optlab import data, models, optim, problems, sweep
from optlab.compare import comparison
from optlab.compare.comparison import Protocol
from optlab.compare.stages import Contender, Observer
from optlab.errors import InputError
from optlab.results import checkpoint

RATES = {"learning_rate": (0.05, 0.2)}


def contender(name, label=None, grid=RATES):
    return Contender(
        label or name, lambda point, _: optim.make(name, **point), sweep.grid(grid)
    )


CONTENDERS = [contender("sgd"), contender("adam")]
# The width is fixed: measured, it might differ between two runs, and with it the bits.
PROTOCOL = Protocol(epochs=2, batch_sizes=(9,), tune_seeds=2, report_seeds=2, width=100)


@functools.cache
def digits():
    return data.load("digits", examples=80)  # 72 to train on: 8 steps an epoch


@functools.cache
def problem():
    module = models.make("mlp", classes=10, hidden=(8,))
    return problems.classification(module, (8, 8, 1))


class Recorder(Observer):
    """Writes down all that an observer is told."""

    def __init__(self):
        self.calls = []

    def begin(self, segments):
        self.calls.append(("begin", segments))

    def restore(self, stage, fresh):
        self.calls.append(("restore", stage, fresh))
        return fresh

    def compiling(self, stage):
        self.calls.append(("compiling", stage))

    def segment(self, stage, progress):
        self.calls.append(("segment", stage, progress))


@functools.cache
def compared():
    recorder = Recorder()
    outcome = comparison.compare(digits(), problem(), CONTENDERS, PROTOCOL, recorder)
    return outcome, recorder.calls


# What it measures


def rows(**wanted):
    return [
        row
        for row in compared()[0].rows
        if all(getattr(row, key) == value for key, value in wanted.items())
    ]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_tuning_looks_at_validation_alone(optimizer):
    tuned = rows(optimizer=optimizer, phase="tune")
    lanes = [(row.epoch, row.seed, row.point) for row in tuned]
    assert sorted(lanes) == [
        (e, s, p) for e in range(3) for s in (0, 1) for p in (0, 1)
    ]
    for row in tuned:
        assert row.split == "validation"
        assert row.hyperparameters == {"learning_rate": (0.05, 0.2)[row.point]}
        assert math.isnan(row.seconds)  # they ran together: no time of their own


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_winner_is_reported_with_fresh_seeds_and_tested_once(optimizer):
    reported = rows(optimizer=optimizer, phase="report")
    found = sorted((row.seed, row.split, row.epoch) for row in reported)
    per_seed = [("test", 2), *(("train", e) for e in range(3)),
                *(("validation", e) for e in range(3))]  # fmt: skip
    assert found == [(seed, *each) for seed in (2, 3) for each in per_seed]
    (cell,) = (c for c in compared()[0].cells if c.optimizer == optimizer)
    assert {row.point for row in reported} == {cell.best}
    assert not {row.seed for row in reported} & set(cell.tune_seeds)


def test_rows_say_where_they_stand():
    for row in rows():
        assert row.step == 8 * row.epoch
        assert row.batch_size == 9
        assert 0 <= row.accuracy <= 1
        assert row.loss > 0
        assert not row.diverged


def test_time_starts_at_0_and_is_of_training():
    seconds = {}
    for row in rows(phase="report", split="train", optimizer="adam"):
        seconds[row.seed, row.epoch] = row.seconds
    for seed in (2, 3):
        assert seconds[seed, 0] == 0 < seconds[seed, 1] < seconds[seed, 2]


def test_before_the_first_step_optimizers_do_not_differ():
    """They start from one set of parameters: common random numbers."""
    for seed in (2, 3):
        losses = {row.loss for row in rows(epoch=0, seed=seed, split="train")}
        assert len(losses) == 1


def test_the_best_is_chosen_by_validation():
    for cell in compared()[0].cells:
        finals = collections.defaultdict(list)
        for row in rows(optimizer=cell.optimizer, phase="tune", epoch=2):
            finals[row.point].append((row.accuracy, -row.loss))
        assert cell.best == max(finals, key=lambda p: tuple(np.mean(finals[p], axis=0)))


def test_a_cell_says_what_was_spent():
    for cell, label in zip(compared()[0].cells, ("sgd", "adam"), strict=True):
        assert cell.optimizer == label
        assert cell.grid == ({"learning_rate": 0.05}, {"learning_rate": 0.2})
        assert (cell.batch_size, cell.epochs, cell.steps_per_epoch) == (9, 2, 8)
        assert (cell.tune_seeds, cell.report_seeds) == ((0, 1), (2, 3))
        assert cell.parameters == 64 * 8 + 8 + 8 * 10 + 10
        assert cell.compiles == 2  # the sweep, and one lane for all fresh seeds
        assert cell.compile_seconds > 0
        assert cell.sweep_seconds > 0


def test_a_trace_has_every_step_of_the_reported_runs():
    for trace, label in zip(compared()[0].traces, ("sgd", "adam"), strict=True):
        assert (trace.optimizer, trace.batch_size, trace.seeds) == (label, 9, (2, 3))
        assert trace.loss.shape == trace.error.shape == (2, 16)
        assert np.isfinite(trace.loss).all()
        assert ((trace.error >= 0) & (trace.error <= 1)).all()
        assert trace.loss[:, -1].mean() < trace.loss[:, 0].mean()


def test_the_observer_is_told_of_every_segment():
    calls = compared()[1]
    assert calls[0] == ("begin", 2 * 3 * 2)  # optimizers x stages x epochs
    names = [call[1].name for call in calls if call[0] == "restore"]
    assert names == [
        f"{label}-b9-{stage}"
        for label in ("sgd", "adam")
        for stage in ("tune-0-1", "report-2", "report-3")
    ]
    epochs = [int(call[2].history.epoch) for call in calls if call[0] == "segment"]
    assert epochs == [0, 1, 2] * 6
    for _, _, (history, states) in (call for call in calls if call[0] == "segment"):
        assert (states is None) == (history.epoch == 2)


def test_what_is_not_measured_yet_is_nan():
    (progress, *_) = (
        call[2]
        for call in compared()[1]
        if call[0] == "segment" and call[1].final_splits
    )
    assert progress.history.epoch == 0
    assert np.isnan(progress.history.steps.loss).all()
    assert np.isnan(progress.history.evaluations["test"].loss).all()
    validation = progress.history.evaluations["validation"].loss
    assert np.isfinite(validation[0]).all()
    assert np.isnan(validation[1:]).all()


# All lanes diverging is a result


def test_when_all_lanes_diverge_that_is_the_result():
    wild = contender("sgd", grid={"learning_rate": (1e8, 1e12)})
    outcome = comparison.compare(digits(), problem(), [wild], PROTOCOL)
    (cell,) = outcome.cells
    assert cell.best is None
    assert cell.compiles == 1
    assert {row.phase for row in outcome.rows} == {"tune"}
    assert all(row.diverged for row in outcome.rows)
    assert outcome.traces == ()


# A run that was stopped goes on, to the same bits


class Keeper(Observer):
    """Saves every segment, and is stopped after some."""

    def __init__(self, folder, segments=math.inf):
        self.folder, self.left, self.compiled = folder, segments, []

    def restore(self, stage, fresh):
        for suffix, like in (("done", fresh._replace(states=None)), ("state", fresh)):
            path = self.folder / f"{stage.name}.{suffix}"
            if path.exists():
                return checkpoint.restore(path, like)
        return fresh

    def compiling(self, stage):
        self.compiled.append(stage.name)

    def segment(self, stage, progress):
        suffix = "done" if progress.states is None else "state"
        checkpoint.save(self.folder / f"{stage.name}.{suffix}", progress)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def timeless(outcome):
    """All of an outcome but the times, which no two runs share."""
    return (
        [str(row._replace(seconds=0.0)) for row in outcome.rows],
        [
            c._replace(compiles=0, compile_seconds=0, sweep_seconds=0)
            for c in outcome.cells
        ],
        [(trace.loss.tolist(), trace.error.tolist()) for trace in outcome.traces],
    )


# Of 9 segments: in the sweep's middle, at the start of a report run and at its end.
@pytest.mark.parametrize("segments", [2, 4, 6])
def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path, segments):
    run = functools.partial(
        comparison.compare, digits(), problem(), [contender("adam")], PROTOCOL
    )
    with pytest.raises(KeyboardInterrupt):
        run(Keeper(tmp_path, segments))
    keeper = Keeper(tmp_path)
    resumed = run(keeper)
    whole = timeless(compared()[0])
    adam = [row for row in whole[0] if "optimizer='adam'" in row]
    assert timeless(resumed) == (adam, whole[1][1:], whole[2][1:])
    done = segments // 3  # a stage is three segments: its start and two epochs
    stages_of_adam = ["adam-b9-tune-0-1", "adam-b9-report-2", "adam-b9-report-3"]
    assert keeper.compiled == stages_of_adam[done:]


def test_a_finished_run_of_two_batch_sizes_compiles_nothing(tmp_path):
    run = functools.partial(
        comparison.compare,
        digits(),
        problem(),
        [contender("adam")],
        PROTOCOL._replace(epochs=1, report_seeds=1, batch_sizes=(36, 24)),
    )
    first = run(Keeper(tmp_path))
    steps = [(cell.batch_size, cell.steps_per_epoch) for cell in first.cells]
    assert steps == [(36, 2), (24, 3)]
    keeper = Keeper(tmp_path)
    again = run(keeper)
    assert not keeper.compiled
    assert str(again.rows) == str(first.rows)  # the times, too
    assert again.cells == first.cells


def test_lanes_at_a_time_are_the_fastest_that_the_observer_knows_of(monkeypatch):
    asked, compiled = [], []

    class Chooser(Observer):
        def widths(self, name, measure):
            asked.append(name)
            return {1: 0.2, 2: 0.1, 4: 0.3}

    compile_program = comparison.sweep.compile_program

    def spy(task, lanes, layout, width):
        compiled.append((lanes.shape, width))
        return compile_program(task, lanes, layout, width)

    monkeypatch.setattr(comparison.sweep, "compile_program", spy)
    protocol = PROTOCOL._replace(width=None, epochs=1, report_seeds=1)
    comparison.compare(digits(), problem(), [contender("adam")], protocol, Chooser())
    assert asked == ["batch 9, 2 x 2 lanes"]
    assert [width for _, width in compiled] == [2, 1]
    assert compiled[1][0] == (1, 1)  # a report run is alone


# What is refused before anything is compiled


@pytest.mark.parametrize(
    ("contenders", "protocol", "message"),
    [
        ([], {}, r"one or more, each once: got \[\]"),
        (CONTENDERS + CONTENDERS[:1], {}, "each once: got .*'sgd', 'adam', 'sgd'"),
        ([contender("sgd", grid={"learning_rate": ()})], {}, "grid of 'sgd' is empty"),
        ([contender("sgd", grid={"learning_rate": (0.1, -1.0)})], {}, "not -1.0"),
        ([contender("sgd", grid={"learning_rate": (math.nan,)})], {}, "not nan"),
        (
            [contender("sgd", grid={"rate": (0.1,)})],
            {},
            "'rate'; it takes learning_rate",
        ),
        ([contender("adma")], {}, "no optimizer 'adma'; did you mean"),
        (CONTENDERS, {"epochs": 0}, "epochs must be 1 or more: 0"),
        (CONTENDERS, {"tune_seeds": 0}, "tune_seeds must be 1 or more"),
        (CONTENDERS, {"report_seeds": -1}, "report_seeds must be 1 or more: -1"),
        (CONTENDERS, {"width": 0}, "width must be 1 or more: 0"),
        (CONTENDERS, {"batch_sizes": ()}, "batch_size is empty"),
        (CONTENDERS, {"batch_sizes": (16, 73)}, "batch_size=73 .* holds 72 images"),
        (CONTENDERS, {"batch_sizes": (0,)}, "batch_size=0 does not fit"),
        (
            CONTENDERS,
            {"augmentations": ("flp",)},
            "augmentation 'flp'; did you mean flip",
        ),
        (CONTENDERS, {"parallel": "pmpa"}, "--parallel=pmpa: choose from jit, pmap"),
        (CONTENDERS, {"parallel": "pmap", "batch_sizes": (12,)}, "multiples of that"),
    ],
)
def test_a_mistake_is_refused_before_a_compile(contenders, protocol, message):
    class Untouched(Recorder):
        def begin(self, segments):
            raise AssertionError("it began")

    with pytest.raises(InputError, match=message) as info:
        comparison.compare(
            digits(), problem(), contenders, PROTOCOL._replace(**protocol), Untouched()
        )
    assert "\n" not in str(info.value)


def test_a_batch_may_be_the_whole_training_split():
    protocol = PROTOCOL._replace(batch_sizes=(72,))
    comparison.check(digits(), CONTENDERS, protocol)
