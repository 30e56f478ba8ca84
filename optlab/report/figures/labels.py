"""Names beside their lines, kept from lying on each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from optlab.report.figures.style import GREY


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Positions near the wanted ones, at least ``gap`` apart, within the limits.

    Args:
      wanted: in any order.
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
    # Apart by gap means monotone once the offsets are off: the nearest monotone
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
    panel: Axes, ends: Sequence[tuple[str, str, float, float]], height: float
) -> None:
    """Names each line at the right of the panel, in its own colour.

    Call it once the limits are set.

    Args:
      panel: with the lines.
      ends: name, colour, x and y of the last point of each.
      height: of the panel in inches, which sets how close names may stand.
    """
    shown = [end for end in ends if np.isfinite(end[3])]
    transform = panel.transData - panel.transAxes
    wanted = [
        float(np.clip(transform.transform((x, y))[1], 0, 1)) for _, _, x, y in shown
    ]
    places = spread(wanted, 0.17 / height, 0.02, 0.98)
    for (name, colour, x, y), place in zip(shown, places, strict=True):
        panel.annotate(
            name,
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


def say(panel: Axes, lines: Sequence[str]) -> None:
    """Says on the panel what it does not show, and why.

    Args:
      panel: to write on.
      lines: such as "sgd: all lanes diverged"; none writes nothing.
    """
    panel.text(
        0.015, 0.03, "\n".join(lines), transform=panel.transAxes, va="bottom",
        fontsize=8.5, color=GREY, style="italic", wrap=True,
    )  # fmt: skip
