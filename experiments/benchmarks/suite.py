"""The result of a suite: ratios of times, and other figures."""

from typing import NamedTuple

import numpy as np

from optlab.report.document import Block


class Ratio(NamedTuple):
    """A peer's time over optlab's for the same work, round by round."""

    work: str  # description of the work
    peer: str
    peer_seconds: tuple[float, ...]  # one a round
    own_seconds: tuple[float, ...]  # of the same rounds
    note: str = ""  # how a time was scaled up that was not measured whole

    @property
    def each(self) -> np.ndarray:
        """Ratio of every round; above 1 optlab is faster."""
        return np.array(self.peer_seconds) / np.array(self.own_seconds)

    @property
    def median(self) -> float:
        """Median over the rounds."""
        return float(np.median(self.each))

    @property
    def faster(self) -> str:
        """Who is faster in every round; ``neither`` where rounds disagree.

        >>> Ratio("work", "SciPy", (1.0, 1.5), (2.0, 2.0)).faster
        'the peer'
        """
        if self.each.min() > 1:
            return "optlab"
        return "the peer" if self.each.max() < 1 else "neither"


class Value(NamedTuple):
    """A figure that is no ratio of times: a count, a width, an exponent."""

    name: str
    value: float
    unit: str = ""


class SuiteResult(NamedTuple):
    """All that a suite measured."""

    ratios: tuple[Ratio, ...] = ()
    values: tuple[Value, ...] = ()
    notes: tuple[str, ...] = ()  # peers left out, and other remarks
    blocks: tuple[Block, ...] = ()  # further tables and pictures for the page
