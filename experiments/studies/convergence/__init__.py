"""Orders of convergence on test functions, and the cost of a step against n."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import jax
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from experiments.studies import counts
from experiments.studies.convergence import cost, order, tables
from experiments.studies.desk import Desk
from optlab import optim
from optlab.report import Facts, Listing, Picture, Section, show_table, write_page
from optlab.report.figures.convergence import Descent, errors_by_step
from optlab.report.figures.cost import Growth, cost_by_size
from optlab.results import environment, plain, write_atomic


def run(settings: Mapping[str, Any], desk: Desk) -> None:
    """Tables on the console; results, figures and the page in the working directory.

    Args:
      settings: as in ``configs/convergence.py``.
      desk: where results go and tables are printed.

    Raises:
      InputError: an unknown problem or optimizer, sizes that nothing fits, or a count
        of none.
    """
    counts.check(settings, ["order.steps", "cost.repeats"])
    optimizers = settings["optimizers"]
    for method, options in optimizers.items():
        optim.make(method, **options)
    asked = settings["order"]
    problems = order.problems(
        asked["problems"], asked["conditions"], asked["parameters"]
    )
    cost.check(settings["cost"]["sizes"], settings["cost"]["fitted"])
    folder = desk.claim(settings)

    runs, curves = _measure(problems, settings)
    theory = settings["theory"]
    summary = tables.summary(runs, theory)
    matrix = tables.matrix(runs)
    laws = tables.laws(curves, theory)
    entries = tables.entries(settings["nets"])
    nets = tables.nets(curves, settings["nets"])
    for table in (summary, matrix, laws, entries, nets):
        show_table(table, desk.console)
        desk.console.print()

    config = json.dumps(settings, indent=2)
    made_with = environment(sys.orig_argv)
    content = {
        "config": settings,
        "environment": made_with,
        "orders": [each._asdict() for each in runs],
        "costs": [each._asdict() for each in curves],
    }
    write_atomic(folder / "results.json", json.dumps(plain(content)) + "\n")
    page = write_page(
        folder,
        settings["title"],
        (
            Section(
                "Order of convergence",
                (summary, _errors_figure(runs), matrix, tables.details(runs)),
            ),
            Section("Cost against n", (laws, _cost_figure(curves))),
            Section("Real nets", (entries, nets)),
            Section("To make it again", (Facts(made_with), Listing("Config", config))),
        ),
        lead=tables.conclusions(runs, curves, settings["nets"]),
    )
    desk.console.print(f"page: {page}", soft_wrap=True)


def _measure(
    problems: list[order.Problem], settings: Mapping[str, Any]
) -> tuple[list[order.Run], list[cost.Curve]]:
    """Every run and every curve, under a bar."""
    optimizers, sizes = settings["optimizers"], settings["cost"]["sizes"]
    runs: list[order.Run] = []
    curves: list[cost.Curve] = []
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        total = len(optimizers) * (len(problems) + len(sizes))
        task = bar.add_task("starting", total=total)
        with jax.enable_x64(True):
            for problem in problems:
                for event in order.measure(
                    optimizers, problem, settings["order"]["steps"]
                ):
                    if isinstance(event, order.Run):
                        runs.append(event)
                    else:
                        what = f"order: {event}, {problem.name}"
                        bar.update(task, description=what, advance=1)
        for method, options in optimizers.items():
            left = len(sizes)
            for event in cost.measure(method, options, settings["cost"]):
                if isinstance(event, cost.Curve):
                    curves.append(event)
                else:
                    what = f"cost: {method}, n = {event}"
                    bar.update(task, description=what, advance=1)
                    left -= 1
            bar.advance(task, left)
    return runs, curves


def _errors_figure(runs: list[order.Run]) -> Picture:
    figure = errors_by_step([Descent(r.problem, r.method, r.errors) for r in runs])
    return Picture(
        "errors",
        figure,
        "Distance to the minimizer that the run ends in, from the standard start. A "
        "straight line is linear convergence; one that bends down gains more digits "
        "with every step.",
        "Errors against steps for every problem and method; the table below holds the "
        "orders.",
    )


def _cost_figure(curves: list[cost.Curve]) -> Picture:
    seconds = [
        Growth(c.method, c.sizes[: c.seconds.size], c.seconds, c.seconds_law)
        for c in curves
    ]
    memory = [Growth(c.method, c.sizes, c.memory, c.memory_law) for c in curves]
    figure = cost_by_size((("seconds", seconds), ("bytes", memory)))
    return Picture(
        "cost",
        figure,
        "One compiled step (value, gradient and update, float32) on Broyden's "
        "tridiagonal function: the median of several, warm; and the memory of its "
        "arguments, results and temporaries as the compiler reports it. The slope of a "
        "line is the exponent beside its name.",
        "Time and memory of a step against n; the table above holds the exponents.",
    )
