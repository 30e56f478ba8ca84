"""The general minimizers on standard test functions, each from its standard start."""

import jax
import jax.numpy as jnp
import pytest

from optlab.optim import make
from optlab.solving import Stop, solve
from optlab.testproblems.unconstrained import PROBLEMS

EVERYBODY = ["beale", "helical_valley", "brown_dennis", "cliff"]
SOLVES = {
    "newton": [*EVERYBODY, "brown_badly_scaled", "gulf_research", "meyer", "watson"],
    "bfgs": [*EVERYBODY, "powell_badly_scaled", "wood", "gulf_research", "meyer"],
    "newton_cg": [*EVERYBODY, "powell_singular", "penalty_1"],
    "dfp": [*EVERYBODY, "extended_rosenbrock", "freudenstein_roth"],
    "steepest_descent": ["himmelblau", "three_hump_camel"],
}


@pytest.mark.parametrize("method", SOLVES)
def test_finds_known_minima(method, float64):
    for name in SOLVES[method]:
        problem = PROBLEMS[name]
        stop = Stop(gradient=1e-8, steps=2000)

        def value_at_the_end(x, problem=problem, stop=stop):
            return solve(make(method), x, value_fn=problem.value_fn, stop=stop).value

        # Half the time to compile, and there is little to run.
        options = {"xla_backend_optimization_level": 0}
        end = jax.jit(value_at_the_end, compiler_options=options)(
            jnp.asarray(problem.start)
        )
        misses = [abs(float(end) - f) / max(1.0, abs(f)) for f in problem.minima]
        assert min(misses) < 1e-6, name
