"""Layers that may follow the input and each activation: shift, scale, or batch norm.

`normalize` adds one of them by its name to the net that calls it.
"""

import warnings

import flax.linen as nn
import jax

from optlab.errors import InputError, check_choice
from optlab.models.shift_scale import PER, Scale, Shift, channel_axis

#: Name to the axes (``per``) of a shift and of a scale after it; None for none.
SHIFT_SCALE: dict[str, tuple[str | None, str | None]] = {
    "none": (None, None),
    **{f"shift_{per}": (per, None) for per in PER},
    **{f"scale_{per}": (None, per) for per in PER},
    **{f"shift_scale_{per}": (per, per) for per in PER},
}

#: Names that `normalize` knows.
NORMALIZATIONS = (*SHIFT_SCALE, "batch")

BATCH_OF_ONE = (
    "batch normalization of a batch of one example in training: the mean is the "
    "example itself and the variance holds nothing of the other examples, so training "
    "and evaluation see different nets (and a dense layer learns nothing); take "
    "batches of two or more, or normalization='shift_scale_layer'"
)


def check(name: str) -> None:
    """Refuses a name that is not one of ``NORMALIZATIONS``.

    Args:
      name: name of a normalization.

    Raises:
      InputError: the name is unknown, or lacks the axis of its constants.

    >>> check("shift")
    Traceback (most recent call last):
    optlab.errors.InputError: normalization 'shift' does not say how many constants
    there are: shift_element, shift_channel or shift_layer
    """
    if name in ("shift", "scale", "shift_scale"):
        *first, last = (f"{name}_{per}" for per in PER)
        raise InputError(
            f"normalization {name!r} does not say how many constants there are: "
            f"{', '.join(first)} or {last}"
        )
    check_choice("normalization", name, NORMALIZATIONS)


def normalize(
    name: str, inputs: jax.Array, train: bool, example_axis: int = 0
) -> jax.Array:
    """Adds the layers of a normalization to the net that is being built.

    To be called in a module's compact method, whose parameters then hold them. They
    draw no random numbers: the other layers start as they would without.

    Args:
      name: one of ``NORMALIZATIONS``: ``batch``, ``none``, or a shift and a scale per
        element, channel or layer.
      inputs: examples along ``example_axis``.
      train: whether batch normalization takes its statistics from this batch.
      example_axis: axis of the inputs that holds the examples.

    Returns:
      Outputs of the shape of the inputs.
    """
    check(name)
    if name == "batch":
        return batch_norm(inputs, train, example_axis)
    shift, scale = SHIFT_SCALE[name]
    if shift is not None:
        inputs = Shift(shift, example_axis)(inputs)
    if scale is not None:
        inputs = Scale(scale, example_axis)(inputs)
    return inputs


def batch_norm(
    inputs: jax.Array, train: bool, example_axis: int = 0, momentum: float = 0.9
) -> jax.Array:
    """Adds Flax's batch normalization, per channel, to the net that is being built.

    In training, mean and variance are those of the batch (under ``jit`` of the whole
    one, however many devices share it; under ``pmap`` of the device's share). In
    evaluation they are running averages, which are model state: collection
    ``batch_stats``. (S. Ioffe, C. Szegedy, "Batch Normalization", 2015, algorithm 1.)

    Args:
      inputs: examples along ``example_axis``.
      train: whether the statistics are those of this batch.
      example_axis: axis of the inputs that holds the examples.
      momentum: weight of the past in the running averages at each step. Flax's own
        0.99 would keep an eighth of the initial statistics after 200 steps.

    Returns:
      Outputs of the shape of the inputs.

    Warns:
      UserWarning: a batch of one example in training.
    """
    if train and inputs.shape[example_axis] == 1:
        warnings.warn(BATCH_OF_ONE, stacklevel=2)
    layer = nn.BatchNorm(
        use_running_average=not train,
        axis=channel_axis(inputs, example_axis),
        momentum=momentum,
        # Guard: E[x^2] - E[x]^2 cancels where a mean is far above its deviation.
        use_fast_variance=False,
    )
    return layer(inputs)
