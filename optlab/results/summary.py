"""From tidy rows to one summary an optimizer and batch size.

Tuning looks at the validation split alone; what is reported comes from fresh seeds.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from optlab.results.records import Cell, Results, Row
from optlab.results.statistics import (
    Difference,
    Interval,
    mean_interval,
    paired_difference,
    verdict,
)


class Summary(NamedTuple):
    """One cell in figures; intervals are over the report runs that did not diverge."""

    optimizer: str
    batch_size: int
    parameters: int
    train_loss: Interval
    validation_loss: Interval
    gap: Interval  # test loss minus training loss
    test_accuracy: Interval
    seconds: float  # median run, one lane alone, compile excluded
    compile_seconds: float
    compiles: int
    sweep_seconds: float
    best: Mapping[str, float] | None  # None where every lane diverged
    at_edge: str  # "lower" or "upper" end of the learning-rate grid, else ""
    tune_lanes: int
    tune_diverged: int
    report_runs: int
    report_diverged: int
    points: int
    tune_seeds: int
    epochs: int
    steps: int  # points * seeds * epochs * steps_per_epoch
    seconds_to_target: float  # median over the runs that reached it; nan for none
    reached_target: int

    @property
    def remark(self) -> str:
        """What a reader must not miss, or nothing.

        >>> Summary(*[None] * 11, best=None, at_edge="", **dict.fromkeys(
        ...     Summary._fields[13:], 0)).remark
        'all lanes diverged'
        """
        if self.best is None:
            return "all lanes diverged"
        remarks = []
        if self.at_edge:
            rate = f"best learning rate {self.best['learning_rate']:.3g}"
            remarks.append(
                f"{rate} is at the {self.at_edge} edge of its grid: widen it"
            )
        if self.report_diverged:
            of = f"{self.report_diverged} of {self.report_runs}"
            remarks.append(f"{of} report runs diverged and are left out of the means")
        return "; ".join(remarks)


def cell_rows(rows: Iterable[Row], cell: Cell, phase: str) -> list[Row]:
    """The rows of one cell in one phase.

    Args:
      rows: of any cells.
      cell: the one wanted.
      phase: ``tune`` or ``report``.

    Returns:
      Its rows, in their order.
    """
    name = (phase, cell.optimizer, cell.batch_size)
    return [row for row in rows if (row.phase, row.optimizer, row.batch_size) == name]


def final_rows(rows: Iterable[Row], split: str) -> dict[tuple[int, int], Row]:
    """The last evaluation of each lane on one split.

    Args:
      rows: of one cell and phase.
      split: ``train``, ``validation`` or ``test``.

    Returns:
      (point, seed) to the row of its last epoch.
    """
    last: dict[tuple[int, int], Row] = {}
    for row in rows:
        lane = row.point, row.seed
        if row.split == split and (lane not in last or row.epoch >= last[lane].epoch):
            last[lane] = row
    return last


def diverged_lanes(rows: Iterable[Row]) -> set[tuple[int, int]]:
    """The (point, seed) of every lane that one of its rows calls diverged."""
    return {(row.point, row.seed) for row in rows if row.diverged}


def choose_point(rows: Sequence[Row]) -> int | None:
    """The best hyperparameter point of a sweep, by the validation split.

    In this order: fewest seeds diverged, highest mean final validation accuracy,
    lowest mean final validation loss, lowest index. The means are over the seeds
    that did not diverge.

    Args:
      rows: the tune phase of one cell.

    Returns:
      The point's index, or None where every lane diverged.

    >>> def lane(point, accuracy, loss, diverged=False):
    ...     return Row("tune", "sgd", 8, 0, point, {}, 1, 9, "validation", loss,
    ...                accuracy, float("nan"), diverged)
    >>> choose_point([lane(0, 0.90, 0.4), lane(1, 0.95, 0.3), lane(2, 0.95, 0.2)])
    2
    >>> choose_point([lane(0, 0.10, 9.0, diverged=True)]) is None
    True
    """
    lost = diverged_lanes(rows)
    failures: dict[int, int] = defaultdict(int)
    survivors: dict[int, list[Row]] = defaultdict(list)
    for lane, row in final_rows(rows, "validation").items():
        if lane in lost or not np.isfinite(row.loss):
            failures[row.point] += 1
        else:
            survivors[row.point].append(row)

    def merit(point: int) -> tuple[float, ...]:
        accuracy = np.mean([row.accuracy for row in survivors[point]])
        loss = np.mean([row.loss for row in survivors[point]])
        return failures[point], -float(accuracy), float(loss), point

    return min(survivors, key=merit, default=None)


def edge(grid: Sequence[Mapping[str, float]], best: int | None) -> str:
    """Which end of the learning-rate grid the best point sits at.

    Args:
      grid: the points of the sweep.
      best: index of the chosen one.

    Returns:
      ``lower``, ``upper``, or nothing: inside, none chosen, or one rate only.

    >>> grid = [{"learning_rate": rate} for rate in (0.01, 0.1, 1.0)]
    >>> edge(grid, 0), edge(grid, 1), edge(grid, 2)
    ('lower', '', 'upper')
    """
    rates = {point["learning_rate"] for point in grid if "learning_rate" in point}
    if best is None or len(rates) < 2 or "learning_rate" not in grid[best]:
        return ""
    ends = {min(rates): "lower", max(rates): "upper"}
    return ends.get(grid[best]["learning_rate"], "")


def times_to_target(rows: Iterable[Row], target: float) -> dict[int, float]:
    """Seconds until each run first reached the target accuracy on validation.

    Args:
      rows: the report phase of one cell.
      target: accuracy, 0..1.

    Returns:
      Seed to seconds at the first evaluation at or above the target; nan where the
      run never got there.
    """
    times: dict[int, float] = {}
    for row in sorted(rows, key=lambda row: row.epoch):
        if row.split == "validation" and np.isnan(times.get(row.seed, np.nan)):
            times[row.seed] = row.seconds if row.accuracy >= target else np.nan
    return times


def accuracies_by_seed(rows: Iterable[Row]) -> dict[int, float]:
    """Final test accuracy by seed, over the report runs that did not diverge."""
    rows = list(rows)
    lost = diverged_lanes(rows)
    finals = final_rows(rows, "test").items()
    return {lane[1]: row.accuracy for lane, row in finals if lane not in lost}


def summarize(results: Results) -> tuple[Summary, ...]:
    """One summary for each cell, in the order of the cells.

    Args:
      results: of a whole comparison.

    Returns:
      The summaries; a cell whose lanes all diverged has nan figures and says so.
    """
    return tuple(_summary(results, cell) for cell in results.cells)


def _summary(results: Results, cell: Cell) -> Summary:
    tune = cell_rows(results.rows, cell, "tune")
    report = cell_rows(results.rows, cell, "report")
    lost = diverged_lanes(report)
    train, validation, test = (
        {lane: row for lane, row in final_rows(report, split).items()
         if lane not in lost}
        for split in ("train", "validation", "test")
    )  # fmt: skip
    paired = train.keys() & test.keys()
    times = times_to_target(report, results.target_accuracy)
    reached = [seconds for seconds in times.values() if np.isfinite(seconds)]
    spent = [row.seconds for row in train.values() if np.isfinite(row.seconds)]
    lanes = len(cell.grid) * len(cell.tune_seeds)
    return Summary(
        optimizer=cell.optimizer,
        batch_size=cell.batch_size,
        parameters=cell.parameters,
        train_loss=mean_interval(row.loss for row in train.values()),
        validation_loss=mean_interval(row.loss for row in validation.values()),
        gap=mean_interval(test[lane].loss - train[lane].loss for lane in paired),
        test_accuracy=mean_interval(row.accuracy for row in test.values()),
        seconds=float(np.median(spent)) if spent else np.nan,
        compile_seconds=cell.compile_seconds,
        compiles=cell.compiles,
        sweep_seconds=cell.sweep_seconds,
        best=None if cell.best is None else cell.grid[cell.best],
        at_edge=edge(cell.grid, cell.best),
        tune_lanes=lanes,
        tune_diverged=len(diverged_lanes(tune)),
        report_runs=len({(row.point, row.seed) for row in report}),
        report_diverged=len(lost),
        points=len(cell.grid),
        tune_seeds=len(cell.tune_seeds),
        epochs=cell.epochs,
        steps=lanes * cell.epochs * cell.steps_per_epoch,
        seconds_to_target=float(np.median(reached)) if reached else np.nan,
        reached_target=len(reached),
    )


def compare(results: Results) -> tuple[Difference, ...]:
    """Test accuracy of every two optimizers at one batch size, paired by seed.

    Each interval holds 95% by itself. Of many pairs that differ in nothing, one in
    twenty is still expected to look separated.

    Args:
      results: of a whole comparison.

    Returns:
      First minus second for every pair, batch size by batch size; pairs without a
      seed at which neither diverged are left out.
    """
    differences = []
    for size in dict.fromkeys(cell.batch_size for cell in results.cells):
        cells = [cell for cell in results.cells if cell.batch_size == size]
        accuracies = [
            accuracies_by_seed(cell_rows(results.rows, cell, "report"))
            for cell in cells
        ]
        for i, j in itertools.combinations(range(len(cells)), 2):
            first, second = cells[i].optimizer, cells[j].optimizer
            interval = paired_difference(accuracies[i], accuracies[j])
            if not interval.n:
                continue
            outcome = verdict(interval, first, second)
            differences.append(Difference(first, second, size, interval, outcome))
    return tuple(differences)
