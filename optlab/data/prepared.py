"""Data sets of tensorflow-datasets, read from array_record files without TensorFlow."""

import functools
import io
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from optlab.data.dataset import Split
from optlab.errors import InputError, near

#: Number of records decoded at a time; all of them at once would double memory.
CHUNK = 512


#: Pillow's mode of an 8-bit image, by its number of channels.
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class Source(NamedTuple):
    """A data set before it is split; examples are read by index, only when wanted."""

    classes: int | None  # None where the target is no class label
    count: int  # training examples
    read_train: Callable[[Sequence[int]], Split]
    read_test: Callable[[], Split] | None  # None where no such split is published


def find(
    name: str,
    data_dir: str | os.PathLike | None,
    *,
    size: tuple[int, int] | None = None,
    label: str | None = None,
    download: bool = False,
    others: Iterable[str] = (),
) -> Source:
    """Opens a data set that tensorflow-datasets has prepared, or prepares it.

    Args:
      name: tensorflow-datasets name, such as ``"emnist/letters"``.
      data_dir: folder of prepared sets; by default ``$TFDS_DATA_DIR``, then
        ``~/tensorflow_datasets``.
      size: height and width to resize images to.
      label: feature that is the target; by default the publisher's choice.
      download: whether to prepare a set that is not there yet, over the network.
      others: further names that a typing error may mean.

    Returns:
      The data set; no example is read yet.

    Raises:
      InputError: the name is unknown, the set is not prepared, or its records have no
        input and target that fit in arrays.
    """
    import tensorflow_datasets as tfds

    root = pathlib.Path(
        data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    ).expanduser()
    folder = _prepared_folder(root / name)
    if folder is not None:
        return _chosen(name, tfds.builder_from_directory(folder), size, label)
    known = tfds.list_builders(with_community_datasets=False)
    base = name.split("/")[0]
    if base not in known:
        raise InputError(f"unknown data set {name!r}; {near(base, [*known, *others])}")
    if not download:
        raise InputError(
            f"data set {name!r} is not prepared in {root}: give the folder that holds "
            "it as data_dir=..., or download=True (needs a network)"
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
    return _chosen(name, builder, size, label)


def _prepared_folder(folder: pathlib.Path) -> pathlib.Path | None:
    """Finds the newest prepared version below a folder, without a network.

    tensorflow-datasets itself would retry the network for minutes before it gives up.
    """
    versions = [
        (tuple(map(int, info.parent.name.split("."))), info.parent)
        for info in folder.glob("*/dataset_info.json")
        if info.parent.name.replace(".", "").isdigit()
    ]
    return max(versions)[1] if versions else None


def _chosen(
    name: str, builder: Any, size: tuple[int, int] | None, label: str | None
) -> Source:
    """Chooses the input and the target of a record, and checks that both will do.

    ``supervised_keys`` decides: the order of features comes from a protobuf map and
    differs from process to process.
    """
    features = builder.info.features
    kinds = {key: type(features[key]).__name__ for key in sorted(features)}
    holds = ", ".join(f"{key} ({kind})" for key, kind in kinds.items())
    if "train" not in builder.info.splits:
        raise InputError(f"data set {name!r} has no split 'train'")
    source, target = (builder.info.supervised_keys or (None, None))[:2]
    source: Any = source or _only("Image", kinds)
    target = label or target or _only("ClassLabel", kinds)
    if label is not None and label not in kinds:
        raise InputError(f"data set {name!r} has no label {label!r}; it holds {holds}")
    if target is None:
        raise InputError(
            f"data set {name!r} does not say which feature is the target: give "
            f"label=..., one of {holds}"
        )
    if not all(_is_numeric(features, key) for key in (source, target)):
        raise InputError(
            f"data set {name!r} has no input and target that are arrays of numbers: "
            f"its records hold {holds}"
        )
    shape = features[source].shape
    deep = features[source].np_dtype == np.uint16
    if kinds[source] == "Image" and deep and shape[2] != 1:
        raise InputError(
            f"data set {name!r} has 16-bit images of {shape[2]} channels, which cannot "
            "be decoded; only those of one channel can"
        )
    if size is not None:
        if kinds[source] != "Image" or min(size) < 1:
            raise InputError(
                f"data set {name!r}: size={size} is the height and width to resize "
                f"images to, one pixel or more, and {source} is of type {kinds[source]}"
            )
        shape = (*size, shape[-1])
    if None in (*shape, *features[target].shape):
        raise InputError(
            f"data set {name!r} has examples of many sizes {shape}: give "
            "size=(height, width), which images are resized to"
        )
    splits = builder.info.splits
    read = functools.partial(_read, builder, source, target, size)
    published = next((key for key in ("test", "validation") if key in splits), None)
    read_test = None
    if published is not None:
        indices = range(splits[published].num_examples)
        read_test = functools.partial(read, published, indices)
    return Source(
        classes=getattr(features[target], "num_classes", None),
        count=splits["train"].num_examples,
        read_train=functools.partial(read, "train"),
        read_test=read_test,
    )


def _read(
    builder: Any,
    input_key: str,
    target_key: str,
    size: tuple[int, int] | None,
    split: str,
    indices: Sequence[int],
) -> Split:
    """Reads some examples of a split, in the order of their indices."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    source, target = features[input_key], features[target_key]
    image, channels = isinstance(source, tfds.features.Image), source.shape[-1:]
    decoders = {input_key: tfds.decode.SkipDecoding()} if image else None
    records: Any = builder.as_data_source(split, decoders=decoders)
    dtype: Any = source.np_dtype
    shape, stored = source.shape, dtype
    if size is not None:
        shape = (*size, *channels)
        stored = dtype if dtype == np.uint8 else np.float32
    inputs = np.empty((len(indices), *shape), stored)
    targets = np.empty((len(indices), *target.shape), target.np_dtype)
    for start in range(0, len(indices), CHUNK):
        chunk = [int(i) for i in indices[start : start + CHUNK]]
        for row, record in enumerate(records.__getitems__(chunk), start):
            example = record[input_key]
            if image:
                example = _decoded(example, dtype, *channels)
            if size is not None:
                example = _resized(example, size)
            inputs[row] = example
            targets[row] = record[target_key]
    return Split(inputs, targets)


def _only(kind: str, kinds: dict[str, str]) -> str | None:
    """Finds the one feature of a kind, None where there is none or more."""
    keys = [key for key in kinds if kinds[key] == kind]
    return keys[0] if len(keys) == 1 else None


def _is_numeric(features: Any, key: Any) -> bool:
    if not isinstance(key, str) or key not in features:
        return False
    dtype = getattr(features[key], "np_dtype", None)
    return isinstance(dtype, type | np.dtype) and np.dtype(dtype).kind in "biuf"


def _decoded(encoded: bytes, dtype: Any, channels: int) -> np.ndarray:
    """Decodes an image as tensorflow-datasets encodes it, to ``[height, width, c]``.

    Its own decoder reads a palette's indices as pixels, and 16 bits not at all.
    """
    from PIL import Image

    with Image.open(io.BytesIO(encoded)) as image:
        if dtype == np.uint8:
            image = image.convert(MODES[channels])
        pixels = np.asarray(image)
    if dtype == np.float32:  # stored as the four bytes of each number
        return pixels.view(np.float32)
    return pixels.astype(dtype).reshape(*pixels.shape[:2], -1)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes an image of any type, bilinear; uint8 stays uint8."""
    from PIL import Image

    height, width = size
    channels = [
        Image.fromarray(channel.astype(np.float32)).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for channel in np.moveaxis(image, -1, 0)
    ]
    resized = np.stack([np.asarray(channel) for channel in channels], axis=-1)
    return np.rint(resized) if image.dtype == np.uint8 else resized
