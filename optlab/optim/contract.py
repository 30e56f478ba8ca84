"""The update contract in one place: what every optimizer is handed at every step.

optax's line searches pass each extra argument that they do not know on to ``value_fn``
and raise where it does not take it. So the ``value_fn`` that is handed out takes the
whole contract, and ignores it.
"""

from collections.abc import Callable
from typing import Any

import jax


def extra_args(
    params: Any, value: jax.Array, grad: Any, *, value_fn: Callable, **functions: Any
) -> dict[str, Any]:
    """The keyword arguments of ``tx.update(grad, state, params, ...)``.

    Args:
      params: the whole parameter tree.
      value: f(params).
      grad: its gradient.
      value_fn: params -> scalar f.
      **functions: ``residual_fn``, ``output_fn``, ``output_loss_fn``; None is left out.

    Returns:
      ``value, grad, value_fn, full_params`` and the functions that are there.

    >>> sorted(extra_args(1.0, 2.0, 0.5, value_fn=abs, residual_fn=None))
    ['full_params', 'grad', 'value', 'value_fn']
    """

    def value_of(
        params,
        *,
        full_params=None,
        residual_fn=None,
        output_fn=None,
        output_loss_fn=None,
    ):
        del full_params, residual_fn, output_fn, output_loss_fn
        return value_fn(params)

    given = {
        key: function for key, function in functions.items() if function is not None
    }
    return {
        "value": value,
        "grad": grad,
        "value_fn": value_of,
        "full_params": params,
        **given,
    }
