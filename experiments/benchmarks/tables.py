"""What the suites measured as tables and bars, for the terminal and the page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.benchmarks.suite import Ratio, SuiteResult, Value
from optlab.report import Table
from optlab.report.figures.ratios import Bar
from optlab.report.tables import number


def ratio_table(ratios: Sequence[Ratio]) -> Table:
    """A row a peer.

    Args:
      ratios: of a suite.

    Returns:
      The table; its notes say how times came about that were not measured whole.
    """
    notes = dict.fromkeys(
        f"{ratio.peer}: {ratio.note}" for ratio in ratios if ratio.note
    )
    return Table(
        title="Ratio: the peer's time / optlab's, by turns",
        columns=(
            "peer", "optlab", "peer's\ntime", "ratio", "min..max", "faster", "target",
        ),
        align="lrrrrll",
        rows=tuple(
            (
                ratio.peer,
                clock(float(np.median(ratio.own_seconds))),
                clock(float(np.median(ratio.peer_seconds))),
                number(ratio.median),
                f"{number(ratio.each.min())}..{number(ratio.each.max())}",
                faster(ratio),
                target(ratio),
            )
            for ratio in ratios
        ),
        groups=tuple(ratio.work for ratio in ratios),
        notes=tuple(notes),
    )  # fmt: skip


def faster(ratio: Ratio) -> str:
    """Who is, where all turns agree.

    >>> faster(Ratio("work", "peer", (3.0, 4.0), (2.0, 2.0)))
    'optlab'
    >>> faster(Ratio("work", "peer", (1.0, 4.0), (2.0, 2.0)))
    'neither'
    """
    if ratio.each.min() > 1:
        return "optlab"
    return "peer" if ratio.each.max() < 1 else "neither"


def target(ratio: Ratio) -> str:
    """What was to be reached, and whether it was; empty where nothing was.

    >>> target(Ratio("work", "peer", (3.0, 4.0), (2.0, 2.0), target=2.0))
    '2 missed'
    """
    if ratio.target is None:
        return ""
    return f"{ratio.target:.3g} {'met' if ratio.met else 'missed'}"


def value_table(values: Sequence[Value]) -> Table:
    """A row a figure that is no ratio of times.

    Args:
      values: of a suite.

    Returns:
      The table.
    """
    rows = []
    for value in values:
        limits = []
        if value.least is not None and value.least == value.most:
            limits = [f"exactly {value.least:g}"]
        else:
            if value.least is not None:
                limits.append(f"at least {value.least:g}")
            if value.most is not None:
                limits.append(f"at most {value.most:g}")
        met = {True: "met", False: "missed", None: ""}[value.met]
        text = f"{value.value:.6g}" if value.value % 1 == 0 else number(value.value)
        rows.append((value.name, text, value.unit, ", ".join(limits), met))
    return Table(
        title="Figures",
        columns=("figure", "value", "unit", "target", "verdict"),
        align="lrlll",
        rows=tuple(rows),
        groups=("",) * len(rows),
    )


def bars(results: Mapping[str, SuiteResult]) -> list[Bar]:
    """The ratios of all suites as bars.

    Args:
      results: suite's name to what it measured.

    Returns:
      A bar a ratio.
    """
    return [
        Bar(ratio.work, ratio.peer, ratio.median, min(ratio.each), max(ratio.each),
            ratio.target)
        for result in results.values()
        for ratio in result.ratios
    ]  # fmt: skip


def record(result: SuiteResult) -> dict[str, Any]:
    """What a suite measured, as ``results.json`` keeps it.

    Args:
      result: of the suite.

    Returns:
      Every turn, and what follows from them.
    """
    return {
        "ratios": [
            ratio._asdict()
            | {
                "median": ratio.median,
                "low": ratio.each.min(),
                "high": ratio.each.max(),
                "met": ratio.met,
            }
            for ratio in result.ratios
        ],
        "values": [value._asdict() | {"met": value.met} for value in result.values],
        "tables": [block for block in result.blocks if isinstance(block, Table)],
        "notes": result.notes,
    }


def clock(seconds: float) -> str:
    """Seconds in the unit that reads best.

    >>> clock(0.0385), clock(0.52), clock(103.4)
    ('38.5 ms', '520 ms', '103 s')
    """
    if seconds < 1e-3:
        return f"{number(1e6 * seconds)} us"
    return f"{number(1e3 * seconds)} ms" if seconds < 1 else f"{number(seconds)} s"
