"""Gradient and dead units of each layer of deep nets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from optlab.report.figures import style


class Line(NamedTuple):
    """A quantity by layer."""

    name: str
    values: np.ndarray  # [seeds, layers]


@style.themed
def by_layer(title: str, slopes: Sequence[Line], dead: Sequence[Line]) -> Figure:
    """Draws two quantities against the number of the layer, the first one left.

    Args:
      title: title of the figure.
      slopes: size of the gradient, drawn on a log axis; zeros are left out.
      dead: share of dead units.

    Returns:
      The figure: the median over the seeds, and a band that holds their middle half.
    """
    figure, axes = style.panels(title, 8.2, [3.2, 2.4], [""], sharex="col")
    looks = style.looks(line.name for line in slopes)
    for panel, lines in zip(axes[:, 0], (slopes, dead), strict=True):
        for name, values in lines:
            layers = np.arange(1, values.shape[1] + 1)
            low, middle, high = np.percentile(values, (25, 50, 75), axis=0)
            look = looks[name]
            panel.plot(layers, middle, color=look.colour, marker=look.marker,
                       markersize=4, label=name)  # fmt: skip
            panel.fill_between(layers, low, high, color=look.colour, alpha=0.12,
                               linewidth=0)  # fmt: skip
    axes[0, 0].set_yscale("log", nonpositive="mask")
    axes[0, 0].set_ylabel("root mean square gradient")
    axes[1, 0].set_ylabel("share of dead units")
    axes[1, 0].set_ylim(-0.03, 1.03)
    axes[1, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[1, 0].set_xlabel("layer, from the inputs")
    axes[0, 0].legend(loc="upper left", bbox_to_anchor=(1.02, 1.0))
    return figure
