"""Functions of one number, each beside its derivative."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from optlab.report.figures import style


class Curve(NamedTuple):
    """A function at some points."""

    name: str
    x: np.ndarray  # [n], ascending
    values: np.ndarray  # [n]
    slopes: np.ndarray  # [n], derivative


@style.themed
def with_derivatives(title: str, curves: Sequence[Curve]) -> Figure:
    """Draws each function with its derivative, in a panel of its own."""
    count = len(curves)
    figure, panels = style.wrapped(title, count, min(count, 4), (2.3, 1.9), share="all")
    for panel, curve in zip(panels, curves, strict=True):
        panel.set_title(style.literal(curve.name.replace("_", " ")))
        panel.axhline(0, color=style.GREY, linewidth=0.6)
        panel.plot(curve.x, curve.values, color=style.PALETTE[0], label="value")
        panel.plot(curve.x, curve.slopes, color=style.PALETTE[1], label="derivative",
                   linestyle="--")  # fmt: skip
        panel.set_ylim(-1.3, 2.3)
    panels[0].legend(loc="upper left")
    return figure
