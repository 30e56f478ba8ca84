"""Orders and exponents on sequences whose answer is known."""

import math

import numpy as np
import pytest

from optlab.results import convergence, extrapolate, power_law
from optlab.results.rates import progress

ROUNDING = 1e-15
K = np.arange(200.0)
FACTORIALS = np.array([1 / math.factorial(k) for k in range(1, 20)])
# The classical example of a sequence that is linear in every two steps only.
BY_TURNS = np.repeat(0.1 ** np.arange(14.0), 2)


@pytest.mark.parametrize(
    ("errors", "order", "ratio", "verdict"),
    [
        (0.5**K, 1.0, 0.5, "linear"),
        (0.9975**K, 1.0, 0.9975, "linear"),
        (BY_TURNS, None, None, "linear"),
        (10.0 ** -(2.0 ** np.arange(7)), 2.0, None, "quadratic"),
        (10.0 ** -(3.0 ** np.arange(4)), 3.0, None, "quadratic"),
        (10.0 ** -(1.5 ** np.arange(10)), 1.5, None, "superlinear"),
        (FACTORIALS, None, None, "superlinear"),
        (1 / (1 + K), None, None, "sublinear"),
        ((1 + K) ** -0.5, None, None, "sublinear"),
        (2.0 + np.sin(K), None, None, "not falling"),
        (np.array([1.0, 1e-16]), None, None, "too few steps"),
    ],
)
def test_known_sequences(errors, order, ratio, verdict):
    found = convergence(errors, ROUNDING)
    assert found.verdict == verdict
    if order is not None:
        assert found.order == pytest.approx(order, rel=1e-6)
    if ratio is not None:
        assert found.ratio == pytest.approx(ratio, rel=1e-6)


def test_a_factor_changes_neither_order_nor_verdict():
    errors = 10.0 ** -(2.0 ** np.arange(1, 5))
    for factor in (1e-3, 1e3):
        found = convergence(factor * errors, factor * ROUNDING, scale=factor)
        assert found.order == pytest.approx(2)


def test_a_slow_beginning_does_not_count():
    errors = np.concatenate([np.full(500, 1.0), 0.5 ** np.arange(1, 40)])
    found = convergence(errors, ROUNDING)
    assert found.order == pytest.approx(1)
    assert found.ratio == pytest.approx(0.5)


def test_what_rounding_does_at_the_end_does_not_count():
    noise = 3e-12 * (1 + 0.5 * np.cos(np.arange(300.0)))
    errors = 0.5**K
    found = convergence(np.concatenate([errors[errors > 1e-11], noise]), ROUNDING)
    assert found.order == pytest.approx(1, abs=0.01)
    assert found.ratio == pytest.approx(0.5, rel=0.01)


def test_a_leap_to_the_minimum_bounds_the_order_from_below():
    errors = np.array([1.0, 0.1, 0.01, 0.001, 0.0001])
    leap = convergence(np.append(errors, 0.0), ROUNDING)
    assert convergence(errors, ROUNDING).order == pytest.approx(1)
    assert 1.75 < leap.order < 3


def test_nothing_is_left_of_a_run_that_begins_at_its_end():
    assert progress(np.zeros(4), ROUNDING).size == 0
    assert np.isnan(convergence(np.zeros(4), ROUNDING).order)


def test_a_law_is_found_among_noise():
    sizes = np.geomspace(10, 1e4, 30)
    noise = 1 + 0.05 * np.cos(np.arange(30.0))
    law = power_law(sizes, 3e-9 * sizes**2.5 * noise)
    assert law.exponent == pytest.approx(2.5, abs=0.02)
    assert extrapolate(law, 1e6) == pytest.approx(3e-9 * 1e15, rel=0.2)
    assert (law.smallest, law.largest) == pytest.approx((10, 1e4))
