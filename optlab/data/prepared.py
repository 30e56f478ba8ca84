"""Data sets of tensorflow-datasets, read from array_record files without TensorFlow."""

import functools
import io
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from optlab.data.dataset import Split
from optlab.data.embedded import EMBEDDED
from optlab.data.tables import TABLES
from optlab.errors import InputError, first_line, near

#: Largest image that is decoded.
MOST_PIXELS = 2**26

#: Number of records decoded at a time; all of them at once would double memory.
CHUNK = 512


class Source(NamedTuple):
    """A data set before it is split; examples are read by index, only when wanted."""

    classes: int | None  # None where the target is no class label
    count: int  # training examples
    read: Callable[[Any], Split]  # indices -> training examples
    test: Split | None = None  # None where none is published


def find(
    name: str,
    data_dir: str | os.PathLike | None,
    size: Sequence[int] | None = None,
    label: str | None = None,
    download: bool = False,
) -> Source:
    """Opens a data set that tensorflow-datasets has prepared, or prepares it.

    Args:
      name: tensorflow-datasets name, such as ``"emnist/letters"``.
      data_dir: folder of prepared sets, None for the default.
      size: height and width to resize images to.
      label: feature that is the target; by default the publisher's choice.
      download: whether to prepare a set that is not there yet, over the network.

    Returns:
      The data set; no training example is read yet.

    Raises:
      InputError: the name is unknown, the set is not prepared, or its records have no
        input and target that fit in arrays.
    """
    import tensorflow_datasets as tfds

    root = pathlib.Path(
        data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    ).expanduser()
    # Its own search would retry the network for minutes before it gives up.
    versions = [
        info.parent
        for info in (root / name).glob("*/dataset_info.json")
        if info.parent.name.replace(".", "").isdigit()
    ]
    if versions:
        newest = max(versions, key=lambda path: [*map(int, path.name.split("."))])
        _check_format(name, newest)
        try:
            builder = tfds.builder_from_directory(newest)
        except Exception as error:  # tensorflow-datasets raises what it likes
            raise _damaged(name, newest, error) from error
        return _source(name, builder, size, label)
    known = tfds.list_builders(with_community_datasets=False)
    base = name.split("/")[0]
    if base not in known:
        known = near(base, [*known, *EMBEDDED, *TABLES])
        raise InputError(f"unknown data set {name!r}; {known}")
    if not download:
        raise InputError(
            f"data set {name!r} is not prepared in {root}: give the folder that holds "
            "it as data_dir, or prepare it over a network (download)"
        )
    try:
        builder = tfds.builder(name, data_dir=root, file_format="array_record")
        builder.download_and_prepare()
    except (ImportError, OSError) as error:  # a package that reading does not need
        raise InputError(
            f"downloading and preparing {name!r} failed: {error}; install the missing "
            "package (often tensorflow), or prepare the set elsewhere"
        ) from error
    return _source(name, builder, size, label)


