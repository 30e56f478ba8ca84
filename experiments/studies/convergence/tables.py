"""Tables and conclusions of the study of convergence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.studies.convergence.cost import Curve
from experiments.studies.convergence.order import Run
from optlab.report import Table
from optlab.report.tables import duration, number
from optlab.results.rates import VERDICTS, extrapolate

_RULES = (
    "Order q by three errors h steps apart: q^h = log(e''/e') / log(e'/e), over the "
    "last three quarters of the digits. Quadratic: q >= 1.75. Superlinear: q >= 1.1, "
    "or a ratio of 0.01 or less, or one of 0.1 or less that still falls. Sublinear: "
    "fewer than 6 digits in all, and ever fewer of them a step. Sources: Ortega and "
    "Rheinboldt 1970, chapter 9; Weerakoon and Fernando 2000 (h = 1)."
)
_YEAR = 365.25 * 24 * 3600


def summary(runs: Sequence[Run], theory: Mapping[str, Any]) -> Table:
    """Counts the verdicts of each method, over minima with a regular Hessian.

    Args:
      runs: runs on all problems.
      theory: method to ``order`` and ``remark``.

    Returns:
      The table; the remarks are its notes.
    """
    regular = [run for run in runs if np.isfinite(run.minimizer.condition)]
    rows, notes = [], []
    for method in dict.fromkeys(run.method for run in runs):
        here = [run for run in regular if run.method == method]
        orders = [run.found.order for run in here if np.isfinite(run.found.order)]
        expected = theory.get(method, {})
        rows.append(
            (
                method,
                expected.get("order", "-"),
                f"{np.median(orders):.2f}" if orders else "-",
                _counts(here),
            )
        )
        if expected.get("remark"):
            notes.append(f"{method}: {expected['order']}; {expected['remark']}.")
    return Table(
        title="Measured orders, over the minima with a regular Hessian",
        columns=("method", "theory", "median\nq", "measured"),
        align="llrl",
        rows=tuple(rows),
        groups=("",) * len(rows),
        notes=(_RULES, *notes),
    )


def matrix(runs: Sequence[Run]) -> Table:
    """Tabulates orders, a row a problem and a column a method.

    Args:
      runs: runs on all problems.

    Returns:
      The table.
    """
    methods = list(dict.fromkeys(run.method for run in runs))
    cells = {(run.problem, run.method): run for run in runs}
    problems = list(dict.fromkeys(run.problem for run in runs))
    rows = tuple(
        (problem, *(_order(cells.get((problem, method))) for method in methods))
        for problem in problems
    )
    return Table(
        title="Measured order q of each run",
        columns=("problem", *(method.replace("_", "\n") for method in methods)),
        align="l" + "r" * len(methods),
        rows=rows,
        groups=("",) * len(rows),
        notes=(
            "quadratic_k has a Hessian of condition k.",
            "* The Hessian at the minimizer is singular. In brackets: steps, where an "
            "order needs more. An order far above 2 is one leap to the minimum, as "
            "of quasi-Newton methods on a quadratic after about n steps.",
        ),
    )


def details(runs: Sequence[Run]) -> Table:
    """Tabulates every run, a block a problem.

    Args:
      runs: runs on all problems.

    Returns:
      The table.
    """
    rows = []
    for run in runs:
        regular = np.isfinite(run.minimizer.condition)
        rows.append(
            (
                run.method,
                f"{run.steps:,}",
                f"{run.evaluations:,}",
                f"{run.minimizer.value:.3g}",
                f"{run.minimizer.condition:.3g}" if regular else "singular",
                f"{run.errors[-1]:.0e}",
                number(run.found.ratio),
                _order(run),
                run.found.verdict,
            )
        )
    return Table(
        title="Every run",
        columns=(
            "method", "steps", "evaluations", "f(x*)", "condition", "last error",
            "ratio", "order q", "verdict",
        ),
        align="lrrrrrrrl",
        rows=tuple(rows),
        groups=tuple(f"{r.problem}, n = {r.minimizer.x.size}" for r in runs),
        notes=(
            "x*: the minimizer that the run comes nearest to; condition: of the "
            "Hessian there, once its diagonal is scaled to ones.",
            "Ratio: e' / e of successive errors, the geometric mean of the last h "
            "steps above rounding. An evaluation is a value with its gradient, or a "
            "product; a Jacobian or Hessian is n of them.",
        ),
    )  # fmt: skip


def laws(curves: Sequence[Curve], theory: Mapping[str, Any]) -> Table:
    """Tabulates the exponents, a row a method.

    Args:
      curves: curves of all methods.
      theory: method to its expected exponents ``seconds`` and ``memory``.

    Returns:
      The table.
    """
    rows = []
    for curve in curves:
        expected = theory.get(curve.method, {})
        rows.append(
            (
                curve.method,
                f"{curve.seconds_law.exponent:.2f}",
                str(expected.get("seconds", "-")),
                f"{curve.memory_law.exponent:.2f}",
                str(expected.get("memory", "-")),
                f"{curve.sizes[curve.seconds.size - 1]:,}",
                duration(curve.seconds[-1]),
            )
        )
    return Table(
        title="One step: exponents of n on the largest sizes",
        columns=(
            "method", "time\nexponent", "theory", "memory\nexponent", "theory",
            "largest\nn timed", "time\nthere",
        ),
        align="l" + "r" * 6,
        rows=tuple(rows),
        groups=("",) * len(rows),
        notes=(
            "In theory eigenvectors and Cholesky factors cost n^3, updates of a matrix "
            "n^2 and products without one n. How many products a step of conjugate "
            "gradients needs depends on the problem. LAPACK works on one thread.",
        ),
    )  # fmt: skip


def matrices(nets: Mapping[str, int]) -> Table:
    """Tabulates the size of one dense matrix of real nets.

    Args:
      nets: name to number of weights.

    Returns:
      The table.
    """
    rows = tuple(
        (name, f"{n:,}", f"{n**2:.3g}", memory(4.0 * n**2)) for name, n in nets.items()
    )
    return Table(
        title="One Hessian of a real net, in float32",
        columns=("net", "weights", "entries", "bytes"),
        align="lrrr",
        rows=rows,
        groups=("",) * len(rows),
    )


def nets(curves: Sequence[Curve], weights: Mapping[str, int]) -> Table:
    """Extrapolates the cost of a step to real nets, by the fitted laws.

    Args:
      curves: curves of all methods.
      weights: name of a net to its number of weights.

    Returns:
      The table.
    """
    cells = [(name, n, curve) for name, n in weights.items() for curve in curves]
    return Table(
        title="One step with as many parameters, by the fitted laws",
        columns=("net", "method", "memory", "time"),
        align="llrr",
        rows=tuple(
            (
                name,
                curve.method,
                memory(extrapolate(curve.memory_law, n)),
                long_duration(extrapolate(curve.seconds_law, n)),
            )
            for name, n, curve in cells
        ),
        groups=("",) * len(cells),
        notes=(
            "Extrapolated, on this machine, for a function as cheap as the one "
            "measured: the net's own gradient comes on top, and matrices that outgrow "
            "the cache take longer still.",
        ),
    )


def conclusions(
    runs: Sequence[Run], curves: Sequence[Curve], weights: Mapping[str, int]
) -> tuple[str, ...]:
    """Writes the page's first paragraphs.

    Args:
      runs: runs on all problems.
      curves: curves of all methods.
      weights: name of a net to its number of weights.

    Returns:
      One paragraph on orders, one on costs.
    """
    regular = [run for run in runs if np.isfinite(run.minimizer.condition)]
    said = [
        f"{method}: {_counts([run for run in regular if run.method == method])}"
        for method in dict.fromkeys(run.method for run in regular)
    ]
    orders = f"Measured near minima with a regular Hessian. {'; '.join(said)}."
    exponents = "; ".join(
        f"{curve.method} n^{curve.seconds_law.exponent:.1f} in time, "
        f"n^{curve.memory_law.exponent:.1f} in memory"
        for curve in curves
    )
    largest = max(weights, key=weights.__getitem__)
    n = weights[largest]
    cost = (
        f"One step grows as: {exponents}. {largest} has {n:,} weights, so its Hessian "
        f"has {n**2:.2g} entries, {memory(4.0 * n**2)} in float32."
    )
    return orders, cost


def memory(size: float) -> str:
    """Writes bytes in the largest fitting unit, in powers of 1000.

    >>> memory(512), memory(61_706.0**2 * 4), memory(7.657e16)
    ('512 B', '15.2 GB', '76.6 PB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 999.5 or unit == "PB":
            return f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError  # the last unit takes all


def long_duration(seconds: float) -> str:
    """Writes seconds in the largest fitting unit, up to years.

    >>> long_duration(0.5), long_duration(1e6), long_duration(1e12)
    ('0.5 s', '12 days', '3.2e+04 years')
    """
    if seconds < 48 * 3600:
        return duration(seconds)
    if seconds < _YEAR:
        return f"{seconds / 86400:.0f} days"
    return f"{seconds / _YEAR:.2g} years"


def _counts(runs: Sequence[Run]) -> str:
    verdicts = [run.found.verdict for run in runs]
    counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    return ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)


def _order(run: Run | None) -> str:
    if run is None:
        return "-"
    star = "" if np.isfinite(run.minimizer.condition) else "*"
    if np.isfinite(run.found.order):
        return f"{run.found.order:.2f}{star}"
    steps = max(run.found.errors - 1, 0) + (run.found.errors < run.errors.size)
    return f"({steps} step{'s' * (steps != 1)}){star}"
