"""Paths of first-order methods over contours, and their steps on a constant slope."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.studies.context import Context
from experiments.studies.small_nets import Method, make_method
from optlab import optim, report, results
from optlab.errors import InputError, check_choice
from optlab.report.figures import paths as figures
from optlab.report.figures.paths import Path, Surface
from optlab.sweep import parallel
from optlab.testproblems.problem import Problem, least_squares
from optlab.testproblems.unconstrained import PROBLEMS

#: Problem to the part of the plane that is drawn: left, right, bottom, top.
WINDOWS = {
    "valley": (-9.0, 6.0, -6.0, 4.5),
    "beale": (-0.5, 4.5, -1.5, 1.6),
    "rosenbrock": (-2.0, 2.0, -1.0, 2.5),
}

#: Degrees by which the valley is turned, so that no axis is along it.
TURN = 30.0

#: Minimum of the valley. Not 0, where LAMB, whose steps are as long as a share of the
#: parameters, would come to rest.
CENTER = np.array([2.0, 1.0])

#: Points of the drawn grid along each axis.
GRID = 80

#: Legend of a star.
STAR = "* At an end of its grid: widen it, another may be better."

#: Text above the table of steps on a constant slope.
ON_A_SLOPE = (
    "Where the gradient is the same everywhere, momentum adds up a geometric series: "
    "its steps grow to 1 / (1 - beta) plain ones. AdaGrad divides by the root of the "
    "sum of all squares, so that its t-th step is 1 / sqrt(t) of its first: it slows "
    "down where there is no reason to."
)


class Walk(NamedTuple):
    """A method's path on a problem, at the best point of its grid."""

    method: str
    point: Mapping[str, float]
    points: np.ndarray  # [steps + 1, 2]
    values: np.ndarray  # [steps + 1], less the value at the minimum
    edge: Mapping[str, str]  # numbers at an end of the grid, see `optlab.results.edge`


def run(settings: Mapping[str, Any], context: Context) -> None:
    """Prints the tables of ``configs/paths.py``; writes page and results.json.

    Raises:
      InputError: a problem or optimizer is unknown, or a number is out of range.
    """
    if not all(0 <= beta < 1 for beta in settings["betas"]):
        raise InputError(
            f"--config.betas must be from 0 to 1, without 1: {settings['betas']}"
        )
    chosen = [name.strip() for name in settings["problems"].split(",")]
    problems = [make_problem(name, settings["condition"]) for name in chosen]
    methods = [
        make_method(name, entry, settings["learning_rate"])
        for name, entry in settings["optimizers"].items()
    ]
    folder = context.claim(settings)
    sections, records, said, stars = [], [], [], []
    found = parallel.dealt(
        [
            lambda on=problem, by=method: walk(by, on, settings["steps"])._asdict()
            for problem, method in itertools.product(problems, methods)
        ]
    )
    with jax.enable_x64(True), context.progress() as bar:
        task = bar.add_task("", total=len(problems) * len(methods))
        for problem in problems:
            walks = []
            for method in methods:
                bar.update(task, description=f"{problem.name}, {method.name}")
                walks.append(Walk(**next(found)))
                bar.advance(task)
            table = _walks_table(problem, walks)
            context.show(table)
            sections.append(_section(problem, walks, table, settings))
            said.append(f"{problem.name}: {_best(walks)}")
            stars += [f"{w.method} on {problem.name}" for w in walks if w.edge]
            records += [
                {"problem": problem.name, "method": each.method, "point": each.point,
                 "values": each.values}
                for each in walks
            ]  # fmt: skip
        slopes = slope_rows(settings["betas"], settings["slope_steps"])
    title = f"A constant slope: step {settings['slope_steps']} against a step of SGD"
    table = report.tabulate(title, slopes, ["method"])
    context.show(table)
    sections.append(report.Section("On a constant slope", (ON_A_SLOPE, table)))
    fast = " and ".join(
        f"{row['ratio']} times with beta {row['beta']}"
        for row in slopes
        if row["method"] == "momentum"
    )
    ends = f"; at an end of it, which may be too narrow: {', '.join(stars)}"
    lead = (
        "On a constant slope a step of momentum grows to 1 / (1 - beta) plain ones: "
        f"measured {fast}.",
        f"{'; '.join(said).capitalize()}. Each rate is the best of its grid"
        f"{ends * bool(stars)}.",
    )
    content = {"walks": records, "slopes": slopes}
    context.write(folder, settings, content, sections, lead)


