"""Lanes over eight devices and over two processes, beside one device.

The devices are forced on this host and share its cores, so nothing can be gained: what
is measured is what the spreading costs, and whether the results are the same.
"""

import socket
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.benchmarks.apart import Job, Report, launch
from experiments.benchmarks.suite import Bench, Ratio, SuiteResult, Value

ONE, EIGHT = "one device", "eight devices"
TWO = "two processes of four devices"


def run(settings: Mapping[str, Any], bench: Bench) -> SuiteResult:
    """Trains the same lanes in three ways, in turns.

    Args:
      settings: as in ``configs/bench.py``, ``devices``.
      bench: whom to tell.

    Returns:
      The cost of spreading, and how far the losses lie apart.
    """
    job = Job(
        lanes=settings["lanes"],
        examples=settings["examples"],
        batch_size=settings["batch_size"],
        hidden=settings["hidden"],
        epochs=settings["epochs"],
        width=settings["lanes"],
    )
    found: dict[str, list[Report]] = {ONE: [], EIGHT: [], TWO: []}
    for turn in range(settings["repeats"]):
        for name, reports in found.items():
            bench.tell(f"turn {turn + 1} of {settings['repeats']}: {name}")
            reports.append(launch(_jobs(name, job))[0])
    losses = {name: np.array(reports[0].losses) for name, reports in found.items()}
    own = tuple(report.seconds for report in found[ONE])
    return SuiteResult(
        ratios=tuple(
            Ratio(f"{job.lanes} lanes, an epoch each", name,
                  tuple(report.seconds for report in found[name]), own, None,
                  "the same cores: above 1 is what spreading costs")
            for name in (EIGHT, TWO)
        ),
        values=tuple(
            Value(f"losses lie apart by (relative), {name}",
                  float(np.max(np.abs(losses[name] / losses[ONE] - 1))), most=1e-3)
            for name in (EIGHT, TWO)
        ),
    )  # fmt: skip


def _jobs(name: str, job: Job) -> list[Job]:
    if name == TWO:
        port = _free_port()
        spread = job._replace(devices=4, processes=2, port=port)
        return [spread._replace(process=process) for process in range(2)]
    return [job._replace(devices=8 if name == EIGHT else 1)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
