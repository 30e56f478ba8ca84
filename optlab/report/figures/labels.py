"""Names beside their lines, kept apart from each other."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from optlab.report.figures.style import GREY, literal


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Finds positions near the wanted ones, at least a gap apart, within limits.

    Args:
      wanted: positions in any order.
      gap: least distance of neighbours; less where the limits leave no room for it.
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


def label_ends(
    panel: Axes, lines: Sequence[tuple[str, str, np.ndarray, np.ndarray]], height: float
) -> None:
    """Names each line at the right of the panel, in the line's colour.

    Call it once the limits are set. A line is name, colour, x and y, which may hold
    NaN. The height of the panel in inches bounds how close names may be.
    """
    shown = []
    for name, colour, x, y in lines:
        for last in np.flatnonzero(np.isfinite(y))[-1:]:
            shown.append((name, colour, x[last], y[last]))
    transform = panel.transData - panel.transAxes
    wanted = [float(np.clip(transform.transform(end[2:])[1], 0, 1)) for end in shown]
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

    ``missing`` maps a reason, such as "all lanes diverged", to names.
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
