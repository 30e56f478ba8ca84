"""Sizes of a config are of the kind that its file has, and counts are not below 1."""

import pytest

from experiments.sizes import check
from optlab.errors import InputError

FILE = {
    "steps": 100,
    "seed": 0,
    "digits": 4.0,
    "study": "nist",
    "examples": None,
    "net": {"hidden": (30, 15), "rates": (0.1,), "problems": ()},
}


def settings(key, value):
    section, _, name = key.rpartition(".")
    return {section: {name: value}} if section else {key: value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 1), ("seed", 0), ("digits", 3), ("net.hidden", (1,)),
        ("net.rates", (1, 0.5)), ("net.problems", ()), ("net.problems", ("Misra1a",)),
        ("examples", 100),
        ("unknown", object()),
    ],
)  # fmt: skip
def test_a_value_of_the_file_s_kind_passes(key, value):
    check(settings(key, value), FILE)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("steps", 0, "a whole number of 1 or more"),
        ("steps", 1.5, "a whole number of 1 or more"),
        ("steps", (1, 2), "a whole number of 1 or more"),
        ("seed", -1, "a whole number of 0 or more"),
        ("digits", (1.0,), "one number"),
        ("study", ("a", "b"), "a text"),
        ("net.hidden", 3, "a tuple with one value or more"),
        ("net.hidden", (), "a tuple with one value or more"),
        ("net.hidden", (3, 0), "a tuple; each value a whole number of 1 or more"),
    ],
)
def test_another_value_is_refused(key, value, wanted):
    with pytest.raises(InputError) as caught:
        check(settings(key, value), FILE)
    assert str(caught.value).startswith(f"--config.{key} must be {wanted}")
