"""The loop around an optimizer: until a criterion holds, for one start or many.

    solution = optlab.solve(tx, params, value_fn=f)
    solution = jax.vmap(lambda p: optlab.solve(tx, p, value_fn=f))(starts)

Everything is an array, so it works under ``jit`` and ``vmap``, over starts and over
numbers inside ``tx`` and ``stop``.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
import optax

from optlab.curvature.explicit import gathered, sharded_as
from optlab.errors import InputError
from optlab.optim import info as diagnostics
from optlab.optim.arguments import require_optimizer
from optlab.optim.contract import extra_args
from optlab.optim.dense.lift import require_floating
from optlab.solving import bounds as boxes
from optlab.solving import implicit, objective, stopping
from optlab.solving.stopping import DEFAULT_STOP, Reason, Stop

# Largest number of compiled loops that are kept, by optimizer and functions.
KEPT = 128


class History(NamedTuple):
    """Records of the first updates, each [history]; NaN (False, 0) after the end.

    Attributes:
      value: f before the update.
      gradient_norm: largest absolute entry of the gradient before the update.
      step_norm: Euclidean norm of the change; zero where a step was rejected.
      accepted: bool, whether the step was taken.
      evaluations: int32, number of evaluations so far, before the update.
    """

    value: jax.Array
    gradient_norm: jax.Array
    step_norm: jax.Array
    accepted: jax.Array
    evaluations: jax.Array


class Solution(NamedTuple):
    """Result of a run; its numbers are scalars, under ``vmap`` with the lanes in front.

    With bounds, ``gradient_norm``, ``history`` and ``state`` are of the free variables.

    Attributes:
      params: parameters at the end, a tree like those at the start.
      value: f at ``params``.
      gradient_norm: largest absolute entry of the gradient there, in the units of f
        over those of the parameter.
      steps: int32, number of updates, rejected ones included.
      evaluations: int32, number of evaluations: the loop's, one for each value with
        gradient, and those of the optimizer (``Info.evaluations``).
      reason: reason for the end, int32: a `Reason` that prints its name.
      history: records of the first updates, see `History`.
      state: final state of the optimizer.
      aux: second part of what the function returned at ``params``; None without
        ``has_aux``.
      at_bound: tree like ``params``, int8: -1 at the lower bound, 1 at the upper one, 0
        elsewhere; None for a run without bounds.
    """

    params: Any
    value: jax.Array
    gradient_norm: jax.Array
    steps: jax.Array
    evaluations: jax.Array
    reason: Any
    history: History
    state: Any
    aux: Any = None
    at_bound: Any = None


class _Static(NamedTuple):
    """Static part of a compiled loop's cache key; shapes are the other part."""

    tx: optax.GradientTransformation
    given: objective.Given
    has_aux: bool
    history: int
    with_relative: bool


class _Carry(NamedTuple):
    """State between two updates; ``now.params`` are the free variables."""

    now: Solution
    gradient: Any
    watch: stopping.Watch


