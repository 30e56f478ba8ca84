"""How the validation figures of a contender respond to one swept number."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from optlab.problems import Metric
from optlab.results.records import Entry
from optlab.results.statistics import mean_band
from optlab.results.summary import distinct, final, rank_points

#: A value is good whose mean metric is this near to that of the best: in points of a
#: percentage, else as a share of the best.
NEAR_POINTS, NEAR_SHARE = 0.01, 0.1


class Response(NamedTuple):
    """Final validation figures of one contender against one swept number."""

    x: np.ndarray  # [n], ascending
    metric: np.ndarray  # [seeds, n], the deciding one; nan where the lane diverged
    loss: np.ndarray  # [seeds, n]
    lost: np.ndarray  # [n], share of the seeds that diverged
    best: int | None  # index into x
    joined: bool  # whether a line may join the points


def response(entry: Entry, key: str, metrics: Sequence[Metric]) -> Response:
    """Reads the final validation figures of a sweep against one key.

    Args:
      entry: contender.
      key: dotted name of the swept number; points without it are left out.
      metrics: metrics of the comparison; the first one decides.

    Returns:
      Of a grid, at each value the best point over the other keys, by the sweep's own
      criterion. Of a search that drew all keys at once, every point.
    """
    tune, points = entry.tune, entry.points
    lanes = [i for i, point in enumerate(tune.points) if key in points[point]]
    counts = [len(values) for values in distinct(points).values()]
    grid = len(points) == math.prod(counts)
    values = {lane: points[tune.points[lane]][key] for lane in lanes}
    if grid:
        ranked = [tune.points.index(point) for point in rank_points(tune, metrics)]
        order = dict.fromkeys([*ranked, *lanes])  # the best one of a value first
        lanes = list({values[lane]: lane for lane in reversed(order)}.values())
    lanes.sort(key=values.__getitem__)
    x = np.array([values[lane] for lane in lanes], float)
    chosen = [i for i, lane in enumerate(lanes) if tune.points[lane] == entry.best]
    return Response(
        x=x,
        metric=final(tune, "validation", metrics[0].name)[:, lanes],
        loss=final(tune, "validation", "loss")[:, lanes],
        lost=np.asarray(tune.diverged, float)[:, lanes].mean(axis=0),
        best=chosen[0] if chosen else None,
        joined=grid,
    )


class Region(NamedTuple):
    """Neighbouring values of a swept number that are all nearly as good as the best."""

    best: float
    low: float
    high: float
    open_low: bool  # whether the least value that was tried is good
    open_high: bool


def good_region(curve: Response, metric: Metric) -> Region | None:
    """Finds how far a swept number may be changed from its best value.

    Args:
      curve: response of the deciding metric.
      metric: deciding metric.

    Returns:
      The values around the best at which no seed diverged and the mean metric is within
      ``NEAR_POINTS`` or ``NEAR_SHARE`` of the best; None where a search drew the
      points, a value is not above 0, or nothing was chosen.

    >>> metric = Metric("accuracy", True, True, lambda outputs, targets: None)
    >>> values = np.array([[0.5, 0.975, 0.98, 0.972, 0.9]])
    >>> x = np.array([1e-3, 1e-2, 1e-1, 1.0, 10.0])
    >>> curve = Response(x, values, values, 0 * x, 2, True)
    >>> good_region(curve, metric)
    Region(best=0.1, low=0.01, high=1.0, open_low=False, open_high=False)
    """
    if curve.best is None or not curve.joined or not np.all(curve.x > 0):
        return None
    mean = mean_band(curve.metric)[0]
    best = mean[curve.best]
    near = NEAR_POINTS if metric.percent else NEAR_SHARE * abs(best)
    good = (curve.lost == 0) & (np.abs(mean - best) <= near)
    good |= (curve.lost == 0) & ((mean > best) == metric.higher)
    good[curve.best] = True
    bad = np.flatnonzero(~good)
    first = int(max(bad[bad < curve.best], default=-1)) + 1
    last = int(min(bad[bad > curve.best], default=len(good))) - 1
    return Region(
        best=float(curve.x[curve.best]),
        low=float(curve.x[first]),
        high=float(curve.x[last]),
        open_low=first == 0,
        open_high=last == len(good) - 1,
    )
