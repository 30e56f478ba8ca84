"""A plain convolutional classifier: [convolution, relu, max-pool] ..., dense, dense."""

import flax.linen as nn
import jax

from optlab.errors import InputError
from optlab.models.layers import (
    Conv,
    Dense,
    Dropout,
    check_share,
    check_units,
    max_pool,
)


class CNN(nn.Module):
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

    def __post_init__(self):
        check_share("cnn", dropout=self.dropout)
        check_units("cnn", {"features": self.features}, dense=self.dense)
        super().__post_init__()

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Computes logits ``[n, classes]`` of ``[n, height, width, channels]``."""
        if images.ndim != 4:
            raise InputError(
                f"cnn: inputs of shape {images.shape[1:]} are no images [height, "
                "width, channels]: reshape them, or use another model"
            )
        height, width = images.shape[1:3]
        halvings = min(height, width).bit_length() - 1
        if len(self.features) > halvings:
            raise InputError(
                f"cnn: images of {height}x{width} can be halved {halvings} times only, "
                f"and each of features={self.features} halves them: give fewer"
            )
        x = images
        for channels in self.features:
            x = max_pool(nn.relu(Conv(channels, (3, 3))(x)))
        x = x.reshape(x.shape[0], -1).T  # examples are columns
        x = nn.relu(Dense(self.dense)(x))
        x = Dropout(self.dropout, deterministic=not train)(x)
        return Dense(self.classes)(x).T
