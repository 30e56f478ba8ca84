"""RMSProp: AdaGrad that forgets, by an exponential mean of the squared gradients.

    s <- rho s + (1 - rho) g^2
    w <- w - eta g / sqrt(s + eps)

Hinton, Srivastava and Swersky 2012, "Neural networks for machine learning",
lecture 6e, slide 29.
"""

import optax

from optlab.optim.arguments import checked
from optlab.optim.compose import compose


@checked
def rmsprop(
    learning_rate: optax.ScalarOrSchedule = 0.001,
    decay: float = 0.9,
    eps: float = 1e-10,
) -> optax.GradientTransformationExtraArgs:
    r"""Builds RMSProp, :math:`w \leftarrow w - \eta g / \sqrt{s + \epsilon}`.

    Use it where gradients differ in size between layers and in the course of a run, at
    half of Adam's memory. Not where a long first step does harm: s starts at 0, and the
    first step is :math:`\eta / \sqrt{1 - \rho}` in every coordinate, 3.2 rates by
    default. A step costs one gradient, and the state is n numbers, with n parameters.
    Try `adam` next, which corrects the start and adds momentum.

    Keras's defaults are ``learning_rate=0.001, rho=0.9, epsilon=1e-7``, also with
    epsilon inside the root; ours differ in epsilon alone. PyTorch adds it outside.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule.
      decay: :math:`\rho`, the memory of the mean.
      eps: :math:`\epsilon`, in the units of the squared gradient; keeps the root
        from zero.

    Returns:
      The transformation.

    Raises:
      InputError: a number out of its range, unless it is traced.

    >>> import jax.numpy as jnp
    >>> tx = rmsprop(learning_rate=0.1, decay=0.75)
    >>> g = jnp.array([3.0, -0.01])
    >>> updates, state = tx.update(g, tx.init(g))
    >>> print(*(f"{u:.3f}" for u in updates))  # s = g^2 / 4
    -0.200 0.200
    """
    part = optax.scale_by_rms(decay, eps, eps_in_sqrt=True)
    return compose(part, learning_rate=learning_rate)
