"""nlls-gram's Levenberg-Marquardt by its defaults, for a number of steps."""

from collections.abc import Callable
from typing import Any

import jax


def make_fit(residual_fn: Callable, steps: int) -> Callable[[Any], Any]:
    """Makes a compiled function from a start to the parameters after ``steps``."""
    import nlls_gram  # pyright: ignore[reportMissingImports]

    solver = nlls_gram.LevenbergMarquardt(residual_fn)
    return jax.jit(lambda start: solver.solve(start, max_steps=steps).x)
