"""Diagnostics of a method's last update, in a fixed shape, so that a scan stacks them.

The field is ``loss`` and not ``value`` because optax's line searches look up the
names ``value`` and ``grad`` in the whole chained state and accept one of each.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from optlab.errors import InputError


class Info(NamedTuple):
    """Diagnostics of one update; every field is a scalar array.

    Attributes:
      loss: f at the parameters that the update was given.
      gradient_norm: |g| there, in the units of f over those of the parameters.
      step_norm: length of the step that was tried, accepted or not, in the units of the
        parameters.
      damping: nu, trust radius, rate or step length that made this step.
      gain_ratio: decrease of f, over the decrease that the model predicted.
      accepted: bool, whether the step was taken; otherwise the update is zero.
      stalled: bool, whether it was rejected and nothing smaller is left to try.
      evaluations: int32, number of evaluations so far: one for each value, with or
        without its gradient, or product.
    """

    loss: jax.Array
    gradient_norm: jax.Array
    step_norm: jax.Array
    damping: jax.Array
    gain_ratio: jax.Array
    accepted: jax.Array
    stalled: jax.Array
    evaluations: jax.Array


def initial(dtype: Any) -> Info:
    """Makes the ``Info`` of a state before its first update: NaN, and no evaluation.

    Args:
      dtype: type of the floating-point fields.

    Returns:
      The diagnostics.
    """
    unknown, no = jnp.full((), jnp.nan, dtype), jnp.zeros((), bool)
    floats = [unknown] * 5
    return Info(*floats, accepted=no, stalled=no, evaluations=jnp.zeros((), jnp.int32))


def find(state: Any, *kinds: type) -> list[Any]:
    """Finds states of some kinds inside an optimizer's state.

    Args:
      state: any optax state, however it is chained, masked or partitioned.
      *kinds: NamedTuple classes; ``Info`` where none is given.

    Returns:
      Every instance of a kind that is not inside another one.

    >>> import optax
    >>> state = optax.chain(optax.trace(0.9), optax.scale(0.1)).init(jnp.zeros(2))
    >>> len(find(state, optax.TraceState))
    1
    """
    kinds = kinds or (Info,)
    leaves = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, kinds))
    return [leaf for leaf in leaves if isinstance(leaf, kinds)]


def refuse_accumulation(state: Any) -> None:
    """Refuses ``optax.MultiSteps`` around a method that evaluates the objective.

    ``MultiSteps`` averages gradients over several batches, but passes on the functions
    of the last one. A method cannot see this from inside: `optlab.solve` and the
    training step call this on a fresh state, and a custom loop can, too.

    Raises:
      InputError: a ``MultiStepsState`` holds an ``Info``.
    """
    if any(find(node.inner_opt_state) for node in find(state, optax.MultiStepsState)):
        raise InputError(
            "optax.MultiSteps averages gradients only, and this optimizer also "
            "evaluates the objective: use a batch that is larger instead"
        )


def refuse_evaluation(state: Any) -> None:
    """Refuses a method that evaluates the objective where only gradients are at hand.

    Under ``jax.pmap`` the objective of a device is that of its share of the batch, and
    a derivative through the mean over devices is wrong.

    Raises:
      InputError: a fresh state holds an ``Info`` or an estimate of the Hessian.
    """
    if find(state, Info, optax.contrib.HutchinsonState):
        raise InputError(
            "this optimizer evaluates the objective itself, and under pmap the step "
            "has no such function: use parallel='jit'"
        )


def refuse_schedule(state: Any) -> None:
    """Refuses a factor after a method that remembers the step it proposed.

    Such a method draws conclusions from the whole step: a trust radius or rate from the
    value at its end, schedule-free methods from the iterate that it leads to. A scaled
    step makes them wrong without an error.

    Raises:
      InputError: a fresh state holds an ``Info``, a line search of optax, or the state
        of a schedule-free or mechanized optimizer.
    """
    remembering = (
        Info,
        optax.ScaleByBacktrackingLinesearchState,
        optax.ScaleByZoomLinesearchState,
        optax.contrib.MechanicState,
        optax.contrib.ScheduleFreeState,
    )
    if find(state, *remembering):
        raise InputError(
            "this optimizer chooses the length of its own step, which a schedule after "
            "it would change: leave the schedule out"
        )
