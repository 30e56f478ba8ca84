"""Weight sharing: a layer holds few values, and a code for each weight.

    W = C[I],    dL/dC_k = sum_ij dL/dW_ij 1[I_ij = k]

The codes I come from k-means in one dimension over the weights that are kept; a code of
0 is a pruned weight and has the value 0. The centroids C are then trained: their
gradient above is what differentiation through the gather gives, so a net of shared
weights is an ordinary `Problem` (`shared`).

S. Han, H. Mao, W. Dally, "Deep compression", 2015, section 3.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from optlab.compress.masks import is_kernel
from optlab.errors import InputError, check_choice
from optlab.problems import Problem
from optlab.ranges import is_whole

#: Most bits of a code.
MOST_BITS = 8

#: Iterations of k-means at most; it ends earlier where no centroid moves.
ITERATIONS = 100


class Shared(NamedTuple):
    """Weights as codes into a codebook."""

    codes: jax.Array  # [...] of the weights' shape, uint8; 0 is pruned
    centroids: jax.Array  # [k]: the value of codes 1 to k


def weights_of(shared: Shared) -> jax.Array:
    """Looks up the weights that codes stand for.

    Args:
      shared: codes and centroids.

    Returns:
      Weights of the codes' shape and the centroids' type.

    >>> codes = jnp.array([[0, 1], [2, 1]], jnp.uint8)
    >>> weights_of(Shared(codes, jnp.array([0.5, -1.0]))).tolist()
    [[0.0, 0.5], [-1.0, 0.5]]
    """
    table = jnp.concatenate([jnp.zeros(1, shared.centroids.dtype), shared.centroids])
    return table[shared.codes]


def _linear_start(weights: jax.Array, kept: jax.Array, count: int) -> jax.Array:
    """Spaces initial centroids evenly from the smallest to the largest kept weight."""
    low = jnp.min(weights, where=kept, initial=jnp.inf)
    high = jnp.max(weights, where=kept, initial=-jnp.inf)
    return jnp.linspace(low, high, count)


def _density_start(weights: jax.Array, kept: jax.Array, count: int) -> jax.Array:
    """Puts initial centroids at evenly spaced quantiles of the kept weights."""
    ordered = jnp.sort(jnp.where(kept, weights, jnp.inf).ravel())
    shares = (jnp.arange(count) + 0.5) / count
    return ordered[(shares * jnp.sum(kept)).astype(jnp.int32)]


def _random_start(weights: jax.Array, kept: jax.Array, count: int) -> jax.Array:
    """Draws initial centroids from the kept weights (Forgy's method), by seed 0.

    Without replacement while there are enough weights.
    """
    draws = jax.random.uniform(jax.random.key(0), weights.shape)
    places = jnp.where(kept, draws, 2.0)
    order = jnp.argsort(places, axis=None)
    chosen = jnp.arange(count) % jnp.maximum(jnp.sum(kept), 1)
    return jnp.sort(weights.ravel()[order[chosen]])


#: Name to function (weights, kept mask of their shape, count) -> centroids [count],
#: ascending.
STARTS: dict[str, Callable[..., jax.Array]] = {
    "linear": _linear_start,
    "density": _density_start,
    "random": _random_start,
}


def lloyd(
    weights: jax.Array, kept: jax.Array, centroids: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Runs k-means over numbers: nearest centroid, mean of its numbers, again.

    Args:
      weights: array of weights.
      kept: boolean array of its shape; other weights do not count.
      centroids: initial centroids ``[k]``, ascending.

    Returns:
      Index of each weight's nearest centroid, int32 of the weights' shape, and the
      centroids. One without a weight stays where it was.

    >>> w, all_kept = jnp.array([0.0, 0.2, 1.0, 1.2, 9.0]), jnp.arange(5) < 4
    >>> index, centroids = lloyd(w, all_kept, jnp.array([0.0, 0.5]))
    >>> index[:4].tolist(), centroids.round(3).tolist()
    ([0, 0, 1, 1], [0.10..., 1.10...])
    """
    values, counted = weights.ravel(), kept.ravel().astype(weights.dtype)
    k = centroids.shape[0]

    def nearest(centroids):
        return jnp.searchsorted((centroids[1:] + centroids[:-1]) / 2, values)

    def step(carry):
        centroids, _, i = carry
        index = nearest(centroids)
        count = jax.ops.segment_sum(counted, index, k)
        total = jax.ops.segment_sum(counted * values, index, k)
        moved = jnp.where(count > 0, total / jnp.maximum(count, 1), centroids)
        return jnp.sort(moved), jnp.any(moved != centroids), i + 1

    def more(carry):
        return carry[1] & (carry[2] < ITERATIONS)

    centroids, *_ = lax.while_loop(more, step, (centroids, jnp.array(True), 0))
    return nearest(centroids).reshape(weights.shape), centroids


def share(params: Any, bits: Any, start: str = "linear") -> Any:
    """Clusters the weights of each kernel that are not zero.

    Args:
      params: tree of parameters.
      bits: bits of a code, 1 to 8, or a tree of these with the parameters' structure; a
        kernel gets 2^bits - 1 centroids, for one code is that of a pruned weight.
      start: initial centroids, ``linear``, ``density`` or ``random``.

    Returns:
      The tree with a `Shared` in the place of each kernel. Under ``jax.vmap`` it
      clusters many nets.

    Raises:
      InputError: bits outside 1 to 8, or an unknown start.

    >>> net = share({"kernel": jnp.array([[0.0, 1.0], [1.1, -2.0]])}, bits=2)
    >>> net["kernel"].codes.tolist(), net["kernel"].centroids.round(2).tolist()
    ([[0, 3], [3, 1]], [-2.0, -0.4..., 1.0...])
    """
    check_choice("start of k-means", start, STARTS)
    if not jax.tree.structure(bits).num_nodes > 1:
        bits = jax.tree.map(lambda _: bits, params)

    def of(leaf, width):
        if not is_kernel(leaf):
            return leaf
        check_bits(width)
        kept = leaf != 0
        first = STARTS[start](leaf, kept, 2**width - 1)
        # Guard: a layer without a kept weight has no range.
        first = jnp.where(jnp.isfinite(first), first, 0.0)
        index, centroids = lloyd(leaf, kept, first)
        return Shared(jnp.where(kept, index + 1, 0).astype(jnp.uint8), centroids)

    return jax.tree.map(of, params, bits)


def check_bits(bits: Any, least: int = 1) -> None:
    """Refuses a width outside ``least`` to 8; of one bit no level is positive."""
    if not is_whole(bits) or not least <= bits <= MOST_BITS:
        raise InputError(
            f"bits={bits!r}: give a whole number from {least} to {MOST_BITS}"
        )


def shared(problem: Problem, net: Any, model_state: Any) -> Problem:
    """Makes the problem of training the centroids of a net of shared weights.

    Args:
      problem: problem of the net with its own weights.
      net: parameters with `Shared` kernels, see `share`; its codes stay.
      model_state: batch statistics and the like, from which training goes on.

    Returns:
      The problem. Its parameters are those of the net with the centroids in the place
      of kernels, its model state is ``{"codes": ..., "model": model_state}``, and its
      ``init`` gives both as they are in the net. `with_codes` makes a net again.
    """
    params, codes = split_codes(net)

    def whole(params, state):
        return expand(with_codes(params, state["codes"]))

    def train_outputs(params, state, inputs, key):
        outputs, model = problem.train_outputs(
            whole(params, state), state["model"], inputs, key
        )
        return outputs, {**state, "model": model}

    def outputs(params, state, inputs):
        return problem.outputs(whole(params, state), state["model"], inputs)

    return dataclasses.replace(
        problem,
        init=lambda key: (params, {"codes": codes, "model": model_state}),
        train_outputs=train_outputs,
        outputs=outputs,
    )


def split_codes(net: Any) -> tuple[Any, Any]:
    """Splits a net of shared weights into what is trained and what is fixed.

    Args:
      net: parameters with `Shared` kernels.

    Returns:
      Parameters with centroids in the place of kernels, and the codes: None where a
      leaf is not shared.
    """
    parts = jax.tree.map(
        lambda leaf: tuple(leaf)[::-1] if isinstance(leaf, Shared) else (leaf, None),
        net,
        is_leaf=_is_shared,
    )
    take = lambda i: jax.tree.map(  # noqa: E731
        lambda pair: pair[i], parts, is_leaf=lambda node: isinstance(node, tuple)
    )
    return take(0), take(1)


def with_codes(params: Any, codes: Any) -> Any:
    """Joins centroids and codes to a net of shared weights.

    Args:
      params: parameters with centroids in the place of kernels.
      codes: codes, None where a leaf is not shared.

    Returns:
      Parameters with `Shared` kernels.
    """
    leaves, tree = jax.tree.flatten(params)
    of = jax.tree.leaves(codes, is_leaf=lambda node: node is None)
    joined = [
        leaf if code is None else Shared(code, leaf)
        for leaf, code in zip(leaves, of, strict=True)
    ]
    return tree.unflatten(joined)


def expand(net: Any) -> Any:
    """Looks up all shared weights of a net; see `weights_of`."""
    return jax.tree.map(
        lambda leaf: weights_of(leaf) if _is_shared(leaf) else leaf,
        net,
        is_leaf=_is_shared,
    )


def halve(net: Any) -> Any:
    """Rounds what is no kernel to 16 bits: biases, scales and centroids.

    They stay float32, in which the model computes, but a file stores them in two bytes
    each. Sizes below 6e-5 become 0; an array with one above 65,504 stays as it is.

    Args:
      net: parameters in which `Shared` may stand for kernels.

    Returns:
      The net, rounded.

    >>> halve({"bias": jnp.array([0.1])})["bias"].tolist()
    [0.0999755859375]
    """

    def short(x):
        # Not by a cast: without the processor's F16C XLA compiles none.
        rounded = lax.reduce_precision(x, exponent_bits=5, mantissa_bits=10)
        return jnp.where(jnp.all(jnp.isfinite(rounded)), rounded, x)

    def of(leaf):
        if isinstance(leaf, Shared):
            return leaf._replace(centroids=short(leaf.centroids))
        return leaf if is_kernel(leaf) else short(leaf)

    return jax.tree.map(of, net, is_leaf=_is_shared)


def _is_shared(node: Any) -> bool:
    return isinstance(node, Shared)
