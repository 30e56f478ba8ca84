"""Short functions that textbooks and collections test minimizers on, n <= 6.

CUTEst stands for Gould, Orban, Toint, CUTEst: a constrained and unconstrained testing
environment, Comput. Optim. Appl. 60 (2015), whose problems are known by these names.
Jamil and Yang give no starts; those here are ours.
"""

import jax.numpy as jnp
import numpy as np

from optlab.testproblems.problem import general, least_squares

_JAMIL = "Jamil, Yang, arXiv:1308.4008"
_CUTEST = "CUTEst"
_DENSCHN = "Dennis, Schnabel, Numerical Methods (1983), appendix B; CUTEst"


def _cliff(x):
    return ((x[0] - 3) / 100) ** 2 - (x[0] - x[1]) + jnp.exp(20 * (x[0] - x[1]))


def _three_hump_camel(x):
    a, b = x
    return 2 * a**2 - 1.05 * a**4 + a**6 / 6 + a * b + b**2


def _six_hump_camel(x):
    a, b = x
    return (4 - 2.1 * a**2 + a**4 / 3) * a**2 + a * b + (4 * b**2 - 4) * b**2


def _goldstein_price(x):
    a, b = x
    c = 19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2
    d = 18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2
    return (1 + (a + b + 1) ** 2 * c) * (30 + (2 * a - 3 * b) ** 2 * d)


def _branin(x):
    a, b = x
    bend = b - 5.1 / (4 * jnp.pi**2) * a**2 + 5 / jnp.pi * a - 6
    return bend**2 + 10 * (1 - 1 / (8 * jnp.pi)) * jnp.cos(a) + 10


def _zakharov(x):
    total = jnp.sum(0.5 * np.arange(1, x.size + 1) * x)
    return jnp.sum(x**2) + total**2 + total**4


def _dixon_price(x):
    i = np.arange(2, x.size + 1)
    return (x[0] - 1) ** 2 + jnp.sum(i * (2 * x[1:] ** 2 - x[:-1]) ** 2)


def _styblinski_tang(x):
    return 0.5 * jnp.sum(x**4 - 16 * x**2 + 5 * x)


def _sisser(x):
    a, b = x
    return 3 * a**4 - 2 * (a * b) ** 2 + 3 * b**4


def _zangwill(x):
    a, b = x
    return (16 * a**2 + 16 * b**2 - 8 * a * b - 56 * a - 256 * b + 991) / 15


def _maratos(x):
    return x[0] + 1e6 * (x[0] ** 2 + x[1] ** 2 - 1) ** 2


def _himmelblau_g(x):
    a, b = x
    return jnp.exp(-a - b) * (2 * a**2 + 3 * b**2)


def _himmelblau_h(x):
    a, b = x
    return a**3 - 3 * a + b**2 - 2 * b + 2


def _hairy(x):
    a, b = x
    hair = (jnp.sin(7 * a) * jnp.cos(7 * b)) ** 2
    cup = jnp.sqrt(0.01 + (a - b) ** 2) + jnp.sqrt(0.01 + a**2)
    return 30 * hair + 100 * cup


def _arwhead(x):
    return jnp.sum((x[:-1] ** 2 + x[-1] ** 2) ** 2 - 4 * x[:-1] + 3)


def _hilbert(x):
    i = np.arange(1, x.size + 1)
    return x @ ((1 / (i[:, None] + i - 1)) @ x)


def _himmelblau(x):
    return jnp.stack([x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7])


def _booth(x):
    return jnp.stack([x[0] + 2 * x[1] - 7, 2 * x[0] + x[1] - 5])


def _cube(x):
    return jnp.stack([x[0] - 1, 10 * (x[1] - x[0] ** 3)])


def _denschna(x):
    a, b = x
    return jnp.stack([a**2, a + b, jnp.exp(b) - 1])


def _denschnb(x):
    a, b = x
    return jnp.stack([a - 2, (a - 2) * b, b + 1])


def _denschnc(x):
    a, b = x
    return jnp.stack([a**2 + b**2 - 2, jnp.exp(a - 1) + b**3 - 2])


