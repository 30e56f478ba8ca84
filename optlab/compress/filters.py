r"""Filter pruning: whole filters go, and the net really gets smaller.

    s_j = sum_l sum |K_{l,j}|

over the input maps l of filter j (its L1 norm). The filters of the smallest sums are
removed with their biases and feature maps, and so are the next layer's kernels on those
maps. *Independent*: the sum runs over all input maps. *Greedy*: layer by layer from the
input, the kernels on maps that were removed before no longer count. Units of a hidden
dense layer are its filters. Nets with normalization between layers, or with residual
links, are refused.

H. Li, A. Kadav, I. Durdanovic, H. Samet, H. P. Graf, "Pruning filters for efficient
convnets", 2017, section 3.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from optlab.errors import InputError

#: Names of layers in the order in which a chain computes them.
KINDS = ("Conv", "Dense")

#: Layer's name to indices of the filters that stay, ascending.
Keep = dict[str, np.ndarray]


def chain(params: Mapping[str, Any]) -> list[str]:
    """Orders the layers of a net that is a chain: convolutions, then dense layers.

    Args:
      params: parameters of `CNN`, `LeNet5`, `MLP` or a net named alike, whose layers
        follow one another with nothing that holds parameters between them.

    Returns:
      Names of the layers from input to output.

    Raises:
      InputError: the net is no such chain.

    >>> layer = lambda *shape: {"kernel": np.ones(shape), "bias": np.ones(2)}
    >>> chain({"Dense_0": layer(2, 8), "Conv_0": layer(3, 3, 1, 2)})
    ['Conv_0', 'Dense_0']
    """
    found = []
    for name, layer in params.items():
        kind, _, number = name.rpartition("_")
        parts = set(layer) if isinstance(layer, Mapping) else set()
        known = kind in KINDS and number.isdecimal()
        if not known or parts != {"kernel", "bias"}:
            raise InputError(
                f"filters are pruned in chains of convolutions and dense layers, and "
                f"this net holds {name}: prune its single weights instead"
            )
        found.append((KINDS.index(kind), int(number), name))
    names = [name for *_, name in sorted(found)]
    for before, after in itertools.pairwise(names):
        inputs, maps = _inputs(params[after]), _count(params[before])
        if inputs % maps or (params[after]["kernel"].ndim > 2 and inputs != maps):
            raise InputError(
                f"{after} takes {inputs} numbers, which are no maps of the {maps} "
                f"filters of {before}: this net is no chain"
            )
    return names


def filter_norms(kernel: Any, inputs: Any = None) -> Any:
    """Sums the magnitudes of each filter.

    Args:
      kernel: ``[kh, kw, in, out]`` of a convolution, or ``[out, in]``.
      inputs: indices of the inputs that count; all by default.

    Returns:
      ``[out]``.

    >>> filter_norms(jnp.array([[1.0, -2.0], [0.5, 0.0]])).tolist()
    [3.0, 0.5]
    """
    dense = kernel.ndim == 2
    if inputs is not None:
        kernel = kernel[:, inputs] if dense else kernel[:, :, inputs]
    return jnp.sum(jnp.abs(kernel), axis=1 if dense else (0, 1, 2))


def keep_filters(
    params: Mapping[str, Any],
    share: float | Mapping[str, float],
    greedy: bool = False,
) -> Keep:
    """Chooses the filters that stay.

    Args:
      params: parameters of a `chain`.
      share: share of the filters of each layer that goes, in [0, 1), or a share for
        each of some layers by name. ``round(share * n)`` of n filters go, and one
        stays. Outputs of the last layer always stay.
      greedy: whether kernels on maps that were removed before do not count.

    Returns:
      Layer's name to the indices of its filters that stay, for layers that lose some.

    Raises:
      InputError: a share outside [0, 1), an unknown layer, or the net is no chain.

    >>> params = {"Dense_0": {"kernel": jnp.array([[0.1], [2.0]]), "bias": jnp.ones(2)},
    ...           "Dense_1": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(3)}}
    >>> keep_filters(params, 0.5)
    {'Dense_0': array([1])}
    """
    names = chain(params)
    shares = (
        dict(share) if isinstance(share, Mapping) else dict.fromkeys(names[:-1], share)
    )
    for name, each in shares.items():
        if name not in names[:-1]:
            known = ", ".join(names[:-1])
            raise InputError(f"no layer {name!r} with filters to prune: {known}")
        if not 0 <= each < 1:
            raise InputError(
                f"share={each!r}: give the share of filters to remove, in [0, 1)"
            )
    keep: Keep = {}
    for i, name in enumerate(names[:-1]):
        inputs = None
        if greedy and i and names[i - 1] in keep:
            inputs = _inputs_kept(params, names[i - 1], name, keep)
        norms = np.asarray(filter_norms(params[name]["kernel"], inputs))
        gone = min(round(shares.get(name, 0) * len(norms)), len(norms) - 1)
        if gone:
            keep[name] = np.sort(np.argsort(norms, kind="stable")[gone:])
    return keep


def shrink(params: Mapping[str, Any], keep: Keep) -> dict[str, Any]:
    """Removes filters, their biases, and the next layer's kernels on their maps.

    Args:
      params: parameters of a `chain`.
      keep: filters that stay, see `keep_filters`.

    Returns:
      Parameters for a model with the smaller widths. Its outputs are those of the
      given net with the removed filters set to zero.

    >>> params = {"Dense_0": {"kernel": jnp.array([[0.1], [2.0]]), "bias": jnp.ones(2)},
    ...           "Dense_1": {"kernel": jnp.ones((3, 2)), "bias": jnp.ones(3)}}
    >>> small = shrink(params, keep_filters(params, 0.5))
    >>> small["Dense_0"]["kernel"].tolist(), small["Dense_1"]["kernel"].shape
    ([[2.0]], (3, 1))
    """
    names = chain(params)
    small = {}
    for i, name in enumerate(names):
        kernel, bias = params[name]["kernel"], params[name]["bias"]
        if i and names[i - 1] in keep:
            inputs = _inputs_kept(params, names[i - 1], name, keep)
            kernel = kernel[:, inputs] if kernel.ndim == 2 else kernel[:, :, inputs]
        if name in keep:
            own = keep[name]
            kernel = kernel[own] if kernel.ndim == 2 else kernel[..., own]
            bias = bias[own]
        small[name] = {"kernel": kernel, "bias": bias}
    return small


def filter_counts(params: Mapping[str, Any]) -> dict[str, int]:
    """Counts the filters of each layer of a `chain`, from input to output."""
    return {name: _count(params[name]) for name in chain(params)}


def _inputs_kept(
    params: Mapping[str, Any], before: str, name: str, keep: Keep
) -> np.ndarray:
    """Inputs of a layer that come from filters that stay; maps are the last axis."""
    maps = _count(params[before])
    pixels = _inputs(params[name]) // maps
    return (np.arange(pixels)[:, None] * maps + keep[before]).ravel()


def _count(layer: Any) -> int:
    kernel = layer["kernel"]
    return kernel.shape[0 if kernel.ndim == 2 else -1]


def _inputs(layer: Any) -> int:
    kernel = layer["kernel"]
    return kernel.shape[1 if kernel.ndim == 2 else -2]
