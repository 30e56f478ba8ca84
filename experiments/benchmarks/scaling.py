"""Growth of a sweep's time with lanes, parameters, examples and devices.

Time is of one epoch of all lanes, warm, the fastest of a few. On a CPU a core is a
device.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import programs
from experiments.benchmarks.suite import SuiteResult, Value
from experiments.benchmarks.sweep import make_task
from experiments.benchmarks.timing import Status, interleaved
from optlab.errors import InputError
from optlab.report import Picture, Table, number, tabulate
from optlab.report.figures.growth import Growth, Panel, growth
from optlab.results import power_law

TITLE = "Time of a sweep against its size"
CAPTION = "Time of one epoch of all lanes; the slope of a line is its exponent."
FOOT = "Points: measured; line: power law through the upper half of the sizes."


def run(settings: Mapping[str, Any], status: Status) -> SuiteResult:
    """Measures the growth along each axis, everything else at its base.

    Devices are an axis where JAX sees several.

    Raises:
      InputError: an axis has fewer than two rising sizes.
    """
    axes = {axis: settings[axis] for axis in ("lanes", "hidden", "examples")}
    for axis, sizes in axes.items():
        if len(sizes) < 2 or list(sizes) != sorted(set(sizes)):
            raise InputError(f"scaling.{axis} must be two rising sizes or more")
    if (count := len(jax.devices())) > 1:
        axes["devices"] = tuple(2**i for i in range(count.bit_length()))
    base = settings["base"] | {"devices": count}

    @functools.cache  # all axes meet at the base
    def measure(*sizes: int) -> tuple[float, int]:  # seconds, parameters
        here = dict(zip(base, sizes, strict=True))
        name = ", ".join(f"{key} {size}" for key, size in here.items())
        status(f"compiling {name}")
        task = make_task({**here, "hidden": (here["hidden"],)})
        points, devices = programs.rates(here["lanes"]), jax.devices()[: sizes[-1]]
        call = programs.compile_sweep(task, (0,), points, devices).later_epochs()
        timed = interleaved({name: call}, settings["repeats"], status)
        params, _ = jax.eval_shape(task.problem({}).init, jax.random.key(0))
        return min(timed[name]), sum(leaf.size for leaf in jax.tree.leaves(params))

    growths = []
    for axis, sizes in axes.items():
        found = [measure(*(base | {axis: size}).values()) for size in sizes]
        seconds, parameters = map(np.array, zip(*found, strict=True))
        hidden = axis == "hidden"
        drawn = parameters if hidden else np.array(sizes)
        upper = slice(min(len(drawn) // 2, len(drawn) - 2), None)
        law = power_law(drawn[upper], seconds[upper])
        growths.append(Growth("parameters" if hidden else axis, drawn, seconds, law))
    panels = [Panel(each.name, "seconds of an epoch", [each]) for each in growths]
    drawn = growth(TITLE, panels, FOOT)
    alt = f"Seconds against {', '.join(axes)}, on logarithmic axes."
    return SuiteResult(
        values=tuple(
            Value(f"exponent of time in {each.name}, upper half", each.law.exponent)
            for each in growths
        ),
        blocks=(_table(growths), Picture("scaling", drawn, CAPTION, alt)),
    )


def _table(growths: Sequence[Growth]) -> Table:
    rows = [
        {
            "axis": each.name,
            "size": f"{size:,}",
            "seconds": number(seconds),
            "microseconds\n/ size": number(1e6 * seconds / size),
        }
        for each in growths
        for size, seconds in zip(each.sizes, each.costs, strict=True)
    ]
    return tabulate("Time of an epoch of all lanes", rows, ["axis"])
