"""AdaGrad: the rate of each coordinate falls with the sum of its squared gradients.

    s <- s + g^2
    w <- w - eta g / sqrt(s + eps)

Duchi, Hazan and Singer 2011, "Adaptive subgradient methods for online learning and
stochastic optimization", figure 1, diagonal case. The paper adds its small constant
to the root; here, as in textbooks and in Keras, it is inside.
"""

import optax

from optlab.optim.arguments import checked
from optlab.optim.compose import compose


@checked
def adagrad(
    learning_rate: optax.ScalarOrSchedule = 0.01,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
) -> optax.GradientTransformationExtraArgs:
    r"""Builds AdaGrad, :math:`w \leftarrow w - \eta g / \sqrt{s + \epsilon}`.

    Use it for sparse gradients, such as those of embeddings, and for convex problems.
    Not for long runs of nets: s only grows, so that the steps keep shrinking. A step
    costs one gradient, and the state is n numbers, with n parameters. Try `rmsprop`
    next, which forgets old gradients, or `adam`.

    Keras's defaults are ``learning_rate=0.001, initial_accumulator_value=0.1,
    eps=1e-7``, also with epsilon inside the root. Here s starts at 0, so that the
    first step is :math:`\eta` in every coordinate, whatever the gradient's size.

    ``initial_accumulator_value`` is read once, by ``init``; the other numbers may
    change during a run, by `optax.inject_hyperparams`.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      initial_accumulator_value: the start of s.
      eps: :math:`\epsilon`, in the units of the squared gradient; keeps the root
        from zero.

    Returns:
      The transformation.

    Raises:
      InputError: a number out of its range, unless it is traced.

    >>> import jax.numpy as jnp
    >>> tx = adagrad(learning_rate=0.5)
    >>> g = jnp.array([3.0, -0.01])
    >>> updates, state = tx.update(g, tx.init(g))
    >>> jnp.round(updates, 4)
    Array([-0.5,  0.5], dtype=float32)
    """
    part = optax.scale_by_rss(initial_accumulator_value, eps)
    return compose(part, learning_rate=learning_rate)
