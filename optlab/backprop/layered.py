r"""Backpropagation through dense layers in matrices: one line a quantity.

With a^0 the inputs, an example a column, and m examples::

    forward    z^l = W^l a^(l-1) + b^l          a^l = s(z^l)
    cost       C = 1/(2m) sum |a^L - y|^2
    backward   delta^L = (a^L - y) / m * s'(z^L)                  elementwise
               delta^l = (W^(l+1))^T delta^(l+1) * s'(z^l)
    gradient   dC/dW^l = delta^l (a^(l-1))^T    dC/db^l = sum of delta^l's columns

M. Nielsen, "Neural Networks and Deep Learning" (2015), chapter 2, equations BP1 to BP4.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Layer(NamedTuple):
    """A layer's parameters and all that both passes compute of it."""

    w: jax.Array  # [out, in]
    b: jax.Array  # [out]
    z: jax.Array  # [out, m] before the activation
    a: jax.Array  # [out, m] after it
    delta: jax.Array  # [out, m] derivative of the cost by z
    dw: jax.Array  # [out, in]
    db: jax.Array  # [out]


def layers(
    weights: Sequence[tuple[jax.Array, jax.Array]],
    inputs: jax.Array,
    targets: jax.Array,
    activation: Callable[[jax.Array], jax.Array],
) -> tuple[jax.Array, tuple[Layer, ...]]:
    """Computes a net's cost, and every quantity of both passes by layer.

    Args:
      weights: W ``[out, in]`` and b ``[out]`` of each layer.
      inputs: ``[in, m]``, an example a column.
      targets: ``[out, m]``, of the last layer.
      activation: elementwise function s, after every layer.

    Returns:
      The cost C and the layers, first to last.

    >>> w = [(jnp.array([[2.0]]), jnp.array([1.0])), (jnp.array([[3.0]]), jnp.zeros(1))]
    >>> cost, (first, last) = layers(w, jnp.ones((1, 1)), jnp.ones((1, 1)), lambda z: z)
    >>> float(cost), last.delta.item(), first.delta.item()  # a = 3 (2 + 1) = 9, y = 1
    (32.0, 8.0, 24.0)
    """
    a, before, zs = inputs, [], []
    for w, b in weights:
        before.append(a)
        zs.append(w @ a + b[:, None])
        a = activation(zs[-1])
    m = inputs.shape[1]
    cost = jnp.sum((a - targets) ** 2) / (2 * m)

    back, found = (a - targets) / m, []  # derivative of the cost by a
    for (w, b), z, a_in in reversed(list(zip(weights, zs, before, strict=True))):
        value, slope = jax.jvp(activation, (z,), (jnp.ones_like(z),))
        delta = back * slope
        found.append(Layer(w, b, z, value, delta, delta @ a_in.T, delta.sum(axis=1)))
        back = w.T @ delta
    return cost, tuple(reversed(found))
