"""Hyperparameters x seeds as lanes of one compiled program."""

from optlab.sweep.program import Lanes as Lanes
from optlab.sweep.program import Program as Program
from optlab.sweep.program import Task as Task
from optlab.sweep.program import compile_program as compile_program
from optlab.sweep.program import grid as grid
from optlab.sweep.program import init_states as init_states
from optlab.sweep.program import make_lanes as make_lanes
