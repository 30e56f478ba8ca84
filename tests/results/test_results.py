import csv
import json
import math

import numpy as np
import pytest

from optlab import results as lab
from optlab.results import Cell, Interval, Results, Row

NAN = float("nan")


def row(point=0, seed=0, split="validation", epoch=1, **fields):
    base = {
        "phase": "tune",
        "optimizer": "sgd",
        "batch_size": 8,
        "hyperparameters": {"learning_rate": 0.1},
        "step": 10 * epoch,
        "loss": 0.5,
        "accuracy": 0.9,
        "seconds": NAN,
        "diverged": False,
    }
    return Row(point=point, seed=seed, split=split, epoch=epoch, **(base | fields))


def cell(optimizer="sgd", best: int | None = 1, rates=(0.01, 0.1, 1.0), **fields):
    base = Cell(
        optimizer=optimizer,
        batch_size=8,
        grid=tuple({"learning_rate": rate} for rate in rates),
        tune_seeds=(0, 1),
        report_seeds=(10, 11, 12),
        epochs=2,
        steps_per_epoch=10,
        best=best,
        compiles=2,
        compile_seconds=3.5,
        sweep_seconds=7.0,
        parameters=100,
    )
    return base._replace(**fields)


def report_runs(optimizer="sgd", accuracies=(0.8, 0.9, 1.0), diverged=()):
    rows = []
    for seed, accuracy in zip((10, 11, 12), accuracies, strict=True):
        name = {
            "phase": "report",
            "optimizer": optimizer,
            "point": 1,
            "seed": seed,
            "diverged": seed in diverged,
        }
        for epoch in (0, 1, 2):
            seconds = epoch * (seed - 8.0)
            for split, loss in (("train", 0.2), ("validation", 0.3)):
                rows.append(
                    row(
                        split=split,
                        epoch=epoch,
                        loss=loss + 2 - epoch,
                        accuracy=accuracy * epoch / 2,
                        seconds=seconds,
                        **name,
                    )
                )
        test = {"split": "test", "epoch": 2, "loss": 0.01 * seed, "seconds": seconds}
        rows.append(row(accuracy=accuracy, **test, **name))
    return rows


def comparison(rows, cells, **fields):
    base = Results(tuple(rows), tuple(cells), (), 0.85, "title", "", "a: 1\n", {})
    return base._replace(**fields)


# Worked by hand: 0.80, 0.84, 0.88, 0.92, 0.96 has mean 0.88 and standard deviation
# sqrt(0.016 / 4) = 0.0632456; t(0.975; 4) = 2.776445; half = t * s / sqrt(5).
def test_interval_of_five_values_is_the_one_worked_by_hand():
    interval = lab.mean_interval([0.80, 0.84, 0.88, 0.92, 0.96])
    half = 2.776445 * 0.0632456 / math.sqrt(5)
    np.testing.assert_allclose(interval[:3], [0.88, 0.88 - half, 0.88 + half], 1e-6)
    assert interval.n == 5


def test_interval_at_another_confidence():
    low = lab.mean_interval([1.0, 3.0], confidence=0.9).low
    assert low == pytest.approx(2 - 6.313752)  # t(0.95; 1), s / sqrt(2) = 1


@pytest.mark.parametrize("values", [[], [NAN], [math.inf]])
def test_interval_of_nothing_is_nan(values):
    interval = lab.mean_interval(values)
    assert np.isnan(interval[:3]).all()
    assert interval.n == 0


def test_band_is_the_interval_of_each_column():
    values = np.random.default_rng(0).normal(size=(4, 3))
    values[0, 1] = NAN
    values[:, 2] = NAN
    mean, low, high = lab.mean_band(values)
    for column in range(3):
        interval = lab.mean_interval(values[:, column])
        np.testing.assert_allclose(
            [mean[column], low[column], high[column]], interval[:3]
        )


def test_pairing_removes_what_the_seeds_share():
    luck = {seed: 0.05 * seed for seed in range(5)}
    better = {seed: value + 0.01 + 0.001 * (seed % 2) for seed, value in luck.items()}
    paired = lab.paired_difference(better, luck)
    # differences .010 .011 .010 .011 .010: mean .0104, s = .000547723, t = 2.776445
    half = 2.776445 * 0.000547723 / math.sqrt(5)
    np.testing.assert_allclose(paired[:3], [0.0104, 0.0104 - half, 0.0104 + half], 1e-5)
    assert lab.verdict(paired, "a", "b") == "a better"
    alone = lab.mean_interval(better.values())
    assert alone.high - alone.low > 50 * (paired.high - paired.low)


