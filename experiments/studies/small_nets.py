"""Small nets minimized by every method from the same starts.

All starts and rates of a method are lanes of one program, which run one after another,
so that a step has a time of its own. They are compared by steps, by evaluations and by
seconds; the page has a section for each net.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.progress import Progress

from experiments import grids
from experiments.studies import counts
from experiments.studies.desk import Desk
from optlab import models, optim, report, results
from optlab.errors import InputError, near
from optlab.optim import info
from optlab.report.figures.descent import (
    GROUPS,
    HIGHEST,
    LOWEST,
    Descent,
    descents,
)
from optlab.solving import Reason, Stop
from optlab.sweep import multistart, parallel
from optlab.testproblems import samples

#: Steps of each lane before the run that counts: they warm up, and show what one costs.
WARM_UP_STEPS = 2


class Net(NamedTuple):
    """A net and its examples, as what is to be minimized from some starts."""

    name: str
    description: str
    functions: Mapping[str, Callable]  # keyword arguments of ``solve``
    starts: Any  # tree of arrays [starts, ...]
    parameters: int
    measure: str  # what the value is
    target: float


class Method(NamedTuple):
    """An optimizer and the grid that it is tuned on."""

    name: str
    optimizer: Callable[[Mapping[str, Any]], optax.GradientTransformation]
    points: tuple[Mapping[str, float], ...]


class Fit(NamedTuple):
    """A method's runs on a net, at its best point."""

    descent: Descent
    point: Mapping[str, float]
    reasons: tuple[str, ...]  # of each start
    compile_seconds: float


def run(settings: Mapping[str, Any], desk: Desk) -> None:
    """Tables on the terminal; page, figures and results.json in the workdir.

    Args:
      settings: as in ``configs/small_nets.py``.
      desk: where data lie and results go.

    Raises:
      InputError: a net, table or optimizer that is not there, or a number that must
        be larger.
    """
    names = _names(settings)
    _check_numbers(settings, names)
    methods = [
        _method(name, entry, settings["learning_rate"])
        for name, entry in settings["optimizers"].items()
    ]
    nets = [make_net(name, settings, desk.data_dir) for name in names]
    folder = desk.claim(settings)
    sections = []
    found: dict[str, list[Fit]] = {}
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(nets) * len(methods))
        for net in nets:
            found[net.name] = []
            for method in methods:
                bar.update(task, description=f"{net.name}, {method.name}")
                found[net.name].append(fit(method, net, settings))
                bar.advance(task)
            table = fits_table(net, found[net.name])
            bar.console.print()
            report.show_table(table, desk.console)
            sections.append(_section(net, table, found[net.name]))
    page = _write(folder, settings, sections, nets, found)
    desk.console.print(f"page: {page}", soft_wrap=True)


def make_net(name: str, settings: Mapping[str, Any], data_dir: str | None) -> Net:
    """A net with one hidden layer on some samples.

    Args:
      name: of the samples.
      settings: ``net``, ``starts`` and ``seed``.
      data_dir: of the tables.

    Returns:
      The net.

    Raises:
      InputError: there are no such samples.
    """
    examples = samples.load(name, data_dir)
    hidden, target = settings["net"][name]["hidden"], settings["net"][name]["target"]
    inputs, targets = jnp.asarray(examples.inputs, float), jnp.asarray(examples.targets)
    classes = targets.ndim == 1
    outputs = int(targets.max()) + 1 if classes else targets.shape[1]
    module = models.make("mlp", outputs, hidden=(hidden,), activation="tanh")

    def output_fn(params) -> Any:
        return module.apply({"params": params}, inputs)

    def output_loss_fn(logits):
        loss = optax.softmax_cross_entropy_with_integer_labels
        return loss(logits, targets).mean()

    def residual_fn(params):
        return (output_fn(params) - targets) * jnp.sqrt(2 / len(targets))

    keys = jax.random.split(jax.random.key(settings["seed"]), settings["starts"])
    starts = jax.jit(jax.vmap(lambda key: module.init(key, inputs)["params"]))(keys)
    sizes = f"{inputs.shape[1]}-{hidden}-{outputs}"
    return Net(
        name=name,
        description=f"{sizes} tanh net, {len(inputs):,} examples: {examples.source}.",
        functions=(
            {"output_fn": output_fn, "output_loss_fn": output_loss_fn}
            if classes
            else {"residual_fn": residual_fn}
        ),
        starts=starts,
        parameters=sum(leaf[0].size for leaf in jax.tree.leaves(starts)),
        measure="cross-entropy" if classes else "mean squared error",
        target=target,
    )


