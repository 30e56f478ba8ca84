"""How time and memory of a sweep grow: with lanes, parameters, examples.

Time is of one epoch of all lanes, warm, the fastest of a few. Memory is resident
memory at its peak, in a process of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import engine, machine
from experiments.benchmarks.apart import Job, launch
from experiments.benchmarks.suite import Bench, SuiteResult, Value
from experiments.benchmarks.sweep import make_task
from optlab import sweep
from optlab.report import Picture, Table
from optlab.report.figures.scaling import Growth, scaling
from optlab.report.tables import number
from optlab.results import power_law


def run(settings: Mapping[str, Any], bench: Bench) -> SuiteResult:
    """Measures the growth along three axes, and the memory.

    Args:
      settings: as in ``configs/bench.py``, ``scaling``.
      bench: whom to tell.

    Returns:
      Exponents, a figure, and the peak of memory beside its bound.
    """
    growths = [
        growth(axis, settings[axis], settings, bench)
        for axis in ("lanes", "hidden", "examples")
    ]
    caption = (
        "Time of one epoch of all lanes. The dashed line is the power law through the "
        "upper half of the sizes; its exponent stands beside it."
    )
    alt = "Seconds against lanes, parameters and examples, on logarithmic axes."
    return SuiteResult(
        values=(*_exponents(growths), *_memory(settings, bench)),
        blocks=(
            growth_table(growths),
            Picture("scaling", scaling(growths), caption, alt),
        ),
    )


def growth(
    axis: str, sizes: Sequence[int], settings: Mapping[str, Any], bench: Bench
) -> Growth:
    """Seconds of an epoch along one axis, everything else at its base.

    Args:
      axis: ``lanes``, ``hidden`` (units, for parameters) or ``examples``.
      sizes: along it.
      settings: ``base`` and the repeats.
      bench: whom to tell.

    Returns:
      The sizes as they are drawn, and the times.
    """
    drawn, seconds = [], []
    for size in sizes:
        bench.tell(f"{size} {axis}")
        sizes_here = {**settings["base"], axis: size}
        sizes_here["hidden"] = (sizes_here["hidden"],)
        task = make_task(sizes_here)
        rates = np.geomspace(1e-4, 1e-2, sizes_here["lanes"]).tolist()
        points = sweep.grid({"learning_rate": rates})
        compiled = engine.compile_lanes(task, (0,), points)
        epoch = engine.later_epochs(compiled)
        seconds.append(machine.best_seconds(epoch, repeats=settings["repeats"]))
        drawn.append(_parameters(task) if axis == "hidden" else size)
    label = "parameters" if axis == "hidden" else axis
    upper = slice(min(len(drawn) // 2, len(drawn) - 2), None)
    law = power_law(np.array(drawn[upper]), np.array(seconds[upper]))
    return Growth(label, np.array(drawn), np.array(seconds), law)


def growth_table(growths: Sequence[Growth]) -> Table:
    """Every size and its time.

    Args:
      growths: along every axis.

    Returns:
      The table, a group an axis.
    """
    rows, groups = [], []
    for each in growths:
        for size, seconds in zip(each.sizes, each.seconds, strict=True):
            rows.append((f"{size:,}", number(seconds), number(1e6 * seconds / size)))
            groups.append(each.label)
    return Table(
        title="Time of an epoch of all lanes",
        columns=("size", "seconds", "microseconds\nover size"),
        align="rrr",
        rows=tuple(rows),
        groups=tuple(groups),
    )


def _exponents(growths: Sequence[Growth]) -> list[Value]:
    return [
        Value(f"exponent of time in {each.label}, upper half", each.law.exponent)
        for each in growths
    ]


def _memory(settings: Mapping[str, Any], bench: Bench) -> list[Value]:
    """The peak of a sweep over its state and data."""
    values = []
    for lanes in settings["memory_lanes"]:
        bench.tell(f"memory of {lanes} lanes")
        (found,) = launch(
            [
                Job(
                    lanes=lanes,
                    examples=settings["memory_examples"],
                    batch_size=settings["base"]["batch_size"],
                    hidden=(30, 15),
                    epochs=1,
                    width=None,
                )
            ]
        )
        bound = found.state_bytes + found.data_bytes
        values += [
            Value(f"state of {lanes} lanes and one data set", bound / 2**20, "MiB"),
            Value(f"peak of resident memory, {lanes} lanes / that",
                  found.grown_bytes / bound, "x", most=1.2),
        ]  # fmt: skip
    return values


def _parameters(task: Any) -> int:
    shapes = jax.eval_shape(task.problem.init, jax.random.key(0))[0]
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))
