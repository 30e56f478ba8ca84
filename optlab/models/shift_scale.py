"""Learned constants: a shift adds them, a scale multiplies by them.

    shift: x + b        scale: s x        b = 0 and s = 1 at the start

``per`` says how many there are: one for each element of an example, one for each
channel, or one for the layer. None of them looks at other examples of the batch, as
batch normalization does.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from optlab.errors import InputError, near

#: Values of ``per``.
PER = ("element", "channel", "layer")

#: Names of the parameters that are learned constants and no weights.
CONSTANTS = ("shift", "scale", "negative_slope")


def channel_axis(inputs: jax.Array, example_axis: int) -> int:
    """Finds the axis of the channels: the last one that does not hold examples.

    >>> channel_axis(jnp.ones((5, 8, 8, 3)), 0), channel_axis(jnp.ones((30, 5)), 1)
    (3, 0)
    """
    return [axis for axis in range(inputs.ndim) if axis != example_axis][-1]


class Constants(nn.Module):
    """A layer of learned constants.

    Attributes:
      per: ``element``, ``channel`` or ``layer``.
      example_axis: axis of the inputs that holds the examples.
    """

    per: str = ""
    example_axis: int = 0

    def __post_init__(self):
        if self.per not in PER:
            raise InputError(
                f"{type(self).__name__}: per={self.per!r}: {near(self.per, PER)}"
            )
        super().__post_init__()

    def constants(
        self, name: str, init: Callable[..., jax.Array], inputs: jax.Array
    ) -> jax.Array:
        """Makes the parameter, in a shape that broadcasts against the inputs."""
        kept: Sequence[int] = range(inputs.ndim)
        if self.per == "layer":
            kept = ()
        elif self.per == "channel":
            kept = (channel_axis(inputs, self.example_axis),)
        kept = [axis for axis in kept if axis != self.example_axis]
        value = self.param(name, init, tuple(inputs.shape[axis] for axis in kept))
        others = [axis for axis in range(inputs.ndim) if axis not in kept]
        return jnp.expand_dims(value, others)


class Shift(Constants):
    """Adds learned constants to the inputs.

    >>> layer, images = Shift(per="channel"), jnp.ones((5, 8, 8, 3))
    >>> variables = layer.init(jax.random.key(0), images)
    >>> variables["params"]["shift"].shape, layer.apply(variables, images).shape
    ((3,), (5, 8, 8, 3))
    """

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Computes outputs of the shape of the inputs."""
        return inputs + self.constants("shift", nn.initializers.zeros, inputs)


class Scale(Constants):
    """Multiplies the inputs by learned constants.

    >>> layer, columns = Scale(per="layer", example_axis=1), jnp.ones((30, 5))
    >>> layer.init(jax.random.key(0), columns)
    {'params': {'scale': Array(1., dtype=float32)}}
    """

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Computes outputs of the shape of the inputs."""
        return inputs * self.constants("scale", nn.initializers.ones, inputs)


class PReLU(Constants):
    """A rectifier with a learned slope ``a`` below zero: ``max(0, x) + a min(0, x)``.

    ``a`` starts at 0.25. (K. He et al., "Delving Deep into Rectifiers", 2015, equation
    1; per channel, or shared by the layer.)

    >>> layer, columns = PReLU(per="layer"), jnp.array([[-4.0, 2.0]])
    >>> layer.apply(layer.init(jax.random.key(0), columns), columns).tolist()
    [[-1.0, 2.0]]
    """

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Computes outputs of the shape of the inputs."""
        init = nn.initializers.constant(0.25)
        slope = self.constants("negative_slope", init, inputs)
        return jnp.maximum(inputs, 0) + slope * jnp.minimum(inputs, 0)
