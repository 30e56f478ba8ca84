"""VGG: 3 x 3 convolutions, max-pooling, three dense layers.

K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", 2015, table 1, columns D and E.
"""

import functools

import flax.linen as nn
import jax

from optlab.models.architectures.blocks import Flattened, conv, max_pool


class VGG(Flattened):
    """A VGG net; see `Flattened` for further attributes.

    Attributes:
      stages: number of convolutions before each max-pooling.
    """

    stages: tuple[int, ...] = (2, 2, 3, 3, 3)

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


NETS = {
    "vgg16": functools.partial(VGG, stages=(2, 2, 3, 3, 3)),
    "vgg19": functools.partial(VGG, stages=(2, 2, 4, 4, 4)),
}
