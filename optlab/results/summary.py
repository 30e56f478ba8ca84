"""Summaries of a comparison: from arrays of lanes to figures of each contender.

Tuning looks at the validation split alone; what is reported comes from fresh seeds.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from optlab.problems import Metric
from optlab.results.records import Entry, Results, Runs
from optlab.results.statistics import (
    LEVEL,
    Difference,
    Interval,
    holm,
    mean_interval,
    median_time,
    paired_interval,
    paired_p,
)


class Summary(NamedTuple):
    """Figures of one contender; intervals are over report runs that did not diverge."""

    train_loss: Interval
    validation_loss: Interval
    gap: Interval  # test loss minus training loss
    test: Mapping[str, Interval]  # metric -> after the last step
    seconds: float  # median run, one lane alone, compile excluded
    epochs: Interval  # of report runs that did not diverge
    stopped: int  # report runs that a rule ended before their last epoch
    best: Mapping[str, float] | None  # chosen point; None where every lane diverged
    at_edge: Mapping[str, str]  # swept key -> "lower" or "upper" end, see `edge`
    tune_diverged: int  # number of lanes
    report_diverged: int
    steps: int  # of tuning, over all lanes
    seconds_to_target: float  # Kaplan-Meier median; nan where it is not reached
    reached_target: int  # number of report runs
    remark: str  # text that a reader must not miss; may be empty


def final(runs: Runs, split: str, metric: str) -> np.ndarray:
    """Reads the last evaluation of every lane.

    Args:
      runs: lanes that were evaluated.
      split: "train", "validation" or "test".
      metric: name of the metric.

    Returns:
      ``[seeds, points]``; nan where a lane diverged.
    """
    values = np.asarray(runs.evaluations[split][metric][-1], float)
    return np.where(runs.diverged, np.nan, values)


def rank_points(tune: Runs, metrics: Sequence[Metric]) -> list[int]:
    """Orders the points of a sweep by the validation split, the best one first.

    A point that has a finite deciding value goes before any that has none; then the
    order is by fewest diverged seeds, best deciding metric, lowest loss, lowest index.
    Metric and loss are the means of the last evaluation over seeds that did not
    diverge.

    Args:
      tune: lanes of a sweep.
      metrics: metrics of the comparison; the first one decides.

    Returns:
      Indices into the contender's points, without those whose every lane diverged.
    """
    lanes = np.flatnonzero(~np.all(tune.diverged, axis=0))
    alive = ~np.asarray(tune.diverged, bool)[:, lanes]
    points = np.asarray(tune.points)[lanes]

    def mean(metric: str) -> np.ndarray:
        values = np.asarray(tune.evaluations["validation"][metric][-1], float)
        means = values[:, lanes].mean(axis=0, where=alive)
        return np.where(np.isfinite(means), means, np.inf)

    value = mean(metrics[0].name)
    merit = -value if metrics[0].higher else value
    order = np.lexsort(  # the last key counts first
        (points, mean("loss"), merit, (~alive).sum(axis=0), np.isinf(value))
    )
    return points[order].tolist()


def choose_point(tune: Runs, metrics: Sequence[Metric]) -> int | None:
    """Chooses the best point of a sweep, by the validation split.

    Args:
      tune: lanes of a sweep.
      metrics: metrics of the comparison; the first one decides, see `rank_points`.

    Returns:
      Index into the contender's points, or None where every lane diverged.
    """
    return next(iter(rank_points(tune, metrics)), None)


def distinct(points: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Lists the swept keys of more than one value.

    Args:
      points: points of a sweep.

    Returns:
      Dotted key to its values, ascending.

    >>> distinct([{"a": 2.0, "b": 1.0}, {"a": 1.0, "b": 1.0}])
    {'a': [1.0, 2.0]}
    """
    keys = dict.fromkeys(key for point in points for key in point)
    values = {key: {point[key] for point in points if key in point} for key in keys}
    return {key: sorted(found) for key, found in values.items() if len(found) > 1}


