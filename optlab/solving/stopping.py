"""Criteria that end a run, and the reasons that a solution gives for its end.

The default criteria have no units: they hold for f in any unit and for every parameter
in a unit of its own.

    sum of squares     |g_i| <= tol |J_i| |r|        J_i: column i of the Jacobian
    any other f        |g_i| max |x_i| <= tol |f|    max: over the run so far

The first is the cosine of the angle between the residuals and a column.

Sources: More, The Levenberg-Marquardt Algorithm: Implementation and Theory, LNM 630
(1978), section 2 (MINPACK's gtol: the cosine); Hutchinson, Comm. Stat. Simul. 19
(1990) (norms of columns from products with random signs).
"""

import dataclasses
import enum
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.flatten_util import ravel_pytree

from optlab.errors import InputError

# Products J^T z with random signs z from which the norms of J's columns are estimated:
# a norm is wrong by 18% (standard deviation). With fewer residuals they are exact.
PROBES = 16
# Multiple of eps |f| within which a change of f counts as rounding; `judge` agrees.
ROUNDING = 10


class Reason(enum.IntEnum):
    """Reasons for the end of a run; ``str`` is the name.

    Attributes:
      RUNNING: no criterion holds yet; only inside the loop.
      GRADIENT: the gradient is within ``Stop.gradient`` or ``relative_gradient``.
      STEP: the last accepted steps are within ``Stop.step``.
      DECREASE: the last accepted steps change f within ``Stop.decrease``.
      TARGET: f is at most ``Stop.target``.
      STEPS: as many updates as ``Stop.steps`` were made.
      STALLED: the optimizer rejected its step and has nothing smaller to try.
      NON_FINITE: f or its gradient is not finite; params are the last good ones.
      ROUNDING: f changes by rounding only, see ``Stop.rounding``.
    """

    RUNNING = 0
    GRADIENT = 1
    STEP = 2
    DECREASE = 3
    TARGET = 4
    STEPS = 5
    STALLED = 6
    NON_FINITE = 7
    ROUNDING = 8

    def __str__(self) -> str:
        return self.name


class Stop(NamedTuple):
    """Criteria that end a run: numbers or tracers.

    A negative number disables a criterion, but ``target``.

    Attributes:
      gradient: bound on the largest entry of the gradient, in the units of f over those
        of the parameter; None disables it.
      step: bound on a step s relative to the parameters, |s| <= step (|x| + step) in
        Euclidean norms; 0 for a step that changes nothing.
      decrease: bound on the change of f relative to f, |f - f+| <= decrease |f|.
      target: value at or below which f is small enough, in the units of f; -inf
        disables it.
      steps: greatest number of updates, rejected ones included.
      patience: number of accepted steps in a row that must be within ``step`` or
        ``decrease``: a quasi-Newton method makes single poor steps before the end.
      relative_gradient: bound on the gradient without units, see the module. None for
        eps^(2/3) of the type of f (2e-5 in float32, 4e-11 in float64), or disabled
        where ``gradient`` is given. It is first looked at after an update, and its
        cost for a sum of squares is 16 gradients each time that it may hold and at
        powers of two (each step, under ``vmap``).
      rounding: number of accepted steps in a row over which f changes by no more than
        10 eps |f|, while g.s, the change that each promises, does not fall below half
        of the least one so far.
    """

    gradient: Any = None
    step: Any = 0.0
    decrease: Any = -1.0
    target: Any = -jnp.inf
    steps: Any = 5000
    patience: Any = 1
    relative_gradient: Any = None
    rounding: Any = 20