def fit(method: Method, net: Net, settings: Mapping[str, Any]) -> Fit:
    """Runs a method from all starts at all points, and keeps the best point.

    Args:
      method: the optimizer and its grid.
      net: what is minimized.
      settings: the budget: ``steps`` and ``evaluations``.

    Returns:
      The runs at the point of the least median final value.
    """
    search = multistart.Search(method.optimizer, net.functions, settings["steps"])
    starts = multistart.make_starts(net.starts, method.points)
    layout = parallel.layout("jit", 1, [1], devices=jax.devices()[:1])
    program = multistart.compile_program(search, starts, layout, width=1)
    first = program.run(starts, Stop(gradient=-1.0, steps=WARM_UP_STEPS))
    made = np.asarray(first.evaluations - 1) / np.maximum(first.steps, 1)
    steps = min(settings["steps"], max(1, int(settings["evaluations"] / made.max())))
    began = time.perf_counter()
    solution = jax.block_until_ready(program.run(starts, Stop(0.0, steps=steps)))
    spent = time.perf_counter() - began
    solution = jax.device_get(solution._replace(params=None, state=None))
    final = np.where(np.isfinite(solution.value), solution.value, np.inf)
    best = int(np.median(final, axis=0).argmin())
    runs = jax.tree.map(lambda x: x[:, best], solution)
    end = runs.steps[:, None]
    ended = np.arange(settings["steps"] + 1) >= end
    pad = ((0, 0), (0, 1))
    values = np.pad(runs.history.value, pad)
    evaluations = np.pad(runs.history.evaluations, pad)
    return Fit(
        Descent(
            method.name,
            evaluates=bool(info.find(first.state)),
            values=np.where(ended, runs.value[:, None], values)[:, : steps + 1],
            evaluations=np.where(ended, runs.evaluations[:, None], evaluations)[
                :, : steps + 1
            ],
            steps=runs.steps,
            step_seconds=spent / max(int(solution.steps.sum()), 1),
        ),
        method.points[best],
        tuple(Reason(int(code)).name.lower() for code in runs.reason),
        program.compile_seconds,
    )


def fits_table(net: Net, fits: Sequence[Fit]) -> report.Table:
    """A row a method: where it ended and what the target took.

    Args:
      net: what was minimized.
      fits: of every method.

    Returns:
      The table; medians are over the starts, of those that reached the target.
    """
    fits = sorted(fits, key=lambda each: each.descent.evaluates)  # stable
    rows = []
    for each in fits:
        descent = each.descent
        reached = descent.reached(net.target)
        when = [np.median(x[np.isfinite(x)]) for x in reached if np.isfinite(x).any()]
        steps, evaluations, seconds = when or [np.nan] * 3
        rows.append(
            (
                descent.method,
                " ".join(f"{value:g}" for value in each.point.values()) or "-",
                report.number(float(np.median(descent.values[:, -1]))),
                f"{np.isfinite(reached.steps).sum()}/{len(reached.steps)}",
                _count(steps),
                _count(evaluations),
                report.number(1e3 * seconds),
                report.number(1e3 * descent.step_seconds),
            )
        )
    return report.Table(
        title=f"{net.name}: {net.parameters} parameters, {net.measure} to "
        f"{net.target:g}",
        columns=(
            "method", "rate", "final\nmedian", "reached", "steps\nto target",
            "evals\nto target", "ms\nto target", "ms\na step",
        ),
        align="lrrrrrrr",
        rows=tuple(rows),
        groups=tuple(
            GROUPS[each.descent.evaluates]
            for each in fits
        ),
    )  # fmt: skip


