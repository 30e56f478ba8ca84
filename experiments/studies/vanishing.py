"""Gradients of each layer's weights and dead units, before training and after it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.studies.context import Context
from optlab import losses, models, names, optim, problems, report, training
from optlab.compare import recipe
from optlab.data import Dataset
from optlab.errors import InputError
from optlab.models.layers import Dense
from optlab.models.mlp import ACTIVATIONS
from optlab.report.figures.activations import Curve, with_derivatives
from optlab.report.figures.layers import by_layer
from optlab.report.wording import plus_minus
from optlab.results.statistics import mean_interval
from optlab.sweep import compiler, parallel
from optlab.training import init_run

#: Activations of one number, by name.
SCALARS = ACTIVATIONS | {
    "prelu": lambda x: jnp.where(x > 0, x, 0.25 * x),
    "softmax": lambda x: jax.nn.softmax(jnp.stack([x, 0 * x, 0 * x]))[0],
}


class Found(NamedTuple):
    """A net of some depth, over all seeds."""

    name: str
    depth: int  # hidden layers
    slopes: np.ndarray  # [seeds, depth + 1], root mean square gradient of a kernel
    dead: np.ndarray  # [seeds, depth], share of units without a slope on any example
    dead_after: np.ndarray  # the same after training; nan for a seed that diverged
    accuracy: np.ndarray  # [seeds], of the validation split after training; likewise

    @property
    def ratio(self) -> float:
        """Gradient of the first layer over that of the last, median over seeds."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.median(self.slopes[:, 0] / self.slopes[:, -1]))


def run(settings: Mapping[str, Any], context: Context) -> None:
    """Prints the table of ``configs/vanishing.py``; writes page and results.json.

    Raises:
      InputError: a part of a net is unknown, a depth is no number of layers, or the
        training split is smaller than a batch or than the examples that are asked for.
    """
    if not settings["depths"] or min(settings["depths"]) < 1:
        raise InputError("--config.depths must be whole numbers of 1 or more")
    dataset = recipe.load_dataset(settings, context.data_dir)
    for key in ("batch_size", "examples"):
        if settings[key] > len(dataset.train.targets):
            raise InputError(
                f"--config.{key}={settings[key]} is more than the "
                f"{len(dataset.train.targets)} training examples"
            )
    for net in settings["nets"]:
        if not {"name", "activation"} <= set(net):
            raise InputError(
                f"--config.nets: {net!r} is no net: give it a name and an activation, "
                "as configs/vanishing.py does"
            )
    wanted = [(net, depth) for depth in settings["depths"] for net in settings["nets"]]
    for net, depth in wanted:
        make_net(net, depth, settings["units"])
        make_optimizer(net, settings["optimizer"])
    curves = [curve(name) for name in settings["drawn"]]
    folder = context.claim(settings)
    tasks = parallel.dealt(
        [lambda each=each: study(*each, dataset, settings)._asdict() for each in wanted]
    )
    found = []
    with context.progress() as bar:
        task = bar.add_task("", total=len(wanted))
        for net, depth in wanted:
            bar.update(task, description=f"{net['name']}, {depth} layers")
            found.append(Found(**next(tasks)))
            bar.advance(task)
    table = _table(found, settings)
    context.show(table)
    deepest = max(settings["depths"])
    drawn = [each for each in found if each.depth == deepest]
    lead = "; ".join(f"{each.name} {report.number(each.ratio)}" for each in drawn)
    content = {"nets": [each._asdict() for each in found]}
    context.write(
        folder, settings, content,
        (
            report.Section("Layer by layer", (_layers_figure(drawn), table)),
            report.Section("The activations", (_activations_figure(curves),)),
        ),
        lead=(
            f"Gradient of the first layer as a multiple of the last one's, {deepest} "
            f"hidden layers, {settings['seeds']} seeds: {lead}.",
        ),
    )  # fmt: skip


def curve(name: str) -> Curve:
    """Computes an activation, or softmax, and its derivative, on points from -4 to 4.

    Raises:
      InputError: the activation is unknown.

    >>> logistic = curve("sigmoid")
    >>> float(logistic.slopes.max().round(3))
    0.25
    """
    function = names.find("activation", name, SCALARS)
    x = jnp.linspace(-4, 4, 401)
    slopes = jax.vmap(jax.grad(function))(x)
    return Curve(name, *map(np.asarray, (x, jax.vmap(function)(x), slopes)))


def make_net(
    net: Mapping[str, Any], depth: int, units: int
) -> tuple[Any, Callable[[jax.Array], jax.Array]]:
    """Makes a net of the config and finds its activation as a function of arrays.

    PReLU's has the slope that it starts from.

    Raises:
      InputError: an option is wrong, or the activation is unknown.
    """
    options = {key: net[key] for key in net if key not in ("name", "clip")}
    module = models.make("mlp", classes=10, hidden=(units,) * depth, **options)
    return module, names.find("activation", options["activation"], SCALARS)


def make_optimizer(
    net: Mapping[str, Any], settings: Mapping[str, Any]
) -> optax.GradientTransformation:
    """Makes the optimizer of a net, behind a clip of the gradient where there is one.

    ``clip`` of the net is the largest norm of the gradient of all layers together, to
    which a longer gradient is scaled.

    Raises:
      InputError: the norm is not above 0, or the optimizer is unknown.
    """
    clip = net.get("clip", math.inf)
    if not isinstance(clip, int | float) or not clip > 0:
        raise InputError(f"net {net['name']!r}: clip={clip!r} must be above 0")
    options = {key: value for key, value in settings.items() if key != "name"}
    tx = optim.make(settings["name"], **options)
    return tx if clip == math.inf else optax.chain(optax.clip_by_global_norm(clip), tx)


