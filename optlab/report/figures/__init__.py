"""Figures of a comparison: each function takes results and returns a Figure."""

from matplotlib.figure import Figure

from optlab.report.figures.curves import progress
from optlab.report.figures.style import render
from optlab.report.figures.swept import sensitivity
from optlab.report.figures.target import time_to_target

__all__ = [
    "Figure",
    "progress",
    "render",
    "sensitivity",
    "time_to_target",
]
