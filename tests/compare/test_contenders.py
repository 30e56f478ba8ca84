"""Contenders: overrides, what is a lane, what is a contender, what is refused."""

import numpy as np
import pytest

from optlab import compare, sweep
from optlab.compare import Search
from optlab.errors import InputError

SGD = {"sgd": {}}


def labels(contenders):
    return [(each.label, each.group, len(each.points)) for each in contenders]


def test_a_number_is_a_lane_of_one_program(contenders_of):
    changes = {
        "model": {"dropout": (0.0, 0.2, 0.5)},
        "loss": {"label_smoothing": (0.0, 0.1)},
    }
    (sgd,) = contenders_of(SGD, **changes)
    assert len(sgd.points) == 2 * 2 * 3
    assert set(sgd.points[0]) == {
        "loss.label_smoothing", "model.dropout", "optimizer.learning_rate",
    }  # fmt: skip
    assert set(sgd.task.problem_numbers) == {"loss.label_smoothing", "model.dropout"}


@pytest.mark.parametrize(
    ("changes", "groups"),
    [
        ({"batch_size": (8, 24)}, ["batch_size 8", "batch_size 24"]),
        ({"epochs": (1, 2)}, ["epochs 1", "epochs 2"]),
        ({"model": {"hidden": ((2,), (3, 3))}}, ["hidden (2,)", "hidden (3, 3)"]),
        ({"model": {"activation": ("tanh", "relu")}},
         ["activation tanh", "activation relu"]),
        ({"loss": {"name": ("cross_entropy", "squared_error")}},
         ["name cross_entropy", "name squared_error"]),
    ],
)  # fmt: skip
def test_what_all_share_and_is_no_lane_makes_groups(contenders_of, changes, groups):
    found = contenders_of(
        {"sgd": {}, "adam": {"optimizer": {"name": "adam"}}}, **changes
    )
    assert labels(found) == [
        (f"{name}, {group}", group, points)
        for group in groups
        for name, points in (("sgd", 2), ("adam", 1))
    ]


def test_what_one_changes_and_is_no_lane_makes_contenders_of_one_group(contenders_of):
    found = contenders_of({"few": {"batch_size": (1, 2)}, "many": {"batch_size": 24}})
    assert labels(found) == [
        ("few, batch_size 1", "", 2), ("few, batch_size 2", "", 2), ("many", "", 2),
    ]  # fmt: skip
    assert [each.task.steps_per_epoch for each in found] == [24, 12, 1]


def test_a_whole_number_of_a_shape_is_no_lane(contenders_of):
    lbfgs = {"optimizer": {"name": "lbfgs", "memory_size": (2, 3)}}
    found = contenders_of({"lbfgs": lbfgs}, optimizer={"name": "sgd"})
    assert [each.name for each in found] == [
        "lbfgs, memory_size 2", "lbfgs, memory_size 3",
    ]  # fmt: skip


def test_schedules_and_augmentations_are_swept_too(contenders_of):
    (found,) = contenders_of(
        {"sgd": {"schedule": {"name": "power", "decay_epochs": (1, 4)}}},
    )
    assert [p["schedule.decay_epochs"] for p in found.points] == [1, 1, 4, 4] or [
        p["schedule.decay_epochs"] for p in found.points
    ] == [1, 4, 1, 4]
    piecewise = {
        "boundary_epochs": (1,),
        "factors": (0.1,),
        "name": "piecewise_constant",
    }
    (found,) = contenders_of({"sgd": {"schedule": piecewise}})
    assert len(found.points) == 2  # a sequence is no grid


def test_another_name_drops_the_options_of_the_old_part(contenders_of):
    (adam,) = contenders_of({"adam": {"optimizer": {"name": "adam"}}})
    assert adam.settings["optimizer"] == {"name": "adam"}
    assert adam.points == ({},)
    assert adam.differs == {"optimizer.name": "adam"}


def test_equal_problems_are_made_once(contenders_of):
    first, second, third = contenders_of(
        {
            "a": {},
            "b": {"optimizer": {"name": "adam"}},
            "c": {"model": {"hidden": (5,)}},
        }
    )
    assert first.task.problem is second.task.problem is not third.task.problem


@pytest.mark.parametrize("kind", ["random", "halton"])
def test_drawn_points_share_the_unit_cube(contenders_of, kind):
    two = {
        "optimizer": {
            "name": "momentum",
            "learning_rate": (1e-3, 1.0),
            "momentum": (0.5, 0.9),
        }
    }
    sgd, momentum = contenders_of({"sgd": {}, "two": two}, Search(kind, 6))
    rates = np.array([p["optimizer.learning_rate"] for p in sgd.points])
    other = np.array([p["optimizer.learning_rate"] for p in momentum.points])
    unit = np.log(rates / 0.05) / np.log(0.5 / 0.05)
    np.testing.assert_allclose(unit, np.log(other / 1e-3) / np.log(1e3), atol=1e-9)
    assert ((unit > 0) & (unit < 1)).all()
    assert len(set(unit)) == 6
    moments = np.array([p["optimizer.momentum"] for p in momentum.points])
    assert ((moments > 0.5) & (moments < 0.9)).all()


