"""Muon: momentum whose matrices are made orthogonal, and Adam for everything else.

    m <- b m + (1 - b) g                     m^ looks ahead, as in Nadam
    u = U V^T    where m^ = U S V^T          by five Newton-Schulz iterations
    w <- w - eta (sqrt(max(1, out / in)) u + lambda w)

Weights of two axes are ``[out, in]``, as in `optlab.models.layers`; weights of more are
kernels of convolutions, ``[..., in, out]``, whose first axes are summed over together.
Biases and scales are trained by Adam at a rate of their own.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks",
https://kellerjordan.github.io/posts/muon/; computed by `optax.contrib.muon`.
"""

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from optlab.optim.arguments import checked
from optlab.optim.compose import compose


@checked
def muon(
    learning_rate: optax.ScalarOrSchedule = 0.02,
    adam_learning_rate: optax.ScalarOrSchedule = 0.001,
    momentum: float = 0.95,
    weight_decay: float = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""Builds Muon, :math:`w \leftarrow w - \eta \sqrt{\max(1, m / n)}\, U V^T`.

    Use it for hidden layers of nets, whose weights are matrices or kernels. Not for
    embeddings, nor for the first and the last layer: its author leaves them to Adam
    (`optax.partition` with `adam`). Beside its gradient a p x q matrix costs a step of
    the order of p q min(p, q) operations and one number of state for each weight; other
    parameters have two. Try `adam` next, `lamb` for batches of thousands.

    With ``[in, out]`` matrices, as in ``flax.linen.Dense``, use `optax.contrib.muon`:
    the factor is wrong where the axes are exchanged.

    Args:
      learning_rate: :math:`\eta` of matrices and kernels, a number or a schedule.
      adam_learning_rate: rate of Adam on all other parameters, a number or a schedule.
      momentum: b, the memory of the mean gradient.
      weight_decay: :math:`\lambda`, decoupled from the gradient, of matrices and
        kernels only.

    Returns:
      The transformation.

    Raises:
      InputError: a number out of its range, unless it is traced.

    >>> tx, w = muon(learning_rate=0.1), jnp.zeros((2, 3))
    >>> g = jnp.array([[3.0, 0.0, 0.0], [0.0, 9.0, 0.0]])
    >>> updates, state = tx.update(g, tx.init(w), w)
    >>> jnp.abs(updates).max(axis=1) > 0.06  # both rows, whatever their size
    Array([ True,  True], dtype=bool)
    """
    return compose(
        optax.contrib.muon(
            learning_rate,
            beta=momentum,
            weight_decay=weight_decay,
            adam_learning_rate=adam_learning_rate,
            muon_weight_dimension_numbers=dimension_numbers,
        )
    )


def dimension_numbers(params: optax.Params) -> optax.Params:
    """Names the input axes, which are summed over, and output axis of each parameter.

    >>> dimension_numbers({"kernel": jnp.ones((30, 784)), "bias": jnp.ones(30)})
    {'bias': None, 'kernel': MuonDimensionNumbers(reduction_axis=1, output_axis=0)}
    """

    def numbers(x: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        if jnp.ndim(x) < 2:
            return None
        *inputs, output = range(jnp.ndim(x))
        axes = (1, 0) if jnp.ndim(x) == 2 else (tuple(inputs), output)
        return optax.contrib.MuonDimensionNumbers(*axes)

    return jax.tree.map(numbers, params)
