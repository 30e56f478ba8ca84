"""Memory that methods need on nets, beside the memory that there is."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from optlab.report.figures import style
from optlab.report.wording import byte_size


@style.themed
def memory_by_net(
    needs: Mapping[str, Mapping[str, float]], limit: float, label: str
) -> Figure:
    """Draws a row of markers for each net on a log axis, and a line at the limit.

    ``needs`` maps a net to the bytes of each method or matrix by name; nets stand from
    top to bottom, all with the same names. The limit is the bytes that there are.

    >>> needs = {"small": {"adam": 1e6, "newton": 1e12}}
    >>> len(memory_by_net(needs, 2e10, "20 GB").axes)
    1
    """
    looks = style.looks(name for need in needs.values() for name in need)
    sizes = [size for need in needs.values() for size in need.values()]
    low, high = min(*sizes, limit) / 2, max(*sizes, limit) * 2
    title = "Bytes that one step of each method holds"
    foot = "Parameters, gradient, state and dense matrices; activations come on top."
    height = 0.36 * len(needs) + 0.8
    figure, axes = style.panels(title, 9.6, [height], [""], [foot])
    panel = axes[0, 0]
    panel.set_xscale("log")
    panel.set_xlim(low, high)
    panel.set_ylim(len(needs) - 0.4, -0.6)
    panel.axvspan(limit, high, color="#F4F4F4", linewidth=0)
    panel.axvline(limit, color="#262626", lw=1.4, ls="--")
    panel.annotate(
        style.literal(label), (limit, 1), (0, 4), ha="center", va="bottom",
        xycoords=panel.get_xaxis_transform(), textcoords="offset points",
        fontsize=8.5, fontweight="bold",
    )  # fmt: skip
    for i, (name, look) in enumerate(looks.items()):
        # Apart from each other: methods of the same size would hide one another.
        apart = 0.4 * (i / max(len(looks) - 1, 1) - 0.5)
        heights = [row + apart for row in range(len(needs))]
        held = [need[name] for need in needs.values()]
        panel.plot(held, heights, ls="", alpha=0.9, **look.marked())
    panel.set_yticks(range(len(needs)), [style.literal(net) for net in needs])
    panel.tick_params(axis="y", length=0)
    ticks = [size for size in 10.0 ** np.arange(6, 22, 3) if low <= size <= high]
    panel.set_xticks(ticks, [byte_size(size) for size in ticks])
    panel.xaxis.set_minor_locator(NullLocator())
    figure.legend(loc="outside right upper", labelspacing=0.7)
    return figure
