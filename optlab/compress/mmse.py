"""Scales of the least squared error, for the few levels of 4 bits and fewer.

    min over a > 0, Q in [-2^(b-1), 2^(b-1) - 1]^n  of  ||T - a Q||^2

Given a, Q = clip(round(T / a)); given Q, a = <T, Q> / <Q, Q>. The error has
several local minima: a grid of scales is searched first, then the two steps alternate
from the best of them.
The largest weights are clipped where that costs less than coarser steps for all others.

Layers that lose too much get two tensors, T ~ a_1 Q_1 + a_2 Q_2: the same search on
what the first one leaves, and then both scales together by least squares,

    a = G^-1 b,   G_ij = <Q_i, Q_j>,   b_i = <T, Q_i>

Y. Choukroun, E. Kravchik, F. Yang, P. Kisilev, "Low-bit quantization of neural networks
for efficient inference", 2019, section 3.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from optlab.compress.codebook import check_bits
from optlab.compress.linear import Quantized, dequantize, within_scale

#: Scales that are tried, as evenly spaced shares of the one that clips nothing.
GRID = 100

#: Alternations after the grid.
ALTERNATIONS = 10


def mmse_quantize(
    array: jax.Array, bits: int = 4, axis: int | None = None
) -> Quantized:
    """Rounds an array to whole numbers with the scale of the least squared error.

    Args:
      array: floating-point array.
      bits: bits of a whole number, 2 to 8.
      axis: axis whose indices have a scale each; None for one scale.

    Returns:
      Values, scale and a zero point of 0.

    Raises:
      InputError: bits outside 2 to 8.

    >>> from optlab.compress.linear import dequantize, quantize
    >>> x = jax.random.normal(jax.random.key(0), (100_000,))
    >>> error = lambda q: float(jnp.mean((x - dequantize(q)) ** 2))
    >>> round(error(quantize(x, bits=4)), 3), round(error(mmse_quantize(x)), 3)
    (0.035, 0.012)
    """
    check_bits(bits, least=2)
    over = within_scale(array, axis)
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    levels = lambda scale: jnp.clip(jnp.round(array / scale), least, most)  # noqa: E731
    total = lambda x: jnp.sum(x, axis=over, keepdims=True)  # noqa: E731

    def error(scale):
        return total((array - scale * levels(scale)) ** 2)

    def better(best, share):
        scale = share * widest
        found = error(scale)
        return (
            jnp.where(found < best[1], scale, best[0]),
            jnp.minimum(found, best[1]),
        ), None

    widest = jnp.max(jnp.abs(array), axis=over, keepdims=True) / most
    widest = jnp.where(widest > 0, widest, 1)  # an array of zeros
    shares = jnp.arange(1, GRID + 1) / GRID
    (scale, _), _ = lax.scan(better, (widest, error(widest)), shares)

    def alternate(_, scale):
        q = levels(scale)
        product = total(array * q)
        return jnp.where(product > 0, product / jnp.maximum(total(q * q), 1), scale)

    scale = lax.fori_loop(0, ALTERNATIONS, alternate, scale)
    return Quantized(
        levels(scale).astype(jnp.int8), scale, jnp.zeros(scale.shape, jnp.int8)
    )


class TwoTensors(NamedTuple):
    """An array as the sum of two arrays of whole numbers with their scales."""

    first: Quantized
    second: Quantized


def mmse_two_tensors(
    array: jax.Array, bits: int = 4, axis: int | None = None
) -> TwoTensors:
    """Approximates an array by two arrays of few bits, for twice the bits.

    Args:
      array: floating-point array.
      bits: bits of a whole number of either array, 2 to 8.
      axis: axis whose indices have scales of their own; None for one pair of scales.

    Returns:
      The two arrays; their sum is the approximation, see `sum_of_two`.

    Raises:
      InputError: bits outside 2 to 8.

    >>> x = jax.random.normal(jax.random.key(0), (100_000,))
    >>> both = mmse_two_tensors(x, bits=4)
    >>> bool(jnp.mean((x - sum_of_two(both)) ** 2) < 0.001)
    True
    """
    first = mmse_quantize(array, bits, axis)
    second = mmse_quantize(array - dequantize(first), bits, axis)
    q, p = (each.values.astype(array.dtype) for each in (first, second))
    over = within_scale(array, axis)
    dot = lambda x, y: jnp.sum(x * y, axis=over, keepdims=True)  # noqa: E731
    qq, qp, pp, tq, tp = dot(q, q), dot(q, p), dot(p, p), dot(array, q), dot(array, p)
    determinant = qq * pp - qp * qp
    # Guard: parallel or empty arrays leave the scales open; those found stay.
    solvable = determinant > 1e-6 * qq * pp
    safe = jnp.where(solvable, determinant, 1)
    one = jnp.where(solvable, (pp * tq - qp * tp) / safe, first.scale)
    two = jnp.where(solvable, (qq * tp - qp * tq) / safe, second.scale)
    return TwoTensors(first._replace(scale=one), second._replace(scale=two))


def sum_of_two(both: TwoTensors) -> jax.Array:
    """Computes the array that two tensors stand for."""
    return dequantize(both.first) + dequantize(both.second)
