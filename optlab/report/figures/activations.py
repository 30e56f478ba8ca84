"""Functions of one number, each beside its derivative."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from optlab.report.figures import style

#: Panels of a row.
COLUMNS = 4


class Curve(NamedTuple):
    """A function at some points."""

    name: str
    x: np.ndarray  # [n], ascending
    values: np.ndarray  # [n]
    slopes: np.ndarray  # [n], derivative


@style.themed
def with_derivatives(title: str, curves: Sequence[Curve]) -> Figure:
    """Draws each function with its derivative, in a panel of its own.

    Args:
      title: title of the figure.
      curves: the functions.

    Returns:
      The figure.
    """
    rows = -(-len(curves) // COLUMNS)
    titles = [""] * min(COLUMNS, len(curves))
    figure, axes = style.panels(
        title, 2.3 * len(titles), [1.9] * rows, titles, sharex="all", sharey="all"
    )
    for panel in axes.flat[len(curves) :]:
        panel.set_visible(False)
    for panel, curve in zip(axes.flat, curves, strict=False):
        panel.set_title(style.literal(curve.name.replace("_", " ")))
        panel.axhline(0, color=style.GREY, linewidth=0.6)
        panel.plot(curve.x, curve.values, color=style.PALETTE[0], label="value")
        panel.plot(curve.x, curve.slopes, color=style.PALETTE[1], label="derivative",
                   linestyle="--")  # fmt: skip
        panel.set_ylim(-1.3, 2.3)
    axes.flat[0].legend(loc="upper left")
    return figure
