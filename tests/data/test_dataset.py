"""Data sets from arrays: stored types, checks, and default preparation."""

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from optlab import data
from optlab.data import Split
from optlab.errors import InputError


def a_pair(n=4, dtype=np.float32):
    return np.arange(n * 12).reshape(n, 2, 2, 3).astype(dtype), np.arange(n) % 2


def make(**changes):
    good = {"train": a_pair(), "validation": a_pair(2), "test": a_pair(2)}
    return data.from_arrays("own", **{"classes": 2} | good | changes)


def same(pair, **options):
    return data.from_arrays(
        "own", train=pair, validation=pair, test=pair, classes=None, **options
    )


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


IMAGES, LABELS = a_pair()
BAD_PAIRS = [
    ((IMAGES[:0], LABELS[:0]), r"one or more; found .*inputs=0, targets=0"),
    ((IMAGES, LABELS[:3]), "same number of examples.* found .*inputs=4, targets=3"),
    (({"a": IMAGES, "b": IMAGES[:1]}, LABELS), r"found .*'a': 4, 'b': 1"),
    (({}, LABELS), r"found .*inputs=\{\}, targets=4"),
    ((IMAGES, LABELS + 1), "targets: .* from 0 to 1; found int32 from 0 to 2"),
    ((IMAGES, LABELS - 1), "targets: .* from 0 to 1; found int32 from -1 to 0"),
    ((IMAGES, LABELS + 0.5), "targets: class indices are integers.* found float32"),
    ((IMAGES, np.eye(4)[:, :2]), "targets: class indices are int"),  # zero rows
    ((IMAGES, LABELS.astype(complex)), "targets is of type complex128"),
    ((IMAGES, jax.random.split(jax.random.key(0), 4)), "targets is no array of num"),
    (([[1], [2, 3]], LABELS), "a list is no array"),
    ((None, LABELS), "inputs=None"),
    ((IMAGES.astype(complex), LABELS), "inputs is of type complex128 .* give bool"),
    ((np.array([None] * 4), LABELS), "inputs is of type object"),
    ((IMAGES.astype(str), LABELS), "inputs is of type <U"),
    (([1, 2], LABELS), "same number of examples.* found .*inputs=2, targets=4"),
    ((1.0, LABELS), r"inputs is .* shape \(\); give .* first axis counting"),
    ((changed(IMAGES, [0, 2], np.nan), LABELS), "inputs: 2 of 4 examples hold NaN"),
    ((changed(IMAGES, 3, np.inf), LABELS), "inputs: 1 of 4 examples hold NaN or inf"),
    ((np.full((4, 2), 1e39), LABELS), "inputs: 4 of 4 examples hold NaN or infinity"),
    (({"a": IMAGES, "b": IMAGES - np.inf}, LABELS), r"inputs\['b'\]: 4 of 4 examples"),
    ((np.full((4, 2), 2**31), LABELS), "inputs has integers beyond 32 bits"),
    ((1e9 + np.arange(8.0).reshape(4, 2), LABELS), "column 0 varies by 2.24 about"),
    (IMAGES, r"give a pair \(inputs, targets\), not ndarray"),
    ((IMAGES, LABELS, LABELS), r"give a pair \(inputs, targets\), not tuple"),
]


@pytest.mark.parametrize("case", range(len(BAD_PAIRS)), ids=[m for _, m in BAD_PAIRS])
def test_a_mistake_names_its_split_and_array(case):
    (pair, message), split = BAD_PAIRS[case], ("train", "validation", "test")[case % 3]
    with pytest.raises(InputError, match=f"^own, {split} split: .*{message}") as info:
        make(**{split: pair})
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 0}, "own: classes=0: give a number of one or more"),
        ({"test": (IMAGES[:, :1], LABELS)}, r"test split holds inputs float32\[1, 2"),
        (
            {"validation": a_pair(2, np.uint8)},
            r"validation split holds inputs uint8.*, the train split inputs float32",
        ),
        ({"test": ((IMAGES,), LABELS)}, r"the test split holds inputs\[0\] float32"),
    ],
)
def test_splits_have_one_form(changes, message):
    with pytest.raises(InputError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("given", "inputs", "targets"),
    [
        (np.float64, np.float32, np.float32),
        (np.float16, np.float16, np.float16),
        (jnp.bfloat16, jnp.bfloat16, jnp.bfloat16),
        (np.int64, np.int32, np.int32),
        (np.int8, np.int32, np.int32),
        (np.uint8, np.uint8, np.int32),
        (np.uint16, np.float32, np.int32),
        (bool, bool, bool),
    ],
)
def test_stored_types(given, inputs, targets):
    values = np.array([0, 1, 1])
    for array in (values.astype(given), jnp.asarray(values.astype(given))):
        found = same((array, array)).train
        assert [leaf.dtype for leaf in found] == [inputs, targets]
        np.testing.assert_array_equal(found.inputs.astype(int), values)
        np.testing.assert_array_equal(found.targets.astype(int), values)


