"""Data sets by name: built-in, of tensorflow-datasets, or a custom function's.

data.load("digits")                                   # in a package: no file
data.load("yacht", "../tables")                       # a folder of tables
data.load("cifar100", "../tfds", label="coarse_label")  # tensorflow-datasets
data.load("mypackage.mymodule.my_data", noise=0.1)    # a function of yours
"""

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from optlab import names
from optlab.data import prepared, tables
from optlab.data.dataset import Dataset, Split, checked, from_arrays, statistics
from optlab.data.embedded import EMBEDDED
from optlab.errors import InputError

#: Seed of the one shuffle that decides every split: all contenders and seeds share it.
SPLIT_SEED = 20_231

#: Share of a data set that is held out where its publisher names no test split.
TEST_FRACTION = 0.2


def load(
    name: str,
    data_dir: str | os.PathLike | None = None,
    *,
    validation_fraction: float = 0.1,
    examples: int | None = None,
    size: Sequence[int] | None = None,
    label: str | None = None,
    download: bool = False,
    **options: Any,
) -> Dataset:
    """Loads a data set by name and splits it.

    Built-in are ``digits`` and ``topics`` (classification) and the regression tables
    ``diabetes``, ``concrete``, ``energy`` and ``yacht``, whose targets are
    standardized by the training split. The dotted path of a custom function may stand
    for a name: the function returns a :class:`Dataset`, a pair (inputs, targets), or
    three such pairs (train, validation, test). Integer targets ``[n]`` of a pair are
    class indices. Every other name is one of tensorflow-datasets.

    Args:
      name: name of the data set, or dotted path of a function.
      data_dir: folder of tables, or of prepared tensorflow-datasets (by default
        ``$TFDS_DATA_DIR``, then ``~/tensorflow_datasets``); a custom function gets it
        if it takes it.
      validation_fraction: share of the training examples kept for validation.
      examples: number of training examples to use (validation included), chosen by
        the fixed shuffle; all of them where None.
      size: height and width that images of tensorflow-datasets are resized to.
      label: feature of tensorflow-datasets that is the target; by default the
        publisher's choice.
      download: whether to prepare a missing tensorflow-datasets set over the network.
      **options: arguments of a custom function.

    Returns:
      The data set. The publisher's test split is the test split; where there is none,
      a fifth of the examples is held out.

    Raises:
      InputError: the name or an option is unknown, the set is not there or does not
        fit in arrays, or ``validation_fraction`` or ``examples`` leave a split empty.

    >>> digits = load("digits")
    >>> digits.train.inputs.shape, digits.classes
    ((1294, 8, 8, 1), 10)
    """
    if not 0 < validation_fraction < 1:
        raise InputError(
            f"validation_fraction must lie between 0 and 1, got {validation_fraction}"
        )
    given = {"size": size, "label": label}
    given = {key: value for key, value in given.items() if value is not None}
    built_in = [*EMBEDDED, *tables.TABLES]
    split = functools.partial(
        _split, name, validation_fraction=validation_fraction, examples=examples
    )
    if name in built_in:
        if extra := [*options, *given]:
            raise InputError(f"data set {name!r} has no option {extra[0]!r}")
        known = EMBEDDED.get(name) or functools.partial(tables.read, name, data_dir)
        return _from_pair(name, known(), split, standardized=True)
    if "." in name and not set(name) & set("/:"):  # a version or configuration
        return _custom(name, data_dir, options | given, split, examples)
    if options:
        raise InputError(f"data set {name!r} has no option {next(iter(options))!r}")
    source = prepared.find(
        name,
        data_dir,
        size=None if size is None else _pair_of_sizes(size),
        label=label,
        download=download,
        others=built_in,
    )
    splits = split(source.count, source.read_train, source.read_test)
    return from_arrays(name, **splits, classes=source.classes)


def _pair_of_sizes(size: Sequence[int]) -> tuple[int, int]:
    try:
        height, width = map(int, size)
    except (TypeError, ValueError):
        raise InputError(f"size={size!r}: give size=(height, width)") from None
    return height, width


def _split(
    name: str,
    count: int,
    read: Callable[[Any], Split],
    read_test: Callable[[], Split] | None = None,
    *,
    validation_fraction: float,
    examples: int | None,
) -> dict[str, Any]:
    """Splits by the fixed shuffle; examples are read by index, only when wanted."""
    rows = np.random.default_rng(SPLIT_SEED).permutation(count)
    if read_test is None:
        held_out = max(1, int(count * TEST_FRACTION))
        test, rows = read(rows[:held_out]), rows[held_out:]
    else:
        test = read_test()
    if examples is not None:
        if not 2 <= examples <= len(rows):
            raise InputError(
                f"examples={examples}: {name} has {len(rows)} training examples; "
                "give a number from 2 to that"
            )
        rows = rows[:examples]
    held_out = max(1, round(len(rows) * validation_fraction))
    return {
        "train": read(rows[held_out:]),
        "validation": read(rows[:held_out]),
        "test": test,
    }


def _from_pair(
    name: str, pair: Any, split: Callable[..., dict[str, Any]], standardized: bool
) -> Dataset:
    """Splits a pair (inputs, targets)."""
    whole = checked(name, pair)
    splits = split(
        len(jax.tree.leaves(whole)[0]),
        lambda rows: jax.tree.map(lambda leaf: leaf[rows], whole),
    )
    classes = _classes(whole)
    if standardized and classes is None:
        mean, std = statistics(splits["train"].targets)
        for key, (inputs, targets) in splits.items():
            splits[key] = Split(inputs, (targets - mean) / std)
    return from_arrays(name, **splits, classes=classes)


def _custom(
    name: str,
    data_dir: str | os.PathLike | None,
    options: dict[str, Any],
    split: Callable[..., dict[str, Any]],
    examples: int | None,
) -> Dataset:
    """Calls a custom function and makes a data set of its result."""
    factory = names.find("data set", name, {})
    if data_dir is not None and "data_dir" in inspect.signature(factory).parameters:
        options = {"data_dir": data_dir, **options}
    found = names.call(f"data set {name!r}", factory, options)
    if isinstance(found, tuple | list) and len(found) == 2:
        return _from_pair(name, found, split, standardized=False)
    if examples is not None:
        raise InputError(
            f"examples={examples}: {name} splits its examples itself; let it return "
            "fewer, or a pair (inputs, targets)"
        )
    if isinstance(found, Dataset):
        return found
    if isinstance(found, tuple | list) and len(found) == 3:
        keys = ("train", "validation", "test")
        splits: dict[str, Any] = {
            key: checked(f"{name}, {key} split", pair)
            for key, pair in zip(keys, found, strict=True)
        }
        classes = [_classes(each) or 0 for each in splits.values()]
        return from_arrays(
            name, **splits, classes=max(classes) if all(classes) else None
        )
    raise InputError(
        f"data set {name!r} must return a Dataset, a pair (inputs, targets), or three "
        f"pairs (train, validation, test), not {type(found).__name__}"
    )


def _classes(split: Split) -> int | None:
    """Counts the classes where targets are one array of integers ``[n]``."""
    targets = split.targets
    if isinstance(targets, np.ndarray) and targets.dtype == np.int32:
        return int(targets.max()) + 1 if targets.ndim == 1 else None
    return None
