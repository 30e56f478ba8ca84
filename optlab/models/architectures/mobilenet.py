"""MobileNet, of depthwise separable convolutions, and MobileNetV2, which inverts them.

A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", 2017, table 1. M. Sandler et al., "MobileNetV2: Inverted Residuals and
Linear Bottlenecks", 2018, table 2. Padding, epsilon, momentum and the rounding of
channels are those of ``keras.applications``.
"""

import flax.linen as nn
import jax

from optlab.models.architectures.blocks import (
    Architecture,
    Layer,
    conv,
    depthwise,
    zero_pad,
)

# Output channels and stride of each separable convolution.
_SEPARABLE = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5,
    (1024, 2), (1024, 1),
)  # fmt: skip

# Expansion, output channels, number of blocks, stride of the first.
_INVERTED = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
    (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


class MobileNet(Architecture):
    """The MobileNet; see `Architecture` for the attributes that all nets have.

    Attributes:
      dropout: share of the head's inputs dropped while training; may be a tracer.
    """

    dropout: float = 0.001

    def body(self, x: jax.Array, train: bool) -> jax.Array:
        """Convolves once, then by separable convolutions with an activation between."""
        norm = self.batch_norm(train)
        x = nn.relu6(norm(conv(x, self.scaled(32), 3, 2)))
        for channels, stride in _SEPARABLE:
            if stride == 1:
                x = depthwise(x)
            else:
                x = depthwise(zero_pad(x, 0, 1), stride, "VALID")
            x = nn.relu6(norm(x))
            x = nn.relu6(norm(conv(x, self.scaled(channels))))
        return x


class InvertedResidual(nn.Module):
    """Wide depthwise convolutions between narrow ends without activation.

    Attributes:
      channels: output channels.
      norm: function that adds batch normalization.
      expansion: factor from the input's channels to those in the middle.
      stride: step of the block; with 1 and equal ends, the input is added.
    """

    channels: int
    norm: Layer
    expansion: int
    stride: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Computes ``[n, height', width', channels]``."""
        x, narrow = inputs, inputs.shape[-1]
        if self.expansion > 1:
            x = nn.relu6(self.norm(conv(x, self.expansion * narrow)))
        if self.stride == 1:
            x = depthwise(x)
        else:
            odd = x.shape[1] % 2, x.shape[2] % 2
            x = depthwise(zero_pad(x, odd, 1), self.stride, "VALID")
        x = self.norm(conv(nn.relu6(self.norm(x)), self.channels))
        return inputs + x if x.shape == inputs.shape else x


class MobileNetV2(Architecture):
    """The MobileNetV2; see `Architecture` for the attributes that all nets have.

    Attributes:
      momentum: weight of the past in the running batch statistics; may be a tracer.
    """

    momentum: float = 0.999

    def body(self, x: jax.Array, train: bool) -> jax.Array:
        """Convolves once, then by inverted residuals, then by a 1 x 1 convolution."""
        norm = self.batch_norm(train)
        x = nn.relu6(norm(conv(x, by_eight(32 * self.width), 3, 2)))
        for expansion, channels, count, first in _INVERTED:
            rounded = by_eight(int(channels * self.width))
            for i in range(count):
                stride = first if i == 0 else 1
                x = InvertedResidual(rounded, norm, expansion, stride)(x)
        last = by_eight(1280 * max(self.width, 1))
        return nn.relu6(norm(conv(x, last)))


def by_eight(channels: float) -> int:
    """Rounds to a multiple of eight, up where down would lose more than a tenth.

    >>> by_eight(11.2), by_eight(12), by_eight(3), by_eight(27.9)
    (16, 16, 8, 32)
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


NETS = {"mobilenet": MobileNet, "mobilenet_v2": MobileNetV2}