def make_problem(name: str, condition: float) -> Problem:
    """Finds a problem of two variables, one of ``WINDOWS``.

    The valley is (u^2 + condition v^2) / 2, where u is the distance from its minimum
    along it.

    Raises:
      InputError: the name is unknown, or the condition is below 1.

    >>> make_problem("rosenbrock", 100.0).start.tolist()
    [-1.2, 1.0]
    """
    check_choice("problem", name, WINDOWS, "--config.problems")
    if not 1 <= condition < np.inf:
        raise InputError(f"--config.condition must be 1 or more: {condition:g}")
    if name != "valley":
        return PROBLEMS[name]
    turn = np.deg2rad(TURN)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    J = np.sqrt([[1.0], [condition]]) * axes  # noqa: N806
    start = CENTER + axes.T @ [-10.0, 1.0]
    return least_squares(
        "valley",
        "quadratic",
        start,
        lambda x: jnp.asarray(J) @ (x - CENTER),
        (0.0,),
        CENTER,
    )


def walk(method: Method, problem: Problem, steps: int) -> Walk:
    """Runs a method at all points of its grid; keeps the walk that ends lowest.

    Call it under float64.
    """
    values = {
        key: jnp.asarray([point[key] for point in method.points])
        for key in method.points[0]
    }
    start = jnp.asarray(problem.start)

    def walk_at(point):
        tx = method.optimizer(point)
        path = trace(tx, jax.value_and_grad(problem.value_fn), start, steps)
        return path, jax.vmap(problem.value_fn)(path)

    # Where nothing is swept no value has the one point's axis: its size is given.
    walks = jax.jit(jax.vmap(walk_at, axis_size=len(method.points)))
    points, found = jax.device_get(walks(values))
    ends = np.where(np.isfinite(found[:, -1]), found[:, -1], np.inf)
    best = int(np.argmin(ends))
    above = found[best] - problem.minima[0]
    edge = results.edge(method.points, best)
    return Walk(method.name, method.points[best], points[best], above, edge)


def trace(
    tx: optax.GradientTransformation,
    value_and_grad: Callable,
    start: jax.Array,
    steps: int,
) -> jax.Array:
    """Records the points ``[steps + 1, n]`` that an optimizer passes, the start first.

    The optimizer takes gradients alone.
    """
    tx = optax.with_extra_args_support(tx)

    def step(carry, _):
        x, state = carry
        value, grad = value_and_grad(x)
        extra = {"value": value, "grad": grad}
        updates, state = tx.update(grad, state, x, **extra)
        x = x + updates
        return (x, state), x

    _, path = jax.lax.scan(step, (start, tx.init(start)), length=steps)
    return jnp.concatenate([start[None], path])