def _denschnd(x):
    a, b, c = x
    first = [a**2 + b**3 - c**4, 2 * a * b * c, 2 * a * b - 3 * b * c + a * c]
    return jnp.stack(first)


def _denschnf(x):
    a, b = x
    first = 2 * (a + b) ** 2 + (a - b) ** 2 - 8
    return jnp.stack([first, 5 * a**2 + (b - 3) ** 2 - 9])


def _engvall(x):
    a, b, c = x
    first = [a**2 + b**2 + c**2 - 1, a**2 + b**2 + (c - 2) ** 2 - 1, a + b + c - 1]
    last = [a + b - c + 1, 3 * b**2 + a**3 + (5 * c - a + 1) ** 2 - 36]
    return jnp.stack([*first, *last])


def _sin_bent(x):
    a, b = x
    return jnp.stack([a**2 + a * b + b**2, jnp.sin(a), jnp.cos(b)])


_CAMEL = [0.0898420131, -0.7126564030]

PROBLEMS = [
    least_squares("himmelblau", _JAMIL, [1, 1], _himmelblau, (0,), [3, 2]),
    least_squares("booth", _JAMIL, [-5, 9], _booth, (0,), [1, 3]),
    least_squares("cube", _CUTEST, [-1.2, 1], _cube, (0,), [1, 1]),
    least_squares("denschna", _DENSCHN, [1, 1], _denschna, (0,), [0, 0]),
    least_squares("denschnb", _DENSCHN, [1, 1], _denschnb, (0,), [2, -1]),
    least_squares("denschnc", _DENSCHN, [2, 3], _denschnc, (0,), [1, 1]),
    least_squares("denschnd", _DENSCHN, [10, 10, 10], _denschnd, (0,), [0, 0, 0]),
    least_squares("denschnf", _DENSCHN, [2, 0], _denschnf, (0,), [1, 1]),
    least_squares("engvall", "CUTEst, ENGVAL2", [1, 2, 0], _engvall, (0,), [0, 0, 1]),
    least_squares("s308", "CUTEst, S308", [3, 0.1], _sin_bent, (0.773199,), None),
    general("cliff", _CUTEST, [0, -1], _cliff, (0.199786613,)),
    general("three_hump_camel", _JAMIL, [2, 2], _three_hump_camel, (0.0, 0.2986384)),
    general(
        "six_hump_camel",
        _JAMIL,
        [1, 1],
        _six_hump_camel,
        (-1.0316284535, -0.2154638, 2.1042503),
        _CAMEL,
    ),
    general(
        "goldstein_price",
        _JAMIL,
        [0.3, -0.6],
        _goldstein_price,
        (3.0, 30.0, 84.0, 840.0),
        [0, -1],
    ),
    general("branin", _JAMIL, [0, 5], _branin, (0.3978873577,), [np.pi, 2.275]),
    general("zakharov", _JAMIL, [1, 1, 1, 1], _zakharov, (0.0,), [0, 0, 0, 0]),
    general("dixon_price", _JAMIL, [1, 1, 1], _dixon_price, (0.0,)),
    general("styblinski_tang", _JAMIL, [-1, -1], _styblinski_tang, (-78.3323314,)),
    general("sisser", _CUTEST, [1, 0.1], _sisser, (0.0,), [0, 0]),
    general("zangwill", "CUTEst, ZANGWIL2", [3, 8], _zangwill, (-18.2,), [4, 9]),
    general("maratos", "CUTEst, MARATOSB", [1.1, 0.1], _maratos, (-1.00000006,)),
    general(
        "himmelblau_g", "CUTEst, HIMMELBG", [0.5, 0.5], _himmelblau_g, (0.0,), [0, 0]
    ),
    general("himmelblau_h", "CUTEst, HIMMELBH", [0, 2], _himmelblau_h, (-1.0,), [1, 1]),
    general("hairy", _CUTEST, [-5, -7], _hairy, (20.0,), [0, 0]),
    general("arwhead", _CUTEST, np.ones(6), _arwhead, (0.0,), [1, 1, 1, 1, 1, 0]),
    general(
        "hilbert", "CUTEst, HILBERTA", [-3, 1, 2, 4], _hilbert, (0.0,), [0, 0, 0, 0]
    ),
]
