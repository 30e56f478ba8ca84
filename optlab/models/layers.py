"""Layers whose steps stay fast inside ``lax.scan`` and under ``vmap`` on a CPU.

A convolution is made of matrix products (``convolution.py``). Max pooling over windows
that do not overlap is a reshape and maxima of two: its gradient is a comparison, not a
scatter.

A dense kernel is stored as ``[out, in]`` and is the first factor of its product:
otherwise lanes transpose that of their first layer in every step, which costs a
quarter of an MLP's sweep.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from optlab.models.convolution import convolution

#: ``flax.linen.Conv`` for two-dimensional images, on convolutions of our own.
Conv = functools.partial(nn.Conv, conv_general_dilated=convolution)


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
