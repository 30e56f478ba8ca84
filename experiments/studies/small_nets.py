"""Small nets minimized by every method from the same starts.

All starts and rates of a method are lanes of one program, which run one after another,
so that the time of a step is that of one lane. Methods are compared by steps,
evaluations and seconds; the page has a section for each net.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.studies.context import Context
from optlab import losses, models, optim, report, sweep
from optlab.errors import InputError, check_choice
from optlab.optim import info
from optlab.report.figures import descent
from optlab.report.figures.descent import Descent
from optlab.solving import Reason, Solution, Stop
from optlab.sweep import multistart, parallel
from optlab.testproblems import samples

#: Steps of each lane before the timed run; they also count the evaluations of a step.
WARM_UP_STEPS = 2


class Net(NamedTuple):
    """A net on its examples: functions to minimize, and starts."""

    name: str
    description: str
    functions: Mapping[str, Callable]  # keyword arguments of ``solve``
    starts: Any  # tree of arrays [starts, ...]
    parameters: int
    measure: str  # name of the value
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

    def record(self, target: float) -> dict[str, Any]:
        """Collects the entries of results.json."""
        runs = self.descent
        return {
            "method": runs.method, "point": self.point, "final": runs.values[:, -1],
            "steps": runs.steps, "to_target": runs.reached(target),
            "step_seconds": runs.step_seconds, "compile_seconds": self.compile_seconds,
            "reasons": self.reasons,
        }  # fmt: skip


def run(settings: Mapping[str, Any], context: Context) -> None:
    """Prints the tables of ``configs/small_nets.py``; writes page and results.json.

    Raises:
      InputError: a net, table or optimizer is unknown, or a number is out of range.
    """
    methods = [
        make_method(name, entry, settings["learning_rate"])
        for name, entry in settings["optimizers"].items()
    ]
    nets = [make_net(name, settings, context.data_dir) for name in _names(settings)]
    folder = context.claim(settings)
    sections, records = [], []
    with context.progress() as bar:
        task = bar.add_task("", total=len(nets) * len(methods))
        for net in nets:
            fits = []
            for method in methods:
                bar.update(task, description=f"{net.name}, {method.name}")
                fits.append(fit(method, net, settings))
                bar.advance(task)
            table = _fits_table(net, fits)
            context.show(table)
            content = net.description, table, _picture(net, fits)
            sections.append(report.Section(net.name, content))
            of = {"net": net.name, "parameters": net.parameters, "target": net.target}
            records += [of | each.record(net.target) for each in fits]
    lead = (
        f"{len(methods)} methods from the same {settings['starts']} starts of each "
        "net, full batches, float32. A learning rate is the one with the smallest "
        "median final value. Evaluations: a value with its gradient, or a product with "
        "a Jacobian or Hessian, counts one. Time: of the compiled steps, one start "
        "after another, without compiling."
    )
    context.write(folder, settings, {"fits": records}, sections, (lead,))


def make_net(name: str, settings: Mapping[str, Any], data_dir: str | None) -> Net:
    """Makes a net with one hidden layer on some samples.

    ``net``, ``starts`` and ``seed`` of the config are read.

    Raises:
      InputError: the samples are unknown, or their table is missing.
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
        return losses.cross_entropy(logits, targets).mean()

    def residual_fn(params):  # half their sum of squares is the mean squared error
        return 2**0.5 * losses.squared_residuals(output_fn(params), targets)

    functions = {"output_fn": output_fn, "output_loss_fn": output_loss_fn}
    keys = jax.random.split(jax.random.key(settings["seed"]), settings["starts"])
    starts = jax.jit(jax.vmap(lambda key: module.init(key, inputs)["params"]))(keys)
    sizes = f"{inputs.shape[1]}-{hidden}-{outputs}"
    return Net(
        name=name,
        description=f"{sizes} tanh net, {len(inputs):,} examples: {examples.source}.",
        functions=functions if classes else {"residual_fn": residual_fn},
        starts=starts,
        parameters=sum(leaf[0].size for leaf in jax.tree.leaves(starts)),
        measure="cross-entropy" if classes else "mean squared error",
        target=target,
    )


def make_method(
    name: str, entry: Mapping[str, Any], rates: tuple[float, ...]
) -> Method:
    """Splits an optimizer's entry of the config into swept and fixed numbers.

    A tuple is swept. An optimizer whose entry is empty gets the learning rates.

    Raises:
      InputError: the optimizer, an argument or a number is wrong.
    """
    if not entry and optim.takes(name, "learning_rate"):
        entry = {"learning_rate": rates}
    swept = {key: value for key, value in entry.items() if isinstance(value, tuple)}
    fixed = {key: value for key, value in entry.items() if key not in swept}
    for key, values in swept.items():
        if not values or not all(isinstance(each, int | float) for each in values):
            raise InputError(
                f"{name}: {key} is swept over numbers here, not over {values}"
            )
    points = sweep.grid(swept)
    for point in points:
        optim.make(name, **fixed, **point)  # the optimizer checks its own numbers
    return Method(name, lambda point: optim.make(name, **fixed, **point), points)


