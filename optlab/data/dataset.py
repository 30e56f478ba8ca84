"""Image-classification data sets by name, whole and in memory.

``digits`` is scikit-learn's handwritten digits, inside a package: no network. Every
other name is a tensorflow-datasets one, read by ``tfds.data_source`` from
array_record files, which imports no TensorFlow. Nothing is downloaded unless asked.

A data set small enough for this laboratory fits on the device, so a run never waits
for a loader: :class:`Dataset` holds the raw pixels, and the training step gathers,
normalizes and augments on the device.
"""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from optlab.errors import InputError, near

#: One fixed shuffle decides every split, so that all optimizers and seeds share it.
SPLIT_SEED = 20_231

#: The share of a data set held out where its publisher names no test split.
TEST_FRACTION = 0.2


class Split(NamedTuple):
    """Examples of one split, in a fixed order."""

    images: Any  # [n, height, width, channels], uint8 or floating
    labels: Any  # [n], int32 in [0, classes)


class Dataset(NamedTuple):
    """A classification data set, split three ways, with its pixel statistics."""

    name: str
    classes: int
    train: Split
    validation: Split
    test: Split
    mean: np.ndarray  # [channels], over the training split, in the pixels' own unit
    std: np.ndarray  # [channels], likewise, at least 1e-6


def load(
    name: str,
    data_dir: str | os.PathLike | None = None,
    *,
    validation_fraction: float = 0.1,
    examples: int | None = None,
    download: bool = False,
) -> Dataset:
    """Reads a data set by name and splits it.

    Args:
      name: ``digits``, or a tensorflow-datasets name: ``mnist``, ``cifar10``,
        ``emnist/letters``, ...
      data_dir: where tensorflow-datasets keeps prepared sets; by default
        ``$TFDS_DATA_DIR``, then ``~/tensorflow_datasets``.
      validation_fraction: share of the training images kept for validation.
      examples: use only this many training images (validation included), drawn
        by the fixed shuffle; all of them where None.
      download: prepare the set first if it is not there; needs a network.

    Returns:
      The data set. The publisher's test split is the test split; where there is
      none, a fifth of the images is held out.

    Raises:
      InputError: the name is unknown, the set is not prepared, its images have no
        single shape, or ``validation_fraction`` or ``examples`` leave a split empty.

    >>> digits = load("digits")
    >>> digits.train.images.shape, digits.classes
    ((1294, 8, 8, 1), 10)
    """
    if not 0 < validation_fraction < 1:
        raise InputError(
            f"validation_fraction must lie between 0 and 1, got {validation_fraction}"
        )
    source = _digits() if name == "digits" else _tfds(name, data_dir, download)
    pool = np.random.default_rng(SPLIT_SEED).permutation(source.train_size)
    if source.read_test is None:
        held_out = int(source.train_size * TEST_FRACTION)
        test, pool = source.read_train(pool[:held_out]), pool[held_out:]
    else:
        test = source.read_test()
    if examples is not None:
        if not 2 <= examples <= len(pool):
            raise InputError(
                f"examples={examples}: {name} has {len(pool)} training images; "
                "give a number from 2 to that"
            )
        pool = pool[:examples]
    held_out = max(1, round(len(pool) * validation_fraction))
    return from_arrays(
        name,
        classes=source.classes,
        train=source.read_train(pool[held_out:]),
        validation=source.read_train(pool[:held_out]),
        test=test,
    )


def from_arrays(
    name: str, *, classes: int, train: Split, validation: Split, test: Split
) -> Dataset:
    """Checks a data set of your own and measures its pixel statistics.

    Args:
      name: how tables and pages call it.
      classes: how many classes there are.
      train: the split that optimizers see.
      validation: the split that hyperparameters are tuned on.
      test: the split that is reported.

    Returns:
      The data set, with per-channel mean and standard deviation of ``train``.

    Raises:
      InputError: a split is empty, its images are not ``[n, height, width,
        channels]``, hold NaN or infinity, or a label lies outside the classes.
    """
    for split_name, (images, labels) in (
        ("train", train),
        ("validation", validation),
        ("test", test),
    ):
        where = f"{name}, {split_name} split"
        if images.ndim != 4 or not images.size:
            raise InputError(
                f"{where}: images must have shape [n, height, width, channels] "
                f"and none may be empty, got {images.shape}"
            )
        if labels.shape != images.shape[:1]:
            raise InputError(
                f"{where}: {len(images)} images but labels of shape {labels.shape}"
            )
        if images.dtype != np.uint8 and not np.isfinite(images).all():
            count = int((~np.isfinite(images)).any(axis=(1, 2, 3)).sum())
            raise InputError(
                f"{where}: {count} of {len(images)} images hold NaN or infinity; "
                "repair or drop them"
            )
        if labels.min() < 0 or labels.max() >= classes:
            wrong = labels[(labels < 0) | (labels >= classes)]
            raise InputError(
                f"{where}: label {int(wrong[0])} lies outside the {classes} classes "
                f"0..{classes - 1}"
            )
    mean, std = _pixel_statistics(train.images)
    train, validation, test = (
        Split(*map(_aligned, split)) for split in (train, validation, test)
    )
    return Dataset(name, classes, train, validation, test, mean, std)


