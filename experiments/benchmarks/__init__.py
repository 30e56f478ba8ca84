"""What ``experiments.bench`` can measure, one file each; the config has its sizes.

A suite is a function ``run(settings, bench)``: its block of the config as plain data,
and the edges. One that a machine cannot run returns a note that says so.
"""

from collections.abc import Callable, Mapping
from typing import Any

from experiments.benchmarks import (
    accelerator,
    compiles,
    conv,
    devices,
    least_squares,
    scaling,
    sweep,
)
from experiments.benchmarks.suite import Bench, SuiteResult

#: Name to suite.
SUITES: dict[str, Callable[[Mapping[str, Any], Bench], SuiteResult]] = {
    "sweep": sweep.run,
    "conv": conv.run,
    "compile": compiles.run,
    "least_squares": least_squares.run,
    "scaling": scaling.run,
    "devices": devices.run,
    "accelerator": accelerator.run,
}
