"""LAMB: Adam's direction, each layer's step as long as the layer's weights.

    r = m^ / (sqrt(v^) + eps)           m^ and v^ as in Adam
    u = r + lambda w
    w <- w - eta |w| / |u| u            leaf by leaf; the ratio is 1 where a norm is 0

You et al. 2020, "Large batch optimization for deep learning: training BERT in 76
minutes", algorithm 2 with phi the identity.
"""

import jax
import jax.numpy as jnp
import optax

from optlab.optim.arguments import checked
from optlab.optim.compose import compose
from optlab.optim.dense.linear import norm


def scale_by_norm_ratio() -> optax.GradientTransformation:
    """Builds u -> |w| / |u| u leaf by leaf, with norms that do not overflow.

    >>> w, u = jnp.array([3e30, 4e30]), jnp.array([1.0, 0.0])
    >>> bool(jnp.isfinite(scale_by_norm_ratio().update(u, (), w)[0][0]))
    True
    """

    def scale(u, w):
        length, own = norm(w.ravel()), norm(u.ravel())
        usable = (length > 0) & (own > 0)
        # The unit vector first: a ratio may overflow where its product does not.
        return jnp.where(usable, u / jnp.where(own > 0, own, 1.0) * length, u)

    def update(updates, state, params=None):
        if params is None:
            raise ValueError("lamb scales by the parameters: pass params to update")
        return jax.tree.map(scale, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


@checked
def lamb(
    learning_rate: optax.ScalarOrSchedule = 0.001,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
    weight_decay: float = 0.01,
) -> optax.GradientTransformationExtraArgs:
    r"""Builds LAMB, :math:`w \leftarrow w - \eta \frac{\|w\|}{\|u\|} u`.

    Use it for batches of thousands of examples, whose few steps have to be long. Not
    for leaves that start near zero and have to grow: a step is :math:`\eta` times the
    norm of its leaf. A step costs one gradient and two norms a leaf, and the state is
    2 n numbers, with n parameters. Try `adam` next, above all on small batches, or
    `muon` for matrices.

    Weight decay is on, at 0.01 as in BERT's training; optax and Keras have it off.
    The norms are those of one leaf of the tree, so ``update`` needs ``params``.

    Args:
      learning_rate: :math:`\eta`, the relative length of a layer's step; a number or
        a schedule.
      b1: :math:`\beta_1`, the memory of the mean gradient.
      b2: :math:`\beta_2`, the memory of the mean squared gradient.
      eps: :math:`\epsilon`, outside the root, in the units of the gradient.
      weight_decay: :math:`\lambda`, decoupled from the gradient.

    Returns:
      The transformation.

    Raises:
      InputError: a number out of its range, unless it is traced.

    >>> import jax.numpy as jnp
    >>> tx = lamb(learning_rate=0.1, weight_decay=0.0)
    >>> w = jnp.array([3.0, 4.0])
    >>> updates, state = tx.update(jnp.array([7.0, 7.0]), tx.init(w), w)
    >>> jnp.linalg.norm(updates).round(4)  # a tenth of |w| = 5
    Array(0.5, dtype=float32)
    """
    return compose(
        optax.scale_by_adam(b1, b2, eps),
        optax.add_decayed_weights(weight_decay),
        scale_by_norm_ratio(),
        learning_rate=learning_rate,
    )
