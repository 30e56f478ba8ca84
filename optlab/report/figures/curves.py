"""Loss and deciding metric of the report runs: by epoch, by wall time, by step."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from optlab.problems import Metric
from optlab.report.figures import style
from optlab.report.figures.labels import End, end_of, label_ends, say
from optlab.results import Entry, Results, mean_band

_HEIGHTS = 3.0, 2.6
_DASHED = (0, (4, 1.5))


class Line(NamedTuple):
    """A line of one contender on one panel."""

    x: np.ndarray  # [n]
    values: np.ndarray  # [seeds, n]
    dashed: bool = False


def by_epoch(results: Results) -> Figure:
    """Draws losses and the deciding metric on validation against epochs.

    Args:
      results: comparison whose report runs are drawn, as means with 95% bands.

    Returns:
      The figure, one column a group.
    """
    return _progress(results, "epoch", "epoch", seconds=False)


def by_time(results: Results) -> Figure:
    """Draws the same as ``by_epoch`` against the wall time of one run on its own.

    Args:
      results: comparison whose report runs are drawn; their seconds exclude compiling.

    Returns:
      The figure, one column a group.
    """
    label = "seconds of one run alone, compile excluded"
    return _progress(results, "wall time", label, seconds=True)


def by_step(results: Results, decay: float = 0.99, points: int = 500) -> Figure:
    """Draws moving averages of loss and deciding metric of mini-batches.

    Args:
      results: comparison whose report runs are drawn, as means with 95% bands. A
        percentage of which more is better is drawn as an error, 1 - metric.
      decay: of the average.
      points: number of steps drawn of each line, at most.

    Returns:
      The figure, one column a group.
    """
    decides = results.metrics[0]
    error = decides.higher and decides.percent
    second = f"training {'error' if error else _spoken(decides)}"
    if error:
        decides = decides._replace(higher=False)

    def lines(entry: Entry) -> list[list[Line]]:
        names = [metric.name for metric in _rows(results)]
        found = [smoothed(entry, name, decay, points) for name in names]
        if error:
            x, values = found[1]
            found[1] = x, 1 - values
        return [[Line(x, values)] for x, values in found]

    title = f"Mini-batch figures, moving average ({decay:g})"
    with style.theme():
        figure, axes, drawn = _draw(results, title, lines)
        axes[0, 0].set_ylabel("training loss")
        style.scale(axes[0], drawn.values[0])
        if len(axes) > 1:
            axes[1, 0].set_ylabel(style.literal(second))
            style.scale_metric(axes[1], drawn.values[1], decides)
        for panel in axes[-1]:
            panel.set_xlabel("training step")
        _label(axes, drawn.ends)
    return figure


def moving_average(values: np.ndarray, decay: float = 0.99) -> np.ndarray:
    """Computes the exponential moving average along the last axis, start corrected.

    m_t = decay * m_(t-1) + (1 - decay) * x_t,    m_0 = 0,    shown: m_t / (1 - decay^t)

    Kingma and Ba, "Adam" (2015), section 3, for the correction.

    Args:
      values: ``[..., steps]``.
      decay: weight of the past at each step.

    Returns:
      ``[..., steps]``; the first is the first value itself.

    >>> moving_average(np.array([1.0, 3.0]), 0.5).round(3).tolist()  # (.5 + 1.5*2)/1.5
    [1.0, 2.333]
    """
    average = np.empty_like(values, dtype=float)
    mean = np.zeros(values.shape[:-1])
    for step in range(values.shape[-1]):
        mean = decay * mean + (1 - decay) * values[..., step]
        average[..., step] = mean / (1 - decay ** (step + 1))
    return average


def smoothed(
    entry: Entry, metric: str, decay: float, points: int
) -> tuple[np.ndarray, np.ndarray]:
    """Computes moving averages of one contender's steps, thinned out for drawing.

    Args:
      entry: contender.
      metric: name.
      decay: of the average.
      points: number of steps that are kept at most, the first and the last included.

    Returns:
      The steps, ``[n]``, counted from one, and the averages, ``[seeds, n]``, of the
      report runs that did not diverge.
    """
    assert entry.report is not None
    values = np.asarray(entry.report.steps[metric][:, 0], float)[_alive(entry)]
    count = values.shape[1]
    at = np.unique(np.linspace(0, count - 1, min(count, points)).astype(int))
    return at + 1, moving_average(values, decay)[:, at]


def evaluated(entry: Entry, split: str, metric: str) -> np.ndarray:
    """Reads the evaluations of one contender's report runs that did not diverge.

    Args:
      entry: contender.
      split: name.
      metric: name.

    Returns:
      ``[seeds, epochs + 1]``.
    """
    assert entry.report is not None
    values = np.asarray(entry.report.evaluations[split][metric], float)
    return values[:, _alive(entry), 0].T


class _Drawn(NamedTuple):
    """What was drawn on each row of panels."""

    values: list[list[np.ndarray]]  # row -> line -> [seeds, n]
    ends: list[list[list[End]]]  # row -> column -> ends


def _progress(results: Results, by: str, label: str, seconds: bool) -> Figure:
    metrics = _rows(results)

    def lines(entry: Entry) -> list[list[Line]]:
        assert entry.report is not None
        x = np.arange(entry.report.epochs + 1)
        if seconds:
            x = mean_band(entry.report.seconds[:, _alive(entry), 0].T)[0]
        loss = [
            Line(x, evaluated(entry, "train", "loss")),
            Line(x, evaluated(entry, "validation", "loss"), dashed=True),
        ]
        rest = [[Line(x, evaluated(entry, "validation", m.name))] for m in metrics[1:]]
        return [loss, *rest]

    names = " and ".join(_spoken(metric) for metric in metrics).capitalize()
    with style.theme():
        figure, axes, drawn = _draw(results, f"{names} by {by}", lines)
        axes[0, 0].set_ylabel("loss")
        style.scale(axes[0], drawn.values[0])
        if len(metrics) > 1:
            axes[1, 0].set_ylabel(style.literal(f"validation {_spoken(metrics[1])}"))
            style.scale_metric(axes[1], drawn.values[1], metrics[1])
        for panel in axes[-1]:
            panel.set_xlabel(label)
            panel.xaxis.set_major_locator(
                MaxNLocator("auto", steps=[1, 2, 5, 10], integer=not seconds)
            )
        _label(axes, drawn.ends)
        if drawn.values[0]:
            kinds = {"validation": _DASHED, "training": "-"}
            _explain(axes[0, -1], kinds, "upper right")
        if results.target is not None:
            _draw_target(axes[-1], results.target, metrics[-1])
    return figure


def _draw(
    results: Results, title: str, lines_of: Callable[[Entry], list[list[Line]]]
) -> tuple[Figure, np.ndarray, _Drawn]:
    """Draws each contender's lines: a column a group, a row a metric."""
    metrics, looks = _rows(results), style.contenders(results)
    columns = style.groups(results)
    counts = [int(_alive(entry).sum()) for entry in results.entries]
    figure, axes = style.canvas(
        results, title, _HEIGHTS[: len(metrics)], style.over_seeds(counts)
    )
    drawn = _Drawn([[] for _ in metrics], [[[] for _ in axes[0]] for _ in metrics])
    for entry in (entry for entry in results.entries if _alive(entry).any()):
        column, look = columns.index(entry.group), looks[entry.name]
        for row, lines in enumerate(lines_of(entry)):
            for x, values, dashed in lines:
                mean = style.band(
                    axes[row, column], x, values, metrics[row].percent,
                    ls=_DASHED if dashed else "-", **look.line(x),
                )  # fmt: skip
                drawn.values[row].append(values)
            end = end_of(entry.name, look.colour, x, mean)
            drawn.ends[row][column].append(end)
    for column, group in enumerate(columns):
        say(axes[0, column], _missing(results, group))
    return figure, axes, drawn


