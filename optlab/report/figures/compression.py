"""Figures of compressed nets: error against bytes, stages, weights, masks, ranks."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from optlab.report.figures import style
from optlab.report.wording import byte_size
from optlab.results import mean_band


class Point(NamedTuple):
    """A contender's files and what their nets do."""

    name: str
    bytes: np.ndarray  # [seeds]
    values: np.ndarray  # [seeds], lower is better
    published: bool = False  # whether it is a figure from elsewhere


class Layer(NamedTuple):
    """Weights of a layer before and after compression."""

    name: str
    before: np.ndarray  # all weights
    after: np.ndarray  # weights that are kept
    centroids: np.ndarray  # values that they share


class Spectrum(NamedTuple):
    """Singular values of a layer."""

    name: str
    values: np.ndarray  # descending
    rank: int  # number that is kept; all of them where no rank pays


class Curve(NamedTuple):
    """Nets of several sizes, made in one way."""

    shares: np.ndarray  # [seeds, points], of weights that are kept, or pruned
    values: np.ndarray  # [seeds, points], drawn as errors: lower is better


@style.themed
def error_by_bytes(points: Sequence[Point], title: str, measure: str) -> Figure:
    """Draws error against bytes on disk, with the interval of each over seeds.

    The first point is the dense parent.

    >>> point = Point("dense", np.array([2e5]), np.array([2.0]))
    >>> len(error_by_bytes([point], "Digits", "test error %").axes)
    1
    """
    seeds = len(points[0].values)
    foot = style.over_seeds([seeds]).replace("band", "bar")
    if any(point.published for point in points):
        foot += "; hollow: published, one run each"
    figure, axes = style.panels(title, 9.0, [4.6], [""], [foot])
    panel = axes[0, 0]
    panel.set_xscale("log")
    looks = style.looks(point.name for point in points)
    for i, point in enumerate(points):
        mean, low, high = (float(x) for x in mean_band(point.values))
        if seeds == 2:  # t(0.975; 1) = 12.7: such a bar would fill the panel
            low, high = point.values.min(), point.values.max()
        size, look = float(point.bytes.mean()), looks[point.name]
        colour = style.GREY if point.published else look.colour
        if np.isfinite(low):
            panel.plot([size] * 2, [low, high], color=colour, lw=1.6, alpha=0.55)
        face = "white" if point.published else colour
        panel.plot(
            size, mean, look.marker, color=colour, mfc=face, ms=8, ls="",
            label=f"{style.literal(point.name)}, {byte_size(size)}",
        )  # fmt: skip
        if i == 0:
            panel.axhline(mean, color=style.GREY, lw=0.9, ls=":")
    panel.legend(**style.BESIDE)
    style.number_ticks(panel.xaxis, text=byte_size)
    panel.set_xlabel("bytes of the file (log axis)")
    panel.set_ylabel(measure)
    if _spread([point.values for point in points], 2.5):
        # Else one bad contender would press all others together.
        _log_errors(panel, (1, 1.5, 2, 3, 5, 7))
    return figure


@style.themed
def stage_bars(
    stages: Mapping[str, Mapping[str, float]], dense: float, title: str
) -> Figure:
    """Draws the bytes of each stage's file, cut into its parts.

    ``stages`` maps stage to part to bytes. Ratios are of the bytes of the dense
    weights.
    """
    parts = list(next(iter(stages.values())))
    names = list(stages)
    figure, axes = style.panels(title, 9.0, [0.55 * len(names) + 0.9], [""])
    panel = axes[0, 0]
    starts = np.zeros(len(names))
    for part, colour in zip(parts, style.PALETTE, strict=False):
        sizes = np.array([stages[name][part] for name in names])
        panel.barh(names, sizes, left=starts, height=0.62, color=colour, label=part)
        starts += sizes
    for i, total in enumerate(starts):
        panel.annotate(
            f"{byte_size(total)}, {dense / total:.3g}x", (total, i), (6, 0),
            textcoords="offset points", va="center", fontweight="bold",
        )  # fmt: skip
    panel.set_xlim(0, 1.22 * starts.max())
    panel.invert_yaxis()
    panel.grid(visible=False, axis="y")
    panel.xaxis.set_major_formatter(FuncFormatter(lambda size, _: byte_size(size)))
    panel.set_xlabel("bytes of the file")
    panel.legend(loc="lower right")
    return figure


@style.themed
def weight_histograms(layers: Sequence[Layer], title: str) -> Figure:
    """Draws each layer's weights before and after, with the values that they share.

    Layers stand from input to output, each as a column of two panels.
    """
    figure, axes = style.panels(
        title, max(3.4 * len(layers), 6.8), [1.9, 1.9],
        [layer.name for layer in layers],
        ["vertical lines: the values that the kept weights share"], sharex="col",
    )  # fmt: skip
    for (top, bottom), layer in zip(axes.T, layers, strict=True):
        values = np.concatenate([layer.before, layer.after])
        edges = np.linspace(values.min(), values.max(), 81)
        top.hist(layer.before, edges, color=style.PALETTE[0], alpha=0.75)
        bottom.hist(layer.after, edges, color=style.PALETTE[1], alpha=0.75)
        for value in layer.centroids:
            bottom.axvline(value, color="black", lw=0.6, alpha=0.5)
        bottom.set_xlabel("weight")
        for panel in (top, bottom):
            panel.locator_params(axis="y", nbins=5)
    axes[0, 0].set_ylabel("dense:\nweights")
    axes[1, 0].set_ylabel("pruned, retrained:\nkept weights")
    return figure


