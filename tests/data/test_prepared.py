"""Data sets that tensorflow-datasets has prepared, read without TensorFlow."""

import io
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from optlab import data
from optlab.errors import InputError


def test_an_unprepared_set_is_an_error_at_once_and_needs_no_tensorflow(tmp_path):
    code = (
        "import sys, time\n"
        "from optlab import data, errors\n"
        "import tensorflow_datasets\n"  # whose import takes seconds
        "start = time.perf_counter()\n"
        "try:\n"
        "    data.load('cifar100')\n"
        "except errors.InputError as error:\n"
        "    waited = time.perf_counter() - start\n"
        "    print(waited < 2, 'tensorflow' in sys.modules, error)\n"
    )
    for _ in range(3):  # one quick answer is enough: the machine may be busy
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env=os.environ | {"TFDS_DATA_DIR": str(tmp_path)},
            text=True,
            timeout=60,
        )
        if run.stdout.startswith("True"):
            break
    assert run.stdout.startswith("True False"), run.stdout
    assert f"'cifar100' is not prepared in {tmp_path}" in run.stdout
    assert "give the folder that holds it as data_dir" in run.stdout
    assert not list(tmp_path.iterdir())


def png(image):
    file = io.BytesIO()
    image.save(file, "png")
    file.seek(0)
    return file


def image_of(number, side=4):
    return np.full((side, side), number, np.uint8)


@pytest.fixture
def prepare(tmp_path):
    """Writes a small set as tensorflow-datasets prepares one, and gives its folder."""
    import tensorflow_datasets as tfds

    def write(features, splits, keys=None, version="1.0.0"):
        class Small(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            VERSION = tfds.core.Version(version)

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(features),
                    supervised_keys=keys,
                )

            def _split_generators(self, _):
                return {k: self._generate_examples(v) for k, v in splits.items()}

            def _generate_examples(self, records):
                yield from enumerate(records)

        Small.name = "small"
        Small.url_infos = {}  # there is nothing to download
        Small(data_dir=tmp_path, file_format="array_record").download_and_prepare()
        return tmp_path

    return write


def labelled(side=None, channels=1, dtype=np.uint8):
    import tensorflow_datasets as tfds

    shape = (side, side, channels)
    return {
        "image": tfds.features.Image(shape=shape, dtype=dtype, encoding_format="png"),
        "label": tfds.features.ClassLabel(num_classes=5),
    }


def records(numbers):
    return [
        {"image": png(Image.fromarray(image_of(i))), "label": i % 5} for i in numbers
    ]


def numbers_of(split):
    """Returns what `image_of` drew, after a check that each label has its image."""
    numbers = split.inputs[:, 0, 0, 0]
    np.testing.assert_array_equal(
        split.inputs, [image_of(i)[..., None] for i in numbers]
    )
    np.testing.assert_array_equal(split.targets, numbers % 5)
    return set(numbers.tolist())


@pytest.mark.parametrize(
    ("splits", "sizes", "tested"),
    [
        ({"train": 20, "test": 10}, (18, 2, 10), range(20, 30)),
        ({"train": 20}, (14, 2, 4), None),  # a fifth is held out
        ({"train": 10, "validation": 4}, (9, 1, 4), range(10, 14)),
    ],
)
def test_a_prepared_set_is_read_without_tensorflow(prepare, splits, sizes, tested):
    counted = iter(range(100))
    written = {k: records([next(counted) for _ in range(n)]) for k, n in splits.items()}
    found = data.load("small", prepare(labelled(4), written))
    assert found.classes == 5
    parts = [numbers_of(s) for s in (found.train, found.validation, found.test)]
    assert tuple(map(len, parts)) == sizes
    assert set.union(*parts) == set(range(sum(sizes)))
    assert tested is None or parts[2] == set(tested)
    assert "tensorflow" not in sys.modules


def test_the_newest_version_is_read(prepare):
    for version, first in (("9.0.0", 0), ("10.0.0", 100), ("2.0.0", 200)):
        splits = {"train": records(range(first, first + 10))}
        there = prepare(labelled(4), splits, version=version)
    assert numbers_of(data.load("small", there).train) <= set(range(100, 110))


