"""Data sets by name: splits, statistics, and what a mistake says."""

import hypothesis.extra.numpy as hnp
import jax
import numpy as np
import pytest
from hypothesis import given, settings

from optlab import data
from optlab.data import Split
from optlab.errors import InputError


def checksums(split):
    return {
        image.tobytes() + bytes([label]) for image, label in zip(*split, strict=True)
    }


# digits


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_the_splits_are_all_of_digits(digits):
    assert (digits.name, digits.classes) == ("digits", 10)
    for split, size in (
        (digits.train, 1294),
        (digits.validation, 144),
        (digits.test, 359),
    ):
        assert split.images.shape == (size, 8, 8, 1)
        assert split.images.dtype == np.uint8
        assert split.labels.shape == (size,)
        assert split.labels.dtype == np.int32
        assert set(split.labels) == set(range(10))
    assert 1294 + 144 + 359 == 1797


def test_an_image_is_in_one_split_only(digits):
    train, validation, test = map(checksums, digits[2:5])
    assert len(train) == 1294  # no image of digits occurs twice, so this is a test
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_the_splits_are_the_same_each_time(digits):
    again = data.load("digits")
    for split, same in zip(digits[2:5], again[2:5], strict=True):
        np.testing.assert_array_equal(split.images, same.images)
        np.testing.assert_array_equal(split.labels, same.labels)


def test_the_test_split_is_the_same_whatever_is_trained_on(digits):
    few = data.load("digits", validation_fraction=0.5, examples=100)
    assert (len(few.train.labels), len(few.validation.labels)) == (50, 50)
    assert checksums(few.test) == checksums(digits.test)
    assert not checksums(few.train) & checksums(few.validation)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_fraction": 0}, "between 0 and 1, got 0"),
        ({"validation_fraction": 1.0}, "between 0 and 1, got 1"),
        ({"validation_fraction": float("nan")}, "between 0 and 1, got nan"),
        ({"examples": 1}, "examples=1: digits has 1438 training images"),
        ({"examples": 1439}, "give a number from 2 to that"),
    ],
)
def test_a_split_may_not_be_empty(options, message):
    with pytest.raises(InputError, match=message):
        data.load("digits", **options)


def test_two_examples_are_enough():
    least = data.load("digits", examples=2, validation_fraction=0.01)
    assert len(least.train.labels) == len(least.validation.labels) == 1


# Arrays of one's own


def a_split(n=4, dtype=np.float32):
    return Split(np.arange(n * 12).reshape(n, 2, 2, 3).astype(dtype), np.arange(n) % 2)


def load_arrays(**splits):
    good = {"train": a_split(), "validation": a_split(2), "test": a_split(2)}
    return data.from_arrays("own", classes=2, **good | splits)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_what_is_wrong_names_its_split(split):
    images, labels = a_split()
    cases = [
        (
            Split(images[..., 0], labels),
            r"must have shape \[n, height, width, channels",
        ),
        (Split(images[:0], labels[:0]), r"none may be empty, got \(0, 2, 2, 3\)"),
        (Split(images, labels[:3]), r"4 images but labels of shape \(3,\)"),
        (Split(images, labels[:, None]), r"4 images but labels of shape \(4, 1\)"),
        (Split(images, labels + 1), r"label 2 lies outside the 2 classes 0\.\.1"),
        (Split(images, labels - 1), r"label -1 lies outside"),
    ]
    for bad, hurt in ((np.nan, [0, 2]), (np.inf, [3]), (-np.inf, [0, 1, 2])):
        holed = images.copy()
        holed[hurt, 0, 1, 2] = bad
        holed[hurt, 1, 1, 0] = bad  # an image with two holes counts once
        message = f"{len(hurt)} of 4 images hold NaN or infinity"
        cases.append((Split(holed, labels), message))
    for wrong, message in cases:
        with pytest.raises(
            InputError, match=f"own, {split} split: .*{message}"
        ) as info:
            load_arrays(**{split: wrong})
        assert "\n" not in str(info.value)


@settings(deadline=None, max_examples=30, derandomize=True, database=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=4, max_dims=4, max_side=5))
    | hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=4, max_dims=4, max_side=5),
        elements={"min_value": -8, "max_value": 8},
    )
)
def test_pixel_statistics_are_numpy_s(images):
    split = Split(images, np.zeros(len(images), np.int32))
    found = data.from_arrays(
        "own", classes=1, train=split, validation=split, test=split
    )
    exact = images.astype(np.float64)
    expected = exact.std(axis=(0, 1, 2))
    np.testing.assert_allclose(found.mean, exact.mean(axis=(0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(
        found.std, np.maximum(expected, 1e-6), rtol=1e-5, atol=2e-6
    )
    assert found.mean.dtype == found.std.dtype == np.float32


def test_statistics_are_of_the_training_split_alone():
    other = Split(a_split().images + 1000, a_split().labels)
    found = load_arrays(validation=other, test=other)
    np.testing.assert_array_equal(found.mean, load_arrays().mean)


def test_splits_lie_where_jax_reads_them_in_place():
    odd = np.zeros((5, 3, 3, 1), np.uint8)[1:]  # 9 bytes further on
    split = Split(odd, np.arange(4, dtype=np.int32) % 2)
    dataset = data.from_arrays(
        "own", classes=2, train=split, validation=split, test=split
    )
    for array in jax.tree.leaves((dataset.train, dataset.validation, dataset.test)):
        assert array.ctypes.data % 64 == 0
        shared = jax.device_put(array, jax.devices()[1])
        assert shared.unsafe_buffer_pointer() == array.ctypes.data
    np.testing.assert_array_equal(dataset.train.labels, split.labels)


def test_a_blank_channel_divides_by_no_zero():
    blank = Split(np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3, np.int32))
    assert load_arrays(train=blank).std.tolist() == [np.float32(1e-6)]


# tensorflow-datasets


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnst", r"unknown data set 'mnst'; did you mean .*\bmnist\b"),
        ("digit", r"unknown data set 'digit'; did you mean .*\bdigits\b"),
        ("cifar-10", "unknown data set 'cifar-10'; did you mean cifar10"),
        ("emnst/letters", "unknown data set 'emnst/letters'; did you mean .*emnist"),
    ],
)
def test_an_unknown_name_lists_near_ones(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        data.load(name, tmp_path)
