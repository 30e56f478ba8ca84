"""Tables and conclusions of the study of convergence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.studies.convergence.cost import LEAST_N, LEAST_SIZES, Curve
from experiments.studies.convergence.order import Run
from optlab.report import Table, duration, number, tabulate
from optlab.report.wording import byte_size
from optlab.results.rates import VERDICTS, extrapolate

_RULES = (
    "Order q by three errors h steps apart: q^h = log(e''/e') / log(e'/e), over the "
    "last three quarters of the digits. Quadratic: q >= 1.75. Superlinear: q >= 1.1, "
    "or a ratio of 0.01 or less, or one of 0.1 or less that still falls. Sublinear: "
    "fewer than 6 digits in all, and ever fewer of them a step. Sources: Ortega and "
    "Rheinboldt 1970, chapter 9; Weerakoon and Fernando 2000 (h = 1)."
)
_LAWS = (
    "In theory eigenvectors and Cholesky factors cost n^3, updates of a matrix n^2 and "
    "products without one n. How many products a step of conjugate gradients needs "
    "depends on the problem. LAPACK works on one thread."
)
_STEPS = (
    "Extrapolated, on this machine, for a function as cheap as the one measured: the "
    "net's own gradient comes on top, and matrices that outgrow the cache take longer "
    "still."
)
_BOOK = (
    "Theorems and sections: Nocedal, Wright, Numerical Optimization, 2nd ed. (2006)."
)
_YEAR = 365.25 * 24 * 3600


def orders(
    runs: Sequence[Run], theory: Mapping[str, Any]
) -> tuple[Table, Table, Table, str]:
    """Tabulates the measured orders of convergence.

    ``theory`` maps a method to its expected ``order``, a ``remark``, and remarks ``on``
    some problems.

    Returns:
      A row a method, over the minima with a regular Hessian; a row a problem and a
      column a method; a row a run; and the verdicts as one paragraph.
    """
    methods = list(dict.fromkeys(run.method for run in runs))
    problems = dict.fromkeys(run.problem for run in runs)
    rows, notes, said = [], [_RULES], []
    for method in methods:
        found = [r.found for r in runs if r.method == method and r.minimizer.regular]
        measured = [each.order for each in found if np.isfinite(each.order)]
        verdicts = [each.verdict for each in found]
        counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
        text = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n)
        expected = theory.get(method, {})
        row = {
            "method": method,
            "theory": expected.get("order", "-"),
            "median\nq": f"{np.median(measured):.2f}" if measured else "-",
            "measured": text,
        }
        rows.append(row)
        if expected.get("remark"):
            notes.append(f"{method}: {expected['order']}; {expected['remark']}.")
        on = expected.get("on", {})
        notes += [f"{method} on {each}: {on[each]}." for each in problems if each in on]
        if found:
            said.append(f"{method}: {text}")
    notes += [_BOOK] * any(theory.get(each, {}).get("remark") for each in methods)
    title = "Measured orders, over the minima with a regular Hessian"
    summary = tabulate(title, rows, ["method", "theory", "measured"], notes)
    lead = f"Measured near minima with a regular Hessian. {'; '.join(said)}."
    return summary, _matrix(runs, methods), _details(runs), lead


def _matrix(runs: Sequence[Run], methods: Sequence[str]) -> Table:
    cells = {(run.problem, run.method): _order(run) for run in runs}
    rows = [
        {"problem": problem}
        | {m.replace("_", "\n"): cells.get((problem, m), "-") for m in methods}
        for problem in dict.fromkeys(run.problem for run in runs)
    ]
    singular = not all(run.minimizer.regular for run in runs)
    notes = (
        *["quadratic_k has a Hessian of condition k."]
        * any(run.problem.startswith("quadratic_") for run in runs),
        *["* The Hessian at the minimizer is singular."] * singular,
        "In brackets: steps, where an order needs more. An order far above 2 is one "
        "leap to the minimum, as of quasi-Newton methods on a quadratic after about n "
        "steps.",
    )
    return tabulate("Measured order q of each run", rows, ["problem"], notes)


def _details(runs: Sequence[Run]) -> Table:
    rows = [
        {
            "method": run.method,
            "steps": f"{run.steps:,}",
            "evaluations": f"{run.evaluations:,}",
            "f(x*)": f"{run.minimizer.value:.3g}",
            "condition": f"{run.minimizer.condition:.3g}".replace("inf", "singular"),
            "last error": f"{run.errors[-1]:.0e}",
            "ratio": number(run.found.ratio),
            "order q": _order(run),
            "verdict": run.found.verdict,
        }
        for run in runs
    ]
    notes = (
        "x*: the minimizer that the run comes nearest to; condition: of the Hessian "
        "there, once its diagonal is scaled to ones.",
        "Ratio: e' / e of successive errors, the geometric mean of the last h steps "
        "above rounding. An evaluation is a value with its gradient, or a product; a "
        "Jacobian or Hessian is n of them.",
    )
    groups = [f"{run.problem}, n = {run.minimizer.x.size}" for run in runs]
    return tabulate("Every run", rows, ["method", "verdict"], notes, groups)


def costs(
    curves: Sequence[Curve], theory: Mapping[str, Any], nets: Mapping[str, int]
) -> tuple[Table, Table, Table | None, str]:
    """Tabulates the growth of a step's cost, and extrapolates it to real nets.

    ``theory`` maps a method to its expected exponents ``seconds`` and ``memory``,
    ``nets`` a net to its number of weights.

    Returns:
      Exponents, a row a method; the size of each net's Hessian; a step on each net of
      each method that was timed at enough sizes, if any was; and the exponents of these
      methods and the largest Hessian as one paragraph.
    """
    laws = [
        {
            "method": curve.method,
            "time\nexponent": f"{curve.seconds_law.exponent:.2f}",
            "time,\ntheory": str(theory.get(curve.method, {}).get("seconds", "-")),
            "memory\nexponent": f"{curve.memory_law.exponent:.2f}",
            "memory,\ntheory": str(theory.get(curve.method, {}).get("memory", "-")),
            "largest\nn timed": f"{curve.sizes[curve.seconds.size - 1]:,}",
            "time\nthere": duration(curve.seconds[-1]),
        }
        for curve in curves
    ]
    hessians = [
        {
            "net": net,
            "weights": f"{n:,}",
            "entries": f"{n**2:.3g}",
            "bytes": byte_size(4.0 * n**2),
        }
        for net, n in nets.items()
    ]
    far = [curve for curve in curves if curve.reaches]
    short = ", ".join(curve.method for curve in curves if not curve.reaches)
    left_out = (
        f"Not extrapolated to nets: {short}, timed at fewer than {LEAST_SIZES} sizes "
        f"or at none from n = {LEAST_N:,} on."
    )
    steps = [
        {
            "net": net,
            "method": curve.method,
            "memory": byte_size(extrapolate(curve.memory_law, n)),
            "time": long_duration(extrapolate(curve.seconds_law, n)),
        }
        for net, n in nets.items()
        for curve in far
    ]
    exponents = "; ".join(
        f"{curve.method} n^{curve.seconds_law.exponent:.1f} in time, "
        f"n^{curve.memory_law.exponent:.1f} in memory"
        for curve in far
    )
    grows = f"One step grows as: {exponents}." if far else left_out
    net, n = max(nets.items(), key=lambda item: item[1])
    lead = (
        f"{grows} {net} has {n:,} weights, so its Hessian has "
        f"{n**2:.2g} entries, {byte_size(4.0 * n**2)} in float32."
    )
    title = "One step: exponents of n on the largest sizes"
    growth = tabulate(title, laws, ["method"], [_LAWS, *[left_out] * bool(short)])
    sizes = tabulate("One Hessian of a real net, in float32", hessians, ["net"])
    title = "One step with as many parameters, by the fitted laws"
    nets_table = tabulate(title, steps, ["net", "method"], [_STEPS]) if far else None
    return growth, sizes, nets_table, lead


def long_duration(seconds: float) -> str:
    """Formats seconds in the largest fitting unit, up to years.

    >>> long_duration(0.5), long_duration(1e6), long_duration(1e12)
    ('0.5 s', '12 days', '3.2e+04 years')
    """
    if seconds < 48 * 3600:
        return duration(seconds)
    if seconds < _YEAR:
        return f"{seconds / 86400:.0f} days"
    return f"{seconds / _YEAR:.2g} years"


def _order(run: Run) -> str:
    """Formats the order, or the number of steps where an order needs more of them."""
    star = "" if run.minimizer.regular else "*"
    if np.isfinite(run.found.order):
        return f"{run.found.order:.2f}{star}"
    steps = max(run.found.errors - 1, 0) + (run.found.errors < run.errors.size)
    return f"({steps} step{'s' * (steps != 1)}){star}"
