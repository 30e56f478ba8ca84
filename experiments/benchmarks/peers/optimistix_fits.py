"""Optimistix's Levenberg-Marquardt, compiled, from one start."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def make_fit(
    residual_fn: Callable, tolerance: float, steps: int, target: float = -jnp.inf
) -> Callable[[Any], Any]:
    """Makes a compiled function from a start to the solution, after at most ``steps``.

    The tolerance is relative and absolute, of steps and residuals. A fit ends, too,
    where half the sum of squares is at the target.
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

    @jax.jit
    def fit(start):
        return optimistix.least_squares(
            lambda params, _: residual_fn(params),
            solver,
            start,
            max_steps=steps,
            throw=False,
        ).value

    return fit
