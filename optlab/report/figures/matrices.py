"""Matrices as maps of colour, with their numbers where there is room."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from optlab.report.figures import style

#: Sizes of numbers in points; without room for the smallest none are written.
SMALLEST, LARGEST = 5.0, 7.0

#: Width of a cell over its height: numbers are wide.
WIDE = 2.0

_LETTER = 0.64  # width of a digit over its size
_DIGITS = (4, 3, 2)  # numbers are cut to fewer where there is no room for more


@style.themed
def matrices(title: str, rows: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draws matrices in a grid: blue below zero, red above, white at zero.

    ``rows`` maps a label to the matrices ``[m, n]`` of a row by name; all rows have the
    same names. Each matrix has its own scale, from minus to plus its largest magnitude;
    one without room for its numbers is drawn without them.
    """
    names = list(next(iter(rows.values())))
    figure, axes = style.panels(title, 1.8 * len(names), [1.8] * len(rows), names)
    for line, (label, found) in zip(axes, rows.items(), strict=True):
        for panel, name in zip(line, names, strict=True):
            largest = float(np.abs(found[name]).max()) or 1.0
            limits = {"vmin": -largest, "vmax": largest}
            panel.imshow(found[name], cmap="RdBu_r", aspect=1 / WIDE, **limits)
            style.bare(panel)
        line[0].set_ylabel(style.literal(label))
    figure.draw_without_rendering()  # only now do panels have their sizes
    for line, found in zip(axes, rows.values(), strict=True):
        for panel, name in zip(line, names, strict=True):
            values = found[name]
            cell = panel.get_window_extent().width / values.shape[1] * 72 / figure.dpi
            texts, size = fit(values, cell)
            for (i, j), text in np.ndenumerate(texts):
                dark = abs(values[i, j]) > 0.6 * np.abs(values).max()
                panel.text(j, i, text, ha="center", va="center", fontsize=size,
                           color="white" if dark else "black")  # fmt: skip
    return figure


def fit(values: np.ndarray, width: float) -> tuple[np.ndarray, float]:
    """Writes numbers so that each fits into its cell.

    Args:
      values: numbers, ``[m, n]``.
      width: width of a cell, in points; it is ``WIDE`` times as wide as high.

    Returns:
      The texts, none where there is no room, and their size in points.

    >>> texts, size = fit(np.array([[2034.4, -0.0, 0.12345]]), 18.0)
    >>> texts.tolist(), round(float(size), 1)
    ([['2034', '0', '0.123']], 5.2)
    """
    for digits in _DIGITS:
        texts = np.vectorize(lambda x, d=digits: _short(x, d))(values)
        longest = np.char.str_len(texts).max()
        size = min(0.92 * width / (_LETTER * longest), 0.75 * width / WIDE, LARGEST)
        if size >= SMALLEST:
            return texts, size
    return np.empty((0, 0), str), SMALLEST


def _short(value: float, digits: int) -> str:
    """Writes a number with some digits, and with all that stand before the point."""
    whole = len(str(int(abs(value)))) if abs(value) < 1e5 else 0
    return f"{float(value):z.{max(digits, whole)}g}"  # z: a zero without a sign
