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
      runs: runs at one point; diverged ones and those of fewer than four epochs are
        left out.

    Returns:
      The changes; None where no run is left, or an epoch has one step.

    >>> loss = np.tile(np.array([1.0, 1.1, 1.2, 1.3, 1.4]), 4)[None, None]
    >>> lanes = np.zeros((1, 1), bool)
    >>> found = teeth(Runs("report", (0,), (0,), 5, np.zeros((5, 1, 1)), {"loss": loss},
    ...                    {}, diverged=lanes, ends=lanes + 4))
    >>> round(found.within.mean, 3), round(found.between.mean, 3)
    (0.4, -0.4)
    """
    steps = runs.steps_per_epoch
    few = max(1, int(SHARE * steps))
    within, between = [], []
    for seed in np.flatnonzero(~runs.diverged[:, 0] & (runs.ends[:, 0] >= 4)):
        epochs = runs.ends[seed, 0]
        losses = np.asarray(runs.steps["loss"][seed, 0, : epochs * steps], float)
        late = losses.reshape(epochs, steps)[epochs // 2 :]
        start, end = late[:, :few].mean(axis=1), late[:, -few:].mean(axis=1)
        within.append((end - start).mean())
        between.append((start[1:] - end[:-1]).mean())
    if steps < 2 or not within:
        return None
    return Teeth(*(mean_interval(np.array(each)) for each in (within, between)))
