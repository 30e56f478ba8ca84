"""nlls-gram's Levenberg-Marquardt by its defaults, for a number of steps."""

from collections.abc import Callable
from typing import Any

import jax


def make_fit(residual_fn: Callable, steps: int) -> Callable[[Any], Any]:
    """Makes a function that fits from one start.

    Args:
      residual_fn: function from parameters to residuals.
      steps: number of steps.

    Returns:
      Compiled function from a start to the parameters after the steps.
    """
    import nlls_gram  # pyright: ignore[reportMissingImports]

    solver = nlls_gram.LevenbergMarquardt(residual_fn)
    return jax.jit(lambda start: solver.solve(start, max_steps=steps).x)
