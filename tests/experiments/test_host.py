"""What the host keeps between runs: the table of widths."""

import io
import math

import pytest
from rich.console import Console

from experiments.host import Host


def test_widths_are_measured_once_for_a_working_directory(tmp_path):
    """A resumed run must choose as before, or its bits would differ."""
    tables = iter([{1: 0.5, 8: 0.25}, {1: math.nan}])

    def chosen(name):
        with Host(tmp_path, Console(file=io.StringIO()), tensorboard=False) as host:
            host.begin(1)
            return host.widths(name, lambda: next(tables))

    assert chosen("batch 64") == {1: 0.5, 8: 0.25}
    assert chosen("batch 64") == {1: 0.5, 8: 0.25}
    (alone,) = chosen("batch 512").items()
    assert alone[0] == 1
    assert math.isnan(alone[1])
    with pytest.raises(StopIteration):
        chosen("batch 1024")
