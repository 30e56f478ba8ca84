"""The teeth of a training curve: changes within an epoch, and from one to the next.

An epoch shows every example once, in random order. An example at share t of an epoch
was last seen 1/2 + t epochs ago in the mean: half an epoch at the start, one and a half
at the end. A net that remembers its examples therefore has a lower mini-batch loss at
the start of an epoch than at the end of the one before: the curve rises within epochs
and falls between them.
"""

from typing import NamedTuple

import numpy as np

from optlab.results.records import Runs
from optlab.results.statistics import Interval, mean_interval

#: Share of an epoch's steps that counts as its start, and as its end.
SHARE = 0.2


class Teeth(NamedTuple):
    """Changes of the mini-batch loss over the second half of the epochs; over seeds."""

    within: Interval  # end of an epoch minus its start
    between: Interval  # start of the next epoch minus the end


def teeth(runs: Runs) -> Teeth | None:
    """Measures how the mini-batch loss changes within epochs and between them.

    Args:
      runs: runs at one point; diverged ones are left out.

    Returns:
      The changes; None for fewer than four epochs or two steps an epoch.

    >>> loss = np.tile(np.array([1.0, 1.1, 1.2, 1.3, 1.4]), 4)[None, None]
    >>> found = teeth(Runs("report", (0,), (0,), 5, np.zeros((5, 1, 1)), {"loss": loss},
    ...                    {}, np.zeros((1, 1), bool)))
    >>> round(found.within.mean, 3), round(found.between.mean, 3)
    (0.4, -0.4)
    """
    steps, epochs = runs.steps_per_epoch, runs.epochs
    if epochs < 4 or steps < 2:
        return None
    few = max(1, int(SHARE * steps))
    losses = np.asarray(runs.steps["loss"][:, 0], float)[~runs.diverged[:, 0]]
    late = losses.reshape(-1, epochs, steps)[:, epochs // 2 :]
    start, end = late[..., :few].mean(-1), late[..., -few:].mean(-1)
    return Teeth(
        within=mean_interval((end - start).mean(axis=1)),
        between=mean_interval((start[:, 1:] - end[:, :-1]).mean(axis=1)),
    )
