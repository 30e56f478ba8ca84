"""Batches made on the device: gather, normalize, augment, and lay out."""

from typing import Any, NamedTuple

import jax
from jax import lax

from optlab.data import Dataset, augment
from optlab.problems import Batch
from optlab.sweep.parallel import DATA, Layout


class Examples(NamedTuple):
    """A split on the device, with what its pixels are normalized by."""

    images: Any  # [n, height, width, channels], as stored
    labels: Any  # [n]
    mean: Any  # [channels]
    std: Any  # [channels]


def examples_of(dataset: Dataset, name: str) -> Examples:
    """A split of a data set, ready to be put on the device.

    Args:
      dataset: with its pixel statistics.
      name: ``train``, ``validation`` or ``test``.

    Returns:
      The split's arrays and the statistics of the training split.
    """
    images, labels = getattr(dataset, name)
    return Examples(images, labels, dataset.mean, dataset.std)


def load_batch(
    examples: Examples,
    layout: Layout,
    augmentations: tuple[str, ...],
    numbers: jax.Array,
    key: jax.Array | None = None,
) -> Batch:
    """Gathers, normalizes and augments a batch; under ``pmap``, this device's share.

    Args:
      examples: the split.
      layout: how the batch lies over devices.
      augmentations: names in ``augment.AUGMENTATIONS``, applied in their order.
      numbers: ``[n]``, which examples.
      key: of the augmentations; without one it is an evaluation batch, whole on every
        device.

    Returns:
      The batch.
    """
    keys = jax.random.split(
        jax.random.key(0) if key is None else key, (len(augmentations), len(numbers))
    )
    if layout.axis_name is not None and key is not None:
        share = len(numbers) // layout.mesh.shape[DATA]
        start = lax.axis_index(layout.axis_name) * share
        numbers = lax.dynamic_slice_in_dim(numbers, start, share)
        keys = lax.dynamic_slice_in_dim(keys, start, share, axis=1)
    images = augment.normalize(examples.images[numbers], examples.mean, examples.std)
    labels = examples.labels[numbers]
    if layout.mode == "jit" and layout.mesh.size > 1:
        images, labels = lax.with_sharding_constraint(
            (images, labels), layout.sharding(DATA)
        )
    for name, example_keys in zip(augmentations, keys, strict=True):
        images = augment.AUGMENTATIONS[name](example_keys, images)
    return Batch(images, labels)
