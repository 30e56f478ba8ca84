"""A multilayer perceptron: dense layers with one activation between them."""

import flax.linen as nn
import jax

from optlab.models.layers import Dense


class MLP(nn.Module):
    """Inputs of any shape, flattened, to outputs.

    Attributes:
      classes: number of outputs.
      hidden: units of each hidden layer.
      activation: name of the activation in ``flax.linen``: ``relu``, ``tanh``, ...
    """

    classes: int
    hidden: tuple[int, ...] = (30, 15)
    activation: str = "relu"

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool = False) -> jax.Array:
        """Outputs ``[n, classes]`` of ``[n, ...]`` inputs."""
        del train  # the same net in both modes
        x = inputs.reshape(inputs.shape[0], -1)
        for units in self.hidden:
            x = getattr(nn, self.activation)(Dense(units)(x))
        return Dense(self.classes)(x)
