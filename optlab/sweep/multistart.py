"""Many starts x hyperparameters of one minimization, as lanes of one program.

Where ``sweep`` trains on batches, this runs ``solve`` to its end: restarts of a small
net, or a grid of learning rates, each lane with as many steps as it needs.
"""

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab.solving import Solution, Stop, solve
from optlab.sweep.lanes import (
    MEMORY_SHARE,
    chunk_size,
    fastest,
    over_lanes,
    timed,
    unblocked,
)
from optlab.sweep.parallel import LANE, Layout

#: Steps of each lane in a trial.
TRIAL_STEPS = 4


class Search(NamedTuple):
    """What all lanes of a program share; nothing here is swept."""

    #: hyperparameters -> transformation; the former are traced
    optimizer: Callable[[Mapping[str, Any]], optax.GradientTransformation]
    functions: Mapping[str, Callable]  # keyword arguments of ``solve``
    history: int = 0  # updates to record


class Starts(NamedTuple):
    """The lanes of a program, every start with every point; all of it is traced."""

    params: Any  # a tree of arrays [starts, ...]
    hyperparameters: Mapping[str, jax.Array]  # name -> [points]; may be empty

    @property
    def shape(self) -> tuple[int, int]:
        """Starts by points, the leading axes of every array of a solution."""
        points = [len(values) for values in self.hyperparameters.values()]
        return len(jax.tree.leaves(self.params)[0]), points[0] if points else 1


class Program(NamedTuple):
    """A compiled search, for starts of the shape that it was compiled for."""

    run: Callable[[Starts, Stop], Solution]  # its arrays are [starts, points, ...]
    width: int  # lanes at a time
    compile_seconds: float
    temporary_bytes: int  # that a run takes beside its arguments and results, in all


def make_starts(params: Any, points: Sequence[Mapping[str, float]] = ({},)) -> Starts:
    """Every start with every point.

    Args:
      params: a tree of arrays ``[starts, ...]``.
      points: at least one, all with the same names; see ``sweep.grid``.

    Returns:
      The lanes.

    >>> make_starts(jnp.zeros((5, 2)), [{"learning_rate": 0.1}] * 3).shape
    (5, 3)
    """
    return Starts(
        params,
        {name: jnp.asarray([point[name] for point in points]) for name in points[0]},
    )


def compile_program(
    search: Search, starts: Starts, layout: Layout, width: int
) -> Program:
    """Compiles a search.

    Args:
      search: what the lanes share.
      starts: the lanes; only their shape matters here.
      layout: the devices that the lanes are spread over.
      width: lanes to run at a time, at most; one for each device where more could
        wait for each other without end (:func:`optlab.lanes.unblocked`).

    Returns:
      The program.

    >>> from optlab import optim

    >>> from optlab.sweep import parallel
    >>> search = Search(lambda point: optim.sgd(**point), {"value_fn": lambda x: x @ x})
    >>> points = [{"learning_rate": 0.1}, {"learning_rate": 1.0}]
    >>> starts = make_starts(jnp.ones((3, 2)), points)
    >>> layout = parallel.layout("jit", 6, [1], devices=jax.devices()[:1])
    >>> program = compile_program(search, starts, layout, width=1)
    >>> program.run(starts, Stop(steps=50)).value.round(3).tolist()
    [[0.0, 2.0], [0.0, 2.0], [0.0, 2.0]]
    """
    rows, columns = starts.shape
    devices = layout.mesh.shape[LANE]
    width = chunk_size(
        rows * columns, devices, min(width, _unblocked(search, starts, layout))
    )

    def run_lane(_, state, params, hyperparameters, stop):
        return state, _solve(search, params, hyperparameters, stop)

    def run(starts: Starts, stop: Stop) -> Solution:
        params = jax.tree.map(lambda x: jnp.repeat(x, columns, 0)[None], starts.params)
        points = jax.tree.map(lambda x: jnp.tile(x, rows)[None], starts.hyperparameters)
        stops = jax.tree.map(lambda x: jnp.tile(x, rows * columns)[None], stop)
        # Each device minds its own lanes: spread by the compiler, they would agree on
        # every step of a loop whether any of them goes on.
        solutions = jax.shard_map(
            lambda lanes: over_lanes(
                run_lane, 1, width // devices, jnp.zeros(1), (), lanes
            )[1],
            mesh=layout.mesh,
            in_specs=layout.sharding(None, LANE).spec,
            out_specs=layout.sharding(None, LANE).spec,
            check_vma=False,
        )((params, points, stops))
        return jax.tree.map(lambda x: x.reshape(rows, columns, *x.shape[2:]), solutions)

    def arguments(starts: Starts, stop: Stop) -> tuple[Starts, Stop]:
        stop = Stop(*map(jnp.asarray, stop))
        return jax.device_put((starts, stop), layout.sharding())

    started = time.perf_counter()
    lowered = jax.jit(run).lower(*arguments(starts, Stop()))
    compiled = lowered.compile(layout.compiler_options)
    memory = compiled.memory_analysis()
    return Program(
        run=lambda starts, stop: compiled(*arguments(starts, stop)),
        width=width,
        compile_seconds=time.perf_counter() - started,
        temporary_bytes=layout.mesh.size * memory.temp_size_in_bytes if memory else 0,
    )


def compile_fastest(
    search: Search, starts: Starts, layout: Layout
) -> tuple[Program, dict[int, float]]:
    """Compiles a search for one lane at a time and for all, and keeps the faster.

    Where the memory does not hold the values of all lanes, "all" is as many as it
    holds.

    Args:
      search: what the lanes share.
      starts: the lanes; a few steps of them are made.
      layout: the devices that the lanes are spread over.

    Returns:
      The program, and width to seconds a lane and step (NaN for a single width).
    """
    lanes, devices = starts.shape[0] * starts.shape[1], layout.mesh.shape[LANE]
    narrow = compile_program(search, starts, layout, chunk_size(lanes, devices, 1))
    lane_bytes = max(narrow.temporary_bytes // narrow.width, 1)
    most = min(
        int(MEMORY_SHARE * layout.memory_bytes / lane_bytes),
        _unblocked(search, starts, layout),
    )
    wide = chunk_size(lanes, devices, most)
    programs = {narrow.width: narrow}
    trial_stop = Stop(gradient=-1.0, steps=TRIAL_STEPS)

    def trial(width):
        if width not in programs:
            programs[width] = compile_program(search, starts, layout, width)
        program = programs[width]
        return lambda: jax.block_until_ready(program.run(starts, trial_stop))

    seconds = timed(sorted({narrow.width, wide}), trial)
    steps = lanes * TRIAL_STEPS  # a trial runs all lanes, however many at a time
    seconds = {width: spent / steps for width, spent in seconds.items()}
    return programs[fastest(seconds)], seconds


def _solve(search: Search, params: Any, hyperparameters: Any, stop: Stop) -> Solution:
    """One lane."""
    return solve(
        search.optimizer(hyperparameters),
        params,
        stop=stop,
        history=search.history,
        **search.functions,
    )


def _unblocked(search: Search, starts: Starts, layout: Layout) -> int:
    lane = jax.tree.map(lambda x: x[0], (starts.params, starts.hyperparameters))
    solve_one = functools.partial(_solve, search, stop=Stop())
    program = jax.make_jaxpr(solve_one)(*lane).jaxpr
    return unblocked(program, math.prod(starts.shape), layout)