def fit(method: Method, net: Net, settings: Mapping[str, Any]) -> Fit:
    """Runs a method from all starts at all points, and keeps the best point.

    It has the smallest median final value. ``steps`` and ``evaluations`` of the config,
    the budget, are read.
    """
    search = multistart.Search(method.optimizer, net.functions, settings["steps"])
    starts = multistart.make_starts(net.starts, method.points)
    devices = parallel.separate_devices()
    layout = parallel.layout("jit", len(devices), 1, devices)
    program = multistart.compile_program(search, starts, layout, width=1)
    first = program.run(starts, Stop(gradient=-1.0, steps=WARM_UP_STEPS))
    evaluates = bool(info.find(first.state))
    first = _gathered(first)
    per_step = np.asarray(first.evaluations - 1) / np.maximum(first.steps, 1)
    steps = min(
        settings["steps"], max(1, int(settings["evaluations"] / per_step.max()))
    )
    started = time.perf_counter()
    solution = jax.block_until_ready(program.run(starts, Stop(0.0, steps=steps)))
    spent = time.perf_counter() - started
    solution = _gathered(solution)
    final = np.where(np.isfinite(solution.value), solution.value, np.inf)
    best = int(np.median(final, axis=0).argmin())
    runs = jax.tree.map(lambda x: x[:, best], solution)

    def by_step(history, end):  # the end is repeated after a run's last step
        history = np.pad(history, ((0, 0), (0, 1)))[:, : steps + 1]
        ended = np.arange(steps + 1) >= runs.steps[:, None]
        return np.where(ended, end[:, None], history)

    return Fit(
        Descent(
            method.name,
            evaluates=evaluates,
            values=by_step(runs.history.value, runs.value),
            evaluations=by_step(runs.history.evaluations, runs.evaluations),
            steps=runs.steps,
            step_seconds=spent
            / max(_most_steps(np.asarray(solution.steps), len(devices)), 1),
        ),
        method.points[best],
        tuple(Reason(int(code)).name.lower() for code in runs.reason),
        program.compile_seconds,
    )


def _gathered(solution: Solution) -> Solution:
    """Gathers all that is measured, on the host of every process."""
    solution = solution._replace(params=None, state=None)
    return jax.device_get(parallel.gathered(solution))


def _most_steps(steps: np.ndarray, devices: int) -> int:
    """Counts the steps of the device that makes most, in blocks of equal lanes."""
    lanes = steps.ravel()
    size = -(-lanes.size // devices)
    copies = np.repeat(lanes[-1:], size * devices - lanes.size)
    return int(np.append(lanes, copies).reshape(devices, size).sum(axis=1).max())


def _fits_table(net: Net, fits: Sequence[Fit]) -> report.Table:
    """Tabulates final values and median costs until the target, a row a method."""
    fits = sorted(fits, key=lambda each: each.descent.evaluates)  # stable
    rows = []
    for each in fits:
        runs, reached = each.descent, each.descent.reached(net.target)
        hits = np.isfinite(reached.steps)
        steps, evaluations, seconds = (
            float(np.median(cost[hits])) if hits.any() else np.nan for cost in reached
        )
        row = {
            "method": runs.method,
            "rate": " ".join(f"{value:g}" for value in each.point.values()) or "-",
            "final\nmedian": report.number(float(np.median(runs.values[:, -1]))),
            "reached": f"{hits.sum()}/{hits.size}",
            "steps\nto target": f"{steps:,.0f}".replace("nan", "-"),
            "evals\nto target": f"{evaluations:,.0f}".replace("nan", "-"),
            "ms\nto target": report.number(1e3 * seconds),
            "ms\na step": report.number(1e3 * runs.step_seconds),
        }
        rows.append(row)
    title = f"{net.name}: {net.parameters} parameters, {net.measure} to {net.target:g}"
    groups = [descent.GROUPS[each.descent.evaluates] for each in fits]
    return report.tabulate(title, rows, ["method"], groups=groups)


def _names(settings: Mapping[str, Any]) -> list[str]:
    """Nets that the user selected, in their order."""
    names = [name.strip() for name in settings["nets"].split(",")]
    for name in names:
        check_choice("net", name, settings["net"], "--config.nets")
        if not 0 < (target := settings["net"][name]["target"]) < np.inf:
            raise InputError(f"--config.net.{name}.target must be above 0: {target}")
    return list(dict.fromkeys(names))


def _picture(net: Net, fits: Sequence[Fit]) -> report.Picture:
    runs = [each.descent for each in fits]
    starts = len(runs[0].values)
    caption = (
        f"Median of {starts} starts, band: their middle half. " if starts > 1 else ""
    ) + (
        "The dotted line is the target. Lines end where the last of the starts did; "
        f"values below {descent.LOWEST:g} times the target, or above "
        f"{descent.HIGHEST:g} times the start, leave the panel."
    )
    figure = descent.descents(net.name, runs, net.measure, net.target)
    alt = f"{net.measure} of {net.name} by steps, evaluations and seconds"
    return report.Picture(net.name, figure, caption, alt)
