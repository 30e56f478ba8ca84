"""Short functions that textbooks and collections test minimizers on, n <= 6.

CUTEst stands for Gould, Orban, Toint, CUTEst: a constrained and unconstrained testing
environment, Comput. Optim. Appl. 60 (2015), whose problems are known by these names.
Jamil and Yang give no starts; those here are ours.
"""

import functools

import jax.numpy as jnp
import numpy as np

from optlab.testproblems.problem import Problem, register

_JAMIL = "Jamil, Yang, arXiv:1308.4008"
_CUTEST = "CUTEst"
_DENSCHN = "Dennis, Schnabel, Numerical Methods (1983), appendix B; CUTEst"
_CAMEL = -1.0316284535, -0.2154638, 2.1042503

PROBLEMS: list[Problem] = []
_squares = functools.partial(register, PROBLEMS)
_value = functools.partial(register, PROBLEMS, squares=False)


@_squares(_JAMIL, [1, 1], (0,), [3, 2])
def _himmelblau(a, b):
    return [a**2 + b - 11, a + b**2 - 7]


@_squares(_JAMIL, [-5, 9], (0,), [1, 3])
def _booth(a, b):
    return [a + 2 * b - 7, 2 * a + b - 5]


@_squares(_CUTEST, [-1.2, 1], (0,), [1, 1])
def _cube(a, b):
    return [a - 1, 10 * (b - a**3)]


@_squares(_DENSCHN, [1, 1], (0,), [0, 0])
def _denschna(a, b):
    return [a**2, a + b, jnp.exp(b) - 1]


@_squares(_DENSCHN, [1, 1], (0,), [2, -1])
def _denschnb(a, b):
    return [a - 2, (a - 2) * b, b + 1]


@_squares(_DENSCHN, [2, 3], (0,), [1, 1])
def _denschnc(a, b):
    return [a**2 + b**2 - 2, jnp.exp(a - 1) + b**3 - 2]


@_squares(_DENSCHN, [10, 10, 10], (0,), [0, 0, 0])
def _denschnd(a, b, c):
    return [a**2 + b**3 - c**4, 2 * a * b * c, 2 * a * b - 3 * b * c + a * c]


@_squares(_DENSCHN, [2, 0], (0,), [1, 1])
def _denschnf(a, b):
    return [2 * (a + b) ** 2 + (a - b) ** 2 - 8, 5 * a**2 + (b - 3) ** 2 - 9]


@_squares("CUTEst, ENGVAL2", [1, 2, 0], (0,), [0, 0, 1])
def _engvall(a, b, c):
    first = [a**2 + b**2 + c**2 - 1, a**2 + b**2 + (c - 2) ** 2 - 1, a + b + c - 1]
    return [*first, a + b - c + 1, 3 * b**2 + a**3 + (5 * c - a + 1) ** 2 - 36]


@_squares("CUTEst, S308", [3, 0.1], (0.773199,))
def _s308(a, b):
    return [a**2 + a * b + b**2, jnp.sin(a), jnp.cos(b)]


@_value(_CUTEST, [0, -1], (0.199786613,))
def _cliff(a, b):
    return ((a - 3) / 100) ** 2 - (a - b) + jnp.exp(20 * (a - b))


@_value(_JAMIL, [2, 2], (0.0, 0.2986384))
def _three_hump_camel(a, b):
    return 2 * a**2 - 1.05 * a**4 + a**6 / 6 + a * b + b**2


@_value(_JAMIL, [1, 1], _CAMEL, [0.0898420131, -0.7126564030])
def _six_hump_camel(a, b):
    return (4 - 2.1 * a**2 + a**4 / 3) * a**2 + a * b + (4 * b**2 - 4) * b**2


@_value(_JAMIL, [0.3, -0.6], (3.0, 30.0, 84.0, 840.0), [0, -1])
def _goldstein_price(a, b):
    c = 19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2
    d = 18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2
    return (1 + (a + b + 1) ** 2 * c) * (30 + (2 * a - 3 * b) ** 2 * d)


@_value(_JAMIL, [0, 5], (0.3978873577,), [np.pi, 2.275])
def _branin(a, b):
    bend = b - 5.1 / (4 * jnp.pi**2) * a**2 + 5 / jnp.pi * a - 6
    return bend**2 + 10 * (1 - 1 / (8 * jnp.pi)) * jnp.cos(a) + 10


@_value(_JAMIL, [1, 1, 1, 1], (0.0,), [0, 0, 0, 0])
def _zakharov(x):
    total = jnp.sum(0.5 * np.arange(1, x.size + 1) * x)
    return jnp.sum(x**2) + total**2 + total**4


@_value(_JAMIL, [1, 1, 1], (0.0,))
def _dixon_price(x):
    i = np.arange(2, x.size + 1)
    return (x[0] - 1) ** 2 + jnp.sum(i * (2 * x[1:] ** 2 - x[:-1]) ** 2)


@_value(_JAMIL, [-1, -1], (-78.3323314,))
def _styblinski_tang(x):
    return 0.5 * jnp.sum(x**4 - 16 * x**2 + 5 * x)


@_value(_CUTEST, [1, 0.1], (0.0,), [0, 0])
def _sisser(a, b):
    return 3 * a**4 - 2 * (a * b) ** 2 + 3 * b**4


@_value("CUTEst, ZANGWIL2", [3, 8], (-18.2,), [4, 9])
def _zangwill(a, b):
    return (16 * a**2 + 16 * b**2 - 8 * a * b - 56 * a - 256 * b + 991) / 15


@_value("CUTEst, MARATOSB", [1.1, 0.1], (-1.00000006,))
def _maratos(a, b):
    return a + 1e6 * (a**2 + b**2 - 1) ** 2


@_value("CUTEst, HIMMELBG", [0.5, 0.5], (0.0,), [0, 0])
def _himmelblau_g(a, b):
    return jnp.exp(-a - b) * (2 * a**2 + 3 * b**2)


@_value("CUTEst, HIMMELBH", [0, 2], (-1.0,), [1, 1])
def _himmelblau_h(a, b):
    return a**3 - 3 * a + b**2 - 2 * b + 2


@_value(_CUTEST, [-5, -7], (20.0,), [0, 0])
def _hairy(a, b):
    hair = (jnp.sin(7 * a) * jnp.cos(7 * b)) ** 2
    cup = jnp.sqrt(0.01 + (a - b) ** 2) + jnp.sqrt(0.01 + a**2)
    return 30 * hair + 100 * cup


@_value(_CUTEST, np.ones(6), (0.0,), [1, 1, 1, 1, 1, 0])
def _arwhead(x):
    return jnp.sum((x[:-1] ** 2 + x[-1] ** 2) ** 2 - 4 * x[:-1] + 3)


@_value("CUTEst, HILBERTA", [-3, 1, 2, 4], (0.0,), [0, 0, 0, 0])
def _hilbert(x):
    i = np.arange(1, x.size + 1)
    return x @ ((1 / (i[:, None] + i - 1)) @ x)
