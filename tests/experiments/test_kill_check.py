"""The kill check: it sees one bit of difference, and a killed run has none."""

import random

import numpy as np
import pytest

from tests.experiments import kill_check

ROWS = [{"contender": "adam", "loss": "0.5"}]


def nets(value, name="adam-seed1.net"):
    return {name: {"params": {"w": np.array([value], np.float32)}}}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((ROWS, nets(0.1)), ""),
        ((ROWS, nets(np.nextafter(np.float32(0.1), 1))), "other parameters"),
        ((ROWS, nets(0.1, "adam-seed2.net")), "other nets"),
        (([{**ROWS[0], "loss": "0.50000001"}], nets(0.1)), "other rows"),
        ((ROWS * 2, nets(0.1)), "other rows"),
    ],
)
def test_one_bit_is_a_difference(found, said):
    difference = kill_check._difference(found, (ROWS, nets(0.1)))
    assert difference.startswith(said)
    assert bool(difference) == bool(said)


def test_a_killed_comparison_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    short = tuple(w for w in kill_check.COMMAND if "levenberg_marquardt" not in w)
    short += ("--config.optimizers=adam", "--config.epochs=3")
    monkeypatch.setattr(kill_check, "COMMAND", short)
    lines = []
    assert kill_check.check(1, tmp_path, random.Random(3), lines.append) == 1
    assert lines[0].endswith("same bits")