def _rows(results: Results) -> list[Metric]:
    """The metrics that are drawn: the loss, and the deciding one if it is another."""
    decides = results.metrics[0]
    loss = next(metric for metric in results.metrics if metric.name == "loss")
    return [loss] if decides.name == "loss" else [loss, decides]


def _spoken(metric: Metric) -> str:
    return metric.name.replace("_", " ")


def _alive(entry: Entry) -> np.ndarray:
    """Which report runs did not diverge, ``[seeds]``."""
    if entry.report is None:
        return np.zeros(0, bool)
    return ~np.asarray(entry.report.diverged[:, 0], bool)


def _missing(results: Results, group: str) -> dict[str, list[str]]:
    """Reason to names, of contenders of which the panel shows nothing, or not all."""
    missing: dict[str, list[str]] = {}
    for entry in (entry for entry in results.entries if entry.group == group):
        alive = _alive(entry)
        if entry.report is None:
            missing.setdefault("all lanes diverged", []).append(entry.name)
        elif not alive.all():
            lost = f"{(~alive).sum()} of {alive.size} runs diverged, left out"
            missing.setdefault(lost, []).append(entry.name)
    return missing


def _label(axes: np.ndarray, ends: Sequence[Sequence[Sequence[End]]]) -> None:
    for panels, row, height in zip(axes, ends, _HEIGHTS, strict=False):
        for panel, lines in zip(panels, row, strict=True):
            label_ends(panel, lines, 0.85 * height)


def _draw_target(panels: np.ndarray, target: float, metric: Metric) -> None:
    """A dotted line at the target where the limits hold it."""
    low, high = panels[0].get_ylim()
    if not low < target < high:
        return
    for panel in panels:
        panel.axhline(target, color=style.GREY, lw=0.9, ls=":")
    said = f"{100 * target:.4g}%" if metric.percent else f"{target:.4g}"
    place = "lower right" if metric.higher else "upper right"
    if metric.name == "loss":  # the legend of the losses is there
        place = "lower left"
    _explain(panels[-1], {f"target {said}": ":"}, place)


def _explain(panel: Axes, kinds: dict[str, Any], place: Any) -> None:
    """A legend of kinds of lines, beside one that the panel may have."""
    old = panel.get_legend()
    grey = [Line2D([], [], color=style.GREY, ls=kind) for kind in kinds.values()]
    panel.legend(grey, list(kinds), loc=place, handlelength=2.6)
    if old is not None:
        panel.add_artist(old)
