"""Orders of convergence of errors, and exponents of the growth of costs.

Order q of convergence, by three errors that are h steps apart:

    q^h = log(e_k+2h / e_k+h) / log(e_k+h / e_k)

exact where e_k+1 = C e_k^q or e_k = C^(q^k); with h = 1 it is the well-known formula of
three successive errors. A longer stride averages errors that fall in every other step.

Sources: Ortega, Rheinboldt, Iterative Solution of Nonlinear Equations (1970), chapter
9, and Nocedal, Wright, Numerical Optimization (2nd ed.), appendix A.2 (the orders);
Weerakoon, Fernando, Appl. Math. Lett. 13 (2000), definition 2.2 (h = 1).
"""

from typing import NamedTuple

import numpy as np

# A run that gained this many digits has converged: errors within a factor ten of its
# best one are rounding.
CONVERGED_DIGITS = 6
# Last part of the range of log e, in which the order is taken, and the number of errors
# that it must hold if there are as many: half of them may be one step of a fast method.
TAIL = 0.75
TAIL_ERRORS = 5
# Least orders of the two verdicts, and the greatest linear rate that counts as
# superlinear: eight steps from 1 to rounding cannot tell it from one that tends to 0.
QUADRATIC, SUPERLINEAR, FAST = 1.75, 1.1, 0.01
# Ratio of the digits gained in the second half to those in the first: superlinear from
# SPEED_UP on (where a step gains at least one digit), sublinear up to SLOW_DOWN.
SPEED_UP, SLOW_DOWN = 1.1, 0.5

#: Verdicts from fast to slow.
VERDICTS = (
    "quadratic", "superlinear", "linear", "sublinear", "not falling", "too few steps",
)  # fmt: skip


class Convergence(NamedTuple):
    """Rate of convergence of a sequence of errors."""

    order: float  # q; nan where there are too few errors, or they do not fall
    ratio: float  # mean e_k+1 / e_k over the last h steps, geometric
    errors: int  # number of errors above rounding
    stride: int  # h, in steps
    verdict: str  # one of VERDICTS


class PowerLaw(NamedTuple):
    """cost = constant * size ** exponent."""

    exponent: float
    constant: float
    smallest: float  # least size of the fit
    largest: float


def progress(errors: np.ndarray, rounding: float) -> np.ndarray:
    """Cuts the errors of a run where rounding begins.

    Args:
      errors: errors from the start on, ``[k]``.
      rounding: greatest error that counts as rounding; so do all errors after it.

    Returns:
      The first errors, ``[j]``. Where they gained ``CONVERGED_DIGITS`` digits, they end
      with the first error within a factor ten of the smallest.

    >>> progress(np.array([1.0, 1e-4, 1e-8, 1e-16, 1e-17]), 1e-15).tolist()
    [1.0, 0.0001, 1e-08]
    >>> progress(np.array([1.0, 1e-4, 2e-8, 1e-8, 3e-8]), 1e-15).tolist()
    [1.0, 0.0001, 2e-08]
    """
    errors = np.asarray(errors, float)
    lost = np.flatnonzero(~(errors > rounding))
    errors = errors[: lost[0]] if lost.size else errors
    if errors.size and errors.min() < 10.0**-CONVERGED_DIGITS * errors[0]:
        errors = errors[: np.argmax(errors <= 10 * errors.min()) + 1]
    return errors


