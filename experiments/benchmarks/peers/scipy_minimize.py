"""SciPy's minimizers of a function, with compiled exact derivatives, float64."""

from collections.abc import Callable

import jax
import numpy as np


def minimum(value_fn: Callable, start: np.ndarray, method: str, steps: int) -> float:
    """Minimizes a traceable function of a vector from its start ``[n]``.

    All methods of ``scipy.optimize.minimize`` but ``BFGS`` get the Hessian. A run ends
    after ``steps`` iterations, or earlier at a gradient of 1e-10, for SciPy's own 1e-5
    has the units of the function. Returns the value there, NaN where SciPy raises an
    error.
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
