"""Measurements of the suites as tables and bars, for the terminal and the page."""

from collections.abc import Iterable, Sequence

import numpy as np

from experiments.benchmarks.suite import Ratio, Value
from optlab.report import Table
from optlab.report.figures.ratios import Bar
from optlab.report.tables import number


def ratio_table(ratios: Sequence[Ratio]) -> Table:
    """Tabulates ratios, a row a peer.

    Args:
      ratios: measurements of a suite.

    Returns:
      The table; its notes say how times were scaled up that were not measured whole.
    """
    notes = [f"{ratio.peer}: {ratio.note}." for ratio in ratios if ratio.note]
    return Table(
        title="Ratio: the peer's time / optlab's; below 1 the peer is faster",
        columns=(
            "peer", "optlab's\ntime", "peer's\ntime", "ratio,\nmedian", "min..max",
            "faster in\nevery round",
        ),
        align="lrrrrl",
        rows=tuple(
            (
                ratio.peer,
                clock(float(np.median(ratio.own_seconds))),
                clock(float(np.median(ratio.peer_seconds))),
                number(ratio.median),
                f"{number(ratio.each.min())}..{number(ratio.each.max())}",
                ratio.faster,
            )
            for ratio in ratios
        ),
        groups=tuple(ratio.work for ratio in ratios),
        notes=tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def value_table(values: Sequence[Value]) -> Table:
    """Tabulates figures that are no ratios of times."""
    texts = [f"{x:g}" if x % 1 == 0 else number(x) for _, x, _ in values]
    return Table(
        title="Figures",
        columns=("figure", "value", "unit"),
        align="lrl",
        rows=tuple(
            (each.name, text, each.unit)
            for each, text in zip(values, texts, strict=True)
        ),
        groups=("",) * len(values),
    )


def bars(ratios: Iterable[Ratio]) -> list[Bar]:
    """Makes a bar of each ratio: its median and its range."""
    return [
        Bar(each.work, each.peer, each.median, min(each.each), max(each.each))
        for each in ratios
    ]


def clock(seconds: float) -> str:
    """Formats seconds in the unit that reads best.

    >>> clock(0.0385), clock(0.52), clock(103.4)
    ('38.5 ms', '520 ms', '103 s')
    """
    if seconds < 1e-3:
        return f"{number(1e6 * seconds)} us"
    return f"{number(1e3 * seconds)} ms" if seconds < 1 else f"{number(seconds)} s"
