"""Means with Student t intervals, differences paired by seed, ranks they allow.

    mean +- t(0.5 + c/2; n - 1) * s / sqrt(n),    s^2 = sum((x - mean)^2) / (n - 1)

Student, "The probable error of a mean", Biometrika 6 (1908).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special


class Interval(NamedTuple):
    """A mean and the bounds of its confidence interval, over ``n`` values."""

    mean: float
    low: float
    high: float
    n: int


class Difference(NamedTuple):
    """First minus second, paired by seed, and what may be concluded from it."""

    first: str
    second: str
    batch_size: int
    interval: Interval
    verdict: str  # "FIRST better", "SECOND better" or "not separated"


def mean_band(
    values: np.ndarray, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over the leading axis, with the bounds of its t interval at every place.

    Args:
      values: ``[n, ...]``; what is not finite (a run that diverged) is left out.
      confidence: of each interval by itself.

    Returns:
      Mean, low and high, each ``[...]``. The mean is nan where no finite value is
      left; the bounds are nan where fewer than two are.

    >>> mean, low, high = mean_band(np.array([[1.0, 5.0], [3.0, np.nan]]))
    >>> mean.tolist(), low.round(2).tolist(), high.round(2).tolist()
    ([2.0, 5.0], [-10.71, nan], [14.71, nan])
    """
    values = np.asarray(values, float)
    kept = np.isfinite(values)
    n = kept.sum(axis=0)
    none, pair = n > 0, n > 1
    total = np.where(kept, values, 0.0).sum(axis=0)
    mean = np.where(none, total / np.maximum(n, 1), np.nan)
    squares = np.where(kept, values - mean, 0.0) ** 2
    freedom = np.maximum(n - 1, 1)
    deviation = np.sqrt(squares.sum(axis=0) / freedom)
    quantile = special.stdtrit(freedom, 0.5 + confidence / 2)
    half = np.where(pair, quantile * deviation / np.sqrt(np.maximum(n, 1)), np.nan)
    return mean, mean - half, mean + half


def mean_interval(values: Iterable[float], confidence: float = 0.95) -> Interval:
    """Mean of a sample with its Student t interval.

    Args:
      values: one a seed; what is not finite (a run that diverged) is left out, and
        ``n`` says how many remained.
      confidence: of the interval.

    Returns:
      The interval; its bounds are nan for a single value, its mean too for none.

    >>> mean_interval([1.0, 2.0, 3.0])  # 2 +- 4.303 * 1 / sqrt(3)
    Interval(mean=2.0, low=-0.484..., high=4.484..., n=3)
    >>> mean_interval([7.0])
    Interval(mean=7.0, low=nan, high=nan, n=1)
    """
    sample = np.array([value for value in values if np.isfinite(value)], float)
    mean, low, high = mean_band(sample, confidence)
    return Interval(float(mean), float(low), float(high), sample.size)


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], confidence: float = 0.95
) -> Interval:
    """Mean of first minus second over the seeds that both have.

    One seed gives both the same initial parameters and data order, so what the seed
    alone does falls out of the difference and the interval narrows.

    Args:
      first: value by seed.
      second: value by seed.
      confidence: of the interval.

    Returns:
      The t interval of the differences; ``n`` counts the pairs.

    >>> paired_difference({0: 0.9, 1: 0.8, 2: 0.7}, {0: 0.8, 1: 0.6, 3: 0.1}).n
    2
    """
    shared = sorted(first.keys() & second.keys())
    return mean_interval([first[seed] - second[seed] for seed in shared], confidence)


def verdict(interval: Interval, first: str, second: str, higher: bool = True) -> str:
    """What the interval of ``first - second`` allows one to say.

    Args:
      interval: of the paired difference.
      first: label.
      second: label.
      higher: whether a higher value is the better one.

    Returns:
      ``FIRST better`` or ``SECOND better`` where the interval excludes zero, else
      ``not separated``; an interval without bounds separates nothing.

    >>> verdict(Interval(0.02, 0.01, 0.03, 5), "adam", "sgd")
    'adam better'
    >>> verdict(Interval(0.02, 0.01, 0.03, 5), "adam", "sgd", higher=False)
    'sgd better'
    >>> verdict(Interval(0.02, -0.01, 0.05, 5), "adam", "sgd")
    'not separated'
    """
    if interval.low > 0:
        return f"{first if higher else second} better"
    if interval.high < 0:
        return f"{second if higher else first} better"
    return "not separated"


def ranks(differences: Sequence[Difference]) -> dict[str, tuple[int, int]]:
    """The ranks each optimizer may hold, given which pairs are separated.

    The best rank is one more than the number of optimizers shown better; the worst
    is their total less the number shown worse. The two agree only where the paired
    intervals settle the place.

    Args:
      differences: every pair of one batch size.

    Returns:
      Label to (best rank, worst rank), in order of appearance.

    >>> gap = Interval(0.1, 0.05, 0.15, 5)
    >>> ranks([Difference("adam", "sgd", 64, gap, "adam better"),
    ...        Difference("adam", "lamb", 64, gap, "adam better"),
    ...        Difference("sgd", "lamb", 64, gap, "not separated")])
    {'adam': (1, 1), 'sgd': (2, 3), 'lamb': (2, 3)}
    """
    names = dict.fromkeys(name for pair in differences for name in pair[:2])
    better = dict.fromkeys(names, 0)
    worse = dict.fromkeys(names, 0)
    for first, second, _, _, outcome in differences:
        if outcome == f"{first} better":
            worse[first], better[second] = worse[first] + 1, better[second] + 1
        elif outcome == f"{second} better":
            worse[second], better[first] = worse[second] + 1, better[first] + 1
    return {name: (1 + better[name], len(names) - worse[name]) for name in names}