def test_one_pair_separates_nothing():
    interval = lab.paired_difference({0: 0.9}, {0: 0.1})
    assert interval.n == 1
    assert lab.verdict(interval, "a", "b") == "not separated"


def test_ranks_are_ranges_where_intervals_overlap():
    interval = Interval(0, 0, 0, 3)
    outcomes = {("a", "b"): "not separated", ("a", "c"): "a better"}
    outcomes[("b", "c")] = "not separated"
    pairs = [lab.Difference(*p, 8, interval, v) for p, v in outcomes.items()]
    assert lab.ranks(pairs) == {"a": (1, 2), "b": (1, 3), "c": (2, 3)}


def test_choice_takes_the_highest_mean_final_accuracy():
    rows = [row(0, seed, accuracy=a) for seed, a in enumerate((0.9, 0.9))]
    rows += [row(1, seed, accuracy=a) for seed, a in enumerate((0.99, 0.83))]
    rows += [row(1, 0, epoch=0, accuracy=1.0), row(1, 0, "train", accuracy=1.0)]
    assert lab.choose_point(rows) == 1
    assert lab.choose_point(rows[::-1]) == 1
    assert lab.choose_point([*rows, row(1, 1, epoch=2, accuracy=0.5)]) == 0


def test_choice_breaks_ties_by_loss_then_by_index():
    rows = [row(0, loss=0.4), row(1, loss=0.3), row(2, loss=0.3)]
    assert lab.choose_point(rows) == 1


def test_choice_prefers_the_point_with_fewest_diverged_seeds():
    steady = [row(0, seed, accuracy=0.5) for seed in (0, 1)]
    shaky = [row(1, 0, accuracy=0.99), row(1, 1, loss=NAN, diverged=True)]
    assert lab.choose_point(shaky + steady) == 0
    assert lab.choose_point(shaky) == 1


def test_a_lane_is_lost_if_any_of_its_rows_says_so():
    rows = [row(0, split="train", diverged=True), row(0, accuracy=0.99), row(1)]
    assert lab.choose_point(rows) == 1


@pytest.mark.parametrize("rows", [[], [row(diverged=True)], [row(loss=NAN)]])
def test_choice_is_none_where_every_lane_diverged(rows):
    assert lab.choose_point(rows) is None


def test_edge_is_by_rate_not_by_index():
    grid = [{"learning_rate": r, "momentum": m} for m in (0.0, 0.9) for r in (1, 2, 3)]
    assert [lab.edge(grid, i) for i in range(6)] == ["lower", "", "upper"] * 2
    assert lab.edge(grid, None) == ""
    assert lab.edge([{"learning_rate": 1.0}], 0) == ""
    assert lab.edge([{"damping": 1.0}, {"damping": 2.0}], 0) == ""


def test_summary_of_one_cell():
    rows = [row(p, s, diverged=p == 2) for p in range(3) for s in (0, 1)]
    (summary,) = lab.summarize(comparison(rows + report_runs(), [cell()]))
    assert summary.train_loss.mean == pytest.approx(0.2)
    assert summary.validation_loss.mean == pytest.approx(0.3)
    assert summary.gap.mean == pytest.approx(0.11 - 0.2)
    assert summary.test_accuracy.mean == pytest.approx(0.9)
    # s = 0.1, t(0.975; 2) = 4.302653
    assert summary.test_accuracy.low == pytest.approx(0.9 - 4.302653 * 0.1 / 3**0.5)
    assert summary.seconds == 6.0  # the median of 4, 6, 8
    assert (summary.tune_diverged, summary.tune_lanes) == (2, 6)
    assert (summary.report_diverged, summary.report_runs) == (0, 3)
    assert summary.steps == 3 * 2 * 2 * 10
    assert summary.best == {"learning_rate": 0.1}
    assert summary.remark == ""
    # 0.8 never reaches 0.85; the others do at their last evaluation.
    assert summary.reached_target == 2
    assert summary.seconds_to_target == 7.0