def solve(
    tx: optax.GradientTransformation,
    params: Any,
    *,
    args: tuple[Any, ...] = (),
    has_aux: bool = False,
    bounds: boxes.Bounds | None = None,
    stop: Stop = DEFAULT_STOP,
    history: int = 0,
    **functions: Unpack[objective.Functions],
) -> Solution:
    """Minimizes a function from a start with any optax transformation.

    One function is enough, or ``output_fn`` with ``output_loss_fn``; all given ones are
    passed on to ``tx``. Where several are given, their values at the start are compared
    once. Under ``jit`` and ``vmap`` the numbers are not known and nothing is compared:
    then the caller has to make sure that they agree.

    The loop is compiled once for an optimizer, functions and shapes: the same ``tx``
    and functions (the same objects) with other numbers in ``params``, ``args``,
    ``bounds`` or ``stop`` cost no compilation.

    By default a run ends (``GRADIENT``) where the gradient is small beside f: in
    float32 too early for a last digit where f has a large constant in it, or where a
    sum of squares is badly conditioned. ``Stop(gradient=0.0)`` goes on. Where f is what
    is left of larger terms, its gradient is rounding before that: the run ends as
    ``STALLED`` or ``STEP`` at the optimum, and `optlab.uncertainties` tells whether a
    fit is there (``converged``).

    A rejected step fulfils neither the criterion of length nor that of decrease; a
    method that has no smaller step to try reports it (``STALLED``).

    With ``args``, parameters, value and aux are differentiated as functions of these
    and of what the functions close over, by the implicit function theorem, in forward
    and reverse mode: the derivative is that of the minimizer, so the run has to have
    reached it. All parameters count as free: one that ``tx`` leaves as it is belongs in
    ``args``. The start then counts as a constant. Of many minimizers, as with fewer
    residuals than parameters, the derivative is that of the nearest one, which need not
    be the one that ``tx`` finds. Without ``args``, forward mode
    (``jax.jvp``, ``jax.jacfwd``) differentiates through the loop, and reverse mode
    (``jax.grad``) is refused.

    Args:
      tx: the optimizer.
      params: parameters at the start, a tree of floating-point arrays or numbers.
      args: arguments that each function takes after its first one: arrays, numbers or
        trees of them, all traced.
      has_aux: whether ``value_fn``, ``residual_fn`` and ``output_fn`` return a pair;
        its second part at the solution is ``Solution.aux``. Static.
      bounds: lower and upper bounds of some parameters, see `optlab.Bounds`.
      stop: criteria that end the run.
      history: number of updates to record, static.
      **functions: ``value_fn`` (params, *args) -> scalar f; ``residual_fn`` (params,
        *args) -> residuals r of any shape, with f == 0.5 * sum(|r|**2), complex ones as
        real and imaginary parts; ``output_fn`` (params, *args) -> outputs z and
        ``output_loss_fn`` (z, *args) -> scalar f.

    Returns:
      The solution. Where the value or gradient at the start is not finite, or the
      start is outside of traced bounds, it is the start, after zero steps and with
      ``Reason.NON_FINITE``.

    Raises:
      InputError: ``tx`` is no optimizer, ``stop`` no ``Stop`` of numbers, ``history``
        no whole number of 0 or more; no function; functions that disagree at a
        (concrete) start or return no number; ``args`` with something that is no number;
        bounds that cross or exclude the start; parameters that are not floating point;
        ``optax.MultiSteps`` around a method that evaluates the objective; matrices that
        do not fit.
      TypeError: ``tx`` needs a function that was not given.

    >>> solution = solve(optax.sgd(0.5), jnp.zeros(2), value_fn=lambda x: x @ x - x[0])
    >>> solution.params, solution.reason
    (Array([0.5, 0. ], dtype=float32), GRADIENT)
    >>> def root(a):
    ...     return solve(optax.sgd(0.1), 1.0, args=(a,), value_fn=lambda x, a: (
    ...         x**4 / 4 - a * x)).params
    >>> print(f"{jax.grad(root)(8.0):.4f}")  # of a^(1/3)
    0.0833
    """
    _check_arguments(tx, history)
    stopping.check(stop)
    objective.check_args(args)
    # A start such as 1 is a number of Python, as SciPy takes it; arrays say their type.
    params = jax.tree.map(lambda p: float(p) if type(p) is int else p, params)
    require_floating("solve", params, "pass what is not fitted in args")
    given = objective.gather(functions)
    # A Python number has a weak type, which would change inside the loop.
    params = jax.tree.map(lambda p: jnp.asarray(p, jnp.result_type(p)), params)
    sides = None if bounds is None else boxes.resolve(bounds, params)
    with_relative = stopping.uses_relative(stop)
    if sum(function is not None for function in given[:3]) > 1:
        objective.compare(_compiled_values(given, has_aux)(params, args))
    run = _compiled(_Static(tx, given, has_aux, history, with_relative))
    with objective.explained("solve"):
        return run(params, args, sides, stop)


@functools.lru_cache(KEPT)
def _compiled(static: _Static) -> Callable[..., Solution]:
    return jax.jit(functools.partial(_run, static))


@functools.lru_cache(KEPT)
def _compiled_values(given: objective.Given, has_aux: bool) -> Callable:
    @jax.jit
    def values(params, args):
        bound = objective.bind(given, args, has_aux, params)
        return {name: value_of(params) for name, value_of in bound.values.items()}

    return values


