"""Layers that stay fast inside ``lax.scan`` and under ``vmap`` on a CPU.

XLA's CPU convolution is quick as a top-level operation and 17 to 80 times slower
inside a loop body, where its gradient in the kernel falls to a naive nest of loops.
Here a convolution is one matrix product over patches: the loop costs nothing, lanes
(``vmap`` over kernels) become a batched product instead of a grouped convolution, and
forward mode works, which ``jax.hessian`` and ``jax.jacfwd`` need. On an accelerator
``lax.conv_general_dilated`` is kept: the choice is made when a program is lowered.

Max pooling over windows that do not overlap is a reshape and maxima of two, for the
same reason: its gradient is a comparison, not a scatter.

A dense kernel is stored as ``[out, in]`` and is the first factor of its product:
otherwise lanes transpose that of their first layer in every step, which costs a
quarter of an MLP's sweep.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

#: Channels last, as flax has them.
DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def patch_convolution(
    images: jax.Array, kernel: jax.Array, strides: Any, padding: Any
) -> jax.Array:
    """Convolves by one matrix product: ``out[n, y, x] = patch(n, y, x) @ kernel``.

    Args:
      images: ``[n, height, width, in]``.
      kernel: ``[kh, kw, in, out]``.
      strides: vertical and horizontal step, two integers.
      padding: ``"SAME"``, ``"VALID"`` or ``((top, bottom), (left, right))``.

    Returns:
      ``[n, height', width', out]``, equal to ``lax.conv_general_dilated`` up to
      rounding.

    >>> x, k = jnp.ones((1, 3, 3, 1)), jnp.ones((3, 3, 1, 1))
    >>> patch_convolution(x, k, (1, 1), "SAME")[0, :, :, 0].tolist()
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    kh, kw, channels, out = kernel.shape
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(images.shape[1:3], (kh, kw), strides, padding)
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    # Columns first: the second step then copies kw pixels at once.
    strips = _windows(padded, 2, kw, strides[1])  # [n, height, columns, kw * in]
    patches = _windows(strips, 1, kh, strides[0])  # [n, rows, columns, kh * kw * in]
    # Behind the barrier the gradient of the kernel stays a product of its own shape;
    # XLA would fold the reshape into one that it has no fast kernel for.
    rows_of = lax.optimization_barrier(kernel.reshape(kh * kw * channels, out).T)
    return lax.dot_general(patches, rows_of, (((3,), (1,)), ((), ())))


def _windows(images: jax.Array, axis: int, size: int, stride: int) -> jax.Array:
    """Neighbours along an axis, side by side as channels."""
    count = (images.shape[axis] - size) // stride + 1
    last = (count - 1) * stride + 1
    shifts = [lax.slice_in_dim(images, i, i + last, stride, axis) for i in range(size)]
    return jnp.concatenate(shifts, axis=-1)


def _convolution(images, kernel, window_strides, padding, **options):
    """What ``nn.Conv`` calls: patches on a CPU, XLA's convolution elsewhere."""
    native = functools.partial(
        lax.conv_general_dilated,
        window_strides=window_strides,
        padding=padding,
        **options | {"dimension_numbers": DIMENSIONS},
    )
    dilations = (*options["lhs_dilation"], *options["rhs_dilation"])
    # Grouped and dilated ones have no patch form here: rarer than it is worth.
    if set(dilations) != {1} or options["feature_group_count"] != 1:
        return native(images, kernel)
    return lax.platform_dependent(
        images,
        kernel,
        cpu=lambda x, k: patch_convolution(x, k, window_strides, padding),
        default=native,
    )


#: ``flax.linen.Conv`` for two-dimensional images, on the convolution above.
Conv = functools.partial(nn.Conv, conv_general_dilated=_convolution)


class Dense(nn.Module):
    """``flax.linen.Dense`` with its kernel the other way round, ``[out, in]``.

    Attributes:
      features: number of outputs.
    """

    features: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Outputs ``[..., features]`` of ``[..., in]`` inputs."""
        init = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
        kernel = self.param("kernel", init, (self.features, inputs.shape[-1]))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        last = inputs.ndim - 1
        outputs = lax.dot_general(kernel, inputs, (((1,), (last,)), ((), ())))
        return jnp.moveaxis(outputs, 0, -1) + bias


def max_pool(images: jax.Array, window: int = 2) -> jax.Array:
    """The maximum of each ``window`` by ``window`` block; a remainder is cut off.

    Where several pixels of a block tie for the maximum, they share its gradient.

    Args:
      images: ``[n, height, width, channels]``.
      window: the block's side, static.

    Returns:
      ``[n, height // window, width // window, channels]``.

    >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    for axis in (2, 1):
        count = images.shape[axis] // window
        whole = lax.slice_in_dim(images, 0, count * window, axis=axis)
        blocks = whole.reshape(
            *whole.shape[:axis], count, window, *whole.shape[axis + 1 :]
        )
        each = [lax.index_in_dim(blocks, i, axis + 1, False) for i in range(window)]
        images = functools.reduce(jnp.maximum, each)
    return images
