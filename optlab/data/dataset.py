"""Data sets: arrays in three splits, checked, and how a model's inputs are prepared.

A whole set fits on the device, so a run never waits for a loader: the training step
gathers and prepares a batch there.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optlab.errors import InputError

#: A deviation below this share of the mean is rounding: the feature is constant.
ROUNDING = 1e-7


class Split(NamedTuple):
    """Examples of one split, in a fixed order."""

    inputs: Any  # tree of arrays [n, ...], as stored
    targets: Any  # tree of arrays [n, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in three splits; equal only to itself, so that ``jit`` may hash it."""

    name: str  # in tables and pages
    train: Split  # that optimizers see
    validation: Split  # that hyperparameters are tuned on
    test: Split  # that is reported
    classes: int | None  # number of classes where targets are class indices
    prepare: Callable[[Any], Any]  # pure: stored inputs of a batch -> model inputs


def from_arrays(
    name: str,
    *,
    train: Any,
    validation: Any,
    test: Any,
    classes: int | None = None,
    prepare: Callable[[Any], Any] | None = None,
) -> Dataset:
    """Makes a data set of arrays, after a check of each of them.

    A split is a pair of inputs and targets: NumPy or JAX arrays, lists of numbers, or
    trees of arrays, whose first axis counts the examples. Real numbers are stored with
    32 bits at most, integers as int32, but uint8 inputs as they are and uint16 inputs
    as float32. Images are ``[n, height, width, channels]``.

    Class labels may also be texts, which are numbered in alphabetical order; and where
    ``classes`` is given truth values, whole floats, ``[n, 1]`` or one-hot rows.

    Args:
      name: name of the data set in tables and pages.
      train: pair that optimizers see.
      validation: pair that hyperparameters are tuned on.
      test: pair that is reported.
      classes: number of classes where targets are class indices, else None.
      prepare: pure function from the stored inputs of a batch to inputs of a model.
        By default a single array of bool, uint8 or real numbers is standardized: each
        entry of the last axis (channel, column) gets mean 0 and deviation 1 over the
        training split. Integers and trees of several arrays are left alone.

    Returns:
      The data set, its arrays at multiples of 64 bytes.

    Raises:
      InputError: a split is empty, is no pair, or has another form than the training
        split; an array holds no numbers, NaN or infinity; a label lies outside
        ``classes``.

    >>> pair = np.arange(6.0).reshape(3, 2), np.array([0, 1, 1])
    >>> mine = from_arrays("mine", train=pair, validation=pair, test=pair, classes=2)
    >>> mine.prepare(mine.train.inputs).mean(axis=0).tolist()
    [0.0, 0.0]
    """
    if classes is not None and (not isinstance(classes, int) or classes < 1):
        raise InputError(f"{name}: classes={classes!r}: give a number of one or more")
    pairs = {"train": train, "validation": validation, "test": test}
    pairs, texts = with_indices(name, pairs)
    classes = texts if classes is None else classes
    splits = {
        key: checked(f"{name}, {key} split", pair, classes)
        for key, pair in pairs.items()
    }
    for key, split in splits.items():
        found, expected = map(_form, (split, splits["train"]))
        if found != expected:
            raise InputError(
                f"{name}: the {key} split holds {found} an example, the train split "
                f"{expected}; all three need the same arrays"
            )
    splits = {key: jax.tree.map(_aligned, split) for key, split in splits.items()}
    prepare = prepare or _default_prepare(splits["train"].inputs)
    return Dataset(name, **splits, classes=classes, prepare=prepare)


