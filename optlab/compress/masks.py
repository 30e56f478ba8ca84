"""Masks of the weights that are kept, chosen by magnitude.

    M = 1[|w| > t]

with the threshold t a quantile of one layer, a quantile of all layers together, or a
multiple of a layer's standard deviation. Only kernels (two axes or more) are pruned;
biases and scales stay. A mask only ever shrinks: what an earlier one left out
goes first. Thresholds are found by bisection, without a sort.

S. Han, J. Pool, J. Tran, W. Dally, "Learning both weights and connections for efficient
neural networks", 2015.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from optlab.errors import InputError


def is_kernel(leaf: Any) -> bool:
    """Tells whether an array of parameters is pruned: it has two axes or more."""
    return jnp.ndim(leaf) >= 2


def all_kept(params: Any) -> Any:
    """Makes masks that keep everything.

    Args:
      params: tree of parameters.

    Returns:
      Tree of boolean arrays of the parameters' shapes.

    Raises:
      InputError: no array has two axes or more, so there is nothing to prune.
    """
    if not any(map(is_kernel, jax.tree.leaves(params))):
        raise InputError(
            "this net has nothing to prune: no array of its parameters has two axes or "
            "more"
        )
    return jax.tree.map(lambda leaf: jnp.ones(jnp.shape(leaf), bool), params)


def layer_magnitude(params: Any, sparsity: Any, masks: Any = None) -> Any:
    """Leaves out the share of smallest weights of each layer.

    Args:
      params: tree of parameters.
      sparsity: share of the weights left out, in [0, 1); may be a tracer.
      masks: masks that the new ones lie within; all kept by default.

    Returns:
      Tree of boolean arrays. A kernel of n weights keeps n - round(sparsity n) of them
      exactly: among weights of equal magnitude the first ones are pruned.

    Raises:
      InputError: a sparsity outside [0, 1), or nothing to prune.

    >>> kernel = jnp.array([[0.1, -3.0], [2.0, -0.5]])
    >>> layer_magnitude({"kernel": kernel}, 0.5)["kernel"].astype(int).tolist()
    [[0, 1], [1, 0]]
    """
    check_sparsity(sparsity)
    masks = all_kept(params) if masks is None else masks

    def of(leaf, mask):
        if not is_kernel(leaf):
            return mask
        size = _sizes(leaf, mask).ravel()
        return _keep_largest(size, sparsity).reshape(leaf.shape)

    return jax.tree.map(of, params, masks)


def global_magnitude(params: Any, sparsity: Any, masks: Any = None) -> Any:
    """Leaves out the share of smallest weights of all layers together.

    Args:
      params: tree of parameters.
      sparsity: share of the weights left out, in [0, 1); may be a tracer.
      masks: masks that the new ones lie within; all kept by default.

    Returns:
      Tree of boolean arrays. Layers whose weights are larger keep more of them; a layer
      may lose all.

    Raises:
      InputError: a sparsity outside [0, 1), or nothing to prune.

    >>> params = {"a": jnp.array([[1.0, 2.0]]), "b": jnp.array([[3.0, 4.0]])}
    >>> masks = global_magnitude(params, 0.5)
    >>> masks["a"].sum().item(), masks["b"].sum().item()
    (0, 2)
    """
    check_sparsity(sparsity)
    masks = all_kept(params) if masks is None else masks
    leaves, tree = jax.tree.flatten(params)
    old = tree.flatten_up_to(masks)
    pruned = [i for i, leaf in enumerate(leaves) if is_kernel(leaf)]
    sizes = [_sizes(leaves[i], old[i]).ravel() for i in pruned]
    kept = _keep_largest(jnp.concatenate(sizes), sparsity)
    start = 0
    for i in pruned:
        end = start + leaves[i].size
        old[i] = kept[start:end].reshape(leaves[i].shape)
        start = end
    return tree.unflatten(old)


def above_deviation(params: Any, quality: Any, masks: Any = None) -> Any:
    """Leaves out weights below a multiple of their layer's standard deviation.

    Args:
      params: tree of parameters.
      quality: the multiple, at least 0; may be a tracer.
      masks: masks that the new ones lie within; all kept by default. The deviation is
        that of the kept weights.

    Returns:
      Tree of boolean arrays, ``|w| > quality * std(w)``.

    >>> kernel = jnp.array([[1.0, -1.0], [3.0, -3.0]])  # deviation 5^(1/2)
    >>> above_deviation({"kernel": kernel}, 1.0)["kernel"].astype(int).tolist()
    [[0, 0], [1, 1]]
    """
    if not isinstance(quality, Tracer) and not quality >= 0:
        raise InputError(f"quality={quality}: give a number of at least 0")
    masks = all_kept(params) if masks is None else masks

    def of(leaf, mask):
        if not is_kernel(leaf):
            return mask
        deviation = jnp.std(leaf, where=mask)
        return mask & (jnp.abs(leaf) > quality * deviation)

    return jax.tree.map(of, params, masks)


def density(masks: Any) -> jax.Array:
    """Computes the share of a net's kernel weights that masks keep.

    Args:
      masks: tree of boolean arrays.

    Returns:
      A scalar in [0, 1].

    >>> density({"kernel": jnp.array([[True, False]]), "bias": jnp.array([True])})
    Array(0.5, dtype=float32)
    """
    kernels = [mask for mask in jax.tree.leaves(masks) if is_kernel(mask)]
    kept = jnp.sum(jnp.stack([jnp.sum(mask) for mask in kernels]))
    return kept / sum(mask.size for mask in kernels)


def check_sparsity(sparsity: Any) -> None:
    """Refuses a sparsity outside [0, 1); a tracer passes.

    Args:
      sparsity: share of weights that are left out.

    Raises:
      InputError: it is no such number.
    """
    if isinstance(sparsity, Tracer):
        return
    number = np.asarray(sparsity)  # of NumPy: this may run while a program is traced
    real = np.issubdtype(number.dtype, np.number)
    if not real or not ((number >= 0) & (number < 1)).all():
        raise InputError(
            f"sparsity={sparsity!r}: give the share of weights to leave out, in [0, 1)"
        )


def _sizes(leaf: jax.Array, mask: jax.Array) -> jax.Array:
    """Magnitudes as whole numbers of the same order; 0 for a weight left out before."""
    # The bits of floats that are not negative are in the order of the floats.
    bits = lax.bitcast_convert_type(jnp.abs(leaf).astype(jnp.float32), jnp.uint32)
    return jnp.where(mask, bits + 1, 0)


def _keep_largest(sizes: jax.Array, sparsity: Any) -> jax.Array:
    """All but the ``round(sparsity n)`` smallest of ``[n]``, the first ones of ties."""
    out = jnp.round(sparsity * sizes.size).astype(jnp.int32)
    out = jnp.maximum(out, jnp.sum(sizes == 0))  # as many as are out already
    largest_out = _smallest(sizes, out)
    below, equal = sizes < largest_out, sizes == largest_out
    ties = jnp.cumsum(equal) <= out - jnp.sum(below)
    return ~jnp.where(out > 0, below | (equal & ties), False)


@jax.jit  # outside of a program a loop would be compiled at every call
def _smallest(numbers: jax.Array, k: jax.Array) -> jax.Array:
    """The k-th smallest of ``[n]`` uint32, by bisection: 32 counts, and no sort."""

    def halve(_, bounds):
        low, high = bounds
        middle = low + (high - low) // 2
        enough = jnp.sum(numbers <= middle) >= k
        return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

    bounds = jnp.uint32(0), jnp.uint32(2**32 - 1)
    return lax.fori_loop(0, 32, halve, bounds)[1]
