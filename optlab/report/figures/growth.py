"""Costs against sizes on log axes; the slope of a fitted law is its exponent."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from optlab.report.figures import style
from optlab.results import PowerLaw, extrapolate


class Growth(NamedTuple):
    """One cost by size."""

    name: str  # of the line
    sizes: np.ndarray  # [k], ascending
    costs: np.ndarray  # [j], at the first of the sizes
    law: PowerLaw


class Panel(NamedTuple):
    """Costs that share both axes."""

    size: str  # label of the horizontal axis
    cost: str
    growths: Sequence[Growth]


@style.themed
def growth(title: str, panels: Sequence[Panel], foot: str) -> Figure:
    """Draws measured points, and each law over the sizes that it was fitted to.

    Args:
      title: title of the figure.
      panels: panels from left to right; those of one kind of cost share its axis.
      foot: small print that explains the lines.

    Returns:
      The figure, the panels in one row.
    """
    looks = style.looks(each.name for panel in panels for each in panel.growths)
    many = max(len(panel.growths) for panel in panels) > 1
    width = (6.0 if many else 3.6) * len(panels)
    same = len({panel.cost for panel in panels}) == 1
    figure, axes = style.panels(
        title,
        width,
        [4.4 if many else 3.0],
        [""] * len(panels),
        [foot],
        sharey="row" if same else "none",
    )
    for panel, axis in zip(panels, axes[0], strict=True):
        axis.set_xscale("log")
        axis.set_yscale("log")
        for name, sizes, costs, law in panel.growths:
            look = looks[name]
            points = look.marked(4.5)
            points["label"] += f": $n^{{{law.exponent:.2f}}}$"
            axis.plot(sizes[: len(costs)], costs, **points, lw=0.6, alpha=0.8)
            ends = [law.smallest, law.largest]
            axis.plot(ends, [extrapolate(law, x) for x in ends], color=look.colour)
        axis.set_xlabel(panel.size)
        axis.legend(loc="upper left", labelspacing=0.5)
    for panel, axis in list(zip(panels, axes[0], strict=True))[: 1 if same else None]:
        axis.set_ylabel(panel.cost)
        low, high = axis.get_ylim()  # room for the names above the lines
        axis.set_ylim(low, high * (high / low) ** (0.04 * len(panel.growths)))
    return figure
