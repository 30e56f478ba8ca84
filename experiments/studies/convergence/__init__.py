"""Orders of convergence on test functions, and the cost of a step against n."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from experiments.studies.context import Context
from experiments.studies.convergence import cost, order, tables
from optlab import optim
from optlab.report import Picture, Section
from optlab.report.figures.convergence import errors_by_step
from optlab.report.figures.growth import Growth, Panel, growth


def run(settings: Mapping[str, Any], context: Context) -> None:
    """Prints the tables of ``configs/convergence.py``; writes page and results.json.

    Raises:
      InputError: a problem or optimizer is unknown, or no line fits the sizes.
    """
    methods = {
        name: optim.make(name, **options)
        for name, options in settings["optimizers"].items()
    }
    wanted, theory = settings["order"], settings["theory"]
    problems = order.problems(
        wanted["problems"], wanted["conditions"], wanted["parameters"]
    )
    cost.check(settings["cost"]["sizes"], settings["cost"]["fitted"])
    folder = context.claim(settings)

    runs: list[order.Run] = []
    curves: list[cost.Curve] = []
    with context.progress() as bar:
        task = bar.add_task("", total=len(problems) + len(methods))
        with jax.enable_x64(True):
            for problem in problems:
                bar.update(task, description=f"order: {problem.name}")
                runs += order.measure(methods, problem, wanted["steps"])
                bar.advance(task)
        for name, tx in methods.items():
            bar.update(task, description=f"cost: {name}")
            curves.append(cost.measure(name, tx, settings["cost"]))
            bar.advance(task)

    summary, matrix, details, orders = tables.orders(runs, theory)
    laws, hessians, nets, costs = tables.costs(curves, theory, settings["nets"])
    real_nets = (hessians,) if nets is None else (hessians, nets)
    for table in (summary, matrix, laws, *real_nets):
        context.show(table)
    errors, growth = _errors_figure(runs), _cost_figure(curves)
    context.write(
        folder,
        settings,
        {
            "orders": [each._asdict() for each in runs],
            "costs": [each._asdict() for each in curves],
        },
        (
            Section("Order of convergence", (summary, errors, matrix, details)),
            Section("Cost against n", (laws, growth)),
            Section("Real nets", real_nets),
        ),
        lead=(orders, costs),
    )


def _errors_figure(runs: list[order.Run]) -> Picture:
    errors: dict[str, dict[str, np.ndarray]] = {}
    for each in runs:
        errors.setdefault(each.problem, {})[each.method] = each.errors
    return Picture(
        "errors",
        errors_by_step(errors),
        "Distance to the minimizer that the run ends in, from the standard start. A "
        "straight line is linear convergence; one that bends down gains more digits "
        "with every step.",
        "Errors against steps for every problem and method; the table below holds the "
        "orders.",
    )


def _cost_figure(curves: list[cost.Curve]) -> Picture:
    seconds = [Growth(c.method, c.sizes, c.seconds, c.seconds_law) for c in curves]
    memory = [Growth(c.method, c.sizes, c.memory, c.memory_law) for c in curves]
    panels = [
        Panel("parameters n", "seconds", seconds),
        Panel("parameters n", "bytes", memory),
    ]
    title = "Cost of one step against the number of parameters"
    foot = "Points: measured; thick lines: power laws through the largest sizes."
    return Picture(
        "cost",
        growth(title, panels, foot),
        "One compiled step (value, gradient and update, float32) on Broyden's "
        "tridiagonal function: the median of several, warm; and the memory of its "
        "arguments, results and temporaries as the compiler reports it. The slope of a "
        "line is the exponent beside its name.",
        "Time and memory of a step against n; the table above holds the exponents.",
    )
