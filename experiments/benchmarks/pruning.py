"""What pruning costs: a step with masks beside a dense one, and sparsities as lanes.

Both sides are optlab's. A run is fresh parameters and one shuffled epoch of Adam on
random images of MNIST's shape; a pruned run changes its masks once, at its first step.
All sparsities are lanes of one compiled program, beside as many runs one after another
in a program that is compiled once for all of them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.benchmarks import programs
from experiments.benchmarks.suite import Ratio, SuiteResult, Value
from experiments.benchmarks.sweep import make_task
from experiments.benchmarks.timing import Status, interleaved
from optlab import compress, optim
from optlab.sweep import grid

# Names of the timed programs.
DENSE, PRUNED = "a dense run", "a pruned run"
SINGLE, LANES = "a sparsity at a time", "sparsities as lanes"

#: Rate of all runs: the time of a step does not depend on it.
RATE = 1e-3


def run(settings: Mapping[str, Any], status: Status) -> SuiteResult:
    """Times pruned runs, interleaved with dense ones; see `experiments.benchmarks`."""
    status("compiling")
    task, count = make_task(settings), settings["sparsities"]
    adam = optim.make("adam", learning_rate=RATE)
    pruning = task._replace(
        optimizer=lambda point: compress.pruned(adam, point["sparsity"])
    )
    levels = grid({"sparsity": np.linspace(0.0, 0.98, count).tolist()})
    dense = programs.compile_sweep(task, (0,), grid({"learning_rate": (RATE,)}))
    one = programs.compile_sweep(pruning, (0,), levels[-1:])
    lanes = programs.compile_sweep(pruning, (0,), levels)
    calls = {
        DENSE: dense.fresh_epoch, PRUNED: one.fresh_epoch, LANES: lanes.fresh_epoch
    }  # fmt: skip
    seconds = interleaved(calls, settings["repeats"], status)
    steps = settings["examples"] // settings["batch_size"]
    work = f"{steps} steps of {settings['hidden']}, batch {settings['batch_size']}"
    after = tuple(count * each for each in seconds[PRUNED])
    share = np.array(seconds[PRUNED]) / np.array(seconds[DENSE])
    return SuiteResult(
        ratios=(
            Ratio(f"{work}, pruned", DENSE, seconds[DENSE], seconds[PRUNED]),
            Ratio(
                f"{work}, {count} sparsities", SINGLE, after, seconds[LANES],
                f"one run x {count}",
            ),
        ),
        values=(
            Value("a pruned step / a dense one, median", float(np.median(share))),
            Value("sparsities in one program", count),
            Value("sparsities at a time", lanes.program.width),
            Value(f"compile time, {count} sparsities", lanes.program.compile_seconds,
                  "s"),
            Value("compile time, one sparsity", one.program.compile_seconds, "s"),
        ),
    )  # fmt: skip
