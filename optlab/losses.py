"""Losses by name: one number an example, of outputs and targets.

    cross_entropy     -log softmax(z)_y, labels smoothed by s
    squared_error     0.5 sum_j (z_j - t_j)^2; of a class y the target t is one-hot

The mean of the second over m examples is C = 1/(2m) sum (t - z)^2, a sum of squares,
so it also has the residuals that least-squares methods need.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.core import Tracer

from optlab import names, ranges
from optlab.errors import InputError


class Loss(NamedTuple):
    """A loss, and its residuals where it is a sum of squares."""

    of: Callable[[Any, Any], jax.Array]  # outputs, targets -> [n]
    #: outputs, targets -> r with 0.5 sum(r^2) == mean(of(outputs, targets))
    residuals: Callable[[Any, Any], jax.Array] | None = None


def make(name: str, **options: Any) -> Loss:
    """Builds a loss by name.

    Args:
      name: key of ``LOSSES``, or the dotted path of a custom function
        ``(outputs, targets, **options) -> [n]``.
      **options: further arguments of the function; numbers may be tracers.

    Returns:
      The loss.

    Raises:
      InputError: the name or an option is unknown.

    >>> loss = make("cross_entropy", label_smoothing=0.1)
    >>> loss.of(jnp.zeros((1, 4)), jnp.array([2])).round(4)  # log 4
    Array([1.3863], dtype=float32)
    """
    function = names.find("loss", name, LOSSES)
    names.bind(f"loss {name!r}", functools.partial(function, None, None), options)
    of = functools.partial(function, **options)
    return Loss(of, squared_residuals if function is squared_error else None)


def cross_entropy(
    outputs: jax.Array, targets: jax.Array, label_smoothing: Any = 0.0
) -> jax.Array:
    r"""Cross-entropy of logits, :math:`-(1 - s) \log p_y - s/k \sum_j \log p_j`.

    Szegedy et al. 2016, "Rethinking the Inception architecture", section 7.

    Args:
      outputs: logits ``[n, k]``.
      targets: class indices ``[n]``.
      label_smoothing: s, in [0, 1]; may be a tracer.

    Returns:
      ``[n]``.

    Raises:
      InputError: targets that are no class indices, a smoothing outside [0, 1].
    """
    _check_classes(outputs, targets)
    exact = optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
    ranges.check("cross_entropy", RANGES, {"label_smoothing": label_smoothing})
    if not isinstance(label_smoothing, Tracer) and label_smoothing == 0:
        return exact
    uniform = -jnp.mean(jax.nn.log_softmax(outputs), axis=-1)
    return (1 - label_smoothing) * exact + label_smoothing * uniform


def squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Half the squared error, summed over an example's outputs.

    Args:
      outputs: ``[n, ...]``.
      targets: numbers of the same shape, ``[n]`` for one output, or class indices
        ``[n]``, which become one-hot.

    Returns:
      ``[n]``.

    Raises:
      InputError: targets of another shape; nothing is broadcast.

    >>> squared_error(jnp.array([[1.0], [2.0]]), jnp.array([1.0, 0.0])).tolist()
    [0.0, 2.0]
    """
    return 0.5 * jnp.sum(error(outputs, targets) ** 2, axis=-1)


def squared_residuals(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Residuals of `squared_error`: ``(outputs - targets) / sqrt(n)``, as one vector.

    Args:
      outputs: ``[n, ...]``.
      targets: targets, see `squared_error`.

    Returns:
      ``[n * outputs of an example]``.
    """
    return (error(outputs, targets) / jnp.sqrt(len(outputs))).ravel()


def error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Outputs minus targets, an example a row.

    Args:
      outputs: ``[n, ...]``.
      targets: targets, see `squared_error`.

    Returns:
      ``[n, outputs of an example]``.

    Raises:
      InputError: the shapes differ.
    """
    _check_array(targets)
    rows = outputs.reshape(len(outputs), -1)
    if jnp.issubdtype(targets.dtype, jnp.integer):
        _check_classes(rows, targets)
        return rows - jax.nn.one_hot(targets, rows.shape[1], dtype=rows.dtype)
    if targets.shape[0] != rows.shape[0] or (
        math.prod(targets.shape[1:]) != rows.shape[1]
    ):
        raise InputError(
            f"targets of shape {targets.shape} do not fit outputs of shape "
            f"{outputs.shape}: give one target for each output"
        )
    return rows - targets.reshape(rows.shape)


def _check_array(targets: Any) -> None:
    if not hasattr(targets, "dtype"):
        raise InputError(f"targets must be one array, not {type(targets).__name__}")


def _check_classes(outputs: jax.Array, targets: jax.Array) -> None:
    _check_array(targets)
    integers = jnp.issubdtype(targets.dtype, jnp.integer)
    if not integers or targets.shape != outputs.shape[:1]:
        raise InputError(
            f"targets must be class indices, whole numbers of shape "
            f"{outputs.shape[:1]}, but are {targets.dtype} of shape {targets.shape}"
        )


#: Type and range of every argument of ``LOSSES``, by its name.
RANGES = {"label_smoothing": ranges.CLOSED_SHARE}

#: Name to function (outputs, targets, **options) -> [n].
LOSSES: dict[str, Callable[..., jax.Array]] = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
}
