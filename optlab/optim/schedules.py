"""Learning-rate schedules by name, for any optimizer.

A schedule by name is a transformation that multiplies the updates, chained after the
optimizer::

    tx = schedules.chained(optim.make("adam", learning_rate=0.1),
                           schedules.make("cosine", decay_steps=1000))

So one line serves every optimizer, including one that takes no schedule, and serves
schedules of the step count and the performance schedule (`plateau`, which sees the
loss) alike. Where an optimizer ends in its learning rate, as all built-in ones of first
order do, this equals a scheduled learning rate. `chained` refuses a method that
remembers the step it proposed: that step would not be the step taken.

The five functions of the step count, `constant` to `cosine`, are optax schedules too:
``adam(cosine(0.1, decay_steps=1000))``. They replace optax's, which test their numbers
with a Python ``if``; here decay rates and lengths may be traced and swept.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import optlab.names
from optlab import ranges
from optlab.errors import InputError
from optlab.optim.info import refuse_schedule


def make(name: str, /, **options: Any) -> optax.GradientTransformationExtraArgs:
    r"""Builds a schedule, as a factor :math:`\eta(i) / \eta_0` on the updates.

    Args:
      name: ``constant``, ``power``, ``piecewise_constant``, ``exponential``, ``cosine``
        or ``plateau``; or the dotted path of a custom function that returns a schedule
        or a transformation.
      **options: arguments of the function of that name. The ``learning_rate`` of a
        built-in one is 1 unless given, so that :math:`\eta_0` is the optimizer's own.

    Returns:
      The transformation, to be chained after an optimizer by `chained`.

    Raises:
      InputError: the name or an option is unknown, missing or out of range.

    >>> tx = optax.chain(optax.sgd(1.0), make("power", decay_steps=1))
    >>> state = tx.init(jnp.array(0.0))
    >>> for _ in range(3):
    ...     updates, state = tx.update(jnp.array(6.0), state)
    >>> print(updates)
    -2.0
    """
    factory = optlab.names.find("schedule", name, SCHEDULES)
    if name in SCHEDULES:
        ranges.check(name, RANGES, options)
    schedule = optlab.names.call(name, factory, options)
    if isinstance(schedule, optax.GradientTransformation):
        return optax.with_extra_args_support(schedule)
    if not hasattr(schedule, "__call__"):  # noqa: B004  (callable() loses the type)
        raise InputError(
            f"{name} returned a {type(schedule).__name__}, not a schedule: return a "
            "function of the step count, or an optax.GradientTransformation"
        )
    return optax.with_extra_args_support(optax.scale_by_schedule(schedule))


def chained(
    tx: optax.GradientTransformation, schedule: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """Chains a schedule after an optimizer.

    Args:
      tx: the optimizer.
      schedule: factor on its updates, from `make`.

    Returns:
      The chain.

    Raises:
      InputError: from ``init``, where the optimizer remembers the step it proposed
        (bold driver, trust regions, line searches, schedule-free methods).

    >>> from optlab.optim import bold_driver
    >>> chained(bold_driver(), make("power", decay_steps=9)).init(jnp.zeros(2))
    Traceback (most recent call last):
    ...
    optlab.errors.InputError: this optimizer chooses the length of its own step, which
    a schedule after it would change: leave the schedule out
    """
    chain = optax.chain(tx, schedule)

    def init(params):
        state = chain.init(params)
        refuse_schedule(state)
        return state

    return optax.GradientTransformationExtraArgs(init, chain.update)


def constant(learning_rate: float = 1.0) -> optax.Schedule:
    r"""Keeps the rate: :math:`\eta(i) = \eta_0`.

    Args:
      learning_rate: :math:`\eta_0`.

    Returns:
      A function of the step count i = 0, 1, ...

    >>> constant(0.1)(1000)
    0.1
    """
    return lambda count: learning_rate


def power(
    learning_rate: float = 1.0, *, decay_steps: float, exponent: float = 1.0
) -> optax.Schedule:
    r"""Decays by a power: :math:`\eta(i) = \eta_0 / (1 + i / c_1)^{c_2}`.

    Args:
      learning_rate: :math:`\eta_0`.
      decay_steps: :math:`c_1`, the number of steps after which exponent 1 has halved
        the rate.
      exponent: :math:`c_2`.

    Returns:
      A function of the step count i = 0, 1, ...

    >>> schedule = power(0.6, decay_steps=10)
    >>> [round(schedule(i), 4) for i in (0, 10, 20)]
    [0.6, 0.3, 0.2]
    """
    _check(decay_steps=decay_steps)
    return lambda count: learning_rate / (1 + count / decay_steps) ** exponent


def piecewise_constant(
    learning_rate: float = 1.0, *, boundaries: Sequence[int], factors: Sequence[float]
) -> optax.Schedule:
    r"""Steps down: :math:`\eta(i) = \eta_0 f_k` from step :math:`b_k` on.

    Unlike optax's, the factors are not multiplied up: each is relative to
    :math:`\eta_0`, the rate before the first boundary. Two sequences are plain data,
    which a config can hold.

    Args:
      learning_rate: :math:`\eta_0`.
      boundaries: steps :math:`b_1 < b_2 < ...` at which the rate changes.
      factors: :math:`f_1, f_2, ...`, one per boundary.

    Returns:
      A function of the step count i = 0, 1, ...

    >>> schedule = piecewise_constant(0.5, boundaries=(10, 20), factors=(0.1, 0.01))
    >>> print(*(f"{schedule(i):.3f}" for i in (9, 10, 20)))
    0.500 0.050 0.005
    """
    _check(boundaries=boundaries, factors=factors)
    if len(boundaries) != len(factors) or list(boundaries) != sorted(set(boundaries)):
        raise InputError(
            "piecewise_constant needs rising boundaries and one factor for each, got "
            f"boundaries={tuple(boundaries)}, factors={tuple(factors)}"
        )
    steps, values = jnp.asarray(boundaries), jnp.stack([1.0, *factors])
    return lambda count: learning_rate * values[jnp.sum(count >= steps)]


def exponential(
    learning_rate: float = 1.0, *, decay_steps: float, decay_rate: float = 0.1
) -> optax.Schedule:
    r"""Decays exponentially: :math:`\eta(i) = \eta_0 \, r^{i / s}`.

    Args:
      learning_rate: :math:`\eta_0`.
      decay_steps: s, the number of steps after which the rate is r times as large.
      decay_rate: r.

    Returns:
      A function of the step count i = 0, 1, ...

    >>> schedule = exponential(0.5, decay_steps=10)
    >>> [round(schedule(i), 4) for i in (0, 10, 20)]
    [0.5, 0.05, 0.005]
    """
    _check(decay_steps=decay_steps, decay_rate=decay_rate)
    return lambda count: learning_rate * decay_rate ** (count / decay_steps)


def cosine(
    learning_rate: float = 1.0, *, decay_steps: float, final: float = 0.0
) -> optax.Schedule:
    r"""Follows half a cosine from :math:`\eta_0` down to :math:`a \eta_0`, then level.

    :math:`\eta(i) = \eta_0 (a + (1 - a) (1 + \cos \pi \min(i / T, 1)) / 2)`;
    Loshchilov and Hutter 2017, "SGDR", equation 5, without restarts.

    Args:
      learning_rate: :math:`\eta_0`.
      decay_steps: T.
      final: a, the share of :math:`\eta_0` that remains.

    Returns:
      A function of the step count i = 0, 1, ...

    >>> schedule = cosine(0.8, decay_steps=10)
    >>> print(*(f"{schedule(i):.2f}" for i in (0, 5, 10, 11)))
    0.80 0.40 0.00 0.00
    """
    _check(decay_steps=decay_steps)

    def schedule(count):
        half = (1 + jnp.cos(jnp.pi * jnp.minimum(count / decay_steps, 1.0))) / 2
        return learning_rate * (final + (1 - final) * half)

    return schedule


class PlateauState(NamedTuple):
    """State of `plateau`."""

    scale: jax.Array  # () current factor
    best: jax.Array  # () the lowest mean of a window so far
    total: jax.Array  # () sum of the values in this window
    count: jax.Array  # () int32, values in this window
    stale: jax.Array  # () int32, windows since the best

    # No field may be called `value` or `grad`: optax looks these up in a whole state.


def plateau(
    learning_rate: float = 1.0,
    *,
    factor: float = 0.5,
    patience: int = 10,
    window: int = 1,
    rtol: float = 1e-4,
    min_scale: float = 0.0,
) -> optax.GradientTransformationExtraArgs:
    r"""Lowers the rate when the loss no longer falls (performance scheduling).

    The mean loss of each window of steps is compared with the best so far; after
    ``patience`` windows in a row without an improvement by ``rtol`` the rate is
    multiplied by ``factor``. optax.contrib's ``reduce_on_plateau`` is the same rule,
    but tests ``factor`` and ``rtol`` with a Python ``if``, so they cannot be swept.

    Args:
      learning_rate: :math:`\eta_0`.
      factor: multiplier of the rate, in (0, 1).
      patience: number of windows without an improvement before the rate falls.
      window: number of steps whose losses are averaged; for losses of batches, the
        number of steps in an epoch.
      rtol: smallest relative decrease that is an improvement.
      min_scale: lower bound of the product of all factors.

    Returns:
      The transformation; ``update`` needs ``value``, the loss at this step.

    >>> tx = plateau(patience=2)
    >>> state = tx.init(jnp.array(0.0))
    >>> for loss in (3.0, 2.0, 2.0, 2.0, 1.0):
    ...     updates, state = tx.update(jnp.array(8.0), state, value=loss)
    ...     print(updates, end=" ")
    8.0 8.0 8.0 4.0 4.0
    """
    _check(factor=factor, patience=patience, window=window)

    def init(params):
        del params
        one, none = jnp.ones((), jnp.result_type(float)), jnp.zeros((), jnp.int32)
        return PlateauState(one, one * jnp.inf, total=0 * one, count=none, stale=none)

    def update(updates, state, params=None, *, value=None, **extra_args):
        del params, extra_args
        if value is None:
            raise TypeError("plateau needs value=, the loss at this step, in update")
        total = state.total + jnp.asarray(value, state.total.dtype)
        mean = total / window
        better = state.best - mean > rtol * jnp.abs(mean)  # False where mean is NaN
        stale = jnp.where(better, 0, state.stale + 1)
        worn = stale >= patience
        lower = jnp.maximum(state.scale * factor, min_scale)
        judged = PlateauState(
            scale=jnp.where(worn, lower, state.scale),
            best=jnp.where(better, mean, state.best),
            total=jnp.zeros_like(total),
            count=jnp.zeros_like(state.count),
            stale=jnp.where(worn, 0, stale),
        )
        full = state.count + 1 >= window
        waiting = state._replace(total=total, count=state.count + 1)
        state = jax.tree.map(
            lambda a, b: jnp.where(full, a, b).astype(b.dtype), judged, waiting
        )
        rate = learning_rate * state.scale
        return jax.tree.map(lambda u: jnp.asarray(rate, u.dtype) * u, updates), state

    return optax.GradientTransformationExtraArgs(init, update)


SCHEDULES: dict[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (constant, power, piecewise_constant, exponential, cosine, plateau)
}


#: Type and range of every argument of ``SCHEDULES``, by its name.
RANGES = {
    "learning_rate": ranges.NOT_NEGATIVE,
    **dict.fromkeys(
        ("decay_steps", "decay_rate", "patience", "window"), ranges.POSITIVE
    ),
    **dict.fromkeys(("final", "rtol", "min_scale"), ranges.NOT_NEGATIVE),
    "exponent": ranges.FINITE,
    "factor": ranges.BETWEEN,
    "boundaries": ranges.STEPS,
    "factors": ranges.FACTORS,
}


def _check(**arguments: Any) -> None:
    ranges.check("schedule", RANGES, arguments)
