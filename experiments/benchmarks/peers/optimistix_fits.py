"""Optimistix's Levenberg-Marquardt, compiled, from one start."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def make_fit(
    residual_fn: Callable, tolerance: float, steps: int, target: float = -jnp.inf
) -> Callable[[Any], tuple[Any, jax.Array]]:
    """A fit, not yet jitted.

    Args:
      residual_fn: params -> residuals.
      tolerance: relative and absolute, of steps and residuals.
      steps: at most.
      target: half the sum of squares at which it ends, too.

    Returns:
      start -> (params, steps made).
    """
    import optimistix  # pyright: ignore[reportMissingImports]

    class ToTarget(optimistix.LevenbergMarquardt):
        def terminate(self, fn, y, args, options, state, tags):
            done, result = super().terminate(fn, y, args, options, state, tags)
            reached = 0.5 * jnp.sum(state.f_info.residual**2) <= target
            # Its first state holds zeros in place of residuals.
            return done | reached & (state.num_accepted_steps > 0), result

    solver = ToTarget(  # pyright: ignore[reportCallIssue]
        rtol=tolerance, atol=tolerance
    )

    def fit(start):
        solution = optimistix.least_squares(
            lambda params, _: residual_fn(params),
            solver,
            start,
            max_steps=steps,
            throw=False,
        )
        return solution.value, solution.stats["num_steps"]

    return fit
