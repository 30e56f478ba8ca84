"""Lanes of one program: some vmapped at a time, the rest one chunk after another.

The result of a lane does not depend on the number that runs beside it, beyond rounding.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def over_lanes(
    run_lane: Callable[..., tuple[Any, Any]],
    devices: int,
    width: int,
    shared: Any,
    states: Any,
    lanes: Any,
) -> tuple[Any, Any]:
    """Applies ``run_lane`` to at most ``width`` lanes at a time.

    Lanes of one chunk are vmapped; the values that a row of them shares (a seed's
    batches) stay single. A chunk takes lanes a stride apart, so that every device,
    which holds a block of neighbours, has some of each chunk. Chunks write their states
    over those they read: no second copy of all states is made.

    Args:
      run_lane: pure function ``(shared, state, *lane) -> (state, result)`` of one lane.
      devices: number of devices that the lanes of a row are spread over, in blocks of
        neighbours.
      width: largest number of lanes at a time; each device runs at least one.
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
    """Computes the size of equal chunks of a row, as wide as is allowed.

    Args:
      lanes: number of lanes of a row.
      devices: number of devices that share them; it divides the lanes.
      width: largest chunk, but each device has at least one lane.

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
