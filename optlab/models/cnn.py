"""A plain convolutional classifier: [convolution, relu, max-pool] ..., dense, dense."""

import flax.linen as nn
import jax

from optlab.models.layers import Checked, Conv, Dense, Dropout
from optlab.models.pooling import check_halvings, max_pool


class CNN(Checked):
    """A net from images to logits.

    Attributes:
      classes: number of outputs.
      features: channels of each 3x3 convolution; a 2x2 max-pool follows each.
      dense: units of the hidden dense layer.
      dropout: share of the hidden units dropped while training; may be a tracer.
    """

    classes: int
    features: tuple[int, ...] = (32, 64, 128)
    dense: int = 128
    dropout: float = 0.0

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Computes logits ``[n, classes]`` of ``[n, height, width, channels]``."""
        check_halvings("cnn", images, self.features)
        x = images
        for channels in self.features:
            x = max_pool(nn.relu(Conv(channels, (3, 3))(x)))
        x = x.reshape(x.shape[0], -1).T  # examples are columns
        x = nn.relu(Dense(self.dense)(x))
        x = Dropout(self.dropout, deterministic=not train)(x)
        return Dense(self.classes)(x).T
