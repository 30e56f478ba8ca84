"""Records of a comparison: arrays of lanes, and their provenance."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from optlab.problems import Metric


class Runs(NamedTuple):
    """Lanes that trained together, or one after another; NaN is not measured.

    Axes: ``seeds`` and ``points`` are those of the fields of that name.
    """

    phase: str  # "tune" or "report"
    seeds: tuple[int, ...]
    points: tuple[int, ...]  # indices into the contender's points
    steps_per_epoch: int
    seconds: np.ndarray  # [epochs + 1, seeds, points]; NaN where lanes ran together
    steps: Mapping[str, np.ndarray]  # metric -> [seeds, points, steps], mini-batches
    #: split -> metric -> [epochs + 1, seeds, points]; epoch 0 is before the first step
    evaluations: Mapping[str, Mapping[str, np.ndarray]]
    diverged: np.ndarray  # [seeds, points], bool
    ends: np.ndarray  # [seeds, points]: epochs that each lane took

    @property
    def epochs(self) -> int:
        """Passes over the training split, of a lane that no rule stops."""
        return len(self.seconds) - 1


class Entry(NamedTuple):
    """Measurements of one contender."""

    label: str  # unique in a comparison
    name: str  # unique in its group; equal to the label where there is one group
    group: str  # contenders of one group are compared with each other; may be ""
    settings: Mapping[str, Any]  # dotted key -> value: how it differs from the others
    points: tuple[Mapping[str, float], ...]  # swept numbers by dotted key
    tune: Runs
    best: int | None  # index into points; None where every lane diverged
    report: Runs | None  # fresh seeds at the best point; None where there is none
    parameters: int
    multiply_adds: int | None  # of the net for one example; None: it has a while_loop
    compiles: int  # training programs compiled
    compile_seconds: float
    sweep_seconds: float  # wall time of tuning, compile excluded
    drawn: bool = False  # whether the points are of a random or halton search


class Results(NamedTuple):
    """A whole comparison, with what is needed to make it again.

    ``published`` holds figures from elsewhere: mappings with ``contender`` (a label),
    any of ``test_METRIC``, ``train_loss``, ``validation_loss``, ``seconds``, and
    ``source``. ``claims`` is plain data, see `optlab.results.claims`. ``constants``
    holds label to parameter's name to ``[seeds, 2]``: mean and standard deviation of
    the entries of a learned constant at the end of each report run.
    """

    entries: tuple[Entry, ...]
    metrics: tuple[Metric, ...]  # the first one decides; "loss" is always among them
    target: float | None  # of the deciding metric on validation, for time to target
    title: str
    note: str  # such as "reduced: 4000 images, 3 epochs"; may be empty
    config: str  # JSON text
    environment: Mapping[str, str]
    published: tuple[Mapping[str, Any], ...] = ()
    claims: tuple[Mapping[str, Any], ...] = ()
    constants: Mapping[str, Mapping[str, np.ndarray]] = MappingProxyType({})
