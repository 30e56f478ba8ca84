"""Loss and deciding metric of the report runs: by epoch, by wall time, by step."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from optlab.problems import Metric
from optlab.report.figures import style
from optlab.report.figures.labels import label_ends, say
from optlab.report.wording import in_words, short
from optlab.results import Entry, Results, mean_band

_HEIGHTS = 3.0, 2.6
_DASHED = (0, (4, 1.5))
_POINTS = 500  # of a line against steps, at most
#: Weight of the past in the moving average of the steps.
DECAY = 0.99


#: Kind of horizontal axis to its label and the figure's title, which names the metrics.
_AXES = {
    "epoch": ("epoch", "{} by epoch"),
    "time": (style.SECONDS, "{} by wall time"),
    "step": ("training step", f"Mini-batch figures, moving average ({DECAY:g})"),
}


class Line(NamedTuple):
    """A line of one contender on one panel."""

    x: np.ndarray  # [n]
    values: np.ndarray  # [seeds, n]
    dashed: bool = False


@style.themed
def progress(results: Results, by: Literal["epoch", "time", "step"]) -> Figure:
    """Draws loss and deciding metric of the report runs, as means with 95% bands.

    By epoch or time these are the losses of the training and validation split and the
    metric on validation. By step they are moving averages of mini-batches, and a
    percentage of which more is better is drawn as an error, 1 - metric. Time is that of
    a run on its own, compiling excluded. A column of panels is a group.
    """
    loss = next(metric for metric in results.metrics if metric.name == "loss")
    metrics = [loss, *(each for each in results.metrics[:1] if each != loss)]
    looks, columns = style.contenders(results), style.groups(results)
    counts = [int(_alive(entry).sum()) for entry in results.entries]
    names = " and ".join(in_words(metric.name) for metric in metrics).capitalize()
    label, title = _AXES[by]
    figure, axes = style.canvas(
        results, title.format(names), _HEIGHTS[: len(metrics)], style.over_seeds(counts)
    )
    for metric, panels, height in zip(metrics, axes, _HEIGHTS, strict=False):
        ends, drawn = [[] for _ in panels], []
        for entry in (entry for entry in results.entries if _alive(entry).any()):
            column, look = columns.index(entry.group), looks[entry.name]
            for x, values, dashed in _lines(entry, metric, by):
                mean = style.band(
                    panels[column], x, values, metric.percent, look.opacity,
                    ls=_DASHED if dashed else "-", **look.line(x),
                )  # fmt: skip
                drawn.append(values)
            ends[column].append((entry.name, look.colour, x, mean))
        panels[0].set_ylabel(style.literal(_label(metric, by)))
        falls = by == "step" and _is_error(metric)
        style.scale(panels, drawn, metric._replace(higher=metric.higher and not falls))
        for panel, lines in zip(panels, ends, strict=True):
            label_ends(panel, lines, 0.85 * height)
    for panel, bottom, group in zip(axes[0], axes[-1], columns, strict=False):
        say(panel, _missing(results, group))
        bottom.set_xlabel(label)
    if by != "step":
        _explain(axes, metrics, results.target)
        ticks = MaxNLocator("auto", steps=[1, 2, 5, 10], integer=by == "epoch")
        for panel in axes[-1]:
            panel.xaxis.set_major_locator(ticks)
    return figure


def _lines(entry: Entry, metric: Metric, by: str) -> list[Line]:
    """Reads the lines of one contender; the last one ends beside its name."""
    assert entry.report is not None
    if by == "step":
        steps, values = smoothed(entry, metric.name)
        return [Line(steps, 1 - values if _is_error(metric) else values)]
    x = np.arange(entry.report.epochs + 1)
    if by == "time":
        x = mean_band(entry.report.seconds[:, _alive(entry), 0].T)[0]
    loss = metric.name == "loss"
    validation = Line(x, evaluated(entry, "validation", metric.name), loss)
    return [Line(x, evaluated(entry, "train", "loss"))] * loss + [validation]


def _label(metric: Metric, by: str) -> str:
    words = in_words(metric.name)
    if by == "step":
        return f"training {'error' if _is_error(metric) else words}"
    return "loss" if metric.name == "loss" else f"validation {words}"


def _is_error(metric: Metric) -> bool:
    """Tells whether mini-batches are drawn as 1 - metric."""
    return metric.higher and metric.percent


def moving_average(values: np.ndarray, decay: float = DECAY) -> np.ndarray:
    """Computes the exponential moving average along the last axis, start corrected.

    m_t = decay * m_(t-1) + (1 - decay) * x_t,    m_0 = 0,    shown: m_t / (1 - decay^t)

    Kingma and Ba, "Adam" (2015), section 3, for the correction.

    Args:
      values: values by step, ``[..., steps]``.
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


def smoothed(entry: Entry, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Computes moving averages of one contender's steps, thinned out for drawing.

    Returns:
      The steps, ``[n]``, counted from one, and the averages, ``[seeds, n]``, of the
      report runs that did not diverge; one that ended keeps its last average.
    """
    assert entry.report is not None
    values = np.asarray(entry.report.steps[metric][:, 0], float)[_alive(entry)]
    count = values.shape[1]
    at = np.unique(np.linspace(0, count - 1, min(count, _POINTS)).astype(int))
    taken = entry.report.steps_per_epoch * entry.report.ends[_alive(entry)]
    return at + 1, np.take_along_axis(
        moving_average(values), np.minimum(at, taken - 1), axis=1
    )


def evaluated(entry: Entry, split: str, metric: str) -> np.ndarray:
    """Reads evaluations ``[seeds, epochs + 1]`` of report runs that did not diverge."""
    assert entry.report is not None
    values = np.asarray(entry.report.evaluations[split][metric], float)
    return values[:, _alive(entry), 0].T


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


def _explain(axes: np.ndarray, metrics: Sequence[Metric], target: float | None) -> None:
    """Adds legends of the kinds of lines, and the target where the limits hold it."""
    for panels, metric in zip(axes, metrics, strict=True):
        low, high = panels[0].get_ylim()
        kinds = {}
        if metric.name == "loss":
            kinds = {"validation": _DASHED, "training": "-"}
        if metric is metrics[-1] and target is not None and low < target < high:
            kinds[f"target {short(target, metric)}"] = ":"
            for panel in panels:
                panel.axhline(target, color=style.GREY, lw=0.9, ls=":")
        lines = [Line2D([], [], color=style.GREY, ls=kind) for kind in kinds.values()]
        if kinds:
            panels[-1].legend(lines, list(kinds), loc="best", handlelength=2.6)