def edge(points: Sequence[Mapping[str, float]], best: int | None) -> dict[str, str]:
    """Finds the swept keys whose best value is the least or greatest that was tried.

    Args:
      points: points of the sweep.
      best: index of the chosen point.

    Returns:
      Dotted key to "lower" or "upper". A lower end of 0 is left out: it is the natural
      end of a share or a strength.

    >>> grid = [{"rate": rate, "dropout": share}
    ...         for rate in (0.1, 1.0, 9.0) for share in (0.0, 0.5)]
    >>> edge(grid, 0), edge(grid, 2), edge(grid, 5)
    ({'rate': 'lower'}, {}, {'rate': 'upper', 'dropout': 'upper'})
    """
    found = {}
    if best is None:
        return found
    for key, values in distinct(points).items():
        value = points[best].get(key)
        if value == values[-1]:
            found[key] = "upper"
        elif value == values[0] != 0:
            found[key] = "lower"
    return found


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Shortens dotted keys to their last part, where no two of them share it.

    Args:
      keys: dotted keys.

    Returns:
      Dotted key to its short name.

    >>> short_names(["schedule.learning_rate", "model.size", "data.size"])
    {'schedule.learning_rate': 'learning_rate', 'model.size': 'model.size',
     'data.size': 'data.size'}
    """
    last = {key: key.rpartition(".")[2] for key in keys}
    parts = list(last.values())
    return {key: part if parts.count(part) == 1 else key for key, part in last.items()}


def swept_names(results: Results) -> dict[str, str]:
    """Lists every key that is swept over more than one value, with its short name.

    Args:
      results: a whole comparison.

    Returns:
      Dotted key to the short name.
    """
    return short_names(
        dict.fromkeys(key for each in results.entries for key in distinct(each.points))
    )


def epochs_to_target(
    report: Runs, metric: Metric, target: float
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the first evaluation on validation at which each run met the target.

    Args:
      report: runs at one point.
      metric: deciding metric, whose direction says on which side the target is met.
      target: value to reach.

    Returns:
      Epochs until then, or the number of epochs of a run that misses it; and whether it
      was met. Both ``[seeds]``.
    """
    values = report.evaluations["validation"][metric.name][:, :, 0]
    met = metric.met(values, target)
    reached = np.any(met, axis=0)
    return np.where(reached, np.argmax(met, axis=0), report.epochs), reached


def times_to_target(
    report: Runs, metric: Metric, target: float
) -> tuple[np.ndarray, np.ndarray]:
    """Finds when each run first reached the target on validation.

    Args:
      report: runs at one point.
      metric: deciding metric, whose direction says on which side the target is met.
      target: value to reach.

    Returns:
      Seconds at the first evaluation that meets the target, or at the end of a run that
      misses it; and whether it was met. Both ``[seeds]``.
    """
    epoch, reached = epochs_to_target(report, metric, target)
    return report.seconds[epoch, np.arange(len(epoch)), 0], reached


def median_time_to_target(report: Runs, metric: Metric, target: float) -> float:
    """Estimates the median time to the target on validation, see `median_time`.

    A run that misses it counts as on its way until its end, but forever where a rule
    stopped it: it would not have gone on as the others did.

    Args:
      report: runs at one point.
      metric: deciding metric.
      target: value to reach.

    Returns:
      Seconds; nan where half of the runs do not get there.
    """
    times, reached = times_to_target(report, metric, target)
    stopped = report.ends[:, 0] < report.epochs
    return median_time(np.where(stopped & ~reached, np.inf, times), reached)


def summarize(results: Results) -> tuple[Summary, ...]:
    """Summarizes each contender, in the order of the entries.

    Args:
      results: a whole comparison.

    Returns:
      The summaries; the figures of a contender whose lanes all diverged are nan.
    """
    names = swept_names(results)
    return tuple(_summary(results, entry, names) for entry in results.entries)


