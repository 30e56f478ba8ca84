"""Data sets by name: built-in, of tensorflow-datasets, or a custom function's."""

import functools
import inspect
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from optlab import names, ranges
from optlab.data import prepared, tables
from optlab.data.dataset import (
    Dataset,
    Split,
    checked,
    from_arrays,
    statistics,
    with_indices,
)
from optlab.data.embedded import EMBEDDED
from optlab.data.prepared import Source
from optlab.errors import InputError

#: Seed of the one shuffle that decides every split: all contenders and seeds share it.
SPLIT_SEED = 20_231

#: Type and range of the options of `load`, by name.
RANGES = {
    "validation_fraction": ranges.BETWEEN,
    "examples": ranges.COUNT,
    **dict.fromkeys(("name", "label"), ranges.TEXT),
}

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
    standardized by the training split. A custom function
    (``"mypackage.mymodule.my_data"``) returns a :class:`Dataset`, a pair (inputs,
    targets), or three such pairs (train, validation, test). Targets ``[n]`` of a pair
    that are integers, truth values or texts are class labels. Every other name
    (``"cifar100"``) is one of tensorflow-datasets.

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
    numbers = {"validation_fraction": validation_fraction}
    numbers |= {} if examples is None else {"examples": examples}
    texts = {"name": name} if label is None else {"name": name, "label": label}
    ranges.check("data", RANGES, numbers | texts)
    chosen = {"size": size, "label": label}
    given = options | {key: each for key, each in chosen.items() if each is not None}
    built_in = EMBEDDED | {
        each: functools.partial(tables.read, each, data_dir) for each in tables.TABLES
    }
    custom = "." in name and not set(name) & set("/:")  # else a version or variant
    unknown = given if name in built_in else options
    if unknown and not custom:
        raise InputError(f"data set {name!r} has no option {next(iter(unknown))!r}")
    if name in built_in:
        source = _in_memory(name, built_in[name]())
    elif custom:
        source = _custom(name, data_dir, given, examples)
        if isinstance(source, Dataset):
            return source
    else:
        source = prepared.find(name, data_dir, size, label, download)
    splits = _split(name, source, validation_fraction, examples)
    if name in built_in and source.classes is None:
        mean, std = statistics(splits["train"].targets)
        for key, (inputs, targets) in splits.items():
            splits[key] = Split(inputs, (targets - mean) / std)
    return from_arrays(name, **splits, classes=source.classes)


def _split(
    name: str, source: Source, validation_fraction: float, examples: int | None
) -> dict[str, Any]:
    """Splits by the fixed shuffle."""
    rows = np.random.default_rng(SPLIT_SEED).permutation(source.count)
    test = source.test
    if test is None:
        held_out = max(1, int(source.count * TEST_FRACTION))
        test, rows = source.read(rows[:held_out]), rows[held_out:]
    if examples is not None:
        if not 2 <= examples <= len(rows):
            raise InputError(
                f"examples={examples}: {name} has {len(rows)} training examples; "
                "give a number from 2 to that"
            )
        rows = rows[:examples]
    held_out = max(1, round(len(rows) * validation_fraction))
    train, validation = map(source.read, (rows[held_out:], rows[:held_out]))
    return {"train": train, "validation": validation, "test": test}


def _in_memory(name: str, pair: Any) -> Source:
    pairs, texts = with_indices(name, {"train": pair})
    whole = checked(name, pairs["train"])
    return Source(
        classes=_classes(whole) if texts is None else texts,
        count=len(jax.tree.leaves(whole)[0]),
        read=lambda rows: jax.tree.map(lambda leaf: leaf[rows], whole),
    )


def _custom(
    name: str,
    data_dir: str | os.PathLike | None,
    options: dict[str, Any],
    examples: int | None,
) -> Source | Dataset:
    """Calls a custom function; only a pair is left to split."""
    factory = names.find("data set", name, {})
    if data_dir is not None and "data_dir" in inspect.signature(factory).parameters:
        options = {"data_dir": data_dir, **options}
    found = names.call(f"data set {name!r}", factory, options)
    count = len(found) if isinstance(found, tuple | list) else 0
    if count == 2:
        return _in_memory(name, found)
    if count != 3 and not isinstance(found, Dataset):
        raise InputError(
            f"data set {name!r} must return a Dataset, a pair (inputs, targets), or "
            f"three pairs (train, validation, test), not {type(found).__name__}"
        )
    if examples is not None:
        raise InputError(
            f"examples={examples}: {name} splits its examples itself; let it return "
            "fewer, or a pair (inputs, targets)"
        )
    if isinstance(found, Dataset):
        return found
    names_ = "train", "validation", "test"
    pairs: dict[str, Any] = dict(zip(names_, found, strict=True))
    pairs, texts = with_indices(name, pairs)
    splits: dict[str, Any] = {
        key: checked(f"{name}, {key} split", pair) for key, pair in pairs.items()
    }
    classes = _classes(*splits.values()) if texts is None else texts
    return from_arrays(name, **splits, classes=classes)


def _classes(*splits: Split) -> int | None:
    """Counts the classes where all targets are integers or bools, ``[n]`` or so."""
    targets = [split.targets for split in splits]
    if not all(
        isinstance(each, np.ndarray) and each.shape[1:] in ((), (1,))
        for each in targets
    ):
        return None
    if all(each.dtype == bool for each in targets):
        return 2
    if all(each.dtype == np.int32 for each in targets):
        return 1 + max(int(each.max()) for each in targets)
    return None
