"""A sweep by the public engine, as a comparison runs it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax

from optlab import sweep
from optlab.sweep import Lanes, Program, Task, parallel
from optlab.sweep import width as widths
from optlab.sweep.lanes import fastest


class Compiled(NamedTuple):
    """A program and the lanes that it was compiled for."""

    task: Task
    lanes: Lanes
    program: Program
    width: int  # lanes at a time


def compile_lanes(
    task: Task,
    seeds: Sequence[int],
    points: Sequence[Mapping[str, float]],
    width: int | None = None,
) -> Compiled:
    """Compiles the training of every seed with every point.

    Args:
      task: what the lanes share.
      seeds: at least one.
      points: at least one, all with the same names.
      width: lanes at a time; None for the fastest, measured.

    Returns:
      The program.
    """
    lanes = sweep.make_lanes(seeds, points)
    layout = parallel.layout("jit", lanes.shape[1], [task.batch_size])
    width = width or min(
        fastest(widths.measure(task, lanes, layout)),
        widths.fitting(task, lanes, layout),
    )
    return Compiled(
        task, lanes, sweep.compile_program(task, lanes, layout, width), width
    )


def run_epoch(compiled: Compiled) -> None:
    """Fresh states and one epoch of all lanes; returns when it is done.

    Args:
      compiled: the program.
    """
    states = sweep.init_states(compiled.task, compiled.lanes)
    jax.block_until_ready(compiled.program.train(states, compiled.lanes, 0))


def later_epochs(compiled: Compiled) -> Callable[[], None]:
    """Epochs that go on from each other.

    Args:
      compiled: the program.

    Returns:
      A call that trains all lanes for one more epoch and returns when it is done.
    """
    states = [sweep.init_states(compiled.task, compiled.lanes)]  # donated each time

    def run():
        states[0], _ = jax.block_until_ready(
            compiled.program.train(states[0], compiled.lanes, 0)
        )

    return run
