"""The gallery: what runs, what runs again, what the page says."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import optlab
from experiments import cards
from optlab.errors import InputError
from optlab.results import provenance
from optlab.testproblems import nist

#: An experiment that counts its runs, and fails or waits as it is told.
EXPERIMENT = """
    import json, pathlib, sys, time

    folder = pathlib.Path(sys.argv[-1].removeprefix("--workdir="))
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "runs", "a") as file:
        file.write("x")
    if "fail" in sys.argv:
        sys.exit("first line\\nerror: <no> such data")
    while "wait" in sys.argv and (folder.parent.parent / "wait").exists():
        time.sleep(0.01)
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "epochs.png").write_bytes(b"")
    (folder / "index.html").write_text("")
    environment = {"optlab": "VERSION", "commit": "COMMIT", "cores": "2"}
    interval = {"mean": 0.012, "low": None, "high": None, "n": 3}
    test = {"subject": "a", "against": "b", "group": "", "interval": interval,
            "remark": ""}
    claim = {"says": "A beats B", "by": "test_accuracy", "verdict": "held",
             "p": 0.01, "comparisons": [test]}
    content = {"title": "Fine & good", "lead": ["All is well."],
               "environment": environment, "metrics":
               [{"name": "accuracy", "percent": True}],
               "claims": [claim] if "claim" in sys.argv else []}
    (folder / "results.json").write_text(json.dumps(content))
"""

CONFIG = """
    from ml_collections import ConfigDict

    def get_config():
        config = ConfigDict({"title": "Two days"})
        config.cards = tuple(
            {"name": name, "group": group, "command": f"python -m fake {word}",
             "picture": "epochs", "needs": needs}
            for name, group, word, needs in CARDS
        )
        return config
