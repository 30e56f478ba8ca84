"""Time to the target of the deciding metric, with runs that missed it."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from optlab.report.figures import style
from optlab.report.wording import in_words, short
from optlab.results import Entry, Results, median_time_to_target, times_to_target


@style.themed
def time_to_target(results: Results) -> Figure:
    """Draws Kaplan-Meier median times as bars, and each report run as a marker.

    The comparison has a target. A run that missed it is an open marker with an arrow at
    its end; the label of a bar counts the runs that reached it. A column is a group.
    """
    assert results.target is not None
    metric, looks = results.metrics[0], style.contenders(results)
    said = f"{short(results.target, metric)} validation {in_words(metric.name)}"
    foot = (
        "bar: median; dot: a run that reached the target; open marker with an arrow: "
        "one that ended before"
    )
    heights = [0.42 * len(looks) + 0.8]
    figure, axes = style.canvas(results, f"Time to {said}", heights, foot, sharex="all")
    panels = dict(zip(style.groups(results), axes[0], strict=True))
    names = list(looks)
    longest = max(
        _bar(panels[entry.group], results, entry, names.index(entry.name))
        for entry in results.entries
    )
    for panel in axes[0]:
        labels = [style.literal(name) for name in names]
        panel.set_yticks(range(len(names)), labels, fontweight="bold")
        panel.grid(visible=False, axis="y")
        panel.tick_params(axis="y", length=0)
        panel.set_xlabel(style.SECONDS)
    for label, name in zip(axes[0, 0].get_yticklabels(), names, strict=True):
        label.set_color(looks[name].colour)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.5)
    axes[0, 0].set_xlim(0, (1.45 if len(axes[0]) == 1 else 1.75) * longest or 1.0)
    return figure


def _bar(panel: Axes, results: Results, entry: Entry, place: int) -> float:
    """Draws one contender and returns the longest time on it."""
    assert results.target is not None
    colour = style.contenders(results)[entry.name].colour
    words: dict[str, Any] = {"va": "center", "fontsize": 8.5, "color": style.GREY}
    words["style"] = "italic"
    if entry.report is None:
        panel.annotate("all lanes diverged", (0, place), (5, 0),
                       textcoords="offset points", **words)  # fmt: skip
        return 0.0
    goal = results.metrics[0], results.target
    seconds, reached = times_to_target(entry.report, *goal)
    median = median_time_to_target(entry.report, *goal)
    of = f"({reached.sum()} of {reached.size})"
    if np.isfinite(median):
        pale = 0.35 * np.array(to_rgb(colour)) + 0.65
        panel.barh(place, median, height=0.58, color=tuple(pale))
        panel.plot([median] * 2, [place - 0.29, place + 0.29], color=colour, lw=2.2)
        text = f"{median:.3g} s  {of}"
        words |= {"color": "#262626", "style": "normal"}
    else:
        text = f"median not reached  {of}"
    jitter = place + 0.16 * (np.linspace(-1, 1, seconds.size) if seconds.size > 1 else
                             np.zeros(1))  # fmt: skip
    panel.plot(seconds[reached], jitter[reached], "o", color=colour, markersize=4.2,
               markeredgecolor="white", markeredgewidth=0.6, zorder=3)  # fmt: skip
    for x, y in zip(seconds[~reached], jitter[~reached], strict=True):
        panel.annotate("", (x, y), (14, 0), textcoords="offset points",
                       arrowprops={"arrowstyle": "<-", "color": colour, "lw": 0.9,
                                   "shrinkA": 0, "shrinkB": 3})  # fmt: skip
        panel.plot(x, y, "o", markersize=4.2, markerfacecolor="white",
                   markeredgecolor=colour, markeredgewidth=1.0, zorder=3)  # fmt: skip
    end = float(seconds.max())
    panel.annotate(text, (end, place), (8 if reached.all() else 20, 0),
                   textcoords="offset points", **words)  # fmt: skip
    return end
