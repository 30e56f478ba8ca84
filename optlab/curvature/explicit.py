"""Arrays that a mesh with explicit axes shards: gathered, and sharded again."""

from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec


def gathered(tree: Any) -> Any:
    """Gathers outputs or parameters that an explicit mesh shards.

    JAX leaves it open how their inner products would be sharded; the function itself
    is still computed in shards. Of a mesh whose axes are Auto this is the compiler's.
    """

    def gather(x):
        if not is_sharded(jax.typeof(x)):
            return x
        mesh = jax.typeof(x).sharding.mesh
        return jax.sharding.reshard(x, NamedSharding(mesh, PartitionSpec()))

    return jax.tree.map(gather, tree)


def sharded_as(tree: Any, shapes: Any) -> Any:
    """Undoes `gathered`, for a tree of the shapes of the arrays before it."""

    def spread(x, shape):
        return jax.sharding.reshard(x, shape.sharding) if is_sharded(shape) else x

    return jax.tree.map(spread, tree, shapes)


def is_sharded(shape: Any) -> bool:
    """Tells whether an array of this type, as `jax.typeof` gives it, is sharded."""
    sharding = getattr(shape, "sharding", None)
    return sharding is not None and any(axis is not None for axis in sharding.spec)
