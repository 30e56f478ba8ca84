"""Data sets by name: splits, regression tables, sequences and custom functions."""

import sys
import types

import numpy as np
import pytest

from optlab import data
from optlab.data import Split
from optlab.errors import InputError

ZEROS = np.zeros(3)


def rows_of(split):
    return {
        example.tobytes() + np.asarray(target).tobytes()
        for example, target in zip(*split, strict=True)
    }


@pytest.fixture(scope="module")
def digits():
    return data.load("digits")


def test_the_splits_are_all_of_digits(digits):
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    every = Split((pixels * 15).astype(np.uint8), labels.astype(np.int32))
    parts = [rows_of(s) for s in (digits.train, digits.validation, digits.test)]
    assert [len(part) for part in parts] == [1294, 144, 359]
    assert set.union(*parts) == rows_of(every)  # none of the 1797 occurs twice
    assert digits.train.inputs.shape == (1294, 8, 8, 1)
    assert (digits.name, digits.classes) == ("digits", 10)
    # The first of a fixed shuffle, on which published figures depend.
    assert [split.targets[:6].tolist() for split in (digits.train, digits.test)] == [
        [9, 0, 0, 1, 5, 9],
        [7, 5, 9, 1, 5, 4],
    ]


def test_the_test_split_is_the_same_whatever_is_trained_on(digits):
    few = data.load("digits", validation_fraction=0.5, examples=100)
    assert (len(few.train.targets), len(few.validation.targets)) == (50, 50)
    np.testing.assert_array_equal(few.test.inputs, digits.test.inputs)
    assert not rows_of(few.train) & rows_of(few.validation)
    least = data.load("digits", examples=2, validation_fraction=0.01)
    assert len(least.train.targets) == len(least.validation.targets) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_fraction": 0}, "more than 0 and less than 1, not 0"),
        ({"validation_fraction": 1.0}, "more than 0 and less than 1, not 1"),
        ({"validation_fraction": float("nan")}, "more than 0 and less than 1, not nan"),
        ({"examples": 1}, "examples=1: digits has 1438 training examples"),
        ({"examples": 1439}, "give a number from 2 to that"),
        ({"size": (4, 4)}, "'digits' has no option 'size'"),
        ({"sise": (4, 4)}, "'digits' has no option 'sise'"),
    ],
)
def test_an_option_that_cannot_be_is_an_error(options, message):
    with pytest.raises(InputError, match=message):
        data.load("digits", **options)


@pytest.mark.parametrize("name", ["diabetes", "yacht"])
def test_a_regression_table_is_standardized_by_its_training_split(name, tmp_path):
    folder = tmp_path / "yacht"
    folder.mkdir()
    table = np.random.default_rng(0).normal(5, 3, (40, 4))
    np.savetxt(folder / "data.txt", table)
    (folder / "TARGET").write_text("1")
    found = data.load(name, tmp_path)
    assert found.classes is None
    assert found.train.targets.shape[1:] == (1,)
    for columns in (found.train.targets, found.prepare(found.train.inputs)):
        assert columns.dtype == np.float32
        np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(columns.std(axis=0), 1, atol=1e-5)
    if name == "yacht":
        every = [*found.train.targets, *found.validation.targets, *found.test.targets]
        correlation = np.corrcoef(np.ravel(sorted(every)), sorted(table[:, 1]))
        np.testing.assert_allclose(correlation, 1, atol=1e-6)


def test_word_counts_tell_topics():
    """Naive Bayes, which knows that words are independent given the topic."""
    found = data.load("topics")
    assert (found.classes, found.train.inputs.shape) == (4, (1440, 24))
    assert found.train.inputs.dtype == np.int32

    def counts(split):
        return np.stack([np.bincount(words, minlength=50) for words in split.inputs])

    words = [counts(found.train)[found.train.targets == k].sum(0) for k in range(4)]
    log_shares = np.log(np.array(words) + 1.0)
    log_shares -= np.log(np.exp(log_shares).sum(axis=1, keepdims=True))
    guesses = (counts(found.test) @ log_shares.T).argmax(axis=1)
    assert 0.75 < np.mean(guesses == found.test.targets) < 0.95


