"""Style shared by all figures: palette, canvas, bands, limits, files."""

import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from optlab.problems import Metric
from optlab.results import Results, mean_band

# Okabe and Ito (2008), distinct with any colour vision; their yellow, too pale for a
# line on white, is replaced by a dark grey.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7",
    "#E69F00", "#56B4E9", "#000000", "#7A7A7A",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
GREY = "#5A5A5A"
SECONDS = "seconds of one run alone, compile excluded"
#: Arguments of ``Axes.legend`` that put it to the right of the panel.
BESIDE: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0)}

_THEME = {
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
    "font.family": "DejaVu Sans",  # part of matplotlib: the same on every machine
    "font.size": 9,
    "grid.color": "#E8E8E8",
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "optlab",  # fixed ids: every run gives the same bytes
    "xtick.color": GREY,
    "ytick.color": GREY,
}
_NO_DATES = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


class Look(NamedTuple):
    """Colour and marker of one name in every figure."""

    colour: str
    marker: str
    shared: bool = False  # whether another name of the figure has the same colour
    label: str = ""  # the name, as matplotlib takes it

    def line(self, x: np.ndarray, log: bool = False) -> dict[str, Any]:
        """Makes arguments of ``Axes.plot``: colour, five markers where it is shared.

        Args:
          x: positions of the line's points, ascending.
          log: whether the markers are to be evenly spaced on a log axis.

        Returns:
          The arguments. Lines of different markers have them at different positions.

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
        mark = {"marker": self.marker, "markersize": 5, "markevery": at}
        return {"color": self.colour, **mark}

    @property
    def opacity(self) -> float:
        """Opacity of a band: of many contenders they lie over each other."""
        return 0.05 if self.shared else 0.16

    def marked(self, size: float = 5) -> dict[str, Any]:
        """Makes arguments of ``Axes.plot``: label, colour, a marker at every point."""
        mark = {"marker": self.marker, "markersize": size}
        return {"label": self.label, "color": self.colour, **mark}


Drawing = TypeVar("Drawing", bound=Callable[..., Any])

#: How panels share an axis.
Share = Literal["none", "all", "row", "col"]

#: Width of the small print: at most this many characters an inch.
CHARACTERS_PER_INCH = 14


def themed(draw: Drawing) -> Drawing:
    """Sets the rcParams of all figures while a function runs."""
    return mpl.rc_context(_THEME)(draw)  # pyright: ignore


def literal(text: str) -> str:
    """Escapes a text of the user's, which matplotlib could take for a formula."""
    return text.replace("$", r"\$")


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Assigns colour and marker to each name, by its position.

    From the ninth name on the colours repeat with other markers, and all lines of the
    figure have markers.

    Args:
      names: names that the figure distinguishes; repeated ones count once.

    Returns:
      Name to look.
    """
    distinct = list(dict.fromkeys(names))
    many = len(distinct) > 8
    return {
        name: Look(PALETTE[i % 8], MARKERS[(i + i // 8) % 8], many, literal(name))
        for i, name in enumerate(distinct)
    }


def contenders(results: Results) -> dict[str, Look]:
    """Assigns a look to each contender's name: the same in every group and figure."""
    return looks(entry.name for entry in results.entries)


def groups(results: Results) -> list[str]:
    """Lists the groups in their order: the columns of a figure."""
    return list(dict.fromkeys(entry.group for entry in results.entries))


def canvas(
    results: Results,
    title: str,
    heights: Sequence[float],
    foot: str = "",
    sharex: Share = "col",
    columns: Sequence[str] | None = None,
) -> tuple[Figure, np.ndarray]:
    """Makes an empty figure with a column of panels for each group.

    Args:
      results: comparison whose note stands below the figure.
      title: title of the whole figure.
      heights: height of each row of panels, in inches.
      foot: small print that explains the lines.
      sharex: panels that share their x axis, as in ``Figure.subplots``.
      columns: groups that are drawn; all by default.

    Returns:
      The figure and its axes, ``[rows, groups]``.
    """
    columns = (groups(results) if columns is None else columns) or [""]
    longest = max((len(entry.name) for entry in results.entries), default=0)
    width = 7.6 if len(columns) < 2 else 5.4
    width += 0.08 * max(longest - 12, 0)  # names beside the lines need room
    small = (foot, results.note)
    return panels(title, width * len(columns), heights, columns, small, sharex, "row")


