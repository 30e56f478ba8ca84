"""Convolutions that stay fast inside ``lax.scan`` and under ``vmap`` on a CPU.

XLA's CPU convolution is 17 to 80 times slower inside a loop body, where the gradient by
the kernel is computed by naive nested loops. Matrix products, over patches or by
Winograd's algorithm, are as fast there as outside, ``vmap`` over kernels gives batched
products instead of a grouped convolution, and forward mode works, which ``jax.hessian``
needs. A depthwise convolution is a sum of shifted products, to the same end. Programs
for an accelerator use ``lax.conv_general_dilated``: the choice is made when a program
is lowered.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

#: Smallest number of channels that Winograd's algorithm is faster for.
WINOGRAD_CHANNELS = 32


def convolution(
    images: jax.Array,
    kernel: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    **options: Any,
) -> jax.Array:
    """Convolves; replaces ``lax.conv_general_dilated`` inside ``flax.linen.Conv``.

    Args:
      images: ``[n, height, width, in]``.
      kernel: ``[kh, kw, in, out]``.
      window_strides: vertical and horizontal step.
      padding: ``"SAME"``, ``"VALID"``, or ``((top, bottom), (left, right))`` zeros.
      **options: further arguments of ``lax.conv_general_dilated``.

    Returns:
      ``[n, height', width', out]``: on a CPU by matrix products, or by shifted products
      where each channel has kernels of its own; by XLA's own convolution elsewhere, and
      for dilated or otherwise grouped convolutions.
    """
    native = functools.partial(
        lax.conv_general_dilated,
        window_strides=window_strides,
        padding=padding,
        **options,
    )
    dilations = (*options["lhs_dilation"], *options["rhs_dilation"])
    groups, depthwise = options["feature_group_count"], kernel.shape[2] == 1
    # Dilated and other grouped convolutions are too rare for a form of their own.
    if set(dilations) != {1} or not (groups == 1 or depthwise):
        return native(images, kernel)
    window, sides = kernel.shape[:2], images.shape[1:3]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(sides, window, window_strides, padding)

    def by_products(images: jax.Array, kernel: jax.Array) -> jax.Array:
        padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
        if groups > 1:
            return depthwise_convolution(padded, kernel, window_strides)
        if (
            (*window, *window_strides) == (3, 3, 1, 1)
            and kernel.shape[2] >= WINOGRAD_CHANNELS
            and padded.shape[1] % 2 == padded.shape[2] % 2 == 0
            and images.dtype.itemsize >= 4  # halves would round the sums themselves
        ):
            return winograd_convolution(padded, kernel)
        return patch_convolution(padded, kernel, window_strides)

    return lax.platform_dependent(images, kernel, cpu=by_products, default=native)


def patch_convolution(
    images: jax.Array, kernel: jax.Array, strides: Sequence[int]
) -> jax.Array:
    """Convolves by one matrix product: ``out[n, y, x] = patch(n, y, x) @ kernel``.

    Args:
      images: padded images ``[n, height, width, in]``.
      kernel: ``[kh, kw, in, out]``.
      strides: vertical and horizontal step.

    Returns:
      ``[n, height', width', out]``, equal to ``lax.conv_general_dilated`` with
      ``"VALID"`` padding up to rounding.

    >>> x, k = jnp.ones((1, 3, 4, 1)), jnp.ones((3, 3, 1, 1))
    >>> patch_convolution(x, k, (1, 1))[0, :, :, 0].tolist()
    [[9.0, 9.0]]
    """
    kh, kw, channels, out = kernel.shape
    # Columns first: the second step then copies kw pixels at once.
    strips = _windows(images, 2, kw, strides[1])  # [n, height, columns, kw * in]
    patches = _windows(strips, 1, kh, strides[0])  # [n, rows, columns, kh * kw * in]
    # Guard: without the barrier XLA folds the reshape into the product of the kernel's
    # gradient, which gets a shape that it has no fast kernel for.
    rows_of = lax.optimization_barrier(kernel.reshape(kh * kw * channels, out).T)
    return lax.dot_general(patches, rows_of, (((3,), (1,)), ((), ())))


def _windows(images: jax.Array, axis: int, size: int, stride: int) -> jax.Array:
    """Stacks neighbors along an axis as channels."""
    count = (images.shape[axis] - size) // stride + 1
    last = (count - 1) * stride + 1
    shifts = [lax.slice_in_dim(images, i, i + last, stride, axis) for i in range(size)]
    return jnp.concatenate(shifts, axis=-1)


def depthwise_convolution(
    images: jax.Array, kernel: jax.Array, strides: Sequence[int]
) -> jax.Array:
    """Convolves each channel by kernels of its own, as a sum of shifted products.

    out[n, y, x, cm + q] = sum over i, j of in[n, y + i, x + j, c] kernel[i, j, cm + q]

    with m kernels a channel (F. Chollet, "Xception", 2017; L. Kaiser et al., "Depthwise
    Separable Convolutions for Neural Machine Translation", 2018).

    Args:
      images: padded images ``[n, height, width, in]``.
      kernel: ``[kh, kw, 1, in * m]``.
      strides: vertical and horizontal step.

    Returns:
      ``[n, height', width', in * m]``, equal to ``lax.conv_general_dilated`` with
      ``feature_group_count=in`` and ``"VALID"`` padding up to rounding.

    >>> x, k = jnp.ones((1, 3, 4, 2)), jnp.ones((3, 3, 1, 2)) * jnp.array([1.0, 2.0])
    >>> depthwise_convolution(x, k, (1, 1)).tolist()
    [[[[9.0, 18.0], [9.0, 18.0]]]]
    """
    kh, kw, _, out = kernel.shape
    if out > images.shape[3]:
        images = jnp.repeat(images, out // images.shape[3], axis=3)
    counts = [
        (side - size) // stride + 1
        for side, size, stride in zip(images.shape[1:3], (kh, kw), strides, strict=True)
    ]
    ends = [
        (count - 1) * stride + 1 for count, stride in zip(counts, strides, strict=True)
    ]
    total = jnp.zeros((), images.dtype)
    for i, j in itertools.product(range(kh), range(kw)):
        rows = lax.slice_in_dim(images, i, i + ends[0], strides[0], axis=1)
        shifted = lax.slice_in_dim(rows, j, j + ends[1], strides[1], axis=2)
        total = total + shifted * kernel[i, j, 0]
    return total


def winograd_convolution(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """Convolves by a 3 x 3 kernel with 16 products per 2 x 2 outputs instead of 36.

    Along one axis, two outputs y are sums of four products of three weights g and
    four pixels d::

        m0 = (d0 - d2) g0                   m3 = (d1 - d3) g2
        m1 = (d1 + d2) (g0 + g1 + g2) / 2   y0 = m0 + m1 + m2
        m2 = (d2 - d1) (g0 - g1 + g2) / 2   y1 = m1 - m2 - m3

    (S. Winograd; A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural
    Networks", 2015, F(2x2, 3x3)). Along both axes there are 16 matrix products of
    ``[blocks, in]`` with ``[in, out]``, on 4 numbers per pixel where patches have 9.

    Args:
      images: padded images ``[n, height, width, in]``, height and width even.
      kernel: ``[3, 3, in, out]``.

    Returns:
      ``[n, height', width', out]``, as `patch_convolution` with strides of one. The
      root mean square of rounding errors is smaller than there in outputs, and less
      than twice as large in gradients.

    >>> x, k = jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1))
    >>> winograd_convolution(x, k)[0, :, :, 0].tolist()
    [[9.0, 9.0], [9.0, 9.0]]
    """
    blocks = _both_axes(_pixel_sums, images, 2, 1)
    weights = _both_axes(_weight_sums, kernel, 1, 0)
    products = lax.dot_general(
        jnp.stack(blocks).reshape(16, -1, kernel.shape[2]),
        jnp.stack(weights),
        (((2,), (1,)), ((0,), (0,))),
    )
    n, rows, columns, out = blocks[0].shape[:3] + kernel.shape[3:]
    products = products.reshape(4, 4, n, rows, columns, out)
    left_right = [
        jnp.stack(_product_sums(column, 0), axis=2)  # [n, rows, 2, columns, out]
        for column in _product_sums(products, 0)
    ]
    return jnp.stack(left_right, axis=4).reshape(n, 2 * rows, 2 * columns, out)


def _both_axes(sums, array: jax.Array, first: int, second: int) -> list[jax.Array]:
    """Applies a function of sums along one axis, then along another to each result."""
    return [each for some in sums(array, first) for each in sums(some, second)]


def _pixel_sums(images: jax.Array, axis: int) -> tuple[jax.Array, ...]:
    """Sums pixels of every window of four, windows being two pixels apart."""
    pairs = images.shape[axis] // 2
    shape = *images.shape[:axis], pairs, 2, *images.shape[axis + 1 :]
    evens, odds = _parts(images.reshape(shape), axis + 1)
    d0, d2 = (lax.slice_in_dim(evens, i, i + pairs - 1, axis=axis) for i in (0, 1))
    d1, d3 = (lax.slice_in_dim(odds, i, i + pairs - 1, axis=axis) for i in (0, 1))
    return d0 - d2, d1 + d2, d2 - d1, d1 - d3


def _weight_sums(kernel: jax.Array, axis: int) -> tuple[jax.Array, ...]:
    g0, g1, g2 = _parts(kernel, axis)
    return g0, (g0 + g1 + g2) / 2, (g0 - g1 + g2) / 2, g2


def _product_sums(products: jax.Array, axis: int) -> tuple[jax.Array, ...]:
    m0, m1, m2, m3 = _parts(products, axis)
    return m0 + m1 + m2, m1 - m2 - m3


def _parts(array: jax.Array, axis: int) -> list[jax.Array]:
    """Splits an axis into its entries; a split's gradient is one concatenation."""
    parts = lax.split(array, (1,) * array.shape[axis], axis)
    return [lax.squeeze(part, (axis,)) for part in parts]
