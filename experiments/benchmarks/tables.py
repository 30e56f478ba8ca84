"""Measurements of a suite as tables, for the terminal and the page."""

from collections.abc import Sequence

import numpy as np

from experiments.benchmarks.suite import Ratio, SuiteResult, Value
from optlab.report import Table, number, tabulate
from optlab.report.document import Block


def blocks(result: SuiteResult) -> tuple[Block, ...]:
    """Lists a suite's measurements in the order in which they are read."""
    ratios = [_ratio_table(result.ratios)] if result.ratios else []
    values = [_value_table(result.values)] if result.values else []
    return (*ratios, *values, *result.blocks, *result.notes)


def _ratio_table(ratios: Sequence[Ratio]) -> Table:
    """A row a peer; the notes say how times that were not measured whole are scaled."""
    rows = [
        {
            "peer": ratio.peer,
            "optlab's\ntime": _clock(float(np.median(ratio.own_seconds))),
            "peer's\ntime": _clock(float(np.median(ratio.peer_seconds))),
            "ratio,\nmedian": number(ratio.median),
            "min..max": f"{number(ratio.each.min())}..{number(ratio.each.max())}",
            "faster in\nevery round": ratio.faster,
        }
        for ratio in ratios
    ]
    title = "Ratio: the peer's time / optlab's; below 1 the peer is faster"
    notes = [f"{ratio.peer}: {ratio.note}." for ratio in ratios if ratio.note]
    groups = [ratio.work for ratio in ratios]
    left = ["peer", "faster in\nevery round"]
    return tabulate(title, rows, left, tuple(dict.fromkeys(notes)), groups)


def _value_table(values: Sequence[Value]) -> Table:
    rows = [
        {
            "figure": name,
            "value": f"{value:g}" if value % 1 == 0 else number(value),
            "unit": unit,
        }
        for name, value, unit in values
    ]
    return tabulate("Figures", rows, ["figure", "unit"])


def _clock(seconds: float) -> str:
    """Formats seconds in the unit that reads best.

    >>> _clock(0.0385), _clock(0.52), _clock(103.4)
    ('38.5 ms', '520 ms', '103 s')
    """
    if seconds < 1e-3:
        return f"{number(1e6 * seconds)} us"
    return f"{number(1e3 * seconds)} ms" if seconds < 1 else f"{number(seconds)} s"
