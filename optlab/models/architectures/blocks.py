"""Parts that the architectures share: the frame of a net, convolutions, pooling."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from optlab.errors import InputError
from optlab.models.layers import Checked, Conv, Dense, Dropout

#: Padding of images: a rule, one number for all edges, or (before, after) per axis.
Padding = str | int | Sequence[tuple[int, int]]

#: A function of images that adds a layer to the net which calls it.
Layer = Callable[..., jax.Array]

#: K. He et al., "Delving Deep into Rectifiers", 2015, equation 10.
HE_NORMAL = nn.initializers.he_normal()


class Architecture(Checked):
    """A published net from images to logits, a body and a head.

    Attributes:
      classes: number of outputs.
      width: factor on the channels of every layer, which are rounded down; static.
      dropout: share of the head's inputs dropped while training; may be a tracer.
      momentum: weight of the past in the running batch statistics; may be a tracer.
    """

    classes: int
    width: float = 1.0
    dropout: float = 0.0
    momentum: float = 0.99

    #: Side of the images that the net was published for.
    side: ClassVar[int] = 224

    def __post_init__(self):
        if not isinstance(self.width, int | float) or not 0 < self.width < float("inf"):
            raise InputError(
                f"{type(self).__name__}: width={self.width!r}: give a factor above 0"
            )
        super().__post_init__()

    @property
    def smallest(self) -> int:
        """Smallest side of an image of which all halvings leave a pixel."""
        return 32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Computes logits ``[n, classes]`` of ``[n, height, width, channels]``."""
        shape = images.shape[1:]
        if len(shape) != 3 or min(shape[:2]) < self.smallest:
            raise InputError(
                f"{type(self).__name__} takes images [height, width, channels] with "
                f"sides of {self.smallest} or more, which it halves several times; "
                f"these inputs are {list(shape)}: resize them, or take another model"
            )
        return self.head(self.body(images, train), train)

    def body(self, images: jax.Array, train: bool) -> jax.Array:
        """Computes features ``[n, height', width', channels']``."""
        raise NotImplementedError

    def head(self, features: jax.Array, train: bool) -> jax.Array:
        """Averages over pixels, drops, and computes logits."""
        x = features.mean(axis=(1, 2))
        return Dense(self.classes)(self.drop(x, train).T).T

    def drop(self, x: jax.Array, train: bool) -> jax.Array:
        """Adds dropout."""
        return Dropout(self.dropout, deterministic=not train)(x)

    def scaled(self, channels: int, multiple: int = 1) -> int:
        """Scales a number of channels by the width, down to a positive multiple."""
        return max(int(channels * self.width) // multiple, 1) * multiple

    def batch_norm(
        self, train: bool, epsilon: float = 1e-3, scale: bool = True
    ) -> Layer:
        """Makes the function that adds batch normalization.

        Args:
          train: whether the statistics are those of the batch.
          epsilon: number added to the variance.
          scale: whether there is a learned factor; a learned shift always is.
        """
        # Not the fast variance: E[x^2] - E[x]^2 cancels where the mean is large.
        return lambda x: nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=epsilon,
            use_scale=scale,
            use_fast_variance=False,
        )(x)


class Flattened(Architecture):
    """An architecture whose head is three dense layers of all pixels.

    Attributes:
      dropout: share of the units of both hidden layers dropped while training; may be
        a tracer.
    """

    dropout: float = 0.5

    def head(self, features: jax.Array, train: bool) -> jax.Array:
        """Computes logits by two hidden layers."""
        x = features.reshape(features.shape[0], -1).T  # examples are columns
        for _ in range(2):
            x = nn.relu(Dense(self.scaled(4096), initial_scale=2**0.5)(x))
            x = self.drop(x, train)
        return Dense(self.classes)(x).T


def conv(
    x: jax.Array,
    channels: int,
    window: int | tuple[int, int] = 1,
    stride: int = 1,
    padding: Padding = "SAME",
    *,
    groups: int = 1,
    bias: bool = False,
) -> jax.Array:
    """Adds a convolution to the net that is being built.

    Args:
      x: images ``[n, height, width, in]``.
      channels: number of output channels.
      window: side of the kernels, or height and width.
      stride: pixels from a window to the next, along both axes.
      padding: zeros around the images.
      groups: number of equal groups of channels that do not see each other.
      bias: whether a constant is added to each output channel.

    Returns:
      ``[n, height', width', channels]``.
    """
    sides = (window, window) if isinstance(window, int) else window
    layer = Conv(
        channels,
        sides,
        strides=stride,
        padding=padding,
        feature_group_count=groups,
        use_bias=bias,
        kernel_init=HE_NORMAL,
    )
    return layer(x)


def depthwise(x: jax.Array, stride: int = 1, padding: Padding = "SAME") -> jax.Array:
    """Adds a 3 x 3 convolution of each channel on its own."""
    return conv(x, x.shape[-1], 3, stride, padding, groups=x.shape[-1])


def zero_pad(
    x: jax.Array, before: int | tuple[int, int], after: int | tuple[int, int]
) -> jax.Array:
    """Adds zeros around images, so many rows and columns before and after them."""
    rows, columns = zip(*(_pair(before), _pair(after)), strict=True)
    return jnp.pad(x, ((0, 0), rows, columns, (0, 0)))


def _pair(number: int | tuple[int, int]) -> tuple[int, int]:
    return (number, number) if isinstance(number, int) else number


def max_pool(
    x: jax.Array, window: int = 3, stride: int = 2, padding: Any = "VALID"
) -> jax.Array:
    """Takes the maximum of each window; windows overlap where the stride is less."""
    return nn.max_pool(x, (window, window), (stride, stride), padding)


def average_pool(x: jax.Array, window: int = 3) -> jax.Array:
    """Takes the mean of each pixel's neighborhood; beyond the edges nothing counts."""
    return nn.avg_pool(x, (window, window), padding="SAME", count_include_pad=False)
