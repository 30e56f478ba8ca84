"""SqueezeNet 1.0: fire modules, without or with bypasses.

F. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
<0.5MB model size", 2016, table 1 and figure 2. Pooling counts windows that reach over
the edge, as the authors' Caffe does.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from optlab.errors import check_choice
from optlab.models.architectures.blocks import Architecture, conv, max_pool

# Channels of the squeezing and of each of the two expanding convolutions; None: pools.
_FIRES = (
    (16, 64), (16, 64), (32, 128), None,
    (32, 128), (48, 192), (48, 192), (64, 256), None,
    (64, 256),
)  # fmt: skip

#: Kinds of bypass: none, around modules with as many outputs as inputs, around all.
BYPASSES = ("none", "simple", "complex")


class Fire(nn.Module):
    """A 1 x 1 convolution, then 1 x 1 and 3 x 3 ones side by side.

    Attributes:
      squeezed: channels of the first.
      expanded: channels of each of the others.
      bypass: one of ``BYPASSES``.
    """

    squeezed: int
    expanded: int
    bypass: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Computes ``[n, height, width, 2 * expanded]``."""
        squeezed = nn.relu(conv(x, self.squeezed, bias=True))
        expanded = [conv(squeezed, self.expanded, side, bias=True) for side in (1, 3)]
        outputs = nn.relu(jnp.concatenate(expanded, axis=-1))
        if self.bypass != "none" and x.shape == outputs.shape:
            return x + outputs
        if self.bypass == "complex":
            return conv(x, outputs.shape[-1], bias=True) + outputs
        return outputs


class SqueezeNet(Architecture):
    """The SqueezeNet; see `Architecture` for the attributes that all nets have.

    Attributes:
      dropout: share of the last module's outputs dropped while training; may be a
        tracer.
      bypass: one of ``BYPASSES``; ``complex`` adds 1 x 1 convolutions where a module
        changes the number of channels.
    """

    dropout: float = 0.5
    bypass: str = "none"

    def __post_init__(self):
        check_choice("bypass", self.bypass, BYPASSES)
        super().__post_init__()

    @property
    def smallest(self) -> int:
        """Smallest side of an image."""
        return 21

    def body(self, x: jax.Array, train: bool) -> jax.Array:
        """Convolves once, then by fire modules."""
        x = nn.relu(conv(x, self.scaled(96), 7, 2, "VALID", bias=True))
        x = pool(x)
        for fire in _FIRES:
            if fire is None:
                x = pool(x)
            else:
                squeezed, expanded = map(self.scaled, fire)
                x = Fire(squeezed, expanded, self.bypass)(x)
        return self.drop(x, train)

    def head(self, x: jax.Array, train: bool) -> jax.Array:
        """Averages class scores over pixels."""
        del train
        return nn.relu(conv(x, self.classes, bias=True)).mean(axis=(1, 2))


def pool(x: jax.Array) -> jax.Array:
    """Pools maxima of 3 x 3 windows, the last of which may reach over the edge.

    >>> pool(jnp.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0].tolist()
    [[10.0, 11.0], [14.0, 15.0]]
    """
    over = [(0, (side - 3) % 2) for side in x.shape[1:3]]
    return max_pool(x, padding=over)


NETS = {"squeezenet": SqueezeNet}
