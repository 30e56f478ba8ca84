"""Rules that end a run before its last epoch.

Each looks at the run after every epoch, and the first that is met ends it::

    patience       that many epochs since the least validation loss so far
    target         the deciding metric on validation is that good
    gradient_norm  |grad L| <= c, L the mean loss over the training split
    weight_change  |w - v| <= c |v|, w the parameters, v those of one epoch before

Both norms are of the net as it is evaluated, of schedule-free methods the average. The
net that remains is that of the last epoch, not of the best one. Patience is that
of Goodfellow, Bengio and Courville, "Deep Learning" (2016), algorithm 7.1, with an
evaluation after each epoch.

A rule is a function of what was measured, so that nothing of it has to be saved, and
lanes of one program know nothing of it: they train until all have stopped, and what a
lane does after its own end is not counted.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from optlab import ranges
from optlab.errors import check_choice
from optlab.problems import Metric

#: Quantities beside metrics that rules look at, kept with the training split.
WATCHED = ("gradient_norm", "weight_change")


class Stop(NamedTuple):
    """Rules that end a run; those that are None do not."""

    patience: int | None = None  # epochs
    target: float | None = None  # of the deciding metric on validation
    gradient_norm: float | None = None
    weight_change: float | None = None

    @property
    def watched(self) -> tuple[str, ...]:
        """Quantities beside metrics that the rules look at."""
        return tuple(name for name in WATCHED if getattr(self, name) is not None)


#: Type and range of each rule's number.
RANGES = {
    "patience": ranges.COUNT,
    "target": ranges.FINITE,
    "gradient_norm": ranges.NOT_NEGATIVE,
    "weight_change": ranges.NOT_NEGATIVE,
}


def make(settings: Mapping[str, Any]) -> Stop:
    """Makes the rules of a recipe.

    Args:
      settings: rule to number; None is no rule.

    Returns:
      The rules.

    Raises:
      InputError: a rule is unknown, or its number is out of its range.

    >>> make({"patience": 5}).watched, make({"gradient_norm": 1e-3}).watched
    ((), ('gradient_norm',))
    """
    given = {name: value for name, value in settings.items() if value is not None}
    for name in given:
        check_choice("rule", name, RANGES, "stop")
    ranges.check("stop", RANGES, given)
    return Stop(**given)


def ends(
    stop: Stop,
    metric: Metric,
    evaluations: Mapping[str, Mapping[str, np.ndarray]],
    epoch: int,
    last: int,
) -> np.ndarray:
    """Finds the epoch after which each lane ended.

    Args:
      stop: rules.
      metric: deciding metric.
      evaluations: split to metric to ``[epochs + 1, seeds, points]``; of "train" there
        are the watched quantities.
      epoch: epochs that are measured.
      last: epoch after which a lane ends where no rule is met.

    Returns:
      ``[seeds, points]``; ``last`` where no rule is met so far.

    >>> metric = Metric("accuracy", True, True, lambda outputs, targets: None)
    >>> losses = np.array([3.0, 2.0, 2.5, 2.2, 1.0])[:, None, None]
    >>> found = {"validation": {"loss": losses, "accuracy": 1 - losses / 10}}
    >>> [ends(Stop(patience=p), metric, found, 4, 9).item() for p in (1, 2, 3)]
    [2, 3, 9]
    >>> ends(Stop(target=0.79), metric, found, 4, 9).item()
    1
    """
    so_far = np.s_[: epoch + 1]
    loss = evaluations["validation"]["loss"][so_far]
    met = np.zeros(loss.shape, bool)
    if stop.patience is not None:
        met |= _since_least(loss) >= stop.patience
    if stop.target is not None:
        values = evaluations["validation"][metric.name][so_far]
        met |= metric.met(values, stop.target)
    for name in stop.watched:
        met |= evaluations["train"][name][so_far] <= getattr(stop, name)
    met[0] = False  # a rule looks after an epoch
    return np.where(met.any(axis=0), met.argmax(axis=0), last)


def _since_least(loss: np.ndarray) -> np.ndarray:
    """Epochs since the least value so far; one that is not finite is no least."""
    least = np.minimum.accumulate(np.where(np.isfinite(loss), loss, np.inf), axis=0)
    fell = np.concatenate([np.ones_like(least[:1], bool), least[1:] < least[:-1]])
    epochs = np.arange(len(loss)).reshape(-1, *[1] * (loss.ndim - 1))
    return epochs - np.maximum.accumulate(np.where(fell, epochs, 0), axis=0)
