"""Gradient descent; stochastic where the gradient is that of a batch.

    w <- w - eta g

Robbins and Monro 1951, "A stochastic approximation method", equation 8.
"""

import optax

from optlab.optim.arguments import checked
from optlab.optim.compose import compose


@checked
def sgd(
    learning_rate: optax.ScalarOrSchedule = 0.01,
) -> optax.GradientTransformationExtraArgs:
    r"""Builds gradient descent, :math:`w \leftarrow w - \eta g`.

    Use it as a baseline, or where no memory is left for a state: it has none. Not where
    gradients differ much in size between layers, since one rate serves all, nor where
    the Hessian is badly conditioned. A step costs one gradient. Try `momentum` next,
    `adam` where one rate does not serve all, `bold_driver` on full batches.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule; 0.01 is Keras's default.

    Returns:
      The transformation.

    Raises:
      InputError: a number out of its range, unless it is traced.

    >>> import jax.numpy as jnp
    >>> tx = sgd(learning_rate=0.1)
    >>> w = jnp.array([1.0, 2.0])
    >>> updates, state = tx.update(jnp.array([2.0, -4.0]), tx.init(w), w)
    >>> optax.apply_updates(w, updates)
    Array([0.8, 2.4], dtype=float32)
    """
    return compose(learning_rate=learning_rate)
