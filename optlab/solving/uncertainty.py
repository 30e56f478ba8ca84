"""Uncertainties of parameters that were fitted by least squares.

    C = s^2 (J^T J)^-1        s^2 = r.r / (m - rank J)        se_i = sqrt(C_ii)

for m residuals r with independent errors of one variance, and with J the Jacobian at
the solution. J^T J is never formed: with the columns of J scaled to length one and
J = U S V^T, C is s^2 V S^-2 V^T, scaled back.

A fit has converged where the part of r that J could still explain is small beside its
random part:

    |U^T r| / sqrt(rank)  <=  0.001 |r| / sqrt(m - rank)

or where r is rounding, and the step that is left changes J x by less than sqrt(eps).

Sources: Seber, Wild, Nonlinear Regression, section 2.1.2 (C); Bates, Watts, A Relative
Offset Orthogonality Convergence Criterion, Technometrics 23 (1981).
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from optlab import curvature
from optlab.curvature.explicit import gathered
from optlab.errors import InputError
from optlab.optim.dense.lift import flatten, require_floating
from optlab.optim.dense.linear import norm
from optlab.solving import objective
from optlab.solving.loop import Solution

# Largest offset of Bates and Watts at which a fit counts as converged.
OFFSET = 1e-3


class Uncertainties(NamedTuple):
    """Uncertainties of n fitted parameters, in the order of ``ravel_pytree``.

    Attributes:
      standard_errors: tree like params, in their units; inf where not determined.
      covariance: [n, n], in products of the units of two parameters; inf or NaN in rows
        of what is not determined.
      residual_deviation: scalar s, in the unit of the residuals; NaN without a degree
        of freedom.
      degrees_of_freedom: int32, number of observations less ``rank``.
      rank: int32, rank of J; if it is below the number of free parameters, not all are
        determined.
      determined: tree like params, bool: whether the data determine the parameter.
      converged: bool; if not, these are uncertainties of another point.
    """

    standard_errors: Any
    covariance: jax.Array
    residual_deviation: jax.Array
    degrees_of_freedom: jax.Array
    rank: jax.Array
    determined: Any
    converged: jax.Array


def uncertainties(
    residual_fn: Callable,
    params: Any,
    *,
    args: tuple[Any, ...] = (),
    has_aux: bool = False,
    absolute_sigma: bool = False,
    at_bound: Any = None,
) -> Uncertainties:
    """Computes covariance and standard errors of parameters fitted by least squares.

    They are to first order in the errors. A parameter that is held at a bound counts as
    fixed if ``at_bound`` says so: it has no error of its own, and those of the others
    are as if it were known. A row of J that is zero, with
    a residual of zero, is no observation: so rows can be masked by a weight of zero.

    Args:
      residual_fn: function that was minimized, (params, *args) -> residuals of any
        shape, in one unit, or divided by the standard deviation of each observation.
      params: fitted parameters, such as ``Solution.params``.
      args: arguments that ``residual_fn`` takes after its first one.
      has_aux: whether ``residual_fn`` returns a pair, of which the second is ignored.
      absolute_sigma: whether residuals have variance 1 (they were divided by known
        standard deviations), so that s is not estimated: as in
        ``scipy.optimize.curve_fit``. Static.
      at_bound: ``Solution.at_bound`` of a fit with bounds; None where all are free.

    Returns:
      The uncertainties. ``rank``, ``determined`` and ``converged`` tell whether they
      mean what they say.

    Raises:
      InputError: ``params`` is a whole ``Solution``; residuals of complex shape and
        the like, as in `optlab.solve`; a Jacobian that does not fit into memory.

    >>> t, y = jnp.arange(4.0), jnp.array([0.0, 1.0, 1.0, 2.0])
    >>> line = lambda p: p["slope"] * t + p["start"] - y
    >>> found = uncertainties(line, {"slope": 0.6, "start": 0.1})
    >>> print(f"{found.standard_errors['slope']:.4f}")  # s = sqrt(0.2 / 2), / sqrt(5)
    0.1414
    """
    if isinstance(params, Solution):
        raise InputError("uncertainties: params is a Solution: give solution.params")
    if not callable(residual_fn):
        raise InputError(
            f"uncertainties: residual_fn must be a function, not {residual_fn!r}"
        )
    with objective.explained("uncertainties"):
        objective.check_args(args)
    given = objective.gather({"residual_fn": residual_fn})
    params = jax.tree.map(lambda p: float(p) if type(p) is int else p, params)
    require_floating("uncertainties", params, "pass what was not fitted in args")
    # Factorizations exist in no shorter type than float32.
    wide = lambda p: jnp.promote_types(jnp.result_type(p, float), jnp.float32)  # noqa: E731
    params = jax.tree.map(lambda p: jnp.asarray(p, wide(p)), params)
    held = None
    if at_bound is not None:
        if jax.tree.structure(at_bound) != jax.tree.structure(params):
            raise InputError(
                "uncertainties: at_bound is no tree like params: give solution.at_bound"
            )
        held = ravel_pytree(gathered(at_bound))[0] != 0
    with objective.explained("uncertainties"):
        return _of(given, has_aux, absolute_sigma, params, args, held)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _of(given, has_aux, absolute_sigma, params, args, held) -> Uncertainties:
    bound = objective.bind(given, args, has_aux, params)
    x, unravel = flatten(params)
    function = bound.residual_fn
    assert function is not None

    def outputs(x):
        r = ravel_pytree(function(unravel(x)))[0]
        return r.astype(jnp.promote_types(r.dtype, jnp.float32))

    m, n = jax.eval_shape(outputs, x).size, x.size
    curvature.require_memory(
        "uncertainties", [(m, n)] * 3 + [(n, n)] * 2, x.dtype, "fewer parameters"
    )
    r, J = curvature.jacobian(outputs, x)  # noqa: N806
    found = estimate(r, J, x, absolute_sigma, held)
    like = lambda flat: jax.tree.unflatten(  # noqa: E731
        jax.tree.structure(params), _split(flat, params)
    )
    return found._replace(
        standard_errors=like(found.standard_errors), determined=like(found.determined)
    )


def estimate(
    r: jax.Array,
    J: jax.Array,  # noqa: N803
    x: jax.Array,
    absolute_sigma: bool = False,
    held: jax.Array | None = None,
) -> Uncertainties:
    """Computes uncertainties from residuals r [m] and their Jacobian J [m, n] at x [n].

    Parameters of which ``held`` [n] is true are fixed.

    >>> J = jnp.array([[1.0], [1.0], [1.0]])  # a mean: s / sqrt(3)
    >>> found = estimate(jnp.array([1.0, -2.0, 1.0]), J, jnp.ones(1))
    >>> found.covariance.round(3), int(found.degrees_of_freedom)
    (Array([[1.]], dtype=float32), 2)
    """
    eps = jnp.finfo(J.dtype).eps
    fixed = jnp.zeros(x.size, bool) if held is None else held
    observations = jnp.sum(jnp.any(J != 0, 1) | (r != 0)).astype(jnp.int32)
    J = jnp.where(fixed, 0.0, J)  # noqa: N806
    lengths = jax.vmap(norm, 1)(J)
    c = jnp.where(lengths > 0, lengths, 1.0)
    U, S, Vt = jnp.linalg.svd(J / c, full_matrices=False)  # noqa: N806
    used = max(J.shape) * eps * jnp.max(S, initial=0) < S
    rank = jnp.sum(used).astype(jnp.int32)
    freedom = observations - rank
    size = norm(r)
    s = jnp.where(
        freedom > 0, size / jnp.sqrt(jnp.maximum(freedom, 1).astype(r.dtype)), jnp.nan
    )
    scale = jnp.ones_like(s) if absolute_sigma else s

    # A parameter is determined where all of its unit vector is seen by the data.
    V = jnp.where(used, Vt.T, 0.0)  # noqa: N806
    seen = jnp.sum(V**2, 1)
    determined = ((seen > 1 - eps**0.5) & jnp.isfinite(scale)) | fixed
    half = V / jnp.where(used, S, 1.0) * scale / c[:, None]
    covariance = half @ half.T
    both = determined[:, None] & determined[None, :]
    unknown = jnp.where(jnp.eye(x.size, dtype=bool), jnp.inf, jnp.nan)
    covariance = jnp.where(both, covariance, unknown)

    left = jnp.where(used, U.T @ r, 0.0)
    explained = norm(left) / jnp.sqrt(jnp.maximum(rank, 1).astype(r.dtype))
    random = size / jnp.sqrt(jnp.maximum(freedom, 1).astype(r.dtype))
    moves = eps**0.5 * norm(lengths * x)
    rounding, tiny = norm(left) <= moves, size <= moves
    return Uncertainties(
        standard_errors=jnp.sqrt(jnp.diag(covariance)),
        covariance=covariance,
        residual_deviation=s,
        degrees_of_freedom=freedom,
        rank=rank,
        determined=determined,
        converged=(explained <= OFFSET * random) | (rounding & tiny),
    )


def _split(flat: jax.Array, params: Any) -> list[jax.Array]:
    """Splits a vector into arrays of the leaves' shapes, in the vector's own type."""
    leaves, start, found = jax.tree.leaves(params), 0, []
    for leaf in leaves:
        found.append(flat[start : start + leaf.size].reshape(leaf.shape))
        start += leaf.size
    return found
