"""What the recorder keeps between runs: the table of widths, who made the results."""

import errno
import io
import json
import math
import time
from types import SimpleNamespace

import numpy as np
import pytest
from absl import logging
from rich.console import Console

from experiments.recorder import Recorder, _Events, _file_name, check_names
from optlab.compare import Progress
from optlab.compare.stop import Stop
from optlab.errors import InputError
from tests.compare.test_stages import history, stage_of


def recorder_of(workdir, **made_with):
    console = Console(file=io.StringIO())
    return Recorder(workdir, console, made_with)


def test_results_are_signed_by_those_who_trained_them(tmp_path):
    stage = SimpleNamespace(contender=SimpleNamespace(label="adam"))

    def found(trains, **made_with):
        with recorder_of(tmp_path, **made_with) as recorder:
            recorder.begin(1)
            if trains:
                recorder.compiling(stage)
            return recorder.environment()

    assert found(False, command="a", date="1") == {"command": "a", "date": "1"}
    assert found(True, command="b", date="2") == {"command": "b", "date": "2"}
    # Who shows them again has made nothing.
    assert found(False, command="c", date="3") == {"command": "b", "date": "2"}
    assert found(True, command="b", date="4") == {"command": "b", "date": "2; then 4"}


def test_states_are_saved_when_that_is_a_small_share_of_the_time(tmp_path, monkeypatch):
    """A save of 2 s, gathering included, is followed by 40 s without one."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    recorder = recorder_of(tmp_path)
    now[0] = 100.0
    assert recorder.wants_states(None)
    now[0] = recorder.saved_at = 102.0
    found = {}
    for now[0] in (103.0, 141.0, 143.0):
        found[now[0]] = recorder.wants_states(None)
    assert found == {103.0: False, 141.0: False, 143.0: True}


def test_a_stage_that_a_rule_ended_is_finished(tmp_path):
    stage = stage_of(1, Stop(patience=1))
    steps = [[1.0] * 4 + [math.nan] * 4]
    seen = history(steps, [[1], [2], [math.nan]], epoch=1)
    with recorder_of(tmp_path) as recorder:
        recorder.begin(stage.epochs)
        recorder.segment(stage, Progress(seen, None))
        assert recorder.bar.finished
    assert (tmp_path / "rows.csv").read_text().count(",validation,") == 2
    with recorder_of(tmp_path) as recorder:
        recorder.begin(stage.epochs)
        again = recorder.restore(stage, Progress(seen._replace(epoch=0), None))
        assert again.history.epoch == 1
        assert recorder.bar.finished


def test_a_tensorboard_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("tensorboardX")

    def full(event):
        raise OSError(errno.ENOSPC, "No space left on device")

    stage, seen = stage_of(1), history([[1.0] * 8], [[1.0]] * 3)
    events = _Events(tmp_path)
    events.write(stage, seen)
    (written,) = (tmp_path / "sgd" / "tune-point0-seed0").iterdir()
    assert b"loss/validation" in written.read_bytes()
    monkeypatch.setattr(events._writer("tune-point0-seed0", stage), "write_event", full)
    with pytest.raises(InputError, match=r"cannot write .*: No space left"):
        events.write(stage, seen)
    events.close()


def test_events_of_a_lane_end_where_it_ends(tmp_path):
    pytest.importorskip("tensorboardX")
    # Lane 0 ends after epoch 1, lane 1 goes on.
    stage = stage_of(2, Stop(patience=1))
    losses = [[1, 1], [2, 0.9], [3, 0.8]]
    events = _Events(tmp_path)
    for epoch in range(3):
        events.write(stage, history(np.ones((2, 8)), losses, epoch))
    events.close()
    counts = [
        next((tmp_path / "sgd" / f"tune-point{i}-seed0").iterdir())
        .read_bytes()
        .count(b"loss/validation")
        for i in (0, 1)
    ]
    assert counts == [2, 3]


def test_widths_are_measured_once_for_a_working_directory(tmp_path):
    """A resumed run must choose as before, or its bits would differ."""
    tables = iter([{1: 0.5, 8: 0.25}, {1: math.nan}])

    def chosen(name):
        with recorder_of(tmp_path) as recorder:
            recorder.begin(1)
            return recorder.widths(name, lambda: next(tables))

    assert chosen("batch 64") == {1: 0.5, 8: 0.25}
    assert chosen("batch 64") == {1: 0.5, 8: 0.25}
    (alone,) = chosen("batch 512").items()
    assert alone[0] == 1
    assert math.isnan(alone[1])
    with pytest.raises(StopIteration):
        chosen("batch 1024")


@pytest.mark.parametrize(
    "content", ["", "{", "[1, 2]", '{"batch 64": [1]}', '{"batch 64": {"x": 1}}', "3"]
)
def test_a_damaged_table_of_widths_is_set_aside_and_measured_again(tmp_path, content):
    state = tmp_path / "state"
    state.mkdir()
    (state / "widths.json").write_text(content)
    (state / "adam.done").write_text("trained")
    with recorder_of(tmp_path) as recorder:
        recorder.begin(1)
        assert recorder.widths("batch 64", lambda: {2: 0.5}) == {2: 0.5}
    assert json.loads((state / "widths.json").read_text()) == {"batch 64": {"2": 0.5}}
    assert (state / "widths.json.damaged").read_text() == content
    assert (state / "adam.done").read_text() == "trained"


def test_a_width_without_another_is_no_time_in_the_log(tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(logging, "info", lambda _, name, *times: names.append(name))
    with recorder_of(tmp_path) as recorder:
        recorder.begin(1)
        recorder.widths("one", lambda: {2: math.nan})
        recorder.widths("two", lambda: {1: 0.5, 2: 0.25})
    assert names == ["two"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"command": 1}]', "[" * 10**5])
def test_damaged_signatures_are_set_aside(tmp_path, content):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "made_with.json").write_text(content)
    with recorder_of(tmp_path, command="a") as recorder:
        assert recorder.environment() == {"command": "a"}
    assert (tmp_path / "state" / "made_with.json.damaged").read_text() == content


def test_labels_are_names_of_files_and_no_paths_or_markup():
    names = ["adam", "a/b", "..", "[b] x", "$x$", "x" * 300, "\u00e9" * 300, "a\nb"]
    files = [_file_name(name) for name in names]
    assert len(set(files)) == len(names)
    for file in files:
        assert not set(file) & set("/[]$\n ")
        assert not file.startswith(".")
        assert len(file.encode()) < 160
    check_names(names)
    with pytest.raises(InputError, match="'a b' and 'a_b' would share their files"):
        check_names(["a b", "a_b"])
    with pytest.raises(InputError, match="'Adam' and 'adam' would share their files"):
        check_names(["Adam", "adam"])
