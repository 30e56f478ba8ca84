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

from optlab.errors import InputError, check_choice
from optlab.results.rates import Convergence, convergence
from optlab.solving import Reason, Stop, solve
from optlab.testproblems.problem import Problem, least_squares
from optlab.testproblems.unconstrained import PROBLEMS

# Above this condition, scaled to a diagonal of ones, a Hessian counts as singular.
_SINGULAR = 1e12
# Newton steps from a run's end to its minimizer.
_POLISHING = 20
_EPS = float(np.finfo(float).eps)


class Minimizer(NamedTuple):
    """A point where the gradient is zero, and the curvature there."""

    x: np.ndarray  # [n]
    value: float
    eigenvalues: np.ndarray  # [n], of the Hessian, ascending
    condition: float  # of the Hessian scaled to a diagonal of ones; inf: singular
    slope: float  # norm of the gradient

    @property
    def regular(self) -> bool:
        """Tells whether the Hessian at the minimum is invertible."""
        return bool(np.isfinite(self.condition))


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
    """Lists quadratics of n parameters, one a condition number, then test functions.

    These are of ``optlab.testproblems.unconstrained``.

    Raises:
      InputError: a name is unknown, a condition below 1, or n below 2.
    """
    for name in names:
        check_choice("test problem", name, PROBLEMS)
    quadratics = [_quadratic(condition, n) for condition in conditions]
    return quadratics + [PROBLEMS[name] for name in names]


def _quadratic(condition: float, n: int) -> Problem:
    """Makes 0.5 x.H x with eigenvalues from 1 up, evenly spread on a log axis."""
    if not condition >= 1 or n < 2:
        raise InputError(
            f"a quadratic needs a condition of 1 or more and 2 parameters or more, not "
            f"{condition:g} and {n}"
        )
    # H = Q diag(lambda) Q with a reflection Q = I - 2 u u': scaling coordinates is no
    # advantage.
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


def measure(
    methods: Mapping[str, optax.GradientTransformation], problem: Problem, steps: int
) -> list[Run]:
    """Runs every method on one problem; call it under ``jax.enable_x64``.

    Methods that need residuals are left out where the problem has none. ``steps`` is
    the largest number of updates.
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
        rounding = 8 * _EPS * scale * (end.condition if end.regular else 1.0)
        run = Run(
            problem=problem.name,
            method=method,
            errors=errors,
            steps=int(solution.steps),
            evaluations=int(solution.evaluations),
            reason=Reason(int(solution.reason)).name.lower(),
            minimizer=end,
            found=convergence(errors, rounding, scale),
        )
        runs.append(run)
    return runs


def _record_path(
    tx: optax.GradientTransformation, length: int
) -> optax.GradientTransformationExtraArgs:
    """Records the parameters, one vector, before each update in a method's state."""
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

    Newton's iteration polishes each end ``[n]`` with the problem's Hessian. There is
    one minimizer or more: the end with the smallest gradient where neither the problem
    nor any run gives a minimizer.
    """

    @jax.jit
    def slopes(x):
        return jax.grad(problem.value_fn)(x), jax.hessian(problem.value_fn)(x)

    known = problem.minimizer
    found = [] if known is None else [_polish(problem, slopes, known)]
    steepest = 1e-9 * max(1.0, np.linalg.norm(slopes(jnp.asarray(problem.start))[0]))

    def new(x):
        return all(
            np.linalg.norm(x - y.x) > 1e-3 * (1 + np.linalg.norm(y.x)) for y in found
        )

    rest = []
    for end in filter(new, ends):
        each = _polish(problem, slopes, end)
        rest.append(each)
        # Newton's iteration may also end at a saddle.
        least = each.eigenvalues[0] >= -1e-8 * abs(each.eigenvalues[-1])
        if least and new(each.x) and each.slope <= steepest:
            found.append(each)
    return found or [min(rest, key=lambda each: each.slope)]


def _solution(tx: optax.GradientTransformation, problem: Problem, steps: int):
    """Solves the problem; None where the method needs residuals and has none."""
    functions: dict[str, Any] = {"value_fn": problem.value_fn}
    if problem.residual_fn is not None:
        functions = {"residual_fn": problem.residual_fn}
    # Only rounding ends a run, and single steps that gain no digit are not yet that.
    stop = Stop(gradient=0.0, step=1e-16, decrease=1e-15, steps=steps, patience=5)
    recorded = _record_path(tx, steps)
    run = jax.jit(lambda x: solve(recorded, x, stop=stop, **functions))
    try:
        return jax.device_get(run(jnp.asarray(problem.start)))
    except TypeError as error:
        if problem.residual_fn is None and "residual_fn" in str(error):
            return None
        raise


def _polish(problem: Problem, slopes: Callable, x: np.ndarray) -> Minimizer:
    """Finds the minimizer near x, or describes x where its Hessian is not finite."""
    g, H = map(np.asarray, slopes(jnp.asarray(x)))  # noqa: N806
    if not np.isfinite(H).all():
        return Minimizer(x, np.nan, np.full(x.size, np.nan), np.inf, np.inf)
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
    singular = not scaled[0] > scaled[-1] / _SINGULAR
    condition = np.inf if singular else float(scaled[-1] / scaled[0])
    value = float(problem.value_fn(jnp.asarray(x)))
    slope = float(np.linalg.norm(g))
    return Minimizer(x, value, np.linalg.eigvalsh(H), condition, slope)
