"""Statistics against numbers worked by hand, the choice of points, files."""

import csv
import json
import math

import numpy as np
import pytest

from optlab import results as lab
from optlab.errors import InputError
from optlab.problems import Metric
from optlab.results import Interval, Runs, statistics
from optlab.results.sawtooth import teeth

NAN = float("nan")
SHARE = Metric("accuracy", True, True, lambda outputs, targets: None)
ERROR = Metric("error", False, False, lambda outputs, targets: None)
LOSS = Metric("loss", False, False, lambda outputs, targets: None)


def lanes(values, losses=None, diverged=(), name="accuracy", seconds=None):
    """Runs of two evaluations, from the last one: ``[seeds, points]``."""
    values = np.array(values, np.float32)
    losses = np.full(values.shape, 0.5) if losses is None else np.array(losses)
    lost = np.zeros(values.shape, bool)
    for lane in diverged:
        lost[lane] = True
    first = np.full(values.shape, 9.0, np.float32)  # best of all, and not to be read
    measured = {name: np.stack([first, values]), "loss": np.stack([first, losses])}
    return Runs(
        phase="tune",
        seeds=tuple(range(values.shape[0])),
        points=tuple(range(values.shape[1])),
        steps_per_epoch=10,
        seconds=np.full((2, *values.shape), NAN) if seconds is None else seconds,
        steps={},
        evaluations={"validation": measured},
        diverged=lost,
        ends=np.ones(values.shape, int),
    )


# Worked by hand: 0.80, 0.84, 0.88, 0.92, 0.96 has mean 0.88 and standard deviation
# sqrt(0.016 / 4) = 0.0632456; t(0.975; 4) = 2.776445; half = t * s / sqrt(5).
def test_interval_of_five_values_is_the_one_worked_by_hand():
    interval = statistics.mean_interval([0.80, 0.84, NAN, 0.88, 0.92, 0.96])
    half = 2.776445 * 0.0632456 / math.sqrt(5)
    np.testing.assert_allclose(interval[:3], [0.88, 0.88 - half, 0.88 + half], 1e-6)
    assert interval.n == 5
    # t(0.975; 1) = 12.7062, s / sqrt(2) = 1
    assert statistics.mean_interval([1.0, 3.0]).low == pytest.approx(
        2 - 12.7062, rel=1e-5
    )


@pytest.mark.parametrize("values", [[], [NAN], [math.inf]])
def test_interval_of_nothing_is_nan(values):
    interval = statistics.mean_interval(values)
    assert np.isnan(interval[:3]).all()
    assert interval.n == 0


def test_p_value_is_that_of_the_t_table():
    # differences 1 to 5: mean 3, deviation sqrt(2.5), t = 3 / sqrt(2.5 / 5) = 4.242641.
    # Of 4 degrees of freedom, with s = t / sqrt(4 + t^2): p = 1 - 1.5 s (1 - s^2 / 3).
    s = 4.242641 / math.sqrt(4 + 18)
    p = statistics.paired_p([1.0, 2.0, 3.0, 4.0, 5.0])
    assert p == pytest.approx(1 - 1.5 * s * (1 - s**2 / 3), rel=1e-5)


@pytest.mark.parametrize(
    ("values", "p"),
    [
        ([0.5, 0.5], 0.5),
        ([-0.1] * 6, 1 / 32),
        # One image of 60 in both seeds, by accuracies in float32.
        ([np.float32(29 / 60) - np.float32(28 / 60), float(np.float32(1 / 60))], 0.5),
        # One of 360 in three seeds; the differences deviate by 1.2e-5 of their mean.
        (
            [
                float(np.float32((k + 1) / 360)) - float(np.float32(k / 360))
                for k in (355, 357, 358)
            ],
            0.25,
        ),
        ([0.0, 0.0], 1.0),
        ([0.5], NAN),
        ([], NAN),
    ],
)
def test_p_value_without_spread_or_without_pairs(values, p):
    np.testing.assert_equal(statistics.paired_p(values), p)


@pytest.mark.parametrize("values", [[0.5, 0.5], [-0.1] * 6, [0.0, 0.0, 0.0]])
def test_an_interval_without_width_is_none(values):
    interval = statistics.paired_interval(values)
    np.testing.assert_allclose(interval, [values[0], NAN, NAN, len(values)])
    assert statistics.paired_interval([0.5]).n == 1