def _run(
    static: _Static,
    params: Any,
    args: tuple[Any, ...],
    sides: tuple[Any, Any] | None,
    stop: Stop,
) -> Solution:
    """Runs the loop over free variables, and differentiates its end if asked to."""
    tx, given, has_aux, history, with_relative = static
    implicitly = bool(jax.tree.leaves(args))
    constant = jax.lax.stop_gradient if implicitly else (lambda tree: tree)
    params = constant(params)

    def problem(args, sides):
        """The objective in parameters, and in free variables."""
        bound = objective.bind(given, args, has_aux, params)
        if sides is None:
            return bound, bound, None
        lower, upper = sides
        box = boxes.make_box(lower, upper, params)
        return bound, _in_free(bound, box), box

    held_args, held_sides = constant((args, sides))
    whole, free, box = problem(held_args, held_sides)
    start = params if box is None else box.free(params)
    relative = _relative(whole.residual_fn, box) if with_relative else None
    solution = _loop(tx, start, free, relative, stop, history)
    if implicitly:
        held_fn = free.residual_fn
        _, free, box = problem(args, sides)
        x = _differentiable(free, held_fn, constant(solution.params), (args, sides))
        value, aux = implicit.replace_derivative(
            constant((solution.value, solution.aux)), free.value_and_aux(x)
        )
        solution = solution._replace(params=x, value=value, aux=aux)
    else:
        solution = implicit.forward_only(solution, objective.NO_ARGS)
    if box is not None:
        # Outside of its bounds a start has no free variable, and stays what it is.
        params = jax.tree.map(
            lambda u, inside, start: jnp.where(jnp.isnan(u), start, inside),
            solution.params,
            box.params(solution.params),
            params,
        )
        ends = jax.lax.stop_gradient((box, params))
        at_bound = ends[0].at_bound(ends[1], lambda p: whole.value_and_aux(p)[0])
        solution = solution._replace(params=params, at_bound=at_bound)
    return solution._replace(reason=stopping.Ending(solution.reason))


def _differentiable(
    free: objective.Objective, held_fn: Callable | None, x: Any, of: Any
) -> Any:
    """Gives a minimizer the derivatives of the implicit function theorem.

    Where the residuals have reverse mode only, their gradient may still have forward
    mode; where it has none either, ``x`` refuses to be differentiated.
    """
    x, shapes = gathered(x), jax.tree.map(jax.typeof, x)
    inside = lambda function: lambda x: function(sharded_as(x, shapes))  # noqa: E731
    gradient_fn = jax.grad(inside(lambda x: free.value_and_aux(x)[0]))
    ways: list[Callable[[], Any]] = [lambda: implicit.minimizer(gradient_fn, x)]
    if (fn := free.residual_fn) is not None and held_fn is not None:
        ways.insert(
            0,
            lambda: implicit.least_squares_minimizer(inside(fn), inside(held_fn), x),
        )
    for way in ways:
        try:
            found = way()
        except (NotImplementedError, TypeError) as error:
            if not objective.lacks_forward_mode(error):
                raise
        else:
            if found is not None:
                return sharded_as(found, shapes)
    x = implicit.refusing(x, of, objective.NO_FORWARD_MODE)
    return sharded_as(x, shapes)


def _in_free(bound: objective.Objective, box: boxes.Box) -> objective.Objective:
    """Composes the functions of the parameters with the change of variables."""
    inside = lambda function: lambda u: function(box.params(u))  # noqa: E731
    functions = dict(bound.functions)
    if residual_fn := functions.get("residual_fn"):
        functions["residual_fn"], _ = boxes.curved(
            box, residual_fn, objective.half_squares
        )
    if output_fn := functions.get("output_fn"):
        functions["output_fn"], functions["output_loss_fn"] = boxes.curved(
            box, output_fn, functions["output_loss_fn"]
        )
    return objective.Objective(inside(bound.value_and_aux), functions, values={})


def _relative(residual_fn: Callable | None, box: boxes.Box | None) -> stopping.Relative:
    """Chooses the measure of the relative gradient by the kind of objective."""
    if residual_fn is None:
        return stopping.by_size()
    norms_at = functools.partial(stopping.column_norms, residual_fn)
    if box is None:
        return stopping.by_angle(norms_at)
    # At a bound dp/du is zero: as is the gradient in u, but not its cosine.
    return stopping.by_angle(
        lambda u: jax.tree.map(jnp.multiply, norms_at(box.params(u)), box.length)
    )


