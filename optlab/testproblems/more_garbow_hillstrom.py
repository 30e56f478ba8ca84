"""The unconstrained test problems of More, Garbow and Hillstrom, n <= 12.

All 35 are sums of squares. The numbers are the paper's; for those of any dimension the
smallest that the paper gives a minimum for, or a little more, is taken. Problem 11 has
y - x2 where the paper prints y m i x2, a known misprint: with it the stated minimizer
is none.

Source: More, Garbow, Hillstrom, Testing Unconstrained Optimization Software, ACM Trans.
Math. Software 7 (1981), section 3.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from optlab.testproblems.problem import Problem, register

PROBLEMS: list[Problem] = []


def _add(number: int, *known: Any):
    """Registers the residuals that follow; see ``register``."""
    return register(PROBLEMS, f"More, Garbow, Hillstrom 1981, problem {number}", *known)


def _range(first, last):
    return np.arange(first, last + 1, dtype=float)


def _join(*parts):
    return jnp.concatenate([jnp.atleast_1d(part) for part in parts])


_BARD = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96]
_BARD = np.array([*_BARD, 1.34, 2.10, 4.39])
_GAUSSIAN = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]
_GAUSSIAN = np.array([*_GAUSSIAN, 0.3989, *_GAUSSIAN[::-1]])
_MEYER = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005]
_MEYER = np.array([*_MEYER, 5147, 4427, 3820, 3307, 2872], float)
_KOWALIK = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323]
_KOWALIK = np.array([*_KOWALIK, 0.0235, 0.0246])
_KOWALIK_U = [4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]
_OSBORNE_1 = """
844 908 932 936 925 908 881 850 818 784 751 718 685 658 628 603 580 558 538 522 506 490
478 467 457 448 438 431 424 420 414 411 406"""
_OSBORNE_2 = """
1366 1191 1112 1013 991 885 831 847 786 725 746 679 608 655 616 606 602 626 651 724 649
649 694 644 624 661 612 558 533 495 500 423 395 375 372 391 396 405 428 429 523 562 607
653 672 708 633 668 645 632 591 559 597 625 739 710 729 720 636 581 428 292 162 98 54"""
_T = _range(1, 10) / 11  # inner points of a grid


@_add(1, [-1.2, 1], (0,), [1, 1])
def _rosenbrock(a, b):
    return [10 * (b - a**2), 1 - a]


@_add(2, [0.5, -2], (0, 48.98425), [5, 4])
def _freudenstein_roth(a, b):
    return [-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b]


@_add(3, [0, 1], (0,), [1.098159327798296e-5, 9.106146740112665])
def _powell_badly_scaled(a, b):
    return [1e4 * a * b - 1, jnp.exp(-a) + jnp.exp(-b) - 1.0001]


@_add(4, [1, 1], (0,), [1e6, 2e-6])
def _brown_badly_scaled(a, b):
    return [a - 1e6, b - 2e-6, a * b - 2]


@_add(5, [1, 1], (0,), [3, 0.5])
def _beale(a, b):
    return np.array([1.5, 2.25, 2.625]) - a * (1 - b ** _range(1, 3))


@_add(6, [0.3, 0.4], (124.36218236,), [0.2578252, 0.2578252])
def _jennrich_sampson(x):
    i = _range(1, 10)
    return 2 + 2 * i - jnp.exp(i * x[0]) - jnp.exp(i * x[1])


@_add(7, [-1, 0, 0], (0,), [1, 0, 0])
def _helical_valley(a, b, c):
    theta = jnp.arctan2(b, a) / (2 * jnp.pi)
    theta = jnp.where(theta < -0.25, theta + 1, theta)  # between -1/4 and 3/4
    return [10 * (c - 10 * theta), 10 * (jnp.hypot(a, b) - 1), c]


@_add(8, [1, 1, 1], (8.214877e-3, 17.428692))
def _bard(x):
    u = _range(1, 15)
    v = 16 - u
    return _BARD - (x[0] + u / (v * x[1] + np.minimum(u, v) * x[2]))


@_add(9, [0.4, 1, 0], (1.1279327e-8,))
def _gaussian(x):
    t = (8 - _range(1, 15)) / 2
    return x[0] * jnp.exp(-x[1] * (t - x[2]) ** 2 / 2) - _GAUSSIAN


@_add(10, [0.02, 4000, 250], (87.945855,))
def _meyer(x):
    t = 45 + 5 * _range(1, 16)
    return x[0] * jnp.exp(x[1] / (t + x[2])) - _MEYER


@_add(11, [5, 2.5, 0.15], (0,), [50, 25, 1.5])
def _gulf_research(x):
    t = _range(1, 99) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return jnp.exp(-(jnp.abs(y - x[1]) ** x[2]) / x[0]) - t


@_add(12, [0, 10, 20], (0,), [1, 10, 1])
def _box(x):
    t = _range(1, 10) / 10
    difference = jnp.exp(-t * x[0]) - jnp.exp(-t * x[1])
    return difference - x[2] * (np.exp(-t) - np.exp(-10 * t))


@_add(13, [3, -1, 0, 1], (0,), [0, 0, 0, 0])
def _powell_singular(a, b, c, d):
    return [a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2]


@_add(14, [-3, -1, -3, -1], (0,), [1, 1, 1, 1])
def _wood(a, b, c, d):
    first = [10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c]
    return [*first, 10**0.5 * (b + d - 2), 10**-0.5 * (b - d)]


@_add(15, [0.25, 0.39, 0.415, 0.39], (3.07505e-4, 1.02734e-3))
def _kowalik_osborne(x):
    u = np.array(_KOWALIK_U)
    return _KOWALIK - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


@_add(16, [25, 5, -5, -1], (85822.2016,))
def _brown_dennis(x):
    t = _range(1, 20) / 5
    first = x[0] + t * x[1] - np.exp(t)
    return first**2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2


@_add(17, [0.5, 1.5, -1, 0.01, 0.02], (5.46489e-5,))
def _osborne_1(x):
    y = np.array(_OSBORNE_1.split(), float) / 1000
    t = 10 * _range(0, 32)
    return y - (x[0] + x[1] * jnp.exp(-t * x[3]) + x[2] * jnp.exp(-t * x[4]))


@_add(18, [1, 2, 1, 1, 1, 1], (0, 5.65565e-3), [1, 10, 1, 5, 4, 3])
def _biggs_exp6(x):
    t = _range(1, 13) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    first = x[2] * jnp.exp(-t * x[0]) - x[3] * jnp.exp(-t * x[1])
    return first + x[5] * jnp.exp(-t * x[4]) - y


@_add(19, [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5], (4.01377e-2,))
def _osborne_2(x):
    y = np.array(_OSBORNE_2.split(), float) / 1000
    t = _range(0, 64)[:, None] / 10
    peaks = x[1:4] * jnp.exp(-((t - x[8:11]) ** 2) * x[5:8])
    return y - x[0] * jnp.exp(-t[:, 0] * x[4]) - jnp.sum(peaks, 1)


@_add(20, np.zeros(6), (2.28767e-3,))
def _watson(x):
    t = _range(1, 29)[:, None] / 29
    j = np.arange(x.size)
    slope = jnp.sum(j[1:] * x[1:] * t ** (j[1:] - 1), 1)
    return _join(slope - jnp.sum(x * t**j, 1) ** 2 - 1, x[0], x[1] - x[0] ** 2 - 1)


@_add(21, np.tile([-1.2, 1], 5), (0,), np.ones(10))
def _extended_rosenbrock(x):
    return _join(10 * (x[1::2] - x[::2] ** 2), 1 - x[::2])


@_add(22, np.tile([3, -1, 0, 1], 3), (0,), np.zeros(12))
def _extended_powell_singular(x):
    return _join(*_powell_singular(x[::4], x[1::4], x[2::4], x[3::4]))


@_add(23, _range(1, 10), (7.08765e-5,))
def _penalty_1(x):
    return _join(1e-5**0.5 * (x - 1), jnp.sum(x**2) - 0.25)


@_add(24, np.full(4, 0.5), (9.37629e-6,))
def _penalty_2(x):
    n, e = x.size, jnp.exp(x / 10)
    i = _range(2, n)
    smooth = e[1:] + e[:-1] - (np.exp(i / 10) + np.exp((i - 1) / 10))
    weights = n - np.arange(n)
    pulls = 1e-5**0.5 * _join(smooth, e[1:] - np.exp(-0.1))
    return _join(x[0] - 0.2, pulls, jnp.sum(weights * x**2) - 1)


@_add(25, 1 - _range(1, 10) / 10, (0,), np.ones(10))
def _variably_dimensioned(x):
    total = jnp.sum(_range(1, x.size) * (x - 1))
    return _join(x - 1, total, total**2)


@_add(26, np.full(10, 0.1), (0, 2.79506e-5))
def _trigonometric(x):
    n, c = x.size, jnp.cos(x)
    return n - jnp.sum(c) + _range(1, n) * (1 - c) - jnp.sin(x)


@_add(27, np.full(10, 0.5), (0, 1), np.ones(10))
def _brown_almost_linear(x):
    return _join((x + jnp.sum(x) - (x.size + 1))[:-1], jnp.prod(x) - 1)


@_add(28, _T * (_T - 1), (0,))
def _discrete_boundary_value(x):
    y, h = jnp.pad(x, 1), 1 / 11
    return 2 * x - y[:-2] - y[2:] + h**2 * (x + _T + 1) ** 3 / 2


@_add(29, _T * (_T - 1), (0,))
def _discrete_integral_equation(x):
    green = np.minimum.outer(_T, _T) * (1 - np.maximum.outer(_T, _T))
    return x + green @ (x + _T + 1) ** 3 / (2 * 11)


@_add(30, np.full(10, -1.0), (0,))
def _broyden_tridiagonal(x):
    y = jnp.pad(x, 1)
    return (3 - 2 * x) * x - y[:-2] - 2 * y[2:] + 1


@_add(31, np.full(10, -1.0), (0,))
def _broyden_banded(x):
    i = np.arange(x.size)
    offset = i[None] - i[:, None]
    band = ((offset >= -5) & (offset <= 1) & (offset != 0)).astype(float)
    return x * (2 + 5 * x**2) + 1 - band @ (x * (1 + x))


@_add(32, np.ones(5), (5,), -np.ones(5))
def _linear_full_rank(x):
    mean = 2 / 10 * jnp.sum(x)  # m = 10
    return _join(x - mean - 1, jnp.full(5, -mean - 1))


@_add(33, np.ones(5), (90 / 42,))
def _linear_rank_1(x):
    return _range(1, 10) * jnp.sum(_range(1, 5) * x) - 1  # m = 10


@_add(34, np.ones(5), (124 / 34,))
def _linear_rank_1_with_zeros(x):
    inner = jnp.sum(_range(2, 4) * x[1:4])  # neither x1 nor xn, m = 10
    return _join(-1.0, _range(1, 8) * inner - 1, -1.0)


@_add(35, _range(1, 8) / 9, (3.51687e-3,))
def _chebyquad(x):
    i = _range(1, x.size)
    # T_i of the shifted polynomials as a recurrence: arccos has no slope at the ends.
    y = 2 * x - 1
    rows = [jnp.ones_like(x), y]
    while len(rows) <= x.size:
        rows.append(2 * y * rows[-1] - rows[-2])
    integral = np.where(i % 2 == 0, -1 / (np.maximum(i, 2) ** 2 - 1), 0.0)
    return jnp.mean(jnp.stack(rows[1:]), 1) - integral
