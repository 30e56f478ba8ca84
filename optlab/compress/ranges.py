"""Ranges of activations, and nets whose layers take inputs of few bits.

    s = (high - low) / (2^b - 1),   x^ = s (clip(round(x / s) + z) - z)

The range [low, high] of a layer's inputs is found offline, from batches of a
calibration set, or online, from each batch itself. Offline ranges clip what lies
outside; that helps where few large values would make all steps coarse.

B. Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", 2018, section 3.1 (moving averages); R.
Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018,
section 3.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from optlab.compress.codebook import check_bits
from optlab.compress.linear import (
    Quantized,
    dequantize,
    integer_product,
    quantize_within,
)
from optlab.compress.plain import plain
from optlab.errors import InputError
from optlab.models.layers import Dense
from optlab.problems import Problem

#: Shares of the full range that the least squared error is searched among.
GRID = 100


def min_max(batches: jax.Array) -> jax.Array:
    """Takes the smallest and the largest value of all batches.

    Args:
      batches: inputs of a layer, ``[batches, n]``.

    Returns:
      ``[2]``: low and high.

    >>> min_max(jnp.array([[0.0, 1.0], [-2.0, 3.0]])).tolist()
    [-2.0, 3.0]
    """
    return jnp.stack([batches.min(), batches.max()])


def moving_average(batches: jax.Array, momentum: Any = 0.9) -> jax.Array:
    """Averages the ends of the batches' ranges, with exponentially falling weights.

    Args:
      batches: inputs of a layer, ``[batches, n]``, oldest first.
      momentum: weight of the past, in [0, 1); may be a tracer.

    Returns:
      ``[2]``: low and high.

    >>> moving_average(jnp.array([[0.0, 1.0], [-2.0, 3.0]]), 0.5).tolist()
    [-1.0, 2.0]
    """
    ends = jnp.stack([batches.min(axis=1), batches.max(axis=1)], axis=1)
    step = lambda old, new: (momentum * old + (1 - momentum) * new, None)  # noqa: E731
    return lax.scan(step, ends[0], ends[1:])[0]


def percentile(batches: jax.Array, percent: Any = 99.9) -> jax.Array:
    """Cuts the same share of values off at both ends.

    Args:
      batches: inputs of a layer, ``[batches, n]``.
      percent: percentage of values below the high end, over 50; may be a tracer.

    Returns:
      ``[2]``: low and high.

    >>> [round(float(end), 3) for end in percentile(jnp.arange(101.0)[None], 90.0)]
    [10.0, 90.0]
    """
    return jnp.percentile(batches, jnp.stack([100.0 - percent, 1.0 * percent]))


def least_squares(batches: jax.Array, bits: int = 8) -> jax.Array:
    """Shrinks the full range to where the squared error of rounding is least.

    Args:
      batches: inputs of a layer, ``[batches, n]``.
      bits: bits of a value, 1 to 8.

    Returns:
      ``[2]``: low and high.

    Raises:
      InputError: bits outside 1 to 8.
    """
    check_bits(bits)
    full = min_max(batches)

    def error(share):
        rounded = dequantize(quantize_within(batches, share * full, bits))
        return jnp.mean((batches - rounded) ** 2)

    shares = jnp.arange(1, GRID + 1) / GRID
    return shares[jnp.argmin(lax.map(error, shares))] * full


#: Name to function (batches, ...) -> range.
RANGES: dict[str, Callable[..., jax.Array]] = {
    "min_max": min_max,
    "moving_average": moving_average,
    "percentile": percentile,
    "least_squares": least_squares,
}


def observe(problem: Problem, params: Any, model_state: Any, inputs: Any) -> Any:
    """Collects what each layer with weights takes, for inputs of a calibration set.

    Args:
      problem: problem of the net.
      params: parameters of the net.
      model_state: batch statistics and the like.
      inputs: ``[batches, n, ...]``, prepared.

    Returns:
      Layer's name to its inputs, ``[batches, numbers]``.

    Raises:
      InputError: the net calls no layer with weights by name.
    """

    def of_batch(batch):
        seen: dict[str, jax.Array] = {}

        def note(name, x):
            seen[name] = x.ravel()
            return x

        with nn.intercept_methods(_before_layers(note)):
            problem.outputs(params, model_state, batch)
        return seen

    found = lax.map(of_batch, inputs)
    if not found:
        raise InputError("this net has no Dense or Conv, whose inputs have ranges")
    return found


def quantized(problem: Problem, bits: int = 8, integer: bool = False) -> Problem:
    """Makes the problem of evaluating a net whose layers take inputs of few bits.

    Args:
      problem: problem of the net with float activations.
      bits: bits of an input of a layer, 1 to 8.
      integer: whether dense layers with `Quantized` kernels multiply whole numbers and
        sum them in int32; otherwise, and in convolutions, rounded floats are multiplied
        (fake quantization), which is the same up to the rounding of sums.

    Returns:
      The problem. Kernels of its parameters may be `Quantized`. A model state with
      ``ranges`` (layer's name to ``[2]``, see `RANGES`) has offline ranges; without,
      each batch has its own. Training is not changed.

    Raises:
      InputError: bits outside 1 to 8; or, when it is evaluated, a layer without range.
    """
    check_bits(bits)

    def outputs(net, state, inputs):
        others = {key: each for key, each in state.items() if key != "ranges"}
        ranges = state.get("ranges")

        def rounded(name, x):
            if ranges is not None and name not in ranges:
                raise InputError(f"the layer {name} has no range: calibrate it, too")
            range_ = min_max(x[None]) if ranges is None else ranges[name]
            return quantize_within(x, range_, bits)

        def layer(call, arguments, keywords, context):
            name = _layer(context)
            if name is None:
                return call(*arguments, **keywords)
            x, *rest = arguments
            weights = _at(net, context.module.path)
            whole = rounded(name, x)
            if not (
                integer
                and isinstance(context.module, Dense)
                and isinstance(weights["kernel"], Quantized)
            ):
                return call(dequantize(whole), *rest, **keywords)
            return integer_product(weights["kernel"], whole) + weights["bias"][:, None]

        with nn.intercept_methods(layer):
            return problem.outputs(plain(net), others, inputs)

    return dataclasses.replace(problem, outputs=outputs)


def _before_layers(function: Callable[[str, Any], Any]) -> Callable[..., Any]:
    """Makes an interceptor that applies a function to the inputs of layers."""

    def intercept(call, arguments, keywords, context):
        if (name := _layer(context)) is None:
            return call(*arguments, **keywords)
        x, *rest = arguments
        return call(function(name, x), *rest, **keywords)

    return intercept


def _layer(context: Any) -> str | None:
    """Name of the layer that is called; None where it is none with a kernel."""
    kinds = Dense, nn.Dense, nn.Conv
    if context.method_name == "__call__" and isinstance(context.module, kinds):
        return "/".join(context.module.path)
    return None


def _at(net: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    for name in path:
        net = net[name]
    return net
