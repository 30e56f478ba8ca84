"""Gradient descent with momentum, the heavy ball.

    m <- beta m - eta (g + lambda w)
    w <- w + m

Polyak 1964, "Some methods of speeding up the convergence of iteration methods",
equation 9; in this notation Sutskever et al. 2013, "On the importance of
initialization and momentum in deep learning", equations 1 and 2.
"""

import jax
import optax
from jax.core import Tracer

from optlab.optim.arguments import checked
from optlab.optim.compose import compose


@checked
def momentum(
    learning_rate: optax.ScalarOrSchedule = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    decayed: tuple[str, ...] = (),
) -> optax.GradientTransformationExtraArgs:
    r"""Builds momentum, :math:`m \leftarrow \beta m - \eta g`, :math:`w += m`.

    Use it for nets on mini-batches where the rate can be tuned: it gathers speed where
    gradients agree from step to step. Not where they differ much in size between
    layers, since one rate serves all. A step costs one gradient, and the state is n
    numbers, with n parameters. Try `nesterov` next at the same cost, or `adam`.

    The state holds :math:`t = -m / \eta`, the trace :math:`t \leftarrow \beta t + g`,
    so that a learning rate that changes acts on the whole velocity at once.

    Args:
      learning_rate: :math:`\eta`, a number or a schedule; 0.01 is Keras's default.
      momentum: :math:`\beta`; 0 is gradient descent.
      weight_decay: :math:`\lambda`, the gradient of half the squared norm of the
        parameters, times this; then ``update`` needs ``params``.
      decayed: names of the parameters that decay, such as ``("kernel",)``; empty for
        all of them.

    Returns:
      The transformation.

    Raises:
      InputError: a number out of its range, unless it is traced.

    >>> import jax.numpy as jnp
    >>> tx = momentum(learning_rate=0.1, momentum=0.5)
    >>> g = jnp.array(2.0)
    >>> updates, state = tx.update(g, tx.init(g))
    >>> updates, state = tx.update(g, state)
    >>> print(f"{updates:.2f}")  # 0.5 (-0.2) - 0.2
    -0.30
    """
    trace = optax.trace(decay=momentum)

    def decay(path, g, w):
        if decayed and getattr(path[-1], "key", None) not in decayed:
            return g
        return g + weight_decay * w

    def update(updates, state, params=None):
        # One state with and without: a decay of 0 may be a tracer later on.
        if isinstance(weight_decay, Tracer) or weight_decay != 0:
            if params is None:
                raise ValueError("momentum with weight_decay: give params to update")
            updates = jax.tree_util.tree_map_with_path(decay, updates, params)
        return trace.update(updates, state)

    stage = optax.GradientTransformation(trace.init, update)
    return compose(stage, learning_rate=learning_rate)
