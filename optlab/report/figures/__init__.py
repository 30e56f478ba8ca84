"""Figures of a comparison: each function takes results and returns a Figure."""

from matplotlib.figure import Figure as Figure

from optlab.report.figures.curves import progress as progress
from optlab.report.figures.swept import sensitivity as sensitivity
from optlab.report.figures.target import time_to_target as time_to_target
