"""Examples by name: shapes, scale, and errors where there are none."""

import numpy as np
import pytest

from optlab.errors import InputError
from optlab.testproblems import samples


@pytest.mark.parametrize(
    ("name", "inputs", "targets"),
    [
        ("sinc", (2000, 1), (2000, 1)),
        ("xor", (4, 2), (4, 1)),
        ("spirals", (194, 2), (194, 1)),
        ("diabetes", (442, 10), (442, 1)),
        ("digits", (500, 64), (500,)),
    ],
)
def test_shapes(name, inputs, targets):
    found = samples.load(name)
    assert found.inputs.shape == inputs
    assert found.targets.shape == targets
    assert np.abs(found.inputs).max() < 10


def test_sinc_is_one_at_zero_and_zero_at_multiples_of_pi_over_ten():
    found = samples.load("sinc")
    x = found.inputs[:, 0]
    places = np.argsort(np.abs(x))[:2], np.argmin(np.abs(x - np.pi / 10))
    np.testing.assert_allclose(found.targets[places[0], 0], 1, atol=1e-5)
    np.testing.assert_allclose(found.targets[places[1], 0], 0, atol=5e-3)


def test_the_spirals_wind_three_times_and_are_each_others_mirror():
    """Lang and Witbrock: 97 points each, three turns, from the rim inwards."""
    found = samples.load("spirals")
    one, other = found.inputs[:97], found.inputs[97:]
    np.testing.assert_allclose(one, -other)
    radius, angle = np.hypot(*one.T), np.unwrap(np.arctan2(*one.T))
    assert angle[-1] - angle[0] == pytest.approx(6 * np.pi)
    np.testing.assert_allclose(radius[[0, -1]], [1, 8 / 104])
    assert (np.diff(radius) < 0).all()


def write_table(folder, text="1 2 3\n4 5 6\n7 8 12\n", target="1"):
    (folder / "yacht").mkdir()
    (folder / "yacht" / "data.txt").write_text(text)
    (folder / "yacht" / "TARGET").write_text(target)


def test_a_table_is_standardized_and_its_target_taken_out(tmp_path):
    write_table(tmp_path)
    found = samples.load("yacht", tmp_path)
    third = np.array([3, 6, 12])
    expected = np.stack([[-1, 0, 1] / np.sqrt(2 / 3), (third - 7) / third.std()], 1)
    np.testing.assert_allclose(found.inputs, expected)
    np.testing.assert_allclose(found.targets[:, 0], [-1, 0, 1] / np.sqrt(2 / 3))


def test_a_constant_column_is_zero(tmp_path):
    write_table(tmp_path, "1 2 3\n1 5 6\n")
    assert (samples.load("yacht", tmp_path).inputs[:, 0] == 0).all()


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("sync", None, "no samples 'sync'; did you mean sinc"),
        ("yacht", None, "cannot read the table in .*yacht"),
        ("yacht", ("1 2\n3 x\n", "1"), "cannot read the table"),
        ("yacht", ("1 2\n", "7"), "cannot read the table"),
        ("yacht", ("1 2\n", "last"), "cannot read the table"),
    ],
)
def test_what_cannot_be_read_is_one_clear_error(tmp_path, name, contents, message):
    if contents:
        write_table(tmp_path, *contents)
    with pytest.raises(InputError, match=message):
        samples.load(name, tmp_path)


def test_a_table_without_a_folder_says_how_to_give_it():
    with pytest.raises(InputError, match="give it as data_dir"):
        samples.load("energy")
