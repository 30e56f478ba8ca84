"""The one look of every figure: palette, canvas, bands, limits, files."""

import io
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from optlab.results import Results, mean_band

# Okabe and Ito (2008), told apart with any colour vision; their yellow, too pale for a
# line on white, is replaced by a dark grey.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7",
    "#E69F00", "#56B4E9", "#000000", "#7A7A7A",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GREY = "#5A5A5A"

_HOUSE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9A9A9A",
    "axes.grid": True,
    "axes.labelcolor": "#262626",
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 9,
    "grid.color": "#E8E8E8",
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "optlab",  # the same ids, so the same bytes, in every run
    "xtick.color": GREY,
    "ytick.color": GREY,
}
_NO_DATES = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


class Look(NamedTuple):
    """How one optimizer appears in every figure."""

    colour: str
    marker: str
    shared: bool = False  # whether the colours come round again in the figure

    def line(self, x: np.ndarray, log: bool = False) -> dict[str, Any]:
        """Arguments of ``Axes.plot``: the colour, and five markers where it is shared.

        Args:
          x: of the line, ascending.
          log: whether the markers are to be evenly apart on a log axis.

        Returns:
          The arguments. Lines of different markers wear them at different places.

        >>> Look("black", "s", shared=True).line(np.arange(41))["markevery"]
        [1, 9, 17, 25, 33]
        """
        if not self.shared:
            return {"color": self.colour}
        x = np.asarray(x, float)
        first = int(np.searchsorted(x, 0.0, side="right")) if log else 0
        places = np.log(x[first:]) if log else x
        at: list[int] = []
        if places.size:
            parts = (np.arange(5) + MARKERS.index(self.marker) / len(MARKERS)) / 5
            wanted = places[0] + parts * (places[-1] - places[0])
            at = sorted({first + int(i) for i in np.searchsorted(places, wanted)})
        return {
            "color": self.colour,
            "marker": self.marker,
            "markersize": 5,
            "markevery": at,
        }


#: How panels share an axis.
Share = Literal["none", "all", "row", "col"]

#: Of the small print, at most.
CHARACTERS_PER_INCH = 14


