"""Time and memory of a step against the number of parameters, with fitted laws."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optlab.report.figures import style
from optlab.results.rates import PowerLaw, extrapolate

_HEIGHT = 4.4


class Growth(NamedTuple):
    """One cost of one method by size."""

    method: str
    sizes: np.ndarray  # [k]
    costs: np.ndarray  # [k]
    law: PowerLaw


def cost_by_size(panels: Sequence[tuple[str, Sequence[Growth]]]) -> Figure:
    """Draws measured points and fitted lines on log axes: the slope is the exponent.

    Args:
      panels: label of the vertical axis and growths of each panel.

    Returns:
      The figure, the panels in one row.
    """
    looks = style.looks(each.method for _, growths in panels for each in growths)
    with style.theme():
        figure, axes = style.panels(
            "Cost of one step against the number of parameters",
            6.0 * len(panels),
            [_HEIGHT],
            [""] * len(panels),
            ["Points: measured; thick lines: power laws through the largest sizes."],
        )
        for panel, (label, growths) in zip(axes[0], panels, strict=True):
            panel.set_xscale("log")
            panel.set_yscale("log")
            for each in growths:
                _draw(panel, each, looks[each.method])
            panel.set_xlabel("parameters n")
            panel.set_ylabel(label)
            panel.legend(loc="upper left", labelspacing=0.5)
            # Room for the names above the lines.
            low, high = panel.get_ylim()
            panel.set_ylim(low, high * (high / low) ** (0.04 * len(growths)))
    return figure


def _draw(panel: Axes, growth: Growth, look: style.Look) -> None:
    """Draws one method: its points, and the law over the sizes of the fit."""
    ends = [growth.law.smallest, growth.law.largest]
    heights = [extrapolate(growth.law, size) for size in ends]
    points: dict[str, Any] = {"color": look.colour, "marker": look.marker, "ms": 4.5}
    panel.plot(growth.sizes, growth.costs, **points, lw=0.6, alpha=0.8)
    panel.plot(ends, heights, color=look.colour)
    label = f"{growth.method}: $n^{{{growth.law.exponent:.2f}}}$"
    panel.plot([], [], **points, label=label)
