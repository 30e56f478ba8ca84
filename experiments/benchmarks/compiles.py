"""Programs compiled by a sweep: counted, in processes of their own, and never timed.

The second process finds the first one's programs in JAX's persistent cache. Only the
growth with the number of lanes is a ratio of times.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.benchmarks import engine
from experiments.benchmarks.suite import Bench, SuiteResult, Value
from experiments.benchmarks.sweep import make_task
from optlab.report import Table
from optlab.report.tables import number
from optlab.sweep import grid

#: The module that the processes run.
COUNTED = "experiments.benchmarks.counted"


def run(settings: Mapping[str, Any], bench: Bench) -> SuiteResult:
    """Counts the programs of a sweep, with an empty cache and with a full one.

    Args:
      settings: as in ``configs/bench.py``, ``compile``.
      bench: whom to tell.

    Returns:
      The counts, and how compile time grows with the lanes.
    """
    with tempfile.TemporaryDirectory() as cache:
        bench.tell("a process with an empty cache")
        first = _count(settings, cache)
        bench.tell("a process with a full cache")
        second = _count(settings, cache)
    seconds = growth(settings, bench)
    least, *_ = seconds.values()
    lanes = settings["learning_rates"] * settings["seeds"]
    most = max(seconds)
    return SuiteResult(
        values=(
            Value(f"training programs of {lanes} lanes", first["training"], "",
                  least=1, most=1),
            Value("programs, helpers included", first["all"] - first["found"]),
            Value("more for other rates and seeds", first["again"], "", most=0),
            Value("compiled by a second process", second["all"] - second["found"], "",
                  most=0),
            Value("found in its cache", second["found"]),
            Value(f"compile time, up to {most} lanes / {min(seconds)}",
                  max(seconds.values()) / least, "x", most=1.5),
        ),
        blocks=(
            Table(
                title="Compile time of the training program",
                columns=("lanes, all at a time", "seconds"),
                align="lr",
                rows=tuple((str(n), number(each)) for n, each in seconds.items()),
                groups=(f"median of {settings['repeats']} compiles",) * len(seconds),
            ),
        ),
    )  # fmt: skip


def growth(settings: Mapping[str, Any], bench: Bench) -> dict[int, float]:
    """How long programs of some numbers of lanes take to compile, in turns.

    Args:
      settings: of the suite.
      bench: whom to tell.

    Returns:
      Lanes to seconds, the median of the turns.
    """
    task = make_task(settings)
    seconds: dict[int, list[float]] = {count: [] for count in settings["growth"]}
    for turn in range(settings["repeats"]):
        for count, each in seconds.items():
            bench.tell(f"turn {turn + 1} of {settings['repeats']}: {count} lanes")
            rates = np.geomspace(1e-4, 1e-1, count).tolist()
            points = grid({"learning_rate": rates})
            compiled = engine.compile_lanes(task, (0,), points, width=count)
            each.append(compiled.program.compile_seconds)
    return {count: float(np.median(each)) for count, each in seconds.items()}


def _count(settings: Mapping[str, Any], cache: str) -> dict[str, int]:
    command = [sys.executable, "-m", COUNTED, json.dumps(settings), cache]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{done.stderr}")
    return json.loads(done.stdout)