def convergence(errors: np.ndarray, rounding: float, scale: float = 1.0) -> Convergence:
    """Estimates order and contraction ratio from the tail of a run, with a verdict.

    The tail is the last three quarters of the way, in digits, from the start (or from
    an error of ``scale``, where that is smaller) to the last error above rounding. It
    is cut into two halves of h steps. The verdict is

        quadratic    q >= 1.75
        superlinear  q >= 1.1; or a ratio of at most 0.01, which in 16 digits cannot be
                     told from one that tends to 0; or one of at most 0.1, where the
                     second half gained 1.1 times the digits of the first or more
        sublinear    fewer than 6 digits in all, and in the second half at most half
                     of those of the first, of 10 steps or more
        not falling  if one of the halves gained nothing
        linear       otherwise

    The first error at or below rounding counts as rounding where that makes the order
    larger: a lower bound, for a method whose last step leaps there.

    Args:
      errors: errors of the accepted steps, ``[k]``: a rejected one repeats its error.
      rounding: greatest error that counts as rounding.
      scale: magnitude of the solution; errors above it are not local.

    Returns:
      Order, ratio and verdict.

    >>> quick = convergence(10.0 ** -(2.0 ** np.arange(5)), 1e-15)
    >>> round(quick.order, 6), quick.verdict
    (2.0, 'quadratic')
    >>> half = convergence(0.5 ** np.arange(60), 1e-15)
    >>> round(half.order, 6), round(half.ratio, 6), half.verdict
    (1.0, 0.5, 'linear')
    """
    above = progress(errors, rounding)
    if above.size < 3:
        return Convergence(np.nan, np.nan, above.size, 0, "too few steps")
    found = _three_errors(np.log(above), np.log(scale))
    if (np.asarray(errors)[: above.size + 1] <= rounding).any():
        # The next error is rounding or less: that bounds the order from below.
        bound = _three_errors(np.log([*above, rounding]), np.log(scale))
        found = bound if bound.order > found.order else found
    digits = np.log10(above[0] / above[-1])
    return Convergence(
        found.order, found.ratio, above.size, found.stride, _verdict(found, digits)
    )


class _Tail(NamedTuple):
    order: float
    ratio: float
    stride: int
    speed_up: float  # log of the second half's fall over that of the first


def _three_errors(logs: np.ndarray, scale: float) -> _Tail:
    """Applies the formula to logarithms of three errors or more."""
    top = min(logs[0], scale)
    early = np.flatnonzero(logs > top + (1 - TAIL) * (logs[-1] - top))
    begin = early[-1] + 1 if early.size else 0
    begin = max(min(begin, logs.size - TAIL_ERRORS), 0)
    h = int(logs.size - begin - 1) // 2
    first, second = logs[-2 * h - 1] - logs[-h - 1], logs[-h - 1] - logs[-1]
    falls = first > 0 and second > 0
    speed_up = second / first if falls else np.nan
    return _Tail(float(speed_up ** (1 / h)), float(np.exp(-second / h)), h, speed_up)


def _verdict(tail: _Tail, digits: float) -> str:
    order, ratio, h, speed_up = tail
    if np.isnan(order):
        return "not falling"
    if order >= QUADRATIC:
        return "quadratic"
    shrinks = ratio <= 0.1 and speed_up >= SPEED_UP
    if order >= SUPERLINEAR or ratio <= FAST or shrinks:
        return "superlinear"
    if digits < CONVERGED_DIGITS and h >= 10 and speed_up <= SLOW_DOWN:
        return "sublinear"
    return "linear"


def power_law(sizes: np.ndarray, costs: np.ndarray) -> PowerLaw:
    """Fits a power law to costs, by least squares of their logarithms.

    Args:
      sizes: two different values or more, above zero, ``[k]``.
      costs: costs above zero, ``[k]``.

    Returns:
      The law.

    >>> law = power_law(np.array([10, 100, 1000]), np.array([2e2, 2e4, 2e6]))
    >>> round(law.exponent, 6), round(law.constant, 6)
    (2.0, 2.0)
    """
    exponent, constant = np.polyfit(np.log(sizes), np.log(costs), 1)
    ends = float(np.min(sizes)), float(np.max(sizes))
    return PowerLaw(float(exponent), float(np.exp(constant)), *ends)


def extrapolate(law: PowerLaw, size: float) -> float:
    """Computes the cost that a law predicts for a size.

    Args:
      law: fitted law.
      size: size above zero.

    Returns:
      The cost.

    >>> extrapolate(PowerLaw(3.0, 2.0, 1.0, 5.0), 10)
    2000.0
    """
    return law.constant * float(size) ** law.exponent
