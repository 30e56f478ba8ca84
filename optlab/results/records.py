"""What a comparison leaves behind: plain tuples, one kind for each question."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Row(NamedTuple):
    """One run (a lane) at one evaluation: the tidy row of the CSV and JSON files."""

    phase: str  # "tune" or "report"
    optimizer: str  # label
    batch_size: int
    seed: int
    point: int  # index of the hyperparameter point in the optimizer's grid
    hyperparameters: Mapping[str, float]  # the swept ones
    epoch: int  # 0 is before the first step
    step: int
    split: str  # "train", "validation" or "test"
    loss: float  # mean per example
    accuracy: float  # 0..1
    seconds: float  # training time of this run alone; nan where lanes ran together
    diverged: bool


class Cell(NamedTuple):
    """One optimizer at one batch size: its sweep and its report runs."""

    optimizer: str
    batch_size: int
    grid: tuple[Mapping[str, float], ...]
    tune_seeds: tuple[int, ...]
    report_seeds: tuple[int, ...]
    epochs: int
    steps_per_epoch: int
    best: int | None  # index into grid; None where every lane diverged
    compiles: int
    compile_seconds: float  # all training programs of the cell
    sweep_seconds: float  # wall time of the tuning sweep, compile excluded
    parameters: int


class Trace(NamedTuple):
    """The mini-batch figures of the report runs, one a training step."""

    optimizer: str
    batch_size: int
    seeds: tuple[int, ...]
    loss: np.ndarray  # [seeds, steps]
    error: np.ndarray  # [seeds, steps], 1 - accuracy


class Results(NamedTuple):
    """A whole comparison, with what is needed to make it again.

    ``published`` holds figures from elsewhere to set beside the measured ones:
    mappings with ``optimizer``, ``batch_size`` and any of ``test_accuracy`` (0..1),
    ``train_loss``, ``validation_loss``, ``seconds`` and ``source``.
    """

    rows: tuple[Row, ...]
    cells: tuple[Cell, ...]
    traces: tuple[Trace, ...]
    target_accuracy: float
    title: str
    note: str  # such as "reduced: 4000 images, 3 epochs"; may be empty
    config: str  # YAML text
    environment: Mapping[str, str]
    published: tuple[Mapping[str, Any], ...] = ()
