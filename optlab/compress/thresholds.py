r"""Thresholds that are learned, one a layer, by gradient descent.

    v(w, t) = relu(w - t) + t sig(b (w - t)) - relu(-w - t) - t sig(b (-w - t))

is nearly w above t and nearly 0 within (-t, t), and has a gradient in t from weights
within about 1 / b of it; b = sharpness / t keeps its shape the same at every scale. For
b to infinity it is hard thresholding. It leaks inside, so the net that is evaluated is
the hardened one: weights below t are zero, all others as they are.

    strength * (1 / N) sum_i sig(b (|w_i| - t))

over all N weights of kernels, a smooth count of those that are kept, drives thresholds
up against the loss. It is a penalty of our own, after the soft L0 norm of K. Azarian et
al., "Learned threshold pruning", 2020, section 3.2; v is that of F. Manessi et al.,
"Automated pruning for deep neural network compression", 2018, section III.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax, nn
from jax.core import Tracer

from optlab.compress.masks import all_kept, is_kernel
from optlab.compress.sensitivity import kernel_names
from optlab.errors import InputError
from optlab.problems import Problem


def soft_threshold(weights: Any, threshold: Any, beta: Any) -> jax.Array:
    """Computes weights that are nearly zero below a threshold, differentiably.

    Args:
      weights: array of weights.
      threshold: t, more than 0.
      beta: steepness b of the step at t.

    Returns:
      v of the weights' shape.

    >>> soft_threshold(jnp.array([-2.0, 0.0, 0.5, 2.0]), 1.0, 50.0).round(3).tolist()
    [-2.0, 0.0, 0.0, 2.0]
    """
    above, below = weights - threshold, -weights - threshold
    return (
        nn.relu(above)
        + threshold * nn.sigmoid(beta * above)
        - nn.relu(below)
        - threshold * nn.sigmoid(beta * below)
    )


def thresholded(
    problem: Problem,
    params: Any,
    model_state: Any,
    sharpness: Any = 8.0,
    start: Any = 0.2,
) -> Problem:
    """Makes the problem of training a net together with a threshold for each kernel.

    Args:
      problem: problem of the net.
      params: parameters from which training goes on.
      model_state: batch statistics and the like, from which training goes on.
      sharpness: b t, more than 0; may be a tracer.
      start: initial threshold in standard deviations of the kernel, more than 0; may be
        a tracer.

    Returns:
      The problem. Its parameters are ``{"weights": params, "log_thresholds": {name:
      number}}``; what is trained has soft thresholds, what is evaluated is hardened.

    Raises:
      InputError: a number that is not above 0, or a net with nothing to prune.
    """
    for name, value in (("sharpness", sharpness), ("start", start)):
        if not isinstance(value, Tracer) and not value > 0:
            raise InputError(f"{name}={value}: give a number above 0")
    all_kept(params)  # refuses a net without kernels
    kernels = [leaf for leaf in jax.tree.leaves(params) if is_kernel(leaf)]
    first = {
        # Guard: a kernel of zeros has no deviation, and the logarithm no end.
        name: jnp.log(start * jnp.maximum(jnp.std(kernel), 1e-6))
        for name, kernel in zip(kernel_names(params), kernels, strict=True)
    }

    def train_outputs(both, state, inputs, key):
        def of(weights, t):
            return soft_threshold(weights, t, sharpness / lax.stop_gradient(t))

        return problem.train_outputs(_of_kernels(of, both), state, inputs, key)

    def outputs(both, state, inputs):
        return problem.outputs(harden(both), state, inputs)

    return dataclasses.replace(
        problem,
        init=lambda key: ({"weights": params, "log_thresholds": first}, model_state),
        train_outputs=train_outputs,
        outputs=outputs,
    )


def harden(both: Mapping[str, Any]) -> Any:
    """Sets the weights below their threshold to zero.

    Args:
      both: parameters of a `thresholded` problem.

    Returns:
      Parameters of the net alone.

    >>> both = {"weights": {"kernel": jnp.array([[0.1, -2.0]])},
    ...         "log_thresholds": {"kernel": jnp.log(0.5)}}
    >>> harden(both)["kernel"].tolist()
    [[0.0, -2.0]]
    """
    return _of_kernels(lambda w, t: jnp.where(jnp.abs(w) >= t, w, 0), both)


def kept_share(both: Mapping[str, Any], sharpness: Any = 8.0) -> jax.Array:
    """Counts the weights above their threshold, as a smooth share.

    Args:
      both: parameters of a `thresholded` problem.
      sharpness: b t.

    Returns:
      Scalar, the mean of ``sig(b (|w| - t))`` over the weights of all kernels.
    """
    kernels = [leaf for leaf in jax.tree.leaves(both["weights"]) if is_kernel(leaf)]
    thresholds = [
        jnp.exp(both["log_thresholds"][n]) for n in kernel_names(both["weights"])
    ]
    counts = [
        jnp.sum(nn.sigmoid(sharpness / lax.stop_gradient(t) * (jnp.abs(w) - t)))
        for w, t in zip(kernels, thresholds, strict=True)
    ]
    return jnp.sum(jnp.stack(counts)) / sum(w.size for w in kernels)


def add_threshold_penalty(
    strength: Any, sharpness: Any = 8.0
) -> optax.GradientTransformation:
    """Adds the gradient of ``strength * kept_share`` to the updates.

    It goes before the optimizer in ``optax.chain``.

    Args:
      strength: weight of the share of kept weights against the loss, at least 0; may
        be a tracer.
      sharpness: number that was given to `thresholded`.

    Returns:
      The transformation; ``update`` needs ``params``.

    Raises:
      InputError: a strength below 0.
    """
    if not isinstance(strength, Tracer) and not strength >= 0:
        raise InputError(f"strength={strength}: give a number of at least 0")

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("add_threshold_penalty: update needs params")
        slope = jax.grad(kept_share)(params, sharpness)
        return jax.tree.map(lambda u, g: u + strength * g, updates, slope), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _of_kernels(function: Any, both: Mapping[str, Any]) -> Any:
    """Applies a function of weights and threshold to each kernel."""
    leaves, tree = jax.tree.flatten(both["weights"])
    names = iter(kernel_names(both["weights"]))
    return tree.unflatten(
        function(leaf, jnp.exp(both["log_thresholds"][next(names)]))
        if is_kernel(leaf)
        else leaf
        for leaf in leaves
    )
