"""A training split enlarged by augmented copies that are made once, before training."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from optlab import ranges
from optlab.data import augment
from optlab.data.dataset import Dataset, Split
from optlab.errors import InputError

#: Seed of the copies: every run and contender sees the same ones.
SEED = 0


def enlarge(
    dataset: Dataset, augmentations: Mapping[str, Mapping[str, Any]], copies: int
) -> Dataset:
    """Appends augmented copies to the training split; the other splits stay.

    Args:
      dataset: data set with n training examples.
      augmentations: names and strengths, see `optlab.data.augment.make`.
      copies: number of copies of each training example, each with draws of its own.

    Returns:
      A data set whose training split holds the n examples and then copies * n more,
      each with the target of its original. All splits are stored prepared.

    Raises:
      InputError: no copy or no augmentation is asked for, an augmentation is unknown,
        or the examples are not of its kind.

    >>> from optlab import data
    >>> enlarge(data.load("digits"), {"crop": {"padding": 1}}, 2).train.inputs.shape
    (3882, 8, 8, 1)
    """
    ranges.check("data", {"copies": ranges.COUNT}, {"copies": copies})
    apply = augment.make(augmentations)
    if apply is None:
        raise InputError(
            f"data.copies={copies} needs an augmentation, such as "
            "data.augment.rotate.degrees=10"
        )

    def prepared(split: Split) -> Split:
        inputs = jax.tree.map(np.asarray, dataset.prepare(split.inputs))
        return Split(inputs, split.targets)

    inputs, targets = prepared(dataset.train)
    count = jax.tree.leaves(targets)[0].shape[0]
    made = [
        jax.tree.map(np.asarray, apply(keys, jax.tree.map(jnp.asarray, inputs)))
        for keys in jax.random.split(jax.random.key(SEED), (copies, count))
    ]
    train = Split(
        jax.tree.map(lambda *each: np.concatenate(each), inputs, *made),
        jax.tree.map(lambda x: np.concatenate([x] * (1 + copies)), targets),
    )
    return dataclasses.replace(
        dataset,
        train=train,
        validation=prepared(dataset.validation),
        test=prepared(dataset.test),
        prepare=lambda inputs: inputs,
    )