def with_indices(
    name: str, pairs: Mapping[str, Any]
) -> tuple[dict[str, Any], int | None]:
    """Replaces class labels that are texts by their indices, in alphabetical order.

    Args:
      name: name of the data set, for messages.
      pairs: split to pair of inputs and targets; the first one has every label.

    Returns:
      The pairs, and the number of labels, or None where no target is a text.

    Raises:
      InputError: a split has a label that the first one lacks.

    >>> with_indices("pets", {"train": ([1, 2, 3], ["dog", "cat", "dog"])})
    ({'train': ([1, 2, 3], array([1, 0, 1]))}, 2)
    """
    texts = {
        key: _texts(pair[1])
        for key, pair in pairs.items()
        if isinstance(pair, tuple | list) and len(pair) == 2
    }
    first = next(iter(texts.values()), None)
    if first is None:
        return dict(pairs), None
    known = np.unique(first)
    coded = dict(pairs)
    for key, labels in texts.items():
        if labels is None:  # refused by its own split's check
            continue
        if more := sorted({*labels.tolist()} - {*known.tolist()}):
            raise InputError(
                f"{name}: the {key} split has the label {more[0]!r}, and no training "
                "example has"
            )
        coded[key] = (pairs[key][0], np.searchsorted(known, labels))
    return coded, len(known)


def _texts(targets: Any) -> np.ndarray | None:
    """Labels ``[n]`` that are texts; None where they are none."""
    if not isinstance(targets, list | np.ndarray):
        return None
    found = np.asarray(targets, object)
    found = found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found
    if found.ndim != 1 or not found.size:
        return None
    return found.astype(str) if all(isinstance(x, str) for x in found) else None


def checked(where: str, pair: Any, classes: int | None = None) -> Split:
    """Converts a pair of inputs and targets to arrays of stored types.

    Args:
      where: name of the split in messages.
      pair: inputs and targets, arrays or trees of them.
      classes: number of classes where targets are class indices, else None.

    Returns:
      The split, of NumPy arrays with the same number of rows.

    Raises:
      InputError: as :func:`from_arrays`.
    """
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise InputError(
            f"{where}: give a pair (inputs, targets), not {type(pair).__name__}"
        )
    split = jax.tree.map_with_path(
        functools.partial(_stored, where, classes),
        Split(*(_array_of_list(where, each) for each in pair)),
    )
    counts = jax.tree.map(len, split)
    distinct = {*jax.tree.leaves(counts)}
    if not all(map(jax.tree.leaves, split)) or len(distinct) > 1 or 0 in distinct:
        raise InputError(
            f"{where}: inputs and targets need arrays of the same number of examples, "
            f"one or more; found {counts}"
        )
    return split


def _array_of_list(where: str, value: Any) -> Any:
    """Converts a list of numbers, or of such lists; trees of arrays are left alone."""
    leaves = jax.tree.leaves(value)
    plain = all(isinstance(leaf, bool | int | float | complex | str) for leaf in leaves)
    if not isinstance(value, list) or not leaves or not plain:
        return value
    try:
        return np.asarray(value)
    except (OverflowError, ValueError) as error:  # lists of unequal lengths
        raise InputError(f"{where}: a list is no array: {error}") from error


def _form(split: Split) -> str:
    return ", ".join(
        f"{jax.tree_util.keystr(path)[1:]} {leaf.dtype}{[*leaf.shape[1:]]}"
        for path, leaf in jax.tree.leaves_with_path(split)
    )


def _stored(where: str, classes: int | None, path: Any, leaf: Any) -> np.ndarray:
    """Converts an array to the type that it is stored with."""
    label = f"{where}: {jax.tree_util.keystr(path)[1:]}"
    try:
        array, target = np.asarray(leaf), path[0].name == "targets"
    except TypeError as error:  # random keys
        raise InputError(f"{label} is no array of numbers: {error}") from error
    if array.dtype == object and array.size:  # numbers in a table of objects
        numbers = all(isinstance(x, bool | int | float) for x in array.flat)
        array = np.asarray(array.tolist()) if numbers else array
    if target and classes is not None:
        array = _indices(array, classes)
    real = jnp.issubdtype(array.dtype, jnp.floating)
    if not array.ndim or not (real or array.dtype.kind in "biu"):
        raise InputError(
            f"{label} is of type {array.dtype} and shape {array.shape}; give bool, "
            "integers or floats, the first axis counting the examples"
        )
    least, most = array.min(initial=0), array.max(initial=0)
    if (real and array.dtype.itemsize > 4) or (array.dtype == np.uint16 and not target):
        with np.errstate(over="ignore"):  # infinite then, which is reported below
            array, exact = array.astype(np.float32), array
        if exact.ndim <= 2 and exact.dtype.itemsize > 4:
            _check_digits(label, exact, array)
    elif not real and array.dtype != bool and (target or array.dtype != np.uint8):
        if not -(2**31) <= least <= most < 2**31:
            raise InputError(f"{label} has integers beyond 32 bits")
        array = array.astype(np.int32)
    if real and not (finite := np.isfinite(array)).all():
        count = int((~finite.reshape(len(array), -1)).any(axis=1).sum())
        raise InputError(
            f"{label}: {count} of {len(array)} examples hold NaN or infinity; repair "
            "or drop them"
        )
    labels = array.dtype == np.int32 and 0 <= least <= most < (classes or 0)
    if classes is not None and target and not labels:
        raise InputError(
            f"{label}: class indices are integers from 0 to {classes - 1}; found "
            f"{array.dtype} from {least} to {most}"
        )
    return array


