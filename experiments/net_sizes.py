"""Sizes of published nets and of what methods hold of them, traced and in tables."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import optlab.curvature.products as curvature
from optlab import models
from optlab.models.cost import products
from optlab.optim.contract import extra_args
from optlab.report import Table, tabulate
from optlab.report.wording import byte_size

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

    >>> from optlab import optim
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
            "float32": byte_size(FLOAT * net.parameters),
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
            "matrix\nbytes": byte_size(FLOAT * net.trained**2),
            "of this\nmachine": f"{FLOAT * net.trained**2 / there_is:,.0f}x",
            "block\nentries": f"{net.largest**2:.2g}",
            "block\nbytes": byte_size(FLOAT * net.largest**2),
        }
        for net in nets
    ]
    notes = (
        "The Hessian, the matrix of BFGS and that of Gauss-Newton have n^2 entries; a "
        "step needs several such matrices. Block: the part of the Gauss-Newton matrix "
        "for the layer with the most weights alone.",
        f"This machine has {byte_size(there_is)} of memory.",
    )
    return tabulate("Curvature as a dense matrix, float32", rows, ["net"], notes)


def steps(nets: Sequence[Net], there_is: float) -> Table:
    """Tabulates the bytes of a step of each method."""
    rows = [
        {"net": net.name}
        | {name.replace("_", "\n"): byte_size(n) for name, n in net.steps.items()}
        for net in nets
    ]
    notes = (
        "Parameters, gradient and state, read off the optimizer's own init, and the "
        "dense matrices that it asks for; not the net's activations, nor the few "
        "vectors of conjugate gradients.",
        f"This machine has {byte_size(there_is)} of memory.",
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
        f"{byte_size(FLOAT * large.trained**2)} in float32; that of {small.name}, the "
        f"smallest here, {small.trained**2:.2g} entries, "
        f"{byte_size(FLOAT * small.trained**2)}. This machine has "
        f"{byte_size(there_is)}.",
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
