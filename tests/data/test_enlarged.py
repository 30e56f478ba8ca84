"""Enlarged training splits: rows, labels, and what stays."""

import jax
import numpy as np
import pytest

from optlab import data
from optlab.compare import recipe
from optlab.errors import InputError

SECTION = {"name": "digits", "examples": 40}


def load(**options):
    return recipe.load_dataset({"data": {**SECTION, **options}})


def test_copies_follow_the_originals_with_their_labels():
    plain = load()
    found = load(copies=3, augment={"flip": {"share": 1.0}})
    n = len(plain.train.targets)
    assert found.train.inputs.shape == (4 * n, 8, 8, 1)
    originals = np.asarray(plain.prepare(plain.train.inputs))
    np.testing.assert_array_equal(found.train.inputs[:n], originals)
    for start in (n, 2 * n, 3 * n):
        copies = found.train.inputs[start : start + n]
        np.testing.assert_array_equal(copies, originals[:, :, ::-1])
    np.testing.assert_array_equal(found.train.targets, np.tile(plain.train.targets, 4))
    for split in ("validation", "test"):
        ours, theirs = getattr(found, split), getattr(plain, split)
        np.testing.assert_array_equal(found.prepare(ours.inputs), ours.inputs)
        np.testing.assert_array_equal(ours.inputs, plain.prepare(theirs.inputs))
        np.testing.assert_array_equal(ours.targets, theirs.targets)


def test_each_copy_has_draws_of_its_own_which_are_the_same_again():
    first, again = (load(copies=2, augment={"noise": {"std": 1.0}}) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first.train, again.train)
    n = len(first.train.targets) // 3
    _, one, two = np.split(first.train.inputs, 3)
    assert len(one) == n
    assert (one != two).mean() > 0.99


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"copies": 2}, "copies=2 needs an augmentation"),
        ({"augment": {"noise": {}}}, "copies must be 1 or more, not 0"),
        ({"copies": 0.5, "augment": {"noise": {}}}, "copies must be a whole number"),
        ({"copies": 1, "augment": {"noize": {}}}, "no augmentation 'noize'"),
        ({"copies": 1, "augment": 3}, "data.augment is a section"),
    ],
)
def test_what_makes_no_copies_is_one_line(options, message):
    with pytest.raises(InputError, match=message):
        load(**options)
    assert load().train.inputs.dtype == data.load("digits").train.inputs.dtype
