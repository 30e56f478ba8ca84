"""Rules that end a run: when, what remains of it, and that nothing else changes."""

import functools
import math

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optlab import compare
from optlab.compare import stages, stop
from optlab.compare.stop import Stop
from optlab.errors import InputError
from optlab.problems import Metric
from optlab.results import summarize, write_csv
from tests.compare.test_comparison import Diary, Keeper
from tests.compare.test_stages import LOSS, history, stage_of

ACCURACY = Metric("accuracy", True, True, lambda outputs, targets: None)
PROTOCOL = compare.Protocol(tune_seeds=2, report_seeds=2, width=100)
NAN = math.nan


def first_met(rules, losses, accuracies, norms):
    """The epoch at which one lane ends, looked for epoch by epoch; None: at none."""
    for epoch in range(1, len(losses)):
        seen = [x if math.isfinite(x) else math.inf for x in losses[: epoch + 1]]
        waited = epoch - seen.index(min(seen))
        if rules.patience is not None and waited >= rules.patience:
            return epoch
        if rules.target is not None and accuracies[epoch] >= rules.target:
            return epoch
        if rules.gradient_norm is not None and norms[epoch] <= rules.gradient_norm:
            return epoch
    return None


VALUES = st.one_of(st.sampled_from([0.0, 0.5, 1.0, NAN, math.inf]), st.floats(0, 2))
LANE = st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=7, max_size=7)
RULES = st.builds(
    Stop,
    patience=st.none() | st.integers(1, 6),
    target=st.none() | st.floats(0, 2),
    gradient_norm=st.none() | st.floats(0, 2),
    weight_change=st.none(),
)


@given(lanes=st.lists(LANE, min_size=1, max_size=3), rules=RULES)
def test_lanes_end_where_a_search_epoch_by_epoch_ends_them(lanes, rules):
    losses, accuracies, norms = np.moveaxis(np.array(lanes), -1, 0)
    evaluations = {
        "validation": {"loss": losses.T[:, None], "accuracy": accuracies.T[:, None]},
        "train": {"gradient_norm": norms.T[:, None]},
    }
    found = stop.ends(rules, ACCURACY, evaluations, 6, 9)[0]
    expected = [first_met(rules, *np.array(lane).T.tolist()) for lane in lanes]
    assert found.tolist() == [9 if each is None else each for each in expected]
    so_far = stop.ends(rules, ACCURACY, evaluations, 3, 9)[0]
    assert [x for x in so_far if x < 9] == [x for x in found if x <= 3]