def _summary(results: Results, entry: Entry, names: Mapping[str, str]) -> Summary:
    tune, report = entry.tune, entry.report

    def last(split: str, metric: str) -> np.ndarray:
        return np.zeros(0) if report is None else final(report, split, metric).ravel()

    median, reached = np.nan, 0
    if report is not None and results.target is not None:
        goal = results.metrics[0], results.target
        median = median_time_to_target(report, *goal)
        reached = int(times_to_target(report, *goal)[1].sum())
    spent, took = np.zeros(0), np.zeros(0)
    if report is not None:
        spent, took = (
            report.seconds[-1][~report.diverged],
            report.ends[~report.diverged],
        )
    spent = spent[np.isfinite(spent)]
    best = None if entry.best is None else entry.points[entry.best]
    # The last one of some draws says nothing of the ends of their range.
    at_edge = {} if entry.drawn else edge(entry.points, entry.best)
    lost = 0 if report is None else int(report.diverged.sum())
    remarks = ["all lanes diverged"] if best is None else []
    for key, end in at_edge.items():
        value = f"best {names[key]} {(best or {})[key]:.3g}"
        remarks.append(f"{value} is at the {end} edge of the values tried: widen them")
    if report is not None and lost:
        of = f"{lost} of {len(report.seeds)} report runs"
        remarks.append(f"{of} diverged and are left out of the means")
    return Summary(
        train_loss=mean_interval(last("train", "loss")),
        validation_loss=mean_interval(last("validation", "loss")),
        gap=mean_interval(last("test", "loss") - last("train", "loss")),
        test={m.name: mean_interval(last("test", m.name)) for m in results.metrics},
        seconds=float(np.median(spent)) if spent.size else np.nan,
        epochs=mean_interval(took),
        stopped=int((took < tune.epochs).sum()),
        best=best,
        at_edge=at_edge,
        tune_diverged=int(tune.diverged.sum()),
        report_diverged=lost,
        steps=int(tune.ends.sum()) * tune.steps_per_epoch,
        seconds_to_target=median,
        reached_target=reached,
        remark="; ".join(remarks),
    )


def differences(results: Results) -> tuple[Difference, ...]:
    """Compares every two contenders of one group, paired by seed.

    The values are those of the deciding metric on the test split. Runs of one seed
    share their initial parameters and data order, so the effect of the seed cancels.
    The p values are corrected for the number of pairs of the whole comparison.

    Args:
      results: a whole comparison.

    Returns:
      First minus second for every pair, group by group; pairs without a seed at which
      neither diverged are left out.
    """
    decides = results.metrics[0]
    reports = {entry.label: entry.report for entry in results.entries if entry.report}
    by_seed = {
        label: finite_by_seed(report, final(report, "test", decides.name))
        for label, report in reports.items()
    }
    groups = list(dict.fromkeys(entry.group for entry in results.entries))
    pairs, values = [], []
    for group in groups:
        entries = [entry for entry in results.entries if entry.group == group]
        reported = [entry for entry in entries if entry.label in by_seed]
        for a, b in itertools.combinations(reported, 2):
            first, second = by_seed[a.label], by_seed[b.label]
            gaps = [value - second[seed] for seed, value in first.items()
                    if seed in second]  # fmt: skip
            if gaps:
                pairs.append((a, b))
                values.append(gaps)
    p = list(map(paired_p, values))
    found = []
    for (a, b), gaps, plain, holms in zip(pairs, values, p, holm(p), strict=True):
        interval = paired_interval(gaps)
        ahead = a.name if (interval.mean > 0) == decides.higher else b.name
        said = f"{ahead} better" if holms < LEVEL else "not separated"
        found.append(Difference(a.name, b.name, a.group, interval, plain, holms, said))
    return tuple(found)


def finite_by_seed(report: Runs, values: Any) -> dict[int, float]:
    """Seed to its value, one a run at the only point, where it is finite."""
    pairs = zip(report.seeds, np.ravel(values).tolist(), strict=True)
    return {seed: value for seed, value in pairs if np.isfinite(value)}
