"""Recipes as plain data: names with dots, and what is no contender."""

import pytest

from optlab.compare import recipe
from optlab.errors import InputError


def test_a_swept_number_of_a_part_named_by_path_is_filled_in():
    settings = {"augment": {"my.noise": {"std": (0.0, 0.5)}, "my": {"std": 1.0}}}
    found = recipe.fill(settings, {"augment.my.noise.std": 0.5})
    assert found["augment"] == {"my.noise": {"std": 0.5}, "my": {"std": 1.0}}


@pytest.mark.parametrize(
    ("contenders", "message"),
    [
        (
            {"a": 3},
            "contender 'a' is a section of what it changes .*, not 3",
        ),
        ({1: {}}, "the label of a contender is a text, not 1"),
    ],
)
def test_what_is_no_contender_is_one_line(contenders, message):
    with pytest.raises(InputError, match=message):
        recipe.overrides({"contenders": contenders, "optimizers": {}})