def test_a_lower_metric_meets_its_target_from_above():
    losses = np.array([0.1, 0.5, 0.4])[:, None, None]
    found = stop.ends(Stop(target=0.4), LOSS, {"validation": {"loss": losses}}, 2, 9)
    assert found.item() == 2


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"patiense": 3}, "no rule 'patiense'.*patience"),
        ({"patience": 0}, "patience must be 1 or more"),
        ({"patience": 2.5}, "patience must be a whole number"),
        ({"patience": "soon"}, "patience must be a whole number"),
        ({"gradient_norm": -1.0}, "gradient_norm must be finite and at least 0"),
        ({"weight_change": NAN}, "weight_change must be finite"),
        ({"target": True}, "target must be a number"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(contenders_of, rules, message):
    with pytest.raises(InputError, match=message):
        contenders_of({"sgd": {}}, stop=rules)


def test_what_a_lane_does_after_its_end_is_not_counted():
    # Lane 0 ends after epoch 1, by its loss, and is lost later; lane 1 goes on.
    steps = [[1, 1, 1, 1, 9, 9, 9, NAN], [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]]
    seen = history(steps, [[1, 1], [2, 0.9], [NAN, 0.8]])
    stage = stage_of(2, Stop(patience=1))
    assert stages.done(stage, seen)
    assert not stages.diverged(stage, seen).any()
    runs = stages.runs_of(stage, [seen])
    assert runs.ends.tolist() == [[1, 2]]
    loss = runs.evaluations["validation"]["loss"][:, 0]
    assert loss.T.tolist() == [[1, 2, 2], [1, 0.9, 0.8]]
    taken = np.isfinite(runs.steps["loss"][0])
    assert taken.sum(axis=-1).tolist() == [4, 8]
    assert not stages.done(stage_of(2), history(steps, [[1, 1]] * 3, epoch=1))


STOPPED = {"epochs": 6, "stop": {"target": 0.7}, "optimizer": {"learning_rate": 0.2}}


@pytest.fixture(scope="module")
def stopped(contenders_of):
    diary = Diary()
    (entry,) = compare.compare(contenders_of({"sgd": STOPPED}), PROTOCOL, diary)
    return entry, diary


def test_a_stopped_run_is_the_run_of_that_many_epochs(contenders_of, stopped):
    entry, diary = stopped
    ends = entry.report.ends[:, 0].tolist()
    assert all(1 < end < 6 for end in ends)
    for (stage, trained), end in zip(diary.nets, ends, strict=True):
        whole = {**STOPPED, "epochs": end, "stop": {}}
        other = Diary()
        compare.compare(
            contenders_of({"sgd": whole}), PROTOCOL._replace(report_seeds=2), other
        )
        (same,) = (net for at, net in other.nets if at.seeds == stage.seeds)
        jax.tree.map(np.testing.assert_array_equal, trained.params, same.params)
        jax.tree.map(np.testing.assert_array_equal, trained.history, same.history)
        i = entry.report.seeds.index(stage.seeds[0])
        for name, value in trained.evaluate("test").items():
            assert float(value) == entry.report.evaluations["test"][name][-1, i, 0]


def test_a_stopped_run_costs_its_own_epochs(stopped, make_results, tmp_path):
    entry, _ = stopped
    report = entry.report
    for i, end in enumerate(report.ends[:, 0]):
        assert (np.diff(report.seconds[: end + 1, i, 0]) > 0).all()
        assert (report.seconds[end:, i, 0] == report.seconds[end, i, 0]).all()
    results = make_results()._replace(
        entries=(entry,), metrics=(ACCURACY, LOSS), target=None
    )
    (summary,) = summarize(results)
    assert summary.epochs.mean == report.ends.mean()
    assert summary.stopped == 2
    assert summary.steps == 3 * entry.tune.ends.sum()
    write_csv(tmp_path / "rows.csv", [("sgd", entry.points, report)])
    rows = (tmp_path / "rows.csv").read_text().splitlines()
    assert sum(",validation," in row for row in rows) == (report.ends + 1).sum()


# Of 3 to 6 segments a stage: within the sweep, and within the first report run.
@pytest.mark.parametrize("segments", [2, 5])
def test_a_killed_run_with_rules_goes_on_to_the_same_bits(
    contenders_of, stopped, tmp_path, segments
):
    run = functools.partial(compare.compare, contenders_of({"sgd": STOPPED}), PROTOCOL)
    with pytest.raises(KeyboardInterrupt):
        run(Keeper(tmp_path, segments))
    (resumed,) = run(Keeper(tmp_path))
    for one, other in (
        (resumed.tune, stopped[0].tune),
        (resumed.report, stopped[0].report),
    ):
        for field in ("steps", "evaluations", "diverged", "ends"):
            jax.tree.map(
                np.testing.assert_array_equal,
                getattr(one, field),
                getattr(other, field),
            )
    again = Keeper(tmp_path)
    run(again)
    assert not again.started


def test_watched_quantities_are_kept_with_the_training_split(contenders_of):
    rules = {"gradient_norm": 1e-9, "weight_change": 1e-9}
    recipes = contenders_of({"sgd": {"stop": rules}})
    (entry,) = compare.compare(recipes, PROTOCOL._replace(report_seeds=1))
    for runs in (entry.tune, entry.report):
        for name in rules:
            seen = runs.evaluations["train"][name]
            assert np.isnan(seen[0]).all()
            assert (seen[1:] > 0).all()
    assert set(entry.tune.evaluations["train"]) == set(rules)


def test_a_change_of_weights_is_that_of_the_net_as_it_is_evaluated(contenders_of):
    free = {"name": "schedule_free_sgd", "learning_rate": 0.1, "b1": 0.5}
    nets = []
    for epochs in (1, 2):
        diary = Diary()
        recipe = {"optimizer": free, "epochs": epochs, "stop": {"weight_change": 1e-9}}
        (entry,) = compare.compare(
            contenders_of({"free": recipe}),
            PROTOCOL._replace(tune_seeds=1, report_seeds=1),
            diary,
        )
        ((_, net),) = diary.nets
        nets.append(net.params)
    old, new = (np.concatenate([x.ravel() for x in jax.tree.leaves(n)]) for n in nets)
    expected = np.linalg.norm(new - old) / np.linalg.norm(old)
    found = entry.report.evaluations["train"]["weight_change"][2].item()
    assert found == pytest.approx(expected, rel=1e-4)
