"""Published unconstrained problems: how many each method solves by its defaults.

The problems are those of the CUTEst collection that sif2jax has, with few unknowns,
from their published starts in float64. A problem is solved by a method that ends within
1e-6 max(1, |best|) of the least value that any method here, or SciPy, ends at. Ours run
by their defaults, SciPy's down to a smaller gradient than its own default.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from experiments.benchmarks.peers import missing, scipy_minimize, sif2jax_problems
from experiments.benchmarks.suite import SuiteResult, Value
from experiments.benchmarks.timing import Status
from optlab import optim
from optlab.errors import InputError
from optlab.report.tables import tabulate
from optlab.solving import Stop, solve

#: SciPy's minimizers that stand beside ours.
SCIPY = "BFGS", "trust-exact"

#: Of max(1, |best|): how far above the best value a solution may end.
TOLERANCE = 1e-6

#: What the table's cells mean.
LEGEND = (
    f"Empty: solved, within {TOLERANCE:g} max(1, |best|) of the least value that any "
    "method ends at. nan: no value."
)


def run(settings: Mapping[str, Any], status: Status) -> SuiteResult:
    """Counts the problems that each method solves, and tabulates those that any misses.

    Raises:
      InputError: no problem has so few unknowns, or a method needs residuals.
    """
    absent = tuple(note for name in ("sif2jax", "scipy") if (note := missing(name)))
    if absent:
        return SuiteResult(notes=absent)
    with jax.enable_x64(True):
        problems = sif2jax_problems.load(settings["unknowns"])[: settings["problems"]]
        if not problems:
            raise InputError(
                f"no problem has {settings['unknowns']} unknowns or fewer: give a "
                "larger --config.minimization.unknowns"
            )
        ends = {}
        for i, problem in enumerate(problems):
            status(f"{problem.name}, {i + 1} of {len(problems)}")
            ends[problem.name] = _ends(problem, settings["methods"], settings["steps"])
            jax.clear_caches()  # no two problems share a program
    names = list(next(iter(ends.values())))
    values = np.array([list(each.values()) for each in ends.values()])
    solved = are_solved(values)
    count = f"of {len(problems)}"
    some_miss = [i for i, each in enumerate(solved.T) if not each.all()]
    rows = [
        {"problem": problem.name, "best": f"{np.nanmin(row):.6g}"}
        | {names[i]: "" if oks[i] else f"{row[i]:.6g}" for i in some_miss}
        for problem, row, oks in zip(problems, values, solved, strict=True)
        if not oks.all()
    ]
    title = f"Where methods end that miss the best value; of {len(problems)} problems"
    return SuiteResult(
        values=tuple(
            Value(f"problems that {name} solves", int(each.sum()), count)
            for name, each in zip(names, solved.T, strict=True)
        ),
        blocks=(tabulate(title, rows, ("problem",), (LEGEND,)),) if rows else (),
    )


def are_solved(values: np.ndarray) -> np.ndarray:
    """Tells which methods end at the best value that any of them finds.

    Values and result are ``[problems, methods]``; NaN is no value.

    >>> are_solved(np.array([[0.0, 1e-7, np.nan], [-2000.0, -1999.999, -1999.0]]))
    array([[ True,  True, False],
           [ True,  True, False]])
    """
    best = np.nanmin(values, axis=1, keepdims=True)
    return values <= best + TOLERANCE * np.maximum(1, np.abs(best))


def _ends(
    problem: sif2jax_problems.Problem, methods: tuple[str, ...], steps: int
) -> dict[str, float]:
    """The value where each method ends."""
    stop, found = Stop(steps=steps), {}
    for name in methods:
        tx = optim.make(name)
        try:
            end = solve(tx, problem.start, stop=stop, value_fn=problem.value_fn)
        except TypeError as error:  # a method that needs residuals
            raise InputError(
                f"{name} cannot minimize {problem.name}: {error}"
            ) from None
        found[name] = float(end.value)
    for name in SCIPY:
        found[f"SciPy {name}"] = scipy_minimize.minimum(
            problem.value_fn, problem.start, name, steps
        )
    return found