def panels(
    title: str,
    width: float,
    heights: Sequence[float],
    columns: Sequence[str],
    small: Sequence[str] = (),
    sharex: Share = "none",
    sharey: Share = "none",
) -> tuple[Figure, np.ndarray]:
    """Makes an empty figure of titled columns of panels.

    Args:
      title: title of the whole figure.
      width: width of the figure, in inches.
      heights: height of each row of panels, in inches.
      columns: title of each column.
      small: paragraphs of small print below; empty ones are left out.
      sharex: panels that share their x axis, as in ``Figure.subplots``.
      sharey: panels that share their y axis, as in ``Figure.subplots``.

    Returns:
      The figure and its axes, ``[rows, columns]``.
    """
    layout = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08)
    figure = Figure(figsize=(width, sum(heights) + 0.6), layout=layout)
    axes = figure.subplots(
        len(heights), len(columns), squeeze=False, sharex=sharex, sharey=sharey,
        height_ratios=heights,
    )  # fmt: skip
    bold = {"fontsize": 11.5, "fontweight": "bold"}
    figure.suptitle(literal(title), x=0.012, ha="left", **bold)
    for panel, text in zip(axes[0], columns, strict=True):
        panel.set_title(literal(text))
    paragraphs = "\n".join(
        textwrap.fill(text, int(CHARACTERS_PER_INCH * width)) for text in small if text
    )
    figure.supxlabel(literal(paragraphs), x=0.012, ha="left", fontsize=8, color=GREY)
    return figure, axes