def slope_rows(betas: Sequence[float], steps: int) -> list[dict[str, str]]:
    """Measures steps on f(x) = -x, where the gradient is the same everywhere.

    Rows of the table have the last step and the whole way against those of plain
    descent.

    >>> rows = slope_rows([0.5], 100)
    >>> [row["ratio"] for row in rows], rows[0]["1 / (1 - beta)"]
    (['2', '2', '0.1'], '2')
    """
    kinds: list[tuple[str, float | None, Any]] = [
        (name, beta, optim.make(name, learning_rate=0.1, momentum=beta))
        for beta in betas
        for name in ("momentum", "nesterov")
    ]
    kinds.append(("adagrad", None, optim.make("adagrad", learning_rate=0.1)))
    slope, rows = jax.value_and_grad(lambda x: -x[0]), []
    for name, beta, tx in kinds:
        path = trace(tx, slope, jnp.zeros(1), steps)[:, 0]
        last, way = float(path[-1] - path[-2]) / 0.1, float(path[-1]) / 0.1 / steps
        row = {
            "method": name,
            "beta": "" if beta is None else f"{beta:g}",
            "1 / (1 - beta)": "" if beta is None else f"{1 / (1 - beta):.3g}",
            "ratio": f"{last:.3g}",
            "whole way": f"{way:.3g}",
        }
        rows.append(row)
    return rows


def _walks_table(problem: Problem, walks: Sequence[Walk]) -> report.Table:
    """Tabulates values above the minimum after some steps, a row a method."""
    rows = []
    for each in walks:
        row = {"method": each.method, "rate": _rate(each)}
        for step in (10, 100, len(each.values) - 1):
            if step < len(each.values):
                row[f"after {step}"] = report.number(float(each.values[step]))
        rows.append(row)
    title = f"{problem.name}: value above the minimum"
    notes = [STAR] * any(each.edge for each in walks)
    return report.tabulate(title, rows, ["method"], notes)


def _best(walks: Sequence[Walk]) -> str:
    """Says which walk ends lowest."""
    # A walk that diverged ends at NaN, which no comparison puts last.
    ends = [np.nan_to_num(each.values[-1], nan=np.inf) for each in walks]
    best = walks[int(np.argmin(ends))]
    return (
        f"{best.method} is lowest after {len(best.values) - 1} steps, "
        f"{report.number(best.values[-1])} above the minimum"
    )


def _rate(walk: Walk) -> str:
    """Writes the point; a star marks an end of the grid."""
    texts = (f"{x:g}{'*' * (key in walk.edge)}" for key, x in walk.point.items())
    return " ".join(texts) or "-"


def _section(
    problem: Problem,
    walks: Sequence[Walk],
    table: report.Table,
    settings: Mapping[str, Any],
) -> report.Section:
    """Makes a problem's section: paths, table, and all methods step by step."""
    surface, name = make_surface(problem), problem.name
    paths = [Path(each.method, f"rate {_rate(each)}", each.points) for each in walks]
    whole = report.Picture(
        f"paths_{name}",
        figures.by_method(f"{name}: {settings['steps']} steps", surface, paths),
        "A dot is a step, the large one the last; the cross is the minimum. Contours "
        "are evenly spaced in the logarithm of the value."
        + f" {STAR}"
        * any(each.edge for each in walks),
        f"Paths of {len(paths)} methods over the contours of {name}; the table below "
        "holds the values.",
    )
    frames = []
    for step in sorted({each for each in settings["frames"] if each > 0}):
        if step <= settings["steps"]:
            text = f"{name} after {step} step{'s' * (step > 1)}."
            figure = figures.together(text[:-1], surface, paths, step)
            frames.append(report.Picture(f"{name}-{step}", figure, text, text))
    how = "Click on a number, or go on with the arrow keys."
    moving = (how, report.Steps(f"steps_{name}", tuple(frames))) if frames else ()
    return report.Section(name, (whole, table, *moving))


def make_surface(problem: Problem) -> Surface:
    """Evaluates a problem of ``WINDOWS`` on the grid of its window."""
    left, right, bottom, top = WINDOWS[problem.name]
    x, y = np.linspace(left, right, GRID), np.linspace(bottom, top, GRID)
    grid = jnp.stack(jnp.meshgrid(jnp.asarray(x), jnp.asarray(y)), axis=-1)
    values = jax.vmap(jax.vmap(problem.value_fn))(grid)
    assert problem.minimizer is not None
    above = np.maximum(np.asarray(values) - problem.minima[0], 0.0)
    return Surface(x, y, above, problem.minimizer)
