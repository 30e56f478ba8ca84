"""Order of convergence of each method on problems with a known minimum.

One run a method and problem gives every x_k: a transformation around the method records
them. An error is |x_k - x*|, where x* is the minimizer nearest to the run's end.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from optlab.errors import InputError, near
from optlab.results.rates import Convergence, convergence
from optlab.solving import Reason, Stop, solve
from optlab.testproblems.problem import Problem, least_squares
from optlab.testproblems.unconstrained import PROBLEMS

#: Name to optimizer.
Methods = Mapping[str, optax.GradientTransformationExtraArgs]

#: Above this condition, scaled to a diagonal of ones, a Hessian counts as singular.
SINGULAR = 1e12
# Newton steps from a run's end to its minimizer.
_POLISHING = 20
_EPS = float(np.finfo(float).eps)


class Minimizer(NamedTuple):
    """A point where the gradient is zero, and the curvature there."""

    x: np.ndarray  # [n]
    value: float
    eigenvalues: np.ndarray  # [n], of the Hessian, ascending
    condition: float  # of the Hessian scaled to a diagonal of ones; inf: singular


class Run(NamedTuple):
    """One method on one problem."""

    problem: str
    method: str
    errors: np.ndarray  # [accepted steps + 1], |x_k - x*|
    steps: int  # updates, rejected ones too
    evaluations: int
    reason: str
    minimizer: Minimizer
    found: Convergence


class _Recorded(NamedTuple):
    inner: Any  # state of the method
    path: jax.Array  # x before each update [length, n]
    count: jax.Array  # int32


def problems(
    names: Sequence[str], conditions: Sequence[float], n: int
) -> list[Problem]:
    """Lists quadratics, then test functions.

    Args:
      names: names of test functions, keys of
        ``optlab.testproblems.unconstrained.PROBLEMS``.
      conditions: condition numbers, of one quadratic each.
      n: number of parameters of each quadratic.

    Returns:
      The problems.

    Raises:
      InputError: a name is unknown, or a condition below 1.
    """
    for name in names:
        if name not in PROBLEMS:
            raise InputError(f"no test problem {name!r}; {near(name, PROBLEMS)}")
    quadratics = [quadratic(condition, n) for condition in conditions]
    return [*quadratics, *(PROBLEMS[name] for name in names)]


def quadratic(condition: float, n: int) -> Problem:
    """Makes 0.5 x.H x with eigenvalues from 1 up, evenly spread on a log axis.

    The eigenvectors are a reflection, H = Q diag(lambda) Q with Q = I - 2 u u', so that
    a method that scales coordinates has no advantage.

    Args:
      condition: largest eigenvalue over the smallest.
      n: number of parameters, 2 or more.

    Returns:
      The problem.

    Raises:
      InputError: the condition is below 1, or n below 2.
    """
    if not condition >= 1 or n < 2:
        raise InputError(
            f"a quadratic needs a condition of 1 or more and 2 parameters or more, not "
            f"{condition:g} and {n}"
        )
    u = np.cos(np.arange(1.0, n + 1))
    Q = np.eye(n) - 2 * np.outer(u, u) / (u @ u)  # noqa: N806
    J = np.geomspace(1, condition, n)[:, None] ** 0.5 * Q  # noqa: N806
    return least_squares(
        f"quadratic_{condition:g}",
        "the simplest function that a method can be slow on",
        np.ones(n),
        lambda x: jnp.asarray(J) @ x,
        (0.0,),
        np.zeros(n),
    )


def measure(methods: Methods, problem: Problem, steps: int) -> list[Run]:
    """Runs every method on one problem; call it under ``jax.enable_x64``.

    Args:
      methods: name to optimizer.
      problem: function and start.
      steps: largest number of updates.

    Returns:
      A run of each method; those that need residuals are left out where the problem
      has none.
    """
    solutions = {name: _solution(tx, problem, steps) for name, tx in methods.items()}
    done = {name: each for name, each in solutions.items() if each is not None}
    if not done:
        return []
    runs: list[Run] = []
    known = minimizers(problem, [solution.params for solution in done.values()])
    for method, solution in done.items():
        path = np.vstack([solution.state.path[: solution.steps], solution.params])
        moved = np.append(True, np.any(np.diff(path, axis=0) != 0, axis=1))
        end = min(known, key=lambda each: np.linalg.norm(each.x - path[-1]))
        errors = np.linalg.norm(path[moved] - end.x, axis=1)
        scale = max(1.0, float(np.linalg.norm(end.x)))
        spread = end.condition if np.isfinite(end.condition) else 1.0
        run = Run(
            problem=problem.name,
            method=method,
            errors=errors,
            steps=int(solution.steps),
            evaluations=int(solution.evaluations),
            reason=Reason(int(solution.reason)).name.lower(),
            minimizer=end,
            found=convergence(errors, 8 * _EPS * scale * spread, scale),
        )
        runs.append(run)
    return runs


def record_path(
    tx: optax.GradientTransformation, length: int
) -> optax.GradientTransformationExtraArgs:
    """Records the parameters before each update in a method's state.

    Args:
      tx: method for one vector.
      length: number of updates to record.

    Returns:
      The transformation; its state has ``path``, ``[length, n]``.
    """
    tx = optax.with_extra_args_support(tx)

    def init(params):
        path = jnp.full((length, params.size), jnp.nan, params.dtype)
        return _Recorded(tx.init(params), path, jnp.zeros((), jnp.int32))

    def update(updates, state, params=None, **extra_args):
        updates, inner = tx.update(updates, state.inner, params, **extra_args)
        path = state.path.at[state.count].set(params)
        return updates, _Recorded(inner, path, state.count + 1)

    return optax.GradientTransformationExtraArgs(init, update)


def minimizers(problem: Problem, ends: Sequence[np.ndarray]) -> list[Minimizer]:
    """Lists the known minimizer, and every other one that some run ended at.

    Args:
      problem: problem whose Hessian polishes the ends, by Newton's iteration.
      ends: ends of the runs, each ``[n]``.

    Returns:
      One minimizer or more; the end with the smallest gradient where neither the
      problem nor any run gives a minimizer.
    """

    @jax.jit
    def slopes(x):
        return jax.grad(problem.value_fn)(x), jax.hessian(problem.value_fn)(x)

    start = np.linalg.norm(slopes(jnp.asarray(problem.start))[0])
    found, rest = [], []
    if problem.minimizer is not None:
        found.append(_polish(problem, slopes, problem.minimizer)[0])
    for end in ends:
        if any(_close(end, each.x) for each in found):
            continue
        each, slope = _polish(problem, slopes, end)
        # Newton's iteration may also end at a saddle.
        least = each.eigenvalues[0] >= -1e-8 * abs(each.eigenvalues[-1])
        rest.append((slope, each))
        new = not any(_close(each.x, other.x) for other in found)
        if least and new and slope <= 1e-9 * max(1.0, start):
            found.append(each)
    return found or [min(rest, key=lambda pair: pair[0])[1]]


def _solution(tx: optax.GradientTransformation, problem: Problem, steps: int):
    """Solves the problem; None where the method needs residuals and has none."""
    functions: dict[str, Any] = {"value_fn": problem.value_fn}
    if problem.residual_fn is not None:
        functions = {"residual_fn": problem.residual_fn}
    # Only rounding ends a run, and single steps that gain no digit are not yet that.
    stop = Stop(gradient=0.0, step=1e-16, decrease=1e-15, steps=steps, patience=5)
    recorded = record_path(tx, steps)
    run = jax.jit(lambda x: solve(recorded, x, stop=stop, **functions))
    try:
        return jax.device_get(run(jnp.asarray(problem.start)))
    except TypeError as error:
        if problem.residual_fn is None and "residual_fn" in str(error):
            return None
        raise


def _polish(
    problem: Problem, slopes: Callable, x: np.ndarray
) -> tuple[Minimizer, float]:
    """Finds the minimizer near x, and its gradient's norm."""
    g, H = map(np.asarray, slopes(jnp.asarray(x)))  # noqa: N806
    if not np.isfinite(H).all():
        return Minimizer(x, np.nan, np.full(x.size, np.nan), np.inf), np.inf
    for _ in range(_POLISHING):
        trial = x - np.linalg.lstsq(H, g, rcond=None)[0]
        trial_g, trial_H = map(np.asarray, slopes(jnp.asarray(trial)))  # noqa: N806
        falls = np.linalg.norm(trial_g) < np.linalg.norm(g)
        if not falls or not np.isfinite(trial_H).all():
            break
        x, g, H = trial, trial_g, trial_H  # noqa: N806
    root = np.sqrt(np.abs(np.diag(H)))
    root = np.where(root > 0, root, 1.0)
    scaled = np.linalg.eigvalsh(H / root[:, None] / root)
    singular = not scaled[0] > scaled[-1] / SINGULAR
    condition = np.inf if singular else float(scaled[-1] / scaled[0])
    value = float(problem.value_fn(jnp.asarray(x)))
    end = Minimizer(x, value, np.linalg.eigvalsh(H), condition)
    return end, float(np.linalg.norm(g))


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.linalg.norm(a - b) <= 1e-3 * (1 + np.linalg.norm(b)))
