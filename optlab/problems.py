"""A problem is what an optimizer works on, as pure functions: net, loss, nothing else.

It knows neither data nor optimizer. Batches come in, losses come out; parameters and
the model's other state (batch statistics) are arguments and results.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab.errors import InputError


class Batch(NamedTuple):
    """Examples as the model takes them."""

    inputs: Any  # [n, ...], floating
    targets: Any  # [n] class numbers, or [n, outputs] for regression


class Problem(NamedTuple):
    """A model and a loss.

    ``loss`` is per example; what an optimizer minimizes is its mean over a batch.
    ``residuals``, where the loss is a sum of squares, satisfies
    ``0.5 * sum(residuals(outputs, targets)**2) == mean(loss(outputs, targets))``.
    """

    init: Callable[[jax.Array], tuple[Any, Any]]  # key -> params, model_state
    train_outputs: Callable[..., tuple[jax.Array, Any]]  # params, state, inputs, key
    outputs: Callable[..., jax.Array]  # params, state, inputs: evaluation mode
    loss: Callable[[jax.Array, jax.Array], jax.Array]  # outputs, targets -> [n]
    accuracy: Callable[[jax.Array, jax.Array], jax.Array]  # outputs, targets -> [n]
    residuals: Callable[[jax.Array, jax.Array], jax.Array] | None = None


def classification(module: Any, input_shape: tuple[int, ...]) -> Problem:
    """Cross-entropy of a module's logits.

    Args:
      module: a ``flax.linen`` module called as ``module(inputs, train=...)``; it may
        hold batch statistics and dropout.
      input_shape: the shape of one input.

    Returns:
      The problem; accuracy is 1 where the largest logit is the target's.

    Raises:
      InputError: the module cannot take such inputs.

    >>> from optlab import models
    >>> problem = classification(models.make("mlp", classes=3), (4,))
    >>> params, model_state = problem.init(jax.random.key(0))
    >>> problem.outputs(params, model_state, jnp.ones((2, 4))).shape
    (2, 3)
    """
    return Problem(
        *_functions_of(module, input_shape),
        loss=optax.softmax_cross_entropy_with_integer_labels,
        accuracy=lambda logits, labels: (logits.argmax(-1) == labels).astype(
            jnp.float32
        ),
    )


def regression(module: Any, input_shape: tuple[int, ...]) -> Problem:
    """Half the squared error of a module's outputs, summed over the outputs.

    The loss of an example is ``0.5 * sum((outputs - targets)**2)``, so the residuals of
    a batch of n are ``(outputs - targets) / sqrt(n)``.

    Args:
      module: a ``flax.linen`` module called as ``module(inputs, train=...)``.
      input_shape: the shape of one input.

    Returns:
      The problem; its accuracy is NaN, for regression has none.

    Raises:
      InputError: the module cannot take such inputs.
    """
    return Problem(
        *_functions_of(module, input_shape),
        loss=lambda outputs, targets: 0.5 * jnp.sum((outputs - targets) ** 2, axis=-1),
        accuracy=lambda outputs, targets: jnp.full(len(targets), jnp.nan),
        residuals=lambda outputs, targets: (
            (outputs - targets) / jnp.sqrt(len(targets))
        ).ravel(),
    )


def _functions_of(module: Any, input_shape: tuple[int, ...]) -> tuple:
    """A module's ``init``, ``train_outputs`` and ``outputs`` as pure functions."""

    def init(key):
        variables = dict(module.init(key, jnp.zeros((1, *input_shape)), train=False))
        return variables.pop("params"), variables

    def train_outputs(params, model_state, inputs, key):
        return module.apply(
            {"params": params, **model_state},
            inputs,
            train=True,
            rngs={"dropout": key},
            mutable=list(model_state),
        )

    def outputs(params, model_state, inputs):
        return module.apply({"params": params, **model_state}, inputs, train=False)

    try:
        jax.eval_shape(lambda: init(jax.random.key(0)))  # compiles nothing
    except (ArithmeticError, TypeError, ValueError) as error:
        raise InputError(
            f"this model cannot take inputs of shape {input_shape}: {error}"
        ) from error
    return init, train_outputs, outputs
