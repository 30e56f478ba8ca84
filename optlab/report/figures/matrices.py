"""Matrices as maps of colour, with their numbers where there is room."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from optlab.report.figures import style

#: Largest matrix, in numbers along a side, whose numbers are written.
WRITTEN = 6


@style.themed
def matrices(title: str, rows: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draws matrices in a grid: blue below zero, red above, white at zero.

    ``rows`` maps a label to the matrices ``[m, n]`` of a row by name; all rows have the
    same names. Each matrix has its own scale, from minus to plus its largest magnitude.
    """
    names = list(next(iter(rows.values())))
    figure, axes = style.panels(title, 1.5 * len(names), [1.8] * len(rows), names)
    for line, (label, found) in zip(axes, rows.items(), strict=True):
        for panel, name in zip(line, names, strict=True):
            values = found[name]
            largest = float(np.abs(values).max()) or 1.0
            panel.imshow(values, cmap="RdBu_r", vmin=-largest, vmax=largest)
            style.bare(panel)
            if max(values.shape) > WRITTEN:
                continue
            for (i, j), value in np.ndenumerate(values):
                dark = abs(value) > 0.6 * largest
                panel.text(j, i, f"{value:.2g}", ha="center", va="center", fontsize=7,
                           color="white" if dark else "black")  # fmt: skip
        line[0].set_ylabel(style.literal(label))
    return figure
