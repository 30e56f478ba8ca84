"""A multilayer perceptron: dense layers with one activation between them."""

import flax.linen as nn
import jax

from optlab.errors import InputError, near
from optlab.models.layers import Dense

#: Names in ``flax.linen`` of functions of one number.
ACTIVATIONS = (
    "celu", "elu", "gelu", "hard_sigmoid", "hard_swish", "hard_tanh", "leaky_relu",
    "log_sigmoid", "relu", "relu6", "selu", "sigmoid", "silu", "soft_sign", "softplus",
    "swish", "tanh",
)  # fmt: skip


class MLP(nn.Module):
    """Inputs of any shape, flattened, to outputs.

    Attributes:
      classes: number of outputs.
      hidden: units of each hidden layer.
      activation: one of ``ACTIVATIONS``.
    """

    classes: int
    hidden: tuple[int, ...] = (30, 15)
    activation: str = "relu"

    def __post_init__(self):
        if self.activation not in ACTIVATIONS:
            raise InputError(
                f"mlp: unknown activation {self.activation!r}; "
                f"{near(self.activation, ACTIVATIONS)}"
            )
        if any(units < 1 for units in self.hidden):
            raise InputError(f"mlp: hidden={self.hidden}: a layer has one unit or more")
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool = False) -> jax.Array:
        """Outputs ``[n, classes]`` of ``[n, ...]`` inputs."""
        del train  # the same net in both modes
        x = inputs.reshape(inputs.shape[0], -1).T  # examples are columns
        for units in self.hidden:
            x = getattr(nn, self.activation)(Dense(units)(x))
        return Dense(self.classes)(x).T
