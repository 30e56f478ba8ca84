"""Speed ratios against peers: bars on a log axis."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from optlab.report.figures import style

_FASTER, _SLOWER = style.PALETTE[0], style.PALETTE[1]


class Bar(NamedTuple):
    """One ratio of times."""

    group: str  # heading of consecutive bars
    name: str
    median: float
    low: float
    high: float


@style.themed
def ratio_bars(bars: Sequence[Bar], title: str, label: str) -> Figure:
    """Draws medians as bars from 1, the range as whiskers.

    Bars stand from top to bottom; those of one group follow each other.

    >>> bar = Bar("64 runs", "a plain loop", 12.0, 11.0, 14.0)
    >>> len(ratio_bars([bar], "Times as fast", "ratio").axes)
    1
    """
    places, heads, place = [], {}, 0.0
    for i, bar in enumerate(bars):
        if not i or bar.group != bars[i - 1].group:
            heads[place] = bar.group
            place += 0.85
        places.append(place)
        place += 1.0
    ends = [1.0, *(b.low for b in bars), *(b.high for b in bars)]
    low, high = min(ends), max(ends)
    room = (high / low) ** 0.16
    foot = "bar: median; whisker: range of the rounds"
    figure, axes = style.panels(title, 7.6, [0.3 * place + 0.5], [""], [foot])
    panel = axes[0, 0]
    panel.set_xscale("log")
    panel.set_xlim(low / min(room, 1.5), high * room)
    panel.set_ylim(place - 0.4, -0.5)
    for bar, at in zip(bars, places, strict=True):
        colour = _FASTER if bar.median >= 1 else _SLOWER
        panel.barh(at, bar.median - 1, left=1, height=0.6, color=colour, alpha=0.4)
        panel.plot([bar.low, bar.high], [at, at], color=colour, lw=1.4)
        panel.plot([bar.median] * 2, [at - 0.3, at + 0.3], color=colour, lw=2.4)
        panel.annotate(
            f"{bar.median:.3g}x", (max(bar.high, 1.0), at), (6, 0),
            textcoords="offset points", va="center", fontsize=8.5, color=colour,
            fontweight="bold",
        )  # fmt: skip
    panel.set_yticks(places, [bar.name for bar in bars])
    for at, group in heads.items():
        panel.annotate(
            group, (0, at + 0.1), (-4, 0), xycoords=panel.get_yaxis_transform(),
            textcoords="offset points", ha="right", va="center",
            fontweight="bold", fontsize=8.5, annotation_clip=False,
        )  # fmt: skip
    panel.axvline(1, color=style.GREY, lw=1.1)
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)
    style.number_ticks(panel.xaxis)
    panel.set_xlabel(label)
    return figure
