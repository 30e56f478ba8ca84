"""Errors by step, one panel for each problem."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from optlab.report.figures import style

_COLUMNS = 3
_SIZE = 11.8 / _COLUMNS, 2.15  # of a panel, in inches
# Lowest error drawn, as a share of the first one: a last step may hit the minimizer.
# Errors after the smallest one are left out.
_LEAST = 1e-17
# A panel is as wide as its longest line, among lines of at most this many times the
# median length: slow methods leave it.
_LONGEST = 3.0


@style.themed
def errors_by_step(problems: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draws errors on a log axis against steps; a straight line converges linearly.

    ``problems`` maps a problem to the errors ``[k]`` of each method, from the start on,
    all in the order to show them. Three panels make a row.
    """
    looks = style.looks(method for found in problems.values() for method in found)
    title = "Distance to the minimizer, by step"
    foot = "Accepted steps only. A line that leaves its panel on the right goes on."
    figure, panels = style.wrapped(title, len(problems), _COLUMNS, _SIZE, [foot])
    for panel, (problem, errors) in zip(panels, problems.items(), strict=True):
        panel.set_title(problem.replace("_", " "))
        _draw(panel, errors, looks)
    for panel in panels[::_COLUMNS]:
        panel.set_ylabel("error")
    for panel in panels[-_COLUMNS:]:
        panel.set_xlabel("step")
    lines = [
        Line2D([], [], lw=2.4, **look.line(np.zeros(0))) for look in looks.values()
    ]
    figure.legend(lines, list(looks), loc="outside right upper", labelspacing=0.8)
    return figure


def _draw(
    panel: Axes, found: Mapping[str, np.ndarray], looks: dict[str, style.Look]
) -> None:
    lengths = []
    for method, errors in found.items():
        errors = np.maximum(errors, _LEAST * errors[0])
        errors = errors[: np.argmin(errors) + 1]
        lengths.append(int(np.argmax(errors <= 10 * errors.min())))
        dots = {"marker": "." if errors.size <= 60 else None, "markersize": 5}
        line = looks[method].line(np.arange(errors.size))
        panel.plot(errors, lw=1.4, **(dots | line))
    limit = _LONGEST * max(float(np.median(lengths)), 1.0)
    widest = max(length for length in lengths if length <= limit)
    panel.set_xlim(0, 1.08 * widest + 0.5)
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.set_yscale("log")
    first = max(errors[0] for errors in found.values())
    top = max(errors.max() for errors in found.values())
    panel.set_ylim(1e-17 * first, 10 * top)
    panel.yaxis.set_major_locator(LogLocator(numticks=6))
    panel.yaxis.set_minor_locator(NullLocator())
