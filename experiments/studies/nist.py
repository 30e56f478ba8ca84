"""NIST's nonlinear regressions, each from both starts, method by method.

Each method is one compiled program for all problems and starts.
"""

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from experiments.studies.context import Context
from optlab import optim
from optlab.errors import InputError
from optlab.report import Picture, Section, Table, tabulate
from optlab.report.figures.digits import digits_by_fit
from optlab.solving import (
    Reason,
    Solution,
    Stop,
    Uncertainties,
    solve,
    uncertainties,
)
from optlab.sweep import compiler, parallel
from optlab.testproblems import nist

# Digits of the parameters from which standard errors are counted, and their digits.
PARAMETERS, ERRORS = 8, 6


class Fit(NamedTuple):
    """One problem by one method; arrays over the two starts."""

    name: str
    digits: np.ndarray  # [2], log relative error (LRE) of the worst parameter
    error_digits: np.ndarray  # [2], likewise of the worst standard error
    steps: np.ndarray
    evaluations: np.ndarray
    reasons: list[str]
    seconds: float  # both starts together


def run(settings: Mapping[str, Any], context: Context) -> None:
    """Prints a table a method of ``configs/nist.py``; writes page and results.json.

    Raises:
      InputError: a problem or optimizer is unknown, a file is missing, or ``digits``
        is not above 0.
    """
    if not settings["digits"] > 0:
        raise InputError(f"--config.digits={settings['digits']} must be above 0")
    folder = Path(context.data_dir or nist.directory())
    names = settings["problems"] or tuple(nist.MODELS)
    if context.data_dir is None:
        _check_folder(folder, names)
    problems = [nist.load(name, folder) for name in names]
    methods = {
        name: optim.make(name, **options)
        for name, options in settings["optimizers"].items()
    }
    tasks = [
        functools.partial(
            _fit_all, tx, Stop(**settings["stop"]), problems, name in settings["long"]
        )
        for name, tx in methods.items()
    ]
    needed = settings["digits"]
    workdir = context.claim(settings)
    totals, tables, digits_of = [], [], {}
    with jax.enable_x64(True):
        for method, done in zip(methods, parallel.dealt(tasks), strict=True):
            fits = [Fit(**each) for each in done["fits"]]
            tables.append(_fits_table(method, fits, needed))
            context.show(tables[-1])
            digits_of[method] = np.concatenate([each.digits for each in fits])
            totals.append(_total(method, fits, needed, done["compile"]))
    note = (
        f"Solved: {needed:g} digits of every parameter agree with the certified ones "
        "(LRE: log relative error of the worst one). Standard errors: fits with "
        f"{ERRORS} digits of every certified standard deviation, of those with "
        f"{PARAMETERS} digits of every parameter."
    )
    total = tabulate("Totals", totals, ["method"], [note])
    context.show(total)
    best = max(totals, key=lambda row: int(row["solved"].partition("/")[0]))
    picture = Picture(
        "digits",
        digits_by_fit(digits_of, needed),
        "Each method's fits, sorted by the digits of the worst parameter. The dotted "
        "line is what counts as solved.",
        "Digits of the worst parameter by fit, for each method; the tables hold them.",
    )
    context.write(
        workdir,
        settings,
        {"totals": totals, "digits": digits_of},
        (Section("Totals", (total, picture)), Section("Fits", tuple(tables))),
        lead=(f"{best['method']} solves {best['solved']} of NIST's fits.",),
    )


def _fit_all(
    tx: optax.GradientTransformation,
    stop: Stop,
    problems: Sequence[nist.Regression],
    long: bool,
) -> dict[str, Any]:
    """Seconds of compiling a method, and its fits as plain data."""
    program, seconds = compile_fit(tx, stop, problems[0], long)
    fits = [fit(program, problem)._asdict() for problem in problems]
    return {"compile": seconds, "fits": fits}