def test_summary_says_what_must_not_be_missed():
    rows = report_runs(diverged=(12,))
    (summary,) = lab.summarize(comparison(rows, [cell(best=2)]))
    assert summary.at_edge == "upper"
    assert "at the upper edge of its grid: widen it" in summary.remark
    assert "1 of 3 report runs diverged" in summary.remark
    assert summary.test_accuracy.n == 2


def test_all_lanes_diverged_is_a_result():
    rows = [row(p, s, loss=NAN, diverged=True) for p in range(3) for s in (0, 1)]
    (summary,) = lab.summarize(comparison(rows, [cell(best=None)]))
    assert summary.remark == "all lanes diverged"
    assert summary.tune_diverged == summary.tune_lanes == 6
    assert math.isnan(summary.test_accuracy.mean)
    assert math.isnan(summary.seconds)


def test_target_counts_the_first_evaluation_that_reaches_it():
    rows = [row(epoch=e, accuracy=a, seconds=e) for e, a in enumerate((0, 0.9, 0.1))]
    assert lab.times_to_target(rows[::-1], 0.9) == {0: 1}
    assert math.isnan(lab.times_to_target(rows, 0.95)[0])


def test_pairs_without_a_common_seed_are_left_out():
    rows = report_runs() + report_runs("adam", (0.82, 0.92, 1.0))
    cells = [cell(), cell("adam"), cell("lamb", best=None)]
    (pair,) = lab.compare(comparison(rows, cells))
    assert (pair.first, pair.second, pair.interval.n) == ("sgd", "adam", 3)
    assert pair.interval.mean == pytest.approx(-0.04 / 3)


def test_csv_round_trip(tmp_path):
    rows = (
        row(hyperparameters={"learning_rate": np.float32(0.1)}, seconds=1 / 3),
        row(1, hyperparameters={"damping": 1e-30}, loss=math.inf, diverged=np.True_),
        row(2, hyperparameters={}, optimizer='a "b", c\nd'),
    )
    lab.write_csv(tmp_path / "rows.csv", rows)
    back = lab.read_csv(tmp_path / "rows.csv")
    np.testing.assert_equal(
        [r._asdict() for r in back],
        [r._asdict() | {"hyperparameters": dict(r.hyperparameters)} for r in rows],
    )
    with open(tmp_path / "rows.csv", newline="") as file:
        header = next(csv.reader(file))
    assert header[-2:] == ["hyperparameters.learning_rate", "hyperparameters.damping"]


def test_json_round_trip_without_nan_tokens(tmp_path):
    published = ({"optimizer": "sgd", "batch_size": 8, "test_accuracy": 0.79},)
    rows = [row(loss=NAN), *report_runs()]
    before = comparison(rows, [cell()], published=published, environment={"os": "x"})
    lab.write_json(tmp_path / "results.json", before)
    text = (tmp_path / "results.json").read_text()

    def refuse(token):
        raise AssertionError(token)

    content = json.loads(text, parse_constant=refuse)
    assert content["summary"][0]["test_accuracy"]["mean"] == pytest.approx(0.9)
    assert content["rows"][0]["loss"] is None
    after = lab.read_json(tmp_path / "results.json")
    np.testing.assert_equal(
        [r._asdict() for r in after.rows], [r._asdict() for r in before.rows]
    )
    assert after._replace(rows=()) == before._replace(rows=())


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "rows.csv"
    lab.write_csv(path, [row()])
    old = path.read_bytes()

    def fail(self, target):
        raise OSError("disk")

    monkeypatch.setattr(type(path), "replace", fail)
    with pytest.raises(OSError, match="disk"):
        lab.write_csv(path, [row(), row(1)])
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def test_environment_names_versions_hardware_and_commit(tmp_path):
    program = str(tmp_path / "bin" / "python")
    made = lab.environment([program, "-m", "experiments.compare", "--note=a b"])
    assert made["command"] == "python -m experiments.compare '--note=a b'"
    assert {"jax", "optax", "numpy", "python", "commit", "cores", "date"} <= set(made)
    assert made["jax"][0].isdigit()
    assert str(tmp_path) not in "".join(made.values())
