"""Linear quantization to a few bits: a weight is a whole number times a scale.

    symmetric   s = max|x| / (2^(b-1) - 1),   q = round(x / s),      x^ = s q
    asymmetric  s = (max - min) / (2^b - 1),  q = round(x / s) + z,  x^ = s (q - z)

with z = -2^(b-1) - round(min / s), so that q lies in [-2^(b-1), 2^(b-1) - 1] and fits a
signed byte. The range always holds 0, which is exact. One scale for the whole array, or
one for each index of an axis (an output channel).

B. Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", 2018, equations 1 to 5.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from optlab.compress.codebook import check_bits


class Quantized(NamedTuple):
    """An array of whole numbers with what they are worth."""

    values: jax.Array  # [...], int8
    scale: jax.Array  # [1, ..., n, ..., 1], or [1, ..., 1] for the whole array
    zero: jax.Array  # int8 of the scale's shape: the whole number that stands for 0


def quantize(
    array: jax.Array, bits: int = 8, axis: int | None = None, symmetric: bool = True
) -> Quantized:
    """Rounds an array to whole numbers of a few bits.

    Args:
      array: floating-point array.
      bits: bits of a whole number, 1 to 8 (2 or more where symmetric).
      axis: axis whose indices have a scale each; None for one scale.
      symmetric: whether the range is [-max|x|, max|x|], and the zero point 0.

    Returns:
      Values, scale and zero point.

    Raises:
      InputError: bits outside 1 to 8, or 1 bit and symmetric.

    >>> q = quantize(jnp.array([-1.0, 0.0, 0.5, 2.0]), bits=2, symmetric=False)
    >>> q.values.tolist(), q.scale.item(), q.zero.item()
    ([-2, -1, -1, 1], 1.0, -1)
    >>> dequantize(q).tolist()
    [-1.0, 0.0, 0.0, 2.0]
    """
    check_bits(bits)
    over = within_scale(array, axis)
    if not symmetric:
        ends = [end(array, axis=over, keepdims=True) for end in (jnp.min, jnp.max)]
        return quantize_within(array, ends, bits)
    check_bits(bits, least=2)
    most = 2 ** (bits - 1) - 1
    scale = _not_zero(jnp.max(jnp.abs(array), axis=over, keepdims=True) / most)
    values = jnp.clip(jnp.round(array / scale), -most, most)
    return Quantized(values.astype(jnp.int8), scale, jnp.zeros(scale.shape, jnp.int8))


def quantize_within(array: jax.Array, range_: Any, bits: int = 8) -> Quantized:
    """Rounds an array to whole numbers over a given range.

    Args:
      array: floating-point array.
      range_: low and high, which are widened to hold 0: two numbers, or two arrays of
        the scale's shape.
      bits: bits of a value, 1 to 8.

    Returns:
      Values, scale and zero point; what lies outside is clipped.

    Raises:
      InputError: bits outside 1 to 8.

    >>> dequantize(quantize_within(jnp.array([0.0, 1.4, 9.0]), (0.0, 3.0), 2)).tolist()
    [0.0, 1.0, 3.0]
    """
    check_bits(bits)
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    one = (1,) * array.ndim
    low, high = (jnp.reshape(end, jnp.shape(end) or one) for end in range_)
    low, high = jnp.minimum(low, 0), jnp.maximum(high, 0)
    scale = _not_zero((high - low) / (2**bits - 1))
    zero = (least - jnp.round(low / scale)).astype(jnp.int8)
    values = jnp.clip(jnp.round(array / scale) + zero, least, most)
    return Quantized(values.astype(jnp.int8), scale, zero)


def within_scale(array: jax.Array, axis: int | None) -> tuple[int, ...]:
    """Finds the axes over which numbers share a scale: all but the one given.

    >>> within_scale(jnp.zeros((2, 3, 4)), -1), within_scale(jnp.zeros(2), None)
    ((0, 1), (0,))
    """
    own = None if axis is None else range(array.ndim)[axis]
    return tuple(i for i in range(array.ndim) if i != own)


def _not_zero(scale: jax.Array) -> jax.Array:
    # Guard: an array of zeros has no range, and any scale serves it.
    return jnp.where(scale > 0, scale, 1)


def dequantize(quantized: Quantized) -> jax.Array:
    """Computes the numbers that whole numbers stand for.

    Args:
      quantized: values, scale and zero point.

    Returns:
      An array of the values' shape and the scale's type.
    """
    values, scale, zero = quantized
    return (values.astype(scale.dtype) - zero.astype(scale.dtype)) * scale


def integer_product(weights: Quantized, inputs: Quantized) -> jax.Array:
    """Multiplies in whole numbers: int8 by int8, summed in int32, scaled at the end.

    Args:
      weights: ``[out, in]``, with one scale or one for each output (``axis=0``).
      inputs: ``[in, n]``, with one scale.

    Returns:
      ``[out, n]``: ``dequantize(weights) @ dequantize(inputs)`` up to the rounding of
      that product, where the sums here are exact.

    >>> w = quantize(jnp.array([[1.0, -2.0]]))
    >>> x = quantize(jnp.array([[3.0], [0.5]]))
    >>> bool(jnp.allclose(integer_product(w, x), dequantize(w) @ dequantize(x)))
    True
    """
    sums = lax.dot_general(
        weights.values,
        inputs.values,
        (((1,), (0,)), ((), ())),
        preferred_element_type=jnp.int32,
    )
    # (q - z)(p - y) = q p - z p - y q + z y, summed over the common axis.
    z, y = weights.zero.astype(jnp.int32), inputs.zero.astype(jnp.int32)
    ones = weights.values.shape[1]
    of_inputs = jnp.sum(inputs.values, axis=0, keepdims=True, dtype=jnp.int32)
    of_weights = jnp.sum(weights.values, axis=1, keepdims=True, dtype=jnp.int32)
    sums = sums - z * of_inputs - y * of_weights + ones * z * y
    return sums.astype(weights.scale.dtype) * (weights.scale * inputs.scale)
