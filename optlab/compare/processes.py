"""One observer for all processes: process 0's looks on, and decides for the others."""

from collections.abc import Callable, Mapping

import jax
import numpy as np

from optlab.compare.stages import Observer, Progress, Stage, done
from optlab.sweep import Program
from optlab.sweep.parallel import agreed, broadcast
from optlab.training import Trained


class Together(Observer):
    """Passes every callback on to process 0's observer and its answers to all.

    Processes go through a comparison in step, so that each callback comes to all of
    them; the other processes draw and write nothing.

    Args:
      observer: observer of process 0; not used in the others.
    """

    def __init__(self, observer: Observer):
        leads = jax.process_index() == 0
        self.observer = observer if leads else Observer()

    def begin(self, segments: int) -> None:
        """Passes the call on."""
        self.observer.begin(segments)

    def restore(self, stage: Stage, fresh: Progress) -> Progress:
        """Sends process 0's saved progress to all."""
        history, states = self.observer.restore(stage, fresh)
        epoch = int(agreed([history.epoch])[0])
        if epoch == 0:
            return fresh
        history = broadcast(history)
        if done(stage, history):
            return Progress(history, None)
        return Progress(history, broadcast(states))

    def widths(
        self, name: str, measure: Callable[[], Mapping[int, float]]
    ) -> Mapping[int, float]:
        """Sends process 0's table to all, who measure where it has none."""
        if jax.process_index() == 0:
            asked = []

            def measure_together():
                asked.append(agreed([1]))
                return measure()

            found = self.observer.widths(name, measure_together)
            if not asked:
                agreed([0])
        else:
            found = measure() if agreed([0])[0] else {}
        (count,) = agreed([len(found)])
        table = np.zeros((int(count), 2))
        if jax.process_index() == 0:
            table = np.array(list(found.items()), np.float64)
        return {int(width): seconds for width, seconds in broadcast(table).tolist()}

    def compiling(self, stage: Stage) -> None:
        """Passes the call on."""
        self.observer.compiling(stage)

    def compiled(self, stage: Stage, program: Program) -> None:
        """Passes the call on."""
        self.observer.compiled(stage, program)

    def wants_states(self, stage: Stage) -> bool:
        """Asks process 0."""
        return bool(agreed([self.observer.wants_states(stage)])[0])

    def segment(self, stage: Stage, progress: Progress) -> None:
        """Passes the call on."""
        self.observer.segment(stage, progress)

    def trained(self, stage: Stage, trained: Trained) -> None:
        """Passes the call on."""
        self.observer.trained(stage, trained)
