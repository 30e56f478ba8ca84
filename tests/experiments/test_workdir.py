"""A working directory is one experiment's, and says what it holds."""

import json

import pytest

from experiments.workdir import claim
from optlab.errors import InputError

CONFIG = {
    "title": "one",
    "data": {"name": "digits", "examples": None},
    "rates": (0.1, 1),
}


def test_a_folder_holds_its_config_and_goes_on_with_the_same(tmp_path):
    folder = claim(str(tmp_path / "new" / "folder"), "compare", CONFIG)
    written = json.loads((folder / "config.json").read_text())
    assert written == CONFIG | {"rates": [0.1, 1]}
    (folder / "rows.csv").write_text("results")
    assert claim(str(folder), "compare", CONFIG) == tmp_path / "new" / "folder"
    assert (folder / "rows.csv").read_text() == "results"


@pytest.mark.parametrize(
    ("other", "names"),
    [
        ({"title": "two"}, "title"),
        ({"data": {"name": "digits", "examples": 9}}, r"data\.examples"),
        ({"rates": (0.1,)}, "rates"),
        ({f"key{i}": i for i in range(9)}, r"key0, key1, key2, key3, \.\.\."),
    ],
)
def test_another_s_folder_is_refused_and_left_as_it_is(tmp_path, other, names):
    claim(str(tmp_path), "compare", CONFIG)
    before = (tmp_path / "config.json").read_text()
    match = rf"holds another experiment's results \(it differs in {names}\)"
    with pytest.raises(InputError, match=match):
        claim(str(tmp_path), "compare", CONFIG | other)
    assert (tmp_path / "config.json").read_text() == before


def test_other_files_are_refused_and_left(tmp_path):
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("a year's work")
    with pytest.raises(InputError, match="holds files that are no experiment's"):
        claim(str(tmp_path), "compare", CONFIG)
    with pytest.raises(InputError, match="is a file; name a folder"):
        claim(str(thesis), "compare", CONFIG)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_without_a_name_every_config_has_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, same = (claim(None, "compare", CONFIG) for _ in range(2))
    two = claim(None, "compare", CONFIG | {"title": "two"})
    assert one == same != two
    assert all(f.match("runs/compare-????????") for f in (one, two))
