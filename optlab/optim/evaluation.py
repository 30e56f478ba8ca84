"""The point at which an optimizer wants to be evaluated.

Schedule-free methods train at one point and are evaluated at another:

    y = (1 - b1) z + b1 x        parameters: the gradient is taken here
    x = (y - (1 - b1) z) / b1    weighted mean of the iterates z: evaluation is here

Source: Defazio et al., The Road Less Scheduled, arXiv:2405.15682, section 1.
"""

from typing import Any

import optax
import optax.contrib

from optlab.optim.dense.lift import fill, take
from optlab.optim.info import find


def evaluation_params(state: optax.OptState, params: Any) -> Any:
    """Computes the parameters at which a net is to be evaluated.

    Args:
      state: state of any optimizer; a ``ScheduleFreeState`` is found wherever it is
        chained, masked, partitioned or accumulated.
      params: parameters that are trained, the whole tree.

    Returns:
      Parameters for evaluation; ``params`` itself where nothing is schedule-free.

    >>> import jax.numpy as jnp
    >>> tx, y = optax.contrib.schedule_free_sgd(0.5, b1=0.5), jnp.array(1.0)
    >>> state = tx.init(y)
    >>> for _ in range(2):
    ...     updates, state = tx.update(jnp.array(1.0), state, y)
    ...     y = optax.apply_updates(y, updates)
    >>> print(y, evaluation_params(state, y))  # z = 0.5, 0: their mean is 0.25
    0.125 0.25
    """
    for found in find(state, optax.contrib.ScheduleFreeState):
        part = take(params, found.z)
        params = fill(optax.contrib.schedule_free_eval_params(found, part), params)
    return params
