"""How the value falls: by steps, by evaluations and by seconds, many methods."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optlab.report.figures import style

#: Methods by whether they evaluate the objective themselves.
GROUPS = {False: "gradient alone", True: "objective as well"}


class Reached(NamedTuple):
    """What each start needed to reach a target; NaN where it did not."""

    steps: np.ndarray  # [starts]
    evaluations: np.ndarray
    seconds: np.ndarray


class Descent(NamedTuple):
    """A method's runs on one problem from several starts."""

    method: str
    evaluates: bool  # the objective itself, beside the gradient that it is given
    values: np.ndarray  # [starts, steps + 1], the last one repeated after a run's end
    evaluations: np.ndarray  # [starts, steps + 1], made so far
    steps: np.ndarray  # [starts], until the run ended
    step_seconds: float  # of one start alone, the mean

    def reached(self, target: float) -> Reached:
        """What each start needed until its value was at most the target.

        >>> values = np.array([[3.0, 1.0, 0.5], [3.0, 2.0, 2.0]])
        >>> counts = np.array([[1, 3, 4], [1, 2, 3]])
        >>> runs = Descent("any", True, values, counts, np.array([2, 2]), 0.25)
        >>> [times.tolist() for times in runs.reached(1.0)]
        [[1.0, nan], [3.0, nan], [0.25, nan]]
        """
        below = self.values <= target
        first = below.argmax(axis=1)
        steps = np.where(below.any(axis=1), first, np.nan)
        counts = self.evaluations[np.arange(len(first)), first]
        return Reached(
            steps,
            np.where(below.any(axis=1), counts, np.nan),
            steps * self.step_seconds,
        )


def descents(
    title: str, runs: Sequence[Descent], measure: str, target: float
) -> Figure:
    """Median value over the starts, against three kinds of cost.

    Args:
      title: of the figure.
      runs: of every method.
      measure: what the value is.
      target: drawn as a line.

    Returns:
      The figure: methods that only take gradients above, those that evaluate the
      objective themselves below, each with the same axes.
    """
    groups = [
        [each for each in runs if each.evaluates == kind] for kind in (False, True)
    ]
    groups = [group for group in groups if group]
    costs = ("steps", "evaluations", "seconds of one start alone")
    with style.house():
        figure, axes = style.panels(
            title, 11.0, [3.1] * len(groups), [""] * 3, sharex="col", sharey="all"
        )
        medians = []
        for row, group in zip(axes, groups, strict=True):
            looks = style.looks(each.method for each in group)
            for each in group:
                look = looks[each.method]
                medians.append(_draw(row, each, look))
            row[0].set_ylabel(measure)
            row[0].set_title(GROUPS[group[0].evaluates])
            row[-1].legend(loc="upper left", bbox_to_anchor=(1.02, 1.0))
        for panel in axes.flat:
            panel.axhline(target, color=style.GREY, linewidth=1, linestyle=":")
            panel.set_xscale("log")
        for panel, text in zip(axes[-1], costs, strict=True):
            panel.set_xlabel(text)
        floor = min(target / 3, *(values[-1] for values in medians))
        top = float(np.median([values[0] for values in medians]))
        for panel in axes.flat:
            panel.set_yscale("log")
            panel.set_ylim(max(floor / 2, target / 1e4), 3 * top)
    return figure


def _draw(row: Sequence[Axes], each: Descent, look: style.Look) -> np.ndarray:
    """One method on its three panels; returns its median by steps."""
    last = int(each.steps.max())
    steps = np.arange(last + 1)
    values = each.values[:, : last + 1]
    counts = np.unique(np.geomspace(1, max(each.evaluations.max(), 2), 200).astype(int))
    by_count = np.stack(
        [
            line[np.searchsorted(made, counts, side="right").clip(1) - 1]
            for line, made in zip(values, each.evaluations[:, : last + 1], strict=True)
        ]
    )
    seconds = np.maximum(steps * each.step_seconds, 1e-9)
    for panel, x, lines in (
        (row[0], np.maximum(steps, 0.8), values),
        (row[1], counts, by_count),
        (row[2], seconds[1:], values[:, 1:]),
    ):
        low, median, high = np.percentile(lines, (25, 50, 75), axis=0)
        panel.plot(x, median, color=look.colour, label=each.method)
        panel.fill_between(x, low, high, color=look.colour, alpha=0.12, linewidth=0)
    return np.median(values, axis=0)
