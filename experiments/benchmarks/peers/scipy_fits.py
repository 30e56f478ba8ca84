"""SciPy's least_squares, with what a careful user gives it."""

from collections.abc import Callable

import numpy as np


class _ReachedError(Exception):
    """The target is reached; SciPy has no such criterion."""


def fit(
    residual_fn: Callable,
    start: np.ndarray,
    target: float = -np.inf,
    **options,
) -> np.ndarray:
    """One fit from one start, float64.

    Args:
      residual_fn: vector -> residuals, numpy in and out.
      start: vector.
      target: half the sum of squares at which it ends, too.
      **options: of ``scipy.optimize.least_squares``.

    Returns:
      The last point at which the residuals were asked for or, where the target was
      not reached, the solution.
    """
    import scipy.optimize

    latest = start

    def residuals(x):
        nonlocal latest
        latest, r = x, residual_fn(x)
        if 0.5 * r @ r <= target:
            raise _ReachedError
        return r

    try:
        return scipy.optimize.least_squares(residuals, start, **options).x
    except _ReachedError:
        return latest


def sinc_net(
    inputs: np.ndarray, targets: np.ndarray, hidden: int
) -> tuple[Callable, Callable]:
    """Residuals and Jacobian, by hand, of a net with one layer of tanh units.

    Args:
      inputs: [n].
      targets: [n].
      hidden: units h; a vector of weights is [3 h + 1]: biases, slopes, output bias,
        output weights.

    Returns:
      Both as functions of the vector; half the sum of squares is the mean squared
      error.
    """
    scale = np.sqrt(2 / len(targets))

    def unpack(x):
        return np.split(x, [hidden, 2 * hidden, 2 * hidden + 1])

    def residuals(x):
        bias, slope, shift, weight = unpack(x)
        hidden = np.tanh(np.outer(inputs, slope) + bias)
        return scale * (hidden @ weight + shift - targets)

    def jacobian(x):
        bias, slope, _, weight = unpack(x)
        hidden = np.tanh(np.outer(inputs, slope) + bias)
        inner = (1 - hidden**2) * weight
        columns = (inner, inner * inputs[:, None], np.ones((len(inputs), 1)), hidden)
        return scale * np.concatenate(columns, axis=1)

    return residuals, jacobian
