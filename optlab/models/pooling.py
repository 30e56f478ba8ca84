"""Pooling that stays fast inside ``lax.scan`` and under ``vmap`` on a CPU.

Windows are taken apart along one axis after the other. Where they do not overlap that
is a reshape, and the gradient of a maximum is a comparison, not a scatter; where they
do, it is slices that are shifted against each other.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from optlab.errors import InputError


def max_pool(images: jax.Array, window: int = 2, stride: int | None = None):
    """Takes the maximum of each ``window`` by ``window`` block, cutting a remainder.

    Where several pixels of a block tie for the maximum, they share its gradient.

    Args:
      images: ``[n, height, width, channels]``.
      window: side of a block, static.
      stride: pixels from a block to the next, static; None: blocks lie side by side.
        Less than ``window``: they overlap (A. Krizhevsky et al., "ImageNet
        Classification with Deep Convolutional Neural Networks", 2012, section 3.4).

    Returns:
      ``[n, height', width', channels]`` with ``(side - window) // stride + 1`` for a
      side.

    >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    >>> max_pool(jnp.arange(9.0).reshape(1, 3, 3, 1), 2, 1)[0, :, :, 0].tolist()
    [[4.0, 5.0], [7.0, 8.0]]
    """
    return _pool(images, window, stride, jnp.maximum)


def average_pool(images: jax.Array, window: int = 2, stride: int | None = None):
    """Takes the mean of each ``window`` by ``window`` block, cutting a remainder.

    Args:
      images: ``[n, height, width, channels]``.
      window: side of a block, static.
      stride: pixels from a block to the next, static; None: blocks lie side by side.

    Returns:
      ``[n, height', width', channels]``, as `max_pool`.

    >>> average_pool(jnp.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    return _pool(images, window, stride, jnp.add) / window**2


def global_average_pool(images: jax.Array) -> jax.Array:
    """Takes the mean of every channel.

    Args:
      images: ``[n, height, width, channels]``.

    Returns:
      ``[n, channels]``.
    """
    return images.mean(axis=(1, 2))


def check_halvings(name: str, images: jax.Array, features: tuple[int, ...]) -> None:
    """Refuses inputs that are no images, or too small for a net's pooling.

    Args:
      name: name of the net for the message.
      images: inputs of the net.
      features: channels of each convolution, after which the sides are halved.

    Raises:
      InputError: see above.
    """
    shape = images.shape[1:]
    if len(shape) != 3 or min(shape[:2]) < 2 ** len(features):
        raise InputError(
            f"{name}: inputs of shape {shape} are no images [height, width, channels] "
            f"that each of features={features} can halve: reshape them, or "
            "give fewer features"
        )


def _pool(
    images: jax.Array,
    window: int,
    stride: int | None,
    join: Callable[[jax.Array, jax.Array], jax.Array],
) -> jax.Array:
    stride = window if stride is None else stride
    if window < 1 or stride < 1 or window > min(images.shape[1:3]):
        raise InputError(
            f"pooling: window={window} and stride={stride} must be one or more, and "
            f"the window fit into images of {images.shape[1:3]}"
        )
    for axis in (2, 1):
        count = (images.shape[axis] - window) // stride + 1
        if window == stride:
            whole = lax.slice_in_dim(images, 0, count * window, axis=axis)
            before, after = whole.shape[:axis], whole.shape[axis + 1 :]
            blocks = whole.reshape(*before, count, window, *after)
            each = [lax.index_in_dim(blocks, i, axis + 1, False) for i in range(window)]
        else:
            end = (count - 1) * stride + 1
            each = [
                lax.slice_in_dim(images, i, i + end, stride, axis)
                for i in range(window)
            ]
        images = functools.reduce(join, each)
    return images
