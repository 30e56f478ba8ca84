"""The loop around an optimizer: until a criterion holds, for one start or many.

    solution = optlab.solve(tx, params, value_fn=f)
    solution = jax.vmap(lambda p: optlab.solve(tx, p, value_fn=f))(starts)

Everything is an array, so it works under ``jit`` and ``vmap``, over starts and over
numbers inside ``tx`` and ``stop``.
"""

import enum
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from optlab.errors import InputError
from optlab.optim import info as diagnostics
from optlab.optim.contract import extra_args
from optlab.optim.dense.lift import half_square, require_floating


class Reason(enum.IntEnum):
    """Reasons for the end of a run; a solution holds the number of one."""

    RUNNING = 0  # only inside the loop
    GRADIENT = 1  # largest |gradient entry| <= stop.gradient
    STEP = 2  # accepted steps with |s| <= stop.step * (|x| + stop.step)
    DECREASE = 3  # accepted steps with |f - f+| <= stop.decrease * |f|
    TARGET = 4  # f <= stop.target
    STEPS = 5  # stop.steps updates were made
    STALLED = 6  # the optimizer rejected its step and has nothing smaller to try
    NON_FINITE = 7  # f or its gradient is not finite; params are the last good ones


class Stop(NamedTuple):
    """Criteria that end a run: numbers or tracers; a negative tolerance disables one.

    ``patience`` is the number of accepted steps in a row that must be within ``step``
    or ``decrease``: a quasi-Newton method makes single poor steps before the end.
    """

    gradient: Any = 1e-6
    step: Any = 0.0
    decrease: Any = -1.0
    target: Any = -jnp.inf
    steps: Any = 1000
    patience: Any = 1


DEFAULT_STOP = Stop()


class History(NamedTuple):
    """Records of the first updates; NaN (False, 0) after the end; shapes [history]."""

    value: jax.Array  # before the update
    gradient_norm: jax.Array  # largest absolute entry, before the update
    step_norm: jax.Array  # norm of the change: zero where a step was rejected
    accepted: jax.Array  # bool
    evaluations: jax.Array  # int32: number so far, before the update


class Solution(NamedTuple):
    """Result of a run."""

    params: Any
    value: jax.Array  # scalar
    gradient_norm: jax.Array  # largest absolute entry
    steps: jax.Array  # int32: updates made, rejected ones too
    evaluations: jax.Array  # int32: one each value_and_grad, and the optimizer's
    reason: jax.Array  # int32: a Reason
    history: History
    state: Any  # final state of the optimizer


def solve(
    tx: optax.GradientTransformation,
    params: Any,
    *,
    value_fn: Callable | None = None,
    residual_fn: Callable | None = None,
    output_fn: Callable | None = None,
    output_loss_fn: Callable | None = None,
    stop: Stop = DEFAULT_STOP,
    history: int = 0,
) -> Solution:
    """Minimizes a function from a start with any optax transformation.

    One function is enough, or ``output_fn`` with ``output_loss_fn``; all given ones are
    passed on to ``tx``. Where several are given, their values at the start are compared
    once. Under ``jit`` and ``vmap`` the numbers are not known and nothing is compared:
    then the caller has to make sure that they agree.

    A rejected step fulfils neither the criterion of length nor that of decrease; a
    method that has no smaller step to try reports it (``STALLED``).

    Forward mode (``jax.jvp``, ``jax.jacfwd``) differentiates through the loop; reverse
    mode (``jax.grad``) cannot, as through any ``lax.while_loop``.

    Args:
      tx: the optimizer.
      params: parameters at the start, a tree of floating-point arrays.
      value_fn: params -> scalar f.
      residual_fn: params -> residuals r of any shape, with f == 0.5 * sum(r**2).
      output_fn: params -> outputs z.
      output_loss_fn: z -> scalar f.
      stop: criteria that end the run.
      history: number of updates to record, static.

    Returns:
      The solution. Where the value or gradient at the start is not finite, it is the
      start, after zero steps and with ``Reason.NON_FINITE``.

    Raises:
      InputError: ``tx`` is no optimizer, ``stop`` no ``Stop`` of numbers, ``history``
        no whole number of 0 or more; no function; functions that disagree at a
        (concrete) start; parameters that are not floating point; ``optax.MultiSteps``
        around a method that evaluates the objective; matrices that do not fit.
      TypeError: ``tx`` needs a function that was not given.

    >>> solution = solve(optax.sgd(0.5), jnp.zeros(2), value_fn=lambda x: x @ x - x[0])
    >>> solution.params, Reason(int(solution.reason)).name
    (Array([0.5, 0. ], dtype=float32), 'GRADIENT')
    """
    _check_arguments(tx, stop, history)
    require_floating("solve", params, "use this one inside the functions only")
    functions = {
        "residual_fn": residual_fn,
        "output_fn": output_fn,
        "output_loss_fn": output_loss_fn,
    }
    objective = _objective(params, value_fn, **functions)
    # A Python number has a weak type, which would change inside the loop.
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.result_type(p)), params)
    tx = optax.with_extra_args_support(tx)
    state = tx.init(params)
    diagnostics.refuse_accumulation(state)
    value_and_grad = jax.value_and_grad(objective)
    value, grad = value_and_grad(params)
    norm = _max_norm(grad)
    unknown, zero = jnp.full((history,), jnp.nan, value.dtype), jnp.zeros((), jnp.int32)
    zeros = jnp.zeros((history,), jnp.int32)
    none = History(unknown, unknown, unknown, accepted=zeros > 0, evaluations=zeros)

    def reason_at(value, norm, steps, *others):
        reason = jnp.int32(Reason.RUNNING)
        for code, holds in (  # the last that holds wins
            (Reason.STEPS, steps >= stop.steps),
            *others,
            (Reason.GRADIENT, norm <= stop.gradient),
            (Reason.TARGET, value <= stop.target),
            (Reason.NON_FINITE, ~_finite(value, norm)),
        ):
            reason = jnp.where(holds, jnp.int32(code), reason)
        return reason

    def body(carry):
        now, g, calm = carry
        given = extra_args(now.params, now.value, g, value_fn=objective, **functions)
        updates, state = tx.update(g, now.state, now.params, **given)
        params = optax.apply_updates(now.params, updates)
        change = jax.tree.map(jnp.subtract, params, now.params)
        s, x = optax.tree.norm(change), optax.tree.norm(now.params)
        value, grad = value_and_grad(params)
        norm = _max_norm(grad)
        infos = diagnostics.find(state)
        accepted = _any([i.accepted for i in infos], empty=True) | (s > 0)
        stalled = _any([i.stalled for i in infos], empty=False) & ~accepted

        steps = now.steps + 1
        drop = jnp.abs(now.value - value)
        small_drop = drop <= stop.decrease * jnp.abs(value)
        small_step = s <= stop.step * (x + abs(stop.step))
        calm_now = jnp.where(small_drop | small_step, calm + 1, 0)
        calm = jnp.where(accepted, calm_now, calm)
        patient = accepted & (calm >= stop.patience)
        others = (
            (Reason.STALLED, stalled),
            (Reason.DECREASE, patient & small_drop),
            (Reason.STEP, patient & small_step),
        )

        finite = _finite(value, norm)
        keep = lambda new, old: jnp.where(finite, new, old)  # noqa: E731
        note = lambda all, one: all.at[now.steps].set(one.astype(all.dtype))  # noqa: E731
        record = History(now.value, now.gradient_norm, s, accepted, now.evaluations)
        solution = Solution(
            params=jax.tree.map(keep, params, now.params),
            value=keep(value, now.value),
            gradient_norm=keep(norm, now.gradient_norm),
            steps=steps,
            evaluations=_evaluations(steps, state),
            reason=reason_at(value, norm, steps, *others),
            history=jax.tree.map(note, now.history, record) if history else none,
            state=state,
        )
        return solution, jax.tree.map(keep, grad, g), calm

    spent, reason = _evaluations(zero, state), reason_at(value, norm, zero)
    start = Solution(params, value, norm, zero, spent, reason, none, state)
    going = lambda carry: carry[0].reason == Reason.RUNNING  # noqa: E731
    return jax.lax.while_loop(going, body, (start, grad, zero))[0]


