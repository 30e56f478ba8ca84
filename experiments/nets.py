"""Sizes published nets and their matrices of curvature, beside this machine's memory.

  python -m experiments.nets
  python -m experiments.nets --config.optimizers=adam,lamb,newton
  python -m experiments.nets --config.nets="('resnet50','mobilenet')"

Tables here; index.html, a figure and results.json in the working directory: parameters,
multiply-adds and depth of each net, its Hessian, what a step of each method takes.
Everything is traced, nothing allocated. Every line of the config is a flag:
--config.KEY=VALUE; an optimizer also takes --config.optimizers.NAME.ARGUMENT=VALUE.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from absl import flags
from rich.console import Console

import optlab.curvature.products as curvature
from experiments import cli, sizes, workdir
from experiments.studies.convergence.tables import memory
from experiments.tabulate import tabulate
from optlab import machine, models, names, optim, report
from optlab.models.architectures import ARCHITECTURES
from optlab.models.cost import products
from optlab.optim.contract import extra_args
from optlab.report import Picture, Section, Table
from optlab.report.figures.memory import Need, memory_by_net

CONFIG = cli.define_config("configs/nets.py")
flags.declare_key_flag("config")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where results go; by default a folder of runs/ for each config."
)

FLOAT = 4  # bytes


class Net(NamedTuple):
    """Sizes of a net."""

    name: str
    side: int  # of its images, in pixels
    parameters: int  # with batch statistics
    trained: int  # without: the n of a Hessian
    largest: int  # parameters of the layer that has most
    multiply_adds: int  # of one image
    depth: int
    steps: Mapping[str, int]  # method -> bytes of one step


def main(given: cli.Given) -> None:
    """Config in, tables and a page out."""
    settings = cli.settings(CONFIG.value, given)
    checked = {key: value for key, value in settings.items() if key != "optimizers"}
    sizes.check(checked, CONFIG.value.to_dict())
    for name in settings["nets"]:
        names.find("architecture", name, ARCHITECTURES)
    methods = {
        name: optim.make(name, **options)
        for name, options in settings["optimizers"].items()
    }
    folder = workdir.claim(WORKDIR.value, "nets", settings)
    console, found = Console(), []
    with Console(stderr=True).status("tracing") as spinner:
        for name in settings["nets"]:
            spinner.update(name)
            found.append(measure(name, settings, methods))
    found.sort(key=lambda net: net.trained)
    cheapest = sorted(methods, key=found[-1].steps.__getitem__)
    found = [
        net._replace(steps={method: net.steps[method] for method in cheapest})
        for net in found
    ]
    there_is = machine.host_memory_bytes()
    tables = architectures(found), matrices(found, there_is), steps(found, there_is)
    for table in tables:
        report.show_table(table, console)
        console.print()
    block = "Gauss-Newton block of\nthe largest layer alone"
    needs = [
        Need(net.name, {**net.steps, block: FLOAT * net.largest**2}) for net in found
    ]
    figure = memory_by_net(needs, there_is, f"this machine: {memory(there_is)}")
    caption = "The dashed line is the memory of this machine; each tick is 1000-fold."
    alt = "Bytes of a step of each method, by net; the last table holds the numbers."
    picture = Picture("memory", figure, caption, alt)
    workdir.write_results(
        folder,
        settings["title"],
        settings,
        {"nets": [net._asdict() for net in found]},
        (
            Section("What a step takes", (picture, tables[2])),
            Section("Curvature as a dense matrix", (tables[1],)),
            Section("Nets", (tables[0],)),
        ),
        lead=(conclusion(found, there_is),),
    )


def measure(
    name: str,
    settings: Mapping[str, Any],
    methods: Mapping[str, optax.GradientTransformationExtraArgs],
) -> Net:
    """Traces a net and the methods on it.

    Args:
      name: key of ``ARCHITECTURES``.
      settings: ``classes``, ``width`` and ``batch_size``.
      methods: name to optimizer.

    Returns:
      The sizes.
    """
    net = models.make(name, settings["classes"], width=settings["width"])
    image = jax.ShapeDtypeStruct((1, net.side, net.side, 3), jnp.float32)
    variables = jax.eval_shape(net.init, jax.random.key(0), image)
    params = variables["params"]
    layers: dict[Any, int] = {}
    for (*layer, _), leaf in jax.tree.leaves_with_path(params):
        layers[tuple(layer)] = layers.get(tuple(layer), 0) + leaf.size
    outputs = settings["batch_size"] * settings["classes"]
    return Net(
        name,
        net.side,
        parameters=_size(variables),
        trained=_size(params),
        largest=max(layers.values()),
        **products(net.apply, variables, image)._asdict(),
        steps={name: step_bytes(tx, params, outputs) for name, tx in methods.items()},
    )


def step_bytes(
    tx: optax.GradientTransformationExtraArgs, params: Any, outputs: int
) -> int:
    """Adds up what a step of a method holds at the same time, activations apart.

    Args:
      tx: optimizer.
      params: parameters, as shapes.
      outputs: number of outputs of a batch, the rows of a Jacobian.

    Returns:
      Bytes of parameters, gradient, state, and the dense matrices that the method says
      it needs.

    >>> shapes = {"w": jax.ShapeDtypeStruct((30, 100), jnp.float32)}
    >>> step_bytes(optim.make("adam"), shapes, 10) // (4 * 3000)  # w, g and two moments
    4
    >>> step_bytes(optim.make("newton"), shapes, 10) // (4 * 3000**2)
    4
    """
    x = jax.ShapeDtypeStruct((_size(params),), jnp.float32)

    def step(x):
        # A function as plain as can be: the method's own matrices are asked for.
        functions = {
            "value_fn": lambda x: jnp.vdot(x, x) / 2,
            "output_fn": lambda x: jnp.resize(x, (outputs,)),
            "output_loss_fn": lambda z: jnp.vdot(z, z) / 2,
        }
        arguments = extra_args(x, jnp.vdot(x, x) / 2, x, **functions)
        return tx.update(x, tx.init(x), x, **arguments)

    taken = 2 * FLOAT * x.size
    with _no_dense_matrix():
        try:
            state = jax.eval_shape(tx.init, params)
            taken += sum(
                leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state)
            )
            jax.eval_shape(step, x)
        except curvature.DenseMemoryError as needed:
            taken += needed.size
    return taken


@contextmanager
def _no_dense_matrix() -> Iterator[None]:
    """Lets every dense method say how many bytes it would need, and stop there."""
    limit = curvature.DENSE_LIMIT
    curvature.DENSE_LIMIT = 0
    try:
        yield
    finally:
        curvature.DENSE_LIMIT = limit


def _size(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def architectures(nets: Sequence[Net]) -> Table:
    """Tabulates the nets themselves."""
    rows = [
        {
            "net": net.name,
            "image": f"{net.side} x {net.side}",
            "parameters": f"{net.parameters:,}",
            "float32": memory(FLOAT * net.parameters),
            "multiply-adds": f"{net.multiply_adds / 1e9:.2f}e9",
            "depth": str(net.depth),
        }
        for net in nets
    ]
    notes = (
        "Parameters with batch statistics. Multiply-adds of convolutions and dense "
        "layers for one image. Depth: layers with weights on the longest path.",
    )
    return tabulate("Nets", rows, ["net"], notes)


def matrices(nets: Sequence[Net], there_is: float) -> Table:
    """Tabulates the matrices of second-order methods."""
    rows = [
        {
            "net": net.name,
            "weights n": f"{net.trained:,}",
            "matrix\nentries": f"{net.trained**2:.2g}",
            "matrix\nbytes": memory(FLOAT * net.trained**2),
            "of this\nmachine": f"{FLOAT * net.trained**2 / there_is:,.0f}x",
            "block\nentries": f"{net.largest**2:.2g}",
            "block\nbytes": memory(FLOAT * net.largest**2),
        }
        for net in nets
    ]
    notes = (
        "The Hessian, the matrix of BFGS and that of Gauss-Newton have n^2 entries; a "
        "step needs several such matrices. Block: the part of the Gauss-Newton matrix "
        "for the layer with the most weights alone.",
        f"This machine has {memory(there_is)} of memory.",
    )
    return tabulate("Curvature as a dense matrix, float32", rows, ["net"], notes)


def steps(nets: Sequence[Net], there_is: float) -> Table:
    """Tabulates the bytes of a step of each method."""
    rows = [
        {"net": net.name}
        | {name.replace("_", "\n"): memory(size) for name, size in net.steps.items()}
        for net in nets
    ]
    notes = (
        "Parameters, gradient and state, read off the optimizer's own init, and the "
        "dense matrices that it asks for; not the net's activations, nor the few "
        "vectors of conjugate gradients.",
        f"This machine has {memory(there_is)} of memory.",
    )
    return tabulate("One step of each method, float32", rows, ["net"], notes)


def conclusion(nets: Sequence[Net], there_is: float) -> str:
    """Says which methods fit this machine, and by how much the others do not."""
    small, large = nets[0], nets[-1]
    fit = [
        name for name in large.steps if all(net.steps[name] <= there_is for net in nets)
    ]
    parts = [
        f"The Hessian of {large.name} has {large.trained**2:.2g} entries, "
        f"{memory(FLOAT * large.trained**2)} in float32; that of {small.name}, the "
        f"smallest here, {small.trained**2:.2g} entries, "
        f"{memory(FLOAT * small.trained**2)}. This machine has {memory(there_is)}.",
        f"A step of {', '.join(fit)} fits for every net." if fit else "",
    ]
    others = [name for name in large.steps if name not in fit]
    if others:
        least = min(small.steps[name] for name in others)
        parts.append(
            f"The cheapest step of {', '.join(others)} takes {least / there_is:,.0f} "
            f"times this memory on {small.name}."
        )
    return " ".join(filter(None, parts))


if __name__ == "__main__":
    cli.run(main)
