"""NIST's nonlinear regressions, each from both starts, method by method.

Each method is one compiled program for all problems; a problem's two starts are its
lanes. The tables are the result: nothing is written.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from rich.table import Table

from experiments.studies.desk import Desk
from optlab import optim
from optlab.errors import InputError
from optlab.solving import Reason, Solution, Stop, solve
from optlab.testproblems import nist


class Fit(NamedTuple):
    """One problem by one method; arrays over the two starts."""

    name: str
    digits: np.ndarray  # [2], LRE of the worst parameter
    steps: np.ndarray
    evaluations: np.ndarray
    reasons: list[str]
    seconds: float  # both starts together


def run(settings: Mapping[str, Any], desk: Desk) -> None:
    """One table a method, and the totals.

    Args:
      settings: as in ``configs/nist.py``.
      desk: where data lie and tables are printed.

    Raises:
      InputError: an unknown problem, or a folder without its file.
    """
    folder = Path(desk.data_dir or nist.directory())
    names = settings["problems"] or nist.MODELS
    if desk.data_dir is None:
        _check_folder(folder, names)
    problems = [nist.load(name, folder) for name in names]
    stop, needed = Stop(**settings["stop"]), settings["digits"]
    numbers = ("solved", "LRE", "steps", "evaluations", "compile", "run")
    totals = _table("totals: median LRE, times in seconds", "method", *numbers)
    with jax.enable_x64(True):
        for method, options in settings["optimizers"].items():
            tx = optim.make(method, **options)
            program, compiled = compile_fit(tx, stop, problems[0])
            fits = [fit(program, problem) for problem in problems]
            desk.console.print(fits_table(method, fits, needed))
            digits = np.concatenate([each.digits for each in fits])
            totals.add_row(
                method,
                f"{(digits >= needed).sum()}/{digits.size}",
                f"{np.median(digits):.1f}",
                str(sum(each.steps.sum() for each in fits)),
                str(sum(each.evaluations.sum() for each in fits)),
                f"{compiled:.1f}",
                f"{sum(each.seconds for each in fits):.1f}",
            )
    desk.console.print(totals)


def _check_folder(folder: Path, names: Iterable[str]) -> None:
    """Asks for the folder where it was not given and is not where it would be."""
    files = [folder / f"{name}.dat" for name in names if name in nist.MODELS]
    if missing := [path for path in files if not path.exists()]:
        raise InputError(
            "NIST's problems are read from a folder: give --data_dir=DIR, or set "
            "$OPTLAB_NIST_DIR, where DIR holds the .dat files of "
            "https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml "
            f"(there is no {missing[0]})"
        )


def compile_fit(
    tx: optax.GradientTransformation, stop: Stop, example: nist.Regression
) -> tuple[Callable[..., Solution], float]:
    """One program for every problem, and the seconds it took to compile."""

    @jax.jit
    def run(data: nist.Data, starts: jax.Array) -> Solution:
        # One trace of the models, which the method evaluates in several places.
        residual_fn = jax.jit(data.residual_fn)
        return jax.vmap(
            lambda start: solve(tx, start, residual_fn=residual_fn, stop=stop)
        )(starts)

    begin = time.perf_counter()
    program = run.lower(*nist.pad(example)).compile()
    return program, time.perf_counter() - begin


def fit(run: Callable[..., Solution], problem: nist.Regression) -> Fit:
    """Run the program on one problem."""
    data, starts = nist.pad(problem)
    begin = time.perf_counter()
    solution = jax.device_get(run(data, starts))
    seconds = time.perf_counter() - begin
    found = solution.params[:, : problem.certified.size]
    return Fit(
        name=problem.name,
        digits=nist.log_relative_error(found, problem.certified),
        steps=solution.steps,
        evaluations=solution.evaluations,
        reasons=[Reason(int(code)).name.lower() for code in solution.reason],
        seconds=seconds,
    )


def fits_table(method: str, fits: Sequence[Fit], needed: float) -> Table:
    """A row a start; what falls short of the digits needed is red."""
    table = _table(method, "problem", "start", "LRE", "steps", "evaluations")
    table.add_column("reason")
    table.add_column("ms", justify="right")
    for each in fits:
        for lane, digits in enumerate(each.digits):
            table.add_row(
                each.name if lane == 0 else "",
                str(lane + 1),
                f"{digits:.1f}",
                str(each.steps[lane]),
                str(each.evaluations[lane]),
                each.reasons[lane],
                f"{1e3 * each.seconds:.1f}" if lane == 0 else "",
                style=None if digits >= needed else "red",
            )
    return table


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=title)
    table.add_column(first, no_wrap=True, min_width=19)  # the longest method
    for number in numbers:
        table.add_column(number, justify="right")
    return table