def _loop(
    tx: optax.GradientTransformation,
    start: Any,
    bound: objective.Objective,
    relative: stopping.Relative | None,
    stop: Stop,
    history: int,
) -> Solution:
    """Runs the optimizer until a criterion holds."""
    tx = optax.with_extra_args_support(tx)
    state = tx.init(start)
    diagnostics.refuse_accumulation(state)
    value_fn = lambda x: bound.value_and_aux(x)[0]  # noqa: E731
    value_and_grad = jax.value_and_grad(bound.value_and_aux, has_aux=True)
    (value, aux), grad = value_and_grad(start)
    norm = _max_norm(grad)
    absolute, tolerance = stopping.tolerances(stop, value.dtype)
    unknown, zero = jnp.full((history,), jnp.nan, value.dtype), jnp.zeros((), jnp.int32)
    zeros = jnp.zeros((history,), jnp.int32)
    none = History(unknown, unknown, unknown, accepted=zeros > 0, evaluations=zeros)

    def reason_at(value, norm, optimal, steps, *others):
        reason = jnp.int32(Reason.RUNNING)
        for code, holds in (  # the last that holds wins
            (Reason.STEPS, (steps >= stop.steps) & (stop.steps >= 0)),
            *others,
            (Reason.GRADIENT, (norm <= absolute) | optimal),
            (Reason.TARGET, value <= stop.target),
            (Reason.NON_FINITE, ~_finite(value, norm)),
        ):
            reason = jnp.where(holds, jnp.int32(code), reason)
        return reason

    def body(carry):
        now, g, watch = carry
        given = extra_args(
            now.params, now.value, g, value_fn=value_fn, **bound.functions
        )
        updates, state = tx.update(g, now.state, now.params, **given)
        params = optax.apply_updates(now.params, updates)
        change = jax.tree.map(jnp.subtract, params, now.params)
        s, x = optax.tree.norm(change), optax.tree.norm(now.params)
        (value, aux), grad = value_and_grad(params)
        norm = _max_norm(grad)
        accepted, stalled = _outcome(now.state, state, s > 0)

        steps = now.steps + 1
        drop = jnp.abs(now.value - value)
        small_drop = drop <= stop.decrease * jnp.abs(value)
        small_step = s <= stop.step * (x + abs(stop.step))
        # A sum of products, not inner products: those of sharded leaves are refused.
        terms = jax.tree.map(jnp.multiply, g, change)
        promised = jnp.abs(optax.tree.sum(terms)).astype(value.dtype)
        calm = small_drop | small_step
        watch = stopping.follow(watch, value, promised, accepted=accepted, calm=calm)
        optimal = stopping.is_zero(grad) & (tolerance >= 0)
        if relative is not None:
            arguments = params, value, grad, steps, tolerance
            measured, scale = relative.measure(watch.scale, *arguments)
            watch = watch._replace(scale=scale)
            optimal = optimal | (measured <= tolerance)
        patient = accepted & (watch.calm >= stop.patience)
        flat = (watch.flat >= stop.rounding) & (stop.rounding >= 0)
        others = (
            (Reason.ROUNDING, accepted & flat),
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
            reason=reason_at(value, norm, optimal, steps, *others),
            history=jax.tree.map(note, now.history, record) if history else none,
            state=state,
            aux=jax.tree.map(keep, aux, now.aux),
        )
        return _Carry(solution, jax.tree.map(keep, grad, g), watch)

    spent = _evaluations(zero, state)
    optimal = stopping.is_zero(grad) & (tolerance >= 0)
    reason = reason_at(value, norm, optimal, zero)
    first = Solution(start, value, norm, zero, spent, reason, none, state, aux)
    watch = stopping.begin(value, relative.init(start) if relative else ())
    going = lambda carry: carry.now.reason == Reason.RUNNING  # noqa: E731
    return jax.lax.while_loop(going, body, _Carry(first, grad, watch)).now


def _outcome(before: Any, after: Any, moved: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Tells whether an update was a step, and whether no method has one left to try."""
    infos = diagnostics.find(after)
    accepted = _any([i.accepted for i in infos], empty=True) | moved
    # Of several methods, each for a part, one that is done waits for the others, but
    # not for one whose part is empty.
    trying = [
        ~i.stalled & (i.evaluations > earlier.evaluations)
        for i, earlier in zip(infos, diagnostics.find(before), strict=True)
    ]
    stalled = _any([i.stalled for i in infos], empty=False) & ~accepted
    return accepted, stalled & ~_any(trying, empty=False)


def _check_arguments(tx: Any, history: Any) -> None:
    """Refuses arguments of the wrong kind."""
    require_optimizer("solve", tx)
    if not isinstance(history, int | np.integer) or history < 0:
        raise InputError(
            f"solve: history={history!r} must be a whole number, 0 or more: the "
            "number of updates to record"
        )


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
