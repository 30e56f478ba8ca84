"""Images that mean nothing: the time of a step does not ask."""

import numpy as np

from optlab import data
from optlab.data import Dataset, Split

#: Classes of every set.
CLASSES = 10

#: Held out: the engine wants three splits, no benchmark looks at them.
UNUSED = 256


def random_dataset(examples: int, shape: tuple[int, int, int]) -> Dataset:
    """Random bytes and labels.

    Args:
      examples: in the training split.
      shape: of an image: height, width, channels.

    Returns:
      The data set, of ``CLASSES`` classes.

    >>> random_dataset(3, (2, 2, 1)).train.images.shape
    (3, 2, 2, 1)
    """
    random = np.random.default_rng(0)

    def split(count: int) -> Split:
        images = random.integers(0, 256, (count, *shape), np.uint8)
        return Split(images, random.integers(0, CLASSES, count, np.int32))

    return data.from_arrays(
        "random images",
        classes=CLASSES,
        train=split(examples),
        validation=split(UNUSED),
        test=split(UNUSED),
    )


def normalized(dataset: Dataset) -> np.ndarray:
    """All training images as a net takes them, float32."""
    images = dataset.train.images.astype(np.float32)
    return (images - dataset.mean) / dataset.std
