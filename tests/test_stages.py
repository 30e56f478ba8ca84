"""A stage's history: which of its lanes have diverged, and the rows read off it."""

import math

import numpy as np
import pytest

from optlab import stages
from optlab.stages import Contender, Stage
from optlab.training import Metrics

CONTENDER = Contender("sgd", lambda point, steps: None, ({"rate": 0.1}, {"rate": 0.2}))


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
