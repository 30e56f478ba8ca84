"""Residual nets of bottlenecks, in both versions.

Version 1, with the activation after the sum: K. He et al., "Deep Residual Learning for
Image Recognition", 2016, table 1. Version 2, with normalization and activation before
the weights: K. He et al., "Identity Mappings in Deep Residual Networks", 2016, figure
4e. Strides, biases and epsilon are those of ``keras.applications``.
"""

import functools

import flax.linen as nn
import jax

from optlab.models.architectures.blocks import (
    Architecture,
    Layer,
    conv,
    max_pool,
    zero_pad,
)

EPSILON = 1.001e-5


class Bottleneck(nn.Module):
    """Convolutions 1 x 1, 3 x 3, 1 x 1 with an identity or a projection around them.

    Attributes:
      channels: channels of the first two convolutions; the last has four times as many.
      norm: function that adds batch normalization.
      stride: step of the block.
      project: whether the way around is a 1 x 1 convolution.
    """

    channels: int
    norm: Layer
    stride: int = 1
    project: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Computes ``[n, height', width', 4 * channels]``."""
        norm, channels, stride = self.norm, self.channels, self.stride
        around = x
        if self.project:
            around = norm(conv(x, 4 * channels, 1, stride, bias=True))
        x = nn.relu(norm(conv(x, channels, 1, stride, bias=True)))
        x = nn.relu(norm(conv(x, channels, 3, bias=True)))
        return nn.relu(around + norm(conv(x, 4 * channels, bias=True)))


class PreactivatedBottleneck(Bottleneck):
    """A bottleneck of version 2; see `Bottleneck` for the attributes."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Computes ``[n, height', width', 4 * channels]``."""
        norm, channels, stride = self.norm, self.channels, self.stride
        active = nn.relu(norm(x))
        if self.project:
            around = conv(active, 4 * channels, 1, stride, bias=True)
        else:
            around = x[:, ::stride, ::stride]
        x = nn.relu(norm(conv(active, channels)))
        x = nn.relu(norm(conv(x, channels, 3, stride, padding=1)))
        return around + conv(x, 4 * channels, bias=True)


class ResNet(Architecture):
    """A residual net; see `Architecture` for the attributes that all nets have.

    Attributes:
      blocks: number of bottlenecks in each stage.
      preactivated: whether it is of version 2.
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    preactivated: bool = False

    @property
    def smallest(self) -> int:
        """Smallest side of an image."""
        return 2 ** (1 + len(self.blocks))

    def body(self, x: jax.Array, train: bool) -> jax.Array:
        """Halves twice, and once more between two stages."""
        norm = self.batch_norm(train, EPSILON)
        x = conv(x, self.scaled(64), 7, 2, padding=3, bias=True)
        if not self.preactivated:
            x = nn.relu(norm(x))
        # Guard: where no activation comes first, padding by -inf is another function.
        x = max_pool(zero_pad(x, 1, 1))
        block = PreactivatedBottleneck if self.preactivated else Bottleneck
        last = len(self.blocks) - 1
        for stage, count in enumerate(self.blocks):
            channels = self.scaled(64 * 2**stage)
            # Version 1 halves in the first block of a stage, version 2 in the last.
            halves = stage < last if self.preactivated else stage > 0
            halving = count - 1 if self.preactivated else 0
            for i in range(count):
                stride = 2 if halves and i == halving else 1
                x = block(channels, norm, stride, project=i == 0)(x)
        return nn.relu(norm(x)) if self.preactivated else x


_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

NETS = {
    f"resnet{depth}{suffix}": functools.partial(
        ResNet, blocks=blocks, preactivated=bool(suffix)
    )
    for suffix in ("", "v2")
    for depth, blocks in _BLOCKS.items()
}
