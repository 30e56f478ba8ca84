"""Lanes over two real processes on the loopback address: the same losses as in one."""

import numpy as np
import pytest

from experiments.benchmarks import apart
from experiments.benchmarks.devices import _free_port

JOB = apart.Job(lanes=4, examples=256, batch_size=32, hidden=(5,), epochs=2, width=4)


@pytest.fixture(scope="module")
def alone():
    return apart.launch([JOB])[0]


@pytest.mark.parametrize("width", [4, None])  # None: they measure, and choose alike
def test_two_processes_agree_with_one(alone, width):
    spread = JOB._replace(devices=2, processes=2, port=_free_port(), width=width)
    found = apart.launch([spread._replace(process=process) for process in range(2)])
    for report in found:
        assert len(report.losses) == 4
        np.testing.assert_allclose(report.losses, alone.losses, rtol=1e-4)
    assert found[0].losses == found[1].losses


def test_the_report_counts_bytes(alone):
    """A lane: 784 x 5 + 5 + 5 x 10 + 10 weights and two moments of each, and counts."""
    weights = 784 * 5 + 5 + 5 * 10 + 10
    assert 0 <= alone.state_bytes - 4 * JOB.lanes * 3 * weights <= 1024
    assert alone.data_bytes == 256 * 784
    assert alone.grown_bytes >= alone.data_bytes


def test_a_process_that_fails_says_why():
    with pytest.raises(RuntimeError, match="one unit or more"):
        apart.launch([JOB._replace(hidden=(0,))])