@pytest.mark.parametrize(
    ("overrides", "changes", "message"),
    [
        ({}, {}, "there is no contender"),
        ({" ": {}}, {}, "its label is empty"),
        ({"a": {"modle": {}}}, {}, "overrides 'modle', .*did you mean model"),
        ({"a": {"metric": "loss"}}, {}, "overrides 'metric'"),
        ({"a": {"model": "cnn"}}, {}, "model is a section"),
        ({"a": {"epochs": {"name": 3}}}, {}, "epochs is one value"),
        ({"a": {"model": {"hiden": (3,)}}}, {}, "did you mean hidden"),
        ({"a": {"optimizer": {"name": "adma"}}}, {}, "no optimizer 'adma'"),
        ({"a": {"optimizer": {"learning_rate": (0.1, 0.1)}}}, {}, "a value twice"),
        ({"a": {"optimizer": {"learning_rate": (0.1, -0.1)}}}, {}, "at least 0"),
        ({"a": {"optimizer": {"learning_rate": ()}}}, {}, "is empty"),
        ({"a": {"optimizer": {"learning_rate": ("x",)}}}, {}, "must be a number"),
        ({"a": {"model": {"dropout": (0.1, 1.5)}}}, {}, "1.5"),
        ({"a": {"batch_size": 25}}, {}, "does not fit the training split of blobs"),
        ({"a": {"batch_size": 2.5}}, {}, "batch_size=2.5 must be a whole number"),
        ({"a": {"epochs": 0}}, {}, "epochs=0 must be a whole number"),
        ({"a": {"augment": {"flp": {}}}}, {}, "no augmentation 'flp'"),
        ({"a": {"loss": {"name": "hinge"}}}, {}, "no loss 'hinge'"),
        ({"a": {"problem": "regression"}}, {}, "floating-point"),
        (SGD, {"metric": "recall"}, "no metric 'recall'"),
        ({"a": {"schedule": {"name": "cosine"}}}, {}, "'decay_epochs'"),
        ({"a, x 1": {}, "a": {"model": {"hidden": ((1,), (2,))}}}, {}, None),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(contenders_of, overrides, changes, message):
    if message is None:
        contenders_of(overrides, **changes)
        return
    with pytest.raises(InputError, match=message) as info:
        contenders_of(overrides, **changes)
    assert "\n" not in str(info.value)


def test_two_of_one_label_are_refused(contenders_of):
    overrides = {"a, batch_size 8": {}, "a": {"batch_size": (8, 12)}}
    with pytest.raises(InputError, match="two contenders are called 'a, batch_size 8'"):
        contenders_of(overrides)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (Search("gird"), "no search 'gird'; did you mean grid"),
        (Search("random"), "needs points"),
        (Search("halton", 0), "needs points"),
        (Search("grid", 3), "a grid has its own"),
    ],
)
def test_a_search_without_points_is_refused(contenders_of, search, message):
    with pytest.raises(InputError, match=message):
        contenders_of(SGD, search)


@pytest.mark.parametrize("ends", [(0.5, 0.1), (0.1, 0.2, 0.3)])
def test_a_range_needs_two_rising_ends(contenders_of, ends):
    changes = {"optimizer": {"learning_rate": ends}}
    with pytest.raises(InputError, match="is no range"):
        contenders_of(SGD, Search("random", 3), **changes)


def test_contenders_of_other_metrics_are_not_compared(contenders_of):
    other = {"problem": "autoencoder", "loss": {"name": "squared_error"}}
    both = contenders_of({"a": {}, "b": other})
    with pytest.raises(InputError, match="compare problems of one kind"):
        compare.metrics_of(both)


def test_lanes_of_a_swept_dropout_are_those_of_single_runs(contenders_of):
    """A share that is a lane trains as the same share alone does."""
    (swept,) = contenders_of(SGD, model={"dropout": (0.0, 0.5)},
                             optimizer={"learning_rate": 0.1})  # fmt: skip
    (fixed,) = contenders_of(
        SGD, model={"dropout": 0.5}, optimizer={"learning_rate": 0.1}
    )
    losses = []
    for contender, points in ((swept, swept.points), (fixed, ({},))):
        lanes = sweep.make_lanes((3,), points)
        layout = sweep.parallel.layout("jit", 1, 8)
        program = sweep.compile_program(contender.task, lanes, layout, len(points))
        _, metrics = program.train(program.init(lanes), lanes, 0)
        losses.append(np.asarray(metrics["loss"])[0, -1])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_a_partition_of_methods_is_a_contender(contenders_of, tmp_path, monkeypatch):
    (tmp_path / "my_partition.py").write_text("""
import optax
import optlab

def both(learning_rate=1e-2):
    methods = {"adam": optlab.adam(learning_rate), "lm": optlab.levenberg_marquardt()}
    return optax.partition(
        methods, lambda p: {k: "lm" if k == max(p) else "adam" for k in p}
    )
""")
    monkeypatch.syspath_prepend(tmp_path)
    optimizer = {"name": "my_partition.both", "learning_rate": (0.1, 0.01)}
    (found,) = contenders_of({"both": {"optimizer": optimizer}})
    assert [list(point.values()) for point in found.points] == [[0.1], [0.01]]


def test_what_the_epochs_cut_off_is_said(contenders_of):
    cosine = {"schedule": {"name": "cosine", "decay_epochs": (1, 2, 5)}}
    power = {"schedule": {"name": "power", "decay_epochs": 9.0}}
    stopped = {"stop": {"patience": 2}}
    contenders = contenders_of({"sgd": {}, "a": cosine, "b": power, "c": stopped})
    assert compare.cautions(contenders) == (
        "a: schedule.decay_epochs goes on until epoch 5, and its runs have 2.",
        "c: stop.patience=2 ends no run of 2.",
    )
