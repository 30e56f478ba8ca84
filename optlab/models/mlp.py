"""A multilayer perceptron: dense layers with one activation between them."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from optlab import names
from optlab.models import initializers, normalization
from optlab.models.layers import Checked, Dense, Dropout
from optlab.models.normalization import normalize
from optlab.models.shift_scale import PReLU

#: Element-wise functions by name: those of ``flax.linen``, a step, and none.
ACTIVATIONS = {
    "binary_step": lambda x: jnp.where(x > 0, 1.0, 0.0).astype(x.dtype),
    "identity": lambda x: x,
} | {
    name: getattr(nn, name)
    for name in (
        "celu", "elu", "gelu", "hard_sigmoid", "hard_swish", "hard_tanh", "leaky_relu",
        "log_sigmoid", "relu", "relu6", "selu", "sigmoid", "silu", "soft_sign",
        "softplus", "swish", "tanh",
    )
}  # fmt: skip


#: Names of activations: those above, and those that learn.
KNOWN = (*ACTIVATIONS, "prelu")


class MLP(Checked):
    """A net from inputs of any shape, flattened, to outputs.

    Attributes:
      classes: number of outputs.
      hidden: units of each hidden layer.
      activation: one of ``KNOWN``, after each hidden layer; ``prelu`` learns a slope
        for each.
      output_activation: one of ``ACTIVATIONS``, after the last layer.
      dropout: share of hidden units dropped while training; may be a tracer.
      initial_scale: factor on the initial kernels; may be a tracer.
      initializer: one of ``initializers.INITIALIZERS``, of the kernels.
      normalization: one of ``normalization.NORMALIZATIONS``, after the input and after
        each hidden activation. An element is a number of the flattened input or a
        unit, and a channel is the same.
      residual: whether a hidden layer with as many units as the one before adds the
        numbers that enter it to those that leave it.
    """

    classes: int
    hidden: tuple[int, ...] = (30, 15)
    activation: str = "relu"
    output_activation: str = "identity"
    dropout: float = 0.0
    initial_scale: float = 1.0
    initializer: str = "lecun_normal"
    normalization: str = "none"
    residual: bool = False

    def __post_init__(self):
        names.find("activation", self.activation, dict.fromkeys(KNOWN))
        names.find("activation", self.output_activation, ACTIVATIONS)
        initializers.make(self.initializer)
        normalization.check(self.normalization)
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool = False) -> jax.Array:
        """Computes outputs ``[n, classes]`` of inputs ``[n, ...]``."""
        last = names.find("activation", self.output_activation, ACTIVATIONS)
        x = inputs.reshape(inputs.shape[0], -1).T  # examples are columns
        x = normalize(self.normalization, x, train, example_axis=1)
        for units in self.hidden:
            before = x
            x = self._activate(Dense(units, self.initial_scale, self.initializer)(x))
            x = normalize(self.normalization, x, train, example_axis=1)
            x = Dropout(self.dropout, deterministic=not train)(x)
            x = x + before if self.residual and x.shape == before.shape else x
        return last(Dense(self.classes, self.initial_scale, self.initializer)(x).T)

    def _activate(self, x: jax.Array) -> jax.Array:
        if self.activation == "prelu":
            return PReLU(per="layer", example_axis=1)(x)
        return names.find("activation", self.activation, ACTIVATIONS)(x)
