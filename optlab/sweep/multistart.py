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
import numpy as np
import optax
from jax.extend.core import Jaxpr

from optlab.solving import Solution, Stop, solve
from optlab.sweep import width as widths
from optlab.sweep.lanes import chunk_size, over_lanes
from optlab.sweep.parallel import LANE, Layout, placed


class Search(NamedTuple):
    """A minimization as functions of the numbers that are swept."""

    #: hyperparameters -> transformation; the former are traced
    optimizer: Callable[[Mapping[str, Any]], optax.GradientTransformation]
    functions: Any  # mapping of keyword arguments of ``solve``
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
    """A compiled search, for starts of the shape that it was compiled for.

    Of the criteria in ``Stop`` the relative gradient is not used.
    """

    run: Callable[[Starts, Stop], Solution]  # its arrays are [starts, points, ...]
    width: int  # lanes at a time
    compile_seconds: float


def make_starts(params: Any, points: Sequence[Mapping[str, float]] = ({},)) -> Starts:
    """Combines every start with every point.

    Args:
      params: a tree of arrays ``[starts, ...]``.
      points: one point or more, all with the same names; see ``sweep.grid``.

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
    search: Search, starts: Starts, layout: Layout, width: int | None = None
) -> Program:
    """Compiles a search.

    Args:
      search: minimization of all lanes.
      starts: lanes; a few steps of them are made where the width is measured.
      layout: device mesh that the lanes are spread over.
      width: largest number of lanes at a time, as far as they fit; None for the fastest
        of a trial, see `optlab.sweep.width`.

    Returns:
      The program.

    >>> from optlab import optim
    >>> from optlab.sweep import parallel
    >>> search = Search(lambda point: optim.sgd(**point), {"value_fn": lambda x: x @ x})
    >>> points = [{"learning_rate": 0.1}, {"learning_rate": 1.0}]
    >>> starts = make_starts(jnp.ones((3, 2)), points)
    >>> layout = parallel.layout("jit", 6, 1, devices=jax.devices()[:1])
    >>> program = compile_program(search, starts, layout, width=1)
    >>> program.run(starts, Stop(steps=50)).value.round(3).tolist()
    [[0.0, 2.0], [0.0, 2.0], [0.0, 2.0]]
    """
    lanes, devices = math.prod(starts.shape), layout.mesh.shape[LANE]
    spread = _spread(lanes, devices)

    @functools.cache
    def lowered(width):
        return functools.cache(_lower(search, starts, layout, width))

    def trial(width, steps):
        # All lanes run, however many at a time.
        steps = max(1, steps * width // lanes)
        stop = Stop(gradient=-1.0, steps=steps, rounding=-1)
        compile_it = lowered(width)

        def compiled():
            program = compile_it()
            return lambda: jax.block_until_ready(program.run(starts, stop))

        return widths.Trial(compiled, steps * lanes)

    step = _program_of(search, starts)
    measured = {width: math.nan} if width else None
    measured = measured or widths.measure(step, (1, spread), layout, trial)
    width = widths.choose(measured, step, lanes, layout)
    return lowered(chunk_size(spread, devices, width))()


def _spread(lanes: int, devices: int) -> int:
    """Counts the lanes with copies of the last one, so that they divide evenly."""
    return -(-lanes // devices) * devices


def _lower(
    search: Search, starts: Starts, layout: Layout, width: int
) -> Callable[[], Program]:
    """Traces a search; the result compiles it, in any thread."""
    rows, columns = starts.shape
    lanes, devices = rows * columns, layout.mesh.shape[LANE]
    indices = np.minimum(np.arange(_spread(lanes, devices)), lanes - 1)

    def run_lane(_, state, params, hyperparameters, stop):
        # The relative gradient would cost each lane 16 gradients at every step.
        stop = stop._replace(relative_gradient=None)
        return state, _solve(search, params, hyperparameters, stop)

    def run(starts: Starts, stop: Stop) -> Solution:
        row, column = indices // columns, indices % columns
        params = jax.tree.map(lambda x: x[row][None], starts.params)
        points = jax.tree.map(lambda x: x[column][None], starts.hyperparameters)
        stops = jax.tree.map(lambda x: jnp.tile(x, len(indices))[None], stop)
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
        return jax.tree.map(
            lambda x: x[0, :lanes].reshape(rows, columns, *x.shape[2:]), solutions
        )

    def arguments(starts: Starts, stop: Stop) -> tuple[Starts, Stop]:
        gradient = -1.0 if stop.gradient is None else stop.gradient
        stop = stop._replace(gradient=gradient, relative_gradient=-1.0)
        stop = Stop(*map(jnp.asarray, stop))
        return placed((starts, stop), layout.sharding())

    started = time.perf_counter()
    lowered = jax.jit(run).lower(*arguments(starts, Stop()))
    traced = time.perf_counter() - started

    def compile_it() -> Program:
        started = time.perf_counter()
        compiled = lowered.compile(layout.compiler_options)
        return Program(
            run=lambda starts, stop: compiled(*arguments(starts, stop)),
            width=width,
            compile_seconds=traced + time.perf_counter() - started,
        )

    return compile_it


def _solve(search: Search, params: Any, hyperparameters: Any, stop: Stop) -> Solution:
    """One lane."""
    return solve(
        search.optimizer(hyperparameters),
        params,
        stop=stop,
        history=search.history,
        **search.functions,
    )


def _program_of(search: Search, starts: Starts) -> Jaxpr:
    lane = jax.tree.map(lambda x: x[0], (starts.params, starts.hyperparameters))
    solve_one = functools.partial(_solve, search, stop=Stop(gradient=-1.0))
    return jax.make_jaxpr(solve_one)(*lane).jaxpr
