"""Data sets: arrays in three splits, checked, and how a model's inputs are prepared.

A set small enough for this laboratory fits on the device, so a run never waits for a
loader: :class:`Dataset` holds the whole set as stored, and the training step gathers
and prepares a batch on the device.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
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
    """A data set in three splits; equal only to itself, so that ``jit`` may hash it.

    Attributes:
      name: name of the data set in tables and pages.
      train: split that optimizers see.
      validation: split that hyperparameters are tuned on.
      test: split that is reported.
      classes: number of classes where targets are class indices, else None.
      prepare: pure function from the stored inputs of a batch to inputs of a model.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: int | None
    prepare: Callable[[Any], Any]


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

    A split is a pair of inputs and targets: NumPy or JAX arrays, or trees of them,
    whose first axis counts the examples. Real numbers are stored with 32 bits at
    most, integers as int32, but uint8 inputs as they are and uint16 inputs as
    float32.

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
    splits = {
        key: checked(f"{name}, {key} split", pair, classes)
        for key, pair in pairs.items()
    }
    for key, split in splits.items():
        found, expected = map(_form, (split, splits["train"]))
        if found != expected:
            raise InputError(
                f"{name}: the {key} split holds {found}, the train split {expected}; "
                "all three need the same arrays but for the number of examples"
            )
    splits = {key: jax.tree.map(_aligned, split) for key, split in splits.items()}
    if prepare is None:
        prepare = _default_prepare(splits["train"].inputs)
    return Dataset(name, **splits, classes=classes, prepare=prepare)


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
    split = Split(*pair)
    lengths = {}
    for label, leaf in _leaves(split):
        array = np.asarray(leaf)
        if not array.ndim:
            raise InputError(
                f"{where}: {label} is a {type(leaf).__name__}; give an array whose "
                "first axis counts the examples"
            )
        lengths[label] = len(array)
    for part in Split._fields:
        if not any(label.startswith(part) for label in lengths):
            raise InputError(f"{where}: the {part} hold no array")
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{label} {n}" for label, n in lengths.items())
        raise InputError(f"{where}: numbers of examples differ: {counts}")
    if not all(lengths.values()):
        raise InputError(f"{where}: the split is empty; give one example or more")
    convert = functools.partial(_stored, where)
    split = jax.tree.unflatten(
        jax.tree.structure(split), [convert(*labelled) for labelled in _leaves(split)]
    )
    if classes is not None:
        for label, leaf in _leaves(Split((), split.targets)):
            _check_labels(f"{where}: {label}", leaf, classes)
    return split


def _leaves(split: Split) -> Iterator[tuple[str, Any]]:
    """Pairs of a label for messages, such as ``inputs['left']``, and a leaf."""
    for path, leaf in jax.tree.leaves_with_path(split):
        yield jax.tree_util.keystr(path).removeprefix("."), leaf


def _form(split: Split) -> str:
    return ", ".join(
        f"{label} {leaf.dtype}{['n', *leaf.shape[1:]]}".replace("'", "")
        for label, leaf in _leaves(split)
    )


def _stored(where: str, label: str, leaf: Any) -> np.ndarray:
    """Converts an array to the type that it is stored with."""
    array = np.asarray(leaf)
    real = jnp.issubdtype(array.dtype, jnp.floating)
    if not real and array.dtype.kind not in "biu":
        raise InputError(
            f"{where}: {label} is of type {array.dtype}; give numbers: bool, "
            "integers or floats"
        )
    quantity = label.startswith("inputs") and array.dtype == np.uint16
    if quantity or (real and array.dtype.itemsize > 4):
        with np.errstate(over="ignore"):  # infinite then, which is reported below
            array = array.astype(np.float32)
    elif not real and array.dtype != bool:
        if array.size and not -(2**31) <= array.min() <= array.max() < 2**31:
            raise InputError(f"{where}: {label} has integers beyond 32 bits")
        if array.dtype != np.uint8 or label.startswith("targets"):
            array = array.astype(np.int32)
    if real and not (finite := np.isfinite(array)).all():
        count = int((~finite.reshape(len(array), -1)).any(axis=1).sum())
        raise InputError(
            f"{where}: {label}: {count} of {len(array)} examples hold NaN or "
            "infinity; repair or drop them"
        )
    return array


def _check_labels(label: str, targets: np.ndarray, classes: int) -> None:
    if targets.dtype != np.int32:
        raise InputError(
            f"{label} is of type {targets.dtype}; class indices are integers, and "
            f"classes={classes}: convert them, or leave classes out"
        )
    wrong = targets[(targets < 0) | (targets >= classes)]
    if wrong.size:
        raise InputError(
            f"{label}: label {wrong[0]} lies outside the {classes} classes "
            f"0..{classes - 1}"
        )


def _aligned(array: np.ndarray) -> np.ndarray:
    """Copies an array to a multiple of 64 bytes, unless it begins at one.

    On a CPU, JAX reads such an array in place, for all devices and programs, and
    copies any other for each of them.
    """
    if not array.ctypes.data % 64 and array.flags.c_contiguous:
        return array
    room = np.empty(array.nbytes + 64, np.uint8)
    first = -room.ctypes.data % 64
    target = room[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    target[...] = array
    return target


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
