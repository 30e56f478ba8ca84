"""Gradients of each layer's weights, and dead units, at random initial weights."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.studies.context import Context
from optlab import data, losses, models, report
from optlab.errors import InputError
from optlab.models.layers import Dense
from optlab.models.mlp import ACTIVATIONS
from optlab.report.figures.layers import Line, by_layer


class Found(NamedTuple):
    """A net of some depth, over all seeds."""

    name: str
    depth: int  # hidden layers
    slopes: np.ndarray  # [seeds, depth + 1], root mean square gradient of a kernel
    dead: np.ndarray  # [seeds, depth], share of units without a slope on any example

    @property
    def ratio(self) -> float:
        """Gradient of the first layer over that of the last, median over seeds."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.median(self.slopes[:, 0] / self.slopes[:, -1]))


def run(settings: Mapping[str, Any], context: Context) -> None:
    """Prints a table; writes page, figure and results.json.

    Args:
      settings: config as in ``configs/vanishing.py``.
      context: folders and console.

    Raises:
      InputError: a part of a net is unknown, or a depth is no number of layers.
    """
    if not settings["depths"] or min(settings["depths"]) < 1:
        raise InputError("--config.depths must be whole numbers of 1 or more")
    wanted = [(net, depth) for net in settings["nets"] for depth in settings["depths"]]
    for net, depth in wanted:
        make_net(net, depth, settings["units"])
    folder = context.claim(settings)
    digits, count = data.load("digits"), settings["examples"]
    inputs = jnp.asarray(digits.prepare(digits.train.inputs[:count]))
    targets = jnp.asarray(digits.train.targets[:count])
    found = []
    with context.progress() as bar:
        task = bar.add_task("", total=len(wanted))
        for net, depth in wanted:
            bar.update(task, description=f"{net['name']}, {depth} layers")
            module, activation = make_net(net, depth, settings["units"])
            slopes, dead = measure(
                module, activation, inputs, targets, settings["seeds"]
            )
            found.append(Found(net["name"], depth, slopes, dead))
            bar.advance(task)
    table = _table(found, settings["depths"])
    context.show(table)
    deepest = max(settings["depths"])
    drawn = [each for each in found if each.depth == deepest]
    slopes = [Line(each.name, each.slopes) for each in drawn]
    dead = [Line(each.name, each.dead) for each in drawn]
    picture = report.Picture(
        "layers",
        by_layer(f"{deepest} hidden layers before training", slopes, dead),
        "Median over the seeds; the band holds their middle half. A gradient of 0, as "
        "before a binary step, is not drawn. Dead: without a slope on any example.",
        "Gradient and dead units by layer; the table holds the ratios.",
    )
    lead = "; ".join(f"{each.name} {report.number(each.ratio)}" for each in drawn)
    content = {"nets": [each._asdict() for each in found]}
    context.write(
        folder, settings, content,
        (report.Section("Layer by layer", (picture, table)),),
        lead=(
            f"Gradient of the first layer as a multiple of the last one's, {deepest} "
            f"hidden layers, {settings['seeds']} seeds: {lead}.",
        ),
    )  # fmt: skip


def make_net(
    net: Mapping[str, Any], depth: int, units: int
) -> tuple[Any, Callable[[jax.Array], jax.Array]]:
    """Makes a net and finds its activation.

    Args:
      net: name, and options of the model, as in the config.
      depth: number of hidden layers.
      units: units of each.

    Returns:
      The module, and its activation as a function of arrays.
    """
    options = {key: value for key, value in net.items() if key != "name"}
    module = models.make("mlp", classes=10, hidden=(units,) * depth, **options)
    return module, ACTIVATIONS[options["activation"]]


def measure(
    module: Any,
    activation: Callable[[jax.Array], jax.Array],
    inputs: jax.Array,
    targets: jax.Array,
    seeds: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Measures gradients and dead units at random initial weights.

    Args:
      module: multilayer perceptron.
      activation: activation function of its hidden layers.
      inputs: examples ``[n, ...]``.
      targets: classes ``[n]``.
      seeds: number of random initial weights.

    Returns:
      Root mean square gradient of each kernel ``[seeds, layers]``, and the share of
      units whose activation has no slope on any example ``[seeds, layers - 1]``.
    """
    names = [f"Dense_{i}" for i in range(len(module.hidden) + 1)]

    def of_seed(key):
        variables = module.init(key, inputs)
        rest = {kind: tree for kind, tree in variables.items() if kind != "params"}

        def loss(params):
            outputs, seen = module.apply(
                {"params": params, **rest}, inputs, train=True,
                capture_intermediates=lambda part, _: isinstance(part, Dense),
                mutable=["intermediates", *rest],
            )  # fmt: skip
            entered = [seen["intermediates"][name]["__call__"][0] for name in names]
            return losses.cross_entropy(outputs, targets).mean(), entered[:-1]

        gradient, entered = jax.grad(loss, has_aux=True)(variables["params"])
        slopes = [
            jnp.sqrt(jnp.mean(gradient[name]["kernel"] ** 2)) for name in names
        ]  # fmt: skip
        slope = jax.grad(lambda z: activation(z).sum())
        dead = [jnp.mean(jnp.all(slope(z) == 0, axis=1)) for z in entered]
        return jnp.stack(slopes), jnp.stack(dead)

    keys = jax.random.split(jax.random.key(0), seeds)
    # A program that runs once: compiling it well would take longer than running it.
    hurried = {
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
    }
    options = hurried if jax.default_backend() == "cpu" else None
    program = jax.jit(jax.vmap(of_seed)).lower(keys).compile(compiler_options=options)
    return jax.device_get(program(keys))


def _table(found: list[Found], depths: tuple[int, ...]) -> report.Table:
    """Tabulates ratios and dead units by depth, a row a net."""
    rows = []
    for name in dict.fromkeys(each.name for each in found):
        row = {"net": name}
        for depth in depths:
            each = next(x for x in found if (x.name, x.depth) == (name, depth))
            row[f"first/last\n{depth} layers"] = report.number(each.ratio)
            row[f"dead\n{depth} layers"] = f"{100 * each.dead.mean():.1f}%"
        rows.append(row)
    title = "Gradient of the first layer over the last one's, and dead units"
    return report.tabulate(title, rows, ["net"])
