"""How much the choice of the learning rate matters to each optimizer."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from optlab.report.figures import style
from optlab.report.figures.labels import say, spread
from optlab.results import (
    Cell,
    Results,
    Row,
    cell_rows,
    choose_point,
    diverged_lanes,
    final_rows,
    mean_band,
    mean_interval,
)

_HEIGHTS = 3.2, 2.4
_STEP = 0.04  # between the marks of two optimizers, in heights of the panel
_TIERS = 8  # of marks, at most
_BEST = 3  # rates of an optimizer that the accuracy axis is made for


class Response(NamedTuple):
    """What a sweep found at each value of one hyperparameter, best over the others."""

    rates: np.ndarray  # [n], ascending
    accuracy: np.ndarray  # [seeds, n], final, validation; nan where the lane diverged
    loss: np.ndarray  # [seeds, n]
    lost: np.ndarray  # [n], fraction of the seeds that diverged
    best: int | None  # index into rates


def response(results: Results, cell: Cell, name: str = "learning_rate") -> Response:
    """Final validation figures of one sweep against one hyperparameter.

    Args:
      results: with the rows.
      cell: whose sweep is wanted.
      name: of the hyperparameter; points without it, or not above zero, are left out.

    Returns:
      At each value, the best point by the sweep's own criterion.
    """
    rows = cell_rows(results.rows, cell, "tune")
    lost = diverged_lanes(rows)
    rates = sorted({p[name] for p in cell.grid if p.get(name, 0.0) > 0})
    seeds = list(cell.tune_seeds)
    figures = np.full((3, len(seeds), len(rates)), np.nan)
    for i, rate in enumerate(rates):
        here = [row for row in rows if cell.grid[row.point].get(name) == rate]
        point = choose_point(here)
        if point is None:
            figures[2, :, i] = 1.0
            continue
        for lane, row in _lanes(here, point).items():
            seed = seeds.index(row.seed)
            figures[2, seed, i] = lane in lost
            if lane not in lost:
                figures[:2, seed, i] = row.accuracy, row.loss
    fraction = np.nan_to_num(figures[2]).mean(axis=0) if seeds else np.zeros(len(rates))
    best = None if cell.best is None else cell.grid[cell.best].get(name)
    return Response(
        rates=np.array(rates),
        accuracy=figures[0],
        loss=figures[1],
        lost=fraction,
        best=rates.index(best) if best in rates else None,
    )


def sensitivity(results: Results, name: str = "learning_rate") -> Figure:
    """Final validation accuracy and loss of each sweep against the learning rate.

    The optimum wears a ring and is labelled above the panel. A strip at the bottom
    marks what is not above it: a cross where every seed diverged, a small one where
    some did, a triangle where the accuracy is below the axis; see ``reach``.

    Args:
      results: whose sweeps are drawn, as means with 95% bands over seeds.
      name: of the hyperparameter on the axis.

    Returns:
      The figure, one column a batch size.
    """
    spoken = name.replace("_", " ")
    with style.house():
        title = f"Final validation figures of the sweep, by {spoken}"
        foot = style.over_seeds(_counts(results, name))
        figure, axes = style.canvas(results, title, _HEIGHTS, foot)
        looks = style.looks(style.optimizers(results))
        columns: list[dict[str, Response]] = []
        drawn: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for column, size in enumerate(style.batch_sizes(results)):
            cells = [cell for cell in results.cells if cell.batch_size == size]
            found = {cell.optimizer: response(results, cell, name) for cell in cells}
            found = {label: curve for label, curve in found.items() if curve.rates.size}
            columns.append(found)
            for label, curve in found.items():
                for row, values in enumerate((curve.accuracy, curve.loss)):
                    line = _line(axes[row, column], curve, values, looks[label])
                    drawn[row].append(line)
            swept = any(curve.rates.size for curve in found.values())
            if swept:
                axes[0, column].set_xscale("log")
                _pad(axes[0, column], np.concatenate([c.rates for c in found.values()]))
            silent = [c.optimizer for c in cells if c.optimizer not in found]
            say(axes[0, column], [f"{label}: no {spoken} swept" for label in silent])
            axes[1, column].set_xlabel(spoken)
            _name_optima(axes[0, column], found, looks, f"batch size {size}")
        axes[0, 0].set_ylabel("validation accuracy")
        axes[1, 0].set_ylabel("validation loss")
        marked = _scale_accuracy(axes[0], drawn[0], columns, looks)
        style.scale(axes[1], drawn[1])
        _legend(figure, looks, marked)
    return figure


def reach(accuracies: Sequence[np.ndarray], optima: Sequence[float]) -> float:
    """The lowest accuracy that is shown, so that the good rates fill the panel.

    The third best rate of a middling optimizer stands at two thirds of the height.
    Every optimum is shown, and all that is close to what is.

    Args:
      accuracies: of each optimizer, by rate; nan where all diverged.
      optima: accuracies at the rates that were chosen.

    Returns:
      The accuracy; that of the worst rate where all are shown.

    >>> reach([np.array([0.1, 0.5, 0.9, 0.95, 0.96, 0.97, 0.3])], [0.97])
    0.9
    >>> reach([np.array([0.6, 0.7, 0.8])], [0.8])
    0.6
    """
    finite = [np.sort(values[np.isfinite(values)])[::-1] for values in accuracies]
    finite = [values for values in finite if values.size]
    if not finite:
        return 0.0
    best = max(values[0] for values in finite)
    third = np.median([values[min(_BEST, values.size) - 1] for values in finite])
    lowest = min(best - 3 * (best - third), *optima)
    ordered = np.sort(np.concatenate(finite))
    for value in ordered[ordered < lowest][::-1]:
        if lowest - value > 0.25 * max(best - lowest, 0.02):
            break
        lowest = value
    return float(max(lowest, ordered[0]))


def _counts(results: Results, name: str) -> set[int]:
    """Over how many seeds the means are that are drawn."""
    found = [response(results, cell, name).accuracy for cell in results.cells]
    return {int(n) for each in found for n in np.isfinite(each).sum(axis=0)}


def _lanes(rows: list[Row], point: int) -> dict[tuple[int, int], Row]:
    finals = final_rows(rows, "validation").items()
    return {lane: row for lane, row in finals if lane[0] == point}


def _line(
    panel: Axes, curve: Response, values: np.ndarray, look: style.Look
) -> np.ndarray:
    mean = style.band(
        panel,
        curve.rates,
        values,
        values is curve.loss,
        color=look.colour,
        marker=look.marker,
        markersize=4.5,
    )
    if curve.best is not None:
        panel.plot(
            curve.rates[curve.best], mean[curve.best], "o", markersize=12, zorder=4,
            markerfacecolor="none", markeredgecolor=look.colour, markeredgewidth=1.6,
            clip_on=False,
        )  # fmt: skip
    return mean


def _scale_accuracy(
    panels: Sequence[Axes],
    means: Sequence[np.ndarray],
    columns: Sequence[Mapping[str, Response]],
    looks: Mapping[str, style.Look],
) -> set[str]:
    """Limits and ticks, and marks for what is not within them.

    Args:
      panels: one a batch size.
      means: every line on them, panel by panel.
      columns: what each panel shows.
      looks: of the optimizers.

    Returns:
      The kinds of marks that were drawn.
    """
    curves = [curve for found in columns for curve in found.values()]
    chosen = [(mean, c.best) for mean, c in zip(means, curves, strict=True)]
    least = reach(means, [mean[at] for mean, at in chosen if at is not None])
    values = np.concatenate([*means, [least]])
    high = values[np.isfinite(values)].max()
    room = max(0.08 * (high - least), 0.005)
    low, top = least - room, high + room
    crossed = any(curve.lost.any() for curve in curves)
    below = (values < least).any()
    strip = 0.04 + _STEP * min(len(looks), _TIERS) if crossed or below else 0.0
    bottom = low - strip / (1 - strip) * (top - low)
    ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, top)
    ticks = [tick for tick in ticks if max(low, -1e-9) <= tick <= min(top, 1 + 1e-9)]
    for panel, found in zip(panels, columns, strict=False):  # none: one empty panel
        panel.set_ylim(bottom, top)
        panel.set_yticks(ticks)
        panel.yaxis.set_major_formatter(FuncFormatter(style.percent_tick))
        if strip:  # covers the lines on their way down
            panel.axhspan(bottom, low, color="#F4F4F4", linewidth=0, zorder=2.5)
        for place, (name, curve) in enumerate(found.items()):
            height = 0.03 + _STEP * (place % _TIERS)
            _marks(panel, curve, least, looks[name].colour, height)
    kinds = {"diverged": crossed, "below the axis": below}
    return {kind for kind, drawn in kinds.items() if drawn}


def _marks(
    panel: Axes, curve: Response, least: float, colour: str, height: float
) -> None:
    """Crosses and triangles of one optimizer, at a height of its own."""
    mean = mean_band(curve.accuracy)[0]
    for some, marker, size in (
        (curve.lost >= 1, "x", 6.5),
        ((curve.lost > 0) & (curve.lost < 1), "x", 3.5),
        (mean < least, "v", 5.0),
    ):
        if some.any():
            panel.plot(
                curve.rates[some], np.full(some.sum(), height), marker, color=colour,
                markersize=size, markeredgewidth=1.6 if marker == "x" else 0.0,
                transform=panel.get_xaxis_transform(), zorder=5, clip_on=False,
            )  # fmt: skip


def _pad(panel: Axes, rates: np.ndarray) -> None:
    low, high = rates.min(), rates.max()
    room = (high / low) ** 0.05 if high > low else 3.0
    panel.set_xlim(low / room, high * room)


def _name_optima(
    panel: Axes,
    found: Mapping[str, Response],
    looks: Mapping[str, style.Look],
    title: str,
) -> None:
    """Names each optimum above the panel, over its place on the axis."""
    chosen = [(n, c, c.best) for n, c in found.items() if c.best is not None]
    tiers = 1 if len(chosen) <= 5 else 2
    panel.set_title(title, pad=8 + 26 * tiers if chosen else None)
    if not chosen:
        return
    left, right = np.log(panel.get_xlim())
    wanted = [(np.log(c.rates[best]) - left) / (right - left) for _, c, best in chosen]
    places = spread(wanted, 0.16 / tiers, 0.05, 0.95)
    height = np.empty(len(chosen))
    height[np.argsort(places)] = 1.03 + 0.12 * (np.arange(len(chosen)) % tiers)
    for (name, curve, best), place, level in zip(chosen, places, height, strict=True):
        panel.annotate(
            f"{name}\n{curve.rates[best]:.3g}",
            (curve.rates[best], mean_interval(curve.accuracy[:, best]).mean),
            (place, level),
            textcoords=panel.transAxes,
            color=looks[name].colour,
            fontsize=8.5,
            fontweight="bold",
            ha="center",
            va="bottom",
            arrowprops={"arrowstyle": "-", "color": looks[name].colour, "lw": 0.8,
                        "alpha": 0.6, "relpos": (0.5, 0), "shrinkA": 1, "shrinkB": 6},
        )  # fmt: skip


def _legend(
    figure: Figure, looks: Mapping[str, style.Look], marked: Collection[str]
) -> None:
    lines = {
        name: Line2D([], [], color=look.colour, marker=look.marker, markersize=4.5)
        for name, look in looks.items()
    }
    grey: dict[str, Any] = {"ls": "", "color": style.GREY}
    lines["optimum"] = Line2D([], [], marker="o", ms=9, mfc="none", **grey)
    if "diverged" in marked:
        lines["diverged"] = Line2D([], [], marker="x", ms=6, mew=1.6, **grey)
    if "below the axis" in marked:
        lines["below the axis"] = Line2D([], [], marker="v", ms=5, mew=0, **grey)
    figure.legend(
        list(lines.values()), list(lines), loc="outside right upper", labelspacing=0.7
    )
