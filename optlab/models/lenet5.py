"""LeNet-5 as Caffe trains it: [5x5 convolution, max-pool] twice, dense, relu, dense.

No activation follows the convolutions: the maxima of the pooling and the one relu are
all that is not linear. 431,080 parameters for ten classes of 28 x 28 pixels.

Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, with
the sizes of Caffe's examples/mnist/lenet_train_test.prototxt, which compressed nets are
compared on (S. Han, H. Mao, W. Dally, "Deep compression", 2015, table 3).
"""

import flax.linen as nn
import jax

from optlab.errors import InputError
from optlab.models.layers import Checked, Conv, Dense
from optlab.models.pooling import max_pool

#: Smallest side of an image: two convolutions of 5 and two poolings of 2 leave a pixel.
LEAST_SIDE = 16


class LeNet5(Checked):
    """A net from images to logits.

    Attributes:
      classes: number of outputs.
      features: channels of the two convolutions.
      dense: units of the hidden dense layer.
    """

    classes: int
    features: tuple[int, ...] = (20, 50)
    dense: int = 500

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Computes logits ``[n, classes]`` of ``[n, height, width, channels]``."""
        del train  # no layer differs in training
        shape = images.shape[1:]
        if len(shape) != 3 or min(shape[:2]) < LEAST_SIDE:
            raise InputError(
                f"lenet5: inputs of shape {shape} are no images [height, width, "
                f"channels] of {LEAST_SIDE} x {LEAST_SIDE} pixels or more"
            )
        x = images
        for channels in self.features:
            x = max_pool(Conv(channels, (5, 5), padding="VALID")(x))
        x = x.reshape(x.shape[0], -1).T  # examples are columns
        x = nn.relu(Dense(self.dense)(x))
        return Dense(self.classes)(x).T
