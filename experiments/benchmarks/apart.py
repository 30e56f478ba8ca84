"""Sweeps in processes of their own, with devices and a peak of memory of their own.

Several processes of one job find each other at its port on the loopback address and
train the lanes together.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

#: The module that the processes run.
TRAINED = "experiments.benchmarks.trained"


class Job(NamedTuple):
    """What such a process does."""

    lanes: int
    examples: int
    batch_size: int
    hidden: tuple[int, ...]
    epochs: int  # timed, after one that warms up
    width: int | None  # lanes at a time; None: as the engine chooses
    devices: int = 1  # of each process
    processes: int = 1
    process: int = 0
    port: int = 0


class Report(NamedTuple):
    """What it found."""

    losses: list[float]  # of each lane, early in its first epoch
    seconds: float  # of an epoch, the median
    state_bytes: int  # of all lanes
    data_bytes: int  # of the training split
    grown_bytes: int  # of resident memory at its peak, the data set included


def launch(jobs: Sequence[Job]) -> list[Report]:
    """Runs jobs at the same time, each in a process.

    Args:
      jobs: the processes.

    Returns:
      Their reports.
    """
    commands = [[sys.executable, "-m", TRAINED, json.dumps(job)] for job in jobs]
    running = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    outputs = [process.communicate() for process in running]
    for process, (_, errors) in zip(running, outputs, strict=True):
        if process.returncode:
            raise RuntimeError(f"a process of the benchmark failed:\n{errors}")
    # Libraries print lines of their own; the report is the last one.
    return [Report(**json.loads(out.splitlines()[-1])) for out, _ in outputs]
