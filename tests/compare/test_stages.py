"""Which lanes have diverged, and what of a stage becomes arrays of lanes."""

from types import SimpleNamespace

import numpy as np
import pytest

from optlab import compare
from optlab.compare import stages
from optlab.compare.stages import History, Stage
from optlab.compare.stop import Stop
from optlab.problems import Metric

STEPS = 4  # of an epoch
LOSS = Metric("loss", False, False, lambda outputs, targets: None)


def stage_of(lanes, rules=Stop()):  # noqa: B008  a frozen value
    task = SimpleNamespace(steps_per_epoch=STEPS)
    points = tuple(range(lanes))
    contender = SimpleNamespace(
        label="sgd", epochs=2, task=task, stop=rules, points=({},) * lanes
    )
    return Stage("tune", contender, (LOSS,), (0,), points, ("validation",), ())


def history(steps, validation, epoch=2):
    """Mini-batch losses ``[lanes, 8]`` and validation losses ``[3, lanes]``."""
    steps, validation = np.array(steps, float), np.array(validation, float)
    return History(
        epoch=np.int64(epoch),
        seconds=np.array([0.0, 1.0, 2.0]),
        steps={"loss": steps[None]},
        evaluations={"validation": {"loss": validation[:, None]}},
        compiles=np.int64(1),
        compile_seconds=np.float64(0.5),
    )


@pytest.mark.parametrize(
    ("name", "steps", "validation", "lost"),
    [
        (
            "not moved, unlucky batches",
            [1.1, 0.9] * 2 + [1.3, 1.2] * 2,
            [1, 1, 1],
            False,
        ),
        (
            "learns slowly, unlucky batches",
            [1.0] * 4 + [1.2] * 4,
            [1, 0.99, 0.98],
            False,
        ),
        ("overfits", [1.0] * 4 + [0.01] * 4, [1, 2, 4], False),
        ("dropout makes training hard", [1.5] * 8, [1, 0.9, 0.8], False),
        ("rises", [1, 2, 3, 4, 5, 6, 7, 8], [1, 5, 9], True),
        ("recovers", [1, 9, 9, 9, 0.5, 0.5, 0.5, 0.5], [1, 9, 0.5], False),
        ("one batch is nan", [1, 1, 1, 1, 1, np.nan, 1, 1], [1, 1, 1], True),
        ("validation is infinite", [1.0] * 8, [1, np.inf, 1], True),
        ("negative loss falls", [-1.0] * 4 + [-2.0] * 4, [-1, -1.5, -2], False),
        ("negative loss rises", [-1.0] * 4 + [3.0] * 4, [-1, 1, 3], True),
    ],
)
def test_what_has_diverged(name, steps, validation, lost):
    found = stages.diverged(stage_of(1), history([steps], [[v] for v in validation]))
    assert found.tolist() == [[lost]], name


def test_rates_that_hardly_move_a_net_are_not_lost():
    """Of 12 seeds none, after any epoch, in batches of 8; and all at a rate of 1e4."""
    rates = (0.0, 1e-8, 1e-6, 1e-4, 1e4)
    recipe = {
        "data": {"name": "digits", "examples": 400},
        "augment": {},
        "problem": "classification",
        "metric": None,
        "model": {"name": "mlp", "hidden": (8,)},
        "loss": {"name": "cross_entropy"},
        "optimizer": {"name": "adam", "learning_rate": rates},
        "schedule": {"name": "constant"},
        "epochs": 3,
        "batch_size": 8,
    }
    lost = []

    class Counter(compare.Observer):
        def segment(self, stage, progress):
            if stage.phase == "tune" and progress.history.epoch:
                lost.append(stages.diverged(stage, progress.history).sum(0).tolist())

    contenders = compare.make_contenders(
        recipe, {"adam": {}}, compare.recipe.load_dataset
    )
    compare.compare(contenders, compare.Protocol(12, 1, width=60), Counter())
    assert lost == [[0, 0, 0, 0, 12]] * 3


def test_what_is_not_measured_yet_does_not_count():
    steps = [[1, 1, 1, 1, *[np.nan] * 4]]
    found = stages.diverged(stage_of(1), history(steps, [[1], [1], [np.nan]], epoch=1))
    assert not found.any()


def test_lanes_that_ran_together_have_no_time_and_single_ones_have():
    both = history([[1.0] * 8] * 2, [[1, 1]] * 3)
    assert np.isnan(stages.runs_of(stage_of(2), [both]).seconds).all()
    alone = history([[1.0] * 8], [[1]] * 3)
    runs = stages.runs_of(stage_of(1)._replace(seeds=(5,)), [alone, alone])
    assert runs.seeds == (5, 6)
    assert runs.seconds[:, :, 0].T.tolist() == [[0, 1, 2]] * 2
    assert runs.steps["loss"].shape == (2, 1, 8)
    assert runs.evaluations["validation"]["loss"].shape == (3, 2, 1)
    assert runs.diverged.shape == (2, 1)