quantities = hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)


@settings(deadline=None, max_examples=30, derandomize=True, database=None)
@given(
    hnp.arrays(np.uint8, quantities)
    | hnp.arrays(bool, quantities)
    | hnp.arrays(np.float32, quantities, elements={"min_value": -8, "max_value": 8})
)
def test_quantities_are_standardized_along_the_last_axis(inputs):
    found = same((inputs, np.zeros(len(inputs)))).prepare(inputs)
    exact = inputs.astype(float).reshape(-1, inputs.shape[-1] if inputs.ndim > 1 else 1)
    std = exact.std(axis=0)
    std[std <= 1e-7 * abs(exact.mean(axis=0))] = 1
    expected = ((exact - exact.mean(axis=0)) / std).reshape(inputs.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert np.result_type(found) == np.float32


def test_preparation_measures_the_training_split_alone():
    other = IMAGES + 1000, LABELS
    prepared = [each.prepare(IMAGES) for each in (make(), make(test=other))]
    np.testing.assert_array_equal(*prepared)
    ones = np.ones((1000, 1), np.float32)
    ones[7] = np.nextafter(ones[7], 2)  # rounding in a constant is not magnified
    assert np.abs(same((ones, ones)).prepare(ones)).max() < 1e-6


@pytest.mark.parametrize(
    "inputs", [np.array([[7, 9], [8, 7]]), {"a": np.eye(2), "b": np.eye(2)}]
)
def test_indices_and_trees_are_left_alone_unless_the_user_prepares_them(inputs):
    pair = inputs, {"y": np.zeros((2, 3)), "z": np.ones(2)}
    prepared = same(pair).prepare(inputs)
    jax.tree.map(np.testing.assert_array_equal, prepared, inputs)
    assert same(pair, prepare=len).prepare(inputs) == 2


@pytest.mark.parametrize(
    "inputs",
    [
        np.zeros((5, 3, 3, 1), np.uint8)[1:],  # 9 bytes further on
        np.arange(12.0, dtype=np.float32).reshape(3, 4).T,  # columns first
    ],
)
def test_jax_reads_splits_in_place(inputs):
    dataset = same(Split(inputs, np.arange(4)))
    for array in jax.tree.leaves((dataset.train, dataset.validation, dataset.test)):
        shared = jax.device_put(array, jax.devices()[1])
        assert shared.unsafe_buffer_pointer() == array.ctypes.data
    np.testing.assert_array_equal(dataset.train.inputs, inputs)


def test_a_data_set_is_a_static_argument():
    first, second = make(), make()
    assert first != second
    assert len({first, second, first}) == 2


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.tolist(),
        LABELS.astype(object),
        LABELS.astype(float),
        LABELS == 1,
        LABELS[:, None],
        LABELS[:, None] + 0.0,
        np.eye(2)[LABELS],
        np.eye(2, dtype=bool)[LABELS],
        jnp.asarray(LABELS),
        jnp.eye(2, dtype=jnp.bfloat16)[LABELS],
        np.array(["cat", "dog"])[LABELS],
        [["cat", "dog"][i] for i in LABELS],
        np.array(["cat", "dog"], object)[LABELS][:, None],
    ],
    ids=lambda x: f"{type(x).__name__} {np.asarray(x).dtype}{np.shape(x)}",
)
def test_labels_in_any_form_that_plainly_means_classes(labels):
    found = make(
        train=(IMAGES.tolist(), labels),
        **dict.fromkeys(("validation", "test"), (jnp.asarray(IMAGES), labels)),
    )
    assert found.train.targets.dtype == np.int32
    np.testing.assert_array_equal(found.train.targets, LABELS)
    np.testing.assert_array_equal(found.train.inputs, IMAGES)


def test_texts_count_their_classes_and_share_one_numbering():
    train = IMAGES, ["b", "c", "a", "b"]
    few = IMAGES[:2], ["c", "a"]
    found = data.from_arrays("own", train=train, validation=few, test=few)
    assert found.classes == 3
    assert found.train.targets.tolist() == [1, 2, 0, 1]
    assert found.test.targets.tolist() == [2, 0]
    with pytest.raises(InputError, match="test split has the label 'z', and no train"):
        data.from_arrays("own", train=train, validation=few, test=(IMAGES[:1], ["z"]))
