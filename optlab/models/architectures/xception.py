"""Xception: depthwise separable convolutions with residual connections.

F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2017,
figure 5; epsilon is that of ``keras.applications``.
"""

from typing import ClassVar

import flax.linen as nn
import jax

from optlab.models.architectures.blocks import (
    Architecture,
    Layer,
    conv,
    depthwise,
    max_pool,
)

# Channels of the separable convolutions of each block, and whether it halves.
_BLOCKS = (
    *(((channels, channels), True) for channels in (128, 256, 728)),
    *[((728, 728, 728), False)] * 8,
    ((728, 1024), True),
)


class SeparableBlock(nn.Module):
    """Separable convolutions with an identity or a projection around them.

    Attributes:
      channels: output channels of each convolution.
      norm: function that adds batch normalization.
      halves: whether the block ends in a pooling.
      activates: whether the block begins with an activation.
    """

    channels: tuple[int, ...]
    norm: Layer
    halves: bool
    activates: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Computes ``[n, height', width', channels[-1]]``."""
        around = x
        if self.halves:
            around = self.norm(conv(x, self.channels[-1], stride=2))
        for i, channels in enumerate(self.channels):
            x = nn.relu(x) if i or self.activates else x
            x = self.norm(conv(depthwise(x), channels))
        return around + (max_pool(x, padding="SAME") if self.halves else x)


class Xception(Architecture):
    """The Xception net; see `Architecture` for its attributes."""

    side: ClassVar[int] = 299

    def body(self, x: jax.Array, train: bool) -> jax.Array:
        """Convolves twice, then by blocks, then by two separable convolutions."""
        norm = self.batch_norm(train)
        x = nn.relu(norm(conv(x, self.scaled(32), 3, 2, "VALID")))
        x = nn.relu(norm(conv(x, self.scaled(64), 3, 1, "VALID")))
        for i, (channels, halves) in enumerate(_BLOCKS):
            scaled = tuple(map(self.scaled, channels))
            x = SeparableBlock(scaled, norm, halves, activates=i > 0)(x)
        for channels in (1536, 2048):
            x = nn.relu(norm(conv(depthwise(x), self.scaled(channels))))
        return x


NETS = {"xception": Xception}