@pytest.mark.parametrize(
    ("kind", "channels"),
    [(np.uint8, c) for c in (1, 2, 3, 4)] + [(np.uint16, 1), (np.float32, 1)],
)
def test_pixels_of_every_type(prepare, kind, channels):
    drawn = np.random.default_rng(0).integers(0, 256, (3, 3, channels * 4), np.uint8)
    pixels = {np.uint8: drawn[..., :channels], np.uint16: drawn.view(np.uint16)}.get(
        kind, np.arange(9, dtype=np.float32).reshape(3, 3, 1) / 7
    )[..., :channels]
    # An encoder of real numbers needs TensorFlow: they are written as their bytes.
    stored = np.ascontiguousarray(pixels)
    stored = stored.view(np.uint8) if kind == np.float32 else stored
    image = Image.fromarray(stored[..., 0] if stored.shape[2] == 1 else stored)
    split = [{"image": png(image), "label": i % 5} for i in range(10)]
    features = labelled(3, stored.shape[2], stored.dtype.type)
    there = prepare(features, {"train": split})
    if kind == np.float32:
        (file,) = there.glob("small/*/features.json")
        features = json.loads(file.read_text())
        image = features["featuresDict"]["features"]["image"]["image"]
        image["dtype"], image["shape"]["dimensions"][2] = "float32", "1"
        file.write_text(json.dumps(features))
    found = data.load("small", there).train.inputs
    assert found.dtype == (np.float32 if kind == np.uint16 else kind)
    np.testing.assert_array_equal(found[0], pixels)


def test_a_palette_is_decoded_to_its_colors(prepare):
    red = Image.new("RGB", (4, 4), (255, 0, 0)).convert("P")
    split = [{"image": png(red), "label": 0} for _ in range(10)]
    found = data.load("small", prepare(labelled(4, 3), {"train": split}))
    np.testing.assert_array_equal(found.train.inputs[0, 0, 0], [255, 0, 0])


@pytest.mark.parametrize(("side", "dtype"), [(None, np.uint8), (4, np.uint16)])
def test_images_are_resized_on_request(prepare, side, dtype):
    ramp = np.arange(16, dtype=dtype).reshape(4, 4)
    split = [{"image": png(Image.fromarray(ramp)), "label": 0} for _ in range(9)]
    if side is None:
        one = Image.fromarray(image_of(7, 8))
        split[0] = {"image": png(one), "label": 1}
    there = prepare(labelled(side, dtype=dtype), {"train": split})
    found = data.load("small", there, size=(2, 4))
    splits = found.train, found.validation, found.test
    assert {split.inputs.shape[1:] for split in splits} == {(2, 4, 1)}
    assert found.train.inputs.dtype == (np.uint8 if side is None else np.float32)
    for split in splits:
        for image, label in zip(*split, strict=True):
            # A triangle of half width 2 at 1 weighs 3/4 at 1/2 and 3/2, 1/4 at 5/2.
            rows = np.full((1, 4), 7) if label else [20 / 7 + np.arange(4)]
            np.testing.assert_allclose(
                image[:1, :, 0], rows, atol=0.15 if side is None else 1e-5
            )


def two_labels(numbers):
    """Features and records with more than one candidate for the target."""
    import tensorflow_datasets as tfds

    features = labelled(4) | {
        "coarse_label": tfds.features.ClassLabel(num_classes=3),
        "weight": tfds.features.Scalar(dtype=np.float64),
        "name": tfds.features.Text(),
    }
    return features, {
        "train": [
            record | {"coarse_label": i % 3, "weight": i / 2, "name": str(i)}
            for i, record in zip(numbers, records(numbers), strict=True)
        ]
    }


