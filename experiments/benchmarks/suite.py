"""What a suite of benchmarks hands back, and whom it tells what it is doing."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from optlab.report.document import Block


class Bench(NamedTuple):
    """The edges of a suite."""

    tell: Callable[[str], None]  # what is being done, in a few words


class Ratio(NamedTuple):
    """How many times as fast as a peer optlab is, at the same work."""

    work: str  # what both did
    peer: str
    peer_seconds: tuple[float, ...]  # one a turn
    own_seconds: tuple[float, ...]  # likewise, of the same turns
    target: float | None = None  # at least; None: not part of any promise
    note: str = ""  # how a figure came about that was not measured whole

    @property
    def each(self) -> np.ndarray:
        """The ratio of every turn; above 1 optlab is faster."""
        return np.array(self.peer_seconds) / np.array(self.own_seconds)

    @property
    def median(self) -> float:
        """Over the turns."""
        return float(np.median(self.each))

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None where there is none."""
        return None if self.target is None else self.median >= self.target


class Value(NamedTuple):
    """A figure that is no ratio of times: a count, a share, a rate."""

    name: str
    value: float
    unit: str = ""
    least: float | None = None  # the target's limits; None: none
    most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it lies within its limits; None where it has none."""
        if self.least is None and self.most is None:
            return None
        low = -np.inf if self.least is None else self.least
        high = np.inf if self.most is None else self.most
        return bool(low <= self.value <= high)


class SuiteResult(NamedTuple):
    """All that a suite measured."""

    ratios: tuple[Ratio, ...] = ()
    values: tuple[Value, ...] = ()
    notes: tuple[str, ...] = ()  # what a reader must know; peers left out
    blocks: tuple[Block, ...] = ()  # more for the page: tables, pictures, paragraphs
