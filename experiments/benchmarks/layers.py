"""Kinds of convolution: cost by the formula, counted off the program, and in time.

A step is the gradient of a layer's mean squared output by its weights, and the descent
along it, in ``lax.scan``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from experiments.benchmarks.suite import Ratio
from experiments.benchmarks.timing import Status, interleaved
from optlab.models import depthwise
from optlab.models.cost import multiply_adds
from optlab.report import Table, number, tabulate

#: XLA's own depthwise convolution.
NATIVE = "lax.conv with feature groups, steps scanned"


def measure(
    settings: Mapping[str, Any], repeats: int, status: Status
) -> tuple[Ratio, Table]:
    """Times one layer of each kind, as many outputs as inputs.

    ``settings`` has ``side`` and ``channels`` of the images, ``batch_size``, ``steps``
    of a round, and ``native_steps`` of XLA's depthwise convolution.

    Returns:
      The ratio of XLA's depthwise convolution to the shifted products, and the table.
    """
    side, channels = settings["side"], settings["channels"]
    shape = settings["batch_size"], side, side, channels
    draws = np.random.default_rng(0).normal(size=shape)
    images = jnp.asarray(draws, jnp.float32)
    layers = {
        kind: depthwise.convolution_of(kind, channels, channels, "he_normal")
        for kind in depthwise.KINDS
    }
    count: int = settings["steps"]
    steps = dict.fromkeys(layers, count)
    steps[NATIVE] = settings["native_steps"]
    native = nn.Conv(channels, (3, 3), feature_group_count=channels)
    timed = interleaved(
        {
            name: _steps(module, images, steps[name])
            for name, module in (layers | {NATIVE: native}).items()
        },
        repeats,
        status,
    )
    seconds = {
        name: tuple(each / steps[name] for each in rounds)
        for name, rounds in timed.items()
    }
    work = f"a depthwise step, 3x3, {shape[0]} x {side}x{side}x{channels}"
    ratio = Ratio(work, NATIVE, seconds[NATIVE], seconds["depthwise"])
    return ratio, _table(layers, images, seconds)


def _table(
    layers: Mapping[str, Any],
    images: jax.Array,
    seconds: Mapping[str, tuple[float, ...]],
) -> Table:
    """Sets formula, count and time side by side."""
    n, side, _, channels = images.shape
    standard = depthwise.cost("standard", (3, 3), channels, channels, side**2)
    rows = []
    for kind, module in layers.items():
        by_formula = depthwise.cost(kind, (3, 3), channels, channels, side**2)
        variables = jax.eval_shape(module.init, jax.random.key(0), images)
        kernels = [leaf for leaf in jax.tree.leaves(variables) if leaf.ndim > 1]
        counted = multiply_adds(module.apply, variables, images) // n
        times = np.array(seconds[kind])
        share = times / np.array(seconds["standard"])
        rows.append(
            {
                "layer": kind,
                "multiply-adds,\nformula": f"{by_formula.multiply_adds:,}",
                "counted": f"{counted:,}",
                "weights,\nformula": f"{by_formula.weights:,}",
                "in the\nlayer": f"{sum(leaf.size for leaf in kernels):,}",
                "of a\nstandard one": number(
                    by_formula.multiply_adds / standard.multiply_adds
                ),
                "time of\na step": f"{number(1e3 * float(np.median(times)))} ms",
                "of a standard\none's": number(float(np.median(share))),
            }
        )
    title = f"Convolutions of {side}x{side}x{channels}, as many outputs, 3x3"
    notes = (
        "Multiply-adds of one image, forward; counted: read off the layer's jaxpr. By "
        f"the formula a separable convolution has 1/{channels} + 1/9 of a standard "
        "one's. Time: a step of the whole batch with its gradient, in lax.scan.",
    )
    return tabulate(title, rows, ["layer"], notes)


def _steps(module: Any, images: jax.Array, count: int) -> Callable[[], None]:
    """Compiles ``count`` scanned steps of a layer."""

    def loss(variables, images):
        return jnp.mean(jnp.square(module.apply(variables, images)))

    @jax.jit
    def run(variables, images):
        def step(variables, _):
            gradient = jax.grad(loss)(variables, images)
            return jax.tree.map(lambda w, g: w - 0.01 * g, variables, gradient), None

        return lax.scan(step, variables, None, length=count)[0]

    variables = jax.jit(module.init)(jax.random.key(0), images)
    return lambda: jax.block_until_ready(run(variables, images))
