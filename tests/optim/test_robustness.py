"""The general minimizers on standard test functions, each from its standard start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optlab.optim import make
from optlab.solve import Stop, solve
from optlab.testproblems.unconstrained import PROBLEMS

EVERYBODY = ["beale", "helical_valley", "box", "brown_dennis", "himmelblau", "cliff"]
SECOND_ORDER = [*EVERYBODY, "powell_badly_scaled", "brown_badly_scaled", "biggs_exp6"]
SOLVES = {
    "newton": [*SECOND_ORDER, "meyer", "watson", "jennrich_sampson", "trigonometric"],
    "bfgs": [*SECOND_ORDER, "wood", "gulf_research", "kowalik_osborne"],
    "newton_cg": [*EVERYBODY, "wood", "powell_singular", "penalty_1"],
    "dfp": [*EVERYBODY, "extended_rosenbrock", "freudenstein_roth"],
    "steepest_descent": ["himmelblau", "three_hump_camel", "booth"],
}


@pytest.mark.parametrize(
    ("method", "name"), [(m, name) for m, names in SOLVES.items() for name in names]
)
def test_finds_a_known_minimum(method, name):
    problem = PROBLEMS[name]
    with jax.enable_x64(True):
        solution = jax.jit(
            lambda x: solve(
                make(method), x, value_fn=problem.value_fn, stop=Stop(1e-8, steps=2000)
            ),
            # Half the time to compile, and there is little to run.
            compiler_options={"xla_backend_optimization_level": 0},
        )(jnp.asarray(problem.start))
    misses = [abs(solution.value - f) / max(1.0, abs(f)) for f in problem.minima]
    np.testing.assert_array_less(min(misses), 1e-6)
