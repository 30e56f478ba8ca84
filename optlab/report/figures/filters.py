"""A figure of nets with whole filters removed: error, and what is left of each cost."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from optlab.report.figures import style


@style.themed
def filter_curves(
    shares: np.ndarray,
    errors: Mapping[str, np.ndarray],
    costs: Mapping[str, np.ndarray],
    title: str,
    measure: str,
) -> Figure:
    """Draws error, and beside it costs, against the share of filters that is removed.

    Errors ``[seeds, shares]``, of which lower is better, are by the way to a small net,
    costs ``[shares]`` by name. Shares ascend from 0, the whole net.

    >>> errors = {"greedy": np.array([[2.0, 3.0]])}
    >>> costs = {"parameters": np.array([4.0, 1.0])}
    >>> len(filter_curves(np.array([0.0, 0.5]), errors, costs, "Digits", "%").axes)
    2
    """
    seeds = len(next(iter(errors.values())))
    figure, axes = style.panels(
        title, 10.0, [3.6], ["error", "cost"], [style.over_seeds([seeds])]
    )
    left, right = axes[0]
    looks = style.looks([*errors, *costs])
    for name, values in errors.items():
        style.band(left, 100 * shares, values, **looks[name].marked())
    for name, values in costs.items():
        right.plot(100 * shares, 100 * values / values[0], **looks[name].marked())
    left.set_ylabel(measure)
    right.set_ylabel("% of the whole net's")
    right.set_ylim(0)
    for panel in (left, right):
        panel.set_xlabel("filters of each hidden layer that are removed, %")
        panel.legend()
    return figure
