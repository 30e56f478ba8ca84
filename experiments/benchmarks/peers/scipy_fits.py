"""SciPy's least_squares on compiled residuals, float64."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np


class _ReachedError(Exception):
    """The target is reached; SciPy has no such criterion."""


def make_fit(
    residual_fn: Callable,
    target: float = -np.inf,
    jacobian: bool = True,
    compiler_options: dict[str, Any] | None = None,
    **options,
) -> Callable[[np.ndarray], np.ndarray]:
    """Makes a function that fits from one start.

    Args:
      residual_fn: function from a vector to residuals, traceable.
      target: half the sum of squares at which a fit ends, too.
      jacobian: whether SciPy gets the exact Jacobian, by compiled forward mode, and
        else takes differences.
      compiler_options: XLA's options for residuals and Jacobian.
      **options: further arguments of ``scipy.optimize.least_squares``.

    Returns:
      Function from a start to the solution or, where the target was reached, the point
      that did. Its first call compiles.
    """
    import scipy.optimize

    values, slopes = (
        jax.jit(function, compiler_options=compiler_options)
        for function in (residual_fn, jax.jacfwd(residual_fn))
    )
    if jacobian:
        options["jac"] = lambda x: np.asarray(slopes(x))

    def fit(start):
        latest = start

        def residuals(x):
            nonlocal latest
            latest, r = x, np.asarray(values(x))
            if 0.5 * r @ r <= target:
                raise _ReachedError
            return r

        try:
            return scipy.optimize.least_squares(residuals, start, **options).x
        except _ReachedError:
            return latest

    return fit
