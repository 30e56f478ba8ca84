"""Newton's method without a matrix: Steihaug's conjugate gradients in a trust region.

    H s = g    by conjugate gradients from s = 0, left early where
               the residual is small,  |H s - g| <= tolerance_k |g|
               curvature is negative,  p.H p <= 0: follow p to the boundary
               the step is long,       |s| >= radius: stop at the boundary
    tolerance_k = min(tolerance, sqrt|g|)

The first iterate is along the gradient and each further one is better, so a few
products H v, at the cost of about two gradients each, are often enough.

Sources: Steihaug, SIAM J. Numer. Anal. 20 (1983); Nocedal, Wright, Numerical
Optimization (2nd ed.), algorithm 7.2 and equation 7.3 (the tolerance).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from optlab import curvature
from optlab.optim.arguments import checked
from optlab.optim.dense.trust_region import Trial, scale_by_trust_region


class _Iterate(NamedTuple):
    s: jax.Array  # step [n]
    Hs: jax.Array  # [n], for the model's value
    r: jax.Array  # residual g - H s [n]
    p: jax.Array  # conjugate direction [n]
    k: jax.Array  # products so far
    ended: jax.Array  # bool: at the boundary


def steihaug_step(
    product: Callable, g: jax.Array, radius: Any, tolerance: Any, max_products: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Finds a step s in the region that makes -g.s + s.H s / 2 small.

    Args:
      product: v [n] -> H v [n].
      g: gradient [n].
      radius: radius of the region, finite.
      tolerance: bound on the residual, relative to the gradient.
      max_products: greatest number of products.

    Returns:
      s [n], to be subtracted; the predicted decrease; the number of products.

    >>> s, predicted, k = steihaug_step(
    ...     lambda v: v * jnp.array([1.0, 4.0]), jnp.array([1.0, 4.0]), 9.0, 1e-3, 9
    ... )
    >>> s.round(4), round(float(predicted), 4), int(k)
    (Array([1., 1.], dtype=float32), 2.5, 2)
    """
    target = tolerance * jnp.linalg.norm(g)

    def going(i):
        unsolved = jnp.linalg.norm(i.r) > target
        return unsolved & ~i.ended & (i.k < max_products)

    def iterate(i):
        Hp = product(i.p)  # noqa: N806
        # Guard: a product that is not finite counts as zero curvature along p.
        Hp = jnp.where(jnp.all(jnp.isfinite(Hp)), Hp, 0.0)  # noqa: N806
        curved, rr = jnp.vdot(i.p, Hp), jnp.vdot(i.r, i.r)
        alpha = rr / curved
        ended = ~(curved > 0) | (jnp.linalg.norm(i.s + alpha * i.p) >= radius)
        # |s + tau p| = radius with tau > 0, without cancellation where s.p > 0.
        sp, pp = jnp.vdot(i.s, i.p), jnp.vdot(i.p, i.p)
        room = jnp.maximum(radius**2 - jnp.vdot(i.s, i.s), 0.0)
        alpha = jnp.where(ended, room / (sp + jnp.sqrt(sp**2 + pp * room)), alpha)
        r = i.r - alpha * Hp
        return _Iterate(
            s=i.s + alpha * i.p,
            Hs=i.Hs + alpha * Hp,
            r=r,
            p=r + jnp.vdot(r, r) / rr * i.p,
            k=i.k + 1,
            ended=ended,
        )

    zeros, k = jnp.zeros_like(g), jnp.zeros((), jnp.int32)
    start = _Iterate(zeros, zeros, g, g, k, jnp.zeros((), bool))
    end = jax.lax.while_loop(going, iterate, start)
    return end.s, jnp.vdot(g, end.s) - 0.5 * jnp.vdot(end.s, end.Hs), end.k


@checked
def newton_cg(
    radius: Any = 1.0,
    max_radius: Any = 1e10,
    tolerance: Any = 0.1,
    max_products: int = 100,
) -> optax.GradientTransformationExtraArgs:
    """Builds Newton's method by conjugate gradients, one trial step for each update.

    Use it for many parameters: it forms no matrix and needs no more memory than a few
    gradients. Not where parameters are in units far apart, since it does not scale
    them, nor on small noisy batches. A step takes up to ``max_products`` products of
    the Hessian, of about two gradients each; the state is a few scalars. Try `newton`
    or `bfgs` next for small n, `gauss_newton` with ``solver="cg"`` for nets, or a
    first-order method.

    ``radius`` is read once, by ``init``; the other numbers may change during a run, by
    `optax.inject_hyperparams`.

    Args:
      radius: radius of the first trust region.
      max_radius: upper bound of the radius, finite.
      tolerance: relative tolerance of the linear system far from the minimum; closer
        it is the square root of the gradient norm, for superlinear convergence.
      max_products: greatest number of Hessian products in one update.

    Returns:
      The optimizer. Its state's ``info`` holds the diagnostics of the last trial.

    Raises:
      InputError: a number out of its range, unless it is traced.

    >>> from optlab.solving import solve
    >>> rosenbrock = lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    >>> solve(newton_cg(), jnp.array([-1.2, 1.0]), value_fn=rosenbrock).params.round(4)
    Array([1., 1.], dtype=float32)
    """

    def minimize_model(g, x, radius, objective):
        product = curvature.hessian_product(objective.value_fn, x)
        forcing = jnp.minimum(tolerance, jnp.sqrt(jnp.linalg.norm(g)))
        s, predicted, k = steihaug_step(product, g, radius, forcing, max_products)
        length = jnp.linalg.norm(s)
        return Trial(step=s, length=length, predicted=predicted, evaluations=k + 1)

    step = scale_by_trust_region(minimize_model, radius, max_radius, name="newton_cg")
    return optax.chain(step, optax.scale(-1.0))
