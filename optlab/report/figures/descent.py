"""Value of the objective by steps, evaluations and seconds, for many methods."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from optlab.report.figures import style

#: Top of a panel, as a multiple of the value at the start.
HIGHEST = 1e3

#: Bottom of a panel, as a multiple of the target.
LOWEST = 1e-4

#: Titles of the two groups: whether a method evaluates the objective itself.
GROUPS = {False: "gradient alone", True: "objective as well"}

_HUGE = 1e200  # drawn for a value that is not finite: above every panel


class Reached(NamedTuple):
    """Cost of reaching a target from each start; NaN where it was not reached."""

    steps: np.ndarray  # [starts]
    evaluations: np.ndarray
    seconds: np.ndarray


class Descent(NamedTuple):
    """A method's runs on one problem from several starts."""

    method: str
    evaluates: bool  # whether it evaluates the objective itself
    values: np.ndarray  # [starts, steps + 1]; after a run's end its last value
    evaluations: np.ndarray  # [starts, steps + 1], cumulative
    steps: np.ndarray  # [starts], until the run ended
    step_seconds: float  # of one start alone, the mean

    def reached(self, target: float) -> Reached:
        """Finds the cost at which each value was at most the target.

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
        counts = np.where(below.any(axis=1), counts, np.nan)
        return Reached(steps, counts, steps * self.step_seconds)


@style.themed
def descents(
    title: str, runs: Sequence[Descent], measure: str, target: float
) -> Figure:
    """Draws the median value over the starts, against three kinds of cost.

    Above stand methods that only take gradients, below those that evaluate the
    objective themselves, with the same axes. The axes of steps and seconds begin at 0,
    linear up to the first power of ten. The target is drawn as a line.
    """
    groups = [
        [each for each in runs if each.evaluates == kind] for kind in (False, True)
    ]
    groups = [group for group in groups if group]
    costs = ("steps", "evaluations", "seconds of one start alone")
    figure, axes = style.panels(
        title, 11.0, [3.1] * len(groups), [""] * 3, sharex="col", sharey="all"
    )
    looks = style.looks(each.method for group in groups for each in group)
    drawn = []
    for row, group in zip(axes, groups, strict=True):
        for each in group:
            drawn.append(_draw(row, each, looks[each.method]))
        row[0].set_ylabel(measure)
        row[0].set_title(GROUPS[group[0].evaluates])
        row[-1].legend(**style.BESIDE)
    for panel in axes.flat:
        panel.axhline(target, color=style.GREY, linewidth=1, linestyle=":")
    quickest = min(each.step_seconds for each in runs)
    for panel, text, unit in zip(axes[-1], costs, (1, None, quickest), strict=True):
        panel.set_xlabel(text)
        _scale_cost(panel, unit)
    values = np.concatenate(drawn)
    start = float(np.median([line[0] for line in drawn]))
    lowest, highest = max(values.min(), LOWEST * target), HIGHEST * start
    top = values[values <= highest].max(initial=start)
    for panel in axes.flat:
        panel.set_yscale("log")
        panel.set_ylim(min(lowest, target) / 2, 2 * top)
    return figure


def _scale_cost(panel: Axes, unit: float | None) -> None:
    """Sets a log axis; where there is a least unit, one that begins at 0."""
    if unit is None:
        panel.set_xscale("log")
        return
    linear = 10 ** np.floor(np.log10(max(unit, 1e-9)))
    panel.set_xscale("symlog", linthresh=linear, linscale=0.5, subs=range(2, 10))
    panel.set_xlim(0, 1.2 * panel.get_xlim()[1])


def _draw(row: Sequence[Axes], each: Descent, look: style.Look) -> np.ndarray:
    """Draws one method on its three panels and returns its median by steps."""
    last = int(each.steps.max())
    steps = np.arange(last + 1)
    # Guard: a quartile between a number and infinity would be NaN.
    values = np.nan_to_num(each.values[:, : last + 1].astype(float), nan=_HUGE,
                           posinf=_HUGE)  # fmt: skip
    counts = np.unique(np.geomspace(1, max(each.evaluations.max(), 2), 200).astype(int))
    by_count = np.stack(
        [
            line[np.searchsorted(made, counts, side="right").clip(1) - 1]
            for line, made in zip(values, each.evaluations[:, : last + 1], strict=True)
        ]
    )
    for panel, x, lines in (
        (row[0], steps, values),
        (row[1], counts, by_count),
        (row[2], steps * each.step_seconds, values),
    ):
        line = {"label": each.method, **look.line(x, log=True)}
        style.middle_half(panel, x, lines, **line)
    return np.median(values, axis=0)
