"""Hyperparameters x seeds as lanes of one compiled program.

To sweep in your own code, `jax.vmap` `optlab.train` or `optlab.solve`. The experiments
run on this package. It measures how many lanes are fastest at a time, splits lanes into
chunks where memory is short, and spreads them over devices.

    grid, make_lanes        points x seeds
    Task, init_states       a recipe as functions of the swept numbers; its first states
    compile_program         training of all lanes, an epoch at a call
    multistart              the same for `optlab.solve`: starts x points, to their end
"""

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
