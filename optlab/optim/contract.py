"""The update contract in one place: the arguments of every optimizer at every step.

optax's line searches pass each extra argument that they do not know on to ``value_fn``
and raise where it does not take it. So the ``value_fn`` that is handed out takes the
whole contract, and ignores it.
"""

from collections.abc import Callable
from typing import Any

import jax

from optlab.optim.dense.lift import fill


def extra_args(
    params: Any, value: jax.Array, grad: Any, *, value_fn: Callable, **functions: Any
) -> dict[str, Any]:
    """Collects the keyword arguments of ``tx.update(grad, state, params, ...)``.

    Args:
      params: the whole parameter tree.
      value: f(params).
      grad: gradient of f at ``params``, the same arrays that ``update`` gets first.
      value_fn: params -> scalar f.
      **functions: ``residual_fn``, ``output_fn``, ``output_loss_fn``; None is left out.

    Returns:
      ``value, grad, value_fn, full_params``, the functions that are given, and
      ``obj_fn``, the objective as `optax.contrib.sophia` asks for it.

    >>> sorted(extra_args(1.0, 2.0, 0.5, value_fn=abs, residual_fn=None))
    ['full_params', 'grad', 'obj_fn', 'value', 'value_fn']
    """

    def value_of(
        params,
        *,
        full_params=None,
        obj_fn=None,
        residual_fn=None,
        output_fn=None,
        output_loss_fn=None,
    ):
        del full_params, obj_fn, residual_fn, output_fn, output_loss_fn
        return value_fn(params)

    return {
        "value": value,
        "grad": grad,
        "value_fn": value_of,
        "obj_fn": lambda part: value_fn(fill(part, params)),
        "full_params": params,
        **{key: given for key, given in functions.items() if given is not None},
    }
