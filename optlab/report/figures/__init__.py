"""Figures of a comparison: each function takes results and returns a Figure."""

from collections.abc import Callable

from matplotlib.figure import Figure

from optlab.report.figures.curves import by_epoch, by_step, by_time, moving_average
from optlab.report.figures.learning_rate import sensitivity
from optlab.report.figures.style import render
from optlab.report.figures.target import time_to_target
from optlab.results import Results

FIGURES: dict[str, Callable[[Results], Figure]] = {
    "epochs": by_epoch,
    "wall_time": by_time,
    "training_steps": by_step,
    "sensitivity": sensitivity,
    "time_to_target": time_to_target,
}

__all__ = [
    "FIGURES",
    "by_epoch",
    "by_step",
    "by_time",
    "moving_average",
    "render",
    "sensitivity",
    "time_to_target",
]
