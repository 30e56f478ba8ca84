"""A part by name: from the registry, from a custom module, or one clear line."""

import pytest

from optlab import names
from optlab.errors import InputError


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Two modules: one with a part, one that lacks a dependency of its own."""
    (tmp_path / "sound_parts.py").write_text(
        "def half(x):\n    return x / 2\nSIZE = 3\n"
    )
    (tmp_path / "broken_parts.py").write_text("import absent_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_the_registry_comes_first_and_a_dotted_path_is_imported(parts):
    assert names.find("part", "sound_parts.half", {"sound_parts.half": abs}) is abs
    assert names.find("part", "sound_parts.half", {})(4.0) == 2.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absolut", "no part 'absolut'; did you mean absolute"),
        (None, "the name of the part must be a text, not None"),
        ("sound_parts.", "no part 'sound_parts.'"),
        ("sound_parts.halve", "has no function 'halve'; did you mean half"),
        ("sound_parts.SIZE", "has no function 'SIZE'"),
        ("sound_party.half", "no module 'sound_party' for part"),
    ],
)
def test_a_mistyped_name_is_one_line(parts, name, message):
    with pytest.raises(InputError, match=message):
        names.find("part", name, {"absolute": abs})


def test_a_module_that_lacks_its_own_dependency_keeps_its_error(parts):
    with pytest.raises(ModuleNotFoundError, match="absent_dependency"):
        names.find("part", "broken_parts.half", {})


def test_wrong_arguments_are_told_apart_from_errors_of_the_factory():
    def factory(rate, *, steps=1):
        raise TypeError("of the factory")

    with pytest.raises(InputError, match=r"^mine .*'rat'; it takes rate, steps$"):
        names.call("mine", factory, {"rate": 1, "rat": 2})
    with pytest.raises(InputError, match=r"^mine missing .*'rate'"):
        names.call("mine", factory, {})
    with pytest.raises(TypeError, match="of the factory") as raised:
        names.call("mine", factory, {"rate": 1})
    assert not isinstance(raised.value, InputError)
