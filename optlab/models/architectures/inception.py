"""Inception-v3 and Inception-ResNet-v2, each one nested table.

C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016,
table 1; C. Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", 2017, figures 15 to 19. Channels, scales and epsilon are those
of ``keras.applications``.
"""

from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from optlab.models.architectures.blocks import (
    Architecture,
    Layer,
    average_pool,
    conv,
    max_pool,
)


class Unit(NamedTuple):
    """A convolution with batch normalization, without a learned factor, and ReLU."""

    channels: int
    window: int | tuple[int, int] = 1
    stride: int = 1
    padding: str = "SAME"


class Fork(NamedTuple):
    """Branches whose outputs are concatenated; a tuple is a sequence of parts.

    With a scale, a 1 x 1 convolution mixes them, and their input is added.
    """

    branches: tuple[Any, ...]
    scale: float | None = None
    activates: bool = True


def _halving(channels: int) -> Unit:
    return Unit(channels, 3, 2, "VALID")


def _block_a(first: int, pooled: int) -> Fork:
    """Makes a block of 35 x 35 pixels."""
    return Fork((
        Unit(first),
        (Unit(48), Unit(64, 5)),
        (Unit(64), Unit(96, 3), Unit(96, 3)),
        (average_pool, Unit(pooled)),
    ))  # fmt: skip


def _block_b(narrow: int) -> Fork:
    """Makes a block of 17 x 17 pixels."""
    row, column = Unit(narrow, (1, 7)), Unit(narrow, (7, 1))
    return Fork((
        Unit(192),
        (Unit(narrow), row, Unit(192, (7, 1))),
        (Unit(narrow), column, row, column, Unit(192, (1, 7))),
        (average_pool, Unit(192)),
    ))  # fmt: skip


_FORK = Fork((Unit(384, (1, 3)), Unit(384, (3, 1))))

_BLOCK_C = Fork((
    Unit(320),
    (Unit(384), _FORK),
    (Unit(448), Unit(384, 3), _FORK),
    (average_pool, Unit(192)),
))  # fmt: skip

_STEM = (
    _halving(32), Unit(32, 3, 1, "VALID"), Unit(64, 3), max_pool,
    Unit(80), Unit(192, 3, 1, "VALID"), max_pool,
)  # fmt: skip

_INCEPTION_V3 = (
    _STEM,
    (_block_a(64, 32), _block_a(64, 64), _block_a(64, 64)),
    Fork((_halving(384), (Unit(64), Unit(96, 3), _halving(96)), max_pool)),
    (_block_b(128), _block_b(160), _block_b(160), _block_b(192)),
    Fork((
        (Unit(192), _halving(320)),
        (Unit(192), Unit(192, (1, 7)), Unit(192, (7, 1)), _halving(192)),
        max_pool,
    )),
    (_BLOCK_C, _BLOCK_C),
)  # fmt: skip

_RESIDUAL_A = Unit(32), (Unit(32), Unit(32, 3)), (Unit(32), Unit(48, 3), Unit(64, 3))
_RESIDUAL_B = Unit(192), (Unit(128), Unit(160, (1, 7)), Unit(192, (7, 1)))
_RESIDUAL_C = Unit(192), (Unit(192), Unit(224, (1, 3)), Unit(256, (3, 1)))

_INCEPTION_RESNET_V2 = (
    _STEM,
    _block_a(96, 64),
    (Fork(_RESIDUAL_A, 0.17),) * 10,
    Fork((_halving(384), (Unit(256), Unit(256, 3), _halving(384)), max_pool)),
    (Fork(_RESIDUAL_B, 0.1),) * 20,
    Fork((
        (Unit(256), _halving(384)),
        (Unit(256), _halving(288)),
        (Unit(256), Unit(288, 3), _halving(320)),
        max_pool,
    )),
    (Fork(_RESIDUAL_C, 0.2),) * 9,
    Fork(_RESIDUAL_C, 1.0, activates=False),
    Unit(1536),
)  # fmt: skip


class Mixed(nn.Module):
    """A fork as a module.

    Attributes:
      fork: branches, and whether they are a residual.
      unit: function ``(images, Unit)`` that adds a unit.
    """

    fork: Fork
    unit: Layer

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Computes images of all branches' channels, or of the input's."""
        found = [build(x, branch, self.unit) for branch in self.fork.branches]
        mixed = jnp.concatenate(found, axis=-1)
        if self.fork.scale is None:
            return mixed
        x = x + self.fork.scale * conv(mixed, x.shape[-1], bias=True)
        return nn.relu(x) if self.fork.activates else x


def build(x: jax.Array, part: Any, unit: Layer) -> jax.Array:
    """Adds a nested table to the net that is being built.

    Args:
      x: images.
      part: a ``Unit``, a ``Fork``, a function of images, or a tuple of such parts.
      unit: function ``(images, Unit)`` that adds a unit.

    Returns:
      Images.
    """
    if isinstance(part, Unit):
        return unit(x, part)
    if isinstance(part, Fork):
        return Mixed(part, unit)(x)
    if isinstance(part, tuple):
        for each in part:
            x = build(x, each, unit)
        return x
    return part(x)


class InceptionV3(Architecture):
    """The Inception-v3 net; see `Architecture` for its attributes."""

    side: ClassVar[int] = 299
    table: ClassVar[tuple[Any, ...]] = _INCEPTION_V3

    @property
    def smallest(self) -> int:
        """Smallest side of an image."""
        return 75

    def body(self, x: jax.Array, train: bool) -> jax.Array:
        """Builds the table."""
        norm = self.batch_norm(train, scale=False)

        def unit(x: jax.Array, part: Unit) -> jax.Array:
            channels = self.scaled(part.channels)
            x = conv(x, channels, part.window, part.stride, part.padding)
            return nn.relu(norm(x))

        return build(x, self.table, unit)


class InceptionResNetV2(InceptionV3):
    """The Inception-ResNet-v2 net; see `Architecture` for its attributes."""

    table: ClassVar[tuple[Any, ...]] = _INCEPTION_RESNET_V2


NETS = {"inception_v3": InceptionV3, "inception_resnet_v2": InceptionResNetV2}