def test_holm_is_the_step_down_worked_by_hand():
    # sorted .005 .01 .03 .04 times 4 3 2 1: .02 .03 .06 .04, made monotone
    np.testing.assert_allclose(
        statistics.holm([0.01, NAN, 0.04, 0.03, 0.005]), [0.03, NAN, 0.06, 0.06, 0.02]
    )
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_ranks_are_ranges_where_pairs_are_not_separated():
    interval = Interval(0, 0, 0, 3)
    outcomes = {("a", "b"): "not separated", ("a", "c"): "a better"}
    outcomes[("b", "c")] = "not separated"
    pairs = [lab.Difference(*p, "", interval, 0, 0, v) for p, v in outcomes.items()]
    assert lab.ranks(pairs) == {"a": (1, 2), "b": (1, 3), "c": (2, 3)}


@pytest.mark.parametrize(
    ("seconds", "reached", "median"),
    [
        # S(6) = 3/6
        ([6, 6, 6, 9, 9, 9], [1, 1, 1, 0, 0, 0], 6),
        # S(1) = 4/5, S(3) = 4/5 * 2/3 = 8/15, S(4) = 8/15 * 1/2
        ([1, 2, 3, 4, 5], [1, 0, 1, 1, 0], 4),
        ([1, 2, 3, 4, 5], [1, 1, 0, 0, 0], NAN),
        # The run that ends at 2 is still on its way at the event at 2: S(2) = 2/3.
        ([2, 2, 3], [1, 0, 1], 3),
        ([3, 1, 2], [1, 1, 1], 2),
        ([5, 5], [0, 0], NAN),
        ([math.inf, math.inf, 5], [0, 0, 1], NAN),
        ([math.inf, 3, 5], [0, 1, 1], 5),
        ([], [], NAN),
    ],
)
def test_median_time_counts_the_runs_that_missed(seconds, reached, median):
    found = lab.median_time(np.array(seconds, float), np.array(reached, bool))
    np.testing.assert_equal(found, median)


def test_time_to_target_is_the_first_evaluation_on_the_right_side():
    seconds = np.broadcast_to(np.array([0.0, 2.0])[:, None, None], (2, 3, 1))
    low = lanes([[0.2], [0.1], [0.05]], name="error", seconds=seconds)
    low.evaluations["validation"]["error"][0, 2] = 0.01
    times, reached = lab.times_to_target(low, ERROR, 0.1)  # 0.1 in float32 too
    assert times.tolist() == [2.0, 2.0, 0.0]
    assert reached.tolist() == [False, True, True]
    high = lanes([[0.95], [0.9], [0.99]], seconds=seconds)
    high.evaluations["validation"]["accuracy"][0] = 0.0
    assert lab.times_to_target(high, SHARE, 0.95)[1].tolist() == [True, False, True]


def test_a_run_that_a_rule_stopped_does_not_get_to_the_target_later():
    # Two runs end after 1 s; the third meets the target after 2 s.
    values = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.9]])[:, :, None]
    seconds = np.array([[0, 0, 0], [1, 1, 1], [1, 1, 2.0]])[:, :, None]
    runs = lanes(values[-1])._replace(
        seconds=seconds,
        evaluations={"validation": {"accuracy": values.astype(np.float32)}},
        ends=np.array([[1], [1], [2]]),
    )
    assert np.isnan(lab.median_time_to_target(runs, SHARE, 0.8))
    cut_off = runs._replace(ends=np.full((3, 1), 2))
    assert lab.median_time_to_target(cut_off, SHARE, 0.8) == 2.0


@pytest.mark.parametrize(
    ("case", "best"),
    [
        ({"values": [[0.9, 0.99], [0.9, 0.83]]}, 1),  # means .90 and .91
        ({"values": [[0.9, 0.9, 0.9]], "losses": [[0.4, 0.3, 0.3]]}, 1),
        ({"values": [[0.5, 0.99], [0.5, 0.99]], "diverged": [(1, 1)]}, 0),
        ({"values": [[0.5, 0.9], [0.7, 0.1]], "diverged": [(0, 0), (1, 1)]}, 1),
        ({"values": [[0.5, 0.9]], "diverged": [(0, 0), (0, 1)]}, None),
        # A value that is not finite loses even to a point with a diverged seed.
        ({"values": [[NAN, 0.1], [NAN, NAN]], "diverged": [(1, 1)]}, 1),
        ({"values": [[NAN, 0.1, math.inf]], "diverged": [(0, 1)]}, 0),
        ({"values": [[NAN, NAN]], "losses": [[NAN, 0.5]]}, 1),
    ],
)
def test_choice_of_the_point(case, best):
    assert lab.choose_point(lanes(**case), (SHARE, LOSS)) == best


