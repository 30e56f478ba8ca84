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
    columns, small = min(count, 4), [_leaving(surface, paths)]
    figure, panels = style.wrapped(title, count, columns, (2.9, 2.6), small, "all")
    looks = style.looks(path.method for path in paths)
    for panel, path in zip(panels, paths, strict=True):
        _contours(panel, surface)
        panel.set_title(style.literal(f"{path.method}, {path.remark}"))
        colour = looks[path.method].colour
        panel.plot(*path.points.T, color=colour, linewidth=1.2, marker=".",
                   markersize=3)  # fmt: skip
        panel.plot(*path.points[-1], "o", color=colour, markersize=6)
    for panel in (panel for i, panel in enumerate(panels) if i % columns):
        panel.set_ylabel("")
    return figure


@style.themed
def together(title: str, surface: Surface, paths: Sequence[Path], step: int) -> Figure:
    """Draws the first steps of all paths over the same contours; a mark ends each."""
    walked = [path._replace(points=path.points[: step + 1]) for path in paths]
    figure, axes = style.panels(title, 8.2, [4.6], [""], [_leaving(surface, walked)])
    panel = axes[0, 0]
    _contours(panel, surface)
    looks = style.looks(path.method for path in paths)
    for path in walked:
        colour, marker = looks[path.method][:2]
        panel.plot(*path.points.T, color=colour, linewidth=1.3, alpha=0.8)
        panel.plot(
            *path.points[-1], marker, color=colour, markersize=7, label=path.method,
            markeredgecolor="white", linestyle="",
        )  # fmt: skip
    panel.legend(**style.BESIDE)
    return figure


def _leaving(surface: Surface, paths: Sequence[Path]) -> str:
    """Names the paths with points outside of the panel; empty where there are none."""
    low, high = (np.array([surface.x[i], surface.y[i]]) for i in (0, -1))
    names = [
        path.method
        for path in paths
        if not ((low <= path.points) & (path.points <= high)).all()
    ]
    return f"some steps are outside of the panel: {', '.join(names)}" * bool(names)


def _contours(panel: Axes, surface: Surface) -> None:
    highest = surface.values.max()
    levels = np.geomspace(1e-4 * highest, highest, LINES)
    panel.contour(
        surface.x, surface.y, surface.values, levels=levels, cmap="Greys_r",
        linewidths=0.6, alpha=0.7,
    )  # fmt: skip
    # Above the dots, of which the last one often covers it.
    panel.plot(*surface.minimizer, "+", color="black", markersize=9, zorder=4)
    panel.set_xlabel("x1")
    panel.set_ylabel("x2")
    panel.set_xlim(surface.x[0], surface.x[-1])
    panel.set_ylim(surface.y[0], surface.y[-1])
    panel.grid(False)
