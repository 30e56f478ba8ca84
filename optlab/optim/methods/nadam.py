"""Nadam: Adam whose momentum looks one step ahead, as Nesterov's does.

    m <- b1 m + (1 - b1) g              v <- b2 v + (1 - b2) g^2
    m^ = b1 m / (1 - b1^(i+1)) + (1 - b1) g / (1 - b1^i)          i = 1, 2, ...
    w <- w - eta m^ / (sqrt(v^) + eps)  v^ = v / (1 - b2^i)

Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 2 with a constant
momentum; like PyTorch, Keras and optax without its further factor b2 on v^.
"""

import optax

from optlab.optim.arguments import checked
from optlab.optim.compose import compose


@checked
def nadam(
    learning_rate: optax.ScalarOrSchedule = 0.002,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    r"""Builds Nadam: Adam with :math:`\hat m` moved one step ahead.

    Use it in place of `adam`, at the same cost: one gradient a step and 2 n numbers of
    state, with n parameters. Not at the largest rate that Adam bears: the first step is
    :math:`1 + \beta_1 / (1 + \beta_1)` times as long as Adam's, 1.47 by default. Try
    `nesterov` next with half of the state, `lamb` for batches of thousands.

    0.002 is the learning rate of PyTorch's NAdam; Keras has ``learning_rate=0.001,
    epsilon=1e-7``. Both increase :math:`\beta_1` at first; here it is constant.

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
    >>> tx = nadam(learning_rate=0.5, b1=0.5)
    >>> g = jnp.array([3.0, -0.01])
    >>> updates, state = tx.update(g, tx.init(g))
    >>> jnp.round(updates, 4)  # m^ = (1/2 . 1/2 / 3/4 + 1) g = 4/3 g
    Array([-0.6667,  0.6667], dtype=float32)
    """
    part = optax.scale_by_adam(b1, b2, eps, nesterov=True)
    return compose(part, learning_rate=learning_rate)