def test_choice_follows_the_direction_of_the_metric():
    runs = lanes([[0.3, 0.1, 0.2]], name="error")
    assert lab.choose_point(runs, (ERROR, LOSS)) == 1
    assert lab.rank_points(runs, (ERROR, LOSS)) == [1, 2, 0]
    assert lab.choose_point(lanes([[1, 2]], [[0.2, 0.1]]), (LOSS,)) == 1


def test_edges_are_by_value_not_by_index_and_of_every_key():
    grid = [{"rate": r, "share": s} for s in (0.0, 0.5, 0.9) for r in (1, 2, 3)]
    found = [lab.edge(grid, i) for i in range(9)]
    assert [each.get("rate", "") for each in found] == ["lower", "", "upper"] * 3
    assert [each.get("share", "") for each in found] == [""] * 6 + ["upper"] * 3
    assert lab.edge(grid, None) == lab.edge([{"rate": 1.0}], 0) == {}


def test_summary_of_one_contender(make_results):
    results = make_results(("sgd",), seeds=3)
    report = results.entries[0].report
    for split, loss in (("train", 0.2), ("validation", 0.3)):
        report.evaluations[split]["loss"][-1] = loss
    report.evaluations["test"]["loss"][-1] = np.array([[0.1], [0.2], [0.6]])
    report.evaluations["test"]["accuracy"][-1] = np.array([[0.8], [0.9], [1.0]])
    report.seconds[-1] = np.array([[4.0], [9.0], [6.0]])
    (summary,) = lab.summarize(results)
    assert summary.train_loss.mean == pytest.approx(0.2)
    assert summary.validation_loss.mean == pytest.approx(0.3)
    assert summary.gap.mean == pytest.approx(0.1)
    # s = 0.1, t(0.975; 2) = 4.302653
    half = 4.302653 * 0.1 / 3**0.5
    assert summary.test["accuracy"][:2] == pytest.approx((0.9, 0.9 - half))
    assert summary.seconds == 6.0
    assert (summary.tune_diverged, summary.steps) == (6, 10 * 3 * 4 * 10)
    assert summary.best is not None
    assert summary.best["optimizer.learning_rate"] == pytest.approx(0.01)
    report.diverged[1] = True
    (summary,) = lab.summarize(results)
    assert summary.test["accuracy"].mean == pytest.approx(0.9)
    assert summary.test["accuracy"].n == 2
    assert "1 of 3 report runs diverged and are left out" in summary.remark


def compared(make_results, groups):
    """Two contenders of 4 seeds; in the first group adam is ahead with t = 5."""
    results = make_results(("sgd", "adam", "lamb"), groups=groups, lost=("lamb",))
    for entry in results.entries[:2]:
        base = np.arange(4.0)[:, None] / 100  # the seeds' luck, shared
        entry.report.evaluations["test"]["accuracy"][-1] = base
    noise = np.array([[1], [1], [2], [1]]) / 1000
    results.entries[1].report.evaluations["test"]["accuracy"][-1] += noise
    return results


def test_differences_are_within_groups_and_corrected_over_all(make_results):
    results = compared(make_results, ("a", "b"))
    first, second = lab.differences(results)
    assert (first.first, first.second, first.group) == ("sgd", "adam", "a")
    assert second.group == "b"
    # differences 1, 1, 2, 1: mean 1.25, s = .5, t = 5, 3 degrees of freedom
    assert first.interval.mean == pytest.approx(-0.00125, rel=1e-4)
    assert first.p == pytest.approx(0.0153924, rel=1e-3)
    assert first.corrected == pytest.approx(2 * first.p)
    assert first.verdict == "adam better"
    # The seeds' luck, ten times the difference, is not in its interval.
    half = 3.182446 * 0.0005 / 2  # t(0.975; 3) * s / sqrt(4)
    assert first.interval.high - first.interval.mean == pytest.approx(half, rel=1e-4)
    worse = results._replace(metrics=(SHARE._replace(higher=False), LOSS))
    assert lab.differences(worse)[0].verdict == "sgd better"
    # Of four pairs, the same difference is no longer separated.
    first = lab.differences(compared(make_results, ("a", "b", "c", "d")))[0]
    assert first.p < 0.05 < first.corrected
    assert first.verdict == "not separated"