@pytest.fixture
def own(monkeypatch):
    """Puts a function into a module that can be imported, and gives its path."""

    def put(function):
        module = types.ModuleType("own_data")
        module.make = function
        monkeypatch.setitem(sys.modules, "own_data", module)
        return "own_data.make"

    return put


def test_a_custom_pair_is_split_by_the_fixed_shuffle(own, digits):
    def make(scale=1):
        return np.arange(100.0)[:, None] * scale, np.arange(100) % 3

    found = data.load(own(make), scale=2)
    splits = found.train, found.validation, found.test
    assert [len(split.targets) for split in splits] == [72, 8, 20]
    every = np.concatenate([split.inputs[:, 0] for split in splits])
    assert sorted(every) == list(range(0, 200, 2))
    labels = np.concatenate([split.targets for split in splits])
    np.testing.assert_array_equal(labels, every / 2 % 3)
    assert found.classes == 3


def test_custom_splits_stay_as_they_are(own):
    def make(label, data_dir):
        assert (label, data_dir) == ("y", "there")
        return [({"x": np.full(n, n)}, np.full((n, 2), 0.5)) for n in (3, 2, 1)]

    found = data.load(own(make), "there", label="y")
    assert found.train.inputs["x"].tolist() == [3, 3, 3]
    assert found.test.inputs["x"].tolist() == [1]
    assert found.classes is None
    pairs = [(np.zeros((4, 1)), np.array([0, 1, 1, top])) for top in (2, 0, 4)]
    assert data.load(own(lambda: pairs)).classes == 5


def test_a_custom_data_set_is_itself(own, digits):
    assert data.load(own(lambda: digits), "not asked for") is digits


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (lambda: 3, {}, "must return a Dataset, a pair .*, not int"),
        (lambda n: n, {"m": 1}, "argument.*; it takes n"),
        (lambda: (np.zeros(3), np.zeros(4)), {}, "same number of examples"),
        (lambda: (np.zeros(2), np.zeros(2)), {"examples": 2}, "1 training examples"),
        (lambda: [(ZEROS, ZEROS)] * 3, {"examples": 2}, "splits its examples itself"),
        (lambda: [(ZEROS, ZEROS)] * 2 + [3], {}, "test split: give a pair"),
    ],
)
def test_what_a_custom_function_may_return(own, function, options, message):
    with pytest.raises(InputError, match=message):
        data.load(own(function), **options)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnst", r"unknown data set 'mnst'; did you mean .*\bmnist\b"),
        ("digit", r"unknown data set 'digit'; did you mean .*\bdigits\b"),
        ("cifar-10", "unknown data set 'cifar-10'; did you mean cifar10"),
        ("emnst/letters", "unknown data set 'emnst/letters'; did you mean .*emnist"),
        ("no_such_module.make", "no module 'no_such_module' for data set"),
        ("optlab.data.lod", "has no function 'lod'; did you mean load"),
    ],
)
def test_an_unknown_name_lists_near_ones(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        data.load(name, tmp_path)


@pytest.mark.parametrize("row", ["1 nan 3", "1 inf 3"])
def test_a_table_with_a_hole_names_the_row(tmp_path, row):
    folder = tmp_path / "yacht"
    folder.mkdir()
    (folder / "TARGET").write_text("2")
    (folder / "data.txt").write_text(f"1 2 3\n{row}\n4 5 6\n")
    with pytest.raises(InputError, match=r"NaN or infinity in 1 of 3 rows, .* row 2"):
        data.load("yacht", tmp_path)


def test_labels_of_a_custom_set_may_be_texts_or_truth_values(monkeypatch):
    module = types.ModuleType("own_labels")
    inputs = np.arange(20.0)[:, None]
    module.texts = lambda: (inputs, np.array(["no", "yes"])[np.arange(20) % 2])
    module.truth = lambda: (inputs, np.arange(20) % 2 == 1)
    module.column = lambda: (inputs, (np.arange(20) % 2)[:, None])
    monkeypatch.setitem(sys.modules, "own_labels", module)
    found = [data.load(f"own_labels.{x}") for x in ("texts", "truth", "column")]
    for each in found:
        assert each.classes == 2
        np.testing.assert_array_equal(each.train.targets, each.train.inputs[:, 0] % 2)