def test_the_publisher_or_the_user_chooses_the_label(prepare):
    there = prepare(*two_labels(range(20)), ("image", "label"))
    published, coarse, weighed = (
        data.load("small", there, label=label)
        for label in (None, "coarse_label", "weight")
    )
    assert (published.classes, coarse.classes, weighed.classes) == (5, 3, None)
    numbers = published.train.inputs[:, 0, 0, 0]
    np.testing.assert_array_equal(published.train.targets, numbers % 5)
    np.testing.assert_array_equal(coarse.train.targets, numbers % 3)
    np.testing.assert_array_equal(weighed.train.targets, numbers / 2)
    assert weighed.train.targets.dtype == np.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "target None that are arrays .*give label=...; .* weight .Scalar"),
        ({"label": "fine"}, "target 'fine' .* records hold coarse_label .ClassLabel"),
        ({"label": "name"}, "no input 'image' and target 'name' that are arrays"),
        ({"label": "label", "size": (0, 3)}, r"cannot have size=\(0, 3\): give \(hei"),
        ({"label": "label", "size": 3}, r"size=3: give \(height, width\)"),
        ({"noise": 1}, "'small' has no option 'noise'"),
    ],
)
def test_a_choice_that_cannot_be_is_an_error(prepare, options, message):
    there = prepare(*two_labels(range(5)))
    with pytest.raises(InputError, match=message):
        data.load("small", there, **options)


def test_what_does_not_fit_in_arrays_is_an_error(prepare):
    label, deep = labelled()["label"], labelled(4, 3, np.uint16)
    for version, (features, splits, message) in enumerate(
        [
            (labelled(), {"train": records(range(4))}, r"sizes: give size=\(height"),
            ({"label": label}, {"train": [{"label": 1}]}, "input None and target 'lab"),
            (labelled(4), {"other": records(range(4))}, "no split 'train'"),
            (deep, {"train": records(range(4))}, "16-bit images of several channels"),
        ]
    ):
        there = prepare(features, splits, version=f"{version}.0.0")
        with pytest.raises(InputError, match=message):
            data.load("small", there)


REAL = pathlib.Path(
    os.environ.get("OPTLAB_TFDS_DIR")
    or pathlib.Path(__file__).parents[3] / "shared" / "tfds"
)


@pytest.mark.parametrize(
    ("name", "shape", "train_and_validation", "tests"),
    [("mnist", (28, 28, 1), 60_000, 10_000), ("cifar10", (32, 32, 3), 50_000, 10_000)],
)
def test_real_sets(name, shape, train_and_validation, tests):
    if not (REAL / name).is_dir():
        pytest.skip(f"no prepared {name}: set OPTLAB_TFDS_DIR to the folder holding it")
    found = data.load(name, REAL, examples=500)
    assert found.classes == 10
    assert found.train.inputs.shape == (450, *shape)
    assert found.test.inputs.shape == (tests, *shape)
    assert set(found.test.targets) == set(range(10))
    # Well-known means of the channels, in units of 1/255.
    mean = {"mnist": 33.3, "cifar10": (125.3, 123.0, 113.9)}[name]
    np.testing.assert_allclose(found.train.inputs.mean(axis=(0, 1, 2)), mean, atol=8)
    with pytest.raises(
        InputError, match=f"has {train_and_validation} training examples"
    ):
        data.load(name, REAL, examples=train_and_validation + 1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: _cut(folder, "*.array_record*", 0.5),
            "is cut or damaged: prep",
        ),
        (lambda folder: _cut(folder, "*.array_record*", 0), "is cut or damaged: prep"),
        (lambda folder: _cut(folder, "features.json", 0.5), "is cut or damaged: prep"),
        (lambda folder: _cut(folder, "dataset_info.json", 0.5), "is cut or damaged"),
        (lambda folder: _remove(folder, "*.array_record*"), "is cut or damaged: prep"),
        (lambda folder: _as_tfrecord(folder), "prepared as tfrecord, which only Tens"),
    ],
)
def test_a_damaged_set_and_one_of_tfrecord_say_how_to_go_on(prepare, damage, message):
    there = prepare(labelled(4), {"train": records(range(20))})
    damage(there)
    with pytest.raises(InputError, match=message) as caught:
        data.load("small", there)
    assert "\n" not in str(caught.value)


def _files(folder, pattern):
    return list(folder.glob(f"small/*/{pattern}"))


def _cut(folder, pattern, share):
    for file in _files(folder, pattern):
        content = file.read_bytes()
        file.write_bytes(content[: int(share * len(content))])


def _remove(folder, pattern):
    for file in _files(folder, pattern):
        file.unlink()


def _as_tfrecord(folder):
    (file,) = _files(folder, "dataset_info.json")
    file.write_text(file.read_text().replace("array_record", "tfrecord"))
