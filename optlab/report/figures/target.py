"""How long each optimizer takes to reach the target accuracy."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from optlab.report.figures import style
from optlab.results import Cell, Results, cell_rows, times_to_target


def time_to_target(results: Results) -> Figure:
    """Median time to the target accuracy as bars, each report run as a dot.

    Args:
      results: whose report runs are drawn; the bar is over the runs that reached the
        target, and its label says how many did.

    Returns:
      The figure, one column a batch size.
    """
    names = style.optimizers(results)
    with style.house():
        title = f"Time to {100 * results.target_accuracy:.4g}% validation accuracy"
        foot = "bar: median of the runs that reached it; dots: one run each"
        height = 0.42 * len(names) + 0.8
        figure, axes = style.canvas(results, title, [height], foot, sharex="all")
        longest = 0.0
        for panel, size in zip(axes[0], style.batch_sizes(results), strict=False):
            cells = {c.optimizer: c for c in results.cells if c.batch_size == size}
            for place, name in enumerate(names):
                if name in cells:
                    longest = max(longest, _bar(panel, results, cells[name], place))
            panel.set_yticks(range(len(names)), names, fontweight="bold")
            panel.grid(visible=False, axis="y")
            panel.tick_params(axis="y", length=0)
            panel.set_xlabel("seconds of one run alone, compile excluded")
        labels = axes[0, 0].get_yticklabels()
        for label, look in zip(
            labels, style.looks(style.optimizers(results)).values(), strict=False
        ):
            label.set_color(look.colour)
        axes[0, 0].set_ylim(max(len(names), 1) - 0.5, -0.5)
        axes[0, 0].set_xlim(0, 1.32 * longest or 1.0)
    return figure


def _bar(panel: Axes, results: Results, cell: Cell, place: int) -> float:
    """Draws one cell and returns the longest time on it."""
    rows = cell_rows(results.rows, cell, "report")
    times = np.array(list(times_to_target(rows, results.target_accuracy).values()))
    reached = times[np.isfinite(times)]
    of = f"{reached.size} of {times.size}"
    if not reached.size:
        text = f"not reached ({of})" if times.size else "all lanes diverged"
        panel.annotate(text, (0, place), (5, 0), textcoords="offset points",
                       va="center", color=style.GREY, style="italic")  # fmt: skip
        return 0.0
    colour = style.looks(style.optimizers(results))[cell.optimizer].colour
    median = float(np.median(reached))
    pale = 0.35 * np.array(to_rgb(colour)) + 0.65
    panel.barh(place, median, height=0.58, color=tuple(pale))
    panel.plot([median, median], [place - 0.29, place + 0.29], color=colour, lw=2.2)
    jitter = 0.16 * np.linspace(-1, 1, reached.size) if reached.size > 1 else [0.0]
    panel.plot(reached, place + np.asarray(jitter), "o", color=colour, markersize=4.2,
               markeredgecolor="white", markeredgewidth=0.6, zorder=3)  # fmt: skip
    panel.annotate(f"{median:.3g} s  ({of})", (float(reached.max()), place), (8, 0),
                   textcoords="offset points", va="center", fontsize=8.5,
                   color="#262626")  # fmt: skip
    return float(reached.max())