"""


@pytest.fixture
def place(tmp_path):
    """Writes an experiment and a config of some cards; runs the gallery on it."""

    def run(*cards, only=None, start=subprocess.run):
        made = {"VERSION": optlab.__version__, "COMMIT": provenance.commit()}
        text = textwrap.dedent(EXPERIMENT)
        for word, value in made.items():
            text = text.replace(word, value)
        (tmp_path / "fake.py").write_text(text)
        config = textwrap.dedent(CONFIG).replace("CARDS", repr(cards))
        (tmp_path / "config.py").write_text(config)
        command = [sys.executable, "-m", "experiments.gallery", "--workdir=made"]
        command += [f"--config={tmp_path / 'config.py'}"]
        command += [f"--only={only}"] if only else []
        path = os.pathsep.join([str(tmp_path), os.getcwd()])
        environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "200"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return start(command, cwd=tmp_path, env=environment, **pipes)

    run.folder = tmp_path / "made"
    return run


def runs(folder, name):
    path = folder / name / "runs"
    return len(path.read_text()) if path.exists() else 0


FINE = ("fine", "Morning", "claim", "")
FAILS = ("fails", "Morning", "fail", "")
NEEDY = ("needy", "Evening", "fine", "OPTLAB_NO_SUCH_FOLDER")
LAST = ("last", "Evening", "fine", "")


def test_a_failure_marks_its_card_and_the_others_go_on(place):
    done = place(FAILS, FINE, NEEDY, LAST)
    assert done.returncode == 1
    line = "error: 1 of 4 experiments failed: fails; the page has their last lines"
    assert done.stderr.splitlines()[-1].startswith(line)
    page = (place.folder / "index.html").read_text()
    order = [page.index(f'id="{name}"') for name in ("fails", "fine", "needy", "last")]
    assert order == sorted(order)
    assert page.index("Morning") < page.index("Evening")
    assert "Failed: error: &lt;no&gt; such data" in page
    assert "set $OPTLAB_NO_SUCH_FOLDER" in page
    assert runs(place.folder, "needy") == 0
    assert "Fine &amp; good" in page
    assert "A beats B: <strong>held</strong>" in page
    assert "Accuracy: a - b: +1.2 points, 3 seeds; Holm&#39;s p 0.010" in page
    assert page.count("All is well.") == 1  # the card with a claim has that
    assert "2 of 4 experiments have run" in page
    assert "Of 1 claims" in page
    assert "<script" not in page
    # Every link and picture is there, and relative.
    for target in re.findall(r'(?:href|src)="([^#"]+)"', page):
        assert (place.folder / target).exists()
        assert not target.startswith(("/", "http"))
    assert "python -m fake claim" in re.sub("</?span>", "", page)
    # Again: what has finished is not run, what has failed is.
    assert place(FAILS, FINE, NEEDY, LAST).returncode == 1
    counts = [runs(place.folder, name) for name in ("fails", "fine", "last")]
    assert counts == [2, 1, 1]


def test_a_stopped_gallery_ends_its_experiment_and_goes_on(place):
    slow, wait = ("slow", "Morning", "wait", ""), place.folder.parent / "wait"
    wait.touch()
    process = place(LAST, slow, FINE, start=subprocess.Popen)
    for _ in range(6000):
        if runs(place.folder, "slow") or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith("error: stopped; the same command goes on")
    wait.unlink()
    assert not (place.folder / "slow" / "results.json").exists()
    done = place(LAST, slow, FINE)
    assert done.returncode == 0, done.stderr
    assert "1/3 last: has run" in done.stderr
    counts = [runs(place.folder, name) for name in ("last", "slow", "fine")]
    assert counts == [1, 2, 1]
    times = json.loads((place.folder / "cards.json").read_text())
    assert all(each["finished"] and each["seconds"] > 0 for each in times.values())


def test_another_command_of_a_card_is_said_and_run(place):
    assert place(FINE, LAST).returncode == 0
    changed = (*FINE[:2], "fine", "")
    said = "made by another command: python -m fake claim"
    assert place(changed, LAST, only="last").returncode == 0
    assert said in (place.folder / "index.html").read_text()
    assert place(changed, LAST).returncode == 0
    assert said not in (place.folder / "index.html").read_text()
    assert [runs(place.folder, name) for name in ("fine", "last")] == [2, 1]


def test_cards_that_were_not_asked_for_are_shown_once_they_ran(place):
    assert place(FINE, LAST, NEEDY, only="last").returncode == 0
    page = (place.folder / "index.html").read_text()
    assert 'id="last"' in page
    assert 'id="fine"' not in page
    assert "Has not run yet." not in page
    assert "1 of 3 experiments have run" in page
    assert place(FINE, LAST, NEEDY, only="fine,needy").returncode == 0
    page = (place.folder / "index.html").read_text()
    assert all(f'id="{name}"' in page for name in ("last", "fine", "needy"))


def test_nists_files_are_found_where_the_study_finds_them(tmp_path, monkeypatch):
    monkeypatch.delenv(nist.VARIABLE, raising=False)
    monkeypatch.setattr(nist, "__file__", str(tmp_path / "a" / "b" / "c" / "nist.py"))
    card = {"name": "n", "command": "", "picture": "", "needs": nist.VARIABLE}
    shown = cards.make_card(tmp_path, card, None, None)
    assert shown.remark == "Left out: set $OPTLAB_NIST_DIR to the folder of its data."
    (tmp_path / "shared" / "nist_strd").mkdir(parents=True)
    shown = cards.make_card(tmp_path, card, None, None)
    assert shown.remark == "Has not run yet."


@pytest.mark.parametrize("key", ["optlab", "commit"])
def test_another_versions_results_are_refused(tmp_path, key):
    made = {"optlab": optlab.__version__, "commit": provenance.commit()}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "index.html").touch()
    path = tmp_path / "old" / "results.json"
    path.write_text(json.dumps({"title": "", "environment": made}))
    cards.check_versions(tmp_path, ["old", "missing"])
    both = {**made, key: f"{made[key]}; then other"}
    path.write_text(json.dumps({"title": "", "environment": both}))
    with pytest.raises(InputError, match=r"another version's results: old was made by"):
        cards.check_versions(tmp_path, ["old", "missing"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": "rm -r x"}, "a command begins with python -m MODULE"),
        ({"command": "python -m nets 'x"}, "No closing quotation"),
        ({"command": "python -m nets --workdir=x"}, "leave out --workdir"),
        ({"name": "../up"}, "a unique name of letters"),
        ({"title": "x"}, "a card has the keys"),
    ],
)
def test_a_wrong_card_is_one_line(change, message):
    card = dict.fromkeys(cards.KEYS, "") | {
        "name": "nets",
        "command": "python -m experiments.nets",
    }
    assert {*cards.read_cards([card])} == {"nets"}
    with pytest.raises(InputError, match=message):
        cards.read_cards([card | change])
    with pytest.raises(InputError, match="did you mean nets"):
        cards.choose({"nets": card}, ["net"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--config=configs/nist.py",),
            "this config has no cards: see configs/gallery",
        ),
        (("--only=",), "--only names no card: leave it out to run all of them"),
        (("--only=pahts",), "--only: no card 'pahts'; did you mean paths?"),
    ],
)
def test_a_mistake_is_one_line(refused, words, message):
    refused("experiments.gallery", words, message)
