"""A working directory is one experiment's, and says what it holds."""

import json
import os
import signal
import subprocess
import sys

import pytest

from experiments.workdir import claim, holder, unused_removed
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


def test_a_damaged_config_is_read_from_its_copy(tmp_path):
    claim(str(tmp_path), "compare", CONFIG)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "adam.done").write_text("trained")
    for content in ("", "{", "[1]", '"x"', "\x00", "[" * 100_000):
        (tmp_path / "config.json").write_text(content)
        claim(str(tmp_path), "compare", CONFIG)  # and made again
        written = json.loads((tmp_path / "config.json").read_text())
        assert written == CONFIG | {"rates": [0.1, 1]}
    for name in ("config.json", ".config.json"):
        (tmp_path / name).write_text("{")
    with pytest.raises(InputError, match=r"is damaged, and so is its copy .* put back"):
        claim(str(tmp_path), "compare", CONFIG)
    assert (tmp_path / "state" / "adam.done").read_text() == "trained"


CLAIM = """
import sys, time
from experiments.workdir import claim
from optlab.errors import InputError
try:
    claim(sys.argv[1], "compare", {"title": "one"})
except InputError as error:
    print(error, flush=True)
else:
    print("claimed", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_told_who_holds_the_folder_and_a_killed_one_holds_it_not(
    tmp_path,
):
    def start():
        command = [sys.executable, "-c", CLAIM, str(tmp_path / "a [b] c")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return process, process.stdout.readline()

    first, said = start()
    try:
        assert said == "claimed\n"
        second, said = start()
        second.communicate()
        assert f"is in use by process {first.pid} on " in said
        assert "a [b] c is in use" in said
        first.send_signal(signal.SIGKILL)
        first.wait()
        third, said = start()
        third.kill()
        third.communicate()
        assert said == "claimed\n"
    finally:
        first.kill()
        first.communicate()  # which closes its pipe


def test_an_error_before_anything_is_trained_leaves_no_folder(tmp_path):
    new, used = tmp_path / "new", tmp_path / "used"

    def fails(folder, **files):
        with pytest.raises(ZeroDivisionError), unused_removed():  # noqa: PT012
            claim(str(folder), "compare", CONFIG)
            for name, content in files.items():
                (folder / name).write_text(content)
            raise ZeroDivisionError

    fails(new)
    assert not new.exists()
    claim(str(new), "compare", CONFIG | {"title": "corrected"})
    fails(used, rows="trained")
    assert (used / "rows").read_text() == "trained"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_one_line(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(InputError, match="cannot be written: Permission denied"):
        claim(str(tmp_path / "new"), "compare", CONFIG)


def test_the_process_in_a_folder_is_named(tmp_path):
    assert holder(tmp_path / "missing") == holder(tmp_path) == ""
    folder = claim(str(tmp_path / "one"), "compare", CONFIG)
    assert holder(folder).startswith(f"process {os.getpid()} on ")