def test_differences_pair_the_seeds_at_which_both_are_measured(make_results):
    results = compared(make_results, ("a",))
    results.entries[0].report.diverged[2] = True
    (pair,) = lab.differences(results)
    # seeds 0, 1 and 3: all differences are -0.001, up to float32
    assert pair.interval.n == 3
    assert pair.interval.mean == pytest.approx(-0.001, rel=1e-4)
    (alone,) = lab.differences(make_results(("sgd", "adam"), seeds=1))
    assert (alone.interval.n, alone.verdict) == (1, "not separated")


def test_csv_has_one_tidy_row_for_each_measured_lane(tmp_path, make_results):
    results = make_results(("sgd", 'a "b", c\nd'), seeds=2, lost=("sgd",))
    sgd, other = results.entries
    points = ({"damping": 1e-30},) * len(other.points)
    runs = [(sgd.label, sgd.points, sgd.tune), (other.label, points, other.report)]
    lab.write_csv(tmp_path / "rows.csv", runs)
    with open(tmp_path / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "contender", "phase", "seed", "point", "epoch", "step", "split", "accuracy",
        "loss", "seconds", "diverged", "optimizer.learning_rate", "optimizer.momentum",
        "damping",
    ]  # fmt: skip
    tune = [row for row in rows if row["contender"] == "sgd"]
    assert len(tune) == 3 * 10 * 5
    report = [row for row in rows if row["contender"] == 'a "b", c\nd']
    assert len(report) == 2 * (5 + 5 + 1)  # the test split once, after the last step
    row = next(row for row in report if row["split"] == "test")
    assert (row["seed"], row["epoch"], row["step"]) == ("10", "4", "40")
    assert float(row["loss"]) == other.report.evaluations["test"]["loss"][-1, 0, 0]
    assert (row["damping"], row["optimizer.momentum"]) == ("1e-30", "")
    assert (tune[0]["seconds"], tune[1]["loss"], tune[0]["diverged"]) == (
        "",
        "",
        "True",
    )


def test_json_is_strict_and_has_what_the_page_has(tmp_path, make_results):
    published = ({"contender": "adam", "test_accuracy": 0.79},)
    results = make_results(seeds=1, lost=("lamb",), published=published)
    lab.write_json(tmp_path / "results.json", results)

    def refuse(token):
        raise AssertionError(token)

    text = (tmp_path / "results.json").read_text()
    content = json.loads(text, parse_constant=refuse)
    first, *_, last = content["summary"]
    assert first["label"] == "sgd"
    assert len(first["points"]) == 10
    assert first["best"] in first["points"]
    assert first["test"]["accuracy"]["low"] is None  # one seed
    assert last["remark"] == "all lanes diverged"
    assert content["metrics"][0] == {
        "name": "accuracy",
        "higher": True,
        "percent": True,
    }
    assert content["config"] == {"model": "cnn & co"}
    assert content["differences"][0]["corrected"] is None
    assert content["published"] == list(published)
    assert "rows" not in content


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "rows.csv"
    lab.write_csv(path, [("a", [{}], lanes([[0.5]]))])
    old = path.read_bytes()

    def fail(self, target):
        raise OSError("disk")

    monkeypatch.setattr(type(path), "replace", fail)
    with pytest.raises(InputError, match=r"cannot write .*rows.csv: disk"):
        lab.write_csv(path, [])
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def test_environment_names_versions_hardware_and_commit(tmp_path):
    program = str(tmp_path / "bin" / "python")
    made = lab.environment([program, "-m", "experiments.compare", "--note=a b"])
    assert made["command"] == "python -m experiments.compare '--note=a b'"
    assert {"jax", "optax", "numpy", "python", "commit", "cores", "date"} <= set(made)
    assert made["jax"][0].isdigit()
    assert str(tmp_path) not in "".join(made.values())


def test_teeth_are_those_of_each_run_s_own_second_half():
    # Epochs of two steps: from start to end +1 and +0.2, from end to start -1.5.
    long = [3, 4, 2, 3, 1.5, 2.5, 1, 1.2]
    short = [*long[:6], NAN, NAN]  # three epochs are too few
    losses = np.array([long, short])[:, None]
    ends = np.array([[4], [3]])
    nothing = np.zeros((5, 2, 1))
    runs = Runs(
        "report", (0, 1), (0,), 2, nothing, {"loss": losses}, {}, ends < 0, ends
    )
    found = teeth(runs)
    assert (found.within.n, found.between.n) == (1, 1)
    np.testing.assert_allclose([found.within.mean, found.between.mean], [0.6, -1.5])
