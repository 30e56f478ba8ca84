"""AlexNet: two columns of convolutions, overlapping pooling, three dense layers.

A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional
Neural Networks", 2012, section 3.5 and figure 2. In three layers a channel sees only
those of its own column; the paper had one column on each of two devices.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from optlab.models.architectures.blocks import Flattened, Padding, conv, max_pool


class Row(NamedTuple):
    """One convolution, and what follows its activation."""

    channels: int
    window: int
    stride: int = 1
    padding: Padding = "SAME"
    columns: int = 1
    normalizes: bool = False
    pools: bool = False


#: The paper's 224 pixels give its 55 x 55 outputs with three pixels of padding.
_FIRST = ((1, 2), (1, 2))

_ROWS = (
    Row(96, 11, 4, _FIRST, normalizes=True, pools=True),
    Row(256, 5, columns=2, normalizes=True, pools=True),
    Row(384, 3),
    Row(384, 3, columns=2),
    Row(256, 3, columns=2, pools=True),
)


class AlexNet(Flattened):
    """The AlexNet; see `Flattened` and `Architecture` for its attributes."""

    @property
    def smallest(self) -> int:
        """Smallest side of an image."""
        return 64

    def body(self, x: jax.Array, train: bool) -> jax.Array:
        """Convolves five times."""
        del train
        for row in _ROWS:
            channels = self.scaled(row.channels, multiple=2)  # for two columns
            x = conv(
                x, channels, row.window, row.stride, row.padding,
                groups=row.columns, bias=True,
            )  # fmt: skip
            x = nn.relu(x)
            x = response_norm(x) if row.normalizes else x
            x = max_pool(x) if row.pools else x
        return x


def response_norm(x: jax.Array) -> jax.Array:
    """Divides by (2 + 1e-4 sum of squares)^0.75 over five neighboring channels.

    Section 3.3 of the paper, with its constants.

    >>> found = response_norm(100 * jnp.ones((1, 1, 1, 3)))[0, 0, 0]  # of three squares
    >>> [round(float(each), 3) for each in found]  # 100 / 5^0.75
    [29.907, 29.907, 29.907]
    """
    squares = jnp.pad(x**2, [(0, 0)] * 3 + [(2, 2)])
    neighbors = sum(squares[..., i : i + x.shape[-1]] for i in range(5))
    return x / (2 + 1e-4 * neighbors) ** 0.75


NETS = {"alexnet": AlexNet}
