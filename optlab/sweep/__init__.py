"""Hyperparameters x seeds as lanes of one compiled program."""

from optlab.sweep.evaluation import copied as copied
from optlab.sweep.evaluation import the_lane as the_lane
from optlab.sweep.program import Lowered as Lowered
from optlab.sweep.program import Program as Program
from optlab.sweep.program import compile_program as compile_program
from optlab.sweep.program import lower as lower
from optlab.sweep.states import init_states as init_states
from optlab.sweep.states import states_shape as states_shape
from optlab.sweep.task import Lanes as Lanes
from optlab.sweep.task import Task as Task
from optlab.sweep.task import first_lane as first_lane
from optlab.sweep.task import grid as grid
from optlab.sweep.task import make_lanes as make_lanes
from optlab.sweep.trial import measure_widths as measure_widths
from optlab.sweep.trial import step_of as step_of
from optlab.training import examples_in as examples_in
