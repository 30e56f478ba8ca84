"""Layers whose steps stay fast inside ``lax.scan`` and under ``vmap`` on a CPU.

Dense layers hold examples as columns, ``W x + b`` with ``W`` ``[out, in]``: with
examples as rows, lanes (``vmap`` over parameters) transpose the kernels of the first
layer and the values of the others in every step, a quarter of an MLP's time.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.core import Tracer

from optlab import ranges
from optlab.models import initializers
from optlab.models.convolution import convolution

#: ``flax.linen.Conv`` for two-dimensional images, by `convolution`.
Conv = functools.partial(nn.Conv, conv_general_dilated=convolution)


#: Type and range of an attribute: by its name, else by its annotation.
RANGES = {"dropout": ranges.SHARE, "share": ranges.SHARE}
BY_TYPE = {
    int: ranges.COUNT,
    tuple[int, ...]: ranges.SIZES,
    float: ranges.FINITE,
    str: ranges.TEXT,
    bool: ranges.FLAG,
}


class Checked(nn.Module):
    """A module that checks its attributes when it is made, by ``RANGES``, ``BY_TYPE``.

    An ``int`` or ``tuple[int, ...]`` is a size, or sizes of layers: one or more each.
    A ``float`` may be a tracer.
    """

    def __post_init__(self):
        for field in dataclasses.fields(self):
            range_ = RANGES.get(field.name) or BY_TYPE.get(field.type)
            if range_ is not None and field.name not in ("parent", "name"):
                value = {field.name: getattr(self, field.name)}
                ranges.check(type(self).__name__, {field.name: range_}, value)
        super().__post_init__()


class Dense(Checked):
    """A dense layer, ``W x + b``, of examples that are columns.

    Attributes:
      features: number of outputs.
      initial_scale: factor on the initial ``W``; may be a tracer.
      initializer: one of ``initializers.INITIALIZERS``.
    """

    features: int
    initial_scale: float = 1.0
    initializer: str = "lecun_normal"

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Computes outputs ``[features, n]`` of inputs ``[in, n]``."""
        init = initializers.make(
            self.initializer, self.initial_scale, in_axis=-1, out_axis=-2
        )
        kernel = self.param("kernel", init, (self.features, inputs.shape[0]))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        return kernel @ inputs + bias[:, None]


class Dropout(Checked):
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

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Drops some of the inputs; draws nothing where the share is a plain zero."""
        none = not isinstance(self.share, Tracer) and self.share == 0
        if self.deterministic or none:
            return inputs
        keep = 1.0 - self.share
        # In float32 whatever the inputs are: the draws are then the same.
        threshold = jnp.asarray(keep, jnp.float32)
        kept = jax.random.bernoulli(self.make_rng("dropout"), threshold, inputs.shape)
        return jnp.where(kept, inputs / jnp.asarray(keep, inputs.dtype), 0)