DEFAULT_STOP = Stop()


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Ending:
    """Reasons as an array that prints their names; numbers and comparisons are its own.

    >>> Ending(jnp.int32(1)), str(Ending(jnp.array([1, 5])))
    (GRADIENT, '[GRADIENT, STEPS]')
    >>> Ending(jnp.int32(1)) == Reason.GRADIENT
    Array(True, dtype=bool)
    """

    code: Any  # int32, of any shape

    def __repr__(self) -> str:
        # A tree of shapes or shardings has the structure of a Solution, too.
        known = isinstance(self.code, int | np.integer | np.ndarray | jax.Array)
        if not known or isinstance(self.code, Tracer):
            return f"Ending({self.code})"
        names = np.vectorize(lambda code: Reason(code).name, otypes=[object])
        return str(names(self.code).tolist()).replace("'", "")

    @property
    def name(self) -> str:
        """Name of the reason of a single run."""
        return Reason(int(self.code)).name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return jnp.shape(self.code)

    def __eq__(self, other: Any) -> Any:
        return self.code == getattr(other, "code", other)

    def __ne__(self, other: Any) -> Any:
        return self.code != getattr(other, "code", other)

    __hash__ = None  # type: ignore[assignment]  as of the array

    def __int__(self) -> int:
        return int(self.code)

    def __bool__(self) -> bool:
        return bool(self.code)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.code)

    def __len__(self) -> int:
        return len(self.code)

    def __getitem__(self, index: Any) -> "Ending":
        return Ending(self.code[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.code, dtype=dtype, copy=copy)

    def __jax_array__(self) -> Any:
        return self.code


class Watch(NamedTuple):
    """Memory of the criteria between two updates."""

    calm: jax.Array  # int32: accepted steps in a row within step or decrease
    flat: jax.Array  # int32: accepted steps in a row that changed f by rounding only
    level: jax.Array  # f from which these are counted
    record: jax.Array  # least |g.s| of an accepted step
    scale: Any  # state of the relative gradient: norms of columns, largest |x|


class Relative(NamedTuple):
    """The relative gradient of a kind of objective: 0 at an optimum, without units."""

    init: Callable[[Any], Any]  # x -> scale
    # (scale, x, f, g, steps, tolerance) -> (largest entry, scale)
    measure: Callable[..., tuple[jax.Array, Any]]


def tolerances(stop: Stop, dtype: Any) -> tuple[Any, Any]:
    """Chooses the absolute and the relative gradient tolerance, -1 where disabled.

    >>> tolerances(Stop(), jnp.float64)[1] < 4e-11, tolerances(Stop(1e-6), jnp.float32)
    (True, (1e-06, -1.0))
    """
    absolute = -1.0 if stop.gradient is None else stop.gradient
    relative = stop.relative_gradient
    if relative is None:
        eps = float(jnp.finfo(dtype).eps)
        relative = eps ** (2 / 3) if stop.gradient is None else -1.0
    return absolute, relative


def uses_relative(stop: Stop) -> bool:
    """Tells from what is known before the run whether the relative gradient is used."""
    relative = stop.relative_gradient
    if relative is None:
        return stop.gradient is None
    return not isinstance(relative, int | float) or relative >= 0


def by_size() -> Relative:
    """Builds the measure max |g_i| max |x_i| / |f| of any objective."""

    def measure(scale, x, f, g, steps, tolerance):
        del steps, tolerance
        scale = jax.tree.map(lambda s, x: jnp.maximum(s, jnp.abs(x)), scale, x)
        # A parameter that has always been zero has no size yet.
        sizes = jax.tree.map(lambda s: jnp.where(s > 0, s, jnp.inf), scale)
        return _largest(jax.tree.map(jnp.multiply, g, sizes), g) / jnp.abs(f), scale

    return Relative(lambda x: jax.tree.map(jnp.abs, x), measure)


def by_angle(norms_at: Callable) -> Relative:
    """Builds the measure max |g_i| / (|J_i| |r|) of a sum of squares.

    The norms of columns are kept, and computed again where the measure would hold with
    those of before, and at powers of two.

    Args:
      norms_at: x -> norms of the columns of J, see `column_norms`.
    """

    def cosine(norms, f, g):
        return _largest(jax.tree.map(jnp.divide, g, norms), g) / jnp.sqrt(2 * f)

    def measure(norms, x, f, g, steps, tolerance):
        due = (steps & (steps - 1) == 0) | (cosine(norms, f, g) <= tolerance)
        norms = jax.lax.cond(due, norms_at, lambda _: norms, x)
        return cosine(norms, f, g), norms

    return Relative(lambda x: jax.tree.map(jnp.zeros_like, x), measure)


def column_norms(residual_fn: Callable, x: Any) -> Any:
    """Estimates the norms of the columns of J from products J^T z.

    Args:
      residual_fn: x -> tree of residuals.
      x: point, a tree.

    Returns:
      Norms, a tree like ``x``; exact for at most ``PROBES`` residuals.

    >>> t = jnp.array([3.0, 4.0])
    >>> column_norms(lambda x: x["a"] * t + x["b"], {"a": 1.0, "b": 1.0})
    {'a': Array(5., dtype=float32), 'b': Array(1.4142135, dtype=float32)}
    """
    r, pull = jax.vjp(lambda x: ravel_pytree(residual_fn(x))[0], x)
    if r.size <= PROBES:
        probes = jnp.eye(r.size, dtype=r.dtype)
    else:
        signs = jax.random.rademacher(jax.random.key(0), (PROBES, r.size), r.dtype)
        probes = signs / PROBES**0.5
    rows = jax.vmap(lambda z: pull(z)[0])(probes)
    return jax.tree.map(_norms, rows)


def is_zero(g: Any) -> jax.Array:
    """Tells whether all entries of a tree are zero."""
    flags = [jnp.all(leaf == 0) for leaf in jax.tree.leaves(g)]
    return jnp.all(jnp.stack(flags)) if flags else jnp.asarray(True)


def begin(value: jax.Array, scale: Any) -> Watch:
    """Makes the memory before the first update."""
    zero = jnp.zeros((), jnp.int32)
    infinity = jnp.asarray(jnp.inf, value.dtype)
    return Watch(calm=zero, flat=zero, level=value, record=infinity, scale=scale)


def follow(
    watch: Watch,
    value: jax.Array,
    promised: jax.Array,
    *,
    accepted: jax.Array,
    calm: jax.Array,
) -> Watch:
    """Counts an update, if it was accepted.

    Args:
      watch: memory before the update.
      value: f after it.
      promised: |g.s|, to first order the change of f.
      accepted: whether the step was taken.
      calm: whether it was within ``step`` or ``decrease``.

    Returns:
      The memory after it.
    """
    eps = jnp.finfo(value.dtype).eps
    moved = jnp.abs(value - watch.level) > ROUNDING * eps * jnp.abs(value)
    shrinks = promised < watch.record / 2
    flat = jnp.where(moved | shrinks, 0, watch.flat + 1)
    new = Watch(
        calm=jnp.where(calm, watch.calm + 1, 0),
        flat=flat,
        level=jnp.where(moved, value, watch.level),
        record=jnp.where(shrinks, promised, watch.record),
        scale=(),
    )
    old = watch._replace(scale=())
    kept = jax.tree.map(lambda new, old: jnp.where(accepted, new, old), new, old)
    return kept._replace(scale=watch.scale)


def check(stop: Any) -> None:
    """Refuses what is no ``Stop`` of numbers; they may be traced."""
    if not isinstance(stop, Stop):
        raise InputError(f"solve: stop={stop!r} is no Stop; give one: Stop(steps=100)")
    for name, value in stop._asdict().items():
        if value is None and name in ("gradient", "relative_gradient"):
            continue
        numeric = isinstance(value, int | float | np.number | np.ndarray | jax.Array)
        if not numeric or jnp.ndim(value):
            raise InputError(f"solve: stop.{name} must be a number, not {value!r}")
        if not isinstance(value, Tracer) and np.isnan(value):
            raise InputError(f"solve: stop.{name} is nan, which no number compares to")


def _largest(tree: Any, g: Any) -> jax.Array:
    """Computes the largest absolute entry; where g is exactly zero, it counts as 0."""
    kept = jax.tree.map(lambda t, g: jnp.where(g == 0, 0, t), tree, g)
    return jnp.maximum(optax.tree.norm(kept, ord=jnp.inf), 0.0)


def _norms(rows: jax.Array) -> jax.Array:
    """Computes norms over the first axis."""
    # Guard: squares of numbers such as 1e-25 or 1e25 leave float32.
    largest = jnp.max(jnp.abs(rows), 0)
    safe = jnp.where(largest > 0, largest, 1.0)
    return largest * jnp.sqrt(jnp.sum((rows / safe) ** 2, 0))