def wrapped(
    title: str,
    count: int,
    columns: int,
    size: tuple[float, float],
    small: Sequence[str] = (),
    share: Share = "none",
) -> tuple[Figure, list[Axes]]:
    """Makes an empty figure of equal panels, row after row.

    Args:
      title: title of the whole figure.
      count: number of panels; the rest of the last row stays empty.
      columns: number of panels in a row.
      size: width and height of a panel, in inches.
      small: paragraphs of small print below.
      share: panels that share both axes, as in ``Figure.subplots``.

    Returns:
      The figure and its panels.
    """
    heights = [size[1]] * -(-count // columns)
    heads = [""] * columns
    figure, axes = panels(title, size[0] * columns, heights, heads, small, share, share)
    for panel in axes.flat[count:]:
        panel.set_visible(False)
    return figure, list(axes.flat[:count])


def over_seeds(counts: Iterable[int]) -> str:
    """Writes the small print of a figure with bands.

    Args:
      counts: number of seeds behind each mean that is drawn; see ``band``.

    Returns:
      Explanation of lines and bands.

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
    panel: Axes,
    x: np.ndarray,
    values: np.ndarray,
    share: bool = False,
    alpha: float = 0.16,
    **line: Any,
) -> np.ndarray:
    """Draws a mean line, and the 95% interval over seeds as a band around it.

    Of two seeds the band reaches from one to the other: t(0.975; 1) = 12.7, and such
    an interval would fill the panel.

    The plain interval ``m - h, m + h`` may hold values that are impossible. The band
    of a share is cut at 0 and 1. That of values above zero, drawn on a log axis, is
    ``m exp(-h / m), m exp(h / m)``: the interval of their logarithm, by the delta
    method.

    Args:
      panel: axes to draw on.
      x: positions of the points, ``[n]``.
      values: values by seed, ``[seeds, n]``; those not finite are left out.
      share: whether the values are shares in [0, 1].
      alpha: opacity of the band.
      **line: arguments of ``Axes.plot``; ``color`` also fills the band.

    Returns:
      The mean, ``[n]``, nan where no seed has a finite value.
    """
    mean, low, high = mean_band(values)
    panel.plot(x, mean, **line)
    if np.isfinite(low).any():
        kept = np.isfinite(values)
        two = kept.sum(axis=0) == 2
        if share:
            low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
        elif (values[kept] > 0).all():
            size = np.where(mean > 0, mean, 1.0)
            ratio = np.exp(np.minimum((high - mean) / size, 50.0))
            low, high = mean / ratio, mean * ratio
        low = np.where(two, np.where(kept, values, np.inf).min(axis=0), low)
        high = np.where(two, np.where(kept, values, -np.inf).max(axis=0), high)
        colour = line.get("color")
        panel.fill_between(x, low, high, color=colour, alpha=alpha, linewidth=0)
    return mean


def middle_half(panel: Axes, x: np.ndarray, values: np.ndarray, **line: Any) -> None:
    """Draws the median of ``[seeds, n]``, and a band that holds the middle half."""
    low, median, high = np.percentile(values, (25, 50, 75), axis=0)
    panel.plot(x, median, **line)
    panel.fill_between(x, low, high, color=line["color"], alpha=0.12, linewidth=0)


def scale(panels: Sequence[Axes], values: Sequence[np.ndarray], metric: Metric) -> None:
    """Fits the limits to the runs, and prints the ticks as the metric is printed.

    Where lower is better, values that span over 10-fold get a log axis. Where higher is
    better, the first quarter of a run does not count: the rise would squash the rest.
    Bands may run out of the picture: with few seeds they would squash the lines.

    Args:
      panels: axes that share their y axis.
      values: values of every line drawn on them, each ``[seeds, n]``.
      metric: metric of the values, with its direction and unit.
    """
    quarter = 0.25 * metric.higher
    arrays = [each[:, int(quarter * each.shape[1]) :].ravel() for each in values]
    finite = np.concatenate([*arrays, np.zeros(0)])
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        for panel in panels:
            panel.set_yticks([])
        return
    low, high = finite.min(), finite.max()
    log = not metric.higher and low > 0 and high > 10 * low
    least = 0.01 if metric.higher and metric.percent else 0.0
    room = max(0.08 * (high - low), least) or 0.1 * abs(high) or 1.0
    bottom, top = low - room, high + room
    if metric.higher and metric.percent:
        bottom, top = max(bottom, 0.0), min(top, 1.005)
    if log:
        bottom, top = low * (low / high) ** 0.06, high * (high / low) ** 0.06
    for panel in panels:
        if log:
            panel.set_yscale("log")
            log_ticks(panel.yaxis, high / low)
        panel.set_ylim(bottom, top)
        if metric.percent:
            text = lambda x, _: f"{100 * x:.4g}%" if x < 1 + 1e-9 else ""  # noqa: E731
            panel.yaxis.set_major_formatter(FuncFormatter(text))


def log_ticks(axis: Axis, span: float) -> None:
    """Sets ticks of a log axis that can be told apart and read.

    Args:
      axis: log axis.
      span: highest over lowest value.
    """
    axis.set_minor_formatter(NullFormatter())
    if span < 300:  # too few powers of ten to read it by them
        number_ticks(axis)


def number_ticks(
    axis: Axis,
    multiples: Sequence[float] = (1, 2, 5),
    text: Callable[[float], str] = "{:g}".format,
) -> None:
    """Sets ticks of a log axis at multiples of powers of ten, all of them labelled."""
    axis.set_major_locator(LogLocator(subs=multiples))
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(value)))
    axis.set_minor_formatter(NullFormatter())


def bare(panel: Axes) -> None:
    """Takes ticks and grid off an image, and frames it."""
    panel.set_xticks([])
    panel.set_yticks([])
    panel.grid(visible=False)
    panel.spines[:].set(visible=True, color=GREY, linewidth=0.6)


@themed
def render(figure: Figure, kind: str) -> bytes:
    """Renders a figure to the bytes of a file, the same in every run.

    Args:
      figure: figure drawn by one of this package's functions.
      kind: ``svg``, ``png`` or ``pdf``.

    Returns:
      Content of the file, without a date in it.
    """
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=200, metadata=_NO_DATES[kind])
    return file.getvalue()


@themed
def settle(figure: Figure) -> None:
    """Freezes the layout, so that three files cost one layout and three draws."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)  # a placeholder, "none", costs a draw a file
