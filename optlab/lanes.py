"""Lanes of one program: some vmapped at a time, the rest one chunk after another.

What a lane computes does not depend on how many run beside it, beyond rounding. How
many is best depends on the work and the machine, so it is timed.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
from jax import lax

#: Of the device's memory, at most so much for the values that lanes compute.
MEMORY_SHARE = 0.5

#: Runs of a trial that count.
TRIALS = 3


def over_lanes(
    run_lane: Callable[..., Any],
    devices: int,
    width: int,
    shared: Any,
    lanes: Any,
) -> Any:
    """Applies ``run_lane(shared, *lane)`` to ``width`` lanes at a time, at most.

    Lanes run at a time are vmapped; what a row of them shares (a seed's batches) stays
    single. A chunk takes lanes a stride apart, so that every device, which holds a
    block of neighbours, has some of each chunk.

    Args:
      run_lane: of one lane; pure.
      devices: that the lanes of a row are spread over, in blocks of neighbours.
      width: lanes at a time; at least one for each device run in any case.
      shared: arrays ``[rows, ...]``.
      lanes: a tuple of trees of arrays ``[rows, lanes of a row, ...]``.

    Returns:
      The results, ``[rows, lanes of a row, ...]``.
    """
    rows, columns = jax.tree.leaves(lanes)[0].shape[:2]
    chunk = chunk_size(columns, devices, width)

    def run_chunk(shared, lanes):
        if chunk == 1:  # no batch axis of one: XLA does not see through all of it
            lane = jax.tree.map(lambda x: x[0], lanes)
            return jax.tree.map(lambda x: x[None], run_lane(shared, *lane))
        return jax.vmap(lambda *lane: run_lane(shared, *lane))(*lanes)

    def run_row(shared, lanes):
        if chunk == columns:
            return run_chunk(shared, lanes)
        chunks = jax.tree.map(
            lambda x: x.reshape(chunk, -1, *x.shape[1:]).swapaxes(0, 1), lanes
        )
        results = lax.map(lambda lanes: run_chunk(shared, lanes), chunks)
        return jax.tree.map(
            lambda x: x.swapaxes(0, 1).reshape(columns, *x.shape[2:]), results
        )

    if width >= rows * columns:
        return jax.vmap(run_row)(shared, lanes)
    return lax.map(lambda arguments: run_row(*arguments), (shared, lanes))


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


def timed(
    widths: Iterable[int], trial: Callable[[int], Callable[[], Any]]
) -> dict[int, float]:
    """Times what runs some lanes for a few steps.

    Args:
      widths: the candidates.
      trial: width to a compiled function that runs lanes at that width, and waits.

    Returns:
      Width to seconds, the fastest of ``TRIALS`` runs after one that does not count.
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
    return seconds


def fastest(seconds: Mapping[int, float]) -> int:
    """The width of the least time.

    >>> fastest({1: 0.5, 8: 0.25, 64: 0.3}), fastest({1: float("nan")})
    (8, 1)
    """
    return min(seconds, key=lambda width: seconds[width])
