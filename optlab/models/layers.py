"""Layers whose steps stay fast inside ``lax.scan`` and under ``vmap`` on a CPU.

A convolution is made of matrix products (``convolution.py``). Max pooling over windows
that do not overlap is a reshape and maxima of two: its gradient is a comparison, not a
scatter. Dropout takes a share that may be a tracer.

Dense layers hold examples as columns, ``W x + b`` with ``W`` ``[out, in]``: with
examples as rows, lanes (``vmap`` over parameters) transpose the kernels of the first
layer and the values of the others in every step, a quarter of an MLP's time.
"""

import functools
import numbers
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from optlab.errors import InputError
from optlab.models.convolution import convolution

#: ``flax.linen.Conv`` for two-dimensional images, by `convolution`.
Conv = functools.partial(nn.Conv, conv_general_dilated=convolution)


class Dense(nn.Module):
    """A dense layer, ``W x + b``, of examples that are columns.

    Attributes:
      features: number of outputs.
      initial_scale: factor on the initial ``W``, which is LeCun's normal one; may be
        a tracer.
    """

    features: int
    initial_scale: float = 1.0

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Computes outputs ``[features, n]`` of inputs ``[in, n]``."""
        normal = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
        kernel = self.param(
            "kernel",
            lambda *args: self.initial_scale * normal(*args),
            (self.features, inputs.shape[0]),
        )
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        return kernel @ inputs + bias[:, None]


class Dropout(nn.Module):
    """Sets a random share of the inputs to zero and scales up the others.

    The expectation of an output is its input (N. Srivastava et al., "Dropout: A Simple
    Way to Prevent Neural Networks from Overfitting", 2014). Masks come from the
    ``dropout`` key and depend on the share only through the threshold: a larger share
    drops what a smaller one drops, and more.

    Attributes:
      share: probability that an input becomes zero, in [0, 1); may be a tracer.
      deterministic: whether to return the inputs as they are.
    """

    share: float
    deterministic: bool = False

    def __post_init__(self):
        check_share("dropout layer", share=self.share)
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Drops some of the inputs; draws nothing where the share is a plain zero."""
        untraced = not isinstance(self.share, Tracer)
        if self.deterministic or (untraced and self.share == 0):
            return inputs
        keep = 1.0 - self.share
        kept = jax.random.bernoulli(self.make_rng("dropout"), keep, inputs.shape)
        scaled = inputs / jnp.asarray(keep, inputs.dtype)
        return jnp.where(kept, scaled, jnp.zeros_like(inputs))


def check_share(model: str, **shares: Any) -> None:
    """Checks numbers that must lie in [0, 1); tracers pass.

    Args:
      model: name of the model for messages.
      **shares: attributes by name.

    Raises:
      InputError: one lies outside.
    """
    for name, share in shares.items():
        if isinstance(share, Tracer):
            continue
        if (
            not isinstance(share, float | int | np.number | jax.Array)
            or not 0 <= share < 1
        ):
            raise InputError(f"{model}: {name}={share!r} is no share in [0, 1)")


def check_units(model: str, layers: Mapping[str, Any], **sizes: Any) -> None:
    """Checks sizes of layers.

    Args:
      model: name of the model for messages.
      layers: attributes by name, each a sequence of sizes.
      **sizes: attributes by name, each one size.

    Raises:
      InputError: one is no integer, or below one.
    """
    for name, size in {**layers, **sizes}.items():
        if isinstance(size, Tracer):
            raise TypeError(f"{model}: {name} cannot be traced")
        if name in layers and not isinstance(size, tuple | list):
            raise InputError(f"{model}: {name}={size!r}: give one size for each layer")
        for units in size if name in layers else (size,):
            if not isinstance(units, numbers.Integral) or units < 1:
                raise InputError(
                    f"{model}: {name}={size!r}: a layer has one unit or more"
                )


def max_pool(images: jax.Array, window: int = 2) -> jax.Array:
    """Takes the maximum of each ``window`` by ``window`` block, cutting a remainder.

    Where several pixels of a block tie for the maximum, they share its gradient.

    Args:
      images: ``[n, height, width, channels]``.
      window: side of a block, static.

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
