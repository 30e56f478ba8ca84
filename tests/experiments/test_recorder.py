"""What the recorder keeps between runs: the table of widths, who made the results."""

import io
import math
from types import SimpleNamespace

import pytest
from rich.console import Console

from experiments.recorder import Recorder


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
