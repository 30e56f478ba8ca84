"""Pruning while training: an optax wrapper that holds masks and enforces them.

    tx = pruned(optlab.adam(1e-3), sparsity=0.95, begin=0, end=3000, every=100)

Gradients of weights that are left out are zero, and so are these weights after every
step, whatever the optimizer adds to them by momentum or decay: their update is -w, and
w + (-w) is zero exactly. The share that is left out follows

    s(t) = s (1 - (1 - (t - begin) / (end - begin))^3)

(M. Zhu, S. Gupta, "To prune, or not to prune: exploring the efficacy of pruning for
model compression", 2017, equation 1, from 0). Masks change every ``every`` steps until
``end``; with ``begin == end`` they change once (one shot), and with a long ``every``
the steps between are a retraining (iterative). Weights are ranked in these steps only,
in lanes too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax.core import Tracer

from optlab.compress.events import sometimes
from optlab.compress.masks import all_kept, check_sparsity, global_magnitude
from optlab.errors import InputError
from optlab.optim import info

#: Function (params, sparsity, masks) -> masks within these.
Criterion = Callable[[Any, Any, Any], Any]


class PrunedState(NamedTuple):
    """State of `pruned`."""

    step: jax.Array  # [], int32: updates made
    masks: Any  # tree of boolean arrays of the parameters' shapes; False is pruned
    inner: Any  # state of the optimizer inside


def cubic_sparsity(step: Any, sparsity: Any, begin: Any, end: Any) -> jax.Array:
    """Computes the share of weights left out at a step of gradual pruning.

    Args:
      step: number of steps taken.
      sparsity: share in the end.
      begin: step of the first pruning.
      end: step of the last pruning.

    Returns:
      ``sparsity * (1 - (1 - (step - begin) / (end - begin))^3)``, held at its ends.

    >>> [round(float(cubic_sparsity(t, 0.8, 0, 10)), 3) for t in (0, 5, 10, 99)]
    [0.0, 0.7, 0.8, 0.8]
    """
    length = jnp.maximum(jnp.asarray(end) - begin, 0)
    passed = (jnp.asarray(step) - begin) / jnp.maximum(length, 1)
    passed = jnp.where(length > 0, passed, (jnp.asarray(step) >= begin) * 1.0)
    return sparsity * (1 - (1 - jnp.clip(passed, 0.0, 1.0)) ** 3)


def pruned(
    inner: optax.GradientTransformation,
    sparsity: Any,
    *,
    begin: Any = 0,
    end: Any = 0,
    every: Any = 100,
    criterion: Criterion = global_magnitude,
    masks: Any = None,
) -> optax.GradientTransformationExtraArgs:
    """Wraps an optimizer so that it prunes, and keeps what is pruned at zero.

    It must be the outermost transformation: one chained after it would change the
    updates that make zeros.

    Args:
      inner: any optimizer that does not evaluate the objective itself.
      sparsity: share of the kernels' weights left out in the end, in [0, 1); 0 keeps
        the masks that are given. May be a tracer, like the three numbers below.
      begin: step of the first pruning; 0 prunes before the first update.
      end: step of the last pruning, at least ``begin``.
      every: number of steps between two changes of the masks.
      criterion: function (params, sparsity, masks) -> masks, such as
        `optlab.compress.layer_magnitude`.
      masks: masks to begin with; all kept by default.

    Returns:
      The transformation; its state is a `PrunedState`. ``update`` needs ``params``.

    Raises:
      InputError: a number is out of its range; or, from ``init``, there is nothing to
        prune, or the optimizer evaluates the objective or remembers its last step.

    >>> tx = pruned(optax.sgd(0.1), sparsity=0.5)
    >>> w = {"kernel": jnp.array([[0.2, -2.0]])}
    >>> updates, state = tx.update(w, tx.init(w), w)
    >>> optax.apply_updates(w, updates)["kernel"].tolist()
    [[0.0, -1.79...]]
    """
    check_sparsity(sparsity)
    numbers = begin, end, every
    if not any(isinstance(number, Tracer) for number in numbers):
        if not 0 <= begin <= end:
            raise InputError(f"begin={begin}, end={end}: give steps 0 <= begin <= end")
        if every < 1:
            raise InputError(f"every={every}: give one step or more")
    inner = optax.with_extra_args_support(inner)
    first = masks

    def init(params):
        state = inner.init(params)
        _refuse(state)
        # An array of their own: a donated state must not hold the caller's masks.
        kept = all_kept(params) if first is None else jax.tree.map(jnp.array, first)
        return PrunedState(jnp.zeros((), jnp.int32), kept, state)

    def update(updates, state, params=None, **extra_args):
        if params is None:
            raise ValueError("pruned: update needs params")
        t = state.step
        on_the_way = ((t - begin) % every == 0) & (t < end)
        due = (t >= begin) & (on_the_way | (t == end))
        share = cubic_sparsity(t, sparsity, begin, end)
        kept = sometimes(
            due,
            lambda old, params, share: criterion(params, share, old),
            state.masks,
            params,
            share,
        )
        gradient = jax.tree.map(lambda m, g: jnp.where(m, g, 0), kept, updates)
        steps, new = inner.update(gradient, state.inner, params, **extra_args)
        # Not in the updates' type: w + (-w) is zero only where -w is not rounded.
        steps = jax.tree.map(lambda m, u, w: jnp.where(m, u, -w), kept, steps, params)
        return steps, PrunedState(t + 1, kept, new)

    return optax.GradientTransformationExtraArgs(init, update)


def masks_of(state: Any) -> Any:
    """Finds the masks in an optimizer's state.

    Args:
      state: state of `pruned`, wherever it is.

    Returns:
      Tree of boolean arrays.

    Raises:
      InputError: there is no such state.
    """
    found = info.find(state, PrunedState)
    if not found:
        raise InputError(
            "this optimizer's state holds no masks: wrap it in pruned(...)"
        )
    return found[0].masks


def _refuse(state: Any) -> None:
    evaluating = info.Info, optax.contrib.HutchinsonState, optax.contrib.SophiaState
    searching = (
        optax.ScaleByBacktrackingLinesearchState,
        optax.ScaleByZoomLinesearchState,
    )
    if info.find(state, *evaluating, *searching):
        raise InputError(
            "this optimizer evaluates the objective, where pruned weights would not be "
            "zero: prune with one that takes gradients only, such as adam"
        )
    if info.find(state, optax.contrib.ScheduleFreeState, optax.contrib.MechanicState):
        raise InputError(
            "this optimizer keeps a second copy of the weights, where pruned ones "
            "would not be zero: prune with its plain form, such as adam"
        )
