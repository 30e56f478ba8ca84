"""What the length of its runs cuts off of a recipe: schedules, rules of stopping."""

from collections.abc import Iterator, Sequence

import numpy as np

from optlab.compare import recipe
from optlab.compare.contenders import Contender
from optlab.ranges import is_number

#: Schedules that never end: their length is a scale of time.
ENDLESS = "power", "exponential"


def cautions(contenders: Sequence[Contender]) -> tuple[str, ...]:
    """Lists what cannot act as it is meant to, since a run has too few epochs.

    Args:
      contenders: recipes with their points.

    Returns:
      One sentence each; such a comparison is valid, of what then runs.
    """
    return tuple(dict.fromkeys(each for c in contenders for each in _of(c)))


def _of(contender: Contender) -> Iterator[str]:
    epochs = contender.epochs
    for point in contender.points:
        schedule = recipe.fill(contender.settings, point)["schedule"]
        for key in filter(schedule.__contains__, recipe.EPOCH_OPTIONS):
            # A schedule of the user's may take what is no number.
            lengths = [x for x in np.ravel(schedule[key]).tolist() if is_number(x)]
            length = max(lengths, default=0)
            if length > epochs and schedule["name"] not in ENDLESS:
                yield (
                    f"{contender.label}: schedule.{key} goes on until epoch "
                    f"{length:g}, and its runs have {epochs}."
                )
    patience = contender.stop.patience
    if patience is not None and patience >= epochs:
        yield f"{contender.label}: stop.patience={patience} ends no run of {epochs}."
