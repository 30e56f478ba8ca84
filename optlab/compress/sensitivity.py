"""Sensitivity to pruning: one layer loses weights, and all others stay whole.

Layer and sparsity may both be tracers, so that a scan of all layers at many sparsities
is lanes of one program.

S. Han, J. Pool, J. Tran, W. Dally, "Learning both weights and connections for efficient
neural networks", 2015, figure 6.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from optlab.compress.masks import all_kept, check_sparsity, is_kernel, layer_magnitude
from optlab.errors import InputError


def kernel_names(params: Any) -> list[str]:
    """Names the arrays that pruning looks at, in the order of their indices.

    Args:
      params: tree of parameters.

    Returns:
      Paths joined by ``/``.

    >>> kernel_names({"Dense_0": {"bias": jnp.ones(2), "kernel": jnp.ones((2, 2))}})
    ['Dense_0/kernel']
    """
    return [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree.leaves_with_path(params)
        if is_kernel(leaf)
    ]


def one_layer_magnitude(params: Any, sparsity: Any, layer: Any) -> Any:
    """Leaves out the share of smallest weights of one kernel.

    Args:
      params: tree of parameters.
      sparsity: share of that kernel's weights left out, in [0, 1); may be a tracer.
      layer: index of the kernel in `kernel_names`; may be a tracer.

    Returns:
      Tree of boolean arrays; all other weights are kept.

    Raises:
      InputError: a sparsity outside [0, 1), no kernel of that index, or nothing to
        prune.

    >>> params = {"a": jnp.array([[1.0, 2.0]]), "b": jnp.array([[4.0, 3.0]])}
    >>> masks = one_layer_magnitude(params, 0.5, layer=1)
    >>> masks["a"].tolist(), masks["b"].tolist()
    ([[True, True]], [[True, False]])
    """
    check_sparsity(sparsity)
    kept, names = all_kept(params), kernel_names(params)
    if not isinstance(layer, Tracer) and not 0 <= layer < len(names):
        raise InputError(f"layer={layer}: this net has kernels 0 to {len(names) - 1}")
    leaves, tree = jax.tree.flatten(params)
    masks, index = tree.flatten_up_to(kept), 0
    for i, leaf in enumerate(leaves):
        if is_kernel(leaf):
            share = jnp.where(layer == index, sparsity, 0.0)
            masks[i] = layer_magnitude(leaf, share)
            index += 1
    return tree.unflatten(masks)
