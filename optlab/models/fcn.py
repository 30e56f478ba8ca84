"""A small fully convolutional classifier: convolutions, and a mean over the image."""

import flax.linen as nn
import jax

from optlab.errors import check_choice
from optlab.models import initializers, normalization
from optlab.models.depthwise import KINDS, convolution_of
from optlab.models.layers import Checked, Conv, Dropout
from optlab.models.normalization import normalize
from optlab.models.pooling import check_halvings, global_average_pool, max_pool


class FCN(Checked):
    """A net from images to logits without a dense layer.

    Each of ``features`` is a 3 x 3 convolution, a rectifier and a 2 x 2 maximum; a
    pointwise convolution then gives each class a map, whose mean is the class's logit
    (M. Lin et al., "Network in Network", 2014, section 3.2).

    Attributes:
      classes: number of outputs.
      features: channels of each convolution.
      convolution: one of ``depthwise.KINDS``, of all but the last.
      normalization: one of ``normalization.NORMALIZATIONS``, after the input and after
        each rectifier.
      dropout: share of the values dropped after each rectifier while training; may be
        a tracer.
      initializer: one of ``initializers.INITIALIZERS``, of the kernels.
      initial_scale: factor on the initial kernels; may be a tracer.
    """

    classes: int
    features: tuple[int, ...] = (16, 32)
    convolution: str = "standard"
    normalization: str = "none"
    dropout: float = 0.0
    initializer: str = "he_normal"
    initial_scale: float = 1.0

    def __post_init__(self):
        check_choice("convolution", self.convolution, KINDS)
        initializers.make(self.initializer)
        normalization.check(self.normalization)
        super().__post_init__()

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Computes logits ``[n, classes]`` of ``[n, height, width, channels]``."""
        check_halvings("fcn", images, self.features)
        init = self.initializer, self.initial_scale
        x = normalize(self.normalization, images, train)
        for channels in self.features:
            x = convolution_of(self.convolution, x.shape[-1], channels, *init)(x)
            x = normalize(self.normalization, nn.relu(x), train)
            x = Dropout(self.dropout, deterministic=not train)(max_pool(x))
        kernel_init = initializers.make(*init)
        maps = Conv(self.classes, (1, 1), kernel_init=kernel_init, name="maps")(x)
        return global_average_pool(maps)
