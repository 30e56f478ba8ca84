"""A multilayer perceptron: dense layers with one activation between them."""

import flax.linen as nn
import jax

from optlab import names
from optlab.models.layers import Checked, Dense, Dropout

#: Element-wise functions by name: those of ``flax.linen``, and none.
ACTIVATIONS = {"identity": lambda x: x} | {
    name: getattr(nn, name)
    for name in (
        "celu", "elu", "gelu", "hard_sigmoid", "hard_swish", "hard_tanh", "leaky_relu",
        "log_sigmoid", "relu", "relu6", "selu", "sigmoid", "silu", "soft_sign",
        "softplus", "swish", "tanh",
    )
}  # fmt: skip


class MLP(Checked):
    """A net from inputs of any shape, flattened, to outputs.

    Attributes:
      classes: number of outputs.
      hidden: units of each hidden layer.
      activation: one of ``ACTIVATIONS``, after each hidden layer.
      output_activation: likewise, after the last layer.
      dropout: share of hidden units dropped while training; may be a tracer.
      initial_scale: factor on the initial kernels; may be a tracer.
    """

    classes: int
    hidden: tuple[int, ...] = (30, 15)
    activation: str = "relu"
    output_activation: str = "identity"
    dropout: float = 0.0
    initial_scale: float = 1.0

    def __post_init__(self):
        for name in (self.activation, self.output_activation):
            names.find("activation", name, ACTIVATIONS)
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool = False) -> jax.Array:
        """Computes outputs ``[n, classes]`` of inputs ``[n, ...]``."""
        activation, last = (
            names.find("activation", name, ACTIVATIONS)
            for name in (self.activation, self.output_activation)
        )
        x = inputs.reshape(inputs.shape[0], -1).T  # examples are columns
        for units in self.hidden:
            x = activation(Dense(units, self.initial_scale)(x))
            x = Dropout(self.dropout, deterministic=not train)(x)
        return last(Dense(self.classes, self.initial_scale)(x).T)
