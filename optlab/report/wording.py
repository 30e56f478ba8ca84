"""Numbers, times and names as a reader sees them."""

from collections.abc import Collection

import numpy as np

from optlab.problems import Metric
from optlab.results import Interval

#: Stands where there is no value.
NONE = "-"


def number(value: float) -> str:
    """Formats three significant digits, or a dash for a value that is not finite.

    >>> number(0.00713), number(12345.0), number(float("nan"))
    ('0.00713', '1.23e+04', '-')
    """
    return f"{value:#.3g}".rstrip(".") if np.isfinite(value) else NONE


def in_words(name: str) -> str:
    """Writes a name without underscores."""
    return name.replace("_", " ")


def short(value: float, metric: Metric) -> str:
    """Formats a value of a metric: four digits, and a percent sign where it has one."""
    return f"{100 * value:.4g}%" if metric.percent else f"{value:.4g}"


def plus_minus(interval: Interval, fixed: bool) -> str:
    """Formats a mean with half the width of its interval, if it has one; or a dash.

    ``fixed`` is for two decimals each, instead of three and two significant digits.

    >>> plus_minus(Interval(98.0, 97.0, 99.0, 5), fixed=True)
    '98.00 ± 1.00'
    >>> plus_minus(Interval(98.0, float("nan"), float("nan"), 1), fixed=True)
    '98.00'
    >>> plus_minus(Interval(0.0625, 0.05, 0.07, 5), fixed=False)
    '0.0625 ± 0.01'
    """
    mean, half = interval.mean, (interval.high - interval.low) / 2
    if not np.isfinite(mean):
        return NONE
    text, more = f"{mean:.2f}", f"{half:.2f}"
    if not fixed:
        text, more = number(mean), f"{half:.2g}"
    return f"{text} ± {more}" if np.isfinite(half) else text


def measured(interval: Interval, metric: Metric) -> str:
    """Formats a mean of a metric as `plus_minus` does, a share in percent.

    >>> share = Metric("recall", True, True, lambda outputs, targets: None)
    >>> measured(Interval(0.98, 0.97, 0.99, 5), share)
    '98.00 ± 1.00'
    """
    scale = 100 if metric.percent else 1
    mean, low, high = (scale * x for x in interval[:3])
    return plus_minus(Interval(mean, low, high, interval.n), fixed=metric.percent)


def signed(interval: Interval, percent: bool) -> tuple[str, str]:
    """Formats a mean difference and its interval, with signs.

    Args:
      interval: mean and bounds.
      percent: whether they are shares, written in percentage points.

    Returns:
      The mean, or a dash; the bounds, a dash where several values have none, as of
      `paired_interval`, or nothing.

    >>> signed(Interval(0.01, -0.002, 0.022, 5), percent=True)
    ('+1.00', '[-0.20, +2.20]')
    >>> signed(Interval(0.5, float("nan"), float("nan"), 1), percent=False)
    ('+0.5', '')
    >>> signed(Interval(0.5, float("nan"), float("nan"), 2), percent=False)
    ('+0.5', '-')
    """
    scale, form = (100, "{:+.2f}") if percent else (1, "{:+.3g}")
    mean, low, high = (form.format(scale * x) for x in interval[:3])
    bounds = f"[{low}, {high}]" if np.isfinite(interval.low) else NONE
    if interval.n < 2:
        bounds = ""
    return mean if np.isfinite(interval.mean) else NONE, bounds


def legend(intervals: Collection[str]) -> list[str]:
    """Explains the dash that `signed` writes for an interval, where there is one.

    >>> len(legend(["[-0.20, +2.20]", "-"])), len(legend([""]))
    (1, 0)
    """
    text = (
        "A dash for an interval: the differences of all seeds are equal, so they have "
        "no spread to judge by; p is the sign test's, 2^(1 - n), or 1 where all are 0."
    )
    return [text] * (NONE in intervals)


def unit(metric: Metric) -> str:
    """Names a metric with the unit of its values, such as ``accuracy %``."""
    return in_words(metric.name) + " %" * metric.percent


def duration(seconds: float) -> str:
    """Formats a time in the units that a person would choose.

    >>> duration(0.42), duration(87.0), duration(107.0), duration(7265.0)
    ('0.42 s', '87 s', '1:47 min', '2:01 h')
    """
    if not np.isfinite(seconds):
        return NONE
    if seconds < 99.5:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"


def byte_size(size: float) -> str:
    """Formats bytes in the largest fitting unit, in powers of 1000.

    >>> byte_size(512), byte_size(17_700), byte_size(61_706.0**2 * 4), byte_size(1e21)
    ('512 B', '17.7 kB', '15.2 GB', '1 ZB')
    """
    units = ["ZB", "EB", "PB", "TB", "GB", "MB", "kB", "B"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop()
    return f"{size:.3g} {units[-1]}"


def p_value(p: float) -> str:
    """Writes a p value; a dash for NaN.

    >>> p_value(0.04), p_value(1e-5)
    ('0.040', '<0.001')
    """
    return NONE if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"