def _check_digits(label: str, exact: np.ndarray, stored: np.ndarray) -> None:
    """Refuses columns that vary too little about their mean for 32 bits."""
    width = exact.shape[-1] if exact.ndim > 1 else 1
    columns = exact.astype(np.float64).reshape(-1, width)
    with np.errstate(all="ignore"):  # of what is not finite
        means, deviation = columns.mean(axis=0), columns.std(axis=0)
        lost = (columns - stored.reshape(-1, width)).std(axis=0) > 0.1 * deviation
    for column in np.flatnonzero(lost & (deviation > 1e-14 * np.abs(means)))[:1]:
        raise InputError(
            f"{label}: column {column} varies by {deviation[column]:.3g} about "
            f"{means[column]:.9g}, which 32 bits do not resolve: subtract its mean"
        )


def _indices(array: np.ndarray, classes: int) -> np.ndarray:
    """Class indices ``[n]`` where an array plainly means them; else the array."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and 1 < array.shape[1] == classes:
        one_hot = ((array == 0) | (array == 1)).all() and (array.sum(axis=1) == 1).all()
        array = array.argmax(axis=1) if one_hot else array
    whole = jnp.issubdtype(array.dtype, jnp.floating) and np.isfinite(array).all()
    if array.ndim == 1 and (
        array.dtype == bool or (whole and (array == array.round()).all())
    ):
        array = array.astype(np.int64)
    return array


def _aligned(array: np.ndarray) -> np.ndarray:
    """Copies an array to a multiple of 64 bytes, where JAX reads it in place."""
    if not array.ctypes.data % 64 and array.flags.c_contiguous:
        return array
    room = np.empty(array.nbytes + 64, np.uint8)
    aligned = np.ndarray(array.shape, array.dtype, room, -room.ctypes.data % 64)
    aligned[...] = array
    return aligned


def _default_prepare(inputs: Any) -> Callable[[Any], Any]:
    if not isinstance(inputs, np.ndarray) or inputs.dtype == np.int32:
        return lambda inputs: inputs
    mean, std = statistics(inputs)
    return lambda inputs: (inputs.astype(jnp.float32) - mean) / std


def statistics(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the mean and standard deviation of each entry of the last axis.

    Args:
      array: bool, uint8 or real numbers ``[n, ..., features]``, or ``[n]``.

    Returns:
      Two float32 arrays ``[features]``, or ``[1]``; a constant feature has deviation
      1, so that it may divide.

    >>> mean, std = statistics(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> mean.tolist(), std.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """
    columns = array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1)
    if array.dtype == np.uint8:  # from counts: exact, and no float copy of the set
        counts = np.stack([np.bincount(c, minlength=256) for c in columns.T])
        share = counts / len(columns)
        mean = share @ np.arange(256.0)
        std = np.sqrt(np.maximum(share @ np.arange(256.0) ** 2 - mean**2, 0))
    else:
        mean = columns.mean(axis=0, dtype=np.float64)
        std = columns.std(axis=0, dtype=np.float64)
    std = np.where(std > ROUNDING * np.abs(mean), std, 1)
    return mean.astype(np.float32), std.astype(np.float32)