def _check_arguments(tx: Any, stop: Any, history: Any) -> None:
    """Refuses arguments of the wrong kind; numbers in ``stop`` may be traced."""
    if isinstance(tx, str):
        raise InputError(f"solve: tx is a name: make it, optlab.optim.make({tx!r})")
    if not (hasattr(tx, "init") and hasattr(tx, "update")):
        if callable(tx):
            name = getattr(tx, "__name__", "tx")
            raise InputError(f"solve: tx is a function: call it, {name}()")
        raise InputError(f"solve: tx={tx!r} is no optimizer; give one: optlab.bfgs()")
    if not isinstance(stop, Stop):
        raise InputError(f"solve: stop={stop!r} is no Stop; give one: Stop(steps=100)")
    for name, value in stop._asdict().items():
        numeric = isinstance(value, int | float | np.number | np.ndarray | jax.Array)
        if not numeric or jnp.ndim(value):
            raise InputError(f"solve: stop.{name} must be a number, not {value!r}")
    if not isinstance(history, int | np.integer) or history < 0:
        raise InputError(
            f"solve: history={history!r} must be a whole number, 0 or more: the "
            "number of updates to record"
        )


def _objective(
    params: Any, value_fn, residual_fn, output_fn, output_loss_fn
) -> Callable:
    """Chooses the first given function as objective; checks it against the others."""
    if (output_fn is None) != (output_loss_fn is None):
        raise InputError("solve: output_fn and output_loss_fn belong together")
    of_residuals = lambda p: half_square(ravel_pytree(residual_fn(p))[0])  # noqa: E731
    ways = (
        ("value_fn", value_fn, value_fn),
        ("residual_fn", residual_fn, of_residuals),
        ("output_fn", output_fn, lambda p: output_loss_fn(output_fn(p))),
    )
    given = [(name, way) for name, function, way in ways if function is not None]
    if not given:
        raise InputError(
            "solve: pass value_fn, residual_fn, or output_fn and output_loss_fn"
        )
    (first, objective), *others = given
    for name, way in others:
        try:
            f, g = float(objective(params)), float(way(params))
        except jax.errors.ConcretizationTypeError:  # traced: no number is known
            continue
        if not np.isclose(f, g, rtol=1e-3, equal_nan=True):
            raise InputError(
                f"solve: {first} gives {f:.6g} at the start, but {name} gives {g:.6g}; "
                "they must agree, and the value of residuals is 0.5 * sum(residuals**2)"
            )
    return objective


def _evaluations(steps: Any, state: Any) -> Any:
    """Counts one for each value with gradient, and those of the optimizer."""
    return sum((i.evaluations for i in diagnostics.find(state)), steps + 1)


def _max_norm(tree):
    # The norm of nothing is 0; optax has it at -inf.
    return jnp.maximum(optax.tree.norm(tree, ord=jnp.inf), 0.0)


def _finite(*scalars):
    return jnp.all(jnp.isfinite(jnp.stack(scalars)))


def _any(flags, empty):
    return jnp.any(jnp.stack(flags)) if flags else jnp.asarray(empty)