def house() -> AbstractContextManager[None]:
    """The rcParams of the house, for the length of a ``with`` block."""
    return mpl.rc_context(_HOUSE)  # pyright: ignore[reportArgumentType]


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Colour and marker of each name, by its place; the same name keeps its look.

    Beyond eight the colours come round again with other markers, and all lines
    wear them.

    Args:
      names: what is told apart in the figure; repeated ones count once.

    Returns:
      Name to look.
    """
    distinct = list(dict.fromkeys(names))
    return {
        name: Look(PALETTE[i % 8], MARKERS[(i + i // 8) % 8], len(distinct) > 8)
        for i, name in enumerate(distinct)
    }


def optimizers(results: Results) -> list[str]:
    """The optimizers compared, in their order."""
    return list(dict.fromkeys(cell.optimizer for cell in results.cells))


def batch_sizes(results: Results) -> list[int]:
    """The batch sizes compared, in their order: the columns of every figure."""
    return list(dict.fromkeys(cell.batch_size for cell in results.cells))


def canvas(
    results: Results,
    title: str,
    heights: Sequence[float],
    foot: str = "",
    sharex: Share = "col",
) -> tuple[Figure, np.ndarray]:
    """An empty figure with a column of panels for each batch size.

    Args:
      results: whose batch sizes give the columns, and whose note stands below.
      title: of the whole figure.
      heights: of each row of panels, in inches.
      foot: what the lines are, in small print.
      sharex: as in ``Figure.subplots``.

    Returns:
      The figure and its axes, ``[rows, batch sizes]``.
    """
    sizes = batch_sizes(results)
    width = 7.6 if len(sizes) < 2 else 5.4 * len(sizes)
    titles = [f"batch size {size}" for size in sizes]
    small = (foot, results.note)
    return panels(title, width, heights, titles or [""], small, sharex, "row")


def panels(
    title: str,
    width: float,
    heights: Sequence[float],
    columns: Sequence[str],
    small: Sequence[str] = (),
    sharex: Share = "none",
    sharey: Share = "none",
) -> tuple[Figure, np.ndarray]:
    """An empty figure of titled columns of panels.

    Args:
      title: of the whole figure.
      width: of the figure, in inches.
      heights: of each row of panels, in inches.
      columns: the title of each column.
      small: paragraphs of small print below; empty ones are left out.
      sharex: as in ``Figure.subplots``.
      sharey: as in ``Figure.subplots``.

    Returns:
      The figure and its axes, ``[rows, columns]``.
    """
    layout = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08)
    figure = Figure(figsize=(width, sum(heights) + 0.6), layout=layout)
    axes = figure.subplots(
        len(heights),
        len(columns),
        squeeze=False,
        sharex=sharex,
        sharey=sharey,
        height_ratios=heights,
    )
    figure.suptitle(title, x=0.012, ha="left", fontsize=11.5, fontweight="bold")
    for panel, text in zip(axes[0], columns, strict=True):
        panel.set_title(text)
    paragraphs = "\n".join(
        textwrap.fill(text, int(CHARACTERS_PER_INCH * width)) for text in small if text
    )
    figure.supxlabel(paragraphs, x=0.012, ha="left", fontsize=8, color=GREY)
    return figure, axes


def over_seeds(counts: Iterable[int]) -> str:
    """The small print of a figure with bands.

    Args:
      counts: seeds that each mean drawn is over; see ``band``.

    Returns:
      What lines and bands are.

    >>> over_seeds([5, 5]), over_seeds([1])
    ('mean of 5 seeds, band: 95% interval', 'one seed: no interval')
    >>> over_seeds([2, 3])
    'mean of 2 to 3 seeds, band: 95% interval (of two seeds: from one to the other)'
    """
    distinct = sorted(set(counts) - {0})
    if not distinct or distinct[-1] < 2:
        return "one seed: no interval" if distinct else ""
    span = " to ".join(
        str(count) for count in dict.fromkeys(distinct[i] for i in (0, -1))
    )
    two = "from one to the other"
    if distinct[-1] == 2:
        return f"mean of {span} seeds, band: {two}"
    also = f" (of two seeds: {two})" * (2 in distinct)
    return f"mean of {span} seeds, band: 95% interval{also}"


def band(
    panel: Axes, x: np.ndarray, values: np.ndarray, positive: bool, **line: Any
) -> np.ndarray:
    """Draws a mean line, and the 95% interval over seeds as a band around it.

    Of two seeds the band reaches from one to the other: t(0.975; 1) = 12.7, and such
    an interval would fill the panel.

    The plain interval ``m - h, m + h`` may leave the values that are possible. A
    positive quantity, drawn on a log axis, gets ``m exp(-h / m), m exp(h / m)``, the
    interval of its logarithm by the delta method; a fraction's is cut at 0 and 1.

    Args:
      panel: to draw on.
      x: ``[n]``.
      values: ``[seeds, n]``; what is not finite is left out.
      positive: whether values are above 0 without a bound (a loss), else fractions.
      **line: of ``Axes.plot``; ``color`` also fills the band.

    Returns:
      The mean, ``[n]``, nan where no seed has a finite value.
    """
    mean, low, high = mean_band(values)
    panel.plot(x, mean, **line)
    if np.isfinite(low).any():
        kept = np.isfinite(values)
        two = kept.sum(axis=0) == 2
        if positive:
            size = np.where(mean > 0, mean, 1.0)
            ratio = np.exp(np.minimum((high - mean) / size, 50.0))
            low, high = mean / ratio, mean * ratio
        else:
            low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
        low = np.where(two, np.where(kept, values, np.inf).min(axis=0), low)
        high = np.where(two, np.where(kept, values, -np.inf).max(axis=0), high)
        colour = line.get("color")
        panel.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    return mean


def scale(
    panels: Iterable[Axes], values: Sequence[np.ndarray], percent: bool = False
) -> None:
    """Limits that follow the runs; a log axis where they span more than 10-fold.

    Bands may run out of the picture: with few seeds they would squash the lines.

    Args:
      panels: that share the axis.
      values: of every run behind the lines drawn on them.
      percent: whether the ticks are fractions to be read as percentages.
    """
    low, high = _range(values)
    if not low <= high:
        for panel in panels:
            panel.set_yticks([])
        return
    log = low > 0 and high > 10 * low
    for panel in panels:
        if log:
            room = (high / low) ** 0.06
            panel.set_yscale("log")
            panel.set_ylim(low / room, high * room)
        else:
            room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
            panel.set_ylim(low - room, high + room)
        if log and high < 300 * low:  # too few powers of ten to read it by them
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
            panel.yaxis.set_minor_formatter(NullFormatter())
        if percent:
            panel.yaxis.set_major_formatter(FuncFormatter(percent_tick))


def scale_accuracy(panels: Iterable[Axes], values: Sequence[np.ndarray]) -> None:
    """Percent ticks and limits that follow the runs, kept within 0 and 100%.

    Args:
      panels: that share the axis.
      values: of every run behind the lines drawn on them.
    """
    low, high = _range(values)
    low, high = (low, high) if low <= high else (0.0, 1.0)
    room = max(0.08 * (high - low), 0.01)
    for panel in panels:
        panel.yaxis.set_major_formatter(FuncFormatter(percent_tick))
        panel.set_ylim(max(low - room, 0.0), min(high + room, 1.005))


def _range(arrays: Sequence[np.ndarray]) -> tuple[float, float]:
    values = np.concatenate([np.ravel(array) for array in arrays] or [np.zeros(0)])
    values = values[np.isfinite(values)]
    return (values.min(), values.max()) if values.size else (np.nan, np.nan)


def percent_tick(fraction: float, _: object) -> str:
    """The text of a tick, for a ``FuncFormatter``."""
    return f"{100 * fraction:.4g}%"


def render(figure: Figure, kind: str, dpi: int = 200) -> bytes:
    """A figure as the bytes of a file, the same in every run.

    Args:
      figure: drawn by one of this package's functions.
      kind: ``svg``, ``png`` or ``pdf``.
      dpi: of a PNG.

    Returns:
      The file, without a date in it.
    """
    file = io.BytesIO()
    with house():
        figure.savefig(file, format=kind, dpi=dpi, metadata=_NO_DATES[kind])
    return file.getvalue()


def settle(figure: Figure) -> None:
    """Fixes the layout as it is now, so that three files cost one layout, not six.

    Args:
      figure: that will be rendered more than once.
    """
    with house():
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
