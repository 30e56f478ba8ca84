"""Lanes of one program: some vmapped at a time, the rest one chunk after another.

What a lane computes does not depend on how many run beside it, beyond rounding. How
many is best depends on the work and the machine, so it is timed.
"""

import functools
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Jaxpr, jaxprs_in_params
from jax.lax import linalg

from optlab.sweep.parallel import LANE, Layout, agreed, share_host

#: Of the device's memory, at most so much for the values that lanes compute.
MEMORY_SHARE = 0.5

#: Names of the primitives that a CPU leaves to LAPACK.
FACTORIZATIONS = {
    primitive.name for name, primitive in vars(linalg).items() if name.endswith("_p")
}

#: Runs of a trial that count.
TRIALS = 3


def over_lanes(
    run_lane: Callable[..., tuple[Any, Any]],
    devices: int,
    width: int,
    shared: Any,
    states: Any,
    lanes: Any,
) -> tuple[Any, Any]:
    """Applies ``run_lane`` to ``width`` lanes at a time, at most.

    Lanes run at a time are vmapped; what a row of them shares (a seed's batches) stays
    single. A chunk takes lanes a stride apart, so that every device, which holds a
    block of neighbours, has some of each chunk. Chunks write their states over those
    they read: no second copy of all states is made.

    Args:
      run_lane: ``(shared, state, *lane) -> (state, result)``, of one lane; pure.
      devices: that the lanes of a row are spread over, in blocks of neighbours.
      width: lanes at a time; at least one for each device run in any case.
      shared: arrays ``[rows, ...]``.
      states: a tree of arrays ``[rows, lanes of a row, ...]``.
      lanes: a tuple of such trees. One of the two may be empty.

    Returns:
      States and results, ``[rows, lanes of a row, ...]``.
    """
    rows, columns = jax.tree.leaves((states, lanes))[0].shape[:2]
    chunk = chunk_size(columns, devices, width)
    count = columns // chunk

    def run_chunk(shared, states, lanes):
        return _together(functools.partial(run_lane, shared))(states, *lanes)

    def run_place(states, place):
        row, first = place // count, place % count
        chunks = (
            jax.tree.map(lambda x: x[row], shared),
            *jax.tree.map(lambda x: x[row, :, first], (states, in_chunks(lanes))),
        )
        done, results = run_chunk(*chunks)
        states = jax.tree.map(lambda x, y: x.at[row, :, first].set(y), states, done)
        return states, results

    def in_chunks(tree):
        return jax.tree.map(lambda x: x.reshape(rows, chunk, count, *x.shape[2:]), tree)

    if width >= rows * columns:
        return _together(run_chunk)(shared, states, lanes)
    states, results = lax.scan(run_place, in_chunks(states), jnp.arange(rows * count))
    return (
        jax.tree.map(lambda x: x.reshape(rows, columns, *x.shape[3:]), states),
        jax.tree.map(
            lambda x: (
                x.reshape(rows, count, chunk, *x.shape[2:])
                .swapaxes(1, 2)
                .reshape(rows, columns, *x.shape[2:])
            ),
            results,
        ),
    )


def _together(function: Callable) -> Callable:
    """``jax.vmap``, but of no axis of one: XLA does not see through all of it."""

    def mapped(*arguments):
        if len(jax.tree.leaves(arguments)[0]) > 1:
            return jax.vmap(function)(*arguments)
        results = function(*jax.tree.map(lambda x: x[0], arguments))
        return jax.tree.map(lambda x: x[None], results)

    return mapped


def chunk_size(lanes: int, devices: int, width: int) -> int:
    """Lanes of a row that run at a time: equal chunks, as wide as is allowed.

    Args:
      lanes: of a row.
      devices: that share them; they divide the lanes.
      width: at most so many, but one for each device.

    Returns:
      A divisor of ``lanes`` and a multiple of ``devices``.

    >>> chunk_size(24, 1, 10), chunk_size(24, 8, 10), chunk_size(24, 8, 1)
    (8, 8, 8)
    """
    return max(
        size
        for size in range(devices, lanes + 1, devices)
        if lanes % size == 0 and size <= max(width, devices)
    )


def unblocked(program: Jaxpr, lanes: int, layout: Layout) -> int:
    """Most lanes at a time that cannot wait for each other without end.

    On a CPU a batch of factorizations holds a thread of the one pool while it waits
    for others of that pool; batches of as many devices as there are threads hold them
    all (seen with jax 0.10.2). One matrix at a time is safe.

    Args:
      program: of one lane.
      lanes: that there are.
      layout: the devices that they are spread over.

    Returns:
      One for each device where the lanes could, else all.
    """
    one_pool = layout.mesh.size > 1 and share_host(list(layout.mesh.devices.flat))
    return layout.mesh.shape[LANE] if one_pool and _factorizes(program) else lanes


def _factorizes(program: Jaxpr) -> bool:
    return any(
        equation.primitive.name in FACTORIZATIONS
        or any(map(_factorizes, jaxprs_in_params(equation.params)))
        for equation in program.eqns
    )


def timed(
    widths: Iterable[int], trial: Callable[[int], Callable[[], Any]]
) -> dict[int, float]:
    """Times what runs some lanes for a few steps.

    Args:
      widths: the candidates.
      trial: width to a compiled function that runs lanes at that width, and waits.

    Returns:
      Width to seconds, the fastest of ``TRIALS`` runs after one that does not count,
      as the first of several processes measured them.
      A single width is not timed: its time is NaN.
    """
    seconds = dict.fromkeys(widths, math.nan)
    if len(seconds) == 1:
        return seconds
    for width in seconds:
        run = trial(width)
        run()
        times = []
        for _ in range(TRIALS):
            started = time.perf_counter()
            run()
            times.append(time.perf_counter() - started)
        seconds[width] = min(times)
    return dict(zip(seconds, agreed(list(seconds.values())), strict=True))


def fastest(seconds: Mapping[int, float]) -> int:
    """The width of the least time.

    >>> fastest({1: 0.5, 8: 0.25, 64: 0.3}), fastest({1: float("nan")})
    (8, 1)
    """
    return min(seconds, key=lambda width: seconds[width])
