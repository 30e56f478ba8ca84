"""SciPy's minimizers of a function, with compiled exact derivatives, float64."""

from collections.abc import Callable

import jax
import numpy as np


def minimum(value_fn: Callable, start: np.ndarray, method: str, steps: int) -> float:
    """Minimizes a function from its start.

    Args:
      value_fn: function from a vector to a number, traceable.
      start: ``[n]``.
      method: name that ``scipy.optimize.minimize`` has for it; all but ``BFGS`` get
        the Hessian.
      steps: number of iterations, at most. The gradient that ends it earlier is 1e-10,
        for SciPy's own 1e-5 has the units of the function.

    Returns:
      The value where it ends, NaN where SciPy raises an error.
    """
    import scipy.optimize

    value, slope, curvature = map(
        jax.jit, (value_fn, jax.grad(value_fn), jax.hessian(value_fn))
    )
    options = {} if method == "BFGS" else {"hess": lambda x: np.array(curvature(x))}
    try:
        with np.errstate(all="ignore"):
            found = scipy.optimize.minimize(
                lambda x: float(value(x)),
                start,
                method=method,
                jac=lambda x: np.array(slope(x)),
                options={"maxiter": steps, "gtol": 1e-10},
                **options,
            )
    except (np.linalg.LinAlgError, ValueError, OverflowError):
        return np.nan
    return float(found.fun)
