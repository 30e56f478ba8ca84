"""On a GPU or TPU: runs per second of a small convolutional net, by lanes.

The net of the suite ``conv`` on images of CIFAR-10's shape; a run is one epoch of
Adam. optlab trains lanes together, PyTorch one run after the other on
the same device, so it is timed on one run a turn. Both sides use the device's default
precision for float32, which on recent GPUs is TF32.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.benchmarks import conv, engine, machine
from experiments.benchmarks.suite import Bench, Ratio, SuiteResult, Value
from experiments.benchmarks.turns import in_turns
from optlab.sweep import grid


def run(settings: Mapping[str, Any], bench: Bench) -> SuiteResult:
    """Times runs on an accelerator, where there is one.

    Args:
      settings: as in ``configs/bench.py``, ``accelerator``.
      bench: whom to tell.

    Returns:
      Ratios and rates; on a CPU a note that there is nothing to measure.
    """
    if jax.default_backend() == "cpu":
        return SuiteResult(notes=("JAX sees no GPU or TPU here: nothing to measure.",))
    return measure(settings, bench)


def measure(settings: Mapping[str, Any], bench: Bench) -> SuiteResult:
    """Times runs in turns with PyTorch's, on whatever device JAX uses.

    Args:
      settings: as in ``configs/bench.py``, ``accelerator``.
      bench: whom to tell.

    Returns:
      For each number of lanes a ratio to PyTorch's fastest form, runs a second, and
      the share of the rate of a large matrix product.
    """
    bench.tell("compiling")
    steps = settings["examples"] // settings["batch_size"]
    task = conv.make_task(settings, steps)
    contestants: dict[str, Any] = {}
    widths = []
    for count in settings["lanes"]:
        points = grid({"learning_rate": np.geomspace(1e-4, 1e-2, count).tolist()})
        lanes = engine.compile_lanes(task, (0,), points)
        contestants[_lanes(count)] = engine.later_epochs(lanes)
        widths.append(Value(f"of {_lanes(count)} run at a time", lanes.width))
    rivals, notes = conv.rivals(task, settings, bench)
    seconds = in_turns(contestants | rivals, settings["repeats"], bench.tell)
    bench.tell("products of matrices")
    return SuiteResult(
        ratios=tuple(ratios(seconds, settings["lanes"])),
        values=(
            *widths,
            *rates(
                {
                    count: np.median(seconds[_lanes(count)])
                    for count in settings["lanes"]
                },
                conv.step_flops(settings) * steps,
                machine.matmul_rate(settings["product"]),
            ),
        ),
        notes=notes,
    )


def ratios(seconds: Mapping[str, Sequence[float]], lanes: Sequence[int]) -> list[Ratio]:
    """PyTorch's time for as many runs, in its fastest form, beside optlab's.

    Args:
      seconds: contestant to seconds of each turn, a peer's of one run.
      lanes: the numbers of lanes.

    Returns:
      One ratio a number of lanes; none without a peer.
    """
    rivals = [name for name in seconds if name.startswith(conv.TORCH)]
    if not rivals:
        return []
    fastest = min(rivals, key=lambda name: np.median(seconds[name]))
    return [
        Ratio(
            f"a run of the small net in {_lanes(count)}",
            fastest,
            tuple(count * each for each in seconds[fastest]),
            tuple(seconds[_lanes(count)]),
            note=f"one run x {count}",
        )
        for count in lanes
    ]


def rates(
    seconds: Mapping[int, float], run_flops: int, product_rate: float
) -> tuple[Value, ...]:
    """Runs a second, and the arithmetic rate that they reach.

    Args:
      seconds: lanes to seconds of a run of all of them.
      run_flops: arithmetic of one run, by its definition.
      product_rate: of a large matrix product, operations a second.

    Returns:
      The figures.
    """
    found = [Value("rate of a large product", product_rate / 1e12, "TFLOP/s")]
    for count, spent in seconds.items():
        each = count / spent
        found += [
            Value(f"runs a second, {_lanes(count)}", each),
            Value(
                f"share of that rate, {_lanes(count)}",
                100 * each * run_flops / product_rate,
                "%",
            ),
        ]
    return tuple(found)


def _lanes(count: int) -> str:
    return f"{count} lane" + "s" * (count > 1)
