"""Bounds on parameters by change of variables: any method then keeps within them.

    lo <= p <= hi     p = lo + (hi - lo) (1 + sin u) / 2
    lo <= p           p = lo + d (sqrt(1 + u^2) - 1)          d = start - lo
    p <= hi           p = hi - d (sqrt(1 + u^2) - 1)          d = hi - start

The method minimizes over the free variables u. At a bound dp/du is zero: an optimum on
or beyond the bound is an ordinary minimum in u.

Source: James, Roos, MINUIT, Comput. Phys. Commun. 10 (1975), section on limits; the
length d, which makes the result independent of units, is ours.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from optlab.curvature.explicit import gathered, sharded_as
from optlab.errors import InputError, near
from optlab.solving.objective import half_squares

# Distance from a bound to which a start on the bound is moved, as a share of d or of
# half the interval: at the bound itself the gradient in u is zero.
INSIDE = 0.005
# Greatest share that counts as on the bound, in squares of eps: there the free variable
# has three digits. It is small, so that a start inside of wide bounds stays: 0.25% of
# such an interval may be far from any optimum.
ON_BOUND = 2.0**20


class Bounds(NamedTuple):
    """Lower and upper bounds of some leaves, for `optlab.solve`.

    Each is a tree like the parameters, of which any leaf may be left out, or a mapping
    from the names of leaves (``"layer.scale"``). A bound is a number or an array that
    fits its leaf; infinite ones are none. A start on a bound is moved inside, by 0.25%
    of the interval where there are two, else by 0.5% of the larger of |start| and 1.
    Bounds that cross or exclude the start are refused; under ``jit``, where no number
    is known, such a run ends at once with ``Reason.NON_FINITE``.

    >>> Bounds(lower={"rate": 0.0}, upper={"rate": 1.0, "height": 5.0}).lower
    {'rate': 0.0}
    """

    lower: Any = None
    upper: Any = None


class Box(NamedTuple):
    """Bounds of every leaf, with the lengths d; each field is a tree like params."""

    lower: Any  # -inf where there is none
    upper: Any  # inf where there is none
    length: Any  # of the change of variables: d, hi - lo over 2, or 1 without a bound

    def params(self, u: Any) -> Any:
        """Maps free variables to parameters."""
        return jax.tree.map(_to_params, u, *self)

    def free(self, params: Any) -> Any:
        """Maps parameters to free variables, those on a bound moved inside.

        Outside, and between bounds that cross, they are NaN.
        """
        return jax.tree.map(_to_free, params, *self)

    def at_bound(self, params: Any, value_fn: Callable) -> Any:
        """Tells which parameters are at a bound: -1 lower, 1 upper, 0 inside.

        Nearer than sqrt(eps) of ``length`` a parameter is at its bound where
        ``value_fn`` rises from there; nearer than eps^(3/4) of it, always.

        Returns:
          Tree of int8.
        """

        def near(p, low, high, length, share):
            close_to = jnp.finfo(p.dtype).eps ** share * length
            return p - low <= close_to, high - p <= close_to

        def held(p, low, high, length):
            below, above = near(p, low, high, length, 0.5)
            return jnp.where(below, low, jnp.where(above, high, p))

        def of(slope, p, low, high, length):
            below, above = near(p, low, high, length, 0.5)
            lowest, highest = near(p, low, high, length, 0.75)
            lower = lowest | (below & (slope > 0))
            upper = highest | (above & (slope < 0))
            return upper.astype(jnp.int8) - lower.astype(jnp.int8)

        slopes = jax.grad(value_fn)(jax.tree.map(held, params, *self))
        return jax.tree.map(of, slopes, params, *self)


def curved(
    box: Box, output_fn: Callable, loss_fn: Callable
) -> tuple[Callable, Callable]:
    """Makes outputs of u whose J^T H J has the curvature of the change of variables.

    Near a bound dp/du, and with it a column of J, is proportional to u, so that the
    step of J^T H J alone grows like 1/u where the optimum lies beyond the bound. What
    is left out there is g p''(u), with g = df/dp. It comes in by outputs that are zero,
    and whose derivative is not:

        z(p(u)),  w (u - u0)  at u0 = u       w^2 = max(g p'', 0)

    Args:
      box: change of variables.
      output_fn: p -> a tree z of outputs.
      loss_fn: z -> scalar.

    Returns:
      u -> (z, a tree like u of such outputs), and the loss of both.
    """

    def outputs(u):
        held = jax.lax.stop_gradient(u)
        ones = jax.tree.map(jnp.ones_like, held)
        slope = lambda u: jax.jvp(box.params, (u,), (ones,))[1]  # noqa: E731
        bend = jax.jvp(slope, (held,), (ones,))[1]
        gradient = jax.grad(lambda p: loss_fn(output_fn(p)))(box.params(held))

        def row(u, u0, g, b):
            w = jnp.sqrt(jnp.maximum(g * b, 0.0))
            return jax.lax.stop_gradient(w) * (u - u0)

        rows = jax.tree.map(row, u, held, gradient, bend)
        return output_fn(box.params(u)), gathered(rows)

    def loss(both):
        return loss_fn(both[0]) + half_squares(both[1])

    return outputs, loss


def resolve(bounds: Bounds, params: Any) -> tuple[Any, Any]:
    """Finds the bounds of each leaf.

    Args:
      bounds: bounds of some leaves; numbers may be traced.
      params: parameters at the start.

    Returns:
      Lower and upper bounds, trees like ``params``; infinite where there is none.

    Raises:
      InputError: a name is unknown or not unique, a bound does not fit its leaf, bounds
        cross, or the start lies outside.
    """
    if not isinstance(bounds, Bounds):
        raise InputError(
            f"solve: bounds={bounds!r} are no Bounds; give some: "
            "optlab.Bounds(lower={'name': 0.0})"
        )
    leaves = {_name(path): leaf for path, leaf in jax.tree.leaves_with_path(params)}
    if len(leaves) < len(jax.tree.leaves(params)):
        raise InputError(
            "solve: bounds go by names, and two parameters have the same one, as "
            "{'a.b': ...} and {'a': {'b': ...}} do: rename one"
        )
    sides = {}
    for side, none in (("lower", -np.inf), ("upper", np.inf)):
        given = jax.tree.leaves_with_path(getattr(bounds, side))
        given = {_name(path): bound for path, bound in given}
        for name, bound in given.items():
            if name not in leaves and not any(leaves):
                raise InputError(
                    f"solve: bounds.{side} is a tree, and the parameters are one "
                    f"array: give an array, jnp.array({getattr(bounds, side)!r})"
                )
            if name not in leaves:
                raise InputError(
                    f"solve: bounds.{side} has {name or 'a bare number'!r}, which is "
                    f"no parameter; {near(name, filter(None, leaves))}"
                )
            _check_fits(side, name, bound, leaves[name])
        sides[side] = {
            name: _like(given.get(name, none), leaf) for name, leaf in leaves.items()
        }
    for name, leaf in leaves.items():
        _check_order(name, leaf, sides["lower"][name], sides["upper"][name])
    structure = jax.tree.structure(params)
    lower, upper = (
        jax.tree.unflatten(structure, list(side.values())) for side in sides.values()
    )
    return lower, upper


def make_box(lower: Any, upper: Any, start: Any) -> Box:
    """Chooses the lengths of the change of variables by the start.

    >>> box = make_box(jnp.array([0.0, 0.0]), jnp.array([jnp.inf, 4.0]), jnp.ones(2))
    >>> box.length.tolist(), box.params(box.free(jnp.array([1.0, 2.0]))).tolist()
    ([1.0, 2.0], [1.0, 2.0])
    """

    def length(low, high, p):
        has_low, has_high = jnp.isfinite(low), jnp.isfinite(high)
        one_side = jnp.where(has_low, p - low, high - p)
        one_side = jnp.where(one_side > 0, one_side, jnp.maximum(jnp.abs(p), 1.0))
        width = jnp.where(has_low & has_high, (high - low) / 2, one_side)
        return jnp.where(has_low | has_high, width, 1.0)

    return Box(lower, upper, jax.tree.map(length, lower, upper, start))


def _to_params(u, low, high, length):
    has_low, has_high = jnp.isfinite(low), jnp.isfinite(high)
    bottom, top = jnp.where(has_low, low, 0.0), jnp.where(has_high, high, 0.0)
    # u^2 / (1 + sqrt(1 + u^2)) is sqrt(1 + u^2) - 1 without its cancellation.
    away = length * u**2 / (1 + jnp.sqrt(1 + u**2))
    # Likewise 1 - cos v = 2 sin^2(v / 2), from the nearer bound: v = u -+ pi / 2.
    up, down = (2 * length * jnp.sin((u + v) / 2) ** 2 for v in (_QUARTER, -_QUARTER))
    both = jnp.where(jnp.sin(u) < 0, bottom + up, top - down)
    # Guard: rounding may leave the interval by a digit.
    both = jnp.clip(both, low, high)
    one = jnp.where(has_low, bottom + away, jnp.where(has_high, top - away, u))
    return jnp.where(has_low & has_high, both, one)


def _to_free(p, low, high, length):
    has_low, has_high = jnp.isfinite(low), jnp.isfinite(high)
    above = jnp.where(has_low, p - low, jnp.inf) / length
    below = jnp.where(has_high, high - p, jnp.inf) / length
    share = jnp.minimum(above, below)
    # Before the roots, whose derivative is infinite at the bound. NaN stays.
    limit = ON_BOUND * float(jnp.finfo(p.dtype).eps) ** 2
    share = jnp.where(share <= limit, INSIDE, share)
    share = jnp.where((p < low) | (p > high), jnp.nan, share)
    # From the nearer bound, without the cancellation of arcsin(share - 1).
    angle = 2 * jnp.arcsin(jnp.sqrt(jnp.minimum(share, 1.0) / 2))
    both = jnp.where(above < below, angle - _QUARTER, _QUARTER - angle)
    one = jnp.where(has_low | has_high, jnp.sqrt(share * (share + 2)), p)
    return jnp.where(has_low & has_high, both, one)


_QUARTER = np.pi / 2


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _like(bound: Any, leaf: jax.Array) -> jax.Array:
    """Gives a bound the type, the shape and the sharding of its leaf."""
    whole = jnp.broadcast_to(jnp.asarray(bound, leaf.dtype), leaf.shape)
    return sharded_as(whole, jax.typeof(leaf))


def _check_fits(side: str, name: str, bound: Any, leaf: Any) -> None:
    numeric = isinstance(bound, int | float | np.number | np.ndarray | jax.Array)
    where = f"solve: bounds.{side} of {name or 'the parameter'}"
    if not numeric:
        raise InputError(f"{where} must be a number or an array, not {bound!r}")
    try:
        fits = np.broadcast_shapes(jnp.shape(bound), leaf.shape) == leaf.shape
    except ValueError:
        fits = False
    if not fits:
        raise InputError(
            f"{where} has the shape {jnp.shape(bound)}, and the parameter {leaf.shape}"
        )


def _check_order(name: str, leaf: Any, low: Any, high: Any) -> None:
    if any(isinstance(x, Tracer) for x in (leaf, low, high)):
        return
    name = name or "the parameter"
    leaf, low, high = (np.asarray(x).ravel() for x in (leaf, low, high))
    for i in np.flatnonzero(~(low < high))[:1]:
        raise InputError(
            f"solve: bounds of {name} cross: lower {low[i]!s} is not below "
            f"upper {high[i]!s}"
        )
    for i in np.flatnonzero(~((low <= leaf) & (leaf <= high)))[:1]:
        raise InputError(
            f"solve: the start {leaf[i]!s} of {name} lies outside of its bounds "
            f"[{low[i]!s}, {high[i]!s}]: start inside"
        )
