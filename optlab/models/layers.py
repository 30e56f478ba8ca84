"""Layers whose steps stay fast inside ``lax.scan`` and under ``vmap`` on a CPU.

A convolution is made of matrix products (``convolution.py``). Max pooling over windows
that do not overlap is a reshape and maxima of two: its gradient is a comparison, not a
scatter.

Dense layers hold examples as columns, ``W x + b`` with ``W`` ``[out, in]``: with
examples as rows, lanes transpose the kernels of their first layer and the values of the
others in every step, which costs a quarter of an MLP's sweep and a twelfth.
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
    """A dense layer, ``W x + b``, of examples that are columns.

    Attributes:
      features: number of outputs.
    """

    features: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Outputs ``[features, n]`` of ``[in, n]`` inputs."""
        init = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
        kernel = self.param("kernel", init, (self.features, inputs.shape[0]))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        return kernel @ inputs + bias[:, None]


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
