"""Convolutions that cost less: depthwise, pointwise, and separable, which is both.

Of W H outputs, by a window of F_w F_h, from D_in channels to n_f::

    standard    F_w F_h D_in n_f W H   multiply-adds
    depthwise   F_w F_h D_in W H       (times the multiplier)
    pointwise   D_in n_f W H
    separable   the sum of the last two: 1 / n_f + 1 / (F_w F_h) of a standard one

(F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2017;
A. Howard et al., "MobileNets", 2017, section 3.1, for the ratio.)
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from optlab.errors import InputError, check_choice
from optlab.models import initializers
from optlab.models.layers import Checked, Conv

Padding = str | Sequence[tuple[int, int]]


class DepthwiseConv(Checked):
    """A convolution in which every channel has kernels of its own.

    Attributes:
      window: height and width of a kernel.
      multiplier: kernels of each channel; output ``c * multiplier + q`` is the q-th of
        channel c.
      strides: vertical and horizontal step.
      padding: ``SAME``, ``VALID`` or ``((top, bottom), (left, right))``.
      use_bias: whether a constant is added to each output channel.
      kernel_init: initializer of the kernels ``[kh, kw, 1, in * multiplier]``.

    >>> layer, images = DepthwiseConv(multiplier=2), jax.numpy.ones((1, 4, 4, 3))
    >>> layer.init_with_output(jax.random.key(0), images)[0].shape
    (1, 4, 4, 6)
    """

    window: tuple[int, ...] = (3, 3)
    multiplier: int = 1
    strides: tuple[int, ...] = (1, 1)
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Any = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Computes ``[n, height', width', in * multiplier]``."""
        channels = images.shape[-1]
        return Conv(
            channels * self.multiplier,
            self.window,
            strides=self.strides,
            padding=self.padding,
            feature_group_count=channels,
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            name="depthwise",
        )(images)


class SeparableConv(Checked):
    """A depthwise convolution, and a pointwise one that mixes its channels.

    There is no activation between them, and one bias after both.

    Attributes:
      features: number of output channels.
      window: height and width of a depthwise kernel.
      multiplier: depthwise kernels of each channel.
      strides: vertical and horizontal step.
      padding: ``SAME``, ``VALID`` or ``((top, bottom), (left, right))``.
      kernel_init: initializer of both kernels.

    >>> layer, images = SeparableConv(features=5), jax.numpy.ones((1, 4, 4, 3))
    >>> layer.init_with_output(jax.random.key(0), images)[0].shape
    (1, 4, 4, 5)
    """

    features: int
    window: tuple[int, ...] = (3, 3)
    multiplier: int = 1
    strides: tuple[int, ...] = (1, 1)
    padding: Padding = "SAME"
    kernel_init: Any = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Computes ``[n, height', width', features]``."""
        by_channel = DepthwiseConv(
            self.window,
            self.multiplier,
            self.strides,
            self.padding,
            use_bias=False,
            kernel_init=self.kernel_init,
        )
        return Conv(self.features, (1, 1), kernel_init=self.kernel_init)(
            by_channel(images)
        )


class Cost(NamedTuple):
    """Cost of a convolution by its formula, for one image."""

    multiply_adds: int
    weights: int  # without biases


#: Kinds of convolution that `cost` and `convolution_of` know.
KINDS = ("standard", "depthwise", "pointwise", "separable")


def cost(
    kind: str, window: tuple[int, int], inputs: int, outputs: int, pixels: int
) -> Cost:
    """Computes multiply-adds and weights of a convolution by the formulas above.

    Args:
      kind: one of ``KINDS``.
      window: height and width of a kernel; a pointwise one is 1 x 1 whatever it is.
      inputs: input channels D_in.
      outputs: output channels n_f; a depthwise one has ``outputs // inputs`` kernels
        a channel.
      pixels: height times width of the outputs, W H.

    Returns:
      The cost.

    Raises:
      InputError: the kind is unknown, or a multiplier is below one.

    >>> standard, separable = (
    ...     cost(kind, (3, 3), 64, 64, 16 * 16) for kind in ("standard", "separable")
    ... )
    >>> standard
    Cost(multiply_adds=9437184, weights=36864)
    >>> separable.multiply_adds / standard.multiply_adds == 1 / 64 + 1 / 9
    True
    """
    check_choice("convolution", kind, KINDS)
    area = window[0] * window[1]
    weights = {
        "standard": area * inputs * outputs,
        "depthwise": area * inputs * _multiplier(inputs, outputs),
        "pointwise": inputs * outputs,
        "separable": area * inputs + inputs * outputs,
    }[kind]
    return Cost(weights * pixels, weights)


def convolution_of(
    kind: str, inputs: int, outputs: int, initializer: str, initial_scale: Any = 1.0
) -> nn.Module:
    """Makes the 3 x 3 layer of a kind; a pointwise one is 1 x 1.

    Args:
      kind: one of ``KINDS``.
      inputs: input channels.
      outputs: output channels; of a depthwise one the largest multiple of ``inputs``
        that is not above them.
      initializer: one of ``initializers.INITIALIZERS``.
      initial_scale: factor on the initial kernels; may be a tracer.

    Returns:
      The layer.

    Raises:
      InputError: the kind is unknown, or a multiplier is below one.
    """
    check_choice("convolution", kind, KINDS)
    init = initializers.make(initializer, initial_scale)
    if kind == "depthwise":
        multiplier = _multiplier(inputs, outputs)
        return DepthwiseConv(multiplier=multiplier, kernel_init=init)
    if kind == "separable":
        return SeparableConv(outputs, kernel_init=init)
    side = 3 if kind == "standard" else 1
    return Conv(outputs, (side, side), kernel_init=init)


def _multiplier(inputs: int, outputs: int) -> int:
    if outputs < inputs:
        raise InputError(
            f"a depthwise convolution has one kernel or more for each of its {inputs} "
            f"channels: {outputs} outputs are too few"
        )
    return outputs // inputs
