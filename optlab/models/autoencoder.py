"""An autoencoder of dense layers: inputs, a short code, and the inputs again."""

import flax.linen as nn
import jax

from optlab.models.layers import Checked
from optlab.models.mlp import MLP


class Autoencoder(Checked):
    """A net that reconstructs its flattened inputs from a code of few numbers.

    Encoder and decoder mirror each other; code and outputs are linear in the hidden
    layer before them. (G. Hinton and R. Salakhutdinov, "Reducing the Dimensionality of
    Data with Neural Networks", 2006.)

    Attributes:
      classes: number of outputs, which is the number of values of an input.
      hidden: units of the encoder's hidden layers.
      code: length of the code.
      activation: one of ``mlp.ACTIVATIONS``.
    """

    classes: int
    hidden: tuple[int, ...] = (64,)
    code: int = 8
    activation: str = "relu"

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool = False) -> jax.Array:
        """Computes reconstructions ``[n, classes]`` of inputs ``[n, ...]``."""
        encoder = MLP(self.code, self.hidden, self.activation, name="encoder")
        decoder = MLP(self.classes, self.hidden[::-1], self.activation, name="decoder")
        return decoder(encoder(inputs, train), train)
