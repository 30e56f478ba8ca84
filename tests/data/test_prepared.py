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
        f"    data.load('cifar100', {str(tmp_path)!r})\n"
        "except errors.InputError as error:\n"
        "    waited = time.perf_counter() - start\n"
        "    print(waited, 'tensorflow' in sys.modules, error)\n"
    )
    tries = []
    for _ in range(3):  # one quick answer is enough: the machine may be busy
        run = subprocess.check_output(
            [sys.executable, "-c", code], text=True, timeout=60
        )
        waited, tensorflow, error = run.split(maxsplit=2)
        assert tensorflow == "False"
        assert f"'cifar100' is not prepared in {tmp_path}" in error
        assert "data_dir=..., or download=True" in error
        tries.append(float(waited))
        if tries[-1] < 2:
            break
    assert min(tries) < 2
    assert not list(tmp_path.iterdir())


def test_the_folder_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "there"))
    with pytest.raises(InputError, match=f"not prepared in {tmp_path / 'there'}"):
        data.load("mnist")


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
    found = data.load("small", there)
    assert numbers_of(found.train) <= set(range(100, 110))


def pixels_of(kind, channels):
    """Draws an image, and encodes it as tensorflow-datasets would."""
    draws = np.random.default_rng(0).integers(0, 256, (3, 3, channels * 4), np.uint8)
    if kind == np.float32:
        pixels = np.arange(9, dtype=np.float32).reshape(3, 3, 1) / 7
        return pixels, png(Image.fromarray(pixels.view(np.uint8)))
    if kind == np.uint16:
        pixels = draws.view(np.uint16)[..., :1]
        return pixels, png(Image.fromarray(pixels[..., 0].copy()))
    pixels = draws[..., :channels]
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    return pixels, png(image)


@pytest.mark.parametrize(
    ("kind", "channels"),
    [(np.uint8, c) for c in (1, 2, 3, 4)] + [(np.uint16, 1), (np.float32, 1)],
)
def test_pixels_of_every_type(prepare, kind, channels):
    pixels, _ = pixels_of(kind, channels)
    split = [{"image": pixels_of(kind, channels)[1], "label": i % 5} for i in range(10)]
    if kind == np.float32:  # whose encoder needs TensorFlow: written as their bytes
        there = prepare(labelled(3, 4), {"train": split})
        (file,) = there.glob("small/*/features.json")
        features = json.loads(file.read_text())
        image = features["featuresDict"]["features"]["image"]["image"]
        image["dtype"], image["shape"]["dimensions"][2] = "float32", "1"
        file.write_text(json.dumps(features))
    else:
        there = prepare(labelled(3, channels, kind), {"train": split})
    found = data.load("small", there)
    expected = pixels.astype(np.float32) if kind == np.uint16 else pixels
    assert found.train.inputs.dtype == expected.dtype
    np.testing.assert_array_equal(found.train.inputs[0], expected)


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


def two_labels():
    import tensorflow_datasets as tfds

    return labelled(4) | {
        "coarse_label": tfds.features.ClassLabel(num_classes=3),
        "weight": tfds.features.Scalar(dtype=np.float64),
        "name": tfds.features.Text(),
    }


def richer(numbers):
    return [
        record | {"coarse_label": i % 3, "weight": i / 2, "name": str(i)}
        for i, record in zip(numbers, records(numbers), strict=True)
    ]


def test_the_publisher_or_the_user_chooses_the_label(prepare):
    there = prepare(two_labels(), {"train": richer(range(20))}, ("image", "label"))
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
        ({}, "give label=..., one of coarse_label .ClassLabel., .* weight .Scalar"),
        ({"label": "fine"}, "no label 'fine'; it holds coarse_label"),
        ({"label": "name"}, "no input and target that are arrays of numbers"),
        ({"label": "label", "size": (0, 3)}, "size=(0, 3).*one pixel or more"),
        ({"label": "label", "size": 3}, r"size=3: give size=\(height, width\)"),
        ({"noise": 1}, "'small' has no option 'noise'"),
    ],
)
def test_a_choice_that_cannot_be_is_an_error(prepare, options, message):
    there = prepare(two_labels(), {"train": richer(range(5))})
    with pytest.raises(InputError, match=message.replace("(0, 3)", r"\(0, 3\)")):
        data.load("small", there, **options)


def test_what_does_not_fit_in_arrays_is_an_error(prepare):
    there = prepare(labelled(None), {"train": records(range(4))})
    with pytest.raises(InputError, match=r"sizes \(None, None, 1\): give size=\(hei"):
        data.load("small", there)
    features = {"label": labelled()["label"]}
    there = prepare(features, {"train": [{"label": 1}]}, version="2.0.0")
    with pytest.raises(InputError, match=r"records hold label \(ClassLabel\)"):
        data.load("small", there)
    there = prepare(labelled(4), {"other": records(range(4))}, version="3.0.0")
    with pytest.raises(InputError, match="no split 'train'"):
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
    prepared = found.prepare(found.train.inputs)
    np.testing.assert_allclose(prepared.mean(axis=(0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(prepared.std(axis=(0, 1, 2)), 1, atol=1e-3)
    with pytest.raises(
        InputError, match=f"has {train_and_validation} training examples"
    ):
        data.load(name, REAL, examples=train_and_validation + 1)