def _source(name: str, builder: Any, size: Any, label: str | None) -> Source:
    """Chooses the input and the target of a record, and checks that both will do.

    ``supervised_keys`` decides: the order of features comes from a protobuf map and
    differs from process to process.
    """
    import tensorflow_datasets as tfds

    features, splits = builder.info.features, builder.info.splits
    kinds = {key: type(features[key]).__name__ for key in sorted(features)}
    only = {
        kind: key for key, kind in kinds.items() if [*kinds.values()].count(kind) == 1
    }
    chosen = builder.info.supervised_keys or (None, None)
    source: Any = chosen[0] or only.get("Image")
    target: Any = label or chosen[1] or only.get("ClassLabel")

    def refused(problem: str) -> InputError:
        holds = ", ".join(f"{key} ({kind})" for key, kind in kinds.items())
        return InputError(f"data set {name!r} {problem}; its records hold {holds}")

    if "train" not in splits:
        known = ", ".join(splits) or "none"
        raise refused(f"has no split 'train' to learn from, but {known}")
    if not all(_is_numeric(features, key) for key in (source, target)):
        found = f"input {source!r} and target {target!r}"
        raise refused(f"has no {found} that are arrays of numbers: give label=...")
    feature, image = features[source], kinds[source] == "Image"
    shape, dtype = feature.shape, feature.np_dtype
    if image and dtype == np.uint16 and shape[2] != 1:
        raise refused("has 16-bit images of several channels, which are not decoded")
    if size is not None:
        sides = np.asarray(size)
        integers = sides.shape == (2,) and sides.dtype.kind == "i"
        if not (image and integers and sides.min() > 0):
            raise refused(f"cannot have size={size}: give (height, width) of images")
        shape = (*sides.tolist(), shape[2])
        dtype = dtype if dtype == np.uint8 else np.float32
    goal = features[target]
    if None in (*shape, *goal.shape):
        raise refused("has examples of many sizes: give size=(height, width) of images")

    def read(split: str, indices: Sequence[int]) -> Split:
        decoders = {source: tfds.decode.SkipDecoding()} if image else None
        inputs = np.empty((len(indices), *shape), dtype)
        targets = np.empty((len(indices), *goal.shape), goal.np_dtype)
        try:
            records: Any = builder.as_data_source(split, decoders=decoders)
            for start in range(0, len(indices), CHUNK):
                chunk = [int(i) for i in indices[start : start + CHUNK]]
                for row, record in enumerate(records.__getitems__(chunk), start):
                    example = record[source]
                    inputs[row] = _pixels(example, feature, size) if image else example
                    targets[row] = record[target]
        except Exception as error:  # readers of records raise what they like
            raise _damaged(name, builder.data_path, error) from error
        return Split(inputs, targets)

    tests = [key for key in ("test", "validation") if key in splits]
    return Source(
        classes=getattr(goal, "num_classes", None),
        count=splits["train"].num_examples,
        read=functools.partial(read, "train"),
        test=read(tests[0], range(splits[tests[0]].num_examples)) if tests else None,
    )


def _check_format(name: str, folder: pathlib.Path) -> None:
    """Refuses records that only TensorFlow reads, and an info file that is cut."""
    path = folder / "dataset_info.json"
    try:
        format_ = json.loads(path.read_text()).get("fileFormat", "tfrecord")
    except (AttributeError, OSError, RecursionError, ValueError) as error:
        raise _damaged(name, path, error) from error
    if format_ not in ("array_record", "arrayrecord"):
        raise InputError(
            f"data set {name!r} in {folder} is prepared as {format_}, which only "
            "TensorFlow reads: prepare it again with tfds.builder(..., "
            "file_format='array_record'), or convert it by python -m "
            "tensorflow_datasets.scripts.convert_format --out_file_format=array_record"
        )


def _damaged(name: str, where: Any, error: Exception) -> InputError:
    first = first_line(error) or type(error).__name__
    return InputError(
        f"data set {name!r} in {where} cannot be read, it is cut or damaged: prepare "
        f"it again ({first[:200]})"
    )


def _is_numeric(features: Any, key: Any) -> bool:
    known = isinstance(key, str) and key in features
    dtype = getattr(features[key], "np_dtype", None) if known else None
    return isinstance(dtype, type | np.dtype) and np.dtype(dtype).kind in "biuf"


def _pixels(encoded: bytes, feature: Any, size: Any) -> np.ndarray:
    """Decodes an image to ``[height, width, channels]``, and resizes it, bilinear.

    The decoder of tensorflow-datasets reads a palette's indices as pixels, and 16 bits
    not at all.
    """
    from PIL import Image

    dtype = feature.np_dtype
    with Image.open(io.BytesIO(encoded)) as image:
        if image.width * image.height > MOST_PIXELS:  # before any is decoded
            raise ValueError(f"an image of {image.width} x {image.height} pixels")
        if dtype == np.uint8:
            modes = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
            image = image.convert(modes[feature.shape[2]])
        pixels = np.asarray(image)
    if dtype == np.float32:  # stored as the four bytes of each number
        pixels = pixels.view(np.float32)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if size is None:
        return pixels
    planes = [
        Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR)
        for plane in np.moveaxis(pixels.astype(np.float32), -1, 0)
    ]
    pixels = np.stack([np.asarray(plane) for plane in planes], axis=-1)
    return np.rint(pixels) if dtype == np.uint8 else pixels
