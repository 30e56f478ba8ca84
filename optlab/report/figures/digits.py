"""Correct digits of many fits, method by method."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from optlab.report.figures import style


@style.themed
def digits_by_fit(digits: Mapping[str, np.ndarray], needed: float) -> Figure:
    """Draws each method's fits, sorted by their correct digits (log relative errors).

    A fit with the ``needed`` digits, drawn as a line, counts as solved. A line that
    stays up to the right solves more problems.
    """
    figure, axes = style.panels("Digits that agree", 7.6, [3.6], [""])
    panel = axes[0, 0]
    for name, look in style.looks(digits).items():
        found = np.sort(np.nan_to_num(digits[name], nan=0.0))[::-1]
        panel.plot(np.arange(1, found.size + 1), found, **look.marked(3))
    panel.axhline(needed, color=style.GREY, linewidth=1, linestyle=":")
    panel.set_xlabel("fits, best first")
    panel.set_ylabel("digits of the worst parameter")
    panel.legend(**style.BESIDE)
    return figure
