"""Nesterov's accelerated gradient: the gradient is taken one velocity ahead.

    m <- beta m - eta grad f(w + beta m)
    w <- w + m
    params hold the look-ahead point v = w + beta m, where the gradient is wanted:
    v <- v + beta m - eta g    with the new m <- beta m - eta g

Sutskever et al. 2013, "On the importance of initialization and momentum in deep
learning", equations 3 and 4; the change of variables from w to v is that of Bengio,
Boulanger-Lewandowski and Pascanu 2013, "Advances in optimizing recurrent networks",
section 3.5.
"""

import optax

from optlab.optim.arguments import checked
from optlab.optim.compose import compose


@checked
def nesterov(
    learning_rate: optax.ScalarOrSchedule = 0.01, momentum: float = 0.9
) -> optax.GradientTransformationExtraArgs:
    r"""Builds Nesterov momentum for a gradient that is taken at the parameters.

    Use it as `momentum`, above all with :math:`\beta` near 1: a velocity that is too
    large is corrected one step earlier. It costs the same, one gradient a step and n
    numbers of state, with n parameters. Not where gradients differ much in size
    between layers: try `nadam` next, which is to `adam` what this is to `momentum`.

    The parameters that the training loop holds are the look-ahead point
    :math:`v = w + \beta m`; both start together, as m starts at 0. With the trace
    :math:`t = -m / \eta` the update is optax's,
    :math:`t \leftarrow g + \beta t`, :math:`v \leftarrow v - \eta (g + \beta t)`,
    and the base point is :math:`w = v + \eta \beta t`. At a minimum m = 0, so that
    both are the same point. The identity holds while :math:`\eta` is constant; a
    schedule acts on the whole velocity at once.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule; 0.01 is Keras's default.
      momentum: :math:`\beta`; 0 is gradient descent.

    Returns:
      The transformation.

    Raises:
      InputError: a number out of its range, unless it is traced.

    >>> import jax.numpy as jnp
    >>> tx = nesterov(learning_rate=0.1, momentum=0.5)
    >>> g = jnp.array(2.0)
    >>> updates, state = tx.update(g, tx.init(g))
    >>> print(f"{updates:.2f}")  # m = -0.2; 0.5 m - 0.2
    -0.30
    """
    part = optax.trace(decay=momentum, nesterov=True)
    return compose(part, learning_rate=learning_rate)