def compile_fit(
    tx: optax.GradientTransformation,
    stop: Stop,
    example: nist.Regression,
    long: bool = False,
) -> tuple[Callable[..., tuple[Solution, Uncertainties]], float]:
    """Compiles one program for every problem and start.

    ``example`` is any of the problems. ``long`` fits take so many steps that it pays to
    compile well. Returns the program, and the seconds that its compilation took.
    """

    @jax.jit
    def run(data: nist.Data, start: jax.Array) -> tuple[Solution, Uncertainties]:
        # One trace of the models, which the method evaluates in several places.
        residual_fn = jax.jit(data.residual_fn)
        solution = solve(tx, start, residual_fn=residual_fn, stop=stop)
        return solution, uncertainties(residual_fn, solution.params)

    started = time.perf_counter()
    data, starts = nist.pad(example)
    options = None if long else compiler.in_a_hurry()
    program = run.lower(data, starts[0]).compile(options)
    return program, time.perf_counter() - started


def fit(
    program: Callable[..., tuple[Solution, Uncertainties]], problem: nist.Regression
) -> Fit:
    """Fits one problem from both starts by a program from `compile_fit`."""
    data, starts = nist.pad(problem)
    started = time.perf_counter()
    ends = jax.device_get([program(data, start) for start in starts])
    solution, errors = jax.tree.map(lambda *each: np.stack(each), *ends)
    seconds = time.perf_counter() - started
    size = problem.certified.size
    found, spread = solution.params[:, :size], errors.standard_errors[:, :size]
    return Fit(
        name=problem.name,
        digits=nist.log_relative_error(found, problem.certified),
        error_digits=nist.log_relative_error(spread, problem.certified_errors),
        steps=solution.steps,
        evaluations=solution.evaluations,
        reasons=[Reason(int(code)).name.lower() for code in solution.reason],
        seconds=seconds,
    )


def _fits_table(method: str, fits: Sequence[Fit], needed: float) -> Table:
    """Tabulates the fits of a method, a row a start."""
    rows = [
        {
            "problem": "" if i else each.name,
            "start": str(i + 1),
            "solved": "yes" if each.digits[i] >= needed else "no",
            "LRE": f"{each.digits[i]:.1f}",
            "LRE of st.\nerrors": f"{each.error_digits[i]:.1f}",
            "steps": str(each.steps[i]),
            "evaluations": str(each.evaluations[i]),
            "ended by": each.reasons[i],
            "ms, both\nstarts": "" if i else f"{1e3 * each.seconds:.1f}",
        }
        for each in fits
        for i in range(len(each.digits))
    ]
    return tabulate(method, rows, ["problem", "solved", "ended by"])


def _total(
    method: str, fits: Sequence[Fit], needed: float, seconds: float
) -> dict[str, str]:
    """Sums up the fits of a method, compiled in some seconds, as a row of a table."""
    digits = np.concatenate([each.digits for each in fits])
    spread = np.concatenate([each.error_digits for each in fits])
    sharp = digits >= PARAMETERS
    return {
        "method": method,
        "solved": f"{(digits >= needed).sum()}/{digits.size}",
        "median\nLRE": f"{np.median(digits):.1f}",
        "st. errors": f"{(spread[sharp] >= ERRORS).sum()}/{sharp.sum()}",
        "steps": str(sum(each.steps.sum() for each in fits)),
        "evaluations": str(sum(each.evaluations.sum() for each in fits)),
        "compile": f"{seconds:.1f} s",
        "run": f"{sum(each.seconds for each in fits):.1f} s",
    }


def _check_folder(folder: Path, names: Iterable[str]) -> None:
    files = [folder / f"{name}.dat" for name in names if name in nist.MODELS]
    if missing := [path for path in files if not path.exists()]:
        raise InputError(
            "NIST's problems are read from a folder: give --data_dir=DIR, or set "
            "$OPTLAB_NIST_DIR, where DIR holds the .dat files of "
            "https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml "
            f"(there is no {missing[0]})"
        )
