"""Data sets that tensorflow-datasets has prepared, read without TensorFlow."""

import io
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
        "from optlab import data\n"
        "import tensorflow_datasets\n"  # its import is no waiting for a network
        "start = time.perf_counter()\n"
        "try:\n"
        f"    data.load('cifar100', {str(tmp_path)!r})\n"
        "except data.InputError as error:\n"
        "    waited = time.perf_counter() - start\n"
        "    print(waited, time.process_time(), 'tensorflow' in sys.modules, error)\n"
    )
    tries = []
    for _ in range(3):  # the machine may be busy: one quick answer will do
        run = subprocess.check_output(
            [sys.executable, "-c", code], text=True, timeout=60
        )
        waited, worked, tensorflow, error = run.split(maxsplit=3)
        assert tensorflow == "False"
        assert f"'cifar100' is not prepared in {tmp_path}" in error
        assert "--data_dir" in error
        assert "--download" in error
        tries.append(max(float(waited), float(worked)))
        if tries[-1] < 2:
            break
    assert min(tries) < 2
    assert not list(tmp_path.iterdir())


def test_the_folder_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "there"))
    with pytest.raises(InputError, match=f"not prepared in {tmp_path / 'there'}"):
        data.load("mnist")


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    file.seek(0)
    return file


def image_of(number, side=4):
    return np.full((side, side), number, np.uint8)


@pytest.fixture
def prepare(tmp_path):
    """Writes a small set as tensorflow-datasets prepares one, and says where."""
    import tensorflow_datasets as tfds

    def write(name, features, splits, version="1.0.0"):
        class Small(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            VERSION = tfds.core.Version(version)

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features)
                )

            def _split_generators(self, _):
                return {k: self._generate_examples(v) for k, v in splits.items()}

            def _generate_examples(self, records):
                yield from enumerate(records)

        Small.name = name
        Small.url_infos = {}  # there is nothing to download
        Small(data_dir=tmp_path, file_format="array_record").download_and_prepare()
        return tmp_path

    return write


def labelled(side=None, classes=5):
    import tensorflow_datasets as tfds

    return {
        "image": tfds.features.Image(shape=(side, side, 1)),
        "label": tfds.features.ClassLabel(num_classes=classes),
    }


def records(numbers):
    return [{"image": png(image_of(i)), "label": i % 5} for i in numbers]


def numbers_of(split):
    """What `image_of` drew, after a look that each label came with its image."""
    numbers = split.images[:, 0, 0, 0]
    np.testing.assert_array_equal(
        split.images, [image_of(i)[..., None] for i in numbers]
    )
    np.testing.assert_array_equal(split.labels, numbers % 5)
    return set(numbers.tolist())


def test_a_prepared_set_is_read_without_tensorflow(prepare):
    splits = {"train": records(range(20)), "test": records(range(20, 30))}
    there = prepare("small", labelled(4), splits)
    found = data.load("small", there)
    assert found.classes == 5
    train, validation, test = map(numbers_of, found[2:5])
    assert train | validation == set(range(20))
    assert len(validation) == 2
    assert test == set(range(20, 30))
    assert "tensorflow" not in sys.modules


def test_the_newest_version_is_read(prepare):
    for version, first in (("9.0.0", 0), ("10.0.0", 100), ("2.0.0", 200)):
        splits = {"train": records(range(first, first + 10))}
        there = prepare("small", labelled(4), splits, version)
    found = data.load("small", there)
    assert numbers_of(found.train) <= set(range(100, 110))


def test_without_a_test_split_a_fifth_is_held_out(prepare):
    found = data.load(
        "small", prepare("small", labelled(4), {"train": records(range(20))})
    )
    train, validation, test = map(numbers_of, found[2:5])
    assert (len(train), len(validation), len(test)) == (14, 2, 4)
    assert train | validation | test == set(range(20))


def test_without_a_test_split_a_published_validation_split_is_the_test(prepare):
    splits = {"train": records(range(10)), "validation": records(range(10, 14))}
    found = data.load("small", prepare("small", labelled(4), splits))
    assert numbers_of(found.test) == set(range(10, 14))


def test_images_of_many_sizes_are_refused(prepare):
    there = prepare("small", labelled(None), {"train": records(range(4))})
    with pytest.raises(InputError, match=r"many sizes \(None, None, 1\)"):
        data.load("small", there)


def test_a_set_without_images_or_labels_is_refused(prepare):
    features = {"label": labelled()["label"]}
    there = prepare("small", features, {"train": [{"label": 1}]})
    with pytest.raises(InputError, match=r"no image-classification set: .*ClassLabel"):
        data.load("small", there)


# The real ones, where they are

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
    assert found.train.images.shape == (450, *shape)
    assert found.test.images.shape == (tests, *shape)
    assert set(found.test.labels) == set(range(10))
    if name == "mnist":  # digits are bright on black; their mean is well known
        assert abs(found.mean[0] - 33.3) < 3
        assert (found.test.images[:, 0, 0] == 0).all()
    else:  # likewise (125.3, 123.0, 113.9), deviations about 63
        np.testing.assert_allclose(found.mean, (125.3, 123.0, 113.9), atol=8)
        np.testing.assert_allclose(found.std, (63.0, 62.1, 66.7), atol=5)
    with pytest.raises(InputError, match=f"has {train_and_validation} training images"):
        data.load(name, REAL, examples=train_and_validation + 1)