def _names(settings: Mapping[str, Any]) -> list[str]:
    """The nets that the user wants, in their order."""
    names = [name.strip() for name in settings["nets"].split(",")]
    for name in names:
        if name not in settings["net"]:
            raise InputError(
                f"--config.nets: no {name!r}; {near(name, settings['net'])}"
            )
    return list(dict.fromkeys(names))


def _check_numbers(settings: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuses counts of nothing, and targets that no logarithm reaches."""
    hidden = [f"net.{name}.hidden" for name in names]
    counts.check(settings, ["starts", "steps", "evaluations", *hidden])
    for name in names:
        if not 0 < (target := settings["net"][name]["target"]) < np.inf:
            raise InputError(f"--config.net.{name}.target must be above 0: {target}")


def _method(name: str, entry: Mapping[str, Any], rates: tuple[float, ...]) -> Method:
    """A method by its entry in the config; by default its learning rate is swept."""
    if not entry and optim.takes(name, "learning_rate"):
        entry = {"learning_rate": rates}
    fixed, points = grids.split(name, entry)
    for point in points:
        optim.make(name, **fixed, **point)  # the optimizer checks its own numbers
    return Method(name, lambda point: optim.make(name, **fixed, **point), points)


def _count(number: float) -> str:
    return f"{number:,.0f}" if np.isfinite(number) else "-"


def _section(net: Net, table: report.Table, fits: Sequence[Fit]) -> report.Section:
    figure = descents(
        net.name, [each.descent for each in fits], net.measure, net.target
    )
    starts = len(fits[0].descent.values)
    caption = (
        f"Median of {starts} starts, band: their middle half. " if starts > 1 else ""
    ) + (
        "The dotted line is the target. Lines end where the last of the starts did; "
        f"values below {LOWEST:g} times the target, or above {HIGHEST:g} times the "
        "start, leave the panel."
    )
    alt = f"{net.measure} of {net.name} by steps, evaluations and seconds"
    return report.Section(
        net.name,
        (net.description, table, report.Picture(net.name, figure, caption, alt)),
    )


def _write(
    folder: Path,
    settings: Mapping[str, Any],
    sections: Sequence[report.Section],
    nets: Sequence[Net],
    found: Mapping[str, Sequence[Fit]],
) -> Path:
    """The page and the numbers."""
    environment = results.environment(sys.orig_argv)
    content = {
        "environment": environment,
        "config": settings,
        "fits": [
            {
                "net": net.name,
                "parameters": net.parameters,
                "method": fit.descent.method,
                "point": fit.point,
                "target": net.target,
                "final": fit.descent.values[:, -1],
                "steps": fit.descent.steps,
                "to_target": fit.descent.reached(net.target),
                "step_seconds": fit.descent.step_seconds,
                "compile_seconds": fit.compile_seconds,
                "reasons": fit.reasons,
            }
            for net in nets
            for fit in found[net.name]
        ],
    }
    results.write_atomic(
        folder / "results.json", json.dumps(results.plain(content), indent=1)
    )
    again = report.Section(
        "To make it again",
        (
            report.Facts(environment),
            report.Listing("Config", json.dumps(settings, indent=2)),
        ),
    )
    lead = (
        f"{len(found[nets[0].name])} methods from the same {settings['starts']} starts "
        "of each net, full batches, float32. A learning rate is the one of the least "
        "median final value. Evaluations: a value with its gradient, or a product with "
        "a Jacobian or Hessian, counts one. Time: of the compiled steps, one start "
        "after another; compiling is left out.",
    )
    return report.write_page(folder, settings["title"], (*sections, again), lead=lead)