def study(
    net: Mapping[str, Any], depth: int, dataset: Dataset, settings: Mapping[str, Any]
) -> Found:
    """Measures a net of the config before training and after it."""
    module, activation = make_net(net, depth, settings["units"])
    problem = problems.classification(module, dataset)
    tx, count = make_optimizer(net, settings["optimizer"]), settings["examples"]
    inputs = jnp.asarray(dataset.prepare(dataset.train.inputs[:count]))
    targets = jnp.asarray(dataset.train.targets[:count])
    clip = optax.clip_by_global_norm(net.get("clip", math.inf))

    def of_seed(seed):
        slopes, dead = measure(
            module, activation, inputs, targets, *init_run(problem, seed), clip
        )
        trained = training.train(
            problem, tx, seed=seed,
            epochs=settings["epochs"], batch_size=settings["batch_size"],
        )  # fmt: skip
        _, after = measure(
            module, activation, inputs, targets,
            trained.params, trained.model_state, clip,
        )  # fmt: skip
        accuracy = trained.history.evaluations["validation"]["accuracy"][-1]
        finite = jnp.all(jnp.isfinite(trained.history.steps["loss"]))
        after, accuracy = (jnp.where(finite, x, jnp.nan) for x in (after, accuracy))
        return slopes, dead, after, accuracy

    seeds = jnp.arange(settings["seeds"])
    # A program that runs once: compiling it well would take longer than running it.
    program = jax.jit(jax.vmap(of_seed), compiler_options=compiler.in_a_hurry())
    return Found(net["name"], depth, *jax.device_get(program(seeds)))


def measure(
    module: Any,
    activation: Callable[[jax.Array], jax.Array],
    inputs: jax.Array,
    targets: jax.Array,
    params: Any,
    model_state: Any,
    clip: optax.GradientTransformation,
) -> tuple[jax.Array, jax.Array]:
    """Measures gradients and dead units of a multilayer perceptron.

    Its hidden layers have the activation; inputs are ``[n, ...]``, targets classes
    ``[n]``. The gradient passes through ``clip``, a stateless transformation.

    Returns:
      Root mean square gradient of each kernel ``[layers]``, and the share of units
      whose activation has no slope on any example ``[layers - 1]``.
    """
    parts = [f"Dense_{i}" for i in range(len(module.hidden) + 1)]

    def loss(params):
        outputs, seen = module.apply(
            {"params": params, **model_state}, inputs, train=True,
            capture_intermediates=lambda part, _: isinstance(part, Dense),
            mutable=["intermediates", *model_state],
        )  # fmt: skip
        entered = [seen["intermediates"][part]["__call__"][0] for part in parts]
        return losses.cross_entropy(outputs, targets).mean(), entered[:-1]

    gradient, entered = jax.grad(loss, has_aux=True)(params)
    clipped: Any = clip.update(gradient, clip.init(params))[0]
    slopes = [jnp.sqrt(jnp.mean(clipped[part]["kernel"] ** 2)) for part in parts]
    slope = jax.grad(lambda z: activation(z).sum())
    dead = [jnp.mean(jnp.all(slope(z) == 0, axis=1)) for z in entered]
    return jnp.stack(slopes), jnp.stack(dead)


def _layers_figure(drawn: Sequence[Found]) -> report.Picture:
    return report.Picture(
        "layers",
        by_layer(
            f"{drawn[0].depth} hidden layers",
            {each.name: each.slopes for each in drawn},
            {each.name: each.dead for each in drawn},
            {each.name: each.dead_after for each in drawn},
        ),
        "Median over the seeds; the band holds their middle half. A gradient of 0, as "
        "before a binary step, is not drawn. Dead: without a slope on any example.",
        "Gradient and dead units by layer; the table holds their means.",
    )


def _activations_figure(curves: Sequence[Curve]) -> report.Picture:
    return report.Picture(
        "activations",
        with_derivatives("Activations and their derivatives", curves),
        "A binary step has the derivative 0, so that nothing arrives before it; a "
        "logistic unit's is at most 1/4, so that 20 layers leave less than 1e-12 of a "
        "gradient; that of ReLU is 0 or 1. A softmax's is of its first output by its "
        "first input, the two other inputs being 0; PReLU's slope below 0 is learned, "
        "and drawn where it starts.",
        "A panel an activation: its values as a line, its derivative dashed.",
    )


def _table(found: list[Found], settings: Mapping[str, Any]) -> report.Table:
    """Tabulates ratios, dead units and accuracy, a block a depth."""
    rows = []
    for each in found:
        lost = int((~np.isfinite(each.accuracy)).sum())
        accuracy = mean_interval(100 * each.accuracy)
        dead_after = 100 * mean_interval(each.dead_after.mean(axis=1)).mean
        rows.append(
            {
                "net": each.name,
                "gradient\nfirst/last": report.number(each.ratio),
                "dead before\ntraining": f"{100 * each.dead.mean():.1f}%",
                "dead after\ntraining": (
                    f"{dead_after:.1f}%" if np.isfinite(dead_after) else "-"
                ),
                "validation\naccuracy %": plus_minus(accuracy, fixed=True),
                "diverged": f"{lost}/{len(each.accuracy)}",
            }
        )
    title = "Gradient of the first layer over the last one's, and dead units"
    note = (
        f"{settings['seeds']} seeds: median of the gradients' ratio, means, 95% "
        f"interval. Trained for {settings['epochs']} epochs with batches of "
        f"{settings['batch_size']} by {settings['optimizer']['name']}."
    )
    groups = [f"{each.depth} hidden layers" for each in found]
    return report.tabulate(title, rows, ["net"], [note], groups)
