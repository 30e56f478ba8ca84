"""Time against size on log axes, with the fitted power law."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from optlab.report.figures import style
from optlab.results import PowerLaw, extrapolate


class Growth(NamedTuple):
    """Times by one size."""

    label: str  # of the size
    sizes: np.ndarray  # [k], rising
    seconds: np.ndarray  # [k]
    law: PowerLaw  # through the upper half


def scaling(growths: Sequence[Growth]) -> Figure:
    """Draws one panel for each size, with a common scale of time.

    Args:
      growths: times by each size; at least one.

    Returns:
      The figure.
    """
    with style.theme():
        figure, axes = style.panels(
            "Time of a sweep against its size",
            3.6 * len(growths),
            [3.0],
            [f"with {each.label}" for each in growths],
            sharey="row",
        )
        for panel, each in zip(axes[0], growths, strict=True):
            blue, orange = style.PALETTE[:2]
            panel.plot(each.sizes, each.seconds, "o-", color=blue, markersize=4.5)
            fitted = np.array([each.law.smallest, each.law.largest])
            panel.plot(
                fitted,
                [extrapolate(each.law, size) for size in fitted],
                color=orange,
                linestyle=(0, (4, 1.5)),
            )
            panel.annotate(
                f"exponent {each.law.exponent:.2f}",
                (0.05, 0.92),
                xycoords="axes fraction",
                color=orange,
                fontweight="bold",
            )
            panel.set_xscale("log")
            panel.set_yscale("log")
            panel.set_xlabel(each.label)
        axes[0, 0].set_ylabel("seconds of an epoch")
    return figure
