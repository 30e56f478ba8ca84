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


def test_the_folder_is_made_and_says_what_it_holds(tmp_path):
    folder = claim(str(tmp_path / "new" / "folder"), "compare", CONFIG)
    assert folder == tmp_path / "new" / "folder"
    written = json.loads((folder / "config.json").read_text())
    assert written == CONFIG | {"rates": [0.1, 1]}


def test_an_empty_folder_is_free(tmp_path):
    claim(str(tmp_path), "compare", CONFIG)
    assert (tmp_path / "config.json").exists()


def test_the_same_config_goes_on_in_its_folder(tmp_path):
    claim(str(tmp_path), "compare", CONFIG)
    (tmp_path / "rows.csv").write_text("results")
    claim(str(tmp_path), "compare", CONFIG)
    assert (tmp_path / "rows.csv").read_text() == "results"


@pytest.mark.parametrize(
    ("other", "names"),
    [
        ({"title": "two"}, "title"),
        ({"data": {"name": "mnist", "examples": None}}, r"data\.name"),
        ({"data": {"name": "digits", "examples": 9}}, r"data\.examples"),
        ({"rates": (0.1,)}, "rates"),
        ({"more": 1}, "more"),
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


def test_files_of_someone_else_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("a year's work")
    with pytest.raises(InputError, match="holds files that are no experiment's"):
        claim(str(tmp_path), "compare", CONFIG)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder"):
        claim(str(tmp_path / "file"), "compare", CONFIG)


def test_without_a_name_every_config_has_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, same = (claim(None, "compare", CONFIG) for _ in range(2))
    two = claim(None, "compare", CONFIG | {"title": "two"})
    assert one == same != two
    assert all(f.match("runs/compare-????????") for f in (one, two))
