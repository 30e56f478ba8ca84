"""Paths of minimizers over the contours of a function of two variables."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optlab.report.figures import style

#: Contour lines of a panel, evenly spaced in the logarithm of the value.
LINES = 14


class Surface(NamedTuple):
    """A function on a grid, and its minimizer."""

    x: np.ndarray  # [m]
    y: np.ndarray  # [k]
    values: np.ndarray  # [k, m], less the value at the minimum: 0 or more
    minimizer: np.ndarray  # [2]


class Path(NamedTuple):
    """The points that a method passed."""

    method: str
    remark: str  # such as its rate
    points: np.ndarray  # [steps + 1, 2]


@style.themed
def by_method(title: str, surface: Surface, paths: Sequence[Path]) -> Figure:
    """Draws a panel of contours for each path, four in a row."""
    count = len(paths)
    figure, panels = style.wrapped(title, count, min(count, 4), (2.9, 2.6), share="all")
    looks = style.looks(path.method for path in paths)
    for panel, path in zip(panels, paths, strict=True):
        _contours(panel, surface)
        panel.set_title(style.literal(f"{path.method}, {path.remark}"))
        colour = looks[path.method].colour
        panel.plot(*path.points.T, color=colour, linewidth=1.2, marker=".",
                   markersize=3)  # fmt: skip
        panel.plot(*path.points[-1], "o", color=colour, markersize=6)
    return figure


@style.themed
def together(title: str, surface: Surface, paths: Sequence[Path], step: int) -> Figure:
    """Draws the first steps of all paths over the same contours; a mark ends each."""
    figure, axes = style.panels(title, 8.2, [4.6], [""])
    panel = axes[0, 0]
    _contours(panel, surface)
    looks = style.looks(path.method for path in paths)
    for path in paths:
        colour, marker = looks[path.method][:2]
        walked = path.points[: step + 1]
        panel.plot(*walked.T, color=colour, linewidth=1.3, alpha=0.8)
        panel.plot(*walked[-1], marker, color=colour, markersize=7, label=path.method,
                   markeredgecolor="white", linestyle="")  # fmt: skip
    panel.legend(**style.BESIDE)
    return figure


def _contours(panel: Axes, surface: Surface) -> None:
    highest = surface.values.max()
    levels = np.geomspace(1e-4 * highest, highest, LINES)
    panel.contour(
        surface.x, surface.y, surface.values, levels=levels, cmap="Greys_r",
        linewidths=0.6, alpha=0.7,
    )  # fmt: skip
    panel.plot(*surface.minimizer, "+", color="black", markersize=9)
    panel.set_xlim(surface.x[0], surface.x[-1])
    panel.set_ylim(surface.y[0], surface.y[-1])
    panel.grid(False)