@style.themed
def mask_images(masks: np.ndarray, title: str) -> Figure:
    """Draws which inputs the first layer still looks at, in all and unit by unit.

    Masks are boolean, ``[units, height, width]``. Beside their sum stand sixteen units,
    those with most weights first.
    """
    order = np.argsort(-masks.sum(axis=(1, 2)), kind="stable")[:16]
    figure = Figure(figsize=(9.0, 4.8), layout="constrained")
    bold = {"fontsize": 11.5, "fontweight": "bold"}
    figure.suptitle(style.literal(title), x=0.012, ha="left", **bold)
    grid = figure.add_gridspec(-(-len(order) // 4), 5, width_ratios=(5, 1, 1, 1, 1))
    panel = figure.add_subplot(grid[:, 0])
    image = panel.imshow(masks.sum(axis=0), cmap="viridis")
    panel.set_title("kept weights on each pixel", pad=8)
    figure.colorbar(image, ax=panel, shrink=0.7)
    for i, unit in enumerate(order):
        small = figure.add_subplot(grid[i // 4, 1 + i % 4])
        small.imshow(masks[unit], cmap="Greys", vmin=0, vmax=1.3)
        small.set_title(f"unit {unit}", fontsize=7.5, fontweight="normal")
        style.bare(small)
    style.bare(panel)
    return figure


@style.themed
def error_curves(
    curves: Mapping[str, Curve], title: str, measure: str, by: Literal["kept", "pruned"]
) -> Figure:
    """Draws error against a share of weights, each curve with its band.

    The share is of all weights, those that each way to prune keeps; or of one layer's,
    those that are pruned while all other layers stay whole.
    """
    foot = style.over_seeds([len(curve.values) for curve in curves.values()])
    figure, axes = style.panels(title, 9.0, [3.8], [""], [foot])
    panel = axes[0, 0]
    for name, look in style.looks(curves).items():
        share = 100 * curves[name].shares.mean(axis=0)
        order = np.argsort(share)
        values = curves[name].values[:, order]
        style.band(panel, share[order], values, **look.marked())
    panel.set_ylabel(measure)
    if by == "kept":
        panel.set_xscale("log")
        style.number_ticks(panel.xaxis, (1, 2, 3, 5))
        panel.set_xlabel("weights kept, % (mean of the seeds, log axis)")
        panel.legend()
    else:
        if _spread([curve.values for curve in curves.values()], 10):
            _log_errors(panel, (1, 2, 5))
        panel.set_xlabel("weights of the layer that are pruned, %")
        panel.legend(title="pruned layer", loc="upper left")
    return figure


def _log_errors(panel: Axes, ticks: Sequence[float]) -> None:
    """Makes the labelled axis of errors logarithmic, with ticks at some multiples."""
    panel.set_yscale("log")
    style.number_ticks(panel.yaxis, ticks)
    panel.set_ylabel(f"{panel.get_ylabel()} (log axis)")


def _spread(errors: Sequence[np.ndarray], factor: float) -> bool:
    """Tells whether means over seeds are positive and span more than a factor."""
    means = np.concatenate([np.atleast_1d(each.mean(axis=0)) for each in errors])
    return bool(means.min() > 0 and means.max() > factor * means.min())


@style.themed
def spectra(layers: Sequence[Spectrum], energy: float, title: str) -> Figure:
    """Draws the singular values of each layer and the rank that is kept.

    Layers stand from input to output. ``energy`` is the share of the squared values
    that was asked for.
    """
    foot = f"rank: the least that keeps {100 * energy:g}% of the sum of squares"
    figure, axes = style.panels(
        title, max(3.4 * len(layers), 6.8), [2.6], [each.name for each in layers],
        [foot],
    )  # fmt: skip
    for panel, layer in zip(axes[0], layers, strict=True):
        count = len(layer.values)
        panel.plot(np.arange(1, count + 1), layer.values, color=style.PALETTE[0])
        whole = layer.rank >= count
        panel.axvline(layer.rank, color=style.PALETTE[1], lw=1.2, ls="--")
        panel.text(
            0.04, 0.06, "kept whole" if whole else f"rank {layer.rank} of {count}",
            transform=panel.transAxes, ha="left", va="bottom",
            color=style.PALETTE[1], fontweight="bold",
        )  # fmt: skip
        panel.set_ylim(0)
        panel.set_xlabel("index")
    axes[0, 0].set_ylabel("singular value")
    return figure
