"""Hyperparameters x seeds as lanes of one compiled program."""

from optlab.sweep.program import Lanes as Lanes
from optlab.sweep.program import Lowered as Lowered
from optlab.sweep.program import Program as Program
from optlab.sweep.program import Task as Task
from optlab.sweep.program import compile_program as compile_program
from optlab.sweep.program import first_lane as first_lane
from optlab.sweep.program import grid as grid
from optlab.sweep.program import init_states as init_states
from optlab.sweep.program import lower as lower
from optlab.sweep.program import make_lanes as make_lanes
from optlab.sweep.program import measure_widths as measure_widths
from optlab.sweep.program import states_shape as states_shape
from optlab.sweep.program import step_of as step_of
from optlab.sweep.program import the_lane as the_lane
from optlab.training import examples_in as examples_in
