"""Means with Student t intervals, paired differences, ranks, times to a target.

    mean +- t(0.975; n - 1) * s / sqrt(n),    s^2 = sum((x - mean)^2) / (n - 1)

Student, "The probable error of a mean", Biometrika 6 (1908).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

#: Differences whose deviation is below this share of their mean are equal: they are of
#: float32 numbers, which may be a thousand times as large as they are: one image of
#: 1000 more, or of the 360 of the digits' test split.
ROUNDING = 1e-4

#: Two contenders are separated where the corrected p value is below this level.
LEVEL = 0.05


class Interval(NamedTuple):
    """A mean and the bounds of its confidence interval, over ``n`` values."""

    mean: float
    low: float
    high: float
    n: int


class Difference(NamedTuple):
    """Two contenders of one group, first minus second, paired by seed."""

    first: str  # name
    second: str
    group: str
    interval: Interval
    p: float  # of the paired t test; nan for fewer than two pairs
    corrected: float  # p by Holm's method, over all pairs of the comparison
    verdict: str  # "FIRST better", "SECOND better" or "not separated"


def mean_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes means over the leading axis, and their 95% t intervals.

    Args:
      values: ``[n, ...]``; values that are not finite are left out.

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
    total = np.where(kept, values, 0.0).sum(axis=0)
    mean = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    squares = np.where(kept, values - mean, 0.0) ** 2
    freedom = np.maximum(n - 1, 1)
    deviation = np.sqrt(squares.sum(axis=0) / freedom)
    quantile = special.stdtrit(freedom, 0.975)
    half = np.where(n > 1, quantile * deviation / np.sqrt(np.maximum(n, 1)), np.nan)
    return mean, mean - half, mean + half


def mean_interval(values: Iterable[float]) -> Interval:
    """Computes the mean of a sample and its 95% t interval.

    Args:
      values: one value a seed; those that are not finite are left out.

    Returns:
      The interval; its bounds are nan for a single value, its mean too for none, and
      ``n`` counts the finite values.

    >>> mean_interval([1.0, 2.0, 3.0])  # 2 +- 4.303 * 1 / sqrt(3)
    Interval(mean=2.0, low=-0.484..., high=4.484..., n=3)
    >>> mean_interval([7.0])
    Interval(mean=7.0, low=nan, high=nan, n=1)
    """
    sample = np.array([value for value in values if np.isfinite(value)], float)
    mean, low, high = mean_band(sample)
    return Interval(float(mean), float(low), float(high), sample.size)


def paired_interval(differences: Sequence[float]) -> Interval:
    """Computes `mean_interval` of differences, if they have a spread to judge by.

    Where all are equal, its bounds are nan: an interval without width would exclude
    zero whatever `paired_p` says.

    >>> paired_interval([0.1, 0.1, 0.1])
    Interval(mean=0.1..., low=nan, high=nan, n=3)
    """
    interval = mean_interval(differences)
    if interval.n > 1 and _are_equal(differences):
        return interval._replace(low=np.nan, high=np.nan)
    return interval


def paired_p(differences: Sequence[float]) -> float:
    """Computes the two-sided p value of the paired t test.

    Args:
      differences: first minus second contender, one value a seed.

    Returns:
      The p value; nan for fewer than two pairs. Where all differences are equal, as
      those of accuracies on few examples often are, they have no spread to judge by: it
      is 1 if they are zero, else that of the sign test, 2^(1 - n).

    >>> round(paired_p([1.0, 2.0, 3.0]), 4)
    0.0742
    >>> paired_p([0.1, 0.1, 0.1])
    0.25
    """
    n = len(differences)
    if n < 2:
        return np.nan
    mean, deviation = np.mean(differences), np.std(differences, ddof=1)
    if _are_equal(differences):
        return 1.0 if mean == 0 else 2.0 ** (1 - n)
    return float(2 * special.stdtr(n - 1, -abs(mean) / deviation * np.sqrt(n)))


def _are_equal(differences: Sequence[float]) -> bool:
    deviation = np.std(differences, ddof=1)
    return bool(deviation <= ROUNDING * abs(np.mean(differences)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p values for their number by Holm's step-down method.

    The k-th smallest of m is multiplied by m - k + 1; none gets less than a smaller one
    gets, nor more than 1. The chance of one false separation or more is then at most
    the level. Holm, "A simple sequentially rejective multiple test procedure",
    Scandinavian Journal of Statistics 6 (1979).

    Args:
      p_values: p value of each test; nan for a test that was not made.

    Returns:
      The corrected p values, in the same order.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p)[: np.isfinite(p).sum()]  # nan is sorted to the end
    corrected = np.full(p.shape, np.nan)
    factors = len(order) - np.arange(len(order))
    corrected[order] = np.maximum.accumulate(np.minimum(factors * p[order], 1.0))
    return corrected.tolist()


def ranks(differences: Sequence[Difference]) -> dict[str, tuple[int, int]]:
    """Finds the ranks each contender may hold, given which pairs are separated.

    The best rank is one more than the number of contenders shown better; the worst is
    their total less the number shown worse.

    Args:
      differences: every pair of one group.

    Returns:
      Name to (best rank, worst rank), in order of appearance.

    >>> gap = Interval(0.1, 0.05, 0.15, 5)
    >>> ranks([Difference("adam", "sgd", "", gap, 0.001, 0.003, "adam better"),
    ...        Difference("adam", "lamb", "", gap, 0.001, 0.003, "adam better"),
    ...        Difference("sgd", "lamb", "", gap, 0.4, 0.4, "not separated")])
    {'adam': (1, 1), 'sgd': (2, 3), 'lamb': (2, 3)}
    """
    names = dict.fromkeys(name for pair in differences for name in pair[:2])
    ranks = {name: (1, len(names)) for name in names}
    for first, second, *_, said in differences:
        if said != "not separated":
            ahead = said.removesuffix(" better")
            behind = second if ahead == first else first
            ranks[ahead] = ranks[ahead][0], ranks[ahead][1] - 1
            ranks[behind] = ranks[behind][0] + 1, ranks[behind][1]
    return ranks


def median_time(seconds: np.ndarray, reached: np.ndarray) -> float:
    """Estimates the median time to an event that some runs miss.

    The smallest t at which the Kaplan-Meier estimate S(t), the share of runs still on
    their way, is at most a half. A run that misses the event counts as on its way
    until its end. Kaplan, Meier, "Nonparametric estimation from incomplete
    observations", Journal of the American Statistical Association 53 (1958).

    Args:
      seconds: time of the event, or of the end of a run that missed it, ``[runs]``;
        infinity for one that never meets the event, however long it goes on.
      reached: whether each run reached it, ``[runs]``.

    Returns:
      The median; nan where S(t) never falls to a half.

    >>> median_time(np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, True]))
    3.0
    """
    if not len(seconds):
        return np.nan
    from scipy import stats  # half a second, and only this needs it

    finite = np.nan_to_num(seconds)  # the greatest number for infinity
    censored = stats.CensoredData.right_censored(finite, ~np.asarray(reached))
    survival = stats.ecdf(censored).sf
    # Guard: a product of shares may end a rounding error above one half.
    half = np.flatnonzero(survival.probabilities <= 0.5 + 1e-12)
    return float(survival.quantiles[half[0]]) if half.size else np.nan
