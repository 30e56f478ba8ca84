"""Sensitivity of the validation figures to one swept number."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from optlab.problems import Metric
from optlab.report.figures import style
from optlab.report.figures.labels import spread
from optlab.report.wording import in_words
from optlab.results import Results, distinct, mean_band, swept_names
from optlab.results.responses import Response, response

_HEIGHTS = 3.2, 2.4
_STEP = 0.04  # between the marks of two contenders, in heights of the panel
_TIERS = 8  # of marks, at most
_NAME_TIERS = 3  # of names above a panel, at most
_BEST = 3  # values of a contender that the metric's axis is scaled for


@style.themed
def sensitivity(results: Results, key: str) -> Figure:
    """Draws final validation figures of each sweep against one swept number.

    ``key`` is its dotted name. Lines are means with 95% bands over seeds, a column for
    each group that sweeps it. The optimum has a ring and is named above the panel. A
    strip at the bottom marks points that are not above it: a cross where every seed
    diverged, a small one where some did, a triangle where the metric is below the axis;
    see ``reach``.
    """
    spoken = in_words(swept_names(results)[key])
    decides, looks = results.metrics[0], style.contenders(results)
    found: dict[str, dict[str, Response]] = {}
    for entry in results.entries:
        if key in distinct(entry.points):
            curve = response(entry, key, results.metrics)
            found.setdefault(entry.group, {})[entry.name] = curve
    curves = [curve for group in found.values() for curve in group.values()]
    counts = {int(n) for c in curves for n in np.isfinite(c.metric).sum(axis=0)}
    alone = decides.name == "loss" or not any(np.isfinite(c.loss).any() for c in curves)
    rows = 1 if alone else 2
    title = f"Final validation figures of the sweep, by {spoken}"
    foot = "each point: mean over its seeds"
    if any(curve.joined for curve in curves):
        foot = style.over_seeds(counts)
    figure, axes = style.canvas(
        results, title, _HEIGHTS[:rows], foot, columns=list(found)
    )
    drawn: tuple[list[np.ndarray], ...] = ([], [])
    for column, named in enumerate(found.values()):
        for name, curve in named.items():
            for row, values in enumerate((curve.metric, curve.loss)[:rows]):
                share = decides.percent and row == 0
                line = _line(axes[row, column], curve, values, share, looks[name])
                drawn[row].append(line)
        axes[-1, column].set_xlabel(style.literal(spoken))
    _scale_x(axes[0], np.concatenate([curve.x for curve in curves]))
    axes[0, 0].set_ylabel(style.literal(f"validation {in_words(decides.name)}"))
    marked = _scale_metric(axes[0], drawn[0], list(found.values()), decides, looks)
    if rows > 1:
        axes[1, 0].set_ylabel("validation loss")
        loss = decides._replace(higher=False, percent=False)
        style.scale(axes[1], [line[None] for line in drawn[1]], loss)
    inches = 0.72 * figure.get_figwidth() / len(found)
    for panel, (group, named) in zip(axes[0], found.items(), strict=True):
        _name_optima(panel, named, looks, group, inches)
    _legend(figure, {n: looks[n] for named in found.values() for n in named}, marked)
    return figure


def reach(values: Sequence[np.ndarray], optima: Sequence[float]) -> float:
    """Finds the lowest value to show, so that the good points fill the panel.

    The third best point of the median contender is at two thirds of the height. Every
    optimum is shown, and all points close to a shown one.

    Args:
      values: metric of each contender's points, higher is better; nan where all seeds
        diverged.
      optima: metric at the chosen points.

    Returns:
      The lowest value; that of the worst point where all are shown.

    >>> reach([np.array([0.1, 0.5, 0.9, 0.95, 0.96, 0.97, 0.3])], [0.97])
    0.9
    >>> reach([np.array([0.6, 0.7, 0.8])], [0.8])
    0.6
    """
    finite = [np.sort(each[np.isfinite(each)])[::-1] for each in values]
    finite = [each for each in finite if each.size]
    if not finite:
        return 0.0
    best = max(each[0] for each in finite)
    third = np.median([each[min(_BEST, each.size) - 1] for each in finite])
    lowest = min(best - 3 * (best - third), *optima)
    ordered = np.sort(np.concatenate(finite))
    for value in ordered[ordered < lowest][::-1]:
        if lowest - value > 0.25 * max(best - lowest, 0.02):
            break
        lowest = value
    return float(max(lowest, ordered[0]))


def _line(
    panel: Axes, curve: Response, values: np.ndarray, share: bool, look: style.Look
) -> np.ndarray:
    """Draws one contender and returns its means."""
    marks = look.marked(4.5)
    if curve.joined:
        mean = style.band(panel, curve.x, values, share, look.opacity, **marks)
    else:
        mean = mean_band(values)[0]
        panel.plot(curve.x, mean, ls="", alpha=0.8, **marks)
    if curve.best is not None:
        panel.plot(
            curve.x[curve.best], mean[curve.best], "o", markersize=12, zorder=4,
            markerfacecolor="none", markeredgecolor=look.colour, markeredgewidth=1.6,
            clip_on=False,
        )  # fmt: skip
    return mean


def _scale_x(panels: Sequence[Axes], x: np.ndarray) -> None:
    """A log axis where all values are positive and span 10-fold, else a linear one."""
    low, high = x.min(), x.max()
    for panel in panels:
        if low > 0 and high >= 10 * low:
            panel.set_xscale("log")
            style.log_ticks(panel.xaxis, high / low)
            room = (high / low) ** 0.05
            panel.set_xlim(low / room, high * room)
        else:
            room = 0.05 * (high - low)
            panel.set_xlim(low - room, high + room)


def _scale_metric(
    panels: Sequence[Axes],
    means: Sequence[np.ndarray],
    columns: Sequence[Mapping[str, Response]],
    metric: Metric,
    looks: Mapping[str, style.Look],
) -> set[str]:
    """Sets limits and ticks, draws marks for points outside, returns their kinds."""
    curves = [pair for found in columns for pair in found.items()]
    values = np.concatenate(means)
    values = values[np.isfinite(values)]
    least = -np.inf
    if metric.higher and values.size:
        pairs = zip(means, curves, strict=True)
        optima = [mean[c.best] for mean, (_, c) in pairs if c.best is not None]
        least = reach(means, [value for value in optima if np.isfinite(value)])
    style.scale(panels, [values[values >= least][:, None]], metric)
    crossed = [name for name, curve in curves if curve.lost.any()]
    pairs = zip(means, curves, strict=True)
    below = [name for mean, (name, _) in pairs if (mean < least).any()]
    marked = list(dict.fromkeys([*crossed, *below]))
    if marked:
        _add_strip(panels, 0.04 + _STEP * min(len(marked), _TIERS))
    for panel, found in zip(panels, columns, strict=True):
        for name in (name for name in marked if name in found):
            height = 0.03 + _STEP * (marked.index(name) % _TIERS)
            _marks(panel, found[name], least, looks[name].colour, height)
    kinds = {"diverged": crossed, "below the axis": below}
    return {kind for kind, names in kinds.items() if names}


def _add_strip(panels: Sequence[Axes], strip: float) -> None:
    """Extends the panels downward by a grey strip without ticks."""
    low, top = panels[0].get_ylim()
    ticks = [tick for tick in panels[0].get_yticks() if low <= tick <= top]
    if panels[0].get_yscale() == "log":
        bottom = low * (low / top) ** (strip / (1 - strip))
    else:
        bottom = low - strip / (1 - strip) * (top - low)
    for panel in panels:
        panel.set_yticks(ticks)
        panel.set_ylim(bottom, top)
        # Above the lines: it covers them on their way down.
        panel.axhspan(bottom, low, color="#F4F4F4", linewidth=0, zorder=2.5)


def _marks(
    panel: Axes, curve: Response, least: float, colour: str, height: float
) -> None:
    """Draws crosses and triangles of one contender, at one height of the strip."""
    mean = mean_band(curve.metric)[0]
    for some, marker, size in (
        (curve.lost >= 1, "x", 6.5),
        ((curve.lost > 0) & (curve.lost < 1), "x", 3.5),
        (mean < least, "v", 5.0),
    ):
        if some.any():
            panel.plot(
                curve.x[some], np.full(some.sum(), height), marker, color=colour,
                markersize=size, markeredgewidth=1.6 if marker == "x" else 0.0,
                transform=panel.get_xaxis_transform(), zorder=5, clip_on=False,
            )  # fmt: skip


def _name_optima(
    panel: Axes,
    found: Mapping[str, Response],
    looks: Mapping[str, style.Look],
    title: str,
    inches: float,
) -> None:
    """Names each optimum above the panel, near its position on the axis."""
    chosen = [(n, c, c.best) for n, c in found.items() if c.best is not None]
    longest = max((len(name) for name, _, _ in chosen), default=0)
    longest = max(longest, len("0.0001"))
    gap = 0.085 * (longest + 1) / inches
    tiers = max(int(np.ceil(gap * (len(chosen) - 1) / 0.9)), 1)
    if tiers > _NAME_TIERS or not chosen:
        return  # the legend and the tables have them
    panel.set_title(style.literal(title), pad=8 + 26 * tiers)
    to = np.log if panel.get_xscale() == "log" else np.asarray
    left, right = to(panel.get_xlim())
    wanted = [float((to(c.x[best]) - left) / (right - left)) for _, c, best in chosen]
    places = spread(wanted, gap / tiers, 0.05, 0.95)
    height = np.empty(len(chosen))
    height[np.argsort(places)] = 1.03 + 0.12 * (np.arange(len(chosen)) % tiers)
    for (name, curve, best), x, y in zip(chosen, places, height, strict=True):
        colour = looks[name].colour
        panel.annotate(
            style.literal(f"{name}\n{curve.x[best]:.3g}"),
            (curve.x[best], mean_band(curve.metric[:, best])[0]), (x, y),
            textcoords=panel.transAxes, color=colour, fontsize=8.5, fontweight="bold",
            ha="center", va="bottom",
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.8, "alpha": 0.6,
                        "relpos": (0.5, 0), "shrinkA": 1, "shrinkB": 6},
        )  # fmt: skip


def _legend(
    figure: Figure, looks: Mapping[str, style.Look], marked: Collection[str]
) -> None:
    grey: dict[str, Any] = {"ls": "", "color": style.GREY}
    lines = [(name, look.marked(4.5)) for name, look in looks.items()]
    lines.append(("optimum", {"marker": "o", "ms": 9, "mfc": "none", **grey}))
    if "diverged" in marked:
        lines.append(("diverged", {"marker": "x", "ms": 6, "mew": 1.6, **grey}))
    if "below the axis" in marked:
        lines.append(("below the axis", {"marker": "v", "ms": 5, "mew": 0, **grey}))
    figure.legend(
        [Line2D([], [], **line) for _, line in lines],
        [style.literal(name) for name, _ in lines],
        loc="outside right upper",
        labelspacing=0.7,
    )
