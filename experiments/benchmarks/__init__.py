"""Suites of ``experiments.bench``, one file each.

A suite is a function ``run(settings, status)`` of its block of the config, as plain
data, and a callback that receives progress messages.
"""

from collections.abc import Callable, Mapping
from typing import Any

from experiments.benchmarks import (
    conv,
    least_squares,
    minimization,
    pruning,
    scaling,
    sweep,
)
from experiments.benchmarks.suite import SuiteResult
from experiments.benchmarks.timing import Status

#: Name to suite.
SUITES: dict[str, Callable[[Mapping[str, Any], Status], SuiteResult]] = {
    "sweep": sweep.run,
    "conv": conv.run,
    "least_squares": least_squares.run,
    "minimization": minimization.run,
    "scaling": scaling.run,
    "pruning": pruning.run,
}
