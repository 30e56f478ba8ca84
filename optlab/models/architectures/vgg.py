"""VGG: 3 x 3 convolutions, max-pooling, three dense layers.

K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", 2015, table 1, columns D and E.
"""

import functools

import flax.linen as nn
import jax

from optlab.models.architectures.blocks import Architecture, conv, max_pool
from optlab.models.layers import Dense


class VGG(Architecture):
    """A VGG net; see `Architecture` for the attributes that all nets have.

    Attributes:
      stages: number of convolutions before each max-pooling.
      dropout: share of the units of both hidden dense layers dropped while training.
    """

    stages: tuple[int, ...] = (2, 2, 3, 3, 3)
    dropout: float = 0.5

    @property
    def smallest(self) -> int:
        """Smallest side of an image."""
        return 2 ** len(self.stages)

    def body(self, x: jax.Array, train: bool) -> jax.Array:
        """Doubles the channels with each stage, up to 512."""
        del train
        for stage, convolutions in enumerate(self.stages):
            for _ in range(convolutions):
                channels = self.scaled(64 * 2 ** min(stage, 3))
                x = nn.relu(conv(x, channels, 3, bias=True))
            x = max_pool(x, window=2)
        return x

    def head(self, x: jax.Array, train: bool) -> jax.Array:
        """Computes logits by dense layers of all pixels."""
        x = x.reshape(x.shape[0], -1).T  # examples are columns
        for _ in range(2):
            x = nn.relu(Dense(self.scaled(4096), initial_scale=2**0.5)(x))
            x = self.drop(x, train)
        return Dense(self.classes)(x).T


NETS = {
    "vgg16": functools.partial(VGG, stages=(2, 2, 3, 3, 3)),
    "vgg19": functools.partial(VGG, stages=(2, 2, 4, 4, 4)),
}
