"""Newton's method in a trust region, solved exactly by the Hessian's eigenvectors.

    H = Q diag(l) Q^T,   c = Q^T g,   s = Q (c / (l + nu)),   x+ = x - s if f falls
    nu = 0                             where H is positive definite and |s| <= radius
    nu > -min(l) with |s| = radius     otherwise
    saddle-free: |l| in place of l

Far from the minimum nu turns Newton's step towards the gradient's; close to it nu is 0
and convergence quadratic. All of it happens in the coordinates D x, D^2 = |diag(H)|, in
which H has a unit diagonal: the step does not depend on the parameters' units.

Sources: More, Sorensen, Computing a Trust Region Step, SIAM J. Sci. Stat. Comput. 4
(1983), sections 2 and 3; Dauphin et al., arXiv:1406.2572, algorithm 1 (saddle-free).
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from optlab import curvature
from optlab.optim.least_squares import check_choice
from optlab.optim.trust_region import Trial, scale_by_trust_region

INDEFINITE = ("trust_region", "saddle_free")
# The root nu is found to this share of the radius, which itself is a guess. Bisection
# steps in where Newton's iteration leaves its bracket, hence the generous count.
RADIUS_TOLERANCE = 1e-2
MAX_ITERATIONS = 60


def secular_shift(l: jax.Array, c: jax.Array, radius: Any) -> jax.Array:  # noqa: E741
    """The smallest nu >= 0 with l + nu >= 0 and |c / (l + nu)| <= radius.

    Newton's iteration on 1/|s| - 1/radius, which is almost linear in nu.

    Args:
      l: eigenvalues [n].
      c: the gradient in the eigenvectors' basis [n].
      radius: scalar, finite.

    Returns:
      nu, to ``RADIUS_TOLERANCE``. In the hard case no nu > -min(l) makes the step long
      enough, and the result is -min(l).

    >>> nu = secular_shift(jnp.array([-1.0, 2.0]), jnp.array([3.0, 0.0]), 1.5)
    >>> round(float(nu), 1)
    3.0
    """
    low = jnp.maximum(-jnp.min(l), 0.0)
    high = jnp.maximum(jnp.linalg.norm(c) / radius - jnp.min(l), low)
    step_at = lambda nu: jnp.where(c == 0, 0.0, c / (l + nu))  # noqa: E731
    interior = (jnp.min(l) > 0) & (jnp.linalg.norm(step_at(0.0)) <= radius)

    def going(carry):
        nu, low, high, k = carry
        miss = jnp.abs(jnp.linalg.norm(step_at(nu)) / radius - 1)
        open_ = high - low > 4 * jnp.finfo(l.dtype).eps * high
        # Not (miss <= ...): where s overflows, miss is no number.
        return ~interior & ~(miss <= RADIUS_TOLERANCE) & open_ & (k < MAX_ITERATIONS)

    def iterate(carry):
        nu, low, high, k = carry
        s = step_at(nu)
        norm = jnp.linalg.norm(s)
        short = norm <= radius
        low, high = jnp.where(short, low, nu), jnp.where(short, nu, high)
        newton = nu + (norm / radius - 1) * norm**2 / jnp.sum(s**2 / (l + nu))
        inside = (newton > low) & (newton < high)
        return jnp.where(inside, newton, 0.5 * (low + high)), low, high, k + 1

    nu = jax.lax.while_loop(going, iterate, (high, low, high, 0))[0]
    return jnp.where(interior, 0.0, nu)


def unit_diagonal(H: jax.Array) -> jax.Array:  # noqa: N803
    """D [n], so that H / D / D^T has a diagonal of ones; one where H has a zero.

    >>> unit_diagonal(jnp.array([[4.0, 1.0], [1.0, 0.0]]))
    Array([2., 1.], dtype=float32)
    """
    diagonal = jnp.abs(jnp.diag(H))
    return jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0))


def newton_step(
    H: jax.Array,  # noqa: N803
    g: jax.Array,
    radius: Any,
    damping: Any = 0.0,
    absolute: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """The step s with |s| <= radius that minimizes -g.s + s.(H + damping I) s / 2.

    Args:
      H: Hessian [n, n].
      g: gradient [n].
      radius: of the region, finite.
      damping: added to the eigenvalues.
      absolute: take the eigenvalues' absolute values, static.

    Returns:
      s [n], to be subtracted, and the decrease that the model predicts.

    >>> H = jnp.array([[2.0, 1.0], [1.0, 3.0]])
    >>> newton_step(H, jnp.array([4.0, 7.0]), 10.0)[0].round(4)
    Array([1., 2.], dtype=float32)
    """
    l, Q = jnp.linalg.eigh(H)  # noqa: E741, N806
    l = (jnp.abs(l) if absolute else l) + damping  # noqa: E741
    c = Q.T @ g
    nu = secular_shift(l, c, radius)
    # Guard: where l + nu is only rounding, c / (l + nu) says nothing; what is missing
    # to the boundary is filled up along the eigenvector (the hard case).
    resolved = l + nu > 4 * jnp.finfo(l.dtype).eps * jnp.max(jnp.abs(l))
    s = jnp.where(resolved, c / jnp.where(resolved, l + nu, 1.0), 0.0)
    missing = jnp.sqrt(jnp.maximum(radius**2 - jnp.vdot(s, s), 0.0))
    lowest = jnp.argmin(l)
    fill = jnp.where(c[lowest] < 0, -missing, missing)
    hard = (nu > 0) & ~resolved[lowest]
    s = s.at[lowest].set(jnp.where(hard, fill, s[lowest]))
    return Q @ s, jnp.vdot(c, s) - 0.5 * jnp.vdot(l * s, s)


def scale_by_newton(
    damping: Any = 0.0,
    radius: Any = 100.0,
    max_radius: Any = 1e10,
    indefinite: str = "trust_region",
) -> optax.GradientTransformationExtraArgs:
    """The step s of `newton`, to be subtracted in full."""
    check_choice("newton", "indefinite", indefinite, INDEFINITE)

    def minimize_model(g, x, radius, objective):
        n = x.size
        shapes = [(n, n), (n, n)]
        curvature.require_memory("newton", shapes, x.dtype, "newton_cg()")
        H = curvature.hessian(objective.value_fn, x)  # noqa: N806
        # Guard: without a finite Hessian, the step is the gradient's.
        H = jnp.where(jnp.all(jnp.isfinite(H)), H, 0.0)  # noqa: N806
        # The absolute value of a matrix depends on the coordinates: the paper's are x.
        absolute = indefinite == "saddle_free"
        D = jnp.ones_like(x) if absolute else unit_diagonal(H)  # noqa: N806
        s, predicted = newton_step(H / D[:, None] / D, g / D, radius, damping, absolute)
        return Trial(
            step=s / D, length=jnp.linalg.norm(s), predicted=predicted, evaluations=n
        )

    return scale_by_trust_region(minimize_model, radius, max_radius, name="newton")


def newton(
    damping: Any = 0.0,
    radius: Any = 100.0,
    max_radius: Any = 1e10,
    indefinite: str = "trust_region",
) -> optax.GradientTransformationExtraArgs:
    r"""Newton's method, one trial step in a trust region an update.

    .. math:: (H + \nu I)\, s = g, \qquad x^+ = x - s

    Args:
      damping: added to the Hessian's diagonal (of ones), always; for noisy batches.
      radius: of the first trust region, in the coordinates D x.
      max_radius: of the largest; finite, since an indefinite model has no minimizer
        without a region.
      indefinite: what to do with negative curvature, static: ``trust_region`` follows
        it to the region's boundary, ``saddle_free`` takes its absolute value (D = I).

    Returns:
      The optimizer. Its state's ``info`` says what the last trial came to.

    Raises:
      InputError: from ``update``, where a dense Hessian does not fit.

    >>> from optlab.solve import solve
    >>> rosenbrock = lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    >>> solve(newton(), jnp.array([-1.2, 1.0]), value_fn=rosenbrock).params.round(4)
    Array([1., 1.], dtype=float32)
    """
    return optax.chain(
        scale_by_newton(damping, radius, max_radius, indefinite), optax.scale(-1.0)
    )
