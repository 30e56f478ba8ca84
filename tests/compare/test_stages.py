"""A stage: segment by segment; which lanes have diverged, and the rows read off it."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optlab.compare import stages
from optlab.compare.stages import Contender, Observer, Stage
from optlab.problems import Problem
from optlab.sweep import Program, Task
from optlab.training import Metrics

CONTENDER = Contender("sgd", lambda point, steps: None, ({"rate": 0.1}, {"rate": 0.2}))


# Segment by segment, with a program that only writes down what it is asked


def nothing(*_):
    raise AssertionError("the program below computes nothing")


PROBLEM = Problem(
    lambda key: ({"w": jnp.zeros(2)}, {}), nothing, nothing, nothing, nothing
)


@pytest.fixture
def asked():
    """Calls of a program, and a function that runs a stage of 3 epochs with it."""
    calls = []

    def metrics(value, *shape):
        return Metrics(np.full(shape, value), np.full(shape, -value))

    def train(states, lanes, epoch):
        calls.append(("train", epoch))
        return states._replace(step=states.step + 5), metrics(10 + epoch, 2, 2, 5)

    def evaluate(states, split):
        step = int(states.step[0, 0])
        calls.append((split, step))
        return metrics(float(step), 2, 2)

    def run(observer):
        stage = Stage(
            "tune", CONTENDER, 16, (3, 4), (0, 1), 3, 5, ("validation",), ("test",)
        )
        task = Task(PROBLEM, lambda point: optax.identity(), None, 16)
        program = Program(train, evaluate, compile_seconds=1.5)
        return stages.run_stage(stage, task, lambda lanes: (program, True), observer)

    return calls, run


EPOCHS = (
    [("validation", 0)],
    [("train", 0), ("validation", 5)],
    [("train", 1), ("validation", 10)],
    [("train", 2), ("validation", 15), ("test", 15)],
)


def test_a_stage_trains_each_epoch_once_and_tests_at_the_end(asked):
    calls, run = asked
    history = run(Observer())
    assert calls == list(itertools.chain(*EPOCHS))
    assert (history.epoch, history.compiles, history.compile_seconds) == (3, 1, 1.5)
    np.testing.assert_array_equal(
        history.steps.loss, np.tile(np.repeat([10, 11, 12], 5), (2, 2, 1))
    )
    validation = history.evaluations["validation"].loss[:, 0, 0]
    assert validation.tolist() == [0, 5, 10, 15]
    np.testing.assert_array_equal(
        history.evaluations["test"].accuracy[:, 1, 1], [np.nan, np.nan, np.nan, -15]
    )
    assert (np.diff(history.seconds) > 0).all()


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_stage_goes_on_after_the_segment_that_it_is_given(asked, after):
    calls, run = asked
    kept = []

    class Keeper(Observer):
        def segment(self, stage, progress):
            kept.append(progress)

    whole = run(Keeper())
    calls.clear()

    class Restorer(Observer):
        def restore(self, stage, fresh):
            return kept[after]

    resumed = run(Restorer())
    # A stage that stands at its start is evaluated again: nothing is lost by it.
    again = EPOCHS[:1] if after == 0 else []
    assert calls == list(itertools.chain(*again, *EPOCHS[after + 1 :]))
    np.testing.assert_array_equal(resumed.steps.loss, whole.steps.loss)
    np.testing.assert_array_equal(
        resumed.evaluations["validation"].loss, whole.evaluations["validation"].loss
    )
    assert resumed.compiles == 2  # once in each process


def test_a_finished_stage_asks_for_no_program(asked):
    calls, run = asked
    finished = run(Observer())
    calls.clear()

    class Finished(Observer):
        def restore(self, stage, fresh):
            return stages.Progress(finished, None)

        def compiling(self, stage):
            raise AssertionError("it compiles")

    assert run(Finished()) is finished
    assert not calls


# Which lanes have diverged


def a_stage(losses, epoch=2, validation=1.0):
    """A stage of one lane with 2 steps an epoch, and its history."""
    stage = Stage("tune", CONTENDER, 16, (0,), (0,), 2, 2, ("validation",), ())
    history = stages._no_history(stage)
    history.steps.loss[0, 0, : len(losses)] = losses
    history.evaluations["validation"].loss[: epoch + 1] = validation
    return stage, history._replace(epoch=np.int64(epoch))


@pytest.mark.parametrize(
    ("losses", "epoch", "lost"),
    [
        ([2.0, 1.5, 1.0, 0.5], 2, False),
        ([2.0, 9.0, 1.0, 0.5], 2, False),  # it came back
        ([2.0, 1.5, 1.0, 3.5], 2, True),  # its last epoch's mean is above 2
        ([2.0, 1.5, 1.0, 2.5], 2, False),
        ([2.0, 2.0, 2.0, 2.0002], 2, False),  # it has not moved: that is rounding
        ([2.0, math.nan, 1.0, 0.5], 2, True),
        ([2.0, math.inf, 1.0, 0.5], 2, True),
        ([2.0, 1.5], 1, False),  # what is not measured yet is not lost
        ([], 0, False),
    ],
)
def test_when_a_lane_has_diverged(losses, epoch, lost):
    assert stages.diverged(*a_stage(losses, epoch)).tolist() == [[lost]]


def test_a_lane_whose_validation_loss_is_no_number_has_diverged():
    assert stages.diverged(*a_stage([2.0, 1.5], 1, validation=math.nan)).all()
    assert stages.diverged(*a_stage([], 0, validation=math.inf)).all()


# Rows and names


def test_rows_are_read_lane_by_lane():
    stage = Stage(
        "tune", CONTENDER, 16, (3, 4), (0, 1), 1, 5, ("validation",), ("test",)
    )
    history = stages._no_history(stage)
    measured = np.arange(8.0).reshape(2, 2, 2)  # [epochs + 1, seeds, points]
    both = {
        "test": Metrics(measured + 10, measured),
        "validation": Metrics(measured, measured),
    }
    history = history._replace(epoch=np.int64(1), evaluations=both)
    rows = stages.rows_of(stage, history)
    assert [(row.epoch, row.split, row.seed, row.point, row.loss) for row in rows] == [
        (0, "validation", 3, 0, 0.0),
        (0, "validation", 3, 1, 1.0),
        (0, "validation", 4, 0, 2.0),
        (0, "validation", 4, 1, 3.0),
        (1, "validation", 3, 0, 4.0),
        (1, "validation", 3, 1, 5.0),
        (1, "validation", 4, 0, 6.0),
        (1, "validation", 4, 1, 7.0),
        (1, "test", 3, 0, 14.0),  # the test split at the end only
        (1, "test", 3, 1, 15.0),
        (1, "test", 4, 0, 16.0),
        (1, "test", 4, 1, 17.0),
    ]
    assert [row.hyperparameters["rate"] for row in rows[:2]] == [0.1, 0.2]
    assert [row.step for row in rows[::4]] == [0, 5, 5]
    last = stages.rows_of(stage, history, first_epoch=1)
    assert [repr(row) for row in last] == [repr(row) for row in rows[4:]]


def test_names_of_stages_differ():
    stage = Stage("tune", CONTENDER, 16, (3, 4), (0, 1), 1, 5, ("validation",), ())
    others = [
        stage,
        stage._replace(phase="report", seeds=(3,)),
        stage._replace(phase="report", seeds=(4,)),
        stage._replace(batch_size=32),
        stage._replace(contender=CONTENDER._replace(label="adam")),
    ]
    names = [each.name for each in others]
    assert names[:2] == ["sgd-b16-tune-3-4", "sgd-b16-report-3"]
    assert len(set(names)) == len(names)
