"""What a method says of its last update, in one shape, so that a scan stacks it.

The field is ``loss`` and not ``value`` because optax's line searches look up the
names ``value`` and ``grad`` in the whole chained state and accept one of each.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab.errors import InputError


class Info(NamedTuple):
    """Diagnostics of one update; every field is a scalar array."""

    loss: jax.Array  # f at the parameters that the update was given
    gradient_norm: jax.Array  # |g| there
    step_norm: jax.Array  # length of the step that was tried, accepted or not
    damping: jax.Array  # nu, trust radius or step length that made this step
    gain_ratio: jax.Array  # decrease of f / decrease that the model predicted
    accepted: jax.Array  # bool: the step was taken; otherwise the update is zero
    stalled: jax.Array  # bool: rejected, and nothing smaller is left to try
    evaluations: jax.Array  # int32, so far: one a value (with gradient) or product


def initial(dtype: Any) -> Info:
    """The ``Info`` of a state that has seen no update: NaN, and no evaluation.

    Args:
      dtype: of the floating-point fields.
    """
    unknown = jnp.full((), jnp.nan, dtype)
    return Info(
        loss=unknown,
        gradient_norm=unknown,
        step_norm=unknown,
        damping=unknown,
        gain_ratio=unknown,
        accepted=jnp.zeros((), bool),
        stalled=jnp.zeros((), bool),
        evaluations=jnp.zeros((), jnp.int32),
    )


def find(state: Any) -> list[Info]:
    """Every ``Info`` inside an optimizer's state, however it is chained or masked.

    Args:
      state: any optax state.

    >>> import optax
    >>> find(optax.chain(optax.sgd(0.1)).init(jnp.zeros(2)))
    []
    """
    leaves = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, Info))
    return [leaf for leaf in leaves if isinstance(leaf, Info)]


def refuse_accumulation(state: Any) -> None:
    """Refuse ``optax.MultiSteps`` around a method that evaluates the objective.

    ``MultiSteps`` averages gradients over several batches, but the functions it passes
    on are those of the last batch: the method would judge the step on one and compute
    it from the other. ``solve`` and the training step ask here; a loop of one's own can
    too, for the method cannot see from inside that its gradient is a mean.

    Args:
      state: a fresh optimizer state.

    Raises:
      InputError: a ``MultiStepsState`` holds an ``Info``.
    """
    wrappers = jax.tree.leaves(
        state, is_leaf=lambda node: isinstance(node, optax.MultiStepsState)
    )
    for node in wrappers:
        if isinstance(node, optax.MultiStepsState) and find(node.inner_opt_state):
            raise InputError(
                "optax.MultiSteps averages gradients only, and this optimizer also "
                "evaluates the objective: use a batch that is larger instead"
            )


def refuse_evaluation(state: Any) -> None:
    """Refuse a method that evaluates the objective where only gradients are at hand.

    Under ``jax.pmap`` the objective of a device is that of its share of the batch, and
    a derivative through the mean over devices is wrong.

    Args:
      state: a fresh optimizer state.

    Raises:
      InputError: it holds an ``Info``.
    """
    if find(state):
        raise InputError(
            "this optimizer evaluates the objective itself, and under pmap the step "
            "has no such function: use --parallel=jit"
        )