def _aligned(array: np.ndarray) -> np.ndarray:
    """The array at a multiple of 64 bytes, copied there if need be.

    On a CPU, JAX reads such an array where it lies, for all devices and programs, and
    copies any other for each of them.
    """
    if not array.ctypes.data % 64:
        return array
    room = np.empty(array.nbytes + 64, np.uint8)
    first = -room.ctypes.data % 64
    target = room[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    target[...] = array
    return target


def _pixel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, over all pixels of all images."""
    channels = images.reshape(-1, images.shape[-1])
    if images.dtype == np.uint8:  # from counts: exact, and no float copy of the set
        counts = np.stack([np.bincount(c, minlength=256) for c in channels.T])
        share = counts / len(channels)
        mean = share @ np.arange(256.0)
        variance = share @ np.arange(256.0) ** 2 - mean**2
    else:
        mean = channels.mean(axis=0, dtype=np.float64)
        variance = channels.var(axis=0, dtype=np.float64)
    std = np.maximum(np.sqrt(np.maximum(variance, 0.0)), 1e-6)
    return mean.astype(np.float32), std.astype(np.float32)


class _Source(NamedTuple):
    """A data set before it is split; images are read by index, only when wanted."""

    classes: int
    train_size: int
    read_train: Callable[[Sequence[int] | np.ndarray], Split]
    read_test: Callable[[], Split] | None  # None where the publisher names none


def _digits() -> _Source:
    from sklearn import datasets

    digits: Any = datasets.load_digits()
    images = (digits.images[..., None] * 15).astype(np.uint8)  # 0..16 -> 0..240
    labels = digits.target.astype(np.int32)
    return _Source(
        classes=10,
        train_size=len(images),
        read_train=lambda indices: Split(images[indices], labels[indices]),
        read_test=None,
    )


def _tfds(name: str, data_dir: str | os.PathLike | None, download: bool) -> _Source:
    import tensorflow_datasets as tfds

    root = pathlib.Path(
        data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    ).expanduser()
    folder = _prepared_folder(root / name)
    if folder is None:
        known = tfds.list_builders(with_community_datasets=False)
        base = name.split("/")[0]
        if base not in known:
            raise InputError(
                f"unknown data set {name!r}; {near(base, [*known, 'digits'])}"
            )
        if not download:
            raise InputError(
                f"data set {name!r} is not prepared in {root}: name the folder that "
                "holds it with --data_dir, or add --download (needs a network)"
            )
        try:
            builder = tfds.builder(name, data_dir=root, file_format="array_record")
            builder.download_and_prepare()
        except ImportError as error:
            raise InputError(
                f"preparing {name!r} needs a package that reading does not: {error}; "
                "install it (often tensorflow), or prepare the set elsewhere"
            ) from error
        except OSError as error:
            raise InputError(f"downloading {name!r} failed: {error}") from error
    else:
        builder = tfds.builder_from_directory(folder)

    features: Any = builder.info.features
    image_key, label_key = _feature_keys(name, features)
    splits = builder.info.splits
    test_name = next((s for s in ("test", "validation") if s in splits), None)

    def read(split: str, indices: Sequence[int] | np.ndarray) -> Split:
        records: Any = builder.as_data_source(split)  # type: ignore[reportCallIssue]
        # A few hundred records at a time: all decoded at once would double memory.
        images = np.empty((len(indices), *features[image_key].shape), np.uint8)
        labels = np.empty(len(indices), np.int32)
        for start in range(0, len(indices), 512):
            chunk = [int(i) for i in indices[start : start + 512]]
            for offset, record in enumerate(records.__getitems__(chunk), start):
                images[offset] = record[image_key]
                labels[offset] = record[label_key]
        return Split(images, labels)

    def read_test() -> Split:
        assert test_name is not None
        return read(test_name, range(splits[test_name].num_examples))

    return _Source(
        classes=features[label_key].num_classes,
        train_size=splits["train"].num_examples,
        read_train=lambda indices: read("train", indices),
        read_test=None if test_name is None else read_test,
    )


def _prepared_folder(folder: pathlib.Path) -> pathlib.Path | None:
    """The newest prepared version below ``folder``, found without a network.

    tensorflow-datasets itself would ask the network for minutes before it says no.
    """
    versions = [
        (tuple(map(int, info.parent.name.split("."))), info.parent)
        for info in folder.glob("*/dataset_info.json")
        if info.parent.name.replace(".", "").isdigit()
    ]
    return max(versions)[1] if versions else None


def _feature_keys(name: str, features: Any) -> tuple[str, str]:
    """Finds the image and the label of a record, and checks that both will do."""
    kinds = {key: type(feature).__name__ for key, feature in features.items()}
    image = next((k for k, kind in kinds.items() if kind == "Image"), None)
    label = next((k for k, kind in kinds.items() if kind == "ClassLabel"), None)
    if image is None or label is None:
        raise InputError(
            f"{name!r} is no image-classification set: its records hold {kinds}"
        )
    if None in features[image].shape:
        raise InputError(
            f"{name!r} has images of many sizes {features[image].shape}; "
            "only sets with one image size fit in one array"
        )
    return image, label
