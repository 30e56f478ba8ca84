"""Gradient and dead units of each layer of deep nets."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from optlab.report.figures import style


@style.themed
def by_layer(
    title: str,
    slopes: Mapping[str, np.ndarray],
    dead: Mapping[str, np.ndarray],
    dead_after: Mapping[str, np.ndarray],
) -> Figure:
    """Draws three quantities against the number of the layer, the first one left.

    Each maps the name of a net to ``[seeds, layers]``: the size of the gradient, on a
    log axis without the zeros, and the share of dead units before and after training. A
    line is the median over the seeds; its band holds their middle half.
    """
    figure, axes = style.panels(title, 8.2, [3.2, 2.1, 2.1], [""], sharex="col")
    looks = style.looks(slopes)
    for panel, lines in zip(axes[:, 0], (slopes, dead, dead_after), strict=True):
        for name, values in lines.items():
            layers = np.arange(1, values.shape[1] + 1)
            style.middle_half(panel, layers, values, **looks[name].marked(4))
    axes[0, 0].set_yscale("log", nonpositive="mask")
    axes[0, 0].set_ylabel("root mean square gradient")
    for panel, when in ((axes[1, 0], "before"), (axes[2, 0], "after")):
        panel.set_ylabel(f"share of dead units\n{when} training")
        panel.set_ylim(-0.03, 1.03)
    axes[2, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[2, 0].set_xlabel("layer, from the inputs")
    axes[0, 0].legend(**style.BESIDE)
    return figure
