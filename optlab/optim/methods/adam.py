"""Adam: momentum over RMSProp, both corrected for their start at zero.

    m <- b1 m + (1 - b1) g              v <- b2 v + (1 - b2) g^2
    m^ = m / (1 - b1^i)                 v^ = v / (1 - b2^i)       i = 1, 2, ...
    w <- w - eta m^ / (sqrt(v^) + eps)

Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.
"""

import optax

from optlab.optim.arguments import checked
from optlab.optim.compose import compose


@checked
def adam(
    learning_rate: optax.ScalarOrSchedule = 0.001,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    r"""Builds Adam, :math:`w \leftarrow w - \eta \hat m / (\sqrt{\hat v} + \epsilon)`.

    Use it first for nets on mini-batches: each coordinate moves by about :math:`\eta`,
    whatever the size of its gradient. Not where memory is short, nor for a smooth
    function to its last digits: `bfgs`, `levenberg_marquardt`. A step costs one
    gradient, and the state is 2 n numbers, with n parameters. Try `momentum` next with
    half of the state, `lamb` for batches of thousands, `muon` for matrices.

    The defaults are the paper's; Keras's differ in ``epsilon=1e-7``.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      b1: :math:`\beta_1`, the memory of the mean gradient.
      b2: :math:`\beta_2`, the memory of the mean squared gradient.
      eps: :math:`\epsilon`, outside the root, in the units of the gradient.

    Returns:
      The transformation.

    Raises:
      InputError: a number out of its range, unless it is traced.

    >>> import jax.numpy as jnp
    >>> tx = adam(learning_rate=0.5)
    >>> g = jnp.array([3.0, -0.01])
    >>> updates, state = tx.update(g, tx.init(g))
    >>> jnp.round(updates, 4)  # the first step is eta in every coordinate
    Array([-0.5,  0.5], dtype=float32)
    """
    return compose(optax.scale_by_adam(b1, b2, eps), learning_rate=learning_rate)
