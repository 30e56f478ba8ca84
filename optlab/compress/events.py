"""Rare events inside a training step that stay rare in lanes.

``lax.cond`` on a counter of a lane becomes a ``select`` under ``vmap``: both branches
run in every step. Here the predicate of the branch is that any lane is due, which is
one number for all lanes.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap


def sometimes(
    due: jax.Array, function: Callable[..., Any], current: Any, *operands: Any
) -> Any:
    """Computes ``function(current, *operands)`` if it is due, and else ``current``.

    Args:
      due: boolean scalar, of each lane under ``vmap``.
      function: function of arrays that returns a tree like ``current``. It must not
        close over values of a lane.
      current: tree of arrays.
      *operands: further arguments, trees of arrays.

    Returns:
      A tree like ``current``. Under ``vmap``, to any depth, the function runs in steps
      where some lane is due, and other lanes keep their values.

    >>> flip = lambda x: -x
    >>> jax.vmap(lambda due, x: sometimes(due, flip, x))(
    ...     jnp.array([True, False]), jnp.array([1.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    @custom_vmap
    def branch(due, current, operands):
        changed = lambda: function(current, *operands)  # noqa: E731
        return lax.cond(due, changed, lambda: current)

    @branch.def_vmap
    def of_lanes(size, batched, due, current, operands):
        axes = jax.tree.map(lambda leaf: 0 if leaf else None, batched)

        def lane(current, due, operands):
            changed = function(current, *operands)
            return jax.tree.map(
                lambda new, old: jnp.where(due, new, old), changed, current
            )

        def spread(leaf, own):
            return leaf if own else jnp.broadcast_to(leaf, (size, *jnp.shape(leaf)))

        lanes = jax.vmap(lane, (0, axes[0], axes[2]))
        current = jax.tree.map(spread, current, batched[1])
        changed = sometimes(jnp.any(due), lanes, current, due, operands)
        return changed, jax.tree.map(lambda _: True, changed)

    return branch(due, current, operands)
