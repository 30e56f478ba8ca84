"""Names beside their lines, kept apart from each other."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from optlab.report.figures.style import GREY, literal


class End(NamedTuple):
    """The last point of a line, to be named."""

    name: str
    colour: str
    x: float
    y: float  # nan where the line has no point


def end_of(name: str, colour: str, x: np.ndarray, y: np.ndarray) -> End:
    """Finds the last finite point of a line.

    Args:
      name: text of the label.
      colour: of the line.
      x: ``[n]``.
      y: ``[n]``.

    Returns:
      The end.
    """
    finite = np.flatnonzero(np.isfinite(y))
    if not finite.size:
        return End(name, colour, np.nan, np.nan)
    return End(name, colour, float(x[finite[-1]]), float(y[finite[-1]]))


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Finds positions near the wanted ones, at least a gap apart, within limits.

    Args:
      wanted: positions in any order.
      gap: between neighbours; less where the limits leave no room for it.
      low: least position.
      high: greatest position.

    Returns:
      One position for each, in the order given.

    >>> spread([0.5, 0.52, 0.0], 0.1, 0.0, 1.0).round(2).tolist()
    [0.46, 0.56, 0.0]
    """
    count = len(wanted)
    gap = min(gap, (high - low) / max(count - 1, 1))
    order = np.argsort(wanted, kind="stable")
    offsets = gap * np.arange(count)
    # A gap apart means monotone after subtracting the offsets: the nearest monotone
    # sequence pools neighbours that are out of order into their mean.
    pools: list[list[float]] = []
    for value in np.asarray(wanted, float)[order] - offsets:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    level = np.concatenate([[np.mean(p)] * len(p) for p in pools] or [[]])
    placed = np.empty(count)
    placed[order] = np.clip(level, low, high - gap * max(count - 1, 0)) + offsets
    return placed


def label_ends(panel: Axes, ends: Sequence[End], height: float) -> None:
    """Names each line at the right of the panel, in the line's colour.

    Call it once the limits are set.

    Args:
      panel: axes with the lines.
      ends: last point of each line.
      height: of the panel in inches, which bounds how close names may be.
    """
    shown = [end for end in ends if np.isfinite(end.y)]
    transform = panel.transData - panel.transAxes
    wanted = [
        float(np.clip(transform.transform((end.x, end.y))[1], 0, 1)) for end in shown
    ]
    places = spread(wanted, 0.17 / height, 0.02, 0.98)
    for (name, colour, x, y), place in zip(shown, places, strict=True):
        panel.annotate(
            literal(name),
            (x, float(np.clip(y, *panel.get_ylim()))),
            (1.045, place),
            textcoords=panel.transAxes,
            color=colour,
            fontsize=9,
            fontweight="bold",
            va="center",
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.7, "alpha": 0.6,
                        "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 2},
            annotation_clip=False,
        )  # fmt: skip


def say(panel: Axes, missing: Mapping[str, Sequence[str]]) -> None:
    """Writes on the panel which contenders it does not show, and why.

    Args:
      panel: axes to write on.
      missing: reason to the names it holds for, such as "all lanes diverged".
    """
    lines = [
        line
        for reason, names in missing.items()
        for line in textwrap.wrap(f"{', '.join(names)}: {reason}", 38)
    ]
    panel.text(
        0.015, 0.03, literal("\n".join(lines)), transform=panel.transAxes, va="bottom",
        fontsize=8.5, color=GREY, style="italic",
    )  # fmt: skip
